//! FHIR Subscriptions over HTTP: a subscriber whose server fails and comes back, and a node that is killed.

use crate::institution::{Answer, As, Institution, Server, wait_for};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

const FHIR: (&str, &str) = ("content-type", "application/fhir+json");

/// A request that came to a subscriber.
#[derive(Clone, Debug)]
struct Came {
    /// Method and path.
    line: String,
    /// Headers, in lower case.
    head: String,
    body: String,
    answered: u16,
}

/// A subscriber's server on loopback.
#[derive(Default)]
struct Hook {
    came: Vec<Came>,
    /// What it answers next.
    next: VecDeque<u16>,
    /// And afterwards.
    then: u16,
}

struct Listening {
    hook: Arc<Mutex<Hook>>,
    address: String,
}

impl Listening {
    fn begin(next: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hook = Arc::new(Mutex::new(Hook {
            next: next.iter().copied().collect(),
            then: 200,
            ..Hook::default()
        }));
        let own = hook.clone();
        // It ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever breaks off is no one's loss.
                serve(stream, &own).ok();
            }
        });
        Self { hook, address }
    }

    fn answers(&self, status: u16) {
        self.hook.lock().unwrap().then = status;
    }

    fn came(&self) -> Vec<Came> {
        self.hook.lock().unwrap().came.clone()
    }

    /// Waits for a request with this in its body or line that was answered so.
    fn wait_for(&self, what: &str, answered: u16) -> Came {
        wait_for(what, || {
            let came = self.came().into_iter();
            let mut fits = came.filter(|came| came.answered == answered);
            fits.find(|came| came.body.contains(what) || came.line.contains(what))
        })
    }
}

fn serve(stream: TcpStream, hook: &Mutex<Hook>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut head) = (String::new(), String::new());
    reader.read_line(&mut line)?;
    loop {
        let from = head.len();
        reader.read_line(&mut head)?;
        if head[from..].trim().is_empty() {
            break;
        }
    }
    let head = head.to_lowercase();
    let length = head.split_once("content-length:");
    let length = length.and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let answered = {
        let mut hook = hook.lock().unwrap();
        let then = hook.then;
        let answered = hook.next.pop_front().unwrap_or(then);
        hook.came.push(Came {
            line: line.trim().to_owned(),
            head,
            body: String::from_utf8(body).unwrap(),
            answered,
        });
        answered
    };
    let mut stream = stream;
    let elsewhere = "location: http://127.0.0.1:1/\r\n";
    write!(
        stream,
        "HTTP/1.1 {answered} Said\r\n{elsewhere}content-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn subscription(endpoint: &str, payload: bool) -> Value {
    let mut subscription = json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "follow-up of a newborn screening",
        "criteria": "Observation?code=http://loinc.org|718-7",
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "header": ["Authorization: Bearer of-the-subscriber"],
        },
    });
    if payload {
        subscription["channel"]["payload"] = json!("application/fhir+json");
    }
    subscription
}

fn post(server: &Server<'_>, resource: &Value) -> Answer {
    let path = format!("/fhir/{}", resource["resourceType"].as_str().unwrap());
    let body = resource.to_string();
    server.call("POST", &path, As::Clinician, &[FHIR], Some(body.as_bytes()))
}

fn observe(server: &Server<'_>, patient: &str, value: u32) -> String {
    let observation = json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "valueInteger": value,
    });
    id(&post(server, &observation).is(201))
}

fn id(made: &Answer) -> String {
    made.value()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_subscriber_is_told_whatever_fails() {
    let folder = tempfile::tempdir().unwrap();
    let institution = Institution::found(folder.path());
    let hook = Listening::begin(&[500, 307, 200]);
    let listed = format!("http://{}/hooks", hook.address);
    institution.configure(&format!(
        "[subscriptions]\nendpoints = [\"{listed}\"]\nfirst_wait_ms = 20"
    ));
    let server = institution.start();
    let elsewhere = format!("http://{}/other", hook.address);
    let refused = post(&server, &subscription(&elsewhere, true)).is(422);
    let said = refused.value();
    assert_eq!(said["resourceType"], "OperationOutcome");
    let said = said["issue"][0]["diagnostics"].to_string();
    assert!(said.contains("does not list it"), "{said}");

    let made = post(&server, &subscription(&format!("{listed}/a"), true)).is(201);
    assert_eq!(made.value()["status"], "active");
    let path = format!("/fhir/Subscription/{}", id(&made));
    let family = json!({"resourceType": "Patient", "name": [{"family": "Laertiades"}]});
    let patient = id(&post(&server, &family).is(201));
    let observation = observe(&server, &patient, 41);
    // An answer that is no success, and one that leads elsewhere, are no arrival.
    let told = hook.wait_for("\"valueInteger\":41", 200);
    assert_eq!(
        told.line,
        format!("PUT /hooks/a/Observation/{observation} HTTP/1.1")
    );
    for header in [
        "authorization: bearer of-the-subscriber",
        "content-type: application/fhir+json",
    ] {
        assert!(told.head.contains(header), "{}", told.head);
    }
    let answered: Vec<u16> = hook.came().iter().map(|came| came.answered).collect();
    assert_eq!(answered, [500, 307, 200]);

    // What is committed is told, also if the node does not live to tell it.
    hook.answers(503);
    observe(&server, &patient, 42);
    server.crash();
    hook.answers(200);
    let server = institution.start();
    hook.wait_for("\"valueInteger\":42", 200);

    // Without a payload it is told that there is something, and not what.
    let made = post(&server, &subscription(&format!("{listed}/ping"), false)).is(201);
    observe(&server, &patient, 43);
    let ping = hook.wait_for("/hooks/ping", 200);
    assert_eq!(
        (ping.line.as_str(), ping.body.as_str()),
        ("POST /hooks/ping HTTP/1.1", "")
    );
    hook.wait_for("\"valueInteger\":43", 200);

    let ended = format!("/fhir/Subscription/{}", id(&made));
    server
        .call("DELETE", &ended, As::Clinician, &[], None)
        .is(204);
    server.get(&ended, As::Clinician).is(404);
    let found = server.get("/fhir/Subscription?status=active", As::Clinician);
    assert_eq!(found.is(200).value()["total"], 1);
    server.get(&path, As::Desk).is(404);
    let shown = server.get(&path, As::Officer).is(200).text();
    assert!(!shown.contains("of-the-subscriber"), "{shown}");
    let said = server.stop("-TERM");
    for word in [
        "ERROR",
        "panicked",
        "Laertiades",
        "718-7",
        "of-the-subscriber",
    ] {
        assert!(!said.contains(word), "{said}");
    }
}

#[test]
fn a_node_that_lists_no_endpoint_takes_no_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let institution = Institution::found(folder.path());
    let server = institution.start();
    let refused = post(&server, &subscription("http://127.0.0.1:1/hook", true)).is(422);
    assert!(
        refused.text().contains("lists no endpoints"),
        "{}",
        refused.text()
    );
    server.stop("-TERM");
}
