//! What a phenopacket says: the person, findings, diseases, variants, dates and publications.
//!
//! Everything here borrows from the source, absent fields are empty or `None`, and the schema walk
//! has already checked the kinds.

use crate::Parsed;
use crate::fields::field;
use crate::schema::chosen;
use crate::table;
use json::Value;
use std::borrow::Cow;
use std::fmt;

/// An ontology term: a CURIE such as `HP:0001250`, and its label.
#[derive(Clone, PartialEq, Eq)]
pub struct Coded<'a> {
    /// The CURIE.
    pub id: Cow<'a, str>,
    /// The label, as the source wrote it.
    pub label: Cow<'a, str>,
}

/// A time, as exactly as the source gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Time<'a> {
    /// An age, as an ISO 8601 duration.
    Age(Cow<'a, str>),
    /// An age between two ISO 8601 durations.
    AgeRange(Cow<'a, str>, Cow<'a, str>),
    /// Completed weeks and days of gestation.
    GestationalAge {
        /// Weeks.
        weeks: i64,
        /// Days.
        days: i64,
    },
    /// An onset class, such as `HP:0003577` (congenital onset).
    Class(Coded<'a>),
    /// An RFC 3339 timestamp.
    Timestamp(Cow<'a, str>),
    /// Between two RFC 3339 timestamps.
    Interval(Cow<'a, str>, Cow<'a, str>),
}

/// The person the phenopacket is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The id by which the sender knows the person.
    pub id: Cow<'a, str>,
    /// Phenotypic sex.
    pub sex: Sex,
    /// Age or time at the last encounter.
    pub last_encounter: Option<Time<'a>>,
    /// Date of birth, RFC 3339.
    pub born: Option<Cow<'a, str>>,
}

/// Phenotypic sex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// Not given.
    Unknown,
    /// Female.
    Female,
    /// Male.
    Male,
    /// Neither.
    Other,
}

/// A phenotypic feature: observed, or looked for and not there.
#[derive(Clone, PartialEq, Eq)]
pub struct Finding<'a> {
    /// The term, usually of the Human Phenotype Ontology.
    pub term: Coded<'a>,
    /// True when the feature was looked for and is absent.
    pub excluded: bool,
    /// When it began.
    pub onset: Option<Time<'a>>,
    /// How severe it is.
    pub severity: Option<Coded<'a>>,
    /// Other modifiers.
    pub modifiers: Vec<Coded<'a>>,
}

/// A disease that the person has, or was excluded to have.
#[derive(Clone, PartialEq, Eq)]
pub struct Disease<'a> {
    /// The term.
    pub term: Coded<'a>,
    /// True when the disease was excluded.
    pub excluded: bool,
    /// When it began.
    pub onset: Option<Time<'a>>,
}

/// The diagnosis of an interpretation.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnosis<'a> {
    /// The disease.
    pub disease: Option<Coded<'a>>,
    /// How far the interpretation is.
    pub progress: Progress,
}

/// How far an interpretation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not given.
    Unknown,
    /// Being worked on.
    InProgress,
    /// Finished, without saying how.
    Completed,
    /// A diagnosis was made.
    Solved,
    /// No diagnosis was made.
    Unsolved,
}

/// What a gene or variant is to a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not given.
    Unknown,
    /// Not related.
    Rejected,
    /// Possibly related.
    Candidate,
    /// A part of the cause.
    Contributory,
    /// The cause.
    Causative,
}

/// The five classes of the ACMG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pathogenicity {
    /// Not given.
    NotProvided,
    /// Benign.
    Benign,
    /// Likely benign.
    LikelyBenign,
    /// Of uncertain significance.
    Uncertain,
    /// Likely pathogenic.
    LikelyPathogenic,
    /// Pathogenic.
    Pathogenic,
}

/// A gene.
#[derive(Clone, PartialEq, Eq)]
pub struct Gene<'a> {
    /// The CURIE, usually of HGNC.
    pub id: Cow<'a, str>,
    /// The symbol.
    pub symbol: Cow<'a, str>,
}

/// A gene or variant of an interpretation.
#[derive(Clone, PartialEq, Eq)]
pub struct Variant<'a> {
    /// What it is to the diagnosis.
    pub status: Status,
    /// The gene, when one is named.
    pub gene: Option<Gene<'a>>,
    /// The variant's id; empty when only a gene is named.
    pub id: Cow<'a, str>,
    /// The ACMG class.
    pub pathogenicity: Pathogenicity,
    /// Syntax and text, such as `hgvs.c` and `NM_005249.5:c.694A>T`.
    pub expressions: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Heterozygous, homozygous and so on.
    pub zygosity: Option<Coded<'a>>,
    /// The position in a genome.
    pub vcf: Option<VcfRecord<'a>>,
}

/// A variant as a line of VCF.
#[derive(Clone, PartialEq, Eq)]
pub struct VcfRecord<'a> {
    /// Such as `hg38`.
    pub assembly: Cow<'a, str>,
    /// The chromosome.
    pub chrom: Cow<'a, str>,
    /// The digits of the position, from 1.
    pub pos: Cow<'a, str>,
    /// The reference bases.
    pub reference: Cow<'a, str>,
    /// The alternate bases.
    pub alternate: Cow<'a, str>,
}

/// A publication or other outside reference.
#[derive(Clone, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Such as `PMID:28851325`.
    pub id: Cow<'a, str>,
    /// The title.
    pub title: Cow<'a, str>,
}

impl<'a> Parsed<'a> {
    /// The id that the sender gave the phenopacket.
    pub fn id(&self) -> Cow<'a, str> {
        text(self.document.root(), "id")
    }

    /// The person.
    pub fn subject(&self) -> Option<Subject<'a>> {
        let subject = field(self.document.root(), "subject")?;
        let sexes = [Sex::Unknown, Sex::Female, Sex::Male, Sex::Other];
        Some(Subject {
            id: text(subject, "id"),
            sex: pick(subject, "sex", table::SEX, &sexes, Sex::Unknown),
            last_encounter: time(subject, "timeAtLastEncounter"),
            born: field(subject, "dateOfBirth").and_then(Value::text),
        })
    }

    /// The findings about the person, observed and excluded, in the order of the source.
    pub fn findings(&self) -> Vec<Finding<'a>> {
        let findings = items(self.document.root(), "phenotypicFeatures");
        findings
            .map(|finding| Finding {
                term: coded(finding, "type").unwrap_or_else(Coded::nothing),
                excluded: is_true(finding, "excluded"),
                onset: time(finding, "onset"),
                severity: coded(finding, "severity"),
                modifiers: items(finding, "modifiers").map(coded_value).collect(),
            })
            .collect()
    }

    /// The diseases of the person.
    pub fn diseases(&self) -> Vec<Disease<'a>> {
        items(self.document.root(), "diseases")
            .filter_map(|disease| {
                Some(Disease {
                    term: coded(disease, "term")?,
                    excluded: is_true(disease, "excluded"),
                    onset: time(disease, "onset"),
                })
            })
            .collect()
    }

    /// The diagnoses of the interpretations.
    pub fn diagnoses(&self) -> Vec<Diagnosis<'a>> {
        let all = [
            Progress::Unknown,
            Progress::InProgress,
            Progress::Completed,
            Progress::Solved,
            Progress::Unsolved,
        ];
        items(self.document.root(), "interpretations")
            .map(|interpretation| Diagnosis {
                disease: field(interpretation, "diagnosis").and_then(|d| coded(d, "disease")),
                progress: pick(
                    interpretation,
                    "progressStatus",
                    table::PROGRESS,
                    &all,
                    Progress::Unknown,
                ),
            })
            .collect()
    }

    /// The genes and variants of the interpretations.
    pub fn variants(&self) -> Vec<Variant<'a>> {
        items(self.document.root(), "interpretations")
            .filter_map(|interpretation| field(interpretation, "diagnosis"))
            .flat_map(|diagnosis| items(diagnosis, "genomicInterpretations"))
            .map(variant)
            .collect()
    }

    /// The publications and other references about the phenopacket.
    pub fn publications(&self) -> Vec<Publication<'a>> {
        let meta = field(self.document.root(), "metaData");
        let references = meta.map(|meta| items(meta, "externalReferences"));
        references
            .into_iter()
            .flatten()
            .map(|reference| Publication {
                id: text(reference, "id"),
                title: text(reference, "description"),
            })
            .collect()
    }

    /// When the phenopacket was made, RFC 3339.
    pub fn created(&self) -> Option<Cow<'a, str>> {
        let meta = field(self.document.root(), "metaData")?;
        field(meta, "created")?.text()
    }
}

fn variant<'a>(interpretation: Value<'_, 'a>) -> Variant<'a> {
    let statuses = [
        Status::Unknown,
        Status::Rejected,
        Status::Candidate,
        Status::Contributory,
        Status::Causative,
    ];
    let classes = [
        Pathogenicity::NotProvided,
        Pathogenicity::Benign,
        Pathogenicity::LikelyBenign,
        Pathogenicity::Uncertain,
        Pathogenicity::LikelyPathogenic,
        Pathogenicity::Pathogenic,
    ];
    let call = field(interpretation, "variantInterpretation");
    let descriptor = call.and_then(|call| field(call, "variationDescriptor"));
    let named = field(interpretation, "gene");
    let gene = named.or_else(|| descriptor.and_then(|d| field(d, "geneContext")));
    Variant {
        status: pick(
            interpretation,
            "interpretationStatus",
            table::INTERPRETATION_STATUS,
            &statuses,
            Status::Unknown,
        ),
        gene: gene.map(|gene| Gene {
            id: text(gene, "valueId"),
            symbol: text(gene, "symbol"),
        }),
        id: descriptor.map_or_else(Cow::default, |d| text(d, "id")),
        pathogenicity: call.map_or(Pathogenicity::NotProvided, |call| {
            pick(
                call,
                "acmgPathogenicityClassification",
                table::PATHOGENICITY,
                &classes,
                Pathogenicity::NotProvided,
            )
        }),
        expressions: descriptor
            .into_iter()
            .flat_map(|descriptor| items(descriptor, "expressions"))
            .map(|expression| (text(expression, "syntax"), text(expression, "value")))
            .collect(),
        zygosity: descriptor.and_then(|d| coded(d, "allelicState")),
        vcf: descriptor
            .and_then(|d| field(d, "vcfRecord"))
            .map(|record| VcfRecord {
                assembly: text(record, "genomeAssembly"),
                chrom: text(record, "chrom"),
                pos: digits(record, "pos"),
                reference: text(record, "ref"),
                alternate: text(record, "alt"),
            }),
    }
}

fn time<'a>(object: Value<'_, 'a>, name: &str) -> Option<Time<'a>> {
    let element = field(object, name)?;
    let age = |value| text(value, "iso8601duration");
    let part = |name| field(element, name);
    let bound = |range, name| field(range, name).map_or_else(Cow::default, age);
    if let Some(value) = part("age") {
        return Some(Time::Age(age(value)));
    }
    if let Some(range) = part("ageRange") {
        return Some(Time::AgeRange(bound(range, "start"), bound(range, "end")));
    }
    if let Some(gestation) = part("gestationalAge") {
        let whole = |name| digits(gestation, name).parse().unwrap_or(0);
        return Some(Time::GestationalAge {
            weeks: whole("weeks"),
            days: whole("days"),
        });
    }
    if let Some(class) = coded(element, "ontologyClass") {
        return Some(Time::Class(class));
    }
    if let Some(timestamp) = part("timestamp") {
        return timestamp.text().map(Time::Timestamp);
    }
    let interval = part("interval")?;
    Some(Time::Interval(
        text(interval, "start"),
        text(interval, "end"),
    ))
}

fn items<'d, 'a>(
    object: Value<'d, 'a>,
    name: &str,
) -> impl Iterator<Item = Value<'d, 'a>> + use<'d, 'a> {
    field(object, name)
        .map(Value::children)
        .into_iter()
        .flatten()
}

fn text<'a>(object: Value<'_, 'a>, name: &str) -> Cow<'a, str> {
    field(object, name)
        .and_then(Value::text)
        .unwrap_or_default()
}

fn digits<'a>(object: Value<'_, 'a>, name: &str) -> Cow<'a, str> {
    let value = field(object, name);
    let written = value.and_then(|value| value.digits().map(Cow::Borrowed));
    written.unwrap_or_else(|| text(object, name))
}

fn is_true(object: Value<'_, '_>, name: &str) -> bool {
    field(object, name).and_then(Value::boolean) == Some(true)
}

fn coded<'a>(object: Value<'_, 'a>, name: &str) -> Option<Coded<'a>> {
    field(object, name).map(coded_value)
}

fn coded_value<'a>(class: Value<'_, 'a>) -> Coded<'a> {
    Coded {
        id: text(class, "id"),
        label: text(class, "label"),
    }
}

/// The value of an enum field, `absent` when it is not there.
fn pick<T: Copy>(object: Value<'_, '_>, name: &str, words: &[&str], values: &[T], absent: T) -> T {
    field(object, name)
        .and_then(|value| chosen(value, words).ok())
        .and_then(|number| values.get(number).copied())
        .unwrap_or(absent)
}

impl Coded<'_> {
    fn nothing() -> Self {
        Self {
            id: Cow::Borrowed(""),
            label: Cow::Borrowed(""),
        }
    }
}

macro_rules! redacted {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        })*
    };
}

redacted!(Coded Time Subject Finding Disease Diagnosis Gene Variant VcfRecord Publication);
