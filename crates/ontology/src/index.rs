//! The index file: magic, format version, length, XXH3-128 of the body, and the body.
//!
//! The same sources give the same bytes. Everything that a lookup relies on (positions within
//! their tables, ascending order, UTF-8, acyclic terms) is checked when a file is opened, so that
//! a wrong file is an error then and not a panic later. The checksum finds damage, not attackers.

use crate::{
    bytes::{Reader, Writer},
    id::{
        Database, DiseaseId, GeneIx, HpoId, LoincCode, MondoId, OrphaCode, OrphanetIx, ReferenceIx,
        TermIx,
    },
    parse::{
        loinc::{LoincScale, Outcome},
        obo::{Scope, SynonymKind},
    },
    profile::{
        Annotation, Aspect, Disorder, Evidence, Frequency, FrequencyClass, OmimReference,
        OmimRelation, OrphanetFeature, OrphanetFrequency, OrphanetInheritance, OrphanetOnset,
        PrevalenceClass, PrevalenceKind, PrevalenceQualification, Sex, StoredPrevalence,
    },
    tables::{
        Gone, SourceKind, StoredDisease, StoredGene, StoredLoinc, StoredNotice, StoredSource,
        StoredSynonym, StoredTerm, Tables, Texts,
    },
};
use xxhash_rust::xxh3::xxh3_128;

/// First bytes of every index file.
const MAGIC: &[u8; 16] = b"ithaca ontology\n";
/// The version of the format that this crate writes and reads.
pub const FORMAT: u32 = 1;
/// Magic, format, size and checksum.
const HEADER_BYTES: usize = 16 + 4 + 8 + 16;

/// An index that cannot be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The first bytes are not those of an index.
    #[error("not an ontology index")]
    NotAnIndex,
    /// Written by another version of the program.
    #[error("an index of format {found}, this program reads {FORMAT}: import the sources again")]
    Format {
        /// Of the file.
        found: u32,
    },
    /// Shorter or longer than it says.
    #[error("{found} bytes, expected {expected}: import the sources again")]
    Size {
        /// In the file, after the header.
        found: u64,
        /// As the header says.
        expected: u64,
    },
    /// The bytes are not those that were written.
    #[error("the checksum does not match: import the sources again")]
    Checksum,
    /// The checksum matches and the content still makes no sense.
    #[error("malformed content: import the sources again")]
    Malformed,
}

type Read<T> = Result<T, OpenError>;

pub(crate) fn encode(tables: &Tables) -> Vec<u8> {
    let mut w = Writer::default();
    texts(&mut w, &tables.texts);
    w.list(&tables.sources, |w, s| {
        w.byte(s.kind as u8);
        w.number(s.name);
        w.number(s.version);
        w.number(s.licence);
        w.number(s.notice);
        w.number(s.size_bytes);
        w.number(s.lines);
        w.raw(&s.digest.to_le_bytes());
    });
    w.list(&tables.notices, |w, n| {
        w.byte(n.source as u8);
        w.number(n.line);
        w.number(n.text);
    });
    terms(&mut w, tables);
    w.list(&tables.references, |w, &text| w.number(text));
    w.list(&tables.reference_lists, |w, list| {
        w.list(list, |w, r| w.number(r.0))
    });
    w.list(&tables.modifier_lists, |w, list| {
        w.list(list, |w, t| w.number(t.0))
    });
    w.list(&tables.annotations, annotation);
    w.list(&tables.genes, |w, g| {
        w.number(g.symbol);
        w.number(g.ncbi);
    });
    w.list(&tables.mondo, |w, (id, label)| {
        w.number(id.0);
        w.number(*label);
    });
    w.list(&tables.disorders, |w, (code, disorder)| {
        w.number(code.0);
        write_disorder(w, disorder);
    });
    w.list(&tables.diseases, |w, d| {
        disease_id(w, d.id);
        w.list(&d.names, |w, &name| w.number(name));
        w.number(d.annotations_end);
        w.list(&d.genes, |w, g| w.number(g.0));
        w.list(&d.mondo, |w, m| w.number(m.0));
        w.list(&d.orphanet, |w, o| w.number(o.0));
    });
    w.list(&tables.loinc, |w, row| {
        w.number(row.code.0);
        outcome(w, row.outcome);
        w.byte(row.scale.code());
        w.number(row.term.0);
    });
    let mut out = Vec::with_capacity(HEADER_BYTES + w.out.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&(w.out.len() as u64).to_le_bytes());
    out.extend_from_slice(&xxh3_128(&w.out).to_le_bytes());
    out.extend_from_slice(&w.out);
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Read<Tables> {
    let mut header = Reader::new(bytes);
    if header.raw(MAGIC.len()).ok() != Some(MAGIC) {
        return Err(OpenError::NotAnIndex);
    }
    let found = u32::from_le_bytes(header.array()?);
    if found != FORMAT {
        return Err(OpenError::Format { found });
    }
    let expected = u64::from_le_bytes(header.array()?);
    let checksum = u128::from_le_bytes(header.array()?);
    let body = &bytes[HEADER_BYTES..];
    let found = body.len() as u64;
    if found != expected {
        return Err(OpenError::Size { found, expected });
    }
    if xxh3_128(body) != checksum {
        return Err(OpenError::Checksum);
    }
    let mut reader = Reader::new(body);
    let tables = body_of(&mut reader)?;
    if !reader.is_empty() {
        return Err(OpenError::Malformed);
    }
    Ok(tables)
}

fn body_of(r: &mut Reader<'_>) -> Read<Tables> {
    let texts = read_texts(r)?;
    let text_count = texts.ends.len();
    let sources = r.list(|r| {
        Ok(StoredSource {
            kind: source_kind(r.byte()?)?,
            name: r.below(text_count)?,
            version: r.below(text_count)?,
            licence: r.below(text_count)?,
            notice: r.below(text_count)?,
            size_bytes: r.long()?,
            lines: r.number()?,
            digest: u128::from_le_bytes(r.array()?),
        })
    })?;
    let notices = r.list(|r| {
        Ok(StoredNotice {
            source: source_kind(r.byte()?)?,
            line: r.number()?,
            text: r.below(text_count)?,
        })
    })?;
    let (terms, gone) = read_terms(r, text_count)?;
    let references = r.list(|r| r.below(text_count))?;
    let reference_lists = r.list(|r| r.list(|r| r.below(references.len()).map(ReferenceIx)))?;
    let modifier_lists = r.list(|r| r.list(|r| r.below(terms.len()).map(TermIx)))?;
    let counts = Counts {
        texts: text_count,
        terms: terms.len(),
        reference_lists: reference_lists.len(),
        modifier_lists: modifier_lists.len(),
    };
    let annotations = r.list(|r| read_annotation(r, &counts))?;
    let genes = r.list(|r| {
        Ok(StoredGene {
            symbol: r.below(text_count)?,
            ncbi: r.number()?,
        })
    })?;
    let mondo = r.list(|r| Ok((MondoId(r.below(10_000_000)?), r.below(text_count)?)))?;
    let disorders = r.list(|r| {
        Ok((
            OrphaCode(r.number()?),
            read_disorder(r, &counts, genes.len())?,
        ))
    })?;
    let diseases = r.list(|r| {
        Ok(StoredDisease {
            id: read_disease_id(r)?,
            names: r.list(|r| r.below(text_count))?,
            annotations_end: r.below(annotations.len() + 1)?,
            genes: r.list(|r| r.below(genes.len()).map(GeneIx))?,
            mondo: r.list(|r| r.below(10_000_000).map(MondoId))?,
            orphanet: r.list(|r| r.below(disorders.len()).map(OrphanetIx))?,
        })
    })?;
    let loinc = r.list(|r| {
        Ok(StoredLoinc {
            code: LoincCode(r.below(10_000_000)?),
            outcome: read_outcome(r)?,
            scale: LoincScale::from_code(r.byte()?).ok_or(OpenError::Malformed)?,
            term: TermIx(r.below(terms.len())?),
        })
    })?;
    ascending(&terms, |t| t.number)?;
    ascending(&gone, |g| g.id)?;
    ascending(&genes, |g| (texts.get(g.symbol), g.ncbi))?;
    ascending(&mondo, |m| m.0)?;
    ascending(&disorders, |d| d.0)?;
    ascending(&diseases, |d| d.id)?;
    ascending(&loinc, |row| (row.code, row.outcome))?;
    let ends_in_order = diseases.is_sorted_by_key(|d| d.annotations_end);
    if !ends_in_order
        || diseases.last().map_or(0, |d| d.annotations_end as usize) != annotations.len()
    {
        return Err(OpenError::Malformed);
    }
    Ok(Tables {
        texts,
        sources,
        notices,
        terms,
        gone,
        references,
        reference_lists,
        modifier_lists,
        annotations,
        diseases,
        genes,
        disorders,
        mondo,
        loinc,
    })
}

/// Strictly ascending, as binary search and uniqueness ask for.
fn ascending<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Read<()> {
    let strictly = rows.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]));
    if strictly {
        Ok(())
    } else {
        Err(OpenError::Malformed)
    }
}

/// How long the tables are that an entry points into.
struct Counts {
    texts: usize,
    terms: usize,
    reference_lists: usize,
    modifier_lists: usize,
}

fn texts(w: &mut Writer, texts: &Texts) {
    let mut before = 0;
    w.list(&texts.ends, |w, &end| {
        w.number(end - before);
        before = end;
    });
    w.number(texts.blob.len() as u64);
    w.raw(texts.blob.as_bytes());
}

fn read_texts(r: &mut Reader<'_>) -> Read<Texts> {
    let mut end = 0u32;
    let ends = r.list(|r| {
        end = end.checked_add(r.number()?).ok_or(OpenError::Malformed)?;
        Ok(end)
    })?;
    let size_bytes = r.number()?;
    let blob = r.raw(size_bytes as usize)?;
    let blob = std::str::from_utf8(blob)
        .map_err(|_| OpenError::Malformed)?
        .to_owned();
    let whole = ends.iter().all(|&end| blob.is_char_boundary(end as usize));
    if !whole || ends.first() != Some(&0) || ends.last() != Some(&size_bytes) {
        return Err(OpenError::Malformed);
    }
    Ok(Texts { blob, ends })
}

fn terms(w: &mut Writer, tables: &Tables) {
    w.number(tables.terms.len() as u64);
    for term in &tables.terms {
        w.number(term.number);
        w.number(term.label);
        w.number(term.definition);
        w.list(&term.synonyms, |w, s| {
            w.number(s.text);
            w.byte(s.scope.code());
            w.byte(s.kind.code());
        });
        w.list(&term.parents, |w, p| w.number(p.0));
    }
    w.list(&tables.gone, |w, gone| {
        w.number(gone.id.0);
        w.number(gone.label);
        w.byte(u8::from(gone.obsolete));
        w.number(gone.merged_into.map_or(0, |t| t.0 + 1));
        w.list(&gone.replaced_by, |w, t| w.number(t.0));
        w.list(&gone.consider, |w, t| w.number(t.0));
    });
}

fn read_terms(r: &mut Reader<'_>, texts: usize) -> Read<(Vec<StoredTerm>, Vec<Gone>)> {
    let count = r.number()? as usize;
    let mut terms = Vec::new();
    for _ in 0..count {
        terms.push(StoredTerm {
            number: r.below(10_000_000)?,
            label: r.below(texts)?,
            definition: r.below(texts)?,
            synonyms: r.list(|r| {
                Ok(StoredSynonym {
                    text: r.below(texts)?,
                    scope: Scope::from_code(r.byte()?).ok_or(OpenError::Malformed)?,
                    kind: SynonymKind::from_code(r.byte()?).ok_or(OpenError::Malformed)?,
                })
            })?,
            parents: r.list(|r| r.below(count).map(TermIx))?,
        });
    }
    let gone = r.list(|r| {
        Ok(Gone {
            id: HpoId(r.below(10_000_000)?),
            label: r.below(texts)?,
            obsolete: flag(r.byte()?)?,
            merged_into: r.below(count + 1)?.checked_sub(1).map(TermIx),
            replaced_by: r.list(|r| r.below(count).map(TermIx))?,
            consider: r.list(|r| r.below(count).map(TermIx))?,
        })
    })?;
    Ok((terms, gone))
}

fn flag(byte: u8) -> Read<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(OpenError::Malformed),
    }
}

/// One byte for evidence, aspect, `NOT` and sex; one for the kind of frequency.
fn annotation(w: &mut Writer, a: &Annotation) {
    w.number(a.term.0);
    let sex = a.sex.map_or(0, |sex| sex.code() + 1);
    w.byte(a.evidence.code() | a.aspect.code() << 2 | u8::from(a.excluded) << 5 | sex << 6);
    match a.frequency {
        Frequency::Unstated => w.byte(0),
        Frequency::Count { affected, examined } => {
            w.byte(1);
            w.number(affected);
            w.number(examined);
        }
        Frequency::Percent(percent) => {
            w.byte(2);
            w.raw(&percent.to_le_bytes());
        }
        Frequency::Class(class) => w.byte(3 + class.code()),
    }
    w.number(a.onset.map_or(0, |t| t.0 + 1));
    w.number(a.references);
    w.number(a.modifiers);
    w.number(a.curation);
}

fn read_annotation(r: &mut Reader<'_>, counts: &Counts) -> Read<Annotation> {
    let term = TermIx(r.below(counts.terms)?);
    let bits = r.byte()?;
    let frequency = match r.byte()? {
        0 => Frequency::Unstated,
        1 => {
            let (affected, examined) = (r.number()?, r.number()?);
            if affected > examined || examined == 0 {
                return Err(OpenError::Malformed);
            }
            Frequency::Count { affected, examined }
        }
        2 => {
            let percent = f32::from_le_bytes(r.array()?);
            if !(0.0..=100.0).contains(&percent) {
                return Err(OpenError::Malformed);
            }
            Frequency::Percent(percent)
        }
        class => {
            Frequency::Class(FrequencyClass::from_code(class - 3).ok_or(OpenError::Malformed)?)
        }
    };
    Ok(Annotation {
        term,
        frequency,
        excluded: bits >> 5 & 1 == 1,
        sex: match (bits >> 6).checked_sub(1) {
            None => None,
            Some(code) => Some(Sex::from_code(code).ok_or(OpenError::Malformed)?),
        },
        onset: r.below(counts.terms + 1)?.checked_sub(1).map(TermIx),
        evidence: Evidence::from_code(bits & 3).ok_or(OpenError::Malformed)?,
        aspect: Aspect::from_code(bits >> 2 & 7).ok_or(OpenError::Malformed)?,
        references: r.below(counts.reference_lists)?,
        modifiers: r.below(counts.modifier_lists)?,
        curation: r.below(counts.texts)?,
    })
}

fn write_disorder(w: &mut Writer, d: &Disorder) {
    w.number(d.label);
    w.number(d.kind);
    w.list(&d.prevalences, |w, p| {
        w.byte(p.kind.code());
        w.byte(p.qualification.code());
        w.byte(p.class.code());
        w.byte(u8::from(p.mean.is_some()));
        if let Some(mean) = p.mean {
            w.raw(&mean.to_le_bytes());
        }
        w.number(p.geography);
    });
    w.list(&d.onsets, |w, o| w.byte(o.code()));
    w.list(&d.inheritance, |w, i| w.byte(i.code()));
    w.list(&d.omim, |w, o| {
        disease_id(w, o.id);
        w.byte(o.relation.code());
    });
    w.list(&d.genes, |w, g| w.number(g.0));
    w.list(&d.features, |w, f| {
        w.number(f.term.0);
        w.byte(f.frequency.code());
    });
    w.list(&d.parents, |w, p| w.number(p.0));
    w.list(&d.mondo, |w, m| w.number(m.0));
}

fn read_disorder(r: &mut Reader<'_>, counts: &Counts, genes: usize) -> Read<Disorder> {
    const BAD: OpenError = OpenError::Malformed;
    Ok(Disorder {
        label: r.below(counts.texts)?,
        kind: r.below(counts.texts)?,
        prevalences: r.list(|r| {
            Ok(StoredPrevalence {
                kind: PrevalenceKind::from_code(r.byte()?).ok_or(BAD)?,
                qualification: PrevalenceQualification::from_code(r.byte()?).ok_or(BAD)?,
                class: PrevalenceClass::from_code(r.byte()?).ok_or(BAD)?,
                mean: if flag(r.byte()?)? {
                    Some(f64::from_le_bytes(r.array()?))
                } else {
                    None
                },
                geography: r.below(counts.texts)?,
            })
        })?,
        onsets: r.list(|r| OrphanetOnset::from_code(r.byte()?).ok_or(BAD))?,
        inheritance: r.list(|r| OrphanetInheritance::from_code(r.byte()?).ok_or(BAD))?,
        omim: r.list(|r| {
            Ok(OmimReference {
                id: read_disease_id(r)?,
                relation: OmimRelation::from_code(r.byte()?).ok_or(BAD)?,
            })
        })?,
        genes: r.list(|r| r.below(genes).map(GeneIx))?,
        features: r.list(|r| {
            Ok(OrphanetFeature {
                term: TermIx(r.below(counts.terms)?),
                frequency: OrphanetFrequency::from_code(r.byte()?).ok_or(BAD)?,
            })
        })?,
        parents: r.list(|r| r.number().map(OrphaCode))?,
        mondo: r.list(|r| r.below(10_000_000).map(MondoId))?,
    })
}

fn disease_id(w: &mut Writer, id: DiseaseId) {
    w.byte(id.database as u8);
    w.number(id.number);
}

fn read_disease_id(r: &mut Reader<'_>) -> Read<DiseaseId> {
    let database = Database::ALL
        .get(usize::from(r.byte()?))
        .copied()
        .ok_or(OpenError::Malformed)?;
    Ok(DiseaseId {
        database,
        number: r.number()?,
    })
}

fn source_kind(byte: u8) -> Read<SourceKind> {
    SourceKind::ALL
        .get(usize::from(byte))
        .copied()
        .ok_or(OpenError::Malformed)
}

fn outcome(w: &mut Writer, outcome: Outcome) {
    match outcome {
        Outcome::High => w.byte(0),
        Outcome::Low => w.byte(1),
        Outcome::Normal => w.byte(2),
        Outcome::Positive => w.byte(3),
        Outcome::Negative => w.byte(4),
        Outcome::Snomed(code) => {
            w.byte(5);
            w.number(code);
        }
    }
}

fn read_outcome(r: &mut Reader<'_>) -> Read<Outcome> {
    Ok(match r.byte()? {
        0 => Outcome::High,
        1 => Outcome::Low,
        2 => Outcome::Normal,
        3 => Outcome::Positive,
        4 => Outcome::Negative,
        5 => Outcome::Snomed(r.long()?),
        _ => return Err(OpenError::Malformed),
    })
}
