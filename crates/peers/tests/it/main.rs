//! Two ends over real sockets: who is let in, who is believed, and what a bad peer can do.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its world has failed"
)]

use codec::id::InstitutionId;
use futures::future::BoxFuture;
use keys::{PublicKey, Secret, Signature, SigningKey};
use node::share::{PeerKeys, REQUEST_MAX_BYTES, ShareQuery};
use peers::{Bounds, Client, End, PeerError, serve};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const A: InstitutionId = InstitutionId::new([1; 16]);
const B: InstitutionId = InstitutionId::new([2; 16]);
const C: InstitutionId = InstitutionId::new([3; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Secret::from_bytes([seed; 32]))
}

/// The ledger, as everybody sees it.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<PublicKey, InstitutionId>>>);

impl Ledger {
    fn of(members: &[(InstitutionId, u8)]) -> Self {
        let ledger = Self::default();
        for (id, seed) in members {
            ledger.admit(*id, *seed);
        }
        ledger
    }

    fn admit(&self, id: InstitutionId, seed: u8) {
        self.0.lock().unwrap().insert(key(seed).public(), id);
    }

    fn retire(&self, seed: u8) {
        self.0.lock().unwrap().remove(&key(seed).public());
    }
}

/// An institution that answers with who asked and what.
struct Institution {
    id: InstitutionId,
    seed: Mutex<u8>,
    ledger: Ledger,
}

impl Institution {
    fn new(id: InstitutionId, seed: u8, ledger: &Ledger) -> Arc<Self> {
        let ledger = ledger.clone();
        let seed = Mutex::new(seed);
        Arc::new(Self { id, seed, ledger })
    }
}

struct Keys(InstitutionId, SigningKey, Ledger);

impl PeerKeys for Keys {
    fn own(&self) -> InstitutionId {
        self.0
    }
    fn public(&self) -> PublicKey {
        self.1.public()
    }
    fn sign(&self, message: &[u8]) -> Signature {
        self.1.sign(message)
    }
    fn whose(&self, key: &PublicKey) -> Option<InstitutionId> {
        self.2.0.lock().unwrap().get(key).copied()
    }
}

impl End for Institution {
    fn keys(&self) -> Option<Arc<dyn PeerKeys>> {
        let key = key(*self.seed.lock().unwrap());
        Some(Arc::new(Keys(self.id, key, self.ledger.clone())))
    }

    fn answer(&self, query: ShareQuery) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async move {
            match query.bytes.as_slice() {
                b"no" => Err("no,\nnot you".to_owned()),
                b"large" => Ok(vec![7; 5_000_000]),
                bytes => Ok([query.peer.unwrap().as_bytes(), bytes].concat()),
            }
        })
    }
}

struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn serving(end: Arc<Institution>, bounds: Bounds) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let stopped = async {
            stopped.await.ok();
        };
        serve(listener, end, &bounds, stopped).await
    });
    Serving {
        address,
        stop,
        task,
    }
}

fn client(end: &Arc<Institution>, addresses: &[(InstitutionId, SocketAddr)]) -> Client {
    let addresses = addresses.iter().copied().collect();
    Client::new(end.clone(), addresses, Bounds::default())
}

fn is_unreachable(outcome: &Result<Vec<u8>, PeerError>) -> bool {
    matches!(outcome, Err(PeerError::Unreachable { .. }))
}

#[tokio::test]
async fn members_exchange_and_know_each_other() {
    let ledger = Ledger::of(&[(A, 1), (B, 2)]);
    let a = serving(Institution::new(A, 1, &ledger), Bounds::default()).await;
    let asking = client(&Institution::new(B, 2, &ledger), &[(A, a.address)]);
    for text in ["one", "two", "three"] {
        let answer = asking.exchange(A, text.as_bytes()).await.unwrap();
        assert_eq!(answer, [B.as_bytes(), text.as_bytes()].concat());
    }
    let large = asking.exchange(A, b"large").await.unwrap();
    assert_eq!(large.len(), 5_000_000);
    let refused = asking.exchange(A, b"no").await.unwrap_err();
    let PeerError::Refused { why, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(why, "no, not you");
    // A refusal does not end the connection.
    assert!(asking.exchange(A, b"on").await.is_ok());
    let nobody = asking.exchange(C, b"?").await;
    assert!(matches!(nobody, Err(PeerError::NoAddress(id)) if id == C));
    a.stop.send(()).unwrap();
    a.task.await.unwrap().unwrap();
    assert!(is_unreachable(&asking.exchange(A, b"late").await));
}

#[tokio::test]
async fn one_institutions_connections_leave_room_for_others() {
    let ledger = Ledger::of(&[(A, 1), (B, 2), (C, 3)]);
    let bounds = Bounds {
        each: 1,
        ..Bounds::default()
    };
    let a = serving(Institution::new(A, 1, &ledger), bounds).await;
    let of = |id, seed| client(&Institution::new(id, seed, &ledger), &[(A, a.address)]);
    let (first, second, other) = (of(B, 2), of(B, 2), of(C, 3));
    assert!(first.exchange(A, b"one").await.is_ok());
    assert!(is_unreachable(&second.exchange(A, b"two").await));
    assert!(other.exchange(A, b"three").await.is_ok());
    assert!(first.exchange(A, b"four").await.is_ok());
}

#[tokio::test]
async fn strangers_are_not_let_in_and_not_believed() {
    let ledger = Ledger::of(&[(A, 1), (B, 2), (C, 3)]);
    let a = serving(Institution::new(A, 1, &ledger), Bounds::default()).await;
    // A key that the ledger does not name.
    let stranger = client(&Institution::new(B, 9, &ledger), &[(A, a.address)]);
    assert!(is_unreachable(&stranger.exchange(A, b"x").await));
    // Another member where A should be.
    let b = serving(Institution::new(B, 2, &ledger), Bounds::default()).await;
    let misled = client(&Institution::new(C, 3, &ledger), &[(A, b.address)]);
    assert!(is_unreachable(&misled.exchange(A, b"x").await));
    // Somebody who says to be A with a key that is not on the ledger.
    let impostor = serving(Institution::new(A, 8, &ledger), Bounds::default()).await;
    let misled = client(&Institution::new(C, 3, &ledger), &[(A, impostor.address)]);
    assert!(is_unreachable(&misled.exchange(A, b"x").await));
}

/// Whoever shows a member's key must also hold it.
#[tokio::test]
async fn a_shown_key_must_be_held() {
    struct Thief(Arc<Institution>);
    struct Shown(Keys);
    impl PeerKeys for Shown {
        fn own(&self) -> InstitutionId {
            B
        }
        fn public(&self) -> PublicKey {
            key(2).public()
        }
        fn sign(&self, message: &[u8]) -> Signature {
            key(9).sign(message)
        }
        fn whose(&self, key: &PublicKey) -> Option<InstitutionId> {
            self.0.whose(key)
        }
    }
    impl End for Thief {
        fn keys(&self) -> Option<Arc<dyn PeerKeys>> {
            let keys = Keys(B, key(9), self.0.ledger.clone());
            Some(Arc::new(Shown(keys)))
        }
        fn answer(&self, query: ShareQuery) -> BoxFuture<'_, Result<Vec<u8>, String>> {
            self.0.answer(query)
        }
    }
    let ledger = Ledger::of(&[(A, 1), (B, 2)]);
    let a = serving(Institution::new(A, 1, &ledger), Bounds::default()).await;
    let thief = Arc::new(Thief(Institution::new(B, 2, &ledger)));
    let addresses = BTreeMap::from([(A, a.address)]);
    let thief = Client::new(thief, addresses, Bounds::default());
    assert!(is_unreachable(&thief.exchange(A, b"x").await));
}

#[tokio::test]
async fn keys_rotate_without_downtime_and_the_retired_are_out() {
    let ledger = Ledger::of(&[(A, 1), (B, 2)]);
    let at_a = Institution::new(A, 1, &ledger);
    let a = serving(at_a.clone(), Bounds::default()).await;
    let at_b = Institution::new(B, 2, &ledger);
    let asking = client(&at_b, &[(A, a.address)]);
    assert!(asking.exchange(A, b"old").await.is_ok());
    // Old and new keys are both good while the rotation settles.
    ledger.admit(A, 11);
    *at_a.seed.lock().unwrap() = 11;
    assert!(
        client(&at_b, &[(A, a.address)])
            .exchange(A, b"new")
            .await
            .is_ok()
    );
    ledger.admit(B, 12);
    *at_b.seed.lock().unwrap() = 12;
    ledger.retire(1);
    assert!(
        client(&at_b, &[(A, a.address)])
            .exchange(A, b"new")
            .await
            .is_ok()
    );
    // A connection that was made with keys which serve no longer is not used again.
    assert!(asking.exchange(A, b"anew").await.is_ok());
    ledger.retire(2);
    assert!(asking.exchange(A, b"anew").await.is_ok());
    // Nor is it answered: here the asker's key goes away and nothing takes its place.
    ledger.retire(12);
    assert!(is_unreachable(&asking.exchange(A, b"gone").await));
}

#[tokio::test]
async fn noise_and_silence_cost_a_place_for_a_while_only() {
    let ledger = Ledger::of(&[(A, 1), (B, 2)]);
    let bounds = Bounds {
        connections: 1,
        strangers: 2,
        handshake: Duration::from_millis(200),
        ..Bounds::default()
    };
    let a = serving(Institution::new(A, 1, &ledger), bounds).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(a.address).await.unwrap());
    }
    let asking = client(&Institution::new(B, 2, &ledger), &[(A, a.address)]);
    // Cut off: the end comes.
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    assert!(asking.exchange(A, b"after").await.is_ok());
    // Nor do they cost a place of the institutions, however many they are.
    for _ in 0..20 {
        silent.push(TcpStream::connect(a.address).await.unwrap());
    }
    assert!(asking.exchange(A, b"meanwhile").await.is_ok());
    for mut stream in silent {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
    }
    let too_long = vec![0; REQUEST_MAX_BYTES + 1];
    assert!(is_unreachable(&asking.exchange(A, &too_long).await));
    assert!(asking.exchange(A, b"still here").await.is_ok());
}
