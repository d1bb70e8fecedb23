//! How the node does: for operators and probes. Counts and heights, no patient data.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::{InstitutionId, NetworkId};
use consent::Role;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Store;

/// What an operator sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The network.
    pub network: NetworkId,
    /// This institution.
    pub institution: InstitutionId,
    /// Its name, from the ledger.
    pub name: String,
    /// Whether this node is a validator.
    pub validator: bool,
    /// The ledger's tip as seen here.
    pub tip: TipView,
    /// What waits for the ledger.
    pub outbox: OutboxView,
    /// Whether decisions are refused because this node was restored and does not match the ledger yet.
    pub restored: bool,
    /// What needs an operator's attention, in sentences.
    pub warnings: Vec<String>,
}

/// The ledger's tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TipView {
    /// Height of the last finalised block.
    pub height: u64,
    /// Its time.
    pub time_ms: u64,
    /// Entries and headers in the log.
    pub log_size: u64,
    /// How old this view is.
    pub age_ms: u64,
}

/// Durable things that wait for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxView {
    /// Commitments in no batch yet.
    pub commitments: u64,
    /// Entries (batches, subjects, periods) not final yet.
    pub entries: u64,
    /// The oldest of them was accepted so long ago.
    pub oldest_ms: u64,
}

/// Whether the node can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Own care can be served.
    pub ready: bool,
    /// Sharing and research can be served too: the ledger's view is fresh.
    pub fresh: bool,
    /// Why not, in sentences.
    pub because: Vec<String>,
    /// Height of the ledger here.
    pub height: u64,
    /// About where the network is.
    pub of_about: u64,
    /// Whether that is so much further that this node is catching up.
    pub behind: bool,
}

/// Counters since the start, and gauges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Name, help and value; names end in `_total` for counters.
    pub samples: Vec<Sample>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// "ithaca_deposits_total".
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $name:ident = $metric:literal;)*) => {
        /// What happened since the start.
        #[derive(Default)]
        pub(crate) struct Counters {
            $($(#[doc = $help])+ pub(crate) $name: Counter,)*
        }

        impl Counters {
            fn samples(&self) -> Vec<Sample> {
                vec![$(Sample {
                    name: $metric,
                    help: concat!($($help),+),
                    value: self.$name.0.load(Ordering::Relaxed),
                },)*]
            }
        }
    };
}

counters! {
    /// Compartments opened.
    subjects_opened = "ithaca_subjects_opened_total";
    /// Deposits that made something new.
    deposits = "ithaca_deposits_total";
    /// Fetches that were permitted.
    fetches = "ithaca_fetches_total";
    /// Disclosures and acts logged.
    disclosures = "ithaca_disclosures_logged_total";
    /// Requests refused for want of consent.
    refusals = "ithaca_refusals_total";
    /// Notifications of FHIR Subscriptions that arrived.
    notifications = "ithaca_notifications_total";
    /// Attempts at such notifications that failed.
    notifications_failed = "ithaca_notifications_failed_total";
    /// Consent changes accepted.
    consents_changed = "ithaca_consent_changes_total";
    /// Noisy counts drawn for researchers.
    research_counts = "ithaca_research_counts_total";
    /// Releases that went to the ledger.
    releases = "ithaca_releases_total";
    /// Receipts handed out.
    receipts = "ithaca_receipts_total";
    /// Break-glass sessions opened.
    sessions = "ithaca_break_glass_sessions_total";
    /// Erasures asked for.
    erasures = "ithaca_erasures_total";
    /// Record batches made.
    batches = "ithaca_record_batches_total";
    /// Disclosure periods closed.
    periods = "ithaca_disclosure_periods_total";
    /// Own entries that became final.
    entries_final = "ithaca_entries_final_total";
    /// Entries signed again because they were not included in time.
    entries_resigned = "ithaca_entries_resigned_total";
    /// Entries that the ledger refused for good.
    entries_dropped = "ithaca_entries_dropped_total";
    /// Differentials that were read.
    differentials = "ithaca_differentials_read_total";
    /// Cases without a subject that were answered.
    diagnoses = "ithaca_diagnoses_total";
    /// Phenotype profiles made of records.
    profiles = "ithaca_phenotype_profiles_total";
    /// Differentials made again because knowledge or counted cases changed.
    reanalysed = "ithaca_differentials_reanalysed_total";
    /// Changes of differentials that were worth telling.
    differential_changes = "ithaca_differential_changes_total";
    /// Errors of the node's own pumps; they try again.
    pump_errors = "ithaca_pump_errors_total";
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Age of the oldest waiting entry from which on an operator is warned.
const WAITING_WARN_MS: u64 = 5 * 60_000;
/// Difference of clocks from which on an operator is warned.
const CLOCK_WARN_MS: u64 = 60_000;

impl<S: Store> Custodian<S> {
    pub(crate) async fn status(&self, caller: Caller) -> Result<Status, Error> {
        let roles = [Role::Operator, Role::PrivacyOfficer, Role::Auditor];
        caller.needs("reading the node's status", &roles)?;
        self.own_staff(&caller)?;
        let outbox = self.outbox_view().await?;
        let tip = self.tip_view();
        let (name, validator) = {
            let view = self.ledger.state_view();
            let leaf = view.institution(&self.id);
            let epoch = view.parameters().epoch(tip.height);
            let set = view.validators(epoch);
            (
                leaf.map(|leaf| leaf.institution.name).unwrap_or_default(),
                set.is_some_and(|set| set.by_institution().get(&self.id) == Some(&self.validator)),
            )
        };
        Ok(Status {
            network: self.network,
            institution: self.id,
            name,
            validator,
            tip,
            outbox,
            restored: self.vault.restored().is_some(),
            warnings: self.warnings(&outbox).await?,
        })
    }

    pub(crate) async fn ready(&self, (): ()) -> Result<Readiness, Error> {
        let mut because = Vec::new();
        if let Some(halt) = self.ledger.halted() {
            because.push(format!("the ledger has stopped at this node: {halt}"));
        }
        let restored = self.vault.restored().is_some();
        if restored && !self.is_caught_up() {
            because.push("restored from a backup, and not caught up with the ledger".to_owned());
        }
        let ready = because.is_empty();
        let behind = self.catching_up();
        if let Some((tip, horizon)) = behind {
            because.push(format!(
                "catching up with the ledger: height {} of about {horizon}",
                tip.height
            ));
        }
        let age_ms = self.ledger_age_ms();
        let fresh = age_ms <= consent::MAX_LEDGER_AGE_MS;
        if !fresh {
            because.push(format!(
                "the view of the ledger is {} s old",
                age_ms / 1_000
            ));
        }
        Ok(Readiness {
            ready,
            fresh: ready && fresh,
            because,
            height: self.ledger.tip().height,
            of_about: self.ledger.horizon(),
            behind: behind.is_some(),
        })
    }

    pub(crate) async fn metrics(&self, (): ()) -> Result<Metrics, Error> {
        let tip = self.tip_view();
        let outbox = self.outbox_view().await?;
        let (pending, pending_bytes) = self.ledger.pending();
        let mut samples = self.counters.samples();
        let gauges = [
            (
                "ithaca_ledger_height",
                "Height of the last finalised block.",
                tip.height,
            ),
            ("ithaca_ledger_log_size", "Leaves of the log.", tip.log_size),
            (
                "ithaca_ledger_age_ms",
                "Age of the view of the ledger.",
                tip.age_ms,
            ),
            (
                "ithaca_outbox_commitments",
                "Commitments in no batch yet.",
                outbox.commitments,
            ),
            (
                "ithaca_outbox_entries",
                "Entries that are not final.",
                outbox.entries,
            ),
            (
                "ithaca_outbox_oldest_ms",
                "Age of the oldest of them.",
                outbox.oldest_ms,
            ),
            (
                "ithaca_pool_entries",
                "Entries in the pool of consensus.",
                number(pending),
            ),
            ("ithaca_pool_bytes", "Their bytes.", number(pending_bytes)),
        ];
        samples.extend(gauges.map(|(name, help, value)| Sample { name, help, value }));
        Ok(Metrics { samples })
    }

    pub(crate) fn tip_view(&self) -> TipView {
        let tip = self.ledger.tip();
        TipView {
            height: tip.height,
            time_ms: tip.time_ms,
            log_size: tip.log_size,
            age_ms: self.ledger_age_ms(),
        }
    }

    async fn outbox_view(&self) -> Result<OutboxView, Error> {
        let now = self.now();
        let entry = self.vault.entries_pending(None, 1).await?;
        let commitment = self.vault.outbox_take(1).await?;
        let entry = entry.first().map(|(_, row)| row.queued);
        let commitment = commitment.first().map(|queued| queued.queued);
        let oldest = entry.into_iter().chain(commitment).min();
        Ok(OutboxView {
            commitments: number(self.vault.outbox_len()),
            entries: number(self.vault.entries_len()),
            oldest_ms: oldest.map_or(0, |oldest| now.since(oldest)),
        })
    }

    async fn warnings(&self, outbox: &OutboxView) -> Result<Vec<String>, Error> {
        let mut warnings = self.ready(()).await?.because;
        if outbox.oldest_ms > WAITING_WARN_MS {
            warnings.push(format!(
                "something has waited {} s for the ledger; is there a quorum?",
                outbox.oldest_ms / 1_000
            ));
        }
        let tip = self.ledger.tip();
        let apart = self.ambient.now_ms().abs_diff(tip.time_ms);
        let explained = self
            .quiet_ms
            .load(Ordering::Relaxed)
            .saturating_add(CLOCK_WARN_MS);
        if tip.height > 0 && apart > explained {
            warnings.push(format!(
                "this machine's clock and the ledger's last block are {} s apart; check the clock",
                apart / 1_000
            ));
        }
        for fault in self.ledger.faults() {
            warnings.push(format!("a validator misbehaved: {fault:?}"));
        }
        if !self.keys_pending.load(Ordering::Relaxed) && self.keys_are_lost() {
            warnings.push(
                "the ledger knows other keys of this institution than this node has; were they replaced after \
                 the backup was made? Then the members must retire and admit it again"
                    .to_owned(),
            );
        }
        if self.engine_is_outdated() {
            warnings.push(
                "the validator's key was replaced: start this node again, so that it votes under the new one"
                    .to_owned(),
            );
        }
        let dropped = self.counters.entries_dropped.0.load(Ordering::Relaxed);
        if dropped > 0 {
            warnings.push(format!(
                "the ledger refused {dropped} entries for good; see the log"
            ));
        }
        let now = self.now();
        let late = self.vault.sessions_due(1).await?;
        if late.first().is_some_and(|due| due.due < now) {
            warnings.push("a break-glass session's review is overdue".to_owned());
        }
        let untold = self.vault.notices_due(1).await?;
        if untold.first().is_some_and(|due| due.due < now) {
            warnings.push("a notice to controllers is overdue".to_owned());
        }
        if self.vault.node_row(crate::witness::FORK).await?.is_some() {
            warnings.push(
                "a member signed a checkpoint of another log; the log names it, and the note is kept"
                    .to_owned(),
            );
        }
        if self.vault.restored().is_some() {
            warnings.push(format!(
                "restored from a backup: {} subjects are not served, for their consent on the ledger is \
                 newer than here",
                self.behind.load(Ordering::Relaxed)
            ));
        }
        Ok(warnings)
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
