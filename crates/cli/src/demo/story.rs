//! The story: a child, a parent, a specialist, those who are refused, an emergency, a farewell.

use super::{
    cast::{self, Case, LOCUM, People, SPECIALIST, words},
    figures::Figures,
    stage::Stage,
};
use crate::running::Running;
use anyhow::{Context, Result, bail};
use codec::Category;
use consent::{
    Controller, ControllerRole, Grantee, Label, PractitionerAt, PractitionerId, Purpose, Reason,
    Records, Selection, break_glass::Verdict,
};
use node::{
    Ambient, Caller, Error, Handle, InstitutionId, Millis, RecordId, SubjectId,
    break_glass::{BreakGlassOpen, BreakGlassQuery, BreakGlassReview},
    consent_change::{ConsentChange, ConsentDesk, ConsentQuery, GrantDraft},
    disclosure::{DisclosureQuery, Outcome},
    erase::Erase,
    record::{Content, Fetch, Fetched, Payload, Provenance, Submission},
    subject::{SubjectOpen, Wait},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration, time::Instant};

const DAY_MS: u64 = 86_400_000;
const FINAL: Wait = Wait::Final { timeout_ms: 20_000 };

/// A family in the demo: its subject, and its case's record.
pub(crate) struct Family {
    pub(crate) subject: SubjectId,
    pub(crate) records: Vec<RecordId>,
    pub(crate) case: Option<Case>,
    pub(crate) erased: bool,
}

/// The story so far.
pub(crate) struct Story<'a> {
    stage: &'a Stage,
    pub(crate) node: Handle,
    clock: Ambient,
    pub(crate) people: People,
    pub(crate) families: Vec<Family>,
    pub(crate) figures: Figures,
    pub(crate) acts: Vec<Value>,
}

/// The family the story is about, the one of the emergency, the one that leaves.
const CHILD: usize = 0;
const EMERGENCY: usize = 1;
const LEAVING: usize = 2;

impl<'a> Story<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        running: &Running,
        clock: Ambient,
        ready_ms: f64,
    ) -> Result<Self> {
        let mut other = [0_u8; 16];
        crate::entropy::fill(&mut other)?;
        Ok(Self {
            stage,
            node: running.handle(),
            clock,
            people: People {
                hospital: running.institution(),
                elsewhere: InstitutionId::new(other),
            },
            families: Vec::new(),
            figures: Figures::new(ready_ms),
            acts: Vec::new(),
        })
    }

    pub(crate) async fn tell(&mut self) -> Result<()> {
        let mut cases = cast::cases()?;
        // The story opens on a young child: the first one under six that the index names.
        if let Some(at) = cases.iter().position(|c| c.label.ends_with(" 4 years")) {
            cases.swap(0, at);
        }
        self.child(cases)?;
        self.deposits().await?;
        self.grant().await?;
        self.specialist_reads().await?;
        self.refusals().await?;
        self.parent_looks().await?;
        self.revocation().await?;
        self.emergency().await?;
        self.farewell().await
    }

    fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    fn act(&mut self, name: &str, value: Value) {
        self.acts.push(json!({"act": name, "seen": value}));
    }

    fn child(&mut self, cases: Vec<Case>) -> Result<()> {
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
        self.act("a child", value);
        self.families = cases
            .into_iter()
            .map(|case| Family {
                subject: SubjectId::new([0; 32]),
                records: Vec::new(),
                case: Some(case),
                erased: false,
            })
            .collect();
        Ok(())
    }

    async fn deposits(&mut self) -> Result<()> {
        self.stage.heading("1  The hospital keeps the records");
        let bundles = cast::bundles()?;
        let total = self.families.len() + bundles.len();
        for at in 0..self.families.len() {
            let bytes = self.families[at]
                .case
                .as_ref()
                .map(|c| c.bytes.clone())
                .unwrap_or_default();
            let subject = self.open(at).await?;
            let records = self
                .deposit(subject, Payload::Phenopacket(Content::new(bytes)))
                .await?;
            let family = &mut self.families[at];
            family.subject = subject;
            family.records = records;
            self.stage.progress(at + 1, total, "records deposited");
        }
        let mut resources = 0;
        for (at, bundle) in bundles.into_iter().enumerate() {
            let subject = self.open(self.families.len()).await?;
            let records = self
                .deposit(subject, Payload::FhirBundle(Content::new(bundle)))
                .await?;
            resources += records.len();
            self.families.push(Family {
                subject,
                records,
                case: None,
                erased: false,
            });
            self.stage.progress(24 + at + 1, total, "records deposited");
        }
        self.stage.say(&format!(
            "24 published cases and 3 synthetic FHIR bundles ({resources} resources) deposited: each sealed under \
             its own family's key, durable on disk, and on its way to the ledger as a salted commitment.",
        ));
        let phrase = self
            .figures
            .wait_for_final(&self.node, self.people.desk()?, &self.families)
            .await?;
        self.stage.say(&phrase);
        self.act(
            "deposits",
            json!({"phenopackets": 24, "fhir_resources": resources}),
        );
        Ok(())
    }

    async fn open(&self, number: usize) -> Result<SubjectId> {
        let mother = Controller {
            slot: 0,
            role: ControllerRole::Guardian,
            label: Label::new("Mother")?,
            until: None,
        };
        let opened = self
            .node
            .subject_open(SubjectOpen {
                caller: self.people.desk()?,
                controllers: vec![mother],
                matures: None,
                client_key: Some(format!("demo-{number}")),
                wait: Wait::Durable,
            })
            .await?;
        Ok(opened.subject)
    }

    async fn deposit(&mut self, subject: SubjectId, payload: Payload) -> Result<Vec<RecordId>> {
        let from = Instant::now();
        let deposited = self
            .node
            .record_deposit(Submission {
                caller: self.people.laboratory()?,
                subject,
                payload,
                record: None,
                client_key: None,
                expect_version: None,
                provenance: Provenance {
                    source: "demo".into(),
                    note: String::new(),
                },
                wait: Wait::Durable,
            })
            .await?;
        self.figures.deposit(from.elapsed());
        Ok(deposited.records.iter().map(|r| r.record).collect())
    }

    async fn grant(&mut self) -> Result<()> {
        self.stage.heading("2  The parent decides");
        let now = self.now();
        let to = |name: &str| -> Result<Grantee> {
            Ok(Grantee::Practitioner(PractitionerAt {
                institution: self.people.elsewhere,
                practitioner: PractitionerId::new(name)?,
            }))
        };
        let draft = |grantee, until| GrantDraft {
            grantee,
            purposes: [Purpose::Treat].into(),
            categories: [Category::Phenotype].into(),
            from: Millis::new(now),
            until: Millis::new(until),
            exceptions: BTreeSet::new(),
        };
        let specialist = draft(to(SPECIALIST)?, now + 30 * DAY_MS);
        let locum = draft(to(LOCUM)?, now + 4_000);
        let from = Instant::now();
        self.desk(
            CHILD,
            vec![
                ConsentChange::GrantAdd(specialist),
                ConsentChange::GrantAdd(locum),
            ],
            FINAL,
        )
        .await?;
        self.figures.consent(from.elapsed());
        let shown = self
            .node
            .consent_show(ConsentQuery {
                caller: self.people.parent(self.families[CHILD].subject)?,
                subject: self.families[CHILD].subject,
            })
            .await?;
        let mut lines: Vec<String> = shown
            .grants
            .iter()
            .map(|g| format!("• {}", g.sentence))
            .collect();
        lines.extend(shown.notes.iter().map(|n| format!("• {n}")));
        lines.push(consent::listing::COPIES_REMAIN.to_owned());
        self.stage
            .card("What the parent sees: who may see what", &lines);
        if !shown.opening_matches {
            bail!("the consent state does not open the leaf on the ledger");
        }
        self.stage.say("The ledger holds a salted commitment to exactly this list. It never shows who was granted what.");
        self.act("grant", json!({"sentences": lines}));
        Ok(())
    }

    async fn desk(&self, family: usize, changes: Vec<ConsentChange>, wait: Wait) -> Result<u64> {
        let accepted = self
            .node
            .consent_desk(ConsentDesk {
                caller: self.people.desk()?,
                subject: self.families[family].subject,
                expect_sequence: None,
                changes,
                wait,
            })
            .await?;
        Ok(accepted.sequence)
    }

    async fn fetch(
        &mut self,
        caller: Caller,
        purpose: Purpose,
        family: usize,
        categories: &[Category],
    ) -> Result<Fetched, Error> {
        let family = &self.families[family];
        let from = Instant::now();
        let fetched = self
            .node
            .record_fetch(Fetch {
                caller,
                purpose,
                study: None,
                subject: family.subject,
                selection: Selection {
                    categories: categories.iter().copied().collect(),
                    records: Records::Only(family.records.iter().copied().take(1).collect()),
                },
                partial: false,
                version: None,
            })
            .await;
        self.figures.read(from.elapsed());
        fetched
    }

    async fn specialist_reads(&mut self) -> Result<()> {
        self.stage.heading("3  The specialist reads exactly that");
        let specialist = self.people.specialist()?;
        let fetched = self
            .fetch(specialist, Purpose::Treat, CHILD, &[Category::Phenotype])
            .await?;
        let record = fetched
            .records
            .first()
            .context("the grant gave no record")?;
        let got: Vec<Category> = record.projections.iter().map(|p| p.category).collect();
        if got != [Category::Phenotype] || record.stored_form.is_some() {
            bail!("the specialist got {}, more than was granted", words(&got));
        }
        let bytes = record.projections[0].bytes.as_bytes();
        let projection: Value = serde_json::from_slice(bytes)?;
        let labels: Vec<String> = projection["phenotypicFeatures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|f| f["excluded"] != true)
            .filter_map(|f| f["type"]["label"].as_str().map(str::to_owned))
            .collect();
        let members: Vec<String> = projection
            .as_object()
            .into_iter()
            .flat_map(|o| o.keys().cloned())
            .collect();
        self.stage.card(
            &format!("What {SPECIALIST} sees, at another institution"),
            &[
                format!("Findings  {}", labels.join(" · ")),
                format!("Received  {} bytes: {}", bytes.len(), members.join(", ")),
                "Not received: identity, genomic, laboratory, vitals, documents".to_owned(),
                format!("Because   {}", fetched.permit.basis),
            ],
        );
        self.act(
            "specialist",
            json!({"categories": words(&got), "bytes": bytes.len(), "members": members}),
        );
        Ok(())
    }

    async fn refusals(&mut self) -> Result<()> {
        self.stage
            .heading("4  Everybody else is refused, with the reason");
        // The locum's grant ends while we watch.
        let patience = Instant::now();
        while patience.elapsed() < Duration::from_secs(10) {
            let locum = self.people.locum()?;
            if self
                .fetch(locum, Purpose::Treat, CHILD, &[Category::Phenotype])
                .await
                .is_err()
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let asked = [
            (
                "stranger",
                self.people.stranger()?,
                Purpose::Treat,
                Category::Phenotype,
            ),
            (
                "wrong purpose",
                self.people.specialist()?,
                Purpose::Hresch,
                Category::Phenotype,
            ),
            (
                "wrong category",
                self.people.specialist()?,
                Purpose::Treat,
                Category::Genomic,
            ),
            (
                "expired grant",
                self.people.locum()?,
                Purpose::Treat,
                Category::Phenotype,
            ),
        ];
        let mut rows = Vec::new();
        for (what, caller, purpose, category) in asked {
            let who = caller.actor.practitioner.to_string();
            match self.fetch(caller, purpose, CHILD, &[category]).await {
                Ok(_) => bail!("{what}: {who} was not refused"),
                Err(Error::Denied { denial, .. }) => rows.push(vec![
                    what.to_owned(),
                    who,
                    purpose.to_string(),
                    category.as_str().to_owned(),
                    denial
                        .missing
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("; "),
                ]),
                Err(other) => return Err(other.into()),
            }
        }
        self.stage
            .table(&["", "who", "for", "asked for", "refused because"], &rows);
        self.act("refusals", json!(rows));
        Ok(())
    }

    async fn parent_looks(&mut self) -> Result<()> {
        self.stage.heading("5  The parent sees who looked");
        let subject = self.families[CHILD].subject;
        let list = self.node.disclosure_list(DisclosureQuery {
            caller: self.people.parent(subject)?,
            subject,
            from: Millis::new(0),
            until: Millis::new(self.now() + 1),
        });
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut count = 0;
        for seen in list.await?.disclosures {
            count += 1;
            let outcome = match &seen.outcome {
                Outcome::Permitted(_) => "looked",
                Outcome::Refused(_) => "refused",
            };
            let row = vec![
                seen.practitioner.to_string(),
                outcome.to_owned(),
                seen.purpose.to_string(),
                words(&seen.categories),
            ];
            // The locum asked until it was refused: one line will do.
            if rows.last() != Some(&row) {
                rows.push(row);
            }
        }
        self.stage.table(&["who", "", "for", "what"], &rows);
        self.stage.say(&format!(
            "{count} accesses and refusals, each on disk before anything was opened. Every period's list is committed \
             to on the ledger, so that leaving one out would show.",
        ));
        self.act("who looked", json!(rows));
        Ok(())
    }

    async fn revocation(&mut self) -> Result<()> {
        self.stage.heading("6  The parent changes her mind");
        let subject = self.families[CHILD].subject;
        let shown = self
            .node
            .consent_show(ConsentQuery {
                caller: self.people.parent(subject)?,
                subject,
            })
            .await?;
        let revoked: Vec<ConsentChange> = shown
            .latest
            .grants
            .iter()
            .map(|g| ConsentChange::GrantRevoke(g.id))
            .collect();
        let from = Instant::now();
        self.desk(CHILD, revoked, Wait::Durable).await?;
        let accepted_ms = from.elapsed().as_secs_f64() * 1e3;
        let specialist = self.people.specialist()?;
        let Err(Error::Denied { denial, .. }) = self
            .fetch(specialist, Purpose::Treat, CHILD, &[Category::Phenotype])
            .await
        else {
            bail!("a revoked grant was not refused at once");
        };
        let why = denial
            .missing
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        self.stage.say(&format!(
            "Revoked. Accepted in {accepted_ms:.1} ms and binding from that moment, before the ledger has finalised \
             it. {SPECIALIST} asks again: {} ({why}).",
            self.stage.good("refused"),
        ));
        self.act(
            "revocation",
            json!({"accepted_ms": accepted_ms, "because": why}),
        );
        Ok(())
    }

    async fn emergency(&mut self) -> Result<()> {
        self.stage.heading("7  An emergency at night");
        let subject = self.families[EMERGENCY].subject;
        self.desk(EMERGENCY, vec![ConsentChange::Restrict(true)], FINAL)
            .await?;
        let doctor = self.people.emergency()?;
        if self
            .fetch(
                doctor.clone(),
                Purpose::Treat,
                EMERGENCY,
                &[Category::Phenotype],
            )
            .await
            .is_ok()
        {
            bail!("a restricted record was read");
        }
        let opened = self
            .node
            .break_glass_open(BreakGlassOpen {
                caller: doctor.clone(),
                subject,
                reason: Reason::new("Unconscious child, seizures, history unknown")?,
                minutes: 60,
            })
            .await?;
        let read = self
            .fetch(doctor, Purpose::Btg, EMERGENCY, &[Category::Phenotype])
            .await?;
        let seen = self
            .node
            .break_glass_list(BreakGlassQuery {
                caller: self.people.parent(subject)?,
                subject: Some(subject),
            })
            .await?;
        let notice = seen
            .first()
            .map(|s| s.notice.clone())
            .context("no notice was left")?;
        let reviewed = self
            .node
            .break_glass_review(BreakGlassReview {
                caller: self.people.officer()?,
                subject,
                session: opened.session,
                verdict: Verdict::Justified,
                note: Reason::new("Emergency admission confirmed by the ward")?,
            })
            .await?;
        self.stage.say(
            "Another family had restricted its record: even the hospital's own doctors are refused. Its child comes in \
             unconscious. The emergency doctor gives a reason and breaks the glass; it needs nobody's leave and no quorum.",
        );
        self.stage
            .card("What that parent is told", std::slice::from_ref(&notice));
        self.stage.say(&format!(
            "{} record read under break-glass; reviewed by a second person: {}.",
            read.records.len(),
            reviewed
                .review
                .map_or("not yet".to_owned(), |r| r.verdict.to_string()),
        ));
        self.act(
            "emergency",
            json!({"notice": notice, "records": read.records.len()}),
        );
        Ok(())
    }

    async fn farewell(&mut self) -> Result<()> {
        self.stage.heading("8  A family leaves");
        let subject = self.families[LEAVING].subject;
        let doctor = self.people.clinician()?;
        self.fetch(
            doctor.clone(),
            Purpose::Treat,
            LEAVING,
            &[Category::Phenotype],
        )
        .await?;
        let from = Instant::now();
        let erased = self
            .node
            .erase(Erase {
                caller: self.people.parent(subject)?,
                subject,
            })
            .await?;
        let took_ms = from.elapsed().as_secs_f64() * 1e3;
        let why = match self
            .fetch(doctor, Purpose::Treat, LEAVING, &[Category::Phenotype])
            .await
        {
            Ok(_) => bail!("an erased record was read"),
            Err(error) => error.to_string(),
        };
        self.families[LEAVING].erased = true;
        self.stage.say(&format!(
            "Their key is destroyed in {took_ms:.0} ms: no file of this hospital opens their records again, nor does a \
             backup's copy of the store. They take along the list of the {} accesses there were, with the key that proves it. The \
             clinician asks once more: {} ({why}).",
            erased.handover.disclosures.len(),
            self.stage.good("refused"),
        ));
        self.act(
            "farewell",
            json!({"disclosures_handed_over": erased.handover.disclosures.len(), "refusal": why}),
        );
        Ok(())
    }
}
