//! Why the state machine refuses an entry or a block.

use crate::entry::EntryError;
use codec::EntryId;

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Made for another network.
    #[error("the entry was made for another network")]
    Network,
    /// Its last valid height has passed.
    #[error("the entry was valid up to height {last_valid}; this is height {height}")]
    Expired {
        /// Of the entry.
        last_valid: u64,
        /// Of the block.
        height: u64,
    },
    /// Its last valid height lies too far ahead.
    #[error("the entry's last valid height {last_valid} is more than {limit} heights ahead")]
    TooFarAhead {
        /// Of the entry.
        last_valid: u64,
        /// The network's limit.
        limit: u64,
    },
    /// An entry with the same meaning was included.
    #[error("entry {id} was already included at height {height}")]
    Duplicate {
        /// The entry's id.
        id: EntryId,
        /// Where it was included.
        height: u64,
    },
    /// The signer's key is unknown.
    #[error("no member and no controller slot has the key that signed the entry")]
    UnknownSigner,
    /// The signer's key no longer serves.
    #[error("the key that signed the entry no longer serves")]
    RetiredKey,
    /// The signer may not say this.
    #[error("the key that signed the entry may not sign it")]
    NotEntitled,
    /// The signature does not hold.
    #[error("the entry is not signed by the key that it names")]
    Signature(#[source] EntryError),
    /// A second signature inside the entry does not hold or is missing.
    #[error("the signature of the {0} inside the entry does not hold or is missing")]
    InnerSignature(&'static str),
    /// Operators hold no data.
    #[error("an operator is no custodian")]
    Operator,
    /// The custodian is not a member.
    #[error("the custodian is not a member")]
    UnknownCustodian,
    /// The compartment exists.
    #[error("the subject's compartment already exists")]
    SubjectExists,
    /// The compartment does not exist.
    #[error("the subject's compartment does not exist")]
    UnknownSubject,
    /// The compartment is closed.
    #[error("the subject's compartment is closed")]
    SubjectClosed,
    /// The sequence does not follow.
    #[error("the consent state has sequence {found}; {expected} follows")]
    Sequence {
        /// What follows the state.
        expected: u64,
        /// In the entry.
        found: u64,
    },
    /// No such slot.
    #[error("there is no controller slot {0}")]
    Slot(u8),
    /// The slot's key is not a point, which would tell it from used slots.
    #[error("the key of controller slot {0} is not an Ed25519 public key")]
    SlotKey(u8),
    /// The slot key's validity has passed.
    #[error("the controller slot's key was valid up to height {last_valid}")]
    SlotExpired {
        /// Of the slot.
        last_valid: u64,
    },
    /// The custodian's desk no longer acts for the family.
    #[error("the custodian's desk does not act for this subject")]
    NotAssisted,
    /// The desk may change slots only by enrolling a family's key.
    #[error("the custodian's desk may change slots only to enrol a family's key")]
    DeskSlots,
    /// An enrolment leaves a slot as it was.
    #[error("an enrolment must change all four controller slots")]
    EnrolmentIncomplete,
    /// A recovery is already waiting.
    #[error("a recovery of this subject is already waiting")]
    RecoveryPending,
    /// The second institution is the custodian, or not a member.
    #[error("the recovery's second institution is not another member")]
    Witness,
    /// The period does not follow.
    #[error("the disclosure period is {found}; {expected} follows")]
    Period {
        /// What follows the state.
        expected: u64,
        /// In the entry.
        found: u64,
    },
    /// The period lies ahead.
    #[error("disclosure period {found} has not begun; the block's time lies in period {current}")]
    PeriodAhead {
        /// At the block's time.
        current: u64,
        /// In the entry.
        found: u64,
    },
    /// The device is already enrolled, or was.
    #[error("the device is already enrolled")]
    DeviceExists,
    /// The device is not enrolled.
    #[error("the device is not enrolled")]
    UnknownDevice,
    /// The device is already revoked.
    #[error("the device is already revoked")]
    DeviceRevoked,
    /// The study exists.
    #[error("the study already exists")]
    StudyExists,
    /// The study does not exist.
    #[error("the study does not exist")]
    UnknownStudy,
    /// Too many proposals are open.
    #[error("{0} proposals are open, which is the limit")]
    TooManyProposals(usize),
    /// The proposal's last epoch is past or too far ahead.
    #[error("the proposal's last epoch {0} is past or too far ahead")]
    ProposalExpiry(u64),
    /// No such open proposal.
    #[error("proposal {0} is not open")]
    UnknownProposal(EntryId),
    /// The voter already voted so.
    #[error("the institution already voted so on proposal {0}")]
    AlreadyVoted(EntryId),
    /// The change cannot be made.
    #[error("the proposed change cannot be made")]
    Change(#[source] ChangeFault),
}

impl Refusal {
    /// Whether the same bytes may be accepted in a later block, so that a pool may keep them.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::TooFarAhead { .. } | Self::PeriodAhead { .. } => true,
            Self::Sequence { expected, found } | Self::Period { expected, found } => {
                found > expected
            }
            _ => false,
        }
    }
}

/// Why a proposed change cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeFault {
    /// The institution is a member.
    #[error("the institution is already a member")]
    Member,
    /// The institution is not a member.
    #[error("the institution is not a member")]
    NotMember,
    /// The name is empty or too long.
    #[error("the name is empty or longer than 128 bytes")]
    Name,
    /// The key serves or served already.
    #[error("the key serves or served already")]
    KeyUsed,
    /// No signature verifies under the key.
    #[error("the key is not an Ed25519 public key")]
    NotAKey,
    /// The validator's key did not sign that it validates for the institution in this network.
    #[error(
        "the claim is not signed by its key for this institution and network: take it from the node that is to validate"
    )]
    Claim,
    /// Operators would hold too much.
    #[error("operators would hold a third or more of the votes or of the validators")]
    Operators,
    /// The institution is a validator.
    #[error("the institution is a validator")]
    Validator,
    /// The institution is not a validator.
    #[error("the institution is not a validator")]
    NotValidator,
    /// The last member or validator would leave.
    #[error("the last member or validator would leave")]
    Last,
    /// A parameter is out of bounds or fixed by the genesis.
    #[error("a parameter is out of bounds or fixed by the genesis")]
    Parameters,
    /// Nothing would change.
    #[error("nothing would change")]
    Nothing,
}

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not follow the view's last block.
    #[error("the block has height {found}; {expected} follows")]
    Height {
        /// What follows.
        expected: u64,
        /// Of the block.
        found: u64,
    },
    /// It is not later than its parent.
    #[error("the block's time {time_ms} is not later than its parent's {parent_ms}")]
    Time {
        /// Of the parent.
        parent_ms: u64,
        /// Of the block.
        time_ms: u64,
    },
    /// Its parent's header does not belong to this state and log.
    #[error("the parent's header does not belong to this state and log")]
    Parent,
    /// An entry is refused.
    #[error("entry {index} of the block is refused")]
    Entry {
        /// Its position in the block.
        index: usize,
        /// Why.
        #[source]
        why: Refusal,
    },
}
