//! Releases over crashes, and what comes after them.

use super::*;
use codec::Millis;
use consent::{Exception, RecordKind};
use node::disclosure::DisclosureQuery;

impl Cohort {
    /// What is logged of readings of what a release used of a subject.
    async fn read_again(&self, at: usize) -> Vec<String> {
        let world = &self.fragile.world;
        let query = DisclosureQuery {
            caller: world.officer(),
            subject: self.patients[at].subject,
            from: Millis::ZERO,
            until: Millis::new(u64::MAX),
        };
        let list = world.handle().disclosure_list(query).await.unwrap();
        let acts = list.disclosures.into_iter().filter_map(|view| view.act);
        let mut acts: Vec<String> = acts
            .filter(|act| matches!(act.as_str(), "release-compared" | "release-replay"))
            .collect();
        acts.sort();
        acts
    }
}

#[test]
fn a_crash_anywhere_makes_the_same_release() {
    run(405, |context| async move {
        let mut cohort = Cohort::new(context, lenient()).await;
        let asked = cohort.fragile.world.prepare(cohort.study, 5).await;
        assert_eq!(asked.unwrap().number, 0);
        // Each process dies a commit later than the one before it.
        let mut deaths = 0;
        for nth in 1.. {
            cohort.fragile.left.store(nth, Ordering::SeqCst);
            cohort.fragile.world.sleep_ms(3_000).await;
            if !cohort.fragile.is_dead() {
                break;
            }
            deaths += 1;
            cohort.fragile.recover().await;
        }
        cohort.fragile.left.store(FOREVER, Ordering::SeqCst);
        assert!(deaths >= 3, "{deaths}");
        let made = cohort.fragile.world.made(cohort.study, 0).await;
        assert_eq!(made.standing, ReleaseStanding::Prepared);
        cohort.fragile.recover().await;
        let certifies = committee(&cohort.fragile.world);
        cohort.certify(certifies, 0, true).await.unwrap();
        for nth in 1..4 {
            cohort.fragile.left.store(nth, Ordering::SeqCst);
            cohort.fragile.world.sleep_ms(1_000).await;
            cohort.fragile.recover().await;
        }
        let view = cohort.left(0).await;
        let folder = cohort.folder(&view).await;
        assert_eq!(check(&folder).unwrap().faults, [] as [String; 0]);
        assert_eq!(show(&cohort.fragile.world, cohort.study).await.releases, 1);
        for at in [0, MANY, 2 * MANY - 1] {
            assert_eq!(cohort.told(at).await, [0]);
        }
        assert_eq!(cohort.told(2 * MANY).await, [] as [u64; 0]);
        let acts = cohort.read_again(0).await;
        assert_eq!(cohort.replayed(0).await.differs, [] as [String; 0]);
        // Repeating attacks opens what was used of each: by the node, for whoever asked, and both are logged.
        let mut more = acts;
        more.extend(["release-compared", "release-replay"].map(str::to_owned));
        more.sort();
        assert_eq!(cohort.read_again(0).await, more);
    });
}

#[test]
fn a_token_reaches_who_agreed_to_it_and_tells_nothing() {
    run(406, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        let world = &cohort.fragile.world;
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        let released = cohort.released(0).await;
        let folder = cohort.folder(&released).await;
        let mut tokens = Vec::new();
        for group in folder.groups() {
            assert!(group.recontact.len().is_multiple_of(5));
            assert!(group.recontact.is_sorted());
            tokens.extend(
                group
                    .recontact
                    .iter()
                    .map(|token| codec::hex::decode(token).unwrap()),
            );
        }
        let lengths: BTreeSet<usize> = tokens.iter().map(Vec::len).collect();
        assert_eq!(
            lengths.len(),
            1,
            "a token that is nobody's looks like any other"
        );
        assert!(tokens.len() > 2 * MANY, "some stand for nobody");
        // Half of them take their identity back.
        for at in 0..MANY {
            cohort.withdraws(at).await;
        }
        let other = opened(world, proposal(world)).await;
        let mut took = BTreeSet::new();
        for token in &tokens {
            assert_eq!(
                cohort.recontact(other, token).await.unwrap_err().kind(),
                Kind::Invalid
            );
            let began = world.now();
            cohort.recontact(cohort.study, token).await.unwrap();
            took.insert(world.now().get() - began.get());
        }
        assert_eq!(took.len(), 1, "as long for anybody as for nobody: {took:?}");
        let mut broken = tokens[0].clone();
        broken[20] ^= 1;
        let error = cohort.recontact(cohort.study, &broken).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        // Again: it is logged again, and the family is not told again.
        for token in &tokens {
            cohort.recontact(cohort.study, token).await.unwrap();
        }
        for at in 0..2 * MANY {
            let agrees = at >= MANY;
            let contacts = cohort.contacts(at).await;
            assert_eq!(contacts.len(), 2, "{at}");
            for outcome in contacts {
                let permitted = matches!(outcome, node::disclosure::Outcome::Permitted(_));
                assert_eq!(permitted, agrees, "{at}");
            }
            let notices = cohort.notices(at).await;
            assert_eq!(notices.len(), usize::from(agrees), "{at}");
            assert!(
                notices
                    .iter()
                    .all(|notice| notice.sentence.contains("Odyssey"))
            );
        }
        assert_eq!(cohort.notices(2 * MANY).await, []);
    });
}

#[test]
fn a_certificate_reads_back() {
    run(407, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        let made = cohort.prepared(5).await;
        let bytes = cohort
            .read(committee(&cohort.fragile.world), 0, "certificate.json")
            .await;
        let read = Certificate::read(&bytes.unwrap()).unwrap();
        assert_eq!(Some(read), made.certificate);
    });
}

#[test]
fn refusals_cannot_be_asked_for_at_will() {
    run(409, |context| async move {
        let cohort = Cohort::new(context, budgets(30, 60, 100)).await;
        let world = &cohort.fragile.world;
        let few = || ReleaseCohort::Diseases([FIBROSIS.to_owned()].into());
        let of_few = || world.prepare_of(cohort.study, 5, Tier::T3, few());
        for _ in 0..16 {
            let asked = of_few().await.unwrap();
            let made = world.made(cohort.study, asked.number).await;
            assert!(matches!(made.standing, ReleaseStanding::Refused(_)));
        }
        let error = of_few().await.unwrap_err();
        assert!(
            matches!(&error, Error::Spent(why) if why.contains("refused")),
            "{error}"
        );
    });
}

#[test]
fn what_was_measured_since_tells_of_nobody() {
    run(409, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        let first = cohort.folder(&cohort.released(0).await).await.groups();
        let measured = |groups: &[Group]| -> Vec<(Vec<release::Feature>, Vec<release::Measure>)> {
            let mut all: Vec<_> = groups
                .iter()
                .map(|group| (group.observed.clone(), group.measured.clone()))
                .collect();
            all.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
            all
        };
        assert!(first.iter().any(|group| !group.measured.is_empty()));
        // A few have another value since, far from the others'.
        for at in [0, 7, MANY + 3] {
            let patient = &cohort.patients[at];
            let name = format!("{}-again", patient.name);
            let world = &cohort.fragile.world;
            world.has(patient.subject, glucose(&name, 900)).await;
        }
        cohort.fragile.world.settle().await;
        let second = cohort.prepared(5).await;
        assert_eq!(second.standing, ReleaseStanding::Prepared);
        let second = cohort.folder(&cohort.released(1).await).await.groups();
        assert_eq!(measured(&second), measured(&first));
    });
}

#[test]
fn what_narrows_a_consent_stops_it_and_nothing_else_does() {
    run(411, |context| async move {
        let cohort = Cohort::new(context, lenient()).await;
        let world = &cohort.fragile.world;
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        // Somebody else may read something else.
        let subject = cohort.patients[0].subject;
        world.grants(subject, world.grant()).await;
        world.settle().await;
        cohort.released(0).await;
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        // The study may read less than it did.
        let mut narrower = granted(world, Grantee::Study(cohort.study));
        narrower.categories.insert(Category::Identity);
        narrower.exceptions = [Exception::Kind(RecordKind::new("Observation").unwrap())].into();
        cohort.withdraws(0).await;
        world.grants(subject, narrower).await;
        world.settle().await;
        let error = cohort.certify(committee(world), 1, true).await;
        let error = error.unwrap_err();
        assert!(
            matches!(&error, Error::Refused(why) if why.contains("consent")),
            "{error}"
        );
        // The next one has them in it as far as they agree now.
        assert_eq!(cohort.prepared(5).await.standing, ReleaseStanding::Prepared);
        cohort.released(2).await;
        assert_eq!(cohort.told(0).await, [0, 2]);
    });
}
