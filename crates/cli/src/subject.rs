//! `ithaca subject keygen | sign`: what a family does at home, without a node.

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use codec::Millis;
use keys::Zeroizing;
use keys::{Secret, SigningKey};
use node::consent_change::{ConsentBundle, GenesisNames};
use node::verify;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

const HEADER: &str = "ithaca subject key v1";
const MAX_BUNDLE_BYTES: u64 = 1 << 20;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a key for one person at one institution, in a file that only you can read.
    Keygen {
        /// Where the secret key goes. Keep it safe, and a copy elsewhere: it controls the consent.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Shows what a prepared change says and signs it.
    Sign {
        /// The bundle that the institution prepared.
        bundle: PathBuf,
        /// Your secret key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The network's genesis, for the names of institutions.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// Where the signed change goes; without it the change is only shown.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Keygen { out } => keygen(&out),
        Command::Sign {
            bundle,
            key,
            genesis,
            out,
        } => sign(&bundle, &key, &genesis, out.as_deref()),
    }
}

#[expect(clippy::print_stdout, reason = "the public key is what was asked for")]
fn keygen(out: &Path) -> Result<()> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    crate::entropy::fill(seed.as_mut())?;
    let hex: Zeroizing<String> = Zeroizing::new(seed.iter().map(|b| format!("{b:02x}")).collect());
    let text = Zeroizing::new(format!("{HEADER}\n{}\n", hex.as_str()));
    create_private(out)?
        .write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", out.display()))?;
    println!(
        "{}",
        SigningKey::from_seed(Secret::from_bytes(*seed)).public()
    );
    Ok(())
}

/// A new file that nobody else can read; never one that exists.
pub(crate) fn create_private(path: &Path) -> Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .with_context(|| format!("cannot create {}; it must not exist yet", path.display()))
}

fn read_key(path: &Path) -> Result<SigningKey> {
    let shown = path.display();
    let text =
        Zeroizing::new(fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?);
    let Some(hex) = text.strip_prefix(HEADER).map(str::trim) else {
        bail!("{shown} is not a key made by `ithaca subject keygen`");
    };
    let mut seed = Zeroizing::new([0_u8; 32]);
    if hex.len() != 64 || !hex.is_ascii() {
        bail!("{shown} is damaged; use your copy");
    }
    for (at, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16)
            .map_err(|_| anyhow::anyhow!("{shown} is damaged; use your copy"))?;
    }
    Ok(SigningKey::from_seed(Secret::from_bytes(*seed)))
}

#[expect(clippy::print_stdout, reason = "what will be signed is shown first")]
fn sign(bundle: &Path, key: &Path, genesis: &Path, out: Option<&Path>) -> Result<()> {
    let size = fs::metadata(bundle)
        .with_context(|| format!("cannot read {}", bundle.display()))?
        .len();
    if size > MAX_BUNDLE_BYTES {
        bail!(
            "{} is larger than any bundle; is it the right file?",
            bundle.display()
        );
    }
    let prepared =
        ConsentBundle::decode(&fs::read(bundle)?).with_context(|| bundle.display().to_string())?;
    let genesis = verify::genesis(
        &fs::read(genesis).with_context(|| format!("cannot read {}", genesis.display()))?,
    )?;
    if genesis.network_id() != prepared.network {
        bail!(
            "{} is for another network than this genesis; do not sign it",
            bundle.display()
        );
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_millis();
    for line in prepared.summary(Millis::new(u64::try_from(now)?), &GenesisNames(&genesis)) {
        println!("• {line}");
    }
    let signed = prepared
        .sign(&read_key(key)?)
        .with_context(|| bundle.display().to_string())?;
    match out {
        Some(path) => {
            fs::write(path, signed.encode())
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("Signed. Hand {} back to the institution.", path.display());
        }
        None => println!("Not signed: give --out FILE to sign what is written above."),
    }
    Ok(())
}
