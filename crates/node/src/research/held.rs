//! What research holds of a subject, for the subject.

use super::rows::ReleaseState;
use super::{HeldView, Recontact, ResearchHeld, ResearchQuery};
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::record::fetch::Judged;
use codec::Category;
use codec::id::{DisclosureId, StudyId, SubjectId};
use consent::{Purpose, Records, Request, Selection, Study};
use deident::StudyKey;
use store::Store;
use vault::Notice;

/// How long the family may take to be told, ms.
const TELL_MS: u64 = 72 * 3_600_000;

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
    /// the family that the study asks to be contacted. The study learns only that its request was taken.
    pub(crate) async fn recontact(&self, input: Recontact) -> Result<(), Error> {
        let study = self.study_open_for(&input.study, &input.caller).await?;
        let key = self.study_key(&study.id());
        let opened = key
            .open_recontact(&input.token)
            .map_err(|_| Error::invalid("token", "", "it is not of this study and custodian"))?;
        let Ok(subject) = SubjectId::try_from(opened.as_slice()) else {
            return Err(Error::Internal("a token holds no subject"));
        };
        // One of those that stand for nobody, or somebody who is here no longer.
        if self.vault.compartments(None, 1).await?.is_empty() || is_nobody(&subject) {
            return Ok(());
        }
        let purpose = study
            .purposes
            .iter()
            .next()
            .copied()
            .unwrap_or(Purpose::Hresch);
        let request = Request {
            actor: input.caller.actor.clone(),
            purpose,
            subject,
            selection: Selection {
                categories: [Category::Identity].into(),
                records: Records::All,
            },
            study: Some(study.id()),
            partial: false,
        };
        let trace = Trace {
            channel: Some("recontact"),
            asked: None,
        };
        match self.judge(request, &[]).await {
            Ok(Judged::Permitted(decided)) => {
                let disclosure = self
                    .disclosure_log(decided.logging(Vec::new(), &trace))
                    .await?;
                self.recontact_tell(&subject, &study, disclosure).await
            }
            Ok(Judged::Refused {
                request,
                denial,
                stale,
            }) => {
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
                Ok(())
            }
            Err(Error::SubjectUnknown | Error::SubjectErased) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn recontact_tell(
        &self,
        subject: &SubjectId,
        study: &Study,
        disclosure: DisclosureId,
    ) -> Result<(), Error> {
        let notice = Notice {
            due: self.logged_now().saturating_add(TELL_MS),
            sentence: format!(
                "The study \"{}\" asks whether you want to be contacted. Nothing was told to it; your hospital's \
                 desk knows how to answer.",
                study.title
            ),
            about: Some(disclosure),
            told: None,
        };
        let id = DisclosureId::new(self.ambient.random());
        self.vault
            .notice_put(subject, &id, &notice, &mut self.ambient.entropy())
            .await?;
        Ok(())
    }

    /// The key of a study and this custodian: pseudonyms and tokens.
    pub(super) fn study_key(&self, study: &StudyId) -> StudyKey {
        StudyKey::derive(&self.vault.research_secret(), study.as_bytes())
    }
}

/// The subject for whom nobody's token stands.
pub(super) const NOBODY: SubjectId = SubjectId::new([0; 32]);

fn is_nobody(subject: &SubjectId) -> bool {
    *subject == NOBODY
}
