//! Other institutions: asking them, and answering them, over TLS.

use crate::config::Share;
use anyhow::{Context as _, Result};
use api::{Exchange, Exchanged};
use node::{Handle, InstitutionId};
use peers::{Bounds, Client};
use std::{future::Future, sync::Arc};
use tokio::net::TcpListener;

struct ToPeers(Client);

impl Exchange for ToPeers {
    fn exchange(&self, to: InstitutionId, request: Vec<u8>) -> Exchanged<'_> {
        Box::pin(async move {
            let answer = self.0.exchange(to, &request).await;
            answer.map_err(|error| error.to_string())
        })
    }
}

/// The way to the configured institutions, if there are any.
pub(crate) fn to_peers(node: Handle, share: &Share) -> Option<Arc<dyn Exchange>> {
    if share.peers.is_empty() {
        return None;
    }
    let addresses = share
        .peers
        .iter()
        .map(|peer| (peer.institution, peer.address));
    let client = Client::new(Arc::new(node), addresses.collect(), Bounds::default());
    Some(Arc::new(ToPeers(client)))
}

/// Answers other institutions until `stop`, if they may ask at all.
#[expect(clippy::print_stderr, reason = "what an operator watches")]
pub(crate) async fn answer(
    node: Handle,
    share: &Share,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let Some(listen) = share.listen else {
        return Ok(());
    };
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen} for other institutions"))?;
    eprintln!(
        "ithaca: other institutions ask at {}",
        listener.local_addr()?
    );
    peers::serve(listener, Arc::new(node), &Bounds::default(), stop)
        .await
        .context("other institutions cannot be answered")
}
