//! Texts of the complete VRRP: right ones as a model, and how one mistake is to be told.

use std::net::IpAddr;
use vipd::config::parse;
use vipd::model::{Cidr, Command, Config, Instance, Level};
use vipd::time::Duration;

/// A configuration in which nothing is wrong.
pub(crate) const RIGHT: &str = r#"[global]
script_user = "nobody"

[[track]]
name = "uplink"
type = "path"
target = "192.0.2.1"

[[track]]
name = "script"
type = "script"
command = "/etc/check"

[[sync_group]]
name = "G"
members = ["VI_1", "VI_2"]
track = ["uplink"]

[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 51
priority = 150
addresses = ["10.0.0.100/24"]
track = ["script"]

[[vrrp]]
name = "VI_2"
interface = "eth1"
vrid = 52
addresses = ["fe80::1/64", "2001:db8::1/64"]
"#;

/// One mistake: `right`, where it first stands, becomes `wrong`. Place: lines below that of `right`, and
/// column. What the message must hold.
pub(crate) type Case = (&'static str, &'static str, (i32, u32), &'static [&'static str]);

pub(crate) fn messages(text: &str) -> Vec<String> {
    parse(text, "f").1.iter().map(|d| d.to_string()).collect()
}

/// Every case must give exactly one diagnostic of `level`, at its place, with its words.
pub(crate) fn check(level: Level, cases: &[Case]) {
    let mut wrongs = Vec::new();
    for (right, wrong, place, says) in cases {
        let at = RIGHT.find(right).unwrap_or_else(|| panic!("{right:?} is not in the file"));
        let line = i32::try_from(RIGHT[..at].matches('\n').count()).unwrap() + 1 + place.0;
        let (config, diagnostics) = parse(&RIGHT.replacen(right, wrong, 1), "f");
        let all: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
        let prefix = format!("f:{line}:{}: {level}: ", place.1);
        let one = all.len() == 1 && config.is_none() == (level == Level::Error);
        if !one || !all[0].starts_with(&prefix) || !says.iter().all(|word| all[0].contains(word)) {
            wrongs.push(format!("{wrong:?} is one mistake at {prefix}{says:?}, not {all:#?}"));
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

pub(crate) const HEAD: &str = "[[vrrp]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 51\n";

/// A text in which nothing is to be remarked on.
pub(crate) fn good(text: &str) -> Config {
    let (config, diagnostics) = parse(text, "f");
    let all: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
    assert_eq!(all, [""; 0], "{text}");
    config.unwrap()
}

/// The instance of which `more` is all but name, interface and VRID.
pub(crate) fn instance(more: &str) -> Instance {
    good(&format!("{HEAD}{more}")).instances.remove(0)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn cidr(text: &str) -> Cidr {
    let (address, len) = text.split_once('/').unwrap();
    Cidr { address: ip(address), prefix_len: len.parse().unwrap() }
}

pub(crate) fn command(argv: &[&str]) -> Command {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Command { argv, user: None, group: None, timeout: Duration::from_secs(30) }
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
