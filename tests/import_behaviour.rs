//! Behaviour, not text: the same LAN lives through the same story twice, once with keepalived reading a
//! keepalived.conf on both routers, once with vipd reading the same file. Addresses, routes, adverts (byte by
//! byte but for the IP header's identification and checksum) and calls of notify scripts must be the same.

#![cfg(feature = "import")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Daemon, Keepalived, Lan, Node, Vipd, eventually};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than a v2 router listens before it becomes Active, twice.
const SOON: Duration = Duration::from_secs(12);
/// Long enough for adverts every second, and for scripts that run every second to be judged.
const DWELL: Duration = Duration::from_millis(2500);

const S1: [&str; 2] = [include_str!("import/s1-router-27.conf"), include_str!("import/s1-router-37.conf")];
const S2: [&str; 2] = [include_str!("import/s2-router-27.conf"), include_str!("import/s2-router-37.conf")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Keepalived,
    Vipd,
}

enum Router {
    Keepalived(Keepalived),
    Vipd(Vipd),
}

impl Router {
    fn daemon(&mut self) -> &mut Daemon {
        match self {
            Router::Keepalived(keepalived) => keepalived,
            Router::Vipd(vipd) => vipd,
        }
    }
}

/// What a user would see of one scene.
#[derive(Debug, PartialEq, Eq)]
struct Scene {
    name: &'static str,
    /// Of both routers, one line each.
    addresses: Vec<String>,
    routes: Vec<String>,
    /// All that differ, with the router that sent them.
    adverts: BTreeSet<String>,
    /// What the scripts were called with, sorted: keepalived starts them side by side.
    told: Vec<String>,
}

/// One life of a LAN.
struct Play {
    lan: Lan,
    subject: Subject,
    config: fn(&Play, char) -> String,
    a: Option<Router>,
    b: Option<Router>,
    /// A VRID whose resignations are left out.
    unresigned: Option<u8>,
    scene_began: Instant,
    scenes: Vec<Scene>,
}

impl Play {
    fn node(&self, letter: char) -> &Node {
        if letter == 'a' { &self.lan.a } else { &self.lan.b }
    }

    fn router(&mut self, letter: char) -> &mut Option<Router> {
        if letter == 'a' { &mut self.a } else { &mut self.b }
    }

    fn folder(&self) -> &Path {
        self.lan.folder()
    }

    fn start(&mut self, letter: char) {
        let config = (self.config)(self, letter);
        let node = self.node(letter);
        let router = match self.subject {
            Subject::Keepalived => Router::Keepalived(Keepalived::start(&self.lan, node, &config)),
            Subject::Vipd => Router::Vipd(Vipd::start(&self.lan, node, &config)),
        };
        *self.router(letter) = Some(router);
    }

    fn stop(&mut self, letter: char) {
        if let Some(mut router) = self.router(letter).take() {
            router.daemon().terminate(SOON);
        }
    }

    /// A program that writes down what it is called with.
    fn script(&self, letter: char) -> String {
        let folder = self.folder().display();
        let path = format!("{folder}/notify-{letter}");
        let text = format!("#!/bin/sh\necho \"{letter}: $*\" >> {folder}/told\n");
        if !Path::new(&path).exists() {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    /// Waits until each address is where it should be (` `: nowhere), looks for a while, and writes down what
    /// is seen since the scene before.
    #[track_caller]
    fn scene(&mut self, name: &'static str, holders: &[(&str, char)]) {
        for (address, holder) in holders {
            let what = format!("{:?}, {name}: {address} on `{holder}` alone", self.subject);
            let (a, b) = (&self.lan.a, &self.lan.b);
            let there = || (a.has(address), b.has(address)) == (*holder == 'a', *holder == 'b');
            eventually(&what, SOON, there);
        }
        sleep(DWELL);
        let adverts = self.lan.capture.since(self.scene_began, |frame| {
            let told = |vrid, priority| priority > 0 || self.unresigned != Some(vrid);
            frame
                .advert()
                .filter(|a| told(a.vrid, a.priority))
                .map(|_| format!("{}: {}", frame.from, hex(&plain(&frame.bytes))))
        });
        let told = self.folder().join("told");
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        let _ = std::fs::remove_file(told);
        let mut told: Vec<String> = text.lines().map(str::to_owned).collect();
        told.sort();
        let scene = Scene {
            name,
            addresses: self.listed("-o addr show dev eth0", &["valid_lft", "proto"]),
            routes: self.listed("-o route show table all dev eth0", &["proto"]),
            adverts: adverts.into_iter().collect(),
            told,
        };
        self.scenes.push(scene);
        self.scene_began = Instant::now();
    }

    /// Lines of `ip` on both routers, without what only says who made an entry, and for how long.
    fn listed(&self, words: &str, without: &[&str]) -> Vec<String> {
        let mut list = Vec::new();
        for node in [&self.lan.a, &self.lan.b] {
            for line in node.ip(words).lines() {
                let line = line.split('\\').next().unwrap();
                let mut words = line.split_whitespace().peekable();
                let mut text = format!("{}:", node.letter);
                while let Some(word) = words.next() {
                    if without.contains(&word) {
                        words.next();
                    } else if word != "2:" && word != "dynamic" {
                        write!(text, " {word}").unwrap();
                    }
                }
                list.push(text);
            }
        }
        list.sort();
        list
    }
}

/// Without the identification and the checksum of an IPv4 header, and the flow label of IPv6's; neither is
/// the protocol's.
fn plain(frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let masked = if bytes[12..14] == [8, 0] { [18..20, 24..26] } else { [15..18, 15..15] };
    masked.into_iter().for_each(|range| bytes[range].fill(0));
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Plays a story with both, and compares scene by scene.
#[track_caller]
fn same(ipv6: bool, config: fn(&Play, char) -> String, story: fn(&mut Play)) {
    let lan = || if ipv6 { netns::lan6() } else { netns::lan() };
    if let Some(why) = Keepalived::obstacle() {
        return netns::skip::<()>(why).unwrap_or(());
    }
    let play = |subject| {
        let mut play = Play {
            lan: lan()?,
            subject,
            config,
            a: None,
            b: None,
            unresigned: None,
            scene_began: Instant::now(),
            scenes: Vec::new(),
        };
        story(&mut play);
        Some(play.scenes)
    };
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| play(Subject::Keepalived));
        let ours = scope.spawn(|| play(Subject::Vipd));
        (theirs.join(), ours.join())
    });
    let (Some(theirs), Some(ours)) = (theirs.unwrap(), ours.unwrap()) else { return };
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert!(!theirs.adverts.is_empty() || theirs.name == "stopped", "{}: nothing was seen", theirs.name);
        assert_eq!(ours, theirs, "left: vipd, right: keepalived; {}", theirs.name);
    }
}

/// One after the other: whoever comes first of two that start together is up to chance.
fn begin(play: &mut Play, vips: &[(&str, char)]) {
    let only_a: Vec<(&str, char)> = vips.iter().map(|(vip, _)| (*vip, 'a')).collect();
    play.start('a');
    play.scene("a alone", &only_a);
    play.start('b');
    play.scene("settled", vips);
}

/// a starts above b, dies cleanly, and returns.
fn failover(play: &mut Play, vips: &[(&str, char)]) {
    let only_b: Vec<(&str, char)> = vips.iter().map(|(vip, _)| (*vip, 'b')).collect();
    begin(play, vips);
    play.stop('a');
    play.scene("a stopped", &only_b);
    play.start('a');
    play.scene("a is back", vips);
}

/// As the user meant it: keepalived does not know `vrrp _mcast_group4`, and the interface is that of the bed.
fn as_meant(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap().trim_end());
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    text.replace("vrrp _mcast_group4", "vrrp_mcast_group4").replace("ens37", "eth0")
}

#[test]
fn s1() {
    let config = |_: &Play, letter| as_meant(S1[usize::from(letter == 'b')]);
    same(false, config, |play| failover(play, &[("10.0.0.100", 'a')]));
}

#[test]
fn s2() {
    let config = |_: &Play, letter| as_meant(S2[usize::from(letter == 'b')]);
    same(false, config, |play| failover(play, &[("10.0.0.100", 'a'), ("10.0.0.200", 'b')]));
}

#[test]
fn v3_ipv6() {
    let config = |_: &Play, letter| {
        let priority = if letter == 'a' { 200 } else { 100 };
        format!(
            "global_defs {{\n vrrp_version 3\n}}\nvrrp_instance VI_6 {{\n interface eth0\n \
             virtual_router_id 66\n priority {priority}\n advert_int 0.5\n virtual_ipaddress {{\n \
             fe80::100/64\n fd09::100/64\n }}\n}}\n"
        )
    };
    same(true, config, |play| failover(play, &[("fd09::100", 'a'), ("fe80::100", 'a')]));
}

#[test]
fn unicast() {
    let config = |play: &Play, letter| {
        let (own, other) = if letter == 'a' { ('a', 'b') } else { ('b', 'a') };
        let (own, other) = (play.node(own).address, play.node(other).address);
        let priority = if letter == 'a' { 110 } else { 100 };
        format!(
            "vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n version 3\n \
             priority {priority}\n advert_int 1\n unicast_src_ip {own}\n unicast_peer {{\n {other}\n }}\n \
             virtual_ipaddress {{\n 10.9.0.100/24 dev eth0\n 10.9.0.101/24\n }}\n}}\n"
        )
    };
    same(false, config, |play| failover(play, &[("10.9.0.100", 'a'), ("10.9.0.101", 'a')]));
}

/// One member loses its interface's carrier, and the other goes with it.
#[test]
fn sync_group() {
    let config = |play: &Play, letter| {
        let priority = if letter == 'a' { 150 } else { 100 };
        let script = play.script(letter);
        let instance = |name: &str, vrid: u8, vip: &str, tracked: &str| {
            format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
                 priority {priority}\n advert_int 1\n {tracked}\n virtual_ipaddress {{\n {vip}\n }}\n}}\n"
            )
        };
        format!(
            "global_defs {{\n script_user root\n}}\nvrrp_sync_group VG {{\n group {{\n VI_1\n VI_2\n }}\n \
             notify {script}\n}}\n{}{}",
            instance("VI_1", 51, "10.9.0.100/24", ""),
            instance("VI_2", 52, "10.9.0.200/24", "track_interface {\n wan\n }"),
        )
    };
    same(false, config, |play| {
        for letter in ['a', 'b'] {
            let node = play.node(letter);
            node.ip("link add wan type veth peer name far");
            node.ip("link set far up");
            node.ip("link set wan up");
        }
        // A member that follows its group out of Active says so, for its peer need not wait;
        // keepalived is silent.
        play.unresigned = Some(52);
        let vips = |holder| [("10.9.0.100", holder), ("10.9.0.200", holder)];
        begin(play, &vips('a'));
        play.lan.a.ip("link set far down");
        play.scene("one member in Fault", &vips('b'));
        play.lan.a.ip("link set far up");
        play.scene("well again", &vips('a'));
    });
}

/// A script that fails costs more than the distance.
#[test]
fn track_script_with_weight() {
    let config = |play: &Play, letter| {
        let priority = if letter == 'a' { 110 } else { 100 };
        let file = play.folder().join(format!("ill-{letter}"));
        format!(
            "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n \
             script \"/usr/bin/test ! -e {}\"\n interval 1\n weight -20\n rise 2\n fall 2\n}}\n\
             vrrp_instance VI_1 {{\n state MASTER\n interface eth0\n virtual_router_id 51\n \
             priority {priority}\n advert_int 1\n \
             authentication {{\n auth_type PASS\n auth_pass secret\n }}\n \
             virtual_ipaddress {{\n 10.9.0.100/24\n }}\n track_script {{\n chk\n }}\n}}\n",
            file.display()
        )
    };
    same(false, config, |play| {
        begin(play, &[("10.9.0.100", 'a')]);
        let ill = play.folder().join("ill-a");
        std::fs::write(&ill, "").unwrap();
        play.scene("ill", &[("10.9.0.100", 'b')]);
        std::fs::remove_file(&ill).unwrap();
        play.scene("well again", &[("10.9.0.100", 'a')]);
    });
}

/// With a weight, and without one, which is Fault.
#[test]
fn track_interface() {
    let config = |_: &Play, letter| {
        let priority = if letter == 'a' { 120 } else { 100 };
        format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             advert_int 1\n virtual_ipaddress {{\n 10.9.0.100/24\n }}\n track_interface {{\n \
             one weight -30\n two\n }}\n}}\n"
        )
    };
    same(false, config, |play| {
        for (letter, name) in [('a', "one"), ('a', "two"), ('b', "one"), ('b', "two")] {
            let node = play.node(letter);
            node.ip(&format!("link add {name} type veth peer name {name}-far"));
            node.ip(&format!("link set {name}-far up"));
            node.ip(&format!("link set {name} up"));
        }
        begin(play, &[("10.9.0.100", 'a')]);
        play.lan.a.ip("link set one-far down");
        play.scene("costs priority", &[("10.9.0.100", 'b')]);
        play.lan.b.ip("link set two-far down");
        play.scene("the other in Fault", &[("10.9.0.100", 'a')]);
        play.lan.a.ip("link set one-far up");
        play.lan.b.ip("link set two-far up");
        play.scene("all well", &[("10.9.0.100", 'a')]);
    });
}

/// Every state, by its own script and by that for all.
#[test]
fn notify_scripts() {
    let config = |play: &Play, letter| {
        let (state, priority) = if letter == 'a' { ("MASTER", 150) } else { ("BACKUP", 100) };
        let script = play.script(letter);
        format!(
            "global_defs {{\n script_user root\n enable_script_security\n}}\n\
             vrrp_instance VI_1 {{\n state {state}\n interface eth0\n virtual_router_id 51\n \
             priority {priority}\n advert_int 1\n virtual_ipaddress {{\n 10.9.0.100/24\n }}\n \
             notify_master \"{script} became master\"\n notify_backup \"{script} 'became backup'\"\n \
             notify_fault {script}\n notify_stop \"{script} stops\" root\n notify {script}\n}}\n"
        )
    };
    same(false, config, |play| {
        begin(play, &[("10.9.0.100", 'a')]);
        play.lan.carrier(&play.lan.a, false);
        play.scene("a in Fault", &[("10.9.0.100", 'b')]);
        play.lan.carrier(&play.lan.a, true);
        play.scene("a is back", &[("10.9.0.100", 'a')]);
        play.stop('a');
        play.scene("a stopped", &[("10.9.0.100", 'b')]);
        play.stop('b');
        play.scene("stopped", &[("10.9.0.100", ' ')]);
    });
}

#[test]
fn nopreempt() {
    let config = |_: &Play, letter| {
        let priority = if letter == 'a' { 110 } else { 100 };
        format!(
            "vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n nopreempt\n \
             priority {priority}\n advert_int 1\n virtual_ipaddress {{\n 10.9.0.100\n }}\n}}\n"
        )
    };
    same(false, config, |play| {
        begin(play, &[("10.9.0.100", 'a')]);
        play.stop('a');
        play.scene("a stopped", &[("10.9.0.100", 'b')]);
        play.start('a');
        sleep(Duration::from_secs(4));
        play.scene("a waits", &[("10.9.0.100", 'b')]);
        play.stop('b');
        play.scene("b stopped", &[("10.9.0.100", 'a')]);
    });
}

/// What comes and goes with the virtual address.
#[test]
fn routes_and_excluded_addresses() {
    let config = |_: &Play, letter| {
        let priority = if letter == 'a' { 110 } else { 100 };
        format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             advert_int 1\n garp_master_delay 1\n virtual_ipaddress {{\n 10.9.0.100/24 brd 10.9.0.255\n }}\n \
             virtual_ipaddress_excluded {{\n 10.8.0.1/24 scope link\n }}\n virtual_routes {{\n \
             10.70.0.0/16 via 10.9.0.3 dev eth0\n 10.71.0.0/16 dev eth0 metric 50 scope link\n \
             10.72.1.1 via 10.9.0.3 dev eth0 src 10.9.0.100\n blackhole 10.73.0.0/16\n }}\n}}\n"
        )
    };
    same(false, config, |play| failover(play, &[("10.9.0.100", 'a'), ("10.8.0.1", 'a')]));
}

/// Law 4, on the way in: what would get lost stops the start, and a reload leaves what runs.
#[test]
fn a_keepalived_conf_that_loses_something_is_refused() {
    let Some(lan) = netns::lan() else { return };
    let config = |extra: &str, vip: &str| {
        format!(
            "! Configuration File for keepalived\nvrrp_instance VI_1 {{\n interface eth0\n \
             virtual_router_id 51\n advert_int 1\n {extra}\n virtual_ipaddress {{\n {vip}\n }}\n}}\n"
        )
    };
    let mut refused = Vipd::start(&lan, &lan.b, &config("authentication {\n auth_type AH\n }", "10.9.0.100"));
    assert_eq!(refused.ended(SOON), Some(2), "{}", refused.log());
    let log = refused.log();
    let place = ".toml:7:";
    assert!(log.lines().any(|line| line.contains(place) && line.contains(": error: ")), "the line: {log}");
    let mut a = Vipd::start(&lan, &lan.a, &config("", "10.9.0.100/24"));
    eventually("it is Active", SOON, || lan.a.has("10.9.0.100"));
    a.write_config(&config("no_such_word 120", "10.9.0.101/24"));
    let (code, _, said) = a.client(&["reload"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no_such_word") && said.contains(":6:"), "{said}");
    assert!(lan.a.has("10.9.0.100") && !lan.a.has("10.9.0.101"), "what runs goes on");
    a.write_config(&config("priority 120", "10.9.0.101/24"));
    a.signal(libc::SIGHUP);
    eventually("what is new counts", SOON, || lan.a.has("10.9.0.101") && !lan.a.has("10.9.0.100"));
    assert_eq!(a.terminate(SOON), Some(0));
}
