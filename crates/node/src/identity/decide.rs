//! Saying whether two Patients are one person, and taking it back.
//!
//! A merge is two new versions, of the Patient that is kept and of the one that it replaces, and nothing else. It
//! remembers the versions before, and undoing it puts their content in again as new versions. If one was changed
//! since, only what the node itself knows of the two is taken back, and the links are for whoever keeps the Patients.

use super::queue::{Current, busy};
use super::rows::{Decision, Item, Linked, Merge, Seat, Verdict};
use super::{Identity, IdentityDecide, IdentityUndo, IdentityVerdict, ItemId};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use crate::record::deposit::{check_size, origin};
use crate::record::form::{Draft, Links, Source, digest};
use crate::record::{Content, Provenance};
use codec::id::SubjectId;
use consent::{Purpose, Reason, Role};
use institution_policy::Action;
use json::{Edits, quote};
use store::Store;
use vault::{NodeRow, RecordPut, Transaction};

/// Compartments that one replaces, all in all.
const REPLACES_MAX: usize = 16;
/// The source of versions that were made here.
const SOURCE: &str = "identity";

impl<S: Store> Custodian<S> {
    pub(crate) async fn identity_decide(&self, input: IdentityDecide) -> Result<Identity, Error> {
        let caller = &input.caller;
        // One decision after the other: who comes second finds what the first said, before anything is logged.
        let _turn = self.fhir_turn.lock().await;
        let item = self.identity_asked(caller, &input.item).await?;
        let _identities = self.identity_turn.lock().await;
        if item.decision.is_some() {
            let done = "this was decided before; take that decision back first";
            return Err(Conflict::Done(done).into());
        }
        let verdict = match input.verdict {
            IdentityVerdict::Different => {
                self.identity_act(caller, &item, "identity-different")
                    .await?;
                Verdict::Different
            }
            IdentityVerdict::Same { keep, note } => {
                let merge = self
                    .identity_merge(caller, &input.item, &item, &keep, &note)
                    .await?;
                return self.identity_view(input.item, &merge).await;
            }
        };
        let decided = item.decided(caller, self, verdict);
        let change = self.identity_change(&input.item, Some(&item), Some(&decided));
        let rows = change.await?;
        if !self.identity_rows(rows).await? {
            return Err(busy());
        }
        self.identity_view(input.item, &decided).await
    }

    pub(crate) async fn identity_undo(&self, input: IdentityUndo) -> Result<Identity, Error> {
        let caller = &input.caller;
        let _turn = self.fhir_turn.lock().await;
        let item = self.identity_asked(caller, &input.item).await?;
        let _identities = self.identity_turn.lock().await;
        let Some(decision) = &item.decision else {
            return Err(Conflict::Done("nothing was decided about this").into());
        };
        let waiting = Item {
            decision: None,
            ..item.clone()
        };
        let change = self.identity_change(&input.item, Some(&item), Some(&waiting));
        let mut rows = change.await?;
        match decision.verdict {
            Verdict::Different => {
                self.identity_act(caller, &item, "identity-reopen").await?;
                if !self.identity_rows(rows).await? {
                    return Err(busy());
                }
            }
            Verdict::Same(merge) => {
                let [kept, replaced] = [merge.kept, merge.replaced];
                self.house_lets(caller, Action::Update, "Patient")?;
                rows.extend(
                    self.identity_unlinked(&kept.seat.subject, &replaced.seat.subject)
                        .await?,
                );
                if self.identity_moved(&[kept, replaced]).await? {
                    // What was said since is kept: two who are apart are not told as one any more, whatever
                    // the Patients themselves go on saying.
                    self.identity_act(caller, &item, "identity-unmerge").await?;
                    if !self.identity_rows(rows).await? {
                        return Err(busy());
                    }
                    let view = self.identity_view(input.item, &waiting).await?;
                    return Ok(Identity {
                        links_stay: true,
                        ..view
                    });
                }
                for linked in [kept, replaced] {
                    self.identity_open(&linked.seat.subject).await?;
                }
                self.identity_act(caller, &item, "identity-unmerge").await?;
                let mut changes = Vec::with_capacity(2);
                for linked in [kept, replaced] {
                    let before = self
                        .identity_version(&linked.seat, Some(linked.before))
                        .await?;
                    let version = linked.before.saturating_add(1);
                    let now = Current { version, ..before };
                    let content = now.content.clone();
                    changes.push((linked.seat, now, content));
                }
                self.identity_put(caller, changes, rows, "").await?;
            }
        }
        self.identity_view(input.item, &waiting).await
    }

    /// Whether one of two Patients was changed since they were linked.
    async fn identity_moved(&self, linked: &[Linked]) -> Result<bool, Error> {
        for linked in linked {
            let meta = self
                .vault
                .record_meta(&linked.seat.subject, &linked.seat.record, None)
                .await?;
            if meta.version != linked.before.saturating_add(1) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The item that somebody may decide about.
    async fn identity_asked(&self, caller: &Caller, id: &ItemId) -> Result<Item, Error> {
        caller.needs("deciding about identities", &[Role::Desk])?;
        self.own_staff(caller)?;
        self.in_service()?;
        let item = self.identity_item(id).await?;
        let item = item.ok_or(Error::Unknown("item among the identities"))?;
        if !self.identity_stands(&item).await? {
            return Err(Error::Unknown("item among the identities"));
        }
        Ok(item)
    }

    /// Logs an act in the lists of both.
    async fn identity_act(
        &self,
        caller: &Caller,
        item: &Item,
        act: &'static str,
    ) -> Result<(), Error> {
        self.acts_log(caller, &item.subjects(), Purpose::Patadmin, act)
            .await
    }

    /// Refuses a subject that takes nothing new.
    async fn identity_open(&self, subject: &SubjectId) -> Result<(), Error> {
        match self.standing(subject).await?.facts.closed {
            true => Err(Error::SubjectClosed),
            false => Ok(()),
        }
    }

    async fn identity_merge(
        &self,
        caller: &Caller,
        id: &ItemId,
        item: &Item,
        keep: &SubjectId,
        note: &Reason,
    ) -> Result<Item, Error> {
        let not_one = || Error::invalid("identity", "keep", "it is neither of the two");
        let kept = item.seat(keep).ok_or_else(not_one)?;
        let mut seats = [item.one, item.other].into_iter();
        let replaced = seats.find(|seat| seat.subject != *keep);
        let replaced = replaced.ok_or_else(not_one)?;
        self.house_lets(caller, Action::Update, "Patient")?;
        for seat in [kept, replaced] {
            self.identity_open(&seat.subject).await?;
        }
        let rows = self
            .identity_linked(&kept.subject, &replaced.subject)
            .await?;
        self.identity_act(caller, item, "identity-merge").await?;
        let one = self.identity_current(&kept).await?;
        let other = self.identity_current(&replaced).await?;
        if one.is_deleted || other.is_deleted {
            let deleted = "one of the two Patients was deleted; there is nothing to link";
            return Err(Conflict::Done(deleted).into());
        }
        let linked = |seat: Seat, current: &Current| Linked {
            seat,
            before: current.version,
        };
        let merge = Merge {
            kept: linked(kept, &one),
            replaced: linked(replaced, &other),
        };
        let decided = item.decided(caller, self, Verdict::Same(merge));
        let change = self.identity_change(id, Some(item), Some(&decided));
        let mut changes = change.await?;
        changes.extend(rows);
        let with_replaces = linking(&one.content, &other.id, "replaces", false)?;
        let with_replaced = linking(&other.content, &one.id, "replaced-by", true)?;
        let puts = vec![(kept, one, with_replaces), (replaced, other, with_replaced)];
        self.identity_put(caller, puts, changes, note.as_str())
            .await?;
        Ok(decided)
    }

    /// What the two have to do with each other once one replaces the other. Who was replaced replaces nobody
    /// else and is replaced by nobody else, so that links lead to one end.
    async fn identity_linked(
        &self,
        kept: &SubjectId,
        replaced: &SubjectId,
    ) -> Result<Vec<NodeRow>, Error> {
        let (mut keeper, keeper_name, keeper_read) = self.identity_person(kept).await?;
        let (mut gone, gone_name, gone_read) = self.identity_person(replaced).await?;
        if keeper.replaced_by.is_some() {
            let chain = "the Patient to keep was itself replaced by another; keep that one";
            return Err(Conflict::Done(chain).into());
        }
        if gone.replaced_by.is_some() {
            let chain = "the Patient to replace was replaced by another before; take that decision back first";
            return Err(Conflict::Done(chain).into());
        }
        let all = self.identity_replaced(kept).await?.len();
        let more = self.identity_replaced(replaced).await?.len();
        if all.saturating_add(more) >= REPLACES_MAX {
            let many = "this Patient replaces as many others as it may";
            return Err(Conflict::Done(many).into());
        }
        keeper.replaces.insert(*replaced);
        gone.replaced_by = Some(*kept);
        Ok(vec![
            keeper.row(keeper_name, keeper_read),
            gone.row(gone_name, gone_read),
        ])
    }

    async fn identity_unlinked(
        &self,
        kept: &SubjectId,
        replaced: &SubjectId,
    ) -> Result<Vec<NodeRow>, Error> {
        let (mut keeper, keeper_name, keeper_read) = self.identity_person(kept).await?;
        let (mut gone, gone_name, gone_read) = self.identity_person(replaced).await?;
        keeper.unlink(replaced);
        gone.unlink(kept);
        Ok(vec![
            keeper.row(keeper_name, keeper_read),
            gone.row(gone_name, gone_read),
        ])
    }

    /// Those whom a subject replaces, and whom they replace: at most 16.
    pub(crate) async fn identity_replaced(
        &self,
        subject: &SubjectId,
    ) -> Result<Vec<SubjectId>, Error> {
        let mut found: Vec<SubjectId> = Vec::new();
        let mut at = 0;
        let mut of = *subject;
        loop {
            for replaced in self.identity_person(&of).await?.0.replaces {
                if found.len() < REPLACES_MAX && !found.contains(&replaced) {
                    found.push(replaced);
                }
            }
            match found.get(at) {
                Some(next) => of = *next,
                None => return Ok(found),
            }
            at += 1;
        }
    }

    /// Puts new versions of both Patients in with the rows that say why: all or nothing.
    async fn identity_put(
        &self,
        caller: &Caller,
        changes: Vec<(Seat, Current, Content)>,
        rows: Vec<NodeRow>,
        note: &str,
    ) -> Result<(), Error> {
        let now = self.now();
        let provenance = Provenance {
            source: SOURCE.to_owned(),
            note: note.to_owned(),
        };
        let provenance = origin(caller, &provenance)?;
        let mut puts = Vec::with_capacity(changes.len());
        for (seat, current, content) in changes {
            let mut draft = Draft {
                record: seat.record,
                expect_version: Some(current.version),
                kind: "Patient".to_owned(),
                received: Some(digest(&[b"fhir", content.as_bytes()])),
                id: Some(current.id).filter(|id| *id != seat.record.to_string()),
                source: Source::Fhir {
                    bytes: content,
                    links: Links::default(),
                },
            };
            let new = self
                .version(&seat.subject, &mut draft, &provenance, now)
                .await?;
            let records = vec![new];
            check_size(&records)?;
            puts.push(RecordPut {
                subject: seat.subject,
                client: None,
                records,
            });
        }
        let noted = puts
            .iter()
            .map(|put| (&put.subject, put.records.as_slice()));
        let noted = self.subscriptions_note(noted);
        let transaction = Transaction {
            puts,
            rows: rows.into_iter().chain(noted.rows.clone()).collect(),
            notes: noted.notes.clone(),
            ..Transaction::default()
        };
        self.vault
            .transact(&transaction, now, &mut self.ambient.entropy())
            .await?;
        self.subscriptions_noted(&noted);
        self.counters.deposits.up();
        self.wakes.records.wake();
        Ok(())
    }
}

impl Item {
    fn decided<S: Store>(&self, by: &Caller, at: &Custodian<S>, verdict: Verdict) -> Self {
        let decision = Decision {
            by: by.actor.clone(),
            at: at.now(),
            verdict,
        };
        Self {
            decision: Some(decision),
            ..self.clone()
        }
    }
}

/// A Patient with one more link; `ends` says that it is not in use any more.
fn linking(content: &Content, other: &str, kind: &str, ends: bool) -> Result<Content, Error> {
    let damaged = || Error::Damaged("a Patient".to_owned());
    let limits = json::Limits {
        size_bytes: content.len(),
        ..json::Limits::default()
    };
    let document = json::parse(content.as_bytes(), &limits).map_err(|_| damaged())?;
    let root = document.root();
    let reference = quote(&format!("Patient/{other}"));
    let link = format!(
        "{{\"other\":{{\"reference\":{reference}}},\"type\":{}}}",
        quote(kind)
    );
    let there = root.get("link");
    let some = there.filter(|there| there.children().next().is_some());
    let links = match some.and_then(|there| there.raw().strip_suffix(']')) {
        Some(before) => format!("{before},{link}]"),
        None => format!("[{link}]"),
    };
    let mut members = vec![("link", links)];
    if ends {
        members.insert(0, ("active", "false".to_owned()));
    }
    let mut edits = Edits::new();
    edits.set_members(root, Some("meta"), &members);
    edits
        .apply(&document)
        .map(Content::new)
        .map_err(|_| Error::Internal("edits of a Patient that overlap"))
}
