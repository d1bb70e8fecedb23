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
    let stranger = Stranger {
        python: &python,
        script: here.join("check.py"),
        folder: kept.join("work"),
    };
    stranger.judges_what_is_answered();
    stranger.refuses_what_is_wrong();
    stranger.is_understood();
}

struct Stranger<'a> {
    python: &'a Python,
    script: PathBuf,
    folder: PathBuf,
}

impl Stranger<'_> {
    fn start(&self) {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).unwrap();
        }
        fs::create_dir_all(&self.folder).unwrap();
        self.write("services", &json!(cds::services()));
    }

    fn write(&self, name: &str, document: &Value) {
        let path = self.folder.join(format!("{name}.json"));
        fs::write(path, serde_json::to_vec(document).unwrap()).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(format!("{name}.json"))).unwrap()
    }

    fn says(&self, what: &str) -> (bool, String) {
        let mut command = Command::new(&self.python.program);
        command
            .arg("-B")
            .arg(&self.script)
            .arg(what)
            .arg(&self.folder);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        // A tool that breaks off has not refused.
        assert!(errors.is_empty(), "{errors}");
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    }

    fn judges_what_is_answered(&self) {
        self.start();
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
                self.write(
                    &format!("response-{}-{name}", service.id()),
                    &json!(response),
                );
            }
        }
        assert!(cards >= 6 && orders >= 8, "{cards} cards, {orders} orders");
        let said = format!("2 services, {cards} cards, {orders} orders\n");
        assert_eq!(self.says("judge"), (true, said));
    }

    /// So that its consent means something.
    fn refuses_what_is_wrong(&self) {
        let good = json!(cards_for(Service::PatientView, &VOMITING, &[]));
        let order = "/cards/1/suggestions/0/actions/0/resource";
        let wrong = [
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
            (
                "/cards/1",
                "selection_behavior",
                json!("any"),
                "what the model lacks",
            ),
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
        ];
        for (at, name, value, because) in wrong {
            self.start();
            let mut response = good.clone();
            let object = response.pointer_mut(at).unwrap().as_object_mut().unwrap();
            match value {
                Value::Null => object.remove(name),
                value => object.insert(name.to_owned(), value),
            };
            self.write("response-wrong", &response);
            self.is_refused(because);
        }
        self.start();
        let mut services = json!(cds::services());
        services["services"][1]["description"] = Value::Null;
        self.write("services", &services);
        self.is_refused("services.1.description");

        // And HL7's own, as published.
        for (name, because) in [
            ("empty", None),
            ("link", None),
            ("two-cards", None),
            ("empty2", Some("lacks what the model has")),
            ("empty-source", Some("cards.0.source.label")),
            ("source-link", Some("cards.0.summary")),
            ("suggestion", Some("cards.0.summary")),
        ] {
            self.start();
            let response = hl7::bytes(&format!("response-{name}"));
            fs::write(self.folder.join("response-hl7.json"), response).unwrap();
            match because {
                None => assert!(self.says("judge").0, "{name}"),
                Some(because) => self.is_refused(because),
            }
        }
    }

    fn is_refused(&self, because: &str) {
        let (holds, said) = self.says("judge");
        assert!(!holds && said.starts_with("REFUSED"), "{because}: {said}");
        assert!(said.contains(because), "{because}: {said}");
    }

    fn is_understood(&self) {
        self.start();
        let sent = body(
            Service::OrderSign,
            &VOMITING,
            &[order("http://loinc.org", "1-8")],
        );
        self.write("prefetch", &sent["prefetch"]);
        self.write("orders", &sent["context"]["draftOrders"]);
        assert_eq!(self.says("ask"), (true, "asked\n".to_owned()));
        for service in Service::ALL {
            let bytes = self.read(&format!("request-{}", service.hook()));
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
        let counted = Feedback::parse(&self.read("feedback")).unwrap();
        assert_eq!((counted.accepted, counted.overridden), (0, 1));
    }
}
