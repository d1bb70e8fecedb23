//! What an index holds: the sources' content with every identifier looked up and every text once.

use crate::{
    id::{
        DiseaseId, DiseaseIx, GeneIx, HpoId, LoincCode, MondoId, OrphaCode, OrphanetIx,
        ReferenceIx, TermIx,
    },
    parse::{
        loinc::{LoincScale, Outcome},
        obo::{Scope, SynonymKind},
    },
    profile::{Annotation, Disorder},
};
use std::collections::HashMap;

/// Every text once, by number; number 0 is the empty text.
#[derive(Debug, PartialEq)]
pub(crate) struct Texts {
    pub(crate) blob: String,
    pub(crate) ends: Vec<u32>,
}

impl Texts {
    pub(crate) fn get(&self, at: u32) -> &str {
        let at = at as usize;
        let start = at
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        &self.blob[start..self.ends[at] as usize]
    }
}

/// Gathers texts while the sources are read.
pub(crate) struct Interner {
    numbers: HashMap<String, u32>,
    texts: Texts,
}

impl Interner {
    pub(crate) fn new() -> Self {
        let texts = Texts {
            blob: String::new(),
            ends: vec![0],
        };
        Self {
            numbers: HashMap::from([(String::new(), 0)]),
            texts,
        }
    }

    /// The number of a text. The sources are bounded so that positions fit 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "all sources together are under 4 GiB"
    )]
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.ends.len() as u32;
        self.texts.blob.push_str(text);
        self.texts.ends.push(self.texts.blob.len() as u32);
        self.numbers.insert(text.to_owned(), number);
        number
    }

    pub(crate) fn finish(self) -> Texts {
        self.texts
    }
}

/// Which original a source is, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `hp.obo`.
    Hpo,
    /// `phenotype.hpoa`.
    Annotations,
    /// `genes_to_phenotype.txt`.
    Genes,
    /// Orphanet's disorders.
    Orphanet,
    /// Mondo's matches to OMIM.
    MondoOmim,
    /// Mondo's matches to Orphanet.
    MondoOrphanet,
    /// LOINC to HPO.
    Loinc,
}

impl SourceKind {
    /// Every source, in order.
    pub const ALL: [Self; 7] = [
        Self::Hpo,
        Self::Annotations,
        Self::Genes,
        Self::Orphanet,
        Self::MondoOmim,
        Self::MondoOrphanet,
        Self::Loinc,
    ];
}

#[derive(Debug, PartialEq)]
pub(crate) struct StoredSource {
    pub(crate) kind: SourceKind,
    pub(crate) name: u32,
    pub(crate) version: u32,
    pub(crate) licence: u32,
    pub(crate) notice: u32,
    pub(crate) size_bytes: u64,
    pub(crate) lines: u32,
    pub(crate) digest: u128,
}

#[derive(Debug, PartialEq)]
pub(crate) struct StoredNotice {
    pub(crate) source: SourceKind,
    pub(crate) line: u32,
    pub(crate) text: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StoredSynonym {
    pub(crate) text: u32,
    pub(crate) scope: Scope,
    pub(crate) kind: SynonymKind,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct StoredTerm {
    pub(crate) number: u32,
    pub(crate) label: u32,
    pub(crate) definition: u32,
    pub(crate) synonyms: Vec<StoredSynonym>,
    pub(crate) parents: Vec<TermIx>,
}

/// An id that is no live term: an alternative id, or an obsolete term.
#[derive(Debug, PartialEq)]
pub(crate) struct Gone {
    pub(crate) id: HpoId,
    /// The obsolete term's label; 0 for an alternative id that never had a stanza.
    pub(crate) label: u32,
    pub(crate) obsolete: bool,
    pub(crate) merged_into: Option<TermIx>,
    pub(crate) replaced_by: Vec<TermIx>,
    pub(crate) consider: Vec<TermIx>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct StoredDisease {
    pub(crate) id: DiseaseId,
    /// The first name in the file, then the others under which it also appears.
    pub(crate) names: Vec<u32>,
    /// Where its annotations end; they start where those of the disease before end.
    pub(crate) annotations_end: u32,
    pub(crate) genes: Vec<GeneIx>,
    pub(crate) mondo: Vec<MondoId>,
    pub(crate) orphanet: Vec<OrphanetIx>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct StoredGene {
    pub(crate) symbol: u32,
    /// 0 where the sources give a symbol only.
    pub(crate) ncbi: u32,
}

#[derive(Debug, PartialEq)]
pub(crate) struct StoredLoinc {
    pub(crate) code: LoincCode,
    pub(crate) outcome: Outcome,
    pub(crate) scale: LoincScale,
    pub(crate) term: TermIx,
}

/// Everything; sorted where lookups need it (terms, gone ids, diseases, genes by symbol, disorders,
/// mondo, loinc by code and outcome).
#[derive(Debug, PartialEq)]
pub(crate) struct Tables {
    pub(crate) texts: Texts,
    pub(crate) sources: Vec<StoredSource>,
    pub(crate) notices: Vec<StoredNotice>,
    pub(crate) terms: Vec<StoredTerm>,
    pub(crate) gone: Vec<Gone>,
    pub(crate) references: Vec<u32>,
    pub(crate) reference_lists: Vec<Vec<ReferenceIx>>,
    pub(crate) modifier_lists: Vec<Vec<TermIx>>,
    pub(crate) annotations: Vec<Annotation>,
    pub(crate) diseases: Vec<StoredDisease>,
    pub(crate) genes: Vec<StoredGene>,
    pub(crate) disorders: Vec<(OrphaCode, Disorder)>,
    pub(crate) mondo: Vec<(MondoId, u32)>,
    pub(crate) loinc: Vec<StoredLoinc>,
}

impl Tables {
    pub(crate) fn term(&self, id: HpoId) -> Option<TermIx> {
        let at = self.terms.binary_search_by_key(&id.0, |t| t.number).ok()?;
        Some(TermIx(position(at)))
    }

    pub(crate) fn gone(&self, id: HpoId) -> Option<&Gone> {
        let at = self.gone.binary_search_by_key(&id, |g| g.id).ok()?;
        self.gone.get(at)
    }

    pub(crate) fn disease(&self, id: DiseaseId) -> Option<DiseaseIx> {
        let at = self.diseases.binary_search_by_key(&id, |d| d.id).ok()?;
        Some(DiseaseIx(position(at)))
    }

    pub(crate) fn disorder(&self, code: OrphaCode) -> Option<OrphanetIx> {
        let at = self.disorders.binary_search_by_key(&code, |d| d.0).ok()?;
        Some(OrphanetIx(position(at)))
    }
}

/// A position in a table as a dense index; the sources are bounded to 4 million lines each.
#[expect(
    clippy::cast_possible_truncation,
    reason = "tables have under 2^32 rows"
)]
pub(crate) const fn position(at: usize) -> u32 {
    at as u32
}

impl Gone {
    /// The one live term that stands for this id now, where there is exactly one: its replacement,
    /// or else the term that names it as an alternative id. Several replacements are not chosen
    /// between.
    pub(crate) fn successor(&self) -> Option<TermIx> {
        match self.replaced_by.as_slice() {
            [] => self.merged_into,
            [only] => Some(*only),
            _ => None,
        }
    }
}
