//! Every block executed again, from the genesis on.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::Digest;
use ledger::log::Frontier;
use ledger::state::preverify;
use ledger::{CertificateCheck as _, Genesis, Header, SignedEntry, State, Validators, block};
use store::Store;

use super::{LedgerCheck, fits, tip};
use crate::certificates::{SimplexCertificates, derived_rng};
use crate::rows::{self, CERTIFICATES, ENTRIES, HEADERS};

/// A block that was executed again and found to be what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSeen {
    /// Its height.
    pub height: u64,
    /// Its time, in Unix milliseconds.
    pub time_ms: u64,
    /// Its id.
    pub digest: Digest,
    /// Entries by type.
    pub entries: BTreeMap<&'static str, u64>,
    /// Whether the validators' certificate of this very block is stored; the next one makes it final too.
    pub is_certified: bool,
}

/// What executing a whole ledger found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// As of [`super::check`]. The first fault ends it.
    pub check: LedgerCheck,
    /// Blocks up to here are what they say.
    pub height: u64,
    /// Blocks up to here are final: a certificate was verified.
    pub final_height: u64,
    /// Leaves of the log after those blocks.
    pub log_size: u64,
    /// Their root.
    pub log_root: Digest,
}

/// Executes every stored block and compares it with its header; `seen` hears of each.
///
/// # Errors
/// When the store cannot be read at all.
pub async fn replay<S: Store>(
    store: &S,
    genesis: &Genesis,
    mut seen: impl FnMut(BlockSeen) + Send,
) -> Result<Replayed, store::Error> {
    let mut check = LedgerCheck::default();
    let (state, first) = match State::genesis(genesis) {
        Ok(started) => started,
        Err(error) => {
            check.fault(HEADERS, "height 0", error.to_string());
            return Ok(nothing(check));
        }
    };
    let Some(tip) = tip(store, genesis, &mut check).await? else {
        return Ok(nothing(check));
    };
    let stored = rows::header(store, 0).await;
    let stored = check.read(HEADERS, "height 0", stored)?;
    if stored.is_some_and(|stored| stored != first) {
        check.fault(HEADERS, "height 0", "it is not this network's genesis");
    }
    let mut replay = Replay {
        store,
        certificates: SimplexCertificates::new(&genesis.network_id()),
        log: block::genesis_log(&first),
        state,
        header: first,
        final_height: 0,
        check,
    };
    if replay.check.faults.is_empty() {
        replay.check.blocks = 1;
        seen(replay.seen(BTreeMap::new(), false));
    }
    for height in 1..=tip {
        if !replay.check.faults.is_empty() {
            break;
        }
        if let Some(block) = replay.block(height).await? {
            seen(block);
        }
    }
    Ok(Replayed {
        height: replay.header.height,
        final_height: replay.final_height,
        log_size: replay.log.size(),
        log_root: replay.log.root(),
        check: replay.check,
    })
}

fn nothing(check: LedgerCheck) -> Replayed {
    Replayed {
        check,
        height: 0,
        final_height: 0,
        log_size: 0,
        log_root: Frontier::new().root(),
    }
}

struct Replay<'a, S> {
    store: &'a S,
    certificates: SimplexCertificates,
    log: Frontier,
    state: State,
    header: Header,
    final_height: u64,
    check: LedgerCheck,
}

impl<S: Store> Replay<'_, S> {
    async fn block(&mut self, height: u64) -> Result<Option<BlockSeen>, store::Error> {
        let place = format!("height {height}");
        let stored = rows::header(self.store, height).await;
        let Some(header) = self.check.read(HEADERS, &place, stored)? else {
            return Ok(None);
        };
        let Some(entries) = self.entries(&header, &place).await? else {
            return Ok(None);
        };
        let validators = match self.execute(header, &entries) {
            Ok(validators) => validators,
            Err(what) => {
                self.check.fault(HEADERS, place, what);
                return Ok(None);
            }
        };
        self.check.blocks = self.check.blocks.saturating_add(1);
        let is_certified = self.certificate(&validators).await?;
        let mut types = BTreeMap::new();
        for entry in &entries {
            let count: &mut u64 = types.entry(entry.entry().name()).or_default();
            *count = count.saturating_add(1);
        }
        Ok(Some(self.seen(types, is_certified)))
    }

    /// Moves on to a block, if executing its entries gives its header; the validators of its epoch.
    fn execute(&mut self, header: Header, entries: &[SignedEntry]) -> Result<Validators, String> {
        let view = self.state.view();
        let mut coefficients = derived_rng(b"audit", &[header.digest().as_bytes()]);
        let mut entropy = |out: &mut [u8]| rand_core::Rng::fill_bytes(&mut coefficients, out);
        preverify(&view, entries, &mut entropy);
        let made = block::extend(&self.header, &self.log, &view, header.time_ms, entries)
            .map_err(|rejection| format!("it could not follow the block before: {rejection}"))?;
        // Who may sign a block was decided before it.
        let validators = view.validators(view.parameters().epoch(header.height));
        drop(view);
        if made.header != header {
            return Err("executing its entries does not give what it says".to_owned());
        }
        let validators = validators.ok_or("nobody validates its epoch")?;
        let applied = self.state.apply(Arc::new(made.executed));
        applied.map_err(|error| format!("its state cannot be applied: {error}"))?;
        self.log = made.log;
        self.header = header;
        Ok(validators)
    }

    async fn entries(
        &mut self,
        header: &Header,
        place: &str,
    ) -> Result<Option<Vec<SignedEntry>>, store::Error> {
        let mut entries = Vec::new();
        if !fits(self.log.size(), header.log_size) {
            let what = "it names more entries than a block holds";
            self.check.fault(HEADERS, place, what);
            return Ok(None);
        }
        for index in self.log.size()..header.log_size {
            let place = format!("log index {index}, {place}");
            let stored = rows::entry(self.store, index).await;
            let Some((at, bytes)) = self.check.read(ENTRIES, &place, stored)? else {
                return Ok(None);
            };
            if at != header.height {
                let what = "it names another block than its place is in";
                self.check.fault(ENTRIES, &place, what);
            }
            let Ok(entry) = SignedEntry::decode(&bytes) else {
                self.check.fault(ENTRIES, place, "it is not a signed entry");
                return Ok(None);
            };
            entries.push(entry);
            self.check.entries = self.check.entries.saturating_add(1);
        }
        Ok(Some(entries))
    }

    async fn certificate(&mut self, validators: &Validators) -> Result<bool, store::Error> {
        let height = self.header.height;
        let place = format!("height {height}");
        let stored = rows::certificate(self.store, height).await;
        if matches!(stored, Ok(None)) {
            return Ok(false);
        }
        let Some(certificate) = self.check.read(CERTIFICATES, &place, stored)? else {
            return Ok(false);
        };
        let epoch = self.state.view().parameters().epoch(height);
        let digest = self.header.digest();
        let keys = validators.keys();
        if self.certificates.check(&keys, epoch, &digest, &certificate) {
            self.check.certificates = self.check.certificates.saturating_add(1);
            self.final_height = height;
            return Ok(true);
        }
        let what = "the validators of its epoch did not sign it";
        self.check.fault(CERTIFICATES, place, what);
        Ok(false)
    }

    fn seen(&self, entries: BTreeMap<&'static str, u64>, is_certified: bool) -> BlockSeen {
        BlockSeen {
            height: self.header.height,
            time_ms: self.header.time_ms,
            digest: self.header.digest(),
            entries,
            is_certified,
        }
    }
}
