//! The `ithaca` binary: demo, founding and running a node, offline verification, a family's tool, figures.
//!
//! Thin: each command reads its arguments, calls the crates below and prints. An error is one sentence: what,
//! where, what to do. Passphrases and tokens never come as arguments.
#![expect(
    clippy::disallowed_methods,
    reason = "the program's edge: it may look at the clock"
)]

mod about;
mod accounts;
mod audit;
mod backup;
mod bench;
mod config;
mod demo;
mod diagnose;
mod entropy;
mod exchange;
mod files;
mod folder;
mod fsck;
mod govern;
mod http;
mod network;
mod notify;
mod ontologies;
mod passphrase;
mod release_folder;
mod releases;
mod research;
mod running;
mod share;
mod stage;
mod study;
mod subject;
mod table;
mod token;
mod up;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Health data for rare diseases: sealed at its custodian, shared by consent, proved on a ledger.
///
/// Research and evaluation build. Not for clinical use; not CE-marked, not FDA-cleared.
#[derive(Parser)]
#[command(name = "ithaca", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the main job at four institutions, on real published cases, in under two minutes.
    Demo(demo::Options),
    /// Founds an institution: keys, a ledger of one, a data folder.
    Init(folder::InitOptions),
    /// Founds a network of several institutions, or joins one.
    Network {
        #[command(subcommand)]
        command: network::Command,
    },
    /// Proposes changes of the network, and votes on them, through a running node.
    Govern {
        #[command(subcommand)]
        command: govern::Command,
    },
    /// Prints the signed pointer that tells another institution whom to ask for a subject's records.
    Share(share::Options),
    /// Studies: proposed, approved, opened; noisy counts for them; through a running node.
    Study {
        #[command(subcommand)]
        command: study::Command,
    },
    /// Releases of a study: attacked, certified, downloaded through a running node; checked offline.
    Release {
        #[command(subcommand)]
        command: releases::Command,
    },
    /// Tables of people: how likely somebody is found again, and a table that meets stated models; offline.
    Table {
        #[command(subcommand)]
        command: table::Command,
    },
    /// Runs the node of an institution until it is told to stop.
    #[command(visible_alias = "node")]
    Up(up::Options),
    /// Checks a receipt offline, with nothing but the network's genesis.
    Verify(verify::Options),
    /// Makes a bearer token; shown once.
    Token(token::Options),
    /// Who may sign in at this node with a password.
    Account {
        #[command(subcommand)]
        command: accounts::AccountCommand,
    },
    /// Which software may ask for tokens at this node.
    Client {
        #[command(subcommand)]
        command: accounts::ClientCommand,
    },
    /// A family's tool: keys and signatures at home; where its data is in research, and who looked.
    Subject {
        #[command(subcommand)]
        command: subject::Command,
    },
    /// Backs up the data folder of a node that is not running.
    Backup(backup::BackupOptions),
    /// Makes a data folder from a backup.
    Restore(backup::RestoreOptions),
    /// Looks for damage in the data folder of a node that is not running.
    Fsck(fsck::Options),
    /// For an auditor: executes a ledger again from the genesis on, and prints a range of its blocks.
    Audit(audit::Options),
    /// Ranks the rare diseases that a case's findings speak for, says why, and what to look for next.
    ///
    /// Not a diagnosis; not for clinical use. Ends with 0 when the case could be read, also when nothing is
    /// suggested; with 1 when it could not.
    Diagnose(diagnose::Options),
    /// Tells what this program is, and what data it knows: versions, licences, notices.
    About(about::Options),
    /// Makes an index of newer files of HPO, Orphanet, Mondo or LOINC.
    Ontology {
        #[command(subcommand)]
        command: ontologies::Command,
    },
    /// Measures, each figure beside a reference of the same run.
    Bench {
        #[command(subcommand)]
        command: bench::Command,
    },
}

#[expect(clippy::print_stderr, reason = "where errors go")]
fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Init(options) => folder::init(&options),
        Command::Network { command } => network::run(command),
        Command::Govern { command } => govern::run(command),
        Command::Share(options) => share::run(&options),
        Command::Study { command } => study::run(command),
        Command::Release { command } => releases::run(command),
        Command::Table { command } => table::run(command),
        Command::Up(options) => up::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Token(options) => token::run(&options),
        Command::Account { command } => accounts::account(command),
        Command::Client { command } => accounts::client(command),
        Command::Subject { command } => subject::run(command),
        Command::Backup(options) => backup::backup(&options),
        Command::Restore(options) => backup::restore(&options),
        Command::Fsck(options) => fsck::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Diagnose(options) => diagnose::run(&options),
        Command::About(options) => about::run(&options),
        Command::Ontology { command } => ontologies::run(&command),
        Command::Bench { command } => bench::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ithaca: {error:#}");
            ExitCode::FAILURE
        }
    }
}
