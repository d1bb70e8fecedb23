//! Machines that prove a certificate.

use crate::house::{House, run};
use api::{Bounds, Limits, Machines, Tokens};
use consent::{PractitionerId, Role};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    sign::CertifiedKey,
};
use sign_in::own::{
    client::{self, Client, Proof, Service},
    clients_file,
};
use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsConnector;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key.
fn certificate(by: &Authority) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.signed_by(&key, by).unwrap(), key)
}

/// Shows a certificate, whether or not the key is its own.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A client's side of TLS; it shows a certificate, or none.
fn connector(node: &Authority, shown: Option<&(rcgen::Certificate, KeyPair)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(node.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let key = builder
                .crypto_provider()
                .key_provider
                .load_private_key(key)
                .unwrap();
            let chain = vec![certificate.der().clone()];
            builder
                .with_client_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key)))))
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// The status of a request, or why there was no answer.
async fn ask(at: SocketAddr, with: &TlsConnector, path: &str) -> io::Result<u16> {
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = with.connect(name, stream).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn register(house: &House, id: &str, pinned: &rcgen::Certificate, role: Role) {
    let client = Client {
        id: id.to_owned(),
        name: "A machine".to_owned(),
        proof: Proof::Certificate {},
        redirect_uris: Vec::new(),
        scopes: "system/*.rs ithaca".to_owned(),
        service: Some(Service {
            practitioner: PractitionerId::new("monitor").unwrap(),
            roles: BTreeSet::from([role]),
        }),
        certificates: vec![keys::sha256(&[pinned.der().as_ref()]).to_string()],
    };
    client::add(&clients_file(&house.folder), client).unwrap();
}

/// Serves while `test` runs.
async fn served<F: Future>(
    house: &House,
    node: &Authority,
    authorities: Option<&Authority>,
    test: impl FnOnce(SocketAddr) -> F,
) -> F::Output {
    let (own, key) = certificate(node);
    let authorities = authorities.map(|a| a.pem());
    let machines = Machines::new(
        own.pem().as_bytes(),
        key.serialize_pem().as_bytes(),
        authorities.as_deref().map(str::as_bytes),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let tokens = Tokens::at(house.folder.join("no-tokens.json"));
    let router = house.edge(tokens, Limits::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let bounds = Bounds {
            grace: Duration::from_secs(1),
            ..Bounds::default()
        };
        let stopped = async {
            stopped.await.ok();
        };
        api::serve_machines(listener, &machines, router, &bounds, stopped).await
    });
    let result = test(at).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    result
}

#[test]
fn a_machine_is_who_its_certificate_is_registered_for() {
    run(async |house| {
        let (node, strangers) = (authority(), authority());
        let (monitor, lab, nobody) = (
            certificate(&strangers),
            certificate(&strangers),
            certificate(&strangers),
        );
        register(house, "monitor", &monitor.0, Role::Operator);
        register(house, "lab", &lab.0, Role::Laboratory);
        served(house, &node, None, async |at| {
            let as_monitor = connector(&node, Some(&monitor));
            assert_eq!(ask(at, &as_monitor, "/metrics").await.unwrap(), 200);
            let as_lab = connector(&node, Some(&lab));
            assert_eq!(ask(at, &as_lab, "/metrics").await.unwrap(), 403);
            let as_nobody = connector(&node, Some(&nobody));
            assert_eq!(ask(at, &as_nobody, "/metrics").await.unwrap(), 401);
            assert_eq!(ask(at, &as_nobody, "/health").await.unwrap(), 200);
            // Another's certificate without its key.
            let stolen = (monitor.0.clone(), KeyPair::generate().unwrap());
            let stolen = connector(&node, Some(&stolen));
            assert!(ask(at, &stolen, "/health").await.is_err());
            assert!(ask(at, &connector(&node, None), "/health").await.is_err());
        })
        .await;
    });
}

#[test]
fn with_authorities_others_are_not_let_in() {
    run(async |house| {
        let (node, ours, theirs) = (authority(), authority(), authority());
        let (good, bad) = (certificate(&ours), certificate(&theirs));
        register(house, "good", &good.0, Role::Operator);
        register(house, "bad", &bad.0, Role::Operator);
        served(house, &node, Some(&ours), async |at| {
            let good = connector(&node, Some(&good));
            assert_eq!(ask(at, &good, "/metrics").await.unwrap(), 200);
            assert!(
                ask(at, &connector(&node, Some(&bad)), "/health")
                    .await
                    .is_err()
            );
        })
        .await;
    });
}

#[test]
fn files_that_are_of_no_use() {
    let node = authority();
    let (own, key) = certificate(&node);
    let (_, other) = certificate(&node);
    let (own, key) = (own.pem(), key.serialize_pem());
    let check = |chain: &str, key: &str, authorities: Option<&str>, word: &str| {
        let authorities = authorities.map(str::as_bytes);
        let why = Machines::new(chain.as_bytes(), key.as_bytes(), authorities);
        let why = why.unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
    };
    check("", &key, None, "certificate's file");
    check(&own, &own, None, "private key");
    check(&own, &other.serialize_pem(), None, "cannot be used");
    check(&own, &key, Some("nothing"), "authorities' file");
}
