//! A case as a GA4GH phenopacket.

use crate::case::{CandidateGene, Case, Format, Place, RecordedDiagnosis, Source, Variant, Why};
use crate::merge::{Said, Statement, merge};
use crate::resolve::{Given, Resolver, clip, hpo_id};
use crate::time::{Day, When, age_on, class, duration_days};
use crate::{Error, MAX_BYTES, MAX_FINDINGS, MAX_GENES};
use ontology::{Ontology, TermIx};
use phenopacket::{Coded, Limits, Parsed, Pathogenicity, Progress, Status, Time};

pub(crate) fn read(source: &[u8], ontology: &Ontology) -> Result<Case, Error> {
    let limits = Limits {
        size_bytes: MAX_BYTES,
        ..Limits::default()
    };
    let packet = Parsed::parse_within(source, &limits)?;
    let given = packet.findings();
    if given.len() > MAX_FINDINGS {
        let given = given.len();
        return Err(Error::TooManyFindings { given });
    }
    let mut resolver = Resolver::new(ontology);
    let subject = packet.subject();
    let born = subject
        .as_ref()
        .and_then(|s| Day::parse(s.born.as_deref()?));
    let clock = Clock { born, ontology };
    let statements = given
        .iter()
        .enumerate()
        .filter_map(|(position, finding)| statement(position, finding, &clock, &mut resolver))
        .collect();
    let (findings, contradictions) = merge(statements, ontology)?;
    let diseases = packet.diseases();
    let of_illness = diseases.iter().filter(|d| !d.excluded);
    let of_illness = clock.earliest(of_illness.filter_map(|d| clock.time(d.onset.as_ref()?)));
    let (genes, variants) = genes(&packet, &mut resolver)?;
    let last_encounter = subject.as_ref().and_then(|s| s.last_encounter.as_ref());
    let (unresolved, left_out) = resolver.finish();
    Ok(Case {
        format: Format::Phenopacket,
        sex: match subject.as_ref().map(|s| s.sex) {
            Some(phenopacket::Sex::Female) => Some(ontology::Sex::Female),
            Some(phenopacket::Sex::Male) => Some(ontology::Sex::Male),
            _ => None,
        },
        age: last_encounter.and_then(|time| clock.time(time)),
        onset: of_illness.or_else(|| first_onset(&findings, ontology)),
        findings,
        genes,
        variants,
        recorded_diagnoses: diagnoses(&packet),
        unresolved,
        contradictions,
        left_out,
    })
}

/// The earliest onset of what is observed.
pub(crate) fn first_onset(findings: &[crate::Finding], ontology: &Ontology) -> Option<When> {
    let observed = findings
        .iter()
        .filter(|finding| finding.state == crate::State::Observed);
    let onsets = observed.filter_map(|finding| finding.onset);
    onsets.min_by_key(|onset| onset.order(ontology))
}

fn statement(
    position: usize,
    finding: &phenopacket::Finding<'_>,
    clock: &Clock<'_>,
    resolver: &mut Resolver<'_>,
) -> Option<Statement> {
    let place = Place::Item("phenotypicFeatures", position);
    let given = Given {
        text: &finding.term.id,
        excluded: finding.excluded,
        place: &place,
    };
    let Some(id) = hpo_id(&finding.term.id) else {
        let suggestions = resolver.search(&finding.term.label);
        resolver.report(given, Why::OtherSystem, suggestions);
        return None;
    };
    let (term, note) = resolver.id(id, &finding.term.label, given)?;
    let severity = finding.severity.iter();
    let modifiers = severity.chain(&finding.modifiers);
    Some(Statement {
        term,
        said: if finding.excluded {
            Said::Excluded
        } else {
            Said::Observed
        },
        onset: finding.onset.as_ref().and_then(|onset| clock.time(onset)),
        modifiers: modifiers
            .filter_map(|modifier| resolver.modifier(&modifier.id))
            .collect(),
        as_given: clip(&finding.term.id),
        note,
        source: Source { place, date: None },
    })
}

/// Turns times into times of life.
struct Clock<'o> {
    born: Option<Day>,
    ontology: &'o Ontology,
}

impl Clock<'_> {
    fn time(&self, time: &Time<'_>) -> Option<When> {
        match time {
            Time::Age(age) => When::age(duration_days(age)?),
            Time::AgeRange(from, to) => match (duration_days(from), duration_days(to)) {
                (Some(from), Some(to)) => When::between(from, to),
                (Some(only), None) | (None, Some(only)) => When::age(only),
                (None, None) => None,
            },
            // Before birth: an onset then is antenatal, and there is no age.
            Time::GestationalAge { .. } => self.class("HP:0030674"),
            Time::Class(Coded { id, .. }) => self.class(id),
            Time::Timestamp(at) => age_on(Day::parse(at)?, self.born?),
            Time::Interval(start, _) => age_on(Day::parse(start)?, self.born?),
        }
    }

    fn class(&self, id: &str) -> Option<When> {
        let term: TermIx = self.ontology.resolve(hpo_id(id)?).term()?;
        class(term, self.ontology)
    }

    fn earliest(&self, times: impl Iterator<Item = When>) -> Option<When> {
        times.min_by_key(|time| time.order(self.ontology))
    }
}

fn diagnoses(packet: &Parsed<'_>) -> Vec<RecordedDiagnosis> {
    let recorded = |term: &Coded<'_>, excluded, progress, place| RecordedDiagnosis {
        id: clip(&term.id),
        label: clip(&term.label),
        excluded,
        progress,
        place,
    };
    let diseases = packet.diseases();
    let diseases = diseases.iter().enumerate().map(|(position, disease)| {
        let place = Place::Item("diseases", position);
        recorded(&disease.term, disease.excluded, Progress::Unknown, place)
    });
    let interpreted = packet.diagnoses();
    let interpreted = interpreted.iter().enumerate();
    let interpreted = interpreted.filter_map(|(position, diagnosis)| {
        let place = Place::Item("interpretations", position);
        let disease = diagnosis.disease.as_ref()?;
        Some(recorded(disease, false, diagnosis.progress, place))
    });
    diseases.chain(interpreted).take(MAX_FINDINGS).collect()
}

type Genes = (Vec<CandidateGene>, Vec<Variant>);

fn genes(packet: &Parsed<'_>, resolver: &mut Resolver<'_>) -> Result<Genes, Error> {
    let given = packet.variants();
    if given.len() > MAX_GENES {
        let given = given.len();
        return Err(Error::TooManyGenes { given });
    }
    let mut genes: Vec<CandidateGene> = Vec::new();
    let mut variants = Vec::new();
    for (position, variant) in given.iter().enumerate() {
        let place = Place::Item("genomicInterpretations", position);
        let (symbol, id) = match &variant.gene {
            Some(gene) => (clip(&gene.symbol), clip(&gene.id)),
            None => (String::new(), String::new()),
        };
        let is_named = !(symbol.is_empty() && id.is_empty());
        let gene = is_named
            .then(|| resolver.gene(&symbol, &id, &place))
            .flatten();
        if is_named && variant.status != Status::Rejected {
            add_gene(
                &mut genes,
                CandidateGene {
                    symbol: symbol.clone(),
                    id,
                    gene,
                    status: variant.status,
                    pathogenicity: variant.pathogenicity,
                    place: place.clone(),
                },
            );
        }
        let says_something = !variant.id.is_empty()
            || !variant.expressions.is_empty()
            || variant.vcf.is_some()
            || variant.pathogenicity != Pathogenicity::NotProvided;
        if says_something {
            variants.push(owned(variant, symbol, gene, place));
        }
    }
    Ok((genes, variants))
}

/// Adds a gene, or what is new of one that is there.
pub(crate) fn add_gene(genes: &mut Vec<CandidateGene>, new: CandidateGene) {
    let same = |known: &&mut CandidateGene| match (known.gene, new.gene) {
        (Some(known), Some(new)) => known == new,
        (None, None) => known.symbol == new.symbol && known.id == new.id,
        _ => false,
    };
    match genes.iter_mut().find(same) {
        None => genes.push(new),
        Some(known) => {
            if strength(new.status) > strength(known.status) {
                known.status = new.status;
            }
            if new.pathogenicity as u8 > known.pathogenicity as u8 {
                known.pathogenicity = new.pathogenicity;
            }
        }
    }
}

fn strength(status: Status) -> u8 {
    match status {
        Status::Rejected => 0,
        Status::Unknown => 1,
        Status::Candidate => 2,
        Status::Contributory => 3,
        Status::Causative => 4,
    }
}

fn owned(
    variant: &phenopacket::Variant<'_>,
    symbol: String,
    gene: Option<ontology::GeneIx>,
    place: Place,
) -> Variant {
    const MAX_EXPRESSIONS: usize = 32;
    let expressions = variant.expressions.iter().take(MAX_EXPRESSIONS);
    Variant {
        symbol,
        gene,
        id: variant.id.to_string(),
        expressions: expressions
            .map(|(syntax, text)| (syntax.to_string(), text.to_string()))
            .collect(),
        vcf: variant.vcf.as_ref().map(|record| {
            [
                record.assembly.to_string(),
                record.chrom.to_string(),
                record.pos.to_string(),
                record.reference.to_string(),
                record.alternate.to_string(),
            ]
        }),
        status: variant.status,
        pathogenicity: variant.pathogenicity,
        zygosity: variant
            .zygosity
            .as_ref()
            .map(|state| (state.id.to_string(), state.label.to_string())),
        place,
    }
}
