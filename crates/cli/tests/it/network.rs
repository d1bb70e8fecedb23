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
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// Institutions that validate; one more follows.
const VALIDATORS: usize = 4;
const NAMES: [&str; VALIDATORS + 1] = ["Ithaca", "Pylos", "Sparta", "Scheria", "Families"];

/// Long enough for three or four validators to make several blocks, were they to make any.
const STANDSTILL: Duration = Duration::from_secs(3);

/// Ports that nobody listens at, and that the system gives to nobody who asks for any: while a node is down,
/// others connect.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id().wrapping_mul(97);
    [(); N].map(|()| {
        let free = |_: u32| {
            let at = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let port = u16::try_from(FIRST + at).unwrap();
            TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
        };
        (0..COUNT).find_map(free).unwrap()
    })
}

/// Writes the institutions' file and their passphrases.
fn plan(below: &Path) -> PathBuf {
    let ports: [u16; VALIDATORS + 1] = free_ports();
    let mut text =
        "name = \"Ionian Sea\"\n[parameters]\nepoch_blocks = 8\nbatch_interval_ms = 20\n\
                    subject_release_ms = 20\ndisclosure_period_ms = 250\n"
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

pub(crate) fn init(institutions: &Path, folder: &Path) -> crate::binary::Ran {
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

/// `ithaca govern`, by an institution's operator at its node.
fn govern(server: &Server<'_>, words: &str) -> crate::binary::Ran {
    let file = server.institution().folder.join("operator-token");
    fs::write(&file, server.institution().token("operator")).unwrap();
    let (node, file) = (server.base().to_owned(), file.display().to_string());
    // The change is a command of its own, behind where and who.
    let (command, rest) = words.split_once(' ').unwrap_or((words, ""));
    let mut line = vec!["govern", command, "--node", &node, "--token-file", &file];
    line.extend(rest.split(' ').filter(|word| !word.is_empty()));
    run(line)
}

fn epoch(server: &Server<'_>) -> u64 {
    let shown = server.get("/v1/network", As::Operator).is(200).value();
    shown["epoch"].as_u64().unwrap()
}

/// Waits for an epoch's end.
fn epoch_ends(server: &Server<'_>) {
    let from = epoch(server);
    server.wait_for("the epoch's end", || (epoch(server) > from).then_some(()));
}

#[test]
fn an_institution_joins_validates_and_changes_its_keys() {
    let below = tempfile::tempdir().unwrap();
    let [port, other, ..]: [u16; 4] = free_ports();
    let plan = below.path().join("institutions.toml");
    let text = format!(
        "name = \"Ithaca alone\"\n[parameters]\nepoch_blocks = 8\nbatch_interval_ms = 20\n\
         subject_release_ms = 20\ndisclosure_period_ms = 250\n[[institution]]\nname = \"Ithaca\"\n\
         kind = \"hospital\"\nvalidator = true\npeers = \"127.0.0.1:{port}\"\n\
         http = \"127.0.0.1:0\"\npassphrase_file = \"passphrase\"\n"
    );
    fs::write(&plan, text).unwrap();
    fs::write(below.path().join("passphrase"), "passphrase of them").unwrap();
    let network = below.path().join("network");
    init(&plan, &network).succeeded();
    let scratch = |name: &str| {
        let folder = below.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let passphrase = below.path().join("passphrase");
    let ithaca = Institution::of(&scratch("a"), network.join("ithaca"), passphrase.clone());
    let sponsor = fs::read_to_string(ithaca.data().join("institution")).unwrap();

    let (argos, application) = (below.path().join("argos"), below.path().join("application"));
    let join = |http: &str| {
        let line = format!(
            "network join {} --name Argos --kind laboratory --genesis {} --peers {} --sponsor {} \
             --until-epoch 1000 --listen 127.0.0.1:{other} --http {http} --out {} --passphrase-file {}",
            argos.display(),
            network.join("genesis.cbor").display(),
            network.join("peers.toml").display(),
            sponsor.trim(),
            application.display(),
            passphrase.display()
        );
        run(line.split(' '))
    };
    let open = join("0.0.0.0:0").refused();
    assert!(open.contains("others can reach"), "{open}");
    assert!(!argos.exists() && !application.exists());
    let joined = join("127.0.0.1:0").succeeded().out;
    let (_, as_peer) = joined.split_once("starts its node again:\n").unwrap();
    let (as_peer, _) = as_peer.split_once("Once admitted").unwrap();
    let argos = Institution::of(&scratch("b"), argos, passphrase);

    let first = ithaca.start();
    let said = govern(&first, &format!("propose admit {}", application.display()));
    let said = said.succeeded().out;
    assert!(said.starts_with("Proposed: Argos (laboratory, "), "{said}");
    assert!(said.contains("final at height "), "{said}");
    epoch_ends(&first);
    let shown = govern(&first, "status").succeeded().out;
    assert!(shown.contains("needs 2 of 2 members"), "{shown}");
    assert!(shown.contains("Argos, laboratory\n"), "{shown}");
    let wrong = govern(&first, "propose rotate validator signing").refused();
    assert!(wrong.contains("propose it alone"), "{wrong}");
    assert!(
        govern(&first, &format!("vote {} approve", "07".repeat(32)))
            .refused()
            .contains("no such open proposal")
    );

    // Each knows the other now.
    let gone = first.base().to_owned();
    first.stop("-TERM");
    let file = ithaca.folder.join("operator-token");
    let line = |node: &str| {
        let line = format!(
            "govern status --node {node} --token-file {}",
            file.display()
        );
        run(line.split(' ')).refused()
    };
    assert!(line(&gone).contains("; does it run?"), "{}", line(&gone));
    assert!(
        line("https://x").contains("takes http://HOST:PORT"),
        "{}",
        line("https://x")
    );
    fs::write(&file, "\n").unwrap();
    assert!(line(&gone).contains("holds no token"), "{}", line(&gone));
    let config = ithaca.data().join("node.toml");
    let text = fs::read_to_string(&config).unwrap() + as_peer;
    fs::write(&config, text).unwrap();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let said = crate::binary::ended(ithaca.up().output().unwrap()).refused();
    assert!(
        said.contains("cannot listen for the ledger's peers on 127.0.0.1:"),
        "{said}"
    );
    drop(taken);
    let (first, second) = (ithaca.start(), argos.start());
    deposit(&second, "to Argos, a member").proved(&second, &argos);

    let decided = |by: &Server<'_>, voter: &Server<'_>, change: &str| {
        let said = govern(by, &format!("propose {change}")).succeeded().out;
        let (_, proposal) = said.trim_end().split_once("ithaca govern vote ").unwrap();
        let proposal = proposal.trim_end_matches(" approve");
        // The voter's node may hear of it a moment later.
        let voted = voter.wait_for("the proposal", || {
            let ran = govern(voter, &format!("vote {proposal} approve"));
            let early = ran.err.contains("no such open proposal");
            (!early).then(|| ran.succeeded().out)
        });
        assert!(voted.starts_with("Approved: "), "{voted}");
        epoch_ends(by);
        let now = epoch(by);
        voter.wait_for("the same epoch", || (epoch(voter) >= now).then_some(()));
    };
    // Its own claim makes it a validator, whoever proposes it; another's does not.
    let claim = |server: &Server<'_>| {
        let shown = govern(server, "status").succeeded().out;
        let (_, rest) = shown.split_once("its claim to validate ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    let member = fs::read_to_string(argos.data().join("institution")).unwrap();
    let validator = |claim: &str| {
        let member = member.trim();
        format!("validator --institution {member} --claim {claim}")
    };
    let forged = [&claim(&second)[..64], &claim(&first)[64..]].concat();
    let wrong = govern(&first, &format!("propose {}", validator(&forged))).refused();
    assert!(wrong.contains("not signed by its key"), "{wrong}");
    let unread = govern(&first, &format!("propose {}", validator("12")));
    assert_eq!(unread.code, 2, "{unread:?}");
    assert!(
        unread.err.contains("192 lowercase hexadecimal digits"),
        "{unread:?}"
    );
    decided(&first, &second, &validator(&claim(&second)));
    let again = govern(&second, "propose validate").refused();
    assert!(again.contains("nothing would change"), "{again}");
    decided(&second, &first, "rotate signing governance sealing");
    decided(&first, &second, "parameters --recover-delay-ms 60000");
    let shown = govern(&second, "status").succeeded().out;
    assert_eq!(shown.matches(", validates under ").count(), 2, "{shown}");
    assert!(shown.contains("recover_delay_ms = 60000"), "{shown}");
    deposit(&second, "to Argos, under new keys").proved(&second, &argos);
    // Both are needed now.
    let said = second.crash();
    assert!(!said.contains("ERROR"), "{said}");
    let waiting = deposit(&first, "to Ithaca, which is no quorum");
    let second = argos.start();
    waiting.proved(&first, &ithaca);
    first.stop("-TERM");
    second.stop("-TERM");
}

#[test]
fn who_joins_is_reached_without_a_restart() {
    let below = tempfile::tempdir().unwrap();
    let [first_port, second_port, third_port]: [u16; 3] = free_ports();
    let passphrase = |name: &str| below.path().join(format!("{name}.passphrase"));
    for name in ["Ithaca", "Pylos", "Argos"] {
        fs::write(passphrase(name), format!("passphrase of {name}")).unwrap();
    }
    let mut text = "name = \"Two\"\n[parameters]\nepoch_blocks = 8\nbatch_interval_ms = 20\n\
         subject_release_ms = 20\ndisclosure_period_ms = 250\n"
        .to_owned();
    for (name, port) in [("Ithaca", first_port), ("Pylos", second_port)] {
        text += &format!(
            "[[institution]]\nname = \"{name}\"\nkind = \"hospital\"\nvalidator = true\n\
             peers = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:0\"\npassphrase_file = \"{name}.passphrase\"\n"
        );
    }
    let plan = below.path().join("institutions.toml");
    fs::write(&plan, text).unwrap();
    let network = below.path().join("network");
    init(&plan, &network).succeeded();
    let at = |name: &str, data: PathBuf| {
        let scratch = below.path().join(format!("{name}-scratch"));
        fs::create_dir(&scratch).unwrap();
        Institution::of(&scratch, data, passphrase(name))
    };
    let ithaca = at("Ithaca", network.join("ithaca"));
    let pylos = at("Pylos", network.join("pylos"));
    let (first, second) = (ithaca.start(), pylos.start());
    let sponsor = fs::read_to_string(ithaca.data().join("institution")).unwrap();
    let (argos, application) = (below.path().join("argos"), below.path().join("application"));
    let line = format!(
        "network join {} --name Argos --kind laboratory --genesis {} --peers {} --sponsor {} \
         --until-epoch 1000 --listen 127.0.0.1:{third_port} --http 127.0.0.1:0 --out {} --passphrase-file {}",
        argos.display(),
        network.join("genesis.cbor").display(),
        network.join("peers.toml").display(),
        sponsor.trim(),
        application.display(),
        passphrase("Argos").display()
    );
    let joined = run(line.split(' ')).succeeded().out;
    let (_, as_peer) = joined.split_once("starts its node again:\n").unwrap();
    let (as_peer, _) = as_peer.split_once("Once admitted").unwrap();
    let argos = at("Argos", argos);
    // Both go on running.
    for institution in [&ithaca, &pylos] {
        let config = institution.data().join("node.toml");
        let text = fs::read_to_string(&config).unwrap() + as_peer;
        fs::write(&config, text).unwrap();
    }
    let said = govern(&first, &format!("propose admit {}", application.display()));
    let said = said.succeeded().out;
    let (_, proposal) = said.trim_end().split_once("ithaca govern vote ").unwrap();
    let vote = format!("vote {} approve", proposal.trim_end_matches(" approve"));
    second.wait_for("the vote", || {
        let ran = govern(&second, &vote);
        ran.err.is_empty().then_some(())
    });
    epoch_ends(&first);
    let third = argos.start();
    deposit(&third, "to Argos, which joined").proved(&third, &argos);
}

#[test]
fn a_network_loses_one_and_goes_on_loses_two_and_loses_nothing() {
    let below = tempfile::tempdir().unwrap();
    let institutions = found(below.path());
    let [ithaca, pylos, sparta, scheria, families] = &institutions;
    let servers = (ithaca.start(), pylos.start(), sparta.start());
    let fourth = scheria.start();
    // Its folder is where its configuration lies.
    let mut command = crate::binary::ithaca();
    command
        .args(["node", "--config"])
        .arg(families.data().join("node.toml"))
        .arg("--passphrase-file")
        .arg(families.passphrase());
    let follower = families.start_as(command);
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
