//! What travels to the family's tool and back.
//!
//! A [`ConsentBundle`] holds the complete new state, its salt, and the entry that commits to it. The tool
//! checks that the entry says exactly what the state says ([`ConsentBundle::check`]), shows the summary
//! and *all* grants of the new state, and signs ([`ConsentBundle::sign`]). It needs no network and trusts
//! the custodian for nothing but the old state that the summary compares with.
//!
//! Both hold personal data in the clear: they go to the family and nowhere else.

use codec::id::{InstitutionId, NetworkId, SubjectId};
use codec::time::Millis;
use codec::{choice, record};
use consent::ConsentState;
use consent::listing::Names;
use keys::{PublicKey, Signature, SigningKey};
use ledger::entry::{Entry, OpenTerms, SubjectUpdate, UpdateTerms};
use ledger::{KeyId, SignedEntry};

record! {
    /// A change for a controller to sign.
    #[derive(Clone, PartialEq, Eq)]
    pub struct ConsentBundle {
        /// The network.
        1 => pub network: NetworkId,
        /// The state it changes; none for an opening.
        2 => pub previous: Option<ConsentState>,
        /// The complete new state.
        3 => pub state: ConsentState,
        /// Salt of the new state's commitment.
        4 => pub salt: [u8; 32],
        /// The slot whose key signs.
        5 => pub slot: u8,
        /// What is signed.
        6 => pub draft: Draft,
    }
}

choice! {
    /// The ledger entry in the making.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Draft {
        /// Opens a compartment under the family's keys.
        1 => Open(OpenTerms),
        /// Enrols the family's keys, ending assistance.
        2 => Enrol(UpdateTerms),
        /// Changes consent; signed by the slot's key itself.
        3 => Update(UpdateDraft),
    }
}

record! {
    /// A change of consent with the validity that its signature covers.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct UpdateDraft {
        /// What changes.
        1 => pub terms: UpdateTerms,
        /// Last height at which it may be included.
        2 => pub last_valid: u64,
    }
}

record! {
    /// A signed change, to hand back to the custodian.
    #[derive(Clone, PartialEq, Eq)]
    pub struct SignedChange {
        /// The bundle that was signed.
        1 => pub bundle: ConsentBundle,
        /// The controller's public key.
        2 => pub key: PublicKey,
        /// The signature.
        3 => pub signature: ChangeSignature,
    }
}

choice! {
    /// A controller's signature.
    #[derive(Clone, PartialEq, Eq)]
    pub enum ChangeSignature {
        /// Inside an entry that the custodian signs too (opening, enrolment).
        1 => Inner(Signature),
        /// The whole entry.
        2 => Entry(Vec<u8>),
    }
}

/// Why a bundle or signed change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not the encoding of one.
    #[error("the file is no consent bundle, or was damaged; ask the custodian for a new one")]
    Malformed,
    /// The entry commits to another state than the one shown. Do not sign.
    #[error("the entry does not commit to the state that is shown; do not sign it")]
    Commitment,
    /// The entry is about another subject, sequence or slot than the state.
    #[error("the entry and the state disagree about {0}; do not sign it")]
    Disagree(&'static str),
    /// The key is not the one for the slot.
    #[error("the key does not belong to slot {0} of this subject")]
    Key(u8),
    /// The signature does not hold.
    #[error("the signature does not hold over this bundle")]
    Signature,
}

impl ConsentBundle {
    /// The bytes to hand to the family.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }

    /// Reads a bundle and checks it.
    ///
    /// # Errors
    /// [`BundleError`]; a bundle that does not check must not be signed.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let bundle: Self = codec::from_slice(bytes).map_err(|_| BundleError::Malformed)?;
        bundle.check()?;
        Ok(bundle)
    }

    /// Checks that the entry says exactly what the state says.
    ///
    /// # Errors
    /// [`BundleError::Commitment`], [`BundleError::Disagree`].
    pub fn check(&self) -> Result<(), BundleError> {
        let (subject, sequence, consent) = match &self.draft {
            Draft::Open(terms) => (terms.subject, 0, terms.consent),
            Draft::Enrol(terms) | Draft::Update(UpdateDraft { terms, .. }) => {
                (terms.subject, terms.sequence, terms.consent)
            }
        };
        let follows = match &self.previous {
            Some(previous) => {
                previous.subject == subject && previous.sequence.checked_add(1) == Some(sequence)
            }
            None => matches!(self.draft, Draft::Open(_)),
        };
        if subject != self.state.subject || !follows {
            return Err(BundleError::Disagree("the subject or sequence"));
        }
        if sequence != self.state.sequence {
            return Err(BundleError::Disagree("the sequence"));
        }
        if self.state.commitment(&self.salt) != consent {
            return Err(BundleError::Commitment);
        }
        match &self.draft {
            Draft::Open(terms) if terms.assisted || terms.slot != self.slot => {
                Err(BundleError::Disagree("who signs"))
            }
            Draft::Enrol(terms) if terms.enrols != Some(self.slot) => {
                Err(BundleError::Disagree("who signs"))
            }
            Draft::Update(UpdateDraft { terms, .. }) if terms.enrols.is_some() => {
                Err(BundleError::Disagree("who signs"))
            }
            Draft::Open(_) | Draft::Enrol(_) if self.state.assisted => {
                Err(BundleError::Disagree("who acts for the family"))
            }
            _ => Ok(()),
        }
    }

    /// Whose compartment it is.
    pub fn subject(&self) -> SubjectId {
        self.state.subject
    }

    /// The institution that holds it.
    pub fn custodian(&self) -> InstitutionId {
        match &self.draft {
            Draft::Open(terms) => terms.custodian,
            Draft::Enrol(terms) | Draft::Update(UpdateDraft { terms, .. }) => terms.custodian,
        }
    }

    /// What the change does, then all that will be agreed to, in sentences for a family.
    /// `now` is the reader's clock; names come from the genesis ([`super::GenesisNames`]).
    pub fn summary(&self, now: Millis, names: &impl Names) -> Vec<String> {
        super::summary::lines(self, now, names)
    }

    /// Signs with a controller's key.
    ///
    /// # Errors
    /// A bundle that does not check; [`BundleError::Key`] where the bundle names another key.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedChange, BundleError> {
        self.check()?;
        let slots = match &self.draft {
            Draft::Open(terms) => terms.slots.get(usize::from(self.slot)),
            Draft::Enrol(terms) => terms.slots.get(&self.slot),
            // The slot's present key is on the ledger, not in the bundle.
            Draft::Update(_) => None,
        };
        if slots.is_some_and(|slot| slot.key != key.public()) {
            return Err(BundleError::Key(self.slot));
        }
        let signature = match &self.draft {
            Draft::Open(terms) => ChangeSignature::Inner(terms.sign(&self.network, key)),
            Draft::Enrol(terms) => ChangeSignature::Inner(terms.sign(&self.network, key)),
            Draft::Update(draft) => {
                let entry = draft.entry();
                let signed = SignedEntry::sign(&self.network, &entry, draft.last_valid, key)
                    .map_err(|_| BundleError::Malformed)?;
                ChangeSignature::Entry(signed.bytes().to_vec())
            }
        };
        Ok(SignedChange {
            bundle: self.clone(),
            key: key.public(),
            signature,
        })
    }
}

impl UpdateDraft {
    /// The entry that the slot's key signs.
    pub(crate) fn entry(&self) -> Entry {
        Entry::SubjectUpdate(Box::new(SubjectUpdate {
            terms: self.terms.clone(),
            enrolment_signature: None,
        }))
    }
}

impl SignedChange {
    /// The bytes to hand back.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }

    /// Reads a signed change and checks that bundle and signature belong together.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let signed: Self = codec::from_slice(bytes).map_err(|_| BundleError::Malformed)?;
        signed.check()?;
        Ok(signed)
    }

    /// Checks that bundle, key and signature belong together. Whether the key controls the subject is the
    /// ledger's to say.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn check(&self) -> Result<(), BundleError> {
        self.bundle.check()?;
        match (&self.bundle.draft, &self.signature) {
            (Draft::Open(terms), ChangeSignature::Inner(signature)) => {
                let slot = terms.slots.get(usize::from(self.bundle.slot));
                self.check_inner(
                    slot.map(|s| s.key),
                    &terms.id(&self.bundle.network),
                    signature,
                )
            }
            (Draft::Enrol(terms), ChangeSignature::Inner(signature)) => {
                let slot = terms.slots.get(&self.bundle.slot);
                self.check_inner(
                    slot.map(|s| s.key),
                    &terms.id(&self.bundle.network),
                    signature,
                )
            }
            (Draft::Update(draft), ChangeSignature::Entry(bytes)) => {
                let entry = SignedEntry::decode(bytes).map_err(|_| BundleError::Signature)?;
                let header = entry.header();
                let same = *entry.entry() == draft.entry()
                    && header.network == self.bundle.network
                    && header.last_valid == draft.last_valid
                    && header.signer == KeyId::of(&self.key);
                if same && entry.verify(&self.key).is_ok() {
                    Ok(())
                } else {
                    Err(BundleError::Signature)
                }
            }
            _ => Err(BundleError::Signature),
        }
    }

    fn check_inner(
        &self,
        slot: Option<PublicKey>,
        id: &codec::EntryId,
        signature: &Signature,
    ) -> Result<(), BundleError> {
        if slot != Some(self.key) {
            return Err(BundleError::Key(self.bundle.slot));
        }
        let message = keys::digest(codec::Domain::SlotSignature, &[id.as_bytes()]);
        self.key
            .verify(message.as_bytes(), signature)
            .map_err(|_| BundleError::Signature)
    }
}

impl std::fmt::Debug for ConsentBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsentBundle(<redacted>)")
    }
}

impl std::fmt::Debug for SignedChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedChange(<redacted>)")
    }
}
