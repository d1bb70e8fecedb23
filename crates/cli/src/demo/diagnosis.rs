//! The opening: what the findings of a child speak for, as they come in at the hospital's own node; an unsolved
//! case that newer knowledge reopens; a case that the engine gets wrong; and who may read all this.

use super::{
    figures::Timed,
    nodes::{CHILDRENS, PATIENCE, PYLOS, wait_for},
    people::{GENETICIST, People, Person, SPECIALIST},
    pick::{Chosen, Picked},
    scene::{list, reasons},
    story::Story,
    told::Told,
};
use crate::{
    diagnose::bar,
    http::{JSON, text},
    subject::what,
};
use answer::percent;
use anyhow::{Context, Result, bail};
use codec::{RecordId, SubjectId};
use node::differential::CANDIDATES_MAX;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Instant};

/// Candidates that are drawn.
const DRAWN: usize = 3;
/// Of each kind of evidence.
const EVIDENCE: usize = 3;
/// The room for a candidate's name.
const NAME: usize = 44;
/// Counts the profiles that a node made.
const PROFILES: &str = "ithaca_phenotype_profiles_total ";

pub(crate) fn tell(story: &mut Story<'_>, picked: &Picked) -> Result<()> {
    let subject = story.findings_arrive(picked)?;
    story.who_reads(subject)?;
    story.reopened(picked)?;
    story.wrong(picked)
}

/// What a reading of a differential gives.
struct Reading {
    differential: Value,
    /// The changes that were worth telling, oldest first.
    changes: Vec<Value>,
    findable: Vec<Value>,
}

impl Reading {
    fn candidates(&self) -> &[Value] {
        list(&self.differential["candidates"])
    }

    fn is_abstaining(&self) -> bool {
        !self.differential["abstained"].is_null()
    }

    /// The first candidates as bars; or that nothing is suggested.
    fn lines(&self) -> Vec<String> {
        if self.is_abstaining() {
            let best = self.differential["abstained"]["best"].as_f64();
            return vec![match best {
                Some(best) => format!("no suggestion: the best candidate has {}", percent(best)),
                None => "no suggestion: nothing was seen yet".to_owned(),
            }];
        }
        let drawn = self.candidates().iter().take(DRAWN);
        drawn.map(drawn_line).collect()
    }
}

fn drawn_line(candidate: &Value) -> String {
    let probability = candidate["probability"].as_f64().unwrap_or_default();
    let name = cut(&text(&candidate["name"]), NAME);
    format!(
        "{} {:>5}  {name}",
        bar(probability, 20),
        percent(probability)
    )
}

/// A name in the room there is.
fn cut(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        None => name.to_owned(),
        Some(_) => name.chars().take(most - 1).chain(['…']).collect(),
    }
}

impl Story<'_> {
    /// The findings of a child arrive one by one; after each the geneticist reads.
    fn findings_arrive(&mut self, picked: &Picked) -> Result<SubjectId> {
        let (chosen, tally) = (&picked.opening, picked.tally);
        let case = &chosen.case;
        self.stage.heading("A child without a diagnosis");
        self.stage.card(
            &case.label,
            &[
                format!("Published as {}: {}", case.publication, case.title),
                format!(
                    "Its {} findings arrive one by one, in the order of its phenopacket, with the age that this states; its \
                     diagnosis, genes and title stay away from the node.",
                    chosen.arrivals.len()
                ),
                format!(
                    "Picked by a rule from the {} cases that come with the program. Of all of them, by findings alone, \
                     the published disease is first in {}; {} end without a suggestion. The engine was fitted on \
                     these cases among others: this shows how it works and measures nothing. docs/diagnosis.md has \
                     figures on diseases that it never saw.",
                    tally.cases, tally.first, tally.abstained
                ),
            ],
        );
        self.stage.say(&format!(
            "{GENETICIST} follows the node's stream of events and reads the differential after each finding \
             (GET /v1/subjects/…/differential?purpose=TREAT). + seen, - looked for and not there.\n"
        ));
        let (geneticist, clinician) = (
            self.people.geneticist.clone(),
            self.people.clinician.clone(),
        );
        // Nothing but findings changes from here on.
        let subject = self.open_and(&self.people.desk, true)?;
        let told = self.network.told(CHILDRENS, &geneticist.token)?;
        let (mut record, mut before, mut seen) = (None, Vec::new(), Vec::new());
        let mut heard = 0;
        let mut last = None;
        for (at, arrival) in (1_u32..).zip(&chosen.arrivals) {
            let from = Instant::now();
            record =
                Some(self.one_version(&clinician, subject, record, at - 1, &arrival.packet)?);
            self.figures.add(Timed::Finding, from.elapsed());
            let from = Instant::now();
            let reading = self.reading(&geneticist, subject)?;
            self.figures.add(Timed::Differential, from.elapsed());
            let sign = if arrival.excluded { '-' } else { '+' };
            self.stage
                .line(&format!("{at:>3} {sign} {}", arrival.label));
            let news = self.heard(&told, subject, &reading, &mut heard)?;
            let lines = reading.lines();
            match lines == before && news.is_none() {
                true => self.stage.line("      the same"),
                false => lines
                    .iter()
                    .for_each(|line| self.stage.line(&format!("      {line}"))),
            }
            let first = &reading.candidates().first();
            seen.push(json!({
                "finding": arrival.label, "excluded": arrival.excluded, "abstained": reading.is_abstaining(),
                "first": first.map_or(Value::Null, |first| first["id"].clone()),
                "probability": first.map_or(Value::Null, |first| first["probability"].clone()),
                "event": news,
            }));
            before = lines;
            last = Some(reading);
        }
        if !told.is_silent() {
            bail!("an event came of nothing that changed");
        }
        let last = last.context("no finding arrived")?;
        let best = last.candidates().first().context("nothing was ranked")?;
        if text(&best["id"]) != chosen.truth {
            bail!("the node does not rank as the engine did");
        }
        let mut lines = vec![format!("{} ({})", text(&best["name"]), chosen.truth)];
        lines.extend(evidence(best));
        lines.extend(next(&last.differential));
        lines.push(format!("The published diagnosis: {}", case.disease));
        lines.push(text(&last.differential["statement"]));
        self.stage.line("");
        self.stage
            .card(&format!("What {GENETICIST} reads in the end"), &lines);
        self.act(
            "findings arrive",
            json!({"label": case.label, "publication": case.publication, "published": case.disease,
                "truth": chosen.truth, "readings": seen, "statement": last.differential["statement"],
                "shipped_cases": tally.cases, "first_in": tally.first, "abstains_in": tally.abstained}),
        );
        Ok(subject)
    }

    /// Prints what a change is, once the event of it came over the stream; none without a change.
    fn heard(
        &self,
        told: &Told,
        subject: SubjectId,
        reading: &Reading,
        heard: &mut usize,
    ) -> Result<Option<String>> {
        let Some(change) = reading.changes.get(*heard) else {
            return Ok(None);
        };
        told.of(&subject.to_string(), PATIENCE)?;
        *heard += 1;
        let kind = text(&change["kind"]);
        let is = match kind.as_str() {
            "findable" => "there is something to suggest",
            "leads" => "another disease leads",
            _ => "what led is in doubt",
        };
        let line = format!("      ► event: differential — {is}");
        self.stage.line(&self.stage.good(&line));
        Ok(Some(kind))
    }

    /// A family is refused; the log shows who read, the node itself among them.
    fn who_reads(&mut self, subject: SubjectId) -> Result<()> {
        let parent = People::parent(&self.network, subject)?;
        let path = format!("/v1/subjects/{subject}/differential?purpose=TREAT");
        let refused = self.ask(&parent, "GET", &path, None, false)?;
        if refused.status != 403 {
            bail!(
                "a family's account was answered with a differential (HTTP {})",
                refused.status
            );
        }
        let why = reasons(&refused)?;
        self.stage.say(&format!(
            "It is made for professionals who can review its basis. The family's own account asks for it: {} ({why}). \
             What the family does see is who looked:",
            self.stage.good("refused")
        ));
        let mut rows: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for seen in self.trail_of(&parent, subject)? {
            let who = text(&seen["practitioner"]);
            *rows
                .entry(vec![who, text(&seen["purpose"]), what(&seen)])
                .or_default() += 1;
        }
        let is_there = |who: &str, act: &str| {
            rows.keys()
                .any(|row| row[0] == who && row[2].starts_with(act))
        };
        if !is_there(GENETICIST, "differential") || !is_there("node", "phenotype-profile") {
            bail!("the log does not show who read the differential, and the node itself");
        }
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(row, times)| {
                [
                    row[0].clone(),
                    times.to_string(),
                    row[1].clone(),
                    row[2].clone(),
                ]
                .into()
            })
            .collect();
        self.stage.table(&["who", "times", "for", "what"], &rows);
        self.stage.say(
            "`node` is the hospital's own machine: it makes the profile again when a finding arrives, and its readings \
             are decided and logged like anybody's.",
        );
        self.act("who reads", json!({"family": why, "disclosures": rows}));
        Ok(())
    }

    /// A case that its hospital's knowledge cannot solve; newer knowledge comes, and the node finds it again.
    fn reopened(&mut self, picked: &Picked) -> Result<()> {
        let (chosen, hospital) = (&picked.reopened, self.network.members[PYLOS].name);
        let case = &chosen.case;
        self.stage.heading("New knowledge reopens an unsolved case");
        let specialist = self.people.specialist.clone();
        let subject = self.open_and(&self.people.desk_elsewhere, true)?;
        self.one_version(&specialist, subject, None, 0, chosen.whole()?)?;
        let before = self.reading(&specialist, subject)?;
        self.stage.say(&format!(
            "{} ({}) is deposited at {hospital}. Its node starts this demo with an older state of knowledge, made for \
             this scene: the same data without the {} annotations of one disease, as if nobody had described it yet. \
             {SPECIALIST} reads, and the case goes to the archive:",
            case.label, case.publication, picked.left_out
        ));
        self.stage.card("Before", &before.lines());
        if before
            .candidates()
            .iter()
            .any(|c| text(&c["id"]) == chosen.truth)
        {
            bail!("the older knowledge knows the disease");
        }
        if self.changed(&specialist, subject)?.is_some() {
            bail!("a differential has news before there is any");
        }
        let from = Instant::now();
        self.network.stop(PYLOS)?;
        self.network.knows(PYLOS, Some(&picked.index))?;
        self.network.start(PYLOS)?;
        self.network.wait_fresh(PYLOS)?;
        let since = wait_for("the node to read its cases again", || {
            self.changed(&specialist, subject)
        })?;
        let took = from.elapsed();
        let after = self.reading(&specialist, subject)?;
        let best = after.candidates().first().context("nothing was ranked")?;
        let found = after
            .findable
            .iter()
            .find(|found| text(&found["disease"]) == chosen.truth);
        let findable = text(&found.context("the node did not find the disease")?["since"]);
        let change = after.changes.last().context("the change is not told")?;
        if text(&best["id"]) != chosen.truth || change["cause"] != "knowledge" {
            bail!("the reanalysis did not find the published disease");
        }
        self.stage.say(&format!(
            "The disease is described; the operator names the newer index in node.toml ([diagnosis] index) and starts \
             the node again. Nobody opens the case. The node reads all its cases again by itself, and {:.1} s after it \
             was stopped GET /v1/differentials/changes names this one, since {since}:",
            took.as_secs_f64()
        ));
        let mut lines = after.lines();
        lines.push(format!(
            "Findable here since {findable}, by newer knowledge."
        ));
        lines.push(format!("The published diagnosis: {}", case.disease));
        self.stage.card("After", &lines);
        let reanalysis = |seen: &Value| text(&seen["act"]) == "reanalysis";
        let parent = Person {
            at: PYLOS,
            name: "parent-account",
            token: self.network.token_for(
                PYLOS,
                "parent-account",
                &[consent::Role::Controller],
                Some(subject),
            )?,
        };
        if !self.trail_of(&parent, subject)?.iter().any(reanalysis) {
            bail!("the node's reanalysis is not in the log");
        }
        self.act(
            "reopened",
            json!({"label": case.label, "publication": case.publication, "published": case.disease,
                "truth": chosen.truth, "annotations_left_out": picked.left_out,
                "abstained_before": before.is_abstaining(),
                "first_before": before.candidates().first().map(|c| c["id"].clone()),
                "first_after": best["id"], "probability_after": best["probability"],
                "since": since, "findable_since": findable, "cause": change["cause"],
                "reopened_ms": took.as_secs_f64() * 1e3}),
        );
        Ok(())
    }

    /// A case that the engine gets wrong, and why.
    fn wrong(&mut self, picked: &Picked) -> Result<()> {
        let (chosen, tally) = (&picked.wrong, picked.tally);
        let case = &chosen.case;
        self.stage.heading("Where the engine is wrong");
        let geneticist = self.people.geneticist.clone();
        let path = format!("/v1/diagnose?limit={CANDIDATES_MAX}");
        let answer = self.ask(
            &geneticist,
            "POST",
            &path,
            Some((JSON, chosen.whole()?)),
            false,
        )?;
        let answer = answer.value()?;
        let candidates = list(&answer["candidates"]);
        let right = candidates.iter().find(|c| text(&c["id"]) == chosen.truth);
        let right = right.context("the published disease is no candidate")?;
        let best = candidates.first().context("nothing was ranked")?;
        self.stage.say(&format!(
            "{} ({}): {}. Of the shipped cases it has the worst rank of a published disease that still is a candidate \
             (POST /v1/diagnose); in {} others the disease is not even among the first {CANDIDATES_MAX}.",
            case.label,
            case.publication,
            found_of(chosen),
            tally.absent
        ));
        for (title, candidate) in [("It says", best), ("The published diagnosis", right)] {
            let probability = candidate["probability"].as_f64().unwrap_or_default();
            let mut lines = vec![format!(
                "{}. {} ({}), {}",
                candidate["rank"],
                text(&candidate["name"]),
                text(&candidate["id"]),
                percent(probability)
            )];
            lines.extend(evidence(candidate));
            self.stage.card(title, &lines);
        }
        let in_vain = |candidate: &Value| {
            let against = list(&candidate["evidence"]["against"]).iter();
            against.filter(|e| e["excluded"] == true).count()
        };
        self.stage.say(&format!(
            "Of what the published disease shows in most patients, {} findings were looked for and not there; of what \
             the first shows, {}. {} for the first is what the answer itself says of how sure it is.",
            in_vain(right),
            in_vain(best),
            percent(best["probability"].as_f64().unwrap_or_default())
        ));
        self.act(
            "wrong",
            json!({"label": case.label, "publication": case.publication, "published": case.disease,
                "truth": chosen.truth, "rank": right["rank"], "probability": right["probability"],
                "said": best["id"], "said_probability": best["probability"],
                "not_among_candidates": tally.absent}),
        );
        Ok(())
    }

    /// Deposits the next version of a record and waits until the node made the profile again; the record.
    fn one_version(
        &mut self,
        who: &Person,
        subject: SubjectId,
        record: Option<RecordId>,
        replaces: u32,
        packet: &[u8],
    ) -> Result<RecordId> {
        let made = self.profiles(who.at)?;
        let record = match record {
            None => {
                let (records, _) = self.deposit(who, subject, JSON, packet, true)?;
                *records.first().context("nothing was deposited")?
            }
            Some(record) => {
                let path = format!("/v1/subjects/{subject}/records/{record}");
                let version = format!("\"{replaces}\"");
                let headers = [
                    ("content-type", JSON),
                    ("if-match", version.as_str()),
                    ("prefer", "wait=final"),
                ];
                let put =
                    self.network
                        .call(who.at, "PUT", &path, &who.token, &headers, Some(packet))?;
                put.value().context("a new version")?;
                record
            }
        };
        wait_for("the phenotype profile", || {
            Ok((self.profiles(who.at)? > made).then_some(()))
        })?;
        Ok(record)
    }

    /// How many profiles a node made since it started.
    fn profiles(&self, at: usize) -> Result<u64> {
        let metrics = self.ask(&self.people.operators[at], "GET", "/metrics", None, false)?;
        let metrics = String::from_utf8(metrics.body)?;
        let count = metrics.lines().find_map(|line| line.strip_prefix(PROFILES));
        Ok(count
            .context("the node does not count profiles")?
            .trim()
            .parse()?)
    }

    fn reading(&self, who: &Person, subject: SubjectId) -> Result<Reading> {
        let path = format!("/v1/subjects/{subject}/differential?purpose=TREAT");
        let mut read = self.got(who, &path)?;
        let course = read["course"].take();
        if course.is_null() {
            bail!("a clinician of the house is not shown the course of a differential");
        }
        Ok(Reading {
            differential: read["differential"].take(),
            changes: list(&course["changes"]).to_vec(),
            findable: list(&course["findable"]).to_vec(),
        })
    }

    /// Since when a subject's differential has news that nobody looked at.
    fn changed(&self, who: &Person, subject: SubjectId) -> Result<Option<String>> {
        let changes = self.got(who, "/v1/differentials/changes")?;
        let subject = subject.to_string();
        let this = list(&changes["changes"])
            .iter()
            .find(|c| text(&c["subject"]) == subject);
        Ok(this.map(|change| text(&change["since"])))
    }
}

/// What was seen in a case, in a clause.
fn found_of(chosen: &Chosen) -> String {
    let seen = chosen.arrivals.iter().filter(|a| !a.excluded);
    let seen: Vec<String> = seen.map(|a| a.label.to_lowercase()).collect();
    let excluded = chosen.arrivals.len() - seen.len();
    format!(
        "{}; {excluded} findings were looked for and not there",
        seen.join(", ")
    )
}

/// The heaviest evidence on a candidate, of each kind.
fn evidence(candidate: &Value) -> Vec<String> {
    let it = &candidate["evidence"];
    let mut lines = Vec::new();
    for kind in ["for", "against", "missing"] {
        let told = list(&it[kind])
            .iter()
            .take(EVIDENCE)
            .map(|e| ground(kind, e));
        let told: Vec<String> = told.collect();
        if !told.is_empty() {
            lines.push(format!("  {kind}: {}", told.join(" · ")));
        }
    }
    lines
}

/// One piece of evidence: what, and on what it rests.
fn ground(kind: &str, evidence: &Value) -> String {
    let share = |value: &Value| percent(value.as_f64().unwrap_or_default());
    let what = text(&evidence["label"]);
    let matched = &evidence["matched"];
    match kind {
        "missing" => format!("{what} ({} have it)", share(&evidence["frequency"])),
        _ if evidence["said_absent"] == true => format!("{what} (said not to occur in it)"),
        _ if matched.is_null() => format!("{what} (it shows nothing of the kind)"),
        _ if evidence["excluded"] == true => {
            format!("no {what} (but {} have it)", share(&matched["frequency"]))
        }
        _ => format!(
            "{what} ({} have it, {} over all)",
            share(&matched["frequency"]),
            share(&matched["background"])
        ),
    }
}

/// What to look for next.
fn next(differential: &Value) -> Option<String> {
    let next = list(&differential["next"]).iter().take(EVIDENCE);
    let next: Vec<String> = next
        .map(|next| format!("{} {}", text(&next["way"]), text(&next["label"])))
        .collect();
    (!next.is_empty()).then(|| format!("  next: {}", next.join(" · ")))
}
