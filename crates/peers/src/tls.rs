//! TLS 1.3 with the institutions' keys as the ledger has them.

use crate::End;
use codec::id::InstitutionId;
use keys::PublicKey;
use node::share::PeerKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureAlgorithm, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;

/// An Ed25519 `SubjectPublicKeyInfo` up to the key (RFC 8410).
const SPKI_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const PROTOCOL: &[u8] = b"ithaca-share/1";

/// How this institution listens.
pub(crate) fn server(end: &Arc<dyn End>) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let who = Arc::new(Who::new(end, &provider, None));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(who.clone())
        .with_cert_resolver(who);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// How this institution calls another one, and no one else.
pub(crate) fn client(end: &Arc<dyn End>, peer: InstitutionId) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let who = Arc::new(Who::new(end, &provider, Some(peer)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(who.clone())
        .with_client_cert_resolver(who);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The member whose key the other end has proved.
pub(crate) fn peer(end: &dyn End, shown: Option<&[CertificateDer<'_>]>) -> Option<InstitutionId> {
    let key = key_of(shown?.first()?)?;
    end.keys()?.whose(&key)
}

fn key_of(shown: &[u8]) -> Option<PublicKey> {
    let key = shown.strip_prefix(&SPKI_HEAD)?;
    PublicKey::try_from(key).ok()
}

/// Who this end is, and whom it believes the other one to be.
struct Who {
    end: Arc<dyn End>,
    /// The only institution on the other end; none: any member.
    peer: Option<InstitutionId>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Who {
    fn new(end: &Arc<dyn End>, provider: &CryptoProvider, peer: Option<InstitutionId>) -> Self {
        Self {
            end: end.clone(),
            peer,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let keys = self.end.keys()?;
        let spki = [SPKI_HEAD.as_slice(), keys.public().as_bytes()].concat();
        let key = Arc::new(OwnKey(keys));
        Some(Arc::new(CertifiedKey::new(vec![spki.into()], key)))
    }

    fn check(&self, shown: &[u8]) -> Result<(), Error> {
        let member = key_of(shown).and_then(|key| self.end.keys()?.whose(&key));
        let member = member.ok_or(CertificateError::UnknownIssuer)?;
        match self.peer {
            Some(peer) if peer != member => Err(CertificateError::NotValidForName.into()),
            _ => Ok(()),
        }
    }

    fn signed(
        &self,
        message: &[u8],
        shown: &[u8],
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(shown),
            signature,
            &self.algorithms,
        )
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Who")
    }
}

impl ResolvesServerCert for Who {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified()
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

impl ResolvesClientCert for Who {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certified()
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        true
    }
}

const NO_TLS12: Error = Error::General(String::new());

impl ServerCertVerifier for Who {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Who {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The institution's key, which stays where it is. TLS 1.3 signs under a context of its own (RFC 8446
/// section 4.4.3), which no message of the ledger or of sharing begins with.
struct OwnKey(Arc<dyn PeerKeys>);

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl SigningKey for OwnKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ED25519)
            .then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for OwnKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
