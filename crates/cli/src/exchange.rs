//! Other institutions: asking them, answering them, and having them cosign this node's view of the log, over
//! TLS.

use crate::config::Share;
use anyhow::{Context as _, Result};
use api::{Exchange, Exchanged};
use node::{
    Actor, Caller, Handle, InstitutionId, PractitionerId, Role,
    witness::{COSIGN, CheckpointCollect},
};
use peers::{Bounds, Client};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::sleep};

/// Between two checkpoints that the others are asked to cosign: a few kilobytes at each of them.
const COSIGNED_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often another institution is asked for one checkpoint. It may be a block behind, or cosign for somebody
/// else in the same second.
const COSIGN_TRIES: u32 = 4;

/// Between those.
const COSIGN_PAUSE: Duration = Duration::from_millis(1_300);

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
    client(node, share).map(|client| Arc::new(ToPeers(client)) as Arc<dyn Exchange>)
}

fn client(node: Handle, share: &Share) -> Option<Client> {
    if share.peers.is_empty() {
        return None;
    }
    let addresses = share
        .peers
        .iter()
        .map(|peer| (peer.institution, peer.address));
    let client = Client::new(Arc::new(node), addresses.collect(), Bounds::default());
    Some(client)
}

/// Has the configured institutions cosign this node's newest checkpoint, now and then until `stop`. What fails
/// is tried again with the next one.
pub(crate) async fn be_witnessed(
    node: Handle,
    institution: InstitutionId,
    share: &Share,
    stop: impl Future<Output = ()>,
) {
    let (Some(client), Ok(practitioner)) =
        (client(node.clone(), share), PractitionerId::new("ithaca"))
    else {
        return;
    };
    let caller = Caller::staff(Actor {
        institution,
        practitioner,
        roles: [Role::Operator].into(),
        slot: None,
    });
    let carry = async {
        // The others may be starting too.
        let mut pause = COSIGN_PAUSE;
        loop {
            sleep(pause).await;
            let witnessed = round(&node, &client, &caller, share).await;
            match &witnessed {
                Ok(cosigned) => tracing::debug!(cosigned, "checkpoint carried to the others"),
                Err(error) => tracing::warn!(%error, "the log's checkpoint was not cosigned"),
            }
            // At the start the others may not run yet, or be behind.
            pause = match witnessed {
                Ok(cosigned) if cosigned >= share.peers.len() => COSIGNED_EVERY,
                _ => (pause * 2).min(COSIGNED_EVERY),
            };
        }
    };
    tokio::select! {
        () = carry => {},
        () = stop => {},
    }
}

/// One checkpoint, shown to all; how many of them cosigned it.
async fn round(
    node: &Handle,
    client: &Client,
    caller: &Caller,
    share: &Share,
) -> Result<usize, node::Error> {
    let note = node.log_checkpoint(()).await?;
    let request = [COSIGN, note.as_bytes()].concat();
    let asked = share.peers.iter().map(|peer| {
        let request = &request;
        async move {
            for _ in 0..COSIGN_TRIES {
                match client.exchange(peer.institution, request).await {
                    Ok(lines) => return String::from_utf8(lines).ok(),
                    Err(error) => {
                        tracing::debug!(institution = %peer.institution, %error, "not cosigned yet");
                    }
                }
                sleep(COSIGN_PAUSE).await;
            }
            None
        }
    });
    let lines: Vec<String> = futures::future::join_all(asked)
        .await
        .into_iter()
        .flatten()
        .collect();
    if lines.is_empty() {
        return Ok(0);
    }
    let collect = CheckpointCollect {
        caller: caller.clone(),
        note: note + &lines.concat(),
    };
    Ok(node.checkpoint_collect(collect).await?.cosigners.len())
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
