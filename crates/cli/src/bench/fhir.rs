//! The FHIR front door over HTTP, beside plain answers of the same edge: transactions, writes, reads, searches.
//! Encryption, decisions and durable disclosures are on in all of them.

use super::{
    FhirOptions, Scratch,
    peer::Peer,
    rounds::at_once,
    served::{Client, Served},
    table::{Bound, Demand, Table},
};
use crate::{config::Config, demo::memory_mib, folder, running::Running};
use anyhow::{Context as _, Result, anyhow, ensure};
use consent::Role;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

const FHIR: &str = "application/fhir+json";
const PATIENCE: Duration = Duration::from_secs(120);
/// Observations of a made-up patient.
const OBSERVATIONS: usize = 120;
/// Codes that its observations have in turn.
const CODES: usize = 24;
/// Tenth of a search's work for `$everything`, which answers with a whole patient.
const WHOLE_SHARE: usize = 10;

/// Patients that were loaded, and a few of their resources.
#[derive(Default)]
struct Loaded {
    patients: Vec<String>,
    /// What each patient is found by.
    identifiers: Vec<String>,
    observations: Vec<String>,
    resources: usize,
}

#[expect(clippy::print_stderr, reason = "what the bench is doing")]
pub(super) fn run(options: &FhirOptions) -> Result<()> {
    ensure!(
        options.at_once > 0 && options.count > 0,
        "at least one client and one request"
    );
    let scratch = Scratch::new(options.folder.as_ref())?;
    let passphrase = folder::fresh_passphrase(&scratch.0.join("passphrase"))?;
    let data = scratch.0.join("node");
    folder::create_demo(&data, "Bench Hospital", &passphrase)?;
    let token = token(&data)?;
    let config = Config::default();
    let running = Running::start(&data, &passphrase, &config)?;
    running.wait_ready(PATIENCE)?;
    let served = Served::start(&running, &data)?;
    let clients = clients(&served, &token, options.at_once)?;
    let bundles = bundles(options)?;
    let mut table = Table::default();
    let mut loaded = Loaded::default();

    eprintln!("bench: {} resources by transactions", options.resources);
    let load = load(&clients, &bundles, options.resources, &mut loaded)?;
    table.note_must(
        format!(
            "transactions of a patient each, {} clients",
            options.at_once
        ),
        load,
        "entries/s",
        Bound::AtLeast(2_000.0),
    );
    measure(&mut table, options, &clients, &loaded, true)?;
    if let Some(memory) = memory_mib() {
        let name = format!("memory at {} resources, clients included", loaded.resources);
        table.note(name, memory, "MiB");
    }
    if options.more > options.resources {
        eprintln!("bench: {} resources", options.more);
        let load = self::load(&clients, &bundles, options.more, &mut loaded)?;
        table.note("transactions on the way there", load, "entries/s");
        measure(&mut table, options, &clients, &loaded, false)?;
        if let Some(memory) = memory_mib() {
            table.note_must(
                format!("memory at {} resources, clients included", loaded.resources),
                memory,
                "MiB",
                Bound::AtMost(500.0),
            );
        }
    }
    drop(clients);
    served.stop()?;
    running.stop()?;
    let from = Instant::now();
    let running = Running::start(&data, &passphrase, &config)?;
    running.wait_ready(PATIENCE)?;
    table.note_must(
        format!("ready again with {} resources", loaded.resources),
        from.elapsed().as_secs_f64(),
        "s",
        Bound::AtMost(3.0),
    );
    running.stop()?;
    beside(&mut table, options, &bundles, &scratch.0.join("peer"))?;
    table.print(options.json);
    Ok(())
}

fn token(data: &Path) -> Result<String> {
    let mut secret = [0; 32];
    crate::entropy::fill(&mut secret)?;
    let institution = folder::institution(data)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = node::Millis::new(u64::try_from(now.as_millis())?);
    let day_ms = 86_400_000;
    Ok(api::token::issue(
        &folder::tokens(data),
        api::NewToken {
            institution,
            practitioner: consent::PractitionerId::new("bench")?,
            roles: [Role::Clinician].into(),
            subject: None,
            slot: None,
            expires: node::Millis::new(now.get() + day_ms),
        },
        &secret,
        now,
    )?)
}

fn clients(served: &Served, token: &str, count: usize) -> Result<Vec<Client>> {
    (0..count)
        .map(|_| Ok(served.client()?.bearer(token)))
        .collect()
}

/// Transactions to load: a patient and what is known of it each, with a place for a number of its own.
fn bundles(options: &FhirOptions) -> Result<Vec<Value>> {
    let Some(folder) = &options.bundles else {
        return Ok(vec![made_up()]);
    };
    let mut bundles = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = file?.path();
        if path.extension().is_none_or(|of| of != "json") {
            continue;
        }
        let bundle: Value = serde_json::from_slice(&fs::read(&path)?)
            .with_context(|| format!("{} is no JSON", path.display()))?;
        let has_patient =
            entries(&bundle).any(|entry| entry["resource"]["resourceType"] == "Patient");
        if has_patient {
            bundles.push(bundle);
        }
    }
    ensure!(
        !bundles.is_empty(),
        "no transaction of a patient in {}",
        folder.display()
    );
    Ok(bundles)
}

fn entries(bundle: &Value) -> impl Iterator<Item = &Value> {
    bundle["entry"].as_array().into_iter().flatten()
}

fn made_up() -> Value {
    let patient = "urn:uuid:00000000-0000-4000-8000-000000000000";
    let mut entries = vec![json!({
        "fullUrl": patient,
        "resource": {
            "resourceType": "Patient", "gender": "female", "birthDate": "2015-03-02",
            "identifier": [{"system": "urn:bench", "value": "0"}],
            "name": [{"family": "Bench", "given": ["Made", "Up"]}],
            "address": [{"line": ["1 Road"], "city": "Town", "country": "SE"}],
        },
        "request": {"method": "POST", "url": "Patient"},
    })];
    for at in 0..OBSERVATIONS {
        entries.push(json!({
            "fullUrl": format!("urn:uuid:00000000-0000-4000-8000-{:012}", at + 1),
            "resource": observation(patient, at),
            "request": {"method": "POST", "url": "Observation"},
        }));
    }
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

fn observation(patient: &str, at: usize) -> Value {
    let code = format!("{}-{}", 1_000 + at % CODES, at % CODES % 10);
    json!({
        "resourceType": "Observation", "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory", "display": "Laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": "A quantity in blood"}], "text": "A quantity in blood"},
        "subject": {"reference": patient},
        "effectiveDateTime": format!("20{:02}-{:02}-{:02}T08:30:00+01:00", 10 + at % 14, 1 + at % 12, 1 + at % 28),
        "issued": "2024-03-01T09:00:00.000+01:00",
        "valueQuantity": {"value": at, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        "referenceRange": [{"low": {"value": 3, "unit": "mmol/L"}, "high": {"value": 90, "unit": "mmol/L"}}],
    })
}

/// Loads patients until there are so many resources; entries a second.
fn load(clients: &[Client], bundles: &[Value], until: usize, loaded: &mut Loaded) -> Result<f64> {
    let sizes: usize = bundles.iter().map(|bundle| entries(bundle).count()).sum();
    let average = (sizes / bundles.len()).max(1);
    let missing = until.saturating_sub(loaded.resources);
    let each = (missing / average / clients.len()).max(1);
    let first = loaded.patients.len();
    let before = loaded.resources;
    let all = Mutex::new(std::mem::take(loaded));
    let templates: Vec<String> = bundles.iter().map(Value::to_string).collect();
    let round = at_once(clients, each, |client, number| {
        let at = number % templates.len().max(1);
        let (Some(template), Some(bundle)) = (templates.get(at), bundles.get(at)) else {
            return Err(anyhow!("no bundle"));
        };
        let identifier = format!("bench-{}", first + number);
        // A number of its own where the made-up patient has none.
        let own = format!("\"value\":\"{identifier}\"");
        let text = template.replace("\"value\":\"0\"", &own);
        let answer = patiently(client, text.as_bytes())?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.resources += entries(bundle).count();
        let mut observed = 0;
        for entry in entries(&answer) {
            let location = entry["response"]["location"].as_str().unwrap_or_default();
            // Relative or not, with its version or without.
            let place = location.split("/_history").next().unwrap_or_default();
            let mut parts = place.rsplit('/');
            match (parts.next(), parts.next()) {
                (Some(id), Some("Patient")) => all.patients.push(id.to_owned()),
                (Some(id), Some("Observation")) if observed < 20 => {
                    observed += 1;
                    all.observations.push(id.to_owned());
                }
                _ => {}
            }
        }
        all.identifiers.push(identifier);
        Ok(())
    })?;
    *loaded = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let entries = loaded.resources - before;
    Ok(entries as f64 / round.elapsed.as_secs_f64().max(f64::EPSILON))
}

/// The code that most observations of a patient have, and a search that finds a patient.
struct Asked {
    code: String,
    by_identifier: bool,
}

/// A transaction, sent again while the node says that the ledger must take some of what was sent before.
fn patiently(client: &Client, bundle: &[u8]) -> Result<Vec<u8>> {
    let from = Instant::now();
    loop {
        match client.ask("POST", "/fhir", FHIR, bundle) {
            Err(error) if error.to_string().contains(" 503 ") && from.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(500));
            }
            answer => return answer,
        }
    }
}

/// One request of a number.
type Ask<'a> = Box<dyn Fn(&Client, usize) -> Result<()> + Sync + 'a>;

/// Something that clients ask for again and again.
struct Operation<'a> {
    name: &'static str,
    /// One of so many requests of the others.
    share: usize,
    demands: Vec<Demand>,
    ask: Ask<'a>,
}

/// What is asked, at the first size or at a larger one.
fn operations<'a>(loaded: &'a Loaded, asked: &'a Asked, first: bool) -> Vec<Operation<'a>> {
    let of = |all: &[String], number: usize| -> Result<String> {
        // In no order that a cache would like.
        let at = number.wrapping_mul(7_919) % all.len().max(1);
        all.get(at).cloned().context("nothing was loaded")
    };
    let (searches, chains) = match first {
        true => (2_500.0, 500.0),
        false => (1_250.0, 250.0),
    };
    let mut all = Vec::new();
    if first {
        all.push(Operation {
            name: "POST Observation, durable",
            share: 1,
            demands: vec![Demand::PerSecondAtLeast(2_000.0), Demand::P99AtMost(30.0)],
            ask: Box::new(move |client, number| {
                let patient = format!("Patient/{}", of(&loaded.patients, number)?);
                let body = observation(&patient, number).to_string();
                client
                    .ask("POST", "/fhir/Observation", FHIR, body.as_bytes())
                    .map(drop)
            }),
        });
    }
    all.push(Operation {
        name: "GET Observation, its disclosure durable first",
        share: 1,
        demands: vec![Demand::PerSecondAtLeast(6_000.0)],
        ask: Box::new(move |client, number| {
            let id = of(&loaded.observations, number)?;
            client.get(&format!("/fhir/Observation/{id}")).map(drop)
        }),
    });
    all.push(Operation {
        name: "search by patient and code",
        share: 1,
        demands: vec![Demand::PerSecondAtLeast(searches)],
        ask: Box::new(move |client, number| {
            let patient = of(&loaded.patients, number)?;
            let code = &asked.code;
            client
                .get(&format!("/fhir/Observation?patient={patient}&code={code}"))
                .map(drop)
        }),
    });
    if asked.by_identifier {
        all.push(Operation {
            name: "chained search",
            share: 4,
            demands: vec![Demand::PerSecondAtLeast(chains)],
            ask: Box::new(move |client, number| {
                let (identifier, code) = (of(&loaded.identifiers, number)?, &asked.code);
                let patient = format!("patient.identifier=urn:bench%7C{identifier}");
                client
                    .get(&format!("/fhir/Observation?{patient}&code={code}"))
                    .map(drop)
            }),
        });
    }
    all.push(Operation {
        name: "$everything of a patient",
        share: WHOLE_SHARE,
        demands: vec![Demand::PerSecondAtLeast(300.0)],
        ask: Box::new(move |client, number| {
            let patient = of(&loaded.patients, number)?;
            client
                .get(&format!("/fhir/Patient/{patient}/$everything?_count=1000"))
                .map(drop)
        }),
    });
    all
}

fn measure(
    table: &mut Table,
    options: &FhirOptions,
    clients: &[Client],
    loaded: &Loaded,
    first: bool,
) -> Result<()> {
    let each = (options.count / clients.len()).max(1);
    let asked = asked(clients, loaded, options)?;
    let health = at_once(clients, each, |client, _| client.get("/health").map(drop))?;
    let mut rows = vec![health.measured("GET /health").reference()];
    for operation in operations(loaded, &asked, first) {
        let each = (each / operation.share).max(1);
        let round = at_once(clients, each, operation.ask)?;
        let mut row = round.measured(operation.name);
        for demand in operation.demands {
            row = row.must(demand);
        }
        rows.push(row);
    }
    let name = format!("{} resources, {} clients", loaded.resources, clients.len());
    table.group(name, rows);
    Ok(())
}

/// The same load at another server, if there is one on this machine.
#[expect(clippy::print_stderr, reason = "what the bench is doing")]
fn beside(
    table: &mut Table,
    options: &FhirOptions,
    bundles: &[Value],
    folder: &Path,
) -> Result<()> {
    let Some(peer) = Peer::start(folder)? else {
        eprintln!("bench: no hfs on the PATH, so nothing is measured beside");
        return Ok(());
    };
    let clients: Vec<Client> = (0..options.at_once)
        .map(|_| peer.client())
        .collect::<Result<_>>()?;
    let mut loaded = Loaded::default();
    eprintln!("bench: {}: {} resources", peer.version, options.resources);
    let load = match load(&clients, bundles, options.resources, &mut loaded) {
        Ok(load) => load,
        Err(error) => {
            eprintln!("bench: {}: transactions: {error:#}", peer.version);
            return Ok(());
        }
    };
    table.note(
        format!("{}: transactions of a patient each", peer.version),
        load,
        "entries/s",
    );
    let each = (options.count / clients.len()).max(1);
    let asked = asked(&clients, &loaded, options)?;
    let health = at_once(&clients, each, |client, _| client.get("/health").map(drop))?;
    let mut rows = vec![health.measured("GET /health").reference()];
    for operation in operations(&loaded, &asked, true) {
        let each = (each / operation.share).max(1);
        match at_once(&clients, each, operation.ask) {
            Ok(round) => {
                // What ours does beside is not said of it.
                let name = operation.name.split(',').next().unwrap_or_default();
                rows.push(round.measured(name));
            }
            // It may not have all of it.
            Err(error) => eprintln!("bench: {}: {}: {error:#}", peer.version, operation.name),
        }
    }
    table.group(
        format!("{}, {} resources", peer.version, loaded.resources),
        rows,
    );
    Ok(())
}

/// What to ask for: with Synthea's patients, a code that they have.
fn asked(clients: &[Client], loaded: &Loaded, options: &FhirOptions) -> Result<Asked> {
    let client = clients.first().context("no client")?;
    let id = loaded.observations.first().context("nothing was loaded")?;
    let first: Value = serde_json::from_slice(&client.get(&format!("/fhir/Observation/{id}"))?)?;
    let code = first["code"]["coding"][0]["code"].as_str();
    Ok(Asked {
        code: code.context("an observation without a code")?.to_owned(),
        by_identifier: options.bundles.is_none(),
    })
}
