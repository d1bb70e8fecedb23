//! Entries about studies and the data sets released to them.

use codec::{Digest, InstitutionId, StudyId, record};

record! {
    /// Opens a study.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StudyOpen {
        /// Who runs the study.
        1 => pub institution: InstitutionId,
        /// Random id of the study.
        2 => pub study: StudyId,
        /// Digest of the study's policy.
        3 => pub policy: Digest,
    }
}

record! {
    /// Releases a de-identified data set of a study.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StudyRelease {
        /// Who runs the study.
        1 => pub institution: InstitutionId,
        /// The study.
        2 => pub study: StudyId,
        /// Digest of the content.
        3 => pub content: Digest,
        /// Digest of the release certificate (measured risk and utility).
        4 => pub certificate: Digest,
    }
}
