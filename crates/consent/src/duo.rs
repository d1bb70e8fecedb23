//! The Data Use Ontology (DUO, GA4GH): what a use of data may be and what it is bound to.
//!
//! Ids, shorthands and labels are DUO's (EBISPOT/DUO at 81f5c3d, CC BY 4.0), all of its terms that are not
//! obsolete but its two headings, [`PERMISSION`] and [`MODIFIER`]. The meanings are in words of this project.
//! The code of a term is the number of its id.

/// The heading of the permissions.
pub const PERMISSION: &str = "DUO:0000001";
/// The heading of the modifiers.
pub const MODIFIER: &str = "DUO:0000017";
/// What the coding system of DUO is called in FHIR.
pub const SYSTEM: &str = "http://purl.obolibrary.org/obo/duo.owl";

codec::codes! {
    /// A term of DUO, by its shorthand.
    pub enum Duo {
        /// No restriction.
        4 => Nres = "NRES",
        /// Health, medical or biomedical research.
        6 => Hmb = "HMB",
        /// Disease-specific research.
        7 => Ds = "DS",
        /// Population origins or ancestry research only.
        11 => Poa = "POA",
        /// Research-specific restrictions.
        12 => Rs = "RS",
        /// No general methods research.
        15 => Nmds = "NMDS",
        /// Genetic studies only.
        16 => Gso = "GSO",
        /// Not-for-profit, non-commercial use only.
        18 => Npuncu = "NPUNCU",
        /// Publication required.
        19 => Pub = "PUB",
        /// Collaboration required.
        20 => Col = "COL",
        /// Ethics approval required.
        21 => Irb = "IRB",
        /// Geographical restriction.
        22 => Gs = "GS",
        /// Publication moratorium.
        24 => Mor = "MOR",
        /// Time limit on use.
        25 => Ts = "TS",
        /// User-specific restriction.
        26 => Us = "US",
        /// Project-specific restriction.
        27 => Ps = "PS",
        /// Institution-specific restriction.
        28 => Is = "IS",
        /// Return to database or resource.
        29 => Rtn = "RTN",
        /// General research use.
        42 => Gru = "GRU",
        /// Clinical care use.
        43 => Cc = "CC",
        /// Population origins or ancestry research prohibited.
        44 => Npoa = "NPOA",
        /// Not-for-profit organisation use only.
        45 => Npu = "NPU",
        /// Non-commercial use only.
        46 => Ncu = "NCU",
    }
}

impl Duo {
    /// The id, `DUO:0000042`.
    pub fn id(self) -> String {
        format!("DUO:{:07}", self.code())
    }

    /// The term with an id as [`Self::id`] writes it, or as a coding system or IRI does: `DUO_0000042`.
    pub fn from_id(id: &str) -> Option<Self> {
        let number = id
            .strip_prefix("DUO:")
            .or_else(|| id.strip_prefix("DUO_"))?;
        let is_number = number.len() == 7 && number.bytes().all(|b| b.is_ascii_digit());
        let code: u64 = number.parse().ok().filter(|_| is_number)?;
        Self::ALL.iter().copied().find(|term| term.code() == code)
    }

    /// Whether this says what the data may be used for; otherwise it says on what condition.
    pub const fn is_permission(self) -> bool {
        matches!(
            self,
            Self::Nres | Self::Gru | Self::Hmb | Self::Ds | Self::Poa
        )
    }

    /// DUO's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nres => "no restriction",
            Self::Hmb => "health or medical or biomedical research",
            Self::Ds => "disease specific research",
            Self::Poa => "population origins or ancestry research only",
            Self::Rs => "research specific restrictions",
            Self::Nmds => "no general methods research",
            Self::Gso => "genetic studies only",
            Self::Npuncu => "not for profit, non commercial use only",
            Self::Pub => "publication required",
            Self::Col => "collaboration required",
            Self::Irb => "ethics approval required",
            Self::Gs => "geographical restriction",
            Self::Mor => "publication moratorium",
            Self::Ts => "time limit on use",
            Self::Us => "user specific restriction",
            Self::Ps => "project specific restriction",
            Self::Is => "institution specific restriction",
            Self::Rtn => "return to database or resource",
            Self::Gru => "general research use",
            Self::Cc => "clinical care use",
            Self::Npoa => "population origins or ancestry research prohibited",
            Self::Npu => "not for profit organisation use only",
            Self::Ncu => "non-commercial use only",
        }
    }

    /// What the term means here, in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Nres => "Any use is allowed.",
            Self::Gru => "Any research is allowed.",
            Self::Hmb => {
                "Research into health and medicine is allowed; into origins and ancestry it is not."
            }
            Self::Ds => "Research into the named diseases, and what is within them, is allowed.",
            Self::Poa => "Research into origins and ancestry is allowed, and no other.",
            Self::Rs => "Research of the named topic alone is allowed.",
            Self::Nmds => "Developing methods, such as software, is not allowed.",
            Self::Gso => "The study must work with genetic data, alone or with other data.",
            Self::Npuncu => {
                "Only organisations that make no profit may use the data, and for nothing commercial."
            }
            Self::Pub => "The study must make its results available to other researchers.",
            Self::Col => "The study must work together with those who collected the data.",
            Self::Irb => "The study must have been approved by an ethics committee.",
            Self::Gs => "The data may be used in the named countries only.",
            Self::Mor => "Nothing may be published before the named day.",
            Self::Ts => "The data may be used within the named period only.",
            Self::Us => "Only the named people may use the data.",
            Self::Ps => "The data may be used in the named studies only.",
            Self::Is => "The data may be used at the named institutions only.",
            Self::Rtn => "The study must give back what it derives from the data.",
            Self::Cc => "Use in clinical care is allowed too.",
            Self::Npoa => "Research into origins and ancestry is not allowed.",
            Self::Npu => "Only organisations that make no profit may use the data.",
            Self::Ncu => "The data may not be used for anything commercial.",
        }
    }
}
