//! Releases: who is in them, what leaves, what stands against it, and what is left behind.

mod after;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::Ordering;

use crate::crash::{FOREVER, Fragile};
use crate::research::{
    AGREEMENT, Case, FREE_TEXT, budgets, committee, founded_with, granted, opened, proposal,
    researcher, show, step, world_with,
};
use crate::world::{Context, World, run};
use consensus::SimplexCertificates;
use consent::StudyStep;
use ledger::release::ReleaseProof;
use node::consent_change::ConsentChange;
use node::erase::Erase;
use node::record::{Content, Payload};
use node::research::{
    Recontact, ReleaseCertify, ReleaseCohort, ReleasePrepare, ReleaseQuery, ReleaseRead,
    ReleaseReplayed, ReleaseStanding, ReleaseView, Research,
};
use node::subject::{SubjectNotice, SubjectQuery, Wait};
use node::{Caller, Category, Error, GrantId, Grantee, Kind, Role, StudyId, SubjectId};
use release::check::{Checked, Files, check};
use release::{Certificate, Format, Group, Tier};

const MARFAN: &str = "OMIM:154700";
const DRAVET: &str = "OMIM:607208";
const FIBROSIS: &str = "OMIM:219700";

/// What most with a disease have.
const OF_MARFAN: [&str; 5] = [
    "HP:0001083",
    "HP:0001166",
    "HP:0002616",
    "HP:0000768",
    "HP:0001065",
];
const OF_DRAVET: [&str; 4] = ["HP:0001250", "HP:0002373", "HP:0001251", "HP:0001263"];
const OF_FIBROSIS: [&str; 2] = ["HP:0002205", "HP:0001738"];
/// What two of each disease have, and so nobody may be told.
const RARE: [&str; 4] = ["HP:0000365", "HP:0001162", "HP:0000470", "HP:0001407"];

/// Of each disease with enough patients, so many.
const MANY: usize = 16;

struct Patient {
    subject: SubjectId,
    name: String,
    grant: GrantId,
}

struct Cohort {
    fragile: Fragile,
    study: StudyId,
    patients: Vec<Patient>,
}

/// Attacks on sixteen people of whom nothing is hidden but their number achieve much.
fn lenient() -> Research {
    let mut research = budgets(30, 60, 100);
    research.limits = extract::Limits {
        linkage_three_terms: 0.25,
        unique_and_correct: 0.25,
        singling_out: 0.5,
        membership: 1.0,
        differencing: 0.5,
        alone: 0.5,
        disclosure: 1.0,
    };
    research
}

fn glucose(name: &str, value: usize) -> Payload {
    let observation = format!(
        r#"{{"resourceType": "Observation", "id": "glucose-{name}", "status": "final",
        "effectiveDateTime": "2026-01-01",
        "category": [{{"coding": [{{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
        "code": "laboratory"}}]}}],
        "code": {{"coding": [{{"system": "http://loinc.org", "code": "2345-7"}}], "text": "{FREE_TEXT}"}},
        "subject": {{"reference": "Patient/{name}", "display": "{name}"}},
        "note": [{{"text": "{FREE_TEXT}"}}],
        "valueQuantity": {{"value": {value}, "unit": "mg/dL", "system": "http://unitsofmeasure.org",
        "code": "mg/dL"}}}}"#
    );
    Payload::FhirResource(Content::new(observation.into_bytes()))
}

impl Cohort {
    /// Two diseases with enough patients, one with three.
    async fn new(context: Context, research: Research) -> Self {
        let world = founded_with(context, research).await;
        let fragile = Fragile::of(world, FOREVER, true).await;
        let study = opened(&fragile.world, proposal(&fragile.world)).await;
        let mut cohort = Self {
            fragile,
            study,
            patients: Vec::new(),
        };
        for (disease, terms, many) in [
            (MARFAN, OF_MARFAN.as_slice(), MANY),
            (DRAVET, OF_DRAVET.as_slice(), MANY),
            (FIBROSIS, OF_FIBROSIS.as_slice(), 3),
        ] {
            for n in 0..many {
                cohort.joins(disease, terms, n).await;
            }
        }
        cohort.fragile.world.settle().await;
        cohort
    }

    async fn joins(&mut self, disease: &str, terms: &[&str], n: usize) {
        let name = format!("Odysseid-{:03}", self.patients.len());
        let mut observed = terms.to_vec();
        // One is missing in every third.
        if n.is_multiple_of(3) && terms.len() > 3 {
            observed.remove(n / 3 % terms.len());
        }
        if n < 2 * RARE.len() && disease != FIBROSIS {
            observed.push(RARE[n / 2]);
        }
        let subject = self
            .fragile
            .world
            .patient(&Case {
                name: &name,
                disease,
                observed: &observed,
                excluded: &["HP:0000518"],
                female: n.is_multiple_of(2),
                years: if n < 8 { 7 } else { 21 },
            })
            .await;
        let value = 80 + (n * 7) % 30;
        self.fragile.world.has(subject, glucose(&name, value)).await;
        let mut draft = granted(&self.fragile.world, Grantee::Study(self.study));
        draft.categories.insert(Category::Identity);
        let grant = self.fragile.world.grants(subject, draft).await;
        self.patients.push(Patient {
            subject,
            name,
            grant,
        });
    }

    async fn withdraws(&self, at: usize) {
        let Patient { subject, grant, .. } = &self.patients[at];
        let revoke = ConsentChange::GrantRevoke(*grant);
        self.fragile
            .world
            .consent(*subject, revoke, Wait::Durable)
            .await
            .unwrap();
    }

    async fn erases(&self, at: usize) {
        let erase = Erase {
            caller: self.fragile.world.officer(),
            subject: self.patients[at].subject,
        };
        self.fragile.world.handle().erase(erase).await.unwrap();
    }

    async fn view(&self, number: u64) -> ReleaseView {
        self.fragile.world.release(self.study, number).await
    }

    /// Asks for a release and waits until it was made.
    async fn prepared(&self, k: u32) -> ReleaseView {
        let asked = self.fragile.world.prepare(self.study, k).await.unwrap();
        self.fragile.world.made(self.study, asked.number).await
    }

    async fn certify(
        &self,
        caller: Caller,
        number: u64,
        approve: bool,
    ) -> Result<ReleaseView, Error> {
        let certify = ReleaseCertify {
            caller,
            study: self.study,
            number,
            approve,
        };
        self.fragile.world.handle().release_certify(certify).await
    }

    /// Certifies a release and waits until it is on the ledger.
    async fn released(&self, number: u64) -> ReleaseView {
        self.certify(committee(&self.fragile.world), number, true)
            .await
            .unwrap();
        self.left(number).await
    }

    /// Waits until a certified release is on the ledger.
    async fn left(&self, number: u64) -> ReleaseView {
        for _ in 0..120 {
            self.fragile.world.sleep_ms(500).await;
            let view = self.view(number).await;
            if matches!(view.standing, ReleaseStanding::Released { .. }) {
                return view;
            }
        }
        panic!("{:?}", self.view(number).await.standing);
    }

    async fn read(&self, caller: Caller, number: u64, file: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        loop {
            let read = ReleaseRead {
                caller: caller.clone(),
                study: self.study,
                number,
                file: file.to_owned(),
                offset: bytes.len() as u64,
            };
            let piece = self.fragile.world.handle().release_read(read).await?;
            if piece.bytes.is_empty() {
                assert_eq!(piece.length, bytes.len() as u64, "{file}");
                return Ok(bytes);
            }
            bytes.extend(piece.bytes);
        }
    }

    async fn folder(&self, view: &ReleaseView) -> Folder {
        let mut files = BTreeMap::new();
        for (name, length) in &view.files {
            let bytes = self.read(researcher(&self.fragile.world), view.number, name);
            let bytes = bytes.await.unwrap();
            assert_eq!(bytes.len() as u64, *length, "{name}");
            files.insert(name.clone(), bytes);
        }
        Folder(files)
    }

    /// The release of a subject that its family is told of.
    async fn told(&self, at: usize) -> Vec<u64> {
        let subject = self.patients[at].subject;
        let held = self
            .fragile
            .world
            .held(self.fragile.world.parent(subject, 1), subject)
            .await;
        held.releases.iter().map(|held| held.number).collect()
    }

    async fn replayed(&self, number: u64) -> ReleaseReplayed {
        let query = ReleaseQuery {
            caller: committee(&self.fragile.world),
            study: self.study,
            number,
        };
        self.fragile
            .world
            .handle()
            .release_replay(query)
            .await
            .unwrap()
    }

    async fn recontact(&self, study: StudyId, token: &[u8]) -> Result<(), Error> {
        let recontact = Recontact {
            caller: researcher(&self.fragile.world),
            study,
            token: token.to_vec(),
        };
        self.fragile.world.handle().recontact(recontact).await
    }

    async fn notices(&self, at: usize) -> Vec<SubjectNotice> {
        let subject = self.patients[at].subject;
        let query = SubjectQuery {
            caller: self.fragile.world.parent(subject, 1),
            subject,
        };
        self.fragile
            .world
            .handle()
            .subject_notices(query)
            .await
            .unwrap()
    }

    async fn contacts(&self, at: usize) -> Vec<node::disclosure::Outcome> {
        let subject = self.patients[at].subject;
        let mut read = self.fragile.world.read_for_studies(subject).await;
        read.retain(|view| view.act.as_deref() == Some("recontact"));
        read.into_iter().map(|view| view.outcome).collect()
    }
}

impl World {
    pub(crate) async fn prepare(&self, study: StudyId, k: u32) -> Result<ReleaseView, Error> {
        self.prepare_of(study, k, Tier::T3, ReleaseCohort::Diagnosed)
            .await
    }

    async fn prepare_of(
        &self,
        study: StudyId,
        k: u32,
        tier: Tier,
        cohort: ReleaseCohort,
    ) -> Result<ReleaseView, Error> {
        let prepare = ReleasePrepare {
            caller: researcher(self),
            study,
            tier,
            k,
            cohort,
            formats: Format::ALL.into(),
            measurements: true,
        };
        self.handle().release_prepare(prepare).await
    }

    async fn release(&self, study: StudyId, number: u64) -> ReleaseView {
        let query = ReleaseQuery {
            caller: committee(self),
            study,
            number,
        };
        self.handle().release_show(query).await.unwrap()
    }

    async fn made(&self, study: StudyId, number: u64) -> ReleaseView {
        for _ in 0..120 {
            let view = self.release(study, number).await;
            if !matches!(view.standing, ReleaseStanding::Preparing { .. }) {
                return view;
            }
            self.sleep_ms(500).await;
        }
        panic!("the release was never made");
    }
}

struct Folder(BTreeMap<String, Vec<u8>>);

impl Files for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + '_>> {
        let bytes = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

impl Folder {
    fn groups(&self) -> Vec<Group> {
        let lines = self.0["groups.ndjson"].split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    fn holds(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut files = self.0.values();
        files.any(|file| {
            file.windows(text.len())
                .any(|w| w.eq_ignore_ascii_case(text))
        })
    }
}

#[test]
fn a_release_is_made_attacked_certified_and_proved() {
    run(400, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        let world = &cohort.fragile.world;
        let made = cohort.prepared(5).await;
        assert_eq!(
            made.standing,
            ReleaseStanding::Prepared,
            "{:?}",
            made.certificate.map(|c| c.verdict)
        );
        let certificate = made.certificate.unwrap();
        assert!(certificate.verdict.passes);
        let linkage = certificate.attacks.verdicts.iter();
        let linkage = linkage.clone().find(|v| v.attack == "linkage-three-terms");
        assert!(
            linkage
                .unwrap()
                .measured
                .is_some_and(|m| m > 0.0 && m < 0.25)
        );
        assert!(certificate.canaries.planted > 100 && certificate.canaries.survived == 0);
        assert_eq!(
            certificate.population.released, 30,
            "of 32, in steps of five"
        );
        assert_eq!(
            certificate.population.too_few_alike, 0,
            "three, in steps of five"
        );
        // Nothing leaves before it is on the ledger, and no family is told that it did.
        for caller in [researcher(world), committee(world)] {
            let error = cohort.read(caller, 0, "groups.ndjson").await.unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict);
        }
        assert!(
            cohort
                .read(committee(world), 0, "certificate.json")
                .await
                .is_ok()
        );
        assert_eq!(cohort.told(0).await, [] as [u64; 0]);
        // By the committee, and not by whoever asked for it.
        let mut both = researcher(world);
        both.actor.roles.insert(Role::Committee);
        let error = cohort.certify(both, 0, true).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        let error = cohort
            .certify(researcher(world), 0, true)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Forbidden);
        let released = cohort.released(0).await;
        assert_eq!(show(world, cohort.study).await.releases, 1);
        // Every byte is as it was made, and follows from the groups.
        let folder = cohort.folder(&released).await;
        let Checked {
            faults,
            content,
            certificate: digest,
            policy,
            which,
            groups,
            subjects,
        } = check(&folder).unwrap();
        assert_eq!(faults, [] as [String; 0]);
        assert_eq!(which, Some((cohort.study, 0)));
        assert!(groups >= 2 && subjects >= 20, "{groups} {subjects}");
        // The ledger has the same digests.
        let proof = cohort
            .read(researcher(world), 0, "ledger.proof")
            .await
            .unwrap();
        let proof = ReleaseProof::decode(&proof).unwrap();
        let rule = SimplexCertificates::new(&world.genesis.network_id());
        let proved = ledger::release::verify(&proof, &world.genesis, &rule).unwrap();
        assert_eq!(Some(proved.content), content);
        assert_eq!(Some(proved.certificate), digest);
        assert_eq!(Some(proved.policy), policy);
        assert_eq!((proved.study, proved.institution), (cohort.study, world.id));
        assert_eq!(
            released.standing,
            ReleaseStanding::Released {
                height: proved.height
            }
        );
        let mut other = proof.clone();
        other.release_leaf.content = codec::Digest::new([1; 32]);
        assert!(ledger::release::verify(&other, &world.genesis, &rule).is_err());
        // Of one person it says nothing.
        let groups = folder.groups();
        assert!(groups.iter().any(|group| !group.measured.is_empty()));
        for group in &groups {
            assert!(group.at_least >= 5 && group.at_least.is_multiple_of(5));
            assert!(group.observed.iter().any(|f| {
                let id = f.term.to_string();
                OF_MARFAN.contains(&id.as_str()) || OF_DRAVET.contains(&id.as_str())
            }));
            for measure in &group.measured {
                assert_eq!(
                    (measure.code.as_str(), measure.unit.as_str()),
                    ("2345-7", "mg/dL")
                );
                assert!(measure.mean > 80.0 && measure.mean < 110.0 && measure.at_least >= 5);
            }
        }
        for patient in &cohort.patients {
            assert!(!folder.holds(&patient.name));
            assert!(!folder.holds(&patient.subject.to_string()));
        }
        for text in RARE
            .iter()
            .chain(&[FREE_TEXT, FIBROSIS, "Odysseid", "dr-mentor", "clerk"])
        {
            assert!(!folder.holds(text), "{text}");
        }
        assert!(folder.holds(MARFAN) && folder.holds("HP:0001166"));
        // Whoever is in it is told, with the risk; whoever is not is not.
        for at in 0..cohort.patients.len() {
            let in_it = at < 2 * MANY;
            let told: &[u64] = if in_it { &[0] } else { &[] };
            assert_eq!(cohort.told(at).await, told, "{at}");
        }
        let subject = cohort.patients[0].subject;
        let held = world.held(world.parent(subject, 1), subject).await;
        assert_eq!(held.releases[0].certificate, proved.certificate);
        assert!(held.releases[0].risk_ppm > 0);
        let read = world.read_for_studies(subject).await;
        // Once for its features, and once for its measurements.
        let read = read.iter().map(|view| (view.study, view.records.len()));
        let mut read: Vec<_> = read.collect();
        read.sort();
        assert_eq!(read, [1, 2].map(|of| (Some(cohort.study), of)));
        // Whoever tries the attacks again finds the same.
        let replayed = cohort.replayed(0).await;
        assert_eq!((replayed.subjects, replayed.gone), (2 * MANY as u64, 0));
        assert_eq!(replayed.differs, [] as [String; 0]);
    });
}

#[test]
fn a_release_after_others_is_compared_with_them() {
    run(401, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        let world = &cohort.fragile.world;
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        cohort.released(0).await;
        // One leaves, and one is erased: nobody else is known by it.
        cohort.withdraws(0).await;
        cohort.erases(1).await;
        let second = cohort.prepared(5).await;
        let certificate = second.certificate.unwrap();
        assert_eq!(certificate.earlier.len(), 1);
        assert_eq!(certificate.attacks.differencing.len(), 1);
        let differencing = &certificate.attacks.differencing[0];
        assert!(
            differencing.in_both >= 10 && differencing.in_both <= 30,
            "{differencing:?}"
        );
        assert_eq!(
            second.standing,
            ReleaseStanding::Prepared,
            "{:?}",
            certificate.verdict
        );
        assert!(
            certificate
                .verdict
                .not_measured
                .iter()
                .all(|name| name != "differencing")
        );
        let released = cohort.released(1).await;
        let folder = cohort.folder(&released).await;
        assert_eq!(check(&folder).unwrap().faults, [] as [String; 0]);
        assert_eq!(
            cohort.told(0).await,
            [0],
            "a copy that left is not called back"
        );
        // The erased is told of the first by the officer; what it was made of is gone.
        let held = world
            .held(world.officer(), cohort.patients[1].subject)
            .await;
        let numbers: Vec<u64> = held.releases.iter().map(|held| held.number).collect();
        assert_eq!(numbers, [0]);
        assert_eq!(held.studies, []);
        let replayed = cohort.replayed(0).await;
        assert_eq!((replayed.subjects, replayed.gone), (2 * MANY as u64 - 1, 1));
        let both = cohort.told(20).await;
        assert!(both == [0, 1] || both == [0], "{both:?}");
    });
}

#[test]
fn who_leaves_before_it_is_certified_stops_it() {
    run(402, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        let world = &cohort.fragile.world;
        let certificates = |view: &ReleaseView| view.certificate.is_some();
        for at in 0..2_u64 {
            let made = cohort.prepared(5).await;
            assert_eq!(
                (made.number, &made.standing),
                (at, &ReleaseStanding::Prepared)
            );
            match at {
                0 => cohort.withdraws(3).await,
                _ => cohort.erases(4).await,
            }
            let error = cohort
                .certify(committee(world), at, true)
                .await
                .unwrap_err();
            assert!(
                matches!(&error, Error::Refused(why) if why.contains("consent")),
                "{error}"
            );
            let view = cohort.view(at).await;
            assert!(matches!(view.standing, ReleaseStanding::Refused(_)));
            let again = cohort.certify(committee(world), at, true).await;
            assert!(again.is_err());
            // Its files are gone, and who asked for it does not see what attacks found.
            assert!(certificates(&view));
            let query = ReleaseQuery {
                caller: researcher(world),
                study: cohort.study,
                number: at,
            };
            let theirs = world.handle().release_show(query).await.unwrap();
            assert!(!certificates(&theirs));
            let error = cohort.read(committee(world), at, "groups.ndjson").await;
            assert!(error.is_err());
            for at in [3, 5] {
                assert_eq!(cohort.told(at).await, [] as [u64; 0]);
            }
        }
        assert_eq!(show(world, cohort.study).await.releases, 0);
        // The next one leaves, as the ledger's first.
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        cohort.released(2).await;
        let proof = cohort.read(researcher(world), 2, "ledger.proof").await;
        assert_eq!(ReleaseProof::decode(&proof.unwrap()).unwrap().number, 0);
        assert_eq!(cohort.told(5).await, [2]);
        assert_eq!(cohort.told(3).await, [] as [u64; 0]);
    });
}

#[test]
fn what_could_be_linked_does_not_leave() {
    run(403, |context| async move {
        // As strict as every node is unless it is told otherwise.
        let cohort = Cohort::new(context, budgets(30, 60, 100)).await;
        let world = &cohort.fragile.world;
        let made = cohort.prepared(5).await;
        let ReleaseStanding::Refused(why) = &made.standing else {
            panic!("{:?}", made.standing);
        };
        assert!(why.contains("linkage-three-terms"), "{why}");
        let certificate = made.certificate.unwrap();
        assert!(!certificate.verdict.passes);
        assert!(cohort.certify(committee(world), 0, true).await.is_err());
        assert_eq!(cohort.told(0).await, [] as [u64; 0]);
        // Fewer than k, and groups without an agreement.
        let of = |k, cohort_of| world.prepare_of(cohort.study, k, Tier::T3, cohort_of);
        let few = of(5, ReleaseCohort::Diseases([FIBROSIS.to_owned()].into()))
            .await
            .unwrap();
        let few = world.made(cohort.study, few.number).await;
        assert!(
            matches!(&few.standing, ReleaseStanding::Refused(why) if why.contains("fewer than 5"))
        );
        assert_eq!(few.certificate, None);
        for k in [4, 1_001] {
            assert_eq!(
                of(k, ReleaseCohort::Diagnosed).await.unwrap_err().kind(),
                Kind::Invalid
            );
        }
        let nothing = of(5, ReleaseCohort::Diseases(BTreeSet::new())).await;
        assert_eq!(nothing.unwrap_err().kind(), Kind::Invalid);
        // Refused by the committee: the study may ask again.
        let again = of(20, ReleaseCohort::Everybody).await.unwrap();
        let busy = of(5, ReleaseCohort::Diagnosed).await.unwrap_err();
        assert_eq!(busy.kind(), Kind::Conflict);
        let again = world.made(cohort.study, again.number).await;
        if again.standing == ReleaseStanding::Prepared {
            cohort
                .certify(committee(world), again.number, false)
                .await
                .unwrap();
        }
        let refused = cohort.view(again.number).await;
        assert!(matches!(refused.standing, ReleaseStanding::Refused(_)));
    });
}

#[test]
fn a_study_without_an_agreement_is_not_even_open() {
    run(404, |context| async move {
        let world = world_with(context, lenient()).await;
        let study = world
            .handle()
            .study_propose(proposal(&world))
            .await
            .unwrap();
        let study = study.case.study.id();
        step(&world, committee(&world), study, StudyStep::Approve)
            .await
            .unwrap();
        let opens = step(&world, researcher(&world), study, StudyStep::Open).await;
        assert_eq!(opens.unwrap_err().kind(), Kind::Conflict);
        let error = world.prepare(study, 5).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        let agree = StudyStep::Agree(AGREEMENT);
        step(&world, researcher(&world), study, agree)
            .await
            .unwrap();
        let error = world.prepare(study, 5).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
    });
}
