//! Figures beside other people's tools: stand-ins for the tools, called as the tools are.

use crate::binary::run;
use serde_json::{Value, json};
use std::{fs, path::Path};

const COUNT: usize = 30;

fn written(folder: &Path, files: &[(&str, &str)]) -> String {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder.display().to_string()
}

/// A module named in other letters than it is imported by, rules from the file of its tests, an error at whatever no
/// rule matches.
fn diet(folder: &Path) -> String {
    let files = [
        ("app/actions/cryptoHash.py", "KEPT = 'Patient'"),
        ("app/test/config/safe_harbor_redact.yaml", "{}"),
        (
            "app/config.py",
            "class Settings:\n    def __init__(self, name):\n        self.rules = open(name).read()\n        print('read')\n",
        ),
        (
            "app/processor.py",
            "from actions.cryptohash import KEPT\ndef process_data(resource, settings):\n    \
             if resource['resourceType'] != KEPT or settings.rules != '{}':\n        raise UnboundLocalError('result')\n    \
             return resource\n",
        ),
    ];
    written(folder, &files)
}

fn other(folder: &Path) -> String {
    let text = "def deidentify_resource(resource, salt, days, *, safe_harbor=False):\n    \
                assert safe_harbor and days is None\n    return {'id': resource['id']}\n";
    written(folder, &[("deidentify_fhir.py", text)])
}

#[test]
fn other_tools_are_measured_in_the_same_run() {
    let below = tempfile::tempdir().unwrap();
    let (diet, other) = (
        diet(&below.path().join("diet")),
        other(&below.path().join("other")),
    );
    let count = COUNT.to_string();
    let line = [
        "bench", "deident", "--sample", "nowhere", "--count", &count, "--json",
    ];
    let with = [
        "--fhir-diet",
        &diet,
        "--deidentify-fhir",
        &other,
        "--python",
        "python3",
    ];
    let ran = run(line.into_iter().chain(with));
    assert_eq!(ran.code, 0, "{ran:?}");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let figures = told["groups"][0]["figures"].as_array().unwrap();
    for name in [
        "FHIR-Diet, its Safe Harbor rules",
        "deidentify-fhir, its Safe Harbor mode",
    ] {
        let found = figures
            .iter()
            .find(|figure| figure["name"] == name)
            .unwrap();
        assert_eq!(found["n"], COUNT);
        assert!(found["per_s"].as_f64().unwrap() > 0.0, "{found}");
    }
    let note = |name: &str| -> Value {
        let notes = told["notes"].as_array().unwrap();
        notes
            .iter()
            .find(|note| note["name"] == name)
            .unwrap()
            .clone()
    };
    let stopped = note("fhir-diet: resources it stopped at with an error");
    // The sample begins with a person's Patient; the rest of its first are something else.
    assert_eq!(stopped["value"], json!(29.0));
    assert_eq!(stopped["unit"], "of 30 UnboundLocalError");
    let stopped = note("deidentify-fhir: resources it stopped at with an error");
    assert_eq!(
        (&stopped["value"], &stopped["unit"]),
        (&json!(0.0), &json!("of 30"))
    );
    assert!(note("fhir-diet: memory")["value"].as_f64().unwrap() > 1.0);

    // Without them ours is measured, and they are named.
    let ran = run(line);
    assert_eq!(ran.code, 0, "{ran:?}");
    for name in ["fhir-diet", "deidentify-fhir"] {
        assert!(
            ran.err.contains(&format!("bench: absent: {name} ")),
            "{ran:?}"
        );
    }
    let ran = run(line.into_iter().chain(["--fhir-diet", &diet]));
    assert!(ran.code != 0 && ran.err.contains("--python"), "{ran:?}");
}
