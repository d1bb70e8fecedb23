//! Getting key sets from elsewhere.
//!
//! Over https with the system's certificates, or those of a file; over plain http from loopback only. No
//! redirect is followed, an answer is bounded in size and time.

use crate::jwt::MAX_KEY_SET_BYTES;
use std::{net::IpAddr, sync::Arc, time::Duration};
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Getting a JSON document. It blocks.
pub trait Fetch: Send + Sync {
    /// The document's bytes.
    ///
    /// # Errors
    /// [`Unreachable`].
    fn get(&self, url: &str) -> Result<Vec<u8>, Unreachable>;
}

/// Why a document could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} cannot be fetched: {why}")]
pub struct Unreachable {
    /// What was asked for.
    pub url: String,
    /// Why, in words.
    pub why: String,
}

/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(4);

/// The real thing.
pub struct Web {
    agent: Agent,
}

/// A file of certificates that holds none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds no certificate in PEM")]
pub struct NoCertificate;

/// How to prove servers: by the system's certificate authorities, or by those of `authorities` (PEM) alone.
///
/// # Errors
/// [`NoCertificate`].
pub fn trusting(authorities: Option<&[u8]>) -> Result<TlsConfig, NoCertificate> {
    let roots = match authorities {
        None => RootCerts::PlatformVerifier,
        Some(pem) => {
            let all: Vec<Certificate<'static>> = parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if all.is_empty() {
                return Err(NoCertificate);
            }
            RootCerts::Specific(Arc::new(all))
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

impl Web {
    /// Believes the system's certificate authorities, or those of `authorities` (PEM) alone.
    ///
    /// # Errors
    /// [`NoCertificate`].
    pub fn new(authorities: Option<&[u8]>) -> Result<Self, NoCertificate> {
        let tls = trusting(authorities)?;
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT))
            .max_redirects(0)
            .max_redirects_will_error(true)
            .proxy(None)
            .build()
            .into();
        Ok(Self { agent })
    }
}

impl Fetch for Web {
    fn get(&self, url: &str) -> Result<Vec<u8>, Unreachable> {
        let failed = |why: String| Unreachable {
            url: url.to_owned(),
            why,
        };
        if !is_safe(url) {
            return Err(failed(
                "it must be https, or http on the loopback interface".to_owned(),
            ));
        }
        let mut answer = self
            .agent
            .get(url)
            .header("Accept", "application/json")
            .call()
            .map_err(|error| failed(error.to_string()))?;
        answer
            .body_mut()
            .with_config()
            .limit(MAX_KEY_SET_BYTES as u64)
            .read_to_vec()
            .map_err(|error| failed(error.to_string()))
    }
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Web")
    }
}

/// Whether what comes from there can be believed: https, or plain http that does not leave the machine.
pub fn is_safe(url: &str) -> bool {
    if url.bytes().any(|b| b <= b' ' || b == b'\\') {
        return false;
    }
    if let Some(rest) = url.strip_prefix("https://") {
        return !host(rest).is_empty();
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let host = host(rest);
    host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The host of what comes after the scheme; empty if there is user information, which nobody needs here.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return "";
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn only_https_and_loopback_are_asked() {
        for good in [
            "https://idp.example",
            "https://idp.example:8443/realms/x",
            "http://127.0.0.1:8080/x",
            "http://[::1]:80/x",
            "http://localhost/x",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://idp.example",
            "http://127.0.0.1.example/",
            "http://127.0.0.1@idp.example/",
            "https://user@idp.example/",
            "http://localhost:80@idp.example/",
            "https:///x",
            "ftp://127.0.0.1/",
            "https://a b/",
            "http://127.0.0.1\\@idp.example/",
            "",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }
}
