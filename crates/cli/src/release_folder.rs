//! A release in a folder: downloaded piece by piece, and checked without a node.
//!
//! While it is downloaded the folder is called `DIR.part`; what broke off goes on from the lengths of its files.

use crate::{
    govern::{NodeAt, list},
    http::text,
    stage::Stage,
};
use ::release::{
    Certificate, Manifest,
    check::{BESIDE, Checked, Files, check},
};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use codec::{Digest, Millis, StudyId};
use node::verify::{self, ReleaseVerdict};
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

/// The longest file about a release: a manifest, a certificate or a proof.
const BESIDE_BYTES: u64 = 16 << 20;
/// The longest genesis.
const GENESIS_BYTES: u64 = 64 << 20;

#[derive(Args)]
pub(crate) struct Verify {
    /// The release.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The network's genesis, from a source you trust.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// The files of a folder.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Files for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(File::open(self.0.join(name))?))
    }
}

/// What was found of a release in a folder.
pub(crate) struct Found {
    pub(crate) checked: Checked,
    /// Everything that does not fit, what the ledger says among it.
    pub(crate) faults: Vec<String>,
    /// What the ledger says; none if no genesis was given, or the proof is refused.
    pub(crate) ledger: Option<ReleaseVerdict>,
    /// The largest share of its people that an attack linked, as the certificate has it.
    pub(crate) linked: Option<f64>,
}

/// Checks a folder, with a genesis against the ledger too.
pub(crate) fn found(folder: &Path, genesis: Option<&Path>) -> Result<Found> {
    let shown = folder.display();
    let files = Folder(folder.to_owned());
    let checked = check(&files).with_context(|| format!("cannot read the release {shown}"))?;
    let mut faults = checked.faults.clone();
    let mut ledger = None;
    if let Some(path) = genesis {
        let bytes = crate::govern::within_size(path, "the genesis", GENESIS_BYTES)?;
        let genesis = verify::genesis(&bytes).with_context(|| path.display().to_string())?;
        let proof = folder.join(BESIDE[2]);
        if !proof.is_file() {
            faults.push(format!("{} is missing", BESIDE[2]));
        } else {
            let proof = crate::govern::within_size(&proof, "the proof", BESIDE_BYTES)?;
            match verify::release(&proof, &genesis) {
                Ok(verdict) => {
                    faults.extend(differs(&checked, &verdict));
                    ledger = Some(verdict);
                }
                Err(why) => faults.push(format!("{}: {why}", BESIDE[2])),
            }
        }
    }
    let certificate = folder.join(BESIDE[1]);
    let linked = match certificate.is_file() {
        true => {
            let bytes = crate::govern::within_size(&certificate, "the certificate", BESIDE_BYTES)?;
            Certificate::read(&bytes).ok().map(|read| read.risk())
        }
        false => None,
    };
    Ok(Found {
        checked,
        faults,
        ledger,
        linked,
    })
}

/// What a folder says otherwise than the ledger.
fn differs(checked: &Checked, ledger: &ReleaseVerdict) -> Vec<String> {
    let same = |what: &str, here: Option<Digest>, there: Digest| {
        (here != Some(there)).then(|| format!("the ledger holds another {what}"))
    };
    let mut faults: Vec<String> = [
        same("content", checked.content, ledger.content),
        same("certificate", checked.certificate, ledger.certificate),
        same("policy of the study", checked.policy, ledger.policy),
    ]
    .into_iter()
    .flatten()
    .collect();
    if checked.which.map(|(study, _)| study) != Some(ledger.study) {
        faults.push("the ledger's proof is of another study".to_owned());
    }
    faults
}

#[expect(clippy::print_stdout, reason = "the verdict")]
pub(crate) fn verify(options: &Verify) -> Result<()> {
    let found = found(&options.folder, options.genesis.as_deref())?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&document(&found))?);
    } else {
        for line in lines(&found, options.genesis.is_some()) {
            println!("{line}");
        }
    }
    match found.faults.as_slice() {
        [] => Ok(()),
        [only] => bail!("{} is REFUSED: {only}", options.folder.display()),
        [first, more @ ..] => bail!(
            "{} is REFUSED: {first}; and {} more",
            options.folder.display(),
            more.len()
        ),
    }
}

fn document(found: &Found) -> Value {
    let digest = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
    let checked = &found.checked;
    json!({
        "verdict": if found.faults.is_empty() { "holds" } else { "refused" },
        "faults": found.faults,
        "study": checked.which.map(|(study, _)| study.to_string()),
        "number": checked.which.map(|(_, number)| number),
        "groups": checked.groups,
        "subjects_at_least": checked.subjects,
        "content": digest(checked.content),
        "certificate": digest(checked.certificate),
        "policy": digest(checked.policy),
        "linked_at_most": found.linked,
        "ledger": found.ledger.as_ref().map(|ledger| json!({
            "height": ledger.height,
            "proved_at": Millis::new(ledger.time_ms).to_rfc3339(),
            "institution": ledger.institution.to_string(),
            "number": ledger.number,
        })),
    })
}

/// What was checked, and what was not.
fn lines(found: &Found, with_genesis: bool) -> Vec<String> {
    let checked = &found.checked;
    let mut lines: Vec<String> = found
        .faults
        .iter()
        .map(|fault| format!("FAULT  {fault}"))
        .collect();
    if found.faults.is_empty() {
        lines.push(format!(
            "HOLDS  every file is as the manifest says, and follows from groups.ndjson: groups: {}, at least {} people, \
             nothing of fewer than k",
            checked.groups, checked.subjects
        ));
        lines.push(
            "       the certificate is of this content, and its verdict follows from its figures"
                .to_owned(),
        );
        if let Some(linked) = found.linked {
            lines.push(format!(
                "       in the attacks that it tells of, {:.1} of 100 people were linked at most",
                linked * 100.0
            ));
        }
        if let Some(ledger) = &found.ledger {
            lines.push(format!(
                "       the ledger holds this content, certificate and policy for study {}: height {}, proved as of {}",
                ledger.study,
                ledger.height,
                Millis::new(ledger.time_ms).to_rfc3339()
            ));
        }
    }
    lines.push("NOT CHECKED".to_owned());
    if !with_genesis {
        lines.push(
            "       whether the ledger holds it: give the network's genesis with --genesis"
                .to_owned(),
        );
    }
    lines.push(
        "       whether the attacks achieve what the certificate says: only who has the records can try them again \
         (ithaca release replay)"
            .to_owned(),
    );
    lines
}

/// Downloads a release, says so, and what it is.
#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn get(node: &NodeAt, study: &StudyId, number: u64, folder: &Path) -> Result<()> {
    let found = download(node, study, number, folder, &Stage::new(false))?;
    let shown = folder.display();
    println!(
        "{shown} holds release {number}: groups: {}, at least {} people. Check it with: ithaca release verify {shown} \
         --genesis FILE",
        found.checked.groups, found.checked.subjects
    );
    println!("{}", ::release::STATEMENT);
    Ok(())
}

/// Downloads a release into a folder that is there whole or not at all.
pub(crate) fn download(
    node: &NodeAt,
    study: &StudyId,
    number: u64,
    folder: &Path,
    stage: &Stage,
) -> Result<Found> {
    let shown = folder.display();
    ensure!(
        fs::symlink_metadata(folder).is_err(),
        "{shown} exists; name a new folder"
    );
    let at = format!("/v1/studies/{study}/releases/{number}");
    let release = node.call("GET", &at, None)?;
    if release["status"] != "released" {
        bail!(
            "release {number} is {}; it can be had once it is on the ledger",
            text(&release["status"])
        );
    }
    let mut part = folder.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    let source = Source { node, at };
    begin(&source, &part)?;
    let files = files(&release)?;
    let total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let mut done = 0;
    for (name, length) in &files {
        source.file(name, *length, &part, &mut |of_file| {
            stage.progress(kib(done + of_file), kib(total), "KiB");
        })?;
        done += length;
    }
    stage.progress(1, 1, "");
    for name in [BESIDE[1], BESIDE[2]] {
        write(&part.join(name), &source.whole(name)?)?;
    }
    let found = found(&part, None)?;
    if let Some(fault) = found.faults.first() {
        // Nothing of it can be gone on with.
        fs::remove_dir_all(&part).ok();
        bail!("what came is not what was released, and was removed: {fault}; get it again");
    }
    sync_folder(&part)?;
    fs::rename(&part, folder).with_context(|| format!("cannot call {} {shown}", part.display()))?;
    if let Some(above) = folder
        .parent()
        .filter(|above| !above.as_os_str().is_empty())
    {
        sync_folder(above)?;
    }
    Ok(found)
}

/// Units of the progress bar; never none of something.
fn kib(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX)
}

/// The manifest first: it says whose the rest is.
fn begin(source: &Source<'_>, part: &Path) -> Result<()> {
    let manifest = source.whole(BESIDE[0])?;
    let read: Result<Manifest, _> = serde_json::from_slice(&manifest);
    ensure!(read.is_ok(), "the node gave a manifest that is none");
    let path = part.join(BESIDE[0]);
    match fs::read(&path) {
        Ok(there) if there == manifest => Ok(()),
        Ok(_) => bail!(
            "{} holds something of another release; remove it first",
            part.display()
        ),
        Err(_) => write(&path, &manifest),
    }
}

/// The names and lengths of a release's own files.
fn files(release: &Value) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for file in list(&release["files"]) {
        let name = text(&file["name"]);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_safe = !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_name);
        ensure!(is_safe, "the node names a file that is no file name");
        if !BESIDE.contains(&name.as_str()) {
            let bytes = file["bytes"].as_u64().context("a file without a length")?;
            files.push((name, bytes));
        }
    }
    Ok(files)
}

/// A small file about a release.
pub(crate) fn small(node: &NodeAt, at: &str, name: &str) -> Result<Vec<u8>> {
    let at = at.to_owned();
    Source { node, at }.whole(name)
}

/// A release at a node.
struct Source<'a> {
    node: &'a NodeAt,
    at: String,
}

impl Source<'_> {
    fn piece(&self, name: &str, offset: u64) -> Result<Vec<u8>> {
        let path = format!("{}/files/{name}?offset={offset}", self.at);
        let answer = self.node.send("GET", &path, None)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        answer.value()?;
        bail!("the node answered with {} for {name}", answer.status)
    }

    /// A small file about the release.
    fn whole(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let piece = self.piece(name, bytes.len() as u64)?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend(piece);
            ensure!(
                bytes.len() as u64 <= BESIDE_BYTES,
                "{name} is longer than it can be"
            );
            // It may be made anew for each request, and then its pieces are of one another no longer.
            if name == BESIDE[2] {
                return Ok(bytes);
            }
        }
    }

    /// A file of the release, from where it broke off.
    fn file(&self, name: &str, length: u64, part: &Path, tell: &mut dyn FnMut(u64)) -> Result<()> {
        let path = part.join(name);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let mut have = file.metadata()?.len();
        if have > length {
            file.set_len(0)?;
            have = 0;
        }
        while have < length {
            tell(have);
            let piece = self.piece(name, have)?;
            have += piece.len() as u64;
            ensure!(
                !piece.is_empty() && have <= length,
                "the node gave less or more of {name} than there is"
            );
            file.write_all(&piece)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        file.sync_all()?;
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file =
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

fn sync_folder(path: &Path) -> Result<()> {
    Ok(File::open(path)?.sync_all()?)
}
