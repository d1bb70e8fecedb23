//! Disclosure proofs: what a custodian disclosed of a subject in a period, or that it was nothing.
//!
//! The chain: subject's key for the period -> map -> signed entry -> custodian's key in the state
//! -> log -> header -> certificate -> epoch boundaries -> genesis. Only the custodian and the
//! subject can compute the key; whoever checks the proof takes it from one of them.

use crate::batch::{Lookup, PeriodValue};
use crate::entry::Entry;
use crate::finality::{Anchor, BrokenLink, CertificateCheck};
use crate::genesis::Genesis;
use crate::receipt::LoggedEntry;
use codec::{Digest, EntryId, InstitutionId, record};

record! {
    /// Proof of a subject's disclosures in a period, or of their absence.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DisclosureProof {
        /// The subject's key for the period.
        1 => pub key: Digest,
        /// What the period's map says about it.
        2 => pub lookup: Lookup,
        /// The period's entry in the log.
        3 => pub logged: LoggedEntry,
    }
}

/// What a verified disclosure proof says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosed {
    /// Who logged the disclosures.
    pub custodian: InstitutionId,
    /// The subject's key for the period, to be compared with the subject's own computation.
    pub key: Digest,
    /// Number of the period: Unix time divided by the network's period length.
    pub period: u64,
    /// First millisecond of the period.
    pub from_ms: u64,
    /// First millisecond after the period.
    pub until_ms: u64,
    /// The salted root over the disclosures and their number; none if there were none.
    pub value: Option<PeriodValue>,
    /// The period's entry.
    pub entry: EntryId,
    /// The entry was final no later than at this height,
    pub height: u64,
    /// and this time, in Unix milliseconds.
    pub time_ms: u64,
}

/// Checks a disclosure proof against a genesis.
///
/// # Errors
/// The first broken link.
pub fn verify(
    proof: &DisclosureProof,
    genesis: &Genesis,
    check: &dyn CertificateCheck,
) -> Result<Disclosed, BrokenLink> {
    verify_from(proof, &Anchor::genesis(genesis), check)
}

/// Checks a disclosure proof against validators that are trusted already.
///
/// # Errors
/// The first broken link.
pub fn verify_from(
    proof: &DisclosureProof,
    anchor: &Anchor,
    check: &dyn CertificateCheck,
) -> Result<Disclosed, BrokenLink> {
    let signed = proof.logged.decode(anchor)?;
    let Entry::DisclosurePeriod(entry) = signed.entry() else {
        return Err(BrokenLink::Entry);
    };
    let value = proof
        .lookup
        .verify(&proof.key, &entry.root)
        .ok_or(BrokenLink::Map)?;
    let header = proof
        .logged
        .verify(&signed, &entry.custodian, anchor, check)?;
    let length_ms = anchor.parameters().disclosure_period_ms;
    let from_ms = entry.period.saturating_mul(length_ms);
    Ok(Disclosed {
        custodian: entry.custodian,
        key: proof.key,
        period: entry.period,
        from_ms,
        until_ms: from_ms.saturating_add(length_ms),
        value,
        entry: signed.entry_id(),
        height: header.height,
        time_ms: header.time_ms,
    })
}

impl DisclosureProof {
    /// Reads a proof; every proof has exactly one encoding.
    ///
    /// # Errors
    /// [`BrokenLink::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenLink> {
        codec::from_slice(bytes).map_err(|_| BrokenLink::Malformed)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }
}
