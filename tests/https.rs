//! HTTPS probes through a real worker: files that it may not open, a sandbox that lets it shake hands, and
//! servers of OpenSSL's.

#![cfg(feature = "https")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[allow(dead_code, reason = "shared with prober.rs, which needs all of it")]
#[path = "prober/bench.rs"]
mod bench;

use bench::Bench;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use vipd::engine::Outcome;
use vipd::model::{CheckKind, HttpCheck, HttpPage, TlsCheck};

/// A directory with an authority, a server's certificate and a client's, and their keys.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vipd-https-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let files = Files(std::env::temp_dir().join(name));
        std::fs::create_dir(&files.0).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        files.write("ca.pem", &params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        for who in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let names = vec!["www.example.org".to_owned(), "127.0.0.1".to_owned()];
            let params = CertificateParams::new(names).unwrap();
            files.write(&format!("{who}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
            files.write(&format!("{who}.key"), &key.serialize_pem());
        }
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn config(&self, wants_client: bool) -> Arc<ServerConfig> {
        let certificates = |name: &str| {
            let pem = std::fs::read(self.0.join(name)).unwrap();
            rustls::pki_types::CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect::<Vec<_>>()
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates("ca.pem"));
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.0.join("server.key")).unwrap();
        Arc::new(builder.with_single_cert(certificates("server.pem"), key).unwrap())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that answers with 200, and the path that was asked for.
fn server(config: Arc<ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            thread::spawn(move || {
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    request.push(byte[0]);
                }
                let text = String::from_utf8(request).unwrap();
                let path = text.split(' ').nth(1).unwrap_or("").to_owned();
                let len = path.len();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{path}");
                let _ = stream.flush();
            });
        }
    });
    address
}

/// A check over TLS of `/`.
fn https(tls: TlsCheck) -> CheckKind {
    let check = HttpCheck { tls: Some(Box::new(tls)), ..HttpCheck::new(HttpPage::new("/")) };
    CheckKind::Http(Box::new(check))
}

fn with_ca(files: &Files) -> TlsCheck {
    TlsCheck { ca: Some(files.path("ca.pem")), ..TlsCheck::default() }
}

/// The outcome of one probe.
fn probe(bench: &mut Bench, address: SocketAddr, tls: TlsCheck) -> Outcome {
    let count = bench.count(0);
    bench.start(0, address, &https(tls), 3000, true);
    bench.until(|bench| bench.count(0) > count);
    bench.outcome(0)
}

#[track_caller]
fn assert_not_run(outcome: Outcome, start: &str) {
    let Outcome::NotRun(why) = outcome else { panic!("HC-4: {outcome:?}") };
    assert!(why.starts_with(start), "{why}");
}

/// Law 6: hands are shaken, certificates judged and files read within the sandbox.
#[test]
fn a_confined_worker_speaks_tls() {
    let files = Files::new();
    let address = server(files.config(false));
    let mut bench = Bench::new();
    assert_eq!(probe(&mut bench, address, TlsCheck::default()), Outcome::Passed);
    assert_eq!(probe(&mut bench, address, with_ca(&files)), Outcome::Passed, "known by its address");
    let named = TlsCheck { name: Some("www.example.org".into()), ..with_ca(&files) };
    assert_eq!(probe(&mut bench, address, named), Outcome::Passed);
    let wrong = TlsCheck { name: Some("a.b".into()), ..with_ca(&files) };
    let why = "certificate is for www.example.org and 1 more, want a.b";
    assert_eq!(probe(&mut bench, address, wrong), Outcome::Failed(why.try_into().unwrap()));
    let [worker] = bench.workers()[..] else { panic!("one worker for all: {:?}", bench.workers()) };
    let open = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
    assert_eq!(open, 3, "files of a conversation are closed after it");
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    for want in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.contains(want), "{want}: {status}");
    }
}

#[test]
fn our_certificate_is_shown_and_its_key_used() {
    let files = Files::new();
    let address = server(files.config(true));
    let mut bench = Bench::new();
    let ours = |who: &str| Some((files.path(&format!("{who}.pem")), files.path("client.key")));
    let tls = TlsCheck { client: ours("client"), ..with_ca(&files) };
    assert_eq!(probe(&mut bench, address, tls), Outcome::Passed);
    let why = "TLS refused: a client certificate is wanted";
    assert_eq!(probe(&mut bench, address, with_ca(&files)), Outcome::Failed(why.try_into().unwrap()));
    let tls = TlsCheck { client: ours("server"), ..with_ca(&files) };
    assert_not_run(probe(&mut bench, address, tls), &files.path("client.key")[..30]);
}

/// HC-4: what this router lacks is no verdict on a server. Law 1: nothing that waits is opened.
#[test]
fn files_that_cannot_be_read_are_no_verdict() {
    let files = Files::new();
    let address = server(files.config(false));
    let mut bench = Bench::new();
    let ca = |path: &str| TlsCheck { ca: Some(path.to_owned()), ..TlsCheck::default() };
    let missing = probe(&mut bench, address, ca("/nonexistent/ca.pem"));
    assert_not_run(missing, "No such file or directory: /nonexistent/ca.pem");
    assert_not_run(probe(&mut bench, address, ca("/etc")), "not a file: /etc");
    let fifo = files.path("fifo");
    nix::unistd::mkfifo(Path::new(&fifo), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_not_run(probe(&mut bench, address, ca(&fifo)), "not a file: ");
    files.write("large.pem", &"x".repeat(vipd::limits::PEM_MAX + 1));
    assert_not_run(probe(&mut bench, address, ca(&files.path("large.pem"))), "larger than 1 MiB: ");
    files.write("nothing.pem", "nothing\n");
    assert_not_run(probe(&mut bench, address, ca(&files.path("nothing.pem"))), "no certificate in /");
    // What is put right is right at the next probe.
    std::fs::copy(files.path("ca.pem"), files.path("nothing.pem")).unwrap();
    assert_eq!(probe(&mut bench, address, ca(&files.path("nothing.pem"))), Outcome::Passed);
}

/// HC-11: each over a connection of its own, all within the one timeout.
#[test]
fn several_pages_over_tls() {
    let files = Files::new();
    let address = server(files.config(false));
    let mut bench = Bench::new();
    let page = |path: &str, text: &str| {
        let regex = vipd::model::PageRegex { pattern: text.to_owned(), negated: false, first: 0, last: 0 };
        HttpPage { regex: Some(regex), ..HttpPage::new(path) }
    };
    let check = |pages| {
        let tls = Some(Box::new(with_ca(&files)));
        CheckKind::Http(Box::new(HttpCheck { pages, tls, ..HttpCheck::new(HttpPage::new("/")) }))
    };
    bench.start(0, address, &check(vec![page("/a", "^/a$"), page("/b", "^/b$")]), 3000, true);
    bench.until_ended(1);
    bench.assert_passed(0);
    bench.start(0, address, &check(vec![page("/a", "^/a$"), page("/b", "^/c$")]), 3000, true);
    bench.until_ended(2);
    let Outcome::Failed(why) = bench.outcome(0) else { panic!("{:?}", bench.outcome(0)) };
    assert!(why.contains("the regex does not match the page"), "{why}");
}

/// What a server process is told on its standard input, and its end.
struct OpenSsl {
    child: Child,
    address: SocketAddr,
}

impl OpenSsl {
    /// `openssl s_server` with more arguments; `None` where there is no such program.
    fn start(files: &Files, more: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("openssl")
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}")])
            .args(["-cert", &files.path("server.pem"), "-key", &files.path("server.key")])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            let _ = writeln!(std::io::stderr(), "SKIPPED: there is no openssl here");
            return None;
        };
        let server = OpenSsl { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(50));
            let listens = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
            if listens.contains(&format!("0100007F:{port:04X} 00000000:0000 0A")) {
                return Some(server);
            }
        }
        panic!("openssl s_server does not listen");
    }

    fn say(&mut self, text: &str) {
        let _ = self.child.stdin.as_mut().unwrap().write_all(text.as_bytes());
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn openssl_servers_of_both_versions() {
    let files = Files::new();
    // Before the servers: another test would count them among its workers.
    let mut bench = Bench::new();
    for more in [&["-www", "-tls1_2"][..], &["-www", "-tls1_3"]] {
        let Some(server) = OpenSsl::start(&files, more) else { return };
        assert_eq!(probe(&mut bench, server.address, with_ca(&files)), Outcome::Passed, "{more:?}");
    }
    let Some(server) = OpenSsl::start(&files, &["-www", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]) else {
        return;
    };
    let Outcome::Failed(why) = probe(&mut bench, server.address, TlsCheck::default()) else {
        panic!("{:?}", bench.outcome(0))
    };
    assert!(why.contains("1.2 nor 1.3"), "{why}");
}

/// B-117: it is refused, and the page comes all the same.
#[test]
fn b117_renegotiation_is_refused() {
    let files = Files::new();
    let mut bench = Bench::new();
    let Some(mut server) = OpenSsl::start(&files, &["-tls1_2"]) else { return };
    bench.start(0, server.address, &https(with_ca(&files)), 3000, true);
    bench.run_for(500);
    assert_eq!(bench.count(0), 0, "it waits for a reply");
    // A line that begins with R is a request to renegotiate.
    server.say("R\n");
    bench.run_for(300);
    server.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    bench.until_ended(1);
    match bench.outcome(0) {
        Outcome::Passed => {}
        // OpenSSL gives up where it is refused.
        Outcome::Failed(why) => assert!(why.contains("TLS") || why.contains("closed"), "{why}"),
        Outcome::NotRun(why) => panic!("{why}"),
    }
    assert!(bench.took(0) < Duration::from_millis(3000), "neither side may wait for ever");
}
