//! Handles that read one term, disease, gene or Orphanet disorder of an opened index.

use crate::{
    id::{
        DiseaseId, DiseaseIx, GeneIx, HpoId, MondoId, OrphaCode, OrphanetIx, ReferenceIx, TermIx,
    },
    ontology::Ontology,
    parse::obo::{Scope, SynonymKind},
    profile::{
        Annotation, OmimReference, OrphanetFeature, OrphanetInheritance, OrphanetOnset, Prevalence,
    },
};

/// One synonym of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym<'a> {
    /// The text.
    pub text: &'a str,
    /// How its meaning relates to the term's.
    pub scope: Scope,
    /// What kind of word it is.
    pub kind: SynonymKind,
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident($ix:ident);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            pub(crate) ontology: &'a Ontology,
            pub(crate) ix: $ix,
        }

        impl $name<'_> {
            /// Its position.
            pub fn ix(&self) -> $ix {
                self.ix
            }
        }
    )*};
}

handles! {
    /// Reads one live term.
    Term(TermIx);
    /// Reads one disease of the HPO annotations.
    Disease(DiseaseIx);
    /// Reads one gene.
    Gene(GeneIx);
    /// Reads one Orphanet disorder, group or subtype.
    Orphanet(OrphanetIx);
}

impl<'a> Term<'a> {
    fn row(&self) -> &'a crate::tables::StoredTerm {
        &self.ontology.tables.terms[self.ix.index()]
    }

    /// Its id.
    pub fn id(&self) -> HpoId {
        HpoId(self.row().number)
    }

    /// Its name.
    pub fn label(&self) -> &'a str {
        self.ontology.text(self.row().label)
    }

    /// Its definition, where it has one.
    pub fn definition(&self) -> Option<&'a str> {
        let definition = self.row().definition;
        (definition != 0).then(|| self.ontology.text(definition))
    }

    /// Its synonyms, in file order.
    pub fn synonyms(&self) -> impl ExactSizeIterator<Item = Synonym<'a>> + 'a {
        let ontology = self.ontology;
        self.row().synonyms.iter().map(|s| Synonym {
            text: ontology.text(s.text),
            scope: s.scope,
            kind: s.kind,
        })
    }

    /// The terms right above it.
    pub fn parents(&self) -> &'a [TermIx] {
        &self.row().parents
    }

    /// The terms right below it.
    pub fn children(&self) -> &'a [TermIx] {
        self.ontology.graph.children.get(self.ix.index())
    }
}

impl<'a> Disease<'a> {
    fn row(&self) -> &'a crate::tables::StoredDisease {
        &self.ontology.tables.diseases[self.ix.index()]
    }

    /// Its id.
    pub fn id(&self) -> DiseaseId {
        self.row().id
    }

    /// Its name: the first that the annotations give.
    pub fn name(&self) -> &'a str {
        self.row()
            .names
            .first()
            .map_or("", |&name| self.ontology.text(name))
    }

    /// Every name that the annotations give, the first one first.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'a str> + 'a {
        let ontology = self.ontology;
        self.row().names.iter().map(|&name| ontology.text(name))
    }

    /// Every line about it, in file order: features, modes of inheritance, course, modifiers, as
    /// [`Annotation::aspect`] says.
    pub fn annotations(&self) -> &'a [Annotation] {
        let tables = &self.ontology.tables;
        let start = match self.ix.index().checked_sub(1) {
            Some(before) => tables.diseases[before].annotations_end as usize,
            None => 0,
        };
        &tables.annotations[start..self.row().annotations_end as usize]
    }

    /// Its genes.
    pub fn genes(&self) -> &'a [GeneIx] {
        &self.row().genes
    }

    /// Its exact matches in Mondo.
    pub fn mondo(&self) -> &'a [MondoId] {
        &self.row().mondo
    }

    /// Orphanet's disorders that are the same through an exact match of Mondo; for a disease with
    /// an ORPHA id, the disorder with that code.
    pub fn orphanet(&self) -> &'a [OrphanetIx] {
        &self.row().orphanet
    }
}

impl Annotation {
    /// What it cites.
    pub fn references<'a>(&self, ontology: &'a Ontology) -> &'a [ReferenceIx] {
        &ontology.tables.reference_lists[self.references as usize]
    }

    /// Clinical modifiers of the feature.
    pub fn modifiers<'a>(&self, ontology: &'a Ontology) -> &'a [TermIx] {
        &ontology.tables.modifier_lists[self.modifiers as usize]
    }

    /// Who wrote it and when, as written: `HPO:probinson[2021-06-21]`, separated by semicolons.
    pub fn curation<'a>(&self, ontology: &'a Ontology) -> &'a str {
        ontology.text(self.curation)
    }
}

impl<'a> Gene<'a> {
    fn row(&self) -> &'a crate::tables::StoredGene {
        &self.ontology.tables.genes[self.ix.index()]
    }

    /// Its symbol; empty for the few genes that the sources only number.
    pub fn symbol(&self) -> &'a str {
        self.ontology.text(self.row().symbol)
    }

    /// Its NCBI number; not known for genes that only Orphanet names.
    pub fn ncbi(&self) -> Option<u32> {
        Some(self.row().ncbi).filter(|&number| number != 0)
    }

    /// The diseases that HPO gives it, in ascending order.
    pub fn diseases(&self) -> &'a [DiseaseIx] {
        self.ontology.diseases_of_gene.get(self.ix.index())
    }
}

impl<'a> Orphanet<'a> {
    fn row(&self) -> &'a crate::profile::Disorder {
        &self.ontology.tables.disorders[self.ix.index()].1
    }

    /// Its code.
    pub fn code(&self) -> OrphaCode {
        self.ontology.tables.disorders[self.ix.index()].0
    }

    /// Its name.
    pub fn label(&self) -> &'a str {
        self.ontology.text(self.row().label)
    }

    /// What it is in Orphanet's classification: `Disease`, `Clinical group`, ...
    pub fn kind(&self) -> &'a str {
        self.ontology.text(self.row().kind)
    }

    /// How often it is, by place and kind of figure.
    pub fn prevalences(&self) -> impl ExactSizeIterator<Item = Prevalence<'a>> + 'a {
        let ontology = self.ontology;
        self.row().prevalences.iter().map(|p| Prevalence {
            kind: p.kind,
            qualification: p.qualification,
            class: p.class,
            mean: p.mean,
            geography: ontology.text(p.geography),
        })
    }

    /// When it begins.
    pub fn onsets(&self) -> &'a [OrphanetOnset] {
        &self.row().onsets
    }

    /// How it is inherited.
    pub fn inheritance(&self) -> &'a [OrphanetInheritance] {
        &self.row().inheritance
    }

    /// The OMIM entries that Orphanet itself relates to it.
    pub fn omim(&self) -> &'a [OmimReference] {
        &self.row().omim
    }

    /// Its genes.
    pub fn genes(&self) -> &'a [GeneIx] {
        &self.row().genes
    }

    /// Its features with Orphanet's frequencies.
    pub fn features(&self) -> &'a [OrphanetFeature] {
        &self.row().features
    }

    /// What Orphanet classifies it under; some of these codes have no entry of their own.
    pub fn parents(&self) -> &'a [OrphaCode] {
        &self.row().parents
    }

    /// Its exact matches in Mondo.
    pub fn mondo(&self) -> &'a [MondoId] {
        &self.row().mondo
    }

    /// The diseases of the HPO annotations that are the same (see [`Disease::orphanet`]).
    pub fn diseases(&self) -> &'a [DiseaseIx] {
        self.ontology.diseases_of_disorder.get(self.ix.index())
    }
}
