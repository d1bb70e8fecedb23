//! An OpenID Connect issuer on loopback that says what it is told to.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

/// What it answers, by path: status and body.
type Answers = Arc<Mutex<BTreeMap<String, (u16, Vec<u8>)>>>;

pub(crate) struct LittleIssuer {
    pub(crate) url: String,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
}

impl LittleIssuer {
    /// Serves as long as the process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (said, heard) = (answers.clone(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else {
                    continue;
                };
                while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                heard.lock().unwrap().push(path.clone());
                let (status, body) = said
                    .lock()
                    .unwrap()
                    .get(&path)
                    .cloned()
                    .unwrap_or((404, Vec::new()));
                let head = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nLocation: /keys\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).ok();
                stream.write_all(&body).ok();
            }
        });
        Self {
            url,
            answers,
            asked,
        }
    }

    /// With its configuration, and these keys.
    pub(crate) fn with_keys(keys: Vec<u8>) -> Self {
        let issuer = Self::start();
        let keys_url = format!("{}/keys", issuer.url);
        issuer.configure(&issuer.url, &keys_url);
        issuer.says("/keys", 200, keys);
        issuer
    }

    pub(crate) fn configure(&self, issuer: &str, keys: &str) {
        let body = serde_json::json!({"issuer": issuer, "jwks_uri": keys}).to_string();
        self.says("/.well-known/openid-configuration", 200, body.into_bytes());
    }

    pub(crate) fn says(&self, path: &str, status: u16, body: Vec<u8>) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), (status, body));
    }

    /// How often its keys were asked for.
    pub(crate) fn times_asked(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|path| path.starts_with("/keys"))
            .count()
    }
}
