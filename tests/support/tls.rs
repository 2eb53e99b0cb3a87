//! A server with a certificate from an authority that no machine trusts.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer};

/// Answers every request with a sentence in JSON. Only `ca.pem` in the directory vouches for it.
pub struct TlsServer {
    pub url: String,
}

impl TlsServer {
    pub fn start(dir: &Path) -> Self {
        Self::certified(dir, CertificateParams::new(["127.0.0.1".to_owned()]).unwrap())
    }

    /// A server with this certificate.
    pub fn certified(dir: &Path, leaf: CertificateParams) -> Self {
        let config = Arc::new(config(dir, leaf));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // A client that does not trust this server closes the connection, which this server ignores.
                thread::spawn(move || answer(stream, config));
            }
        });
        Self { url }
    }
}

/// Creates an authority in `ca.pem` in the directory. Returns a certificate from it, and its key.
pub fn certificate(dir: &Path, leaf: CertificateParams) -> (Certificate, KeyPair) {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "a company's own authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(dir.join("ca.key"), key.serialize_pem()).unwrap();
    let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
    std::fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    (leaf.signed_by(&key, &authority).unwrap(), key)
}

fn config(dir: &Path, leaf: CertificateParams) -> ServerConfig {
    let (leaf, key) = certificate(dir, leaf);
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap()
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    const BODY: &str = r#"{"message":"all's well"}"#;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let length = BODY.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(BODY.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
