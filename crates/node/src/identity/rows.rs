//! The rows of the queue. They name compartments and records, never what is in them, and are sealed under the
//! node's key; their names are random or blind.

use super::ItemId;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::{RecordId, SubjectId};
use codec::time::Millis;
use codec::{choice, record};
use consent::Actor;
use keys::Zeroizing;
use std::collections::BTreeSet;
use store::Store;
use vault::{NodeRow, Transaction};

pub(super) const WAITING: &[u8] = b"identity/w/";
pub(super) const DECIDED: &[u8] = b"identity/d/";
pub(super) const MARKS: &[u8] = b"identity/m/";
const PEOPLE: &[u8] = b"identity/p/";
/// How many items wait.
const COUNT: &[u8] = b"identity/n";
/// Items that wait at once; then Patients stay marked until some were decided.
pub(super) const WAITING_MAX: usize = 10_000;
/// How often rows that somebody else changed are read again.
pub(super) const ATTEMPTS: usize = 8;

record! {
    /// Where a Patient is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Seat {
        1 => pub(super) subject: SubjectId,
        2 => pub(super) record: RecordId,
    }
}

record! {
    /// Two Patients that carry one identifier.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Item {
        1 => pub(super) one: Seat,
        2 => pub(super) other: Seat,
        3 => pub(super) found: Millis,
        4 => pub(super) decision: Option<Decision>,
    }
}

record! {
    /// What was said of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Decision {
        1 => pub(super) by: Actor,
        2 => pub(super) at: Millis,
        3 => pub(super) verdict: Verdict,
    }
}

choice! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Verdict {
        1 => Same(Merge),
        2 => Different,
    }
}

record! {
    /// A merge: enough to undo it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Merge {
        1 => pub(super) kept: Linked,
        2 => pub(super) replaced: Linked,
    }
}

record! {
    /// A Patient that was linked: its version before that.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Linked {
        1 => pub(super) seat: Seat,
        2 => pub(super) before: u32,
    }
}

record! {
    /// What a subject has to do with others.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(super) struct Person {
        1 => pub(super) items: BTreeSet<ItemId>,
        2 => pub(super) replaces: BTreeSet<SubjectId>,
        3 => pub(super) replaced_by: Option<SubjectId>,
    }
}

/// A row as it was read.
pub(super) type Row = Option<Zeroizing<Vec<u8>>>;

impl Item {
    pub(super) fn subjects(&self) -> [SubjectId; 2] {
        [self.one.subject, self.other.subject]
    }

    pub(super) fn seat(&self, subject: &SubjectId) -> Option<Seat> {
        let seats = [self.one, self.other].into_iter();
        seats.into_iter().find(|seat| seat.subject == *subject)
    }

    fn prefix(&self) -> &'static [u8] {
        match self.decision {
            Some(_) => DECIDED,
            None => WAITING,
        }
    }
}

impl Person {
    /// Nothing of this item, nor of whom it names, from now on.
    pub(super) fn forget(&mut self, item: &ItemId, other: &SubjectId) {
        self.items.remove(item);
        self.unlink(other);
    }

    pub(super) fn unlink(&mut self, other: &SubjectId) {
        self.replaces.remove(other);
        self.replaced_by = self.replaced_by.filter(|by| by != other);
    }

    /// The change from what was read to this.
    pub(super) fn row(&self, name: Vec<u8>, read: Row) -> NodeRow {
        let is_empty = *self == Self::default();
        NodeRow {
            name,
            expected: read,
            value: (!is_empty).then(|| Zeroizing::new(codec::to_vec(self))),
        }
    }
}

pub(super) fn item_name(prefix: &[u8], item: &ItemId) -> Vec<u8> {
    [prefix, item.as_bytes()].concat()
}

pub(super) fn item_open(row: &[u8]) -> Result<Item, Error> {
    codec::from_slice(row).map_err(|_| damaged())
}

/// The rows of an item from one state to another; none: it is not there.
fn item_rows(item: &ItemId, from: Option<&Item>, to: Option<&Item>) -> Vec<NodeRow> {
    let of = |side: Option<&Item>, prefix: &[u8]| {
        let side = side.filter(|item| item.prefix() == prefix);
        side.map(|item| Zeroizing::new(codec::to_vec(item)))
    };
    let row = |prefix: &[u8]| NodeRow {
        name: item_name(prefix, item),
        expected: of(from, prefix),
        value: of(to, prefix),
    };
    vec![row(WAITING), row(DECIDED)]
}

pub(super) fn damaged() -> Error {
    Error::Damaged("a row of the queue of identities".to_owned())
}

impl<S: Store> Custodian<S> {
    /// The one item that two people can have.
    pub(super) fn identity_item_id(&self, one: &SubjectId, other: &SubjectId) -> ItemId {
        let (low, high) = (one.min(other), one.max(other));
        let parts: [&[u8]; 3] = [b"identity", low.as_bytes(), high.as_bytes()];
        let blind = self.vault.blind_name(&parts).into_bytes();
        let mut id = [0; ItemId::LEN];
        id.iter_mut().zip(blind).for_each(|(id, byte)| *id = byte);
        ItemId::new(id)
    }

    pub(super) async fn identity_item(&self, item: &ItemId) -> Result<Option<Item>, Error> {
        for prefix in [WAITING, DECIDED] {
            if let Some(row) = self.vault.node_row(&item_name(prefix, item)).await? {
                return item_open(&row).map(Some);
            }
        }
        Ok(None)
    }

    /// An item from one state to another (none: it is not there), and how many wait then. Whoever changes it holds
    /// the turn, from before this until the rows are put.
    pub(super) async fn identity_change(
        &self,
        item: &ItemId,
        from: Option<&Item>,
        to: Option<&Item>,
    ) -> Result<Vec<NodeRow>, Error> {
        let mut rows = item_rows(item, from, to);
        let waits = |side: Option<&Item>| side.is_some_and(|item| item.decision.is_none());
        let (waited, waits) = (waits(from), waits(to));
        if waited != waits {
            let (count, read) = self.identity_waiting().await?;
            let count = match waits {
                true => count.saturating_add(1),
                false => count.saturating_sub(1),
            };
            rows.push(NodeRow {
                name: COUNT.to_vec(),
                expected: read,
                value: Some(Zeroizing::new(codec::to_vec(&count))),
            });
        }
        Ok(rows)
    }

    /// How many items wait, with the row it was read from.
    pub(super) async fn identity_waiting(&self) -> Result<(u64, Row), Error> {
        let row = self.vault.node_row(COUNT).await?;
        let count = match &row {
            Some(row) => codec::from_slice(row).map_err(|_| damaged())?,
            None => {
                // Before the first item, or before items were counted.
                let waiting = self.vault.node_rows(WAITING, None, WAITING_MAX).await?;
                u64::try_from(waiting.len()).unwrap_or(u64::MAX)
            }
        };
        Ok((count, row))
    }

    /// What a subject has to do with others, with the row it was read from.
    pub(super) async fn identity_person(
        &self,
        subject: &SubjectId,
    ) -> Result<(Person, Vec<u8>, Row), Error> {
        let parts: [&[u8]; 2] = [b"person", subject.as_bytes()];
        let name = [PEOPLE, self.vault.blind_name(&parts).as_bytes()].concat();
        let row = self.vault.node_row(&name).await?;
        let person = match &row {
            Some(row) => codec::from_slice(row).map_err(|_| damaged())?,
            None => Person::default(),
        };
        Ok((person, name, row))
    }

    /// Changes rows, all or none; whether they were as they had been read.
    pub(super) async fn identity_rows(&self, rows: Vec<NodeRow>) -> Result<bool, Error> {
        let transaction = Transaction {
            rows,
            ..Transaction::default()
        };
        let done = self
            .vault
            .transact(&transaction, self.now(), &mut self.ambient.entropy())
            .await;
        match done {
            Ok(_) => Ok(true),
            Err(vault::Error::Conflict(vault::Conflict::Done(_))) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
