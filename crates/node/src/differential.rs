//! The differential diagnosis of a subject: made by the node from what records say, read by clinicians.
//!
//! - The node keeps each subject's phenotype profile and the standing of its differential in the compartment,
//!   made again when its records or its consent change, and when knowledge or counted cases do. A change that
//!   is worth telling is an event, and waits until a clinician has looked at it.
//! - Who reads a differential is decided and logged like a reading of the records it is made of; it is made of
//!   what that reader may see and of nothing else.
//! - It is for clinicians only: no family, no device, no researcher is ever sent one. Not for clinical use:
//!   [`answer::STATEMENT`] stands on each.

mod counted;
mod derive;
mod knowledge;
mod pass;
mod profile;

pub(crate) use derive::{RECORDS_BYTES_MAX, RECORDS_MAX, is_relevant};
pub(crate) use knowledge::Insight;
pub use knowledge::Knowledge;
pub(crate) use profile::terms;
pub use profile::{Cause, TurnKind};

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::record::{Content, FetchedRecord};
use answer::{Answer, Options};
use codec::Category;
use codec::id::{DisclosureId, RecordId, SubjectId};
use codec::time::Millis;
use consent::{Decision, Permit, Purpose, Records, Request, Role, Selection};
use findings::{Case, Document};
use institution_policy::Action;
use ontology::Ontology;
use profile::Profile;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::DerivedPut;

/// To whom a differential is shown.
pub const CLINICIANS: [Role; 3] = [Role::Clinician, Role::Geneticist, Role::EmergencyClinician];

/// The categories that a differential is made of.
pub(crate) const CATEGORIES: [Category; 4] = [
    Category::Identity,
    Category::Phenotype,
    Category::Genomic,
    Category::Laboratory,
];

/// The most candidates of one answer.
pub const CANDIDATES_MAX: usize = 100;
/// The most subjects of one list of changes.
const CHANGES_MAX: usize = 100;
/// The most subjects that are decided for one list.
const DECIDED_MAX: usize = 1_000;
/// The longest text that terms are searched for, in bytes.
const QUERY_MAX_BYTES: usize = 200;

/// Asks for a subject's differential.
#[derive(Debug, Clone)]
pub struct DifferentialQuery {
    /// A clinician.
    pub caller: Caller,
    /// What for.
    pub purpose: Purpose,
    /// Whose.
    pub subject: SubjectId,
    /// How many candidates, 1 to [`CANDIDATES_MAX`].
    pub limit: usize,
    /// Whether a person looks at it: its course is given, and its news is none from then on.
    pub is_look: bool,
}

/// A differential, made of what its reader may see.
#[derive(Debug)]
pub struct DifferentialShown {
    /// The log row of the reading.
    pub disclosure: DisclosureId,
    /// Why it was permitted, and how far.
    pub permit: Permit,
    /// The answer.
    pub answer: Answer,
    /// What became of it until now, for a look; none for who may not see all that it rests on.
    pub course: Option<Course>,
}

/// The course of a subject's differential.
#[derive(Clone, PartialEq, Eq)]
pub struct Course {
    /// The disease that the records give as the diagnosis.
    pub solved: Option<String>,
    /// Since when which disease could be found here.
    pub findable: Vec<(String, Millis)>,
    /// The changes that were worth telling, oldest first.
    pub changes: Vec<ChangeShown>,
}

/// A change of a differential.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeShown {
    /// When.
    pub at: Millis,
    /// What.
    pub kind: TurnKind,
    /// Of which disease.
    pub disease: String,
    /// Its probability before, in parts of a million.
    pub before_ppm: u32,
    /// And after.
    pub ppm: u32,
    /// Why the answer was made again.
    pub cause: Cause,
    /// Whether nobody had looked at it before this reading.
    pub is_news: bool,
}

/// Asks whose differentials changed.
#[derive(Debug, Clone)]
pub struct DifferentialChanges {
    /// A clinician.
    pub caller: Caller,
}

/// A subject whose differential has news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferentialNews {
    /// Whose.
    pub subject: SubjectId,
    /// Since when.
    pub since: Millis,
}

/// The newest news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferentialNewsList {
    /// At most 100, newest first.
    pub news: Vec<DifferentialNews>,
    /// Whether there is more, or may be.
    pub truncated: bool,
}

/// A case without a subject.
#[derive(Debug, Clone)]
pub struct Diagnose {
    /// A clinician.
    pub caller: Caller,
    /// A phenopacket, FHIR resource or Bundle, or plain list.
    pub case: Content,
    /// How many candidates, 1 to [`CANDIDATES_MAX`].
    pub limit: usize,
}

/// Searches for terms.
#[derive(Clone)]
pub struct TermQuery {
    /// Anybody of this institution.
    pub caller: Caller,
    /// A part of a name or an id.
    pub text: String,
    /// How many, at most.
    pub limit: usize,
}

/// A term that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct TermFound {
    /// Its id.
    pub id: String,
    /// Its name.
    pub label: String,
    /// What of it was found.
    pub matched: String,
    /// What that is: `id`, `label`, `synonym`, `layperson` or `everyday`.
    pub kind: &'static str,
    /// Whether the text was taken for a slip of it.
    pub corrected: bool,
}

/// Asks whether a caller may hear of a subject.
#[derive(Debug, Clone)]
pub struct HearQuery {
    /// Who would hear.
    pub caller: Caller,
    /// Of whom.
    pub subject: SubjectId,
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn differential(
        &self,
        input: DifferentialQuery,
    ) -> Result<DifferentialShown, Error> {
        let insight = self.insight()?;
        self.clinician("reading a differential", &input.caller)?;
        input.caller.reaches(&input.subject)?;
        let options = options(input.limit)?;
        let subject = &input.subject;
        let relevant = self.relevant_to_tell(subject).await?;
        let request = Request {
            actor: input.caller.actor.clone(),
            purpose: input.purpose,
            subject: *subject,
            selection: Selection {
                categories: CATEGORIES.into(),
                records: relevant.records(),
            },
            study: None,
            partial: true,
        };
        let trace = Trace {
            channel: Some("differential"),
            asked: None,
        };
        let (permit, disclosure, records) = if relevant.metas.is_empty() {
            let (permit, disclosure) = self.permitted_unread(request, &trace).await?;
            (permit, disclosure, Vec::new())
        } else {
            self.opened_now(&request, None, &trace).await?
        };
        // INVARIANT: nothing is opened before this line.
        let ontology = insight.ontology();
        let case = case_of(ontology, &documents(&records, None))?;
        let made = insight.made();
        let aside = made.aside(subject, &case.publications);
        let options = Options {
            aside: &aside,
            ..options
        };
        let mut answer = Answer::new(ontology, &made.model, &case, &options).map_err(refused)?;
        if relevant.all > relevant.metas.len() {
            answer.understood.notes.push(format!(
                "only the newest {} of {} records were read: there is no room for more",
                relevant.metas.len(),
                relevant.all
            ));
        }
        let course = match input.is_look && sees_all(&permit) {
            true => self.course(insight, subject).await?,
            false => None,
        };
        self.counters.differentials.up();
        Ok(DifferentialShown {
            disclosure,
            permit,
            answer,
            course,
        })
    }

    /// As [`Custodian::relevant`], for a caller: of whom nothing is here is told by the decision, not before.
    async fn relevant_to_tell(&self, subject: &SubjectId) -> Result<derive::Relevant, Error> {
        match self.relevant(subject).await {
            Err(Error::SubjectErased) => Ok(derive::Relevant {
                metas: Vec::new(),
                all: 0,
            }),
            relevant => relevant,
        }
    }

    /// The course of a differential; a clinician has looked at it now.
    async fn course(
        &self,
        insight: &Insight,
        subject: &SubjectId,
    ) -> Result<Option<Course>, Error> {
        let Some(derive::Read {
            row,
            profile: Some(mut profile),
        }) = self.profile(subject).await?
        else {
            return Ok(None);
        };
        let course = course(&profile);
        if profile.see(self.logged_now()) {
            let put = DerivedPut {
                subject: *subject,
                old: Some(&row),
                value: &codec::to_vec(&profile),
            };
            let mut entropy = self.ambient.entropy();
            match self.vault.derived_put(&[put], &mut entropy).await {
                Ok(()) => {
                    insight.unseen().remove(subject);
                    // It may have been made again since, with news of its own.
                    let now = self.profile(subject).await?;
                    let now = now.and_then(|read| read.profile);
                    if let Some(at) = now.and_then(|profile| profile.unseen_since()) {
                        insight.unseen().insert(*subject, at);
                    }
                }
                // It was just made again, or the disk is full: it stays news.
                Err(vault::Error::Busy | vault::Error::Store(store::Error::Full)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(course))
    }

    pub(crate) async fn differential_changes(
        &self,
        input: DifferentialChanges,
    ) -> Result<DifferentialNewsList, Error> {
        let insight = self.insight()?;
        self.clinician("reading differentials", &input.caller)?;
        if !insight.is_loaded() {
            return Err(Error::Unavailable(
                "the differentials are still being taken up after the start; ask again".to_owned(),
            ));
        }
        let mut unseen: Vec<(Millis, SubjectId)> = insight
            .unseen()
            .iter()
            .map(|(subject, at)| (*at, *subject))
            .collect();
        unseen.sort_unstable_by(|a, b| b.cmp(a));
        let (mut news, mut logs) = (Vec::new(), Vec::new());
        let mut truncated = unseen.len() > DECIDED_MAX;
        for (since, subject) in unseen.into_iter().take(DECIDED_MAX) {
            if news.len() >= CHANGES_MAX {
                truncated = true;
                break;
            }
            if input.caller.reaches(&subject).is_err() {
                continue;
            }
            let request = treating(&input.caller, &subject);
            let permit = match self.would_permit(&request).await {
                Ok(permit) => permit,
                // One subject with which something is wrong hides no others.
                Err(Error::SubjectErased | Error::SubjectUnknown | Error::Unavailable(_)) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(permit) = permit.filter(sees_all) {
                logs.push(told_of(request, permit));
                news.push(DifferentialNews { subject, since });
            }
        }
        self.disclosures_log(logs).await?;
        Ok(DifferentialNewsList { news, truncated })
    }

    /// An answer for a case that is nobody's here: nothing is kept, and nothing logged.
    pub(crate) async fn diagnose(&self, input: Diagnose) -> Result<Answer, Error> {
        let insight = self.insight()?;
        self.clinician("asking for a diagnosis", &input.caller)?;
        let options = options(input.limit)?;
        let ontology = insight.ontology();
        let case = findings::read(input.case.as_bytes(), ontology)
            .map_err(|error| Error::invalid("case", "", error.to_string()))?;
        let made = insight.made();
        let aside = made.aside(&SubjectId::new([0; SubjectId::LEN]), &case.publications);
        let options = Options {
            aside: &aside,
            ..options
        };
        let answer = Answer::new(ontology, &made.model, &case, &options).map_err(refused)?;
        self.counters.diagnoses.up();
        Ok(answer)
    }

    pub(crate) async fn term_search(&self, input: TermQuery) -> Result<Vec<TermFound>, Error> {
        let insight = self.insight()?;
        self.own_staff(&input.caller)?;
        if input.text.len() > QUERY_MAX_BYTES {
            return Err(Error::TooLarge {
                what: "a search text",
                size_bytes: input.text.len() as u64,
                limit_bytes: QUERY_MAX_BYTES as u64,
            });
        }
        let ontology = insight.ontology();
        let hits = ontology.search(&input.text, input.limit.clamp(1, ontology::MAX_HITS));
        let found = hits.into_iter().map(|hit| {
            let term = ontology.term(hit.term);
            TermFound {
                id: term.id().to_string(),
                label: term.label().to_owned(),
                matched: hit.text.to_owned(),
                kind: match hit.kind {
                    ontology::HitKind::Id => "id",
                    ontology::HitKind::Label => "label",
                    ontology::HitKind::Synonym => "synonym",
                    ontology::HitKind::Layperson => "layperson",
                    ontology::HitKind::Everyday => "everyday",
                },
                corrected: hit.corrected,
            }
        });
        Ok(found.collect())
    }

    /// Refuses people of other institutions.
    pub(crate) async fn welcome(&self, caller: Caller) -> Result<(), Error> {
        self.own_staff(&caller)
    }

    /// Refuses who is no clinician of this institution, or is one and acts for a family with the same token.
    fn clinician(&self, action: &'static str, caller: &Caller) -> Result<(), Error> {
        caller.needs(action, &CLINICIANS)?;
        if caller.has(Role::Controller) {
            return Err(Error::Forbidden {
                action,
                needs: "a clinician, and not a controller".to_owned(),
            });
        }
        self.own_staff(caller)?;
        self.house_lets(caller, Action::Differential, "Differential")
    }

    /// Whether a clinician may hear that a subject's differential has news; that it hears is logged.
    pub(crate) async fn hear_news(&self, input: HearQuery) -> Result<bool, Error> {
        let is_clinician = self.clinician("hearing of differentials", &input.caller);
        if is_clinician.is_err() || input.caller.reaches(&input.subject).is_err() {
            return Ok(false);
        }
        let request = treating(&input.caller, &input.subject);
        match self.would_permit(&request).await {
            Ok(Some(permit)) if sees_all(&permit) => {
                self.disclosures_log(vec![told_of(request, permit)]).await?;
                Ok(true)
            }
            Ok(_) | Err(Error::SubjectErased | Error::SubjectUnknown) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a caller acts for a subject, and so may hear that something of it changed. Staff reads, and that
    /// is logged: a stream of all that comes in would be a list of records that nobody logged.
    pub(crate) async fn may_hear(&self, input: HearQuery) -> Result<bool, Error> {
        let bound = input.caller.has(Role::Controller)
            && input.caller.reaches(&input.subject).is_ok()
            && self.own_staff(&input.caller).is_ok();
        if !bound {
            return Ok(false);
        }
        let controls = self.still_controls(&input.caller, &input.subject).await;
        Ok(controls.is_ok())
    }

    /// A subject's records or consent changed, and its mark says so: to be looked at soon.
    pub(crate) fn differential_due(&self, subject: &SubjectId) {
        if let Some(insight) = &self.insight {
            insight.due(*subject);
            self.wakes.differentials.wake();
        }
    }

    fn insight(&self) -> Result<&Insight, Error> {
        let insight = self.insight.as_deref();
        insight.ok_or_else(|| {
            Error::Unavailable("this node was started without knowledge of diseases".to_owned())
        })
    }

    /// What a request would be permitted now, when nothing is read: not logged.
    pub(crate) async fn would_permit(&self, request: &Request) -> Result<Option<Permit>, Error> {
        let standing = self.standing(&request.subject).await?;
        self.in_service_for(&standing)?;
        let effective = standing.effective();
        match consent::decide(&self.policy, &effective, request, &standing.facts) {
            Decision::Permit(permit) => Ok(Some(permit)),
            Decision::Deny(_) => Ok(None),
        }
    }
}

/// Whether a permit is for all that a differential rests on.
fn sees_all(permit: &Permit) -> bool {
    let all = CATEGORIES.iter().all(|c| permit.categories.contains(c));
    all && !permit.withholds()
}

/// That somebody was told of news, for the log.
fn told_of(request: Request, permit: Permit) -> Logging {
    Logging {
        request,
        outcome: vault::Outcome::Permitted(permit.because),
        records: Vec::new(),
        stale: permit.stale,
        session: None,
        channel: Some("differential-changes"),
        asked: None,
    }
}

/// A clinician's reading of all that a differential is made of, for treatment.
fn treating(caller: &Caller, subject: &SubjectId) -> Request {
    Request {
        actor: caller.actor.clone(),
        purpose: Purpose::Treat,
        subject: *subject,
        selection: Selection {
            categories: CATEGORIES.into(),
            records: Records::All,
        },
        study: None,
        partial: true,
    }
}

fn options(limit: usize) -> Result<Options<'static>, Error> {
    if !(1..=CANDIDATES_MAX).contains(&limit) {
        let message = format!("ask for 1 to {CANDIDATES_MAX} candidates");
        return Err(Error::invalid("request", "limit", message));
    }
    Ok(Options {
        limit,
        genes: true,
        aside: &[],
    })
}

fn refused(refused: diagnosis::Refused) -> Error {
    Error::invalid("case", "", refused.to_string())
}

fn course(profile: &Profile) -> Course {
    Course {
        solved: profile.solved.clone(),
        findable: profile
            .found
            .iter()
            .map(|found| (found.disease.clone(), found.at))
            .collect(),
        changes: profile
            .turns
            .iter()
            .map(|turn| ChangeShown {
                at: turn.at,
                kind: turn.kind,
                disease: turn.disease.clone(),
                before_ppm: turn.before_ppm,
                ppm: turn.ppm,
                cause: turn.cause,
                is_news: turn.seen.is_none(),
            })
            .collect(),
    }
}

/// What is opened of records, as documents: whole where all of it is permitted, else its permitted parts.
/// `only` narrows it to some categories of some records.
pub(crate) fn documents(
    records: &[FetchedRecord],
    only: Option<&BTreeMap<RecordId, BTreeSet<Category>>>,
) -> Vec<(String, Vec<Content>)> {
    let mut documents = Vec::with_capacity(records.len());
    for record in records {
        let id = record.meta.record;
        let permitted = match only {
            None => None,
            Some(only) => match only.get(&id) {
                Some(permitted) => Some(permitted),
                None => continue,
            },
        };
        let all = record.projections.iter().map(|part| part.category);
        let is_whole =
            permitted.is_none_or(|permitted| all.clone().all(|c| permitted.contains(&c)));
        let contents = match &record.stored_form {
            Some(whole) if is_whole => vec![whole.clone()],
            _ => record
                .projections
                .iter()
                .filter(|part| permitted.is_none_or(|permitted| permitted.contains(&part.category)))
                .map(|part| part.bytes.clone())
                .collect(),
        };
        documents.push((id.to_string(), contents));
    }
    documents
}

/// The case that documents of one subject make.
pub(crate) fn case_of(
    ontology: &Ontology,
    documents: &[(String, Vec<Content>)],
) -> Result<Case, Error> {
    let documents: Vec<Document<'_>> = documents
        .iter()
        .flat_map(|(name, contents)| {
            contents.iter().map(|content| Document {
                name,
                bytes: content.as_bytes(),
            })
        })
        .collect();
    findings::read_all(&documents, ontology)
        .map_err(|error| Error::invalid("case", "", error.to_string()))
}

macro_rules! redacted {
    ($($name:ident)*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        })*
    };
}

redacted!(Course ChangeShown TermQuery);
