//! What the sources say about a disease: annotations with their counts and papers, and Orphanet's
//! own description, each in its own type so that the two are never taken for one another.

use crate::id::{DiseaseId, GeneIx, MondoId, OrphaCode, TermIx};

/// A closed list of words of a source: the enum, the words as written there, and a stable code.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As the source writes it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub(crate) fn from_word(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }

            pub(crate) const fn code(self) -> u8 {
                self as u8
            }

            pub(crate) fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How often a feature is seen, as one of HPO's frequency terms.
    FrequencyClass {
        /// 100 %.
        Obligate = "HP:0040280",
        /// 80 to 99 %.
        VeryFrequent = "HP:0040281",
        /// 30 to 79 %.
        Frequent = "HP:0040282",
        /// 5 to 29 %.
        Occasional = "HP:0040283",
        /// 1 to 4 %.
        VeryRare = "HP:0040284",
        /// 0 %.
        Excluded = "HP:0040285",
    }
}

words! {
    /// Orphanet's frequency of a feature.
    OrphanetFrequency {
        /// 100 %.
        Obligate = "Obligate (100%)",
        /// 80 to 99 %.
        VeryFrequent = "Very frequent (99-80%)",
        /// 30 to 79 %.
        Frequent = "Frequent (79-30%)",
        /// 5 to 29 %.
        Occasional = "Occasional (29-5%)",
        /// Under 1 to 4 %.
        VeryRare = "Very rare (<4-1%)",
        /// 0 %: a criterion that speaks against the disorder.
        Excluded = "Excluded (0%)",
    }
}

words! {
    /// Whom an annotation is about.
    Sex {
        /// Male patients only.
        Male = "MALE",
        /// Female patients only.
        Female = "FEMALE",
    }
}

words! {
    /// How an annotation was made.
    Evidence {
        /// Published clinical study.
        Pcs = "PCS",
        /// Traceable author statement.
        Tas = "TAS",
        /// Inferred from electronic annotation.
        Iea = "IEA",
    }
}

words! {
    /// What part of the ontology an annotation's term is from.
    Aspect {
        /// A phenotypic abnormality.
        Phenotype = "P",
        /// A mode of inheritance.
        Inheritance = "I",
        /// Onset and clinical course.
        Course = "C",
        /// A clinical modifier.
        Modifier = "M",
        /// Past medical history.
        History = "H",
    }
}

words! {
    /// Orphanet's age of onset.
    OrphanetOnset {
        /// Before birth.
        Antenatal = "Antenatal",
        /// Birth to 4 weeks.
        Neonatal = "Neonatal",
        /// 4 weeks to 23 months.
        Infancy = "Infancy",
        /// 2 to 11 years.
        Childhood = "Childhood",
        /// 12 to 18 years.
        Adolescent = "Adolescent",
        /// 19 to 65 years.
        Adult = "Adult",
        /// Over 65 years.
        Elderly = "Elderly",
        /// Any age.
        AllAges = "All ages",
        /// Not known to Orphanet.
        NoData = "No data available",
    }
}

words! {
    /// Orphanet's mode of inheritance.
    OrphanetInheritance {
        /// Autosomal recessive.
        AutosomalRecessive = "Autosomal recessive",
        /// Autosomal dominant.
        AutosomalDominant = "Autosomal dominant",
        /// X-linked recessive.
        XLinkedRecessive = "X-linked recessive",
        /// X-linked dominant.
        XLinkedDominant = "X-linked dominant",
        /// Y-linked.
        YLinked = "Y-linked",
        /// Mitochondrial.
        Mitochondrial = "Mitochondrial inheritance",
        /// Semi-dominant.
        SemiDominant = "Semi-dominant",
        /// Oligogenic.
        Oligogenic = "Oligogenic",
        /// Multigenic or multifactorial.
        Multifactorial = "Multigenic/multifactorial",
        /// Not inherited.
        NotApplicable = "Not applicable",
        /// Unknown.
        Unknown = "Unknown",
        /// Not yet documented.
        NotDocumented = "Not yet documented",
        /// Not known to Orphanet.
        NoData = "No data available",
    }
}

words! {
    /// What a prevalence figure counts.
    PrevalenceKind {
        /// At one time.
        Point = "Point prevalence",
        /// Among live births.
        AtBirth = "Prevalence at birth",
        /// Over a lifetime.
        Lifetime = "Lifetime Prevalence",
        /// New cases a year.
        AnnualIncidence = "Annual incidence",
        /// Cases or families in the literature.
        Cases = "Cases/families",
        /// Not said.
        NoData = "no data",
    }
}

words! {
    /// How a prevalence is given.
    PrevalenceQualification {
        /// A figure and its class.
        ValueAndClass = "Value and class",
        /// The class only.
        ClassOnly = "Class only",
        /// A number of cases.
        Cases = "Case(s)",
        /// A number of families.
        Families = "Family(ies)",
        /// Not said.
        NoData = "no data",
    }
}

words! {
    /// Orphanet's prevalence classes.
    PrevalenceClass {
        /// More than 1 in 1,000.
        Above1In1000 = ">1 / 1000",
        /// 6 to 9 in 10,000.
        From6To9In10000 = "6-9 / 10 000",
        /// 1 to 5 in 10,000.
        From1To5In10000 = "1-5 / 10 000",
        /// 1 to 9 in 100,000.
        From1To9In100000 = "1-9 / 100 000",
        /// 1 to 9 in 1,000,000.
        From1To9In1000000 = "1-9 / 1 000 000",
        /// Less than 1 in 1,000,000.
        Below1In1000000 = "<1 / 1 000 000",
        /// Unknown.
        Unknown = "Unknown",
        /// Not yet documented.
        NotDocumented = "Not yet documented",
        /// Not said.
        NoData = "no data",
    }
}

words! {
    /// How Orphanet relates its disorder to an OMIM entry.
    OmimRelation {
        /// The same concept.
        Exact = "E (E",
        /// Orphanet's is narrower than OMIM's.
        Narrower = "NTBT",
        /// Orphanet's is broader than OMIM's.
        Broader = "BTNT",
        /// Orphanet has not decided.
        Undecided = "ND (",
    }
}

/// How often a feature was seen in a disease, exactly as the annotation says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frequency {
    /// Not said.
    Unstated,
    /// Seen in `affected` of `examined` patients; `examined` is at least 1, `affected` at most that.
    Count {
        /// Patients with the feature.
        affected: u32,
        /// Patients in whom it was looked for.
        examined: u32,
    },
    /// Per cent, 0 to 100.
    Percent(f32),
    /// A frequency term.
    Class(FrequencyClass),
}

/// One line of `phenotype.hpoa`. What it cites is read through [`crate::Disease`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Annotation {
    /// The feature, mode of inheritance, course or modifier.
    pub term: TermIx,
    /// How often, as stated.
    pub frequency: Frequency,
    /// A `NOT` line: the feature is said to be absent in this disease.
    pub excluded: bool,
    /// Whom it is about, where it is about one sex.
    pub sex: Option<Sex>,
    /// When the feature begins.
    pub onset: Option<TermIx>,
    /// How the annotation was made.
    pub evidence: Evidence,
    /// What kind of term it is.
    pub aspect: Aspect,
    pub(crate) references: u32,
    pub(crate) modifiers: u32,
    pub(crate) curation: u32,
}

/// One prevalence or incidence that Orphanet gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prevalence<'a> {
    /// What is counted.
    pub kind: PrevalenceKind,
    /// How it is given.
    pub qualification: PrevalenceQualification,
    /// Its class.
    pub class: PrevalenceClass,
    /// Mean figure: per 100,000, or a number of cases or families by the qualification. `None`
    /// where the source has no data; Orphanet also writes 0 where it knows a class only.
    pub mean: Option<f64>,
    /// Where: `Worldwide`, `Europe`, a country.
    pub geography: &'a str,
}

/// A feature of a disorder in Orphanet's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrphanetFeature {
    /// The feature.
    pub term: TermIx,
    /// How often.
    pub frequency: OrphanetFrequency,
}

/// An OMIM entry that Orphanet relates to a disorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OmimReference {
    /// The entry; it need not have annotations in HPO.
    pub id: DiseaseId,
    /// How the two relate.
    pub relation: OmimRelation,
}

/// One stored Orphanet prevalence; the text is looked up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StoredPrevalence {
    pub(crate) kind: PrevalenceKind,
    pub(crate) qualification: PrevalenceQualification,
    pub(crate) class: PrevalenceClass,
    pub(crate) mean: Option<f64>,
    pub(crate) geography: u32,
}

/// One Orphanet disorder as stored; texts are looked up.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Disorder {
    pub(crate) label: u32,
    pub(crate) kind: u32,
    pub(crate) prevalences: Vec<StoredPrevalence>,
    pub(crate) onsets: Vec<OrphanetOnset>,
    pub(crate) inheritance: Vec<OrphanetInheritance>,
    pub(crate) omim: Vec<OmimReference>,
    pub(crate) genes: Vec<GeneIx>,
    pub(crate) features: Vec<OrphanetFeature>,
    pub(crate) parents: Vec<OrphaCode>,
    pub(crate) mondo: Vec<MondoId>,
}
