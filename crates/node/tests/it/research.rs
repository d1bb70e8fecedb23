//! Studies and counts: who may be counted, what that leaves behind, and what it costs.

mod spent;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::crash::{FOREVER, Fragile};
use crate::differentials::known;
use crate::world::{Context, World, run};
use codec::Digest;
use consent::{
    Clause, Country, Curie, DataUse, Limits, Modifier, Organisation, Period, Permission,
    ResearchType, StudyStatus, StudyStep, StudyUse,
};
use discovery::{Display, Epsilon, Filter, Reach, Sex, TermId, Vocabulary, Wanted};
use node::consent_change::{ConsentChange, GrantDraft};
use node::disclosure::{DisclosureQuery, DisclosureView, Outcome};
use node::erase::Erase;
use node::record::{Content, Payload, Submission};
use node::research::{
    Counted, Noise, Research, ResearchHeld, ResearchQuery, Spending, StudyCount, StudyPropose,
    StudyQuery, StudyTake, StudyView,
};
use node::subject::Wait;
use node::{
    Caller, Category, Error, Exception, Grantee, Kind, Label, Millis, Purpose, Reason, RecordId,
    Role, RuleName, StudyId, SubjectId,
};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Adds nothing, so that tests see the count.
struct Exact;

impl Noise for Exact {
    fn count(&self, count: u64, _: u64) -> Result<i64, String> {
        i64::try_from(count).map_err(|_| "too many".to_owned())
    }
}

/// Budgets for `researcher`, `study` and `subject` counts.
pub(crate) fn budgets(researcher: u64, study: u64, subject: u64) -> Research {
    let mut research = Research {
        noise: Some(Arc::new(Exact)),
        ..Research::default()
    };
    research.discovery.display = Display { floor: 1, step: 1 };
    let cost = research.discovery.cost.micro();
    for (budget, counts) in [
        (&mut research.discovery.researcher, researcher),
        (&mut research.discovery.study, study),
        (&mut research.discovery.subject, subject),
    ] {
        budget.epsilon = Epsilon::from_micro(cost * counts);
    }
    research
}

/// Of a node that knows diseases, and whose counts are exact.
pub(crate) async fn founded_with(context: Context, research: Research) -> World {
    let mut world = World::founded(context).await;
    world.knowledge = Some(known());
    world.research = research;
    world
}

pub(crate) async fn world_with(context: Context, research: Research) -> World {
    let mut world = founded_with(context, research).await;
    world.start().await;
    world
}

async fn world(context: Context) -> World {
    world_with(context, budgets(30, 60, 100)).await
}

/// What a patient is like.
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) disease: &'a str,
    pub(crate) observed: &'a [&'a str],
    pub(crate) excluded: &'a [&'a str],
    pub(crate) female: bool,
    pub(crate) years: u32,
}

/// Words that a record has about its patient, and nobody else may see.
pub(crate) const FREE_TEXT: &str = "lives above the harbour";

pub(crate) fn packet(case: &Case<'_>) -> Vec<u8> {
    let Case { name, disease, .. } = case;
    let feature = |id: &&str, excluded: bool| {
        format!(
            r#"{{"type": {{"id": "{id}", "label": ""}}, "excluded": {excluded}, "description": "{FREE_TEXT}"}}"#
        )
    };
    let observed = case.observed.iter().map(|id| feature(id, false));
    let excluded = case.excluded.iter().map(|id| feature(id, true));
    let features: Vec<String> = observed.chain(excluded).collect();
    let sex = if case.female { "FEMALE" } else { "MALE" };
    format!(
        r#"{{"id": "packet-of-{name}", "subject": {{"id": "{name}", "sex": "{sex}",
        "timeAtLastEncounter": {{"age": {{"iso8601duration": "P{}Y"}}}}}},
        "phenotypicFeatures": [{}],
        "interpretations": [{{"id": "i-{name}", "progressStatus": "SOLVED", "summary": "{FREE_TEXT}",
        "diagnosis": {{"disease": {{"id": "{disease}", "label": ""}}}}}}],
        "metaData": {{"created": "2026-01-01T00:00:00Z", "createdBy": "clerk of {name}",
        "phenopacketSchemaVersion": "2.0", "resources": []}}}}"#,
        case.years,
        features.join(",")
    )
    .into_bytes()
}

pub(crate) fn researcher(world: &World) -> Caller {
    world.staff("dr-mentor", Role::Researcher)
}

pub(crate) fn committee(world: &World) -> Caller {
    world.staff("chair-1", Role::Committee)
}

/// A study of health, of phenotypes and laboratory results, for thirty days from now.
pub(crate) fn proposal(world: &World) -> StudyPropose {
    let now = world.now();
    StudyPropose {
        caller: researcher(world),
        title: Label::new("The Odyssey study").unwrap(),
        summary: Reason::new("How children with rare diseases fare").unwrap(),
        declared: StudyUse {
            study: StudyId::new([0; 16]),
            research: BTreeSet::from([ResearchType::Health]),
            diseases: BTreeSet::new(),
            genetic: false,
            commercial: false,
            organisation: Organisation::NonProfit,
            institutions: BTreeSet::from([world.id]),
            users: BTreeSet::new(),
            countries: BTreeSet::from([Country::new("DE").unwrap()]),
            ethics: None,
            publishes_from: None,
            collaborates: false,
            returns: false,
            period: Period {
                from: Millis::ZERO,
                until: now.saturating_add(30 * DAY_MS),
            },
            sensitive: BTreeSet::new(),
            other: None,
        },
        purposes: BTreeSet::from([Purpose::Hresch]),
        categories: BTreeSet::from([
            Category::Phenotype,
            Category::Laboratory,
            Category::Identity,
        ]),
        limits: Limits {
            k: 5,
            linked_per_mille: 1_000,
        },
    }
}

pub(crate) async fn step(
    world: &World,
    caller: Caller,
    study: StudyId,
    step: StudyStep,
) -> Result<StudyView, Error> {
    let take = StudyTake {
        caller,
        study,
        step,
        accepted: BTreeSet::new(),
    };
    world.handle().study_take(take).await
}

pub(crate) async fn show(world: &World, study: StudyId) -> StudyView {
    let query = StudyQuery {
        caller: committee(world),
        study,
    };
    world.handle().study_show(query).await.unwrap()
}

pub(crate) const AGREEMENT: Digest = Digest::new([5; 32]);

/// Takes a proposal all the way.
pub(crate) async fn opened(world: &World, proposal: StudyPropose) -> StudyId {
    let study = world.handle().study_propose(proposal).await.unwrap();
    let study = study.case.study.id();
    for (caller, next) in [
        (committee(world), StudyStep::Approve),
        (researcher(world), StudyStep::Agree(AGREEMENT)),
        (researcher(world), StudyStep::Open),
    ] {
        step(world, caller, study, next).await.unwrap();
    }
    for _ in 0..60 {
        if show(world, study).await.on_ledger {
            return study;
        }
        world.sleep_ms(500).await;
    }
    panic!("the study's opening never was final");
}

/// A grant of what a study asks for, for a day.
pub(crate) fn granted(world: &World, grantee: Grantee) -> GrantDraft {
    GrantDraft {
        grantee,
        purposes: BTreeSet::from([Purpose::Hresch]),
        categories: BTreeSet::from([Category::Phenotype, Category::Laboratory]),
        from: Millis::ZERO,
        until: world.now().saturating_add(DAY_MS),
        exceptions: BTreeSet::new(),
    }
}

/// Any research into health, on a condition.
fn broad(modifiers: &[Modifier]) -> Grantee {
    let clause = Clause {
        permission: Permission::HealthResearch,
        modifiers: modifiers.iter().cloned().collect(),
    };
    Grantee::Research(DataUse {
        clauses: BTreeSet::from([clause]),
    })
}

impl World {
    pub(crate) async fn has(&self, subject: SubjectId, payload: Payload) -> RecordId {
        let deposited = self
            .handle()
            .record_deposit(Submission {
                caller: self.clinician(),
                subject,
                payload,
                record: None,
                client_key: None,
                expect_version: None,
                provenance: Default::default(),
                wait: Wait::Durable,
            })
            .await
            .unwrap();
        deposited.records[0].record
    }

    /// Somebody with a phenopacket.
    pub(crate) async fn patient(&self, case: &Case<'_>) -> SubjectId {
        let opening = self.opening(Wait::Durable);
        let subject = self.handle().subject_open(opening).await.unwrap().subject;
        let packet = Payload::Phenopacket(Content::new(packet(case)));
        self.has(subject, packet).await;
        subject
    }

    pub(crate) async fn grants(&self, subject: SubjectId, draft: GrantDraft) -> node::GrantId {
        let change = ConsentChange::GrantAdd(draft);
        let accepted = self.consent(subject, change, Wait::Durable).await.unwrap();
        accepted.grants[0]
    }

    /// Lets the node do its own work, and the ledger settle.
    pub(crate) async fn settle(&self) {
        self.sleep_ms(15_000).await;
    }

    /// Time goes on, by the node's clock.
    async fn later(&self, by_ms: u64) {
        let by = i64::try_from(by_ms).unwrap();
        self.skew_ms.fetch_add(by, Ordering::SeqCst);
        self.settle().await;
    }

    pub(crate) async fn asks(
        &self,
        caller: Caller,
        study: StudyId,
        filters: &[Filter],
    ) -> Result<Counted, Error> {
        let count = StudyCount {
            caller,
            study,
            filters: filters.to_vec(),
        };
        self.handle().study_count(count).await
    }

    async fn counts(&self, study: StudyId, filters: &[Filter]) -> u64 {
        let counted = self.asks(researcher(self), study, filters).await;
        counted.unwrap().shown.count()
    }

    /// What was read of a subject for studies.
    pub(crate) async fn read_for_studies(&self, subject: SubjectId) -> Vec<DisclosureView> {
        let query = DisclosureQuery {
            caller: self.officer(),
            subject,
            from: Millis::ZERO,
            until: Millis::new(u64::MAX),
        };
        let list = self.handle().disclosure_list(query).await.unwrap();
        let mut read = list.disclosures;
        read.retain(|view| view.study.is_some());
        read
    }

    pub(crate) async fn held(&self, caller: Caller, subject: SubjectId) -> ResearchHeld {
        let query = ResearchQuery { caller, subject };
        self.handle().research_held(query).await.unwrap()
    }

    async fn spending(&self, study: StudyId) -> Spending {
        let query = StudyQuery {
            caller: researcher(self),
            study,
        };
        self.handle().study_spending(query).await.unwrap()
    }
}

const SEIZURE: &str = "HP:0001250";
const CATARACT: &str = "HP:0000518";
const DRAVET: &str = "OMIM:607208";

fn kim(name: &str) -> Case<'_> {
    Case {
        name,
        disease: DRAVET,
        observed: &[SEIZURE],
        excluded: &[],
        female: true,
        years: 7,
    }
}

fn observed(term: &str) -> Filter {
    let number = term.trim_start_matches("HP:").parse().unwrap();
    Filter::Observed(Wanted {
        term: TermId::new(Vocabulary::Hp, number).unwrap(),
        reach: Reach::Below,
    })
}

/// Questions that differ and that everybody with a seizure is an answer to, so that none is answered from memory.
fn questions() -> Vec<Vec<Filter>> {
    let above = ["HP:0001250", "HP:0012638", "HP:0000707", "HP:0000118"];
    let mut all: Vec<Vec<Filter>> = above.iter().map(|term| vec![observed(term)]).collect();
    all.push(Vec::new());
    all
}

#[test]
fn a_study_opens_step_by_step_and_its_policy_is_on_the_ledger() {
    run(300, |context| async move {
        let world = world(context).await;
        let handle = world.handle();
        // Who proposes is a researcher here.
        for caller in [committee(&world), world.clinician(), world.desk()] {
            let error = handle
                .study_propose(StudyPropose {
                    caller,
                    ..proposal(&world)
                })
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Forbidden);
        }
        let mut both = researcher(&world);
        both.actor.roles.insert(Role::Committee);
        let mut proposal = proposal(&world);
        proposal.caller = both.clone();
        let study = handle.study_propose(proposal).await.unwrap().case.study;
        let id = study.id();
        assert_ne!(id, StudyId::new([0; 16]), "the id is the node's");
        // Out of order, and by whoever proposed it.
        for (caller, next) in [
            (both.clone(), StudyStep::Approve),
            (both.clone(), StudyStep::Agree(AGREEMENT)),
            (both.clone(), StudyStep::Open),
            (world.clinician(), StudyStep::Approve),
            (researcher(&world), StudyStep::Approve),
        ] {
            step(&world, caller, id, next).await.unwrap_err();
        }
        assert_eq!(show(&world, id).await.status, StudyStatus::Proposed);
        step(&world, committee(&world), id, StudyStep::Approve)
            .await
            .unwrap();
        let again = step(&world, committee(&world), id, StudyStep::Approve).await;
        assert_eq!(again.unwrap_err().kind(), Kind::Conflict);
        let opens = step(&world, both.clone(), id, StudyStep::Open).await;
        assert_eq!(opens.unwrap_err().kind(), Kind::Conflict);
        // Nothing is counted before it is open.
        let early = world.asks(both.clone(), id, &[]).await.unwrap_err();
        assert_eq!(early.kind(), Kind::Conflict);
        step(&world, both.clone(), id, StudyStep::Agree(AGREEMENT))
            .await
            .unwrap();
        let before = step(&world, both.clone(), id, StudyStep::Open)
            .await
            .unwrap();
        assert_eq!(before.status, StudyStatus::Open);
        for _ in 0..60 {
            world.sleep_ms(500).await;
            if show(&world, id).await.on_ledger {
                break;
            }
        }
        let shown = show(&world, id).await;
        assert!(shown.on_ledger);
        assert_eq!(shown.policy, shown.case.study.digest());
        assert_ne!(shown.policy, study.digest(), "with approval and agreement");
        assert_eq!((shown.releases, shown.case.acts.len()), (0, 3));
        let reopened = step(&world, both, id, StudyStep::Open).await;
        assert_eq!(reopened.unwrap_err().kind(), Kind::Conflict);
    });
}

#[test]
fn a_study_that_ended_counts_and_prepares_nothing() {
    run(301, |context| async move {
        let world = world(context).await;
        let ended = opened(&world, proposal(&world)).await;
        let mut short = proposal(&world);
        short.declared.period.until = world.now().saturating_add(HOUR_MS);
        let expired = opened(&world, short).await;
        let open = opened(&world, proposal(&world)).await;
        let patient = world.patient(&kim("kim")).await;
        for study in [ended, expired, open] {
            world
                .grants(patient, granted(&world, Grantee::Study(study)))
                .await;
        }
        world.settle().await;
        for study in [ended, expired] {
            assert_eq!(world.counts(study, &[]).await, 1);
        }
        let end = StudyStep::End(Reason::new("done").unwrap());
        step(&world, researcher(&world), ended, end).await.unwrap();
        world.sleep_ms(HOUR_MS).await;
        let read = world.read_for_studies(patient).await.len();
        for study in [ended, expired] {
            assert_eq!(show(&world, study).await.status, StudyStatus::Ended);
            // What was answered before neither.
            for filters in [vec![], vec![observed(SEIZURE)]] {
                let error = world.asks(researcher(&world), study, &filters).await;
                assert_eq!(error.unwrap_err().kind(), Kind::Conflict);
            }
            let error = world.prepare(study, 5).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict);
        }
        assert_eq!(world.read_for_studies(patient).await.len(), read);
        assert_eq!(
            world.counts(open, &[]).await,
            1,
            "the clock alone ends none"
        );
    });
}

#[test]
fn only_who_agreed_is_opened_and_that_is_logged() {
    run(302, |context| async move {
        let world = world(context).await;
        let study = opened(&world, proposal(&world)).await;
        let other = opened(&world, proposal(&world)).await;
        let fits = broad(&[Modifier::NonProfitOrganisation]);
        let does_not = broad(&[Modifier::EthicsApproval]);
        let country = Modifier::Countries([Country::new("FR").unwrap()].into());
        let cases = [
            ("named", Some(Grantee::Study(study)), true),
            ("broad", Some(fits), true),
            ("ethics", Some(does_not), false),
            ("country", Some(broad(&[country])), false),
            ("other", Some(Grantee::Study(other)), false),
            ("nobody", None, false),
        ];
        let mut patients = Vec::new();
        for (name, grantee, counts) in cases {
            let subject = world.patient(&kim(name)).await;
            if let Some(grantee) = grantee {
                world.grants(subject, granted(&world, grantee)).await;
            }
            patients.push((name, subject, counts));
        }
        world.settle().await;
        assert_eq!(world.counts(study, &[]).await, 2);
        for (name, subject, counts) in &patients {
            let read = world.read_for_studies(*subject).await;
            assert_eq!(read.len(), usize::from(*counts), "{name}");
            for view in read {
                assert_eq!(view.study, Some(study), "{name}");
                assert_eq!(view.purpose, Purpose::Hresch);
                assert_eq!(view.practitioner.as_str(), "dr-mentor");
                assert_eq!(view.act.as_deref(), Some("count"));
                assert_eq!(view.records.len(), 1);
                assert!(matches!(view.outcome, Outcome::Permitted(_)));
                assert!(!view.categories.contains(&Category::Identity), "{name}");
            }
            let held = world.held(world.parent(*subject, 1), *subject).await;
            let allowed: Vec<StudyId> = held.studies.iter().map(|(id, _)| *id).collect();
            assert_eq!(allowed.contains(&study), *counts, "{name}");
            let cost = if *counts {
                world.research.discovery.cost
            } else {
                Epsilon::ZERO
            };
            assert_eq!(held.spent.spent, cost, "{name}");
        }
        // The committee sees how the conditions match, and counts in steps of five.
        let query = |caller| StudyQuery { caller, study };
        let handle = world.handle();
        let matching = handle
            .study_matching(query(committee(&world)))
            .await
            .unwrap();
        assert_eq!((matching.permitted, matching.denied), (0, 0));
        assert_eq!(matching.conditions.len(), 3);
        let refused = handle.study_matching(query(researcher(&world))).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Forbidden);
    });
}

#[test]
fn who_leaves_is_in_no_later_count() {
    run(303, |context| async move {
        let mut world = founded_with(context, budgets(30, 60, 100)).await;
        let mut config = world.node_config();
        config.policy.opt_out.push(consent::Rule {
            name: RuleName::new("research-law").unwrap(),
            roles: [Role::Researcher].into(),
            purposes: [Purpose::Hresch].into(),
            categories: [Category::Phenotype].into(),
            institutions: BTreeSet::new(),
        });
        world.start_with(config).await;
        let study = opened(&world, proposal(&world)).await;
        let questions = questions();
        let mut questions = questions.iter();
        let out = world.patient(&kim("out")).await;
        let stays = world.patient(&kim("stays")).await;
        world.settle().await;
        assert_eq!(world.counts(study, questions.next().unwrap()).await, 2);
        let opt = ConsentChange::OptOut(Purpose::Hresch);
        // Not final yet: it binds all the same.
        world.consent(out, opt, Wait::Durable).await.unwrap();
        assert_eq!(world.counts(study, questions.next().unwrap()).await, 1);
        assert_eq!(world.read_for_studies(out).await.len(), 1);
        // A grant, for those who opted out of what goes without one.
        let grant = granted(&world, Grantee::Study(study));
        let grant = world.grants(out, grant).await;
        world.settle().await;
        assert_eq!(world.counts(study, questions.next().unwrap()).await, 2);
        let revoke = ConsentChange::GrantRevoke(grant);
        world.consent(out, revoke, Wait::Durable).await.unwrap();
        assert_eq!(world.counts(study, questions.next().unwrap()).await, 1);
        // One that ends by itself.
        let mut short = granted(&world, Grantee::Study(study));
        short.until = world.now().saturating_add(HOUR_MS);
        world.grants(out, short).await;
        world.settle().await;
        assert_eq!(world.counts(study, questions.next().unwrap()).await, 2);
        world.sleep_ms(HOUR_MS).await;
        let girls = [Filter::Sex(Sex::Female), observed(SEIZURE)];
        assert_eq!(world.counts(study, &girls).await, 1);
        assert_eq!(world.read_for_studies(out).await.len(), 3);
        assert_eq!(world.read_for_studies(stays).await.len(), 6);
        // The erased are nobody.
        let erase = Erase {
            caller: world.officer(),
            subject: stays,
        };
        world.handle().erase(erase).await.unwrap();
        let last = [observed("HP:0012443")];
        assert_eq!(world.counts(study, &last).await, 0);
    });
}

#[test]
fn what_a_grant_leaves_out_does_not_count() {
    run(304, |context| async move {
        let world = world(context).await;
        let study = opened(&world, proposal(&world)).await;
        let subject = world.patient(&kim("kim")).await;
        let eyes = Case {
            observed: &[CATARACT],
            ..kim("kim")
        };
        let eyes = Payload::Phenopacket(Content::new(packet(&eyes)));
        let record = world.has(subject, eyes).await;
        let mut grant = granted(&world, Grantee::Study(study));
        grant.exceptions.insert(Exception::Record(record));
        world.grants(subject, grant).await;
        // Of whom no phenotypes are granted.
        let closed = world.patient(&kim("closed")).await;
        let mut grant = granted(&world, Grantee::Study(study));
        grant.categories = [Category::Laboratory].into();
        world.grants(closed, grant).await;
        world.settle().await;
        assert_eq!(world.counts(study, &[observed(SEIZURE)]).await, 1);
        assert_eq!(world.counts(study, &[observed(CATARACT)]).await, 0);
        assert_eq!(world.counts(study, &[Filter::Sex(Sex::Female)]).await, 1);
        for view in world.read_for_studies(subject).await {
            assert!(!view.records.contains(&record));
        }
        for view in world.read_for_studies(closed).await {
            assert_eq!(view.records, [], "nothing was opened");
        }
    });
}
