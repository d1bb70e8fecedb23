//! The listener for machines: TLS 1.3, both ends prove a certificate.
//!
//! Whoever connects must hold the key of the certificate that they show. With certificate authorities, one of these
//! must have signed it for a client; without, any is let in, for a certificate by itself opens nothing: it is the
//! registered client that has pinned it which acts (`ithaca client add --certificate`), and who has none is a stranger
//! as on any other listener. A pinned certificate is good until its pin is removed.

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// How the node listens for machines.
#[derive(Clone)]
pub struct Machines(TlsAcceptor);

/// Files that are of no use for that.
#[derive(Debug, thiserror::Error)]
pub enum MachinesError {
    /// Not PEM, or the wrong kind.
    #[error("{0} holds no {1} in PEM")]
    Pem(&'static str, &'static str),
    /// They do not fit together.
    #[error("certificate and key cannot be used: {0}")]
    Tls(#[from] Error),
    /// No authority among them.
    #[error("the certificate authorities cannot be used: {0}")]
    Authorities(String),
}

impl Machines {
    /// With the node's own certificate chain and key, and the authorities whose clients are let in (all PEM).
    ///
    /// # Errors
    /// [`MachinesError`].
    pub fn new(
        chain: &[u8],
        key: &[u8],
        authorities: Option<&[u8]>,
    ) -> Result<Self, MachinesError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(chain, "the certificate's file")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| MachinesError::Pem("the key's file", "private key"))?;
        let verifier: Arc<dyn ClientCertVerifier> = match authorities {
            None => Arc::new(Holder(provider.signature_verification_algorithms)),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(pem, "the authorities' file")? {
                    roots.add(root)?;
                }
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| MachinesError::Authorities(error.to_string()))?
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each connection proves its certificate anew.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl std::fmt::Debug for Machines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Machines")
    }
}

/// The SHA-256 of a certificate, as it is pinned.
pub(crate) fn pin(certificate: &CertificateDer<'_>) -> String {
    keys::sha256(&[certificate.as_ref()]).to_string()
}

fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, MachinesError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(MachinesError::Pem(what, "certificate")),
    }
}

/// Lets in whoever holds the key of the certificate that they show.
#[derive(Debug)]
struct Holder(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Holder {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // INVARIANT: a certificate opens nothing but what is registered for its SHA-256.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
