//! `ithaca token`: makes a bearer token for a person or a machine. It is shown once.

use crate::folder;
use anyhow::{Result, bail};
use api::NewToken;
use clap::Args;
use codec::{InstitutionId, Millis, SubjectId};
use consent::{PractitionerId, Role};
use std::{path::PathBuf, time::SystemTime};

#[derive(Args)]
pub(crate) struct Options {
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// What the bearer is: clinician, geneticist, nurse, emergency-clinician, desk, privacy-officer,
    /// auditor, researcher, data-access-committee, laboratory, device, controller, operator. May be given several times.
    #[arg(long = "role", required = true)]
    pub(crate) roles: Vec<Role>,
    /// Who the bearer is, as the institution names them.
    #[arg(long)]
    pub(crate) practitioner: String,
    /// The bearer's institution; this node's when left out.
    #[arg(long)]
    pub(crate) institution: Option<InstitutionId>,
    /// The only subject the bearer may act for; required of a controller and of a device.
    #[arg(long)]
    pub(crate) subject: Option<SubjectId>,
    /// A controller's slot.
    #[arg(long)]
    pub(crate) slot: Option<u8>,
    /// Days it is good for.
    #[arg(long, default_value_t = 30)]
    pub(crate) days: u16,
}

#[expect(clippy::print_stdout, reason = "the token is what was asked for")]
pub(crate) fn run(options: &Options) -> Result<()> {
    println!("{}", issue(options)?);
    Ok(())
}

/// Makes a token, and adds it to those of the data folder.
pub(crate) fn issue(options: &Options) -> Result<String> {
    if options.days == 0 || options.days > 366 {
        bail!("--days takes 1 to 366, not {}", options.days);
    }
    if options.roles.contains(&Role::System) {
        bail!("the role system is the node's own; nobody else can have it");
    }
    if let Some(role) = unbound(options) {
        bail!("a token with the role {role} is for one subject: name it with --subject");
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_millis();
    let now = u64::try_from(now)?;
    let mut secret = [0_u8; 32];
    crate::entropy::fill(&mut secret)?;
    let new = NewToken {
        institution: match options.institution {
            Some(id) => id,
            None => folder::institution(&options.data)?,
        },
        practitioner: PractitionerId::new(options.practitioner.as_str())?,
        roles: options.roles.iter().copied().collect(),
        subject: options.subject,
        slot: options.slot,
        expires: Millis::new(now + u64::from(options.days) * 86_400_000),
    };
    let token = api::token::issue(
        &folder::tokens(&options.data),
        new,
        &secret,
        Millis::new(now),
    )?;
    Ok(token)
}

/// A role that is good for one subject only, if none is named.
fn unbound(options: &Options) -> Option<&Role> {
    let bound = options.roles.iter().find(|role| node::BOUND.contains(role));
    bound.filter(|_| options.subject.is_none())
}

#[cfg(test)]
mod tests {
    use super::{Options, run};
    use clap::{Args as _, Command, FromArgMatches as _};

    fn made(arguments: &[&str]) -> Result<(), String> {
        let command = Options::augment_args(Command::new("token"));
        let all = ["token", "--data", "nowhere", "--practitioner", "pump-1"];
        let matches = command.get_matches_from(all.iter().chain(arguments));
        let options = Options::from_arg_matches(&matches).unwrap();
        run(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn a_devices_or_controllers_token_names_its_subject() {
        for role in ["device", "controller"] {
            let refused = made(&["--role", "nurse", "--role", role]).unwrap_err();
            let says =
                format!("a token with the role {role} is for one subject: name it with --subject");
            assert_eq!(refused, says);
            let subject = "ab".repeat(32);
            // It gets as far as the data folder, which is not there.
            let refused = made(&["--role", role, "--subject", &subject]).unwrap_err();
            assert!(!refused.contains("--subject"), "{refused}");
        }
    }
}
