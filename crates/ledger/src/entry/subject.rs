//! Entries about one compartment: opening, consent, recovery, closing.
//!
//! They carry random ids, per-subject keys and salted commitments; never a person, a reader or a
//! grant. Entries with a second signature hold their terms apart from it: the terms are what the
//! entry id and the second signature cover.

use super::{entry_id, inner_sign, tags};
use codec::{Digest, Domain, EntryId, InstitutionId, NetworkId, SubjectId, record};
use keys::{Entropy, PublicKey, Signature, SigningKey};
use std::collections::BTreeMap;

/// Controller key slots of a subject.
pub const SLOTS: usize = 4;

record! {
    /// A controller key slot. An unused slot looks like any other ([`Slot::unused`]).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Slot {
        /// Key made for this subject alone.
        1 => pub key: PublicKey,
        /// Last height at which the key may sign.
        2 => pub last_valid: u64,
    }
}

record! {
    /// Opens a compartment. Signed by the custodian and, inside, by one of the slot keys.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubjectOpen {
        /// What is opened.
        1 => pub terms: OpenTerms,
        /// By the key of slot `terms.slot` ([`OpenTerms::sign`]).
        2 => pub slot_signature: Signature,
    }
}

record! {
    /// A compartment and who controls it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OpenTerms {
        /// Who holds the compartment.
        1 => pub custodian: InstitutionId,
        /// Random id of the compartment.
        2 => pub subject: SubjectId,
        /// Exactly four controller slots.
        3 => pub slots: [Slot; SLOTS],
        /// Whether the custodian's desk acts for the family.
        4 => pub assisted: bool,
        /// Salted commitment to the complete first consent state (sequence 0).
        5 => pub consent: Digest,
        /// Which slot's key signs too.
        6 => pub slot: u8,
    }
}

record! {
    /// Replaces the consent state. Signed by a live slot key, or by the custodian while assisted.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubjectUpdate {
        /// What changes.
        1 => pub terms: UpdateTerms,
        /// By the new key of slot `terms.enrols`, exactly if that is given ([`UpdateTerms::sign`]).
        2 => pub enrolment_signature: Option<Signature>,
    }
}

record! {
    /// The next consent state and changes of slots.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct UpdateTerms {
        /// Who holds the compartment.
        1 => pub custodian: InstitutionId,
        /// The compartment.
        2 => pub subject: SubjectId,
        /// One more than the sequence before.
        3 => pub sequence: u64,
        /// Salted commitment to the complete consent state.
        4 => pub consent: Digest,
        /// Slots that change, by index.
        5 => pub slots: BTreeMap<u8, Slot>,
        /// A family enrols its own key in this slot, which ends assistance for good. All four
        /// slots must change, so that no key of the desk survives.
        6 => pub enrols: Option<u8>,
    }
}

record! {
    /// Replaces all slots after the network's recovery delay, unless a live old slot key signs an
    /// update before. Signed by the custodian and, inside, by a second institution.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubjectRecover {
        /// What is recovered.
        1 => pub terms: RecoverTerms,
        /// By institution `terms.witness` ([`RecoverTerms::sign`]).
        2 => pub witness_signature: Signature,
    }
}

record! {
    /// New controllers of a compartment.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RecoverTerms {
        /// Who holds the compartment.
        1 => pub custodian: InstitutionId,
        /// The compartment.
        2 => pub subject: SubjectId,
        /// The new slots.
        3 => pub slots: [Slot; SLOTS],
        /// The second institution.
        4 => pub witness: InstitutionId,
    }
}

record! {
    /// Closes a compartment, without saying why. Signed by a live slot key or the custodian.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubjectClose {
        /// Who holds the compartment.
        1 => pub custodian: InstitutionId,
        /// The compartment.
        2 => pub subject: SubjectId,
    }
}

impl Slot {
    /// A slot that nobody can use: the key of a seed that is thrown away. Mere random bytes would
    /// often be no key at all, and tell used from unused slots; the state machine refuses them.
    pub fn unused(last_valid: u64, entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self {
            key: SigningKey::generate(entropy).public(),
            last_valid,
        }
    }
}

impl OpenTerms {
    /// The id of the entry with these terms.
    pub fn id(&self, network: &NetworkId) -> EntryId {
        entry_id(network, tags::SUBJECT_OPEN, self)
    }

    /// The slot key's signature.
    pub fn sign(&self, network: &NetworkId, slot_key: &SigningKey) -> Signature {
        inner_sign(Domain::SlotSignature, &self.id(network), slot_key)
    }
}

impl UpdateTerms {
    /// The id of the entry with these terms.
    pub fn id(&self, network: &NetworkId) -> EntryId {
        entry_id(network, tags::SUBJECT_UPDATE, self)
    }

    /// The enrolled key's signature.
    pub fn sign(&self, network: &NetworkId, enrolled: &SigningKey) -> Signature {
        inner_sign(Domain::SlotSignature, &self.id(network), enrolled)
    }
}

impl RecoverTerms {
    /// The id of the entry with these terms.
    pub fn id(&self, network: &NetworkId) -> EntryId {
        entry_id(network, tags::SUBJECT_RECOVER, self)
    }

    /// The second institution's signature.
    pub fn sign(&self, network: &NetworkId, witness: &SigningKey) -> Signature {
        inner_sign(Domain::RecoverySignature, &self.id(network), witness)
    }
}
