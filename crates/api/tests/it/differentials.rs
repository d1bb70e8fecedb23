//! Differentials over HTTP: what a clinician's day needs, and what it must not show.

use crate::{
    families::{newborn, phenopacket},
    house::{House, Person, run},
    spy::MARKER,
    wire::{Answer, Call},
};
use consent::Role;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{sleep, timeout},
};

const MARFAN: &str = "OMIM:154700";
const FINDINGS: [&str; 5] = [
    "HP:0001083",
    "HP:0001166",
    "HP:0002616",
    "HP:0000768",
    "HP:0001065",
];
const PATIENCE: Duration = Duration::from_secs(20);

fn packet(findings: &[&str]) -> Value {
    let mut packet = phenopacket("first");
    let found = findings
        .iter()
        .map(|id| json!({"type": {"id": id, "label": MARKER}}));
    packet["phenotypicFeatures"] = found.collect();
    packet
}

async fn read(house: &House, subject: &str, token: &str) -> Answer {
    Call::get(format!("/v1/subjects/{subject}/differential?purpose=TREAT"))
        .bearer(token)
        .send(house)
        .await
}

/// Asks until the answer has what is looked for: the node's own work goes on beside the requests.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap()
}

#[test]
fn a_record_makes_a_differential_that_clinicians_hear_of_and_read() {
    run(async |house| {
        let family = newborn(house).await;
        let subject = &family.subject;
        let clinician = &house.staff.clinician;
        let shown = read(house, subject, clinician).await.is(200).value();
        let answer = &shown["differential"];
        assert_eq!(answer["format"], "ithaca-differential/1");
        assert!(
            answer["statement"]
                .as_str()
                .unwrap()
                .contains("not for clinical use")
        );
        assert!(!answer["versions"]["sources"].as_array().unwrap().is_empty());
        assert_eq!(answer["abstained"]["reason"], "undecided");

        Call::put(format!("/v1/subjects/{subject}/records/{}", family.record))
            .bearer(clinician)
            .header("if-match", "\"1\"")
            .wait()
            .json(&packet(&FINDINGS))
            .send(house)
            .await
            .is(200);
        // It is news to whoever may see it.
        until(async || {
            let changes = Call::get("/v1/differentials/changes")
                .bearer(clinician)
                .send(house)
                .await
                .is(200)
                .value();
            let changes = changes["changes"].as_array().unwrap().clone();
            changes
                .iter()
                .any(|news| news["subject"] == **subject)
                .then_some(())
        })
        .await;
        let shown = read(house, subject, clinician).await.is(200).value();
        assert_eq!(shown["differential"]["candidates"][0]["id"], MARFAN);
        let change = shown["course"]["changes"]
            .as_array()
            .unwrap()
            .last()
            .unwrap();
        assert_eq!(
            (&change["kind"], &change["news"]),
            (&json!("findable"), &json!(true))
        );
        assert_eq!(shown["course"]["findable"][0]["disease"], MARFAN);
        // What the label of a finding said travels to who may read it, and nowhere else.
        let listed = Call::get(format!("/v1/subjects/{subject}/disclosures"))
            .bearer(&house.staff.privacy)
            .send(house)
            .await
            .is(200)
            .text();
        for act in ["differential", "differential-changes", "phenotype-profile"] {
            assert!(listed.contains(&format!("\"{act}\"")), "{act}: {listed}");
        }
        assert!(!listed.contains(MARFAN));
    });
}

#[test]
fn families_and_others_are_never_given_one() {
    run(async |house| {
        let family = newborn(house).await;
        let subject = &family.subject;
        let parent = house.tokens(&[house.controller(subject, 0)]).remove(0);
        for token in [
            &parent,
            &house.staff.nurse,
            &house.staff.desk,
            &house.staff.operator,
        ] {
            read(house, subject, token).await.refused(403, "forbidden");
            let call = Call::get("/v1/differentials/changes").bearer(token);
            call.send(house).await.refused(403, "forbidden");
            let call = Call::post("/v1/diagnose").bearer(token);
            let call = call.bytes("text/plain", "Arachnodactyly").send(house);
            call.await.refused(403, "forbidden");
        }
        read(house, subject, &house.staff.specialist).await.is(403);
    });
}

#[test]
fn cases_of_nobody_are_answered_and_bad_ones_refused_in_a_sentence() {
    run(async |house| {
        let diagnose = |media: &str, body: String| {
            let call = Call::post("/v1/diagnose?limit=3").bearer(&house.staff.clinician);
            call.bytes(media, body).send(house)
        };
        let list = "Ectopia lentis\nArachnodactyly\nHP:0002616\n-Seizure\n".to_owned();
        let answer = diagnose("text/plain", list).await.is(200).value();
        assert_eq!(answer["candidates"].as_array().unwrap().len(), 3);
        assert_eq!(answer["candidates"][0]["id"], MARFAN);
        assert_eq!(answer["understood"]["excluded"][0]["id"], "HP:0001250");
        let packet = packet(&FINDINGS).to_string();
        let answer = diagnose("application/json", packet).await.is(200).value();
        assert_eq!(answer["understood"]["format"], "phenopacket");
        for (media, body) in [
            ("application/json", format!("{{\"id\": \"{MARKER}\"")),
            ("application/json", format!("[\"{MARKER}\"]")),
            (
                "application/fhir+json",
                format!("{{\"resourceType\": \"{MARKER}\"}}"),
            ),
            ("text/plain", String::new()),
        ] {
            diagnose(media, body).await.refused(422, "invalid");
        }
        let thousands = "HP:0001166\n".repeat(5_001);
        diagnose("text/plain", thousands).await.is(422);
        let unknown = format!("{MARKER}\nHP:9999999\nHP:0001166");
        let answer = diagnose("text/plain", unknown).await.is(200).value();
        assert_eq!(
            answer["understood"]["not_understood"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        for limit in ["0", "101", "-1", "x"] {
            let call = Call::post(format!("/v1/diagnose?limit={limit}"));
            let call = call.bearer(&house.staff.clinician);
            let refused = call.bytes("text/plain", "Arachnodactyly").send(house).await;
            assert!([400, 422].contains(&refused.status), "{limit}");
        }
    });
}

#[test]
fn terms_are_found_as_they_are_typed() {
    run(async |house| {
        let search = async |query: &str| {
            let call = Call::get(format!("/v1/terms?{query}")).bearer(&house.staff.nurse);
            call.send(house).await
        };
        let found = search("q=arachnodact&limit=3").await.is(200).value();
        assert_eq!(found["terms"][0]["id"], "HP:0001166");
        let slip = search("q=arachnodatcyly").await.is(200).value();
        assert_eq!(slip["terms"][0]["id"], "HP:0001166");
        assert_eq!(slip["terms"][0]["corrected"], true);
        assert_eq!(search("q=").await.is(200).value()["terms"], json!([]));
        search("limit=3").await.is(400);
        search(&format!("q={}", "x".repeat(500))).await.is(413);
    });
}

/// A CDS Hooks request about a patient with these findings as Conditions.
fn hook(patient: &str, prefetch: bool) -> Value {
    let mut request = json!({
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": patient},
    });
    if prefetch {
        let conditions = FINDINGS.iter().enumerate().map(|(n, id)| {
            json!({"resource": {"resourceType": "Condition", "id": format!("c{n}"),
                "subject": {"reference": format!("Patient/{patient}")},
                "code": {"coding": [{"system": "http://human-phenotype-ontology.org", "code": id}]}}})
        });
        request["prefetch"] = json!({
            "patient": {"resourceType": "Patient", "id": patient, "gender": "female"},
            "conditions": {"resourceType": "Bundle", "type": "searchset", "entry": conditions.collect::<Vec<_>>()},
            "observations": {"resourceType": "Bundle", "type": "searchset", "entry": []},
        });
    }
    request
}

#[test]
fn a_clinicians_own_system_is_answered_with_cards() {
    run(async |house| {
        let services = Call::get("/cds-services").send(house).await.is(200).value();
        let hooks: Vec<&str> = services["services"]
            .as_array()
            .unwrap()
            .iter()
            .map(|service| service["hook"].as_str().unwrap())
            .collect();
        assert_eq!(hooks, ["patient-view", "order-sign"]);
        let call = |body: Value| {
            let call = Call::post("/cds-services/ithaca-patient-view");
            call.bearer(&house.staff.clinician).json(&body).send(house)
        };
        let cards = call(hook("p1", true)).await.is(200).value();
        let card = &cards["cards"][0];
        assert!(
            card["summary"].as_str().unwrap().contains("Marfan"),
            "{card}"
        );
        assert_eq!(card["indicator"], "info");
        // Without the resources: they are asked for; of a subject here they are known.
        call(hook("p1", false))
            .await
            .refused(412, "precondition-failed");
        let family = newborn(house).await;
        Call::put(format!(
            "/v1/subjects/{}/records/{}",
            family.subject, family.record
        ))
        .bearer(&house.staff.clinician)
        .header("if-match", "\"1\"")
        .json(&packet(&FINDINGS))
        .send(house)
        .await
        .is(200);
        let cards = call(hook(&family.subject, false)).await.is(200).value();
        assert!(
            cards["cards"][0]["summary"]
                .as_str()
                .unwrap()
                .contains("Marfan")
        );
        let parent = house
            .tokens(&[house.controller(&family.subject, 0)])
            .remove(0);
        let refused = Call::post("/cds-services/ithaca-patient-view").bearer(&parent);
        refused
            .json(&hook(&family.subject, false))
            .send(house)
            .await
            .is(403);
        call(json!({"hook": MARKER}))
            .await
            .refused(400, "bad-request");
        let unknown = Call::post("/cds-services/other").bearer(&house.staff.clinician);
        unknown
            .json(&hook("p1", true))
            .send(house)
            .await
            .refused(404, "not-found");
        let outcome = json!({"feedback": [{"card": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "outcome": "accepted", "acceptedSuggestions": [{"id": "d1577c69-dfbe-44ad-ba6d-3e05e953b2eb"}],
            "outcomeTimestamp": "2026-01-01T00:00:00Z"}]});
        let feedback = Call::post("/cds-services/ithaca-patient-view/feedback");
        let feedback = feedback.bearer(&house.staff.clinician).json(&outcome);
        feedback.send(house).await.is(200);
    });
}

/// Follows the events of a real connection.
struct Follower {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
}

impl Follower {
    async fn new(address: std::net::SocketAddr, token: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        // The first comment says that it follows.
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            if line.unwrap().contains("events follow") {
                return Self { lines };
            }
        }
    }

    /// All that comes until the stream ends.
    async fn rest(mut self) -> String {
        let mut rest = String::new();
        while let Ok(Some(line)) = self.lines.next_line().await {
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    }

    /// The next event of a kind about a subject; none at the end of the stream.
    async fn next(&mut self, kind: &str, subject: &str) -> Option<Value> {
        let mut name = String::new();
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await.unwrap();
            let line = line.ok()??;
            assert!(!line.contains(MARKER) && !line.contains("HP:"), "{line}");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                if name == kind && data["subject"] == *subject {
                    return Some(data);
                }
            }
        }
    }
}

#[test]
fn one_stream_tells_each_what_it_may_hear() {
    run(async |house| {
        let family = newborn(house).await;
        let other = newborn(house).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = house.router.clone();
        let served = tokio::spawn(async move {
            let bounds = api::Bounds::default();
            let stopped = async {
                stopped.await.ok();
            };
            api::serve(listener, router, &bounds, stopped).await
        });
        let parent = house
            .tokens(&[house.controller(&family.subject, 0)])
            .remove(0);
        let mut clinician = Follower::new(address, &house.staff.clinician).await;
        let mut mother = Follower::new(address, &parent).await;
        let watcher = Follower::new(address, &house.staff.clinician).await;
        for subject in [&other.subject, &family.subject] {
            Call::post(format!("/v1/subjects/{subject}/records"))
                .bearer(&house.staff.clinician)
                .wait()
                .json(&packet(&FINDINGS))
                .send(house)
                .await
                .is(201);
        }
        let told = clinician
            .next("differential", &family.subject)
            .await
            .unwrap();
        assert_eq!(
            told,
            json!({"subject": family.subject}),
            "ids and nothing else"
        );
        // The family hears that something of its own came in, and of no differential.
        let told = mother.next("record", &family.subject).await.unwrap();
        assert_eq!(told, json!({"subject": family.subject}));
        // Streams end when serving does, and soon.
        stop.send(()).unwrap();
        timeout(Duration::from_secs(5), served)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let rest = timeout(PATIENCE, mother.rest()).await.unwrap();
        assert!(
            !rest.contains("differential") && !rest.contains(&other.subject),
            "{rest}"
        );
        // To staff nothing is told of that a reading would log.
        let seen = timeout(PATIENCE, watcher.rest()).await.unwrap();
        assert!(seen.contains("event: differential"), "{seen}");
        for never in ["event: record", "event: consent", "event: break-glass"] {
            assert!(!seen.contains(never), "{seen}");
        }
    });
}

#[test]
fn roles_together_do_not_open_what_one_would_not() {
    run(async |house| {
        let family = newborn(house).await;
        // A controller's token that claims to be a clinician's too stays bound to its subject.
        let both = Person {
            roles: &[Role::Controller, Role::Clinician],
            ..house.controller(&family.subject, 0)
        };
        let token = house.tokens(&[both]).remove(0);
        let other = newborn(house).await;
        read(house, &other.subject, &token).await.is(403);
    });
}
