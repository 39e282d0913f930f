//! Servers over TLS, good and bad (B-117). Each case is decided here: it passes, or it fails with these
//! words.

mod bed;
mod pieces;

use super::*;
use crate::wire::job::Verdict;
use bed::{Answer, Authority, Bed, CLOSE, Key, PAGE, cut_off, raw};
use rustls::version::{TLS12, TLS13};
use std::thread::sleep;

#[track_caller]
fn passes(bed: &Bed) {
    let report = bed.probe();
    assert_eq!(report.verdict, Verdict::Passed, "{}", report.reason);
}

#[track_caller]
fn fails(bed: &Bed, reason: &str) {
    let report = bed.probe();
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Failed, reason));
}

#[track_caller]
fn is_not_run(bed: &Bed, reason: &str) {
    let report = bed.probe();
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::NotRun, reason), "HC-4");
}

#[test]
fn both_versions_and_all_kinds_of_keys_hc14() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        for key in [Key::P256, Key::P384, Key::Ed25519, Key::Rsa2048] {
            let shown = authority.issue(key, &["www.example.org"]);
            let bed = Bed { versions: vec![version], ..Bed::new(shown) };
            passes(&bed);
            let report = Bed { ca: Some(authority.pem()), ..bed }.probe();
            assert_eq!(report.verdict, Verdict::Passed, "{}", report.reason);
            assert!(report.steps.is_sorted() && report.steps[0] > 0, "each step: {:?}", report.steps);
        }
    }
}

#[test]
fn without_verification_any_certificate_will_do() {
    let nobody = Authority::new();
    passes(&Bed::new(nobody.issue(Key::P256, &["another.example.org"])));
    passes(&Bed::new(nobody.issue_for(Key::P256, &["www.example.org"], (2001, 2002))));
    passes(&Bed::new(bed::self_signed(&["www.example.org"])));
    passes(&Bed { name: "192.0.2.1", ..Bed::new(nobody.issue(Key::P256, &[])) });
    passes(&Bed { name: "no host name", ..Bed::new(nobody.issue(Key::P256, &[])) });
}

/// Version 1, as `openssl x509 -req` makes it: webpki takes none, keepalived does.
#[test]
fn an_old_certificate_will_do_without_verification() {
    for version in [&TLS12, &TLS13] {
        let shown = Authority::new().issue(Key::P256, &["www.example.org"]).of_version_1();
        let bed = Bed { versions: vec![version], ..Bed::new(shown) };
        passes(&bed);
        let pem = Some(bed.shown.pem());
        fails(&Bed { ca: pem, ..bed }, "certificate cannot be read");
    }
}

#[test]
fn whoever_lacks_the_key_fails_even_without_verification() {
    let authority = Authority::new();
    for (version, key) in
        [(&TLS12, Key::P256), (&TLS13, Key::P256), (&TLS12, Key::Rsa2048), (&TLS13, Key::Rsa2048)]
    {
        let mut shown = authority.issue(key, &["www.example.org"]);
        shown.key = bed::another_key(key);
        let bed = Bed { versions: vec![version], ..Bed::new(shown) };
        fails(&bed, "TLS: handshake not signed with its certificate's key");
    }
}

#[test]
fn a_short_rsa_key_is_named() {
    let mut shown = Authority::new().issue(Key::Rsa2048, &["www.example.org"]);
    shown.put_key_of(include_bytes!("../../../tests/golden/rsa-1024.spki"));
    fails(&Bed::new(shown), "TLS: its RSA key is shorter than 2048 bits");
}

#[test]
fn b117_certificates_that_are_refused() {
    let authority = Authority::new();
    let ca = Some(authority.pem());
    let with = |shown| Bed { ca: ca.clone(), ..Bed::new(shown) };
    let names = ["www.example.org"];
    let p256 = Key::P256;
    fails(&with(authority.issue_for(p256, &names, (2001, 2024))), "certificate expired 2024-01-01");
    fails(
        &with(authority.issue_for(p256, &names, (2030, 2031))),
        "certificate is not valid before 2030-01-01",
    );
    let other = "certificate is for a.example.org, want www.example.org";
    fails(&with(authority.issue(p256, &["a.example.org"])), other);
    let others = "certificate is for a.example.org and 1 more, want www.example.org";
    fails(&with(authority.issue(p256, &["a.example.org", "192.0.2.7"])), others);
    let none = "certificate is for no name at all, want www.example.org";
    fails(&with(authority.issue(p256, &[])), none);
    fails(&with(Authority::new().issue(p256, &names)), "certificate of an unknown authority");
    let own = "certificate is an authority's own, and not one of the file";
    fails(&with(bed::self_signed(&names)), own);
    let (old, new) = (Authority::named("the same"), Authority::named("the same"));
    let bed = Bed { ca: Some(old.pem()), ..Bed::new(new.issue(p256, &names)) };
    fails(&bed, "certificate not signed by its authority");
    fails(&with(authority.issue_for_clients(&names)), "certificate is not one for servers");
    passes(&with(authority.issue(p256, &["*.example.org"])));
}

#[test]
fn a_server_without_a_name_is_known_by_its_address() {
    let authority = Authority::new();
    let with = |names: &[&str], name| {
        let shown = authority.issue(Key::P256, names);
        Bed { ca: Some(authority.pem()), name, ..Bed::new(shown) }
    };
    passes(&with(&["192.0.2.1"], "192.0.2.1"));
    passes(&with(&["2001:db8::1"], "2001:db8::1"));
    fails(&with(&["192.0.2.2"], "192.0.2.1"), "certificate is for 192.0.2.2, want 192.0.2.1");
    is_not_run(&with(&["a.b"], "no host name"), "no host name is no host name");
}

/// What `openssl req -x509` makes is an authority's, and shown by a server all the same.
#[test]
fn a_certificate_of_the_file_itself_is_known() {
    let shown = bed::self_signed(&["www.example.org"]);
    let bed = Bed { ca: Some(shown.pem()), ..Bed::new(shown) };
    passes(&bed);
    let wrong = "certificate is for www.example.org, want a.b";
    fails(&Bed { name: "a.b", ..bed }, wrong);
    let old = bed::self_signed_for(&["www.example.org"], (2001, 2024));
    fails(&Bed { ca: Some(old.pem()), ..Bed::new(old) }, "certificate expired 2024-01-01");
}

/// A small router has no battery: until its clock is set, all certificates are of the future.
#[test]
fn a_clock_that_was_never_set_is_no_verdict() {
    let authority = Authority::new();
    let shown = authority.issue(Key::P256, &["www.example.org"]);
    let bed = Bed { ca: Some(authority.pem()), wall: || Duration::from_secs(3600), ..Bed::new(shown) };
    is_not_run(&bed, "certificate not judged: this router's clock says 1970-01-01");
    passes(&Bed { ca: None, ..bed });
}

#[test]
fn without_random_numbers_there_is_no_verdict() {
    let shown = Authority::new().issue(Key::P256, &["www.example.org"]);
    is_not_run(&Bed { has_random: || false, ..Bed::new(shown) }, "this router has no random numbers yet");
}

#[test]
fn sni_is_a_name_or_nothing_hc14() {
    let shown = || Authority::new().issue(Key::P256, &["www.example.org"]);
    let heard = |name, sni| Bed { name, sni, ..Bed::new(shown()) }.probe_and_hear().1;
    assert_eq!(heard("www.example.org", true).as_deref(), Some("www.example.org"));
    assert_eq!(heard("www.example.org", false), None, "`sni = false`");
    assert_eq!(heard("192.0.2.1", true), None, "never an address (RFC 6066 §3)");
    assert_eq!(heard("2001:db8::1", true), None);
}

#[test]
fn a_client_certificate_is_shown() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let shown = || servers.issue(Key::P256, &["www.example.org"]);
    for version in [&TLS12, &TLS13] {
        let bed = || Bed { versions: vec![version], clients: Some(clients.der()), ..Bed::new(shown()) };
        fails(&bed(), "TLS refused: a client certificate is wanted");
        for key in [Key::P256, Key::Rsa2048, Key::Sec1, Key::Pkcs1] {
            let ours = clients.issue_for_client(key);
            passes(&Bed { ours: Some((ours.pem(), ours.key_pem())), ..bed() });
        }
        let ours = Authority::new().issue_for_client(Key::P256);
        let report = Bed { ours: Some((ours.pem(), ours.key_pem())), ..bed() }.probe();
        assert_eq!(report.verdict, Verdict::Failed);
        assert!(report.reason.starts_with("TLS refused: our certificate is not taken"), "{}", report.reason);
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_no_verdict() {
    let authority = Authority::new();
    let shown = || authority.issue(Key::P256, &["www.example.org"]);
    let (one, other) = (authority.issue_for_client(Key::P256), authority.issue_for_client(Key::P256));
    let text = || b"-----BEGIN NONSENSE-----\n".to_vec();
    is_not_run(&Bed { ca: Some(text()), ..Bed::new(shown()) }, "no certificate in /ca.pem");
    let broken = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_vec();
    is_not_run(&Bed { ca: Some(broken), ..Bed::new(shown()) }, "no certificate in /ca.pem");
    let ours = Some((text(), one.key_pem()));
    is_not_run(&Bed { ours, ..Bed::new(shown()) }, "no certificate in /our.pem");
    let ours = Some((one.pem(), one.pem()));
    is_not_run(&Bed { ours, ..Bed::new(shown()) }, "no private key in /our.key");
    let ours = Some((one.pem(), other.key_pem()));
    is_not_run(&Bed { ours, ..Bed::new(shown()) }, "/our.key is not the key of /our.pem");
}

#[test]
fn b117_an_end_without_close_notify_after_a_whole_page() {
    let shown = || Authority::new().issue(Key::P256, &["www.example.org"]);
    for version in [&TLS12, &TLS13] {
        let bed = |answer| Bed { versions: vec![version], answer, digest: true, ..Bed::new(shown()) };
        passes(&bed(Answer::new(PAGE, cut_off)));
        passes(&bed(Answer::new(b"HTTP/1.1 200 OK\r\n\r\nhello\n", cut_off)));
        passes(&bed(Answer::new(b"HTTP/1.1 200 OK\r\n\r\nhello\n", CLOSE)));
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello\n";
        fails(&bed(Answer::new(short, cut_off)), "closed in the middle of the page");
        fails(&bed(Answer::new(b"HTTP/1.1 200 OK\r\n", cut_off)), "closed in the middle of the header");
        fails(&bed(Answer::new(b"", CLOSE)), "closed before a reply");
        fails(&bed(Answer::new(b"HTTP/1.1 503 Busy\r\n\r\n", CLOSE)), "HTTP 503, want 200");
    }
}

#[test]
fn b117_alerts_and_what_is_no_tls() {
    let alert = |level: u8, what: u8| vec![0x15, 3, 3, 0, 2, level, what];
    fails(&raw(alert(2, 40)), "TLS refused: no cipher in common, or a client certificate is wanted");
    fails(&raw(alert(2, 70)), "TLS refused: neither 1.2 nor 1.3 is spoken");
    fails(&raw(alert(2, 112)), "TLS refused: the name (SNI) is not known");
    fails(&raw(alert(2, 80)), "TLS refused: InternalError");
    fails(&raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "no TLS is spoken there");
    fails(&raw(b"220 mail.example.org ESMTP\r\n".to_vec()), "no TLS is spoken there");
    fails(&raw(Vec::new()), "closed in the TLS handshake");
}

/// A ServerHello of TLS 1.0, of half a record, and of a record in two pieces.
#[test]
fn b117_handshakes_that_break_off() {
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x13, 0]);
    fails(&raw(hello.clone()), "neither TLS 1.2 nor 1.3 is spoken there");
    fails(&raw(hello[..20].to_vec()), "closed in the TLS handshake");
}

/// HC-1, HC-2: none holds a worker longer than its deadline.
#[test]
fn b117_endless_handshakes() {
    let endless = |piece: Vec<u8>, pause: u64| {
        let mut bed = raw(Vec::new());
        bed.raw = Some(Arc::new(move |stream| {
            let start = std::time::Instant::now();
            while start.elapsed().as_millis() < 1000 && stream.write_all(&piece).is_ok() {
                sleep(core::time::Duration::from_millis(pause));
            }
        }));
        bed.probe()
    };
    let late = "TLS handshake not complete within 400ms";
    assert_eq!(endless(vec![0x16, 3, 3, 0x40, 0, 2, 0, 0xff, 0xff], 700).reason, late, "no whole record");
    assert_eq!(endless(Vec::new(), 700).reason, late, "nothing");
    // Records that are whole, of messages that never end; and those that mean nothing.
    let mut part = vec![0x16, 3, 3, 0x20, 0, 2, 0, 0xff, 0];
    part.resize(5 + 0x2000, 0);
    for piece in [part, vec![0x16, 3, 3, 0, 0], vec![0x15, 3, 3, 0, 2, 1, 90], vec![0x14, 3, 3, 0, 1, 1]] {
        let report = endless(piece.clone(), 0);
        assert_eq!(report.verdict, Verdict::Failed, "{piece:?}: {}", report.reason);
        assert!(report.took < Duration::from_millis(600), "{piece:?} took {}", report.took);
    }
    // A byte at a time.
    let mut bed = raw(Vec::new());
    bed.raw = Some(Arc::new(|stream| {
        for byte in [0x16, 3, 3, 0x3f, 0xff].into_iter().chain(core::iter::repeat_n(0, 50)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            sleep(core::time::Duration::from_millis(20));
        }
    }));
    assert_eq!(bed.probe().reason, late);
}

#[test]
fn an_endless_page_ends_at_the_deadline_over_tls_too() {
    let shown = Authority::new().issue(Key::P256, &["www.example.org"]);
    let answer = Answer::new(b"HTTP/1.1 200 OK\r\n\r\n", |stream| {
        for _ in 0..40 {
            if stream.write_all(b"x").is_err() || stream.flush().is_err() {
                return;
            }
            sleep(core::time::Duration::from_millis(50));
        }
    });
    fails(&Bed { answer, ..Bed::new(shown) }, "page not complete within 400ms");
}
