//! What the page and the HTML say in the same words.

pub(crate) use answer::percent;
use answer::{Age, Answer, Finding, Next, Term, Weighed};
use std::fmt::Display;

/// How many terms of a list are shown; the rest is counted.
const SHOWN: usize = 20;
/// Genes of the panel that are shown.
const SHOWN_GENES: usize = 12;
/// Candidates whose evidence is shown.
pub(crate) const EXPLAINED: usize = 3;

/// Something that was understood, or not: a heading and its lines.
pub(crate) struct Fact {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
}

/// The headline: what is suggested, or why nothing is.
pub(crate) fn verdict(answer: &Answer) -> String {
    let Some(abstained) = &answer.abstained else {
        return match answer.candidates.first() {
            None => "No diagnosis is suggested.".to_owned(),
            Some(best) => format!(
                "Most probable by these findings{}: {} ({}), {}.",
                if is_by_genes(answer) {
                    " and the genes that the case names"
                } else {
                    ""
                },
                best.disease.name,
                best.disease.id,
                percent(best.probability)
            ),
        };
    };
    match abstained.best {
        None => "No diagnosis is suggested: there is no observed finding to rank by.".to_owned(),
        Some(best) => format!(
            "No diagnosis is suggested: the best candidate has {}, and from {} one would be. What follows shows \
             the basis, and what to look for.",
            percent(best),
            percent(abstained.suggested_from)
        ),
    }
}

/// Whether genes of the case were weighed in.
fn is_by_genes(answer: &Answer) -> bool {
    let mut genes = answer.understood.genes.iter();
    genes.any(|gene| matches!(gene.weighed, Weighed::With(_)))
}

/// What was understood, each kind that there is.
pub(crate) fn facts(answer: &Answer) -> Vec<Fact> {
    let it = &answer.understood;
    let mut out = Vec::new();
    let mut fact = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let title = title.to_owned();
            out.push(Fact { title, lines });
        }
    };
    fact("Case", vec![person(answer)]);
    let counted = |name: &str, of: &[Finding]| format!("{name} {}", of.len());
    fact(&counted("Observed", &it.observed), terms(&it.observed));
    fact(&counted("Excluded", &it.excluded), terms(&it.excluded));
    let mut suggested: Vec<String> = listed(it.suggested.iter().map(|f| {
        let basis = match f.basis {
            "laboratory" => "laboratory",
            _ => "unconfirmed",
        };
        format!("{} ({basis})", f.term.label)
    }));
    if let Some(line) = suggested.first_mut() {
        line.push_str(" - not ranked by until repeated or confirmed");
    }
    fact(&counted("Candidate", &it.suggested), suggested);
    let mut absent = terms(&it.suggested_absent);
    if let Some(line) = absent.first_mut() {
        line.push_str(" - not ranked by");
    }
    fact(&counted("Absent?", &it.suggested_absent), absent);
    fact("Genes", genes(answer));
    let not_understood = it.not_understood.iter().map(|item| {
        let absent = if item.excluded { " (absent)" } else { "" };
        let mut line = format!(
            "{}: \"{}\"{absent}: {}",
            item.place, item.as_given, item.why
        );
        if !item.suggestions.is_empty() {
            line.push_str(". Perhaps: ");
            line.push_str(&join(item.suggestions.iter().take(3).map(term)));
        }
        line
    });
    fact(
        &format!("Not understood {}", it.not_understood.len()),
        lines(not_understood),
    );
    let contradictions = it.contradictions.iter().map(|said| {
        if said.present == said.absent {
            format!(
                "{} was said both ways: {}",
                said.present.label, said.decided
            )
        } else {
            format!(
                "{} was said to be there, {} absent: {}",
                said.present.label, said.absent.label, said.decided
            )
        }
    });
    fact("Contradictions", lines(contradictions));
    fact("Please check", lines(it.notes.iter().cloned()));
    let passed = it.passed_over.iter();
    let passed = passed.map(|passed| format!("{} {}", passed.count, passed.reason));
    fact("Passed over", listed(passed));
    let mut recorded: Vec<String> = Vec::new();
    for diagnosis in &it.recorded_diagnoses {
        let excluded = if diagnosis.excluded { ", excluded" } else { "" };
        let named = format!("{} {}{excluded}", diagnosis.id, diagnosis.label);
        // Published cases say it in two places.
        if !recorded.contains(&named) {
            recorded.push(named);
        }
    }
    let mut recorded = listed(recorded.into_iter());
    if let Some(line) = recorded.first_mut() {
        line.push_str(" - recorded in the case, not used");
    }
    fact("Recorded", recorded);
    out
}

fn person(answer: &Answer) -> String {
    let it = &answer.understood;
    let mut parts = vec![
        match it.format {
            "phenopacket" => "phenopacket",
            "fhir" => "FHIR",
            "records" => "records",
            _ => "list",
        }
        .to_owned(),
        it.sex.unwrap_or("sex not stated").to_owned(),
    ];
    parts.push(match &it.age {
        Some(when) => format!("age {}", age(when)),
        None => "age not stated".to_owned(),
    });
    if let Some(onset) = &it.onset {
        parts.push(format!("onset {}", age(onset)));
    }
    parts.join(", ")
}

fn age(age: &Age) -> String {
    if let Some(term) = &age.term {
        return term.label.clone();
    }
    let days = |days: u32| match days {
        0..=60 => format!("{days} days"),
        61..=1_460 => format!("{:.0} months", (f64::from(days) / 30.4375).floor()),
        _ => format!("{:.0} years", ((f64::from(days) + 0.5) / 365.25).floor()),
    };
    match (age.from_days, age.to_days) {
        (Some(from), Some(to)) if days(from) != days(to) => {
            format!("{} to {}", days(from), days(to))
        }
        (Some(from), _) => days(from),
        (None, Some(to)) => format!("up to {}", days(to)),
        (None, None) => "not known".to_owned(),
    }
}

fn genes(answer: &Answer) -> Vec<String> {
    let it = &answer.understood.genes;
    let mut lines = Vec::new();
    let with = it
        .iter()
        .filter(|gene| matches!(gene.weighed, Weighed::With(_)));
    let with = listed(with.map(|gene| {
        let class = match gene.pathogenicity {
            "not_provided" => String::new(),
            class => format!(", {}", class.replace('_', " ")),
        };
        format!("{} ({}{class})", gene.symbol, gene.status)
    }));
    lines.extend(
        with.into_iter().map(|genes| {
            format!("weighed in: {genes}; --without-genes ranks by the findings alone")
        }),
    );
    let without = it.iter().filter_map(|gene| {
        let why = gene.weighed.why_not()?;
        Some(format!("{} ({why})", gene.symbol))
    });
    let without = listed(without);
    lines.extend(
        without
            .into_iter()
            .map(|genes| format!("not weighed in: {genes}")),
    );
    lines
}

fn term(term: &Term) -> String {
    format!("{} ({})", term.label, term.id)
}

fn terms(of: &[Finding]) -> Vec<String> {
    listed(of.iter().map(|finding| finding.term.label.clone()))
}

/// The first items in one line, and how many more there are; no line if there are none.
fn listed(items: impl Iterator<Item = String>) -> Vec<String> {
    let items: Vec<String> = items.collect();
    let mut line = items[..items.len().min(SHOWN)].join(", ");
    if items.len() > SHOWN {
        line.push_str(&more(items.len() - SHOWN));
    }
    if items.is_empty() {
        Vec::new()
    } else {
        vec![line]
    }
}

/// The first items, each in its line, and how many more there are.
fn lines(items: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    const LINES: usize = 6;
    let count = items.len();
    let mut lines: Vec<String> = items.take(LINES).collect();
    if count > LINES {
        lines.push(more(count - LINES).trim_start_matches(", ").to_owned());
    }
    lines
}

/// How many more there are.
fn more(count: usize) -> String {
    format!(", and {count} more (--json has all)")
}

/// Names with commas between them.
pub(crate) fn join(names: impl Iterator<Item = impl Display>) -> String {
    names
        .map(|name| name.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// How many missing features there are; the engine does not count beyond those that it lists.
pub(crate) fn missing_count(listed: usize) -> String {
    let more = if listed < diagnosis::MAX_MISSING {
        ""
    } else {
        "+"
    };
    format!("{listed}{more}")
}

/// What a suggestion would do.
pub(crate) fn use_of(next: &Next) -> String {
    let mut parts = vec![format!("{} likely", percent(next.probability))];
    if next.suggested {
        parts.push("suggested already: repeat or confirm".to_owned());
    }
    if !next.speaks_for.is_empty() {
        let names = next.speaks_for.iter().take(2).map(|d| d.name.as_str());
        parts.push(format!("would speak for {}", join(names)));
    }
    if !next.loinc.is_empty() {
        parts.push(format!("LOINC {}", next.loinc.join(", ")));
    }
    parts.join("; ")
}

/// The ways to come by a finding: the key in the answer, and its heading.
pub(crate) const WAYS: [(&str, &str); 3] =
    [("examine", "Examine"), ("ask", "Ask"), ("test", "Test")];

/// Genes of the panel, until nine tenths are reached or there is no more room.
pub(crate) fn panel(answer: &Answer) -> String {
    const ENOUGH: f64 = 0.9;
    let named = answer.genes.iter().filter(|gene| !gene.symbol.is_empty());
    let before = |gene: &&answer::PanelGene| gene.cumulative - gene.probability < ENOUGH;
    let shown: Vec<_> = named.take_while(before).take(SHOWN_GENES).collect();
    let Some(last) = shown.last() else {
        return String::new();
    };
    format!(
        "{}; together {}",
        join(
            shown
                .iter()
                .map(|gene| format!("{} {}", gene.symbol, percent(gene.probability)))
        ),
        percent(last.cumulative)
    )
}

/// The versions of all that the answer rests on.
pub(crate) fn versions(answer: &Answer) -> String {
    format!(
        "{}. Sources, licences and notices: ithaca about --data.",
        answer.versions.in_words()
    )
}

/// Text without what would change the terminal or the direction of reading.
pub(crate) fn plain(c: char) -> char {
    match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        '\u{feff}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    }
}
