//! `ithaca ontology`: makes an index of newer source files, and opens the one that is asked for.

use crate::files;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use ontology::{MAX_SOURCE_BYTES, Ontology, Shipped, Source, SourceKind, Sources};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

/// An index is never larger than this; that of the shipped files has 11 MB.
const MAX_INDEX_BYTES: u64 = 1 << 30;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Reads source files, plain or compressed (.zst), and writes one index file. What is not given is taken
    /// from the files that come with the program.
    Import(ImportOptions),
}

#[derive(Args)]
pub(crate) struct ImportOptions {
    /// The folder of one HPO release: hp.obo, phenotype.hpoa, genes_to_phenotype.txt.
    #[arg(long, value_name = "DIR")]
    hpo: Option<PathBuf>,
    /// Orphanet's disorders, one JSON object a line (see crates/ontology/data).
    #[arg(long, value_name = "FILE")]
    orphanet: Option<PathBuf>,
    /// The folder with Mondo's mapping sets: mondo_exactmatch_omim.sssom.tsv, mondo_exactmatch_orphanet.sssom.tsv.
    #[arg(long, value_name = "DIR")]
    mondo: Option<PathBuf>,
    /// loinc2hpo-annotations.tsv.
    #[arg(long, value_name = "FILE")]
    loinc: Option<PathBuf>,
    /// The index file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Import(options) => import(options),
    }
}

#[expect(clippy::print_stdout, reason = "what was imported")]
fn import(options: &ImportOptions) -> Result<()> {
    ensure!(
        !options.out.exists(),
        "{} exists: name a new file with --out",
        options.out.display()
    );
    let given = given(options)?;
    let shipped = Shipped::unpack();
    let sources = Sources::from_fn(|kind| match given.get(&kind) {
        None => shipped.source(kind),
        Some((name, bytes)) => Source {
            name,
            version: "",
            bytes,
        },
    });
    let index = ontology::compile(&sources).context("refused")?;
    let ontology = Ontology::open(&index).context("the index that was made does not open")?;
    files::write(&options.out, &index, false)
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    println!("{}: {} bytes", options.out.display(), index.len());
    println!("{}", counts(&ontology));
    println!("{}", notices(&ontology, 10));
    Ok(())
}

/// The files that were asked for, by kind: name and content.
fn given(options: &ImportOptions) -> Result<BTreeMap<SourceKind, (String, Vec<u8>)>> {
    let mut paths = Vec::new();
    let folders = [
        (
            &options.hpo,
            &[SourceKind::Hpo, SourceKind::Annotations, SourceKind::Genes][..],
        ),
        (
            &options.mondo,
            &[SourceKind::MondoOmim, SourceKind::MondoOrphanet][..],
        ),
    ];
    for (folder, kinds) in folders {
        for (folder, kind) in folder
            .iter()
            .flat_map(|f| kinds.iter().map(move |k| (f, *k)))
        {
            let plain = folder.join(kind.file_name());
            let packed = folder.join(format!("{}.zst", kind.file_name()));
            let use_packed = !plain.exists() && packed.exists();
            paths.push((kind, if use_packed { packed } else { plain }));
        }
    }
    let files = [
        (&options.orphanet, SourceKind::Orphanet),
        (&options.loinc, SourceKind::Loinc),
    ];
    for (file, kind) in files {
        paths.extend(file.iter().map(|file| (kind, file.clone())));
    }
    ensure!(
        !paths.is_empty(),
        "nothing to import: name newer files with --hpo, --orphanet, --mondo or --loinc"
    );
    paths
        .into_iter()
        .map(|(kind, path)| {
            let bytes = read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((kind, (path.display().to_string(), bytes)))
        })
        .collect()
}

/// A source file, unpacked if its name ends in `.zst`, and never more than is accepted.
fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = MAX_SOURCE_BYTES as u64;
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|e| e == "zst") {
        zstd::Decoder::new(file)?
            .take(limit + 1)
            .read_to_end(&mut bytes)?;
    } else {
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    ensure!(bytes.len() as u64 <= limit, "more than {limit} bytes");
    Ok(bytes)
}

/// The index at a path, or that of the files that come with the program, which is kept in this user's cache.
pub(crate) fn open(path: Option<&Path>) -> Result<Ontology> {
    match path {
        Some(path) => read_index(path),
        None => shipped(cache_folder().as_deref()),
    }
}

/// The index of the files that come with the program: from `folder`, where it is put if it is not there.
pub(crate) fn shipped(folder: Option<&Path>) -> Result<Ontology> {
    let name = format!(
        "knowledge-{}-{:032x}.index",
        ontology::FORMAT,
        Shipped::digest()
    );
    let path = folder.map(|folder| folder.join(name));
    if let Some(path) = path.as_ref().filter(|path| path.exists())
        && let Ok(ontology) = read_index(path)
    {
        return Ok(ontology);
    }
    let index = ontology::compile(&Shipped::unpack().sources())
        .context("the files that come with the program are damaged")?;
    if let Some(path) = path {
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let kept = made.map_err(anyhow::Error::from);
        // Without it the next start takes a second longer.
        if let Err(error) = kept.and_then(|()| files::write(&path, &index, true)) {
            tracing::debug!("the index of diseases is not kept: {error:#}");
        }
    }
    Ontology::open(&index).context("the index that was made does not open")
}

/// Where this user's programs keep what they can make again.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("ithaca"))
}

fn read_index(path: &Path) -> Result<Ontology> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_INDEX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() as u64 <= MAX_INDEX_BYTES,
        "{} is larger than {MAX_INDEX_BYTES} bytes; is it the right file?",
        path.display()
    );
    Ontology::open(&bytes).with_context(|| format!("{} is refused", path.display()))
}

/// What an ontology holds, in one line.
pub(crate) fn counts(ontology: &Ontology) -> String {
    format!(
        "{} terms, {} diseases, {} genes, {} Orphanet disorders, {} laboratory results",
        ontology.term_count(),
        ontology.disease_count(),
        ontology.gene_count(),
        ontology.orphanet_count(),
        ontology.loinc_findings().len()
    )
}

/// What could not be placed, at most `most` lines of it.
pub(crate) fn notices(ontology: &Ontology, most: usize) -> String {
    let mut lines = vec![format!(
        "{} lines name what the other files do not know as such:",
        ontology.notices().len()
    )];
    for notice in ontology.notices().take(most) {
        let file = notice.source.file_name();
        lines.push(format!("    {file}:{}: {}", notice.line, notice.text));
    }
    if ontology.notices().len() > most {
        lines.push("    ...; all of them: ithaca about --data --index FILE".to_owned());
    }
    lines.join("\n")
}
