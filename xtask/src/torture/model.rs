//! What was promised: one family's acknowledged writes, and how each promise is checked.

use super::server::{Answer, Institution, call, command};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::{
    fmt, fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const RECEIPT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_RECORDS: usize = 40;
/// The most a worker does in one life of the process, which bounds what is to be checked.
const MAX_ACTS: u32 = 120;
/// About how many acts a worker spreads over a life.
const SPREAD_ACTS: u64 = 25;

/// A small seeded generator (splitmix64); not for secrets.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A change that may have been asked for, and may have been acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Promise {
    No,
    Asked,
    Acknowledged,
}

struct Record {
    key: String,
    bytes: Vec<u8>,
    /// Set once the deposit was acknowledged.
    id: Option<String>,
}

/// One family, driven by one worker.
pub(crate) struct Subject {
    id: String,
    records: Vec<Record>,
    grant: Option<String>,
    granted: Promise,
    revoked: Promise,
    erased: Promise,
    /// It has all its records and is kept to the end.
    is_full: bool,
    /// Whether anything was asked of it since it was last checked.
    is_touched: bool,
}

/// What was checked in the end.
#[derive(Default)]
pub(crate) struct Totals {
    records: usize,
    receipts: usize,
    revocations: usize,
    erasures: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records, {} receipts verified, {} revocations, {} erasures",
            self.records, self.receipts, self.revocations, self.erasures
        )
    }
}

/// Works until told to stop or until the node no longer answers. Spreads its acts over the life that
/// the process is to have, or crowds them.
pub(crate) fn work(
    subjects: &mut Vec<Subject>,
    institution: &Institution,
    base: &str,
    rng: &mut Rng,
    life_ms: u64,
    stop: &AtomicBool,
) -> Result<()> {
    let is_crowded = rng.next().is_multiple_of(3);
    for _ in 0..MAX_ACTS {
        if stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        if !is_crowded {
            let pause = rng.next() % (life_ms / SPREAD_ACTS).max(1);
            thread::sleep(Duration::from_millis(2 * pause));
        }
        if !step(subjects, institution, base, rng)? {
            return Ok(());
        }
    }
    Ok(())
}

/// One act of a worker; false when the node did not answer, or said that it cannot now.
pub(crate) fn step(
    subjects: &mut Vec<Subject>,
    institution: &Institution,
    base: &str,
    rng: &mut Rng,
) -> Result<bool> {
    match subjects.last_mut() {
        Some(subject) if subject.erased == Promise::No && !subject.is_full => {
            subject.act(institution, base, rng)
        }
        _ => {
            let opened = open(institution, base)?;
            let alive = opened.is_some();
            subjects.extend(opened);
            Ok(alive)
        }
    }
}

fn open(institution: &Institution, base: &str) -> Result<Option<Subject>> {
    let url = format!("{base}/v1/subjects");
    let body = json!({"assisted": true}).to_string();
    let Some(answer) = send(
        "POST",
        &url,
        &institution.desk,
        &[JSON],
        Some(body.as_bytes()),
    ) else {
        return Ok(None);
    };
    expect(&answer, &[201], "opening a subject")?;
    let id = text(&answer, "subject")?;
    Ok(Some(Subject {
        id,
        records: Vec::new(),
        grant: None,
        granted: Promise::No,
        revoked: Promise::No,
        erased: Promise::No,
        is_full: false,
        is_touched: true,
    }))
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

impl Subject {
    pub(crate) fn acknowledged(&self) -> usize {
        self.records.iter().filter(|r| r.id.is_some()).count()
            + usize::from(self.revoked == Promise::Acknowledged)
            + usize::from(self.erased == Promise::Acknowledged)
    }

    /// Whether anything was asked of it since it was last checked.
    pub(crate) const fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// One random act; false when the node did not answer.
    fn act(&mut self, institution: &Institution, base: &str, rng: &mut Rng) -> Result<bool> {
        self.is_touched = true;
        match rng.next() % 20 {
            0..=13 if self.records.len() < MAX_RECORDS => self.deposit(institution, base, rng),
            14 | 15 if self.granted == Promise::No => self.grant(institution, base),
            16 | 17 if self.grant.is_some() && self.revoked == Promise::No => {
                self.revoke(institution, base)
            }
            18 if self.records.len() > 6 && rng.next().is_multiple_of(3) => {
                self.erase(institution, base)
            }
            _ if self.records.len() >= MAX_RECORDS => {
                self.is_full = rng.next().is_multiple_of(3);
                if self.is_full {
                    return Ok(true);
                }
                self.erase(institution, base)
            }
            _ => self.read(institution, base),
        }
    }

    fn url(&self, base: &str, rest: &str) -> String {
        format!("{base}/v1/subjects/{}{rest}", self.id)
    }

    fn deposit(&mut self, institution: &Institution, base: &str, rng: &mut Rng) -> Result<bool> {
        let key = format!("{:016x}", rng.next());
        let padding = "x".repeat(usize::try_from(rng.next() % 20_000)?);
        let bytes = json!({
            "id": key,
            "subject": {"id": "torture", "sex": "FEMALE"},
            "phenotypicFeatures": [{"type": {"id": "HP:0001250", "label": "Seizure"}}],
            "metaData": {"created": "2026-01-01T00:00:00Z", "createdBy": padding, "phenopacketSchemaVersion": "2.0"}
        })
        .to_string()
        .into_bytes();
        self.records.push(Record {
            key,
            bytes,
            id: None,
        });
        let at = self.records.len() - 1;
        self.send_record(at, institution, base)
    }

    /// Sends a record, perhaps again; checks that a repetition names the same record.
    fn send_record(&mut self, at: usize, institution: &Institution, base: &str) -> Result<bool> {
        let url = self.url(base, "/records");
        let record = &mut self.records[at];
        let headers = [JSON, ("Idempotency-Key", record.key.as_str())];
        let Some(answer) = send(
            "POST",
            &url,
            &institution.desk,
            &headers,
            Some(&record.bytes),
        ) else {
            return Ok(false);
        };
        expect(&answer, &[200, 201], "a deposit")?;
        let id = text(&answer, "record")?;
        if let Some(before) = &record.id {
            ensure!(
                *before == id,
                "DOUBLED: a deposit sent again became another record"
            );
        }
        record.id = Some(id);
        Ok(true)
    }

    fn grant(&mut self, institution: &Institution, base: &str) -> Result<bool> {
        let body = json!({
            "grantee": {"practitioner": {"institution": institution.specialist_institution, "practitioner": "specialist-1"}},
            "purposes": ["TREAT"],
            "categories": ["phenotype"],
            "from": "2020-01-01T00:00:00Z",
            "until": "2090-01-01T00:00:00Z"
        })
        .to_string();
        self.granted = Promise::Asked;
        let url = self.url(base, "/grants");
        let Some(answer) = send(
            "POST",
            &url,
            &institution.desk,
            &[JSON],
            Some(body.as_bytes()),
        ) else {
            return Ok(false);
        };
        expect(&answer, &[200, 201, 202], "a grant")?;
        self.grant = Some(text(&answer, "grant")?);
        self.granted = Promise::Acknowledged;
        Ok(true)
    }

    /// Asked, not acknowledged: asked for again, it must stand once.
    fn check_grant(&mut self, institution: &Institution, base: &str) -> Result<()> {
        ensure!(
            self.grant(institution, base)?,
            "the node did not answer a repeated grant"
        );
        let url = self.url(base, "/grants");
        let answer = call("GET", &url, &institution.desk, &[], None)?;
        expect(&answer, &[200], "listing grants")?;
        let answer = answer.json()?;
        let standing = answer["grants"].as_array().context("no list of grants")?;
        ensure!(
            standing.len() == 1,
            "DOUBLED: one grant was asked for and {} stand",
            standing.len()
        );
        Ok(())
    }

    fn revoke(&mut self, institution: &Institution, base: &str) -> Result<bool> {
        let grant = self.grant.clone().unwrap_or_default();
        // Asked again after a kill, it may have happened: then the grant is gone.
        let done: &[u16] = if self.revoked == Promise::Asked {
            &[200, 404]
        } else {
            &[200]
        };
        self.revoked = Promise::Asked;
        let url = self.url(base, &format!("/grants/{grant}"));
        let Some(answer) = send("DELETE", &url, &institution.desk, &[], None) else {
            return Ok(false);
        };
        expect(&answer, done, "a revocation")?;
        self.revoked = Promise::Acknowledged;
        self.check_revoked(institution, base).map(|()| true)
    }

    fn erase(&mut self, institution: &Institution, base: &str) -> Result<bool> {
        self.erased = Promise::Asked;
        let Some(answer) = send(
            "DELETE",
            &self.url(base, ""),
            &institution.officer,
            &[],
            None,
        ) else {
            return Ok(false);
        };
        expect(&answer, &[200], "an erasure")?;
        self.erased = Promise::Acknowledged;
        Ok(true)
    }

    fn read(&self, institution: &Institution, base: &str) -> Result<bool> {
        let Some(id) = self
            .records
            .iter()
            .filter_map(|r| r.id.as_ref())
            .next_back()
        else {
            return Ok(true);
        };
        let url = self.url(
            base,
            &format!("/records/{id}?purpose=TREAT&categories=phenotype"),
        );
        let Some(answer) = send("GET", &url, &institution.clinician, &[], None) else {
            return Ok(false);
        };
        expect(&answer, &[200], "a clinician's read")?;
        Ok(true)
    }

    /// Checks every promise made before the last kill.
    pub(crate) fn check(&mut self, institution: &Institution, base: &str) -> Result<()> {
        self.is_touched = false;
        if self.erased == Promise::Asked {
            // Asked, not acknowledged: asking again must finish it.
            ensure!(
                self.erase(institution, base)?,
                "the node did not answer an erasure"
            );
        }
        if self.erased == Promise::Acknowledged {
            return self.check_erased(institution, base);
        }
        for at in 0..self.records.len() {
            // Sent again under its key: an acknowledged one must be the same record, an
            // unacknowledged one becomes one.
            ensure!(
                self.send_record(at, institution, base)?,
                "the node did not answer a repeated deposit"
            );
        }
        self.check_bytes(institution, base)?;
        if self.granted == Promise::Asked {
            self.check_grant(institution, base)?;
        }
        if self.revoked == Promise::Asked {
            ensure!(
                self.revoke(institution, base)?,
                "the node did not answer a revocation"
            );
        }
        if self.revoked == Promise::Acknowledged {
            self.check_revoked(institution, base)?;
        }
        Ok(())
    }

    fn check_bytes(&self, institution: &Institution, base: &str) -> Result<()> {
        for record in &self.records {
            let Some(id) = &record.id else { continue };
            let url = self.url(base, &format!("/records/{id}?purpose=TREAT"));
            let headers = [("Accept", "application/octet-stream")];
            let answer = call("GET", &url, &institution.clinician, &headers, None)?;
            expect(&answer, &[200], "reading an acknowledged record (LOST?)")?;
            ensure!(
                answer.body == record.bytes,
                "CHANGED: a record's bytes differ from what was deposited"
            );
        }
        let url = self.url(base, "/records?purpose=TREAT");
        let answer = call("GET", &url, &institution.clinician, &[], None)?;
        expect(&answer, &[200], "listing records")?;
        let listed = answer.json()?["records"].as_array().map_or(0, Vec::len);
        ensure!(
            listed == self.records.len(),
            "LOST or DOUBLED: {listed} records listed, {} deposited",
            self.records.len()
        );
        Ok(())
    }

    fn check_revoked(&self, institution: &Institution, base: &str) -> Result<()> {
        let Some(id) = self.records.iter().find_map(|r| r.id.as_ref()) else {
            return Ok(());
        };
        let url = self.url(
            base,
            &format!("/records/{id}?purpose=TREAT&categories=phenotype"),
        );
        let Some(answer) = send("GET", &url, &institution.specialist, &[], None) else {
            return Ok(());
        };
        ensure!(
            answer.status == 403,
            "UNDONE: a revoked grant was answered with {}",
            answer.status
        );
        Ok(())
    }

    fn check_erased(&self, institution: &Institution, base: &str) -> Result<()> {
        for id in self.records.iter().filter_map(|r| r.id.as_ref()) {
            let url = self.url(base, &format!("/records/{id}?purpose=TREAT"));
            let answer = call("GET", &url, &institution.clinician, &[], None)?;
            ensure!(
                matches!(answer.status, 403 | 404 | 410),
                "UNDONE: a record of an erased subject was answered with {}",
                answer.status
            );
        }
        Ok(())
    }

    /// Waits for each record's receipt, and has the binary verify one in `every` offline.
    pub(crate) fn check_receipts(
        &self,
        institution: &Institution,
        base: &str,
        every: usize,
        totals: &mut Totals,
    ) -> Result<()> {
        totals.revocations += usize::from(self.revoked == Promise::Acknowledged);
        totals.erasures += usize::from(self.erased == Promise::Acknowledged);
        if self.erased == Promise::Acknowledged {
            return Ok(());
        }
        let genesis = institution
            .data()
            .join("genesis.cbor")
            .display()
            .to_string();
        for id in self.records.iter().filter_map(|r| r.id.as_ref()) {
            totals.records += 1;
            let url = self.url(base, &format!("/records/{id}/receipt"));
            let from = Instant::now();
            let receipt = loop {
                let answer = call("GET", &url, &institution.desk, &[], None)?;
                match answer.status {
                    200 => break answer.body,
                    202 if from.elapsed() < RECEIPT_TIMEOUT => {
                        thread::sleep(Duration::from_millis(100))
                    }
                    202 => bail!("LOST: no receipt after {} s", RECEIPT_TIMEOUT.as_secs()),
                    _ => expect(&answer, &[200, 202], "a receipt")?,
                }
            };
            if !totals.records.is_multiple_of(every) {
                continue;
            }
            let file = institution.folder.join("receipt.cbor");
            fs::write(&file, receipt)?;
            command(
                &institution.ithaca,
                &["verify", &file.display().to_string(), "--genesis", &genesis],
            )
            .context("a receipt does not verify")?;
            totals.receipts += 1;
        }
        Ok(())
    }
}

/// What a node answers that cannot do now what it is asked for: too many requests, stopping, a full disk.
const LATER: [u16; 3] = [429, 503, 507];

/// One request; `None` when no answer came, as after a kill, or none that acknowledges anything.
fn send(
    method: &str,
    url: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Option<Answer> {
    let answer = call(method, url, token, headers, body).ok()?;
    (!LATER.contains(&answer.status)).then_some(answer)
}

fn expect(answer: &Answer, statuses: &[u16], what: &str) -> Result<()> {
    if statuses.contains(&answer.status) {
        return Ok(());
    }
    bail!(
        "{what} was answered with {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    )
}

fn text(answer: &Answer, field: &str) -> Result<String> {
    Ok(answer.json()?[field]
        .as_str()
        .with_context(|| format!("the answer has no '{field}'"))?
        .to_owned())
}
