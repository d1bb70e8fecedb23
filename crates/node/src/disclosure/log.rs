//! Logging disclosures, refusals and acts; listing them for those concerned.

use super::{DisclosureList, DisclosureQuery, DisclosureView, Outcome};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::Category;
use codec::id::{DisclosureId, RecordId, SubjectId};
use codec::time::Millis;
use consent::safeguarding::is_shown;
use consent::{
    Basis, Because, ControllerRole, Denial, Missing, Purpose, Request, Role, RuleName,
    Standing as Hold,
};
use std::collections::BTreeSet;
use store::Store;
use vault::{DelayState, Disclosure, LoggedDisclosure};

/// The most disclosures of one answer.
const LIST_MAX: usize = 1_000;

/// A disclosure to be logged, before it has an id and a time.
pub(crate) struct Logging {
    pub(crate) request: Request,
    pub(crate) outcome: vault::Outcome,
    pub(crate) records: Vec<RecordId>,
    pub(crate) stale: bool,
    pub(crate) session: Option<DisclosureId>,
    pub(crate) channel: Option<&'static str>,
    /// The signed request of another institution.
    pub(crate) asked: Option<Vec<u8>>,
}

/// How a request came, beside what it asks.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    /// In a word.
    pub(crate) channel: Option<&'static str>,
    /// The signed request of another institution.
    pub(crate) asked: Option<Vec<u8>>,
}

/// A subject's trail, as far as somebody may look at it now.
pub(crate) struct Trail {
    viewer: Option<ControllerRole>,
    delays: Vec<(DisclosureId, DelayState)>,
    at: Millis,
    /// The log row of looking at it by office.
    pub(crate) logged: Option<DisclosureId>,
}

impl Trail {
    /// Whether a disclosure is shown.
    pub(crate) fn shows(&self, id: &DisclosureId) -> bool {
        is_visible(&self.delays, id, self.viewer, self.at)
    }
}

/// The rule by which those whose office it is act.
pub(crate) fn office() -> Result<RuleName, Error> {
    RuleName::new("office").map_err(|_| Error::Internal("a rule's name is malformed"))
}

/// The refusal once a subject's records were erased.
pub(crate) fn erased() -> Denial {
    Denial {
        missing: vec![Missing::Erased],
    }
}

impl<S: Store> Custodian<S> {
    /// Logs a disclosure: durable when it returns.
    pub(crate) async fn disclosure_log(&self, logging: Logging) -> Result<DisclosureId, Error> {
        let disclosure = self.disclosure_of(logging);
        self.vault
            .disclosure_log(&disclosure, &mut self.ambient.entropy())
            .await?;
        self.counters.disclosures.up();
        Ok(disclosure.id)
    }

    /// Logs several disclosures and refusals in one write: durable when it returns.
    pub(crate) async fn disclosures_log(
        &self,
        logging: Vec<Logging>,
    ) -> Result<Vec<DisclosureId>, Error> {
        if logging.is_empty() {
            return Ok(Vec::new());
        }
        let disclosures = logging.into_iter().map(|one| self.disclosure_of(one));
        let disclosures: Vec<Disclosure> = disclosures.collect();
        self.vault
            .disclosures_log(&disclosures, &mut self.ambient.entropy())
            .await?;
        for disclosure in &disclosures {
            self.counters.disclosures.up();
            if matches!(disclosure.outcome, vault::Outcome::Refused(_)) {
                self.counters.refusals.up();
            }
        }
        Ok(disclosures.into_iter().map(|one| one.id).collect())
    }

    fn disclosure_of(&self, logging: Logging) -> Disclosure {
        Disclosure {
            id: DisclosureId::new(self.ambient.random()),
            at: self.logged_now(),
            request: logging.request,
            outcome: logging.outcome,
            records: logging.records,
            stale: logging.stale,
            session: logging.session,
            channel: logging.channel.map(str::to_owned),
            asked: logging.asked,
        }
    }

    /// Logs a refusal and gives the error that tells it.
    pub(crate) async fn refusal_log(
        &self,
        request: Request,
        denial: Denial,
        stale: bool,
        trace: &Trace,
    ) -> Error {
        let shown = denial.for_asker();
        let logged = self
            .disclosure_log(Logging {
                request,
                outcome: vault::Outcome::Refused(denial.missing),
                records: Vec::new(),
                stale,
                session: None,
                channel: trace.channel,
                asked: trace.asked.clone(),
            })
            .await;
        self.counters.refusals.up();
        match logged {
            Ok(disclosure) => Error::Denied {
                disclosure,
                denial: shown,
            },
            Err(error) => error,
        }
    }

    /// Logs an act that is no read of records: who did it, to which subject.
    pub(crate) async fn act_log(
        &self,
        caller: &Caller,
        subject: &SubjectId,
        purpose: Purpose,
        act: &'static str,
    ) -> Result<DisclosureId, Error> {
        self.disclosure_log(act_of(caller, subject, purpose, act)?)
            .await
    }

    /// Logs one act in the lists of several subjects, in one write.
    pub(crate) async fn acts_log(
        &self,
        caller: &Caller,
        subjects: &[SubjectId],
        purpose: Purpose,
        act: &'static str,
    ) -> Result<(), Error> {
        let acts = subjects
            .iter()
            .map(|subject| act_of(caller, subject, purpose, act));
        self.disclosures_log(acts.collect::<Result<_, _>>()?)
            .await?;
        Ok(())
    }

    pub(crate) async fn disclosure_list(
        &self,
        input: DisclosureQuery,
    ) -> Result<DisclosureList, Error> {
        let trail = self.trail(&input.caller, &input.subject).await?;
        let (logged, truncated) = self
            .vault
            .disclosure_list(&input.subject, input.from, input.until, LIST_MAX)
            .await?;
        let visible = logged
            .into_iter()
            .filter(|logged| trail.shows(&logged.disclosure.id));
        Ok(DisclosureList {
            disclosures: visible.map(|logged| view(&logged, &trail.delays)).collect(),
            truncated,
        })
    }

    /// Lets a caller look at a subject's trail; who looks by office is logged before anything is shown.
    pub(crate) async fn trail(&self, caller: &Caller, subject: &SubjectId) -> Result<Trail, Error> {
        let viewer = self.viewer(caller, subject).await?;
        let logged = match viewer {
            Some(_) => None,
            None => {
                let act = self.act_log(caller, subject, Purpose::Hcompl, "disclosure-list");
                Some(act.await?)
            }
        };
        Ok(Trail {
            viewer,
            delays: self.vault.delays(subject).await?,
            at: self.facts().at(),
            logged,
        })
    }

    /// In which right the caller looks at a subject's trail: as a controller, or (none) by office.
    pub(crate) async fn viewer(
        &self,
        caller: &Caller,
        subject: &SubjectId,
    ) -> Result<Option<ControllerRole>, Error> {
        let roles = [Role::Controller, Role::PrivacyOfficer, Role::Auditor];
        caller.needs("reading disclosures", &roles)?;
        caller.reaches(subject)?;
        self.own_staff(caller)?;
        if caller.has(Role::PrivacyOfficer) || caller.has(Role::Auditor) {
            return Ok(None);
        }
        self.controller(caller, subject).await.map(Some)
    }

    /// Refuses a caller who is here as a controller but controls the subject no more.
    pub(crate) async fn still_controls(
        &self,
        caller: &Caller,
        subject: &SubjectId,
    ) -> Result<(), Error> {
        if caller.has(Role::Controller) {
            self.controller(caller, subject).await?;
        }
        Ok(())
    }

    /// In which right a controller acts now. Of an erased subject those act who controlled it last, as long
    /// as they would still control it: the audit compartment knows who they were.
    pub(crate) async fn controller(
        &self,
        caller: &Caller,
        subject: &SubjectId,
    ) -> Result<ControllerRole, Error> {
        let control = match self.standing(subject).await {
            Ok(standing) => standing.latest().control(),
            Err(Error::SubjectErased) => {
                let kept = self.vault.control_kept(subject).await?;
                kept.ok_or(Error::ControlEnded)?
            }
            Err(error) => return Err(error),
        };
        let slot = caller.actor.slot.ok_or(Error::OutOfScope)?;
        match control.standing(slot, self.facts().at()) {
            Hold::InControl(role) => Ok(role),
            Hold::Ended(_) | Hold::Matured(_) | Hold::Vacant => Err(Error::ControlEnded),
        }
    }
}

fn act_of(
    caller: &Caller,
    subject: &SubjectId,
    purpose: Purpose,
    act: &'static str,
) -> Result<Logging, Error> {
    Ok(Logging {
        request: caller.act(subject, purpose),
        outcome: vault::Outcome::Permitted(vec![Because {
            basis: Basis::Policy(office()?),
            categories: BTreeSet::new(),
        }]),
        records: Vec::new(),
        stale: false,
        session: None,
        channel: Some(act),
        asked: None,
    })
}

/// Whether a disclosure is shown now to whoever looks in that right. By office one sees all of them.
pub(crate) fn is_visible(
    delays: &[(DisclosureId, DelayState)],
    id: &DisclosureId,
    viewer: Option<ControllerRole>,
    at: Millis,
) -> bool {
    let Some(viewer) = viewer else {
        return true;
    };
    let approved: Vec<_> = delays
        .iter()
        .filter_map(|(_, state)| match state {
            DelayState::Approved(delay) => Some(delay.clone()),
            DelayState::Proposed(_) => None,
        })
        .collect();
    is_shown(&approved, id, viewer, at)
}

pub(crate) fn view(
    logged: &LoggedDisclosure,
    delays: &[(DisclosureId, DelayState)],
) -> DisclosureView {
    let disclosure = &logged.disclosure;
    let request = &disclosure.request;
    let (categories, outcome) = match &disclosure.outcome {
        vault::Outcome::Permitted(because) => {
            let permitted: BTreeSet<Category> = because
                .iter()
                .flat_map(|because| because.categories.iter().copied())
                .collect();
            let basis = because.first().map(|because| because.basis.clone());
            let basis = basis.unwrap_or(Basis::SystemProjection);
            (permitted, Outcome::Permitted(basis))
        }
        vault::Outcome::Refused(missing) => (
            request.selection.categories.clone(),
            Outcome::Refused(missing.clone()),
        ),
    };
    DisclosureView {
        id: disclosure.id,
        at: disclosure.at,
        period: logged.period,
        institution: request.actor.institution,
        practitioner: request.actor.practitioner.clone(),
        purpose: request.purpose,
        study: request.study,
        categories: categories.into_iter().collect(),
        records: disclosure.records.clone(),
        outcome,
        session: disclosure.session,
        act: disclosure.channel.clone(),
        delayed: delays
            .iter()
            .any(|(id, state)| *id == disclosure.id && matches!(state, DelayState::Approved(_))),
    }
}
