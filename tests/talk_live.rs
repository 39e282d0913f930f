//! The whole daemon, from its configuration to its status: probes that hold a conversation, with good servers
//! and with bad ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Lan, Vipd, lan};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// Of each check.
const OFTEN: &str = "interval = \"1s\", timeout = \"800ms\", fall = 1";

/// One service with one server at each of the ports of the client.
fn service(name: &str, vip_port: u16, check: &str, ports: &[u16]) -> String {
    let mut text = format!(
        "[[service]]\nname = \"{name}\"\naddress = \"10.9.0.100:{vip_port}\"\nprotocol = \"tcp\"\n\
         scheduler = \"rr\"\nforward = \"nat\"\ncheck = {{ {check}, {OFTEN} }}\n"
    );
    for port in ports {
        text += &format!("[[service.server]]\naddress = \"10.9.0.3:{port}\"\n");
    }
    text
}

/// A port of the client, each connection in a thread of its own.
fn serve(lan: &Lan, port: u16, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
    let listener = lan.c.namespace.inside(|| TcpListener::bind(("10.9.0.3", port)).unwrap());
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let serve = serve.clone();
            let _ = connection.set_read_timeout(Some(Duration::from_secs(2)));
            std::thread::spawn(move || serve(connection));
        }
    });
}

fn request(stream: &mut impl Read) -> String {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}

/// Waits until so many servers are told up, and until each of these reasons is told.
fn wait_for(a: &Vipd, up: usize, reasons: &[&str]) {
    let is_told = || {
        let status = a.status();
        // Checks are told up or down besides.
        let told = status.matches("\"draining\":false,\"up\":true").count() == up;
        told && reasons.iter().all(|reason| status.contains(reason))
    };
    let end = std::time::Instant::now() + SOON;
    while !is_told() {
        assert!(std::time::Instant::now() < end, "want {up} up, and {reasons:?}: {}", a.status());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// HC-10, HC-11: pages in turn, each over a connection of its own, all as wanted.
#[test]
fn pages_and_what_is_wanted_of_them() {
    let Some(lan) = lan() else { return };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    serve(&lan, 8001, move |mut stream| {
        let request = request(&mut stream);
        let page = if request.starts_with("GET /b") {
            "2;x\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\n"
        } else {
            "6\r\nall ok\r\n0\r\n\r\n"
        };
        hears.lock().unwrap().push(request);
        let _ = write!(stream, "HTTP/1.1 203 Fine\r\nTransfer-Encoding: chunked\r\n\r\n{page}");
    });
    serve(&lan, 8002, |mut stream| {
        let request = request(&mut stream);
        let text = if request.starts_with("GET /b") { "hallo\n" } else { "all ok" };
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{text}");
    });
    serve(&lan, 8003, |mut stream| {
        let _ = request(&mut stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nall bad");
    });
    let check = "type = \"http\", version = \"1.0\", headers = { \"X-Probe\" = \"vipd\" }, pages = [ \
                 { path = \"/a\", virtual_host = \"www.example.org\", status = [203, \"200-201\"], \
                 regex = \"^all (ok|fine)$\" }, \
                 { path = \"/b\", digest = \"b1946ac92492d2347c6235b4d2611184\" } ]";
    let a = Vipd::start(&lan, &lan.a, &service("web", 80, check, &[8001, 8002, 8003]));
    let differs = "page 2: digest differs: got aee97cb3ad288ef0add6c6b5b5fae48a";
    wait_for(&a, 1, &[differs, "page 1: the regex does not match the page"]);
    // The good one is taken as up before its first probe.
    let end = std::time::Instant::now() + SOON;
    while heard.lock().unwrap().len() < 2 {
        assert!(std::time::Instant::now() < end, "nobody asks for both pages: {}", a.status());
        std::thread::sleep(Duration::from_millis(50));
    }
    let heard = heard.lock().unwrap();
    let asked =
        |start: &str| heard.iter().find(|r| r.starts_with(start)).unwrap_or_else(|| panic!("{heard:?}"));
    let first = asked("GET /a HTTP/1.0\r\n");
    assert!(
        first.contains("\r\nHost: www.example.org\r\n") && first.contains("\r\nX-Probe: vipd\r\n"),
        "{first}"
    );
    assert!(!first.contains("Connection"), "§8.1: keepalived's 1.0 has none: {first}");
    assert!(asked("GET /b HTTP/1.0\r\n").contains("\r\nHost: 10.9.0.3:8001\r\n"), "HC-10");
}

/// HC-25, HC-26, B-121.
#[test]
fn mail_servers_are_greeted() {
    let Some(lan) = lan() else { return };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mail = |hello: &'static str| {
        let hears = heard.clone();
        move |mut stream: TcpStream| {
            let _ = stream.write_all(b"220-welcome\r\n220 here\r\n");
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                let reply = if line.starts_with("HELO") { hello } else { "221 bye\r\n" };
                hears.lock().unwrap().push(line);
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        }
    };
    serve(&lan, 2501, mail("250-mail.example.org\r\n250 hello\r\n"));
    serve(&lan, 2502, mail("550 not you\r\n"));
    serve(&lan, 2503, |mut stream| {
        let _ = stream.write_all(b"421 too busy\r\n");
    });
    let text = "[global]\nrouter_name = \"gw-a\"\n".to_owned();
    let a = Vipd::start(&lan, &lan.a, &(text + &service("mail", 25, "type = \"smtp\"", &[2501, 2502, 2503])));
    wait_for(&a, 1, &["HELO: 550 not you", "banner: 421 too busy"]);
    let heard = heard.lock().unwrap();
    assert!(heard.contains(&"HELO gw-a".to_owned()), "HC-25: the router's name: {heard:?}");
    assert!(heard.contains(&"QUIT".to_owned()), "{heard:?}");
}

/// keepalived takes a name for its mail server, too; here it is looked up for each try, outside the loop.
#[test]
#[cfg(feature = "mail")]
fn mails_go_to_a_server_by_its_name() {
    let Some(lan) = lan() else { return };
    let heard = Arc::new(Mutex::new(Vec::new()));
    // Both families: which of its addresses is best is up to the C library.
    let listener = lan.a.namespace.inside(|| TcpListener::bind(("::", 2504)).unwrap());
    let hears = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"220 here\r\n");
            let mut is_text = false;
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                let reply = match line.as_str() {
                    "DATA" => "354 go on\r\n",
                    "." => "250 taken\r\n",
                    _ if is_text => "",
                    _ => "250 good\r\n",
                };
                is_text = (is_text || line == "DATA") && line != ".";
                hears.lock().unwrap().push(line);
                if stream.write_all(reply.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    let mail = "[global]\nrouter_name = \"gw-a\"\n\
                [mail]\nserver = \"localhost:2504\"\nfrom = \"a@b\"\nto = [\"c@d\"]\n";
    let a = Vipd::start(&lan, &lan.a, &(mail.to_owned() + &service("dead", 80, "type = \"tcp\"", &[9])));
    let end = std::time::Instant::now() + SOON;
    let is_told = || heard.lock().unwrap().iter().any(|line: &String| line.starts_with("Subject: [gw-a]"));
    while !is_told() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(is_told(), "{:?}\n{}", heard.lock().unwrap(), a.status());
}

#[cfg(feature = "https")]
mod https {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    /// An authority's certificate, and a server's that it signed for the client's address.
    fn authority() -> (String, Arc<ServerConfig>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("{:?}", std::time::Instant::now()));
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let shown =
            CertificateParams::new(vec!["10.9.0.3".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        (pem, Arc::new(config))
    }

    fn serve_tls(lan: &Lan, port: u16, config: Arc<ServerConfig>) {
        serve(lan, port, move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let _ = request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.flush();
        });
    }

    /// HC-14, B-117: what is wrong with a certificate stands in the status.
    #[test]
    fn certificates_are_judged() {
        let Some(lan) = lan() else { return };
        let ((pem, good), (_, stranger)) = (authority(), authority());
        let path = std::env::temp_dir().join(format!("vipd-ca-{}.pem", std::process::id()));
        std::fs::write(&path, pem).unwrap();
        serve_tls(&lan, 8443, good);
        serve_tls(&lan, 8444, stranger);
        serve(&lan, 8445, |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let ports = [8443, 8444, 8445];
        let checked = format!("type = \"https\", verify = \"{}\"", path.display());
        let text = service("safe", 443, &checked, &ports) + &service("any", 444, "type = \"https\"", &ports);
        let a = Vipd::start(&lan, &lan.a, &text);
        wait_for(&a, 3, &["certificate of an unknown authority", "no TLS is spoken there"]);
        std::fs::remove_file(&path).unwrap();
        wait_for(&a, 3, &["No such file or directory: "]);
    }
}
