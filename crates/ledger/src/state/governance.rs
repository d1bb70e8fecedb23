//! Proposals, votes and their effect.
//!
//! At an epoch's last block, votes are counted: a proposal passes with the approval of at least two
//! thirds of the members. Of the passed changes of validators the oldest is made then and there,
//! for the next epoch, whose validators the block's header names; the others wait for the epoch
//! after. All other passed changes take effect before the entries of the next epoch's first block,
//! each only if it still can be made.

use super::execute::Work;
use super::leaf::{
    Agenda, Ballot, InstitutionLeaf, KeyLeaf, ProposalLeaf, Roster, ValidatorHistory,
};
use super::rules::{key_is_used, member_signs, verify};
use super::{ChangeFault, Refusal, StateKey};
use crate::entry::{
    Change, InstitutionPropose, InstitutionVote, KeyId, Rotation, SetValidator, SignedEntry,
    candidate_verify, governance_verify,
};
use crate::genesis::{Institution, Kind, Parameters, Validators, name_is_valid, operators_are_few};
use codec::{EntryId, InstitutionId};
use keys::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// Most proposals that are open at once.
const OPEN_LIMIT: usize = 64;

/// Most epochs that a proposal may stay open.
const OPEN_EPOCHS_LIMIT: u64 = 10_000;

pub(super) fn propose(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &InstitutionPropose,
) -> Result<(), Refusal> {
    let terms = &entry.terms;
    let key = member_signs(work, signed, &terms.institution)?;
    let mut agenda: Agenda = work.whole(&StateKey::Agenda);
    if agenda.open.len() >= OPEN_LIMIT {
        return Err(Refusal::TooManyProposals(OPEN_LIMIT));
    }
    let epoch = work.epoch();
    let latest = epoch.saturating_add(OPEN_EPOCHS_LIMIT);
    if !(epoch..=latest).contains(&terms.expires_epoch) {
        return Err(Refusal::ProposalExpiry(terms.expires_epoch));
    }
    check(work, &terms.institution, &terms.change).map_err(Refusal::Change)?;
    let id = signed.entry_id();
    verify(signed, &key)?;
    governance_signs(work, &terms.institution, &id, &entry.governance_signature)?;
    let candidate_holds = match (terms.change.candidate_keys(), &entry.candidate) {
        (None, None) => true,
        (Some(keys), Some(candidate)) => candidate_verify(&id, keys, candidate),
        _ => false,
    };
    if !candidate_holds {
        return Err(Refusal::InnerSignature("new keys"));
    }
    let ballot = Ballot {
        opened: work.height,
        expires_epoch: terms.expires_epoch,
        approve: BTreeSet::from([terms.institution]),
        reject: BTreeSet::new(),
    };
    agenda.open.insert(id, ballot);
    work.put(StateKey::Agenda, &agenda);
    let leaf = ProposalLeaf {
        institution: terms.institution,
        change: terms.change.clone(),
    };
    work.put(StateKey::Proposal(id), &leaf);
    Ok(())
}

pub(super) fn vote(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &InstitutionVote,
) -> Result<(), Refusal> {
    let terms = &entry.terms;
    let key = member_signs(work, signed, &terms.institution)?;
    let mut agenda: Agenda = work.whole(&StateKey::Agenda);
    let ballot = agenda
        .open
        .get_mut(&terms.proposal)
        .ok_or(Refusal::UnknownProposal(terms.proposal))?;
    let (to, from) = if terms.approve {
        (&mut ballot.approve, &mut ballot.reject)
    } else {
        (&mut ballot.reject, &mut ballot.approve)
    };
    if !to.insert(terms.institution) {
        return Err(Refusal::AlreadyVoted(terms.proposal));
    }
    from.remove(&terms.institution);
    verify(signed, &key)?;
    let id = signed.entry_id();
    governance_signs(work, &terms.institution, &id, &entry.governance_signature)?;
    work.put(StateKey::Agenda, &agenda);
    Ok(())
}

/// Counts votes at an epoch's last block.
pub(super) fn decide(work: &mut Work<'_>) {
    let epoch = work.epoch();
    let roster: Roster = work.whole(&StateKey::Roster);
    let mut agenda: Agenda = work.whole(&StateKey::Agenda);
    let mut order: Vec<_> = agenda.open.iter().map(|(id, b)| (b.opened, *id)).collect();
    order.sort_unstable();
    let mut validators_changed = false;
    for (_, id) in order {
        let Some(ballot) = agenda.open.get(&id) else {
            continue;
        };
        let proposal: Option<ProposalLeaf> = work.read(&StateKey::Proposal(id));
        let change = proposal.map(|proposal| proposal.change);
        let passes = passes(ballot, &roster);
        let expires = ballot.expires_epoch <= epoch;
        match change {
            Some(Change::SetValidator(set)) if passes => {
                if validators_changed && !expires {
                    continue;
                }
                if !validators_changed && check_validator(work, &set).is_ok() {
                    set_validator(work, epoch.saturating_add(1), &set);
                    validators_changed = true;
                }
                close(work, &mut agenda, id);
            }
            Some(_) if passes => {
                agenda.open.remove(&id);
                agenda.passed.push(id);
            }
            _ if expires => close(work, &mut agenda, id),
            _ => {}
        }
    }
    work.put(StateKey::Agenda, &agenda);
}

/// Makes the changes that passed at the end of the epoch before.
pub(super) fn take_effect(work: &mut Work<'_>) {
    let mut agenda: Agenda = work.whole(&StateKey::Agenda);
    for id in std::mem::take(&mut agenda.passed) {
        let at = StateKey::Proposal(id);
        if let Some(ProposalLeaf {
            institution,
            change,
        }) = work.read(&at)
            && check(work, &institution, &change).is_ok()
        {
            make(work, &institution, change);
        }
        work.remove(at);
    }
    work.put(StateKey::Agenda, &agenda);
}

/// Whether at least two thirds of the members approve.
fn passes(ballot: &Ballot, roster: &Roster) -> bool {
    let approve = ballot
        .approve
        .iter()
        .filter(|id| roster.members.contains_key(id))
        .count();
    approve * 3 >= roster.members.len() * 2
}

fn close(work: &mut Work<'_>, agenda: &mut Agenda, id: EntryId) {
    agenda.open.remove(&id);
    work.remove(StateKey::Proposal(id));
}

/// Whether a change could be made now.
fn check(work: &Work<'_>, proposer: &InstitutionId, change: &Change) -> Result<(), ChangeFault> {
    match change {
        Change::Admit(institution) => check_admission(work, institution),
        Change::Retire(id) => check_retirement(work, id),
        Change::Rotate(rotation) => check_rotation(work, proposer, rotation),
        Change::SetValidator(set) => check_validator(work, set),
        Change::SetParameters(new) => check_parameters(&work.parameters, new),
    }
}

fn check_admission(work: &Work<'_>, institution: &Institution) -> Result<(), ChangeFault> {
    let mut roster: Roster = work.whole(&StateKey::Roster);
    if !name_is_valid(&institution.name) {
        return Err(ChangeFault::Name);
    }
    check_new_key(work, &institution.signing)?;
    let already = roster.members.insert(institution.id, institution.kind);
    if already.is_some() {
        return Err(ChangeFault::Member);
    }
    few_operators(&roster.members)
}

fn check_retirement(work: &Work<'_>, id: &InstitutionId) -> Result<(), ChangeFault> {
    let mut roster: Roster = work.whole(&StateKey::Roster);
    roster.members.remove(id).ok_or(ChangeFault::NotMember)?;
    if latest_validators(work).by_institution().contains_key(id) {
        return Err(ChangeFault::Validator);
    }
    if roster.members.is_empty() {
        return Err(ChangeFault::Last);
    }
    few_operators(&roster.members)
}

/// Any of the keys may stay as it is, but not all of them.
fn check_rotation(
    work: &Work<'_>,
    id: &InstitutionId,
    rotation: &Rotation,
) -> Result<(), ChangeFault> {
    member(work, id)?;
    let leaf: Option<InstitutionLeaf> = work.read(&StateKey::Institution(*id));
    let now = leaf.ok_or(ChangeFault::NotMember)?.institution;
    if rotation.signing != now.signing {
        return check_new_key(work, &rotation.signing);
    }
    if rotation.governance == now.governance && rotation.sealing == now.sealing {
        return Err(ChangeFault::Nothing);
    }
    Ok(())
}

fn check_validator(work: &Work<'_>, set: &SetValidator) -> Result<(), ChangeFault> {
    member(work, &set.institution)?;
    let now = latest_validators(work);
    let key = set.key.map(|claim| claim.key);
    if now.by_institution().get(&set.institution) == key.as_ref() {
        return Err(match key {
            Some(_) => ChangeFault::Nothing,
            None => ChangeFault::NotValidator,
        });
    }
    if key.is_some_and(|key| !key.is_point()) {
        return Err(ChangeFault::NotAKey);
    }
    let next = now.with(set.institution, key);
    if next.is_empty() {
        return Err(ChangeFault::Last);
    }
    if !next.keys_are_distinct() {
        return Err(ChangeFault::KeyUsed);
    }
    let roster: Roster = work.whole(&StateKey::Roster);
    let ids = next.by_institution().keys();
    let kinds = ids.map(|id| (*id, roster.members.get(id).copied()));
    let kinds = kinds.filter_map(|(id, kind)| kind.map(|kind| (id, kind)));
    few_operators(&kinds.collect())?;
    let network = work.view.network();
    set.key.map_or(Ok(()), |claim| {
        let verdict = claim.verify(&network, &set.institution);
        verdict.map_err(|_| ChangeFault::Claim)
    })
}

fn check_parameters(old: &Parameters, new: &Parameters) -> Result<(), ChangeFault> {
    let fixed = new.epoch_blocks == old.epoch_blocks
        && new.disclosure_period_ms == old.disclosure_period_ms;
    if !fixed || new.check().is_err() {
        return Err(ChangeFault::Parameters);
    }
    if new == old {
        return Err(ChangeFault::Nothing);
    }
    Ok(())
}

fn check_new_key(work: &Work<'_>, key: &PublicKey) -> Result<(), ChangeFault> {
    if !key.is_point() {
        return Err(ChangeFault::NotAKey);
    }
    if key_is_used(work, key) {
        return Err(ChangeFault::KeyUsed);
    }
    Ok(())
}

fn member(work: &Work<'_>, id: &InstitutionId) -> Result<Kind, ChangeFault> {
    let roster: Roster = work.whole(&StateKey::Roster);
    roster
        .members
        .get(id)
        .copied()
        .ok_or(ChangeFault::NotMember)
}

fn few_operators(kinds: &BTreeMap<InstitutionId, Kind>) -> Result<(), ChangeFault> {
    if operators_are_few(kinds.values().copied()) {
        Ok(())
    } else {
        Err(ChangeFault::Operators)
    }
}

/// The latest validators that were decided.
fn latest_validators(work: &Work<'_>) -> Validators {
    let history: ValidatorHistory = work.whole(&StateKey::Validators);
    history.at(u64::MAX).cloned().unwrap_or_default()
}

/// Makes a change that was checked.
fn make(work: &mut Work<'_>, proposer: &InstitutionId, change: Change) {
    match change {
        Change::Admit(institution) => admit(work, *institution),
        Change::Retire(id) => retire(work, &id),
        Change::Rotate(rotation) => rotate(work, proposer, *rotation),
        Change::SetValidator(_) => {}
        Change::SetParameters(new) => {
            work.put(StateKey::Parameters, &new);
            work.parameters = new;
        }
    }
}

fn admit(work: &mut Work<'_>, institution: Institution) {
    let mut roster: Roster = work.whole(&StateKey::Roster);
    roster.members.insert(institution.id, institution.kind);
    work.put(StateKey::Roster, &roster);
    key_begins(work, institution.id, institution.signing);
    let leaf = InstitutionLeaf {
        since: work.height,
        retired: None,
        institution,
    };
    work.put(StateKey::Institution(leaf.institution.id), &leaf);
}

fn retire(work: &mut Work<'_>, id: &InstitutionId) {
    let mut roster: Roster = work.whole(&StateKey::Roster);
    roster.members.remove(id);
    work.put(StateKey::Roster, &roster);
    let at = StateKey::Institution(*id);
    if let Some(mut leaf) = work.read::<InstitutionLeaf>(&at) {
        key_ends(work, &leaf.institution.signing);
        leaf.retired = Some(work.height);
        work.put(at, &leaf);
    }
}

fn rotate(work: &mut Work<'_>, id: &InstitutionId, rotation: Rotation) {
    let at = StateKey::Institution(*id);
    if let Some(mut leaf) = work.read::<InstitutionLeaf>(&at) {
        if leaf.institution.signing != rotation.signing {
            key_ends(work, &leaf.institution.signing);
            key_begins(work, *id, rotation.signing);
        }
        leaf.institution.signing = rotation.signing;
        leaf.institution.governance = rotation.governance;
        leaf.institution.sealing = rotation.sealing;
        work.put(at, &leaf);
    }
}

fn set_validator(work: &mut Work<'_>, epoch: u64, set: &SetValidator) {
    let mut history: ValidatorHistory = work.whole(&StateKey::Validators);
    let key = set.key.map(|claim| claim.key);
    let next = latest_validators(work).with(set.institution, key);
    history.since.insert(epoch, next);
    work.put(StateKey::Validators, &history);
}

fn key_begins(work: &mut Work<'_>, institution: InstitutionId, key: PublicKey) {
    let leaf = KeyLeaf {
        institution,
        key,
        since: work.height,
        until: None,
    };
    work.put(StateKey::InstitutionKey(KeyId::of(&key)), &leaf);
}

fn key_ends(work: &mut Work<'_>, key: &PublicKey) {
    let at = StateKey::InstitutionKey(KeyId::of(key));
    if let Some(mut leaf) = work.read::<KeyLeaf>(&at) {
        leaf.until = Some(work.height);
        work.put(at, &leaf);
    }
}

/// The member's ML-DSA signature.
fn governance_signs(
    work: &Work<'_>,
    id: &InstitutionId,
    entry: &EntryId,
    signature: &keys::PqSignature,
) -> Result<(), Refusal> {
    let leaf: InstitutionLeaf = work
        .read(&StateKey::Institution(*id))
        .ok_or(Refusal::UnknownSigner)?;
    if governance_verify(entry, &leaf.institution.governance, signature) {
        Ok(())
    } else {
        Err(Refusal::InnerSignature("member's governance key"))
    }
}
