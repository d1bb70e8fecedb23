//! Rows of the node itself, sealed under its own key: settings, cursors, accounts.

use crate::keychain::Restored;
use crate::layout::NODE;
use crate::vault::{Vault, is_conflict};
use crate::{Conflict, Error};
use codec::{Digest, Domain};
use keys::{Entropy, Zeroizing};
use store::{Batch, Expect, Range, Store};

/// Rows of the node start with this; the vault's own ones with other bytes.
const PUBLIC: u8 = b'n';
pub(crate) const OWNER: &[u8] = b"v/owner";
/// How rows are written. 1 kept projections and had no format byte.
const FORMAT: u8 = 2;
const NAME_MAX_BYTES: usize = 512;

/// A change of a row of the node, as a part of a [`Transaction`](crate::Transaction).
#[derive(Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name, 1 to 512 bytes. Names are not sealed: see [`Vault::blind_name`].
    pub name: Vec<u8>,
    /// What must be there (`None`: nothing).
    pub expected: Option<Zeroizing<Vec<u8>>>,
    /// What is to be there (`None`: nothing).
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl<S: Store> Vault<S> {
    /// What a row about something may be named after, so that nobody without the node's key can tell from the
    /// name what it is about: the same for the same parts.
    #[must_use]
    pub fn blind_name(&self, parts: &[&[u8]]) -> Digest {
        let framed = [&[b"row-name".as_slice()], parts].concat();
        self.inner().node.client.mac(Domain::NodeSeal, &framed)
    }

    /// A row of the node.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn node_row(&self, name: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        self.own_row(&public(name)?).await
    }

    /// Makes or replaces a row of the node; `expected` is what must be there (`None`: nothing).
    ///
    /// # Errors
    /// [`Conflict::Done`] if something else is there.
    pub async fn node_row_put(
        &self,
        name: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        self.own_row_put(&public(name)?, expected, Some(value), entropy)
            .await
    }

    /// Removes a row of the node, which must be as expected.
    ///
    /// # Errors
    /// [`Conflict::Done`] if something else is there.
    pub async fn node_row_remove(&self, name: &[u8], expected: &[u8]) -> Result<(), Error> {
        let mut none = |_: &mut [u8]| {};
        self.own_row_put(&public(name)?, Some(expected), None, &mut none)
            .await
    }

    /// Removes rows of the node together, whatever they hold; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn node_rows_remove(&self, names: &[Vec<u8>]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for name in names {
            batch = batch.delete(NODE, public(name)?);
        }
        self.commit(batch).await
    }

    /// Up to `limit` rows of the node whose names start with `prefix` and come after `after`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn node_rows(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>, Error> {
        let mut range = Range::prefix([&[PUBLIC], prefix].concat());
        if let Some(after) = after {
            range = range.after([&[PUBLIC], after].concat());
        }
        let rows = self.page(NODE, range, limit).await?;
        rows.into_iter()
            .map(|(key, sealed)| {
                let plain = self.own_open(&key, &sealed)?;
                Ok((key.get(1..).unwrap_or_default().to_vec(), plain))
            })
            .collect()
    }

    /// Whether this vault was restored from a backup and not yet found in step with the ledger. A node
    /// takes no decisions until then.
    #[must_use]
    pub fn restored(&self) -> Option<Restored> {
        self.inner().keychain.restored()
    }

    /// The consent openings of this vault match the ledger: it is in service again.
    ///
    /// # Errors
    /// [`Error::Unknown`] while the erasures since the backup were not repeated (see
    /// [`Vault::erasures_resume`]); [`Error::Custody`].
    pub async fn restored_clear(&self, entropy: &mut (impl Entropy + Send)) -> Result<(), Error> {
        let restored = self.restored();
        for subject in restored.iter().flat_map(|restored| &restored.tombstones) {
            let erasure = self.erasure(subject).await?;
            if erasure.is_none_or(|erasure| erasure.done.is_none()) {
                return Err(Error::Unknown(
                    "finished erasure of a subject erased since the backup",
                ));
            }
        }
        Ok(self.inner().keychain.restored_clear(entropy)?)
    }

    /// A row of the node or of the vault, by its key.
    pub(crate) async fn own_row(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self.get(NODE, key).await? {
            Some(sealed) => self.own_open(key, &sealed).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn own_seal(&self, key: &[u8], value: &[u8], entropy: &mut impl Entropy) -> Vec<u8> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        inner
            .node
            .rows
            .seal_bytes(custodian, NODE, key, value, entropy)
    }

    pub(crate) fn own_open(&self, key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        inner.node.rows.open_bytes(custodian, NODE, key, sealed)
    }

    async fn own_row_put(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let batch = self.own_row_batch(key, expected, value, entropy).await?;
        self.commit(batch).await.map_err(|error| {
            if is_conflict(&error) {
                Conflict::Done("the row was changed in the meantime").into()
            } else {
                error
            }
        })
    }

    /// A change of a row of the node, for a batch with others.
    pub(crate) async fn node_row_batch(
        &self,
        row: &NodeRow,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Batch, Error> {
        let expected = row.expected.as_ref().map(|row| row.as_slice());
        let value = row.value.as_ref().map(|row| row.as_slice());
        self.own_row_batch(&public(&row.name)?, expected, value, entropy)
            .await
    }

    async fn own_row_batch(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Batch, Error> {
        let there = self.get(NODE, key).await?;
        let plain = there.as_deref().map(|row| self.own_open(key, row));
        let plain = plain.transpose()?;
        if plain.as_ref().map(|plain| plain.as_slice()) != expected {
            return Err(Conflict::Done("the row was changed in the meantime").into());
        }
        let expect = there.map_or(Expect::Absent, Expect::Equals);
        let batch = Batch::new().expect(NODE, key, expect);
        Ok(match value {
            Some(value) => batch.put(NODE, key, self.own_seal(key, value, entropy)),
            None => batch.delete(NODE, key),
        })
    }
}

/// Checks that store, keys and custodian belong together and that the rows are of this build's format;
/// the first opening binds them.
pub(crate) async fn owner_check<S: Store>(vault: &Vault<S>) -> Result<(), Error> {
    let inner = vault.inner();
    let custodian = inner.settings.custodian;
    let owner = inner
        .node
        .client
        .mac(Domain::NodeSeal, &[custodian.as_bytes()]);
    match vault.get(NODE, OWNER).await? {
        Some(there) => match there.strip_prefix(owner.as_bytes()) {
            Some([FORMAT]) => Ok(()),
            Some(format) => Err(Error::UnknownFormat {
                found: format.first().copied().unwrap_or(1),
                known: FORMAT,
            }),
            None => Err(Error::OtherOwner),
        },
        None => {
            let batch = Batch::new().expect(NODE, OWNER, Expect::Absent);
            let owner = [owner.as_bytes().as_slice(), &[FORMAT]].concat();
            vault.commit(batch.put(NODE, OWNER, owner)).await
        }
    }
}

fn public(name: &[u8]) -> Result<Vec<u8>, Error> {
    if name.is_empty() || name.len() > NAME_MAX_BYTES {
        return Err(Error::invalid("name", "a row's name has 1 to 512 bytes"));
    }
    Ok([&[PUBLIC], name].concat())
}
