//! The categories of health data that grants and projections speak of.

crate::codes! {
    /// A category of health data.
    pub enum Category {
        /// Names, addresses, identifiers, birth date.
        1 => Identity = "identity",
        /// Clinical findings, diagnoses, family history.
        2 => Phenotype = "phenotype",
        /// Variants and sequence data.
        3 => Genomic = "genomic",
        /// Laboratory results.
        4 => Laboratory = "laboratory",
        /// Vital signs and device measurements.
        5 => Vitals = "vitals",
        /// Letters, images, reports.
        6 => Documents = "documents",
    }
}
