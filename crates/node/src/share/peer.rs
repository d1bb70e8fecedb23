//! What a connection between institutions is authenticated with: this institution's own key, and whose
//! another one is by the ledger as it stands.

use crate::custodian::Custodian;
use codec::id::InstitutionId;
use keys::{PublicKey, Signature};
use ledger::KeyId;
use store::Store;

/// The keys of institutions, for handshakes. A rotation on the ledger is seen by the next call.
pub trait PeerKeys: Send + Sync {
    /// This institution.
    fn own(&self) -> InstitutionId;
    /// Its key.
    fn public(&self) -> PublicKey;
    /// Signs a handshake with it. The message must carry a context that no other message here has.
    fn sign(&self, message: &[u8]) -> Signature;
    /// The member whose key this is now.
    fn whose(&self, key: &PublicKey) -> Option<InstitutionId>;
}

impl<S: Store> PeerKeys for Custodian<S> {
    fn own(&self) -> InstitutionId {
        self.id
    }

    fn public(&self) -> PublicKey {
        self.signers().signing.public()
    }

    fn sign(&self, message: &[u8]) -> Signature {
        self.signers().signing.sign(message)
    }

    fn whose(&self, key: &PublicKey) -> Option<InstitutionId> {
        let id = KeyId::of(key);
        let leaf = self.ledger.state_view().institution_by_key(&id)?;
        self.member(&leaf.institution).ok()?;
        let current = self.member_key(&leaf.institution, &id).ok()?;
        (current == *key).then_some(leaf.institution)
    }
}
