//! Vouching for one view of the log: this node's own checkpoints, cosignatures for others, and those of
//! others that it gathers.
//!
//! Before this institution signs a checkpoint in any way it makes durable which one it is, and it signs
//! none that does not extend the last one. The row is sealed in the vault, not part of the ledger: a node
//! whose ledger was begun anew, rolled back or forked signs nothing that contradicts what it signed before.
//!
//! A cosignature (C2SP tlog-cosignature: Ed25519 and ML-DSA-44) says that this node holds the same log, as
//! a finalised block ended it. Other checkpoints are refused; one that a member signed is kept as evidence.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use codec::id::{Digest, InstitutionId};
use codec::record;
use consent::Role;
use ledger::Institution;
use ledger::log::signed::{MAX_SIGNATURES, cosign, sign};
use ledger::log::{Checkpoint, NoteKey, NoteSignature, SignedCheckpoint, verify_consistency};
use std::collections::BTreeSet;
use store::Store;

/// Most bytes of a signed checkpoint.
pub use ledger::log::signed::MAX_NOTE_BYTES as NOTE_MAX_BYTES;

/// What a member's node puts before its signed checkpoint when it asks another node to cosign it, as
/// [`Handle::share_answer`](crate::Handle::share_answer) takes it. The answer is the lines.
pub const COSIGN: &[u8] = b"ithaca-cosign\n";

/// A checkpoint that another institution signed.
#[derive(Debug, Clone)]
pub struct CheckpointCosign {
    /// An operator or auditor of a member.
    pub caller: Caller,
    /// The signed note.
    pub note: String,
}

/// Cosignatures of a checkpoint of this node.
#[derive(Debug, Clone)]
pub struct CheckpointCollect {
    /// An operator or auditor of a member.
    pub caller: Caller,
    /// The checkpoint with their lines.
    pub note: String,
}

/// What was gathered for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointCollected {
    /// The checkpoint's size.
    pub size: u64,
    /// Who cosigned it with both keys.
    pub cosigners: BTreeSet<InstitutionId>,
}

record! {
    /// The largest checkpoint that this institution signed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Signed {
        1 => size: u64,
        2 => root: Digest,
        /// When it last cosigned, in Unix milliseconds.
        3 => cosigned_ms: u64,
        /// The largest that it cosigned: for others it signs none before that.
        4 => cosigned_size: u64,
    }
}

record! {
    /// Cosigned checkpoints, as signed notes.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Gathered {
        /// What is served: as many cosigners as any before it had.
        1 => served: Option<String>,
        /// A newer one that has fewer so far.
        2 => newer: Option<String>,
    }
}

const SIGNED: &[u8] = b"witness/signed";
const GATHERED: &[u8] = b"witness/gathered";
/// A checkpoint that a member signed and that is not of this log.
pub(crate) const FORK: &[u8] = b"witness/fork";
/// Between two checkpoints that are cosigned.
const PACE_MS: u64 = 1_000;
/// Times that a row changed by another call is tried again.
const TRIES: u32 = 8;

impl<S: Store> Custodian<S> {
    /// The newest checkpoint, signed as the log.
    pub(crate) async fn log_checkpoint(&self, (): ()) -> Result<String, Error> {
        let mut tries = TRIES;
        loop {
            let checkpoint = self.ledger.checkpoint();
            match self.vouch(&checkpoint, false).await {
                // Another call signed a block that came in between.
                Err(Error::Conflict(_)) if tries > 0 && self.grew(&checkpoint) => tries -= 1,
                Err(error) => return Err(error),
                Ok(()) => {
                    let own = sign(&self.network, &checkpoint, &self.signers().signing);
                    let signatures = vec![own];
                    return Ok(note(checkpoint, signatures));
                }
            }
        }
    }

    /// The newest checkpoint that others cosigned; the newest of all while there is none.
    pub(crate) async fn log_cosigned(&self, (): ()) -> Result<String, Error> {
        match self.gathered().await?.1.served {
            Some(served) => Ok(served),
            None => self.log_checkpoint(()).await,
        }
    }

    /// Cosigns another institution's checkpoint; answers with this institution's two lines.
    pub(crate) async fn checkpoint_cosign(&self, input: CheckpointCosign) -> Result<String, Error> {
        self.witnesses(&input.caller)?;
        self.cosigned(&input.note).await
    }

    /// The same, for a message of another member's node.
    pub(crate) async fn peer_cosign(
        &self,
        peer: Option<InstitutionId>,
        note: &[u8],
    ) -> Result<String, Error> {
        let peer = peer.ok_or(Error::Elsewhere)?;
        self.member(&peer)?;
        let note = std::str::from_utf8(note).map_err(|_| invalid("it is not text"))?;
        self.cosigned(note).await
    }

    async fn cosigned(&self, text: &str) -> Result<String, Error> {
        let note = self.parse(text)?;
        let members = self.members();
        let signer = members.iter().find(|member| {
            let key = NoteKey::log(&self.network, member.signing);
            note.signed_by(&key).is_some()
        });
        let Some(signer) = signer else {
            return Err(refused("no member of the network signed it"));
        };
        if let Err(error) = self.is_of_this_log(&note.checkpoint).await {
            if matches!(error, Error::Signature { .. }) {
                tracing::error!(institution = %signer.id, size = note.checkpoint.size(), "a member signed another log");
                self.fork_keep(text).await?;
            }
            return Err(error);
        }
        self.vouch(&note.checkpoint, true).await?;
        let lines = cosign(
            &self.network,
            &self.id,
            &note.checkpoint,
            self.now().get() / 1_000,
            &self.signers().signing,
            &self.signers().governance,
        );
        Ok(lines.iter().map(ToString::to_string).collect())
    }

    /// Keeps others' cosignatures of a checkpoint of this log.
    pub(crate) async fn checkpoint_collect(
        &self,
        input: CheckpointCollect,
    ) -> Result<CheckpointCollected, Error> {
        self.witnesses(&input.caller)?;
        let given = self.parse(&input.note)?;
        self.is_of_this_log(&given.checkpoint).await?;
        self.one_view().await?;
        let members = self.members();
        let valid = |line: &&NoteSignature| {
            let both = members.iter().flat_map(|member| self.witness_keys(member));
            both.into_iter()
                .any(|key| key.check(&given.checkpoint, line).is_some())
        };
        let lines: Vec<NoteSignature> = given.signatures.iter().filter(valid).cloned().collect();
        if lines.is_empty() {
            return Err(refused("it holds no cosignature of a member"));
        }
        for _ in 0..TRIES {
            let (before, gathered) = self.gathered().await?;
            let (gathered, merged) = self.gather(gathered, &given.checkpoint, &lines, &members)?;
            if self
                .row_put(GATHERED, before.as_deref(), &codec::to_vec(&gathered))
                .await?
            {
                return Ok(CheckpointCollected {
                    size: merged.checkpoint.size(),
                    cosigners: self.cosigners(&merged, &members),
                });
            }
        }
        Err(Conflict::Done("others were gathering at the same time; send it again").into())
    }

    /// Adds lines to what was gathered of a checkpoint.
    fn gather(
        &self,
        mut gathered: Gathered,
        checkpoint: &Checkpoint,
        lines: &[NoteSignature],
        members: &[Institution],
    ) -> Result<(Gathered, SignedCheckpoint), Error> {
        let parse = |text: &Option<String>| {
            let text = text.as_deref();
            text.and_then(|text| SignedCheckpoint::parse(text).ok())
        };
        let (served, newer) = (parse(&gathered.served), parse(&gathered.newer));
        let known = [&served, &newer]
            .into_iter()
            .flatten()
            .find(|known| known.checkpoint == *checkpoint);
        let is_older = |known: &SignedCheckpoint| checkpoint.size() < known.checkpoint.size();
        if known.is_none() && [&served, &newer].into_iter().flatten().any(is_older) {
            return Err(
                Conflict::Done("cosignatures of a newer checkpoint are there already").into(),
            );
        }
        let mut merged = known.cloned().unwrap_or_else(|| SignedCheckpoint {
            checkpoint: checkpoint.clone(),
            signatures: vec![sign(&self.network, checkpoint, &self.signers().signing)],
        });
        for line in lines {
            // A witness's later line replaces its earlier one.
            merged.signatures.retain(|known| !known.same_key(line));
            if merged.signatures.len() < MAX_SIGNATURES {
                merged.signatures.push(line.clone());
            }
        }
        let most = served
            .as_ref()
            .map_or(0, |note| self.cosigners(note, members).len());
        let is_served = served.is_some_and(|served| served.checkpoint == *checkpoint);
        let text = Some(merged.to_string());
        if is_served {
            gathered.served = text;
        } else if self.cosigners(&merged, members).len() >= most {
            gathered = Gathered {
                served: text,
                newer: None,
            };
        } else {
            gathered.newer = text;
        }
        Ok((gathered, merged))
    }

    /// Who cosigned with both keys.
    fn cosigners(
        &self,
        note: &SignedCheckpoint,
        members: &[Institution],
    ) -> BTreeSet<InstitutionId> {
        let both = |member: &&Institution| {
            let keys = self.witness_keys(member);
            keys.iter().all(|key| note.signed_by(key).is_some())
        };
        members
            .iter()
            .filter(both)
            .map(|member| member.id)
            .collect()
    }

    fn witness_keys(&self, member: &Institution) -> [NoteKey; 2] {
        [
            NoteKey::witness(&self.network, &member.id, member.signing),
            NoteKey::pq_witness(&self.network, &member.id, member.governance.clone()),
        ]
    }

    fn members(&self) -> Vec<Institution> {
        let view = self.ledger.state_view();
        let members = view.roster().members.into_keys();
        members
            .filter_map(|id| Some(view.institution(&id)?.institution))
            .collect()
    }

    fn witnesses(&self, caller: &Caller) -> Result<(), Error> {
        let roles = [Role::Operator, Role::Auditor];
        caller.needs("handing in checkpoints", &roles)?;
        if self.is_member(caller) {
            Ok(())
        } else {
            Err(Error::Elsewhere)
        }
    }

    fn parse(&self, text: &str) -> Result<SignedCheckpoint, Error> {
        let note = SignedCheckpoint::parse(text).map_err(|error| invalid(error.to_string()))?;
        if note.checkpoint.origin() == ledger::log::note::origin(&self.network) {
            Ok(note)
        } else {
            Err(Error::Unknown("log"))
        }
    }

    /// Refuses a checkpoint that is not how a finalised block left this node's log.
    async fn is_of_this_log(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let own = match self.ledger.checkpoint_at(checkpoint.size()).await {
            Ok(own) => own,
            Err(consensus::ReadError::NotFinal) => {
                return Err(Error::Unavailable(
                    "this node's log is not as long as the checkpoint yet; send it again"
                        .to_owned(),
                ));
            }
            Err(error) => return Err(error.into()),
        };
        if own != *checkpoint {
            return Err(refused("it is not of the log that this node holds"));
        }
        if !self.ledger.is_block_end(checkpoint.size()).await? {
            return Err(invalid("no finalised block ends at that size"));
        }
        Ok(())
    }

    /// Checks that this node's log extends the last checkpoint that this institution signed.
    async fn one_view(&self) -> Result<Option<Signed>, Error> {
        let Some(row) = self.vault.node_row(SIGNED).await? else {
            return Ok(None);
        };
        let last = decode::<Signed>(&row)?;
        match self.ledger.checkpoint_at(last.size).await {
            Ok(own) if own.root() == last.root => Ok(Some(last)),
            Ok(_) => Err(Conflict::Done(
                "this node's ledger is not the one that this institution signed before; it signs nothing: \
                 change nothing, and compare it with other members",
            )
            .into()),
            Err(consensus::ReadError::NotFinal) => Err(Error::Unavailable(
                "this node's ledger is behind a checkpoint that it signed; it signs again once it has \
                 caught up"
                    .to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes durable that this institution signs a checkpoint, which extends the last one.
    ///
    /// INVARIANT: each signature of a checkpoint comes after this.
    async fn vouch(&self, checkpoint: &Checkpoint, as_witness: bool) -> Result<(), Error> {
        for _ in 0..TRIES {
            let last = self.one_view().await?;
            // Others are a block behind, or ahead: of this log, which extends what was signed, any block's end is
            // the same view. None is cosigned before the last that was.
            let least = last.map_or(0, |last| last.cosigned_size);
            if as_witness && checkpoint.size() < least {
                return Err(Conflict::Done("a larger checkpoint was cosigned already").into());
            }
            let mut largest = (checkpoint.size(), checkpoint.root());
            if let Some(last) = last {
                if as_witness && checkpoint.size() < last.size {
                    largest = (last.size, last.root);
                } else {
                    self.extends(&last, checkpoint).await?;
                }
                if last.size == largest.0 && (!as_witness || least == checkpoint.size()) {
                    return Ok(());
                }
            }
            let cosigned_ms = last.map_or(0, |last| last.cosigned_ms);
            let now_ms = self.now().get();
            if as_witness && now_ms.abs_diff(cosigned_ms) < PACE_MS {
                return Err(Error::Unavailable(
                    "this institution cosigns one checkpoint a second; send it again".to_owned(),
                ));
            }
            let signed = Signed {
                size: largest.0,
                root: largest.1,
                cosigned_ms: if as_witness { now_ms } else { cosigned_ms },
                cosigned_size: if as_witness { checkpoint.size() } else { least },
            };
            let before = last.as_ref().map(codec::to_vec);
            if self
                .row_put(SIGNED, before.as_deref(), &codec::to_vec(&signed))
                .await?
            {
                return Ok(());
            }
        }
        Err(Conflict::Done("other checkpoints are being signed; send it again").into())
    }

    /// Whether a checkpoint extends the last one, by a proof of this node's own tiles.
    async fn extends(&self, last: &Signed, checkpoint: &Checkpoint) -> Result<(), Error> {
        let (old, new) = (last.size, checkpoint.size());
        if new < old {
            return Err(Conflict::Done("a larger checkpoint was signed already").into());
        }
        let path = self.ledger.consistency_proof(old, new).await?;
        if verify_consistency(old, new, &path, &last.root, &checkpoint.root()) {
            Ok(())
        } else {
            Err(refused(
                "it does not extend the checkpoint signed before it",
            ))
        }
    }

    /// Whether the log grew beyond a checkpoint.
    fn grew(&self, checkpoint: &Checkpoint) -> bool {
        self.ledger.checkpoint().size() > checkpoint.size()
    }

    async fn gathered(&self) -> Result<(Option<Vec<u8>>, Gathered), Error> {
        match self.vault.node_row(GATHERED).await? {
            Some(row) => Ok((Some(row.to_vec()), decode(&row)?)),
            None => Ok((None, Gathered::default())),
        }
    }

    /// Keeps the first proof that a member signed another log.
    async fn fork_keep(&self, note: &str) -> Result<(), Error> {
        if self.vault.node_row(FORK).await?.is_none() {
            self.row_put(FORK, None, note.as_bytes()).await?;
        }
        Ok(())
    }

    /// Replaces a row; not if another call was faster.
    async fn row_put(
        &self,
        name: &[u8],
        before: Option<&[u8]>,
        value: &[u8],
    ) -> Result<bool, Error> {
        let mut entropy = self.ambient.entropy();
        let put = self.vault.node_row_put(name, before, value, &mut entropy);
        match put.await {
            Ok(()) => Ok(true),
            Err(vault::Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn decode<T: codec::Decode + codec::Encode>(row: &[u8]) -> Result<T, Error> {
    codec::from_slice(row).map_err(|_| Error::Damaged("a row of the witness".to_owned()))
}

fn note(checkpoint: Checkpoint, signatures: Vec<NoteSignature>) -> String {
    let signed = SignedCheckpoint {
        checkpoint,
        signatures,
    };
    signed.to_string()
}

fn invalid(why: impl Into<String>) -> Error {
    Error::invalid("signed checkpoint", "", why)
}

fn refused(why: &'static str) -> Error {
    Error::Signature {
        what: "checkpoint",
        why,
    }
}
