//! The same edge on a real socket: what a client sees when the body is the fault, and how serving ends.

use crate::{
    families::newborn,
    house::{House, run},
    spy::MARKER,
};
use api::Bounds;
use axum::{Router, routing::get};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::{JoinHandle, yield_now},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

struct Served {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn serve(house: &House, grace: Duration) -> Served {
    let bounds = Bounds {
        grace,
        ..Bounds::default()
    };
    serve_within(house.router.clone(), bounds).await
}

async fn serve_within(router: Router, bounds: Bounds) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let stopped = async {
            stopped.await.ok();
        };
        api::serve(listener, router, &bounds, stopped).await
    });
    Served {
        address,
        stop,
        task,
    }
}

impl Served {
    /// What the server sends until it closes or has said all.
    async fn talk(&self, parts: &[&[u8]]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        for part in parts {
            // The server may have hung up already.
            if stream.write_all(part).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
                Ok(0) | Err(_) => break,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
            }
            let text = String::from_utf8_lossy(&answer);
            if let Some((_, body)) = text.split_once("\r\n\r\n")
                && body.ends_with('}')
            {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn end(self) {
        self.stop.send(()).ok();
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn head(method: &str, path: &str, token: &str, rest: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: bearer {token}\r\ncontent-type: application/json\r\n{rest}\r\n").into_bytes()
}

#[test]
fn bodies_on_the_wire() {
    run(async |house| {
        let family = newborn(house).await;
        let served = serve(house, Duration::from_secs(1)).await;
        let desk = &house.staff.desk;
        let records = family.path("/records");
        let deposit = |rest: &str| head("POST", &records, desk, rest);
        let announced = served
            .talk(&[&deposit("content-length: 104857600\r\n")])
            .await;
        assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
        let chunk = format!("{:x}\r\n{}\r\n", MARKER.len() * 5_000, MARKER.repeat(5_000));
        let head = deposit("transfer-encoding: chunked\r\n");
        let mut parts: Vec<&[u8]> = vec![&head];
        parts.extend(std::iter::repeat_n(chunk.as_bytes(), 1_600));
        let chunked = served.talk(&parts).await;
        assert!(
            chunked.starts_with("HTTP/1.1 413 ") || chunked.is_empty(),
            "{chunked}"
        );
        let lying = served
            .talk(&[
                &deposit("content-length: 5\r\ncontent-length: 9\r\n"),
                b"{\"id\":1}",
            ])
            .await;
        assert!(lying.starts_with("HTTP/1.1 400 "), "{lying}");
        let garbage = served.talk(&[MARKER.as_bytes(), b"\r\n\r\n"]).await;
        assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
        for text in [announced, chunked, lying, garbage] {
            assert!(!text.contains(MARKER), "{text}");
        }
        served.end().await;
    });
}

#[test]
fn a_client_that_hangs_up_leaves_nothing() {
    run(async |house| {
        let family = newborn(house).await;
        let served = serve(house, Duration::from_secs(1)).await;
        let records = family.path("/records");
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let body = crate::families::phenopacket("cut").to_string();
        let length = format!("content-length: {}\r\n", body.len());
        stream
            .write_all(&head("POST", &records, &house.staff.desk, &length))
            .await
            .unwrap();
        let half = &body.as_bytes()[..body.len() / 2];
        stream.write_all(half).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .ok();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
        let status = crate::wire::Call::get(family.path(""))
            .bearer(&house.staff.desk)
            .send(house)
            .await
            .is(200);
        assert_eq!(status.value()["records"], 1);
        served.end().await;
    });
}

#[test]
fn serving_ends_although_a_client_dawdles() {
    run(async |house| {
        let served = serve(house, Duration::from_millis(100)).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let records = format!("/v1/subjects/{}/records", "0".repeat(64));
        let dawdle = head(
            "POST",
            &records,
            &house.staff.desk,
            "content-length: 1000\r\n",
        );
        stream.write_all(&dawdle).await.unwrap();
        let whole = served
            .talk(&[&head("GET", "/health", "x", "connection: close\r\n")])
            .await;
        assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
        served.end().await;
        drop(stream);
    });
}

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_millis(100);
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Nothing is ever too slow, but for what a test sets.
fn patient() -> Bounds {
    Bounds {
        connections: 100,
        header: FOREVER,
        answer: FOREVER,
        grace: FOREVER,
    }
}

/// Requests that come in, and do not end before they are let.
#[derive(Clone)]
struct Gate {
    came: Arc<Semaphore>,
    leave: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gate {
    fn closed() -> Self {
        Self {
            came: Arc::new(Semaphore::new(0)),
            leave: Arc::new(Semaphore::new(0)),
            inside: Arc::default(),
            most: Arc::default(),
        }
    }

    fn router(&self) -> Router {
        let gate = self.clone();
        let pass = move || {
            let gate = gate.clone();
            async move {
                let inside = gate.inside.fetch_add(1, Ordering::SeqCst) + 1;
                gate.most.fetch_max(inside, Ordering::SeqCst);
                gate.came.add_permits(1);
                gate.leave.acquire().await.unwrap().forget();
                gate.inside.fetch_sub(1, Ordering::SeqCst);
                "passed"
            }
        };
        Router::new().route("/", get(pass))
    }

    /// Waits until a request is inside.
    async fn one_came(&self) {
        timeout(PATIENCE, self.came.acquire())
            .await
            .unwrap()
            .unwrap()
            .forget();
    }
}

async fn open(served: &Served, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// All that the server says until it closes.
async fn heard(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "the server keeps the connection");
    String::from_utf8_lossy(&all).into_owned()
}

fn alone<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

#[test]
fn half_a_head_is_cut_off() {
    alone(async {
        let gate = Gate::closed();
        gate.leave.add_permits(1);
        let bounds = Bounds {
            header: SOON,
            connections: 3,
            ..patient()
        };
        let served = serve_within(gate.router(), bounds).await;
        let silent = open(&served, b"").await;
        let half = open(&served, b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
        // It had its answer, and holds the connection with half of the next head.
        let again = open(
            &served,
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n",
        )
        .await;
        assert_eq!(heard(silent).await, "");
        let half = heard(half).await;
        assert!(!half.contains("passed"), "{half}");
        let again = heard(again).await;
        assert_eq!(again.matches("passed").count(), 1, "{again}");
        served.end().await;
    });
}

#[test]
fn who_comes_when_all_places_are_taken_waits_for_one() {
    alone(async {
        let gate = Gate::closed();
        let bounds = Bounds {
            connections: 2,
            ..patient()
        };
        let served = serve_within(gate.router(), bounds).await;
        let first = open(&served, ASK).await;
        let second = open(&served, ASK).await;
        gate.one_came().await;
        gate.one_came().await;
        let third = open(&served, ASK).await;
        // Time enough for a server that lets it in.
        for _ in 0..1_000 {
            yield_now().await;
        }
        gate.leave.add_permits(1);
        gate.one_came().await;
        gate.leave.add_permits(2);
        for stream in [first, second, third] {
            let answer = heard(stream).await;
            assert!(answer.ends_with("passed"), "{answer}");
        }
        assert_eq!(gate.most.load(Ordering::SeqCst), 2);
        served.end().await;
    });
}

#[test]
fn who_does_not_take_the_answer_loses_its_place() {
    alone(async {
        let long = "0123456789abcdef".repeat(4 << 20);
        let router = Router::new()
            .route("/long", get(move || async move { long.clone() }))
            .route("/", get(async || "short"));
        let bounds = Bounds {
            answer: SOON,
            connections: 1,
            ..patient()
        };
        let served = serve_within(router, bounds).await;
        let deaf = open(&served, b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let next = open(&served, ASK).await;
        let answer = heard(next).await;
        assert!(answer.ends_with("short"), "{answer}");
        drop(deaf);
        served.end().await;
    });
}

#[test]
fn stopping_lets_in_nobody_and_finishes_what_it_began() {
    alone(async {
        let gate = Gate::closed();
        let served = serve_within(gate.router(), patient()).await;
        let silent = open(&served, b"").await;
        let asked = open(&served, ASK).await;
        gate.one_came().await;
        served.stop.send(()).unwrap();
        let closed = async {
            while TcpStream::connect(served.address).await.is_ok() {
                yield_now().await;
            }
        };
        timeout(PATIENCE, closed).await.unwrap();
        assert_eq!(heard(silent).await, "");
        assert!(!served.task.is_finished());
        gate.leave.add_permits(1);
        let answer = heard(asked).await;
        assert!(answer.ends_with("passed"), "{answer}");
        let ended = timeout(PATIENCE, served.task).await;
        ended.unwrap().unwrap().unwrap();
    });
}
