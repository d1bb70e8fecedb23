//! Proofs from a node's ledger that verify offline with nothing but the genesis.
//!
//! A proof names a header that has, or whose descendant in the same epoch has, a certificate; a
//! request for the newest block may wait for that certificate. Two nodes may answer with different
//! headers and certificates.

use bytes::Bytes;
use codec::Digest;
use ledger::finality::{Anchor, Boundary, Finality};
use ledger::log::{Frontier, consistency_proof, inclusion_proof, leaf_hash};
use ledger::receipt::{LoggedEntry, LoggedHeader};
use ledger::state::StateProof;
use ledger::{Header, SignedEntry, StateKey, View};
use store::Store;

use crate::handle::{Handle, ReadError};
use crate::rows::{self, CERTIFICATES, HEADERS, RowError};

/// Proof that an entry is in a final log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerProof {
    /// The entry's exact bytes.
    pub entry: Bytes,
    /// Its leaf in the log.
    pub log_index: u64,
    /// The path to the log root of the first header of `finality`.
    pub log_path: Vec<Digest>,
    /// Proof that the header is final.
    pub finality: Finality,
}

/// Proof of a value of the state, or of its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedState {
    /// The encoded value; none if there is none.
    pub value: Option<Vec<u8>>,
    /// Proof of that in the state of the first header of `finality`.
    pub proof: StateProof,
    /// Proof that the header is final.
    pub finality: Finality,
}

/// What an audit looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Blocks.
    pub blocks: u64,
    /// Leaves of the log, rehashed from entries and headers.
    pub leaves: u64,
}

impl<S: Store> Handle<S> {
    /// Proof that the entry at a log index is in a final log.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] if there is no entry at that index.
    pub async fn ledger_proof(&self, log_index: u64) -> Result<LedgerProof, ReadError> {
        let store = &self.replica.store;
        let (height, entry) = rows::entry(store, log_index)
            .await?
            .ok_or(ReadError::NotFinal)?;
        let mut finality = self.finality(height).await?;
        // The certified header's log holds the entry too: the walk up to it is not needed.
        finality.headers.drain(..finality.headers.len() - 1);
        let header = finality.headers.first().ok_or(ReadError::NotFinal)?;
        let log_path = self.inclusion(log_index, header.log_size).await?;
        Ok(LedgerProof {
            entry,
            log_index,
            log_path,
            finality,
        })
    }

    /// An institution's entry as receipts and disclosure proofs carry it: in the newest final log,
    /// with the signer's key in the state of the same header.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] if there is no entry at that index, [`ReadError::NoInstitution`].
    pub async fn logged_entry(&self, log_index: u64) -> Result<LoggedEntry, ReadError> {
        self.logged_entry_since(log_index, 0).await
    }

    /// The same for who trusts the validators of the epoch `since`: without the ends of epochs before it.
    ///
    /// # Errors
    /// As [`Self::logged_entry`].
    pub async fn logged_entry_since(
        &self,
        log_index: u64,
        since: u64,
    ) -> Result<LoggedEntry, ReadError> {
        let store = &self.replica.store;
        let (height, entry) = rows::entry(store, log_index)
            .await?
            .ok_or(ReadError::NotFinal)?;
        let signer = SignedEntry::decode(&entry)
            .map_err(|_| RowError::Malformed(rows::ENTRIES))?
            .header()
            .signer;
        let (view, header) = self.replica.snapshot();
        if log_index >= header.log_size {
            return Err(ReadError::NotFinal);
        }
        let key = view
            .institution_by_key(&signer)
            .ok_or(ReadError::NoInstitution)?;
        let signer_proof = view.prove(&StateKey::InstitutionKey(signer));
        drop(view);
        let block = if height < header.height {
            let own = self.stored_header(height).await?;
            Some(LoggedHeader {
                log_path: self.inclusion(own.log_size, header.log_size).await?,
                header: own,
            })
        } else {
            None
        };
        Ok(LoggedEntry {
            entry: entry.to_vec(),
            log_index,
            log_path: self.inclusion(log_index, header.log_size).await?,
            block,
            signer: key,
            signer_proof,
            finality: self.finality_since(header.height, since).await?,
        })
    }

    /// Proof of a value of the newest final state, or of its absence.
    ///
    /// # Errors
    /// [`ReadError::Stopped`], [`ReadError::Rows`].
    pub async fn state_proof(&self, key: &StateKey) -> Result<ProvedState, ReadError> {
        let (view, header) = self.replica.snapshot();
        let value = view.value(key);
        let proof = view.prove(key);
        drop(view);
        Ok(ProvedState {
            value: value.map(|value| value.to_vec()),
            proof,
            finality: self.finality(header.height).await?,
        })
    }

    /// Proof that the header at a height is final, from the genesis on. Waits for a certificate if
    /// the newest block has none yet.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] above the tip, [`ReadError::Stopped`]. Block 0 is final by itself
    /// and has no proof: [`ReadError::NotFinal`].
    pub async fn finality(&self, height: u64) -> Result<Finality, ReadError> {
        self.finality_since(height, 0).await
    }

    /// The ends of the epochs from `since` up to `epoch`, which is not among them.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] beyond the tip.
    pub async fn boundaries(&self, since: u64, epoch: u64) -> Result<Vec<Boundary>, ReadError> {
        let mut boundaries = Vec::new();
        for before in since..epoch {
            boundaries.push(self.boundary(before).await?);
        }
        Ok(boundaries)
    }

    /// The epoch of the newest block, whose validators this node knows.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.genesis().parameters.epoch(self.tip().height)
    }

    /// The validators of an epoch as this node's own ledger has them; none after the newest one.
    #[must_use]
    pub fn anchor(&self, epoch: u64) -> Option<Anchor> {
        let validators = self.state_view().validators(epoch)?;
        Some(Anchor::trusted(self.genesis(), epoch, validators))
    }

    async fn finality_since(&self, height: u64, since: u64) -> Result<Finality, ReadError> {
        if height == 0 || height > self.tip().height {
            return Err(ReadError::NotFinal);
        }
        let store = &self.replica.store;
        let mut changes = self.replica.tip_changes();
        let (certified, certificate) = loop {
            changes.mark_unchanged();
            if let Some(found) = rows::certificate_from(store, height).await? {
                break found;
            }
            if let Some(why) = self.halted() {
                return Err(ReadError::Stopped(why));
            }
            changes.changed().await.map_err(|_| ReadError::NotFinal)?;
        };
        let parameters = self.genesis().parameters;
        let epoch = parameters.epoch(height);
        if parameters.epoch(certified) != epoch {
            // An epoch's last block always has a certificate of its own.
            return Err(RowError::Missing(CERTIFICATES).into());
        }
        let mut headers = Vec::new();
        for height in height..=certified {
            headers.push(self.stored_header(height).await?);
        }
        Ok(Finality {
            headers,
            certificate: certificate.to_vec(),
            boundaries: self.boundaries(since, epoch).await?,
        })
    }

    /// The proof that the log's first `old` leaves are a prefix of its first `new`.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] beyond the log.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Digest>, ReadError> {
        if old > new || new > self.replica.log().size() {
            return Err(ReadError::NotFinal);
        }
        let store = &self.replica.store;
        Ok(rows::with_tiles(store, |tiles| consistency_proof(old, new, tiles)).await?)
    }

    /// Rehashes every stored header and entry up to the tip and compares them with the log and with
    /// each other. Reads everything: hours on a large ledger.
    ///
    /// # Errors
    /// [`ReadError::Rows`] names what does not fit.
    pub async fn audit(&self) -> Result<Audit, ReadError> {
        let tip = self.tip().height;
        let mut audit = Audit::default();
        let mut log = Frontier::new();
        let mut before: Option<Header> = None;
        for height in 0..=tip {
            let header = self.stored_header(height).await?;
            let entries = rows::entries(&self.replica.store, log.size(), header.log_size).await?;
            for (index, bytes) in &entries {
                if *index != log.size() {
                    return Err(RowError::Missing(rows::ENTRIES).into());
                }
                log.append(leaf_hash(bytes));
            }
            let follows = before.as_ref().is_none_or(|before| header.follows(before));
            if !follows || log.size() != header.log_size || log.root() != header.log_root {
                let what = format!("block {height} is not what the log says");
                return Err(RowError::Contradiction(what).into());
            }
            log.append(leaf_hash(&header.leaf()));
            audit.blocks = audit.blocks.saturating_add(1);
            before = Some(header);
        }
        audit.leaves = log.size();
        let size = log.size();
        let tiles = rows::tiles(&self.replica.store, size).await?;
        if tiles.frontier() == log {
            Ok(audit)
        } else {
            Err(RowError::Contradiction("the log's tiles are not its leaves'".into()).into())
        }
    }

    async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, ReadError> {
        let store = &self.replica.store;
        Ok(rows::with_tiles(store, |tiles| inclusion_proof(index, size, tiles)).await?)
    }

    async fn boundary(&self, epoch: u64) -> Result<Boundary, ReadError> {
        let blocks = self.genesis().parameters.epoch_blocks;
        let height = epoch
            .checked_add(1)
            .and_then(|next| next.checked_mul(blocks))
            .and_then(|first| first.checked_sub(1))
            .ok_or(ReadError::NotFinal)?;
        let certificate = self
            .replica
            .store
            .get(CERTIFICATES, &height.to_be_bytes())
            .await
            .map_err(RowError::from)?
            .ok_or(RowError::Missing(CERTIFICATES))?;
        let view: View = self.state_view();
        let next = view
            .validators(epoch.saturating_add(1))
            .ok_or(ReadError::NotFinal)?;
        drop(view);
        Ok(Boundary {
            header: self.stored_header(height).await?,
            certificate: certificate.to_vec(),
            next,
        })
    }

    async fn stored_header(&self, height: u64) -> Result<Header, ReadError> {
        let header = rows::header(&self.replica.store, height).await?;
        Ok(header.ok_or(RowError::Missing(HEADERS))?)
    }
}
