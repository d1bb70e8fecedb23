//! FHIR Subscriptions: who is told of what, when it cannot be told, and what a restart leaves of it.

mod at_rest;
mod net;

use crate::world::{final_wait, run};
use futures::channel::oneshot;
use net::*;
use node::consent_change::{ConsentChange, GrantDraft};
use node::disclosure::DisclosureQuery;
use node::erase::Erase;
use node::fhir::{FhirFound, FhirPage, FhirSearch, FhirTransact, MAX_SUBSCRIPTIONS_EACH, Scopes};
use node::subject::Wait;
use node::{Caller, Category, Grantee, Kind, Millis, PractitionerAt, Purpose, Role};
use std::sync::atomic::Ordering;

#[test]
fn what_matches_is_told_and_logged_and_nothing_else() {
    run(301, |context| async move {
        let net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let (_, other) = net.patient().await;
        let criteria = format!("Observation?code=718-7&patient=Patient/{patient}");
        net.subscribed(&criteria, true).await;
        let id = net.observe(&patient, "718-7", 41).await;
        net.observe(&patient, "2345-7", 42).await;
        net.observe(&other, "718-7", 43).await;
        net.settled(1).await;
        let notice = net.fake.came().remove(0);
        assert_eq!(notice.endpoint, format!("{HOOK}/a"));
        let secret = ("Authorization".to_owned(), "Bearer secret".to_owned());
        assert_eq!(notice.headers, [secret]);
        let payload = notice.payload.unwrap();
        assert_eq!(payload.place, format!("Observation/{id}"));
        let sent = text(&payload.content);
        assert!(sent.contains(r#""valueInteger":41"#), "{sent}");
        assert!(sent.contains(r#""versionId":"1""#), "{sent}");

        // The other front door.
        let deposited = observation(&patient, "718-7", 44);
        net.deposit(subject, &deposited, Wait::Durable).await;
        net.settled(2).await;
        assert!(net.fake.texts()[1].contains(r#""valueInteger":44"#));

        let listed = DisclosureQuery {
            caller: net.world.officer(),
            subject,
            from: Millis::ZERO,
            until: net.world.now().saturating_add(60_000),
        };
        let listed = net.world.handle().disclosure_list(listed).await.unwrap();
        let told = listed.disclosures.iter();
        let told = told.filter(|told| told.act.as_deref() == Some("fhir-subscription"));
        assert_eq!(told.count(), 2);
    });
}

#[test]
fn a_ping_tells_nothing_but_that_something_was_written() {
    run(302, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        net.subscribed("Observation?code=718-7", false).await;
        net.observe(&patient, "718-7", 41).await;
        net.settled(1).await;
        assert_eq!(net.fake.came()[0].payload, None);
    });
}

#[test]
fn an_update_that_begins_to_match_is_told() {
    run(303, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        net.subscribed("Observation?code=718-7", true).await;
        let id = net.observe(&patient, "2345-7", 41).await;
        net.transact(update(&id, &observation(&patient, "718-7", 42)))
            .await;
        net.settled(1).await;
        // What it was before, and that it does so no more, is not told.
        net.transact(update(&id, &observation(&patient, "2345-7", 43)))
            .await;
        net.transact(delete(&id)).await;
        net.settled(1).await;
        let sent = &net.fake.texts()[0];
        assert!(sent.contains(r#""valueInteger":42"#), "{sent}");
        assert!(sent.contains(r#""versionId":"2""#), "{sent}");
    });
}

#[test]
fn consent_withdrawn_before_it_is_told_binds() {
    run(304, |context| async move {
        let net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        let (release, gate) = oneshot::channel();
        net.fake.server().gate = Some(gate);
        net.observe(&patient, "718-7", 41).await;
        net.settled(1).await;
        // It waits behind the first.
        net.observe(&patient, "718-7", 42).await;
        let restrict = |on| {
            net.world
                .consent(subject, ConsentChange::Restrict(on), final_wait())
        };
        restrict(true).await.unwrap();
        release.send(()).unwrap();
        net.settled(1).await;
        // It was not put off either: what is permitted later is told of what is written later.
        restrict(false).await.unwrap();
        net.observe(&patient, "718-7", 43).await;
        net.settled(2).await;
        let texts = net.fake.texts();
        assert!(texts[0].contains(r#""valueInteger":41"#));
        assert!(texts[1].contains(r#""valueInteger":43"#));
        assert!(net.read(&id).await.contains(r#""status":"active""#));
    });
}

#[test]
fn what_cannot_be_decided_now_waits_until_it_can() {
    run(314, |context| async move {
        let net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let researcher = net.world.staff("dr-calypso", Role::Researcher);
        let act = create(&subscription("Observation?code=718-7", true, "requested"));
        let made = net.subscribe(researcher.clone(), act).await.unwrap();
        let id = made.resource.unwrap().id;
        let grant = GrantDraft {
            grantee: Grantee::Practitioner(PractitionerAt {
                institution: net.world.id,
                practitioner: researcher.actor.practitioner.clone(),
            }),
            purposes: [Purpose::Hresch].into(),
            categories: Category::ALL.iter().copied().collect(),
            ..net.world.grant()
        };
        let grant = ConsentChange::GrantAdd(grant);
        net.observe(&patient, "718-7", 40).await;
        net.settled(0).await;
        net.world
            .consent(subject, grant, final_wait())
            .await
            .unwrap();
        net.observe(&patient, "718-7", 41).await;
        net.settled(1).await;
        // The ledger is out of sight, for longer than an endpoint may be.
        net.world.skew_ms.store(120_000, Ordering::Relaxed);
        net.observe(&patient, "718-7", 42).await;
        net.world.sleep_ms(300_000).await;
        assert_eq!(net.fake.count(), 1);
        net.world.skew_ms.store(0, Ordering::Relaxed);
        net.world.sleep_ms(200_000).await;
        net.settled(2).await;
        assert!(net.fake.texts()[1].contains(r#""valueInteger":42"#));
        let said = net.read_as(researcher, &id).await.unwrap();
        assert!(said.contains(r#""status":"active""#), "{said}");
    });
}

#[test]
fn a_subscriber_hears_of_nobody_but_whom_it_is_confined_to() {
    run(315, |context| async move {
        let net = Net::new(context).await;
        let (own, patient) = net.patient().await;
        let (_, other) = net.patient().await;
        // By the Patient of its scopes, by the subject of its token, and by what the scopes filter.
        let mut launched = net.asker(net.world.clinician());
        launched.launched = Some(patient.clone());
        launched.scopes = scopes("patient/*.cruds");
        let family = net.asker(net.world.parent(own, 1));
        let mut filtered = net.asker(net.world.clinician());
        filtered.scopes = scopes("user/*.c user/Observation.r user/Observation.s?code=2345-7");
        for (at, asker) in [launched, family, filtered].into_iter().enumerate() {
            let subscription = subscription("Observation?code=718-7", true, "requested");
            let subscription = subscription.replace("hook/a", &format!("hook/{at}"));
            let made = net.subscribe_with(asker, create(&subscription), None).await;
            made.unwrap();
        }
        net.observe(&other, "718-7", 41).await;
        net.settled(0).await;
        net.observe(&patient, "718-7", 42).await;
        net.settled(2).await;
        // Who may not find and read it may not subscribe to it.
        for missing in [
            "user/*.cs",
            "user/*.cr",
            "user/Subscription.cruds",
            "patient/*.cruds",
        ] {
            let mut asker = net.asker(net.world.clinician());
            asker.scopes = scopes(missing);
            let act = create(&subscription("Observation?code=718-7", true, "requested"));
            let refused = net.subscribe_with(asker, act, None).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Forbidden, "{missing}");
        }
        let mut ends: Vec<String> = net.fake.came().into_iter().map(|n| n.endpoint).collect();
        ends.sort();
        assert_eq!(ends, [format!("{HOOK}/0"), format!("{HOOK}/1")]);
    });
}

#[test]
fn what_fails_is_tried_again_later_and_later() {
    run(305, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[BROKEN, DOWN, BROKEN]);
        net.observe(&patient, "718-7", 41).await;
        net.observe(&patient, "718-7", 42).await;
        net.settled(5).await;
        let came: Vec<u64> = net.fake.server().came.iter().map(|came| came.1).collect();
        for (tried, pair) in came.windows(2).take(3).enumerate() {
            let whole = FIRST_WAIT_MS << tried;
            let waited = pair[1] - pair[0];
            assert!(waited >= whole / 2, "{tried}: {waited}");
        }
        // In order: the second waits for the first.
        let texts = net.fake.texts();
        assert!(texts[3].contains(r#""valueInteger":41"#));
        assert!(texts[4].contains(r#""valueInteger":42"#));
        assert!(net.read(&id).await.contains(r#""status":"active""#));
    });
}

#[test]
fn after_the_last_attempt_it_is_given_up_until_it_is_asked_for_again() {
    run(306, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[BROKEN; 4]);
        net.observe(&patient, "718-7", 41).await;
        let said = net.says(&id, r#""status":"error""#).await;
        assert!(said.contains("the endpoint answered 500"), "{said}");
        assert!(!said.contains(&patient), "{said}");
        net.observe(&patient, "718-7", 42).await;
        net.settled(4).await;

        let again = subscription("Observation?code=718-7", true, "requested");
        let clinician = net.world.clinician();
        net.subscribe(clinician, update(&id, &again)).await.unwrap();
        let said = net.read(&id).await;
        assert!(
            said.contains(r#""status":"active""#) && !said.contains("500"),
            "{said}"
        );
        net.observe(&patient, "718-7", 43).await;
        net.settled(5).await;
        assert!(net.fake.texts()[4].contains(r#""valueInteger":43"#));
    });
}

#[test]
fn who_falls_too_far_behind_is_given_up() {
    run(313, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        let (release, gate) = oneshot::channel();
        net.fake.server().gate = Some(gate);
        for value in 0..WAITING {
            net.observe(&patient, "718-7", u32::try_from(value).unwrap())
                .await;
        }
        net.tried(1).await;
        net.world.sleep_ms(1_000).await;
        assert!(net.read(&id).await.contains(r#""status":"active""#));
        net.observe(&patient, "718-7", 99).await;
        let said = net.says(&id, r#""status":"error""#).await;
        assert!(said.contains("too many"), "{said}");
        release.send(()).unwrap();
        net.settled(1).await;
    });
}

#[test]
fn a_crash_forgets_no_notification() {
    run(307, |context| async move {
        let mut net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.observe(&patient, "718-7", 41).await;
        // Whatever the pump had done by then.
        net.restart().await;
        let came = net.fake.count().max(1);
        net.settled(came).await;
        let first = net.fake.count();

        // While it is being tried again.
        net.fake.answers(&[DOWN, DOWN]);
        net.observe(&patient, "718-7", 42).await;
        net.tried(first + 1).await;
        net.restart().await;
        net.settled(first + 3).await;
        let last = net.fake.texts().pop().unwrap();
        assert!(last.contains(r#""valueInteger":42"#), "{last}");
        assert!(net.read(&id).await.contains(r#""status":"active""#));
        // How often it was tried is not forgotten either.
        net.fake.answers(&[DOWN; 4]);
        net.observe(&patient, "718-7", 43).await;
        net.tried(first + 5).await;
        net.restart().await;
        net.says(&id, r#""status":"error""#).await;
        net.settled(first + 7).await;
    });
}

#[test]
fn off_is_off_and_so_is_what_ended() {
    run(308, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", false).await;
        let clinician = net.world.clinician();
        let off = r#"[{"op":"replace","path":"/status","value":"off"}]"#;
        let done = net.subscribe(clinician.clone(), patch(&id, off)).await;
        let done = done.unwrap().resource.unwrap();
        assert_eq!(done.version, 2);
        assert!(text(&done.content.unwrap()).contains(r#""status":"off""#));
        net.observe(&patient, "718-7", 41).await;
        net.settled(0).await;

        let end = net.world.now().saturating_add(600_000).to_rfc3339();
        let ends = subscription("Observation?code=718-7", false, "requested");
        let ends = ends.replace(r#""reason""#, &format!(r#""end":"{end}","reason""#));
        let made = net.subscribe(clinician.clone(), create(&ends)).await;
        let ending = made.unwrap().resource.unwrap().id;
        net.observe(&patient, "718-7", 42).await;
        net.settled(1).await;
        net.world.skew_ms.store(601_000, Ordering::Relaxed);
        net.observe(&patient, "718-7", 43).await;
        net.settled(1).await;
        net.says(&ending, r#""status":"off""#).await;
        net.subscribe(clinician.clone(), delete(&ending))
            .await
            .unwrap();
        let gone = net.read_as(clinician, &ending).await.unwrap_err();
        assert_eq!(gone.kind(), Kind::NotFound);

        // One that says no end has one all the same.
        let endless = net.subscribed("Observation?code=718-7", false).await;
        assert!(net.read(&endless).await.contains(r#""end":""#));
        net.world.skew_ms.store(31 * 86_400_000, Ordering::Relaxed);
        net.says(&endless, r#""status":"off""#).await;
    });
}

#[test]
fn a_token_that_was_revoked_ends_what_was_made_with_it() {
    run(309, |context| async move {
        let net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let act = create(&subscription("Observation?code=718-7", true, "requested"));
        let asker = net.asker(net.world.clinician());
        let made = net.subscribe_with(asker, act, Some("token-1")).await;
        let id = made.unwrap().resource.unwrap().id;
        net.observe(&patient, "718-7", 41).await;
        net.settled(1).await;
        net.fake.server().revoked.push("token-1".to_owned());
        net.observe(&patient, "718-7", 42).await;
        net.settled(1).await;
        let said = net.says(&id, r#""status":"error""#).await;
        assert!(said.contains("not good any more"), "{said}");
    });
}

#[test]
fn an_endpoint_that_is_listed_no_more_gets_nothing() {
    run(310, |context| async move {
        let mut net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.fake.server().refuses = true;
        net.restart().await;
        net.observe(&patient, "718-7", 41).await;
        net.says(&id, r#""status":"error""#).await;
        net.settled(0).await;
        // A node that takes none at all says so too.
        net.fake.server().refuses = false;
        let again = subscription("Observation?code=718-7", true, "requested");
        let clinician = net.world.clinician();
        net.subscribe(clinician.clone(), update(&id, &again))
            .await
            .unwrap();
        let config = net.world.node_config();
        net.world.restart_with(config).await;
        let said = net.says(&id, r#""status":"error""#).await;
        assert!(said.contains("takes no subscriptions"), "{said}");
        let refused = net.subscribe(clinician, create(&again)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        assert!(
            refused.to_string().contains("lists no endpoints"),
            "{refused}"
        );
    });
}

#[test]
fn a_subscription_is_its_subscribers() {
    run(311, |context| async move {
        let net = Net::new(context).await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        let other = net.world.staff("nurse-1", Role::Nurse);
        let again = subscription("Observation?code=718-7", true, "requested");
        for act in [update(&id, &again), patch(&id, "[]"), delete(&id)] {
            let refused = net.subscribe(other.clone(), act).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::NotFound);
        }
        let unseen = net.read_as(other.clone(), &id).await.unwrap_err();
        assert_eq!(unseen.kind(), Kind::NotFound);
        let seen = |page: FhirPage| page.found.iter().map(id_of).collect::<Vec<_>>();
        let search = async |caller: Caller, status: &str| {
            let search = FhirSearch {
                asker: net.asker(caller),
                kind: "Subscription".to_owned(),
                query: vec![("status".to_owned(), status.to_owned())],
                strict: true,
                after: None,
            };
            seen(net.world.handle().fhir_search(search).await.unwrap())
        };
        assert_eq!(search(other.clone(), "active").await, [""; 0]);
        assert_eq!(search(net.world.clinician(), "off").await, [""; 0]);
        assert_eq!(
            search(net.world.clinician(), "active").await,
            vec![id.as_str()]
        );
        // Who answers for data protection sees it without its secrets, and may end it.
        let officer = net.world.officer();
        assert_eq!(search(officer.clone(), "active").await, vec![id.as_str()]);
        let shown = net.read_as(officer.clone(), &id).await.unwrap();
        assert!(!shown.contains("secret"), "{shown}");
        assert!(net.read(&id).await.contains("secret"));
        net.subscribe(officer, delete(&id)).await.unwrap();

        for _ in 0..MAX_SUBSCRIPTIONS_EACH {
            net.subscribed("Observation?code=718-7", true).await;
        }
        let one_more = net.subscribe(net.world.clinician(), create(&again)).await;
        assert_eq!(one_more.unwrap_err().kind(), Kind::Invalid);
        net.subscribe(other, create(&again)).await.unwrap();
        // Where it could not be undone it is not made.
        let transact = FhirTransact {
            asker: net.asker(net.world.clinician()),
            writes: vec![write("Subscription", create(&again))],
            strict: true,
            bundle: true,
            wait: Wait::Durable,
            source: "test".to_owned(),
        };
        let refused = net.world.handle().fhir_transact(transact).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Invalid);
    });
}

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

fn id_of(found: &FhirFound) -> String {
    found.resource.id.clone()
}

#[test]
fn an_erasure_ends_what_names_only_the_erased() {
    run(312, |context| async move {
        let net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let (_, other) = net.patient().await;
        let of_one = format!("Observation?patient=Patient/{patient}");
        let of_one = net.subscribed(&of_one, true).await;
        let of_all = net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[DOWN, DOWN]);
        net.observe(&patient, "718-7", 41).await;
        // Both were tried once, and wait.
        net.tried(2).await;
        let erase = Erase {
            caller: net.world.officer(),
            subject,
        };
        net.world.handle().erase(erase).await.unwrap();
        net.settled(2).await;
        let gone = net.read_as(net.world.clinician(), &of_one).await;
        assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
        net.observe(&other, "718-7", 42).await;
        net.settled(3).await;
        assert!(net.fake.texts()[2].contains(r#""valueInteger":42"#));
        assert!(net.read(&of_all).await.contains(r#""status":"active""#));
    });
}
