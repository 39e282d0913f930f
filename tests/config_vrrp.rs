//! Every key of `[[vrrp]]` reaches the model, and every default is what the model says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "others use the rest of it")]
mod texts;

use texts::{HEAD, cidr, good, instance, ip, secs};
use vipd::config::{KeyFile, parse, parse_file};
use vipd::limits;
use vipd::model::{
    AddressOptions, AntiReplay, Authentication, Family, GarpForm, HmacMode, Instance, Level, Name, Peer,
    Route, RouteKind, Rule, RuleAction, Scope, TABLE_MAIN, Unicast, Version, VirtualAddress, VirtualMac,
    Vrid,
};
use vipd::time::Duration;

#[test]
fn an_instance_with_only_what_it_needs_has_the_defaults_of_the_model() {
    let name = Name::try_from("a").unwrap();
    let plain =
        |family| Instance::new(name.clone(), "eth0".try_into().unwrap(), Vrid::new(51).unwrap(), family);
    let mut four = plain(Family::V4);
    four.addresses = vec![cidr("10.0.0.1/24").into()];
    assert_eq!(instance("addresses = [\"10.0.0.1/24\"]"), four);
    let mut six = plain(Family::V6);
    six.addresses = vec![cidr("fe80::51/64").into()];
    assert_eq!(instance("addresses = [\"fe80::51/64\"]"), six, "the first address says the family");
    assert_eq!(six.version, Version::V3);
}

#[test]
fn timers_and_flags() {
    let read = instance(
        r#"
        version = 3
        advert_interval = "100ms"
        down_adverts = 5
        preempt_delay = "30s"
        start_delay = "1m"
        settle = "5s"
        down_delay = "300ms"
        source = "10.0.0.2"
        track_source = true
        track_interface = false
        multicast_group4 = "224.0.0.19"
        lower_priority_advert = false
        higher_priority_advert = true
        strict_addresses = true
        promote_secondaries = true
        accept = true
        checksum = "auto"
        addresses = ["10.0.0.1/24"]
        garp = { delay = "1s", repeat = 2, refresh = "60s", refresh_repeat = 3, lower_priority_delay = "2s",
            lower_priority_repeat = 0, form = "both", router_flag = false }
        "#,
    );
    assert_eq!((read.down_adverts, read.preempt_delay, read.start_delay), (5, secs(30), secs(60)));
    assert_eq!((read.settle, read.down_delay), (secs(5), Duration::from_millis(300)));
    assert_eq!((read.source, read.track_source, read.track_interface), (Some(ip("10.0.0.2")), true, false));
    assert_eq!(read.group, ip("224.0.0.19"));
    assert!(!read.lower_priority_advert && read.higher_priority_advert && read.strict_addresses);
    assert!(read.promote_secondaries);
    let garp = read.garp;
    assert_eq!((garp.delay, garp.repeat, garp.refresh, garp.refresh_repeat), (secs(1), 2, secs(60), 3));
    assert_eq!((garp.lower_priority_delay, garp.lower_priority_repeat), (secs(2), 0));
    assert_eq!((garp.form, garp.router_flag), (GarpForm::Both, Some(false)));
}

#[test]
fn groups_of_both_families_come_from_global() {
    let text = "[global]\nmulticast_group4 = \"224.0.0.20\"\nmulticast_group6 = \"ff02::20\"\n";
    let four = format!("{text}{HEAD}addresses = [\"10.0.0.1/24\"]");
    let six = format!("{text}{HEAD}addresses = [\"fe80::1\"]\n");
    assert_eq!(good(&four).instances[0].group, ip("224.0.0.20"));
    assert_eq!(good(&six).instances[0].group, ip("ff02::20"));
    let own = good(&format!("{six}multicast_group6 = \"ff02::21\"")).instances[0].group;
    assert_eq!(own, ip("ff02::21"), "its own before that of all");
    let empty = instance("family = \"ipv6\"\naddresses = [\"fe80::1/64\"]");
    assert_eq!((empty.family, empty.group), (Family::V6, ip("ff02::12")));
}

#[test]
fn unicast_peers() {
    let read = instance(
        r#"
        source = "10.0.0.1"
        unicast_peers = ["10.0.0.2", { address = "10.0.0.3", ttl_min = 254, ttl_max = 255 }]
        unicast_ttl = 64
        check_source = false
        addresses = ["10.0.0.100/24"]
        "#,
    );
    let peer = |address: &str, ttl_min| Peer { address: ip(address), ttl_min, ttl_max: 255 };
    let peers = vec![peer("10.0.0.2", 0), peer("10.0.0.3", 254)];
    assert_eq!(read.unicast, Some(Unicast { peers, ttl: 64, check_source: false }));
    let six =
        instance("unicast_peers = [\"2001:db8::2\"]\nexcluded_addresses = []\naddresses = [\"fe80::1\"]");
    assert_eq!(
        six.unicast.unwrap(),
        Unicast { peers: vec![peer("2001:db8::2", 0)], ttl: 255, check_source: true }
    );
}

#[test]
fn pkt_14_an_instance_may_be_without_addresses() {
    let none = instance("no_addresses = true");
    assert!(none.addresses.is_empty() && none.excluded.is_empty());
    assert_eq!(none.family, Family::V4);
    let six = instance("no_addresses = true\naddresses = []\nfamily = \"ipv6\"");
    assert_eq!((six.family, six.version), (Family::V6, Version::V3));
    let excluded = instance("no_addresses = true\nexcluded_addresses = [\"10.0.0.1/24\"]");
    assert_eq!((excluded.addresses.len(), excluded.excluded.len()), (0, 1), "and that without a warning");
}

#[test]
fn virtual_macs() {
    let mac = |more: &str| instance(&format!("{more}\n")).virtual_mac;
    let default = VirtualMac { name: "vrrp.51".try_into().unwrap(), mac: [0, 0, 0x5e, 0, 1, 51] };
    assert_eq!(mac("virtual_mac = true\naddresses = [\"10.0.0.1/24\"]"), Some(default), "VMAC-1, VMAC-3");
    let default = VirtualMac { name: "vrrp6.51".try_into().unwrap(), mac: [0, 0, 0x5e, 0, 2, 51] };
    assert_eq!(mac("virtual_mac = {}\naddresses = [\"fe80::1\"]"), Some(default), "VMAC-1, VMAC-3");
    assert_eq!(mac("virtual_mac = false\naddresses = [\"10.0.0.1/24\"]"), None);
    let own = "virtual_mac = { name = \"gw\", mac = \"02-00-5E-0a-0b-c\" }\naddresses = [\"10.0.0.1/24\"]";
    let own = (mac(own), VirtualMac { name: "gw".try_into().unwrap(), mac: [2, 0, 0x5e, 10, 11, 12] });
    assert_eq!(own.0, Some(own.1));
}

#[test]
fn hmac_keys_from_text_and_file() {
    let text = format!(
        r#"{HEAD}
        addresses = ["10.0.0.1/24"]
        [vrrp.auth_hmac]
        keys = [
            {{ id = 1, ascii = "0123456789abcdef0123456789ABCDEF" }},
            {{ id = 200, hex = "{}" }},
            {{ id = 7, file = "/etc/vipd.key" }},
        ]
        active = 7
        window = "10s"
        mode = "permissive"
        "#,
        "0aFF".repeat(16)
    );
    let load = |path: &str| match path {
        "/etc/vipd.key" => Ok(KeyFile { bytes: [&[b'k'; 40][..], b"\r\n"].concat(), is_public: false }),
        _ => Err("No such file".to_owned()),
    };
    let (config, diagnostics) = parse_file(text.as_bytes(), "f", &load, &mut || {});
    assert!(diagnostics.is_empty(), "{:?}", diagnostics.iter().collect::<Vec<_>>());
    let Authentication::Hmac(hmac) = config.unwrap().instances[0].authentication.clone() else {
        panic!("the trailer is what is configured")
    };
    let keys: Vec<(u8, usize)> = hmac.keys.iter().map(|key| (key.id, key.secret.len())).collect();
    assert_eq!(keys, [(1, 32), (200, 32), (7, 40)], "the line end of an editor is no part of a key");
    assert_eq!(hmac.keys[1].secret[..2], [0x0a, 0xff]);
    assert_eq!((hmac.active, hmac.window), (2, Some(secs(10))));
    assert_eq!((hmac.anti_replay, hmac.mode), (AntiReplay::Time, HmacMode::Permissive));
    assert!(!format!("{hmac:?}").contains("kkkk"), "a secret does not go to the log");

    let complain = |load: &dyn Fn(&str) -> Result<KeyFile, String>| -> Vec<(Level, String)> {
        let (_, diagnostics) = parse_file(text.as_bytes(), "f", load, &mut || {});
        diagnostics.iter().map(|d| (d.level, d.to_string())).collect()
    };
    let said = complain(&|_| Err("No such file".to_owned()));
    assert_eq!(said[0].0, Level::Error);
    assert!(said[0].1.contains("/etc/vipd.key cannot be read: No such file"), "{said:?}");
    let said = complain(&|_| Ok(KeyFile { bytes: vec![b'k'; 32], is_public: true }));
    assert_eq!((said.len(), said[0].0), (1, Level::Warning), "{said:?}");
    assert!(said[0].1.contains("chmod 600 /etc/vipd.key"), "{said:?}");
    let said = complain(&|_| Ok(KeyFile { bytes: vec![b'k'; 65], is_public: false }));
    assert!(said[0].1.contains("holds a key of 65 bytes, wants 32 to 64"), "{said:?}");
    assert!(!said[0].1.contains("kkkk"), "{said:?}");
}

#[test]
fn addresses_with_all_that_the_kernel_is_told() {
    let read = instance(
        r#"
        addresses = [
            "10.0.0.1",
            { address = "10.0.0.2/24", interface = "eth1", label = "eth1:v", scope = "link", broadcast = "+",
                prefix_route = false, track = false },
            { address = "10.0.0.3/32", peer = "10.0.0.4/30", broadcast = "10.0.0.255", scope = 200 },
        ]
        excluded_addresses = ["2001:db8::1", "2001:db8:1::1/64",
            { address = "2001:db8::2", deprecated = false }]
        "#,
    );
    assert_eq!(read.addresses[0], VirtualAddress::from(cidr("10.0.0.1/32")));
    let second = AddressOptions {
        label: Some("eth1:v".try_into().unwrap()),
        scope: Scope::LINK,
        broadcast: Some([10, 0, 0, 255].into()),
        no_prefix_route: true,
        no_track: true,
        ..AddressOptions::default()
    };
    assert_eq!(read.addresses[1].options, second);
    assert_eq!(read.addresses[1].interface.as_deref(), Some("eth1"));
    let third = AddressOptions {
        peer: Some(cidr("10.0.0.4/30")),
        broadcast: Some([10, 0, 0, 255].into()),
        scope: Scope::SITE,
        ..AddressOptions::default()
    };
    assert_eq!(read.addresses[2].options, third);
    let deprecated: Vec<bool> = read.excluded.iter().map(|a| a.options.deprecated).collect();
    assert_eq!(deprecated, [true, false, false], "ARP-35: a global /128, unless said otherwise");
}

#[test]
fn routes_and_rules() {
    let read = instance(
        r#"
        addresses = ["10.0.0.1/24"]
        [[vrrp.routes]]
        to = "default"
        via = "10.0.0.254"
        interface = "eth1"
        source = "10.0.0.1"
        table = 100
        metric = 5
        scope = "site"
        on_link = true
        mtu = 1400
        track = false
        [[vrrp.routes]]
        to = "192.0.2.0/24"
        [[vrrp.routes]]
        to = "default"
        via = "fe80::1"
        [[vrrp.routes]]
        to = "198.51.100.0/24"
        kind = "blackhole"
        [[vrrp.rules]]
        from = "10.0.0.0/24"
        to = "default"
        input = "eth0"
        output = "eth1"
        fwmark = "0x10/0xf0"
        tos = 16
        table = "main"
        priority = 0
        track = false
        [[vrrp.rules]]
        fwmark = 7
        family = "ipv6"
        action = "prohibit"
        priority = 32765
        "#,
    );
    let plain = Route {
        destination: cidr("192.0.2.0/24"),
        kind: RouteKind::Unicast,
        gateway: None,
        interface: None,
        source: None,
        table: TABLE_MAIN,
        metric: None,
        scope: None,
        on_link: false,
        mtu: None,
        no_track: false,
    };
    let full = Route {
        destination: cidr("0.0.0.0/0"),
        gateway: Some(ip("10.0.0.254")),
        interface: Some("eth1".try_into().unwrap()),
        source: Some(ip("10.0.0.1")),
        table: 100,
        metric: Some(5),
        scope: Some(Scope::SITE),
        on_link: true,
        mtu: Some(1400),
        no_track: true,
        ..plain.clone()
    };
    let six = Route { destination: cidr("::/0"), gateway: Some(ip("fe80::1")), ..plain.clone() };
    let hole = Route { destination: cidr("198.51.100.0/24"), kind: RouteKind::Blackhole, ..plain.clone() };
    assert_eq!(read.routes, [full, plain, six, hole], "`default` is of the family of its gateway");
    let full = Rule {
        is_ipv6: false,
        from: Some(cidr("10.0.0.0/24")),
        to: Some(cidr("0.0.0.0/0")),
        input: Some("eth0".try_into().unwrap()),
        output: Some("eth1".try_into().unwrap()),
        fwmark: Some((0x10, 0xf0)),
        tos: 16,
        priority: 0,
        action: RuleAction::Table(TABLE_MAIN),
        no_track: true,
    };
    let six = Rule {
        is_ipv6: true,
        from: None,
        to: None,
        input: None,
        output: None,
        fwmark: Some((7, u32::MAX)),
        tos: 0,
        priority: 32765,
        action: RuleAction::Prohibit,
        no_track: false,
    };
    assert_eq!(read.rules, [full, six]);
}

#[test]
fn static_addresses_routes_and_rules() {
    let config = good(
        r#"
        [static]
        addresses = [{ address = "10.0.0.1/24", interface = "eth0" },
            { address = "10.0.0.1/32", interface = "lo" }]
        routes = [{ to = "192.0.2.0/24", via = "10.0.0.254" }, { to = "2001:db8::/32", interface = "eth0" }]
        rules = [{ to = "2001:db8::/32", table = 5, priority = 10 }]
        "#,
    );
    assert_eq!((config.static_addresses.len(), config.static_routes.len()), (2, 2));
    assert_eq!(config.static_addresses[0].interface.as_deref(), Some("eth0"));
    assert!(config.static_rules[0].is_ipv6, "the net says the family");
}

/// What keeps two instances apart on one interface, and when an address may be there twice.
#[test]
fn what_may_stand_side_by_side() {
    let two = |first: &str, second: &str| {
        good(&format!(
            "[[vrrp]]\nname = \"a\"\nvrid = 1\n{first}\n[[vrrp]]\nname = \"b\"\nvrid = 1\n{second}\n"
        ))
    };
    two(
        "interface = \"eth0\"\naddresses = [\"10.0.0.1/24\"]",
        "interface = \"eth0\"\naddresses = [\"fe80::1\"]",
    );
    two("interface = \"eth0\"\naddresses = [\"fe80::1\"]", "interface = \"eth1\"\naddresses = [\"fe80::1\"]");
    two(
        "interface = \"eth0\"\nunicast_peers = [\"10.0.0.2\"]\naddresses = [\"10.0.0.100\"]",
        "interface = \"eth0\"\nunicast_peers = [\"10.0.0.3\"]\naddresses = [\"10.0.0.101\"]",
    );
    two(
        "interface = \"eth0\"\nvirtual_mac = true\naddresses = [\"10.0.0.1/24\"]",
        "interface = \"eth0\"\nvirtual_mac = true\naddresses = [\"fe80::1\"]",
    );
}

/// The nth item of a list.
type Item<'i> = &'i dyn Fn(usize) -> String;

#[test]
fn limits_refuse() {
    let said = |text: &str| -> Vec<String> {
        let (config, diagnostics) = parse(text, "f");
        assert_eq!(config.is_some(), !diagnostics.has_errors());
        diagnostics.iter().filter(|d| d.level == Level::Error).map(|d| d.to_string()).collect()
    };
    let list = |key: &str, n: usize, item: Item<'_>| {
        let all: Vec<String> = (1..=n).map(item).collect();
        format!("{HEAD}addresses = [\"10.255.0.1/24\"]\n{key} = [{}]\n", all.join(","))
    };
    let peer = |i: usize| format!("\"10.0.0.{i}\"");
    let route = |i: usize| format!("{{ to = \"10.1.{}.{}\" }}", i / 256, i % 256);
    let rule = |i: usize| format!("{{ from = \"10.0.0.1\", table = 5, priority = {i} }}");
    let service = |i: usize| format!("\"s{i}\"");
    let cases: [(&str, usize, Item<'_>); 4] = [
        ("unicast_peers", limits::UNICAST_PEERS_MAX, &peer),
        ("routes", limits::ROUTES_MAX, &route),
        ("rules", limits::RULES_MAX, &rule),
        ("run_while_active", limits::SUPERVISED_MAX, &service),
    ];
    for (key, most, item) in cases {
        assert_eq!(said(&list(key, most, item)), [""; 0], "{key}: the limit itself is allowed");
        let over = said(&list(key, most + 1, item));
        assert!(over.len() == 1 && over[0].contains(&format!("more than {most} in `{key}`")), "{over:?}");
    }
    let tracks = |n: usize| -> String {
        (0..n).map(|i| format!("[[track]]\nname = \"t{i}\"\ntype = \"file\"\npath = \"/x\"\n")).collect()
    };
    assert_eq!(said(&tracks(limits::TRACKS_MAX)), [""; 0]);
    assert!(said(&tracks(limits::TRACKS_MAX + 1))[0].contains("more than 256 [[track]]"));
    let uses = |n: usize| {
        let names: Vec<String> = (0..n).map(|i| format!("\"t{i}\"")).collect();
        let head = format!("{HEAD}addresses = [\"10.0.0.1/24\"]\n");
        format!("{}{head}track = [{}]\n", tracks(limits::TRACKS_MAX), names.join(","))
    };
    assert_eq!(said(&uses(limits::TRACK_USES_MAX)), [""; 0]);
    assert!(said(&uses(limits::TRACK_USES_MAX + 1))[0].contains("more than 64 in `track`"));
    let both = |n: usize| {
        let vip = |i: usize| format!("\"10.{}.{}.{}\"", i >> 16, (i >> 8) & 255, i & 255);
        let half = |from, to| (from..to).map(vip).collect::<Vec<_>>().join(",");
        format!("{HEAD}addresses = [{}]\nexcluded_addresses = [{}]\n", half(1, 11), half(11, n + 1))
    };
    assert_eq!(said(&both(limits::ADDRESSES_MAX)), [""; 0]);
    assert!(said(&both(limits::ADDRESSES_MAX + 1))[0].contains("more than 4096 addresses in one [[vrrp]]"));
}
