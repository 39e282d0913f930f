//! Every key of trackers, groups, commands and pipes reaches the model, with its default.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "others use the rest of it")]
mod texts;

use texts::{HEAD, cidr, command, good, ip, secs};
use vipd::model::{CheckKind, Command, DnsCheck, Fifo, Notify, Realtime, TrackKind, TrackUse};
use vipd::time::Duration;

#[test]
fn trackers_of_every_type() {
    let config = good(&format!(
        r#"
        [[track]]
        name = "if"
        type = "interface"
        interface = "eth1"
        weight = -50
        reverse = true
        [[track]]
        name = "script"
        type = "script"
        command = "/etc/check 'a b'"
        interval = "5s"
        timeout = "2s"
        rise = 2
        fall = 3
        [[track]]
        name = "file"
        type = "file"
        path = "/run/weight"
        [[track]]
        name = "process"
        type = "process"
        process = "/usr/sbin/unbound"
        arguments = ["-c", "x"]
        quorum = 2
        quorum_max = 3
        up_delay = "1s"
        down_delay = "2s"
        [[track]]
        name = "address"
        type = "address"
        address = "2001:db8::1"
        interface = "eth1"
        [[track]]
        name = "route"
        type = "route"
        to = "default"
        via = "192.0.2.1"
        interface = "eth1"
        table = 7
        [[track]]
        name = "ping"
        type = "path"
        target = "192.0.2.1"
        [[track]]
        name = "tcp"
        type = "path"
        target = "[2001:db8::1]:443"
        probe = "tcp"
        interval = "500ms"
        rise = 4
        fall = 5
        hold = "10s"
        source = "2001:db8::2"
        interface = "eth1"
        [[track]]
        name = "dns"
        type = "path"
        target = "192.0.2.53"
        probe = "dns"
        query = "example.org."
        record = "AAAA"
        timeout = "200ms"
        {HEAD}addresses = ["10.0.0.1/24"]
        track = ["if", "script", "file", "process", "address", {{ name = "route" }},
            {{ name = "ping", weight = 253 }}, {{ name = "tcp", weight = -253, reverse = true }}]
        [[sync_group]]
        name = "G"
        members = ["a", "b"]
        track = [{{ name = "dns", weight = 5 }}, {{ name = "if", weight = 0, reverse = false }}]
        member_weights = true
        [[vrrp]]
        name = "b"
        interface = "eth0"
        vrid = 52
        addresses = ["10.0.0.2/24"]
        "#
    ));
    let kinds: Vec<TrackKind> = config.tracks.iter().map(|track| track.kind.clone()).collect();
    let eth1 = || Some("eth1".try_into().unwrap());
    let check = Command { timeout: secs(2), ..command(&["/etc/check", "a b"]) };
    let path = |target: &str, probe| TrackKind::Path {
        target: target.parse().unwrap(),
        probe,
        interval: secs(1),
        timeout: secs(1),
        rise: 3,
        fall: 3,
        hold: Duration::ZERO,
        source: None,
        interface: None,
    };
    let wanted = [
        TrackKind::Interface { interface: "eth1".try_into().unwrap() },
        TrackKind::Script { command: check, interval: secs(5), rise: 2, fall: 3 },
        TrackKind::File { path: "/run/weight".to_owned() },
        TrackKind::Process {
            process: "/usr/sbin/unbound".to_owned(),
            arguments: vec!["-c".to_owned(), "x".to_owned()],
            quorum: 2,
            quorum_max: Some(3),
            up_delay: secs(1),
            down_delay: secs(2),
        },
        TrackKind::Address { address: ip("2001:db8::1"), interface: eth1() },
        TrackKind::Route {
            destination: cidr("0.0.0.0/0"),
            gateway: Some(ip("192.0.2.1")),
            interface: eth1(),
            table: 7,
        },
        path("192.0.2.1:0", CheckKind::Ping),
        TrackKind::Path {
            target: "[2001:db8::1]:443".parse().unwrap(),
            probe: CheckKind::Tcp,
            interval: Duration::from_millis(500),
            timeout: Duration::from_millis(500),
            rise: 4,
            fall: 5,
            hold: secs(10),
            source: Some(ip("2001:db8::2")),
            interface: eth1(),
        },
    ];
    assert_eq!(kinds[..8], wanted);
    let TrackKind::Path { probe, timeout, target, .. } = &kinds[8] else { panic!("it is a path") };
    let dns = DnsCheck { name: "example.org".to_owned(), kind: 28, ..DnsCheck::default() };
    assert_eq!((probe, *timeout, target.port()), (&CheckKind::Dns(dns), Duration::from_millis(200), 53));
    let uses: Vec<(usize, i16, bool)> =
        config.instances[0].tracks.iter().map(|u| (u.track, u.weight, u.reverse)).collect();
    let wanted = [
        (0, -50, true),
        (1, 0, false),
        (2, 1, false),
        (3, 0, false),
        (4, 0, false),
        (5, 0, false),
        (6, 253, false),
        (7, -253, true),
    ];
    assert_eq!(uses, wanted, "the weight of [[track]] holds where the use says nothing; a file's is 1");
    let group = &config.groups[0];
    assert_eq!((group.name.as_str(), &group.members[..], group.member_weights), ("G", &[0, 1][..], true));
    let wanted =
        [TrackUse { track: 8, weight: 5, reverse: false }, TrackUse { track: 0, weight: 0, reverse: false }];
    assert_eq!(group.tracks, wanted);
}

#[test]
fn commands_users_and_pipes() {
    let config = good(&format!(
        r#"
        [global]
        script_user = "scripts:net"
        start_script = "/etc/start"
        stop_script = {{ run = "/etc/stop now", timeout = "1m", user = "root" }}
        announce_rates = {{ eth0 = 100, "eth0.100" = 5 }}
        [notify]
        fifo = "/run/all"
        vrrp_fifo = {{ path = "/run/vrrp", user = "u", group = "g", script = ["/etc/reader", "-x"] }}
        lvs_fifo = {{ path = "/run/lvs" }}
        [realtime]
        priority = 50
        lock_memory = true
        {HEAD}addresses = ["10.0.0.1/24"]
        pre_active = "/usr/sbin/conntrackd -c"
        run_while_active = ["dnsmasq", {{ name = "vpn", start = "/etc/vpn up", stop = ["/etc/vpn", "down"],
            timeout = "5s" }}]
        [vrrp.notify]
        active = "/etc/notify active"
        backup = ["/etc/notify", "a | b"]
        fault = {{ run = ["/etc/notify"], user = "root" }}
        stop = "/etc/notify 'x y' \"z\""
        deleted = "/d"
        lower_priority = "/l"
        any = {{ run = "/any", timeout = "2s" }}
        priority_changes = true
        mail = false
        "#
    ));
    let scripts = |argv: &[&str]| Command {
        user: Some("scripts".to_owned()),
        group: Some("net".to_owned()),
        ..command(argv)
    };
    let read = &config.instances[0];
    let notify = Notify {
        active: Some(scripts(&["/etc/notify", "active"])),
        backup: Some(scripts(&["/etc/notify", "a | b"])),
        fault: Some(Command { user: Some("root".to_owned()), ..command(&["/etc/notify"]) }),
        stop: Some(scripts(&["/etc/notify", "x y", "z"])),
        deleted: Some(scripts(&["/d"])),
        lower_priority: Some(scripts(&["/l"])),
        any: Some(Command { timeout: secs(2), ..scripts(&["/any"]) }),
        priority_changes: true,
        mail: Some(false),
    };
    assert_eq!(read.notify, notify, "root runs with its own group, not with that of script_user");
    let pre_active = Command { timeout: secs(1), ..scripts(&["/usr/sbin/conntrackd", "-c"]) };
    assert_eq!(read.pre_active, Some(pre_active), "the takeover waits for it: a second by default");
    let [dnsmasq, vpn] = &read.run_while_active[..] else { panic!("two services") };
    assert_eq!(dnsmasq.start, command(&["/etc/init.d/dnsmasq", "start"]), "services need root to start");
    assert_eq!(dnsmasq.stop, command(&["/etc/init.d/dnsmasq", "stop"]));
    assert_eq!((vpn.name.as_str(), vpn.stop.timeout), ("vpn", secs(5)));
    assert_eq!(vpn.start.argv, ["/etc/vpn", "up"]);
    let start = Command { timeout: secs(10), ..scripts(&["/etc/start"]) };
    assert_eq!(config.global.start_script, Some(start));
    let stop = Command { timeout: secs(60), user: Some("root".to_owned()), ..command(&["/etc/stop", "now"]) };
    assert_eq!(config.global.stop_script, Some(stop));
    let rates: Vec<(&str, u32)> =
        config.global.announce_rates.iter().map(|(i, r)| (i.as_str(), *r)).collect();
    assert_eq!(rates.len(), 2);
    assert!(rates.contains(&("eth0", 100)) && rates.contains(&("eth0.100", 5)), "{rates:?}");
    let owner = || (Some("scripts".to_owned()), Some("net".to_owned()));
    let plain = |path: &str| Fifo { path: path.to_owned(), user: owner().0, group: owner().1, script: None };
    assert_eq!(config.fifos.all, Some(plain("/run/all")));
    assert_eq!(config.fifos.balance, Some(plain("/run/lvs")));
    let fifo = config.fifos.vrrp.unwrap();
    assert_eq!((fifo.user.as_deref(), fifo.group.as_deref()), (Some("u"), Some("g")));
    let script = fifo.script.unwrap();
    assert_eq!((script.argv.len(), script.timeout), (2, Duration::MAX), "a reader has no deadline");
    assert_eq!(config.realtime, Realtime { priority: Some(50), lock_memory: true });
}

#[test]
fn checks_of_servers_by_ping_and_dns() {
    let config = good(
        r#"
        [[service]]
        name = "s"
        address = "10.0.0.1:53"
        protocol = "udp"
        check = { type = "ping" }
        [[service.server]]
        address = "10.0.0.2:53"
        [[service.server]]
        address = "10.0.0.3:53"
        check = { type = "dns", query = ".", record = 65 }
        [[service.server]]
        address = "10.0.0.4:53"
        check = { type = "dns" }
        "#,
    );
    let kind = |server: usize| config.services[0].servers[server].checks[0].kind.clone();
    assert_eq!(kind(0), CheckKind::Ping);
    assert_eq!(kind(1), CheckKind::Dns(DnsCheck { name: String::new(), kind: 65, ..DnsCheck::default() }));
    assert_eq!(
        kind(2),
        CheckKind::Dns(DnsCheck { name: String::new(), kind: 2, ..DnsCheck::default() }),
        "the root's servers"
    );
}
