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

/// Two signature lines, one of them post-quantum, are about half of that.
const LINES_MAX_BYTES: usize = 8 * 1024;

/// Between two tries.
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
            let cosigned = round(&node, &client, &caller, share).await;
            tracing::debug!(
                cosigned,
                of = share.peers.len(),
                "checkpoint shown to the others"
            );
            // At the start the others may not run yet, or be behind.
            pause = if cosigned >= share.peers.len() {
                COSIGNED_EVERY
            } else {
                (pause * 2).min(COSIGNED_EVERY)
            };
        }
    };
    tokio::select! {
        () = carry => {},
        () = stop => {},
    }
}

/// Shows each of them the newest checkpoint; how many cosigned one. What one answers is looked at by itself, so
/// that nobody spoils what the others signed.
async fn round(node: &Handle, client: &Client, caller: &Caller, share: &Share) -> usize {
    let asked = share.peers.iter().map(|peer| async move {
        for _ in 0..COSIGN_TRIES {
            match cosigned(node, client, caller, peer.institution).await {
                Ok(()) => return 1,
                Err(why) => {
                    tracing::debug!(institution = %peer.institution, %why, "not cosigned yet");
                }
            }
            sleep(COSIGN_PAUSE).await;
        }
        tracing::warn!(institution = %peer.institution, "it did not cosign the log's checkpoint");
        0
    });
    futures::future::join_all(asked).await.into_iter().sum()
}

async fn cosigned(
    node: &Handle,
    client: &Client,
    caller: &Caller,
    by: InstitutionId,
) -> Result<(), String> {
    let words = |error: node::Error| error.to_string();
    let note = node.log_checkpoint(()).await.map_err(words)?;
    let request = [COSIGN, note.as_bytes()].concat();
    let lines = client.exchange(by, &request).await;
    let lines = lines.map_err(|error| error.to_string())?;
    if lines.len() > LINES_MAX_BYTES {
        return Err("its answer is no pair of signature lines".to_owned());
    }
    let lines = String::from_utf8(lines).map_err(|error| error.to_string())?;
    let collect = CheckpointCollect {
        caller: caller.clone(),
        note: note + &lines,
    };
    let collected = node.checkpoint_collect(collect).await.map_err(words)?;
    if collected.cosigners.contains(&by) {
        Ok(())
    } else {
        Err("its lines are not its own".to_owned())
    }
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
