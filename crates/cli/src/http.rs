//! One HTTP request to a node, by whoever speaks to nodes: the members' commands and the demo.

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{io::Read as _, time::Duration};

pub(crate) const JSON: &str = "application/json";

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// `http://HOST:PORT/path`.
    pub(crate) url: &'a str,
    /// A bearer token; none when empty.
    pub(crate) token: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a [u8]>,
    /// How long the answer may take.
    pub(crate) patience: Duration,
    /// How much of the answer is read.
    pub(crate) answer_max_bytes: u64,
}

/// What a node answered, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Call<'_> {
    /// Sends it. An error means that no answer came.
    pub(crate) fn send(self) -> Result<Answer> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(self.patience))
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(self.method)
            .uri(self.url);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let response = match self.body {
            Some(bytes) => agent.run(request.body(bytes)?)?,
            None => agent.run(request.body(())?)?,
        };
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let reader = response.into_body().into_reader();
        reader.take(self.answer_max_bytes).read_to_end(&mut body)?;
        Ok(Answer { status, body })
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).context("the answer is not what a node gives")
    }

    /// The body of a success; otherwise the node's own sentence of why not.
    pub(crate) fn value(&self) -> Result<Value> {
        let value: Value = self.read()?;
        if self.status >= 300 {
            bail!("the node refused: {}", text(&value["detail"]));
        }
        Ok(value)
    }
}

/// Text for a terminal: what others wrote holds no control characters.
pub(crate) fn text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).collect()
}
