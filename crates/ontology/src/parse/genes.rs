//! `genes_to_phenotype.txt`: which gene goes with which disease (its phenotype columns repeat
//! `phenotype.hpoa` and are only checked).

use crate::{
    id::{DiseaseId, HpoId, plain},
    source::{ImportError, Problem, Source, field},
};

const HEADER: &str = "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id";

/// One line.
pub(crate) struct Row<'a> {
    pub(crate) line: u32,
    pub(crate) ncbi: u32,
    /// Empty where the file has none (`-`).
    pub(crate) symbol: &'a str,
    pub(crate) term: HpoId,
    pub(crate) disease: DiseaseId,
}

pub(crate) fn parse<'a>(source: &Source<'a>) -> Result<Vec<Row<'a>>, ImportError> {
    let mut lines = source.lines()?.into_iter();
    if lines.next().is_none_or(|line| line.text != HEADER) {
        return Err(source.error(
            1,
            Problem::Expected("the column names of genes_to_phenotype.txt"),
        ));
    }
    lines
        .map(|line| {
            let row = line.columns().and_then(|columns| row(line.at, columns));
            row.map_err(|problem| source.error(line.at, problem))
        })
        .collect()
}

fn row<'a>(line: u32, columns: [&'a str; 6]) -> Result<Row<'a>, Problem> {
    let [ncbi, symbol, term, _, _, disease] = columns;
    Ok(Row {
        line,
        ncbi: plain(ncbi).ok_or_else(|| Problem::value("ncbi_gene_id", ncbi, "a number"))?,
        symbol: if symbol == "-" {
            ""
        } else {
            gene_symbol(symbol)?
        },
        term: field("hpo_id", term, "HP: and seven digits")?,
        disease: field(
            "disease_id",
            disease,
            "OMIM:, DECIPHER: or ORPHA: and a number",
        )?,
    })
}

/// A gene symbol: printable ASCII without spaces, at most 64 characters.
pub(crate) fn gene_symbol(text: &str) -> Result<&str, Problem> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(text)
        .ok_or_else(|| Problem::value("gene_symbol", text, "a gene symbol"))
}
