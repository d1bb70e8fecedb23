//! What holds when the question is asked, as the custodian's node knows it.

use crate::{BreakGlass, Condition, ConsentState, Curie, RecordKind, Signature, Study};
use codec::{InstitutionId, Millis, RecordId, StudyId};
use std::collections::{BTreeMap, BTreeSet};

/// How old the node's view of the ledger may be for other institutions and research, in ms.
pub const MAX_LEDGER_AGE_MS: u64 = 60_000;

/// How the finalised consent state that is in the compartment relates to the subject's leaf on
/// the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It opens the leaf.
    Matches,
    /// There is no leaf yet: the compartment was opened but the ledger has not recorded it.
    NoLeaf,
    /// It does not open the leaf: there is a state that this node does not hold, as after a
    /// restore from a backup.
    Mismatch,
}

/// What a custodian knows of a study.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StudyFacts {
    /// Open on the ledger, and the asker's institution takes part in it.
    pub active: bool,
    /// What it declares: the record whose digest the ledger has, and no other. None if it is not held here.
    pub study: Option<Study>,
    /// The approval that stands at this custodian, by its own committee. One by another's does not count.
    pub approval: Option<Signature>,
    /// What that committee accepted of the conditions that only a person can judge.
    pub accepted: BTreeSet<Condition>,
    /// For each disease of the study that is known here, everything that it is within.
    pub ancestors: BTreeMap<Curie, BTreeSet<Curie>>,
}

impl StudyFacts {
    /// Of a study that is open to the asker's institution, and of which no more is known.
    pub fn active() -> Self {
        Self {
            active: true,
            ..Self::default()
        }
    }
}

/// The facts of one moment at one custodian about one subject.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The institution that decides.
    pub custodian: InstitutionId,
    /// The local clock.
    pub now: Millis,
    /// The time of the last finalised block.
    pub block_time: Millis,
    /// How long ago this node last learnt of a finalised block or checked that there is none.
    pub ledger_age_ms: u64,
    /// Whether the state in the compartment is the one on the ledger.
    pub opening: Opening,
    /// The subject's entry on the ledger is closed: nothing new, no sharing.
    pub closed: bool,
    /// The compartment key is destroyed.
    pub erased: bool,
    /// The session in which the asker broke the glass for this subject, if there is one.
    pub break_glass: Option<BreakGlass>,
    /// What is known of the study that is asked for, if one is, and of others.
    pub studies: BTreeMap<StudyId, StudyFacts>,
    /// The kinds of the records that the request names. A record without one counts as left out
    /// by every exception for a kind.
    pub record_kinds: BTreeMap<RecordId, RecordKind>,
}

impl Facts {
    /// Facts of a custodian in step with the ledger, with nothing special about the subject.
    pub fn new(custodian: InstitutionId, now: Millis, block_time: Millis) -> Self {
        Self {
            custodian,
            now,
            block_time,
            ledger_age_ms: 0,
            opening: Opening::Matches,
            closed: false,
            erased: false,
            break_glass: None,
            studies: BTreeMap::new(),
            record_kinds: BTreeMap::new(),
        }
    }

    /// The instant that periods are held against: the later of both clocks, so that neither a
    /// slow clock nor a stalled ledger prolongs anything.
    pub fn at(&self) -> Millis {
        self.now.max(self.block_time)
    }

    /// Whether the view of the ledger is too old for other institutions and research.
    pub fn is_stale(&self) -> bool {
        self.ledger_age_ms > MAX_LEDGER_AGE_MS
    }
}

/// The consent that is in force: the finalised state and every accepted change that is not final.
///
/// Each of them must permit, on the same basis. So a narrowing binds once it is accepted and a
/// widening once it is final. Before the first state is final, it stands as `finalised` with [`Opening::NoLeaf`].
#[derive(Clone, Copy, Debug)]
pub struct Effective<'a> {
    /// The state that the ledger finalised.
    pub finalised: &'a ConsentState,
    /// The durably accepted changes after it, in order.
    pub pending: &'a [ConsentState],
}

impl<'a> Effective<'a> {
    /// A finalised state with nothing pending.
    pub fn of(finalised: &'a ConsentState) -> Self {
        let pending = &[];
        Self { finalised, pending }
    }

    /// Every state that must permit, the finalised one first.
    pub fn states(&self) -> impl Iterator<Item = &'a ConsentState> + use<'a> {
        std::iter::once(self.finalised).chain(self.pending)
    }

    /// The state that the next change is made from.
    pub fn latest(&self) -> &'a ConsentState {
        self.pending.last().unwrap_or(self.finalised)
    }
}
