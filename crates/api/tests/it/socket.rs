//! The same edge on a real socket: what a client sees when the body is the fault, and how serving ends.

use crate::{
    families::newborn,
    house::{House, run},
    spy::MARKER,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

struct Served {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn serve(house: &House, grace: Duration) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let router = house.router.clone();
    let task = tokio::spawn(api::serve(
        listener,
        router,
        async {
            stopped.await.ok();
        },
        grace,
    ));
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
