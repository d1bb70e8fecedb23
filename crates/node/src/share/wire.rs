//! Messages between institutions. Pure: what is signed, what is sealed, and under which names.

use super::ShareRefused;
use codec::id::{DisclosureId, GrantId, InstitutionId, NetworkId, RecordId, SubjectId};
use codec::time::Millis;
use codec::{Decode, Digest, Domain, Encode, choice, record};
use consent::{Because, Missing, Request};
use keys::SigningKey;
use keys::commitment::Label;
use keys::cose::{Sign1, protected_application, protected_header};
use ledger::KeyId;

record! {
    /// What the asking institution signs.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct Ask {
        1 => pub(crate) network: NetworkId,
        2 => pub(crate) custodian: InstitutionId,
        /// With the actor, whose institution is the one that signs.
        3 => pub(crate) request: Request,
        4 => pub(crate) nonce: [u8; 32],
        5 => pub(crate) issued: Millis,
        6 => pub(crate) expires: Millis,
        /// Of the newest block that the asker holds: it needs no proof of who validated up to then.
        7 => pub(crate) epoch: u64,
    }
}

record! {
    /// What the custodian signs.
    pub(crate) struct Answer {
        1 => pub(crate) network: NetworkId,
        2 => pub(crate) custodian: InstitutionId,
        /// Digest of the request's bytes.
        3 => pub(crate) request: Digest,
        4 => pub(crate) disclosure: DisclosureId,
        5 => pub(crate) sealed: Vec<u8>,
    }
}

choice! {
    /// What is sealed.
    pub(crate) enum Outcome {
        1 => Permitted(Permitted),
        2 => Refused(Vec<Missing>),
    }
}

record! {
    /// What a permitted request gets.
    pub(crate) struct Permitted {
        1 => pub(crate) because: Vec<Because>,
        2 => pub(crate) until: Option<Millis>,
        3 => pub(crate) records: Vec<Sent>,
    }
}

record! {
    /// A record on its way.
    pub(crate) struct Sent {
        1 => pub(crate) record: RecordId,
        2 => pub(crate) version: u32,
        3 => pub(crate) kind: String,
        4 => pub(crate) deposited: Millis,
        /// Opens exactly the leaves of `parts`, in their order. Without the ends of epochs before the asker's.
        5 => pub(crate) receipt: Vec<u8>,
        6 => pub(crate) parts: Vec<SentPart>,
    }
}

record! {
    /// A projection on its way.
    pub(crate) struct SentPart {
        1 => pub(crate) label: Label,
        2 => pub(crate) bytes: Vec<u8>,
    }
}

record! {
    /// Lets another institution ask: signed by the custodian, handed over by whoever grants.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SharePointer {
        /// The ledger.
        1 => pub network: NetworkId,
        /// Who holds the records.
        2 => pub custodian: InstitutionId,
        /// Whose they are there.
        3 => pub subject: SubjectId,
        /// The grant that it was made for. What it permits is decided at each request.
        4 => pub grant: GrantId,
        /// When it was made.
        5 => pub issued: Millis,
    }
}

impl Sent {
    /// About how much of an answer it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.bytes.len());
        parts.fold(self.receipt.len(), usize::saturating_add)
    }
}

/// Signs a message under its domain and this network.
pub(crate) fn sign<T: Encode>(
    domain: Domain,
    network: &NetworkId,
    message: &T,
    key: &SigningKey,
) -> Vec<u8> {
    let protected = protected_header(&KeyId::of(&key.public()));
    let external = keys::aad(domain, &[network.as_bytes()]);
    Sign1::sign(protected, codec::to_vec(message), &external, key).encode()
}

/// A signed message that was read and not yet believed.
pub(crate) struct Claimed<T> {
    pub(crate) message: T,
    pub(crate) signer: KeyId,
    signed: Sign1,
    domain: Domain,
}

impl<T: Encode + Decode> Claimed<T> {
    pub(crate) fn read(domain: Domain, bytes: &[u8]) -> Result<Self, ShareRefused> {
        let malformed = |_| ShareRefused::Malformed;
        let signed = Sign1::decode(bytes).map_err(malformed)?;
        Ok(Self {
            message: codec::from_slice(&signed.payload).map_err(malformed)?,
            signer: protected_application(&signed.protected).map_err(malformed)?,
            signed,
            domain,
        })
    }

    /// The message, if it is signed by this key.
    pub(crate) fn believed(
        self,
        network: &NetworkId,
        key: &keys::PublicKey,
    ) -> Result<T, ShareRefused> {
        let external = keys::aad(self.domain, &[network.as_bytes()]);
        self.signed
            .verify(&external, key)
            .map_err(|_| ShareRefused::Signature)?;
        Ok(self.message)
    }
}

/// The digest by which an answer names its request.
pub(crate) fn request_digest(request: &[u8]) -> Digest {
    keys::digest(Domain::ShareRequest, &[request])
}

/// What a seal is for: which custodian answers which asker.
pub(crate) fn seal_info(
    network: &NetworkId,
    custodian: &InstitutionId,
    asker: &InstitutionId,
) -> Vec<u8> {
    keys::aad(
        Domain::ShareSeal,
        &[network.as_bytes(), custodian.as_bytes(), asker.as_bytes()],
    )
}

/// Where a seal belongs: the request it answers, and the disclosure that it is.
pub(crate) fn seal_place(request: &Digest, disclosure: &DisclosureId) -> Vec<u8> {
    keys::aad(
        Domain::ShareSeal,
        &[request.as_bytes(), disclosure.as_bytes()],
    )
}
