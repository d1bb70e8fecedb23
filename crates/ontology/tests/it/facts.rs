//! What HPO 2025-01-16, Orphanet 2025-12-09, Mondo and loinc2hpo really say, counted in the files.

use crate::ONTOLOGY;
use ontology::{
    Aspect, Database, Disease, DiseaseIx, Frequency, FrequencyClass, HpoId, LoincCode,
    OrphanetFrequency, OrphanetInheritance, OrphanetOnset, Outcome, Resolved, Scope, SourceKind,
    SynonymKind, TermIx,
};

fn id(text: &str) -> HpoId {
    text.parse().expect("an HPO id")
}

fn term(text: &str) -> TermIx {
    ONTOLOGY.live(id(text)).expect("a live term")
}

fn disease(text: &str) -> Disease<'static> {
    let ix = ONTOLOGY.find_disease(text.parse().expect("a disease id"));
    ONTOLOGY.disease(ix.expect("a disease"))
}

#[test]
fn counts_are_those_of_the_files() {
    let of = |database: Database, with_features: bool| {
        ONTOLOGY
            .diseases()
            .map(|ix| ONTOLOGY.disease(ix))
            .filter(|d| d.id().database() == database)
            .filter(|d| {
                let feature = |a: &ontology::Annotation| a.aspect == Aspect::Phenotype;
                !with_features || d.annotations().iter().any(feature)
            })
            .count()
    };
    assert_eq!(ONTOLOGY.term_count(), 19_034);
    assert_eq!(ONTOLOGY.disease_count(), 12_687);
    assert_eq!(of(Database::Omim, false), 8_359);
    assert_eq!(of(Database::Omim, true), 8_352);
    assert_eq!(of(Database::Decipher, false), 47);
    assert_eq!(of(Database::Orpha, false), 4_281);
    let lines: usize = ONTOLOGY
        .diseases()
        .map(|d| ONTOLOGY.disease(d).annotations().len())
        .sum();
    assert_eq!(lines, 271_702);
    let synonyms: usize = ONTOLOGY
        .terms()
        .map(|t| ONTOLOGY.term(t).synonyms().len())
        .sum();
    // 23,519 in the file, 7 of them of obsolete terms.
    assert_eq!(synonyms, 23_519 - 7);
    let parents: usize = ONTOLOGY
        .terms()
        .map(|t| ONTOLOGY.term(t).parents().len())
        .sum();
    assert_eq!(parents, 23_392);
    assert_eq!(ONTOLOGY.orphanet_count(), 9_960);
    assert_eq!(ONTOLOGY.gene_count(), 5_132 + 196);
    assert_eq!(ONTOLOGY.loinc_findings().len(), 7_415);
}

#[test]
fn frequencies_are_kept_as_stated() {
    let mut counts = [0usize; 4];
    let mut excluded = 0;
    for annotation in ONTOLOGY
        .diseases()
        .flat_map(|d| ONTOLOGY.disease(d).annotations())
    {
        counts[match annotation.frequency {
            Frequency::Unstated => 0,
            Frequency::Count { affected, examined } => {
                assert!(affected <= examined && examined > 0);
                1
            }
            Frequency::Percent(percent) => {
                assert!((0.0..=100.0).contains(&percent));
                2
            }
            Frequency::Class(_) => 3,
        }] += 1;
        excluded += usize::from(annotation.excluded);
    }
    assert_eq!(
        counts,
        [64_217, 89_578, 113, 44_818 + 39_482 + 25_832 + 7_014 + 648]
    );
    assert_eq!(excluded, 711);
}

#[test]
fn an_annotation_keeps_its_count_and_its_paper() {
    let disease = disease("OMIM:619340");
    assert_eq!(
        disease.name(),
        "Developmental and epileptic encephalopathy 96"
    );
    let first = disease.annotations()[0];
    assert_eq!(ONTOLOGY.term(first.term).id(), id("HP:0011097"));
    assert_eq!(
        first.frequency,
        Frequency::Count {
            affected: 1,
            examined: 2
        }
    );
    let cited: Vec<_> = first
        .references(&ONTOLOGY)
        .iter()
        .map(|&r| ONTOLOGY.reference(r))
        .collect();
    assert_eq!(cited, ["PMID:31675180"]);
    assert_eq!(first.curation(&ONTOLOGY), "HPO:probinson[2021-06-21]");
    assert_eq!(
        ONTOLOGY.find_reference("PMID:31675180"),
        Some(first.references(&ONTOLOGY)[0])
    );
    assert_eq!(ONTOLOGY.find_reference("PMID:0"), None);
    assert_eq!(ONTOLOGY.find_reference("Seizure"), None);
}

#[test]
fn a_disease_keeps_all_its_names() {
    let names: Vec<_> = disease("OMIM:617635").names().collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"Intellectual developmental disorder, autosomal dominant 47"));
    assert!(names.contains(&"Mental retardation, autosomal dominant 47"));
}

#[test]
fn terms_have_names_synonyms_and_definitions() {
    let seizure = ONTOLOGY.term(term("HP:0001250"));
    assert_eq!(seizure.label(), "Seizure");
    assert!(
        seizure
            .definition()
            .is_some_and(|d| d.starts_with("A seizure is an intermittent abnormality"))
    );
    let lay = ONTOLOGY
        .term(term("HP:0001252"))
        .synonyms()
        .find(|s| s.kind == SynonymKind::Layperson)
        .expect("hypotonia in lay words");
    assert_eq!((lay.text, lay.scope), ("Low muscle tone", Scope::Exact));
    assert!(ONTOLOGY.term(term("HP:0000001")).parents().is_empty());
}

#[test]
fn former_ids_are_resolved_or_explained() {
    let check = |text: &str, expect: Resolved<'static>| {
        assert_eq!(ONTOLOGY.resolve(id(text)), expect, "{text}");
    };
    check("HP:0001250", Resolved::Live(term("HP:0001250")));
    check(
        "HP:0002279",
        Resolved::Alternative {
            of: term("HP:0001250"),
        },
    );
    check("HP:9999999", Resolved::Unknown);
    // Two replacements: a person chooses.
    let split = ONTOLOGY.resolve(id("HP:0000535"));
    assert!(
        matches!(split, Resolved::Replaced { by, .. } if by == [term("HP:0045074"), term("HP:0045075")])
    );
    assert_eq!(split.term(), None);
    // Its own replacement goes before the term that lists it as an alternative.
    assert_eq!(
        ONTOLOGY.resolve(id("HP:0007901")).term(),
        Some(term("HP:0000479"))
    );
}

#[test]
fn distances_are_the_shortest() {
    let check = |from: &str, to: &str, expect: Option<u8>| {
        assert_eq!(
            ONTOLOGY.distance(term(from), term(to)),
            expect,
            "{from} {to}"
        );
    };
    check("HP:0001250", "HP:0001250", Some(0));
    check("HP:0001250", "HP:0012638", Some(1));
    check("HP:0001250", "HP:0000707", Some(2));
    check("HP:0001250", "HP:0000118", Some(3));
    check("HP:0001250", "HP:0000001", Some(4));
    check("HP:0000118", "HP:0001250", None);
    check("HP:0001250", "HP:0000478", None);
}

/// Breadth-first from each of some terms, against the stored lists.
#[test]
fn ancestors_and_descendants_agree_with_a_walk() {
    let mut pairs = 0;
    for start in ONTOLOGY.terms().step_by(97) {
        let mut seen = std::collections::BTreeMap::from([(start, 0u8)]);
        let mut level = vec![start];
        for distance in 1.. {
            let above: Vec<_> = level
                .iter()
                .flat_map(|&t| ONTOLOGY.term(t).parents())
                .copied()
                .collect();
            level = above
                .into_iter()
                .filter(|t| !seen.contains_key(t))
                .collect();
            level.sort_unstable();
            level.dedup();
            if level.is_empty() {
                break;
            }
            seen.extend(level.iter().map(|&t| (t, distance)));
        }
        let mut stored = ONTOLOGY.ancestors(start).to_vec();
        assert_eq!(stored[0], (start, 0));
        stored.sort_unstable();
        assert_eq!(
            stored,
            seen.iter().map(|(t, d)| (*t, *d)).collect::<Vec<_>>()
        );
        for (&ancestor, &distance) in &seen {
            assert!(ONTOLOGY.descendants(ancestor).contains(&(start, distance)));
            assert!(ONTOLOGY.is_a(start, ancestor));
            pairs += 1;
        }
    }
    assert!(pairs > 1_000);
    let (up, down) = ONTOLOGY.terms().fold((0, 0), |(up, down), t| {
        (
            up + ONTOLOGY.ancestors(t).len(),
            down + ONTOLOGY.descendants(t).len(),
        )
    });
    assert_eq!(up, down);
    let below = ONTOLOGY.descendants(ONTOLOGY.roots().inheritance);
    assert!(below.iter().any(|&(t, _)| t == term("HP:0000007")));
}

#[test]
fn genes_belong_to_diseases_and_back() {
    let aars = ONTOLOGY.find_gene("AARS1").expect("AARS1");
    assert_eq!(ONTOLOGY.gene(aars).ncbi(), Some(16));
    assert_eq!(ONTOLOGY.find_gene_ncbi(16), Some(aars));
    assert!(
        ONTOLOGY
            .gene(aars)
            .diseases()
            .contains(&disease("OMIM:613287").ix())
    );
    assert!(disease("OMIM:613287").genes().contains(&aars));
    let with_genes = ONTOLOGY
        .diseases()
        .filter(|&d| !ONTOLOGY.disease(d).genes().is_empty())
        .count();
    assert_eq!(with_genes, 8_873);
    for absent in ["NOT-A-GENE", "-", ""] {
        assert_eq!(ONTOLOGY.find_gene(absent), None);
    }
    assert_eq!(ONTOLOGY.find_gene_ncbi(0), None);
}

#[test]
fn orphanet_stays_itself_and_is_linked_through_mondo() {
    let code = "ORPHA:100".parse().expect("an ORPHA code");
    let ataxia = ONTOLOGY.orphanet(ONTOLOGY.find_orphanet(code).expect("ORPHA:100"));
    assert_eq!(
        (ataxia.label(), ataxia.kind()),
        ("Ataxia-telangiectasia", "Disease")
    );
    assert_eq!(
        ataxia.onsets(),
        [OrphanetOnset::Childhood, OrphanetOnset::Infancy]
    );
    assert_eq!(
        ataxia.inheritance(),
        [OrphanetInheritance::AutosomalRecessive]
    );
    assert_eq!(ataxia.prevalences().len(), 8);
    assert_eq!(
        ataxia.prevalences().next().map(|p| p.geography),
        Some("Norway")
    );
    assert_eq!(ataxia.omim().len(), 2);
    let feature = ataxia.features()[0];
    assert_eq!(
        (feature.term, feature.frequency),
        (term("HP:0000035"), OrphanetFrequency::Occasional)
    );
    // The same disease has an OMIM profile with frequencies of its own, and an ORPHA profile.
    let omim = disease("OMIM:208900");
    assert_eq!(omim.orphanet(), [ataxia.ix()]);
    assert!(ataxia.diseases().contains(&omim.ix()));
    assert_eq!(disease("ORPHA:100").orphanet(), [ataxia.ix()]);
    assert!(
        disease("ORPHA:100")
            .annotations()
            .iter()
            .any(|a| a.frequency == Frequency::Class(FrequencyClass::Occasional))
    );
    let mondo = omim.mondo()[0];
    assert_eq!(mondo.to_string(), "MONDO:0008840");
    assert_eq!(ONTOLOGY.mondo_label(mondo), Some("ataxia telangiectasia"));
    assert!(
        ONTOLOGY
            .diseases_of_mondo(mondo)
            .collect::<Vec<DiseaseIx>>()
            .contains(&omim.ix())
    );
}

#[test]
fn a_quarter_of_the_omim_diseases_have_frequencies_of_orphanet_too() {
    let omim = ONTOLOGY
        .diseases()
        .map(|ix| ONTOLOGY.disease(ix))
        .filter(|d| d.id().database() == Database::Omim);
    let same = omim
        .filter(|d| !d.orphanet().is_empty())
        .collect::<Vec<_>>();
    let has_features = |d: &&Disease<'_>| {
        d.orphanet()
            .iter()
            .any(|&o| !ONTOLOGY.orphanet(o).features().is_empty())
    };
    assert_eq!(same.len(), 3_272);
    assert_eq!(same.iter().filter(has_features).count(), 2_148);
}

#[test]
fn laboratory_results_say_terms_or_their_absence() {
    let code: LoincCode = "704-7".parse().expect("a LOINC code");
    let check = |outcome, expect: Option<(&str, bool)>| {
        let found = ONTOLOGY.loinc(code, outcome).map(|f| (f.term, f.negated));
        assert_eq!(found, expect.map(|(t, negated)| (term(t), negated)));
    };
    check(Outcome::High, Some(("HP:0031807", false)));
    check(Outcome::Low, Some(("HP:0031808", false)));
    check(Outcome::Normal, Some(("HP:0031806", true)));
    check(Outcome::Positive, None);
    assert!("704-8".parse::<LoincCode>().is_err());
}

#[test]
fn versions_licences_and_what_was_left_out_are_told() {
    let versions: Vec<_> = ONTOLOGY.versions().collect();
    let kinds: Vec<_> = versions.iter().map(|v| v.kind).collect();
    assert_eq!(kinds, SourceKind::ALL);
    assert_eq!(versions[0].version, "hp/releases/2025-01-16");
    assert_eq!(versions[1].version, "2025-01-16");
    assert!(
        versions
            .iter()
            .all(|v| !v.version.is_empty() && v.lines > 7_000)
    );
    for kind in SourceKind::ALL {
        assert_eq!(kind.attribution().kind, kind);
        assert_eq!(versions[kind as usize].notice, kind.attribution().notice);
    }
    // The notices travel in the index itself.
    let loinc = versions[6].notice;
    assert!(
        loinc.contains("Regenstrief Institute") && loinc.contains("https://loinc.org/license/")
    );
    let about = |kind| ONTOLOGY.notices().filter(move |n| n.source == kind);
    assert!(about(SourceKind::Orphanet).any(|n| n.text.contains("HP:6001185")));
    assert!(about(SourceKind::Orphanet).any(|n| n.text.contains("HP:0025797")));
    assert!(about(SourceKind::Loinc).any(|n| n.text.starts_with("HP:0012611 is read as ")));
    assert_eq!(about(SourceKind::Annotations).count(), 0);
    assert_eq!(about(SourceKind::MondoOmim).count(), 1);
}
