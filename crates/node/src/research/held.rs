//! What research holds of a subject, for the subject.

use super::cohort::asker;
use super::rows::ReleaseState;
use super::{HeldView, Recontact, ResearchHeld, ResearchQuery};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::record::fetch::Judged;
use codec::id::{DisclosureId, StudyId, SubjectId};
use consent::Study;
use deident::StudyKey;
use store::Store;
use vault::Notice;

/// How long the family may take to be told, ms.
const TELL_MS: u64 = 72 * 3_600_000;
/// How long the answer to a request for contact takes: longer than a decision, two log rows and a notice.
const TAKES_MS: u64 = 500;
/// A family is told of a study that asks for contact once in so long.
const ASK_AGAIN_MS: u64 = 30 * 24 * 3_600_000;

impl<S: Store> Custodian<S> {
    /// Which releases hold a subject's data, at what risk, for which study; what counts have learnt; and which
    /// studies may use its data now.
    pub(crate) async fn research_held(&self, input: ResearchQuery) -> Result<ResearchHeld, Error> {
        let subject = &input.subject;
        // Who looks by office is logged before anything is shown.
        self.trail(&input.caller, subject).await?;
        let mut releases = Vec::new();
        for (id, held) in self.vault.research_held(subject).await? {
            // What was refused, or is not certified yet, has not left.
            let row = match self.release_row(&held.study, held.number).await {
                Ok(read) => Some(read.row),
                Err(Error::Unknown(_)) => None,
                Err(error) => return Err(error),
            };
            let left = row
                .as_ref()
                .is_none_or(|row| row.id == id && matches!(row.state, ReleaseState::Released(_)));
            if !left {
                continue;
            }
            let study = self.study_row(&held.study).await.ok();
            let study = study.map(|read| read.row.case.study);
            releases.push(HeldView {
                study: held.study,
                title: study.as_ref().map(|study| study.title.to_string()),
                summary: study.as_ref().map(|study| study.summary.to_string()),
                number: held.number,
                at: held.at,
                risk_ppm: held.risk_ppm,
                certificate: held.certificate,
            });
        }
        releases.sort_by_key(|held| (held.at, held.study, held.number));
        let studies = match self.studies_allowed(subject).await {
            Ok(studies) => studies,
            // What has left is told of the erased too.
            Err(Error::SubjectErased) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(ResearchHeld {
            releases,
            spent: self.subject_spent(subject).await?,
            studies,
        })
    }

    /// Opens a re-contact token and, if the subject's consent permits the study its identity, logs that and tells
    /// the family that the study asks to be contacted. The study learns only that its request was taken, and that
    /// takes as long for anybody as for nobody.
    pub(crate) async fn recontact(&self, input: Recontact) -> Result<(), Error> {
        let study = self.study_open_for(&input.study, &input.caller).await?;
        let key = self.study_key(&study.id());
        let opened = key
            .open_recontact(&input.token)
            .map_err(|_| Error::invalid("token", "", "it is not of this study and custodian"))?;
        let Ok(subject) = SubjectId::try_from(opened.as_slice()) else {
            return Err(Error::Internal("a token holds no subject"));
        };
        let taken = self.recontact_taken(&input.caller, &study, &subject);
        let (taken, ()) = futures::join!(taken, self.ambient.sleep_ms(TAKES_MS));
        match taken {
            // Somebody who is here no longer.
            Err(Error::SubjectUnknown | Error::SubjectErased) => Ok(()),
            taken => taken,
        }
    }

    async fn recontact_taken(
        &self,
        caller: &Caller,
        study: &Study,
        subject: &SubjectId,
    ) -> Result<(), Error> {
        if *subject == NOBODY {
            return Ok(());
        }
        let facts = self.study_facts(&study.id(), &caller.actor).await?;
        let asker = asker(caller.actor.clone(), study.clone(), &facts);
        let standing = self.standing(subject).await?;
        let (request, _) = self.identity_request(&asker, subject, &standing)?;
        let trace = Trace {
            channel: Some("recontact"),
            asked: None,
        };
        match self.judge(request, &[]).await? {
            Judged::Permitted(decided) => {
                let disclosure = self
                    .disclosure_log(decided.logging(Vec::new(), &trace))
                    .await?;
                self.recontact_tell(subject, study, disclosure).await
            }
            Judged::Refused {
                request,
                denial,
                stale,
            } => {
                self.disclosure_log(Logging {
                    request,
                    outcome: vault::Outcome::Refused(denial.missing),
                    records: Vec::new(),
                    stale,
                    session: None,
                    channel: trace.channel,
                    asked: None,
                })
                .await?;
                self.counters.refusals.up();
                Ok(())
            }
        }
    }

    async fn recontact_tell(
        &self,
        subject: &SubjectId,
        study: &Study,
        disclosure: DisclosureId,
    ) -> Result<(), Error> {
        let now = self.logged_now();
        let notice = Notice {
            due: now.saturating_add(TELL_MS),
            sentence: format!(
                "The study \"{}\" asks whether you want to be contacted. Nothing was told to it; your hospital's \
                 desk knows how to answer.",
                study.title
            ),
            about: Some(disclosure),
            told: None,
        };
        // However often a study asks, a family is told of it once in a while.
        let month = (now.get() / ASK_AGAIN_MS).to_be_bytes();
        let name = self.vault.blind_name(&[
            b"recontact",
            study.id().as_bytes(),
            subject.as_bytes(),
            &month,
        ]);
        let id = name.as_bytes().get(..DisclosureId::LEN).unwrap_or_default();
        let id = DisclosureId::try_from(id).map_err(|_| Error::Internal("an id is too long"))?;
        let mut entropy = self.ambient.entropy();
        match self
            .vault
            .notice_put(subject, &id, &notice, &mut entropy)
            .await
        {
            Err(vault::Error::Conflict(_)) => Ok(()),
            put => Ok(put?),
        }
    }

    /// The key of a study and this custodian: pseudonyms and tokens.
    pub(super) fn study_key(&self, study: &StudyId) -> StudyKey {
        StudyKey::derive(&self.vault.research_secret(), study.as_bytes())
    }
}

/// The subject for whom nobody's token stands.
pub(super) const NOBODY: SubjectId = SubjectId::new([0; 32]);
