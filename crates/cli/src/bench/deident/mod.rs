//! De-identification: resources and phenopackets a second on one core, beside `serde_json` reading and writing the
//! same bytes, and beside others' tools where they are there.

mod others;

use super::{
    DeidentOptions, process,
    table::{Demand, Measured, Table},
};
use crate::demo::{self, memory_mib};
use anyhow::{Context as _, Result, ensure};
use codec::time::{Date, Millis};
use deident::{Cloak, Fates, Rules, StudyKey};
use keys::Secret;
use serde_json::Value;
use std::{collections::BTreeMap, fs, hint::black_box, time::Instant};

/// Resources a second that one core must reach.
const MUST_PER_SECOND: f64 = 20_000.0;
/// An archive is never larger than this when it is unpacked.
const MAX_SAMPLE_BYTES: usize = 1 << 30;

/// A document, and whom it is about.
struct Item {
    bytes: Vec<u8>,
    cloak: usize,
}

struct Sample {
    items: Vec<Item>,
    cloaks: Vec<Cloak>,
    /// Resources of types without rules.
    others: usize,
}

pub(super) fn run(options: &DeidentOptions) -> Result<()> {
    ensure!(options.count > 0, "at least one resource");
    let study = StudyKey::derive(&Secret::from_bytes([1; 32]), b"bench");
    let sample = sample(options, &study)?;
    let rules = Rules::shipped();
    let at = Date::new(2026, 1, 1)?;
    let mut table = Table::default();
    let before = memory_mib().unwrap_or(0.0);
    let bytes: usize = sample.items.iter().map(|item| item.bytes.len()).sum();
    let mut fates = rules.fates();
    let mut written = 0;
    let cpu = process::cpu();
    let ours = measured(
        "de-identified and validated, one core",
        options.count,
        &sample.items,
        |item| {
            let cloak = sample.cloaks.get(item.cloak).context("no cloak")?;
            written += rules.resource(cloak, at, &item.bytes, &mut fates)?.len();
            Ok(())
        },
    )?;
    let cpu = process::cpu().zip(cpu).map(|(to, from)| to - from);
    let bare = measured(
        "the same, not validated",
        options.count,
        &sample.items,
        |item| {
            let cloak = sample.cloaks.get(item.cloak).context("no cloak")?;
            black_box(rules.resource_unvalidated(cloak, at, &item.bytes, &mut fates)?);
            Ok(())
        },
    )?;
    let ours = ours.must(Demand::PerSecondAtLeast(MUST_PER_SECOND));
    let mut group = vec![reference(options.count, &sample.items)?, ours, bare];
    let theirs = others::measure(options, &sample, &mut group)?;
    table.group("FHIR resources", group);
    table.group(
        "phenopackets",
        packets(options.count / 4, &study, at, &mut fates)?,
    );
    notes(&mut table, &sample, bytes, &fates);
    table.note(
        "written of what was read",
        share(written, bytes * options.count / sample.items.len()),
        "%",
    );
    if let Some(cpu) = cpu {
        // Of the pass without a clock too.
        let done = options.count + sample.items.len();
        table.note("CPU a resource", others::micros_each(cpu, done), "us");
    }
    table.note("memory", memory_mib().unwrap_or(0.0), "MiB");
    table.note(
        "memory taken by measuring",
        memory_mib().unwrap_or(0.0) - before,
        "MiB",
    );
    for note in theirs {
        table.note(note.name, note.value, note.unit);
    }
    table.print(options.json);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "what the bench is doing")]
fn tell(what: &str) {
    eprintln!("bench: {what}");
}

fn notes(table: &mut Table, sample: &Sample, bytes: usize, fates: &Fates) {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let count = sample.items.len();
    table.note("resources with rules in the sample", number(count), "");
    table.note("others, of which nothing leaves", number(sample.others), "");
    table.note(
        "mean resource",
        number(bytes) / number(count.max(1)),
        "bytes",
    );
    let mut met = [0_u64; 5];
    for (_, _, counts) in fates.paths() {
        for (sum, count) in met.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let all: u64 = met.iter().sum();
    for (fate, count) in deident::Fate::ALL.iter().zip(met) {
        let (count, all) = (usize::try_from(count), usize::try_from(all));
        let share = share(count.unwrap_or(0), all.unwrap_or(1));
        table.note(format!("elements {}", fate.name()), share, "%");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of a hundred")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Does something with so many of the items, again from the first when they are through.
fn measured(
    name: &str,
    count: usize,
    items: &[Item],
    mut each: impl FnMut(&Item) -> Result<()>,
) -> Result<Measured> {
    // Once without a clock: tables are read when they are first used.
    items.iter().try_for_each(&mut each)?;
    let mut millis = Vec::with_capacity(count);
    let started = Instant::now();
    for item in items.iter().cycle().take(count) {
        let from = Instant::now();
        each(item)?;
        millis.push(from.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Measured::new(name, millis, started.elapsed()))
}

/// The same bytes read into `serde_json`'s tree and written again.
fn reference(count: usize, items: &[Item]) -> Result<Measured> {
    let measured = measured("serde_json reads and writes them", count, items, |item| {
        let tree: Value = serde_json::from_slice(&item.bytes)?;
        black_box(serde_json::to_vec(&tree)?);
        Ok(())
    })?;
    Ok(measured.reference())
}

fn packets(count: usize, study: &StudyKey, at: Date, fates: &mut Fates) -> Result<Vec<Measured>> {
    let cloak = study.subject(b"bench", &[]);
    let cases = demo::cases()?.into_iter();
    let items: Vec<Item> = cases
        .map(|case| Item {
            bytes: case.bytes,
            cloak: 0,
        })
        .collect();
    let reference = reference(count, &items)?;
    let ours = measured("de-identified, one core", count, &items, |item| {
        black_box(Rules::shipped().phenopacket(&cloak, at, &item.bytes, fates)?);
        Ok(())
    })?;
    Ok(vec![reference, ours])
}

/// The sample, or what ships, as a node stores it: each resource under an id, references resolved.
fn sample(options: &DeidentOptions, study: &StudyKey) -> Result<Sample> {
    let bundles = match fs::read(&options.sample) {
        Ok(packed) => {
            let archive = zstd::bulk::decompress(&packed, MAX_SAMPLE_BYTES)?;
            tell(&format!(
                "the development sample {}",
                options.sample.display()
            ));
            tar_files(&archive)
        }
        Err(_) => {
            let absent = options.sample.display();
            tell(&format!(
                "no sample at {absent}: the three shipped patients instead"
            ));
            demo::bundles()?
        }
    };
    let mut sample = Sample {
        items: Vec::new(),
        cloaks: Vec::new(),
        others: 0,
    };
    for bundle in &bundles {
        add(&mut sample, bundle, study)?;
    }
    ensure!(
        !sample.items.is_empty(),
        "the sample has no resource that has rules"
    );
    Ok(sample)
}

fn add(sample: &mut Sample, bundle: &[u8], study: &StudyKey) -> Result<()> {
    let bundle = fhir::Bundle::parse(bundle).context("a bundle of the sample")?;
    let (cloak, mut patients) = (sample.cloaks.len(), Vec::new());
    let mut targets = BTreeMap::new();
    for (position, entry) in bundle.entries().iter().enumerate() {
        if let (Some(url), Some(resource)) = (entry.full_url(), entry.resource()) {
            let id = format!("{position:032x}");
            targets.insert(url.to_owned(), format!("{}/{id}", resource.resource_type()));
            if resource.resource_type() == "Patient" {
                patients.push(id);
            }
        }
    }
    let resolve = |text: &str| targets.get(text).cloned();
    for (position, entry) in bundle.entries().iter().enumerate() {
        let Some(resource) = entry.resource() else {
            continue;
        };
        if !Rules::shipped()
            .resource_types()
            .any(|name| name == resource.resource_type())
        {
            sample.others += 1;
            continue;
        }
        let assigned = fhir::Assigned {
            id: &format!("{position:032x}"),
            version_id: "1",
            last_updated: Millis::from_rfc3339("2026-01-02T03:04:05Z")?,
        };
        let bytes = resource.stored_form(&assigned, &resolve)?;
        sample.items.push(Item { bytes, cloak });
    }
    let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
    sample
        .cloaks
        .push(study.subject(&cloak.to_be_bytes(), &patients));
    Ok(())
}

/// The files of a tar archive.
fn tar_files(archive: &[u8]) -> Vec<Vec<u8>> {
    let number = |field: &[u8]| {
        let digits = field.iter().take_while(|byte| matches!(byte, b'0'..=b'7'));
        digits.fold(0_usize, |value, digit| {
            value * 8 + usize::from(digit - b'0')
        })
    };
    let mut files = Vec::new();
    let mut rest = archive;
    while let Some((header, body)) = rest.split_at_checked(512) {
        let size = header.get(124..135).map_or(0, number);
        let Some(file) = body.get(..size) else {
            break;
        };
        if header.get(156) == Some(&b'0') && file.first() == Some(&b'{') {
            files.push(file.to_vec());
        }
        rest = body.get(size.div_ceil(512) * 512..).unwrap_or_default();
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_patients_are_a_sample() {
        let study = StudyKey::derive(&Secret::from_bytes([1; 32]), b"bench");
        let mut sample = Sample {
            items: Vec::new(),
            cloaks: Vec::new(),
            others: 0,
        };
        for bundle in demo::bundles().unwrap() {
            add(&mut sample, &bundle, &study).unwrap();
        }
        let mut fates = Rules::shipped().fates();
        for item in &sample.items {
            let cloak = &sample.cloaks[item.cloak];
            let at = Date::new(2026, 1, 1).unwrap();
            Rules::shipped()
                .resource(cloak, at, &item.bytes, &mut fates)
                .unwrap();
        }
        assert_eq!(fates.released(), u64::try_from(sample.items.len()).unwrap());
        assert!(sample.items.len() > 150 && sample.others > 0);
    }
}
