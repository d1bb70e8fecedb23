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
    data: PathBuf,
    /// What the bearer is: clinician, geneticist, nurse, emergency-clinician, desk, privacy-officer,
    /// auditor, researcher, laboratory, device, controller, operator. May be given several times.
    #[arg(long = "role", required = true)]
    roles: Vec<Role>,
    /// Who the bearer is, as the institution names them.
    #[arg(long)]
    practitioner: String,
    /// The bearer's institution; this node's when left out.
    #[arg(long)]
    institution: Option<InstitutionId>,
    /// The only subject the bearer may act for; required of a controller.
    #[arg(long)]
    subject: Option<SubjectId>,
    /// A controller's slot.
    #[arg(long)]
    slot: Option<u8>,
    /// Days it is good for.
    #[arg(long, default_value_t = 30)]
    days: u16,
}

#[expect(clippy::print_stdout, reason = "the token is what was asked for")]
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.days == 0 || options.days > 366 {
        bail!("--days takes 1 to 366, not {}", options.days);
    }
    if options.roles.contains(&Role::System) {
        bail!("the role system is the node's own; nobody else can have it");
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
    println!("{token}");
    Ok(())
}
