//! Keys of the authenticated state.

use crate::entry::KeyId;
use codec::{DeviceId, Digest, Domain, EntryId, InstitutionId, StudyId, SubjectId, choice};

choice! {
    /// Where a value lies in the state. Its encoding is the key of the persisted row, its digest
    /// under the variant's domain the key in the tree.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum StateKey {
        /// [`crate::Parameters`].
        1 => Parameters,
        /// [`super::ValidatorHistory`].
        2 => Validators,
        /// [`super::Roster`].
        3 => Roster,
        /// [`super::Agenda`].
        4 => Agenda,
        /// [`super::InstitutionLeaf`].
        5 => Institution(InstitutionId),
        /// [`super::KeyLeaf`].
        6 => InstitutionKey(KeyId),
        /// [`super::ProposalLeaf`].
        7 => Proposal(EntryId),
        /// [`super::SubjectLeaf`].
        8 => Subject((InstitutionId, SubjectId)),
        /// [`super::SeenLeaf`] of the block at this height.
        9 => Seen(u64),
        /// [`super::PeriodLeaf`].
        10 => Period(InstitutionId),
        /// [`super::DeviceLeaf`].
        11 => Device((InstitutionId, DeviceId)),
        /// [`super::StudyLeaf`].
        12 => Study(StudyId),
        /// [`super::ReleaseLeaf`], numbered from 0 within the study.
        13 => Release((StudyId, u64)),
    }
}

impl StateKey {
    /// The key of the persisted row.
    pub fn row(&self) -> Vec<u8> {
        codec::to_vec(self)
    }

    /// The key in the tree.
    pub fn digest(&self) -> Digest {
        keys::digest(self.domain(), &[&self.row()])
    }

    const fn domain(&self) -> Domain {
        match self {
            Self::Parameters => Domain::StateParameters,
            Self::Validators => Domain::StateValidators,
            Self::Roster | Self::Institution(_) => Domain::StateInstitution,
            Self::Agenda | Self::Proposal(_) => Domain::StateProposal,
            Self::InstitutionKey(_) => Domain::StateInstitutionKey,
            Self::Subject(_) => Domain::StateSubject,
            Self::Seen(_) => Domain::StateEntrySeen,
            Self::Period(_) => Domain::StatePeriod,
            Self::Device(_) => Domain::StateDevice,
            Self::Study(_) => Domain::StateStudy,
            Self::Release(_) => Domain::StateRelease,
        }
    }
}
