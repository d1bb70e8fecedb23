//! Fetching and listing: decide, log the disclosure durably, then open what is permitted.

use super::deposit::{finality, kind};
use super::{Content, Fetch, Fetched, FetchedProjection, FetchedRecord, List, Listed, RecordMeta};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, Trace, erased};
use crate::error::Error;
use crate::house::House;
use crate::receipt::{LeafAsked, ReceiptLeaf, ReceiptQuery};
use codec::Category;
use codec::id::{DisclosureId, RecordId, SubjectId};
use codec::time::Millis;
use consent::{
    Actor, BreakGlass, Decision, Denial, Facts, Missing, Permit, Purpose, RecordKind, Records,
    Request, Selection,
};
use keys::commitment::Label;
use std::collections::BTreeSet;
use store::Store;
use vault::{CommitmentState, Parts};

/// What is to be opened of one version.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) meta: vault::RecordMeta,
    kind: RecordKind,
    pub(crate) permitted: BTreeSet<Category>,
}

impl Plan {
    /// Whether all of it is permitted, so that the stored form may be served.
    fn is_whole(&self) -> bool {
        self.permitted == self.meta.categories()
    }
}

/// What was asked of a subject, decided.
pub(crate) struct Decided {
    pub(crate) permit: Permit,
    at: Millis,
    session: Option<DisclosureId>,
    request: Request,
    /// Sequence of the latest state that was heard.
    pub(crate) sequence: u64,
    /// What the institution lets its people do, beside consent.
    pub(crate) house: House,
}

/// A request as it was decided: permitted, or refused and not logged yet.
#[expect(
    clippy::large_enum_variant,
    reason = "made once for a request, and taken apart at once"
)]
pub(crate) enum Judged {
    Permitted(Box<Decided>),
    Refused {
        request: Request,
        denial: Denial,
        stale: bool,
    },
}

/// How often a read is decided again because consent changed under it.
pub(crate) const DECISIONS_MAX: usize = 4;

impl<S: Store> Custodian<S> {
    pub(crate) async fn record_fetch(&self, input: Fetch) -> Result<Fetched, Error> {
        input.caller.reaches(&input.subject)?;
        self.check_selection(&input.selection, input.version)?;
        let request = Request {
            actor: input.caller.actor.clone(),
            purpose: input.purpose,
            subject: input.subject,
            selection: input.selection,
            study: input.study,
            partial: input.partial,
        };
        let trace = Trace::default();
        let (permit, disclosure, opened) = self.opened_now(&request, input.version, &trace).await?;
        self.counters.fetches.up();
        Ok(Fetched {
            disclosure,
            permit,
            records: opened,
        })
    }

    /// Decides a request of which nothing is opened, and logs it durably.
    pub(crate) async fn permitted_unread(
        &self,
        request: Request,
        trace: &Trace,
    ) -> Result<(Permit, DisclosureId), Error> {
        let decided = self.decide(request, &[], trace).await?;
        let disclosure = self.permit_log(&decided, Vec::new(), trace).await?;
        Ok((decided.permit, disclosure))
    }

    /// Decides a fetch, logs it durably, and opens what is permitted.
    pub(crate) async fn opened_now(
        &self,
        request: &Request,
        version: Option<u32>,
        trace: &Trace,
    ) -> Result<(Permit, DisclosureId, Vec<FetchedRecord>), Error> {
        let (permit, disclosure, plans) = self.permitted_now(request, version, trace).await?;
        // INVARIANT: nothing is opened before this line.
        let mut opened = Vec::with_capacity(plans.len());
        for plan in plans {
            opened.push(self.open(&request.subject, plan).await?);
        }
        Ok((permit, disclosure, opened))
    }

    /// Decides a fetch and logs it durably: what is to be opened.
    pub(crate) async fn permitted_now(
        &self,
        request: &Request,
        version: Option<u32>,
        trace: &Trace,
    ) -> Result<(Permit, DisclosureId, Vec<Plan>), Error> {
        for _ in 0..DECISIONS_MAX {
            let (decided, disclosure, plans) = self.permitted(request, version, trace).await?;
            // Whatever was revoked before the disclosure was durable binds this read too.
            let latest = self.vault.consent_current(&request.subject).await?;
            if latest.latest().state.sequence == decided.sequence {
                return Ok((decided.permit, disclosure, plans));
            }
        }
        Err(keeps_changing())
    }

    async fn permitted(
        &self,
        request: &Request,
        version: Option<u32>,
        trace: &Trace,
    ) -> Result<(Decided, DisclosureId, Vec<Plan>), Error> {
        let metas = self
            .selected(&request.subject, &request.selection.records, version)
            .await;
        let known = metas.as_deref().unwrap_or_default();
        let decided = self.decide(request.clone(), known, trace).await?;
        // Unknown records are told only to those who may read.
        let metas = match metas {
            Ok(metas) => metas,
            Err(error) => {
                self.permit_log(&decided, Vec::new(), trace).await?;
                return Err(error);
            }
        };
        let mut plans = match plans(metas, &decided) {
            Ok(plans) => plans,
            // What the institution forbids was asked for, and that is told.
            Err(error) => {
                self.permit_log(&decided, Vec::new(), trace).await?;
                return Err(error);
            }
        };
        if trace.asked.is_some() {
            // What travels is proved by the ledger: what is not there yet is not sent, nor said to be.
            let found = plans.len();
            plans = self.on_the_ledger(&request.subject, plans).await?;
            if plans.is_empty() && found > 0 {
                return Err(Error::Unavailable(
                    "what was asked for is not final on the ledger yet; ask again".to_owned(),
                ));
            }
        }
        let records = plans.iter().map(|plan| plan.meta.record).collect();
        let disclosure = self.permit_log(&decided, records, trace).await?;
        Ok((decided, disclosure, plans))
    }

    async fn on_the_ledger(
        &self,
        subject: &SubjectId,
        plans: Vec<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        let mut there = Vec::with_capacity(plans.len());
        for plan in plans {
            let (record, version) = (&plan.meta.record, plan.meta.version);
            let state = self
                .vault
                .commitment_state(subject, record, version)
                .await?;
            if matches!(state, CommitmentState::Final { .. }) {
                there.push(plan);
            }
        }
        Ok(there)
    }

    /// Decides whether a leaf of a record's commitment may be opened, as a fetch of it, and logs that: which
    /// version, and the log row. `None` while the version is not final: nothing is opened, so only refusals
    /// are logged.
    pub(crate) async fn leaf_read(
        &self,
        input: &ReceiptQuery,
        asked: LeafAsked,
    ) -> Result<Option<(vault::RecordMeta, DisclosureId)>, Error> {
        let (subject, record) = (&input.subject, input.record);
        let request = leaf_request(input, asked);
        // A disclosure of the leaf's salt, without its content.
        let trace = Trace {
            channel: Some("receipt"),
            asked: None,
        };
        for _ in 0..DECISIONS_MAX {
            let records = &request.selection.records;
            let metas = self.selected(subject, records, input.version).await;
            let known = metas.as_deref().unwrap_or_default();
            let decided = self.decide(request.clone(), known, &trace).await?;
            // Unknown records, and those without that part, are told only to those who may read.
            let plan = match metas.and_then(|metas| plans(metas, &decided)) {
                Ok(mut plans) => plans.pop(),
                Err(error) => {
                    self.permit_log(&decided, Vec::new(), &trace).await?;
                    return Err(error);
                }
            };
            let Some(plan) = plan else {
                self.permit_log(&decided, Vec::new(), &trace).await?;
                return Err(Error::RecordUnknown(record));
            };
            if asked.leaf == ReceiptLeaf::Stored && !plan.is_whole() {
                let denial = not_whole(&decided.permit, &plan);
                let stale = decided.permit.stale;
                return Err(self.refusal_log(request, denial, stale, &trace).await);
            }
            let state = self
                .vault
                .commitment_state(subject, &record, plan.meta.version)
                .await?;
            if !matches!(state, CommitmentState::Final { .. }) {
                return Ok(None);
            }
            let disclosure = self.permit_log(&decided, vec![record], &trace).await?;
            // As for a fetch: whatever was revoked before the disclosure was durable binds.
            let latest = self.vault.consent_current(subject).await?;
            if latest.latest().state.sequence == decided.sequence {
                return Ok(Some((plan.meta, disclosure)));
            }
        }
        Err(keeps_changing())
    }

    pub(crate) async fn record_list(&self, input: List) -> Result<Listed, Error> {
        input.caller.reaches(&input.subject)?;
        let request = Request {
            actor: input.caller.actor.clone(),
            purpose: input.purpose,
            subject: input.subject,
            selection: Selection {
                categories: Category::ALL.iter().copied().collect(),
                records: match input.record {
                    Some(record) => Records::Only(BTreeSet::from([record])),
                    None => Records::All,
                },
            },
            study: input.study,
            partial: true,
        };
        let metas = match &input.record {
            Some(record) => self.versions(&input.subject, record).await,
            None => self.selected(&input.subject, &Records::All, None).await,
        };
        let decided = self
            .decide(
                request,
                metas.as_deref().unwrap_or_default(),
                &Trace::default(),
            )
            .await?;
        let disclosure = self
            .permit_log(&decided, Vec::new(), &Trace::default())
            .await?;
        let mut listed = Vec::new();
        for plan in plans(metas?, &decided)? {
            listed.push(self.shown(&input.subject, &plan).await?);
        }
        Ok(Listed {
            disclosure,
            permit: decided.permit,
            records: listed,
        })
    }

    /// Decides a request with everything that is known now; a refusal is logged before it is told.
    async fn decide(
        &self,
        request: Request,
        metas: &[vault::RecordMeta],
        trace: &Trace,
    ) -> Result<Decided, Error> {
        match self.judge(request, metas).await? {
            Judged::Permitted(decided) => Ok(*decided),
            Judged::Refused {
                request,
                denial,
                stale,
            } => Err(self.refusal_log(request, denial, stale, trace).await),
        }
    }

    /// Decides a request with everything that is known now, and logs nothing.
    pub(crate) async fn judge(
        &self,
        request: Request,
        metas: &[vault::RecordMeta],
    ) -> Result<Judged, Error> {
        let subject = request.subject;
        let standing = match self.standing(&subject).await {
            Ok(standing) => standing,
            Err(Error::SubjectErased) => {
                return Ok(Judged::Refused {
                    request,
                    denial: erased(),
                    stale: false,
                });
            }
            Err(error) => return Err(error),
        };
        if request.purpose != Purpose::Btg {
            self.in_service_for(&standing)?;
        }
        let mut facts = standing.facts.clone();
        for meta in metas {
            facts.record_kinds.insert(meta.record, kind(&meta.kind)?);
        }
        if let Some(study) = request.study {
            let known = self.study_facts(&study, &request.actor).await?;
            facts.studies.insert(study, known);
        }
        let session = self.session_of(&request, &facts).await?;
        facts.break_glass = session.as_ref().map(|(_, opened)| opened.clone());
        let at = facts.at();
        Ok(
            match consent::decide(&self.policy, &standing.effective(), &request, &facts) {
                Decision::Permit(permit) => Judged::Permitted(Box::new(Decided {
                    permit,
                    at,
                    session: session.map(|(id, _)| id),
                    house: self.house(&request),
                    request,
                    sequence: standing.latest().sequence,
                })),
                Decision::Deny(denial) => Judged::Refused {
                    request,
                    denial,
                    stale: facts.is_stale(),
                },
            },
        )
    }

    /// The asker's break-glass session for the subject, if the request is made under one. One that is
    /// over is named only if there is no other.
    async fn session_of(
        &self,
        request: &Request,
        facts: &Facts,
    ) -> Result<Option<(DisclosureId, BreakGlass)>, Error> {
        if request.purpose != Purpose::Btg {
            return Ok(None);
        }
        let sessions = self.vault.sessions(&request.subject).await?;
        let own = sessions
            .into_iter()
            .map(|(id, session)| (id, session.opened))
            .filter(|(_, opened)| is_of(opened, &request.actor));
        let latest =
            own.max_by_key(|(id, opened)| (opened.ends() > facts.at(), opened.ends(), *id));
        Ok(latest)
    }

    async fn permit_log(
        &self,
        decided: &Decided,
        records: Vec<RecordId>,
        trace: &Trace,
    ) -> Result<DisclosureId, Error> {
        self.disclosure_log(decided.logging(records, trace)).await
    }

    fn check_selection(&self, selection: &Selection, version: Option<u32>) -> Result<(), Error> {
        let named = match &selection.records {
            Records::All => None,
            Records::Only(records) => Some(records.len()),
        };
        if version.is_some() && named != Some(1) {
            return Err(Error::invalid(
                "request",
                "version",
                "a version goes with exactly one record",
            ));
        }
        let limit = self.limits.fetch_records.min(vault::MAX_DISCLOSED);
        match named {
            Some(named) if named > limit => Err(Error::invalid(
                "request",
                "records",
                format!("at most {limit} records are fetched at once"),
            )),
            _ => Ok(()),
        }
    }

    /// The selected versions: of each record the latest, unless one is named.
    async fn selected(
        &self,
        subject: &SubjectId,
        records: &Records,
        version: Option<u32>,
    ) -> Result<Vec<vault::RecordMeta>, Error> {
        match records {
            Records::All => self.latest(subject).await,
            Records::Only(records) => {
                let mut metas = Vec::with_capacity(records.len());
                for record in records {
                    metas.push(self.vault.record_meta(subject, record, version).await?);
                }
                Ok(metas)
            }
        }
    }

    /// The latest version of every record.
    async fn latest(&self, subject: &SubjectId) -> Result<Vec<vault::RecordMeta>, Error> {
        let limit = self.limits.fetch_records.min(vault::MAX_DISCLOSED);
        self.latest_within(subject, limit).await
    }

    async fn versions(
        &self,
        subject: &SubjectId,
        record: &RecordId,
    ) -> Result<Vec<vault::RecordMeta>, Error> {
        let limit = self.limits.fetch_records;
        let versions = self.vault.record_list(subject, Some(record), None, limit);
        let versions = versions.await?;
        if versions.is_empty() {
            return Err(Error::RecordUnknown(*record));
        }
        Ok(versions)
    }

    pub(crate) async fn open(
        &self,
        subject: &SubjectId,
        plan: Plan,
    ) -> Result<FetchedRecord, Error> {
        let parts = if plan.is_whole() {
            Parts::All
        } else {
            Parts::Projections(plan.permitted.clone())
        };
        let meta = self.shown(subject, &plan).await?;
        let opened = self
            .vault
            .record_get(subject, &meta.record, Some(meta.version), &parts)
            .await?;
        let mut stored_form = None;
        let mut projections = Vec::new();
        for part in opened.parts {
            let (label, rule_version) = (part.label, part.rule_version);
            let bytes = Content::from(part.into_bytes());
            match label {
                Label::Stored => stored_form = Some(bytes),
                Label::Projection(category) => projections.push(FetchedProjection {
                    category,
                    rule_version,
                    bytes,
                }),
            }
        }
        Ok(FetchedRecord {
            meta,
            stored_form,
            projections,
        })
    }

    async fn shown(&self, subject: &SubjectId, plan: &Plan) -> Result<RecordMeta, Error> {
        let meta = &plan.meta;
        let state = self
            .vault
            .commitment_state(subject, &meta.record, meta.version)
            .await?;
        Ok(RecordMeta {
            record: meta.record,
            version: meta.version,
            kind: plan.kind.clone(),
            deposited_ms: meta.deposited.get(),
            commitment: meta.commitment,
            categories: plan.permitted.iter().copied().collect(),
            size_bytes: if plan.is_whole() {
                meta.size_bytes()
            } else {
                0
            },
            entry: match &state {
                CommitmentState::Queued => None,
                CommitmentState::Assigned { entry } | CommitmentState::Final { entry, .. } => {
                    Some(*entry)
                }
            },
            finality: finality(&state),
        })
    }
}

impl Decided {
    /// The disclosure that is to be logged for it.
    pub(crate) fn logging(&self, records: Vec<RecordId>, trace: &Trace) -> Logging {
        Logging {
            request: self.request.clone(),
            outcome: vault::Outcome::Permitted(self.permit.because.clone()),
            records,
            stale: self.permit.stale,
            session: self.session,
            channel: trace.channel,
            asked: trace.asked.clone(),
        }
    }

    /// What is permitted of a version.
    pub(crate) fn permitted(&self, meta: &vault::RecordMeta) -> Result<BTreeSet<Category>, Error> {
        let kind = kind(&meta.kind)?;
        let covered = |category: &Category| {
            self.permit
                .covers(*category, &meta.record, Some(&kind), self.at)
                && self.house.permits(&self.request, &meta.kind, *category)
        };
        Ok(meta.categories().into_iter().filter(covered).collect())
    }
}

pub(crate) fn keeps_changing() -> Error {
    Error::Unavailable("the subject's consent keeps changing; try again".to_owned())
}

/// A leaf of one record, as a request to read it. Of the stored form, what is permitted of every category:
/// a refusal must not tell which ones the record has.
fn leaf_request(input: &ReceiptQuery, asked: LeafAsked) -> Request {
    Request {
        actor: input.caller.actor.clone(),
        purpose: asked.purpose,
        subject: input.subject,
        selection: Selection {
            categories: match asked.leaf {
                ReceiptLeaf::Stored => Category::ALL.iter().copied().collect(),
                ReceiptLeaf::Projection(category) => BTreeSet::from([category]),
            },
            records: Records::Only(BTreeSet::from([input.record])),
        },
        study: None,
        partial: asked.leaf == ReceiptLeaf::Stored,
    }
}

/// Why the stored form is refused to someone who may read a part of it.
fn not_whole(permit: &Permit, plan: &Plan) -> Denial {
    let but = |permitted: &BTreeSet<Category>| -> BTreeSet<Category> {
        let all = Category::ALL.iter().copied();
        all.filter(|category| !permitted.contains(category))
            .collect()
    };
    let mut missing = but(&permit.categories);
    if missing.is_empty() {
        // Each category is permitted of some records, and not all of them of this one.
        missing = but(&plan.permitted);
    }
    Denial {
        missing: vec![Missing::CategoriesNotPermitted(missing)],
    }
}

/// What is permitted of each version; versions of which nothing is are left out.
pub(crate) fn plans(metas: Vec<vault::RecordMeta>, decided: &Decided) -> Result<Vec<Plan>, Error> {
    let mut plans = Vec::new();
    for meta in metas {
        let kind = kind(&meta.kind)?;
        let permitted = decided.permitted(&meta)?;
        if !decided.request.partial {
            // The whole selection, or a refusal: the policy does not take a part of it away in silence.
            decided.house.refuses_none(&decided.request, &meta)?;
        }
        if !permitted.is_empty() {
            plans.push(Plan {
                meta,
                kind,
                permitted,
            });
        }
    }
    Ok(plans)
}

fn is_of(session: &BreakGlass, actor: &Actor) -> bool {
    session.opened_by == actor.practitioner && session.institution == actor.institution
}

impl Caller {
    /// The request that stands for an act which is no read of records.
    pub(crate) fn act(&self, subject: &SubjectId, purpose: Purpose) -> Request {
        Request {
            actor: self.actor.clone(),
            purpose,
            subject: *subject,
            selection: Selection {
                categories: BTreeSet::new(),
                records: Records::All,
            },
            study: None,
            partial: false,
        }
    }
}
