//! Judged by models that nobody here wrote: fhir.resources' of FHIR R4B, which of these resources is R4. They
//! come from PyPI, once; after that the test needs no network.
//!
//! Needs `python3` of version 3.11 or later with `venv`. Without a way to PyPI it says so and is skipped.

use crate::python::Python;
use crate::{answers, conditions, consent_write as consents, events};
use mirror::{
    Author, ReceiptState, Security, consent_write, opt_outs_write, outcome, provenance,
    restriction_write,
};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

#[test]
fn strangers_take_every_resource_as_it_is() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mirror-strangers");
    let Some(python) = Python::ready(&here, &kept) else {
        // Not through the test's own output, which is shown only if it fails.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED strangers_take_every_resource_as_it_is: PyPI cannot be reached, so fhir.resources is not here"
        );
        return;
    };
    let work = kept.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).unwrap();
    }
    fs::create_dir_all(&work).unwrap();
    let good = samples();
    for (name, document) in &good {
        fs::write(work.join(format!("{name}.json")), document).unwrap();
    }
    let bad = broken(&good);
    for (name, document, _) in &bad {
        fs::write(work.join(format!("wrong-{name}.json")), document).unwrap();
    }
    let output = Command::new(&python.program)
        .arg("-B")
        .arg(here.join("check.py"))
        .arg(&work)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), good.len() + bad.len());
    for (name, _) in &good {
        let line = format!("{name}: taken");
        assert!(said.contains(&line.as_str()), "{name}: {said:#?}");
    }
    // So that their consent means something.
    for (name, _, because) in &bad {
        let found = said
            .iter()
            .find(|line| line.starts_with(&format!("wrong-{name}: REFUSED")));
        assert!(
            found.is_some_and(|line| line.contains(because)),
            "{name}: {found:?}"
        );
    }
}

/// Every resource that this crate writes, by name.
fn samples() -> Vec<(String, Vec<u8>)> {
    let mut samples = events::events();
    let author = events::author();
    let device = Author::Device(codec::DeviceId::new([3; 16]));
    let [transaction, batch] = answers::responses();
    let grant = consents::grant();
    let research = conditions::to_research(conditions::sample());
    let frame = consents::frame();
    let opted_out = [consent::Purpose::Hresch].into();
    let more = [
        ("consent", consent_write(&grant, &consents::kinds(), &frame)),
        (
            "consent-research",
            consent_write(&research, &consents::kinds(), &frame),
        ),
        (
            "consent-opt-out",
            opt_outs_write(&opted_out, &frame).unwrap(),
        ),
        ("consent-restriction", restriction_write(&frame)),
        ("outcome", answers::refusal()),
        ("outcome-none", outcome(&[])),
        ("searchset", answers::searchset()),
        ("history", answers::history()),
        ("transaction", transaction),
        ("batch", batch),
        ("capability", answers::served(answers::SMART)),
        ("capability-plain", answers::served(Security::default())),
        (
            "provenance",
            provenance(&events::written(&author, events::RECEIPT)),
        ),
        (
            "provenance-pending",
            provenance(&events::written(&device, ReceiptState::Pending)),
        ),
    ];
    samples.extend(more.map(|(name, document)| (name.to_owned(), document)));
    samples
}

/// Documents with one thing wrong, and a word of what is said of each.
fn broken(good: &[(String, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let wrong = |name: &'static str, from: &str, old: &str, new: &str, because: &'static str| {
        let (_, document) = good.iter().find(|(name, _)| name == from).unwrap();
        let text = std::str::from_utf8(document).unwrap();
        assert!(text.contains(old), "{text}");
        (name, text.replacen(old, new, 1).into_bytes(), because)
    };
    vec![
        wrong(
            "member",
            "outcome",
            "\"severity\"",
            "\"severities\"",
            "severit",
        ),
        wrong(
            "instant",
            "audit-0-0",
            "2026-01-01T00:00:00.000Z",
            "yesterday",
            "recorded",
        ),
        wrong("agents", "provenance", "\"agent\"", "\"agents\"", "agent"),
        wrong("scope", "consent", "\"scope\"", "\"scopes\"", "scope"),
        wrong("count", "searchset", "\"total\":7", "\"total\":-7", "total"),
        wrong(
            "mode",
            "capability",
            "\"format\":[\"json\",",
            "\"format\":[7,",
            "format",
        ),
    ]
}
