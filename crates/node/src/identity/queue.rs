//! Finding who carries one identifier, and the queue of those found.
//!
//! With a Patient that carries identifiers a mark is put in. Once the Patient is durable, others who carry them
//! are looked for, and the mark is taken away: two that come at once find each other, and what a crash leaves
//! marked is looked at when the queue is.

use super::rows::{
    ATTEMPTS, DECIDED, Item, MARKS, Seat, Verdict, WAITING, WAITING_MAX, damaged, item_name,
    item_open,
};
use super::{Identity, IdentityList, IdentityPage, IdentityPatient, IdentityState, ItemId};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::Content;
use ::fhir::{Parsed, search};
use codec::id::{RecordId, SubjectId};
use codec::record;
use codec::time::Millis;
use consent::{Purpose, Records, Role};
use keys::Zeroizing;
use std::collections::BTreeSet;
use store::Store;
use vault::{NewRecord, NodeRow, Parts};

/// The most items of a page.
pub const PAGE_MAX: usize = 50;
/// Identifiers of a Patient that are compared.
const IDENTIFIERS_MAX: usize = 16;
/// Others who carry one identifier that are looked at: more carry what is no identifier.
const OTHERS_MAX: usize = 16;
/// Items of one subject.
const ITEMS_MAX: usize = 64;
/// Marks that are looked at for one listing.
const MARKS_MAX: usize = 64;
/// How long a mark may wait for its Patient.
const MARK_LIFE_MS: u64 = 3_600_000;

record! {
    struct MarkRow {
        1 => seat: Seat,
        2 => at: Millis,
    }
}

/// That a Patient is to be compared with others.
pub(crate) struct Mark {
    name: Vec<u8>,
    row: MarkRow,
    identifiers: Vec<Vec<u8>>,
}

impl Mark {
    /// The row that says so, new.
    pub(crate) fn row(&self) -> NodeRow {
        NodeRow {
            name: self.name.clone(),
            expected: None,
            value: Some(Zeroizing::new(codec::to_vec(&self.row))),
        }
    }
}

/// A Patient as it is.
pub(super) struct Current {
    pub(super) version: u32,
    pub(super) id: String,
    pub(super) content: Content,
    pub(super) is_deleted: bool,
}

impl<S: Store> Custodian<S> {
    /// Marks for those records that are Patients with identifiers.
    pub(crate) fn identity_marks(
        &self,
        subject: &SubjectId,
        records: &[NewRecord],
        at: Millis,
    ) -> Vec<Mark> {
        let patients = records.iter().filter(|new| new.kind == "Patient");
        let marks = patients.map(|new| {
            let seat = Seat {
                subject: *subject,
                record: new.record,
            };
            Mark {
                name: [MARKS, &self.ambient.random::<16>()].concat(),
                row: MarkRow { seat, at },
                identifiers: identifiers(&new.tokens),
            }
        });
        marks.filter(|mark| !mark.identifiers.is_empty()).collect()
    }

    /// Puts a mark in ahead of its Patient, where they cannot be put in together.
    pub(crate) async fn identity_mark(&self, mark: &Mark) -> Result<(), Error> {
        let row = codec::to_vec(&mark.row);
        self.vault
            .node_row_put(&mark.name, None, &row, &mut self.ambient.entropy())
            .await?;
        Ok(())
    }

    /// Takes marks away again. What cannot be taken away now is taken away when it is met.
    pub(crate) async fn identity_unmark(&self, marks: &[Mark]) {
        let names: Vec<Vec<u8>> = marks.iter().map(|mark| mark.name.clone()).collect();
        self.vault.node_rows_remove(&names).await.ok();
    }

    /// Looks for others with the identifiers of Patients that were just put in. What fails stays marked: the
    /// Patients are there.
    pub(crate) async fn identity_settle(&self, marks: &[Mark]) {
        for mark in marks {
            if self.identity_compare(mark).await.is_ok() {
                self.identity_unmark(std::slice::from_ref(mark)).await;
            }
        }
    }

    /// Settles what was left marked.
    async fn identity_resume(&self) -> Result<(), Error> {
        for (name, row) in self.vault.node_rows(MARKS, None, MARKS_MAX).await? {
            let row: MarkRow = codec::from_slice(&row).map_err(|_| damaged())?;
            let current = self.identity_current(&row.seat).await;
            let identifiers = match current {
                Ok(current) if current.is_deleted => Vec::new(),
                Ok(current) => {
                    let parsed = Parsed::parse(current.content.as_bytes());
                    let parsed = parsed.map_err(|_| Error::Damaged("a Patient".to_owned()))?;
                    identifiers(&search::terms(&parsed))
                }
                Err(Error::SubjectErased | Error::SubjectUnknown) => Vec::new(),
                Err(Error::RecordUnknown(_)) => {
                    let age_ms = self.now().get().saturating_sub(row.at.get());
                    if age_ms < MARK_LIFE_MS {
                        // It may be on its way.
                        continue;
                    }
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            let mark = Mark {
                name,
                row,
                identifiers,
            };
            self.identity_settle(std::slice::from_ref(&mark)).await;
        }
        Ok(())
    }

    async fn identity_compare(&self, mark: &Mark) -> Result<(), Error> {
        let own = mark.row.seat;
        let mut met = BTreeSet::new();
        for identifier in &mark.identifiers {
            // One's own versions do not count, but may be found.
            let limit = OTHERS_MAX.saturating_add(1);
            for posting in self.vault.search(identifier, limit).await? {
                if posting.subject != own.subject && met.insert(posting.subject) {
                    let other = Seat {
                        subject: posting.subject,
                        record: posting.record,
                    };
                    self.identity_found(own, other).await?;
                }
            }
        }
        Ok(())
    }

    /// Puts two into the queue, unless they are or were there.
    async fn identity_found(&self, one: Seat, other: Seat) -> Result<(), Error> {
        let id = self.identity_item_id(&one.subject, &other.subject);
        let _turn = self.identity_turn.lock().await;
        for _ in 0..ATTEMPTS {
            if self.identity_item(&id).await?.is_some() {
                return Ok(());
            }
            let people = [one, other].map(|seat| seat.subject);
            let mut rows = Vec::with_capacity(4);
            for subject in &people {
                let (mut person, name, read) = self.identity_person(subject).await?;
                if person.items.len() >= ITEMS_MAX {
                    return Ok(());
                }
                person.items.insert(id);
                rows.push(person.row(name, read));
            }
            let (waiting, _) = self.identity_waiting().await?;
            if usize::try_from(waiting).is_ok_and(|waiting| waiting >= WAITING_MAX) {
                return Err(Error::Unavailable(
                    "the queue of identities is full; decide what waits there".to_owned(),
                ));
            }
            let item = Item {
                one,
                other,
                found: self.now(),
                decision: None,
            };
            rows.extend(self.identity_change(&id, None, Some(&item)).await?);
            // By the node: one family's list does not name who wrote of another.
            let actor = self
                .system_request(&one.subject, Purpose::Patadmin, Records::All)?
                .actor;
            self.acts_log(
                &Caller::staff(actor),
                &people,
                Purpose::Patadmin,
                "identity-match",
            )
            .await?;
            if self.identity_rows(rows).await? {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// Removes all items that name a subject, and the links that were made by them.
    pub(crate) async fn identity_forget(&self, subject: &SubjectId) -> Result<(), Error> {
        let _turn = self.identity_turn.lock().await;
        // Each turn removes one item, or finds that somebody else changed something.
        for _ in 0..ITEMS_MAX.saturating_add(ATTEMPTS) {
            let (mut own, own_name, own_read) = self.identity_person(subject).await?;
            let Some(id) = own.items.first().copied() else {
                return Ok(());
            };
            let Some(item) = self.identity_item(&id).await? else {
                // Somebody else removed it, and the subject's row is a newer one.
                continue;
            };
            let other = item.subjects().into_iter().find(|other| other != subject);
            let other = other.ok_or_else(damaged)?;
            let (mut them, their_name, their_read) = self.identity_person(&other).await?;
            own.forget(&id, &other);
            them.forget(&id, subject);
            let mut rows = self.identity_change(&id, Some(&item), None).await?;
            rows.push(own.row(own_name, own_read));
            rows.push(them.row(their_name, their_read));
            self.identity_rows(rows).await?;
        }
        Err(busy())
    }

    /// Whether all of an item's people are there; otherwise it is removed.
    pub(super) async fn identity_stands(&self, item: &Item) -> Result<bool, Error> {
        let mut stands = true;
        for subject in item.subjects() {
            if self.vault.erasure(&subject).await?.is_some() {
                self.identity_forget(&subject).await?;
                stands = false;
            }
        }
        Ok(stands)
    }

    pub(crate) async fn identity_list(&self, input: IdentityList) -> Result<IdentityPage, Error> {
        let caller = &input.caller;
        let roles = [Role::Desk, Role::PrivacyOfficer];
        caller.needs("listing identities", &roles)?;
        self.own_staff(caller)?;
        self.in_service()?;
        self.identity_resume().await?;
        let prefix = match input.decided {
            true => DECIDED,
            false => WAITING,
        };
        let count = input.count.clamp(1, PAGE_MAX);
        let after = input.after.map(|item| item_name(prefix, &item));
        let mut page = self
            .vault
            .node_rows(prefix, after.as_deref(), count.saturating_add(1))
            .await?;
        let is_more = page.len() > count;
        page.truncate(count);
        let mut found = Vec::with_capacity(page.len());
        for (name, row) in &page {
            let id = name.get(prefix.len()..).unwrap_or_default();
            let id = ItemId::try_from(id).map_err(|_| damaged())?;
            let item = item_open(row)?;
            found.push((id, item));
        }
        let next = found.last().map(|(id, _)| *id).filter(|_| is_more);
        let mut shown = Vec::with_capacity(found.len());
        for (id, item) in found {
            if self.identity_stands(&item).await? {
                shown.push((id, item));
            }
        }
        let subjects: BTreeSet<SubjectId> =
            shown.iter().flat_map(|(_, item)| item.subjects()).collect();
        let subjects: Vec<SubjectId> = subjects.into_iter().collect();
        self.acts_log(caller, &subjects, Purpose::Patadmin, "identity-list")
            .await?;
        let mut items = Vec::with_capacity(shown.len());
        for (id, item) in shown {
            match self.identity_view(id, &item).await {
                Ok(view) => items.push(view),
                // In between.
                Err(Error::SubjectErased | Error::SubjectUnknown) => {}
                Err(error) => return Err(error),
            }
        }
        let (waiting, _) = self.identity_waiting().await?;
        Ok(IdentityPage {
            items,
            next,
            waiting,
        })
    }

    /// An item as it is told. That it is told has been logged.
    pub(super) async fn identity_view(&self, id: ItemId, item: &Item) -> Result<Identity, Error> {
        let mut patients = Vec::with_capacity(2);
        for seat in [item.one, item.other] {
            patients.push(IdentityPatient {
                subject: seat.subject,
                record: seat.record,
                id: self.identity_current(&seat).await?.id,
            });
        }
        let patients = patients.try_into();
        let decision = item.decision.as_ref();
        Ok(Identity {
            item: id,
            patients: patients.map_err(|_| Error::Internal("two Patients that are not two"))?,
            found: item.found,
            state: match decision.map(|decision| decision.verdict) {
                None => IdentityState::Open,
                Some(Verdict::Same(merge)) => IdentityState::Same {
                    kept: merge.kept.seat.subject,
                },
                Some(Verdict::Different) => IdentityState::Different,
            },
            decided: decision.map(|decision| (decision.by.clone(), decision.at)),
            links_stay: false,
        })
    }

    /// A Patient as it is now. The act for which it is opened has been logged.
    pub(super) async fn identity_current(&self, seat: &Seat) -> Result<Current, Error> {
        self.identity_version(seat, None).await
    }

    /// A version of a Patient; the latest if none is named.
    pub(super) async fn identity_version(
        &self,
        seat: &Seat,
        version: Option<u32>,
    ) -> Result<Current, Error> {
        let (subject, record): (&SubjectId, &RecordId) = (&seat.subject, &seat.record);
        let opened = self
            .vault
            .record_get(subject, record, version, &Parts::Stored)
            .await?;
        let part = opened.parts.into_iter().next();
        let part = part.ok_or(Error::Internal("a record without its stored form"))?;
        let content = Content::from(part.into_bytes());
        let parsed = Parsed::parse(content.as_bytes());
        let id = parsed
            .ok()
            .and_then(|parsed| Some(parsed.id()?.into_owned()));
        Ok(Current {
            version: opened.meta.version,
            id: id.unwrap_or_else(|| record.to_string()),
            is_deleted: opened.meta.media_type == crate::record::form::DELETED_MEDIA,
            content,
        })
    }
}

pub(super) fn busy() -> Error {
    Error::Unavailable("others change the same identities; try again".to_owned())
}

/// The terms of the identifiers among those of a Patient.
fn identifiers(terms: &BTreeSet<Vec<u8>>) -> Vec<Vec<u8>> {
    let of_identifiers = terms
        .iter()
        .filter(|term| search::is_identifier_term("Patient", term));
    of_identifiers.take(IDENTIFIERS_MAX).cloned().collect()
}
