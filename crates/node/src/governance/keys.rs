//! This institution's own keys, and their replacement by a vote.
//!
//! New keys are made here and kept, sealed under the node's key, beside those that serve. The members vote
//! on their public parts. In the block in which the ledger names them they take the place of the old ones,
//! which are destroyed; what was signed under an old key and is not final is signed again. A proposal that
//! comes to nothing takes its keys with it. One replacement is under way at a time.
//!
//! A backup holds the keys of its time: one that is older than a replacement brings back keys that serve no
//! longer, and the members must admit the institution anew. So a backup is made after each.
//!
//! The consensus engine keeps the key it was started with: after the replacement of the validator's key
//! the node must be started again, and says so.

use super::{NetworkEntry, OwnKey};
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use crate::subject::Wait;
use codec::id::EntryId;
use codec::{choice, record};
use keys::{HybridSecretKey, PqSigningKey, PublicKey, Secret, SigningKey, Zeroizing};
use ledger::entry::{Change, Rotation, SetValidator, ValidatorClaim, candidate_sign};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use store::Store;
use vault::{EntryState, Identity};

/// Name of the row that holds the keys of a replacement under way.
const NEXT: &[u8] = b"next-keys";

/// The keys that sign for the institution.
pub(crate) struct Signers {
    pub(crate) signing: SigningKey,
    /// Signs governance beside `signing`.
    pub(crate) governance: PqSigningKey,
}

impl Signers {
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            signing: SigningKey::from_seed(identity.signing_seed.clone()),
            governance: PqSigningKey::from_seed(identity.pq_signing_seed.clone()),
        }
    }
}

record! {
    /// Seeds of the keys that change, and of those that are named with them.
    #[derive(Clone, PartialEq, Eq)]
    struct Next {
        /// The proposal they hang on.
        1 => proposal: EntryId,
        2 => keys: NextKeys,
        /// The validator's key that served when this was made, so that a node which was restored since, and
        /// so has another one, tells that this is not its own replacement.
        3 => made_beside: PublicKey,
    }
}

choice! {
    /// The institution's keys, or the validator's alone: a row of the store is in backups, and a validator's
    /// key that serves must never be restored.
    #[derive(Clone, PartialEq, Eq)]
    enum NextKeys {
        1 => Institution(InstitutionSeeds),
        2 => Validator([u8; 32]),
    }
}

record! {
    #[derive(Clone, PartialEq, Eq)]
    struct InstitutionSeeds {
        1 => signing: [u8; 32],
        2 => governance: [u8; 32],
        3 => sealing: [u8; 32],
    }
}

/// What has become of a replacement.
enum Outcome {
    Waits,
    Decided,
    Nothing,
}

impl<S: Store> Custodian<S> {
    /// The keys that sign now.
    pub(crate) fn signers(&self) -> Arc<Signers> {
        let signers = self.signers.lock();
        signers.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes new keys and proposes them.
    pub(super) async fn rotate(
        &self,
        which: &BTreeSet<OwnKey>,
        open_epochs: u64,
        wait: Wait,
    ) -> Result<NetworkEntry, Error> {
        let refused = |why: &str| Error::invalid("change of keys", "", why);
        let validator = which.contains(&OwnKey::Validator);
        if which.is_empty() {
            return Err(refused("it names no key"));
        }
        if validator && which.len() > 1 {
            return Err(refused(
                "the validator's key is a change of the validators: propose it alone",
            ));
        }
        let turn = self.keys_turn.lock().await;
        if self.keys_look().await? {
            let why = "a replacement of keys is under way already; wait until it is decided";
            return Err(Conflict::Done(why).into());
        }
        let identity = self.renewed(which);
        let change = if validator {
            Change::SetValidator(SetValidator {
                institution: self.id,
                key: Some(self.claim_of(&identity)),
            })
        } else {
            Change::Rotate(Box::new(rotation(&identity)))
        };
        let terms = self.terms(change, open_epochs);
        let id = terms.id(&self.network);
        let candidate = (!validator).then(|| {
            let new = Signers::of(&identity);
            candidate_sign(&id, &new.signing, &new.governance)
        });
        let proposal = self.proposal(terms, candidate);
        let next = Next {
            proposal: id,
            keys: if validator {
                NextKeys::Validator(*identity.validator_seed.expose())
            } else {
                NextKeys::Institution(InstitutionSeeds {
                    signing: *identity.signing_seed.expose(),
                    governance: *identity.pq_signing_seed.expose(),
                    sealing: *identity.hybrid_seed.expose(),
                })
            },
            made_beside: self.validator_key()?,
        };
        // Durable before anyone can vote for them.
        let row = Zeroizing::new(codec::to_vec(&next));
        let mut entropy = self.ambient.entropy();
        self.vault
            .node_row_put(NEXT, None, &row, &mut entropy)
            .await?;
        // Before anything can fail: what was proposed may be approved whatever is answered here. Keys whose
        // proposal was never queued are forgotten when they are looked at.
        self.keys_pending.store(true, Ordering::Release);
        let queued = self.govern(&proposal, Wait::Durable).await?;
        drop(turn);
        Ok(NetworkEntry {
            finality: self.entry_wait(&id, wait).await?,
            ..queued
        })
    }

    /// Looks whether a replacement of keys was decided, and makes it if so.
    pub(crate) async fn keys_settle(&self) -> Result<(), Error> {
        if !self.keys_pending.load(Ordering::Acquire) {
            return Ok(());
        }
        let _turn = self.keys_turn.lock().await;
        let waits = self.keys_look().await?;
        self.keys_pending.store(waits, Ordering::Release);
        Ok(())
    }

    /// Whether the validator's key was replaced since the engine was started.
    pub(crate) fn engine_is_outdated(&self) -> bool {
        let seed = self.vault.keychain().identity().validator_seed;
        consensus::engine::public_key(&seed) != Some(self.validator)
    }

    /// The validator's key that this node has now, whichever the engine was started with.
    fn validator_key(&self) -> Result<PublicKey, Error> {
        let seed = self.vault.keychain().identity().validator_seed;
        consensus::engine::public_key(&seed).ok_or(Error::Internal("the seed makes no key"))
    }

    /// The claim of the validator's key that this node has now, whichever the engine was started with.
    pub(super) fn validator_claim(&self) -> ValidatorClaim {
        self.claim_of(&self.vault.keychain().identity())
    }

    fn claim_of(&self, identity: &Identity) -> ValidatorClaim {
        let key = SigningKey::from_seed(identity.validator_seed.clone());
        ValidatorClaim::sign(&self.network, &self.id, &key)
    }

    /// Whether the ledger knows other keys of this institution than it has: it was restored from a backup that
    /// is older than a replacement.
    pub(crate) fn keys_are_lost(&self) -> bool {
        let leaf = self.ledger.state_view().institution(&self.id);
        let now = rotation(&self.vault.keychain().identity());
        leaf.is_some_and(|leaf| {
            let known = leaf.institution;
            (known.signing, known.governance, known.sealing)
                != (now.signing, now.governance, now.sealing)
        })
    }

    /// Makes or forgets the replacement under way; whether one still waits.
    async fn keys_look(&self) -> Result<bool, Error> {
        let Some(row) = self.vault.node_row(NEXT).await? else {
            return Ok(false);
        };
        let next: Next = codec::from_slice(&row)
            .map_err(|_| Error::Damaged("the keys of a replacement".to_owned()))?;
        match self.outcome(&next).await? {
            Outcome::Waits => return Ok(true),
            Outcome::Decided => self.adopt(&next)?,
            Outcome::Nothing => tracing::info!("a replacement of keys came to nothing"),
        }
        self.vault.node_row_remove(NEXT, &row).await?;
        Ok(false)
    }

    async fn outcome(&self, next: &Next) -> Result<Outcome, Error> {
        // First: it may become final, and be decided, while the rest is looked at.
        let entry = match self.vault.entry(&next.proposal).await {
            Ok(row) => Some(row.state),
            Err(vault::Error::Unknown(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let view = self.ledger.state_view();
        let identity = next.identity(self.vault.keychain().identity());
        if matches!(next.keys, NextKeys::Validator(_))
            && next.made_beside != self.validator_key()?
        {
            // From a backup: whoever runs with that key now, this node must not.
            return Ok(Outcome::Nothing);
        }
        let serves = if matches!(next.keys, NextKeys::Validator(_)) {
            let epoch = view.parameters().epoch(view.tip().height.saturating_add(1));
            let validators = view.validators(epoch).unwrap_or_default();
            let key = validators.by_institution().get(&self.id).copied();
            key.is_some() && key == consensus::engine::public_key(&identity.validator_seed)
        } else {
            let leaf = view.institution(&self.id).map(|leaf| leaf.institution);
            let new = rotation(&identity);
            leaf.is_some_and(|now| {
                (now.signing, now.governance, now.sealing)
                    == (new.signing, new.governance, new.sealing)
            })
        };
        Ok(match entry {
            _ if serves => Outcome::Decided,
            Some(EntryState::Queued | EntryState::Submitted(_)) => Outcome::Waits,
            Some(EntryState::Final(_)) if view.proposal(&next.proposal).is_some() => Outcome::Waits,
            Some(EntryState::Final(position)) if view.tip().height < position.height => {
                Outcome::Waits
            }
            Some(EntryState::Final(_) | EntryState::Dropped(_)) | None => Outcome::Nothing,
        })
    }

    fn adopt(&self, next: &Next) -> Result<(), Error> {
        let keychain = self.vault.keychain();
        let identity = next.identity(keychain.identity());
        let signers = Arc::new(Signers::of(&identity));
        keychain
            .identity_replace(identity, &mut self.ambient.entropy())
            .map_err(vault::Error::from)?;
        *self.signers.lock().unwrap_or_else(PoisonError::into_inner) = signers;
        if matches!(next.keys, NextKeys::Validator(_)) {
            tracing::warn!("the validator's key was replaced: start the node again");
        } else {
            tracing::info!("the institution's keys were replaced");
        }
        Ok(())
    }

    /// The institution's seeds with fresh ones for these keys.
    fn renewed(&self, which: &BTreeSet<OwnKey>) -> Identity {
        let mut identity = self.vault.keychain().identity();
        let mut entropy = self.ambient.entropy();
        for key in which {
            let seed = match key {
                OwnKey::Signing => &mut identity.signing_seed,
                OwnKey::Governance => &mut identity.pq_signing_seed,
                OwnKey::Sealing => &mut identity.hybrid_seed,
                OwnKey::Validator => &mut identity.validator_seed,
            };
            *seed = Secret::generate(&mut entropy);
        }
        identity
    }
}

impl Next {
    /// These keys in the place of the institution's.
    fn identity(&self, mut identity: Identity) -> Identity {
        match &self.keys {
            NextKeys::Institution(seeds) => {
                identity.signing_seed = Secret::from_bytes(seeds.signing);
                identity.pq_signing_seed = Secret::from_bytes(seeds.governance);
                identity.hybrid_seed = Secret::from_bytes(seeds.sealing);
            }
            NextKeys::Validator(seed) => identity.validator_seed = Secret::from_bytes(*seed),
        }
        identity
    }
}

fn rotation(identity: &Identity) -> Rotation {
    Rotation {
        signing: signing_public(identity),
        governance: PqSigningKey::from_seed(identity.pq_signing_seed.clone()).public(),
        sealing: HybridSecretKey::from_seed(identity.hybrid_seed.clone()).public(),
    }
}

fn signing_public(identity: &Identity) -> PublicKey {
    SigningKey::from_seed(identity.signing_seed.clone()).public()
}
