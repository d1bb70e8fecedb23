//! What the story is played with: requests to the nodes, the picture of the network, waiting.

use super::{
    figures::{Timed, memory_of},
    nodes::{COUNT, PYLOS, QUORUM, wait_for},
    people::{People, Person},
    story::{Family, Story, TIMED},
};
use crate::http::{Answer, JSON, text};
use anyhow::{Context, Result, bail};
use codec::{Millis, RecordId, SubjectId};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::time::{Duration, Instant, SystemTime};

/// An answer of `/v1/shares`; parts are kept as they came.
#[derive(Deserialize)]
pub(crate) struct Shared {
    pub(crate) disclosure: String,
    pub(crate) logged: String,
    pub(crate) visitor: String,
    pub(crate) because: Vec<String>,
    pub(crate) records: Vec<SharedRecord>,
}

#[derive(Deserialize)]
pub(crate) struct SharedRecord {
    pub(crate) parts: Vec<SharedPart>,
    pub(crate) receipt: String,
}

#[derive(Deserialize)]
pub(crate) struct SharedPart {
    pub(crate) category: String,
    pub(crate) body: Box<RawValue>,
}

/// The answer to a request that went to another institution: what was shared, or why not.
pub(crate) type Asked = Result<Vec<String>, String>;

impl Story<'_> {
    pub(crate) fn act(&mut self, name: &str, value: Value) {
        self.acts.push(json!({"act": name, "seen": value}));
    }

    /// The institutions, which of them run, and how far each has come.
    pub(crate) fn picture(&mut self, title: &str, notes: &[String]) {
        const BAR: u64 = 30;
        self.look();
        let most = self.heights.iter().max().copied().unwrap_or(0).max(1);
        let running: Vec<bool> = (0..COUNT).map(|at| self.network.runs(at)).collect();
        let mut lines = Vec::new();
        for (at, member) in self.network.members.iter().enumerate() {
            let filled = usize::try_from(self.heights[at] * BAR / most).unwrap_or(0);
            let empty = usize::try_from(BAR).unwrap_or(0).saturating_sub(filled);
            let (mark, word) = match running[at] {
                true => ("●", "height"),
                false => ("○", "killed at"),
            };
            lines.push(format!(
                "{mark} {:<28}{}{}  {word} {}",
                member.name,
                "█".repeat(filled),
                "░".repeat(empty),
                self.heights[at]
            ));
        }
        let count = running.iter().filter(|runs| **runs).count();
        lines.push(match count >= QUORUM {
            true => format!("{count} of {COUNT} run, {QUORUM} must agree: blocks become final."),
            false => format!("{count} of {COUNT} run, {QUORUM} must agree: nothing becomes final."),
        });
        lines.extend_from_slice(notes);
        self.stage.card(title, &lines);
    }

    /// Notes how far each node has come.
    pub(crate) fn look(&mut self) {
        for (at, height) in self.heights.iter_mut().enumerate() {
            *height = self.network.view(at).map_or(*height, |view| view.height);
        }
    }

    /// What each node takes of memory.
    pub(crate) fn memory_mib(&self) -> Vec<f64> {
        let processes = (0..COUNT).filter_map(|at| self.network.process(at));
        processes.filter_map(memory_of).collect()
    }

    /// One request, answered however.
    pub(crate) fn ask(
        &self,
        who: &Person,
        method: &str,
        path: &str,
        body: Option<(&str, &[u8])>,
        waits: bool,
    ) -> Result<Answer> {
        let mut headers = Vec::new();
        headers.extend(body.map(|(media, _)| ("content-type", media)));
        headers.extend(waits.then_some(("prefer", "wait=final")));
        let body = body.map(|(_, bytes)| bytes);
        self.network
            .call(who.at, method, path, &who.token, &headers, body)
    }

    /// One request that must succeed; with `waits`, what it did must be final.
    pub(crate) fn sent(
        &self,
        who: &Person,
        method: &str,
        path: &str,
        body: &Value,
        waits: bool,
    ) -> Result<Value> {
        let bytes = body.to_string();
        let body = Some((JSON, bytes.as_bytes()));
        let answer = self.ask(who, method, path, body, waits)?.value();
        let answer = answer.with_context(|| format!("{} asked: {method} {path}", who.name))?;
        if waits && answer["finality"]["state"] != "final" {
            bail!("{method} {path} did not become final");
        }
        Ok(answer)
    }

    pub(crate) fn got(&self, who: &Person, path: &str) -> Result<Value> {
        let answer = self.ask(who, "GET", path, None, false)?.value();
        answer.with_context(|| format!("{} asked: GET {path}", who.name))
    }

    /// A path below a family's subject.
    pub(crate) fn of(&self, family: usize, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!(
            "/v1/subjects/{}{slash}{rest}",
            self.families[family].subject
        )
    }

    pub(crate) fn parent(&self, family: usize) -> Result<Person> {
        People::parent(&self.network, self.families[family].subject)
    }

    /// Every access of a family's record, as its parent sees it.
    pub(crate) fn trail(&self, family: usize) -> Result<Vec<Value>> {
        self.trail_of(&self.parent(family)?, self.families[family].subject)
    }

    /// The same, of any subject.
    pub(crate) fn trail_of(&self, parent: &Person, subject: SubjectId) -> Result<Vec<Value>> {
        let seen = self.got(parent, &format!("/v1/subjects/{subject}/disclosures"))?;
        Ok(list(&seen["disclosures"]).to_vec())
    }

    pub(crate) fn place(&self, institution: &Value) -> String {
        let id = text(institution);
        let member = self.network.members.iter().find(|m| m.id.to_string() == id);
        let name = member.map_or("elsewhere", |member| member.name);
        name.split(' ').next().unwrap_or(name).to_owned()
    }

    pub(crate) fn open(&self, desk: &Person) -> Result<SubjectId> {
        self.open_and(desk, false)
    }

    /// The same; with `waits`, its consent is final on the ledger.
    pub(crate) fn open_and(&self, desk: &Person, waits: bool) -> Result<SubjectId> {
        let mother = json!({"slot": 0, "role": "guardian", "label": "Mother"});
        let body = json!({"assisted": true, "controllers": [mother]});
        let opened = self.sent(desk, "POST", "/v1/subjects", &body, waits)?;
        Ok(text(&opened["subject"]).parse()?)
    }

    /// Deposits; the records, and the node's answer.
    pub(crate) fn deposit(
        &mut self,
        who: &Person,
        subject: SubjectId,
        media: &str,
        bytes: &[u8],
        waits: bool,
    ) -> Result<(Vec<RecordId>, Value)> {
        let path = format!("/v1/subjects/{subject}/records");
        let from = Instant::now();
        let answer = self.ask(who, "POST", &path, Some((media, bytes)), waits)?;
        let answer = answer.value().context("a deposit")?;
        if !waits && media == JSON {
            self.figures.add(Timed::Deposit, from.elapsed());
        }
        let records = list(&answer["records"]).iter();
        let records = records.map(|record| Ok(text(&record["record"]).parse()?));
        Ok((records.collect::<Result<_>>()?, answer))
    }

    /// One more of the published cases comes in.
    pub(crate) fn one_more(&mut self, waits: bool) -> Result<usize> {
        let case = self.later.pop().context("no case is left")?;
        let clinician = self.people.clinician.clone();
        let subject = self.open(&self.people.desk)?;
        let bytes = case.bytes.clone();
        let (records, _) = self.deposit(&clinician, subject, JSON, &bytes, waits)?;
        self.families.push(Family {
            subject,
            records,
            case: Some(case),
            erased: false,
        });
        Ok(self.families.len() - 1)
    }

    /// Reads a family's first record at its own hospital.
    pub(crate) fn read(&self, who: &Person, family: usize, purpose: &str) -> Result<Answer> {
        let record = self.families[family].records.first();
        let record = record.context("a family without a record")?;
        let rest = format!("records/{record}?purpose={purpose}&categories=phenotype");
        self.ask(who, "GET", &self.of(family, &rest), None, false)
    }

    /// A grant of findings to somebody at the other hospital.
    pub(crate) fn draft(&self, who: &str, for_ms: u64) -> Value {
        self.draft_for(PYLOS, who, "phenotype", for_ms)
    }

    pub(crate) fn draft_for(&self, at: usize, who: &str, category: &str, for_ms: u64) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let institution = self.network.members[at].id.to_string();
        json!({
            "grantee": {"practitioner": {"institution": institution, "practitioner": who}},
            "purposes": ["TREAT"],
            "categories": [category],
            "from": Millis::new(now).to_rfc3339(),
            "until": Millis::new(now + for_ms).to_rfc3339(),
        })
    }

    pub(crate) fn shared(
        &self,
        who: &Person,
        custodian: usize,
        family: usize,
        purpose: &str,
        category: &str,
    ) -> Result<Answer> {
        let records = self.families[family].records.iter().take(1);
        let records: Vec<String> = records.map(ToString::to_string).collect();
        let asked = json!({
            "custodian": self.network.members[custodian].id.to_string(),
            "subject": self.families[family].subject.to_string(),
            "purpose": purpose,
            "categories": [category],
            "records": records,
        });
        let body = asked.to_string();
        self.ask(
            who,
            "POST",
            "/v1/shares",
            Some((JSON, body.as_bytes())),
            false,
        )
    }

    /// Asks another institution: the categories that came, or why none did.
    pub(crate) fn share(
        &mut self,
        who: &Person,
        custodian: usize,
        family: usize,
        purpose: &str,
        category: &str,
    ) -> Result<Asked> {
        let from = Instant::now();
        let answer = self.shared(who, custodian, family, purpose, category)?;
        self.figures.add(Timed::Share, from.elapsed());
        if answer.status == 200 {
            let shared: Shared = answer.read()?;
            let parts = shared.records.into_iter().flat_map(|record| record.parts);
            return Ok(Ok(parts.map(|part| part.category).collect()));
        }
        if answer.status != 403 {
            answer
                .value()
                .with_context(|| format!("{} asked elsewhere", who.name))?;
        }
        Ok(Err(reasons(&answer)?))
    }

    /// A decision of some family, timed until it is final.
    pub(crate) fn decision(&mut self, turn: usize, timed: Timed) -> Result<()> {
        let body = json!({"restricted": turn.is_multiple_of(2)});
        let from = Instant::now();
        let path = self.of(TIMED, "restriction");
        self.sent(&self.people.desk, "PUT", &path, &body, true)?;
        self.figures.add(timed, from.elapsed());
        Ok(())
    }

    /// What waits for the ledger at a node.
    pub(crate) fn waiting(&self, at: usize) -> Result<u64> {
        let status = self.got(&self.people.operators[at], "/v1/status")?;
        let count = |name: &str| status[name].as_u64().unwrap_or(u64::MAX / 2);
        Ok(count("waiting_commitments") + count("waiting_entries"))
    }

    /// Waits until nothing waits for the ledger at a node; how long that took.
    pub(crate) fn drained(&self, at: usize) -> Result<Duration> {
        let from = Instant::now();
        wait_for("everything to be final", || {
            Ok((self.waiting(at)? == 0).then_some(()))
        })?;
        Ok(from.elapsed())
    }
}

pub(crate) use crate::govern::list;

/// Why something was refused.
pub(crate) fn reasons(refused: &Answer) -> Result<String> {
    let problem: Value = refused.read()?;
    let missing = list(&problem["missing"]).iter();
    let missing: Vec<String> = missing.map(|missing| text(&missing["says"])).collect();
    Ok(match missing.is_empty() {
        true => text(&problem["detail"]),
        false => missing.join(" "),
    })
}
