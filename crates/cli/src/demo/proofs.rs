//! The proofs: every receipt checked offline with nothing but the genesis, and one tampered with.

use super::{stage::Stage, story::Story};
use anyhow::{Context, Result, bail};
use consent::{Purpose, Records, Selection};
use ledger::Genesis;
use node::{
    Caller, Error,
    receipt::{LeafAsked, ReceiptAnswer, ReceiptLeaf, ReceiptQuery},
    record::Fetch,
    verify,
};
use serde_json::json;
use std::{fs, path::Path, time::Instant};

/// The stored form, opened for treatment.
const STORED: LeafAsked = LeafAsked {
    leaf: ReceiptLeaf::Stored,
    purpose: Purpose::Treat,
};

pub(crate) async fn check(
    stage: &Stage,
    story: &mut Story<'_>,
    data: &Path,
    keep: Option<&std::path::PathBuf>,
) -> Result<()> {
    stage.heading("9  The proofs");
    let genesis_bytes = fs::read(data.join("genesis.cbor")).context("genesis.cbor")?;
    let genesis: Genesis = verify::genesis(&genesis_bytes)?;
    if let Some(folder) = keep {
        fs::create_dir_all(folder.join("receipts"))?;
        fs::write(folder.join("genesis.cbor"), &genesis_bytes)?;
    }
    let desk = story.people.desk()?;
    let clinician = story.people.clinician()?;
    let (mut checked, mut last) = (0_usize, None);
    for at in 0..story.families.len() {
        let family = &story.families[at];
        if family.erased {
            continue;
        }
        for record in &family.records {
            // Whoever may read the record gets a receipt that also opens it; a family restricted its record
            // above, and then a receipt proves the commitment alone.
            let asked = |caller: &Caller, leaf| {
                story.node.receipt(ReceiptQuery {
                    caller: caller.clone(),
                    subject: family.subject,
                    record: *record,
                    version: None,
                    leaf,
                })
            };
            let answer = match asked(&clinician, Some(STORED)).await {
                Err(Error::Denied { .. }) => asked(&desk, None).await?,
                answer => answer?,
            };
            let ReceiptAnswer::Ready(bundle) = answer else {
                bail!("a record that is final has no receipt");
            };
            let from = Instant::now();
            let verdict = verify::receipt(&bundle.bytes, &genesis, None)?;
            story
                .figures
                .verifications
                .push(from.elapsed().as_secs_f64() * 1e3);
            checked += 1;
            if let (Some(folder), Some(case)) = (keep, &family.case) {
                let name = format!("{:02}", at + 1);
                fs::write(
                    folder.join("receipts").join(format!("{name}.cbor")),
                    &bundle.bytes,
                )?;
                fs::write(
                    folder.join("receipts").join(format!("{name}.json")),
                    &case.bytes,
                )?;
            }
            if bundle.disclosure.is_some() {
                last = Some((family.subject, *record, bundle, verdict));
            }
        }
    }
    let (subject, record, bundle, verdict) = last.context("no receipt was made")?;
    // The stored form is read as a clinician would, and held against the receipt.
    let fetched = story
        .node
        .record_fetch(Fetch {
            caller: clinician,
            purpose: Purpose::Treat,
            study: None,
            subject,
            selection: Selection {
                categories: codec::Category::ALL.iter().copied().collect(),
                records: Records::Only([record].into()),
            },
            partial: true,
            version: None,
        })
        .await?;
    let stored = fetched
        .records
        .first()
        .and_then(|r| r.stored_form.as_ref())
        .context("the stored form was not served")?;
    verify::receipt(&bundle.bytes, &genesis, Some(stored.as_bytes()))?;
    let mut altered = stored.as_bytes().to_vec();
    if let Some(byte) = altered.last_mut() {
        *byte ^= 1;
    }
    let Err(refused) = verify::receipt(&bundle.bytes, &genesis, Some(&altered)) else {
        bail!("a changed record passed for the one that was committed");
    };
    let (forgeries, broken) = forge(&bundle.bytes, &genesis, stored.as_bytes())?;
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
