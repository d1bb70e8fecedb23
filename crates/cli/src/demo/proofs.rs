//! The proofs: every receipt checked offline with nothing but the genesis, and one tampered with.

use super::{figures::Timed, story::Story};
use crate::stage::Stage;
use anyhow::{Context, Result, bail};
use ledger::Genesis;
use node::verify;
use serde_json::json;
use std::{fs, path::Path, time::Instant};

pub(crate) fn check(stage: &Stage, story: &mut Story<'_>, keep: Option<&Path>) -> Result<()> {
    stage.heading("15  The proofs");
    let genesis_bytes = fs::read(&story.network.genesis).context("genesis.cbor")?;
    let genesis: Genesis = verify::genesis(&genesis_bytes)?;
    if let Some(folder) = keep {
        fs::create_dir_all(folder.join("receipts"))?;
        fs::write(folder.join("genesis.cbor"), &genesis_bytes)?;
    }
    let clinician = story.people.clinician.clone();
    let desk = story.people.desk.clone();
    let (mut checked, mut last) = (0_usize, None);
    for at in 0..story.families.len() {
        if story.families[at].erased {
            continue;
        }
        for record in &story.families[at].records {
            // Whoever may read the record gets a receipt that also opens it; a family restricted its record
            // above, and then a receipt proves the commitment alone.
            let path = story.of(at, &format!("records/{record}/receipt"));
            let opened = format!("{path}?leaf=stored&purpose=TREAT");
            let opened = story.ask(&clinician, "GET", &opened, None, false)?;
            let opens = opened.status != 403;
            let answer = match opens {
                true => opened,
                false => story.ask(&desk, "GET", &path, None, false)?,
            };
            if answer.status != 200 {
                bail!(
                    "a record that is final has no receipt (HTTP {})",
                    answer.status
                );
            }
            let from = Instant::now();
            let verdict = verify::receipt(&answer.body, &genesis, None)?;
            story.figures.add(Timed::Verified, from.elapsed());
            checked += 1;
            if let (Some(folder), Some(case)) = (keep, &story.families[at].case) {
                let file = |ending: &str| {
                    folder
                        .join("receipts")
                        .join(format!("{:02}.{ending}", at + 1))
                };
                fs::write(file("cbor"), &answer.body)?;
                fs::write(file("json"), &case.bytes)?;
            }
            if opens {
                last = Some((at, *record, answer.body, verdict));
            }
        }
    }
    let (family, record, receipt, verdict) = last.context("no receipt was made")?;
    // The stored form is read as a clinician would, and held against the receipt.
    let path = story.of(family, &format!("records/{record}?purpose=TREAT"));
    let accept = [("accept", "application/octet-stream")];
    let stored = story
        .network
        .call(clinician.at, "GET", &path, &clinician.token, &accept, None)?;
    if stored.status != 200 {
        bail!("the stored form was not served (HTTP {})", stored.status);
    }
    let stored = stored.body;
    verify::receipt(&receipt, &genesis, Some(&stored))?;
    let mut altered = stored.clone();
    if let Some(byte) = altered.last_mut() {
        *byte ^= 1;
    }
    let Err(refused) = verify::receipt(&receipt, &genesis, Some(&altered)) else {
        bail!("a changed record passed for the one that was committed");
    };
    let (forgeries, broken) = forge(&receipt, &genesis, &stored)?;
    // What the specialist was shown proves itself too, with the receipt that came along.
    let shared = story.received.as_ref().context("nothing was shared")?;
    verify::receipt(&shared.receipt, &genesis, Some(&shared.part))?;
    stage.say(&format!(
        "{} receipts checked with nothing but the network's genesis: {}. One of them says that at height {}, {}, the \
         hospital had committed to this record:",
        checked,
        stage.good("all hold"),
        verdict.height,
        node::Millis::new(verdict.time_ms).to_rfc3339(),
    ));
    stage.say(&format!(
        "  commitment {}\n  entry      {}",
        verdict.commitment, verdict.entry
    ));
    stage.say(&format!(
        "  the record with one bit changed: refused — {refused}"
    ));
    stage.say(&format!(
        "  the receipt with one bit changed, at {forgeries} places in turn: refused each time, such as — {broken}"
    ));
    stage.say(
        "  what the specialist was shown, by the receipt that came with it: holds, part for part",
    );
    story.acts.push(json!({"act": "proofs", "seen": {
        "receipts": checked, "height": verdict.height,
        "changed_record": refused.to_string(), "changed_receipts": forgeries, "changed_receipt": broken,
    }}));
    Ok(())
}

/// Changes one bit at many places, one at a time; every forgery must be refused for its record. Gives their number and
/// the most telling refusal.
fn forge(receipt: &[u8], genesis: &Genesis, record: &[u8]) -> Result<(usize, String)> {
    const STEP: usize = 37;
    let mut refusals = Vec::new();
    for at in (0..receipt.len()).step_by(STEP) {
        let mut forged = receipt.to_vec();
        forged[at] ^= 1;
        match verify::receipt(&forged, genesis, Some(record)) {
            Ok(_) => bail!("a receipt with byte {at} changed was accepted"),
            Err(refused) => refusals.push(refused.to_string()),
        }
    }
    let telling = refusals
        .iter()
        .find(|r| !r.contains("well-formed"))
        .or(refusals.first());
    Ok((
        refusals.len(),
        telling.cloned().context("the receipt is empty")?,
    ))
}
