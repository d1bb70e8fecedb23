//! Judged by models that nobody here wrote: HealthChain's of CDS Hooks, fhir.resources' of FHIR. They come
//! from PyPI, once; after that the test needs no network.
//!
//! Needs `python3` of version 3.11 or later with `venv`. Without a way to PyPI it says so and is skipped.

use crate::python::Python;
use crate::{CHARGE, VAGUE, VOMITING, answer_to, body, cards_for, hl7, order, source};
use cds::{Feedback, Request, Service};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn strangers_understand_the_services_and_are_understood() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cds-strangers");
    let Some(python) = Python::ready(&here, &kept) else {
        // Not through the test's own output, which is shown only if it fails.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED strangers_understand_the_services_and_are_understood: PyPI cannot be reached, so HealthChain \
             and fhir.resources are not here"
        );
        return;
    };
    let work = kept.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).unwrap();
    }
    let stranger = Stranger {
        python: &python,
        script: here.join("check.py"),
        work,
    };
    stranger.judges_what_is_answered();
    stranger.refuses_what_is_wrong();
    stranger.is_understood();
}

struct Stranger<'a> {
    python: &'a Python,
    script: PathBuf,
    work: PathBuf,
}

/// Documents that are judged together.
struct Folder(PathBuf);

impl Folder {
    fn write(&self, name: &str, document: &Value) {
        self.keep(name, &serde_json::to_vec(document).unwrap());
    }

    fn keep(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(format!("{name}.json")), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(format!("{name}.json"))).unwrap()
    }
}

impl Stranger<'_> {
    /// A folder that holds the discovery document.
    fn folder(&self, name: &str) -> Folder {
        let folder = Folder(self.work.join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder.write("services", &json!(cds::services()));
        folder
    }

    /// What is said of each folder.
    fn says<'f>(&self, what: &str, of: impl IntoIterator<Item = &'f Folder>) -> Vec<String> {
        let mut command = Command::new(&self.python.program);
        command.arg("-B").arg(&self.script).arg(what);
        let output = command
            .args(of.into_iter().map(|folder| &folder.0))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().map(str::to_owned).collect()
    }

    fn judges_what_is_answered(&self) {
        let folder = self.folder("answered");
        let (mut cards, mut orders) = (0, 0);
        for service in Service::ALL {
            for (name, findings) in [
                ("charge", &CHARGE[..]),
                ("vomiting", &VOMITING),
                ("vague", &VAGUE),
                ("none", &[]),
            ] {
                let response = cards_for(service, findings, &[order("http://loinc.org", "1-8")]);
                cards += response.cards.len();
                orders += response
                    .cards
                    .iter()
                    .map(|card| card.suggestions.len())
                    .sum::<usize>();
                folder.write(
                    &format!("response-{}-{name}", service.id()),
                    &json!(response),
                );
            }
        }
        assert!(cards >= 6 && orders >= 8, "{cards} cards, {orders} orders");
        let said = format!("2 services, {cards} cards, {orders} orders");
        assert_eq!(self.says("judge", [&folder]), [said]);
    }

    /// So that its consent means something.
    fn refuses_what_is_wrong(&self) {
        let good = json!(cards_for(Service::PatientView, &VOMITING, &[]));
        let order = "/cards/1/suggestions/0/actions/0/resource";
        let lacks = "it lacks what the model has, or has what the model lacks";
        let mut cases = Vec::new();
        // Null takes the member away.
        for (at, name, value, because) in [
            ("/cards/0", "indicator", json!("loud"), "indicator"),
            ("/cards/0", "summary", json!("x".repeat(141)), "summary"),
            ("/cards/0/source", "label", Value::Null, "source.label"),
            ("/cards/0", "uuid", json!(7), "uuid"),
            (
                "/cards/1",
                "selectionBehavior",
                json!("all"),
                "selectionBehavior",
            ),
            ("/cards/1", "selection_behavior", json!("any"), lacks),
            (
                "/cards/1/suggestions/0/actions/0",
                "type",
                json!("make"),
                "type",
            ),
            (order, "subject", Value::Null, "ServiceRequest: subject"),
            (
                order,
                "intents",
                json!("proposal"),
                "ServiceRequest: intents",
            ),
            (order, "code", json!("LOINC"), "ServiceRequest: code"),
        ] {
            let folder = self.folder(&format!("wrong-{}", cases.len()));
            let mut response = good.clone();
            let object = response.pointer_mut(at).unwrap().as_object_mut().unwrap();
            match value {
                Value::Null => object.remove(name),
                value => object.insert(name.to_owned(), value),
            };
            folder.write("response-wrong", &response);
            cases.push((folder, Some(because)));
        }
        let folder = self.folder("services");
        let mut services = json!(cds::services());
        services["services"][1]["description"] = Value::Null;
        folder.write("services", &services);
        cases.push((folder, Some("services.1.description")));
        // And HL7's own, as published.
        for (name, because) in [
            ("empty", None),
            ("link", None),
            ("two-cards", None),
            ("empty2", Some(lacks)),
            ("empty-source", Some("cards.0.source.label")),
            ("source-link", Some("cards.0.summary")),
            ("suggestion", Some("cards.0.summary")),
        ] {
            let folder = self.folder(&format!("hl7-{name}"));
            folder.keep("response-hl7", &hl7::bytes(&format!("response-{name}")));
            cases.push((folder, because));
        }
        let said = self.says("judge", cases.iter().map(|(folder, _)| folder));
        assert_eq!(said.len(), cases.len());
        for ((folder, because), said) in cases.iter().zip(said) {
            let name = folder.0.display();
            let is_refused = said.starts_with("REFUSED ");
            assert_eq!(is_refused, because.is_some(), "{name}: {said}");
            assert!(
                said.contains(because.unwrap_or("2 services, ")),
                "{name}: {said}"
            );
        }
    }

    fn is_understood(&self) {
        let folder = self.folder("asked");
        let sent = body(
            Service::OrderSign,
            &VOMITING,
            &[order("http://loinc.org", "1-8")],
        );
        folder.write("prefetch", &sent["prefetch"]);
        folder.write("orders", &sent["context"]["draftOrders"]);
        assert_eq!(self.says("ask", [&folder]), ["asked"]);
        for service in Service::ALL {
            let bytes = folder.read(&format!("request-{}", service.hook()));
            assert!(
                bytes
                    .windows(17)
                    .any(|window| window == b"some-opaque-token")
            );
            let request = Request::parse(&bytes, service).unwrap_or_else(|error| panic!("{error}"));
            let answer = answer_to(&request);
            assert_eq!(answer.understood.observed.len(), VOMITING.len());
            let cards = cds::cards(&request, &answer, &source()).cards;
            assert_eq!(
                cards.len(),
                if service == Service::PatientView {
                    2
                } else {
                    1
                }
            );
        }
        let counted = Feedback::parse(&folder.read("feedback")).unwrap();
        assert_eq!((counted.accepted, counted.overridden), (0, 1));
    }
}
