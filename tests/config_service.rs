//! Every key of services, servers, checks and `[ipvs]` reaches the model, with its default.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "others use the rest of it")]
mod texts;

use std::net::SocketAddr;
use texts::{good, ip, messages, secs};
use vipd::limits;
use vipd::model::{
    Check, CheckKind, Command, Daemon, DnsCheck, FileCheck, Forwarding, Front, HttpCheck, HttpPage,
    HttpVersion, Ipvs, IpvsInterface, Method, PageRegex, Persistence, ProbeVia, Protocol, ScriptCheck,
    Server, ServerAddress, Service, ServiceKey, SmtpCheck, Sorry, StatusRange, SyncDaemon, Timeouts, Tunnel,
    TunnelChecksum, UdpCheck,
};
use vipd::time::Duration;

/// The one service of a text in which nothing is to be remarked on; `before` stands above it.
fn service(before: &str, more: &str) -> Service {
    Service::clone(&good(&format!("{before}\n[[service]]\nname = \"s\"\n{more}\n")).services[0])
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn program(argv: &[&str], user: Option<&str>) -> Box<Command> {
    let user = user.map(str::to_owned);
    Box::new(Command { user, ..texts::command(argv) })
}

/// The one check of a server behind `10.0.0.1:80`.
fn check(text: &str) -> Check {
    let tracks =
        "[[track]]\nname = \"load\"\ntype = \"file\"\npath = \"/run/load\"\nweight = -3\nreverse = true\n";
    let tracks = if text.contains("track = ") { tracks } else { "" };
    let server = "address = \"10.0.0.1:80\"\n[[service.server]]\naddress = \"192.168.1.11:80\"\n";
    let mut checks =
        service(tracks, &format!("{server}check = {{ {text} }}")).servers.remove(0).checks.to_vec();
    assert_eq!(checks.len(), 1, "{text}");
    checks.remove(0)
}

fn http(text: &str) -> HttpCheck {
    match check(text).kind {
        CheckKind::Http(http) => *http,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn every_key_of_a_service() {
    let read = service(
        "[global]\nscript_user = \"nobody\"\n[mail]\nserver = \"127.0.0.1\"\nfrom = \"a@b\"\nto = [\"c@d\"]",
        r#"
        address = "10.0.0.1:5060"
        protocol = "udp"
        scheduler = "mh"
        scheduler_flags = ["fallback", "flag-2"]
        one_packet = true
        persistence = { timeout = "5m", prefix = 24, engine = "sip" }
        forward = "tunnel"
        tunnel = { type = "gue", port = 6080, checksum = "remote" }
        sorry = { address = "127.0.0.1:80", forward = "nat", inhibit = true }
        quorum = 4
        hysteresis = 2
        suspend = true
        notify_stop = true
        mail = true
        weight = 3
        inhibit = true
        start_up = false
        require = "any"
        notify = { quorum_up = "/etc/up", quorum_down = { run = ["/etc/down", "x"], user = "root" } }
        checks = [{ type = "ping" }, { type = "tcp" }]
        [[service.server]]
        address = "192.168.1.11:5060"
        [[service.server]]
        address = "192.168.1.12:5060"
        "#,
    );
    let gue = Method {
        forward: Forwarding::Tunnel,
        tunnel: Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Remote },
    };
    let server = |address: &str| Server {
        weight: 3,
        method: gue,
        inhibit: true,
        start_up: false,
        checks: vec![Check::new(CheckKind::Ping), Check::new(CheckKind::Tcp)].into(),
        any_check: true,
        ..Server::new(at(address), Forwarding::Tunnel)
    };
    let nat = Method::new(Forwarding::Masquerade);
    assert_eq!(
        read,
        Service {
            scheduler: "mh".try_into().unwrap(),
            scheduler_flags: 0x18,
            one_packet: true,
            persistence: Some(Persistence {
                timeout: secs(300),
                prefix_len: 24,
                engine: Some("sip".try_into().unwrap())
            }),
            sorry: Some(Sorry { address: at("127.0.0.1:80"), method: nat, inhibit: true }),
            quorum: 4,
            hysteresis: 2,
            tells_stop: true,
            suspend: true,
            mail: Some(true),
            quorum_up: Some(program(&["/etc/up"], Some("nobody"))),
            quorum_down: Some(program(&["/etc/down", "x"], Some("root"))),
            servers: vec![server("192.168.1.11:5060"), server("192.168.1.12:5060")],
            ..Service::new("s".try_into().unwrap(), Protocol::Udp, Front::Address(at("10.0.0.1:5060")))
        },
        "what servers do not say is as their service has it"
    );
}

#[test]
fn every_key_of_a_server() {
    let read = service(
        "[mail]\nserver = \"127.0.0.1\"\nfrom = \"a@b\"\nto = [\"c@d\"]",
        r#"
        address = "10.0.0.1:80"
        forward = "tunnel"
        tunnel = { type = "gre" }
        weight = 9
        inhibit = true
        start_up = false
        require = "any"
        checks = [{ type = "tcp" }, { type = "ping" }]
        [[service.server]]
        address = "192.168.1.11:8080"
        weight = 2
        upper_threshold = 100
        lower_threshold = 100
        forward = "nat"
        inhibit = false
        start_up = true
        require = "all"
        checks = [{ type = "tcp" }, { type = "smtp" }]
        mail = false
        notify = { up = "/etc/up", down = "/etc/down 'a b'" }
        [[service.server]]
        address = "192.168.1.12:80"
        tunnel = { type = "ipip" }
        check = false
        [[service.server]]
        address = "192.168.1.13:80"
        forward = "direct"
        check = { type = "ping" }
        [[service.server]]
        address = "Web.Example.org.:80"
        tunnel = { type = "gue", port = 1 }
        [[service.server]]
        address = "web.example.org:80"
        family = "ipv6"
        "#,
    );
    assert_eq!(
        read.servers[0],
        Server {
            weight: 2,
            upper_threshold: 100,
            lower_threshold: 100,
            checks: vec![Check::new(CheckKind::Tcp), Check::new(CheckKind::Smtp(SmtpCheck::default()))]
                .into(),
            mail: Some(false),
            up: Some(program(&["/etc/up"], None)),
            down: Some(program(&["/etc/down", "a b"], None)),
            ..Server::new(at("192.168.1.11:8080"), Forwarding::Masquerade)
        },
        "nothing is left of what the service says"
    );
    let of = |index: usize| (read.servers[index].method.tunnel, read.servers[index].checks.len());
    assert_eq!(of(1), (Tunnel::Ipip, 0));
    assert_eq!(of(2), (Tunnel::Ipip, 1), "no tunnel at all");
    assert_eq!(of(3), (Tunnel::Gue { port: 1, checksum: TunnelChecksum::None }, 2));
    assert_eq!(of(4), (Tunnel::Gre { checksum: TunnelChecksum::None }, 2), "the service's");
    assert_eq!(read.servers[4].weight, 9);
    let name = |host: &str, ipv6| ServerAddress::Name { host: host.to_owned(), port: 80, ipv6 };
    assert_eq!(read.servers[3].address, name("Web.Example.org.", false));
    assert_eq!(read.servers[4].address, name("web.example.org", true), "another server: AAAA");
}

#[test]
fn defaults() {
    let read = service("", "address = \"10.0.0.1:80\"\n[[service.server]]\naddress = \"192.168.1.11:80\"");
    let front = Front::Address(at("10.0.0.1:80"));
    let server = Server::new(at("192.168.1.11:80"), Forwarding::Masquerade);
    let plain = Service::new("s".try_into().unwrap(), Protocol::Tcp, front);
    assert_eq!(read, Service { servers: vec![server], ..plain });
    let sorry =
        service("", "address = \"10.0.0.1:80\"\nsorry = \"127.0.0.1:80\"\nforward = \"direct\"").sorry;
    assert_eq!(sorry.unwrap().method.forward, Forwarding::DirectRoute, "as the service has it");
    assert_eq!(good("[ipvs]\nkeep = false\n[static]\n").ipvs, Ipvs::default());
}

/// IPVS-61: what a mark or a group stands for, and what its servers say of ports.
#[test]
fn fronts() {
    let marked = service("", "fwmark = 4294967295\nfamily = \"ipv6\"\nsorry = \"[::1]:8080\"");
    assert_eq!(marked.front, Front::Mark { mark: u32::MAX, ipv6: true });
    assert_eq!(marked.sorry.unwrap().address.port(), 8080);
    let marked = service("", "fwmark = 1\n[[service.server]]\naddress = \"192.168.1.11\"");
    assert_eq!((&marked.front, marked.protocol), (&Front::Mark { mark: 1, ipv6: false }, Protocol::Tcp));
    assert_eq!(marked.servers[0].address, ServerAddress::Ip(at("192.168.1.11:0")), "the client's port");
    let six = service("", "fwmark = 1\nfamily = \"ipv6\"\n[[service.server]]\naddress = \"a.example\"");
    let name = ServerAddress::Name { host: "a.example".to_owned(), port: 0, ipv6: true };
    assert_eq!(six.servers[0].address, name, "of the family of its service");

    let group = "[[server_group]]\nname = \"g\"\naddresses = [\"10.0.0.1:80\", \"10.0.0.3-4:443\", \
        \"[2001:db8::/127]:0\"]\nfwmarks = [7, 9]\nfamily = \"ipv6\"";
    let server = "[[service.server]]\naddress = \"192.168.1.11:80\"\nforward = \"tunnel\"\n";
    let read = service(group, &format!("group = \"g\"\nprotocol = \"sctp\"\npersistence = \"6m\"\n{server}"));
    let address = |text: &str| ServiceKey::Address { protocol: Protocol::Sctp, address: at(text) };
    let mark = |mark| ServiceKey::Mark { mark, ipv6: true };
    let keys = vec![
        address("10.0.0.1:80"),
        address("10.0.0.3:443"),
        address("10.0.0.4:443"),
        address("[2001:db8::]:0"),
        address("[2001:db8::1]:0"),
        mark(7),
        mark(9),
    ];
    assert_eq!(read.front, Front::Group { name: "g".try_into().unwrap(), keys: keys.clone() });
    assert_eq!(read.keys().collect::<Vec<_>>(), keys, "in the order of the file");
    assert_eq!(read.persistence.unwrap().prefix_len, 128, "each family has as much of it as it has bits");
}

#[test]
fn every_key_of_ipvs() {
    let read = good(
        r#"
        [[vrrp]]
        name = "other"
        interface = "eth0"
        vrid = 7
        addresses = ["10.0.0.1/24"]
        [[vrrp]]
        name = "VI_1"
        interface = "eth0"
        vrid = 51
        addresses = ["10.0.0.2/24"]
        [ipvs]
        keep = true
        watch_interval = "1m"
        interface = "netlink"
        tcp_timeout = "2147483s"
        tcp_fin_timeout = "1s"
        udp_timeout = "5m"
        [ipvs.sync]
        interface = "eth1"
        instance = "VI_1"
        max_len = 1400
        group = "ff02::81"
        port = 8849
        ttl = 3
        [ipvs.settings]
        sync_threshold = " 0  10 "
        expire_nodest_conn = 1
        est_nice = -5
        sync_ports = 4
        "#,
    );
    let setting = |name: &str, value: &str| (name.try_into().unwrap(), value.try_into().unwrap());
    let mut settings = read.ipvs.settings.clone();
    settings.sort();
    assert_eq!(
        settings,
        [
            setting("est_nice", "-5"),
            setting("expire_nodest_conn", "1"),
            setting("sync_ports", "4"),
            setting("sync_threshold", "0 10"),
        ]
    );
    assert!(settings.len() <= limits::IPVS_SETTINGS_MAX);
    let interface: vipd::model::IfName = "eth1".try_into().unwrap();
    assert_eq!(
        Ipvs { settings: Vec::new(), ..read.ipvs },
        Ipvs {
            keep: true,
            watch_interval: secs(60),
            interface: IpvsInterface::Netlink,
            timeouts: Timeouts { tcp: 2_147_483, tcp_fin: 1, udp: 300 },
            sync: Some(SyncDaemon {
                instance: Some(1),
                daemon: Daemon {
                    interface: interface.clone(),
                    id: 51,
                    max_len: 1400,
                    group: Some(ip("ff02::81")),
                    port: 8849,
                    ttl: 3
                },
            }),
            settings: Vec::new(),
        },
        "the id is the instance's VRID where none is given"
    );
    let plain = good("[ipvs.sync]\ninterface = \"eth1\"\n[static]\n").ipvs.sync.unwrap();
    let kernels = Daemon { interface: interface.clone(), id: 0, max_len: 0, group: None, port: 0, ttl: 0 };
    assert_eq!(plain, SyncDaemon { instance: None, daemon: kernels }, "what is not given is the kernel's");
    let own =
        good("[ipvs.sync]\ninterface = \"eth1\"\nid = 255\n[ipvs]\ninterface = \"sockopt\"\n[static]\n");
    assert_eq!((own.ipvs.sync.unwrap().daemon.id, own.ipvs.interface), (255, IpvsInterface::Sockopt));
}

/// HC-1, HC-3: what all checks have in common.
#[test]
fn every_check_says_when_and_whence() {
    let read = check(
        "type = \"tcp\", interval = \"1m\", timeout = \"2s\", retry_interval = \"500ms\", rise = 2, \
         fall = 5, \
         warmup = \"0s\", address = \"10.0.1.1\", port = 81, source = \"10.0.1.2\", source_port = 1025, \
         interface = \"eth1\", mark = 4294967295",
    );
    assert_eq!(
        read,
        Check {
            kind: CheckKind::Tcp,
            interval: secs(60),
            timeout: secs(2),
            retry_interval: Duration::from_millis(500),
            rise: 2,
            fall: 5,
            warmup: Some(Duration::ZERO),
            via: ProbeVia {
                address: Some(ip("10.0.1.1")),
                port: Some(81),
                source: Some(ip("10.0.1.2")),
                source_port: 1025,
                interface: Some("eth1".try_into().unwrap()),
                mark: u32::MAX,
            },
        }
    );
    assert_eq!(check("type = \"ping\""), Check::new(CheckKind::Ping));
    let far = check("type = \"ping\", address = \"fe80::1\", interface = \"eth1\", source = \"fe80::2\"");
    assert_eq!(far.via.address, Some(ip("fe80::1")), "the probe need not be of the server's family");
}

#[test]
fn pages_of_an_http_check() {
    assert_eq!(http("type = \"http\""), HttpCheck::new(HttpPage::new("/")));
    let page = |path: &str| HttpPage::new(path);
    let status = vec![StatusRange { first: 204, last: 204 }, StatusRange { first: 300, last: 399 }];
    let one = http(
        "type = \"http\", path = \"/a?b\", virtual_host = \"h:81\", status = [204, \"300-399\"], \
         digest = \"000102030405060708090a0b0c0d0e0f\", raw_body = true, version = \"1.0\", \
         headers = { X-Probe = \" a b\", User-Agent = \"\" }",
    );
    let digest = Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let virtual_host = Some("h:81".to_owned());
    assert_eq!(one.pages, [HttpPage { virtual_host, status, digest, raw_body: true, ..page("/a?b") }]);
    assert_eq!(one.version, HttpVersion::Http10);
    let mut headers = one.headers;
    headers.sort();
    assert_eq!(headers, [("User-Agent", ""), ("X-Probe", "a b")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    let several = http(
        "type = \"http\", version = \"1.0C\", virtual_host = \"h\", pages = [{}, { path = \"/b\", \
         regex = \"(?i)ok\" }, \
         { virtual_host = \"i\", regex = { pattern = 'e', not = true, first = 1, last = 9 } }]",
    );
    assert_eq!(several.version, HttpVersion::Http10Close);
    let regex = |pattern: &str, negated, first, last| {
        Some(PageRegex { pattern: pattern.to_owned(), negated, first, last })
    };
    let host = |host: &str| Some(host.to_owned());
    assert_eq!(
        several.pages,
        [
            HttpPage { virtual_host: host("h"), ..page("/") },
            HttpPage { virtual_host: host("h"), regex: regex("(?i)ok", false, 0, 0), ..page("/b") },
            HttpPage { virtual_host: host("i"), regex: regex("e", true, 1, 9), ..page("/") },
        ],
        "HC-10: a page without a host of its own has the check's"
    );
}

#[cfg(feature = "https")]
#[test]
fn hc_14_tls() {
    use vipd::model::TlsCheck;
    let tls = |more: &str| *http(&format!("type = \"https\"{more}")).tls.unwrap();
    assert_eq!(tls(""), TlsCheck::default(), "whatever certificate, as keepalived");
    assert_eq!(tls(", verify = \"off\""), TlsCheck::default());
    assert!(tls(", sni = false").without_sni);
    assert_eq!(
        tls(", sni = \"a.example.\", verify = \"/ca.pem\", certificate = \"/c.pem\", key = \"/k.pem\""),
        TlsCheck {
            name: Some("a.example".to_owned()), // RFC 6066 §3: no last dot
            without_sni: false,
            ca: Some("/ca.pem".to_owned()),
            client: Some(("/c.pem".to_owned(), "/k.pem".to_owned())),
        }
    );
    assert_eq!(http("type = \"http\"").tls, None);
}

#[test]
fn checks_of_the_other_types() {
    let kind = |text: &str| check(text).kind;
    let helo = |helo: Option<&str>| CheckKind::Smtp(SmtpCheck { helo: helo.map(str::to_owned) });
    assert_eq!(kind("type = \"smtp\""), helo(None));
    assert_eq!(kind("type = \"smtp\", helo = \"gw\""), helo(Some("gw")));

    let dns = |name: &str, kind, rcode, address: Option<&str>| {
        CheckKind::Dns(DnsCheck { name: name.to_owned(), kind, rcode, address: address.map(ip) })
    };
    assert_eq!(kind("type = \"dns\""), dns("", 2, 0, None), "the root's name servers");
    let answer = "type = \"dns\", query = \"a.example.\", record = \"AAAA\", answer = \"2001:db8::1\"";
    assert_eq!(kind(answer), dns("a.example", 28, 0, Some("2001:db8::1")));
    assert_eq!(kind("type = \"dns\", record = \"DNSKEY\", rcode = \"NXDOMAIN\""), dns("", 48, 3, None));
    assert_eq!(kind("type = \"dns\", record = 65, rcode = 15"), dns("", 65, 15, None));

    let silent =
        UdpCheck { payload: vec![], needs_reply: false, reply: vec![], reply_min: 0, reply_max: 255 };
    assert_eq!(kind("type = \"udp\""), CheckKind::Udp(Box::new(silent)));
    let loud = UdpCheck {
        payload: vec![0, 0xff],
        needs_reply: true,
        reply: vec![(0x4f, 0xff), (0x40, 0xf0)],
        reply_min: 2,
        reply_max: 65_507,
    };
    let text = "type = \"udp\", payload = \"00 FF\", require_reply = true, reply = \"4f40/fff0\", \
        reply_min = 2, reply_max = 65507";
    assert_eq!(kind(text), CheckKind::Udp(Box::new(loud)));

    let file = |weight, reverse| CheckKind::File(FileCheck { track: 0, weight, reverse });
    assert_eq!(kind("type = \"file\", track = \"load\""), file(-3, true), "as its tracker says");
    assert_eq!(kind("type = \"file\", track = \"load\", weight = 2, reverse = false"), file(2, false));
}

/// HC-45: the check's timeout is the script's, wherever it is given.
#[test]
fn scripts() {
    let of = |text: &str| {
        let read = check(&format!("type = \"script\", {text}"));
        match read.kind {
            CheckKind::Script(ScriptCheck { command, dynamic }) => {
                assert_eq!(command.timeout, read.timeout, "{text}");
                (command.argv, command.user, command.group, read.timeout, dynamic)
            }
            other => panic!("{text} is {other:?}"),
        }
    };
    let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let user = |user: &str| Some(user.to_owned());
    assert_eq!(of("command = \"/x 'a b'\""), (argv(&["/x", "a b"]), None, None, secs(5), false));
    assert_eq!(
        of("command = [\"/x\", \"$1\"], user = \"nobody:nogroup\", dynamic = true, timeout = \"2s\""),
        (argv(&["/x", "$1"]), user("nobody"), user("nogroup"), secs(2), true)
    );
    assert_eq!(
        of("command = { run = \"/x\", user = \"a\", timeout = \"3s\" }"),
        (argv(&["/x"]), user("a"), None, secs(3), false)
    );
    let server = "address = \"10.0.0.1:80\"\n[[service.server]]\naddress = \"192.168.1.11:80\"\n";
    let global = "[global]\nscript_user = \"nobody\"";
    let read = service(global, &format!("{server}check = {{ type = \"script\", command = \"/x\" }}"));
    let CheckKind::Script(script) = &read.servers[0].checks[0].kind else { panic!("a script") };
    assert_eq!(script.command.user.as_deref(), Some("nobody"), "HC-46: not as root where nothing is said");
}

/// A name that the kernel may know is handed to it, with a remark.
#[test]
fn ipvs_40a_other_schedulers_are_the_kernels_to_judge() {
    let text = "[[service]]\nname = \"s\"\naddress = \"10.0.0.1:80\"\nscheduler = \"wbest\"\n\
        scheduler_flags = [\"flag-3\", \"flag-1\"]\nsorry = \"127.0.0.1:80\"\n";
    let (config, diagnostics) = vipd::config::parse(text, "f");
    let service = config.unwrap().services.remove(0);
    assert_eq!((service.scheduler.as_str(), service.scheduler_flags), ("wbest", 0x28));
    let said: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
    assert!(said.len() == 1 && said[0].starts_with("f:4:13: warning: scheduler \"wbest\""), "{said:?}");
    let said = messages(&text.replace("flag-3", "port"));
    assert!(said.iter().any(|said| said.contains(":5:20: error: ")), "whose flag is that? {said:?}");
}

/// HC-6: a quorum that a dynamic weight may reach is not remarked on.
#[test]
fn hc_6_quorums_beside_weights_that_change() {
    let server =
        "address = \"10.0.0.1:80\"\nquorum = 100\n[[service.server]]\naddress = \"192.168.1.11:80\"\n";
    let read =
        service("", &format!("{server}check = {{ type = \"script\", command = \"/x\", dynamic = true }}"));
    assert_eq!(read.quorum, 100);
}

/// The example that the README names, field by field where others do not look.
#[test]
fn the_load_balancer() {
    let config = good(include_str!("../configs/load-balancer.toml"));
    let of = |name: &str| config.services.iter().find(|service| service.name == name).unwrap();
    let web = of("web");
    assert_eq!((web.quorum, web.hysteresis, web.scheduler_flags), (2, 1, 0x08));
    assert!(web.sorry.unwrap().inhibit && web.servers.iter().all(|server| server.inhibit));
    assert_eq!(web.quorum_down.as_ref().unwrap().user.as_deref(), Some("nobody"));
    assert!(
        matches!(&web.servers[2].address, ServerAddress::Name { host, .. } if host == "web3.example.org")
    );
    let CheckKind::Http(http) = &web.servers[0].checks[0].kind else { panic!("https") };
    assert!(http.tls.as_ref().unwrap().ca.is_some());
    assert!(http.pages.iter().all(|page| page.virtual_host.as_deref() == Some("www.example.org")));
    assert_eq!(web.servers[1].checks.len(), 2);
    assert!(of("web6").suspend && of("dns").one_packet);
    assert_eq!(of("dns").keys().count(), 8);
    assert_eq!(of("sip").front, Front::Mark { mark: 7, ipv6: false });
    assert_eq!(config.ipvs.sync.as_ref().unwrap().instance, Some(0));
    assert_eq!(config.ipvs.sync.as_ref().unwrap().daemon.id, 10, "the VRID of its instance");
}
