//! Depositing records: authorise the source, validate, form, put durably, answer.

use super::form::{Draft, Target, drafts, payload_digest};
use super::{Deposited, DepositedRecord, Provenance, Submission};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use crate::fhir::{CONSENT, SUBSCRIPTION};
use crate::subject::open::client_key;
use crate::subject::{Finality, Wait};
use codec::id::RecordId;
use codec::record;
use codec::time::Millis;
use consent::{Actor, RecordKind, Role};
use institution_policy::Action;
use keys::Zeroizing;
use std::collections::BTreeSet;
use store::Store;
use vault::{ClientKey, CommitmentState, NewRecord, PUT_MAX_BYTES, Put, PutRecord, RecordPut};

/// Who may put records in.
pub(crate) const SOURCES: [Role; 8] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Laboratory,
    Role::Device,
    Role::Desk,
    Role::Controller,
];

record! {
    /// Where a record came from, as it is kept with it.
    pub(crate) struct Origin {
        1 => pub(crate) actor: Actor,
        2 => pub(crate) source: String,
        3 => pub(crate) note: String,
    }
}

/// Longest source and note of a provenance, in bytes.
const PROVENANCE_MAX_BYTES: usize = 4_096;
/// How often a version that did not say what it builds on is put on top of a newer one.
pub(crate) const REBASES: usize = 4;

impl<S: Store> Custodian<S> {
    pub(crate) async fn record_deposit(&self, input: Submission) -> Result<Deposited, Error> {
        input.caller.needs("depositing a record", &SOURCES)?;
        input.caller.reaches(&input.subject)?;
        self.own_staff(&input.caller)?;
        self.still_controls(&input.caller, &input.subject).await?;
        self.in_service()?;
        let standing = self.standing(&input.subject).await?;
        if standing.facts.closed {
            return Err(Error::SubjectClosed);
        }
        let size_bytes = input.payload.size_bytes();
        if size_bytes > self.limits.payload_bytes {
            return Err(too_large(
                "a payload",
                size_bytes,
                self.limits.payload_bytes,
            ));
        }
        let client = match input.client_key.as_deref() {
            Some(key) => {
                let received = payload_digest(&input.payload);
                client_key(Some(key), b"deposit", received.as_bytes())?
            }
            None => None,
        };
        let provenance = origin(&input.caller, &input.provenance)?;
        let target = Target {
            record: input.record,
            expect_version: input.expect_version,
            bundle_entries_max: self.limits.bundle_entries.min(vault::PUT_MAX_RECORDS),
        };
        let mut entropy = self.ambient.entropy();
        let mut drafts = drafts(input.payload, &target, || {
            self.vault.record_id(&input.subject, &mut entropy)
        })?;
        if drafts.iter().any(|draft| draft.kind == CONSENT) {
            return Err(Error::invalid(
                "FHIR Consent",
                "Consent",
                "consent is not deposited as a document: send it to /fhir/Consent, or change it at /v1",
            ));
        }
        if drafts.iter().any(|draft| draft.kind == SUBSCRIPTION) {
            return Err(Error::invalid(
                "FHIR Subscription",
                "Subscription",
                "a Subscription is about no subject: send it to /fhir/Subscription",
            ));
        }
        let distinct: BTreeSet<RecordId> = drafts.iter().map(|draft| draft.record).collect();
        if distinct.len() < drafts.len() {
            return Err(Error::invalid(
                "FHIR Bundle",
                "",
                "it writes a record twice",
            ));
        }
        for draft in &drafts {
            let action = match draft.expect_version {
                Some(0) => Action::Create,
                _ => Action::Update,
            };
            self.house_lets(&input.caller, action, &draft.kind)?;
        }
        let is_own = input.caller.is_bound();
        let put = self
            .put(&input.subject, client, &mut drafts, &provenance, is_own)
            .await?;
        if put.created {
            self.counters.deposits.up();
            self.wakes.records.wake();
        }
        let kinds = drafts.iter().map(|draft| draft.kind.as_str());
        let records = answered(&put.records, kinds, put.created)?;
        Ok(Deposited {
            finality: self
                .deposit_wait(&input.subject, &put.records, input.wait)
                .await?,
            records,
        })
    }

    /// Puts the drafts in: all or none. `is_own`: for somebody who may not change identifiers.
    async fn put(
        &self,
        subject: &codec::SubjectId,
        client: Option<ClientKey>,
        drafts: &mut [Draft],
        provenance: &Zeroizing<Vec<u8>>,
        is_own: bool,
    ) -> Result<Put, Error> {
        let rebase = drafts.iter().any(|draft| draft.expect_version.is_none());
        let now = self.now();
        let mut records = Vec::with_capacity(drafts.len());
        for draft in drafts.iter_mut() {
            records.push(self.version(subject, draft, provenance, now).await?);
        }
        let mut put = RecordPut {
            subject: *subject,
            client,
            records,
        };
        if is_own {
            self.identifiers_kept(subject, &put.records).await?;
        }
        // A crash after the put does not forget what is to be compared; one before it marks nothing.
        let marks = self.identity_marks(subject, &put.records, now);
        for mark in &marks {
            self.identity_mark(mark).await?;
        }
        // Who may not change identifiers does not build on a version that was not looked at.
        let rebase = rebase && !(is_own && put.records.iter().any(|new| new.kind == "Patient"));
        let done = self.put_rebased(&mut put, drafts, provenance, rebase, now);
        let done = done.await;
        match &done {
            Ok(_) => self.identity_settle(&marks).await,
            // Perhaps it was put in.
            Err(Error::Storage { .. } | Error::Unavailable(_) | Error::DiskFull) => {}
            Err(_) => self.identity_unmark(&marks).await,
        }
        done
    }

    /// Puts records in, those without an expected version on top of whichever is the latest.
    async fn put_rebased(
        &self,
        put: &mut RecordPut,
        drafts: &mut [Draft],
        provenance: &Zeroizing<Vec<u8>>,
        rebase: bool,
        mut now: Millis,
    ) -> Result<Put, Error> {
        let mut attempt = 0;
        loop {
            check_size(&put.records)?;
            let noted = self.subscriptions_note([(&put.subject, put.records.as_slice())]);
            let done = self
                .vault
                .record_put_with(
                    put,
                    &noted.rows,
                    &noted.notes,
                    now,
                    &mut self.ambient.entropy(),
                )
                .await;
            if done.as_ref().is_ok_and(|done| done.created) {
                self.subscriptions_noted(&noted);
            }
            match done {
                Err(vault::Error::Conflict(vault::Conflict::Version { .. }))
                    if rebase && attempt < REBASES =>
                {
                    attempt += 1;
                    now = self.now();
                    let rebased = put.records.iter_mut().zip(drafts.iter_mut());
                    for (new, draft) in rebased.filter(|(_, draft)| draft.expect_version.is_none())
                    {
                        *new = self.version(&put.subject, draft, provenance, now).await?;
                    }
                }
                done => return Ok(done?),
            }
        }
    }

    /// A draft as the version after the one it builds on.
    pub(crate) async fn version(
        &self,
        subject: &codec::SubjectId,
        draft: &mut Draft,
        provenance: &Zeroizing<Vec<u8>>,
        now: Millis,
    ) -> Result<NewRecord, Error> {
        let expect_version = match draft.expect_version {
            Some(expected) => expected,
            None => match self.vault.record_meta(subject, &draft.record, None).await {
                // The source names a record but no version: the same kind of thing, once more.
                Ok(meta) if meta.kind == draft.kind => meta.version,
                Ok(meta) => {
                    return Err(Conflict::OtherBytes {
                        record: draft.record,
                        version: meta.version,
                    }
                    .into());
                }
                Err(vault::Error::RecordUnknown(_)) => 0,
                Err(error) => return Err(error.into()),
            },
        };
        let version = expect_version.checked_add(1).ok_or(Conflict::Version {
            record: draft.record,
            version: expect_version,
        })?;
        let formed = draft.formed(version, now)?;
        Ok(NewRecord {
            record: draft.record,
            expect_version,
            kind: draft.kind.clone(),
            received: draft.received,
            media_type: formed.media_type,
            stored_form: formed.stored_form,
            projections: formed.projections,
            provenance: provenance.clone(),
            tokens: formed.tokens,
        })
    }

    pub(crate) async fn deposit_wait(
        &self,
        subject: &codec::SubjectId,
        records: &[PutRecord],
        wait: Wait,
    ) -> Result<Finality, Error> {
        // The records of a put are batched in order: the last one is final last.
        let Some(last) = records.last() else {
            return Ok(Finality::Pending);
        };
        let Wait::Final { timeout_ms } = wait else {
            return self.record_finality(subject, last).await;
        };
        let signal = self.waits.on(last.commitment);
        let now = self.record_finality(subject, last).await?;
        if now.is_final() {
            return Ok(now);
        }
        self.bounded(signal, timeout_ms).await;
        self.record_finality(subject, last).await
    }

    async fn record_finality(
        &self,
        subject: &codec::SubjectId,
        record: &PutRecord,
    ) -> Result<Finality, Error> {
        let state = self
            .vault
            .commitment_state(subject, &record.record, record.version)
            .await?;
        Ok(finality(&state))
    }
}

pub(crate) fn finality(state: &CommitmentState) -> Finality {
    match state {
        CommitmentState::Final { position, .. } => Finality::Final {
            height: position.height,
            time_ms: position.time.get(),
        },
        CommitmentState::Queued | CommitmentState::Assigned { .. } => Finality::Pending,
    }
}

/// A kind as the vault keeps it.
pub(crate) fn kind(text: &str) -> Result<RecordKind, Error> {
    RecordKind::new(text).map_err(|_| Error::Damaged("a record's kind".to_owned()))
}

fn answered<'a>(
    records: &[PutRecord],
    kinds: impl Iterator<Item = &'a str>,
    created: bool,
) -> Result<Vec<DepositedRecord>, Error> {
    let answers = records.iter().zip(kinds).map(|(put, of)| {
        Ok(DepositedRecord {
            record: put.record,
            version: put.version,
            kind: kind(of)?,
            commitment: put.commitment,
            created,
        })
    });
    answers.collect()
}

pub(crate) fn origin(
    caller: &Caller,
    provenance: &Provenance,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let size = provenance
        .source
        .len()
        .saturating_add(provenance.note.len());
    if size > PROVENANCE_MAX_BYTES {
        return Err(too_large("a provenance", size, PROVENANCE_MAX_BYTES));
    }
    Ok(Zeroizing::new(codec::to_vec(&Origin {
        actor: caller.actor.clone(),
        source: provenance.source.clone(),
        note: provenance.note.clone(),
    })))
}

pub(crate) fn check_size(records: &[NewRecord]) -> Result<(), Error> {
    let size = |new: &NewRecord| {
        let projected: usize = new.projections.iter().map(|p| p.bytes.len()).sum();
        projected.saturating_add(new.stored_form.len())
    };
    let size_bytes = records.iter().map(size).sum();
    if size_bytes > PUT_MAX_BYTES {
        return Err(too_large(
            "a deposit with its projections",
            size_bytes,
            PUT_MAX_BYTES,
        ));
    }
    Ok(())
}

pub(crate) fn too_large(what: &'static str, size_bytes: usize, limit_bytes: usize) -> Error {
    Error::TooLarge {
        what,
        size_bytes: u64::try_from(size_bytes).unwrap_or(u64::MAX),
        limit_bytes: u64::try_from(limit_bytes).unwrap_or(u64::MAX),
    }
}
