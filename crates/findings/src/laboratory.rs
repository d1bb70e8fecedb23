//! What a laboratory result says in terms of HPO.
//!
//! In: a reading with a LOINC code. Out: the term of loinc2hpo for it and what the laboratory made
//! of it, its interpretation (H, HH, HU; L, LL, LU; A, AA; POS, DET, RR; N; NEG, NR; ND), or,
//! where none is given, what its value is against its own reference range. Values are compared in
//! the same unit only; several ranges decide if they agree; a range for an age or a sex counts if
//! the person is known to be of it. Abnormal without a direction is the term that normal excludes,
//! when that is wider than high and low.

use crate::case::LeftOut;
use crate::time::{When, quantity_days};
use fhir::{Coding, Concept, Measured, Quantity, Reading, ReferenceRange};
use ontology::{LoincCode, Ontology, Outcome, Sex, TermIx};
use std::collections::BTreeSet;

/// To whom a result belongs, on its day.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) sex: Option<Sex>,
    pub(crate) age: Option<When>,
}

/// What a result says.
pub(crate) struct Said {
    pub(crate) term: TermIx,
    pub(crate) absent: bool,
    /// Code and outcome in words, such as `LOINC 718-7 low`.
    pub(crate) as_given: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    High,
    Low,
    Abnormal,
    Normal,
    Positive,
    Negative,
    /// Not detected: of a measured amount that may be too little, and so is not simply normal.
    NotDetected,
    Named(u64),
}

/// The LOINC codes of a concept.
pub(crate) fn loinc_codes(concept: &Concept<'_>) -> Vec<LoincCode> {
    let codings = concept.codings.iter();
    let loinc = codings.filter(|coding| is_system(coding, &LOINC));
    loinc
        .filter_map(|coding| coding.code.parse().ok())
        .collect()
}

/// What a reading with these codes says.
pub(crate) fn conclude(
    codes: &[LoincCode],
    reading: &Reading<'_>,
    person: Person,
    ontology: &Ontology,
) -> Result<Said, LeftOut> {
    let signs = signs(reading, person)?;
    let mut said: Option<Said> = None;
    for &code in codes {
        for &sign in &signs {
            let Some((term, absent)) = look_up(code, sign, ontology) else {
                continue;
            };
            if let Some(known) = &said {
                if (known.term, known.absent) != (term, absent) {
                    return Err(LeftOut::InterpretationsDiffer);
                }
                continue;
            }
            let word = word(sign);
            said = Some(Said {
                term,
                absent,
                as_given: format!("LOINC {code} {word}"),
            });
        }
        if said.is_some() {
            break;
        }
    }
    said.ok_or(LeftOut::NotMapped)
}

/// Whether a concept says yes or no: present, positive, detected and their opposites.
pub(crate) fn presence(concept: &Concept<'_>) -> Option<bool> {
    let answers = concept.codings.iter().filter_map(|coding| {
        let yes_no = |yes: &[&str], no: &[&str]| {
            let code: &str = &coding.code;
            let found = yes.contains(&code);
            (found || no.contains(&code)).then_some(found)
        };
        if is_system(coding, &SNOMED) {
            // present, positive, detected, yes; absent, negative, not detected, no
            return yes_no(
                &["52101004", "10828004", "260373001", "373066001"],
                &["2667000", "260385009", "260415000", "373067005"],
            );
        }
        if is_system(coding, &LOINC) {
            return yes_no(
                &["LA9633-4", "LA6576-8", "LA11882-0", "LA33-6"],
                &["LA9634-2", "LA6577-6", "LA11883-8", "LA32-8"],
            );
        }
        if is_system(coding, &YES_NO) {
            return yes_no(&["Y"], &["N"]);
        }
        match interpreted(coding)? {
            Sign::Positive => Some(true),
            Sign::Negative | Sign::NotDetected => Some(false),
            _ => None,
        }
    });
    let answers: BTreeSet<bool> = answers.collect();
    (answers.len() == 1).then(|| answers.contains(&true))
}

/// Whether interpretations say that what is asked for is there.
pub(crate) fn interpreted_presence(interpretations: &[Concept<'_>]) -> Option<bool> {
    let codings = interpretations.iter().flat_map(|concept| &concept.codings);
    let answers: BTreeSet<bool> = codings
        .filter_map(interpreted)
        .map(|sign| !matches!(sign, Sign::Normal | Sign::Negative | Sign::NotDetected))
        .collect();
    (answers.len() == 1).then(|| answers.contains(&true))
}

const LOINC: [&str; 2] = ["loinc.org", "urn:oid:2.16.840.1.113883.6.1"];
const SNOMED: [&str; 2] = ["snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"];
const YES_NO: [&str; 2] = [
    "terminology.hl7.org/CodeSystem/v2-0136",
    "hl7.org/fhir/v2/0136",
];
const INTERPRETATION: [&str; 5] = [
    "terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    "terminology.hl7.org/CodeSystem/v2-0078",
    "hl7.org/fhir/v3/ObservationInterpretation",
    "hl7.org/fhir/v2/0078",
    "urn:oid:2.16.840.1.113883.5.83",
];

/// Whether a coding is of a system, however its name is written.
pub(crate) fn is_system(coding: &Coding<'_>, names: &[&str]) -> bool {
    let system: &str = &coding.system;
    let bare = system
        .strip_prefix("http://")
        .or_else(|| system.strip_prefix("https://"))
        .unwrap_or(system);
    let bare = bare.strip_prefix("www.").unwrap_or(bare);
    names.contains(&bare.trim_end_matches('/'))
}

/// What the laboratory says of a result or, if it says nothing, what the value does.
fn signs(reading: &Reading<'_>, person: Person) -> Result<BTreeSet<Sign>, LeftOut> {
    let codings = reading.interpretation.iter().flat_map(|c| &c.codings);
    let mut signs: BTreeSet<Sign> = codings.filter_map(interpreted).collect();
    let has_direction = [Sign::High, Sign::Low, Sign::Positive]
        .iter()
        .any(|sign| signs.contains(sign));
    if signs.contains(&Sign::Abnormal) {
        let ranged = if has_direction {
            None
        } else {
            against_ranges(reading, person)
        };
        if let Some(direction @ (Sign::High | Sign::Low)) = ranged {
            signs.insert(direction);
        }
        if signs.len() > 1
            && !signs
                .iter()
                .any(|s| matches!(s, Sign::Normal | Sign::Negative))
        {
            signs.remove(&Sign::Abnormal);
        }
    }
    let negates = |s: &Sign| matches!(s, Sign::Normal | Sign::Negative | Sign::NotDetected);
    if signs.iter().any(negates) && !signs.iter().all(negates) {
        return Err(LeftOut::InterpretationsDiffer);
    }
    if signs.is_empty() {
        signs.extend(from_value(reading, person));
    }
    if signs.is_empty() {
        return Err(LeftOut::NotInterpreted);
    }
    Ok(signs)
}

fn interpreted(coding: &Coding<'_>) -> Option<Sign> {
    if is_system(coding, &SNOMED) {
        return Some(match &*coding.code {
            "281302008" => Sign::High,
            "281300000" => Sign::Low,
            "281301001" | "17621005" => Sign::Normal,
            "263654008" => Sign::Abnormal,
            "10828004" | "260373001" => Sign::Positive,
            "260385009" => Sign::Negative,
            "260415000" => Sign::NotDetected,
            _ => return None,
        });
    }
    if !coding.system.is_empty() && !is_system(coding, &INTERPRETATION) {
        return None;
    }
    Some(match &*coding.code {
        "H" | "HH" | "HU" => Sign::High,
        "L" | "LL" | "LU" => Sign::Low,
        "A" | "AA" => Sign::Abnormal,
        "N" => Sign::Normal,
        "POS" | "DET" | "RR" => Sign::Positive,
        "NEG" | "NR" => Sign::Negative,
        "ND" => Sign::NotDetected,
        _ => return None,
    })
}

fn from_value(reading: &Reading<'_>, person: Person) -> Option<Sign> {
    match reading.value.as_ref()? {
        Measured::Quantity(_) => against_ranges(reading, person),
        Measured::Boolean(true) => Some(Sign::Positive),
        Measured::Boolean(false) => Some(Sign::Negative),
        Measured::Concept(concept) => match presence(concept) {
            Some(true) => Some(Sign::Positive),
            Some(false) => Some(Sign::Negative),
            None => {
                let named = concept.codings.iter().find(|c| is_system(c, &SNOMED))?;
                named.code.parse().ok().map(Sign::Named)
            }
        },
        Measured::Other => None,
    }
}

/// What the value is against the ranges that are for this person, if these agree.
fn against_ranges(reading: &Reading<'_>, person: Person) -> Option<Sign> {
    let Some(Measured::Quantity(value)) = &reading.value else {
        return None;
    };
    let mut agreed = None;
    for range in reading.ranges.iter().filter(|range| is_for(range, person)) {
        let sign = against(value, range)?;
        if *agreed.get_or_insert(sign) != sign {
            return None;
        }
    }
    agreed
}

/// Whether a range says what is normal for the person.
fn is_for(range: &ReferenceRange<'_>, person: Person) -> bool {
    let kinds = &range.kind.codings;
    let is_normal = kinds.is_empty() && range.kind.text.is_empty()
        || kinds.iter().any(|kind| kind.code == "normal");
    let has_end = range.low.is_some() || range.high.is_some();
    let sexes = &range.applies_to;
    is_normal && has_end && sexes.iter().all(|to| is_of(to, person)) && is_aged(range, person)
}

fn is_of(group: &Concept<'_>, person: Person) -> bool {
    let mut codes = group.codings.iter().map(|coding| &*coding.code);
    match person.sex {
        Some(Sex::Female) => codes.any(|code| matches!(code, "female" | "248152002" | "F")),
        Some(Sex::Male) => codes.any(|code| matches!(code, "male" | "248153007" | "M")),
        None => false,
    }
}

fn is_aged(range: &ReferenceRange<'_>, person: Person) -> bool {
    if !range.has_age {
        return true;
    }
    let Some(When::Days { from, to }) = person.age else {
        return false;
    };
    let low = match &range.age_low {
        Some(age) => quantity_days(age).is_some_and(|low| low <= from),
        None => true,
    };
    let high = match &range.age_high {
        Some(age) => quantity_days(age).is_some_and(|high| to <= high),
        None => true,
    };
    low && high
}

fn against(value: &Quantity<'_>, range: &ReferenceRange<'_>) -> Option<Sign> {
    let amount = number(value)?;
    let end = |end: &Option<Quantity<'_>>| match end {
        None => Some(None),
        Some(end) if same_unit(value, end) && end.comparator.is_empty() => number(end).map(Some),
        Some(_) => None,
    };
    let (low, high) = (end(&range.low)?, end(&range.high)?);
    let under = |strict: bool| low.is_some_and(|l| amount < l || (strict && amount <= l));
    let over = |strict: bool| high.is_some_and(|h| amount > h || (strict && amount >= h));
    match &*value.comparator {
        "" if under(false) => Some(Sign::Low),
        "" if over(false) => Some(Sign::High),
        "" => Some(Sign::Normal),
        // Less than an amount: low if that is no more than the low end; normal if there is none.
        "<" | "<=" if under(value.comparator == "<") => Some(Sign::Low),
        "<" | "<=" if low.is_none() && !over(false) => Some(Sign::Normal),
        ">" | ">=" if over(value.comparator == ">") => Some(Sign::High),
        ">" | ">=" if high.is_none() && !under(false) => Some(Sign::Normal),
        _ => None,
    }
}

fn number(quantity: &Quantity<'_>) -> Option<f64> {
    let number: f64 = quantity.value.as_deref()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// A range without any unit is in that of the value.
fn same_unit(value: &Quantity<'_>, end: &Quantity<'_>) -> bool {
    if end.code.is_empty() && end.unit.is_empty() {
        return true;
    }
    if !value.code.is_empty() && !end.code.is_empty() {
        return value.code == end.code;
    }
    let names = |quantity: &Quantity<'_>| [quantity.code.to_string(), quantity.unit.to_string()];
    let ends = names(end);
    names(value)
        .iter()
        .any(|name| !name.is_empty() && ends.contains(name))
}

/// The term, and whether it is absent.
fn look_up(code: LoincCode, sign: Sign, ontology: &Ontology) -> Option<(TermIx, bool)> {
    let row = |outcome| {
        let row = ontology.loinc(code, outcome)?;
        Some((row.term, row.negated))
    };
    match sign {
        Sign::High => row(Outcome::High),
        Sign::Low => row(Outcome::Low),
        Sign::Positive => row(Outcome::Positive),
        Sign::NotDetected => row(Outcome::Negative),
        Sign::Negative => row(Outcome::Negative).or_else(|| row(Outcome::Normal)),
        Sign::Normal => row(Outcome::Normal).or_else(|| row(Outcome::Negative)),
        Sign::Named(concept) => row(Outcome::Snomed(concept)),
        Sign::Abnormal => row(Outcome::Positive).or_else(|| {
            let (wider, _) = row(Outcome::Normal)?;
            let directed = [row(Outcome::High), row(Outcome::Low)];
            let is_wider =
                |&(term, _): &(TermIx, bool)| term != wider && ontology.is_a(term, wider);
            let mut directed = directed.iter().flatten().peekable();
            (directed.peek().is_some() && directed.all(is_wider)).then_some((wider, false))
        }),
    }
}

fn word(sign: Sign) -> &'static str {
    match sign {
        Sign::High => "high",
        Sign::Low => "low",
        Sign::Abnormal => "abnormal",
        Sign::Normal => "normal",
        Sign::Positive => "positive",
        Sign::Negative => "negative",
        Sign::NotDetected => "not detected",
        Sign::Named(_) => "by its result",
    }
}
