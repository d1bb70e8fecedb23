//! The institution as custodian: what every use case works with.

use crate::ambient::Ambient;
use crate::caller::Caller;
use crate::config::Limits;
use crate::differential::Insight;
use crate::error::Error;
use crate::event::Broadcast;
use crate::fhir::{Subscribed, Subscriptions};
use crate::governance::keys::Signers;
use crate::subject::{Finality, Wait};
use crate::wait::Waits;
use bytes::Bytes;
use codec::id::{Digest, EntryId, InstitutionId, NetworkId, SubjectId};
use codec::time::Millis;
use consensus::Tip;
use consent::{ConsentState, Effective, Facts, Opening, Policy};
use futures::FutureExt;
use keys::PublicKey;
use ledger::entry::Entry;
use ledger::state::SubjectLeaf;
use ledger::{KeyId, SignedEntry};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use store::Store;
use vault::{ConsentView, QueuedCommitment, Signed, Vault};

/// How far the local clock may run ahead of what the ledger makes likely before it is not believed, ms.
const CLOCK_SLACK_MS: u64 = 60_000;

/// Blocks that the network may be ahead of this node before what it holds is as old as its last block,
/// and not as the moment at which that came here.
const BEHIND_BLOCKS: u64 = 4;

/// One institution's records, rules, keys and ledger.
pub(crate) struct Custodian<S: Store> {
    pub(crate) id: InstitutionId,
    pub(crate) network: NetworkId,
    pub(crate) vault: Vault<S>,
    pub(crate) ledger: consensus::Handle<S>,
    pub(crate) policy: Policy,
    /// What the institution lets its people do, beside consent, if it says.
    pub(crate) institution_policy: Option<Arc<institution_policy::Policy>>,
    pub(crate) limits: Limits,
    pub(crate) ambient: Ambient,
    /// The keys that sign for the institution; a vote can replace them.
    pub(crate) signers: Mutex<Arc<Signers>>,
    /// Whether a replacement of keys may be under way.
    pub(crate) keys_pending: AtomicBool,
    /// Held while a replacement begins or ends.
    pub(crate) keys_turn: futures::lock::Mutex<()>,
    /// This node's key in the consensus engine, whether it validates or not.
    pub(crate) validator: PublicKey,
    pub(crate) events: Broadcast,
    pub(crate) waits: Waits,
    pub(crate) wakes: crate::wait::Wakes,
    pub(crate) counters: crate::status::Counters,
    /// By the runtime's timer, how long no block was finalised here.
    pub(crate) quiet_ms: AtomicU64,
    /// After a restore: subjects whose consent states kept here are not the ledger's.
    pub(crate) behind: AtomicU64,
    /// How many requests of other institutions are worked on.
    /// Requests of others that are being answered; those of nobody known share the places of one.
    pub(crate) shares: crate::share::Places<Option<InstitutionId>>,
    /// Knowledge of diseases at work, if the node has it.
    pub(crate) insight: Option<Arc<Insight>>,
    /// Entries that were handed to consensus by this process and are not final.
    pub(crate) submitted: Mutex<BTreeSet<EntryId>>,
    /// The compartment of what is about no patient, once it was asked for.
    pub(crate) directory: OnceLock<SubjectId>,
    /// Held from looking for a FHIR resource by what its client chose until the write that relies on it.
    pub(crate) fhir_turn: futures::lock::Mutex<()>,
    /// Held while the queue of identities changes, for the row that counts it is one for all. Taken last.
    pub(crate) identity_turn: futures::lock::Mutex<()>,
    /// Held from counting the exports that are kept until there is one more.
    pub(crate) exports_turn: futures::lock::Mutex<()>,
    /// What the operator set for research.
    pub(crate) research: crate::research::Research,
    /// Held while a count is made: budgets are for one at a time.
    pub(crate) research_turn: futures::lock::Mutex<()>,
    /// Held while a study takes a step or a release is begun.
    pub(crate) studies_turn: futures::lock::Mutex<()>,
    /// How far the release is that is being made.
    pub(crate) making: Mutex<Option<crate::research::Making>>,
    /// How FHIR Subscriptions are delivered, if they are.
    pub(crate) subscriptions: Option<Subscriptions>,
    /// What writes are compared with for them.
    pub(crate) subscribed: Subscribed,
    /// Commitments of batches that are on their way, for events; lost with the process.
    pub(crate) batched: Mutex<BTreeMap<EntryId, Vec<QueuedCommitment>>>,
}

/// A subject's consent as it stands here and now.
pub(crate) struct Standing {
    pub(crate) view: ConsentView,
    pub(crate) pending: Vec<ConsentState>,
    pub(crate) leaf: Option<SubjectLeaf>,
    pub(crate) facts: Facts,
}

impl Standing {
    pub(crate) fn effective(&self) -> Effective<'_> {
        Effective {
            finalised: &self.view.finalised.state,
            pending: &self.pending,
        }
    }

    /// The state that the next change builds on.
    pub(crate) fn latest(&self) -> &ConsentState {
        &self.view.latest().state
    }
}

impl<S: Store> Custodian<S> {
    /// Refuses people of other institutions.
    pub(crate) fn own_staff(&self, caller: &Caller) -> Result<(), Error> {
        if caller.actor.institution == self.id {
            Ok(())
        } else {
            Err(Error::Elsewhere)
        }
    }

    /// The local clock.
    pub(crate) fn now(&self) -> Millis {
        Millis::new(self.ambient.now_ms())
    }

    /// How old the view of the ledger is. Never younger than the runtime's timer says, so that a clock
    /// set back does not make an old view fresh; and while blocks are made up for, no younger than the last
    /// of them.
    pub(crate) fn ledger_age_ms(&self) -> u64 {
        let by_clock = self
            .ambient
            .now_ms()
            .saturating_sub(self.ledger.tip().observed_at_ms);
        let by_clock = by_clock.max(self.quiet_ms.load(Ordering::Relaxed));
        match self.catching_up() {
            Some((tip, _)) => by_clock.max(self.ambient.now_ms().saturating_sub(tip.time_ms)),
            None => by_clock,
        }
    }

    /// While this node is behind the network: its tip, and about how far the network is.
    pub(crate) fn catching_up(&self) -> Option<(Tip, u64)> {
        let (tip, horizon) = (self.ledger.tip(), self.ledger.horizon());
        let behind = horizon > tip.height.saturating_add(BEHIND_BLOCKS);
        behind.then_some((tip, horizon))
    }

    /// The time that is written into logs: the local clock, but no earlier than the last block and no
    /// later than what its age makes likely. A clock that jumps cannot put a disclosure far from the
    /// period it is proved in.
    pub(crate) fn logged_now(&self) -> Millis {
        let block_ms = self.ledger.tip().time_ms;
        let quiet_ms = self.quiet_ms.load(Ordering::Relaxed);
        let latest = block_ms
            .saturating_add(quiet_ms)
            .saturating_add(CLOCK_SLACK_MS);
        Millis::new(self.ambient.now_ms().clamp(block_ms, latest))
    }

    /// A subject's consent, with the facts that a decision about it needs.
    pub(crate) async fn standing(&self, subject: &SubjectId) -> Result<Standing, Error> {
        let view = self.vault.consent_current(subject).await?;
        let leaf = self.ledger.state_view().subject(&self.id, subject);
        let mut facts = self.facts();
        facts.opening = opening(&view, leaf.as_ref());
        facts.closed = view.closing.is_some() || leaf.as_ref().is_some_and(SubjectLeaf::is_closed);
        let pending = view.pending.iter().map(|opening| opening.state.clone());
        Ok(Standing {
            pending: pending.collect(),
            view,
            leaf,
            facts,
        })
    }

    /// The facts that do not depend on a subject.
    pub(crate) fn facts(&self) -> Facts {
        let block_time = Millis::new(self.ledger.tip().time_ms);
        let mut facts = Facts::new(self.id, self.now(), block_time);
        facts.ledger_age_ms = self.ledger_age_ms();
        facts
    }

    /// Refuses while this node was restored from a backup and has not caught up with the ledger.
    pub(crate) fn in_service(&self) -> Result<(), Error> {
        if self.vault.restored().is_some() && !self.is_caught_up() {
            return Err(not_in_service());
        }
        Ok(())
    }

    /// After a restore, refuses also what concerns a subject whose consent states kept here are not the
    /// ledger's. Where no ledger is left to compare with, the decision itself denies all but own care.
    pub(crate) fn in_service_for(&self, standing: &Standing) -> Result<(), Error> {
        self.in_service()?;
        let matches = standing.facts.opening == Opening::Matches || self.is_alone();
        if self.vault.restored().is_some() && !matches {
            return Err(not_in_service());
        }
        Ok(())
    }

    /// Whether the view of the ledger is as new as it can be.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.is_alone() || self.ledger_age_ms() <= consent::MAX_LEDGER_AGE_MS
    }

    /// Whether this institution alone validates, so that nobody else knows of later blocks.
    fn is_alone(&self) -> bool {
        let view = self.ledger.state_view();
        let epoch = view.parameters().epoch(self.ledger.tip().height);
        view.validators(epoch)
            .is_some_and(|set| set.len() == 1 && set.by_institution().contains_key(&self.id))
    }

    /// Signs an entry as the institution.
    pub(crate) fn sign(&self, entry: &Entry) -> Result<Signed, Error> {
        Ok(Signed::from(&self.sign_entry(entry)?))
    }

    /// An entry with the institution's signature.
    pub(crate) fn sign_entry(&self, entry: &Entry) -> Result<SignedEntry, Error> {
        let signing = &self.signers().signing;
        SignedEntry::sign(&self.network, entry, self.last_valid_new(), signing)
            .map_err(|_| Error::Internal("an entry exceeds the ledger's limit"))
    }

    /// Whether an entry was signed by this institution, under whatever key, and so can be signed again.
    pub(crate) fn signed_here(&self, entry: &SignedEntry) -> bool {
        let signer = entry.header().signer;
        let leaf = self.ledger.state_view().institution_by_key(&signer);
        match leaf {
            Some(leaf) => leaf.institution == self.id,
            None => signer == KeyId::of(&self.signers().signing.public()),
        }
    }

    /// Whether an entry was signed under a key of this institution that serves no longer: with these bytes it
    /// will never be on the ledger, if it is not yet.
    pub(crate) fn signed_before_rotation(&self, entry: &SignedEntry) -> bool {
        let view = self.ledger.state_view();
        let leaf = view.institution_by_key(&entry.header().signer);
        leaf.is_some_and(|leaf| leaf.institution == self.id && leaf.until.is_some())
    }

    /// Last valid height of an entry that is signed now.
    pub(crate) fn last_valid_new(&self) -> u64 {
        let limit = self.ledger.state_view().parameters().max_validity_heights;
        let ahead = self.limits.validity_heights.min(limit);
        self.ledger.tip().height.saturating_add(ahead)
    }

    /// Where an entry of this node stands.
    pub(crate) async fn entry_finality(&self, entry: &EntryId) -> Result<Finality, Error> {
        Ok(match self.vault.entry(entry).await?.position() {
            Some(position) => Finality::Final {
                height: position.height,
                time_ms: position.time.get(),
            },
            None => Finality::Pending,
        })
    }

    /// Where an entry stands, after waiting for finality as long as the caller wants.
    pub(crate) async fn entry_wait(&self, entry: &EntryId, wait: Wait) -> Result<Finality, Error> {
        let Wait::Final { timeout_ms } = wait else {
            return self.entry_finality(entry).await;
        };
        let signal = self.waits.on(Digest::new(*entry.as_bytes()));
        // Registered first: an entry that becomes final from here on is heard of.
        let now = self.entry_finality(entry).await?;
        if now.is_final() {
            return Ok(now);
        }
        self.bounded(signal, timeout_ms).await;
        self.entry_finality(entry).await
    }

    /// Waits for a signal, at most as long as the caller wants and the node allows.
    pub(crate) async fn bounded(&self, signal: crate::wait::Signal, timeout_ms: u64) {
        let timeout = self.ambient.sleep_ms(timeout_ms.min(self.limits.wait_ms));
        futures::select_biased! {
            () = signal.fuse() => {},
            () = timeout.fuse() => {},
        }
    }

    /// Waits for a proof that may wait for a certificate, within reason.
    pub(crate) async fn proved<T>(
        &self,
        proof: impl Future<Output = Result<T, consensus::ReadError>> + Send,
    ) -> Result<T, Error> {
        let timeout = self.ambient.sleep_ms(self.limits.wait_ms);
        futures::pin_mut!(proof);
        futures::select_biased! {
            proof = proof.fuse() => Ok(proof?),
            () = timeout.fuse() => Err(Error::Unavailable(
                "the newest block has no certificate yet; is there a quorum? try again".to_owned(),
            )),
        }
    }

    /// Hands an entry to consensus; from then on it is looked for in finalised blocks.
    pub(crate) async fn submit(
        &self,
        id: &EntryId,
        bytes: &[u8],
    ) -> Result<EntryId, consensus::SubmitError> {
        self.on_the_way().insert(*id);
        self.ledger.submit(Bytes::copy_from_slice(bytes)).await
    }

    pub(crate) fn on_the_way(&self) -> MutexGuard<'_, BTreeSet<EntryId>> {
        self.submitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the states kept here relate to the subject's leaf.
fn opening(view: &ConsentView, leaf: Option<&SubjectLeaf>) -> Opening {
    let Some(leaf) = leaf else {
        return match view.finalised.position {
            None => Opening::NoLeaf,
            Some(_) => Opening::Mismatch,
        };
    };
    // A change may be final on the ledger a moment before it is final in the vault.
    let mut held = std::iter::once(&view.finalised).chain(&view.pending);
    let matches = held.any(|opening| {
        opening.state.sequence == leaf.sequence && opening.commitment() == leaf.consent
    });
    if matches {
        Opening::Matches
    } else {
        Opening::Mismatch
    }
}

fn not_in_service() -> Error {
    Error::Unavailable(
        "this node was restored from a backup and decides nothing here until its consent states match \
         the ledger; break-glass works, and an operator sees in the status what is missing"
            .to_owned(),
    )
}
