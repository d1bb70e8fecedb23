//! The story: a child, a parent, a specialist at another hospital, those who are refused, a farewell.
//! What happens when machines die is told in `faults`.

use super::{
    cast::{self, Case},
    figures::{Figures, Timed},
    nodes::{CHILDRENS, COUNT, LABORATORY, Network, PYLOS, QUORUM, wait_for},
    people::{CLINICIAN, LOCUM, People, SPECIALIST},
    scene::{Shared, list, reasons},
};
use crate::{
    http::{JSON, text},
    stage::Stage,
    subject::what,
};
use anyhow::{Context, Result, bail};
use codec::{RecordId, SubjectId};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Instant};

pub(crate) const DAY_MS: u64 = 86_400_000;

/// A family in the demo: its subject, and its case's record.
pub(crate) struct Family {
    pub(crate) subject: SubjectId,
    pub(crate) records: Vec<RecordId>,
    pub(crate) case: Option<Case>,
    pub(crate) erased: bool,
}

/// What came from another institution, for the proofs.
pub(crate) struct Received {
    pub(crate) part: Vec<u8>,
    pub(crate) receipt: Vec<u8>,
}

/// The story so far.
pub(crate) struct Story<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) network: Network,
    pub(crate) people: People,
    /// Cases that are still to be deposited.
    pub(crate) later: Vec<Case>,
    pub(crate) families: Vec<Family>,
    pub(crate) received: Option<Received>,
    pub(crate) figures: Figures,
    pub(crate) acts: Vec<Value>,
    /// The height at which each node was seen last.
    pub(crate) heights: [u64; COUNT],
}

/// The family the story is about, the one of the emergency, the one that leaves, and one whose decisions
/// are timed.
pub(crate) const CHILD: usize = 0;
pub(crate) const EMERGENCY: usize = 1;
const LEAVING: usize = 2;
pub(crate) const TIMED: usize = 3;

/// How many cases come in while machines are down.
const LATER: usize = 2;
/// How many decisions are timed, with all nodes running and with one killed.
pub(crate) const DECISIONS: usize = 2;

impl<'a> Story<'a> {
    pub(crate) fn new(stage: &'a Stage, network: Network) -> Result<Self> {
        Ok(Self {
            stage,
            people: People::new(&network)?,
            network,
            later: Vec::new(),
            families: Vec::new(),
            received: None,
            figures: Figures::default(),
            acts: Vec::new(),
            heights: [0; COUNT],
        })
    }

    pub(crate) fn tell(&mut self) -> Result<()> {
        self.founded();
        self.child()?;
        self.deposits()?;
        self.before_the_grant()?;
        self.grant()?;
        self.specialist_reads()?;
        self.laboratory_answers()?;
        self.front_door()?;
        self.refusals()?;
        self.parent_looks()?;
        self.revocation()?;
        self.one_dies()?;
        self.quorum_is_lost()?;
        self.quorum_is_back()?;
        self.research()?;
        self.farewell()
    }

    fn founded(&mut self) {
        self.stage
            .heading("Four institutions, one ledger, no one in charge");
        self.stage.say(
            "Each keeps its own records on its own disk, under its own keys. Each runs its own node: here, four \
             processes on this machine that speak over TCP. Together they vote on every block.",
        );
        self.picture("The network", &[]);
        let names: Vec<&str> = self.network.members.iter().map(|m| m.name).collect();
        self.act("founded", json!({"institutions": names, "quorum": QUORUM}));
    }

    fn child(&mut self) -> Result<()> {
        let mut cases = cast::cases()?;
        // The story opens on a young child: the first one under six that the index names.
        if let Some(at) = cases.iter().position(|c| c.label.ends_with(" 4 years")) {
            cases.swap(0, at);
        }
        self.later = cases.split_off(cases.len() - LATER);
        let case = cases.first().context("no case is shipped")?;
        let (observed, excluded) = cast::findings(&case.bytes)?;
        self.stage.heading("A child");
        let mut lines = vec![
            format!("{} · published case, {}", case.label, case.publication),
            format!("Findings  {}", observed.join(" · ")),
        ];
        if !excluded.is_empty() {
            let shown: Vec<_> = excluded.iter().take(8).cloned().collect();
            let more = excluded.len() - shown.len();
            let more = if more > 0 {
                format!(" · and {more} more")
            } else {
                String::new()
            };
            lines.push(format!("Not found {}{more}", shown.join(" · ")));
        }
        lines.push(format!("Published answer: {}", case.disease));
        self.stage.card("What the clinician sees", &lines);
        self.stage.say(
            "Such an answer takes five years on average. The findings lie in one hospital, the person who has seen \
             them before works in another, and between the two stands a parent who wants to decide who looks.",
        );
        let value = json!({"label": case.label, "publication": case.publication, "disease": case.disease,
            "observed": observed.len(), "excluded": excluded.len()});
        self.families = cases
            .into_iter()
            .map(|case| Family {
                subject: SubjectId::new([0; 32]),
                records: Vec::new(),
                case: Some(case),
                erased: false,
            })
            .collect();
        self.act("a child", value);
        Ok(())
    }

    fn deposits(&mut self) -> Result<()> {
        self.stage.heading("1  Each keeps its own records");
        let bundles = cast::bundles()?;
        let cases = self.families.len();
        let total = cases + bundles.len();
        let clinician = self.people.clinician.clone();
        for at in 0..cases {
            let subject = self.open(&self.people.desk)?;
            let case = self.families[at].case.as_ref();
            let bytes = case.context("a family without a case")?.bytes.clone();
            let (records, _) = self.deposit(&clinician, subject, JSON, &bytes, false)?;
            let family = &mut self.families[at];
            family.subject = subject;
            family.records = records;
            self.stage.progress(at + 1, total, "records deposited");
        }
        let mut resources = 0;
        for (at, bundle) in bundles.into_iter().enumerate() {
            let subject = self.open(&self.people.desk)?;
            let media = "application/fhir+json";
            let (records, _) = self.deposit(&clinician, subject, media, &bundle, false)?;
            resources += records.len();
            self.families.push(Family {
                subject,
                records,
                case: None,
                erased: false,
            });
            self.stage
                .progress(cases + at + 1, total, "records deposited");
        }
        self.stage.say(&format!(
            "{cases} published cases and 3 synthetic FHIR bundles ({resources} resources) deposited at {}: each sealed \
             under its own family's key, durable on disk, and on its way to the ledger as a salted commitment.",
            self.network.members[CHILDRENS].name
        ));
        let took = self.drained(CHILDRENS)?;
        self.stage.say(&format!(
            "All of it is final on the ledger {:.1} s later: three of the four institutions, or all, signed the blocks.",
            took.as_secs_f64()
        ));
        for turn in 0..DECISIONS {
            self.decision(turn, Timed::FinalWithAll)?;
        }
        self.act(
            "deposits",
            json!({"phenopackets": cases, "fhir_resources": resources}),
        );
        Ok(())
    }

    fn before_the_grant(&mut self) -> Result<()> {
        self.stage.heading("2  The specialist asks, and is refused");
        let specialist = self.people.specialist.clone();
        let Err(why) = self.share(&specialist, CHILDRENS, CHILD, "TREAT", "phenotype")? else {
            bail!("{SPECIALIST} got records before anybody granted them");
        };
        let (from, to) = (PYLOS, CHILDRENS);
        self.stage.say(&format!(
            "{SPECIALIST} of {} asks {} for the child's findings. The request is signed, and logged at both ends. The \
             answer: {} ({why})",
            self.network.members[from].name,
            self.network.members[to].name,
            self.stage.good("refused"),
        ));
        self.act("before the grant", json!({"because": why}));
        Ok(())
    }

    fn grant(&mut self) -> Result<()> {
        self.stage.heading("3  The parent decides");
        let specialist = self.draft(SPECIALIST, 30 * DAY_MS);
        let locum = self.draft(LOCUM, 4_000);
        let changes = json!({"changes": [{"grant-add": specialist}, {"grant-add": locum}]});
        let desk = self.people.desk.clone();
        let from = Instant::now();
        self.sent(&desk, "PUT", &self.of(CHILD, "consent"), &changes, true)?;
        self.figures.add(Timed::FinalWithAll, from.elapsed());
        let parent = self.parent(CHILD)?;
        let shown = self.got(&parent, &self.of(CHILD, "consent"))?;
        if shown["opening_matches"] != true {
            bail!("the consent state does not open the leaf on the ledger");
        }
        let mut lines: Vec<String> = list(&shown["says"])
            .iter()
            .map(|says| format!("• {}", text(says)))
            .collect();
        lines.push(consent::listing::COPIES_REMAIN.to_owned());
        self.stage
            .card("What the parent sees: who may see what", &lines);
        self.stage.say("The ledger holds a salted commitment to exactly this list. It never shows who was granted what.");
        self.act("grant", json!({"sentences": lines}));
        Ok(())
    }

    fn specialist_reads(&mut self) -> Result<()> {
        self.stage.heading("4  The specialist reads exactly that");
        let specialist = self.people.specialist.clone();
        let from = Instant::now();
        let shared = self.shared(&specialist, CHILDRENS, CHILD, "TREAT", "phenotype")?;
        self.figures.add(Timed::Share, from.elapsed());
        let shared: Shared = shared.read()?;
        let record = shared.records.first().context("the grant gave no record")?;
        let got: Vec<&str> = record.parts.iter().map(|p| p.category.as_str()).collect();
        if got != ["phenotype"] {
            bail!(
                "the specialist got {}, more than was granted",
                got.join(", ")
            );
        }
        let part = record.parts[0].body.get();
        let projection: Value = serde_json::from_str(part)?;
        let labels: Vec<String> = list(&projection["phenotypicFeatures"])
            .iter()
            .filter(|f| f["excluded"] != true)
            .map(|f| text(&f["type"]["label"]))
            .collect();
        let members: Vec<&str> = projection
            .as_object()
            .into_iter()
            .flat_map(|o| o.keys().map(String::as_str))
            .collect();
        self.stage.card(
            &format!(
                "What {SPECIALIST} sees, at {}",
                self.network.members[PYLOS].name
            ),
            &[
                format!("Findings  {}", labels.join(" · ")),
                format!("Received  {} bytes: {}", part.len(), members.join(", ")),
                "Not received: identity, genomic, laboratory, vitals, documents".to_owned(),
                format!("Because   {}", shared.because.join("; ")),
            ],
        );
        let visits = format!("/v1/subjects/{}/disclosures", shared.visitor);
        let officer = self.people.officer_elsewhere.clone();
        let visits = self.got(&officer, &visits)?;
        let logged = list(&visits["disclosures"]);
        if !logged
            .iter()
            .any(|row| row["disclosure"] == shared.logged.as_str())
        {
            bail!("the specialist's own hospital has no trace of the read");
        }
        self.stage.say(
            "It travelled sealed to that hospital's key, over TLS. Its node held every part against the commitment on \
             the ledger, logged the read on its own side too, and kept nothing else.",
        );
        let (bytes, named) = (part.len(), json!(members));
        self.act(
            "specialist",
            json!({"categories": got.join(", "), "bytes": bytes, "members": named, "disclosure": shared.disclosure}),
        );
        self.received = Some(Received {
            part: part.as_bytes().to_vec(),
            receipt: codec::hex::decode(&record.receipt)?,
        });
        Ok(())
    }

    /// The other way round: the laboratory holds the sequence, and the ward asks.
    fn laboratory_answers(&mut self) -> Result<()> {
        self.stage.heading("5  The laboratory answers the ward");
        let case = self.families[CHILD].case.as_ref();
        let bytes = case.context("a child without a case")?.bytes.clone();
        let (desk, laboratory) = (
            self.people.laboratory_desk.clone(),
            self.people.laboratory.clone(),
        );
        let subject = self.open(&desk)?;
        let from = Instant::now();
        self.deposit(&laboratory, subject, JSON, &bytes, true)?;
        self.figures.add(Timed::RecordFinal, from.elapsed());
        let grant = self.draft_for(CHILDRENS, CLINICIAN, "genomic", 30 * DAY_MS);
        let path = format!("/v1/subjects/{subject}/grants");
        self.sent(&desk, "POST", &path, &grant, true)?;
        let clinician = self.people.clinician.clone();
        let from = Instant::now();
        let asked = json!({"custodian": self.network.members[LABORATORY].id.to_string(),
            "subject": subject.to_string(), "purpose": "TREAT", "categories": ["genomic"]});
        let shared = self.sent(&clinician, "POST", "/v1/shares", &asked, false)?;
        self.figures.add(Timed::Share, from.elapsed());
        let shared: Shared = serde_json::from_value(shared)?;
        let part = shared.records.first().and_then(|r| r.parts.first());
        let part: Value = serde_json::from_str(part.context("no genomic part came")?.body.get())?;
        let variants = variants(&part);
        self.stage.card(
            &format!("What {CLINICIAN} sees of the laboratory's record"),
            &[
                format!("Variant   {}", variants.join(" · ")),
                "The laboratory knows the child under another id, and never learns the hospital's."
                    .to_owned(),
            ],
        );
        self.act("laboratory", json!({"variants": variants}));
        Ok(())
    }

    fn refusals(&mut self) -> Result<()> {
        self.stage
            .heading("7  Everybody else is refused, with the reason");
        let (locum, stranger, specialist) = (
            self.people.locum.clone(),
            self.people.stranger.clone(),
            self.people.specialist.clone(),
        );
        // The locum's grant ends while we watch.
        wait_for("the locum's grant to end", || {
            let asked = self.share(&locum, CHILDRENS, CHILD, "TREAT", "phenotype")?;
            Ok(asked.is_err().then_some(()))
        })?;
        let asked = [
            ("nobody asked them", &stranger, "TREAT", "phenotype"),
            ("wrong purpose", &specialist, "HRESCH", "phenotype"),
            ("wrong category", &specialist, "TREAT", "genomic"),
            ("expired grant", &locum, "TREAT", "phenotype"),
        ];
        let mut rows = Vec::new();
        for (what, who, purpose, category) in asked {
            match self.share(who, CHILDRENS, CHILD, purpose, category)? {
                Ok(_) => bail!("{what}: {} was not refused", who.name),
                Err(why) => rows.push(vec![
                    what.to_owned(),
                    who.name.to_owned(),
                    purpose.to_owned(),
                    category.to_owned(),
                    why,
                ]),
            }
        }
        self.stage
            .table(&["", "who", "for", "asked for", "refused because"], &rows);
        self.act("refusals", json!(rows));
        Ok(())
    }

    fn parent_looks(&mut self) -> Result<()> {
        self.stage.heading("8  The parent sees who looked");
        let trail = self.trail(CHILD)?;
        let mut rows: Vec<Vec<String>> = Vec::new();
        for seen in &trail {
            let words: Vec<String> = list(&seen["categories"]).iter().map(text).collect();
            let outcome = match (seen["permitted"] == true, words.is_empty()) {
                (true, true) => "acted",
                (true, false) => "looked",
                (false, _) => "refused",
            };
            let row = vec![
                text(&seen["practitioner"]),
                self.place(&seen["institution"]),
                outcome.to_owned(),
                text(&seen["purpose"]),
                what(seen),
            ];
            // The locum asked until it was refused: one line will do.
            if rows.last() != Some(&row) {
                rows.push(row);
            }
        }
        let seen: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        if !seen.contains(SPECIALIST) || !seen.contains(LOCUM) {
            bail!("the parent is not shown who asked from the other hospital");
        }
        self.stage.table(&["who", "of", "", "for", "what"], &rows);
        self.stage.say(
            "`node` is the hospital's own machine, which makes the child's phenotype profile when a record or the \
             family's will changes: its readings are decided and logged like anybody's.",
        );
        self.stage.say(&format!(
            "{} accesses, acts and refusals, each on disk before anything was opened or done, and those of the other \
             hospital with its signed request. Every period's list is committed to on the ledger, so that leaving one \
             out would show.",
            trail.len()
        ));
        self.act("who looked", json!(rows));
        Ok(())
    }

    fn revocation(&mut self) -> Result<()> {
        self.stage.heading("9  The parent changes her mind");
        let desk = self.people.desk.clone();
        let shown = self.got(&desk, &self.of(CHILD, "grants"))?;
        let revoked: Vec<Value> = list(&shown["grants"])
            .iter()
            .map(|grant| json!({"grant-revoke": grant["id"]}))
            .collect();
        let changes = json!({"changes": revoked});
        let from = Instant::now();
        self.sent(&desk, "PUT", &self.of(CHILD, "consent"), &changes, false)?;
        let accepted_ms = from.elapsed().as_secs_f64() * 1e3;
        let specialist = self.people.specialist.clone();
        let Err(why) = self.share(&specialist, CHILDRENS, CHILD, "TREAT", "phenotype")? else {
            bail!("a revoked grant was not refused at once");
        };
        self.stage.say(&format!(
            "Revoked. Accepted in {accepted_ms:.1} ms and binding from that moment, before the ledger has finalised \
             it. {SPECIALIST} asks again: {} ({why})",
            self.stage.good("refused"),
        ));
        self.act(
            "revocation",
            json!({"accepted_ms": accepted_ms, "because": why}),
        );
        Ok(())
    }

    fn farewell(&mut self) -> Result<()> {
        self.stage.heading("14  A family leaves");
        let parent = self.parent(LEAVING)?;
        let clinician = self.people.clinician.clone();
        self.read(&clinician, LEAVING, "TREAT")?.value()?;
        let from = Instant::now();
        let path = self.of(LEAVING, "");
        let erased = self.ask(&parent, "DELETE", &path, None, false)?.value()?;
        let took_ms = from.elapsed().as_secs_f64() * 1e3;
        let after = self.read(&clinician, LEAVING, "TREAT")?;
        if after.status == 200 {
            bail!("an erased record was read");
        }
        let why = reasons(&after)?;
        self.families[LEAVING].erased = true;
        let handed = list(&erased["disclosures"]).len();
        self.stage.say(&format!(
            "Their key is destroyed in {took_ms:.0} ms: no file of this hospital opens their records again, nor does a \
             backup's copy of the store. They take along the list of the {handed} accesses there were, with the key \
             that proves it. The clinician asks once more: {} ({why})",
            self.stage.good("refused"),
        ));
        self.act(
            "farewell",
            json!({"disclosures_handed_over": handed, "refusal": why}),
        );
        Ok(())
    }
}

/// The variants of a genomic part, as laboratories name them.
fn variants(part: &Value) -> Vec<String> {
    list(&part["interpretations"])
        .iter()
        .flat_map(|found| list(&found["diagnosis"]["genomicInterpretations"]))
        .map(|found| {
            let variant = &found["variantInterpretation"]["variationDescriptor"];
            let gene = text(&variant["geneContext"]["symbol"]);
            let spelled = list(&variant["expressions"]).iter();
            let spelled = spelled.map(|e| text(&e["value"])).next();
            format!(
                "{gene} {}",
                spelled.unwrap_or_else(|| text(&variant["label"]))
            )
        })
        .collect()
}
