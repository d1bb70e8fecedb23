//! Notices to the controllers: that glass was broken, that a change of theirs could not be recorded.

use super::{SubjectNotice, SubjectQuery};
use crate::custodian::Custodian;
use crate::disclosure::log::is_visible;
use crate::error::Error;
use store::Store;

impl<S: Store> Custodian<S> {
    /// A subject's notices. That a controller has seen them is noted.
    pub(crate) async fn subject_notices(
        &self,
        input: SubjectQuery,
    ) -> Result<Vec<SubjectNotice>, Error> {
        let subject = &input.subject;
        let viewer = self.viewer(&input.caller, subject).await?;
        let delays = self.vault.delays(subject).await?;
        let at = self.facts().at();
        let mut shown = Vec::new();
        for (id, mut notice) in self.vault.notices(subject).await? {
            let hidden = notice
                .about
                .is_some_and(|about| !is_visible(&delays, &about, viewer, at));
            if hidden {
                continue;
            }
            if viewer.is_some() && notice.told.is_none() {
                let told = self
                    .vault
                    .notice_told(subject, &id, at, &mut self.ambient.entropy())
                    .await;
                match told {
                    // Another controller saw it a moment before.
                    Ok(()) | Err(vault::Error::Conflict(_)) => notice.told = Some(at),
                    Err(error) => return Err(error.into()),
                }
            }
            shown.push(SubjectNotice {
                due: notice.due,
                sentence: notice.sentence,
                about: notice.about,
                told: notice.told,
            });
        }
        Ok(shown)
    }
}
