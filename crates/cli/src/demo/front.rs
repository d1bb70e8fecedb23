//! A client that is not ours at the FHIR front door: it knows R4 and nothing of Ithaca.
//!
//! `curl` plays it where it is installed; elsewhere the demo's own HTTP client does, and says so.

use super::{cast, nodes::PYLOS, scene::list, story::Story};
use crate::http::text;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const FHIR: &str = "application/fhir+json";
/// The longest that one request of the client may take, s.
const PATIENCE_S: u32 = 60;

impl Story<'_> {
    /// A whole family's records come in as transactions and are read back.
    pub(super) fn front_door(&mut self) -> Result<()> {
        self.stage
            .heading("6  A client that knows nothing of Ithaca loads a family");
        let client = curl_version();
        let plays = client.clone().unwrap_or_else(|| {
            "the demo's own HTTP client, for there is no curl on this machine".to_owned()
        });
        let hospital = self.network.members[PYLOS].name;
        self.stage.say(&format!(
            "Three people whom Synthea made up, as transactions of FHIR R4, sent to {hospital} by {plays}. Each \
             transaction is there whole or not at all; what is about a patient is encrypted under that patient's key."
        ));
        let is_curl = client.is_some();
        let (mut rows, mut sent, mut back) = (Vec::new(), 0, 0);
        let mut patients = Vec::new();
        for (at, bundle) in cast::bundles()?.iter().enumerate() {
            let resources = list(&serde_json::from_slice::<Value>(bundle)?["entry"]).len();
            let from = Instant::now();
            let answer = self.fhir(is_curl, "POST", "/fhir", Some(bundle))?;
            let took = from.elapsed();
            let places: Vec<String> = list(&answer["entry"])
                .iter()
                .filter_map(|entry| entry["response"]["location"].as_str())
                .filter_map(|place| place.split("/_history").next().map(str::to_owned))
                .collect();
            ensure!(places.len() == resources, "not every entry has a place");
            let read = self.read_back(is_curl, &places)?;
            let patient = places
                .iter()
                .find_map(|place| place.strip_prefix("Patient/"));
            patients.push(patient.context("a bundle without a Patient")?.to_owned());
            rows.push(row(at, resources, read, took));
            (sent, back) = (sent + resources, back + read);
        }
        let head = ["Person", "Sent", "Read back", "Time", ""];
        self.stage.table(&head, &rows);
        let first = patients.first().context("nobody was loaded")?;
        let query = format!(
            "/fhir/Observation?patient={first}&_sort=-date&_count=3&_include=Observation:subject"
        );
        let found = self.fhir(is_curl, "GET", &query, None)?;
        let total = found["total"].as_u64().unwrap_or_default();
        let kinds: BTreeSet<&str> = list(&found["entry"])
            .iter()
            .filter_map(|entry| entry["resource"]["resourceType"].as_str())
            .collect();
        let query = format!("/fhir/Provenance?target=Patient/{first}");
        let written = self.fhir(is_curl, "GET", &query, None)?;
        let provenances = list(&written["entry"]).len();
        self.stage.say(&format!(
            "Its search for the newest observations of the first finds {total}, three to a page with their patient; the \
             Provenance of the Patient carries the receipt of the ledger. The family sees each of these reads in its list."
        ));
        self.act(
            "front door",
            json!({
                "client": client.unwrap_or_else(|| "ithaca".to_owned()),
                "patients": patients.len(), "sent": sent, "read_back": back,
                "found": total, "kinds": kinds, "provenances": provenances,
            }),
        );
        Ok(())
    }

    /// How many of these resources come back.
    fn read_back(&self, is_curl: bool, places: &[String]) -> Result<usize> {
        let entries: Vec<Value> = places
            .iter()
            .map(|place| json!({"request": {"method": "GET", "url": place}}))
            .collect();
        let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let answer = self.fhir(is_curl, "POST", "/fhir", Some(batch.to_string().as_bytes()))?;
        let answers = list(&answer["entry"]).iter().zip(places);
        let is_it = |(answer, place): &(&Value, &String)| {
            let resource = &answer["resource"];
            let found = format!(
                "{}/{}",
                text(&resource["resourceType"]),
                text(&resource["id"])
            );
            text(&answer["response"]["status"]).starts_with("200") && found == **place
        };
        Ok(answers.filter(is_it).count())
    }

    /// One request of the client, which must succeed.
    fn fhir(&self, is_curl: bool, method: &str, path: &str, body: Option<&[u8]>) -> Result<Value> {
        let who = &self.people.specialist;
        if is_curl {
            let url = self.network.url(PYLOS, path);
            let file = self.network.members[PYLOS].data.with_extension("sent.json");
            return curl(&url, &who.token, method, body, &file)
                .with_context(|| format!("curl asked: {method} {path}"));
        }
        let body = body.map(|bytes| (FHIR, bytes));
        self.ask(who, method, path, body, false)?.value()
    }
}

fn row(at: usize, sent: usize, back: usize, took: Duration) -> Vec<String> {
    vec![
        format!("synthetic {}", at + 1),
        sent.to_string(),
        back.to_string(),
        format!("{:.0} ms", took.as_secs_f64() * 1000.0),
        String::new(),
    ]
}

/// What `curl` on this machine calls itself, if there is one.
fn curl_version() -> Option<String> {
    let said = Command::new("curl").arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut words = said.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

/// One request by curl, its body through `file`. The token goes through its standard input: arguments can be seen by others.
fn curl(url: &str, token: &str, method: &str, body: Option<&[u8]>, file: &Path) -> Result<Value> {
    let mut wanted = format!(
        "silent\nshow-error\nfail-with-body\nnoproxy = \"*\"\nmax-time = {PATIENCE_S}\nurl = \"{url}\"\nrequest = \"{method}\"\n\
         header = \"authorization: Bearer {token}\"\nheader = \"accept: {FHIR}\"\n"
    );
    if let Some(body) = body {
        std::fs::write(file, body)?;
        wanted += &format!(
            "header = \"content-type: {FHIR}\"\ndata-binary = \"@{}\"\n",
            file.display()
        );
    }
    let mut child = Command::new("curl")
        .args(["--disable", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(wanted.as_bytes())?;
    drop(input);
    let answered = child.wait_with_output()?;
    if !answered.status.success() {
        bail!(
            "{} {}",
            String::from_utf8_lossy(&answered.stderr).trim(),
            String::from_utf8_lossy(&answered.stdout)
        );
    }
    serde_json::from_slice(&answered.stdout).context("what came is no JSON")
}
