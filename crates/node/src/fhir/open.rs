//! One request over FHIR: what was decided of each subject, what was opened, and one disclosure for each.
//!
//! A request touches subjects one by one. Of each it is decided once, as "whatever may be seen"; what is
//! matched, sorted and served is only what is permitted. Nothing leaves before [`Reading::disclosed`] has made
//! the disclosures durable and found that no consent changed meanwhile.

use super::{FhirAsker, FhirResource};
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::house::House;
use crate::record::Content;
use crate::record::fetch::{Decided, Judged};
use crate::record::form::DELETED_MEDIA;
use ::fhir::Parsed;
use ::fhir::search::{Handling, Query};
use codec::Category;
use codec::id::{DisclosureId, RecordId, SubjectId};
use consent::{Basis, Because, Purpose, Request, Role, RuleName, Selection};
use institution_policy::Action;
use json::{Edits, quote};
use smart::{Interaction, Reach};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{Parts, Posting};

/// Types of the directory that patients' apps read too: they tell who treats them, and with what.
const SHOWN_TO_ALL: [&str; 8] = [
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "HealthcareService",
    "Endpoint",
    "Medication",
    "Substance",
];
/// Whose work it is to read all of the directory, lists and groups of patients too.
const READS_DIRECTORY: [Role; 8] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Laboratory,
    Role::Desk,
    Role::PrivacyOfficer,
    Role::Researcher,
];
/// What marks a resource of which a part was left out.
const SUBSETTED: &str =
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

/// A request while it is worked on.
pub(crate) struct Reading<'c, S: Store> {
    pub(crate) custodian: &'c Custodian<S>,
    pub(crate) asker: &'c FhirAsker,
    channel: &'static str,
    purpose: Purpose,
    directory: Option<SubjectId>,
    confined: Option<SubjectId>,
    /// Whose resources `patient/` scopes reach.
    launched: Option<SubjectId>,
    /// What resources are opened for, as scopes name it.
    interaction: Interaction,
    touched: BTreeMap<SubjectId, Touched>,
    /// Patients that were looked up: a search names the same ones again and again.
    patients: BTreeMap<String, Option<SubjectId>>,
}

struct Touched {
    verdict: Verdict,
    served: BTreeSet<RecordId>,
}

enum Verdict {
    /// By the law of consent.
    Decided(Box<Decided>),
    /// The directory, which is about no patient.
    Directory(Box<(Request, House)>),
    Refused(Box<Judged>),
}

/// A version of a resource, opened as far as it is permitted.
pub(crate) struct Opened {
    pub(crate) subject: SubjectId,
    pub(crate) record: RecordId,
    pub(crate) version: u32,
    pub(crate) kind: String,
    pub(crate) updated_ms: u64,
    pub(crate) content: Content,
    /// The resource's id, once it was read.
    pub(crate) known_id: Option<String>,
    pub(crate) is_deleted: bool,
    pub(crate) is_subset: bool,
}

impl<'c, S: Store> Reading<'c, S> {
    pub(crate) async fn begin(
        custodian: &'c Custodian<S>,
        asker: &'c FhirAsker,
        channel: &'static str,
    ) -> Result<Self, Error> {
        custodian.in_service()?;
        let confined = custodian.fhir_confined(asker).await?;
        let launched = match (confined, &asker.launched) {
            (None, Some(id)) if asker.scopes.has_context(smart::Context::Patient) => {
                custodian.fhir_patient(id).await?
            }
            (confined, _) => confined,
        };
        Ok(Self {
            purpose: asker.purpose.unwrap_or_else(|| usual_purpose(asker)),
            directory: custodian.directory_known().await?,
            confined,
            launched,
            interaction: match asker.interaction {
                Interaction::Read => Interaction::Read,
                // Of writes, what is opened is looked for.
                _ => Interaction::Search,
            },
            custodian,
            asker,
            channel,
            touched: BTreeMap::new(),
            patients: BTreeMap::new(),
        })
    }

    /// The one compartment that may be reached, if there is but one.
    pub(crate) fn confined(&self) -> Option<SubjectId> {
        self.confined
    }

    /// Whether a subject may be reached at all; the directory may by anyone.
    pub(crate) fn reaches(&self, subject: &SubjectId) -> bool {
        self.directory.as_ref() == Some(subject)
            || self.confined.as_ref().is_none_or(|own| own == subject)
    }

    /// The compartment of a Patient, as it was when this request looked for it first.
    pub(crate) async fn patient(&mut self, id: &str) -> Result<Option<SubjectId>, Error> {
        if let Some(known) = self.patients.get(id) {
            return Ok(*known);
        }
        let found = self.custodian.fhir_patient(id).await?;
        self.patients.insert(id.to_owned(), found);
        Ok(found)
    }

    /// Whether the scopes reach any resource of a type, for this.
    pub(crate) fn may(&self, interaction: Interaction, kind: &str) -> bool {
        self.asker.scopes.permits(interaction, kind).is_some()
    }

    /// Refuses to look for resources of a type that the scopes do not let the software search: what it finds by
    /// them, it would know of them.
    pub(crate) fn searches(&self, kind: &str) -> Result<(), Error> {
        match self.may(Interaction::Search, kind) {
            true => Ok(()),
            false => Err(Error::ScopeLacks {
                interaction: "search",
                kind: kind.to_owned(),
            }),
        }
    }

    /// Whether a resource of a type may be included beside what was found.
    pub(crate) fn may_include(&self, kind: &str) -> bool {
        self.may(Interaction::Read, kind) || self.may(Interaction::Search, kind)
    }

    /// Opens what is included beside what was found: what the software could read by its id, or find.
    pub(crate) async fn include(&mut self, posting: &Posting) -> Result<Option<Opened>, Error> {
        match self.open_for(posting, Interaction::Read).await? {
            Some(opened) => Ok(Some(opened)),
            None => self.open_for(posting, Interaction::Search).await,
        }
    }

    /// The one compartment in which resources of a type may be looked for, if there is but one.
    pub(crate) fn confined_to(&self, kind: &str) -> Result<Option<SubjectId>, Error> {
        let reach = self.asker.scopes.permits(self.interaction, kind);
        match (self.confined, self.launched) {
            (Some(own), _) => Ok(Some(own)),
            (None, launched) if reach.is_some_and(|reach| reach.patient_only) => {
                launched.map(Some).ok_or(Error::OutOfScope)
            }
            (None, _) => Ok(None),
        }
    }

    /// Opens what is permitted of a version and reached by the scopes; none if nothing is, or if it is not there
    /// any more.
    pub(crate) async fn open(&mut self, posting: &Posting) -> Result<Option<Opened>, Error> {
        self.open_for(posting, self.interaction).await
    }

    /// As [`Self::open`], for something else than the request is.
    pub(crate) async fn open_for(
        &mut self,
        posting: &Posting,
        interaction: Interaction,
    ) -> Result<Option<Opened>, Error> {
        let Some(opened) = self.open_by_consent(posting).await? else {
            return Ok(None);
        };
        if !opened.is_deleted {
            return Ok(self.is_reached(&opened, interaction)?.then_some(opened));
        }
        Ok(match self.before_deletion(posting).await? {
            Some(before) => self.is_reached(&before, interaction)?.then_some(opened),
            None => None,
        })
    }

    /// What a deletion deleted, as far as that is permitted: who may see nothing of it is not told of its
    /// deletion either.
    pub(crate) async fn before_deletion(
        &mut self,
        posting: &Posting,
    ) -> Result<Option<Opened>, Error> {
        let mut version = posting.version;
        while let Some(before) = version.checked_sub(1).filter(|before| *before > 0) {
            version = before;
            let before = Posting {
                version,
                ..*posting
            };
            match self.open_by_consent(&before).await? {
                Some(opened) if opened.is_deleted => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    /// Opens what consent permits of a version, whatever its type; none if nothing is. What is made of it must
    /// itself be reached by the scopes.
    pub(crate) async fn open_by_consent(
        &mut self,
        posting: &Posting,
    ) -> Result<Option<Opened>, Error> {
        if !self.reaches(&posting.subject) {
            return Ok(None);
        }
        self.touch(&posting.subject).await?;
        let Some(touched) = self.touched.get(&posting.subject) else {
            return Ok(None);
        };
        if matches!(touched.verdict, Verdict::Refused(_)) {
            return Ok(None);
        }
        let version = Some(posting.version);
        let vault = &self.custodian.vault;
        let stored = vault
            .record_get(&posting.subject, &posting.record, version, &Parts::Stored)
            .await;
        let stored = match stored {
            Ok(stored) => stored,
            // Erased, or replaced by an erasure's other generation, since the index was read.
            Err(
                vault::Error::SubjectErased
                | vault::Error::RecordUnknown(_)
                | vault::Error::VersionUnknown { .. },
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let meta = stored.meta;
        let Some(part) = stored.parts.into_iter().next() else {
            return Ok(None);
        };
        let is_deleted = meta.media_type == DELETED_MEDIA;
        let whole = meta.categories();
        let permitted = match &touched.verdict {
            Verdict::Decided(decided) => decided.permitted(&meta)?,
            Verdict::Directory(asked) if self.may_see(&meta.kind) => {
                let (request, house) = &**asked;
                let permitted = |category: &Category| house.permits(request, &meta.kind, *category);
                whole.iter().copied().filter(permitted).collect()
            }
            Verdict::Directory(_) | Verdict::Refused(_) => BTreeSet::new(),
        };
        let is_subset = permitted != whole;
        let content = match (is_deleted, is_subset) {
            (true, _) | (_, false) => Content::from(part.into_bytes()),
            (false, true) if permitted.is_empty() => return Ok(None),
            (false, true) => match subset(part.bytes(), &permitted) {
                Some(subset) => subset,
                None => return Ok(None),
            },
        };
        Ok(Some(Opened {
            subject: posting.subject,
            record: posting.record,
            version: posting.version,
            kind: meta.kind,
            updated_ms: meta.deposited.get(),
            content,
            known_id: None,
            is_deleted,
            is_subset,
        }))
    }

    /// Whether a type of the directory may be seen by the asker.
    fn may_see(&self, kind: &str) -> bool {
        let caller = &self.asker.caller;
        let reads_all = caller.subject.is_none() && READS_DIRECTORY.iter().any(|r| caller.has(*r));
        let launched = self.asker.patient.is_some();
        let own = caller.actor.institution == self.custodian.id;
        let is_anyone = !caller.actor.roles.is_empty();
        own && is_anyone && ((reads_all && !launched) || SHOWN_TO_ALL.contains(&kind))
    }

    /// Whether the scopes reach a resource.
    fn is_reached(&self, opened: &Opened, interaction: Interaction) -> Result<bool, Error> {
        let Some(reach) = self.asker.scopes.permits(interaction, &opened.kind) else {
            return Ok(false);
        };
        if reach.is_everything() {
            return Ok(true);
        }
        let is_own = self.launched == Some(opened.subject)
            || self.directory == Some(opened.subject)
                && SHOWN_TO_ALL.contains(&opened.kind.as_str());
        if reach.filters.is_empty() {
            return Ok(is_own || !reach.patient_only);
        }
        let parsed = opened.parsed()?;
        Ok(self
            .asker
            .covers(&reach, is_own, &parsed, opened.updated_ms))
    }

    /// Decides about a subject, once for a request.
    async fn touch(&mut self, subject: &SubjectId) -> Result<(), Error> {
        if self.touched.contains_key(subject) {
            return Ok(());
        }
        let request = Request {
            actor: self.asker.caller.actor.clone(),
            purpose: self.purpose,
            subject: *subject,
            selection: Selection::everything(),
            study: None,
            partial: true,
        };
        let verdict = if self.directory.as_ref() == Some(subject) {
            let mut house = self.custodian.house(&request);
            house.action = action_of(self.channel);
            Verdict::Directory(Box::new((request, house)))
        } else {
            match self.custodian.judge(request, &[]).await? {
                Judged::Permitted(mut decided) => {
                    decided.house.action = action_of(self.channel);
                    Verdict::Decided(decided)
                }
                refused @ Judged::Refused { .. } => Verdict::Refused(Box::new(refused)),
            }
        };
        let served = BTreeSet::new();
        self.touched.insert(*subject, Touched { verdict, served });
        Ok(())
    }

    /// Refuses, and logs it, if this subject is one that the asker may see nothing of. Who is confined to another
    /// is not told that there is anything.
    pub(crate) async fn refused(&mut self, subject: &SubjectId) -> Result<(), Error> {
        if !self.reaches(subject) {
            return Err(super::read::unknown());
        }
        self.touch(subject).await?;
        let is_refused = |touched: &Touched| matches!(touched.verdict, Verdict::Refused(_));
        if !self.touched.get(subject).is_some_and(is_refused) {
            return Ok(());
        }
        // Logged here, and so not once more at the end.
        let taken = self.touched.remove(subject).map(|touched| touched.verdict);
        let Some(Verdict::Refused(refused)) = taken else {
            return Ok(());
        };
        let Judged::Refused {
            request,
            denial,
            stale,
        } = *refused
        else {
            return Ok(());
        };
        let trace = self.trace();
        let refusal = self.custodian.refusal_log(request, denial, stale, &trace);
        Err(refusal.await)
    }

    /// Notes that a record is served.
    pub(crate) fn serve(&mut self, opened: &Opened) {
        if let Some(touched) = self.touched.get_mut(&opened.subject)
            && touched.served.len() < vault::MAX_DISCLOSED
        {
            touched.served.insert(opened.record);
        }
    }

    fn trace(&self) -> Trace {
        Trace {
            channel: Some(self.channel),
            asked: None,
        }
    }

    /// Makes one disclosure durable for each subject that was touched. Gives the id of the last, or nothing if
    /// consent changed since it was heard: then all must be done again.
    pub(crate) async fn disclosed(&self) -> Result<Option<Vec<DisclosureId>>, Error> {
        let trace = self.trace();
        let mut logging = Vec::with_capacity(self.touched.len());
        for touched in self.touched.values() {
            let records: Vec<RecordId> = touched.served.iter().copied().collect();
            logging.push(match &touched.verdict {
                Verdict::Decided(decided) => decided.logging(records, &trace),
                Verdict::Directory(asked) => Logging {
                    request: asked.0.clone(),
                    outcome: vault::Outcome::Permitted(vec![Because {
                        basis: Basis::Policy(directory_rule()?),
                        categories: BTreeSet::new(),
                    }]),
                    records,
                    stale: false,
                    session: None,
                    channel: trace.channel,
                    asked: None,
                },
                Verdict::Refused(refused) => {
                    let Judged::Refused {
                        request,
                        denial,
                        stale,
                    } = &**refused
                    else {
                        continue;
                    };
                    Logging {
                        request: request.clone(),
                        outcome: vault::Outcome::Refused(denial.missing.clone()),
                        records,
                        stale: *stale,
                        session: None,
                        channel: trace.channel,
                        asked: None,
                    }
                }
            });
        }
        let ids = self.custodian.disclosures_log(logging).await?;
        for (subject, touched) in &self.touched {
            if let Verdict::Decided(decided) = &touched.verdict {
                let latest = match self.custodian.vault.consent_current(subject).await {
                    Ok(latest) => latest,
                    // Erased since it was heard: others' answers do not end with it.
                    Err(vault::Error::SubjectErased) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                if latest.latest().state.sequence != decided.sequence {
                    return Ok(None);
                }
            }
        }
        Ok(Some(ids))
    }
}

/// Does a reading until no consent changes under it: what it gives, with the log rows.
// A macro, for an async closure that borrows what it reads cannot be said to be `Send`.
macro_rules! settled {
    ($custodian:expr, $asker:expr, $channel:literal, |$reading:ident| $work:expr) => {{
        let mut settled = Err(crate::record::fetch::keeps_changing());
        for _ in 0..crate::record::fetch::DECISIONS_MAX {
            let mut begun = crate::fhir::open::Reading::begin($custodian, $asker, $channel).await?;
            let done: Result<_, crate::error::Error> = async {
                let $reading = &mut begun;
                $work
            }
            .await;
            // What was touched is logged, also when nothing came of it.
            let disclosures = begun.disclosed().await?;
            if disclosures.is_some() || done.is_err() {
                settled = done.map(|done| (done, disclosures.unwrap_or_default()));
                break;
            }
        }
        settled
    }};
}
pub(crate) use settled;

impl FhirAsker {
    /// Whether the scopes reach a resource that the node makes, of what the request may be about.
    pub(crate) fn scopes_reach(&self, resource: &Parsed<'_>, updated_ms: u64) -> bool {
        let interaction = match self.interaction {
            Interaction::Read => Interaction::Read,
            _ => Interaction::Search,
        };
        let is_own = self.patient.is_some() || self.caller.subject.is_some();
        let reach = self.scopes.permits(interaction, resource.resource_type());
        reach.is_some_and(|reach| self.covers(&reach, is_own, resource, updated_ms))
    }

    fn covers(&self, reach: &Reach, is_own: bool, resource: &Parsed<'_>, updated_ms: u64) -> bool {
        reach.covers(is_own, |filter| {
            let filter = std::slice::from_ref(filter);
            let query = Query::parse(
                resource.resource_type(),
                filter,
                Handling::Strict,
                &self.base,
            );
            // What cannot be understood of a scope reaches nothing.
            query.is_ok_and(|query| query.matches(resource, updated_ms))
        })
    }
}

impl Opened {
    /// The content, parsed.
    pub(crate) fn parsed(&self) -> Result<Parsed<'_>, Error> {
        Parsed::parse(self.content.as_bytes())
            .map_err(|_| Error::Damaged("a FHIR resource".to_owned()))
    }

    /// Type and id as they are in the content.
    pub(crate) fn id(&self) -> String {
        if let Some(id) = &self.known_id {
            return id.clone();
        }
        let parsed = Parsed::parse(self.content.as_bytes());
        let id = parsed
            .ok()
            .and_then(|parsed| Some(parsed.id()?.into_owned()));
        id.unwrap_or_else(|| self.record.to_string())
    }

    /// As it is told.
    pub(crate) fn resource(self) -> FhirResource {
        FhirResource {
            id: self.id(),
            kind: self.kind,
            version: self.version,
            updated_ms: self.updated_ms,
            content: (!self.is_deleted).then_some(self.content),
            is_subset: self.is_subset,
        }
    }
}

/// What a channel does, for the institution's policy.
fn action_of(channel: &str) -> Action {
    match channel {
        "fhir-search" | "fhir-match" => Action::Search,
        "fhir-history" => Action::History,
        "fhir-export" => Action::Export,
        _ => Action::Read,
    }
}

/// What somebody asks for who does not say.
fn usual_purpose(asker: &FhirAsker) -> Purpose {
    let caller = &asker.caller;
    let by_role = [
        (Role::Controller, Purpose::Patrqt),
        (Role::Device, Purpose::Patrqt),
        (Role::Researcher, Purpose::Hresch),
        (Role::PrivacyOfficer, Purpose::Hcompl),
        (Role::Auditor, Purpose::Hcompl),
        (Role::Desk, Purpose::Patadmin),
    ];
    let clinical = [
        Role::Clinician,
        Role::Geneticist,
        Role::Nurse,
        Role::EmergencyClinician,
        Role::Laboratory,
    ];
    if clinical.iter().any(|role| caller.has(*role)) {
        return Purpose::Treat;
    }
    let first = by_role.iter().find(|(role, _)| caller.has(*role));
    first.map_or(Purpose::Treat, |(_, purpose)| *purpose)
}

/// The rule by which what is about no patient is read.
fn directory_rule() -> Result<RuleName, Error> {
    RuleName::new("directory").map_err(|_| Error::Internal("a rule's name is malformed"))
}

/// The permitted part of a resource, with what every resource has, marked as a part.
fn subset(stored: &[u8], permitted: &BTreeSet<Category>) -> Option<Content> {
    let whole = Parsed::parse(stored).ok()?;
    let categories: Vec<Category> = permitted.iter().copied().collect();
    let part = whole.select(&categories)?;
    let document = json::parse(&part, &json::Limits::default()).ok()?;
    let root = document.root();
    let mut edits = Edits::new();
    let mut missing = Vec::new();
    if root.get("resourceType").is_none() {
        missing.push(("resourceType", quote(whole.resource_type())));
    }
    if let (None, Some(id)) = (root.get("id"), whole.id()) {
        missing.push(("id", quote(&id)));
    }
    let tags = root.get("meta").and_then(|meta| meta.get("tag"));
    match (root.get("meta"), tags) {
        (None, _) => missing.push(("meta", format!("{{\"tag\":[{SUBSETTED}]}}"))),
        (Some(meta), None) => edits.set_members(meta, None, &[("tag", format!("[{SUBSETTED}]"))]),
        (Some(_), Some(tags)) => {
            let separator = if tags.is_leaf() { "" } else { "," };
            let at = tags.span().end.saturating_sub(1);
            edits.replace_span(at..at, format!("{separator}{SUBSETTED}"));
        }
    }
    edits.set_members(root, None, &missing);
    let bytes = edits.apply(&document).ok()?;
    Some(Content::new(bytes))
}
