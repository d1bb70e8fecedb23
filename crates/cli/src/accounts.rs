//! `ithaca account` and `ithaca client`: who may sign in at this node, and which software may ask.

use crate::passphrase;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use codec::{Millis, SubjectId};
use consent::{PractitionerId, Role};
use keys::PasswordParams;
use sign_in::own::{
    account::{self, AccountError, NewAccount},
    accounts_file,
    client::{self, Client, Proof, Service},
    clients_file,
};
use std::{fs, path::PathBuf, time::SystemTime};

#[derive(Subcommand)]
pub(crate) enum AccountCommand {
    /// Makes an account for a person; asks for its password.
    Add(AccountAdd),
    /// Lists the accounts.
    List(Folder),
    /// Removes an account; its tokens are good no longer.
    Remove(AccountNamed),
    /// Lists the passkeys of an account. They are made in a browser, at /auth/passkeys.
    Passkeys(AccountNamed),
    /// Removes a passkey of an account.
    RemovePasskey(PasskeyRemove),
}

#[derive(Args)]
pub(crate) struct Folder {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

#[derive(Args)]
pub(crate) struct AccountAdd {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What the person types to sign in.
    name: String,
    /// What the person is; may be given several times.
    #[arg(long = "role", required = true)]
    roles: Vec<Role>,
    /// Who the person is, as the institution names them.
    #[arg(long)]
    practitioner: String,
    /// The only subject the person may act for; required of a controller.
    #[arg(long)]
    subject: Option<SubjectId>,
    /// A controller's slot.
    #[arg(long)]
    slot: Option<u8>,
    /// The FHIR id of the subject's Patient; the subject's id when left out.
    #[arg(long, requires = "subject")]
    patient: Option<String>,
    /// The person's own FHIR resource, like Practitioner/7.
    #[arg(long)]
    fhir_user: Option<String>,
    /// The password, in a file. Otherwise a prompt.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct AccountNamed {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Whose.
    name: String,
}

#[derive(Args)]
pub(crate) struct PasskeyRemove {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Whose.
    name: String,
    /// Which, as `ithaca account passkeys` names it.
    id: String,
}

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// Registers software.
    Add(Box<ClientAdd>),
    /// Lists the software.
    List(Folder),
    /// Removes software; its tokens are good no longer.
    Remove(ClientRemove),
}

/// How software proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It cannot: it runs on people's devices.
    Public,
    /// By a secret, which is made and shown once.
    Confidential,
    /// By its signature, with the keys of --jwks or --jwks-url.
    Keys,
    /// By the certificate of --certificate.
    Certificate,
}

#[derive(Args)]
pub(crate) struct ClientAdd {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// As the software names itself.
    id: String,
    /// As people are told.
    #[arg(long)]
    name: String,
    /// How it proves itself.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where people are sent back to, exactly; may be given several times.
    #[arg(long = "redirect", value_name = "URI")]
    redirects: Vec<String>,
    /// The most that it gets, like "openid launch/patient patient/*.rs".
    #[arg(long)]
    scopes: String,
    /// What it is when it acts by itself: laboratory, researcher, operator; may be given several times.
    #[arg(long = "service-role", requires = "service")]
    service_roles: Vec<Role>,
    /// Who it is when it acts by itself, as the institution names it.
    #[arg(long, requires = "service_roles")]
    service: Option<String>,
    /// A file with its JSON Web Key Set.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_url")]
    jwks: Option<PathBuf>,
    /// Where its JSON Web Key Set is.
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// The SHA-256 of a certificate (DER) with which it connects, hexadecimal; may be given several times.
    #[arg(long = "certificate", value_name = "SHA256")]
    certificates: Vec<String>,
}

#[derive(Args)]
pub(crate) struct ClientRemove {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Which.
    id: String,
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn account(command: AccountCommand) -> Result<()> {
    match command {
        AccountCommand::Add(options) => add_account(options),
        AccountCommand::Remove(options) => {
            account::remove(&accounts_file(&options.data), &options.name)?;
            println!("Removed. What was issued to it is good no longer.");
            Ok(())
        }
        AccountCommand::Passkeys(options) => {
            let accounts = account::list(&accounts_file(&options.data))?;
            let account = accounts.into_iter().find(|a| a.name == options.name);
            for passkey in account.ok_or(AccountError::Unknown)?.passkeys {
                println!("{}  {}  {}", passkey.id, passkey.since, passkey.label);
            }
            Ok(())
        }
        AccountCommand::RemovePasskey(options) => {
            account::remove_passkey(&accounts_file(&options.data), &options.name, &options.id)?;
            println!("Removed. It signs nobody in any more.");
            Ok(())
        }
        AccountCommand::List(options) => {
            for account in account::list(&accounts_file(&options.data))? {
                let roles: Vec<_> = account.roles.iter().map(ToString::to_string).collect();
                let subject = account.subject.map(|s| format!("  subject {s}"));
                println!(
                    "{}  {}  {}{}",
                    account.name,
                    account.practitioner,
                    roles.join(","),
                    subject.unwrap_or_default()
                );
            }
            Ok(())
        }
    }
}

fn add_account(options: AccountAdd) -> Result<()> {
    crate::folder::institution(&options.data)?;
    let new = NewAccount {
        name: options.name,
        practitioner: PractitionerId::new(options.practitioner.as_str())?,
        roles: options.roles.into_iter().collect(),
        subject: options.subject,
        slot: options.slot,
        patient: options.patient,
        fhir_user: options.fhir_user,
    };
    let password = passphrase::password(&new.name, options.password_file.as_deref())?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_millis();
    account::add(
        &accounts_file(&options.data),
        new,
        &password,
        PasswordParams::default(),
        &random()?,
        Millis::new(u64::try_from(now)?),
    )?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn client(command: ClientCommand) -> Result<()> {
    match command {
        ClientCommand::Add(options) => {
            if let Some(secret) = add_client(*options)? {
                // Shown once.
                println!("{secret}");
            }
            Ok(())
        }
        ClientCommand::Remove(options) => {
            client::remove(&clients_file(&options.data), &options.id)?;
            println!("Removed. What was issued to it is good no longer.");
            Ok(())
        }
        ClientCommand::List(options) => {
            for client in client::list(&clients_file(&options.data))? {
                let acts = match client.service {
                    Some(service) => format!("acts as {}", service.practitioner),
                    None => "acts for people".to_owned(),
                };
                println!("{}  {}  {acts}  {}", client.id, client.name, client.scopes);
            }
            Ok(())
        }
    }
}

fn add_client(options: ClientAdd) -> Result<Option<String>> {
    crate::folder::institution(&options.data)?;
    let (secret, proof) = match (options.kind, options.jwks, options.jwks_url) {
        (Kind::Keys, Some(path), _) => {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let set = serde_json::from_str(&text)
                .with_context(|| format!("{} is no JSON", path.display()))?;
            (None, Proof::Keys { set })
        }
        (Kind::Keys, None, Some(url)) => (None, Proof::KeysAt { url }),
        (Kind::Keys, None, None) => bail!("--kind keys takes --jwks or --jwks-url"),
        (_, Some(_), _) | (_, _, Some(_)) => bail!("--jwks and --jwks-url are for --kind keys"),
        (Kind::Public, ..) => (None, Proof::Public {}),
        (Kind::Certificate, ..) => (None, Proof::Certificate {}),
        (Kind::Confidential, ..) => {
            let (secret, proof) = client::fresh_secret(&random()?);
            (Some(secret), proof)
        }
    };
    let service = match options.service {
        None => None,
        Some(who) => Some(Service {
            practitioner: PractitionerId::new(who.as_str())?,
            roles: options.service_roles.into_iter().collect(),
        }),
    };
    let client = Client {
        id: options.id,
        name: options.name,
        proof,
        redirect_uris: options.redirects,
        scopes: options.scopes,
        service,
        certificates: options.certificates,
    };
    client::add(&clients_file(&options.data), client)?;
    Ok(secret)
}

/// Randomness of the operating system, which must be there.
pub(crate) fn random() -> Result<impl Fn(&mut [u8]) + Send + Sync + 'static> {
    // Tried once here: after that it does not fail.
    crate::entropy::fill(&mut [0; 1])?;
    Ok(|out: &mut [u8]| {
        let filled = crate::entropy::fill(out);
        assert!(filled.is_ok(), "the operating system gives no randomness");
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Which,
    }

    #[derive(Subcommand)]
    enum Which {
        Account {
            #[command(subcommand)]
            command: AccountCommand,
        },
        Client {
            #[command(subcommand)]
            command: ClientCommand,
        },
    }

    fn run(line: &str) -> Result<(), String> {
        let words = std::iter::once("ithaca").chain(line.split(' '));
        let parsed = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let done = match parsed.command {
            Which::Account { command } => account(command),
            Which::Client { command } => client(command),
        };
        done.map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn accounts_and_clients_are_added_and_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("node");
        crate::folder::create_demo(&folder, "Hospital", "not a secret").unwrap();
        let data = folder.display();
        let password = temporary.path().join("password");
        fs::write(&password, "correct horse battery\n").unwrap();
        let who = format!("--password-file {} --practitioner p-1", password.display());
        let add = |more: &str| run(&format!("account add a --data {data} {who} {more}"));
        let refused = |done: Result<(), String>, word: &str| {
            let why = done.unwrap_err();
            assert!(why.contains(word), "{why}");
        };
        refused(add("--role controller"), "subject");
        refused(add("--role system"), "node's own");
        add("--role nurse").unwrap();
        refused(add("--role nurse"), "already");
        let path = accounts_file(&folder);
        assert_eq!(account::list(&path).unwrap().len(), 1);
        run(&format!("account passkeys --data {data} a")).unwrap();
        let none = run(&format!("account passkeys --data {data} b"));
        refused(none, "no account");
        let none = run(&format!("account remove-passkey --data {data} a x"));
        refused(none, "no passkey");
        run(&format!("account remove --data {data} a")).unwrap();
        assert!(account::list(&path).unwrap().is_empty());

        let add = |more: &str| run(&format!("client add c --data {data} --name C {more}"));
        let back = "--redirect https://app.example/back --scopes openid";
        refused(add(&format!("--kind keys {back}")), "--jwks");
        refused(
            add(&format!(
                "--kind public {back} --jwks-url https://x.example"
            )),
            "for --kind keys",
        );
        refused(add("--kind public --scopes openid"), "redirect URI");
        refused(add("--kind confidential --scopes system/*.rs"), "services");
        add(&format!("--kind public {back}")).unwrap();
        assert_eq!(client::list(&clients_file(&folder)).unwrap().len(), 1);
        run(&format!("client remove --data {data} c")).unwrap();
        refused(run(&format!("client remove --data {data} c")), "no client");
        let elsewhere = temporary.path().display();
        let nowhere = run(&format!(
            "account add a --data {elsewhere} {who} --role nurse"
        ));
        refused(nowhere, "no data folder");
    }
}
