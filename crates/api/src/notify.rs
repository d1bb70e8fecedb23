//! Telling subscribers over HTTP: the way of FHIR Subscriptions out of the node.
//!
//! Nothing is sent but to endpoints below those that the institution lists: over https, or over plain http to
//! loopback. No redirect is followed, no proxy asked, no body of an answer read; everything is bounded in time.

use crate::token::Tokens;
use futures::{FutureExt as _, channel::oneshot, future::BoxFuture};
use node::{
    Ambient, Millis,
    fhir::{Notice, Notifier, Unsent},
};
use sign_in::fetch::{NoCertificate, is_safe, trusting};
use std::{sync::Arc, thread, time::Duration};
use ureq::{Agent, Body, http::Response};

/// How long one notification may take.
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);

/// An HTTP client, and where it may send.
pub struct Outgoing {
    agent: Agent,
    endpoints: Vec<String>,
    tokens: Tokens,
}

impl Outgoing {
    /// May send to these endpoints, each of which [`is_endpoint`], and to all below them. Believes the system's
    /// certificate authorities, or those of `authorities` (PEM) alone. A subscription that was made with one of
    /// `tokens` goes on as long as that.
    ///
    /// # Errors
    /// [`NoCertificate`].
    pub fn new(
        endpoints: Vec<String>,
        authorities: Option<&[u8]>,
        tokens: Tokens,
    ) -> Result<Self, NoCertificate> {
        let tls = trusting(authorities)?;
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("ithaca/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self {
            agent,
            endpoints,
            tokens,
        })
    }

    /// As a node is given it. `ambient` tells the time by which tokens expire.
    #[must_use]
    pub fn notifier(self, ambient: Ambient) -> Arc<dyn Notifier> {
        Arc::new(Sender { web: self, ambient })
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({} endpoints)", self.endpoints.len())
    }
}

/// Whether an institution may list this as an endpoint: an https URL without query; http is for loopback only.
pub fn is_endpoint(url: &str) -> bool {
    Place::of(url).is_some_and(|place| !place.has_query)
}

struct Sender {
    web: Outgoing,
    ambient: Ambient,
}

impl Notifier for Sender {
    fn refuses(&self, endpoint: &str) -> Option<String> {
        let Some(place) = Place::of(endpoint) else {
            return Some("it must be an https URL; http is for loopback only".to_owned());
        };
        let mut listed = self
            .web
            .endpoints
            .iter()
            .filter_map(|listed| Place::of(listed));
        match listed.any(|listed| listed.covers(&place)) {
            true => None,
            false => Some(
                "this node's configuration does not list it; whoever runs the node adds it to endpoints of \
                 [subscriptions]"
                    .to_owned(),
            ),
        }
    }

    fn knows(&self, credential: &str) -> bool {
        let now = Millis::new(self.ambient.now_ms());
        self.web.tokens.knows(credential, now)
    }

    fn send(&self, notice: Notice) -> BoxFuture<'static, Result<(), Unsent>> {
        let agent = self.web.agent.clone();
        let (done, sent) = oneshot::channel();
        // The client blocks. The node has few notifications on their way at once, and each ends in time.
        let thread = thread::Builder::new().name("ithaca-notify".to_owned());
        let spawned = thread.spawn(move || done.send(post(&agent, notice)));
        async move {
            spawned.map_err(|_| Unsent::Unreachable)?;
            sent.await.unwrap_or(Err(Unsent::Unreachable))
        }
        .boxed()
    }
}

fn post(agent: &Agent, notice: Notice) -> Result<(), Unsent> {
    let url = match &notice.payload {
        None => notice.endpoint,
        Some(payload) => format!(
            "{}/{}",
            notice.endpoint.trim_end_matches('/'),
            payload.place
        ),
    };
    let answer: Result<Response<Body>, ureq::Error> = match notice.payload {
        None => {
            let mut request = agent.post(url);
            for (name, value) in notice.headers {
                request = request.header(name, value);
            }
            request.send_empty()
        }
        Some(payload) => {
            let mut request = agent.put(url).content_type("application/fhir+json");
            for (name, value) in notice.headers {
                request = request.header(name, value);
            }
            request.send(payload.content.as_bytes())
        }
    };
    let status = answer.map_err(|_| Unsent::Unreachable)?.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(Unsent::Answered(status.as_u16())),
    }
}

/// A URL that something may be sent to, taken apart.
struct Place {
    /// `https://host:port`, in lower case.
    origin: String,
    /// Without a slash at its end.
    path: String,
    has_query: bool,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || !is_safe(url) || url.contains('#') {
            return None;
        }
        let (before, has_query) = match url.split_once('?') {
            Some((before, _)) => (before, true),
            None => (url, false),
        };
        let (scheme, rest) = before.split_once("://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // What a server might read as another path than it looks like.
        let lower = path.to_ascii_lowercase();
        let is_odd = |part: &str| part == "." || part == ".." || part.contains(';');
        let is_odd = path.split('/').any(is_odd)
            || ["%2e", "%2f", "%5c"].iter().any(|odd| lower.contains(odd));
        (!is_odd).then(|| Self {
            origin: format!("{scheme}://{authority}").to_ascii_lowercase(),
            path: path.trim_end_matches('/').to_owned(),
            has_query,
        })
    }

    /// Whether another is the same or below.
    fn covers(&self, other: &Self) -> bool {
        let rest = other.path.strip_prefix(&self.path);
        let is_below =
            |rest: &str| self.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        self.origin == other.origin && rest.is_some_and(is_below)
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, is_endpoint};

    fn covers(listed: &str, endpoint: &str) -> bool {
        let listed = Place::of(listed).unwrap();
        Place::of(endpoint).is_some_and(|endpoint| listed.covers(&endpoint))
    }

    #[test]
    fn what_is_listed_stands_for_all_below_it_and_nothing_else() {
        let listed = "https://ehr.example/hooks/";
        for good in [
            "https://ehr.example/hooks",
            "https://EHR.example/hooks/a?x=1",
            "https://ehr.example/hooks/a/b",
        ] {
            assert!(covers(listed, good), "{good}");
        }
        for bad in [
            "https://ehr.example/hooksmore",
            "https://ehr.example/",
            "https://ehr.example:8443/hooks",
            "https://ehr.example.evil.example/hooks",
            "https://ehr.example@evil.example/hooks",
            "https://ehr.example/hooks/../admin",
            "https://ehr.example/hooks/%2e%2e/admin",
            "https://ehr.example/hooks/..;/admin",
            "https://ehr.example/hooks#x",
            "http://ehr.example/hooks",
        ] {
            assert!(!covers(listed, bad), "{bad}");
        }
        assert!(covers("http://127.0.0.1:8080", "http://127.0.0.1:8080/a"));
        assert!(!covers("http://127.0.0.1:8080", "http://127.0.0.1:80801/a"));
        assert!(Place::of("http://10.0.0.1/hook").is_none());
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_not_listed() {
        for (bad, good) in [
            ("http://ehr.example", "https://ehr.example"),
            ("https://ehr.example/?a", "https://ehr.example/a"),
            ("ehr.example", "http://localhost:80"),
        ] {
            assert!(!is_endpoint(bad), "{bad}");
            assert!(is_endpoint(good), "{good}");
        }
    }
}
