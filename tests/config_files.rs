//! Right configurations: the files that we ship, field by field, and every default.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use vipd::config::{parse, parse_bytes};
use vipd::model::{
    AuthPass, Authentication, Check, CheckKind, ChecksumForm, Cidr, Config, Forwarding, Front, Garp,
    HttpCheck, HttpPage, Ipvs, MailServer, Method, Persistence, Protocol, Server, Sorry, StatusRange,
    Version,
};
use vipd::time::Duration;

const S1: &str = include_str!("../configs/s1-router-27.toml");

/// A text in which nothing is to be remarked on.
fn good(text: &str) -> Config {
    let (config, diagnostics) = parse(text, "f");
    let all: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
    assert_eq!(all, [""; 0], "{text}");
    config.unwrap()
}

#[test]
fn every_shipped_file_is_without_a_remark() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let bytes = std::fs::read(&path).unwrap();
            let (config, diagnostics) = parse_bytes(&bytes, &path.display().to_string());
            let all: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
            assert_eq!(all, [""; 0], "users start from these files");
            assert!(config.is_some());
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    for name in [
        "gateway.toml",
        "ipv6.toml",
        "load-balancer.toml",
        "minimal.toml",
        "s1-router-27.toml",
        "s1-router-37.toml",
        "s2-router-27.toml",
        "s2-router-37.toml",
        "unicast.toml",
        "virtual-mac.toml",
    ] {
        assert!(seen.iter().any(|file| file == name), "{name} is gone");
    }
}

#[test]
fn s1_field_by_field() {
    let config = good(S1);
    assert_eq!(config.global.router_name.as_deref(), Some("kptwo"));
    let mail = config.mail.unwrap();
    assert_eq!(mail.server, MailServer::Ip("127.0.0.1:25".parse().unwrap()));
    assert_eq!(mail.from, "keepalived@localhost");
    assert_eq!(mail.to, ["root@localhost"]);
    assert_eq!(mail.timeout, Duration::from_secs(30));
    assert_eq!(mail.helo, None);

    assert_eq!(config.instances.len(), 1);
    let instance = &config.instances[0];
    assert_eq!(instance.name, "VI_1");
    assert_eq!(instance.interface, "ens37");
    assert_eq!(instance.vrid.get(), 50);
    assert_eq!(instance.version, Version::V2);
    assert_eq!(instance.priority.get(), 100);
    assert_eq!(instance.advert_interval, Duration::from_secs(1));
    assert!(instance.preempt);
    assert_eq!(
        instance.authentication,
        Authentication::Pass(AuthPass(*b"1111\0\0\0\0")),
        "padded with zeros (PKT-4)"
    );
    assert_eq!(instance.group, Ipv4Addr::new(234, 10, 10, 10), "taken from [global]");
    let vip = Cidr { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100)), prefix_len: 24 };
    assert_eq!(instance.addresses, [vip.into()]);
    assert_eq!(instance.checksum, ChecksumForm::PseudoHeader);
    assert_eq!(instance.garp, Garp::default());
    assert_eq!(instance.lease, Some(Duration::from_secs(3)));

    assert_eq!(config.services.len(), 1);
    let service = &config.services[0];
    assert_eq!(service.name, "web");
    assert_eq!(service.protocol, Protocol::Tcp);
    assert_eq!(service.front, Front::Address("10.0.0.100:80".parse().unwrap()));
    assert_eq!(service.scheduler, "wrr");
    assert_eq!(service.persistence, None);
    let method = Method::new(Forwarding::DirectRoute);
    let sorry = Sorry { address: "127.0.0.1:80".parse().unwrap(), method, inhibit: false };
    assert_eq!(service.sorry, Some(sorry), "forwarded as the service is");
    let page = HttpPage { status: vec![StatusRange { first: 200, last: 200 }], ..HttpPage::new("/") };
    let check = Check {
        interval: Duration::from_secs(6),
        timeout: Duration::from_secs(3),
        retry_interval: Duration::from_secs(3),
        rise: 1,
        fall: 4,
        ..Check::new(CheckKind::Http(Box::new(HttpCheck::new(page))))
    };
    let server = |address: &str, weight| Server {
        weight,
        checks: vec![check.clone()].into(),
        ..Server::new(address.parse().unwrap(), Forwarding::DirectRoute)
    };
    assert_eq!(service.servers, [server("192.168.234.47:80", 1), server("192.168.234.57:80", 2)]);
    assert_eq!(config.ipvs, Ipvs::default());
}

#[test]
fn the_other_files_differ_where_the_scenarios_say() {
    let s1 = good(include_str!("../configs/s1-router-37.toml"));
    assert_eq!(s1.instances[0].priority.get(), 80);
    assert!(s1.services[0].sorry.is_some());
    let of = |text: &str| -> Vec<(u8, u8, Authentication)> {
        let config = good(text);
        assert!(config.services.iter().all(|service| service.sorry.is_none() && service.servers.len() == 1));
        config.instances.iter().map(|i| (i.vrid.get(), i.priority.get(), i.authentication.clone())).collect()
    };
    let [one, two] = [b"1111\0\0\0\0", b"2222\0\0\0\0"].map(|pass| Authentication::Pass(AuthPass(*pass)));
    assert_eq!(
        of(include_str!("../configs/s2-router-27.toml")),
        [(50, 100, one.clone()), (51, 80, two.clone())]
    );
    assert_eq!(of(include_str!("../configs/s2-router-37.toml")), [(50, 80, one), (51, 100, two)]);
}

#[test]
fn defaults() {
    let config = good(
        r#"
        [mail]
        server = "192.0.2.25"
        from = "a@b"
        to = ["c@d"]
        [[vrrp]]
        name = "x"
        interface = "eth0"
        vrid = 1
        addresses = ["192.0.2.1"]
        [[service]]
        name = "s"
        address = "192.0.2.1:53"
        [[service.server]]
        address = "192.0.2.2:5353"
        [[service.server]]
        address = "192.0.2.3:53"
        check = { type = "http" }
        "#,
    );
    assert_eq!(config.global.router_name, None);
    let mail = config.mail.unwrap();
    assert_eq!((mail.server.to_string().as_str(), mail.timeout), ("192.0.2.25:25", Duration::from_secs(30)));
    let named = |server: &str| good(&S1.replacen("127.0.0.1:25", server, 1)).mail.unwrap().server;
    let name = |port| MailServer::Name { host: "mail.example.org".to_owned(), port };
    assert_eq!([named("mail.example.org"), named("mail.example.org:587")], [name(25), name(587)]);
    let instance = &config.instances[0];
    assert_eq!(instance.version, Version::V2, "as keepalived");
    assert_eq!(instance.priority.get(), 100);
    assert_eq!(instance.advert_interval, Duration::from_secs(1));
    assert_eq!(instance.authentication, Authentication::None);
    assert_eq!(instance.group, Ipv4Addr::new(224, 0, 0, 18));
    assert_eq!(instance.addresses[0].cidr.prefix_len, 32, "a host alone, as keepalived");
    assert_eq!(instance.garp, Garp::default());
    let service = &config.services[0];
    assert_eq!(service.protocol, Protocol::Tcp, "not keepalived's UDP");
    assert_eq!(service.scheduler, "wlc");
    assert_eq!((&service.persistence, service.sorry), (&None, None));
    let server = &service.servers[0];
    assert_eq!(*server, Server::new("192.0.2.2:5353".parse().unwrap(), Forwarding::Masquerade));
    let check = Check::new(CheckKind::Http(Box::new(HttpCheck::new(HttpPage::new("/")))));
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((check.retry_interval, check.rise, check.fall), (Duration::from_secs(1), 1, 2));
    assert_eq!(*service.servers[1].checks, [check]);
    assert_eq!(config.ipvs, Ipvs { watch_interval: Duration::from_secs(10), ..Ipvs::default() });
}

#[test]
fn every_key_reaches_the_model() {
    let config = good(
        r#"
        [global]
        router_name = "r"
        [mail]
        server = "[2001:db8::25]:587"
        from = "a@b"
        to = ["c@d", "e@f"]
        timeout = "1m"
        helo = "r.example.org"
        [ipvs]
        keep = true
        watch_interval = "1m"
        [[vrrp]]
        name = "x"
        interface = "eth0.100"
        vrid = 255
        version = 3
        priority = 254
        advert_interval = "10ms"
        preempt = false
        multicast_group4 = "224.0.0.19"
        addresses = ["192.0.2.1/28", "198.51.100.1"]
        checksum = "message-only"
        garp = { delay = "0s", repeat = 1, refresh = "60s" }
        lease = "forever"
        [[service]]
        name = "any"
        address = "192.0.2.1:0"
        protocol = "udp"
        scheduler = "mh"
        forward = "tunnel"
        persistence = { timeout = "10m", prefix = 24 }
        sorry = { address = "127.0.0.1:0", forward = "nat" }
        start_up = false
        [[service.server]]
        address = "192.0.2.2:0"
        weight = 65535
        [[service.server]]
        address = "[2001:db8::2]:0"
        weight = 0
        check = false
        [[service]]
        name = "six"
        address = "[2001:db8::1]:443"
        protocol = "sctp"
        persistence = "6m"
        [service.check]
        type = "tcp"
        interval = "500ms"
        timeout = "200ms"
        retry_interval = "100ms"
        rise = 3
        fall = 5
        [[service.server]]
        address = "[2001:db8::2]:443"
        forward = "direct"
        [[service.server]]
        address = "[2001:db8::3]:8443"
        [service.server.check]
        type = "http"
        path = "/health?x=1"
        virtual_host = "www.example.org"
        status = [204, "300-399"]
        digest = "0123456789abcdef0123456789ABCDEF"
        "#,
    );
    let mail = config.mail.unwrap();
    let server = mail.server.to_string();
    assert_eq!((server.as_str(), mail.to.len()), ("[2001:db8::25]:587", 2));
    assert_eq!(mail.helo.as_deref(), Some("r.example.org"));
    assert_eq!(config.ipvs, Ipvs { keep: true, watch_interval: Duration::from_secs(60), ..Ipvs::default() });
    let instance = &config.instances[0];
    assert_eq!(instance.version, Version::V3);
    assert_eq!((instance.vrid.get(), instance.priority.get(), instance.preempt), (255, 254, false));
    assert_eq!(instance.advert_interval, Duration::from_millis(10));
    assert_eq!(instance.group, Ipv4Addr::new(224, 0, 0, 19));
    assert_eq!(instance.addresses.iter().map(|a| a.cidr.prefix_len).collect::<Vec<_>>(), [28, 32]);
    assert_eq!(instance.checksum, ChecksumForm::MessageOnly);
    assert_eq!(
        instance.garp,
        Garp {
            delay: Duration::ZERO,
            repeat: 1,
            refresh: Duration::from_secs(60),
            lower_priority_delay: Duration::ZERO,
            lower_priority_repeat: 1,
            ..Garp::default()
        },
        "what a lower-priority router sets off is as the rest where nothing else is said"
    );
    assert_eq!(instance.lease, None);
    let any = &config.services[0];
    assert_eq!((any.protocol, any.scheduler.as_str(), any.servers[0].start_up), (Protocol::Udp, "mh", false));
    assert_eq!(
        any.persistence,
        Some(Persistence { timeout: Duration::from_secs(600), prefix_len: 24, engine: None })
    );
    assert_eq!(any.sorry.unwrap().method.forward, Forwarding::Masquerade);
    assert_eq!((any.servers[0].weight, any.servers[0].method.forward), (65535, Forwarding::Tunnel));
    assert_eq!((any.servers[1].weight, any.servers[1].checks.len()), (0, 0));
    let six = &config.services[1];
    assert_eq!(six.persistence.as_ref().unwrap().prefix_len, 128);
    assert_eq!(six.protocol, Protocol::Sctp);
    let tcp = &six.servers[0].checks[0];
    assert_eq!((&tcp.kind, tcp.rise, tcp.fall), (&CheckKind::Tcp, 3, 5));
    assert_eq!((tcp.interval, tcp.timeout), (Duration::from_millis(500), Duration::from_millis(200)));
    assert_eq!(tcp.retry_interval, Duration::from_millis(100));
    assert_eq!(six.servers[0].method.forward, Forwarding::DirectRoute);
    let Check { kind: CheckKind::Http(http), .. } = &six.servers[1].checks[0] else {
        panic!("a server's own check replaces the service's")
    };
    let http = &http.pages[0];
    assert_eq!((http.path.as_str(), http.virtual_host.as_deref()), ("/health?x=1", Some("www.example.org")));
    let ranges = [StatusRange { first: 204, last: 204 }, StatusRange { first: 300, last: 399 }];
    assert_eq!(http.status, ranges);
    assert_eq!(http.digest.unwrap()[..4], [0x01, 0x23, 0x45, 0x67]);
}

#[test]
fn every_scheduler_of_the_kernel_is_known() {
    for name in
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"]
    {
        let config = good(&S1.replace("\"wrr\"", &format!("\"{name}\"")));
        assert_eq!(config.services[0].scheduler, name);
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_no_harm() {
    let config = good(&format!("\u{feff}{}", S1.replace('\n', "\r\n")));
    assert_eq!(config, good(S1));
}
