//! Opening, listing and reviewing break-glass sessions.

use super::{
    BreakGlassOpen, BreakGlassOpened, BreakGlassQuery, BreakGlassReview, BreakGlassView, SessionId,
};
use crate::custodian::Custodian;
use crate::disclosure::log::is_visible;
use crate::error::Error;
use crate::event::Event;
use consent::break_glass::{self, BreakGlassRefused};
use consent::{Purpose, Role};
use store::Store;
use vault::{Notice, Session};

/// The most sessions of one answer over all subjects.
const LIST_MAX: usize = 1_000;

impl<S: Store> Custodian<S> {
    /// Opens a session. Needs neither consent nor quorum, and works on a restored node too: it is for
    /// when everything else denies.
    pub(crate) async fn break_glass_open(
        &self,
        input: BreakGlassOpen,
    ) -> Result<BreakGlassOpened, Error> {
        input.caller.reaches(&input.subject)?;
        let actor = &input.caller.actor;
        let at = self.facts().at();
        let opened = break_glass::open(
            &self.policy,
            self.id,
            actor,
            input.subject,
            input.reason,
            input.minutes,
            at,
        )
        .map_err(|why| refused("breaking the glass", why))?;
        // A session over a subject that was never here, or was erased, opens nothing.
        self.vault.consent_current(&input.subject).await?;
        let notice = opened.notice(&self.policy);
        let session = SessionId::new(self.ambient.random());
        let row = Session {
            review_due: notice.review_due,
            review: None,
            opened,
        };
        let told = Notice {
            due: notice.due,
            sentence: notice.sentence,
            about: Some(session),
            told: None,
        };
        self.act_log(
            &input.caller,
            &input.subject,
            Purpose::Btg,
            "break-glass-open",
        )
        .await?;
        self.vault
            .session_open(&session, &row, &told, &mut self.ambient.entropy())
            .await?;
        self.counters.sessions.up();
        self.events.send(&Event::BreakGlassOpened {
            subject: input.subject,
        });
        Ok(BreakGlassOpened {
            session,
            until: row.opened.ends(),
            review_due: row.review_due,
        })
    }

    pub(crate) async fn break_glass_list(
        &self,
        input: BreakGlassQuery,
    ) -> Result<Vec<BreakGlassView>, Error> {
        let caller = &input.caller;
        let office = self
            .policy
            .break_glass
            .reviewers
            .iter()
            .any(|role| caller.has(*role))
            || caller.has(Role::PrivacyOfficer)
            || caller.has(Role::Auditor);
        self.own_staff(caller)?;
        let Some(subject) = input.subject else {
            if !office {
                return Err(forbidden("listing break-glass sessions"));
            }
            return self.sessions_due().await;
        };
        let viewer = match office {
            true => None,
            false => self.viewer(caller, &subject).await?,
        };
        let delays = self.vault.delays(&subject).await?;
        let at = self.facts().at();
        let sessions = self.vault.sessions(&subject).await?;
        let visible = sessions
            .into_iter()
            .filter(|(id, _)| is_visible(&delays, id, viewer, at));
        Ok(visible
            .map(|(id, session)| self.session_view(id, session))
            .collect())
    }

    async fn sessions_due(&self) -> Result<Vec<BreakGlassView>, Error> {
        let mut views = Vec::new();
        for due in self.vault.sessions_due(LIST_MAX).await? {
            match self.vault.session(&due.subject, &due.id).await {
                Ok(session) => views.push(self.session_view(due.id, session)),
                // Its retention ended in between.
                Err(vault::Error::Unknown(_) | vault::Error::SubjectErased) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(views)
    }

    pub(crate) async fn break_glass_review(
        &self,
        input: BreakGlassReview,
    ) -> Result<BreakGlassView, Error> {
        input.caller.reaches(&input.subject)?;
        let (subject, id) = (&input.subject, &input.session);
        let session = self.vault.session(subject, id).await?;
        let review = break_glass::review(
            &self.policy,
            &session.opened,
            &input.caller.actor,
            input.verdict,
            input.note,
            self.facts().at(),
        )
        .map_err(|why| refused("reviewing a break-glass session", why))?;
        self.act_log(
            &input.caller,
            subject,
            Purpose::Hcompl,
            "break-glass-review",
        )
        .await?;
        self.vault
            .session_review(subject, id, &review, &mut self.ambient.entropy())
            .await?;
        let session = self.vault.session(subject, id).await?;
        Ok(self.session_view(*id, session))
    }

    fn session_view(&self, session: SessionId, row: Session) -> BreakGlassView {
        BreakGlassView {
            session,
            notice: row.opened.notice(&self.policy).sentence,
            review_due: row.review_due,
            review: row.review,
            opened: row.opened,
        }
    }
}

fn refused(action: &'static str, why: BreakGlassRefused) -> Error {
    match why {
        BreakGlassRefused::Role | BreakGlassRefused::Elsewhere => forbidden(action),
        why => Error::invalid(action, "", why.to_string()),
    }
}

fn forbidden(action: &'static str) -> Error {
    Error::Forbidden {
        action,
        needs: "that the institution's policy names".to_owned(),
    }
}
