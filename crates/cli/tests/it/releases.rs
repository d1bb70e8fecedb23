//! Studies and releases at the command line. The release itself is the demo's: `demo` calls [`checks_itself`].

use crate::{
    binary::{Ran, run},
    institution::{As, Institution},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

/// A release that was downloaded: it holds, with a genesis against the ledger too; what was changed in it does not.
pub(crate) fn checks_itself(folder: &Path, genesis: &Path) {
    let (shown, of) = (folder.display().to_string(), genesis.display().to_string());
    let verify = || run(["release", "verify", &shown, "--genesis", &of]);
    let said = verify().succeeded().out;
    assert!(said.starts_with("HOLDS"), "{said}");
    assert!(said.contains("the ledger holds this content"), "{said}");
    assert!(said.contains("NOT CHECKED"), "{said}");
    let said = run(["release", "verify", &shown]).succeeded().out;
    assert!(said.contains("give the network's genesis"), "{said}");
    let told = run(["release", "verify", &shown, "--genesis", &of, "--json"]).succeeded();
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["verdict"], "holds");
    assert!(told["ledger"]["height"].as_u64().unwrap() > 0);

    // Each file by itself, and one that is missing, and one too many.
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for path in &names {
        let whole = fs::read(path).unwrap();
        if whole.is_empty() {
            continue;
        }
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(path, changed).unwrap();
        let ran = verify();
        assert_eq!(ran.code, 1, "{} was changed: {ran:?}", path.display());
        assert!(ran.err.contains("is REFUSED: "), "{ran:?}");
        assert!(ran.out.contains("FAULT"), "{ran:?}");
        fs::write(path, whole).unwrap();
    }
    let groups = folder.join("groups.ndjson");
    let aside = folder.with_extension("aside");
    fs::rename(&groups, &aside).unwrap();
    let ran = verify();
    assert!(
        ran.code == 1 && ran.err.contains("groups.ndjson is missing"),
        "{ran:?}"
    );
    fs::rename(&aside, &groups).unwrap();
    let more = folder.join("more.txt");
    fs::write(&more, "x").unwrap();
    let ran = verify();
    assert!(
        ran.code == 1 && ran.err.contains("more.txt is not part"),
        "{ran:?}"
    );
    fs::remove_file(&more).unwrap();
    let proof = folder.join("ledger.proof");
    fs::rename(&proof, &aside).unwrap();
    let ran = verify();
    assert!(
        ran.code == 1 && ran.err.contains("ledger.proof is missing"),
        "{ran:?}"
    );
    // Without a genesis nobody asked about the ledger.
    run(["release", "verify", &shown]).succeeded();
    fs::rename(&aside, &proof).unwrap();
    verify().succeeded();
}

/// A node that gives a release in small pieces, as many requests as it may; what was asked for.
struct Source {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Source {
    fn start(folder: PathBuf, requests: usize, changes: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().take(requests) {
                let mut stream = stream.unwrap();
                let path = path_of(&stream);
                let body = body_of(&folder, &path, changes);
                noted.lock().unwrap().push(path);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream
                    .write_all(&[head.into_bytes(), body].concat())
                    .unwrap();
            }
        });
        Self { url, asked }
    }
}

fn path_of(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let path = first.split(' ').nth(1).unwrap().to_owned();
    assert!(lines.any(|line| line.is_empty()));
    path
}

fn body_of(folder: &Path, path: &str, changes: &str) -> Vec<u8> {
    let Some((_, asked)) = path.split_once("/files/") else {
        let files = fs::read_dir(folder).unwrap().map(|entry| {
            let entry = entry.unwrap();
            json!({"name": entry.file_name().to_str().unwrap(), "bytes": entry.metadata().unwrap().len()})
        });
        let files: Vec<Value> = files.collect();
        return json!({"status": "released", "files": files})
            .to_string()
            .into_bytes();
    };
    let (name, offset) = asked.split_once("?offset=").unwrap();
    let mut whole = fs::read(folder.join(name)).unwrap();
    if name == changes {
        whole[0] ^= 1;
    }
    let from = offset.parse::<usize>().unwrap().min(whole.len());
    // The proof comes whole, as from a node.
    let piece = if name == "ledger.proof" {
        whole.len()
    } else {
        2_000
    };
    whole[from..whole.len().min(from + piece)].to_vec()
}

/// What broke off goes on where it was; what is not what was released is not kept.
pub(crate) fn comes_in_pieces(folder: &Path) {
    let below = tempfile::tempdir().unwrap();
    let token = below.path().join("token");
    fs::write(&token, "t").unwrap();
    let got = below.path().join("got");
    let part = below.path().join("got.part");
    let get = |source: &Source| -> Ran {
        let study = "0".repeat(32);
        let mut arguments = ["release", "get", &study, "0"].map(str::to_owned).to_vec();
        arguments.push(got.display().to_string());
        arguments.extend(["--node".to_owned(), source.url.clone()]);
        arguments.extend(["--token-file".to_owned(), token.display().to_string()]);
        run(arguments)
    };
    let contents = |folder: &Path| {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries
            .map(|path| {
                (
                    path.file_name().unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    };
    let broken = Source::start(folder.to_owned(), 9, "");
    let said = get(&broken).refused();
    assert!(said.contains("cannot ask the node"), "{said}");
    assert!(!got.exists() && part.is_dir());
    let last = broken.asked.lock().unwrap().last().unwrap().clone();
    let whole = Source::start(folder.to_owned(), 10_000, "");
    get(&whole).succeeded();
    assert_eq!(contents(&got), contents(folder));
    assert!(!part.exists());
    // The piece that came last was not asked for again.
    assert!(last.contains("/files/"), "{last}");
    assert!(!whole.asked.lock().unwrap().contains(&last), "{last}");

    fs::remove_dir_all(&got).unwrap();
    let forged = Source::start(folder.to_owned(), 10_000, "groups.ndjson");
    let said = get(&forged).refused();
    assert!(said.contains("groups.ndjson is not the file"), "{said}");
    assert!(!got.exists() && !part.exists());
}

/// The way of a study at a node, command by command, by two people.
#[test]
fn a_study_goes_its_way() {
    let below = tempfile::tempdir().unwrap();
    let hospital = Institution::found(below.path());
    hospital.configure("");
    let file = |name: &str, text: &str| {
        let path = below.path().join(name).display().to_string();
        fs::write(&path, text).unwrap();
        path
    };
    let researcher = file("researcher.token", &hospital.token("researcher"));
    let committee = file("committee.token", &hospital.token("data-access-committee"));
    let server = hospital.start();
    let url = server.base().to_owned();
    let ask = |token: &str, line: &str, more: &[&str]| -> Ran {
        let words = line.split(' ').chain(more.iter().copied());
        run(words.chain(["--token-file", token, "--node", &url]))
    };
    let status = server
        .call("GET", "/v1/status", As::Operator, &[], None)
        .value();
    let id = status["institution"].as_str().unwrap().to_owned();
    let template = run(["study", "propose", "--template", "--institution", &id]).succeeded();
    let described = file("study.toml", &template.out);
    let said = ask(&researcher, "study propose", &[&described, "--json"]).succeeded();
    let proposed: Value = serde_json::from_str(&said.out).unwrap();
    let study = proposed["id"].as_str().unwrap();
    let said = ask(&researcher, "study list", &[]).succeeded().out;
    assert!(said.starts_with(&format!("{study} proposed: ")), "{said}");
    // Who proposed has not the role, and decides nothing.
    let said = ask(&researcher, "study approve", &[study]).refused();
    assert!(said.contains("data-access-committee"), "{said}");
    let said = ask(&committee, "study match", &[study]).succeeded().out;
    assert!(said.contains("the committee decides"), "{said}");
    ask(&committee, "study approve", &[study]).succeeded();
    let said = ask(
        &researcher,
        "study agree",
        &[study, "--agreement", &described],
    )
    .succeeded()
    .out;
    let digest = keys::sha256(&[template.out.as_bytes()]).to_string();
    assert!(said.contains(&digest), "{said}");
    let said = ask(&researcher, "study open", &[study]).succeeded().out;
    assert!(said.contains("open, on the ledger"), "{said}");
    let said = ask(&committee, "study show", &[study]).succeeded().out;
    assert!(
        said.contains(&digest) && said.contains("approve by data-access-committee"),
        "{said}"
    );

    let count = ["--filter", "HP:0001250", "--filter", "age<P6Y"];
    let count: Vec<&str> = [study].into_iter().chain(count).collect();
    let said = ask(&researcher, "study count", &count).succeeded().out;
    assert!(
        said.contains("It cost 0.5 ") && said.contains("9.5 of 10 left"),
        "{said}"
    );
    let again = ask(&researcher, "study count", &count).succeeded().out;
    assert!(
        again.contains("It cost nothing") && again.contains("9.5 of 10 left"),
        "{again}"
    );
    assert_eq!(said.lines().next(), again.lines().next());
    let said = ask(&researcher, "study count", &[study, "--filter", "bogus"]).refused();
    assert!(said.contains("filter 1"), "{said}");

    // Nobody is here: nothing can leave, and why is the last word.
    let ran = ask(
        &researcher,
        "release prepare",
        &[study, "--tier", "T2", "--k", "5"],
    );
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("refused") && ran.err.contains("was refused: fewer than 5"),
        "{ran:?}"
    );
    let got = below.path().join("got").display().to_string();
    let said = ask(&researcher, "release get", &[study, "0", &got]).refused();
    assert!(said.contains("release 0 is refused"), "{said}");
    let said = ask(&committee, "study end", &[study, "--why", "Done"])
        .succeeded()
        .out;
    assert!(said.contains(" ended"), "{said}");
    let said = ask(&researcher, "study count", &[study]).refused();
    assert!(said.contains("not open"), "{said}");
}

const NOBODY: &str = "Nobody looked, and nobody was refused.\n";

/// What a family is told of its data in research, and of who looked; only its own.
#[test]
fn a_family_asks_where_its_data_is() {
    let below = tempfile::tempdir().unwrap();
    let hospital = Institution::found(below.path());
    let server = hospital.start();
    let opened = |_| server.open().rsplit('/').next().unwrap().to_owned();
    let [own, other] = [0, 1].map(opened);
    let token = below.path().join("mother.token");
    fs::write(&token, hospital.parent_of(&own)).unwrap();
    let token = token.display().to_string();
    let ask = |command: &str, subject: &str, more: &[&str]| -> Ran {
        let words = [
            "subject",
            command,
            subject,
            "--token-file",
            &token,
            "--node",
        ];
        run(words
            .into_iter()
            .chain([server.base()])
            .chain(more.iter().copied()))
    };
    let said = ask("research", &own, &[]).succeeded().out;
    for words in [
        "No release of this institution holds",
        "have spent 0 of the ",
        "No study may use",
        "A copy that has left cannot be recalled.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let told = ask("research", &own, &["--json"]).succeeded().out;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["releases"], &told["counts"]["spent"]),
        (&json!([]), &json!(0.0))
    );
    ask("research", &other, &[]).refused();

    // Nobody has looked; then somebody does, by office; from a later time on nothing is told.
    let said = ask("disclosures", &own, &[]).succeeded().out;
    assert_eq!(said, NOBODY);
    let path = format!("/v1/subjects/{own}/research");
    server.get(&path, As::Officer).is(200);
    let said = ask("disclosures", &own, &[]).succeeded().out;
    assert!(said.contains(" permitted: privacy-officer of "), "{said}");
    let said = ask(
        "disclosures",
        &own,
        &["--from", "2999-01-01T00:00:00+00:00"],
    );
    assert_eq!(said.succeeded().out, NOBODY);
    let told = ask("disclosures", &own, &["--json"]).succeeded().out;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(!told["disclosures"].as_array().unwrap().is_empty());
    ask("disclosures", &other, &[]).refused();
}

#[test]
fn a_folder_that_is_no_release_is_refused() {
    let below = tempfile::tempdir().unwrap();
    let shown = below.path().display().to_string();
    let ran = run(["release", "verify", &shown]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("this is no release"), "{ran:?}");
    let nowhere = below.path().join("nowhere").display().to_string();
    let said = run(["release", "verify", &nowhere]).refused();
    assert!(said.contains("cannot read the release"), "{said}");
}

#[test]
fn a_folder_that_exists_is_not_downloaded_into() {
    let below = tempfile::tempdir().unwrap();
    let token = below.path().join("token");
    fs::write(&token, "t").unwrap();
    let (shown, token) = (
        below.path().display().to_string(),
        token.display().to_string(),
    );
    let study = "0".repeat(32);
    let said = run([
        "release",
        "get",
        &study,
        "0",
        &shown,
        "--token-file",
        &token,
        "--node",
        "http://127.0.0.1:9",
    ]);
    let said = said.refused();
    assert!(said.contains("exists; name a new folder"), "{said}");
}

#[test]
fn the_commands_say_what_they_do() {
    let said = run(["study", "--help"]).succeeded().out;
    for word in [
        "propose",
        "list",
        "show",
        "match",
        "approve",
        "refuse",
        "agree",
        "open",
        "end",
        "withdraw",
        "count",
        "spending",
        "recontact",
    ] {
        assert!(said.contains(&format!("\n  {word} ")), "{word}: {said}");
    }
    let said = run(["release", "--help"]).succeeded().out;
    for word in [
        "prepare", "list", "show", "certify", "refuse", "get", "verify", "replay",
    ] {
        assert!(said.contains(&format!("\n  {word} ")), "{word}: {said}");
    }
    let said = run(["subject", "--help"]).succeeded().out;
    for word in ["keygen", "sign", "research", "disclosures"] {
        assert!(said.contains(&format!("\n  {word} ")), "{word}: {said}");
    }
    let template = run(["study", "propose", "--template"]).succeeded().out;
    assert!(
        template.contains("[declared]") && template.contains("ithaca init"),
        "{template}"
    );
}

#[test]
fn a_study_that_cannot_be_read_is_told_with_its_line() {
    let below = tempfile::tempdir().unwrap();
    let file = below.path().join("study.toml");
    fs::write(&file, "title = \"A\"\nsummary = \n").unwrap();
    let token = below.path().join("token");
    fs::write(&token, "t").unwrap();
    let (file, token) = (file.display().to_string(), token.display().to_string());
    let said = run(["study", "propose", &file, "--token-file", &token]).refused();
    assert!(
        said.contains("study.toml") && said.contains("line 2"),
        "{said}"
    );
}
