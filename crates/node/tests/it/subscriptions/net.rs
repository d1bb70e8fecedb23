//! A node that notifies a server of the test's.

use crate::world::World;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use node::fhir::{
    FhirAct, FhirAsker, FhirRead, FhirSubscribe, FhirTarget, FhirTransact, FhirWrite, FhirWritten,
    Interaction, Notice, Notifier, Scopes, Subscriptions, Unsent,
};
use node::record::{Content, Payload, Submission};
use node::subject::Wait;
use node::{Ambient, Caller, Config, Error, SubjectId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) const BASE: &str = "http://localhost/fhir";
pub(super) const HOOK: &str = "https://ehr.example/hook";
/// Half of it is certain.
pub(super) const FIRST_WAIT_MS: u64 = 1_000;

/// Notifications that may wait.
pub(super) const WAITING: usize = 8;

/// What a subscriber's server does.
#[derive(Default)]
pub(super) struct Server {
    /// What came, and when.
    pub(super) came: Vec<(Notice, u64)>,
    /// What it answers next; afterwards it takes everything.
    pub(super) answers: VecDeque<Result<(), Unsent>>,
    /// The next answer waits for this.
    pub(super) gate: Option<oneshot::Receiver<()>>,
    pub(super) refuses: bool,
    /// Credentials that are good no more.
    pub(super) revoked: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) server: Arc<Mutex<Server>>,
    pub(super) ambient: Ambient,
}

impl Fake {
    pub(super) fn of(world: &World) -> Self {
        Self {
            server: Arc::default(),
            ambient: world.ambient(),
        }
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    pub(super) fn answers(&self, answers: &[Result<(), Unsent>]) {
        self.server().answers.extend(answers);
    }

    pub(super) fn count(&self) -> usize {
        self.server().came.len()
    }

    pub(super) fn came(&self) -> Vec<Notice> {
        let server = self.server();
        server
            .came
            .iter()
            .map(|(notice, _)| notice.clone())
            .collect()
    }

    /// What came: the text of each resource, or nothing for a notification without one.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |notice: &Notice| match &notice.payload {
            Some(payload) => String::from_utf8(payload.content.as_bytes().to_vec()).unwrap(),
            None => String::new(),
        };
        self.came().iter().map(text).collect()
    }
}

impl Notifier for Fake {
    fn refuses(&self, endpoint: &str) -> Option<String> {
        let listed = endpoint.starts_with(HOOK) && !self.server().refuses;
        (!listed).then(|| "it is not listed".to_owned())
    }

    fn knows(&self, credential: &str) -> bool {
        !self
            .server()
            .revoked
            .iter()
            .any(|other| other == credential)
    }

    fn send(&self, notice: Notice) -> BoxFuture<'static, Result<(), Unsent>> {
        let mut server = self.server();
        server.came.push((notice, self.ambient.now_ms()));
        let answer = server.answers.pop_front().unwrap_or(Ok(()));
        let gate = server.gate.take();
        async move {
            if let Some(gate) = gate {
                gate.await.ok();
            }
            answer
        }
        .boxed()
    }
}

/// A world whose node notifies a server.
pub(super) struct Net {
    pub(super) world: World,
    pub(super) fake: Fake,
}

impl Net {
    pub(super) async fn new(context: crate::world::Context) -> Self {
        let mut world = World::founded(context).await;
        let fake = Fake::of(&world);
        let config = config(&world, &fake);
        world.start_with(config).await;
        Self { world, fake }
    }

    pub(super) async fn restart(&mut self) {
        let config = config(&self.world, &self.fake);
        self.world.restart_with(config).await;
    }

    pub(super) fn asker(&self, caller: Caller) -> FhirAsker {
        FhirAsker {
            caller,
            purpose: None,
            base: BASE.to_owned(),
            patient: None,
            scopes: Scopes::everything(),
            interaction: Interaction::Create,
            launched: None,
        }
    }

    pub(super) async fn subscribe(
        &self,
        caller: Caller,
        act: FhirAct,
    ) -> Result<FhirWritten, Error> {
        self.subscribe_with(self.asker(caller), act, None).await
    }

    pub(super) async fn subscribe_with(
        &self,
        asker: FhirAsker,
        act: FhirAct,
        credential: Option<&str>,
    ) -> Result<FhirWritten, Error> {
        let subscribe = FhirSubscribe {
            asker,
            write: write("Subscription", act),
            strict: true,
            credential: credential.map(str::to_owned),
            until_ms: None,
        };
        self.world.handle().fhir_subscribe(subscribe).await
    }

    /// The clinician subscribes; gives the id.
    pub(super) async fn subscribed(&self, criteria: &str, with_payload: bool) -> String {
        let act = create(&subscription(criteria, with_payload, "requested"));
        let made = self.subscribe(self.world.clinician(), act).await.unwrap();
        let resource = made.resource.unwrap();
        let text = text(&resource.content.unwrap());
        assert!(text.contains(r#""status":"active""#), "{text}");
        resource.id
    }

    /// The Subscription as the clinician reads it.
    pub(super) async fn read(&self, id: &str) -> String {
        self.read_as(self.world.clinician(), id).await.unwrap()
    }

    pub(super) async fn read_as(&self, caller: Caller, id: &str) -> Result<String, Error> {
        let read = FhirRead {
            asker: self.asker(caller),
            kind: "Subscription".to_owned(),
            id: id.to_owned(),
            version: None,
        };
        let read = self.world.handle().fhir_read(read).await?;
        Ok(text(&read.resource.content.unwrap()))
    }

    /// A subject with a Patient; gives the Patient's id too.
    pub(super) async fn patient(&self) -> (SubjectId, String) {
        let subject = self.world.subject().await;
        let content = r#"{"resourceType":"Patient","name":[{"family":"Laertiades"}]}"#;
        let id = self.deposit(subject, content, Wait::Durable).await;
        (subject, id)
    }

    /// Puts a resource in over the other front door.
    pub(super) async fn deposit(&self, subject: SubjectId, content: &str, wait: Wait) -> String {
        let submission = Submission {
            caller: self.world.clinician(),
            subject,
            payload: Payload::FhirResource(Content::new(content.as_bytes().to_vec())),
            record: None,
            client_key: None,
            expect_version: None,
            provenance: Default::default(),
            wait,
        };
        let deposited = self
            .world
            .handle()
            .record_deposit(submission)
            .await
            .unwrap();
        deposited.records[0].record.to_string()
    }

    pub(super) async fn transact(&self, act: FhirAct) -> String {
        let transact = FhirTransact {
            asker: self.asker(self.world.clinician()),
            writes: vec![write("Observation", act)],
            strict: true,
            bundle: false,
            wait: Wait::Durable,
            source: "test".to_owned(),
        };
        let written = self.world.handle().fhir_transact(transact).await.unwrap();
        written[0].resource.as_ref().unwrap().id.clone()
    }

    /// An Observation of a code, with a value to be known by.
    pub(super) async fn observe(&self, patient: &str, code: &str, value: u32) -> String {
        self.transact(create(&observation(patient, code, value)))
            .await
    }

    /// Waits until so many came in all.
    pub(super) async fn tried(&self, came: usize) {
        for _ in 0..10_000 {
            if self.fake.count() >= came {
                return;
            }
            self.world.sleep_ms(10).await;
        }
    }

    /// The same, and a while longer, for there to be no more.
    pub(super) async fn settled(&self, came: usize) {
        self.tried(came).await;
        self.world.sleep_ms(5_000).await;
        assert_eq!(self.fake.count(), came);
    }

    /// Waits until the Subscription says this.
    pub(super) async fn says(&self, id: &str, what: &str) -> String {
        for _ in 0..2_000 {
            let said = self.read(id).await;
            if said.contains(what) {
                return said;
            }
            self.world.sleep_ms(100).await;
        }
        panic!("never {what}: {}", self.read(id).await);
    }
}

pub(super) fn config(world: &World, fake: &Fake) -> Config {
    let mut config = world.node_config();
    let mut subscriptions = Subscriptions::new(Arc::new(fake.clone()));
    subscriptions.first_wait_ms = FIRST_WAIT_MS;
    subscriptions.attempts = 4;
    subscriptions.waiting = WAITING;
    config.subscriptions = Some(subscriptions);
    config
}

pub(super) fn text(content: &Content) -> String {
    String::from_utf8(content.as_bytes().to_vec()).unwrap()
}

pub(super) fn write(kind: &str, act: FhirAct) -> FhirWrite {
    FhirWrite {
        kind: kind.to_owned(),
        act,
        full_url: None,
    }
}

pub(super) fn create(content: &str) -> FhirAct {
    FhirAct::Create {
        content: Content::new(content.as_bytes().to_vec()),
        if_none_exist: None,
    }
}

pub(super) fn update(id: &str, content: &str) -> FhirAct {
    FhirAct::Update {
        content: Content::new(content.as_bytes().to_vec()),
        target: FhirTarget::Id(id.to_owned()),
        if_match: None,
    }
}

pub(super) fn delete(id: &str) -> FhirAct {
    FhirAct::Delete {
        target: FhirTarget::Id(id.to_owned()),
        if_match: None,
    }
}

pub(super) fn patch(id: &str, operations: &str) -> FhirAct {
    FhirAct::Patch {
        operations: Content::new(operations.as_bytes().to_vec()),
        target: FhirTarget::Id(id.to_owned()),
        if_match: None,
    }
}

pub(super) fn subscription(criteria: &str, with_payload: bool, status: &str) -> String {
    let payload = match with_payload {
        true => r#","payload":"application/fhir+json""#,
        false => "",
    };
    format!(
        r#"{{"resourceType":"Subscription","status":"{status}","reason":"follow-up","criteria":"{criteria}","channel":{{"type":"rest-hook","endpoint":"{HOOK}/a"{payload},"header":["Authorization: Bearer secret"]}}}}"#
    )
}

pub(super) fn observation(patient: &str, code: &str, value: u32) -> String {
    format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"subject":{{"reference":"Patient/{patient}"}},"valueInteger":{value}}}"#
    )
}

pub(super) const DOWN: Result<(), Unsent> = Err(Unsent::Unreachable);
pub(super) const BROKEN: Result<(), Unsent> = Err(Unsent::Answered(500));
