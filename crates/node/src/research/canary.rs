//! Made-up records with an identifier in every place where people write: through the rules of de-identification,
//! the measurements and the files, as real ones go; then every byte that came out is searched.

use super::group::values_of;
use ::release::{Canaries, Feature, Format, Group, Header, Measures, OfSubject, Package, Tier};
use codec::id::{Digest, InstitutionId, StudyId};
use codec::time::Millis;
use deident::{Rules, StudyKey};
use extract::Share;
use ontology::Ontology;
use std::collections::BTreeSet;

/// What is planted, with a number.
const MARK: &str = "QZCANARY";

/// Why the canaries could not be run.
#[derive(Debug)]
pub(super) struct Failed;

/// Runs them.
pub(super) fn run(ontology: &Ontology, k: u32) -> Result<Canaries, Failed> {
    let mut planted = 0_u32;
    let mut plant = || {
        planted += 1;
        format!("{MARK}{planted:05}")
    };
    let key = StudyKey::derive(&keys::Secret::from_bytes([7; 32]), b"canaries");
    let rules = Rules::shipped();
    let mut fates = rules.fates();
    let made = Millis::new(1_790_000_000_000);
    let at = made.date().ok_or(Failed)?;
    let mut measures = Measures::new(k);
    let mut out: Vec<u8> = Vec::new();
    for n in 0..k.max(2).saturating_mul(2) {
        let patient = format!("p{n}");
        let cloak = key.subject(&n.to_be_bytes(), &[patient.as_str()]);
        let observation = serde_json::json!({
            "resourceType": "Observation",
            "id": plant(),
            "meta": {"source": plant(), "tag": [{"system": plant(), "code": plant()}]},
            "language": plant(),
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", plant())},
            "extension": [{"url": plant(), "valueString": plant()}],
            "identifier": [{"system": plant(), "value": plant()}],
            "status": "final",
            "category": [{"coding": [{"system": plant(), "code": plant(), "display": plant()}], "text": plant()}],
            "code": {
                "coding": [{"system": "http://loinc.org", "code": "2345-7", "display": plant(), "version": plant()}],
                "text": plant(),
            },
            "subject": {"reference": format!("Patient/{patient}"), "display": plant(), "identifier": {"value": plant()}},
            "performer": [{"reference": format!("Practitioner/{}", plant()), "display": plant()}],
            "effectiveDateTime": "2020-05-05",
            "valueQuantity": {
                "value": 90 + n % 7,
                "unit": plant(),
                "system": "http://unitsofmeasure.org",
                "code": "mg/dL",
            },
            "note": [{"text": plant(), "authorString": plant()}],
            "method": {"text": plant()},
            "device": {"display": plant()},
            "referenceRange": [{"text": plant()}],
            plant(): plant(),
        });
        let bytes = serde_json::to_vec(&observation).map_err(|_| Failed)?;
        // What is refused leaves nothing; what is not is searched too.
        if let Ok(left) = rules.resource(&cloak, at, &bytes, &mut fates) {
            out.extend_from_slice(&left);
            let left: serde_json::Value = serde_json::from_slice(&left).map_err(|_| Failed)?;
            let mut values = OfSubject::default();
            values_of(&left, &mut values);
            measures.subject(values);
        }
    }
    out.extend_from_slice(fates.to_json().as_bytes());
    let (measured, _) = measures.finish();
    if measured.is_empty() {
        // Nothing went through: nothing was tried.
        return Err(Failed);
    }
    let root = ontology.term(ontology.roots().phenotypic_abnormality);
    let group = Group {
        id: ::release::check::name(1),
        at_least: k,
        sex: Vec::new(),
        ages: None,
        diagnoses: Vec::new(),
        observed: vec![Feature {
            term: root.id(),
            label: root.label().to_owned(),
            share: Share::NearlyAll,
        }],
        excluded: Vec::new(),
        measured,
        recontact: Vec::new(),
    };
    let header = Header {
        format: ::release::FORMAT.to_owned(),
        study: ::release::StudyText {
            id: StudyId::new([0; 16]),
            institution: InstitutionId::new([0; 16]),
            purpose: "canaries".to_owned(),
            policy: Digest::new([0; 32]),
            agreement: None,
        },
        number: 0,
        tier: Tier::T3,
        k,
        cohort: "nobody".to_owned(),
        made,
        versions: Vec::new(),
        formats: BTreeSet::from(Format::ALL),
        statement: ::release::STATEMENT.to_owned(),
    };
    let (mut package, mut pieces) = Package::new(header).map_err(|_| Failed)?;
    pieces.extend(package.group(&group).map_err(|_| Failed)?);
    let (last, manifest) = package.finish().map_err(|_| Failed)?;
    pieces.extend(last);
    for (_, bytes) in pieces {
        out.extend(bytes);
    }
    out.extend(manifest.bytes());
    let survived = found(&out).len();
    Ok(Canaries {
        planted,
        survived: u32::try_from(survived).unwrap_or(u32::MAX),
    })
}

/// The marks that stand in some bytes, in whatever case, by what follows them: one pass.
fn found(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let mark = MARK.as_bytes();
    let at = bytes.windows(mark.len()).enumerate();
    let at = at.filter(|(_, window)| window.eq_ignore_ascii_case(mark));
    let number = |(at, _): (usize, &[u8])| {
        let after = bytes.iter().skip(at + mark.len());
        let digits = after.take_while(|byte| byte.is_ascii_digit());
        digits.take(10).copied().collect()
    };
    at.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let small = MARK.to_lowercase();
        let text = format!("x{MARK}00007, é{small}00012\"{MARK}00007 QZCANAR {MARK}");
        let all: [&[u8]; 3] = [b"", b"00007", b"00012"];
        assert_eq!(found(text.as_bytes()), all.map(<[u8]>::to_vec).into());
    }
}
