//! Evidence of misbehaving validators, as the engine reports it: kept, never acted upon here.
//!
//! A fault is two votes of one validator that no correct validator casts together; both signatures
//! are checked before it is kept. At most [`KEPT`] faults are kept, the oldest go first. Governance
//! (removing a validator) is a decision of the members, not of this crate.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::Encode;
use commonware_consensus::simplex::types::{Activity, Attributable};
use commonware_consensus::{Epochable, Reporter, Viewable};
use commonware_cryptography::certificate::Scheme as _;
use commonware_cryptography::sha256;
use commonware_parallel::Sequential;
use commonware_utils::ordered::Quorum;

use crate::certificates::{Scheme, derived_rng, ledger_key};

/// How many faults are kept.
pub const KEPT: usize = 256;

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

/// The faults seen since this node started. Cheap to clone.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<VecDeque<Fault>>>);

impl Faults {
    /// The faults kept, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Fault> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    fn keep(&self, fault: Fault) {
        tracing::warn!(
            kind = ?fault.kind,
            validator = ?fault.validator,
            epoch = fault.epoch,
            view = fault.view,
            "validator misbehaved; evidence kept"
        );
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains(&fault) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(fault);
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

    #[test]
    fn a_forged_vote_is_no_evidence() {
        let mut forged = vote(&scheme(2), 1);
        forged.proposal.payload = sha256::Digest::from([8; 32]);
        assert_eq!(reported(forged, 9), Vec::new());
    }
}
