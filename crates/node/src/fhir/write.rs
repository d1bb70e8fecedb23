//! Writing: one path for one resource and for a transaction over many patients.
//!
//! A transaction is planned whole (`plan.rs`) and then put in one atomic batch: new compartments, new versions,
//! search terms and places in the outbox, of all subjects. What it relies on is expected by the batch; what it
//! looked up by names that clients chose is protected by a turn, for such a name has no row of its own.

use super::open::settled;
use super::plan::{Plan, Planned};
use super::views::{CONSENT, not_atomic, writable};
use super::{
    FhirAct, FhirOutcome, FhirResource, FhirTarget, FhirTransact, FhirWrite, FhirWritten,
    SUBSCRIPTION,
};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::identity::Mark;
use crate::record::deposit::{REBASES, SOURCES, origin};
use crate::record::{Content, Provenance};
use crate::subject::Wait;
use codec::id::SubjectId;
use consent::{Purpose, Role};
use institution_policy::Action;
use keys::Zeroizing;
use std::collections::BTreeMap;
use store::Store;
use vault::{NewRecord, PutRecord, RecordPut, Transaction};

/// Who may delete.
const DELETERS: [Role; 6] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Laboratory,
    Role::Desk,
];

impl<S: Store> Custodian<S> {
    pub(crate) async fn fhir_transact(
        &self,
        input: FhirTransact,
    ) -> Result<Vec<FhirWritten>, Error> {
        let consent = |write: &FhirWrite| write.kind == CONSENT;
        if let Some(at) = input.writes.iter().position(consent) {
            return match input.writes.as_slice() {
                [write] if !input.bundle => Ok(vec![self.consent_written(&input, write).await?]),
                _ => Err(not_atomic(at)),
            };
        }
        let subscription = |write: &FhirWrite| write.kind == SUBSCRIPTION;
        if let Some(at) = input.writes.iter().position(subscription) {
            return Err(super::subscriptions::not_atomic(at));
        }
        input.asker.caller.needs("writing a resource", &SOURCES)?;
        let deletes = |write: &FhirWrite| matches!(write.act, FhirAct::Delete { .. });
        if input.writes.iter().any(deletes) {
            input.asker.caller.needs("deleting a resource", &DELETERS)?;
        }
        self.own_staff(&input.asker.caller)?;
        self.in_service()?;
        for write in &input.writes {
            writable(write)?;
            // What an update comes to is known when it is planned.
            if let Some(action) = write.act.action() {
                self.house_lets(&input.asker.caller, action, &write.kind)?;
            }
        }
        let limit = self.limits.bundle_entries;
        if input.writes.len() > limit {
            return Err(Error::invalid(
                "FHIR Bundle",
                "Bundle.entry",
                format!("{} entries; the limit is {limit}", input.writes.len()),
            ));
        }
        let size_bytes: usize = input
            .writes
            .iter()
            .map(|write| write.act.size_bytes())
            .sum();
        let bytes_max = self.limits.payload_bytes;
        if size_bytes > bytes_max {
            return Err(crate::record::deposit::too_large(
                "the resources",
                size_bytes,
                bytes_max,
            ));
        }
        let (written, plan, marks) = self.fhir_put(&input).await?;
        self.identity_settle(&marks).await;
        self.waited(&input, &plan).await?;
        Ok(written)
    }

    /// Plans a transaction and puts it in, with what is to be compared afterwards.
    async fn fhir_put(
        &self,
        input: &FhirTransact,
    ) -> Result<(Vec<FhirWritten>, Plan, Vec<Mark>), Error> {
        // From looking for what a client named until it is written, nobody else writes by such a name.
        let mut by_name = false;
        for write in &input.writes {
            by_name = by_name || self.is_by_name(write).await?;
        }
        let _turn = match by_name {
            true => Some(self.fhir_turn.lock().await),
            false => None,
        };
        let provenance = Provenance {
            source: input.source.clone(),
            note: String::new(),
        };
        let provenance = origin(&input.asker.caller, &provenance)?;
        for attempt in 1.. {
            let (mut plan, _) = settled!(self, &input.asker, "fhir-match", |reading| {
                self.fhir_plan(reading, input).await
            })?;
            self.writable(input, &plan).await?;
            match self.put_planned(input, &mut plan, &provenance).await {
                // Somebody else was faster: unless a version was named, this goes on top of it.
                Err(Error::Conflict(crate::Conflict::Version { .. }))
                    if plan.rebases && attempt < REBASES => {}
                Err(error) => return Err(error),
                Ok((written, marks)) => return Ok((written, plan, marks)),
            }
        }
        Err(Error::Internal("a transaction that was tried too often"))
    }

    /// Whether a write is about a resource by something that its client chose.
    async fn is_by_name(&self, write: &FhirWrite) -> Result<bool, Error> {
        if write.act.may_search() {
            return Ok(true);
        }
        Ok(match &write.act {
            FhirAct::Create { if_none_exist, .. } => if_none_exist.is_some(),
            FhirAct::Update { target, .. }
            | FhirAct::Patch { target, .. }
            | FhirAct::Delete { target, .. } => match target {
                FhirTarget::Matching(_) => true,
                // What is there is there: its versions are expected. What is not may be made under this id.
                FhirTarget::Id(id) => self.fhir_place(&write.kind, id).await?.is_none(),
            },
        })
    }

    /// Whether the caller may put anything into these compartments.
    async fn writable(&self, input: &FhirTransact, plan: &Plan) -> Result<(), Error> {
        let caller = &input.asker.caller;
        for planned in &plan.writes {
            if let Planned::Put { draft, outcome, .. } = planned {
                self.house_lets(caller, action_of(*outcome), &draft.kind)?;
            }
        }
        let is_of_one = input.asker.is_of_one();
        if !plan.opens.is_empty() && is_of_one {
            return Err(Error::OutOfScope);
        }
        let directory = self.directory_known().await?;
        let confined = self.fhir_confined(&input.asker).await?;
        for subject in plan.subjects() {
            if plan.opens.iter().any(|open| open.state.subject == subject) {
                continue;
            }
            if directory == Some(subject) {
                if is_of_one {
                    return Err(Error::OutOfScope);
                }
                continue;
            }
            if confined.is_some_and(|own| own != subject) {
                return Err(Error::OutOfScope);
            }
            caller.reaches(&subject)?;
            self.still_controls(caller, &subject).await?;
            if self.standing(&subject).await?.facts.closed {
                return Err(Error::SubjectClosed);
            }
            if plan.matched.contains(&subject) {
                self.act_log(caller, &subject, Purpose::Patadmin, "fhir-match")
                    .await?;
            }
        }
        Ok(())
    }

    /// Puts a plan in, all or nothing.
    async fn put_planned(
        &self,
        input: &FhirTransact,
        plan: &mut Plan,
        provenance: &Zeroizing<Vec<u8>>,
    ) -> Result<(Vec<FhirWritten>, Vec<Mark>), Error> {
        let now = self.now();
        let is_own = input.asker.caller.is_bound() || input.asker.patient.is_some();
        let mut puts: BTreeMap<SubjectId, Vec<NewRecord>> = BTreeMap::new();
        let mut written = Vec::with_capacity(plan.writes.len());
        for planned in &mut plan.writes {
            let (subject, draft, outcome) = match planned {
                Planned::Done(done) => {
                    written.push(done.clone());
                    continue;
                }
                Planned::Put {
                    subject,
                    draft,
                    outcome,
                } => (*subject, draft, *outcome),
            };
            let new = self.version(&subject, draft, provenance, now).await?;
            let is_deletion = outcome == FhirOutcome::Deleted;
            let content = (!is_deletion).then(|| Content::from(new.stored_form.clone()));
            written.push(FhirWritten {
                outcome,
                resource: Some(FhirResource {
                    kind: draft.kind.clone(),
                    id: draft.id.clone().unwrap_or_else(|| new.record.to_string()),
                    version: new.expect_version.saturating_add(1),
                    updated_ms: now.get(),
                    content,
                    is_subset: false,
                }),
            });
            puts.entry(subject).or_default().push(new);
        }
        if puts.is_empty() {
            return Ok((written, Vec::new()));
        }
        if is_own {
            for (subject, records) in &puts {
                self.identifiers_kept(subject, records).await?;
            }
        }
        let puts = puts.into_iter().map(|(subject, records)| RecordPut {
            subject,
            client: None,
            records,
        });
        let puts: Vec<RecordPut> = puts.collect();
        let marks: Vec<Mark> = puts
            .iter()
            .flat_map(|put| self.identity_marks(&put.subject, &put.records, now))
            .collect();
        let noted = puts
            .iter()
            .map(|put| (&put.subject, put.records.as_slice()));
        let noted = self.subscriptions_note(noted);
        let transaction = Transaction {
            opens: plan.opens.clone(),
            puts,
            rows: marks
                .iter()
                .map(Mark::row)
                .chain(noted.rows.clone())
                .collect(),
            notes: noted.notes.clone(),
        };
        for put in &transaction.puts {
            crate::record::deposit::check_size(&put.records)?;
        }
        let answers = self
            .vault
            .transact(&transaction, now, &mut self.ambient.entropy())
            .await?;
        plan.put = transaction
            .puts
            .iter()
            .zip(answers)
            .flat_map(|(put, answers)| answers.into_iter().map(|answer| (put.subject, answer)))
            .collect();
        self.subscriptions_noted(&noted);
        self.counters.deposits.up();
        self.wakes.records.wake();
        if !plan.opens.is_empty() {
            self.wakes.courier.wake();
            for _ in &plan.opens {
                self.counters.subjects_opened.up();
            }
        }
        Ok((written, marks))
    }

    /// Waits for finality, as long as the caller wants: of all subjects at once.
    async fn waited(&self, input: &FhirTransact, plan: &Plan) -> Result<(), Error> {
        if matches!(input.wait, Wait::Durable) {
            return Ok(());
        }
        let mut puts: BTreeMap<SubjectId, Vec<PutRecord>> = BTreeMap::new();
        for (subject, record) in &plan.put {
            puts.entry(*subject).or_default().push(record.clone());
        }
        let waits = puts
            .iter()
            .map(|(subject, records)| self.deposit_wait(subject, records, input.wait));
        futures::future::try_join_all(waits).await?;
        Ok(())
    }
}

/// As the institution's policy calls what became of a write.
fn action_of(outcome: FhirOutcome) -> Action {
    match outcome {
        FhirOutcome::Created => Action::Create,
        FhirOutcome::Updated | FhirOutcome::Unchanged => Action::Update,
        FhirOutcome::Deleted => Action::Delete,
    }
}

impl FhirAct {
    /// As the institution's policy calls it; none if that depends on what is there.
    pub(crate) fn action(&self) -> Option<Action> {
        match self {
            Self::Create { .. } => Some(Action::Create),
            Self::Update { .. } => None,
            Self::Patch { .. } => Some(Action::Update),
            Self::Delete { .. } => Some(Action::Delete),
        }
    }

    /// Whether a reference in it may be a search. By its text alone, and so perhaps without need.
    fn may_search(&self) -> bool {
        let text = match self {
            Self::Create { content, .. } | Self::Update { content, .. } => content.as_bytes(),
            Self::Patch { operations, .. } => operations.as_bytes(),
            Self::Delete { .. } => return false,
        };
        let is_type = |at: usize| {
            let before = text.get(..at).unwrap_or_default();
            let letters = before
                .iter()
                .rev()
                .take_while(|byte| byte.is_ascii_alphabetic());
            let name = before.get(before.len() - letters.count()..);
            name.and_then(|name| std::str::from_utf8(name).ok())
                .is_some_and(::fhir::is_resource_type)
        };
        text.iter().enumerate().any(|(at, byte)| match byte {
            b'?' => is_type(at),
            // Letters may be written as their numbers.
            b'\\' => text
                .get(at..)
                .is_some_and(|rest| rest.starts_with(br"\u00")),
            _ => false,
        })
    }

    pub(crate) fn is_deletion(&self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Create { content, .. } | Self::Update { content, .. } => content.len(),
            Self::Patch { operations, .. } => operations.len(),
            Self::Delete { .. } => 0,
        }
    }
}
