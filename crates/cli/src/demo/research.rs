//! What leaves for research: a study that a committee approved, a noisy count, a release that is refused for what an
//! attack achieved, one that is certified, downloaded and checked; and a family that reads where its data is.
//!
//! The figures are those of the run: whoever is in it are the published cases, and nothing is arranged.

use super::{
    nodes::{CHILDRENS, wait_for},
    people::{COMMITTEE, RESEARCHER},
    scene::list,
    story::{CHILD, DAY_MS, Story},
};
use crate::{
    govern::NodeAt,
    http::{JSON, text},
    release_folder, releases, study,
    subject::{self, create_private},
};
use anyhow::{Context, Result, bail, ensure};
use codec::{Millis, StudyId};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Abnormality of the nervous system, and all below it.
const ASKED: &str = "HP:0000707";
/// The fewest people in the groups that are asked for first, and in what is asked for then.
const SMALL: u32 = 3;
const K: u32 = 5;
/// What the researcher's institution accepts; its digest is kept.
const AGREEMENT: &str =
    "No attempt to identify anybody; no copies to others; deleted when the study ends.";

impl Story<'_> {
    pub(super) fn research(&mut self) -> Result<()> {
        self.stage
            .heading("13  A researcher asks; what leaves was attacked first");
        let (agreed, asked) = self.families_agree()?;
        let id = self.study_opens()?;
        let counted = self.counted(&id)?;
        let refused = self.refused_for_risk(&id)?;
        let (number, certified) = self.certified(&id)?;
        let checked = self.downloaded(&id, number)?;
        let held = self.family_reads(&id)?;
        self.act(
            "research",
            json!({
                "families": asked, "agreed": agreed, "counted": counted, "refused": refused,
                "certified": certified, "checked": checked, "family": held,
            }),
        );
        Ok(())
    }

    /// All families but one agree to research into health that is not commercial.
    fn families_agree(&mut self) -> Result<(usize, usize)> {
        let desk = self.people.desk.clone();
        // The mother of the story waits for the study; one family says nothing.
        let asked: Vec<usize> = (0..self.families.len()).filter(|at| *at != CHILD).collect();
        let agreed = asked.len() - 1;
        let conditions = json!({"research": {"clauses": [
            {"permission": "health-research", "modifiers": ["non-commercial"]}
        ]}});
        for at in asked.iter().take(agreed) {
            let changes = json!({"changes": [{"grant-add": research_grant(&conditions)?}]});
            self.sent(&desk, "PUT", &self.of(*at, "consent"), &changes, false)?;
        }
        self.drained(CHILDRENS)?;
        let shown = self.got(&self.parent(1)?, &self.of(1, "consent"))?;
        let lines: Vec<String> = list(&shown["says"])
            .iter()
            .map(|says| format!("• {}", text(says)))
            .collect();
        self.stage.card("What a family has agreed to", &lines);
        Ok((agreed + 1, self.families.len()))
    }

    /// Proposed, approved by another person, agreed to, open on the ledger.
    fn study_opens(&mut self) -> Result<StudyId> {
        let (researcher, committee) = (
            self.people.researcher.clone(),
            self.people.committee.clone(),
        );
        let now = now()?;
        let proposal = json!({
            "title": "What rare syndromes have in common",
            "summary": "We count findings of children with rare syndromes, so that others are recognised sooner.",
            "purposes": ["HRESCH"],
            "categories": ["phenotype"],
            "limits": {"k": SMALL, "linked_per_mille": 50},
            "declared": {
                "research": ["health"], "genetic": false, "commercial": false, "organisation": "non-profit",
                "institutions": [self.network.members[CHILDRENS].id.to_string()], "countries": ["GR"],
                "collaborates": true, "returns": true,
                "period": {"from": Millis::new(now).to_rfc3339(),
                    "until": Millis::new(now + 365 * DAY_MS).to_rfc3339()},
            },
        });
        let proposed = self.sent(&researcher, "POST", "/v1/studies", &proposal, false)?;
        let id: StudyId = text(&proposed["id"]).parse()?;
        let steps = format!("/v1/studies/{id}/steps");
        let matching = self.got(&committee, &format!("/v1/studies/{id}/matching"))?;
        // Whoever proposed it approves nothing.
        let body = json!({"step": "approve"}).to_string();
        let own = self.ask(
            &researcher,
            "POST",
            &steps,
            Some((JSON, body.as_bytes())),
            false,
        )?;
        ensure!(own.status >= 400, "a study was approved by who proposed it");
        let digest = keys::sha256(&[AGREEMENT.as_bytes()]).to_string();
        let taken = [
            (&committee, json!("approve")),
            (&researcher, json!({"agree": digest})),
            (&researcher, json!("open")),
        ];
        for (who, step) in taken {
            self.sent(who, "POST", &steps, &json!({"step": step}), false)?;
        }
        wait_for("the study on the ledger", || {
            let shown = self.got(&researcher, &format!("/v1/studies/{id}"))?;
            Ok((shown["on_ledger"] == true).then_some(()))
        })?;
        // The mother of the story has read what it is for.
        let desk = self.people.desk.clone();
        let grant = research_grant(&json!({"study": id.to_string()}))?;
        let changes = json!({"changes": [{"grant-add": grant}]});
        self.sent(&desk, "PUT", &self.of(CHILD, "consent"), &changes, true)?;
        self.stage.say(&format!(
            "{RESEARCHER} proposes a study. What it declares is held against what families agreed to: permitted by about \
             {} of them (in fives). {COMMITTEE} of the data access committee, another person, approves it; the \
             agreement is accepted; the study opens, and the digest of all this is on the ledger. The child's mother \
             reads what it is for and lets this one study use the findings.",
            matching["permitted"]
        ));
        Ok(id)
    }

    fn counted(&mut self, id: &StudyId) -> Result<Value> {
        let researcher = self.people.researcher.clone();
        let path = format!(
            "/v1/studies/{id}/beacon/v2/individuals?filters={ASKED}&requestedGranularity=count"
        );
        let answer = self.got(&researcher, &path)?;
        let spending = self.got(&researcher, &format!("/v1/studies/{id}/spending"))?;
        let cost = spending["researcher"]["spent"].clone();
        let all = json!({"answer": answer, "cost": cost, "spending": spending});
        let said = study::counted(&all);
        self.stage.card(
            &format!("{RESEARCHER} asks: how many with an abnormality of the nervous system?"),
            &said.lines().map(str::to_owned).collect::<Vec<_>>(),
        );
        Ok(all)
    }

    /// Groups of few people: what the attacks achieve is too much.
    fn refused_for_risk(&mut self, id: &StudyId) -> Result<Value> {
        let shown = self.made(id, "T3", SMALL)?;
        let certificate = releases::certificate(&shown)?;
        let certificate = certificate.context("the attacks were not tried")?;
        self.stage.say(&format!(
            "{RESEARCHER} asks for groups of at least {SMALL} people. The node makes them and attacks what it made:"
        ));
        releases::tell(self.stage, &certificate);
        ensure!(
            shown["status"] == "refused",
            "groups of so few people were not refused"
        );
        let why = releases::why(&shown)?;
        self.stage.say(&format!(
            "{}: {why}. Nobody can certify it, the committee neither.",
            self.stage.good("Refused")
        ));
        let number = shown["number"].as_u64().context("no number")?;
        let body = json!({"approve": true}).to_string();
        let path = format!("/v1/studies/{id}/releases/{number}/certificate");
        let forced = self.ask(
            &self.people.committee,
            "POST",
            &path,
            Some((JSON, body.as_bytes())),
            false,
        )?;
        ensure!(forced.status >= 400, "what exceeds a limit was certified");
        Ok(json!({"why": why, "exceeded": certificate.verdict.exceeded,
            "verdicts": certificate.attacks.verdicts}))
    }

    /// The whole cohort as one: attacked, certified by the committee, on the ledger.
    fn certified(&mut self, id: &StudyId) -> Result<(u64, Value)> {
        let shown = self.made(id, "T2", K)?;
        let certificate = releases::certificate(&shown)?;
        let certificate = certificate.context("the attacks were not tried")?;
        self.stage
            .say("Then for the aggregates of them all. The node attacks these too:");
        releases::tell(self.stage, &certificate);
        if shown["status"] != "prepared" {
            bail!("the aggregates were refused: {}", releases::why(&shown)?);
        }
        let number = shown["number"].as_u64().context("no number")?;
        let path = format!("/v1/studies/{id}/releases/{number}");
        let committee = self.people.committee.clone();
        let word = json!({"approve": true});
        self.sent(
            &committee,
            "POST",
            &format!("{path}/certificate"),
            &word,
            false,
        )?;
        let height = wait_for("the release on the ledger", || {
            Ok(self.got(&committee, &path)?["height"].as_u64())
        })?;
        self.stage.say(&format!(
            "{COMMITTEE} certifies it. Digests of content and certificate are on the ledger, at height {height}."
        ));
        Ok((
            number,
            json!({"height": height, "verdicts": certificate.attacks.verdicts,
                "released_at_least": certificate.population.released}),
        ))
    }

    /// Asks for a release of everybody and waits until it was attacked.
    fn made(&self, id: &StudyId, tier: &str, k: u32) -> Result<Value> {
        let researcher = &self.people.researcher;
        let asked = json!({"tier": tier, "k": k, "formats": ["parquet", "fhir", "phenopackets"]});
        let path = format!("/v1/studies/{id}/releases");
        let made = self.sent(researcher, "POST", &path, &asked, false)?;
        let path = format!("{path}/{}", made["number"]);
        wait_for("a release to be made", || {
            let shown = self.got(researcher, &path)?;
            Ok((shown["status"] != "preparing").then_some(()))
        })?;
        // Figures of what was refused are for the committee alone.
        self.got(&self.people.committee, &path)
    }

    /// Downloaded as `ithaca release get` does, checked as `ithaca release verify` does.
    fn downloaded(&mut self, id: &StudyId, number: u64) -> Result<Value> {
        let genesis = self.network.genesis.clone();
        let below = genesis.parent().and_then(Path::parent);
        let below = below.context("a genesis without a folder")?;
        let (folder, token) = (below.join("release"), below.join("researcher.token"));
        create_private(&token)?.write_all(self.people.researcher.token.as_bytes())?;
        let node = NodeAt::new(self.network.url(CHILDRENS, ""), token.clone());
        release_folder::download(&node, id, number, &folder, self.stage)?;
        fs::remove_file(&token)?;
        let found = release_folder::found(&folder, Some(&genesis))?;
        if let Some(fault) = found.faults.first() {
            bail!("the release does not hold: {fault}");
        }
        let ledger = found.ledger.context("the ledger's proof was not checked")?;
        let fault = with_one_bit_changed(&folder, &genesis)?;
        let files = fs::read_dir(&folder)?.count();
        self.stage.say(&format!(
            "Downloaded: {files} files, {} group of at least {} people, as NDJSON, Parquet, FHIR and phenopackets. Checked \
             offline with nothing but the network's genesis: {}, released at height {}. With one bit changed: {fault}.",
            found.checked.groups,
            found.checked.subjects,
            self.stage.good("all of it holds"),
            ledger.height,
        ));
        Ok(
            json!({"files": files, "height": ledger.height, "fault": fault,
            "content": ledger.content.to_string()}),
        )
    }

    fn family_reads(&mut self, id: &StudyId) -> Result<Value> {
        let parent = self.parent(CHILD)?;
        let held = self.got(&parent, &self.of(CHILD, "research"))?;
        ensure!(
            !list(&held["releases"]).is_empty(),
            "the family is not told of the release"
        );
        let trail = self.trail(CHILD)?;
        ensure!(
            trail
                .iter()
                .any(|seen| text(&seen["study"]) == id.to_string()),
            "the log does not say for which study the child's findings were used"
        );
        self.stage
            .card("What the child's mother sees", &subject::research(&held));
        Ok(held)
    }
}

fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())?)
}

/// Findings, for a year, for research.
fn research_grant(grantee: &Value) -> Result<Value> {
    let now = now()?;
    Ok(json!({
        "grantee": grantee,
        "purposes": ["HRESCH"],
        "categories": ["phenotype"],
        "from": Millis::new(now).to_rfc3339(),
        "until": Millis::new(now + 365 * DAY_MS).to_rfc3339(),
    }))
}

/// Changes one bit of the groups, checks, and changes it back: what is found.
fn with_one_bit_changed(folder: &Path, genesis: &Path) -> Result<String> {
    let path: PathBuf = folder.join("groups.ndjson");
    let whole = fs::read(&path)?;
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    *changed
        .get_mut(middle)
        .context("a release without groups")? ^= 1;
    fs::write(&path, changed)?;
    let found = release_folder::found(folder, Some(genesis))?;
    fs::write(&path, whole)?;
    let fault = found.faults.into_iter().next();
    fault.context("a changed release passed for the one that was released")
}
