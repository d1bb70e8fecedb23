//! Studies: proposed by a researcher, approved by a committee, agreed to, opened on the ledger, ended.

use super::cohort::asker;
use super::rows::{MANY, StudyRow};
use super::terms::ancestors;
use super::{StudyMatching, StudyPropose, StudyQuery, StudyTake, StudyView, is_broad};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use codec::Category;
use codec::id::{Digest, StudyId, SubjectId};
use consent::{
    Actor, Curie, DataUse, Grantee, Match, Outcome, PractitionerAt, Purpose, Role, Signature,
    Study, StudyCase, StudyFacts, StudyStatus, StudyStep, match_use,
};
use ledger::entry::{Entry, StudyOpen};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::EntryPurpose;

/// The most subjects that are looked through for one matching.
const SUBJECTS_MAX: usize = 1_000_000;
/// The most sets of conditions that one matching shows.
const CONDITIONS_MAX: usize = 256;
/// Counts that a committee sees are rounded down to multiples of this.
const STEP: u64 = 5;

/// Who may look at studies: all who work here but devices and machines, and families.
const VIEWERS: [Role; 7] = [
    Role::Researcher,
    Role::Committee,
    Role::PrivacyOfficer,
    Role::Auditor,
    Role::Desk,
    Role::Clinician,
    Role::Controller,
];

impl<S: Store> Custodian<S> {
    /// Proposes a study.
    pub(crate) async fn study_propose(&self, input: StudyPropose) -> Result<StudyView, Error> {
        input
            .caller
            .needs("proposing a study", &[Role::Researcher])?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        let _turn = self.studies_turn.lock().await;
        if self.study_rows().await?.len() >= MANY {
            return Err(Error::Unavailable(
                "this institution has as many studies as it can keep".to_owned(),
            ));
        }
        let at = self.now();
        let mut declared = input.declared;
        declared.study = StudyId::new(self.ambient.random());
        let study = Study {
            title: input.title,
            summary: input.summary,
            institution: self.id,
            declared,
            purposes: input.purposes,
            categories: input.categories,
            limits: input.limits,
            proposed: Signature {
                by: person(&input.caller.actor),
                at,
            },
            approvals: Vec::new(),
            agreement: None,
        };
        let case = StudyCase::propose(study, &input.caller.actor, at).map_err(refused)?;
        let row = StudyRow {
            case,
            accepted: BTreeSet::new(),
        };
        self.study_row_put(None, &row).await?;
        self.study_shown(row, &input.caller)
    }

    /// Takes a step with a study. Opening it puts its policy's digest on the ledger.
    pub(crate) async fn study_take(&self, input: StudyTake) -> Result<StudyView, Error> {
        input.caller.needs(
            "deciding about a study",
            &[Role::Researcher, Role::Committee],
        )?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        // One at a time: an opening that another step overtook would stand on the ledger all the same.
        let _turn = self.studies_turn.lock().await;
        let read = self.study_row(&input.study).await?;
        let is_approval = matches!(input.step, StudyStep::Approve);
        if !is_approval && !input.accepted.is_empty() {
            return Err(Error::invalid(
                "study",
                "accepted",
                "conditions are accepted with the approval",
            ));
        }
        let opens = matches!(input.step, StudyStep::Open);
        let case = read
            .row
            .case
            .step(input.step, self.id, &input.caller.actor, self.now())
            .map_err(refused)?;
        if opens {
            // Before the row: an opening that is done again queues the same entry, once.
            let entry = Entry::StudyOpen(StudyOpen {
                institution: self.id,
                study: input.study,
                policy: case.study.digest(),
            });
            let signed = self.sign(&entry)?;
            let mut entropy = self.ambient.entropy();
            let purpose = EntryPurpose::Other("study-open".to_owned());
            self.vault
                .entry_queue(purpose, &signed, self.now(), &mut entropy)
                .await?;
        }
        let row = StudyRow {
            case,
            accepted: match is_approval {
                true => input.accepted,
                false => read.row.accepted.clone(),
            },
        };
        self.study_row_put(Some(&read), &row).await?;
        if opens {
            self.wakes.courier.wake();
        }
        self.study_shown(row, &input.caller)
    }

    /// A study.
    pub(crate) async fn study_show(&self, input: StudyQuery) -> Result<StudyView, Error> {
        self.study_viewer(&input.caller)?;
        let read = self.study_row(&input.study).await?;
        self.study_shown(read.row, &input.caller)
    }

    /// All studies of this institution, as they were proposed.
    pub(crate) async fn study_list(&self, caller: Caller) -> Result<Vec<StudyView>, Error> {
        self.study_viewer(&caller)?;
        let mut rows = self.study_rows().await?;
        rows.sort_by_key(|row| row.case.study.proposed.at);
        rows.into_iter()
            .map(|row| self.study_shown(row, &caller))
            .collect()
    }

    /// How a study matches what families agreed to. For the committee, which decides.
    pub(crate) async fn study_matching(&self, input: StudyQuery) -> Result<StudyMatching, Error> {
        input
            .caller
            .needs("matching a study", &[Role::Committee, Role::PrivacyOfficer])?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        let read = self.study_row(&input.study).await?;
        let study = &read.row.case.study;
        let above = self.disease_ancestors(study);
        let lookup = |disease: &Curie| above.get(disease).cloned();
        let mut conditions: BTreeMap<Vec<u8>, (DataUse, Match)> = BTreeMap::new();
        let (mut permitted, mut person, mut denied, mut none) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut after: Option<SubjectId> = None;
        let mut looked_at = 0;
        let directory = self.directory_known().await?;
        while looked_at < SUBJECTS_MAX {
            let page = self.vault.compartments(after.as_ref(), 256).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            looked_at += page.len();
            for subject in page.iter().filter(|subject| directory != Some(**subject)) {
                let standing = match self.standing(subject).await {
                    Ok(standing) => standing,
                    Err(Error::SubjectErased | Error::SubjectUnknown) => continue,
                    Err(error) => return Err(error),
                };
                let at = standing.facts.at();
                let state = standing.latest();
                let mut best: Option<Outcome> = None;
                for grant in &state.grants {
                    let running = grant.from <= at && at < grant.until;
                    if !running || grant.purposes.is_disjoint(&study.purposes) {
                        continue;
                    }
                    let outcome = match &grant.grantee {
                        Grantee::Study(id) if *id == study.id() => Outcome::Permitted,
                        Grantee::Research(data_use) => {
                            let key = codec::to_vec(data_use);
                            let found = match_use(data_use, &study.declared, &lookup);
                            let outcome = found.outcome;
                            if conditions.len() < CONDITIONS_MAX {
                                conditions
                                    .entry(key)
                                    .or_insert_with(|| (data_use.clone(), found));
                            }
                            outcome
                        }
                        _ => continue,
                    };
                    best = Some(best.map_or(outcome, |best| best.min(outcome)));
                }
                match best {
                    Some(Outcome::Permitted) => permitted += 1,
                    Some(Outcome::ForAPerson) => person += 1,
                    Some(Outcome::Denied) => denied += 1,
                    None => none += 1,
                }
            }
        }
        let rounded = |count: u64| count - count % STEP;
        Ok(StudyMatching {
            permitted: rounded(permitted),
            for_a_person: rounded(person),
            denied: rounded(denied),
            none: rounded(none),
            conditions: conditions.into_values().collect(),
        })
    }

    /// What is known of a study, for deciding about a request of `actor` for it.
    pub(crate) async fn study_facts(
        &self,
        study: &StudyId,
        actor: &Actor,
    ) -> Result<StudyFacts, Error> {
        let leaf = self.ledger.state_view().study(study);
        let row = match self.study_row(study).await {
            Ok(read) => read.row,
            Err(Error::Unknown(_)) => {
                let active = leaf.is_some_and(|leaf| leaf.institution == actor.institution);
                return Ok(StudyFacts {
                    active,
                    ..StudyFacts::default()
                });
            }
            Err(error) => return Err(error),
        };
        let StudyRow { case, accepted } = row;
        let is_open = case.status_at(self.facts().at()) == StudyStatus::Open;
        let as_on_ledger = leaf.is_some_and(|leaf| leaf.policy == case.study.digest());
        let takes_part = case
            .study
            .declared
            .institutions
            .contains(&actor.institution);
        let approval = case
            .study
            .approvals
            .iter()
            .find(|a| a.by.institution == self.id);
        Ok(StudyFacts {
            active: is_open && as_on_ledger && takes_part,
            approval: approval.cloned(),
            accepted,
            ancestors: self.disease_ancestors(&case.study),
            study: as_on_ledger.then_some(case.study),
        })
    }

    fn disease_ancestors(&self, study: &Study) -> BTreeMap<Curie, BTreeSet<Curie>> {
        let Some(insight) = &self.insight else {
            return BTreeMap::new();
        };
        let known =
            study.declared.diseases.iter().filter_map(|disease| {
                Some((disease.clone(), ancestors(&insight.knowledge, disease)?))
            });
        known.collect()
    }

    /// A study that may use data now, for somebody who researches in it.
    pub(crate) async fn study_open_for(
        &self,
        study: &StudyId,
        caller: &Caller,
    ) -> Result<Study, Error> {
        caller.needs("research", &[Role::Researcher])?;
        self.own_staff(caller)?;
        self.in_service()?;
        let row = self.study_row(study).await?.row;
        let status = row.case.status_at(self.facts().at());
        if status != StudyStatus::Open {
            return Err(Error::Conflict(Conflict::Done(
                "the study is not open: it needs the committee's approval, an accepted agreement, and to be opened",
            )));
        }
        named(&row.case.study, caller)?;
        let leaf = self.ledger.state_view().study(study);
        if leaf.is_none_or(|leaf| leaf.policy != row.case.study.digest()) {
            return Err(Error::Unavailable(
                "the study's opening is not on the ledger yet; try again in a moment".to_owned(),
            ));
        }
        Ok(row.case.study)
    }

    fn study_viewer(&self, caller: &Caller) -> Result<(), Error> {
        caller.needs("looking at studies", &VIEWERS)?;
        self.own_staff(caller)
    }

    fn study_shown(&self, row: StudyRow, caller: &Caller) -> Result<StudyView, Error> {
        let StudyRow { case, accepted } = row;
        let policy: Digest = case.study.digest();
        let leaf = self.ledger.state_view().study(&case.study.id());
        let leaf = leaf.filter(|leaf| leaf.policy == policy);
        let is_committee = caller.has(Role::Committee);
        Ok(StudyView {
            status: case.status_at(self.facts().at()),
            accepted: if is_committee {
                accepted
            } else {
                BTreeSet::new()
            },
            policy,
            on_ledger: leaf.is_some(),
            releases: leaf.map_or(0, |leaf| leaf.releases),
            case,
        })
    }

    /// The studies to whom a subject's consent allows data now.
    pub(crate) async fn studies_allowed(
        &self,
        subject: &SubjectId,
    ) -> Result<Vec<(StudyId, String)>, Error> {
        let standing = self.standing(subject).await?;
        let state = standing.latest();
        let grants_research =
            |grantee: &Grantee| is_broad(grantee) || matches!(grantee, Grantee::Study(_));
        let opt_out = !self.policy.opt_out.is_empty();
        if !opt_out
            && !state
                .grants
                .iter()
                .any(|grant| grants_research(&grant.grantee))
        {
            return Ok(Vec::new());
        }
        let mut allowed = Vec::new();
        for row in self.study_rows().await? {
            let study = &row.case.study;
            let actor = Actor {
                institution: study.institution,
                practitioner: study.proposed.by.practitioner.clone(),
                roles: [Role::Researcher].into(),
                slot: None,
            };
            let facts = self.study_facts(&study.id(), &actor).await?;
            let of = asker(actor, study.clone(), &facts);
            if self.admits(&of, subject, &standing).is_some() {
                allowed.push((study.id(), study.title.to_string()));
            }
        }
        Ok(allowed)
    }
}

/// Whether somebody is among those whom a study names, if it names any.
pub(super) fn named(study: &Study, caller: &Caller) -> Result<(), Error> {
    let users = &study.declared.users;
    if users.is_empty() || users.contains(&person(&caller.actor)) {
        return Ok(());
    }
    Err(Error::Forbidden {
        action: "research in this study",
        needs: "those whom the study names".to_owned(),
    })
}

/// Somebody at an institution.
pub(crate) fn person(actor: &Actor) -> PractitionerAt {
    PractitionerAt {
        institution: actor.institution,
        practitioner: actor.practitioner.clone(),
    }
}

fn refused(why: consent::StudyRefused) -> Error {
    use consent::StudyRefused as R;
    match why {
        R::Invalid(invalid) => Error::invalid("study", "", invalid.to_string()),
        R::NotAProposal => Error::invalid("study", "", why.to_string()),
        R::Role(role) => Error::Forbidden {
            action: "this step of a study",
            needs: role.to_string(),
        },
        R::Elsewhere => Error::Elsewhere,
        R::OwnStudy => Error::Conflict(Conflict::Done(
            "a study is approved or refused by someone other than whoever proposed it",
        )),
        R::OwnApproval => Error::Conflict(Conflict::Done(
            "who approved a study cannot accept its agreement",
        )),
        R::Status(_) => Error::Conflict(Conflict::Done(
            "the study cannot take this step where it stands; look at its status",
        )),
        R::Over(_) => Error::Conflict(Conflict::Done("the study's time is over")),
        R::TooEarly => Error::Unavailable("this node's clock is behind; try again".to_owned()),
    }
}

/// The categories that a study asks for.
pub(crate) fn categories(study: &Study) -> BTreeSet<Category> {
    study.categories.clone()
}

/// The purposes under which a study asks, the first in order first.
pub(crate) fn purposes(study: &Study) -> Vec<Purpose> {
    study.purposes.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use codec::time::Millis;
    use consent::{InvalidStudy, StudyRefused as R};

    #[test]
    fn every_refusal_of_a_study_is_a_sentence_with_its_kind() {
        let at = Millis::new(1_790_000_000_000);
        for (why, kind) in [
            (R::Invalid(InvalidStudy::K), Kind::Invalid),
            (R::NotAProposal, Kind::Invalid),
            (R::Role(Role::Committee), Kind::Forbidden),
            (R::Elsewhere, Kind::Forbidden),
            (R::OwnStudy, Kind::Conflict),
            (R::OwnApproval, Kind::Conflict),
            (R::Status(StudyStatus::Open), Kind::Conflict),
            (R::Over(at), Kind::Conflict),
            (R::TooEarly, Kind::Unavailable),
        ] {
            let error = refused(why);
            assert_eq!(error.kind(), kind, "{why:?}");
            let sentence = error.to_string();
            assert!(
                sentence.contains(' ') && !sentence.contains("{"),
                "{sentence}"
            );
        }
    }
}
