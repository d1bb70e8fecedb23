//! Evidence of misbehaving validators, as the engine reports it: kept, never acted upon here.
//!
//! A fault is two votes of one validator that no correct validator casts together; both signatures
//! are checked before it is kept. At most [`KEPT`] faults are kept, the oldest go first; they are
//! stored as they come, so that a restart forgets none. Governance (removing a validator) is a
//! decision of the members, not of this crate.
//!
//! | table | key | value |
//! |---|---|---|
//! | `ledger-evidence` | epoch (8, big endian), view (8), validator (32), kind (1) | both signed votes |

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::Encode;
use commonware_consensus::simplex::types::{Activity, Attributable};
use commonware_consensus::{Epochable, Reporter, Viewable};
use commonware_cryptography::certificate::Scheme as _;
use commonware_cryptography::sha256;
use commonware_parallel::Sequential;
use commonware_utils::channel::watch;
use commonware_utils::ordered::Quorum;
use store::{Batch, Order, Range, Store, Table};

use crate::certificates::{Scheme, derived_rng, ledger_key};

/// How many faults are kept.
pub const KEPT: usize = 256;

const EVIDENCE: Table = Table::new("ledger-evidence");

/// What a validator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Voted for two blocks in one view.
    ConflictingNotarize,
    /// Voted to finalise two blocks in one view.
    ConflictingFinalize,
    /// Voted to skip a view and to finalise a block in it.
    NullifyFinalize,
}

/// Proof that a validator misbehaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it did.
    pub kind: FaultKind,
    /// Who did it.
    pub validator: keys::PublicKey,
    /// The epoch.
    pub epoch: u64,
    /// The view of that epoch.
    pub view: u64,
    /// Both signed votes, in the engine's encoding.
    pub votes: Bytes,
}

/// The faults kept. Cheap to clone.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    kept: Mutex<Kept>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    faults: VecDeque<Fault>,
    /// Of these, how many of the newest are not stored yet.
    unstored: usize,
    /// Keys of stored rows to be removed.
    dropped: Vec<Vec<u8>>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::of(VecDeque::new())
    }
}

impl Faults {
    fn of(faults: VecDeque<Fault>) -> Self {
        Self(Arc::new(Shared {
            kept: Mutex::new(Kept {
                faults,
                ..Kept::default()
            }),
            changed: watch::Sender::new(()),
        }))
    }

    /// The faults that are stored.
    pub(crate) async fn load<S: Store>(store: &S) -> Result<Self, store::Error> {
        let rows = store
            .range(EVIDENCE, Range::all(), KEPT, Order::Ascending)
            .await?;
        let faults = rows
            .into_iter()
            .filter_map(|(key, votes)| Fault::of_row(&key, votes));
        Ok(Self::of(faults.collect()))
    }

    /// Stores what is kept from now on, for as long as the store takes it.
    pub(crate) async fn store_all<S: Store>(self, store: S) {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(batch) = self.unstored()
                && let Err(error) = store.commit(batch).await
            {
                tracing::error!(%error, "evidence of a validator's misbehaviour could not be stored");
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The faults kept, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Fault> {
        self.kept().faults.iter().cloned().collect()
    }

    /// What is to be written; taken as written.
    fn unstored(&self) -> Option<Batch> {
        let mut kept = self.kept();
        let mut batch = Batch::new();
        for fault in kept.faults.iter().rev().take(kept.unstored) {
            batch = batch.put(EVIDENCE, fault.key(), fault.votes.clone());
        }
        let dropped = std::mem::take(&mut kept.dropped);
        let is_needed = kept.unstored > 0 || !dropped.is_empty();
        kept.unstored = 0;
        for key in dropped {
            batch = batch.delete(EVIDENCE, key);
        }
        is_needed.then_some(batch)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, fault: Fault) {
        tracing::warn!(
            kind = ?fault.kind,
            validator = ?fault.validator,
            epoch = fault.epoch,
            view = fault.view,
            "validator misbehaved; evidence kept"
        );
        let mut kept = self.kept();
        let key = fault.key();
        if kept.faults.iter().any(|known| known.key() == key) {
            return;
        }
        if kept.faults.len() == KEPT
            && let Some(oldest) = kept.faults.pop_front()
        {
            // What was never stored leaves no row: so these are never more than what is kept.
            if kept.unstored < KEPT {
                kept.dropped.push(oldest.key());
            }
            kept.unstored = kept.unstored.min(KEPT - 1);
        }
        kept.faults.push_back(fault);
        kept.unstored += 1;
        drop(kept);
        self.0.changed.send_replace(());
    }
}

impl Fault {
    fn key(&self) -> Vec<u8> {
        let kind = match self.kind {
            FaultKind::ConflictingNotarize => 1,
            FaultKind::ConflictingFinalize => 2,
            FaultKind::NullifyFinalize => 3,
        };
        let mut key = [self.epoch.to_be_bytes(), self.view.to_be_bytes()].concat();
        key.extend_from_slice(self.validator.as_bytes());
        key.push(kind);
        key
    }

    fn of_row(key: &[u8], votes: Bytes) -> Option<Self> {
        let (epoch, rest) = key.split_first_chunk()?;
        let (view, rest) = rest.split_first_chunk()?;
        let (validator, kind) = rest.split_first_chunk()?;
        let kind = match kind {
            [1] => FaultKind::ConflictingNotarize,
            [2] => FaultKind::ConflictingFinalize,
            [3] => FaultKind::NullifyFinalize,
            _ => return None,
        };
        Some(Self {
            kind,
            validator: keys::PublicKey::from_bytes(*validator),
            epoch: u64::from_be_bytes(*epoch),
            view: u64::from_be_bytes(*view),
            votes,
        })
    }
}

/// Listens to one epoch's engine and keeps the faults it reports.
#[derive(Clone)]
pub(crate) struct FaultReporter {
    faults: Faults,
    scheme: Arc<Scheme>,
    namespace: Arc<Vec<u8>>,
}

impl FaultReporter {
    pub(crate) fn new(faults: Faults, scheme: Arc<Scheme>, namespace: Arc<Vec<u8>>) -> Self {
        Self {
            faults,
            scheme,
            namespace,
        }
    }

    fn fault(&self, activity: &Activity<Scheme, sha256::Digest>) -> Option<Fault> {
        let (kind, signer) = match activity {
            Activity::ConflictingNotarize(votes) => {
                (FaultKind::ConflictingNotarize, votes.signer())
            }
            Activity::ConflictingFinalize(votes) => {
                (FaultKind::ConflictingFinalize, votes.signer())
            }
            Activity::NullifyFinalize(votes) => (FaultKind::NullifyFinalize, votes.signer()),
            _ => return None,
        };
        let votes = activity.encode();
        let mut coefficients = derived_rng(&self.namespace, &[&votes]);
        if !activity.verify(&mut coefficients, &self.scheme, &Sequential) {
            return None;
        }
        let validator = ledger_key(self.scheme.participants().key(signer)?)?;
        Some(Fault {
            kind,
            validator,
            epoch: activity.epoch().get(),
            view: activity.view().get(),
            votes,
        })
    }
}

impl Reporter for FaultReporter {
    type Activity = Activity<Scheme, sha256::Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Some(fault) = self.fault(&activity) {
            self.faults.keep(fault);
        }
        Feedback::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_consensus::simplex::types::{ConflictingNotarize, Notarize, Proposal};
    use commonware_consensus::types::{Epoch, Round, View};

    use crate::certificates::{engine_signer, validator_set};
    use crate::memory::Memory;
    use futures::executor::block_on;

    const NAMESPACE: &[u8] = b"test";

    fn scheme(of: u8) -> Scheme {
        let seeds = [1, 2, 3, 4].map(|byte| keys::Secret::from_bytes([byte; 32]));
        let validators = seeds
            .clone()
            .map(|seed| keys::SigningKey::from_seed(seed).public());
        let (signer, _) = engine_signer(&seeds[usize::from(of)]).unwrap();
        Scheme::signer(NAMESPACE, validator_set(&validators).unwrap(), signer).unwrap()
    }

    fn vote(scheme: &Scheme, block: u8) -> Notarize<Scheme, sha256::Digest> {
        let round = Round::new(Epoch::new(2), View::new(7));
        let payload = sha256::Digest::from([block; 32]);
        Notarize::sign(scheme, Proposal::new(round, View::new(6), payload)).unwrap()
    }

    fn reported(first: Notarize<Scheme, sha256::Digest>, second: u8) -> Vec<Fault> {
        let faults = Faults::default();
        let signer = scheme(2);
        let mut reporter = FaultReporter::new(
            faults.clone(),
            Arc::new(signer.clone()),
            Arc::new(NAMESPACE.to_vec()),
        );
        let conflict = ConflictingNotarize::new(first, vote(&signer, second));
        for _ in 0..2 {
            let _ = reporter.report(Activity::ConflictingNotarize(conflict.clone()));
        }
        faults.all()
    }

    #[test]
    fn two_votes_in_one_view_are_kept_once() {
        let kept = reported(vote(&scheme(2), 1), 9);
        let seed = keys::Secret::from_bytes([3; 32]);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].kind, FaultKind::ConflictingNotarize);
        assert_eq!(
            kept[0].validator,
            keys::SigningKey::from_seed(seed).public()
        );
        assert_eq!((kept[0].epoch, kept[0].view), (2, 7));
    }

    /// What a node that starts again on this store knows, after all that is unstored was stored.
    fn restarted(faults: &Faults, store: &Memory) -> Vec<Fault> {
        if let Some(batch) = faults.unstored() {
            block_on(store.commit(batch)).unwrap();
        }
        assert!(faults.unstored().is_none());
        block_on(Faults::load(store)).unwrap().all()
    }

    #[test]
    fn a_restart_forgets_no_evidence() {
        let (faults, store) = (Faults::default(), Memory::default());
        let mut expected = Vec::new();
        for view in 0..u64::try_from(KEPT).unwrap() + 40 {
            let fault = Fault {
                kind: FaultKind::NullifyFinalize,
                validator: keys::SigningKey::from_seed(keys::Secret::from_bytes([3; 32])).public(),
                epoch: view / 100,
                view,
                votes: Bytes::copy_from_slice(&view.to_be_bytes()),
            };
            faults.keep(fault.clone());
            faults.keep(fault.clone());
            expected.push(fault);
            if view % 37 == 0 {
                let kept = expected.len().saturating_sub(KEPT);
                assert_eq!(restarted(&faults, &store), &expected[kept..]);
            }
        }
        assert_eq!(restarted(&faults, &store), &expected[40..]);
        assert_eq!(faults.all(), &expected[40..]);
    }

    #[test]
    fn more_than_is_kept_at_once_leaves_no_row_behind() {
        let (faults, store) = (Faults::default(), Memory::default());
        let validator = keys::PublicKey::from_bytes([3; 32]);
        let fault = |view| Fault {
            kind: FaultKind::ConflictingFinalize,
            validator,
            epoch: 1,
            view,
            votes: Bytes::from_static(b"votes"),
        };
        for view in 0..3 * KEPT as u64 {
            faults.keep(fault(view));
            assert!(faults.kept().dropped.len() <= KEPT);
        }
        assert_eq!(restarted(&faults, &store), faults.all());
        assert_eq!(store.rows().len(), KEPT);
    }

    #[test]
    fn a_forged_vote_is_no_evidence() {
        let mut forged = vote(&scheme(2), 1);
        forged.proposal.payload = sha256::Digest::from([8; 32]);
        assert_eq!(reported(forged, 9), Vec::new());
    }
}
