//! Checking a release as anybody may who has its files.
//!
//! Every file is compared with the manifest; all files are made again from `groups.ndjson` and compared; each
//! group is held against the rules; the certificate must be of this content and its verdict must follow from
//! its figures. What the ledger says of both digests is for whoever holds its proof.

use crate::certificate::place;
use crate::group::Group;
use crate::header::{Format, Header};
use crate::package::{GROUPS, HEADER, Manifest, Package};
use crate::{Certificate, FORMAT};
use codec::{Digest, StudyId};
use keys::Sha256Hasher;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

/// Files that are about the content, and not in the manifest.
pub const BESIDE: [&str; 3] = ["manifest.json", "certificate.json", "ledger.proof"];
/// The longest small file, in bytes.
const SMALL: u64 = 16 << 20;
/// The longest line of `groups.ndjson`, in bytes.
const LINE: u64 = 16 << 20;
/// The most faults that are told.
const FAULTS: usize = 50;

/// Where a release's files are.
pub trait Files {
    /// The names of all files.
    ///
    /// # Errors
    /// They cannot be listed.
    fn names(&self) -> io::Result<Vec<String>>;

    /// A file, from its start.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Everything that does not fit, a sentence each; at most 50. Empty: it is as it was made.
    pub faults: Vec<String>,
    /// Digest of the content, which the ledger holds.
    pub content: Option<Digest>,
    /// Digest of the certificate, which the ledger holds.
    pub certificate: Option<Digest>,
    /// Digest of the study's policy, which the ledger holds.
    pub policy: Option<Digest>,
    /// The study and which of its releases.
    pub which: Option<(StudyId, u64)>,
    /// Groups.
    pub groups: u64,
    /// Subjects at least.
    pub subjects: u64,
}

/// Checks a release.
///
/// # Errors
/// A file cannot be read.
pub fn check(files: &dyn Files) -> io::Result<Checked> {
    let mut checked = Checked {
        faults: Vec::new(),
        content: None,
        certificate: None,
        policy: None,
        which: None,
        groups: 0,
        subjects: 0,
    };
    let names = files.names()?;
    if !names.iter().any(|name| name == BESIDE[0]) {
        checked.fault("manifest.json is missing: this is no release".to_owned());
        return Ok(checked);
    }
    let bytes = small(files, "manifest.json")?;
    let manifest: Manifest = match serde_json::from_slice(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            checked.fault(format!("manifest.json: {}", place(&error)));
            return Ok(checked);
        }
    };
    if manifest.format != FORMAT || manifest.bytes() != bytes {
        checked.fault(format!("manifest.json is not as {FORMAT} writes it"));
    }
    checked.content = Some(manifest.digest());
    hashes(files, &names, &manifest, &mut checked)?;
    let header = header(files, &names, &mut checked)?;
    if let Some(header) = &header {
        checked.which = Some((header.study.id, header.number));
        checked.policy = Some(header.study.policy);
        again(files, &names, header, &manifest, &mut checked)?;
    }
    certificate(files, &names, header.as_ref(), &mut checked)?;
    Ok(checked)
}

impl Checked {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        }
    }
}

fn small(files: &dyn Files, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    files.open(name)?.take(SMALL).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn hashes(
    files: &dyn Files,
    names: &[String],
    manifest: &Manifest,
    checked: &mut Checked,
) -> io::Result<()> {
    let listed: BTreeMap<&str, _> = manifest
        .files
        .iter()
        .map(|f| (f.name.as_str(), f))
        .collect();
    if listed.len() != manifest.files.len() {
        checked.fault("manifest.json lists a file twice".to_owned());
    }
    for name in names {
        if !listed.contains_key(name.as_str()) && !BESIDE.contains(&name.as_str()) {
            checked.fault(format!("{name} is not part of the release"));
        }
    }
    for (name, file) in listed {
        if !names.iter().any(|there| there == name) {
            checked.fault(format!("{name} is missing"));
            continue;
        }
        let mut hash = Sha256Hasher::new();
        let mut length = 0_u64;
        let mut reader = files.open(name)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            hash.update(buffer.get(..read).unwrap_or_default());
        }
        if length != file.bytes || Digest::new(hash.finalize()) != file.sha256 {
            checked.fault(format!("{name} is not the file that was released"));
        }
    }
    Ok(())
}

fn header(
    files: &dyn Files,
    names: &[String],
    checked: &mut Checked,
) -> io::Result<Option<Header>> {
    if !names.iter().any(|name| name == HEADER) {
        return Ok(None);
    }
    let bytes = small(files, HEADER)?;
    let read: Result<Header, _> = serde_json::from_slice(&bytes);
    match read {
        Ok(header) if header.format == FORMAT => Ok(Some(header)),
        Ok(_) => {
            checked.fault(format!("{HEADER} is not of the form {FORMAT}"));
            Ok(None)
        }
        Err(error) => {
            checked.fault(format!("{HEADER}: {}", place(&error)));
            Ok(None)
        }
    }
}

/// Makes every file again from the groups.
fn again(
    files: &dyn Files,
    names: &[String],
    header: &Header,
    manifest: &Manifest,
    checked: &mut Checked,
) -> io::Result<()> {
    if !names.iter().any(|name| name == GROUPS) {
        return Ok(());
    }
    let (mut package, _) = Package::new(header.clone()).map_err(io::Error::other)?;
    let mut reader = BufReader::new(files.open(GROUPS)?);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = reader.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let group: Group = match serde_json::from_slice(&line) {
            Ok(group) => group,
            Err(error) => {
                let column = error.column();
                checked.fault(format!(
                    "{GROUPS}: line {number}, column {column} cannot be read"
                ));
                return Ok(());
            }
        };
        rules(header, number, &group, checked);
        checked.groups += 1;
        checked.subjects += u64::from(group.at_least);
        package.group(&group).map_err(io::Error::other)?;
    }
    let (_, made) = package.finish().map_err(io::Error::other)?;
    for file in &made.files {
        let same = manifest.files.iter().any(|listed| listed == file);
        if !same {
            let name = &file.name;
            checked.fault(format!("{name} does not follow from {GROUPS} and {HEADER}"));
        }
    }
    if made.files.len() != manifest.files.len() {
        checked.fault(format!(
            "manifest.json lists files that do not follow from {GROUPS}"
        ));
    }
    Ok(())
}

/// What holds of every group.
fn rules(header: &Header, number: u64, group: &Group, checked: &mut Checked) {
    let k = header.k;
    let enough = |subjects: u32| k >= 2 && subjects >= k && subjects.is_multiple_of(k);
    let mut fault = |says: &str| checked.fault(format!("{GROUPS}: line {number}: {says}"));
    if !enough(group.at_least) {
        fault("it is of fewer than k subjects, or tells their exact number");
    }
    let measured = |m: &crate::Measure| enough(m.at_least) && m.at_least <= group.at_least;
    if !group.measured.iter().all(measured) {
        fault("a measurement is of fewer than k subjects, or tells their exact number");
    }
    if group.id != name(number) {
        fault("it is not named by its place");
    }
    let tokens = group.recontact.len();
    let alike = group
        .recontact
        .windows(2)
        .all(|two| matches!(two, [a, b] if a.len() == b.len()));
    if !tokens.is_multiple_of(k.max(1) as usize) || !alike {
        fault("its tokens tell how many there are, or differ in length");
    }
}

/// The name of the group in a line, counted from 1.
pub fn name(number: u64) -> String {
    format!("G{number:05}")
}

fn certificate(
    files: &dyn Files,
    names: &[String],
    header: Option<&Header>,
    checked: &mut Checked,
) -> io::Result<()> {
    if !names.iter().any(|name| name == BESIDE[1]) {
        checked.fault("certificate.json is missing".to_owned());
        return Ok(());
    }
    let bytes = small(files, "certificate.json")?;
    checked.certificate = Some(Certificate::digest(&bytes));
    let read = match Certificate::read(&bytes) {
        Ok(read) => read,
        Err(why) => {
            checked.fault(format!("certificate.json: {why}"));
            return Ok(());
        }
    };
    if Some(read.content) != checked.content {
        checked.fault("certificate.json is of another content".to_owned());
    }
    if let Some(header) = header {
        let same = read.study == header.study.id
            && read.policy == header.study.policy
            && read.number == header.number
            && read.tier == header.tier
            && read.k == header.k
            && read.made == header.made;
        if !same {
            checked.fault(format!(
                "certificate.json and {HEADER} contradict each other"
            ));
        }
    }
    if !read.is_consistent() {
        checked.fault("certificate.json: its verdict does not follow from its figures".to_owned());
    }
    if !read.verdict.passes {
        checked.fault("certificate.json says that this must not leave".to_owned());
    }
    Ok(())
}

/// The files of each format.
pub fn files_of(format: Format) -> Vec<&'static str> {
    match format {
        Format::Parquet => crate::tables::TABLES
            .iter()
            .map(|table| table.file)
            .collect(),
        Format::Fhir => crate::fhir::FILES.iter().map(|(file, _)| *file).collect(),
        Format::Phenopackets => vec![crate::packet::FILE.0],
    }
}
