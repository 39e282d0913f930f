//! Authorities, certificates, and a server that shows one.

use crate::limits;
use crate::probe::talk::Line;
use crate::probe::{Course, Ending, Means, hold, run};
use crate::time::{Duration, Instant};
use crate::wire::http::{HttpVersion, emit_request};
use crate::wire::job::{Body, Job, Report, STEPS, TlsTask, emit_http, stamp};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const RSA_2048: &str = include_str!("../../../../tests/golden/rsa-2048.pem");
const RSA_2048_PKCS1: &str = include_str!("../../../../tests/golden/rsa-2048-pkcs1.pem");
const P256: &str = include_str!("../../../../tests/golden/p256.pem");
const P256_SEC1: &str = include_str!("../../../../tests/golden/p256-sec1.pem");

/// 2026-01-01: so old is the world of these tests.
const NOW: u64 = 1_767_225_600;
/// MD5 of `hello\n`.
const HELLO: [u8; 16] =
    [0xb1, 0x94, 0x6a, 0xc9, 0x24, 0x92, 0xd2, 0x34, 0x7c, 0x62, 0x35, 0xb4, 0xd2, 0x61, 0x11, 0x84];

pub(super) const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

/// Keys, and forms in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    P256,
    P384,
    Ed25519,
    Rsa2048,
    Sec1,
    Pkcs1,
}

impl Key {
    fn pair(self) -> KeyPair {
        match self {
            Key::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Key::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            Key::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
            Key::Rsa2048 | Key::Pkcs1 => KeyPair::from_pem(RSA_2048),
            Key::Sec1 => KeyPair::from_pem(P256),
        }
        .unwrap()
    }

    fn pem(self, pair: &KeyPair) -> String {
        match self {
            Key::P256 | Key::P384 | Key::Ed25519 | Key::Rsa2048 => pair.serialize_pem(),
            Key::Sec1 => P256_SEC1.to_owned(),
            Key::Pkcs1 => RSA_2048_PKCS1.to_owned(),
        }
    }
}

/// A key that is not that of any certificate here, of the same kind.
pub(super) fn another_key(key: Key) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    match key {
        Key::Rsa2048 | Key::Pkcs1 => {
            let pem = include_bytes!("../../../../tests/golden/rsa-2048-other.pem");
            PrivateKeyDer::from_pem_slice(pem).unwrap().secret_der().to_vec()
        }
        Key::P256 | Key::P384 | Key::Ed25519 | Key::Sec1 => key.pair().serialize_der(),
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub(super) struct Shown {
    der: Vec<u8>,
    /// PKCS#8.
    pub(super) key: Vec<u8>,
    key_pem: String,
}

impl Shown {
    pub(super) fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.der)
    }

    pub(super) fn key_pem(&self) -> Vec<u8> {
        self.key_pem.clone().into_bytes()
    }

    /// Without the version and the extensions, which version 1 does not have. Its signature is void.
    pub(super) fn of_version_1(self) -> Self {
        let mut parts = values(contents(values(contents(&self.der))[0]));
        parts.remove(0);
        parts.truncate(6);
        Shown { der: again(&self.der, &parts.concat()), ..self }
    }

    /// With another key in it: a SubjectPublicKeyInfo.
    pub(super) fn put_key_of(&mut self, spki: &[u8]) {
        let mut parts = values(contents(values(contents(&self.der))[0]));
        parts[6] = spki;
        self.der = again(&self.der, &parts.concat());
    }
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for three in der.chunks(3) {
        let number = three.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
        text.push('\n');
    }
    text += &format!("-----END {label}-----\n");
    text.into_bytes()
}

/// Length of a DER value's head, and of its contents.
fn measure(der: &[u8]) -> (usize, usize) {
    match der[1] {
        len @ 0..=0x7f => (2, usize::from(len)),
        bytes => {
            let count = usize::from(bytes & 0x7f);
            (2 + count, der[2..2 + count].iter().fold(0, |n, b| n << 8 | usize::from(*b)))
        }
    }
}

fn contents(der: &[u8]) -> &[u8] {
    let (head, len) = measure(der);
    &der[head..head + len]
}

fn values(mut der: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !der.is_empty() {
        let (head, len) = measure(der);
        let (one, rest) = der.split_at(head + len);
        all.push(one);
        der = rest;
    }
    all
}

/// The certificate with other contents of what is signed.
fn again(der: &[u8], tbs: &[u8]) -> Vec<u8> {
    let sequence = |contents: &[u8]| {
        let len = contents.len();
        [&[0x30, 0x82, (len >> 8) as u8, len as u8][..], contents].concat()
    };
    let rest = values(contents(der))[1..].concat();
    sequence(&[sequence(tbs), rest].concat())
}

/// Whoever signs certificates.
pub(super) struct Authority {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::named(&format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn named(name: &str) -> Self {
        let key = Key::P256.pair();
        let mut params = params(&[], (2001, 2049));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority { der, issuer: Issuer::new(params, key) }
    }

    pub(super) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.der)
    }

    pub(super) fn issue(&self, key: Key, names: &[&str]) -> Shown {
        self.issue_for(key, names, (2001, 2049))
    }

    /// Valid from the first day of a year to that of another.
    pub(super) fn issue_for(&self, key: Key, names: &[&str], years: (i32, i32)) -> Shown {
        self.sign(key, params(names, years))
    }

    pub(super) fn issue_for_clients(&self, names: &[&str]) -> Shown {
        let mut params = params(names, (2001, 2049));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(Key::P256, params)
    }

    pub(super) fn issue_for_client(&self, key: Key) -> Shown {
        let mut params = params(&["router"], (2001, 2049));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(key, params)
    }

    fn sign(&self, key: Key, params: CertificateParams) -> Shown {
        let pair = key.pair();
        let der = params.signed_by(&pair, &self.issuer).unwrap().der().to_vec();
        Shown { der, key: pair.serialize_der(), key_pem: key.pem(&pair) }
    }
}

fn params(names: &[&str], (from, until): (i32, i32)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "somebody");
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params
}

/// As `openssl req -x509` makes it: an authority's.
pub(super) fn self_signed(names: &[&str]) -> Shown {
    self_signed_for(names, (2001, 2049))
}

pub(super) fn self_signed_for(names: &[&str], years: (i32, i32)) -> Shown {
    let pair = Key::P256.pair();
    let mut params = params(names, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let der = params.self_signed(&pair).unwrap().der().to_vec();
    Shown { der, key: pair.serialize_der(), key_pem: pair.serialize_pem() }
}

pub(super) type Served = StreamOwned<ServerConnection, TcpStream>;

/// What a server says, and what it does then.
pub(super) struct Answer {
    text: &'static [u8],
    then: fn(&mut Served),
}

impl Answer {
    pub(super) fn new(text: &'static [u8], then: fn(&mut Served)) -> Self {
        Answer { text, then }
    }
}

/// Ends as TLS wants it.
pub(super) const CLOSE: fn(&mut Served) = |stream| {
    stream.conn.send_close_notify();
    let _ = stream.flush();
};

/// Ends without a word.
pub(super) fn cut_off(stream: &mut Served) {
    let _ = stream.sock.shutdown(Shutdown::Write);
}

type Raw = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

/// One probe and its server. Everything is good unless it is changed.
pub(super) struct Bed {
    pub(super) shown: Shown,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    /// Authority of the clients that are wanted.
    pub(super) clients: Option<Vec<u8>>,
    pub(super) answer: Answer,
    /// In the place of TLS.
    pub(super) raw: Option<Raw>,
    pub(super) name: &'static str,
    pub(super) sni: bool,
    pub(super) ca: Option<Vec<u8>>,
    /// Certificate and key that the probe shows.
    pub(super) ours: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) digest: bool,
    pub(super) wall: fn() -> Duration,
    pub(super) has_random: fn() -> bool,
}

impl Bed {
    pub(super) fn new(shown: Shown) -> Self {
        Bed {
            shown,
            versions: rustls::ALL_VERSIONS.to_vec(),
            clients: None,
            answer: Answer::new(PAGE, CLOSE),
            raw: None,
            name: "www.example.org",
            sni: true,
            ca: None,
            ours: None,
            digest: false,
            wall: || Duration::from_secs(NOW),
            has_random: || true,
        }
    }

    pub(super) fn probe(&self) -> Report {
        self.probe_and_hear().0
    }

    /// The report, and the name that the server heard (SNI).
    pub(super) fn probe_and_hear(&self) -> (Report, Option<String>) {
        let (address, heard) = self.serve();
        let clock: fn() -> Instant = Instant::now;
        let stream = TcpStream::connect(address).unwrap();
        let start = clock();
        let report = self.with_job(clock, |job, means| run(job, stream, means));
        assert!(clock() - start < Duration::from_millis(1500), "HC-1: for a deadline of 400 ms");
        (report, heard.join().unwrap())
    }

    /// The same conversation over a line that is no socket, with a clock that stands.
    pub(super) fn probe_over(&self, line: &mut dyn Line) -> Ending {
        let clock: fn() -> Instant = || Instant::ZERO;
        self.with_job(clock, |job, means| {
            let mut course = Course { clock, start: clock(), steps: [0; STEPS], bytes: 0 };
            hold(job, line, means, &mut course)
        })
    }

    fn with_job<T>(&self, clock: fn() -> Instant, talk: impl FnOnce(&Job<'_>, &Means<'_>) -> T) -> T {
        let timeout = Duration::from_millis(400);
        let path = |file: &Option<_>, path| if file.is_some() { path } else { "" };
        let (certificate, key) = self.ours.clone().unzip();
        let tls = TlsTask {
            name: self.name,
            sni: self.sni,
            ca: path(&self.ca, "/ca.pem"),
            certificate: path(&certificate, "/our.pem"),
            key: path(&key, "/our.key"),
        };
        let files: Vec<Vec<u8>> = [self.ca.clone(), certificate, key].into_iter().flatten().collect();
        let body = Body { digest: self.digest.then_some(HELLO), ..Body::default() };
        let request =
            |room: &mut [u8]| emit_request(HttpVersion::Http11, "h", "/", core::iter::empty(), room);
        let mut buffer = [0; limits::JOB_MAX];
        let ranges = [(200, 200)].into_iter();
        let len = emit_http(&mut buffer, timeout, request, Some(&tls), &body, ranges).unwrap();
        stamp(&mut buffer[..len], 9, timeout);
        let means = Means { clock, wall: self.wall, has_random: self.has_random, files: &files };
        talk(&Job::parse(&buffer[..len]).unwrap(), &means)
    }

    /// A server for one connection; it gives the name that it heard.
    fn serve(&self) -> (SocketAddr, thread::JoinHandle<Option<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (config, text, then) = (self.config(), self.answer.text, self.answer.then);
        let raw = self.raw.clone();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            if let Some(raw) = raw {
                raw(&mut stream);
                return None;
            }
            let mut served = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && served.read(&mut byte).unwrap_or(0) > 0 {
                request.push(byte[0]);
            }
            let heard = served.conn.server_name().map(str::to_owned);
            let _ = served.write_all(text);
            let _ = served.flush();
            then(&mut served);
            // Else the bytes that nobody reads here would become a reset.
            let _ = served.sock.set_read_timeout(Some(core::time::Duration::from_millis(500)));
            let _ = served.sock.read_to_end(&mut Vec::new());
            heard
        });
        (address, server)
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from(authority.clone())).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(self.shown.key.clone().into());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = CertifiedKey::new(vec![CertificateDer::from(self.shown.der.clone())], key);
        Arc::new(builder.with_cert_resolver(Arc::new(Always(Arc::new(shown)))))
    }
}

/// A server that says these bytes, and ends.
pub(super) fn raw(bytes: Vec<u8>) -> Bed {
    let raw: Raw = Arc::new(move |stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(core::time::Duration::from_millis(500)));
        let _ = stream.read_to_end(&mut Vec::new());
    });
    Bed { raw: Some(raw), ..Bed::new(self_signed(&[])) }
}

/// Shows one certificate, whether its key is the right one or not.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
