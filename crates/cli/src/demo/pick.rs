//! Which of the shipped cases the demo shows, and why these: all of them are put to the engine first, and rules
//! pick. Nothing is arranged by hand; other weights or data may pick other cases.
//!
//! - The opening: of the children (age stated, under 18) whose disease is first in the end, those where the first
//!   finding is too little for a suggestion, another disease is worth telling on the way, and the right one later;
//!   of these the one with the fewest findings.
//! - The reopened case: of the other such children, the one whose disease is most probable in the end.
//! - The wrong one: the worst rank at which the right disease is among the candidates that a node gives.
//!
//! Equal ones go by the order of `testdata/cases.json`.

use super::cast::{self, Case};
use anyhow::{Context, Result, bail};
use diagnosis::{
    Abstained, CaseCounts, Change, Findings, Model, Ranking, Session, Standing, Weights,
};
use findings::{Place, When};
use node::differential::CANDIDATES_MAX;
use ontology::{DiseaseIx, Ontology, Shipped, Source, SourceKind, Sources};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const CHILD_UNDER_DAYS: u32 = 18 * 365;

/// A finding as it comes in, and the phenopacket as it stands then: without diagnosis, gene or publication.
pub(crate) struct Arrival {
    pub(crate) label: String,
    pub(crate) excluded: bool,
    pub(crate) packet: Vec<u8>,
}

/// A case that is shown.
pub(crate) struct Chosen {
    pub(crate) case: Case,
    /// The published disease, as the engine knows it.
    pub(crate) truth: String,
    pub(crate) arrivals: Vec<Arrival>,
}

impl Chosen {
    /// The phenopacket with all its findings.
    pub(crate) fn whole(&self) -> Result<&[u8]> {
        let last = self.arrivals.last().context("a case without findings")?;
        Ok(&last.packet)
    }
}

/// What was picked, and the indexes of diseases that the nodes are to open.
pub(crate) struct Picked {
    pub(crate) opening: Chosen,
    pub(crate) reopened: Chosen,
    pub(crate) wrong: Chosen,
    pub(crate) tally: Tally,
    /// Of all that comes with the program.
    pub(crate) index: PathBuf,
    /// Of the same without what is annotated of the reopened case's disease.
    pub(crate) earlier: PathBuf,
    /// How many annotations were left out of that.
    pub(crate) left_out: usize,
}

/// How the engine does on all shipped cases, by their findings alone.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) first: usize,
    pub(crate) abstained: usize,
    /// The right disease is not among the candidates that a node gives.
    pub(crate) absent: usize,
}

/// Puts all cases to the engine. The indexes are written into a folder.
pub(crate) fn pick(below: &Path) -> Result<Picked> {
    let shipped = Shipped::unpack();
    let (index, earlier) = (
        below.join("diseases.index"),
        below.join("diseases-earlier.index"),
    );
    let bytes =
        ontology::compile(&shipped.sources()).context("the data that come with the program")?;
    fs::write(&index, &bytes)?;
    let ontology = Ontology::open(&bytes)?;
    let weights = Weights::shipped().context("the weights that come with the program")?;
    let model = Model::new(&ontology, weights, &CaseCounts::default());
    let mut played = Vec::new();
    for case in cast::cases()? {
        played.push(Played::of(case, &ontology, &model)?);
    }
    let tally = Tally {
        cases: played.len(),
        first: played.iter().filter(|p| p.is_first()).count(),
        abstained: played.iter().filter(|p| p.abstained).count(),
        absent: played.iter().filter(|p| p.rank.is_none()).count(),
    };
    let opening = take(&mut played, |p| {
        let fits = p.is_child && p.is_first() && p.changes_its_mind;
        fits.then(|| -(p.arrivals.len() as f64))
    });
    let opening = opening.context("no shipped case has a course that can be shown")?;
    let reopened = take(&mut played, |p| {
        (p.is_child && p.is_first()).then_some(p.probability)
    });
    let reopened = reopened.context("no shipped case can be reopened")?;
    let wrong = take(&mut played, |p| p.rank.filter(|rank| *rank > 1.0));
    let wrong = wrong.context("the engine gets every shipped case right")?;
    let (sources, left_out) = without(&shipped, &reopened.case.disease_id)?;
    fs::write(&earlier, ontology::compile(&sources.of(&shipped))?)?;
    Ok(Picked {
        opening,
        reopened,
        wrong,
        tally,
        index,
        earlier,
        left_out,
    })
}

/// A case as the engine sees it while its findings come in.
struct Played {
    case: Case,
    truth: String,
    arrivals: Vec<Arrival>,
    is_child: bool,
    /// Nothing is suggested at first; another disease is worth telling, and the right one later.
    changes_its_mind: bool,
    abstained: bool,
    /// Of the right disease in the end; none if a node would not give it.
    rank: Option<f64>,
    probability: f64,
}

impl Played {
    fn of(case: Case, ontology: &Ontology, model: &Model) -> Result<Self> {
        let truth = ontology.find_disease(case.disease_id.parse()?);
        let truth = truth.with_context(|| format!("{} is not known", case.disease_id))?;
        let arrivals = arrivals(&case, ontology)?;
        let mut rankings = Vec::new();
        for arrival in &arrivals {
            rankings.push(rank(ontology, model, &arrival.packet)?);
        }
        let last = rankings.last().context("a case without findings")?;
        let best = |ranking: &Ranking| ranking.ranked.first().map_or(0.0, |r| r.posterior);
        let all = findings::read(&case.bytes, ontology)?;
        let age = all.age.and_then(|age: When| age.from_days(ontology));
        let told = told(&rankings);
        let other = told.iter().position(|disease| *disease != truth);
        let right = told.iter().rposition(|disease| *disease == truth);
        let too_little = rankings.first().is_some_and(|r| best(r) < Abstained::UNDER);
        let found = last.ranked.iter().find(|r| r.disease == truth);
        Ok(Self {
            is_child: age.is_some_and(|days| days < CHILD_UNDER_DAYS),
            changes_its_mind: too_little && other.zip(right).is_some_and(|(o, r)| o < r),
            abstained: best(last) < Abstained::UNDER,
            rank: last
                .rank_of(truth)
                .filter(|rank| *rank <= CANDIDATES_MAX as f64),
            probability: found.map_or(0.0, |found| found.posterior),
            truth: ontology.disease(truth).id().to_string(),
            case,
            arrivals,
        })
    }

    fn is_first(&self) -> bool {
        self.rank.is_some_and(|rank| rank < 1.5)
    }
}

/// The diseases that were worth telling, in their order.
fn told(rankings: &[Ranking]) -> Vec<DiseaseIx> {
    let mut before = Standing { top: Vec::new() };
    let mut told = Vec::new();
    for ranking in rankings {
        let now = Standing::of(ranking);
        let Some(change) = before.change(&now) else {
            continue;
        };
        if let Change::Findable { disease, .. } | Change::Leads { disease, .. } = change {
            told.push(disease);
        }
        // As in the node: against what was told last.
        before = now;
    }
    told
}

/// Takes the first of those with the greatest value.
fn take(played: &mut Vec<Played>, value: impl Fn(&Played) -> Option<f64>) -> Option<Chosen> {
    let mut best: Option<(usize, f64)> = None;
    for (at, value) in played
        .iter()
        .enumerate()
        .filter_map(|(at, p)| Some((at, value(p)?)))
    {
        if best.is_none_or(|(_, most)| value > most) {
            best = Some((at, value));
        }
    }
    let taken = played.remove(best?.0);
    Some(Chosen {
        case: taken.case,
        truth: taken.truth,
        arrivals: taken.arrivals,
    })
}

fn rank(ontology: &Ontology, model: &Model, packet: &[u8]) -> Result<Ranking> {
    let case = findings::read(packet, ontology)?;
    let presentation = answer::presentation(ontology, &case, true);
    let (findings, _) = Findings::read(ontology, &presentation)?;
    Ok(Session::new(model, findings).rank())
}

/// The findings of a case one by one: by onset if each has one, otherwise as the phenopacket lists them.
fn arrivals(case: &Case, ontology: &Ontology) -> Result<Vec<Arrival>> {
    let mut packet: Value = serde_json::from_slice(&case.bytes)?;
    let packet = packet.as_object_mut().context("a case is no object")?;
    // Left is who it is about, what was found and whose terms these are.
    packet.retain(|member, _| {
        ["id", "subject", "phenotypicFeatures", "metaData"].contains(&member.as_str())
    });
    packet.insert("id".to_owned(), Value::from("published-case"));
    if let Some(meta) = packet.get_mut("metaData").and_then(Value::as_object_mut) {
        meta.remove("externalReferences");
    }
    let Some(Value::Array(features)) = packet.remove("phenotypicFeatures") else {
        bail!("{} has no findings", case.label);
    };
    let mut onsets = vec![None; features.len()];
    for finding in &findings::read(&case.bytes, ontology)?.findings {
        let onset = finding.onset.and_then(|onset| onset.from_days(ontology));
        for source in &finding.sources {
            if let Place::Item(_, at) = source.place
                && let Some(slot) = onsets.get_mut(at)
            {
                *slot = onset;
            }
        }
    }
    let mut features: Vec<(Option<u32>, Value)> = onsets.into_iter().zip(features).collect();
    if features.iter().all(|(onset, _)| onset.is_some()) {
        features.sort_by_key(|(onset, _)| *onset);
    }
    let mut so_far = Vec::new();
    let mut arrivals = Vec::new();
    for (_, mut feature) in features {
        if let Some(feature) = feature.as_object_mut() {
            feature.remove("evidence");
        }
        so_far.push(feature.clone());
        packet.insert(
            "phenotypicFeatures".to_owned(),
            Value::Array(so_far.clone()),
        );
        arrivals.push(Arrival {
            label: crate::http::text(&feature["type"]["label"]),
            excluded: feature["excluded"] == true,
            packet: serde_json::to_vec(&packet)?,
        });
    }
    Ok(arrivals)
}

/// Annotations and genes of diseases without those of one.
struct Without {
    annotations: Vec<u8>,
    genes: Vec<u8>,
}

impl Without {
    fn of<'a>(&'a self, shipped: &'a Shipped) -> Sources<'a> {
        Sources::from_fn(|kind| {
            let source = shipped.source(kind);
            match kind {
                SourceKind::Annotations => Source {
                    bytes: &self.annotations,
                    ..source
                },
                SourceKind::Genes => Source {
                    bytes: &self.genes,
                    ..source
                },
                _ => source,
            }
        })
    }
}

/// As if nobody had described a disease yet; and how many annotations that leaves out.
fn without(shipped: &Shipped, disease: &str) -> Result<(Without, usize)> {
    let lines = |kind: SourceKind, keep: &dyn Fn(&str) -> bool| -> Result<(Vec<u8>, usize)> {
        let text = std::str::from_utf8(shipped.source(kind).bytes)?;
        let all = text.split_inclusive('\n').count();
        let kept: Vec<&str> = text
            .split_inclusive('\n')
            .filter(|line| keep(line))
            .collect();
        Ok((kept.concat().into_bytes(), all - kept.len()))
    };
    let (first, last) = (format!("{disease}\t"), format!("\t{disease}"));
    let (annotations, left_out) =
        lines(SourceKind::Annotations, &|line| !line.starts_with(&first))?;
    let (genes, _) = lines(SourceKind::Genes, &|line| !line.trim_end().ends_with(&last))?;
    if left_out == 0 {
        bail!("nothing is annotated of {disease}");
    }
    Ok((Without { annotations, genes }, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_pick_three_cases_and_hide_their_diagnoses() {
        let below = tempfile::tempdir().unwrap();
        let picked = pick(below.path()).unwrap();
        let chosen = [&picked.opening, &picked.reopened, &picked.wrong];
        let labels: Vec<&str> = chosen.iter().map(|c| c.case.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "Case 11: sex not stated, 10 years",
                "Case 08: sex not stated, 9 months",
                "Case 20: female, 12 years"
            ],
            "the weights or the data pick other cases now: read the demo once more, then name them here"
        );
        for chosen in chosen {
            let published: Value = serde_json::from_slice(&chosen.case.bytes).unwrap();
            let features = published["phenotypicFeatures"].as_array().unwrap();
            assert_eq!(features.len(), chosen.arrivals.len());
            let told = String::from_utf8(chosen.whole().unwrap().to_vec()).unwrap();
            assert!(
                !told.contains(&chosen.case.disease_id),
                "{}",
                chosen.case.label
            );
            let gene = &published["interpretations"][0]["diagnosis"]["genomicInterpretations"][0];
            let gene =
                gene["variantInterpretation"]["variationDescriptor"]["geneContext"]["symbol"]
                    .as_str();
            assert!(!told.contains(gene.unwrap()), "{}", chosen.case.label);
            assert!(!told.contains("PMID"), "{}", chosen.case.label);
        }
        let open = |path: &Path| Ontology::open(&fs::read(path).unwrap()).unwrap();
        let truth = picked.reopened.truth.parse().unwrap();
        let (now, earlier) = (open(&picked.index), open(&picked.earlier));
        assert!(now.find_disease(truth).is_some());
        assert!(earlier.find_disease(truth).is_none());
        assert_eq!(now.disease_count(), earlier.disease_count() + 1);
    }
}
