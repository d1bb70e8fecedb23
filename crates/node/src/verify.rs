//! Checking what a node hands out, offline, with nothing but the network's genesis.
//!
//! Bytes in, a verdict or one sentence that names the broken link out. Never asks a node.

use codec::id::{Digest, EntryId, InstitutionId, StudyId, SubjectId};
use codec::record;
use consensus::SimplexCertificates;
use consent::ConsentState;
use ledger::Genesis;
use ledger::disclosure::DisclosureProof;
use ledger::opening::ConsentOpening;
use ledger::receipt::Receipt;
use ledger::release::ReleaseProof;
use vault::{LoggedDisclosure, disclosures_root};

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptVerdict {
    /// The record was committed to no later than at this height.
    pub height: u64,
    /// The time of that block.
    pub time_ms: u64,
    /// Who held the record.
    pub custodian: InstitutionId,
    /// The record's commitment.
    pub commitment: Digest,
    /// The batch entry.
    pub entry: EntryId,
    /// Whether the leaf's bytes were given and fit.
    pub leaf_checked: bool,
    /// Whether the receipt opens a leaf, so that its content can be checked.
    pub leaf_opened: bool,
}

/// What a disclosure proof proves.
#[derive(Clone, PartialEq, Eq)]
pub struct DisclosureVerdict {
    /// The custodian.
    pub custodian: InstitutionId,
    /// The period.
    pub period: u64,
    /// First millisecond of the period.
    pub from_ms: u64,
    /// First millisecond after it.
    pub until_ms: u64,
    /// Disclosures and refusals in it; 0: proved absence.
    pub count: u64,
    /// The disclosures themselves: all there are, and nothing changed in them.
    pub disclosures: Vec<LoggedDisclosure>,
    /// The block's height.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
}

/// What a consent opening proves: these are all the grants on this compartment at that block.
#[derive(Clone, PartialEq, Eq)]
pub struct OpeningVerdict {
    /// The custodian.
    pub custodian: InstitutionId,
    /// The subject.
    pub subject: SubjectId,
    /// The state that was opened.
    pub state: ConsentState,
    /// The block's height.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
}

/// What a release proof proves: the study released this content under this certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseVerdict {
    /// The study.
    pub study: StudyId,
    /// Which of its releases on the ledger, from 0. Those that were refused have no place there, so that the
    /// release itself may go by a higher number.
    pub number: u64,
    /// Who runs the study and released.
    pub institution: InstitutionId,
    /// Digest of the study's policy.
    pub policy: Digest,
    /// Digest of the content: of `manifest.json`.
    pub content: Digest,
    /// Digest of the certificate.
    pub certificate: Digest,
    /// Height of the block that released it.
    pub height: u64,
    /// Proved as of a block of this time.
    pub time_ms: u64,
}

record! {
    /// A period's proof with the disclosures that its root covers.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct PeriodBundle {
        1 => pub(crate) proof: DisclosureProof,
        2 => pub(crate) disclosures: Vec<LoggedDisclosure>,
    }
}

record! {
    /// A consent opening with the state and salt that open its commitment.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct OpeningBundle {
        1 => pub(crate) opening: ConsentOpening,
        2 => pub(crate) state: ConsentState,
        3 => pub(crate) salt: [u8; 32],
    }
}

/// Why a proof is refused, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Reads a network's genesis and checks that it can start one.
///
/// # Errors
/// [`Refused`].
pub fn genesis(bytes: &[u8]) -> Result<Genesis, Refused> {
    let genesis: Genesis =
        codec::from_slice(bytes).map_err(|_| refused("The file is not a network's genesis."))?;
    genesis
        .check()
        .map_err(|error| Refused(format!("The genesis starts no network: {error}.")))?;
    Ok(genesis)
}

/// Checks a receipt, and the bytes of one of its leaves if given.
///
/// # Errors
/// [`Refused`] names the broken link.
pub fn receipt(
    bytes: &[u8],
    genesis: &Genesis,
    leaf: Option<&[u8]>,
) -> Result<ReceiptVerdict, Refused> {
    let receipt = Receipt::decode(bytes).map_err(broken)?;
    let verified =
        ledger::receipt::verify(&receipt, genesis, &check(genesis), leaf).map_err(broken)?;
    Ok(ReceiptVerdict {
        height: verified.height,
        time_ms: verified.time_ms,
        custodian: verified.custodian,
        commitment: verified.commitment,
        entry: verified.entry,
        leaf_checked: verified.label.is_some(),
        leaf_opened: !receipt.leaves.is_empty(),
    })
}

/// Checks a period's proof. With the key handed over at erasure (or held by the custodian) it also
/// checks that the proof is about that subject; without, only that it is about *some* subject.
///
/// # Errors
/// [`Refused`] names the broken link.
pub fn disclosure(
    bytes: &[u8],
    genesis: &Genesis,
    audit_key: Option<&[u8; 32]>,
) -> Result<DisclosureVerdict, Refused> {
    let bundle: PeriodBundle =
        codec::from_slice(bytes).map_err(|_| refused("The proof is not well-formed."))?;
    let found =
        ledger::disclosure::verify(&bundle.proof, genesis, &check(genesis)).map_err(broken)?;
    if let Some(key) = audit_key {
        let key = keys::Secret::from_bytes(*key);
        if vault::map_key(&key, found.period) != bundle.proof.key {
            return Err(refused("The proof is about another subject or period."));
        }
    }
    // The root covers what was logged, and the proof in which period; not what a copy says of it.
    let same_period = |logged: &LoggedDisclosure| logged.period == found.period;
    let count = match found.value {
        None if bundle.disclosures.is_empty() => 0,
        Some(value)
            if usize::try_from(value.count) == Ok(bundle.disclosures.len())
                && bundle.disclosures.iter().all(same_period)
                && disclosures_root(&bundle.disclosures) == value.root =>
        {
            u64::from(value.count)
        }
        _ => {
            return Err(refused(
                "The disclosures beside the proof are not those that the period commits to.",
            ));
        }
    };
    Ok(DisclosureVerdict {
        custodian: found.custodian,
        period: found.period,
        from_ms: found.from_ms,
        until_ms: found.until_ms,
        count,
        disclosures: bundle.disclosures,
        height: found.height,
        time_ms: found.time_ms,
    })
}

/// Checks a consent opening: the state shown is the complete one on the ledger at that block.
///
/// # Errors
/// [`Refused`] names the broken link.
pub fn consent_opening(bytes: &[u8], genesis: &Genesis) -> Result<OpeningVerdict, Refused> {
    let bundle: OpeningBundle =
        codec::from_slice(bytes).map_err(|_| refused("The proof is not well-formed."))?;
    let opened =
        ledger::opening::verify(&bundle.opening, genesis, &check(genesis)).map_err(broken)?;
    let committed = opened.leaf.map(|leaf| (leaf.sequence, leaf.consent));
    let shown = (bundle.state.sequence, bundle.state.commitment(&bundle.salt));
    if bundle.state.subject != opened.subject || committed != Some(shown) {
        return Err(refused(
            "The consent state beside the proof is not the one on the ledger.",
        ));
    }
    Ok(OpeningVerdict {
        custodian: opened.custodian,
        subject: opened.subject,
        state: bundle.state,
        height: opened.height,
        time_ms: opened.time_ms,
    })
}

/// Checks a release's `ledger.proof`. Whether a folder is what it speaks of is for whoever has the folder: the
/// digests of content, certificate and policy must be equal.
///
/// # Errors
/// [`Refused`] names the broken link.
pub fn release(bytes: &[u8], genesis: &Genesis) -> Result<ReleaseVerdict, Refused> {
    let proof = ReleaseProof::decode(bytes).map_err(broken)?;
    let released = ledger::release::verify(&proof, genesis, &check(genesis)).map_err(broken)?;
    Ok(ReleaseVerdict {
        study: released.study,
        number: released.number,
        institution: released.institution,
        policy: released.policy,
        content: released.content,
        certificate: released.certificate,
        height: released.height,
        time_ms: released.time_ms,
    })
}

fn check(genesis: &Genesis) -> SimplexCertificates {
    SimplexCertificates::new(&genesis.network_id())
}

fn broken(link: ledger::BrokenLink) -> Refused {
    Refused(link.to_string())
}

fn refused(why: &str) -> Refused {
    Refused(why.to_owned())
}

impl std::fmt::Debug for DisclosureVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DisclosureVerdict")
            .field("period", &self.period)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OpeningVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpeningVerdict")
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}
