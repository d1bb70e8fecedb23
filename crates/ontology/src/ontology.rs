//! The opened index: lookups by identifier. What they find is read through [`crate::handles`].

use crate::{
    graph::{Graph, Lists},
    handles::{Disease, Gene, Orphanet, Term},
    id::{
        DiseaseId, DiseaseIx, GeneIx, HpoId, LoincCode, MondoId, OrphaCode, OrphanetIx,
        ReferenceIx, TermIx,
    },
    parse::loinc::{LoincScale, Outcome},
    search::Search,
    source::Problem,
    tables::{SourceKind, StoredLoinc, Tables, position},
};
use std::fmt;

/// HPO, its disease annotations, genes, Orphanet, Mondo and LOINC mappings, ready to be asked.
pub struct Ontology {
    pub(crate) tables: Tables,
    pub(crate) graph: Graph,
    roots: Roots,
    pub(crate) search: Search,
    pub(crate) diseases_of_gene: Lists<DiseaseIx>,
    pub(crate) diseases_of_disorder: Lists<DiseaseIx>,
    /// By their text.
    references: Vec<ReferenceIx>,
}

/// The terms under which a term means a feature, a modifier, an onset, and so on.
#[derive(Debug, Clone, Copy)]
pub struct Roots {
    /// `HP:0000118`.
    pub phenotypic_abnormality: TermIx,
    /// `HP:0012823`.
    pub clinical_modifier: TermIx,
    /// `HP:0003674`.
    pub onset: TermIx,
    /// `HP:0000005`.
    pub inheritance: TermIx,
    /// `HP:0040279`.
    pub frequency: TermIx,
}

/// What an HPO id means today.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved<'a> {
    /// A live term.
    Live(TermIx),
    /// An alternative id of a live term, into which another was merged.
    Alternative {
        /// That term.
        of: TermIx,
    },
    /// An obsolete term with replacements.
    Replaced {
        /// The obsolete term's label.
        label: &'a str,
        /// What replaces it; with more than one, a person has to choose.
        by: &'a [TermIx],
    },
    /// An obsolete term without a replacement.
    Obsolete {
        /// The obsolete term's label.
        label: &'a str,
        /// What could be meant.
        consider: &'a [TermIx],
    },
    /// Not an id of this release.
    Unknown,
}

impl Resolved<'_> {
    /// The one live term that is meant, where there is exactly one.
    pub fn term(&self) -> Option<TermIx> {
        match *self {
            Self::Live(term) | Self::Alternative { of: term } => Some(term),
            Self::Replaced { by: [only], .. } => Some(*only),
            _ => None,
        }
    }
}

/// What an interpreted laboratory result says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoincFinding {
    /// The test.
    pub code: LoincCode,
    /// How the result was interpreted.
    pub outcome: Outcome,
    /// The scale of the test.
    pub scale: LoincScale,
    /// The term.
    pub term: TermIx,
    /// Whether the result says that the term is absent.
    pub negated: bool,
}

impl LoincFinding {
    fn of(row: &StoredLoinc) -> Self {
        Self {
            code: row.code,
            outcome: row.outcome,
            scale: row.scale,
            term: row.term,
            negated: row.outcome.negates(),
        }
    }
}

/// A source of this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<'a> {
    /// Which original.
    pub kind: SourceKind,
    /// The file.
    pub file: &'a str,
    /// Its version; empty where neither the file nor the importer stated one.
    pub version: &'a str,
    /// Its licence.
    pub licence: &'a str,
    /// What its licence asks to be passed on with the data, and so with this index.
    pub notice: &'a str,
    /// Its size, unpacked.
    pub size_bytes: u64,
    /// Its number of lines.
    pub lines: u32,
    /// XXH3-128 of its bytes: tells files apart, proves nothing against an attacker.
    pub digest: u128,
}

/// Something in a source that could not be placed as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice<'a> {
    /// In which original.
    pub source: SourceKind,
    /// On which line, from 1.
    pub line: u32,
    /// What.
    pub text: &'a str,
}

impl Ontology {
    /// Derives what is not stored. Positions in the tables have been checked.
    pub(crate) fn new(tables: Tables) -> Result<Self, Problem> {
        let graph = Graph::new(&tables.terms)?;
        let root = |number| {
            tables
                .term(HpoId(number))
                .ok_or(Problem::Missing("term for one of the roots of HPO"))
        };
        let roots = Roots {
            phenotypic_abnormality: root(118)?,
            clinical_modifier: root(12823)?,
            onset: root(3674)?,
            inheritance: root(5)?,
            frequency: root(40279)?,
        };
        let diseases = || tables.diseases.iter().enumerate();
        let diseases_of_gene = Lists::grouped(tables.genes.len(), || {
            diseases().flat_map(|(at, d)| {
                d.genes
                    .iter()
                    .map(move |g| (g.index(), DiseaseIx(position(at))))
            })
        });
        let diseases_of_disorder = Lists::grouped(tables.disorders.len(), || {
            diseases().flat_map(|(at, d)| {
                d.orphanet
                    .iter()
                    .map(move |o| (o.index(), DiseaseIx(position(at))))
            })
        });
        let mut references: Vec<_> = (0..position(tables.references.len()))
            .map(ReferenceIx)
            .collect();
        references.sort_unstable_by_key(|r| tables.texts.get(tables.references[r.index()]));
        let mut ontology = Self {
            search: Search::default(),
            graph,
            roots,
            diseases_of_gene,
            diseases_of_disorder,
            references,
            tables,
        };
        ontology.search = Search::new(&ontology);
        Ok(ontology)
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        self.tables.texts.get(number)
    }

    /// How many live terms there are; [`TermIx`] counts from 0 to one less.
    pub fn term_count(&self) -> usize {
        self.tables.terms.len()
    }

    /// Every live term, in ascending order of its id.
    pub fn terms(&self) -> impl DoubleEndedIterator<Item = TermIx> + ExactSizeIterator + use<> {
        (0..position(self.tables.terms.len())).map(TermIx)
    }

    /// Reads one term.
    pub fn term(&self, ix: TermIx) -> Term<'_> {
        Term { ontology: self, ix }
    }

    /// The live term with exactly this id; [`Self::resolve`] also knows former ids.
    pub fn live(&self, id: HpoId) -> Option<TermIx> {
        self.tables.term(id)
    }

    /// What an id means today. An obsolete term's own replacement goes before the term that lists
    /// it as an alternative id (HPO names both for most, and contradicts itself for three).
    pub fn resolve(&self, id: HpoId) -> Resolved<'_> {
        if let Some(term) = self.tables.term(id) {
            return Resolved::Live(term);
        }
        match self.tables.gone(id) {
            None => Resolved::Unknown,
            Some(gone) if !gone.replaced_by.is_empty() => Resolved::Replaced {
                label: self.text(gone.label),
                by: &gone.replaced_by,
            },
            Some(gone) => match gone.merged_into {
                Some(of) => Resolved::Alternative { of },
                None => Resolved::Obsolete {
                    label: self.text(gone.label),
                    consider: &gone.consider,
                },
            },
        }
    }

    /// The roots that matter.
    pub fn roots(&self) -> Roots {
        self.roots
    }

    /// Whether `term` is `ancestor` or below it.
    pub fn is_a(&self, term: TermIx, ancestor: TermIx) -> bool {
        self.distance(term, ancestor).is_some()
    }

    /// Steps on the shortest way up from `term` to `ancestor`, if it is one; 0 to itself.
    pub fn distance(&self, term: TermIx, ancestor: TermIx) -> Option<u8> {
        if term == ancestor {
            return Some(0);
        }
        let (_, above) = self.ancestors(term).split_first()?;
        let at = above.binary_search_by_key(&ancestor, |&(a, _)| a).ok()?;
        Some(above[at].1)
    }

    /// The term itself at 0, then every term above it in ascending order, each with its shortest
    /// distance.
    pub fn ancestors(&self, ix: TermIx) -> &[(TermIx, u8)] {
        self.graph.ancestors.get(ix.index())
    }

    /// The term itself at 0, then every term below it in ascending order, each with its shortest
    /// distance.
    pub fn descendants(&self, ix: TermIx) -> &[(TermIx, u8)] {
        self.graph.descendants.get(ix.index())
    }

    /// How many diseases the HPO annotations describe.
    pub fn disease_count(&self) -> usize {
        self.tables.diseases.len()
    }

    /// Every disease: OMIM, then DECIPHER, then ORPHA, by number.
    pub fn diseases(
        &self,
    ) -> impl DoubleEndedIterator<Item = DiseaseIx> + ExactSizeIterator + use<> {
        (0..position(self.tables.diseases.len())).map(DiseaseIx)
    }

    /// Reads one disease.
    pub fn disease(&self, ix: DiseaseIx) -> Disease<'_> {
        Disease { ontology: self, ix }
    }

    /// The disease with this id.
    pub fn find_disease(&self, id: DiseaseId) -> Option<DiseaseIx> {
        self.tables.disease(id)
    }

    /// The diseases that Mondo matches exactly with this id.
    pub fn diseases_of_mondo(&self, id: MondoId) -> impl Iterator<Item = DiseaseIx> + '_ {
        self.diseases()
            .filter(move |&ix| self.disease(ix).mondo().contains(&id))
    }

    /// Mondo's label of an id, where the id matches something here.
    pub fn mondo_label(&self, id: MondoId) -> Option<&str> {
        let at = self.tables.mondo.binary_search_by_key(&id, |m| m.0).ok()?;
        Some(self.text(self.tables.mondo[at].1))
    }

    /// How many genes there are.
    pub fn gene_count(&self) -> usize {
        self.tables.genes.len()
    }

    /// Every gene, by symbol.
    pub fn genes(&self) -> impl DoubleEndedIterator<Item = GeneIx> + ExactSizeIterator + use<> {
        (0..position(self.tables.genes.len())).map(GeneIx)
    }

    /// Reads one gene.
    pub fn gene(&self, ix: GeneIx) -> Gene<'_> {
        Gene { ontology: self, ix }
    }

    /// The gene with this symbol, as the sources write it.
    pub fn find_gene(&self, symbol: &str) -> Option<GeneIx> {
        if symbol.is_empty() {
            return None;
        }
        let at = self
            .tables
            .genes
            .binary_search_by(|g| self.text(g.symbol).cmp(symbol))
            .ok()?;
        Some(GeneIx(position(at)))
    }

    /// The gene with this NCBI number.
    pub fn find_gene_ncbi(&self, number: u32) -> Option<GeneIx> {
        let at = self
            .tables
            .genes
            .iter()
            .position(|g| g.ncbi == number && number != 0)?;
        Some(GeneIx(position(at)))
    }

    /// How many Orphanet disorders, groups and subtypes there are.
    pub fn orphanet_count(&self) -> usize {
        self.tables.disorders.len()
    }

    /// Every Orphanet disorder, by code.
    pub fn orphanet_disorders(
        &self,
    ) -> impl DoubleEndedIterator<Item = OrphanetIx> + ExactSizeIterator + use<> {
        (0..position(self.tables.disorders.len())).map(OrphanetIx)
    }

    /// Reads one Orphanet disorder.
    pub fn orphanet(&self, ix: OrphanetIx) -> Orphanet<'_> {
        Orphanet { ontology: self, ix }
    }

    /// The Orphanet disorder with this code.
    pub fn find_orphanet(&self, code: OrphaCode) -> Option<OrphanetIx> {
        self.tables.disorder(code)
    }

    /// How many sources the annotations cite.
    pub fn reference_count(&self) -> usize {
        self.tables.references.len()
    }

    /// A cited source as written: `PMID:31675180`.
    pub fn reference(&self, ix: ReferenceIx) -> &str {
        self.text(self.tables.references[ix.index()])
    }

    /// The cited source that is written so.
    pub fn find_reference(&self, text: &str) -> Option<ReferenceIx> {
        let at = self
            .references
            .binary_search_by(|&r| self.reference(r).cmp(text))
            .ok()?;
        Some(self.references[at])
    }

    /// What a laboratory result says, if the mapping knows the test and the interpretation.
    pub fn loinc(&self, code: LoincCode, outcome: Outcome) -> Option<LoincFinding> {
        let at = self
            .tables
            .loinc
            .binary_search_by_key(&(code, outcome), |row| (row.code, row.outcome))
            .ok()?;
        self.tables.loinc.get(at).map(LoincFinding::of)
    }

    /// Every mapping, by code and outcome: also the way from a term to the tests that could show it.
    pub fn loinc_findings(
        &self,
    ) -> impl DoubleEndedIterator<Item = LoincFinding> + ExactSizeIterator + '_ {
        self.tables.loinc.iter().map(LoincFinding::of)
    }

    /// The files this index was made from.
    pub fn versions(&self) -> impl ExactSizeIterator<Item = Version<'_>> + '_ {
        self.tables.sources.iter().map(|source| Version {
            kind: source.kind,
            file: self.text(source.name),
            version: self.text(source.version),
            licence: self.text(source.licence),
            notice: self.text(source.notice),
            size_bytes: source.size_bytes,
            lines: source.lines,
            digest: source.digest,
        })
    }

    /// What could not be placed as it stands, by file.
    pub fn notices(&self) -> impl ExactSizeIterator<Item = Notice<'_>> + '_ {
        self.tables.notices.iter().map(|notice| Notice {
            source: notice.source,
            line: notice.line,
            text: self.text(notice.text),
        })
    }
}

impl fmt::Debug for Ontology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ontology")
            .field("terms", &self.term_count())
            .field("diseases", &self.disease_count())
            .finish_non_exhaustive()
    }
}
