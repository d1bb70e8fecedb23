//! Source files that are wrong are refused with file and line; no bytes make the parsers panic.

use crate::small::Small;
use ontology::{Frequency, Ontology, Resolved, Sex};
use proptest::prelude::*;

/// After replacing `from` by `to` in `file`, the import is refused at `line` and says `why`.
#[track_caller]
fn refused(file: &str, from: &str, to: &str, line: u32, why: &str) {
    let error = Small::spoilt(file, from, to).compile().expect_err(why);
    assert_eq!((error.file.as_str(), error.line), (file, line), "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn small_files_are_read() {
    let ontology = Ontology::open(&Small::new().compile().expect("small files")).expect("an index");
    let seizure = ontology
        .live("HP:0001250".parse().expect("id"))
        .expect("term");
    assert_eq!(
        ontology.term(seizure).definition(),
        Some("A \"fit\" of the brain.")
    );
    let disease = ontology
        .find_disease("OMIM:100".parse().expect("id"))
        .expect("disease");
    let disease = ontology.disease(disease);
    let [first, second] = disease.annotations() else {
        panic!("two annotations")
    };
    assert_eq!(
        first.frequency,
        Frequency::Count {
            affected: 1,
            examined: 2
        }
    );
    assert_eq!((first.excluded, first.sex), (false, Some(Sex::Male)));
    assert_eq!(first.references(&ontology).len(), 2);
    assert_eq!(first.modifiers(&ontology).len(), 1);
    assert_eq!(
        (second.excluded, second.frequency),
        (true, Frequency::Percent(12.5))
    );
    assert_eq!(second.term, seizure);
    assert_eq!(
        disease.names().collect::<Vec<_>>(),
        ["First", "First again"]
    );
    // The former id was read as the live one, and that is told.
    let notices: Vec<_> = ontology.notices().map(|n| (n.line, n.text)).collect();
    assert_eq!(notices, [(4, "HP:0002279 is read as HP:0001250")]);
    let old = ontology.resolve("HP:0000006".parse().expect("id"));
    assert_eq!(
        old,
        Resolved::Replaced {
            label: "obsolete Old",
            by: &[seizure]
        }
    );
    let orphanet = ontology.orphanet(disease.orphanet()[0]);
    assert_eq!(orphanet.code().to_string(), "ORPHA:7");
    assert_eq!(
        orphanet.prevalences().next().and_then(|p| p.mean),
        Some(1.5)
    );
    assert_eq!(ontology.gene(orphanet.genes()[1]).ncbi(), None);
}

#[test]
fn lines_may_end_as_on_windows_and_the_last_not_at_all() {
    let mut small = Small::new();
    let expect = Small::new().compile().expect("small files");
    for (_, bytes) in &mut small.files {
        let text = String::from_utf8(bytes.clone()).expect("text");
        *bytes = text.trim_end().replace('\n', "\r\n").into_bytes();
    }
    let index = small.compile().expect("the same files");
    let names = |index: &[u8]| {
        let ontology = Ontology::open(index).expect("an index");
        ontology
            .terms()
            .map(|t| ontology.term(t).label().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&index), names(&expect));
}

#[test]
fn wrong_ontology_files_are_refused() {
    let f = "hp.obo";
    refused(
        f,
        "id: HP:0001250",
        "id: HP:1250",
        34,
        "id is 'HP:1250', expected HP: and seven digits",
    );
    refused(f, "id: HP:0001250\n", "", 33, "no id in this stanza");
    refused(f, "name: Seizure\n", "", 33, "no name in this stanza");
    refused(
        f,
        "id: HP:0001250",
        "id: HP:0000118",
        33,
        "HP:0000118 appears twice",
    );
    refused(
        f,
        "alt_id: HP:0002279",
        "alt_id: HP:0000118",
        36,
        "HP:0000118 appears twice",
    );
    refused(f, "alt_id: HP:0002279", "alt_id", 36, "expected tag: value");
    refused(
        f,
        "is_a: HP:0000118",
        "is_a: HP:0000119",
        39,
        "HP:0000119 is not a term of the ontology file",
    );
    refused(
        f,
        "name: All",
        "name: All\nis_a: HP:0001250",
        4,
        "HP:0000001 is its own ancestor",
    );
    refused(
        f,
        "replaced_by: HP:0001250",
        "replaced_by: HP:0000006",
        45,
        "HP:0000006 is not a term",
    );
    refused(
        f,
        "is_obsolete: true",
        "is_obsolete: yes",
        44,
        "true or false",
    );
    refused(
        f,
        "\" EXACT layperson",
        " EXACT layperson",
        38,
        "expected synonym:",
    );
    refused(f, "EXACT", "exact", 38, "scope is 'exact'");
    refused(f, "layperson", "lay", 38, "synonym type is 'lay'");
    refused(f, "[HPO:y, \"z\"]", "", 38, "expected synonym:");
    refused(f, "brain.\" [HPO:x]", "brain.\"", 37, "sources in brackets");
    refused(f, "[Typedef]", "[Typedef", 47, "a stanza name in brackets");
    refused(f, "data-version", "date-version", 0, "no data-version");
    refused(
        f,
        "id: HP:0000005",
        "id: HP:0000004",
        0,
        "no term for one of the roots of HPO",
    );
    refused(
        f,
        "name: Seizure",
        "name: Sei\0zure",
        35,
        "a control character",
    );
}

#[test]
fn wrong_annotation_files_are_refused() {
    let f = "phenotype.hpoa";
    refused(f, "#version: 2025-01-16\n", "", 0, "no #version");
    refused(
        f,
        "database_id",
        "DatabaseID",
        2,
        "expected the column names",
    );
    refused(
        f,
        "OMIM:100\tFirst\t\t",
        "OMIM:100\tFirst\t",
        3,
        "11 columns, expected 12",
    );
    refused(f, "OMIM:100", "OMIM:0100", 3, "database_id is 'OMIM:0100'");
    refused(
        f,
        "OMIM:100\tFirst\t",
        "OMIM:100\t\t",
        3,
        "disease_name is ''",
    );
    refused(f, "NOT", "not", 4, "qualifier is 'not'");
    refused(
        f,
        "HP:0002279",
        "HP:0009999",
        4,
        "HP:0009999 is not a term of the ontology file",
    );
    refused(
        f,
        "HP:0003674",
        "HP:0009999",
        3,
        "HP:0009999 is not a term of the ontology file",
    );
    refused(f, "PMID:1;PMID:2", "PMID:1;2", 3, "reference is 'PMID:1;2'");
    refused(f, "PCS", "pcs", 3, "evidence is 'pcs'");
    for frequency in [
        "2/1",
        "0/0",
        "-1/2",
        "01/2",
        "1/2/3",
        "101%",
        "1e1%",
        "nan%",
        "%",
        "often",
        "HP:0001250",
        "1/9999999999",
    ] {
        let why = format!("frequency is '{frequency}', expected m/n");
        refused(f, "1/2", frequency, 3, &why);
    }
    refused(f, "MALE", "BOTH", 3, "sex is 'BOTH'");
    refused(f, "HP:0012823", "HP:12823", 3, "modifier is 'HP:12823'");
    refused(f, "\tP\t", "\tQ\t", 3, "aspect is 'Q'");
}

#[test]
fn wrong_gene_orphanet_mondo_and_loinc_files_are_refused() {
    let genes = "genes_to_phenotype.txt";
    refused(
        genes,
        "ncbi_gene_id",
        "gene",
        1,
        "expected the column names",
    );
    refused(genes, "16\t", "x\t", 2, "ncbi_gene_id is 'x'");
    refused(genes, "AARS1", "AA RS1", 2, "gene_symbol is 'AA RS1'");
    refused(
        genes,
        "OMIM:100\n",
        "OMIM:100\n17\tAARS1\tHP:0001250\tS\t\tOMIM:100\n",
        3,
        "one NCBI id for each symbol",
    );
    let orphanet = "orphanet.jsonl";
    refused(orphanet, "\"7\"", "\"x7\"", 1, "orpha is 'x7'");
    refused(orphanet, "\"7\"", "7", 1, "not the expected JSON");
    refused(
        orphanet,
        "\"onset\"",
        "\"unset\"",
        1,
        "not the expected JSON",
    );
    refused(orphanet, "Infancy", "Sometimes", 1, "onset is 'Sometimes'");
    refused(
        orphanet,
        "Frequent (79-30%)",
        "Frequent",
        1,
        "hpo is 'Frequent'",
    );
    refused(orphanet, "1.5", "-1", 1, "ValMoy is '-1'");
    refused(orphanet, "E (E", "EQ", 1, "xref is 'EQ'");
    let twice = "[\"8\"]}\n{\"orpha\": \"7\", \"label\": \"x\", \"type\": \"\", \"prev\": [], \"onset\": [], \"inh\": [], \"xref\": [], \"genes\": [], \"hpo\": [], \"parents\": []}";
    refused(orphanet, "[\"8\"]}", twice, 2, "ORPHA:7 appears twice");
    refused(
        "omim.tsv",
        "skos:exactMatch",
        "skos:broadMatch",
        3,
        "predicate_id is 'skos:broadMatch'",
    );
    refused(
        "orphanet.tsv",
        "Orphanet:7",
        "Orphanet:",
        3,
        "object_id is 'Orphanet:'",
    );
    refused(
        "omim.tsv",
        "MONDO:0000001",
        "MONDO:1",
        3,
        "subject_id is 'MONDO:1'",
    );
    refused("loinc.tsv", "704-7", "704-8", 2, "loincId is '704-8'");
    refused("loinc.tsv", "\tN\t", "\tH\t", 3, "704-7 appears twice");
    refused("loinc.tsv", "\tH\t", "\tHH\t", 2, "outcome is 'HH'");
    refused("loinc.tsv", "Qn", "qn", 2, "loincScale is 'qn'");
}

#[test]
fn files_that_are_not_text_or_empty_or_too_wide_are_refused() {
    for at in 0..7 {
        let mut small = Small::new();
        small.files[at].1.clear();
        let error = small.compile().expect_err("an empty file");
        assert_eq!(error.file, small.files[at].0);
        let mut small = Small::new();
        small.files[at].1[0] = 0xff;
        let error = small.compile().expect_err("no text");
        assert_eq!((error.file.as_str(), error.line), (small.files[at].0, 1));
        let mut small = Small::new();
        small.files[at]
            .1
            .extend(vec![b'x'; ontology::MAX_LINE_BYTES + 1]);
        let error = small.compile().expect_err("a line without end");
        assert!(error.to_string().contains("bytes in a line"), "{error}");
    }
}

/// A chain of terms has as many pairs of term and ancestor as half the square of its length.
#[test]
fn a_graph_that_would_fill_the_memory_is_refused() {
    use std::fmt::Write as _;
    let mut small = Small::new();
    let mut chain = String::new();
    for number in 2_000_000..2_006_000 {
        let above = if number == 2_000_000 { 118 } else { number - 1 };
        writeln!(
            chain,
            "\n[Term]\nid: HP:{number}\nname: x\nis_a: HP:{above:07}"
        )
        .expect("a string");
    }
    small.files[0].1.extend(chain.into_bytes());
    let error = small.compile().expect_err("18 million pairs");
    assert!(
        error
            .to_string()
            .contains("pairs of a term and its ancestor"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is done to a file, the import ends with an index that opens or with an error that
    /// names a file.
    #[test]
    fn no_damage_makes_an_import_panic(
        file in 0usize..7,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..6),
    ) {
        let mut small = Small::new();
        let bytes = &mut small.files[file].1;
        for (place, byte, how) in damage {
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at + 1),
            }
        }
        match small.compile() {
            Ok(index) => prop_assert!(Ontology::open(&index).is_ok()),
            Err(error) => prop_assert!(small.files.iter().any(|(name, _)| *name == error.file)),
        }
    }
}
