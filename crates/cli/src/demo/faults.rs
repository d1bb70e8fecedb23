//! What happens when machines die: one, which nobody notices; two, and then nothing becomes final, but
//! nothing is lost and no child in an emergency waits.

use super::{
    figures::Timed,
    nodes::{CHILDRENS, FAMILIES, LABORATORY, wait_for},
    people::SPECIALIST,
    scene::list,
    story::{CHILD, DECISIONS, EMERGENCY, Story},
};
use crate::http::text;
use anyhow::{Context, Result, bail};
use node::verify;
use serde_json::{Value, json};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// Long enough for several blocks, were any to come.
const STANDSTILL: Duration = Duration::from_secs(2);

impl Story<'_> {
    pub(crate) fn one_dies(&mut self) -> Result<()> {
        self.stage.heading("10  One institution's machine dies");
        let process = self.network.process(FAMILIES).unwrap_or_default();
        self.look();
        self.network.crash(FAMILIES)?;
        self.stage.say(&format!(
            "SIGKILL to process {process}, the node of {}: no farewell. At the children's \
             hospital another child is admitted, and families go on deciding.",
            self.network.members[FAMILIES].name
        ));
        let from = Instant::now();
        self.one_more(true)?;
        let deposited = from.elapsed();
        self.figures.add(Timed::RecordFinalWithoutOne, deposited);
        for turn in 0..DECISIONS {
            self.decision(turn, Timed::FinalWithoutOne)?;
        }
        let notes = [format!(
            "The new record is final after {:.1} s.",
            deposited.as_secs_f64()
        )];
        self.picture("While one is away", &notes);

        let ahead = self.height(CHILDRENS)?;
        let from = Instant::now();
        self.network.start(FAMILIES)?;
        self.network.wait_fresh(FAMILIES)?;
        wait_for("the node to catch up", || {
            let view = self.network.view(FAMILIES);
            Ok(view.filter(|view| view.height >= ahead).map(drop))
        })?;
        let caught_up = from.elapsed();
        self.figures.add(Timed::CaughtUp, caught_up);
        let notes = [format!(
            "Started again on the same disk, it had what it missed after {:.1} s.",
            caught_up.as_secs_f64()
        )];
        self.picture("It comes back", &notes);
        self.act(
            "one dies",
            json!({"deposit_final_ms": deposited.as_secs_f64() * 1e3, "height": ahead,
                "caught_up_ms": caught_up.as_secs_f64() * 1e3}),
        );
        Ok(())
    }

    pub(crate) fn quorum_is_lost(&mut self) -> Result<()> {
        self.stage.heading("11  Two die: there is no quorum");
        let desk = self.people.desk.clone();
        let restricted = json!({"restricted": true});
        let path = self.of(EMERGENCY, "restriction");
        self.sent(&desk, "PUT", &path, &restricted, true)?;
        self.drained(CHILDRENS)?;
        self.look();
        self.network.crash(FAMILIES)?;
        self.network.crash(LABORATORY)?;
        // What had the votes already may still become final.
        thread::sleep(STANDSTILL);
        let stuck = self.height(CHILDRENS)?;
        let waits = self.one_more(false)?;
        let grant = self.draft(SPECIALIST, 86_400_000);
        let path = self.of(CHILD, "grants");
        let granted = self.sent(&desk, "POST", &path, &grant, false)?;
        thread::sleep(STANDSTILL);
        let still = self.height(CHILDRENS)?;
        if still != stuck || granted["finality"]["state"] != "durable" {
            bail!("something became final without a quorum, at height {still}");
        }
        if self.receipt(waits)?.is_some() {
            bail!("a receipt was given for what no quorum agreed to");
        }
        let specialist = self.people.specialist.clone();
        let Err(why) = self.share(&specialist, CHILDRENS, CHILD, "TREAT", "phenotype")? else {
            bail!("a grant that is not final was enough for another institution");
        };
        let waiting = self.waiting(CHILDRENS)?;
        self.stage.say(&format!(
            "{} and {} are killed. Another child is admitted, and the first child's mother grants {SPECIALIST} the \
             findings again. Both are accepted and on disk. {SPECIALIST} asks: {} ({why}) What narrows binds at once; \
             what widens binds when the ledger has it.",
            self.network.members[FAMILIES].name,
            self.network.members[LABORATORY].name,
            self.stage.good("refused"),
        ));
        let notes = [format!(
            "{waiting} things wait on the disk of the children's hospital; no receipt is given for them."
        )];
        self.picture("Without a quorum", &notes);
        self.stage.say(
            "Were it to last longer than 60 s, that view of the ledger would be too old, and no other institution would \
             be answered at all. We do not wait for that here.",
        );
        let session = self.emergency()?;
        self.act(
            "no quorum",
            json!({"height": still, "waiting": waiting, "because": why, "emergency": session}),
        );
        Ok(())
    }

    /// Break-glass needs nobody's leave, and no quorum.
    fn emergency(&mut self) -> Result<Value> {
        let doctor = self.people.emergency.clone();
        if self.read(&doctor, EMERGENCY, "TREAT")?.status != 403 {
            bail!("a restricted record was read");
        }
        let asked =
            json!({"reason": "Unconscious child, seizures, history unknown", "minutes": 60});
        let path = self.of(EMERGENCY, "break-glass");
        let opened = self.sent(&doctor, "POST", &path, &asked, false)?;
        let read = self.read(&doctor, EMERGENCY, "BTG")?.value()?;
        let parent = self.parent(EMERGENCY)?;
        let sessions = format!(
            "/v1/break-glass?subject={}",
            self.families[EMERGENCY].subject
        );
        let sessions = self.got(&parent, &sessions)?;
        let notice = text(&list(&sessions).first().context("no notice was left")?["notice"]);
        let trail = self.trail(EMERGENCY)?;
        if !trail
            .iter()
            .any(|row| row["disclosure"] == read["disclosure"])
        {
            bail!("a read under break-glass is not in the log");
        }
        self.stage.say(
            "A child comes in unconscious, at night, in the middle of this. Its family had restricted the record: even \
             the hospital's own doctors are refused. The emergency doctor gives a reason and breaks the glass. It needs \
             nobody's leave and no quorum; the log has it before the record opens.",
        );
        self.stage
            .card("What that parent is told", std::slice::from_ref(&notice));
        Ok(
            json!({"session": opened["session"], "disclosure": read["disclosure"], "notice": notice}),
        )
    }

    pub(crate) fn quorum_is_back(&mut self) -> Result<()> {
        self.stage.heading("12  They come back");
        let from = Instant::now();
        self.network.start(FAMILIES)?;
        self.network.start(LABORATORY)?;
        self.network.wait_fresh(FAMILIES)?;
        self.network.wait_fresh(LABORATORY)?;
        self.drained(CHILDRENS)?;
        let took = from.elapsed();
        self.figures.add(Timed::Drained, took);
        let notes = [format!(
            "Nothing waits any more, {:.1} s after the two were started again.",
            took.as_secs_f64()
        )];
        self.picture("All four again", &notes);

        let waited = self.families.len() - 1;
        self.receipt(waited)?
            .context("what waited has no receipt")?;
        let specialist = self.people.specialist.clone();
        wait_for("the new grant to bind", || {
            let asked = self.share(&specialist, CHILDRENS, CHILD, "TREAT", "phenotype")?;
            Ok(asked.is_ok().then_some(()))
        })?;
        let seen = self.acts.last().context("no act came before")?["seen"]["emergency"].clone();
        let review =
            json!({"verdict": "justified", "note": "Emergency admission confirmed by the ward"});
        let rest = format!("break-glass/{}/review", text(&seen["session"]));
        let officer = self.people.officer.clone();
        let path = self.of(EMERGENCY, &rest);
        let reviewed = self.sent(&officer, "POST", &path, &review, false)?;
        let (count, height) = self.disclosure_proved(&seen["disclosure"])?;
        self.stage.say(&format!(
            "The child that was admitted meanwhile has a receipt, and the mother's grant binds: {SPECIALIST} reads. The \
             doctor's look through the broken glass is reviewed by a second person ({}), and proved: at height {height} \
             the hospital committed to the {count} accesses and refusals of that record in those two seconds.",
            text(&reviewed["review"]["verdict"])
        ));
        self.act(
            "quorum back",
            json!({"drained_ms": took.as_secs_f64() * 1e3, "verdict": reviewed["review"]["verdict"],
                "disclosures_proved": count, "height": height}),
        );
        Ok(())
    }

    /// Proves the period of a disclosure of the emergency's family, offline; how many there were in it, and the
    /// height of the commitment.
    fn disclosure_proved(&self, disclosure: &Value) -> Result<(u64, u64)> {
        let trail = self.trail(EMERGENCY)?;
        let row = trail.iter().find(|row| row["disclosure"] == *disclosure);
        let period = &row.context("the disclosure is not in the log")?["period"];
        let parent = self.parent(EMERGENCY)?;
        let path = self.of(EMERGENCY, &format!("disclosures/proof?period={period}"));
        let proof = wait_for("the period's proof", || {
            let answer = self.ask(&parent, "GET", &path, None, false)?;
            Ok((answer.status == 200).then_some(answer.body))
        })?;
        let genesis = verify::genesis(&fs::read(&self.network.genesis)?)?;
        let verdict = verify::disclosure(&proof, &genesis, None)?;
        if verdict.count == 0 {
            bail!("the proof leaves out the read under break-glass");
        }
        Ok((verdict.count, verdict.height))
    }

    fn height(&self, at: usize) -> Result<u64> {
        let view = self.network.view(at);
        Ok(view.context("a node that runs does not answer")?.height)
    }

    /// The receipt of a family's record, once it is final.
    pub(crate) fn receipt(&self, family: usize) -> Result<Option<Vec<u8>>> {
        let record = self.families[family].records.first();
        let rest = format!("records/{}/receipt", record.context("no record")?);
        let answer = self.ask(
            &self.people.desk,
            "GET",
            &self.of(family, &rest),
            None,
            false,
        )?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            202 => Ok(None),
            _ => Err(answer.value().err().context("no receipt")?),
        }
    }
}
