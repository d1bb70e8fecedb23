//! An institution's data folder: founding it, and what else the binary keeps in it.

use crate::{passphrase, running};
use anyhow::{Context, Result, bail};
use clap::Args;
use codec::InstitutionId;
use keys::PasswordParams;
use keys::Zeroizing;
use ledger::{Kind, Parameters, genesis::NAME_MAX_BYTES};
use node::institution::{self, Founding, Layout};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub(crate) struct InitOptions {
    /// The new data folder.
    folder: PathBuf,
    /// The institution's name; public on the ledger.
    #[arg(long)]
    name: String,
    /// hospital, laboratory, research-institute, patient-organisation or operator.
    #[arg(long, default_value = "hospital")]
    kind: Kind,
    /// The passphrase, in a file. Otherwise the credential `ithaca-passphrase`, or a prompt.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "what was made")]
pub(crate) fn init(options: &InitOptions) -> Result<()> {
    name_check("--name", &options.name)?;
    let passphrase = passphrase::read(options.passphrase_file.as_deref(), true)?;
    create(
        &options.folder,
        &options.name,
        options.kind,
        Parameters::default(),
        &passphrase,
    )?;
    let folder = options.folder.display();
    println!(
        "Founded {} as {}.",
        options.name,
        institution(&options.folder)?
    );
    println!("  {folder}/genesis.cbor   give this to whoever verifies receipts");
    println!(
        "  {folder}/custody        sealed keys. Never copy custody/table-keys: erasure destroys it in place."
    );
    println!("Next: ithaca up --data {folder}");
    Ok(())
}

/// Refuses a name that the ledger would.
pub(crate) fn name_check(what: &str, name: &str) -> Result<()> {
    if name.trim().is_empty() || name.len() > NAME_MAX_BYTES {
        bail!("{what} takes 1 to {NAME_MAX_BYTES} bytes of text");
    }
    Ok(())
}

/// Founds an institution with a ledger of its own.
pub(crate) fn create(
    folder: &Path,
    name: &str,
    kind: Kind,
    parameters: Parameters,
    passphrase: &str,
) -> Result<()> {
    let founding = Founding {
        name: name.to_owned(),
        kind,
    };
    let made = running::with_ambient(|ambient| {
        institution::create(
            folder,
            &founding,
            parameters,
            passphrase.as_bytes(),
            PasswordParams::default(),
            ambient,
        )
    });
    made.with_context(|| format!("cannot found an institution in {}", folder.display()))?;
    Ok(())
}

/// For the bench: periods short enough to watch.
pub(crate) fn create_demo(folder: &Path, name: &str, passphrase: &str) -> Result<()> {
    let parameters = Parameters {
        disclosure_period_ms: 2_000,
        ..Parameters::default()
    };
    create(folder, name, Kind::Hospital, parameters, passphrase)
}

/// A fresh random passphrase in a file of its own.
pub(crate) fn fresh_passphrase(path: &Path) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; 16]);
    crate::entropy::fill(bytes.as_mut())?;
    let text = Zeroizing::new(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
    crate::subject::create_private(path)?.write_all(text.as_bytes())?;
    Ok(text)
}

/// The institution whose folder this is.
pub(crate) fn institution(folder: &Path) -> Result<InstitutionId> {
    let path = Layout::of(folder).institution();
    if !path.exists() {
        bail!(
            "{} is no data folder; make one with `ithaca init`",
            folder.display()
        );
    }
    std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .trim()
        .parse()
        .with_context(|| format!("{} is damaged", path.display()))
}

/// Checks that a folder that is to be made can be: it is not there, or empty.
pub(crate) fn must_be_new(folder: &Path) -> Result<()> {
    let shown = folder.display();
    if !folder.exists() {
        return Ok(());
    }
    let mut inside = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {shown}; it must be a new folder"))?;
    if inside.next().is_some() {
        bail!("{shown} is not empty; choose a new folder");
    }
    Ok(())
}

/// The file of bearer tokens.
pub(crate) fn tokens(folder: &Path) -> PathBuf {
    folder.join("tokens.json")
}
