//! One institution's node for all tests of this binary, its staff and their tokens.
//!
//! Starting it takes a while, so it starts once and ends with the process. Its folder lies in cargo's
//! folder for tests; what earlier runs left there is removed.

use crate::spy;
use api::{Edge, Limits, Tokens};
use axum::Router;
use codec::{Digest, InstitutionId, Millis, SubjectId};
use commonware_runtime::{Runner as _, tokio as runtime};
use consent::{PractitionerId, Role};
use keys::PasswordParams;
use ledger::{Genesis, Kind, Parameters};
use node::{
    Ambient, Handle, Node,
    differential::Knowledge,
    institution::{self, Founding},
};
use ontology::{Ontology, Shipped};
use serde_json::{Value, json};
use sign_in::{
    fetch::Web,
    jwt::Signer,
    own::{
        OwnIssuer, Settings,
        account::{self, NewAccount},
        accounts_file,
        client::{self, Client, Proof},
        clients_file,
    },
};
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, Once, mpsc},
    thread,
    time::Duration,
};
use store_fjall::FjallStore;

/// The largest body of a deposit here, so that tests need not be larger.
pub(crate) const PAYLOAD_BYTES: usize = 4 << 20;
pub(crate) const JSON_BYTES: usize = 64 << 10;
const DAY_MS: u64 = 86_400_000;

/// The node, the router in front of it, and who carries which token.
pub(crate) struct House {
    pub(crate) router: Router,
    pub(crate) institution: InstitutionId,
    /// Another one, of which the ledger knows nothing.
    pub(crate) elsewhere: InstitutionId,
    pub(crate) staff: Staff,
    pub(crate) genesis: Genesis,
    pub(crate) folder: PathBuf,
    pub(crate) handle: Handle,
    pub(crate) ambient: Ambient,
    tokens_file: PathBuf,
    tokens: Mutex<Vec<Value>>,
}

/// Tokens of people whom many tests need.
pub(crate) struct Staff {
    pub(crate) desk: String,
    pub(crate) clinician: String,
    pub(crate) nurse: String,
    pub(crate) emergency: String,
    pub(crate) privacy: String,
    /// A second person.
    pub(crate) approver: String,
    pub(crate) operator: String,
    pub(crate) researcher: String,
    pub(crate) committee: String,
    /// A clinician elsewhere.
    pub(crate) specialist: String,
}

/// Who a token is for.
pub(crate) struct Person<'a> {
    pub(crate) name: &'a str,
    pub(crate) roles: &'a [Role],
    pub(crate) institution: InstitutionId,
    pub(crate) subject: Option<SubjectId>,
    pub(crate) slot: Option<u8>,
}

/// Runs a test against the house.
pub(crate) fn run<F: Future>(test: impl FnOnce(&'static House) -> F) -> F::Output {
    static HOUSE: LazyLock<House> = LazyLock::new(House::start);
    let house = &*HOUSE;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(test(house));
    assert_eq!(
        spy::leaks(),
        Vec::<String>::new(),
        "patient data in the log"
    );
    result
}

impl House {
    fn start() -> Self {
        spy::listen();
        let folder = fresh_folder();
        let (started, start) = mpsc::channel();
        let data = folder.clone();
        thread::spawn(move || {
            let settings = runtime::Config::new()
                .with_worker_threads(2)
                .with_storage_directory(data.join("engine"));
            runtime::Runner::new(settings).start(|context| async move {
                let ambient = Ambient::of(&context);
                let (institution, genesis, node) = found(&data, &ambient, context).await;
                let handle = node.handle();
                started
                    .send((institution, genesis, handle, ambient))
                    .unwrap();
                // As long as the process.
                std::future::pending::<()>().await;
                drop(node);
            });
        });
        let (institution, genesis, handle, ambient) =
            start.recv_timeout(Duration::from_secs(60)).unwrap();
        let tokens_file = folder.join("tokens.json");
        let tokens = Tokens::at(&tokens_file);
        let mut house = Self {
            router: router(
                &handle,
                &ambient,
                tokens,
                Limits::default(),
                issuer(&folder, &ambient, institution),
            ),
            institution,
            genesis,
            handle,
            elsewhere: InstitutionId::new([0xE; 16]),
            staff: Staff::none(),
            ambient,
            tokens_file,
            folder,
            tokens: Mutex::default(),
        };
        house.staff = Staff::of(&house);
        house
    }

    /// Another edge in front of the same node.
    pub(crate) fn edge(&self, tokens: Tokens, limits: Limits) -> Router {
        let issuer = issuer(&self.folder, &self.ambient, self.institution);
        router(&self.handle, &self.ambient, tokens, limits, issuer)
    }

    /// An access token for the clinician's account, as their app gets it.
    pub(crate) fn app_token(&self, scope: &str) -> String {
        let account = account::list(&accounts_file(&self.folder))
            .unwrap()
            .remove(0);
        let now_s = self.now_ms() / 1000;
        let claims = json!({
            "iss": ISSUER, "sub": account.id, "aud": format!("{ISSUER}/fhir"), "client_id": "app",
            "exp": now_s + 300, "jti": Digest::new(self.random()).to_string(), "scope": scope,
        });
        SIGNER.sign("at+jwt", &claims).unwrap()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.ambient.now_ms()
    }

    /// The disclosure period that is running.
    pub(crate) fn period(&self) -> u64 {
        self.now_ms() / self.genesis.parameters.disclosure_period_ms
    }

    /// Randomness.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        self.ambient.random()
    }

    /// Tokens for these people, good for a day; the file is written once.
    pub(crate) fn tokens(&self, people: &[Person<'_>]) -> Vec<String> {
        let expires = Millis::new(self.now_ms() + DAY_MS);
        let mut all = self.tokens.lock().unwrap();
        let made = people
            .iter()
            .map(|person| {
                let token = format!("ith_{}", Digest::new(self.random()));
                all.push(row(&token, person, expires));
                token
            })
            .collect();
        let draft = self.tokens_file.with_extension("draft");
        fs::write(&draft, json!({"tokens": *all}).to_string()).unwrap();
        fs::rename(&draft, &self.tokens_file).unwrap();
        made
    }

    /// A token for somebody on the staff.
    pub(crate) fn token(&self, name: &str, role: Role) -> String {
        self.tokens(&[Person::staff(self, name, &[role])]).remove(0)
    }

    /// A token for a controller of a subject.
    pub(crate) fn controller(&self, subject: &str, slot: u8) -> Person<'static> {
        Person {
            name: "family",
            roles: &[Role::Controller],
            institution: self.institution,
            subject: Some(subject.parse().unwrap()),
            slot: Some(slot),
        }
    }

    /// A token for a device bound to a subject.
    pub(crate) fn device(&self, subject: &str) -> Person<'static> {
        Person {
            name: "devi",
            roles: &[Role::Device],
            slot: None,
            ..self.controller(subject, 0)
        }
    }
}

impl<'a> Person<'a> {
    pub(crate) fn staff(house: &House, name: &'a str, roles: &'a [Role]) -> Self {
        Self {
            name,
            roles,
            institution: house.institution,
            subject: None,
            slot: None,
        }
    }

    pub(crate) fn institution(self, institution: InstitutionId) -> Self {
        Self {
            institution,
            ..self
        }
    }
}

impl Staff {
    fn none() -> Self {
        let none = String::new;
        Self {
            desk: none(),
            clinician: none(),
            nurse: none(),
            emergency: none(),
            privacy: none(),
            approver: none(),
            operator: none(),
            researcher: none(),
            committee: none(),
            specialist: none(),
        }
    }

    fn of(house: &House) -> Self {
        Self {
            desk: house.token("desk-1", Role::Desk),
            clinician: house.token("clinician-1", Role::Clinician),
            nurse: house.token("nurse-1", Role::Nurse),
            emergency: house.token("emergency-1", Role::EmergencyClinician),
            privacy: house.token("privacy-1", Role::PrivacyOfficer),
            approver: house.token("privacy-2", Role::PrivacyOfficer),
            operator: house.token("operator-1", Role::Operator),
            researcher: house.token("researcher-1", Role::Researcher),
            committee: house.token("committee-1", Role::Committee),
            specialist: {
                let person = Person::staff(house, "specialist-1", &[Role::Clinician])
                    .institution(house.elsewhere);
                house.tokens(&[person]).remove(0)
            },
        }
    }
}

/// A row of the token file: its form is a promise to those who write one.
pub(crate) fn row(token: &str, person: &Person<'_>, expires: Millis) -> Value {
    let roles: BTreeSet<Role> = person.roles.iter().copied().collect();
    let mut row = json!({
        "sha256": keys::sha256(&[token.as_bytes()]),
        "institution": person.institution,
        "practitioner": PractitionerId::new(person.name).unwrap(),
        "roles": roles,
        "expires": expires,
    });
    if let Some(subject) = person.subject {
        row["subject"] = json!(subject);
    }
    if let Some(slot) = person.slot {
        row["slot"] = json!(slot);
    }
    row
}

/// Where the house's own issuer is reached.
pub(crate) const ISSUER: &str = "http://127.0.0.1:8420";
/// The clinician's, at the house's own issuer.
pub(crate) const PASSWORD: &str = "Kanarienvogel im Kohlenflöz";

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new(&Signer::fresh().unwrap()).unwrap());

/// The house's own issuer, with one account and one app.
fn issuer(folder: &Path, ambient: &Ambient, institution: InstitutionId) -> OwnIssuer {
    static MADE: Once = Once::new();
    let random = {
        let ambient = ambient.clone();
        move |out: &mut [u8]| ambient.entropy()(out)
    };
    MADE.call_once(|| {
        let account = NewAccount {
            name: "odysseus".to_owned(),
            practitioner: PractitionerId::new("clin").unwrap(),
            roles: BTreeSet::from([Role::Clinician]),
            subject: None,
            slot: None,
            patient: None,
            fhir_user: None,
        };
        let fast = PasswordParams::INSECURE_FAST;
        let now = Millis::new(ambient.now_ms());
        account::add(
            &accounts_file(folder),
            account,
            PASSWORD,
            fast,
            &random,
            now,
        )
        .unwrap();
        let app = Client {
            id: "app".to_owned(),
            name: "The <b>App</b>".to_owned(),
            proof: Proof::Public {},
            redirect_uris: vec!["https://app.example/back".to_owned()],
            scopes: "openid launch patient/*.cruds user/*.cruds offline_access ithaca".to_owned(),
            service: None,
            certificates: Vec::new(),
        };
        client::add(&clients_file(folder), app).unwrap();
    });
    let settings = Settings {
        url: ISSUER.to_owned(),
        institution,
        cost: PasswordParams::INSECURE_FAST,
        fetch: Arc::new(Web::new(None).unwrap()),
        entropy: Box::new(random),
    };
    OwnIssuer::open(folder, settings, SIGNER.clone(), ambient.now_ms()).unwrap()
}

fn router(
    handle: &Handle,
    ambient: &Ambient,
    tokens: Tokens,
    limits: Limits,
    issuer: OwnIssuer,
) -> Router {
    let limits = Limits {
        payload_bytes: PAYLOAD_BYTES,
        bodies_bytes: 4 * PAYLOAD_BYTES,
        json_bytes: JSON_BYTES,
        ..limits
    };
    let edge = Edge::new(handle.clone(), ambient.clone(), tokens, limits);
    api::router(edge.with_own_issuer(issuer))
}

fn knowledge() -> Arc<Knowledge> {
    let ontology = Ontology::from_sources(&Shipped::unpack().sources()).unwrap();
    Arc::new(Knowledge::new(ontology).unwrap())
}

async fn found(
    data: &Path,
    ambient: &Ambient,
    context: runtime::Context,
) -> (InstitutionId, Genesis, Node) {
    let founding = Founding {
        name: "House of tests".to_owned(),
        kind: Kind::Hospital,
    };
    let parameters = Parameters {
        batch_interval_ms: 20,
        subject_release_ms: 20,
        ..Parameters::default()
    };
    let passphrase = b"not a secret";
    let fast = PasswordParams::INSECURE_FAST;
    institution::create(data, &founding, parameters, passphrase, fast, ambient).unwrap();
    let opened = institution::open(data, passphrase).unwrap();
    let store = FjallStore::open(opened.layout.store(), &store_fjall::Config::default()).unwrap();
    // No peers: nobody listens, whatever the port.
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = node::Config::new(opened.genesis.clone(), opened.institution, listen);
    config.knowledge = Some(knowledge());
    let node = Node::start(context, config, store, opened.keychain)
        .await
        .unwrap();
    (opened.institution, opened.genesis, node)
}

fn fresh_folder() -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(base).unwrap().flatten() {
        let name = entry.file_name();
        let old = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|t| t.elapsed().is_ok_and(|age| age > Duration::from_secs(600)));
        if name.to_string_lossy().starts_with("api-house-") && old {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    tempfile::Builder::new()
        .prefix("api-house-")
        .tempdir_in(base)
        .unwrap()
        .keep()
}
