//! A network of several institutions: each one's node in a process of its own, on loopback.

use crate::{
    binary::run,
    institution::{As, Institution, Server},
};
use ledger::{Genesis, genesis::SignedGenesis};
use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Institutions that validate; one more follows.
const VALIDATORS: usize = 4;
const NAMES: [&str; VALIDATORS + 1] = ["Ithaca", "Pylos", "Sparta", "Scheria", "Families"];

/// Long enough for three or four validators to make several blocks, were they to make any.
const STANDSTILL: Duration = Duration::from_secs(3);

/// Ports that nobody listens at.
fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// Writes the institutions' file and their passphrases.
fn plan(below: &Path) -> PathBuf {
    let ports: [u16; VALIDATORS + 1] = free_ports();
    let mut text =
        "name = \"Ionian Sea\"\n[parameters]\nepoch_blocks = 8\nbatch_interval_ms = 20\n\
                    subject_release_ms = 20\ndisclosure_period_ms = 500\n"
            .to_owned();
    for (at, (name, port)) in NAMES.iter().zip(ports).enumerate() {
        fs::write(below.join(name), format!("passphrase of {name}\n")).unwrap();
        let validator = at < VALIDATORS;
        text += &format!(
            "[[institution]]\nname = \"{name}\"\nkind = \"hospital\"\nvalidator = {validator}\n\
             peers = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:0\"\npassphrase_file = \"{name}\"\n"
        );
    }
    let path = below.join("institutions.toml");
    fs::write(&path, text).unwrap();
    path
}

fn init(institutions: &Path, folder: &Path) -> crate::binary::Ran {
    let words: [&std::ffi::OsStr; 6] = [
        "network".as_ref(),
        "init".as_ref(),
        "--institutions".as_ref(),
        institutions.as_os_str(),
        "--folder".as_ref(),
        folder.as_os_str(),
    ];
    run(words)
}

fn found(below: &Path) -> [Institution; VALIDATORS + 1] {
    let network = below.join("network");
    let ran = init(&plan(below), &network).succeeded();
    assert!(
        ran.out
            .contains("4 of 5 validate; it goes on while 1 of them"),
        "{}",
        ran.out
    );
    NAMES.map(|name| {
        let scratch = below.join(format!("{name}-scratch"));
        fs::create_dir(&scratch).unwrap();
        let data = network.join(name.to_lowercase());
        Institution::of(&scratch, data, below.join(name))
    })
}

fn height(server: &Server<'_>) -> u64 {
    let ready = server.get("/ready", As::Desk).value();
    ready["height"].as_u64().unwrap()
}

/// A deposit of which the receipt was verified, or is to be.
struct Deposited {
    subject: String,
    record: String,
    letter: String,
}

fn deposit(server: &Server<'_>, letter: &str) -> Deposited {
    let subject = server.open();
    let made = server.deposit(&subject, letter.as_bytes()).is(201).value();
    Deposited {
        subject,
        record: made["record"].as_str().unwrap().to_owned(),
        letter: letter.to_owned(),
    }
}

impl Deposited {
    /// Waits until it is final; its receipt holds by the genesis alone.
    fn proved(&self, server: &Server<'_>, at: &Institution) {
        let receipt = server.receipt(&self.subject, &self.record);
        let leaf = server.get(
            &format!(
                "{}/records/{}/receipt?leaf=stored&purpose=TREAT",
                self.subject, self.record
            ),
            As::Clinician,
        );
        assert!(!receipt.is_empty());
        at.verify_receipt(&leaf.is(200).body, self.letter.as_bytes());
    }

    fn is_there(&self, server: &Server<'_>) {
        let read = server.read(&self.subject, &self.record).is(200);
        assert_eq!(read.body, self.letter.as_bytes());
    }
}

#[test]
fn one_genesis_and_a_complete_folder_for_each() {
    let below = tempfile::tempdir().unwrap();
    let institutions = found(below.path());
    let network = below.path().join("network");
    let signed = fs::read(network.join("founding.cbor")).unwrap();
    let signed: SignedGenesis = codec::from_slice(&signed).unwrap();
    signed.verify().unwrap();
    assert_eq!(signed.signatures.len(), NAMES.len());
    assert_eq!(signed.genesis.validators.len(), VALIDATORS);
    let mut tables = BTreeSet::new();
    for institution in &institutions {
        let genesis = fs::read(institution.genesis()).unwrap();
        let genesis: Genesis = codec::from_slice(&genesis).unwrap();
        assert_eq!(genesis, signed.genesis);
        tables.insert(fs::read(institution.data().join("custody/root.key")).unwrap());
        let config = fs::read_to_string(institution.data().join("node.toml")).unwrap();
        assert_eq!(config.matches("[[ledger.peers]]").count(), NAMES.len() - 1);
        for key in genesis.validators.keys() {
            assert!(config.contains(&key.to_string()), "{config}");
        }
    }
    assert_eq!(tables.len(), NAMES.len(), "each has keys of its own");

    // A second run makes nothing, nor does one that is refused.
    let again = init(&below.path().join("institutions.toml"), &network).refused();
    assert!(
        again.contains("network is not empty; choose a new folder"),
        "{again}"
    );
    fs::write(below.path().join("Pylos"), "passphrase of Ithaca").unwrap();
    let elsewhere = below.path().join("elsewhere");
    let same = init(&below.path().join("institutions.toml"), &elsewhere).refused();
    assert!(
        same.contains("'Ithaca' and 'Pylos' have the same passphrase"),
        "{same}"
    );
    assert!(!elsewhere.exists());
    let nowhere = init(&below.path().join("nowhere"), &elsewhere).refused();
    assert!(
        nowhere.contains("cannot read the institutions' file "),
        "{nowhere}"
    );
}

#[test]
fn a_network_loses_one_and_goes_on_loses_two_and_loses_nothing() {
    let below = tempfile::tempdir().unwrap();
    let institutions = found(below.path());
    let [ithaca, pylos, sparta, scheria, families] = &institutions;
    let servers = (ithaca.start(), pylos.start(), sparta.start());
    let fourth = scheria.start();
    let follower = families.start();
    let first = deposit(&servers.0, "to Ithaca");
    first.proved(&servers.0, ithaca);
    // Who does not validate takes part all the same.
    let followed = deposit(&follower, "to the families");
    followed.proved(&follower, families);
    for (node, validates) in [(&servers.0, true), (&follower, false)] {
        let status = node.get("/v1/status", As::Operator).is(200).value();
        assert_eq!(status["validator"], validates, "{status}");
    }
    let at_fourth = deposit(&fourth, "to Scheria");
    at_fourth.proved(&fourth, scheria);

    fourth.crash();
    let second = deposit(&servers.1, "to Pylos, without Scheria");
    second.proved(&servers.1, pylos);
    let ahead = servers.0.wait_for("epochs' ends", || {
        let now = height(&servers.0);
        (now > 25).then_some(now)
    });
    let fourth = scheria.start();
    fourth.wait_for("catching up", || (height(&fourth) >= ahead).then_some(()));
    at_fourth.is_there(&fourth);
    deposit(&fourth, "to Scheria, which is back").proved(&fourth, scheria);

    // Two are too many. What is taken meanwhile is durable, and not final.
    let (ithaca_node, pylos_node, sparta_node) = servers;
    fourth.crash();
    sparta_node.crash();
    let waiting = deposit(&ithaca_node, "to Ithaca, without a quorum");
    thread::sleep(STANDSTILL);
    let stuck = height(&ithaca_node);
    thread::sleep(STANDSTILL);
    assert_eq!(height(&ithaca_node), stuck);
    let receipt = format!("{}/records/{}/receipt", waiting.subject, waiting.record);
    ithaca_node.get(&receipt, As::Desk).is(202);
    waiting.is_there(&ithaca_node);
    first.is_there(&ithaca_node);

    // One of those that are left dies too, with what it took.
    ithaca_node.crash();
    let back = (ithaca.start(), sparta.start(), scheria.start());
    waiting.proved(&back.0, ithaca);
    assert!(height(&back.0) > stuck);
    first.is_there(&back.0);
    second.is_there(&pylos_node);
    at_fourth.is_there(&back.2);
    deposit(&back.1, "to Sparta, again").proved(&back.1, sparta);
    deposit(&follower, "to the families, again").proved(&follower, families);
    for server in [back.0, pylos_node, back.1, back.2, follower] {
        let said = server.stop("-TERM");
        assert!(!said.contains("ERROR"), "{said}");
    }
}
