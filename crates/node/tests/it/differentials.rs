//! The node's own differentials: when they are made, who hears of them, who may read them, what they rest on.

use std::sync::{Arc, OnceLock};

use crate::world::{World, actor, final_wait, run, specialist};
use futures::StreamExt;
use node::consent_change::ConsentChange;
use node::differential::{
    Cause, Diagnose, DifferentialChanges, DifferentialQuery, DifferentialShown, HearQuery,
    Knowledge, TermQuery, TurnKind,
};
use node::disclosure::DisclosureQuery;
use node::event::{Event, Events};
use node::record::{Content, Payload, Submission};
use node::{Caller, Error, Kind, Millis, Purpose, RecordId, Role, SubjectId};
use ontology::{Ontology, Shipped, Source, SourceKind, Sources};

/// Marfan syndrome, and what a child with it shows, most general first.
const DISEASE: &str = "OMIM:154700";
const GENERAL: [&str; 1] = ["HP:0000098"];
const TELLING: [&str; 5] = [
    "HP:0001083",
    "HP:0001166",
    "HP:0002616",
    "HP:0000768",
    "HP:0001065",
];

pub(crate) fn known() -> Arc<Knowledge> {
    static KNOWN: OnceLock<Arc<Knowledge>> = OnceLock::new();
    let known = || knowledge(|line| line.to_owned());
    KNOWN.get_or_init(known).clone()
}

/// Knowledge from before anybody had described the disease.
fn earlier() -> Arc<Knowledge> {
    static EARLIER: OnceLock<Arc<Knowledge>> = OnceLock::new();
    let known = || {
        knowledge(|lines| {
            let kept = lines.lines().filter(|line| !line.starts_with(DISEASE));
            kept.collect::<Vec<_>>().join("\n") + "\n"
        })
    };
    EARLIER.get_or_init(known).clone()
}

fn knowledge(annotations: impl Fn(&str) -> String) -> Arc<Knowledge> {
    let shipped = Shipped::unpack();
    let whole = shipped.source(SourceKind::Annotations);
    let edited = annotations(std::str::from_utf8(whole.bytes).unwrap());
    let sources = Sources::from_fn(|kind| match kind {
        SourceKind::Annotations => Source {
            bytes: edited.as_bytes(),
            ..whole
        },
        kind => shipped.source(kind),
    });
    Arc::new(Knowledge::new(Ontology::from_sources(&sources).unwrap()).unwrap())
}

pub(crate) async fn world(context: crate::world::Context, knowledge: Arc<Knowledge>) -> World {
    let mut world = World::founded(context).await;
    world.knowledge = Some(knowledge);
    world.start().await;
    world
}

/// A phenopacket with these findings; with the diagnosis, if it is solved.
pub(crate) fn packet(id: &str, findings: &[&str], solved: bool) -> Vec<u8> {
    let findings: Vec<String> = findings
        .iter()
        .map(|id| format!(r#"{{"type": {{"id": "{id}", "label": ""}}}}"#))
        .collect();
    let diagnosis = format!(
        r#""interpretations": [{{"id": "i", "progressStatus": "SOLVED", "diagnosis": {{
            "disease": {{"id": "{DISEASE}", "label": "Marfan syndrome"}},
            "genomicInterpretations": [{{"subjectOrBiosampleId": "kim", "interpretationStatus": "CAUSATIVE",
            "gene": {{"valueId": "HGNC:3603", "symbol": "FBN1"}}}}]}}}}],"#
    );
    format!(
        r#"{{"id": "{id}", "subject": {{"id": "kim", "sex": "FEMALE"}},
        "phenotypicFeatures": [{}], {}
        "metaData": {{"created": "2026-01-01T00:00:00Z", "createdBy": "test",
        "phenopacketSchemaVersion": "2.0", "resources": []}}}}"#,
        findings.join(","),
        if solved { diagnosis.as_str() } else { "" }
    )
    .into_bytes()
}

impl World {
    pub(crate) async fn found(
        &self,
        subject: SubjectId,
        id: &str,
        findings: &[&str],
        solved: bool,
    ) -> RecordId {
        let deposited = self
            .handle()
            .record_deposit(Submission {
                caller: self.clinician(),
                subject,
                payload: Payload::Phenopacket(Content::new(packet(id, findings, solved))),
                record: None,
                client_key: None,
                expect_version: None,
                provenance: Default::default(),
                wait: final_wait(),
            })
            .await
            .unwrap();
        assert!(deposited.finality.is_final());
        // The node's own work goes on beside the answer.
        self.sleep_ms(2_000).await;
        deposited.records[0].record
    }

    pub(crate) async fn differential(
        &self,
        caller: Caller,
        subject: SubjectId,
    ) -> Result<DifferentialShown, Error> {
        self.handle()
            .differential(DifferentialQuery {
                caller,
                purpose: Purpose::Treat,
                subject,
                limit: 10,
                is_look: true,
            })
            .await
    }

    async fn news(&self, caller: Caller) -> Vec<SubjectId> {
        let changes = self
            .handle()
            .differential_changes(DifferentialChanges { caller });
        changes
            .await
            .unwrap()
            .news
            .into_iter()
            .map(|news| news.subject)
            .collect()
    }

    /// The channels of a subject's disclosures, refusals marked.
    pub(crate) async fn trail(&self, subject: SubjectId) -> Vec<String> {
        let list = self
            .handle()
            .disclosure_list(DisclosureQuery {
                caller: self.officer(),
                subject,
                from: Millis::ZERO,
                until: Millis::new(u64::MAX),
            })
            .await
            .unwrap();
        let acts = list.disclosures.iter().map(|view| view.act.clone());
        acts.map(Option::unwrap_or_default).collect()
    }

    pub(crate) async fn posterior(&self, subject: SubjectId) -> f64 {
        let shown = self.differential(self.clinician(), subject).await.unwrap();
        let of = shown
            .answer
            .candidates
            .iter()
            .find(|c| c.disease.id == DISEASE);
        of.map_or(0.0, |candidate| candidate.probability)
    }
}

fn told(events: &mut Events) -> Vec<SubjectId> {
    let mut told = Vec::new();
    while let Some(Some(event)) = futures::FutureExt::now_or_never(events.next()) {
        if let Event::DifferentialChanged { subject } = event {
            told.push(subject);
        }
    }
    told
}

#[test]
fn findings_arrive_and_the_answer_is_told_once_it_can_be_given() {
    run(1, |context| async move {
        let world = world(context, known()).await;
        let mut events = world.handle().events();
        let kim = world.subject().await;
        world.found(kim, "first", &GENERAL, false).await;
        assert_eq!(told(&mut events), []);
        assert_eq!(world.news(world.clinician()).await, []);
        let shown = world.differential(world.clinician(), kim).await.unwrap();
        assert!(shown.answer.abstained.is_some(), "one general finding");
        assert_eq!(shown.answer.statement, answer::STATEMENT);

        let record = world.found(kim, "second", &TELLING, false).await;
        assert_eq!(told(&mut events), [kim]);
        assert_eq!(world.news(world.clinician()).await, [kim]);
        let shown = world.differential(world.clinician(), kim).await.unwrap();
        assert_eq!(shown.answer.candidates[0].disease.id, DISEASE);
        // Both records speak in one answer.
        assert_eq!(
            shown.answer.understood.observed.len(),
            GENERAL.len() + TELLING.len()
        );
        let course = shown.course.unwrap();
        let change = &course.changes[0];
        assert_eq!(
            (change.kind, change.cause),
            (TurnKind::Findable, Cause::Records)
        );
        assert!(change.is_news && change.disease == DISEASE);
        assert_eq!(course.findable, [(DISEASE.to_owned(), change.at)]);
        // Who has looked is not told again.
        assert_eq!(world.news(world.clinician()).await, []);
        let again = world.differential(world.clinician(), kim).await.unwrap();
        assert!(!again.course.unwrap().changes[0].is_news);
        assert!(!format!("{:?}", again.answer).contains("HP:"));
        let _ = record;
    });
}

#[test]
fn every_reading_is_logged_also_the_nodes_own() {
    run(2, |context| async move {
        let world = world(context, known()).await;
        let kim = world.subject().await;
        world.found(kim, "first", &TELLING, false).await;
        let before = world.trail(kim).await;
        let own = before
            .iter()
            .filter(|row| row.contains("phenotype-profile"));
        assert_eq!(own.count(), 1, "{before:?}");
        world.news(world.clinician()).await;
        world.differential(world.clinician(), kim).await.unwrap();
        let after = world.trail(kim).await;
        for channel in ["differential", "differential-changes"] {
            assert!(
                after.iter().any(|row| row == channel),
                "{channel} {after:?}"
            );
        }
        // The same records again are not read again.
        world.sleep_ms(200_000).await;
        let own = world.trail(kim).await;
        let own = own.iter().filter(|row| row.contains("phenotype-profile"));
        assert_eq!(own.count(), 1);
    });
}

#[test]
fn it_is_for_clinicians_who_may_see_it_and_for_nobody_else() {
    run(3, |context| async move {
        let world = world(context, known()).await;
        let kim = world.subject().await;
        world.found(kim, "first", &TELLING, true).await;
        let others = [
            Role::Nurse,
            Role::Desk,
            Role::Laboratory,
            Role::Researcher,
            Role::Operator,
        ];
        let mut refused: Vec<Caller> = others
            .iter()
            .map(|role| Caller::staff(actor(world.id, "somebody", *role)))
            .collect();
        refused.push(world.parent(kim, 1));
        refused.push(world.officer());
        for caller in refused {
            let error = world.differential(caller.clone(), kim).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Forbidden, "{caller:?}");
            let changes = DifferentialChanges {
                caller: caller.clone(),
            };
            assert!(world.handle().differential_changes(changes).await.is_err());
            let case = Content::new(b"HP:0001166".to_vec());
            let diagnose = Diagnose {
                caller,
                case,
                limit: 5,
            };
            assert!(world.handle().diagnose(diagnose).await.is_err());
        }
        let error = world.differential(specialist(), kim).await.unwrap_err();
        assert!(matches!(error, Error::Elsewhere));
        // An emergency clinician sees no genes, and no course that rests on them.
        let shown = world.differential(world.emergency(), kim).await.unwrap();
        assert!(shown.answer.understood.genes.is_empty() && shown.course.is_none());
        let whole = world.differential(world.clinician(), kim).await.unwrap();
        assert_eq!(whole.answer.understood.genes.len(), 1);
        // That something changed hear those who act for the subject; staff reads, and that is logged.
        let heard = |caller| {
            world.handle().may_hear(HearQuery {
                caller,
                subject: kim,
            })
        };
        assert!(!heard(world.clinician()).await.unwrap());
        assert!(heard(world.parent(kim, 1)).await.unwrap());
        assert!(!heard(world.parent(kim, 0)).await.unwrap());
        assert!(!heard(world.desk()).await.unwrap());
        assert!(!heard(specialist()).await.unwrap());
    });
}

#[test]
fn what_is_due_is_done_after_a_crash() {
    run(4, |context| async move {
        let mut world = world(context, known()).await;
        let kim = world.subject().await;
        let mut submission = world.phenopacket(kim, "x");
        submission.payload = Payload::Phenopacket(Content::new(packet("x", &TELLING, false)));
        // Accepted, and nothing more: no batch, no block, no profile.
        world.handle().record_deposit(submission).await.unwrap();
        world.restart().await;
        world.sleep_ms(2_000).await;
        assert_eq!(world.news(world.clinician()).await, [kim]);
        // News outlives the process too.
        world.restart().await;
        world.sleep_ms(2_000).await;
        assert_eq!(world.news(world.clinician()).await, [kim]);
    });
}

#[test]
fn newer_knowledge_reopens_an_unsolved_case() {
    run(5, |context| async move {
        let mut world = world(context, earlier()).await;
        let kim = world.subject().await;
        world.found(kim, "all", &TELLING, false).await;
        assert!(world.posterior(kim).await == 0.0, "it is not known yet");
        let since = world.now();
        world.knowledge = Some(known());
        world.restart().await;
        world.sleep_ms(2_000).await;
        assert_eq!(world.news(world.clinician()).await, [kim]);
        let shown = world.differential(world.clinician(), kim).await.unwrap();
        let course = shown.course.unwrap();
        let (_, at) = course
            .findable
            .iter()
            .find(|(disease, _)| disease == DISEASE)
            .unwrap();
        assert!(*at >= since);
        let change = course.changes.last().unwrap();
        assert_eq!(
            (change.cause, change.disease.as_str()),
            (Cause::Knowledge, DISEASE)
        );
        assert!(change.is_news);
        // The records too were read again, once.
        let read = |trail: &[String]| {
            trail
                .iter()
                .filter(|act| *act == "phenotype-profile")
                .count()
        };
        assert_eq!(read(&world.trail(kim).await), 2);
        // Once is enough: the same knowledge does not make the answers again.
        world.restart().await;
        world.sleep_ms(2_000).await;
        assert_eq!(world.news(world.clinician()).await, []);
    });
}

#[test]
fn under_restriction_nothing_is_made() {
    run(8, |context| async move {
        let world = world(context, known()).await;
        let kim = world.subject().await;
        world
            .consent(kim, ConsentChange::Restrict(true), final_wait())
            .await
            .unwrap();
        let mut events = world.handle().events();
        world.found(kim, "kim", &TELLING, false).await;
        assert_eq!(told(&mut events), []);
        assert!(world.differential(world.clinician(), kim).await.is_err());
        world
            .consent(kim, ConsentChange::Restrict(false), final_wait())
            .await
            .unwrap();
        world.sleep_ms(2_000).await;
        assert_eq!(told(&mut events), [kim]);
    });
}

#[test]
fn cases_without_a_subject_and_terms() {
    run(9, |context| async move {
        let world = world(context, known()).await;
        let diagnose = |case: &[u8], limit| Diagnose {
            caller: world.clinician(),
            case: Content::new(case.to_vec()),
            limit,
        };
        let list = "Ectopia lentis\nArachnodactyly\nHP:0002616\nno seizures\n";
        let answer = world
            .handle()
            .diagnose(diagnose(list.as_bytes(), 3))
            .await
            .unwrap();
        assert_eq!(answer.candidates.len(), 3);
        assert_eq!(answer.candidates[0].disease.id, DISEASE);
        for (case, limit) in [("{", 3), ("[1]", 3), ("", 3), (list, 0), (list, 101)] {
            let error = world
                .handle()
                .diagnose(diagnose(case.as_bytes(), limit))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{case}");
        }
        let search = |text: &str| TermQuery {
            caller: world.desk(),
            text: text.to_owned(),
            limit: 5,
        };
        let found = world
            .handle()
            .term_search(search("arachnod"))
            .await
            .unwrap();
        assert_eq!(found[0].id, "HP:0001166");
        assert!(
            world
                .handle()
                .term_search(search(""))
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            world
                .handle()
                .term_search(search(&"x".repeat(1_000)))
                .await
                .is_err()
        );
    });
}

#[test]
fn without_knowledge_nothing_is_made_and_it_is_said() {
    run(10, |context| async move {
        let mut world = World::new(context).await;
        let kim = world.subject().await;
        world.found(kim, "kim", &TELLING, false).await;
        let error = world
            .differential(world.clinician(), kim)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        // What came meanwhile is made up for once there is knowledge.
        world.knowledge = Some(known());
        world.restart().await;
        world.sleep_ms(2_000).await;
        assert_eq!(world.news(world.clinician()).await, [kim]);
    });
}

#[test]
fn an_answer_that_comes_by_small_steps_is_told_too() {
    run(12, |context| async move {
        let world = world(context, known()).await;
        let mut events = world.handle().events();
        let kim = world.subject().await;
        let mut posteriors = Vec::new();
        for (n, finding) in GENERAL.iter().chain(&TELLING).enumerate() {
            world.found(kim, &format!("{n}"), &[finding], false).await;
            posteriors.push(world.posterior(kim).await);
        }
        // However it came there, it is above the line and was below it.
        assert!(
            posteriors[0] < 0.25 && posteriors[5] >= 0.25,
            "{posteriors:?}"
        );
        assert!(!told(&mut events).is_empty(), "{posteriors:?}");
        let shown = world.differential(world.clinician(), kim).await.unwrap();
        let course = shown.course.unwrap();
        assert!(
            course
                .findable
                .iter()
                .any(|(disease, _)| disease == DISEASE)
        );
    });
}

#[test]
fn what_devices_measure_leaves_room_for_findings() {
    run(16, |context| async move {
        let world = world(context, known()).await;
        let kim = world.subject().await;
        let rate = |n: usize| {
            format!(
                r#"{{"resourceType": "Observation", "status": "final", "effectiveDateTime": "2026-01-01",
                "category": [{{"coding": [{{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "vital-signs"}}]}}],
                "code": {{"coding": [{{"system": "http://loinc.org", "code": "8867-4"}}]}},
                "valueQuantity": {{"value": {n}}}}}"#
            )
        };
        for n in 0..3 {
            let mut submission = world.phenopacket(kim, &format!("r{n}"));
            submission.payload = Payload::FhirResource(Content::new(rate(n).into_bytes()));
            world.handle().record_deposit(submission).await.unwrap();
        }
        world.found(kim, "kim", &TELLING, false).await;
        let shown = world.differential(world.clinician(), kim).await.unwrap();
        assert_eq!(shown.answer.candidates[0].disease.id, DISEASE);
        let list = world
            .handle()
            .disclosure_list(DisclosureQuery {
                caller: world.officer(),
                subject: kim,
                from: Millis::ZERO,
                until: Millis::new(u64::MAX),
            })
            .await
            .unwrap();
        let own = list
            .disclosures
            .iter()
            .filter(|view| view.act.as_deref() == Some("phenotype-profile"));
        let opened: Vec<usize> = own.map(|view| view.records.len()).collect();
        assert_eq!(opened, [1], "the phenopacket alone");
    });
}
