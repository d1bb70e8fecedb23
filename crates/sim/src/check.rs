//! What must be true, whatever happened: one history, nothing acknowledged lost or doubled, equal roots,
//! receipts that verify by the genesis alone, and a network that goes on soon after it is healed.

use std::collections::{BTreeMap, BTreeSet};

use codec::Digest;
use node::receipt::{ReceiptAnswer, ReceiptQuery};
use node::record::Fetch;
use node::subject::SubjectQuery;
use node::{Error, Handle, Kind, Purpose, Role, Selection, SubjectId, verify};

use crate::load::{Book, Known};
use sim_world::air::engine_key;
use sim_world::world::World;

/// Longest time after healing until every honest node finalises new blocks, in ms.
pub const RESUMES_MS: u64 = 10_000;

/// Longest time after healing until everything acknowledged is final, in ms.
const SETTLES_MS: u64 = 120_000;

/// Height of a member's ledger; none while it does not run.
pub async fn height(world: &World, member: usize) -> Option<u64> {
    let handle = world.members[member].door.handle()?;
    handle.ready(()).await.ok().map(|ready| ready.height)
}

/// The greatest height among the honest.
pub async fn greatest(world: &World) -> u64 {
    let mut greatest = 0;
    for member in world.honest() {
        greatest = greatest.max(height(world, member).await.unwrap_or(0));
    }
    greatest
}

/// Waits until every honest node has passed where the first of them was when everything was `healed`; how long
/// it took, in ms.
pub async fn resumes(world: &World, healed: u64) -> u64 {
    let beyond = greatest(world).await + 1;
    loop {
        let mut behind = Vec::new();
        for member in world.honest() {
            let at = height(world, member).await;
            if at.is_none_or(|at| at < beyond) {
                behind.push((member, at));
            }
        }
        let took = world.now_ms() - healed;
        if behind.is_empty() {
            return took;
        }
        assert!(
            took <= RESUMES_MS,
            "{took} ms after healing some are not beyond height {beyond}: {behind:?}; shut out: {:?}",
            world.air.blocks()
        );
        world.sleep_ms(100).await;
    }
}

/// Waits until nothing of what was acknowledged waits for the ledger any more.
pub async fn settles(world: &World, book: &Book) {
    let healed = world.now_ms();
    for member in world.honest() {
        loop {
            let Some(waiting) = waiting(world, member, book).await else {
                break;
            };
            let took = world.now_ms() - healed;
            assert!(
                took <= SETTLES_MS,
                "member {member}: {waiting} {took} ms after healing"
            );
            world.sleep_ms(500).await;
        }
    }
}

async fn waiting(world: &World, member: usize, book: &Book) -> Option<String> {
    let handle = world.members[member].door.handle()?;
    let caller = world.members[member].staff(Role::Operator);
    let status = match handle.status(caller).await {
        Ok(status) => status,
        Err(error) => return Some(error.to_string()),
    };
    if status.outbox.commitments > 0 {
        return Some(format!("{} commitments wait", status.outbox.commitments));
    }
    for (subject, known) in book.of(member) {
        let query = SubjectQuery {
            caller: world.members[member].staff(Role::Desk),
            subject,
        };
        match handle.subject_status(query).await {
            Ok(status) if status.final_sequence < Some(known.sequence) => {
                return Some(format!(
                    "subject {subject:?} is final up to {:?} of {}",
                    status.final_sequence, known.sequence
                ));
            }
            Ok(_) => {}
            Err(error) => return Some(format!("subject {subject:?}: {error}")),
        }
    }
    None
}

/// Everything acknowledged is there once, and its receipts verify; how many receipts that were.
pub async fn kept(world: &World, book: &Book) -> u64 {
    let mut receipts = 0;
    let mut all = BTreeSet::new();
    for member in world.honest() {
        let handle = world.members[member].door.handle().unwrap();
        for (subject, known) in book.of(member) {
            assert!(
                all.insert(subject),
                "two members opened subject {subject:?}"
            );
            subject_kept(world, member, &handle, subject, &known).await;
            for index in 0..known.records.len() {
                receipt(world, member, &handle, subject, &known, index).await;
                receipts += 1;
            }
        }
    }
    receipts
}

async fn subject_kept(
    world: &World,
    member: usize,
    handle: &Handle,
    subject: SubjectId,
    known: &Known,
) {
    let desk = world.members[member].staff(Role::Desk);
    let query = SubjectQuery {
        caller: desk,
        subject,
    };
    let status = handle.subject_status(query).await.unwrap();
    let most = known.sequence + u64::from(known.changing);
    assert!(
        (known.sequence..=most).contains(&status.accepted_sequence),
        "member {member}: accepted {}, acknowledged {}",
        status.accepted_sequence,
        known.sequence
    );
    assert!(
        status.opening_matches,
        "the consent kept is not the ledger's"
    );
    let deposited = known.records.len()..=known.tried;
    let records = usize::try_from(status.records).unwrap();
    assert!(
        deposited.contains(&records),
        "member {member} holds {records} records of a subject, acknowledged and tried: {deposited:?}"
    );
    // Each acknowledged change switched it.
    let restricted = !status.accepted_sequence.is_multiple_of(2);
    assert_eq!(
        status.restricted, restricted,
        "member {member}: an acknowledged change does not hold"
    );
    if restricted {
        return;
    }
    let fetched = handle.record_fetch(Fetch {
        caller: world.members[member].staff(Role::Clinician),
        purpose: Purpose::Treat,
        subject,
        selection: Selection::everything(),
        study: None,
        partial: false,
        version: None,
    });
    let fetched = fetched.await.unwrap();
    let stored: BTreeMap<_, _> = fetched
        .records
        .iter()
        .filter_map(|fetched| Some((fetched.meta.record, fetched.stored_form.as_ref()?)))
        .collect();
    assert_eq!(stored.len(), records, "a record cannot be read");
    for deposited in &known.records {
        let bytes = stored
            .get(&deposited.record)
            .map(|stored| stored.as_bytes());
        assert_eq!(
            bytes,
            Some(deposited.bytes.as_slice()),
            "an acknowledged record is gone or another"
        );
    }
}

async fn receipt(
    world: &World,
    member: usize,
    handle: &Handle,
    subject: SubjectId,
    known: &Known,
    index: usize,
) {
    let deposited = &known.records[index];
    let query = || ReceiptQuery {
        caller: world.members[member].staff(Role::Clinician),
        subject,
        record: deposited.record,
        version: None,
        leaf: None,
    };
    // A block's certificate may come a moment after it.
    for _ in 0..100 {
        match handle.receipt(query()).await {
            Ok(ReceiptAnswer::Ready(receipt)) => {
                verify::receipt(&receipt.bytes, &world.genesis, None).unwrap();
                let receipt: ledger::receipt::Receipt = codec::from_slice(&receipt.bytes).unwrap();
                assert_eq!(receipt.commitment, deposited.commitment);
                return;
            }
            Ok(_) => {}
            Err(error) if is_early(&error) => {}
            Err(error) => panic!("member {member}: no receipt: {error}"),
        }
        world.sleep_ms(200).await;
    }
    panic!("member {member}: an acknowledged record has no receipt");
}

fn is_early(error: &Error) -> bool {
    error.kind() == Kind::Unavailable
}

/// Honest members are not shut out and not accused, and the ledger refused nothing of theirs for good, unless
/// there were votes, which may come too late; how many faults of others they have evidence of.
pub async fn accusations(world: &World, voting: bool) -> u64 {
    let honest = world.honest();
    let key = |member: usize| engine_key(&world.members[member].key);
    let honest_keys: BTreeMap<_, _> = honest.iter().map(|at| (key(*at), *at)).collect();
    for (place, blocked) in world.air.blocks() {
        let by = honest.iter().find(|at| world.members[**at].place == place);
        if let (Some(by), Some(of)) = (by, honest_keys.get(&blocked)) {
            panic!("member {by} shut out member {of}, who is honest");
        }
    }
    let mut evidence = 0;
    for member in &honest {
        let caller = world.members[*member].staff(Role::Operator);
        let handle = world.members[*member].door.handle().unwrap();
        let warnings = handle.status(caller).await.unwrap().warnings;
        for warning in warnings {
            assert!(
                voting || !warning.contains("refused"),
                "member {member}: {warning}"
            );
            if !warning.contains("misbehaved") {
                continue;
            }
            for of in &honest {
                let accused = format!("{:?}", world.members[*of].key);
                assert!(!warning.contains(&accused), "member {member}: {warning}");
            }
            evidence += 1;
        }
    }
    evidence
}

/// What the ledgers of all honest members come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Blocks that all have.
    pub height: u64,
    /// Entries in them.
    pub entries: u64,
    /// The digest of the last one.
    pub tip: Option<Digest>,
}

/// Members whose place among the validators is not what it was at the start.
pub async fn changes(world: &World) -> u64 {
    let at = world.honest()[0];
    let caller = world.members[at].staff(Role::Operator);
    let handle = world.members[at].door.handle().unwrap();
    let members = handle.network_show(caller).await.unwrap().members;
    let started = world.genesis.validators.by_institution();
    let changed = members
        .iter()
        .filter(|member| member.validator.is_some() != started.contains_key(&member.id));
    changed.count() as u64
}

/// Executes each honest member's ledger again, and compares them block by block with each other and with what
/// receipts ever said was final. Their nodes must not run.
pub async fn one_history(world: &mut World, book: &Book) -> History {
    let mut blocks: BTreeMap<u64, Digest> = BTreeMap::new();
    let mut history = History {
        height: u64::MAX,
        ..History::default()
    };
    for member in world.honest() {
        let store = world.stored(member).await;
        let mut entries = 0;
        let mut seen = Vec::new();
        let replayed = consensus::check::replay(&store, &world.genesis, |block| {
            entries += block.entries.values().sum::<u64>();
            seen.push((block.height, block.digest));
        });
        let replayed = replayed.await.unwrap();
        let faults = &replayed.check.faults;
        assert!(faults.is_empty(), "member {member}: {faults:?}");
        for (height, digest) in seen {
            let first = *blocks.entry(height).or_insert(digest);
            assert_eq!(
                first, digest,
                "member {member} has another block at height {height}"
            );
        }
        if replayed.height < history.height {
            history.height = replayed.height;
            history.entries = entries;
        }
    }
    for (height, digest) in book.promised() {
        assert_eq!(
            blocks.get(&height),
            Some(&digest),
            "a receipt called another block final at height {height}"
        );
    }
    history.tip = blocks.get(&history.height).copied();
    history
}
