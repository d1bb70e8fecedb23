//! The rules of each entry type: who may sign it, when, and what it changes.
//!
//! Cheap rules come before signatures, so that refusing costs little.

use super::execute::Work;
use super::leaf::{DeviceLeaf, InstitutionLeaf, KeyLeaf, PeriodLeaf, ReleaseLeaf, StudyLeaf};
use super::{Refusal, Roster, StateKey, governance, subject};
use crate::entry::{
    DeviceEnrol, DeviceRevoke, DisclosurePeriod, Entry, KeyId, RecordBatch, SignedEntry, StudyOpen,
    StudyRelease,
};
use crate::genesis::Kind;
use crate::header::AHEAD_LIMIT_MS;
use codec::InstitutionId;
use keys::PublicKey;

/// Judges an entry and writes what it changes.
pub(super) fn apply(work: &mut Work<'_>, signed: &SignedEntry) -> Result<(), Refusal> {
    match signed.entry() {
        Entry::InstitutionPropose(e) => governance::propose(work, signed, e),
        Entry::InstitutionVote(e) => governance::vote(work, signed, e),
        Entry::SubjectOpen(e) => subject::open(work, signed, e),
        Entry::SubjectUpdate(e) => subject::update(work, signed, e),
        Entry::SubjectRecover(e) => subject::recover(work, signed, e),
        Entry::SubjectClose(e) => subject::close(work, signed, e),
        Entry::RecordBatch(e) => record_batch(work, signed, e),
        Entry::DisclosurePeriod(e) => disclosure_period(work, signed, e),
        Entry::DeviceEnrol(e) => device_enrol(work, signed, e),
        Entry::DeviceRevoke(e) => device_revoke(work, signed, e),
        Entry::StudyOpen(e) => study_open(work, signed, e),
        Entry::StudyRelease(e) => study_release(work, signed, e),
    }
}

fn record_batch(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &RecordBatch,
) -> Result<(), Refusal> {
    let key = custodian_signs(work, signed, &entry.custodian)?;
    verify(signed, &key)
}

fn disclosure_period(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &DisclosurePeriod,
) -> Result<(), Refusal> {
    let key = custodian_signs(work, signed, &entry.custodian)?;
    let found = entry.period;
    let current = work
        .parameters
        .period_at(work.time_ms.saturating_add(AHEAD_LIMIT_MS));
    if found > current {
        return Err(Refusal::PeriodAhead { current, found });
    }
    let at = StateKey::Period(entry.custodian);
    if let Some(last) = work.read::<PeriodLeaf>(&at) {
        let expected = last.period.saturating_add(1);
        if found != expected {
            return Err(Refusal::Period { expected, found });
        }
    }
    verify(signed, &key)?;
    let leaf = PeriodLeaf {
        period: entry.period,
        root: entry.root,
    };
    work.put(at, &leaf);
    Ok(())
}

fn device_enrol(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &DeviceEnrol,
) -> Result<(), Refusal> {
    let key = member_signs(work, signed, &entry.institution)?;
    let at = StateKey::Device((entry.institution, entry.device));
    if work.read::<DeviceLeaf>(&at).is_some() {
        return Err(Refusal::DeviceExists);
    }
    verify(signed, &key)?;
    let leaf = DeviceLeaf {
        key: entry.key,
        commitment: entry.commitment,
        revoked: None,
    };
    work.put(at, &leaf);
    Ok(())
}

fn device_revoke(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &DeviceRevoke,
) -> Result<(), Refusal> {
    let key = member_signs(work, signed, &entry.institution)?;
    let at = StateKey::Device((entry.institution, entry.device));
    let mut leaf: DeviceLeaf = work.read(&at).ok_or(Refusal::UnknownDevice)?;
    if leaf.revoked.is_some() {
        return Err(Refusal::DeviceRevoked);
    }
    verify(signed, &key)?;
    leaf.revoked = Some(work.height);
    work.put(at, &leaf);
    Ok(())
}

fn study_open(work: &mut Work<'_>, signed: &SignedEntry, entry: &StudyOpen) -> Result<(), Refusal> {
    let key = member_signs(work, signed, &entry.institution)?;
    let at = StateKey::Study(entry.study);
    if work.read::<StudyLeaf>(&at).is_some() {
        return Err(Refusal::StudyExists);
    }
    verify(signed, &key)?;
    let leaf = StudyLeaf {
        institution: entry.institution,
        policy: entry.policy,
        releases: 0,
    };
    work.put(at, &leaf);
    Ok(())
}

fn study_release(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &StudyRelease,
) -> Result<(), Refusal> {
    let key = member_signs(work, signed, &entry.institution)?;
    let at = StateKey::Study(entry.study);
    let mut study: StudyLeaf = work.read(&at).ok_or(Refusal::UnknownStudy)?;
    if study.institution != entry.institution {
        return Err(Refusal::NotEntitled);
    }
    verify(signed, &key)?;
    let release = ReleaseLeaf {
        content: entry.content,
        certificate: entry.certificate,
        height: work.height,
    };
    work.put(StateKey::Release((entry.study, study.releases)), &release);
    study.releases = study.releases.saturating_add(1);
    work.put(at, &study);
    Ok(())
}

/// The current key of member `id`, if the entry names it as its signer.
pub(super) fn member_signs(
    work: &Work<'_>,
    signed: &SignedEntry,
    id: &InstitutionId,
) -> Result<PublicKey, Refusal> {
    let signer = signed.header().signer;
    let leaf: KeyLeaf = work
        .read(&StateKey::InstitutionKey(signer))
        .ok_or(Refusal::UnknownSigner)?;
    if leaf.institution != *id {
        return Err(Refusal::NotEntitled);
    }
    if leaf.until.is_some() {
        return Err(Refusal::RetiredKey);
    }
    Ok(leaf.key)
}

/// The current key of custodian `id`, if the entry names it as its signer.
pub(super) fn custodian_signs(
    work: &Work<'_>,
    signed: &SignedEntry,
    id: &InstitutionId,
) -> Result<PublicKey, Refusal> {
    let key = member_signs(work, signed, id)?;
    custodian_is_member(work, id)?;
    Ok(key)
}

/// Whether `id` is a member that may hold data.
pub(super) fn custodian_is_member(work: &Work<'_>, id: &InstitutionId) -> Result<(), Refusal> {
    let roster: Roster = work.whole(&StateKey::Roster);
    match roster.members.get(id) {
        None => Err(Refusal::UnknownCustodian),
        Some(Kind::Operator) => Err(Refusal::Operator),
        Some(_) => Ok(()),
    }
}

/// A member's current key.
pub(super) fn member_key(work: &Work<'_>, id: &InstitutionId) -> Option<PublicKey> {
    let leaf: InstitutionLeaf = work.read(&StateKey::Institution(*id))?;
    leaf.retired.is_none().then_some(leaf.institution.signing)
}

/// Whether the key is one that an institution uses or used.
pub(super) fn key_is_used(work: &Work<'_>, key: &PublicKey) -> bool {
    let at = StateKey::InstitutionKey(KeyId::of(key));
    work.read::<KeyLeaf>(&at).is_some()
}

/// The outer signature.
pub(super) fn verify(signed: &SignedEntry, key: &PublicKey) -> Result<(), Refusal> {
    signed.verify(key).map_err(Refusal::Signature)
}
