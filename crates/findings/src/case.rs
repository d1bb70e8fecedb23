//! What a case says, once it is read.

use crate::time::{Day, When};
use ontology::{GeneIx, HpoId, Sex, TermIx};
use phenopacket::{Pathogenicity, Progress, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// How a case was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A GA4GH phenopacket, version 2, as JSON.
    Phenopacket,
    /// A FHIR R4 resource or Bundle of any type, as JSON. Read are Patient, Condition and
    /// Observation: of Conditions and Observations the codes of HPO
    /// (`http://human-phenotype-ontology.org` and its other usual names), of Observations also those
    /// of LOINC, by their interpretation or else their value against its reference range.
    Fhir,
    /// A plain list in UTF-8: HPO ids and names, separated by line ends, semicolons or commas (a
    /// comma that is part of a name is kept). `HP:0001250 Seizure` and `Seizure (HP:0001250)` are
    /// one item if id and name agree. `-Seizure`, `!Seizure`, `no seizures`, `not ...` and
    /// `without ...` are excluded, unless the whole is a name itself (`No speech`); a dash followed
    /// by a space may be a bullet or a minus and is not guessed, nor is `Seizure?` or `Seizure: -`. `age: 3y 6m`, `onset: P2Y` (or an
    /// onset term), `sex: female` and `gene: ABC, DEF` have lines of their own. Lines that start
    /// with `#` are passed over.
    List,
    /// Several documents of one person, each a phenopacket, FHIR, or a projection of one of them.
    Records,
}

/// A case. Terms are of the ontology that it was read with. `Debug` shows nothing of the person.
#[derive(Clone, PartialEq)]
pub struct Case {
    /// How it was handed over.
    pub format: Format,
    /// Each term once, in the order in which they were first given.
    pub findings: Vec<Finding>,
    /// The person's sex, where it is known to be female or male.
    pub sex: Option<Sex>,
    /// Age at the last examination; of FHIR, at the newest dated Observation or Condition. Of
    /// several documents the greatest.
    pub age: Option<When>,
    /// When the illness began: the earliest that is stated of the illness, else of its first
    /// observed finding.
    pub onset: Option<When>,
    /// Genes under suspicion, each once; those rejected are not among them.
    pub genes: Vec<CandidateGene>,
    /// Variants as they were interpreted, also those rejected.
    pub variants: Vec<Variant>,
    /// What others concluded: never evidence.
    pub recorded_diagnoses: Vec<RecordedDiagnosis>,
    /// The publications that a phenopacket names as being about the person, such as `PMID:20301293`.
    pub publications: BTreeSet<String>,
    /// What was not understood.
    pub unresolved: Vec<Unresolved>,
    /// What was said both ways, and how it was decided.
    pub contradictions: Vec<Contradiction>,
    /// How many statements were passed over, by reason.
    pub left_out: BTreeMap<LeftOut, usize>,
}

impl Case {
    /// The terms in one state, in the order of the findings.
    pub fn terms(&self, state: State) -> impl Iterator<Item = TermIx> + '_ {
        let wanted = self.findings.iter().filter(move |f| f.state == state);
        wanted.map(|finding| finding.term)
    }
}

/// One term of a case.
#[derive(Clone, PartialEq)]
pub struct Finding {
    /// The term, below "Phenotypic abnormality".
    pub term: TermIx,
    /// Whether it is there.
    pub state: State,
    /// On what that rests.
    pub basis: Basis,
    /// When it began.
    pub onset: Option<When>,
    /// Severity and other clinical modifiers, ascending.
    pub modifiers: Vec<TermIx>,
    /// The text or id as it was handed over first.
    pub as_given: String,
    /// What was done to get from that to the term.
    pub note: Option<Note>,
    /// Who says so: newest first, undated last, at most [`crate::MAX_SOURCES`].
    pub sources: Vec<Source>,
    /// How many sources there are.
    pub source_count: usize,
}

/// Whether a finding is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Seen.
    Observed,
    /// Looked for and not there.
    Excluded,
    /// Suggested, not established: not to be ranked by.
    Candidate,
    /// Suggested to be absent, not established: not to be ranked by.
    CandidateExcluded,
}

/// On what the state of a finding rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// A person stated it.
    Stated,
    /// A person holds it possible: a Condition that is provisional, differential or unconfirmed.
    /// Never more than a candidate.
    Provisional,
    /// One day's laboratory value, or several without dates that surely differ: a candidate.
    Laboratory,
    /// Laboratory values of at least two surely different days that say the same.
    LaboratoryRepeated,
    /// A laboratory value, and the same term, or a kind of it, stated as observed (of a normal
    /// value: the same term stated as excluded).
    LaboratoryConfirmed,
}

/// How an id became its term.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// This id was merged into the term.
    Alternative(HpoId),
    /// This id is obsolete, and the term is its one successor.
    Replaced(HpoId),
    /// The id was taken, but the label that came with it names this other term.
    LabelNames(TermIx),
}

/// Where something stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of a list, from 1.
    Line(usize),
    /// An item of a phenopacket, such as `phenotypicFeatures[3]`.
    Item(&'static str, usize),
    /// A resource of FHIR: its type and its id, empty if it has none.
    Resource(&'static str, String),
    /// A place in one of several documents, which has a name.
    Within(Arc<str>, Box<Self>),
}

impl Place {
    /// The name of the document, where there are several.
    pub fn document(&self) -> Option<&str> {
        match self {
            Self::Within(document, _) => Some(document),
            Self::Line(_) | Self::Item(..) | Self::Resource(..) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Item(name, position) => write!(f, "{name}[{position}]"),
            Self::Resource(kind, id) if id.is_empty() => f.write_str(kind),
            Self::Resource(kind, id) => write!(f, "{kind}/{id}"),
            Self::Within(document, place) => write!(f, "{document}: {place}"),
        }
    }
}

/// Who says something.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it stands.
    pub place: Place,
    /// Of which day it is, where that is said.
    pub date: Option<Day>,
}

/// A gene under suspicion.
#[derive(Clone, PartialEq)]
pub struct CandidateGene {
    /// The symbol as it was given; empty if only an id was.
    pub symbol: String,
    /// The id as it was given, such as `HGNC:4585`; may be empty.
    pub id: String,
    /// The gene, if the ontology has a disease of it.
    pub gene: Option<GeneIx>,
    /// The strongest that was said of it.
    pub status: Status,
    /// The strongest class of its variants that were not rejected.
    pub pathogenicity: Pathogenicity,
    /// Where it stands first.
    pub place: Place,
}

/// A variant as it was interpreted.
#[derive(Clone, PartialEq)]
pub struct Variant {
    /// The gene's symbol; may be empty.
    pub symbol: String,
    /// The gene, if the ontology has a disease of it.
    pub gene: Option<GeneIx>,
    /// The id as it was given; may be empty.
    pub id: String,
    /// Syntax and text, such as `hgvs.c` and `NM_005249.5:c.694A>T`.
    pub expressions: Vec<(String, String)>,
    /// Assembly, chromosome, position, reference and alternate bases.
    pub vcf: Option<[String; 5]>,
    /// What it is to the diagnosis.
    pub status: Status,
    /// The class of the ACMG.
    pub pathogenicity: Pathogenicity,
    /// Id and label of its zygosity, such as `GENO:0000135`, `heterozygous`.
    pub zygosity: Option<(String, String)>,
    /// Where it stands.
    pub place: Place,
}

/// What others concluded.
#[derive(Clone, PartialEq)]
pub struct RecordedDiagnosis {
    /// The id, such as `OMIM:617831`.
    pub id: String,
    /// The label; may be empty.
    pub label: String,
    /// Whether the disease was excluded.
    pub excluded: bool,
    /// How far the interpretation is that says so; unknown if none does.
    pub progress: Progress,
    /// Where it stands.
    pub place: Place,
}

/// Something that was not understood. Nothing of it is in the findings.
#[derive(Clone, PartialEq)]
pub struct Unresolved {
    /// The text or id as it was handed over, at most 200 characters of it.
    pub as_given: String,
    /// Whether it was said to be absent.
    pub excluded: bool,
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub why: Why,
    /// Terms that may be meant, most probable first.
    pub suggestions: Vec<TermIx>,
}

/// Why something was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// No term has this name.
    UnknownName,
    /// Several terms have this name, or several codes for one thing disagree.
    Ambiguous,
    /// No term has this id.
    UnknownId,
    /// The id is obsolete and has no successor, or several.
    Obsolete,
    /// The term is none of what can be found in a person, such as a mode of inheritance.
    NotAFinding,
    /// It is coded in another system than HPO.
    OtherSystem,
    /// The id and the name beside it are of different terms.
    IdAndNameDiffer,
    /// It begins with a sign that may be a bullet or a minus.
    Dash,
    /// The words of a sex or an age, or their repetition, are not understood.
    NotAnAnswer,
    /// No disease of this gene is known here.
    UnknownGene,
    /// Whether it is there is not said in a way that is understood.
    UnclearState,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "no term has this name; choose one, or give its HPO id",
            Self::Ambiguous => "several terms may be meant; choose one by its HPO id",
            Self::UnknownId => "no term has this id; check its digits",
            Self::Obsolete => "this id is obsolete without one clear successor; choose one",
            Self::NotAFinding => "this is not something found in a person; leave it out",
            Self::OtherSystem => "this is coded in another system; choose an HPO term",
            Self::IdAndNameDiffer => "id and name are of different terms; keep one of them",
            Self::Dash => {
                "the sign before it may be a bullet or mean absent; write '-' without a space for \
                 absent, nothing for present"
            }
            Self::NotAnAnswer => "not understood; write such as 'age: 3y 6m' or 'sex: female'",
            Self::UnknownGene => "no disease of this gene is known here; check the symbol",
            Self::UnclearState => "whether it is there is not clear; say present or absent",
        })
    }
}

/// Something that was said both ways. What was decided is in the findings; here stands the rest.
#[derive(Clone, PartialEq)]
pub struct Contradiction {
    /// The term that is there, or may be.
    pub present: TermIx,
    /// The term that is not: the same, or one that `present` is a kind of.
    pub absent: TermIx,
    /// What was decided.
    pub decision: Decision,
    /// Who was not followed, as in [`Finding::sources`].
    pub not_followed: Vec<Source>,
}

/// How a contradiction was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// What was once seen belongs to the person, also when it is gone later: the exclusion is left
    /// out, whichever is newer.
    Observed,
    /// A Condition recorded as refuted on a surely later day than all who saw it takes it back.
    Retracted,
    /// One laboratory value, or an unconfirmed condition, speaks against an exclusion: neither
    /// counts. The same term is a candidate; an exclusion of a wider term a candidate exclusion.
    Open,
}

/// Why a statement was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOut {
    /// Entered in error.
    EnteredInError,
    /// An Observation that is not final, amended or corrected.
    NotFinal,
    /// An older version of a resource that came again.
    OlderVersion,
    /// Something in it changes its meaning in a way that is not known here.
    Modified,
    /// It is not about the patient (a group, a device, a place).
    NotThePatient,
    /// A laboratory result with neither interpretation nor a reference range that decides.
    NotInterpreted,
    /// A laboratory result whose interpretations disagree.
    InterpretationsDiffer,
    /// A laboratory result that says nothing in terms of HPO.
    NotMapped,
    /// A modifier that is none of HPO's.
    UnknownModifier,
    /// Not understood like those in `unresolved`, beyond the number that is listed.
    NotListed,
    /// A document, one of several, that is damaged or of no format that is read.
    Unreadable,
    /// What several documents say of the person's sex, when they disagree.
    SexDiffers,
    /// What several documents say of the day of birth, when they disagree.
    BirthDiffers,
}

macro_rules! redacted {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        })*
    };
}

redacted!(Case Finding Note Place Source CandidateGene Variant RecordedDiagnosis Unresolved Contradiction);
