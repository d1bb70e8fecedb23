//! Puts the parsed sources together: looks every identifier up, sorts the tables, and notes what
//! could not be placed instead of dropping it silently.

use crate::{
    graph,
    id::{
        DiseaseId, DiseaseIx, GeneIx, HpoId, MondoId, OrphaCode, OrphanetIx, ReferenceIx, TermIx,
    },
    parse::{genes, hpoa, loinc, mondo, obo, orphanet},
    profile::{Annotation, Disorder, OrphanetFeature, StoredPrevalence},
    source::{ImportError, Problem, Source, Sources},
    tables::{
        Gone, Interner, SourceKind, StoredDisease, StoredGene, StoredLoinc, StoredNotice,
        StoredSource, StoredSynonym, StoredTerm, Tables, position,
    },
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use xxhash_rust::xxh3::xxh3_128;

/// The most notices that are kept; more than that in one import is refused.
const MAX_NOTICES: usize = 10_000;

/// Reads all sources.
pub(crate) fn assemble(sources: &Sources<'_>) -> Result<Tables, ImportError> {
    let mut assembly = Assembly::new();
    assembly.ontology(&sources.hp_obo)?;
    let profiles = assembly.annotations(&sources.hpoa)?;
    let genes = assembly.genes(&sources.genes_to_phenotype, &sources.orphanet)?;
    assembly.disorders(&sources.orphanet, genes.disorders, &genes.positions)?;
    assembly.diseases(profiles, &genes.of_disease);
    assembly.mondo(sources)?;
    assembly.loinc(&sources.loinc)?;
    Ok(assembly.finish())
}

struct Assembly {
    texts: Interner,
    tables: Tables,
}

/// The annotations of one disease, in file order.
#[derive(Default)]
struct Profile {
    names: Vec<u32>,
    annotations: Vec<Annotation>,
}

struct Genes {
    positions: HashMap<String, GeneIx>,
    of_disease: HashMap<DiseaseId, BTreeSet<GeneIx>>,
    disorders: Vec<orphanet::Row>,
}

impl Assembly {
    fn new() -> Self {
        Self {
            texts: Interner::new(),
            tables: Tables {
                texts: Interner::new().finish(),
                sources: Vec::new(),
                notices: Vec::new(),
                terms: Vec::new(),
                gone: Vec::new(),
                references: Vec::new(),
                reference_lists: Vec::new(),
                modifier_lists: Vec::new(),
                annotations: Vec::new(),
                diseases: Vec::new(),
                genes: Vec::new(),
                disorders: Vec::new(),
                mondo: Vec::new(),
                loinc: Vec::new(),
            },
        }
    }

    fn finish(mut self) -> Tables {
        self.tables.texts = self.texts.finish();
        self.tables.sources.sort_by_key(|s| s.kind);
        self.tables.notices.sort_by_key(|n| (n.source, n.line));
        self.tables
    }

    /// Lists a source; `stated` is the version that the file carries itself.
    fn source(&mut self, kind: SourceKind, source: &Source<'_>, stated: &str) {
        let version = if source.version.is_empty() {
            stated
        } else {
            source.version
        };
        let lines = source.bytes.iter().filter(|&&b| b == b'\n').count();
        let unended = source.bytes.last().is_some_and(|&b| b != b'\n');
        // The same content gives the same index, wherever the file lay and however it was packed.
        let name = source.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.strip_suffix(".zst").unwrap_or(name);
        self.tables.sources.push(StoredSource {
            kind,
            name: self.texts.number(name),
            version: self.texts.number(version),
            licence: self.texts.number(kind.attribution().licence),
            notice: self.texts.number(kind.attribution().notice),
            size_bytes: source.bytes.len() as u64,
            lines: position(lines + usize::from(unended)),
            digest: xxh3_128(source.bytes),
        });
    }

    fn notice(
        &mut self,
        kind: SourceKind,
        source: &Source<'_>,
        line: u32,
        text: &str,
    ) -> Result<(), ImportError> {
        if self.tables.notices.len() == MAX_NOTICES {
            let problem = Problem::TooMuch {
                what: "lines that name what is not known",
                limit: MAX_NOTICES,
            };
            return Err(source.error(line, problem));
        }
        let text = self.texts.number(text);
        self.tables.notices.push(StoredNotice {
            source: kind,
            line,
            text,
        });
        Ok(())
    }

    fn ontology(&mut self, source: &Source<'_>) -> Result<(), ImportError> {
        let obo = obo::parse(source)?;
        self.source(SourceKind::Hpo, source, &obo.version);
        let mut live = BTreeMap::new();
        let mut obsolete = BTreeMap::new();
        for term in &obo.terms {
            let id = term
                .id
                .ok_or_else(|| source.error(term.line, Problem::Missing("id in this stanza")))?;
            if live.contains_key(&id) || obsolete.contains_key(&id) {
                return Err(source.error(term.line, Problem::Twice(id.to_string())));
            }
            if term.obsolete {
                obsolete.insert(id, term)
            } else {
                live.insert(id, term)
            };
        }
        let at: HashMap<HpoId, TermIx> = live
            .keys()
            .enumerate()
            .map(|(at, id)| (*id, TermIx(position(at))))
            .collect();
        let known = |(line, id): &(u32, HpoId)| {
            at.get(id)
                .copied()
                .ok_or_else(|| source.error(*line, Problem::UnknownTerm(id.to_string())))
        };
        let mut merged: BTreeMap<HpoId, TermIx> = BTreeMap::new();
        for (id, term) in &live {
            let synonyms = term
                .synonyms
                .iter()
                .map(|(text, scope, kind)| StoredSynonym {
                    text: self.texts.number(text),
                    scope: *scope,
                    kind: *kind,
                });
            self.tables.terms.push(StoredTerm {
                number: id.number(),
                synonyms: synonyms.collect(),
                label: self.texts.number(&term.label),
                definition: self.texts.number(&term.definition),
                parents: term.parents.iter().map(known).collect::<Result<_, _>>()?,
            });
            for (line, alternative) in &term.alternatives {
                let here = TermIx(position(self.tables.terms.len() - 1));
                let before = merged.insert(*alternative, here);
                if live.contains_key(alternative) || before.is_some_and(|b| b != here) {
                    return Err(source.error(*line, Problem::Twice(alternative.to_string())));
                }
            }
        }
        // A successor may itself have been replaced since: follow, a bounded number of times.
        let successor = |(line, id): &(u32, HpoId)| {
            let mut id = *id;
            for _ in 0..16 {
                if let Some(&here) = at.get(&id).or_else(|| merged.get(&id)) {
                    return Ok(here);
                }
                match obsolete.get(&id).and_then(|t| t.replaced_by.first()) {
                    Some((_, next)) => id = *next,
                    None => break,
                }
            }
            Err(source.error(*line, Problem::UnknownTerm(id.to_string())))
        };
        let gone: BTreeSet<HpoId> = merged.keys().chain(obsolete.keys()).copied().collect();
        for id in gone {
            let stanza = obsolete.get(&id);
            let successors = |list: Option<&Vec<(u32, HpoId)>>| {
                list.into_iter()
                    .flatten()
                    .map(successor)
                    .collect::<Result<Vec<_>, _>>()
            };
            self.tables.gone.push(Gone {
                id,
                label: stanza.map_or(0, |t| self.texts.number(&t.label)),
                obsolete: stanza.is_some(),
                merged_into: merged.get(&id).copied(),
                replaced_by: successors(stanza.map(|t| &t.replaced_by))?,
                consider: successors(stanza.map(|t| &t.consider))?,
            });
        }
        graph::order(&self.tables.terms).map_err(|term| {
            let id = HpoId(self.tables.terms[term.index()].number);
            let line = live.get(&id).map_or(0, |t| t.line);
            source.error(line, Problem::Cycle(id.to_string()))
        })?;
        Ok(())
    }

    /// The live term that an id of another file means now.
    fn place(&self, id: HpoId) -> Option<TermIx> {
        self.tables
            .term(id)
            .or_else(|| self.tables.gone(id)?.successor())
    }

    fn annotations(
        &mut self,
        source: &Source<'_>,
    ) -> Result<BTreeMap<DiseaseId, Profile>, ImportError> {
        const KIND: SourceKind = SourceKind::Annotations;
        let hpoa = hpoa::parse(source)?;
        self.source(KIND, source, &hpoa.version);
        let mut profiles: BTreeMap<DiseaseId, Profile> = BTreeMap::new();
        let mut references: HashMap<&str, ReferenceIx> = HashMap::new();
        let mut reference_lists: HashMap<Vec<ReferenceIx>, u32> = HashMap::new();
        let mut modifier_lists: HashMap<Vec<TermIx>, u32> = HashMap::from([(Vec::new(), 0)]);
        self.tables.modifier_lists.push(Vec::new());
        for row in &hpoa.rows {
            let place = |id: HpoId| {
                self.place(id)
                    .ok_or_else(|| source.error(row.line, Problem::UnknownTerm(id.to_string())))
            };
            let term = place(row.term)?;
            let onset = row.onset.map(place).transpose()?;
            let modifiers = row
                .modifiers
                .iter()
                .map(|&m| place(m))
                .collect::<Result<Vec<_>, _>>()?;
            if self.tables.term(row.term).is_none() {
                let text = format!(
                    "{} is read as {}",
                    row.term,
                    HpoId(self.tables.terms[term.index()].number)
                );
                self.notice(KIND, source, row.line, &text)?;
            }
            let mut cited = Vec::new();
            for name in row.references.split(';') {
                let next = ReferenceIx(position(self.tables.references.len()));
                let reference = *references.entry(name).or_insert(next);
                if reference == next {
                    self.tables.references.push(self.texts.number(name));
                }
                cited.push(reference);
            }
            let references = listed(
                cited,
                &mut reference_lists,
                &mut self.tables.reference_lists,
            );
            let modifiers = listed(
                modifiers,
                &mut modifier_lists,
                &mut self.tables.modifier_lists,
            );
            let name = self.texts.number(row.name);
            let curation = self.texts.number(row.curation);
            let profile = profiles.entry(row.disease).or_default();
            if !profile.names.contains(&name) {
                profile.names.push(name);
            }
            profile.annotations.push(Annotation {
                term,
                frequency: row.frequency,
                excluded: row.excluded,
                sex: row.sex,
                onset,
                evidence: row.evidence,
                aspect: row.aspect,
                references,
                modifiers,
                curation,
            });
        }
        Ok(profiles)
    }

    /// Genes of both files, by symbol; Orphanet gives symbols only.
    fn genes(&mut self, source: &Source<'_>, orphanet: &Source<'_>) -> Result<Genes, ImportError> {
        let rows = genes::parse(source)?;
        self.source(SourceKind::Genes, source, "");
        let disorders = orphanet::parse(orphanet)?;
        // Symbol and NCBI number; a few genes have no symbol, those of Orphanet no number.
        let mut known: BTreeSet<(&str, u32)> = BTreeSet::new();
        let mut ncbi_of: HashMap<&str, u32> = HashMap::new();
        for row in &rows {
            known.insert((row.symbol, row.ncbi));
            let ncbi = *ncbi_of.entry(row.symbol).or_insert(row.ncbi);
            if ncbi != row.ncbi && !row.symbol.is_empty() {
                let problem =
                    Problem::value("ncbi_gene_id", row.symbol, "one NCBI id for each symbol");
                return Err(source.error(row.line, problem));
            }
            if self.place(row.term).is_none() {
                return Err(source.error(row.line, Problem::UnknownTerm(row.term.to_string())));
            }
        }
        for symbol in disorders.iter().flat_map(|d| &d.genes) {
            if !ncbi_of.contains_key(symbol.as_str()) {
                known.insert((symbol, 0));
            }
        }
        let mut positions = HashMap::new();
        let mut numbers = HashMap::new();
        for (at, (symbol, ncbi)) in known.into_iter().enumerate() {
            let gene = GeneIx(position(at));
            positions.insert(symbol.to_owned(), gene);
            numbers.insert(ncbi, gene);
            let symbol = self.texts.number(symbol);
            self.tables.genes.push(StoredGene { symbol, ncbi });
        }
        let mut of_disease: HashMap<DiseaseId, BTreeSet<GeneIx>> = HashMap::new();
        for row in &rows {
            of_disease
                .entry(row.disease)
                .or_default()
                .insert(numbers[&row.ncbi]);
        }
        Ok(Genes {
            positions,
            of_disease,
            disorders,
        })
    }

    fn disorders(
        &mut self,
        source: &Source<'_>,
        mut rows: Vec<orphanet::Row>,
        genes: &HashMap<String, GeneIx>,
    ) -> Result<(), ImportError> {
        self.source(SourceKind::Orphanet, source, "");
        rows.sort_by_key(|row| (row.code, row.line));
        for pair in rows.windows(2) {
            if pair[0].code == pair[1].code {
                return Err(source.error(pair[1].line, Problem::Twice(pair[1].code.to_string())));
            }
        }
        let mut unknown = Vec::new();
        for row in rows {
            let mut features = Vec::with_capacity(row.features.len());
            for (id, frequency) in row.features {
                match self.place(id) {
                    Some(term) => {
                        features.push(OrphanetFeature { term, frequency });
                        if self.tables.term(id).is_none() {
                            let now = HpoId(self.tables.terms[term.index()].number);
                            unknown.push((row.line, format!("{id} is read as {now}")));
                        }
                    }
                    None => unknown.push((
                        row.line,
                        format!(
                            "{} has {id}, which is not in the ontology file: left out",
                            row.code
                        ),
                    )),
                }
            }
            let prevalences = row.prevalences.into_iter().map(|p| StoredPrevalence {
                kind: p.kind,
                qualification: p.qualification,
                class: p.class,
                mean: p.mean,
                geography: self.texts.number(&p.geography),
            });
            self.tables.disorders.push((
                row.code,
                Disorder {
                    prevalences: prevalences.collect(),
                    label: self.texts.number(&row.label),
                    kind: self.texts.number(&row.kind),
                    onsets: row.onsets,
                    inheritance: row.inheritance,
                    omim: row.omim,
                    genes: row.genes.iter().map(|symbol| genes[symbol]).collect(),
                    features,
                    parents: row.parents,
                    mondo: Vec::new(),
                },
            ));
        }
        unknown.sort();
        for (line, text) in unknown {
            self.notice(SourceKind::Orphanet, source, line, &text)?;
        }
        Ok(())
    }

    fn diseases(
        &mut self,
        profiles: BTreeMap<DiseaseId, Profile>,
        genes: &HashMap<DiseaseId, BTreeSet<GeneIx>>,
    ) {
        for (id, profile) in profiles {
            self.tables.annotations.extend(profile.annotations);
            self.tables.diseases.push(StoredDisease {
                id,
                names: profile.names,
                annotations_end: position(self.tables.annotations.len()),
                genes: genes.get(&id).into_iter().flatten().copied().collect(),
                mondo: Vec::new(),
                orphanet: Vec::new(),
            });
        }
    }

    /// Mondo ids of diseases and disorders, and through them which disorders are the same as which
    /// disease.
    fn mondo(&mut self, sources: &Sources<'_>) -> Result<(), ImportError> {
        let mut labels: BTreeMap<MondoId, u32> = BTreeMap::new();
        let mut disorders_of: HashMap<MondoId, Vec<OrphanetIx>> = HashMap::new();
        let files = [
            (SourceKind::MondoOrphanet, &sources.mondo_orphanet),
            (SourceKind::MondoOmim, &sources.mondo_omim),
        ];
        for (kind, source) in files {
            let mappings = mondo::parse(source)?;
            self.source(kind, source, &mappings.version);
            let mut unplaced = 0u32;
            let mut first = None;
            for row in &mappings.rows {
                let disease = self.tables.disease(row.object);
                let disorder = match row.object.database {
                    crate::id::Database::Orpha => {
                        self.tables.disorder(OrphaCode(row.object.number))
                    }
                    _ => None,
                };
                if disease.is_none() && disorder.is_none() {
                    unplaced += 1;
                    first = first.or(Some((row.line, row.object)));
                    continue;
                }
                labels.insert(row.mondo, self.texts.number(row.label));
                if let Some(DiseaseIx(at)) = disease {
                    once(&mut self.tables.diseases[at as usize].mondo, row.mondo);
                }
                if let Some(OrphanetIx(at)) = disorder {
                    once(&mut self.tables.disorders[at as usize].1.mondo, row.mondo);
                    once(disorders_of.entry(row.mondo).or_default(), OrphanetIx(at));
                }
            }
            if let Some((line, object)) = first {
                let text = format!(
                    "{unplaced} exact matches name a disease that the other files do not describe, {object} first: left out"
                );
                self.notice(kind, source, line, &text)?;
            }
        }
        for at in 0..self.tables.diseases.len() {
            let disease = &self.tables.diseases[at];
            let mut same: Vec<OrphanetIx> = match disease.id.database {
                crate::id::Database::Orpha => self
                    .tables
                    .disorder(OrphaCode(disease.id.number))
                    .into_iter()
                    .collect(),
                _ => disease
                    .mondo
                    .iter()
                    .filter_map(|m| disorders_of.get(m))
                    .flatten()
                    .copied()
                    .collect(),
            };
            same.sort_unstable();
            same.dedup();
            self.tables.diseases[at].orphanet = same;
        }
        self.tables.mondo = labels.into_iter().collect();
        Ok(())
    }

    fn loinc(&mut self, source: &Source<'_>) -> Result<(), ImportError> {
        const KIND: SourceKind = SourceKind::Loinc;
        let mut rows = loinc::parse(source)?;
        self.source(KIND, source, "");
        for row in &rows {
            let text = match (self.tables.term(row.term), self.place(row.term)) {
                (Some(_), _) => continue,
                (None, Some(term)) => {
                    format!(
                        "{} is read as {}",
                        row.term,
                        HpoId(self.tables.terms[term.index()].number)
                    )
                }
                (None, None) => format!("{} is not in the ontology file: left out", row.term),
            };
            self.notice(KIND, source, row.line, &text)?;
        }
        rows.sort_by_key(|row| (row.code, row.outcome, row.line));
        for pair in rows.windows(2) {
            if (pair[0].code, pair[0].outcome) == (pair[1].code, pair[1].outcome) {
                return Err(source.error(pair[1].line, Problem::Twice(pair[1].code.to_string())));
            }
        }
        for row in rows {
            if let Some(term) = self.place(row.term) {
                self.tables.loinc.push(StoredLoinc {
                    code: row.code,
                    outcome: row.outcome,
                    scale: row.scale,
                    term,
                });
            }
        }
        Ok(())
    }
}

fn once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The number of a list, which is stored once.
fn listed<T: Clone + Eq + std::hash::Hash>(
    list: Vec<T>,
    numbers: &mut HashMap<Vec<T>, u32>,
    lists: &mut Vec<Vec<T>>,
) -> u32 {
    let next = position(lists.len());
    *numbers.entry(list).or_insert_with_key(|list| {
        lists.push(list.clone());
        next
    })
}
