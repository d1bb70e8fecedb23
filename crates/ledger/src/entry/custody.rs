//! Entries of a custodian about what it holds and what it disclosed.

use codec::{DeviceId, Digest, InstitutionId, record};
use keys::PublicKey;

record! {
    /// Commits to records: the root of a padded tree ([`crate::batch::RecordTree`]).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RecordBatch {
        /// Who holds the records.
        1 => pub custodian: InstitutionId,
        /// Root over the records' commitments and random padding.
        2 => pub root: Digest,
    }
}

record! {
    /// Commits to a period's disclosures: the root of a padded map ([`crate::batch::PeriodMap`]).
    /// Sent for every period, also an empty one; period numbers are contiguous.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DisclosurePeriod {
        /// Who logged the disclosures.
        1 => pub custodian: InstitutionId,
        /// Which period: Unix time divided by the network's period length.
        2 => pub period: u64,
        /// Root of the map.
        3 => pub root: Digest,
    }
}

record! {
    /// Enrols a device of an institution.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DeviceEnrol {
        /// Whose device.
        1 => pub institution: InstitutionId,
        /// Random id of the device.
        2 => pub device: DeviceId,
        /// Signs the device's batches.
        3 => pub key: PublicKey,
        /// Salted commitment to what the device is.
        4 => pub commitment: Digest,
    }
}

record! {
    /// Revokes a device for good.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DeviceRevoke {
        /// Whose device.
        1 => pub institution: InstitutionId,
        /// The device.
        2 => pub device: DeviceId,
    }
}
