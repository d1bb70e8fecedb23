//! Phenotype profiles and differentials: made again when records, consent or knowledge change.
//!
//! What is due is marked in the vault; memory only says which marks are worth a look now. One subject at a
//! time, one group at a time, on a thread of its own: care goes on beside it. What must happen by the clock
//! (looking at the marks, ending grants, making the model again) is not put off by work that keeps coming.

use crate::custodian::Custodian;
use crate::differential::{Cause, Insight};
use crate::error::Error;
use codec::id::SubjectId;
use futures::FutureExt;
use futures::future::Fuse;
use std::pin::Pin;
use store::Store;

/// What the pump's clock counts in, ms. Of the runtime's timer: no clock that jumps.
const TICK_MS: u64 = 1_000;
/// How often all marks are looked at, in ticks: what an event did not tell of waits no longer.
const LOOK_EACH: u64 = 60;
/// Least ticks between two makings of the model because counted cases changed.
const MAKE_EACH: u64 = 10;
/// Least ticks between two reanalyses of everybody for that: each opens every profile and is logged for each.
const ANSWER_EACH: u64 = 3_600;
/// Ticks until what failed is tried again.
const RETRY_AFTER: u64 = 60;
/// Subjects between two looks at the clock.
const AT_ONCE: usize = 32;
/// Marks read at a time.
const PAGE: usize = 256;

type Sleep = Pin<Box<Fuse<futures::future::BoxFuture<'static, ()>>>>;

/// When what is to be done next, in ticks since the start.
#[derive(Default)]
struct Agenda {
    now: u64,
    load: u64,
    look: u64,
    make: u64,
    answer: u64,
    /// Whether counted cases changed since everybody's answers were made.
    answers_wanted: bool,
    /// Subjects whose answers are of other knowledge.
    old: Vec<SubjectId>,
}

pub(super) async fn run<S: Store>(custodian: &Custodian<S>, insight: &Insight) {
    let mut agenda = Agenda::default();
    let mut tick = sleep(custodian);
    loop {
        agenda.go(custodian, insight).await;
        for _ in 0..AT_ONCE {
            let Some(subject) = insight.due_next() else {
                break;
            };
            // What fails is tried again at the next look: its mark stays, and others go on.
            if let Err(error) = custodian.derive(insight, &subject).await {
                custodian.trouble("differentials", &error).await;
            }
        }
        let ticked = if insight.is_any_due() {
            (&mut tick).now_or_never().is_some()
        } else {
            futures::select_biased! {
                () = &mut tick => true,
                () = custodian.wakes.differentials.woken().fuse() => false,
            }
        };
        if ticked {
            agenda.now += 1;
            tick = sleep(custodian);
        }
    }
}

fn sleep<S: Store>(custodian: &Custodian<S>) -> Sleep {
    let ambient = custodian.ambient.clone();
    let slept: futures::future::BoxFuture<'static, ()> =
        async move { ambient.sleep_ms(TICK_MS).await }.boxed();
    Box::pin(slept.fuse())
}

impl Agenda {
    /// Does what its time has come for.
    async fn go<S: Store>(&mut self, custodian: &Custodian<S>, insight: &Insight) {
        if !insight.is_loaded() && self.now >= self.load {
            self.load = self.now + RETRY_AFTER;
            if let Err(error) = self.begin(custodian, insight).await {
                custodian.trouble("differentials", &error).await;
            }
        }
        if self.now >= self.look {
            self.look = self.now + LOOK_EACH;
            insight.expire(custodian.facts().at());
            if let Err(error) = marks(custodian, insight).await {
                custodian.trouble("differentials", &error).await;
            }
        }
        if insight.is_loaded() && self.now >= self.make && insight.make() {
            self.make = self.now + MAKE_EACH;
            self.answers_wanted = true;
        }
        let again = self.answers_wanted || !self.old.is_empty();
        if again && self.now >= self.answer {
            self.answer = self.now + RETRY_AFTER;
            match self.answers(custodian, insight).await {
                Ok(Cause::Cases) => self.answer = self.now + ANSWER_EACH,
                Ok(_) => self.answer = self.now,
                Err(error) => custodian.trouble("differentials", &error).await,
            }
        }
    }

    /// Takes every profile up, and then makes the answers again that are of other knowledge.
    async fn begin<S: Store>(
        &mut self,
        custodian: &Custodian<S>,
        insight: &Insight,
    ) -> Result<(), Error> {
        custodian.in_service()?;
        let passed = custodian.profiles_load(insight).await?;
        if passed.skipped > 0 {
            tracing::warn!(
                subjects = passed.skipped,
                "differentials that could not be taken up were passed over"
            );
        }
        insight.make();
        self.old = passed.old;
        insight.set_loaded();
        Ok(())
    }

    async fn answers<S: Store>(
        &mut self,
        custodian: &Custodian<S>,
        insight: &Insight,
    ) -> Result<Cause, Error> {
        let (passed, cause) = if self.old.is_empty() {
            let cause = Cause::Cases;
            (custodian.all_answers_again(insight, cause).await?, cause)
        } else {
            let cause = Cause::Knowledge;
            let passed = custodian.answers_again(insight, &self.old, cause).await?;
            self.old.clear();
            (passed, cause)
        };
        if cause == Cause::Cases {
            self.answers_wanted = false;
        }
        tracing::info!(
            cause = cause.as_str(),
            answers = passed.answers,
            news = passed.news,
            skipped = passed.skipped,
            "differentials were made again"
        );
        Ok(cause)
    }
}

/// Takes up the marks of the vault.
async fn marks<S: Store>(custodian: &Custodian<S>, insight: &Insight) -> Result<(), Error> {
    let mut after: Option<SubjectId> = None;
    loop {
        let page = custodian.vault.derive_due(after.as_ref(), PAGE).await?;
        for (subject, _) in &page {
            insight.due(*subject);
        }
        match page.last() {
            Some((subject, _)) => after = Some(*subject),
            None => return Ok(()),
        }
    }
}
