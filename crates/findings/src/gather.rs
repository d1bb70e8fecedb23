//! From documents to a case: what each of them says is gathered, and merged once at the end.

use crate::case::{Case, Finding, Format, LeftOut, Place, RecordedDiagnosis, State, Variant};
use crate::document::{Content, Document};
use crate::genes::Genes;
use crate::merge::{Statement, merge};
use crate::resolve::Resolver;
use crate::resources::{About, Current, read_resources};
use crate::time::{Day, When, age_on};
use crate::{Error, MAX_FINDINGS, MAX_GENES, MAX_SOURCES, list, packet};
use ontology::{GeneIx, Ontology, Sex};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Reads documents of one person. Of several the caller vouches for that; a single one must say so.
pub(crate) fn case_of(
    documents: &[Document<'_>],
    format: Format,
    ontology: &Ontology,
) -> Result<Case, Error> {
    let mut gathered = Gathered::new(ontology);
    let current = Current::of(documents, &mut gathered.resolver);
    let about = match format {
        Format::Records => About::Vouched,
        Format::Phenopacket | Format::Fhir | Format::List => About::of(&current)?,
    };
    gathered.person(documents, &current);
    for (document, resources) in documents.iter().zip(current.by_document()) {
        gathered.document.clone_from(&document.name);
        match &document.content {
            Content::Packet(packet) => packet::read(packet, &mut gathered)?,
            Content::Resources(_) => read_resources(resources, &about, &mut gathered),
            Content::List(source) => list::read(source, &mut gathered)?,
            Content::Unreadable => gathered.resolver.leave_out(LeftOut::Unreadable),
        }
    }
    gathered.finish(format)
}

/// What was gathered so far.
pub(crate) struct Gathered<'o> {
    pub(crate) resolver: Resolver<'o>,
    pub(crate) statements: Vec<Statement>,
    pub(crate) sex: Option<Sex>,
    pub(crate) born: Option<Day>,
    /// Of the newest dated resource.
    pub(crate) newest: Option<Day>,
    pub(crate) age: Option<When>,
    /// As it is stated of the illness.
    pub(crate) onset: Option<When>,
    pub(crate) genes: Genes,
    variants: Vec<Variant>,
    diagnoses: Vec<RecordedDiagnosis>,
    publications: BTreeSet<String>,
    /// The name of the document that is being read, if it is one of several.
    document: Option<Arc<str>>,
    /// What is listed of several documents.
    listed: HashSet<Listed>,
}

/// What tells variants and diagnoses of several documents apart.
#[derive(PartialEq, Eq, Hash)]
enum Listed {
    Variant {
        gene: (String, Option<GeneIx>),
        id: String,
        expressions: Vec<(String, String)>,
        vcf: Option<[String; 5]>,
        status: u8,
        pathogenicity: u8,
        zygosity: Option<(String, String)>,
    },
    Diagnosis {
        id: String,
        label: String,
        excluded: bool,
        progress: u8,
    },
}

impl<'o> Gathered<'o> {
    fn new(ontology: &'o Ontology) -> Self {
        Self {
            resolver: Resolver::new(ontology),
            statements: Vec::new(),
            sex: None,
            born: None,
            newest: None,
            age: None,
            onset: None,
            genes: Genes::default(),
            variants: Vec::new(),
            diagnoses: Vec::new(),
            publications: BTreeSet::new(),
            document: None,
            listed: HashSet::new(),
        }
    }

    /// Sex and day of birth, which the ages and reference ranges of all documents need first.
    fn person(&mut self, documents: &[Document<'_>], current: &Current<'_, '_>) {
        let mut sexes = Vec::new();
        let mut births = Vec::new();
        for document in documents {
            if let Content::Packet(packet) = &document.content
                && let Some(subject) = packet.subject()
            {
                sexes.extend(match subject.sex {
                    phenopacket::Sex::Female => Some(Sex::Female),
                    phenopacket::Sex::Male => Some(Sex::Male),
                    phenopacket::Sex::Unknown | phenopacket::Sex::Other => None,
                });
                births.extend(subject.born.as_deref().and_then(Day::parse));
            }
        }
        for patient in current.all().filter_map(|r| r.parsed.patient()) {
            sexes.extend(match &*patient.gender {
                "female" => Some(Sex::Female),
                "male" => Some(Sex::Male),
                _ => None,
            });
            births.extend(patient.born.as_deref().and_then(Day::parse));
        }
        self.sex = sexes.first().copied();
        if sexes.iter().any(|&sex| Some(sex) != self.sex) {
            self.sex = None;
            self.resolver
                .leave_out_all(LeftOut::SexDiffers, sexes.len());
        }
        // A year and a day of it do not disagree.
        self.born = births.iter().copied().min_by_key(|day| day.length());
        let differs = |day: &Day| self.born.is_some_and(|born| born.surely_differs(*day));
        if births.iter().any(differs) {
            self.born = None;
            let births = births.len();
            self.resolver.leave_out_all(LeftOut::BirthDiffers, births);
        }
    }

    /// Whether the document that is being read may be a projection.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.document.is_some()
    }

    /// A place in the document that is being read.
    pub(crate) fn place(&self, place: Place) -> Place {
        match &self.document {
            None => place,
            Some(document) => Place::Within(document.clone(), Box::new(place)),
        }
    }

    /// An age at an examination: the greatest counts.
    pub(crate) fn seen_at(&mut self, age: When) {
        let order = |age: When| age.age_order(self.resolver.ontology);
        if self.age.is_none_or(|known| order(age) > order(known)) {
            self.age = Some(age);
        }
    }

    /// Lists a diagnosis, of several documents once each.
    pub(crate) fn diagnosis(&mut self, new: RecordedDiagnosis) {
        let listed = || Listed::Diagnosis {
            id: new.id.clone(),
            label: new.label.clone(),
            excluded: new.excluded,
            progress: new.progress as u8,
        };
        let is_full = self.diagnoses.len() == MAX_FINDINGS;
        if !is_full && (self.document.is_none() || self.listed.insert(listed())) {
            self.diagnoses.push(new);
        }
    }

    /// Lists a publication.
    pub(crate) fn publication(&mut self, id: String) {
        if !id.is_empty() && self.publications.len() < MAX_SOURCES {
            self.publications.insert(id);
        }
    }

    /// Lists a variant, of several documents once each.
    pub(crate) fn variant(&mut self, new: Variant) {
        let listed = || Listed::Variant {
            gene: (new.symbol.clone(), new.gene),
            id: new.id.clone(),
            expressions: new.expressions.clone(),
            vcf: new.vcf.clone(),
            status: new.status as u8,
            pathogenicity: new.pathogenicity as u8,
            zygosity: new.zygosity.clone(),
        };
        if self.document.is_none() || self.listed.insert(listed()) {
            self.variants.push(new);
        }
    }

    /// Whether there are no more genes and variants than a case may have.
    pub(crate) fn check_genes(&self) -> Result<(), Error> {
        match self.genes.len().max(self.variants.len()) {
            given if given > MAX_GENES => Err(Error::TooManyGenes { given }),
            _ => Ok(()),
        }
    }

    fn finish(mut self, format: Format) -> Result<Case, Error> {
        let ontology = self.resolver.ontology;
        let newest = self.newest.zip(self.born);
        if let Some(age) = newest.and_then(|(newest, born)| age_on(newest, born)) {
            self.seen_at(age);
        }
        let (findings, contradictions) = merge(self.statements, ontology)?;
        let (unresolved, left_out) = self.resolver.finish();
        Ok(Case {
            format,
            sex: self.sex,
            age: self.age,
            onset: self.onset.or_else(|| first_onset(&findings, ontology)),
            findings,
            genes: self.genes.into_vec(),
            variants: self.variants,
            recorded_diagnoses: self.diagnoses,
            publications: self.publications,
            unresolved,
            contradictions,
            left_out,
        })
    }
}

/// The earliest onset of what is observed.
fn first_onset(findings: &[Finding], ontology: &Ontology) -> Option<When> {
    let observed = findings.iter().filter(|f| f.state == State::Observed);
    let onsets = observed.filter_map(|finding| finding.onset);
    onsets.min_by_key(|onset| onset.order(ontology))
}
