//! `ithaca backup` and `ithaca restore`: a data folder that no node is running on, and back.
//!
//! A backup has its own passphrase and an expiry, from which on it is not restored, so that what was erased
//! stays erased; delete it then. A restored node refuses decisions until it has caught up with the ledger.

use crate::{
    config::Config,
    folder, passphrase,
    running::{self, Running},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use consent::{Actor, PractitionerId, Role};
use futures::executor::block_on;
use keys::PasswordParams;
use node::{
    Ambient, Caller, InstitutionId, Millis, SubjectId,
    backup::{Backup, Restore},
    institution::Layout,
    record::Content,
    verify,
};
use std::{collections::BTreeSet, fs, path::PathBuf};
use store_fjall::FjallStore;

const DAY_MS: u64 = 86_400_000;

#[derive(Args)]
pub(crate) struct BackupOptions {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The backup: a new folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Days until it expires.
    #[arg(long, default_value_t = 35)]
    days: u16,
    /// The institution's passphrase, in a file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The backup's own passphrase, in a file; not the institution's.
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RestoreOptions {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    backup: PathBuf,
    /// The new data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The network's genesis, from a source you trust.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Subjects erased since the backup, one id a line; their keys are left out.
    #[arg(long, value_name = "FILE")]
    erased: Option<PathBuf>,
    /// The backup's passphrase, in a file.
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
    /// The restored institution's passphrase, in a file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "what was made")]
pub(crate) fn backup(options: &BackupOptions) -> Result<()> {
    if options.days == 0 || options.days > 366 {
        bail!("--days takes 1 to 366, not {}", options.days);
    }
    let institution = folder::institution(&options.data)?;
    folder::must_be_new(&options.out)?;
    let passphrase = passphrase::read(options.passphrase_file.as_deref(), false)?;
    let own = passphrase::read(options.backup_passphrase_file.as_deref(), true)?;
    if *own == *passphrase {
        bail!(
            "the backup needs a passphrase of its own: whoever holds it must not open the live folder"
        );
    }
    let running = Running::start(&options.data, &passphrase, &Config::default())?;
    let made = block_on(running.handle().backup(Backup {
        caller: Caller::staff(Actor {
            institution,
            practitioner: PractitionerId::new("ithaca-backup")?,
            roles: [Role::Operator].into(),
            slot: None,
        }),
        directory: options.out.clone(),
        passphrase: Content::new(own.as_bytes().to_vec()),
        params: PasswordParams::default(),
        expires: Millis::new(running.now_ms() + u64::from(options.days) * DAY_MS),
    }));
    running.stop()?;
    let made = made.context("no backup was made")?;
    println!(
        "Backed up {} rows at height {} to {}. Delete it by {}: it is not restored from then on.",
        made.rows,
        made.height,
        options.out.display(),
        made.expires.to_rfc3339()
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what was made")]
pub(crate) fn restore(options: &RestoreOptions) -> Result<()> {
    folder::must_be_new(&options.data)?;
    if !options.backup.is_dir() {
        bail!(
            "{} is no backup; give the folder that `ithaca backup` made",
            options.backup.display()
        );
    }
    let genesis = fs::read(&options.genesis)
        .with_context(|| format!("cannot read the genesis {}", options.genesis.display()))?;
    verify::genesis(&genesis)
        .with_context(|| format!("{} is refused", options.genesis.display()))?;
    let erased = erased(options)?;
    let own = passphrase::read(options.backup_passphrase_file.as_deref(), false)?;
    let passphrase = passphrase::read(options.passphrase_file.as_deref(), true)?;
    let institution = running::with_ambient(|ambient| -> Result<_> {
        let restore = Restore::open(&options.backup, own.as_bytes(), ambient)
            .with_context(|| format!("the backup {} is refused", options.backup.display()))?;
        // From here on something is made.
        rows_and_keys(
            options,
            restore,
            &genesis,
            passphrase.as_bytes(),
            &erased,
            ambient,
        )
        .with_context(|| {
            format!(
                "nothing was restored; delete what is in {}",
                options.data.display()
            )
        })
    })?;
    println!("Restored {institution} in {}.", options.data.display());
    println!(
        "It has a new validator key and refuses decisions until it has caught up with the ledger. If it \
         validates, any member proposes the claim that `ithaca govern status` shows at this node."
    );
    Ok(())
}

fn rows_and_keys(
    options: &RestoreOptions,
    restore: Restore,
    genesis: &[u8],
    passphrase: &[u8],
    erased: &BTreeSet<SubjectId>,
    ambient: &Ambient,
) -> Result<InstitutionId> {
    let institution = restore.institution();
    fs::create_dir_all(&options.data)
        .with_context(|| format!("cannot make the folder {}", options.data.display()))?;
    let store = Layout::of(&options.data).store();
    let imported = FjallStore::import(&store, &store_fjall::Config::default(), restore.rows()?)
        .context("the backup's rows are refused")?;
    if (imported.rows, imported.digest) != restore.expected() {
        bail!("the backup's rows are not those that were backed up; use another backup");
    }
    restore.finish(
        &options.data,
        genesis,
        passphrase,
        PasswordParams::default(),
        erased,
        ambient,
    )?;
    Ok(institution)
}

fn erased(options: &RestoreOptions) -> Result<BTreeSet<SubjectId>> {
    let Some(path) = &options.erased else {
        return Ok(BTreeSet::new());
    };
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            line.trim().parse().map_err(|_| {
                anyhow::anyhow!("{} line {} is no subject id", path.display(), number + 1)
            })
        })
        .collect()
}
