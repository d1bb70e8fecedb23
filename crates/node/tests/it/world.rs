//! One institution in a network of its own, and the people who call its node.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use commonware_runtime::{Clock, Runner as _, Supervisor, deterministic};
use consensus::network::Lookup;
use keys::{PasswordParams, Secret, SigningKey};
use ledger::{Genesis, Kind, Parameters};
use node::consent_change::{ConsentAccepted, ConsentChange, ConsentDesk, GrantDraft};
use node::differential::Knowledge;
use node::fhir::Subscriptions;
use node::institution::{Founding, found, keychain_create};
use node::receipt::{LeafAsked, ReceiptLeaf};
use node::record::{Content, Deposited, Fetch, Fetched, Payload, Submission};
use node::research::Research;
use node::subject::{SubjectOpen, Wait};
use node::{
    Actor, Ambient, Caller, Category, Config, Error, Grantee, Handle, InstitutionId, Millis, Node,
    PractitionerAt, PractitionerId, Purpose, RecordId, Role, Selection, SubjectId,
};
use store_sim::SimStore;
use vault::{Keychain, MemoryCustody};

pub(crate) type Context = deterministic::Context;
pub(crate) type Store = SimStore<Context>;

pub(crate) const PASSPHRASE: &[u8] = b"a passphrase for tests";
pub(crate) const START_S: u64 = 1_790_000_000;

/// Runs a test under a seed. Simulated time may go on for a day.
pub(crate) fn run<F, T>(seed: u64, test: impl FnOnce(Context) -> F) -> T
where
    F: Future<Output = T>,
{
    deterministic::Runner::new(config(seed)).start(test)
}

pub(crate) fn config(seed: u64) -> deterministic::Config {
    deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(UNIX_EPOCH + Duration::from_secs(START_S))
        .with_timeout(Some(Duration::from_secs(86_400)))
}

pub(crate) fn founding(name: &str) -> Founding {
    Founding {
        name: name.to_owned(),
        kind: Kind::Hospital,
    }
}

/// Short periods and epochs, so that tests see them end.
pub(crate) fn parameters() -> Parameters {
    Parameters {
        epoch_blocks: 20,
        disclosure_period_ms: 10_000,
        ..Parameters::default()
    }
}

/// The institution, its disk and its running node.
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) genesis: Genesis,
    pub(crate) id: InstitutionId,
    pub(crate) custody: MemoryCustody,
    pub(crate) store: Store,
    /// How far the node's clock is off the runtime's, in ms.
    pub(crate) skew_ms: Arc<AtomicI64>,
    pub(crate) node: Option<Node>,
    starts: u64,
    /// What its next start knows of diseases.
    pub(crate) knowledge: Option<Arc<Knowledge>>,
    /// What its next start may spend, and how it draws noise.
    pub(crate) research: Research,
    /// Whom its next start may notify, and how.
    pub(crate) subscriptions: Option<Subscriptions>,
}

impl World {
    /// Founds the institution and starts its node.
    pub(crate) async fn new(context: Context) -> Self {
        let mut world = Self::founded(context).await;
        world.start().await;
        world
    }

    pub(crate) async fn founded(context: Context) -> Self {
        let ambient = Ambient::of(&context);
        let custody = MemoryCustody::new();
        let (_, card) = keychain_create(
            Arc::new(custody.clone()),
            &founding("Hospital of Ithaca"),
            true,
            PASSPHRASE,
            PasswordParams::INSECURE_FAST,
            &ambient,
        )
        .unwrap();
        let genesis = found(std::slice::from_ref(&card), parameters(), &ambient).unwrap();
        let store = SimStore::open(context.child("store"), "store")
            .await
            .unwrap();
        Self {
            id: card.institution.id,
            context,
            genesis,
            custody,
            store,
            skew_ms: Arc::default(),
            node: None,
            starts: 0,
            knowledge: None,
            research: Research::default(),
            subscriptions: None,
        }
    }

    /// A world around what another one left.
    pub(crate) async fn reopened(
        context: Context,
        genesis: Genesis,
        id: InstitutionId,
        custody: MemoryCustody,
    ) -> Self {
        let store = SimStore::open(context.child("store"), "store")
            .await
            .unwrap();
        let mut world = Self {
            context,
            genesis,
            id,
            custody,
            store,
            skew_ms: Arc::default(),
            node: None,
            starts: 100,
            knowledge: None,
            research: Research::default(),
            subscriptions: None,
        };
        world.start().await;
        world
    }

    pub(crate) fn node_config(&self) -> Config {
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut config = Config::new(self.genesis.clone(), self.id, listen);
        config.idle_block_ms = 5_000;
        config.knowledge = self.knowledge.clone();
        config.research = self.research.clone();
        config.subscriptions = self.subscriptions.clone();
        config
    }

    pub(crate) fn keychain(&self) -> Keychain {
        Keychain::open(Arc::new(self.custody.clone()), PASSPHRASE).unwrap()
    }

    /// The node's clock: the runtime's, off by `skew_ms`.
    pub(crate) fn ambient(&self) -> Ambient {
        let clock = self.context.child("skewed");
        let skew = self.skew_ms.clone();
        Ambient::of(&self.context).with_clock(move || {
            let now = clock
                .current()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_millis();
            let now = i64::try_from(now).unwrap() + skew.load(Ordering::Relaxed);
            u64::try_from(now).unwrap()
        })
    }

    pub(crate) async fn start(&mut self) {
        let config = self.node_config();
        self.start_with(config).await;
    }

    pub(crate) async fn start_with(&mut self, config: Config) {
        let keychain = self.keychain();
        let seed = keychain.identity().validator_seed;
        let network = Lookup::new(&seed, config.listen, Vec::new()).unwrap();
        self.starts += 1;
        let node = Node::start_with(
            self.ambient(),
            self.context.child("start").with_attribute("n", self.starts),
            config,
            network,
            self.store.clone(),
            keychain,
        );
        self.node = Some(node.await.unwrap());
    }

    /// Ends the node as a crash would, and starts it again from what is durable.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(self.node_config()).await;
    }

    /// The same, told other things.
    pub(crate) async fn restart_with(&mut self, config: Config) {
        self.node.take().unwrap().crash().await;
        self.start_with(config).await;
    }

    pub(crate) fn handle(&self) -> Handle {
        self.node.as_ref().unwrap().handle()
    }

    pub(crate) async fn sleep_ms(&self, duration_ms: u64) {
        self.context.sleep(Duration::from_millis(duration_ms)).await;
    }

    pub(crate) fn now(&self) -> Millis {
        let now = self.context.current().duration_since(UNIX_EPOCH).unwrap();
        Millis::new(u64::try_from(now.as_millis()).unwrap())
    }

    pub(crate) fn staff(&self, name: &str, role: Role) -> Caller {
        Caller::staff(actor(self.id, name, role))
    }

    pub(crate) fn desk(&self) -> Caller {
        self.staff("desk-1", Role::Desk)
    }

    pub(crate) fn clinician(&self) -> Caller {
        self.staff("dr-homer", Role::Clinician)
    }

    pub(crate) fn officer(&self) -> Caller {
        self.staff("officer-1", Role::PrivacyOfficer)
    }

    pub(crate) fn emergency(&self) -> Caller {
        self.staff("dr-storm", Role::EmergencyClinician)
    }

    /// A controller's account.
    pub(crate) fn parent(&self, subject: SubjectId, slot: u8) -> Caller {
        let mut actor = actor(self.id, "account-1", Role::Controller);
        actor.slot = Some(slot);
        Caller::bound(actor, subject)
    }

    /// Opens an assisted subject with one guardian, and waits until that is final.
    pub(crate) async fn subject(&self) -> SubjectId {
        let opened = self
            .handle()
            .subject_open(self.opening(final_wait()))
            .await
            .unwrap();
        assert!(opened.finality.is_final());
        opened.subject
    }

    pub(crate) fn opening(&self, wait: Wait) -> SubjectOpen {
        SubjectOpen {
            caller: self.desk(),
            controllers: vec![guardian(1)],
            matures: None,
            client_key: None,
            wait,
        }
    }

    pub(crate) fn phenopacket(&self, subject: SubjectId, id: &str) -> Submission {
        Submission {
            caller: self.clinician(),
            subject,
            payload: Payload::Phenopacket(Content::new(phenopacket(id))),
            record: None,
            client_key: Some(id.to_owned()),
            expect_version: None,
            provenance: Default::default(),
            wait: Wait::Durable,
        }
    }

    pub(crate) async fn deposit(&self, subject: SubjectId, id: &str) -> Deposited {
        self.handle()
            .record_deposit(self.phenopacket(subject, id))
            .await
            .unwrap()
    }

    pub(crate) async fn deposit_final(&self, subject: SubjectId, id: &str) -> RecordId {
        let mut submission = self.phenopacket(subject, id);
        submission.wait = final_wait();
        let deposited = self.handle().record_deposit(submission).await.unwrap();
        assert!(deposited.finality.is_final());
        deposited.records[0].record
    }

    pub(crate) async fn fetch(
        &self,
        caller: Caller,
        purpose: Purpose,
        subject: SubjectId,
        categories: &[Category],
    ) -> Result<Fetched, Error> {
        let fetch = Fetch {
            caller,
            purpose,
            subject,
            selection: Selection::all(categories.iter().copied()),
            study: None,
            partial: false,
            version: None,
        };
        self.handle().record_fetch(fetch).await
    }

    pub(crate) async fn consent(
        &self,
        subject: SubjectId,
        change: ConsentChange,
        wait: Wait,
    ) -> Result<ConsentAccepted, Error> {
        self.handle()
            .consent_desk(ConsentDesk {
                caller: self.desk(),
                subject,
                expect_sequence: None,
                changes: vec![change],
                wait,
            })
            .await
    }

    /// A grant of phenotypes to the specialist for a day.
    pub(crate) fn grant(&self) -> GrantDraft {
        let now = self.now();
        GrantDraft {
            grantee: Grantee::Practitioner(PractitionerAt {
                institution: ELSEWHERE,
                practitioner: PractitionerId::new("dr-specialist").unwrap(),
            }),
            purposes: BTreeSet::from([Purpose::Treat]),
            categories: BTreeSet::from([Category::Phenotype]),
            from: Millis::ZERO,
            until: now.saturating_add(86_400_000),
            exceptions: BTreeSet::new(),
        }
    }
}

/// An institution that is no member; its practitioners are known by signature.
pub(crate) const ELSEWHERE: InstitutionId = InstitutionId::new([7; 16]);

pub(crate) fn specialist() -> Caller {
    Caller::staff(actor(ELSEWHERE, "dr-specialist", Role::Geneticist))
}

pub(crate) fn stranger() -> Caller {
    Caller::staff(actor(ELSEWHERE, "dr-nobody", Role::Geneticist))
}

pub(crate) fn actor(institution: InstitutionId, name: &str, role: Role) -> Actor {
    Actor {
        institution,
        practitioner: PractitionerId::new(name).unwrap(),
        roles: BTreeSet::from([role]),
        slot: None,
    }
}

pub(crate) fn guardian(slot: u8) -> node::Controller {
    node::Controller {
        slot,
        role: node::ControllerRole::Guardian,
        label: node::Label::new("Penelope").unwrap(),
        until: None,
    }
}

/// The stored form, opened for treatment.
pub(crate) const STORED: LeafAsked = LeafAsked {
    leaf: ReceiptLeaf::Stored,
    purpose: Purpose::Treat,
};

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Secret::from_bytes([seed; 32]))
}

pub(crate) fn final_wait() -> Wait {
    Wait::Final { timeout_ms: 30_000 }
}

/// Secret words that must never be seen where they are not permitted.
pub(crate) const NAME: &str = "Telemachos";
pub(crate) const FINDING: &str = "HP:0001250";
pub(crate) const GENE: &str = "SCN1A";

pub(crate) fn phenopacket(id: &str) -> Vec<u8> {
    format!(
        r#"{{
  "id": "{id}",
  "subject": {{"id": "{NAME}", "sex": "MALE", "dateOfBirth": "2019-04-01T00:00:00Z"}},
  "phenotypicFeatures": [{{"type": {{"id": "{FINDING}", "label": "Seizure"}}}}],
  "interpretations": [{{"id": "i1", "progressStatus": "SOLVED", "diagnosis": {{
    "disease": {{"id": "OMIM:607208", "label": "Dravet syndrome"}},
    "genomicInterpretations": [{{"subjectOrBiosampleId": "{NAME}", "interpretationStatus": "CAUSATIVE",
      "gene": {{"valueId": "HGNC:10585", "symbol": "{GENE}"}}}}]}}}}],
  "metaData": {{"created": "2026-01-01T00:00:00Z", "createdBy": "test", "phenopacketSchemaVersion": "2.0",
    "resources": []}}
}}"#
    )
    .into_bytes()
}

/// Everything that was handed out, as text.
pub(crate) fn text(fetched: &Fetched) -> String {
    let mut text = String::new();
    for record in &fetched.records {
        let stored = record.stored_form.iter();
        let parts = record.projections.iter().map(|part| &part.bytes);
        for bytes in stored.chain(parts) {
            text.push_str(std::str::from_utf8(bytes.as_bytes()).unwrap());
        }
    }
    text
}
