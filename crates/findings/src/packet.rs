//! A case as a GA4GH phenopacket.

use crate::case::{CandidateGene, Place, RecordedDiagnosis, Source, Variant, Why};
use crate::gather::Gathered;
use crate::merge::{Said, Statement};
use crate::resolve::{Given, clip, hpo_id};
use crate::time::{Day, When, age_on, class, duration_days};
use crate::{Error, MAX_FINDINGS, MAX_GENES};
use ontology::{Ontology, TermIx};
use phenopacket::{Coded, Parsed, Pathogenicity, Progress, Status, Time};

pub(crate) fn read(packet: &Parsed<'_>, case: &mut Gathered<'_>) -> Result<(), Error> {
    let given = packet.findings();
    if given.len() > MAX_FINDINGS {
        let given = given.len();
        return Err(Error::TooManyFindings { given });
    }
    let clock = Clock {
        born: case.born,
        ontology: case.resolver.ontology,
    };
    for (position, finding) in given.iter().enumerate() {
        let statement = statement(position, finding, &clock, case);
        case.statements.extend(statement);
    }
    let diseases = packet.diseases();
    let of_illness = diseases.iter().filter(|d| !d.excluded);
    let of_illness = of_illness.filter_map(|d| clock.time(d.onset.as_ref()?));
    case.onset = clock.earliest(case.onset.into_iter().chain(of_illness));
    genes(packet, case)?;
    diagnoses(packet, case);
    for publication in packet.publications() {
        case.publication(clip(&publication.id));
    }
    let last_encounter = packet.subject().and_then(|s| s.last_encounter);
    if let Some(age) = last_encounter.and_then(|time| clock.time(&time)) {
        case.seen_at(age);
    }
    Ok(())
}

fn statement(
    position: usize,
    finding: &phenopacket::Finding<'_>,
    clock: &Clock<'_>,
    case: &mut Gathered<'_>,
) -> Option<Statement> {
    // In a projection the term may be missing: it is in another one.
    let is_empty = finding.term.id.is_empty() && finding.term.label.is_empty();
    if is_empty && case.is_one_of_several() {
        return None;
    }
    let place = case.place(Place::Item("phenotypicFeatures", position));
    let resolver = &mut case.resolver;
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

fn diagnoses(packet: &Parsed<'_>, case: &mut Gathered<'_>) {
    let recorded = |term: &Coded<'_>, excluded, progress, place| RecordedDiagnosis {
        id: clip(&term.id),
        label: clip(&term.label),
        excluded,
        progress,
        place,
    };
    for (position, disease) in packet.diseases().iter().enumerate() {
        let place = case.place(Place::Item("diseases", position));
        let progress = Progress::Unknown;
        case.diagnosis(recorded(&disease.term, disease.excluded, progress, place));
    }
    for (position, diagnosis) in packet.diagnoses().iter().enumerate() {
        if let Some(disease) = &diagnosis.disease {
            let place = case.place(Place::Item("interpretations", position));
            case.diagnosis(recorded(disease, false, diagnosis.progress, place));
        }
    }
}

fn genes(packet: &Parsed<'_>, case: &mut Gathered<'_>) -> Result<(), Error> {
    let given = packet.variants();
    if given.len() > MAX_GENES {
        let given = given.len();
        return Err(Error::TooManyGenes { given });
    }
    for (position, variant) in given.iter().enumerate() {
        let place = case.place(Place::Item("genomicInterpretations", position));
        let (symbol, id) = match &variant.gene {
            Some(gene) => (clip(&gene.symbol), clip(&gene.id)),
            None => (String::new(), String::new()),
        };
        let is_named = !(symbol.is_empty() && id.is_empty());
        let gene = is_named
            .then(|| case.resolver.gene(&symbol, &id, &place))
            .flatten();
        if is_named && variant.status != Status::Rejected {
            case.genes.add(CandidateGene {
                symbol: symbol.clone(),
                id,
                gene,
                status: variant.status,
                pathogenicity: variant.pathogenicity,
                place: place.clone(),
            });
        }
        let says_something = !variant.id.is_empty()
            || !variant.expressions.is_empty()
            || variant.vcf.is_some()
            || variant.pathogenicity != Pathogenicity::NotProvided;
        if says_something {
            case.variant(owned(variant, symbol, gene, place));
        }
    }
    case.check_genes()
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
