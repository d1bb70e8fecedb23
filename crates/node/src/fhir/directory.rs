//! The directory: a compartment of the institution's own, for what is about no patient.

use crate::custodian::Custodian;
use crate::error::Error;
use codec::Domain;
use codec::id::SubjectId;
use store::Store;
use vault::{ClientKey, CompartmentOpen};

/// The row that says which compartment it is.
const DIRECTORY: &[u8] = b"fhir-directory";
/// Longer than any client's own key, so that none can be the same.
const OPENED_AS: [u8; 200] = [0x64; 200];

impl<S: Store> Custodian<S> {
    /// The directory, opened the first time.
    pub(crate) async fn directory(&self) -> Result<SubjectId, Error> {
        if let Some(known) = self.directory_known().await? {
            return Ok(known);
        }
        let client = ClientKey {
            key: OPENED_AS.to_vec(),
            received: keys::digest(Domain::IdempotencyKey, &[DIRECTORY]),
        };
        let open = CompartmentOpen {
            client: Some(client),
            ..self.opening(SubjectId::new(self.ambient.random()), Vec::new(), None)?
        };
        let opened = self
            .vault
            .compartment_open(&open, self.now(), &mut self.ambient.entropy())
            .await?;
        if opened.created {
            self.wakes.courier.wake();
        }
        let row = opened.subject.as_bytes();
        let put = self
            .vault
            .node_row_put(DIRECTORY, None, row, &mut self.ambient.entropy())
            .await;
        // Another request may have been faster: it found the same compartment.
        if let Err(error) = put
            && self.directory_known().await? != Some(opened.subject)
        {
            return Err(error.into());
        }
        Ok(opened.subject)
    }

    /// The directory, if it was ever needed.
    pub(crate) async fn directory_known(&self) -> Result<Option<SubjectId>, Error> {
        if let Some(known) = self.directory.get() {
            return Ok(Some(*known));
        }
        let Some(row) = self.vault.node_row(DIRECTORY).await? else {
            return Ok(None);
        };
        let subject = SubjectId::try_from(row.as_slice())
            .map_err(|_| Error::Damaged("the row of the directory".to_owned()))?;
        Ok(Some(*self.directory.get_or_init(|| subject)))
    }
}
