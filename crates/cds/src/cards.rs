//! What the cards say.

use crate::card::{
    Action, Annotation, Card, Coding, Concept, Reference, Response, ServiceRequest, Source,
    Suggestion,
};
use crate::markdown::{Detail, escaped, name, plain};
use crate::orders::EXOME;
use crate::{MAX_SUMMARY_CHARS, Request, Service};
use answer::{Answer, Candidate, Next, PanelGene, STATEMENT, Strength, Telling, percent};

/// Candidates that a card names, and those whose evidence it shows.
const NAMED: usize = 5;
const EXPLAINED: usize = 3;
/// Lines of evidence of each kind.
const FOR: usize = 3;
const AGAINST: usize = 2;
const MISSING: usize = 2;
/// What to look for next: of each way.
const NEXT: usize = 3;
/// Genes of a candidate.
const SYMBOLS: usize = 6;
/// The most characters of the ground of one piece of evidence.
const MAX_GROUND_CHARS: usize = 200;
/// The most characters of an order's text.
const MAX_TEXT_CHARS: usize = 300;
/// The most characters of the versions.
const MAX_VERSIONS_CHARS: usize = 1_000;
/// Genes to read.
const GENES: usize = 12;
/// Tests that a card offers to order, beside the genetic one.
const OFFERED: usize = 3;

/// The cards for an answer. `answer` is that of the request's [`Request::case_document`].
///
/// For `patient-view` at most two: the differential, and what to look for next; one, if the answer
/// abstains; none, if it does for want of anything to read in the record. For `order-sign` one, if the
/// draft orders lack a laboratory test that tells at least some (then the one that tells most) or, unless
/// the answer abstains, a genetic test; orders are compared by their LOINC and HPO codes. None for
/// anybody but a practitioner.
#[must_use]
pub fn cards(request: &Request, answer: &Answer, source: &Source) -> Response {
    let by = Author {
        request,
        answer,
        source,
    };
    let cards = match request.service() {
        _ if !request.is_for_professional() => Vec::new(),
        Service::PatientView => by.patient_view(),
        Service::OrderSign => by.order_sign().into_iter().collect(),
    };
    Response { cards }
}

struct Author<'a> {
    request: &'a Request,
    answer: &'a Answer,
    source: &'a Source,
}

impl Author<'_> {
    fn patient_view(&self) -> Vec<Card> {
        let answer = self.answer;
        let Some(abstained) = &answer.abstained else {
            let best = answer.candidates.first();
            let differential = best.map(|best| self.differential(best));
            return differential.into_iter().chain(self.next()).collect();
        };
        let mut detail = self.detail();
        let summary = match abstained.best {
            None if self.is_silent() => return Vec::new(),
            None => {
                detail.line(
                    "No rare disease is suggested: the record has no observed finding that could be read.",
                );
                detail.gap();
                self.tentative(&mut detail);
                detail.line(
                    "What would help: findings coded in HPO; laboratory results with a LOINC code and an \
                     interpretation.",
                );
                "No rare disease is suggested: the record has no observed finding to go by"
            }
            Some(best) => {
                detail.line(&format!(
                    "No rare disease is suggested: the best candidate has {}, and from {} one would be. What would \
                     help:",
                    percent(best),
                    percent(abstained.suggested_from)
                ));
                detail.gap();
                self.ways(&mut detail);
                "No rare disease is suggested yet: what would help to tell"
            }
        };
        self.basis(&mut detail);
        let suggestions = self.tests(&self.offered());
        vec![self.card("abstained", summary, detail, suggestions)]
    }

    /// Whether nothing in the record is near a finding: then a card would only be noise. What was not
    /// understood does not count, for most records hold much that is no finding.
    fn is_silent(&self) -> bool {
        let it = &self.answer.understood;
        it.suggested.is_empty() && it.suggested_absent.is_empty() && it.excluded.is_empty()
    }

    /// What would count if it were repeated or confirmed.
    fn tentative(&self, detail: &mut Detail) {
        let suggested = &self.answer.understood.suggested;
        let names = suggested.iter().take(NAMED).map(|f| name(&f.term.label));
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            detail.line(&format!(
                "To be repeated or confirmed: {}.",
                names.join(", ")
            ));
            detail.gap();
        }
    }

    fn differential(&self, best: &Candidate) -> Card {
        let answer = self.answer;
        let rest = format!(
            " ({}), {}; not a diagnosis",
            best.disease.id,
            percent(best.probability)
        );
        const HEAD: &str = "Possible rare disease: ";
        let used = HEAD.chars().count() + rest.chars().count();
        let room = MAX_SUMMARY_CHARS.saturating_sub(used);
        let summary = format!("{HEAD}{}{rest}", plain(&best.disease.name, room));
        let mut detail = self.detail();
        detail.line("Most probable by the findings of the record:");
        detail.gap();
        for candidate in answer.candidates.iter().take(NAMED) {
            detail.line(&candidate_line(candidate));
            if candidate.rank <= EXPLAINED {
                grounds(&mut detail, candidate);
            }
        }
        detail.gap();
        let named = answer.candidates.iter().take(NAMED);
        let others = (1.0 - named.map(|c| c.probability).sum::<f64>()).clamp(0.0, 1.0);
        detail.line(&format!(
            "All other diseases together: {}.",
            percent(others)
        ));
        self.basis(&mut detail);
        self.card("differential", &summary, detail, Vec::new())
    }

    fn next(&self) -> Option<Card> {
        let best = self.answer.next.first();
        let summary = match best {
            Some(next) => format!("What to look for next: {}", next.term.label),
            None if self.genes().is_empty() => return None,
            None => "Which genes to read".to_owned(),
        };
        let mut detail = self.detail();
        self.ways(&mut detail);
        self.panel(&mut detail);
        self.basis(&mut detail);
        let mut suggestions = self.tests(&self.offered());
        suggestions.extend(self.genetic());
        Some(self.card("next", &summary, detail, suggestions))
    }

    fn order_sign(&self) -> Option<Card> {
        let orders = &self.request.orders;
        let test = self.laboratory().find(|test| !orders.answer(test));
        let genetic = self.genetic().filter(|_| !orders.are_genetic());
        let summary = match (test, &genetic) {
            (None, None) => return None,
            (Some(test), None) => {
                format!("Not among the orders: a test for {}", test.term.label)
            }
            (None, Some(_)) => "Not among the orders: a genetic test".to_owned(),
            (Some(test), Some(_)) => format!(
                "Not among the orders: a genetic test, and one for {}",
                test.term.label
            ),
        };
        let mut detail = self.detail();
        detail.line(&match self.answer.candidates.first() {
            Some(best) if self.answer.abstained.is_none() => format!(
                "By the findings of the record the most probable rare disease is {} ({}), {}. Not among the draft \
                 orders:",
                name(&best.disease.name),
                best.disease.id,
                percent(best.probability)
            ),
            _ => "No rare disease is suggested yet. Not among the draft orders, and what would help:"
                .to_owned(),
        });
        detail.gap();
        if let Some(test) = test {
            detail.line(&next_line(test));
        }
        if genetic.is_some() {
            detail.line("- A genetic test.");
            self.panel(&mut detail);
        }
        detail.gap();
        detail.line("Orders were compared by their LOINC and HPO codes.");
        if orders.not_compared > 0 {
            detail.line(&format!(
                "{} of them have neither, and may be what is named here.",
                orders.not_compared
            ));
        }
        self.basis(&mut detail);
        let mut suggestions = self.tests(test.as_slice());
        suggestions.extend(genetic);
        Some(self.card("orders", &summary, detail, suggestions))
    }

    /// Laboratory tests that tell at least some, the most telling first.
    fn laboratory(&self) -> impl Iterator<Item = &Next> {
        let tests = self.answer.next.iter();
        tests.filter(|next| {
            next.way == "test" && !next.loinc.is_empty() && next.telling >= Telling::Some
        })
    }

    fn offered(&self) -> Vec<&Next> {
        self.laboratory().take(OFFERED).collect()
    }

    /// The most probable genes that have a symbol.
    fn genes(&self) -> Vec<&PanelGene> {
        let genes = self.answer.genes.iter();
        let named = genes.filter(|gene| !gene.symbol.is_empty());
        named.take(GENES).collect()
    }

    fn detail(&self) -> Detail {
        let versions = plain(&self.answer.versions.in_words(), MAX_VERSIONS_CHARS);
        Detail::new(&format!("{}.\n\n**{STATEMENT}**", escaped(&versions)))
    }

    /// What to look for, by how it is come by.
    fn ways(&self, detail: &mut Detail) {
        for (way, title) in [
            ("examine", "**Examine**"),
            ("ask", "**Ask**"),
            ("test", "**Test**"),
        ] {
            let mut of_way = self.answer.next.iter().filter(|next| next.way == way);
            let mut of_way = of_way.by_ref().take(NEXT).peekable();
            if of_way.peek().is_some() {
                detail.line(title);
                detail.gap();
                for next in of_way {
                    detail.line(&next_line(next));
                }
                detail.gap();
            }
        }
    }

    fn panel(&self, detail: &mut Detail) {
        let genes = self.genes();
        let Some(last) = genes.last() else {
            return;
        };
        let each = genes
            .iter()
            .map(|gene| format!("{} {}", name(&gene.symbol), percent(gene.probability)));
        detail.gap();
        detail.line(&format!(
            "**Genes to read first:** {}; together {}.",
            each.collect::<Vec<_>>().join(", "),
            percent(last.cumulative)
        ));
    }

    /// On how much it rests, and what did not come.
    fn basis(&self, detail: &mut Detail) {
        let it = &self.answer.understood;
        detail.gap();
        detail.line(&format!(
            "Rests on {} observed and {} excluded findings of the record. Not used: {} that are only suggested, {} \
             statements that were not understood, and diagnoses on record.",
            it.observed.len(),
            it.excluded.len(),
            it.suggested.len() + it.suggested_absent.len(),
            it.not_understood.len()
        ));
        let uncoded = it.not_understood.iter().filter_map(|item| {
            let mut named = item.suggestions.iter();
            named.find(|term| term.label.eq_ignore_ascii_case(&item.as_given))
        });
        let uncoded: Vec<String> = uncoded.take(NAMED).map(|term| name(&term.label)).collect();
        if !uncoded.is_empty() {
            detail.line(&format!(
                "On record under the names of HPO terms, but not used for want of HPO codes: {}.",
                uncoded.join(", ")
            ));
        }
        for gap in &self.request.gaps {
            let what = gap.of;
            detail.line(&if gap.in_part {
                format!("Only a part of the {what} was sent.")
            } else {
                format!("The {what} were not sent.")
            });
        }
    }

    fn card(
        &self,
        kind: &str,
        summary: &str,
        detail: Detail,
        suggestions: Vec<Suggestion>,
    ) -> Card {
        Card {
            uuid: self.request.hook_instance().derive(kind),
            summary: plain(summary, MAX_SUMMARY_CHARS),
            detail: detail.finish(),
            indicator: "info",
            source: self.source.clone(),
            selection_behavior: (!suggestions.is_empty()).then_some("any"),
            suggestions,
        }
    }

    fn tests(&self, tests: &[&Next]) -> Vec<Suggestion> {
        let one = |next: &&Next| {
            // The codes are of different tests: one order names one.
            let codes = next.loinc.iter().take(1);
            let code = Concept {
                coding: codes.map(|code| loinc(code)).collect(),
                text: plain(
                    &format!("Laboratory test for: {}", next.term.label),
                    MAX_TEXT_CHARS,
                ),
            };
            let label = format!("Order a test for {}", next.term.label);
            self.suggestion(&label, &next.term.id, code)
        };
        tests.iter().map(one).collect()
    }

    /// Unless the answer abstains or there is no gene to name.
    fn genetic(&self) -> Option<Suggestion> {
        let genes = self.genes();
        if self.answer.abstained.is_some() || genes.is_empty() {
            return None;
        }
        let symbols: Vec<&str> = genes.iter().map(|gene| gene.symbol.as_str()).collect();
        let code = Concept {
            coding: vec![loinc(EXOME)],
            text: plain(
                &format!(
                    "Exome sequencing; genes to read first: {}",
                    symbols.join(", ")
                ),
                MAX_TEXT_CHARS,
            ),
        };
        Some(self.suggestion("Order exome sequencing", "genetic", code))
    }

    /// No reason goes with the order: what it is to show is not known to be there.
    fn suggestion(&self, label: &str, kind: &str, code: Concept) -> Suggestion {
        Suggestion {
            label: plain(label, MAX_SUMMARY_CHARS),
            uuid: self
                .request
                .hook_instance()
                .derive(&format!("order {kind}")),
            actions: vec![Action {
                kind: "create",
                description: plain(
                    &format!("Drafts an order, to be reviewed and signed: {}", code.text),
                    MAX_TEXT_CHARS,
                ),
                resource: ServiceRequest {
                    resource_type: "ServiceRequest",
                    status: "draft",
                    intent: "proposal",
                    code,
                    subject: Reference {
                        reference: format!("Patient/{}", self.request.patient_id()),
                    },
                    note: vec![Annotation { text: STATEMENT }],
                },
            }],
        }
    }
}

fn loinc(code: &str) -> Coding {
    Coding {
        system: "http://loinc.org".to_owned(),
        code: code.to_owned(),
        display: None,
    }
}

fn candidate_line(candidate: &Candidate) -> String {
    let genes: Vec<String> = candidate
        .genes
        .iter()
        .take(SYMBOLS)
        .map(|g| name(g))
        .collect();
    let genes = match genes.as_slice() {
        [] => String::new(),
        genes => format!(", {}", genes.join(", ")),
    };
    format!(
        "{}. **{}** ({}{genes}): {}",
        candidate.rank,
        name(&candidate.disease.name),
        candidate.disease.id,
        percent(candidate.probability)
    )
}

fn grounds(detail: &mut Detail, candidate: &Candidate) {
    let it = &candidate.evidence;
    let mut line = |kind: &str, label: &str, strength: Strength, ground: String| {
        detail.line(&format!(
            "   - {kind}: {}, {}: {}",
            name(label),
            strength.word(),
            escaped(&plain(&ground, MAX_GROUND_CHARS))
        ));
    };
    for e in it.supporting.iter().take(FOR) {
        line("for", &e.term.label, e.strength, e.ground());
    }
    for e in it.opposing.iter().take(AGAINST) {
        line("against", &e.term.label, e.strength, e.ground());
    }
    for m in it.missing.iter().take(MISSING) {
        line("missing", &m.term.label, m.strength, m.ground());
    }
}

fn next_line(next: &Next) -> String {
    let mut parts = vec![
        next.telling.word().to_owned(),
        format!("{} likely", percent(next.probability)),
    ];
    if next.suggested {
        parts.push("suggested already: repeat or confirm".to_owned());
    }
    if !next.speaks_for.is_empty() {
        let names = next.speaks_for.iter().take(2).map(|d| name(&d.name));
        let names: Vec<String> = names.collect();
        // Names of diseases have commas.
        parts.push(format!("would speak for {}", names.join(" and ")));
    }
    if !next.loinc.is_empty() {
        parts.push(format!("LOINC {}", next.loinc.join(" or ")));
    }
    format!(
        "- {} ({}): {}",
        name(&next.term.label),
        next.term.id,
        parts.join("; ")
    )
}
