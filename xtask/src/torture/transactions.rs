//! FHIR transactions over two patients each: after a kill all of one is there, or nothing of it.

use super::{
    model::Rng,
    server::{Institution, call},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const PATIENTS: usize = 2;
const OBSERVATIONS: usize = 3;
const MAX_SENT: usize = 60;
const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");

/// What one worker sent in all lives of the process.
#[derive(Default)]
pub(crate) struct Transactions {
    sent: Vec<Sent>,
}

struct Sent {
    tag: String,
    is_acknowledged: bool,
    /// Whether it was looked for since: from then on it must stay as it was found.
    found: Option<bool>,
}

impl Transactions {
    pub(crate) fn acknowledged(&self) -> usize {
        self.sent.iter().filter(|sent| sent.is_acknowledged).count()
    }

    /// Sends one after the other until told to stop or until the node no longer answers.
    pub(crate) fn work(
        &mut self,
        institution: &Institution,
        base: &str,
        rng: &mut Rng,
        stop: &AtomicBool,
    ) -> Result<()> {
        for _ in 0..MAX_SENT {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            thread::sleep(Duration::from_millis(rng.next() % 30));
            let tag = format!("{:016x}", rng.next());
            let body = bundle(&tag).to_string();
            let url = format!("{base}/fhir");
            let answer = call(
                "POST",
                &url,
                &institution.clinician,
                &[FHIR],
                Some(body.as_bytes()),
            );
            let is_acknowledged = match &answer {
                Ok(answer) if answer.status == 200 => true,
                Ok(answer) if [429, 503, 507].contains(&answer.status) => false,
                Ok(answer) => bail!(
                    "a transaction was answered with {}: {}",
                    answer.status,
                    String::from_utf8_lossy(&answer.body)
                ),
                Err(_) => false,
            };
            self.sent.push(Sent {
                tag,
                is_acknowledged,
                found: None,
            });
            if answer.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Looks for those that were sent since the last look, and for some others.
    pub(crate) fn check(&mut self, institution: &Institution, base: &str) -> Result<()> {
        let old = self.sent.len().saturating_sub(MAX_SENT);
        for (at, sent) in self.sent.iter_mut().enumerate() {
            if sent.found.is_none() || at >= old {
                sent.check(institution, base)?;
            }
        }
        Ok(())
    }
}

impl Sent {
    fn check(&mut self, institution: &Institution, base: &str) -> Result<()> {
        let tag = &self.tag;
        let search = |path: &str| -> Result<Value> {
            let url = format!("{base}/fhir/{path}");
            let answer = call("GET", &url, &institution.clinician, &[], None)?;
            ensure!(
                answer.status == 200,
                "a search was answered with {}",
                answer.status
            );
            answer.json()
        };
        let patients = search(&format!("Patient?identifier=urn:torture%7C{tag}"))?;
        let found = patients["entry"].as_array().map_or(0, Vec::len);
        ensure!(
            found == 0 || found == PATIENTS,
            "{found} of {PATIENTS} patients of transaction {tag} are there"
        );
        let is_there = found > 0;
        ensure!(
            is_there || !self.is_acknowledged,
            "the acknowledged transaction {tag} is not there"
        );
        ensure!(
            self.found.is_none_or(|before| before == is_there),
            "transaction {tag} was there at one time and not at another"
        );
        for entry in patients["entry"].as_array().into_iter().flatten() {
            let id = entry["resource"]["id"]
                .as_str()
                .context("a patient without an id")?;
            let observed = search(&format!("Observation?patient={id}"))?;
            let observed = observed["entry"].as_array().map_or(0, Vec::len);
            ensure!(
                observed == OBSERVATIONS,
                "{observed} of {OBSERVATIONS} observations of a patient of transaction {tag} are there"
            );
        }
        self.found = Some(is_there);
        Ok(())
    }
}

fn bundle(tag: &str) -> Value {
    let mut entries = Vec::new();
    for patient in 0..PATIENTS {
        let url = format!("urn:uuid:00000000-0000-4000-8000-00000000000{patient}");
        for _ in 0..OBSERVATIONS {
            entries.push(json!({
                "resource": {
                    "resourceType": "Observation", "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
                    "subject": {"reference": url},
                },
                "request": {"method": "POST", "url": "Observation"},
            }));
        }
        entries.push(json!({
            "fullUrl": url,
            "resource": {
                "resourceType": "Patient",
                "identifier": [{"system": "urn:torture", "value": tag}],
            },
            "request": {"method": "POST", "url": "Patient"},
        }));
    }
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}
