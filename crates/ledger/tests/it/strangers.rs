//! A log of 20,000 entries, checked with tools that nobody here wrote: pymerkle, and Go's `sumdb/tlog`
//! and `note`. They come from PyPI, once; after that the test needs no network.
//!
//! Needs `python3` of version 3.11 or later with `venv`. Without a way to PyPI it says so and is skipped.

use crate::python::{Python, succeeded, text};
use crate::support::{Chain, Member};
use codec::Digest;
use ledger::log::paths::{bundle_bytes, bundle_path, tile_bytes, tile_path};
use ledger::log::{
    Checkpoint, NoteKey, SignedCheckpoint, consistency_proof, inclusion_proof, signed,
};
use ledger::{Kind, SignedEntry, block};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const ENTRIES_PER_BLOCK: u64 = 1_000;
const BLOCKS: u64 = 20;
/// The older checkpoint is that of this block; its log has an odd size.
const OLD_BLOCK: u64 = 6;
const COSIGNED_S: u64 = 1_800_000_123;

#[test]
fn strangers_can_check_the_log() {
    let Some(tools) = Tools::ready() else {
        // Not through the test's own output, which is shown only if it fails.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED strangers_can_check_the_log: PyPI cannot be reached, so pymerkle and Go are not here"
        );
        return;
    };
    let work = tempfile::tempdir().unwrap();
    let log = work.path().join("log");
    let size = publish(&log);
    let holds = format!("holds {size} leaves, 9 inclusions, consistent with 6007\n");
    assert_eq!(tools.pymerkle(&log), (true, holds.clone()));
    assert_eq!(tools.go(&log), (true, holds));

    let damaged = work.path().join("damaged");
    copy(&log, &damaged);
    let bundle = "tile/entries/042";
    let checkpoint = fs::read(log.join("checkpoint")).unwrap();
    let signature = checkpoint.windows(2).position(|w| w == b"\n\n").unwrap() + 2;
    let line_ends = |from: usize| {
        let rest = &checkpoint[from..];
        from + rest.iter().position(|byte| *byte == b'\n').unwrap()
    };
    let (first, second) = (line_ends(signature), line_ends(line_ends(signature) + 1));
    let third = line_ends(second + 1);
    for (file, at, pymerkle, go) in [
        ("tile/0/077", 1_000, "a tile of level 0", "inconsistent"),
        ("tile/1/000.p/78", 40, "a tile of level 1", "inconsistent"),
        (
            bundle,
            300,
            "the root over the entries",
            "the root over the entries",
        ),
        // The last letters of the root, and of each signature.
        (
            "checkpoint",
            signature - 5,
            "the root over the entries",
            "invalid signature",
        ),
        ("checkpoint", first - 6, "", "invalid signature"),
        ("checkpoint", second - 6, "", "invalid signature"),
        ("checkpoint", third - 6, "", "invalid signature"),
        (
            "checkpoint.old",
            signature - 20,
            "the root over the first entries",
            "invalid signature",
        ),
    ] {
        let path = damaged.join(file);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        // Another letter of base64 too, where it is one.
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        fs::write(&path, bytes).unwrap();
        // pymerkle knows no signatures.
        let mut verdicts = vec![(tools.go(&damaged), go)];
        if !pymerkle.is_empty() {
            verdicts.push((tools.pymerkle(&damaged), pymerkle));
        }
        for ((holds, said), because) in verdicts {
            assert!(!holds, "{file} byte {at}: {said}");
            assert!(said.starts_with("REFUSED"), "{file} byte {at}: {said}");
            assert!(said.contains(because), "{file} byte {at}: {said}");
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(tools.go(&damaged).0, "a fault was left");
}

/// Makes a log of signed entries through the state machine, and writes what a log serves.
fn publish(folder: &Path) -> u64 {
    let members = (1..=2).map(|n| Member::new(n, Kind::Hospital)).collect();
    let mut chain = Chain::with(members, 1);
    let mut leaves: Vec<Vec<u8>> = vec![chain.tip().leaf()];
    let mut old = None;
    for number in 1..=BLOCKS {
        let first = number * ENTRIES_PER_BLOCK;
        let entries: Vec<SignedEntry> = (first..first + ENTRIES_PER_BLOCK)
            .map(|n| chain.record_batch((n % 2) as usize, n))
            .collect();
        let header = chain.push(&entries);
        leaves.extend(entries.iter().map(|entry| entry.bytes().to_vec()));
        leaves.push(header.leaf());
        if number == OLD_BLOCK {
            old = Some(Checkpoint::new(
                &chain.network,
                chain.log.size(),
                chain.log.root(),
            ));
        }
    }
    let size = chain.log.size();
    assert_eq!(size, BLOCKS * (ENTRIES_PER_BLOCK + 1) + 1);
    assert_eq!(
        block::log_leaves(chain.tip(), &[]).last(),
        Some(&ledger::log::leaf_hash(leaves.last().unwrap()))
    );
    let new = Checkpoint::new(&chain.network, size, chain.log.root());
    let old = old.unwrap();
    write_notes(&chain, folder, &new, &old);
    for ((level, index), hashes) in &chain.stored {
        write(
            folder,
            &tile_path(*level, *index, hashes.len()),
            &tile_bytes(hashes),
        );
    }
    for (index, bundle) in (0..).zip(leaves.chunks(256)) {
        let bytes = bundle_bytes(bundle.iter().map(Vec::as_slice)).unwrap();
        write(folder, &bundle_path(index, bundle.len()), &bytes);
    }
    write(folder, "proofs.json", proofs(&chain, &new, &old).as_bytes());
    size
}

/// Both checkpoints, signed by the first institution and cosigned by the second.
fn write_notes(chain: &Chain, folder: &Path, new: &Checkpoint, old: &Checkpoint) {
    let (network, log, witness) = (&chain.network, &chain.members[0], &chain.members[1]);
    let vkeys = [
        NoteKey::log(network, log.signing.public()),
        NoteKey::witness(network, &witness.id, witness.signing.public()),
        NoteKey::pq_witness(network, &witness.id, witness.governance.public()),
    ];
    let text: String = vkeys.iter().map(|key| format!("{key}\n")).collect();
    write(folder, "vkeys", text.as_bytes());
    for (name, checkpoint) in [("checkpoint", new), ("checkpoint.old", old)] {
        let mut signatures = vec![signed::sign(network, checkpoint, &log.signing)];
        signatures.extend(signed::cosign(
            network,
            &witness.id,
            checkpoint,
            COSIGNED_S,
            &witness.signing,
            &witness.governance,
        ));
        let note = SignedCheckpoint {
            checkpoint: checkpoint.clone(),
            signatures,
        };
        write(folder, name, note.to_string().as_bytes());
    }
}

fn proofs(chain: &Chain, new: &Checkpoint, old: &Checkpoint) -> String {
    let read = |level, index| chain.stored.get(&(level, index)).cloned();
    let hex = |path: Vec<Digest>| -> Vec<String> { path.iter().map(Digest::to_string).collect() };
    let size = new.size();
    let indexes = [0, 1, 255, 256, 1_001, 9_999, 19_967, size - 2, size - 1];
    let inclusion: Vec<_> = indexes
        .iter()
        .map(|index| {
            let path = inclusion_proof(*index, size, &read).unwrap();
            serde_json::json!({"index": index, "path": hex(path)})
        })
        .collect();
    let consistency = consistency_proof(old.size(), size, &read).unwrap();
    serde_json::json!({"inclusion": inclusion, "consistency": hex(consistency)}).to_string()
}

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The strangers' tools, kept beside the build.
struct Tools {
    python: PathBuf,
    go: PathBuf,
    script: PathBuf,
}

impl Tools {
    /// Fetches and builds what is not here yet; none if PyPI cannot be reached.
    fn ready() -> Option<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers");
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("strangers");
        let python = Python::ready(&sources, &kept)?;
        let go = build(&kept, &python.program, &sources);
        Some(Self {
            python: python.program,
            go,
            script: sources.join("check.py"),
        })
    }

    fn pymerkle(&self, log: &Path) -> (bool, String) {
        verdict(
            Command::new(&self.python)
                .arg("-B")
                .arg(&self.script)
                .arg(log),
        )
    }

    fn go(&self, log: &Path) -> (bool, String) {
        verdict(Command::new(&self.go).arg(log))
    }
}

fn verdict(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // A tool that breaks off has not refused.
    assert!(errors.is_empty(), "{errors}");
    (output.status.success(), said)
}

/// Builds the Go program with the packages that Go itself is built with; offline.
fn build(kept: &Path, python: &Path, sources: &Path) -> PathBuf {
    let place = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(python).args(["-c", place]).output().unwrap();
    let root = Path::new(text(&output).trim()).join("go");
    let module = kept.join("mod");
    copy(
        &root.join("src/cmd/vendor/golang.org/x/mod/sumdb/note"),
        &module.join("sumdb/note"),
    );
    copy(
        &root.join("src/cmd/vendor/golang.org/x/mod/sumdb/tlog"),
        &module.join("sumdb/tlog"),
    );
    fs::write(
        module.join("go.mod"),
        "module golang.org/x/mod\n\ngo 1.25\n",
    )
    .unwrap();
    copy(&sources.join("check"), &kept.join("check"));
    let program = kept.join("check-log");
    succeeded(
        Command::new(root.join("bin/go"))
            .args(["build", "-trimpath", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(kept.join("check"))
            .env("GOROOT", &root)
            .env("GOPATH", kept.join("gopath"))
            .env("GOCACHE", kept.join("gocache"))
            .envs([
                ("GOPROXY", "off"),
                ("GOTOOLCHAIN", "local"),
                ("GOENV", "off"),
            ])
            .envs([
                ("GOTELEMETRY", "off"),
                ("GOFLAGS", "-mod=mod"),
                ("CGO_ENABLED", "0"),
            ]),
        "the Go program must build",
    );
    program
}
