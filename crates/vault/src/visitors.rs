//! Visitor compartments: what this institution read at others.
//!
//! Nothing that was read is kept, only that it was: disclosures in an audit compartment of its own for
//! each subject of each other custodian. Its id is this institution's alone and derives from the other
//! custodian and the subject's id there, so that no id of a subject crosses custodians and none has to be
//! kept to find it again. There is no compartment key: records cannot be put in.

use crate::Error;
use crate::custody::KeyKind;
use crate::vault::Vault;
use codec::{Domain, InstitutionId, Millis, SubjectId};
use keys::Entropy;
use store::Store;

impl<S: Store> Vault<S> {
    /// The id of the visitor compartment for a subject of another custodian.
    #[must_use]
    pub fn visitor(&self, custodian: &InstitutionId, subject: &SubjectId) -> SubjectId {
        let parts: [&[u8]; 2] = [custodian.as_bytes(), subject.as_bytes()];
        let id = self.inner().node.client.mac(Domain::VisitorSeal, &parts);
        SubjectId::new(*id.as_bytes())
    }

    /// Makes the visitor compartment if there is none: durable when it returns. Gives its id, under which
    /// disclosures are logged, listed and proved.
    ///
    /// # Errors
    /// [`Error::Custody`].
    pub async fn visitor_ensure(
        &self,
        custodian: &InstitutionId,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<SubjectId, Error> {
        let visitor = self.visitor(custodian, subject);
        if self.audit(&visitor).is_err() {
            let keychain = &self.inner().keychain;
            keychain.key_ensure(KeyKind::Audit, &visitor, now.get(), entropy)?;
        }
        Ok(visitor)
    }
}
