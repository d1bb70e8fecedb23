//! A release of many measurements: made, attacked and certified by a node, piece by piece.
//!
//! Made-up people: of each disease as many as there are diseases, with features of theirs and Observations with
//! numbers. Beside it: the same resources through the rules of de-identification alone.

use super::{
    ReleaseOptions, Scratch,
    deposit::{caller, submission},
    reanalysis::patient,
    rounds::at_once,
    table::Table,
};
use crate::{config::Config, demo::memory_mib, folder, running::Running};
use anyhow::{Context as _, Result, anyhow, ensure};
use codec::{Category, Digest, Millis};
use consent::{
    Country, Label, Limits, Organisation, Period, PractitionerId, Purpose, Reason, ResearchType,
    Role, StudyStep, StudyUse,
};
use futures::executor::block_on;
use node::{
    Caller, Grantee, Handle, StudyId, SubjectId,
    consent_change::{ConsentChange, ConsentDesk, GrantDraft},
    differential::Knowledge,
    record::{Content, Payload},
    research::{
        ReleaseCertify, ReleaseCohort, ReleasePrepare, ReleaseQuery, ReleaseRead, ReleaseStanding,
        ReleaseView, StudyPropose, StudyQuery, StudyTake,
    },
    subject::{SubjectOpen, Wait},
};
use ontology::{Aspect, HpoId, Ontology, Shipped};
use release::{Format, Tier};
use std::{
    collections::BTreeSet,
    io::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Depositors at once.
const AT_ONCE: usize = 16;
const LOOK: Duration = Duration::from_millis(50);
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Observations of one deposit.
const BUNDLE: usize = 250;
const K: u32 = 20;
/// Laboratory tests with their units.
const TESTS: [(&str, &str); 10] = [
    ("2345-7", "mg/dL"),
    ("718-7", "g/dL"),
    ("2160-0", "mg/dL"),
    ("2951-2", "mmol/L"),
    ("2823-3", "mmol/L"),
    ("1742-6", "U/L"),
    ("1920-8", "U/L"),
    ("3094-0", "mg/dL"),
    ("2085-9", "mg/dL"),
    ("2093-3", "mg/dL"),
];

#[expect(clippy::print_stderr, reason = "what the bench is doing")]
pub(super) fn run(options: &ReleaseOptions) -> Result<()> {
    ensure!(options.subjects >= 10, "--subjects is at least 10");
    let scratch = Scratch::new(options.folder.as_ref())?;
    let passphrase = folder::fresh_passphrase(&scratch.0.join("passphrase"))?;
    let data = scratch.0.join("node");
    folder::create_demo(&data, "Bench Hospital", &passphrase)?;
    let ontology = Ontology::from_sources(&Shipped::unpack().sources())?;
    let knowledge = Arc::new(Knowledge::new(ontology)?);
    let people = people(knowledge.ontology(), options.subjects);
    let running = Running::start_knowing(
        &data,
        &passphrase,
        &Config::default(),
        Some(knowledge.clone()),
    )?;
    let handle = running.handle();
    let study = opened(&running)?;
    let each = options.observations.div_ceil(people.len());
    eprintln!(
        "bench: {} people with {each} Observations each",
        people.len()
    );
    let from = Instant::now();
    deposit(&running, study, &people, each)?;
    let deposited = from.elapsed();
    let before = memory_mib();

    eprintln!("bench: the release");
    let researcher = caller(&running, Role::Researcher)?;
    let committee = named(&running, "bench-committee", Role::Committee)?;
    let from = Instant::now();
    let asked = block_on(handle.release_prepare(ReleasePrepare {
        caller: researcher.clone(),
        study,
        tier: Tier::T3,
        k: K,
        cohort: ReleaseCohort::Diagnosed,
        formats: BTreeSet::from(Format::ALL),
        measurements: true,
    }))?;
    // What was refused is shown to the committee alone.
    let (prepared, peak) = prepared(&handle, &committee, study, asked.number)?;
    let made = from.elapsed();
    if let ReleaseStanding::Refused(why) = &prepared.standing {
        eprintln!("bench: it was refused: {why}");
    }
    let certificate = prepared
        .certificate
        .as_ref()
        .context("the release has no certificate")?;
    let mut table = Table::default();
    let observations = (each * people.len()) as f64;
    table.note("Observations", observations, "");
    table.note("people", people.len() as f64, "");
    table.note("in groups", f64::from(certificate.population.released), "");
    table.note(
        "deposited",
        observations / deposited.as_secs_f64().max(1e-9),
        "Observations/s",
    );
    table.note("made and attacked in", made.as_secs_f64(), "s");
    table.note(
        "that is",
        observations / made.as_secs_f64().max(1e-9),
        "Observations/s",
    );
    table.note("linkage with three terms, at most", certificate.risk(), "");
    if let (Some(before), Some(peak)) = (before, peak) {
        table.note("memory of this process before", before, "MiB");
        table.note("at the most while it was made", peak, "MiB");
    }
    if matches!(prepared.standing, ReleaseStanding::Prepared) {
        let from = Instant::now();
        block_on(handle.release_certify(ReleaseCertify {
            caller: committee,
            study,
            number: asked.number,
            approve: true,
        }))?;
        let released = released(&handle, &researcher, study, asked.number)?;
        table.note(
            "certified and on the ledger in",
            from.elapsed().as_secs_f64(),
            "s",
        );
        let from = Instant::now();
        let mut bytes = 0_u64;
        for (file, length) in &released.files {
            bytes += read(&handle, &researcher, study, asked.number, file, *length)?;
        }
        table.note("files", released.files.len() as f64, "");
        table.note("of together", bytes as f64 / 1e6, "MB");
        table.note("read in", from.elapsed().as_secs_f64(), "s");
    }
    table.print(options.json);
    running.stop()
}

/// Findings and the disease of each.
struct Person {
    disease: String,
    observed: Vec<HpoId>,
}

/// A hundred people of each disease, each with half of its features.
fn people(ontology: &Ontology, count: usize) -> Vec<Person> {
    const OF_EACH: usize = 100;
    let described = ontology.diseases().filter_map(|ix| {
        let disease = ontology.disease(ix);
        let features = disease.annotations().iter();
        let features = features.filter(|a| a.aspect == Aspect::Phenotype && !a.excluded);
        let mut terms: Vec<HpoId> = features.map(|a| ontology.term(a.term).id()).collect();
        terms.sort_unstable();
        terms.dedup();
        (terms.len() >= 12).then(|| (disease.id().to_string(), terms))
    });
    let described: Vec<_> = described.take(count.div_ceil(OF_EACH)).collect();
    let of = |at: usize| {
        let (disease, terms) = described.get(at / OF_EACH)?;
        let one = at % OF_EACH;
        let observed = terms.iter().copied().enumerate();
        let has = |(n, _): &(usize, HpoId)| (n * 7 + one * 3) % 10 < 5;
        Some(Person {
            disease: disease.clone(),
            observed: observed.filter(has).map(|(_, term)| term).collect(),
        })
    };
    (0..count).filter_map(of).collect()
}

fn packet(number: usize, person: &Person) -> Vec<u8> {
    let findings: Vec<String> = person
        .observed
        .iter()
        .map(|id| format!("{{\"type\":{{\"id\":\"{id}\",\"label\":\"\"}}}}"))
        .collect();
    let (sex, years) = (["FEMALE", "MALE"][number % 2], 1 + number % 30);
    format!(
        "{{\"id\":\"bench-{number}\",\"subject\":{{\"id\":\"s\",\"sex\":\"{sex}\",\"timeAtLastEncounter\":\
         {{\"age\":{{\"iso8601duration\":\"P{years}Y\"}}}}}},\"phenotypicFeatures\":[{}],\"interpretations\":\
         [{{\"id\":\"i\",\"progressStatus\":\"SOLVED\",\"diagnosis\":{{\"disease\":{{\"id\":\"{}\",\"label\":\"\"}}}}}}],\
         \"metaData\":{{\"created\":\"2026-01-01T00:00:00Z\",\"phenopacketSchemaVersion\":\"2.0\"}}}}",
        findings.join(","),
        person.disease,
    )
    .into_bytes()
}

fn bundle(number: usize, from: usize, count: usize) -> Vec<u8> {
    let entries: Vec<String> = (from..from + count)
        .map(|at| {
            let (code, unit) = TESTS[at % TESTS.len()];
            let value = 40 + (number * 31 + at * 17) % 160;
            format!(
                "{{\"resource\":{{\"resourceType\":\"Observation\",\"status\":\"final\",\"category\":[{{\"coding\":\
                 [{{\"system\":\"http://terminology.hl7.org/CodeSystem/observation-category\",\"code\":\"laboratory\"}}]}}],\
                 \"code\":{{\"coding\":[{{\"system\":\"http://loinc.org\",\"code\":\"{code}\"}}]}},\
                 \"effectiveDateTime\":\"2024-0{}-1{}\",\"valueQuantity\":{{\"value\":{value},\"unit\":\"{unit}\",\
                 \"system\":\"http://unitsofmeasure.org\",\"code\":\"{unit}\"}}}}}}",
                1 + at % 9,
                at % 10,
            )
        })
        .collect();
    format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{}]}}",
        entries.join(",")
    )
    .into_bytes()
}

fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

fn named(running: &Running, name: &str, role: Role) -> Result<Caller> {
    let mut caller = caller(running, role)?;
    caller.actor.practitioner = PractitionerId::new(name)?;
    Ok(caller)
}

/// A study of everybody, open on the ledger.
fn opened(running: &Running) -> Result<StudyId> {
    let handle = running.handle();
    let researcher = caller(running, Role::Researcher)?;
    let committee = named(running, "bench-committee", Role::Committee)?;
    let proposed = block_on(handle.study_propose(StudyPropose {
        caller: researcher.clone(),
        title: Label::new("Bench")?,
        summary: Reason::new("What a large release takes")?,
        declared: StudyUse {
            study: StudyId::new([0; 16]),
            research: BTreeSet::from([ResearchType::Health]),
            diseases: BTreeSet::new(),
            genetic: false,
            commercial: false,
            organisation: Organisation::NonProfit,
            institutions: BTreeSet::from([running.institution()]),
            users: BTreeSet::new(),
            countries: BTreeSet::from([Country::new("GR")?]),
            ethics: None,
            publishes_from: None,
            collaborates: false,
            returns: false,
            period: Period {
                from: Millis::ZERO,
                until: Millis::new(now()? + 86_400_000),
            },
            sensitive: BTreeSet::new(),
            other: None,
        },
        purposes: BTreeSet::from([Purpose::Hresch]),
        categories: BTreeSet::from([Category::Phenotype, Category::Laboratory]),
        limits: Limits {
            k: u16::try_from(K)?,
            linked_per_mille: 50,
        },
    }))?;
    let study = proposed.case.study.id();
    for (caller, step) in [
        (committee, StudyStep::Approve),
        (researcher.clone(), StudyStep::Agree(Digest::new([1; 32]))),
        (researcher.clone(), StudyStep::Open),
    ] {
        block_on(handle.study_take(StudyTake {
            caller,
            study,
            step,
            accepted: BTreeSet::new(),
        }))?;
    }
    let from = Instant::now();
    loop {
        let caller = researcher.clone();
        if block_on(handle.study_show(StudyQuery { caller, study }))?.on_ledger {
            return Ok(study);
        }
        ensure!(
            from.elapsed() < PATIENCE,
            "the study never was on the ledger"
        );
        thread::sleep(LOOK);
    }
}

/// Opens a compartment for everybody, with a grant to the study, a phenopacket and Observations.
#[expect(clippy::print_stderr, reason = "how far it is")]
fn deposit(running: &Running, study: StudyId, people: &[Person], each: usize) -> Result<()> {
    let handle = running.handle();
    let desk = caller(running, Role::Desk)?;
    let clinician = caller(running, Role::Clinician)?;
    let until = Millis::new(now()? + 86_400_000);
    let done = AtomicU64::new(0);
    let subjects = Mutex::new(Vec::with_capacity(people.len()));
    let workers: Vec<usize> = (0..AT_ONCE).collect();
    at_once(&workers, people.len().div_ceil(AT_ONCE), |_, number| {
        let Some(person) = people.get(number) else {
            return Ok(());
        };
        let opened = patient(|| {
            block_on(handle.subject_open(SubjectOpen {
                caller: desk.clone(),
                controllers: Vec::new(),
                matures: None,
                client_key: None,
                wait: Wait::Durable,
            }))
        })?;
        let subject: SubjectId = opened.subject;
        patient(|| {
            block_on(handle.consent_desk(ConsentDesk {
                caller: desk.clone(),
                subject,
                changes: vec![ConsentChange::GrantAdd(GrantDraft {
                    grantee: Grantee::Study(study),
                    purposes: BTreeSet::from([Purpose::Hresch]),
                    categories: BTreeSet::from([Category::Phenotype, Category::Laboratory]),
                    from: Millis::ZERO,
                    until,
                    exceptions: BTreeSet::new(),
                })],
                expect_sequence: None,
                wait: Wait::Durable,
            }))
        })?;
        let bytes = packet(number, person);
        patient(|| {
            block_on(handle.record_deposit(submission(
                clinician.clone(),
                subject,
                bytes.clone(),
                Wait::Durable,
            )))
        })?;
        for from in (0..each).step_by(BUNDLE) {
            let bytes = bundle(number, from, BUNDLE.min(each - from));
            patient(|| {
                let mut one = submission(clinician.clone(), subject, Vec::new(), Wait::Durable);
                one.payload = Payload::FhirBundle(Content::new(bytes.clone()));
                block_on(handle.record_deposit(one))
            })?;
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            eprint!("\r  {done} of {}", people.len());
            std::io::stderr().flush().ok();
        }
        let mut subjects = subjects.lock().map_err(|_| anyhow!("a worker panicked"))?;
        subjects.push(subject);
        Ok(())
    })?;
    eprintln!();
    // Consent counts once the ledger has it.
    eprintln!("bench: until the ledger has every consent");
    let subjects = subjects
        .into_inner()
        .map_err(|_| anyhow!("a worker panicked"))?;
    let officer = caller(running, Role::PrivacyOfficer)?;
    let from = Instant::now();
    for subject in subjects {
        loop {
            let status = block_on(handle.subject_status(node::subject::SubjectQuery {
                caller: officer.clone(),
                subject,
            }))?;
            if status.opening_matches && status.final_sequence == Some(status.accepted_sequence) {
                break;
            }
            ensure!(from.elapsed() < PATIENCE, "consents are never final");
            thread::sleep(LOOK);
        }
    }
    Ok(())
}

/// Waits until a release is made; with the most memory that this process had meanwhile.
#[expect(clippy::print_stderr, reason = "how far it is")]
fn prepared(
    handle: &Handle,
    caller: &Caller,
    study: StudyId,
    number: u64,
) -> Result<(ReleaseView, Option<f64>)> {
    let from = Instant::now();
    let mut peak: Option<f64> = None;
    loop {
        let view = show(handle, caller, study, number)?;
        peak = peak.into_iter().chain(memory_mib()).reduce(f64::max);
        let ReleaseStanding::Preparing { phase, done, of } = view.standing else {
            eprintln!();
            return Ok((view, peak));
        };
        eprint!("\r  {phase} {done} of {of}        ");
        std::io::stderr().flush().ok();
        ensure!(from.elapsed() < PATIENCE, "the release is never made");
        thread::sleep(LOOK);
    }
}

fn show(handle: &Handle, caller: &Caller, study: StudyId, number: u64) -> Result<ReleaseView> {
    Ok(block_on(handle.release_show(ReleaseQuery {
        caller: caller.clone(),
        study,
        number,
    }))?)
}

fn released(handle: &Handle, caller: &Caller, study: StudyId, number: u64) -> Result<ReleaseView> {
    let from = Instant::now();
    loop {
        let view = show(handle, caller, study, number)?;
        if matches!(view.standing, ReleaseStanding::Released { .. }) {
            return Ok(view);
        }
        ensure!(from.elapsed() < PATIENCE, "the release never was final");
        thread::sleep(LOOK);
    }
}

fn read(
    handle: &Handle,
    caller: &Caller,
    study: StudyId,
    number: u64,
    file: &str,
    length: u64,
) -> Result<u64> {
    let mut offset = 0;
    while offset < length {
        let piece = block_on(handle.release_read(ReleaseRead {
            caller: caller.clone(),
            study,
            number,
            file: file.to_owned(),
            offset,
        }))?;
        ensure!(!piece.bytes.is_empty(), "{file} ends early");
        offset += piece.bytes.len() as u64;
    }
    Ok(offset)
}
