//! The LAN of the scenarios: two routers, two web servers, a client, one bridge.
//!
//! ```text
//!   client 10.0.0.9          router 27 192.168.234.27 ens37      web 47 192.168.234.47, VIPs on lo
//!        |                        |                                   |
//!   =====+=======================br0==========================+=======+====
//!                                 |                           |
//!                router 37 192.168.234.37 ens37          web 57 192.168.234.57, VIPs on lo
//! ```
//!
//! Direct routing: the web servers answer the client themselves (a route to 10.0.0.0/24), and keep quiet
//! about the VIPs in ARP (`arp_ignore`, `arp_announce`).

use crate::daemon::Daemon;
use crate::net::{Host, cable};
use crate::stage::{Outcome, Stage, ensure};
use crate::table;
use crate::web::{Sink, Web, get};
use crate::{arp, screen};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The first VIP.
pub const VIP1: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
/// The second VIP, in S2.
pub const VIP2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 200);
/// The client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
/// Three adverts of a second.
pub const THREE_ADVERTS: Duration = Duration::from_secs(3);
/// Skew of priority 80: (256 - 80) / 256 s.
pub const SKEW: Duration = Duration::from_micros(687_500);
/// The lease of a VIP.
pub const LEASE: Duration = Duration::from_secs(3);
/// What an emulated machine that shares its processor may add to a time.
pub const SLACK: Duration = Duration::from_millis(700);

/// Where a service on a VIP answers.
pub fn port80(vip: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((vip, 80))
}

/// One of the two routers.
pub struct Router {
    /// What it is called here: `router 27`.
    pub name: &'static str,
    /// Its namespace.
    pub host: Host,
    /// Its port on the bridge.
    pub port: &'static str,
    /// Its MAC address on the LAN.
    pub mac: String,
    /// Its vipd's control socket.
    pub socket: String,
    /// Its configuration file.
    pub config: String,
    /// What runs on it.
    pub daemon: Option<Daemon>,
    /// Is that vipd, and does it answer?
    pub answers: bool,
    /// Its mail server.
    pub sink: Sink,
}

impl Router {
    /// Starts vipd.
    pub fn start(&mut self) -> Outcome {
        self.daemon = Some(Daemon::vipd(&self.host, &self.config, &self.socket)?);
        self.answers = true;
        Ok(())
    }

    /// Its daemon; an error where none was started.
    pub fn daemon(&mut self) -> Outcome<&mut Daemon> {
        self.daemon.as_mut().ok_or_else(|| format!("{}: nothing runs", self.name))
    }

    /// Is the VIP among the addresses of its interface?
    pub fn has(&self, vip: Ipv4Addr) -> Outcome<bool> {
        Ok(self.host.addresses("ens37")?.contains(&format!("{vip}/24")))
    }

    /// Its IPVS table as `ipvsadm -Ln` tells it.
    pub fn table(&self) -> Outcome<Vec<table::Entry>> {
        table::read(&self.host)
    }

    /// Its configuration file's text is changed: every `from` must be there.
    pub fn edit(&mut self, changes: &[(&str, &str)]) -> Outcome {
        let mut text =
            std::fs::read_to_string(&self.config).map_err(|error| format!("{}: {error}", self.config))?;
        for (from, to) in changes {
            ensure(text.contains(from), || format!("{} has no {from}", self.config))?;
            text = text.replace(from, to);
        }
        self.config = format!("/tmp/{}.toml", self.host.name);
        std::fs::write(&self.config, text).map_err(|error| format!("{}: {error}", self.config))
    }
}

/// What every configuration file has at its end: `lab guest --sockopt` makes every vipd use the kernel's old
/// interface (IPVS-90), and the scenarios must not see a difference.
pub fn forced() -> &'static str {
    if is_forced() { "[ipvs]\ninterface = \"sockopt\"\n" } else { "" }
}

/// Has every vipd to use the old interface?
pub fn is_forced() -> bool {
    std::env::args().any(|word| word == "--sockopt")
}

/// The file, or where something is forced a copy of it with that.
fn configuration(host: &Host, file: &str) -> Outcome<String> {
    if forced().is_empty() {
        return Ok(file.into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let copy = format!("/tmp/{}.toml", host.name);
    std::fs::write(&copy, text + "\n" + forced()).map_err(|error| format!("{copy}: {error}"))?;
    Ok(copy)
}

/// Everything.
pub struct Lab<'a> {
    /// Who tells it.
    pub stage: &'a Stage,
    /// The bridge.
    pub lan: Host,
    /// Router 27.
    pub a: Router,
    /// Router 37.
    pub b: Router,
    /// Web server 47.
    pub web47: Web,
    /// Web server 57.
    pub web57: Web,
    /// The client.
    pub client: Host,
    client_mac: String,
}

impl<'a> Lab<'a> {
    /// Builds it with the configuration files `/configs/{scenario}-router-{27,37}.toml`; no daemon runs yet.
    pub fn build(stage: &'a Stage, scenario: &str) -> Outcome<Lab<'a>> {
        let prefix = &stage.name;
        let lan = Host::make(format!("{prefix}-lan"))?;
        lan.ip_batch("link add name br0 type bridge forward_delay 0\nlink set br0 up")?;
        let host = |port: &str, interface: &str, addresses: &str| -> Outcome<Host> {
            let host = Host::make(format!("{prefix}-{port}"))?;
            cable(&lan, port, &host, interface)?;
            host.ip_batch(&format!("link set {interface} up\n{addresses}"))?;
            Ok(host)
        };
        let router = |name: &'static str, port: &'static str, number: u8| -> Outcome<Router> {
            let host = host(port, "ens37", &format!("address add 192.168.234.{number}/24 dev ens37"))?;
            let config = configuration(&host, &format!("/configs/{scenario}-router-{number}.toml"))?;
            Web::start(&host, &format!("sorry page of {name}"));
            Ok(Router {
                name,
                port,
                mac: host.mac("ens37")?,
                socket: format!("/run/{prefix}-{port}.sock"),
                config,
                daemon: None,
                answers: false,
                sink: Sink::start(&host),
                host,
            })
        };
        let web = |port: &str, number: u8| -> Outcome<Web> {
            let host = host(
                port,
                "eth0",
                &format!(
                    "address add 192.168.234.{number}/24 dev eth0\nroute add 10.0.0.0/24 dev eth0\n\
                     address add {VIP1}/32 dev lo\naddress add {VIP2}/32 dev lo"
                ),
            )?;
            host.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
            host.sysctl("net/ipv4/conf/all/arp_announce", "2")?;
            Ok(Web::start(&host, &format!("web {number}")))
        };
        let client =
            host("client", "eth0", "address add 10.0.0.9/24 dev eth0\nroute add 192.168.234.0/24 dev eth0")?;
        Ok(Lab {
            a: router("router 27", "ra", 27)?,
            b: router("router 37", "rb", 37)?,
            web47: web("w47", 47)?,
            web57: web("w57", 57)?,
            client_mac: client.mac("eth0")?,
            client,
            lan,
            stage,
        })
    }

    /// The MAC addresses that answer for a VIP.
    pub fn who_has(&self, vip: Ipv4Addr) -> Outcome<BTreeSet<String>> {
        arp::who_has(&self.client, "eth0", &self.client_mac, CLIENT, vip, Duration::from_millis(120))
    }

    /// An error unless exactly `owner` answers ARP for the VIP, has it on its interface, and the other has
    /// not.
    pub fn only(&self, owner: &Router, vip: Ipv4Addr) -> Outcome {
        let answered = self.who_has(vip)?;
        ensure(answered.len() == 1 && answered.contains(&owner.mac), || {
            format!("{vip}: {} answers wanted, got {:?}", owner.name, self.names(&answered))
        })?;
        for router in [&self.a, &self.b] {
            let (has, wanted) = (router.has(vip)?, std::ptr::eq(router, owner));
            ensure(has == wanted, || {
                format!("{} {} {vip}", router.name, if has { "still has" } else { "has not" })
            })?;
        }
        Ok(())
    }

    /// MAC addresses as people know them.
    fn names(&self, macs: &BTreeSet<String>) -> Vec<String> {
        let name = |mac: &String| match mac {
            mac if *mac == self.a.mac => self.a.name.to_string(),
            mac if *mac == self.b.mac => self.b.name.to_string(),
            mac => mac.clone(),
        };
        macs.iter().map(name).collect()
    }

    /// Pages of `count` requests to a VIP, one after the other: how often each came.
    pub fn pages(&self, vip: Ipv4Addr, count: usize) -> BTreeMap<String, usize> {
        self.client.run(|| {
            let mut pages = BTreeMap::new();
            for _ in 0..count {
                let page = get(port80(vip), Duration::from_secs(2)).unwrap_or_else(|error| error.to_string());
                *pages.entry(page).or_default() += 1;
            }
            pages
        })
    }

    /// An error unless `count` requests to a VIP get exactly these pages, so often each.
    pub fn spread(&self, vip: Ipv4Addr, wanted: &[(&str, usize)]) -> Outcome {
        let pages = self.pages(vip, wanted.iter().map(|(_, count)| count).sum());
        let told: Vec<String> = pages.iter().map(|(page, count)| format!("{count} x {page}")).collect();
        self.stage.say(format!("   pages: {}", told.join(", ")));
        let wanted: BTreeMap<String, usize> =
            wanted.iter().map(|(page, count)| (page.to_string(), *count)).collect();
        ensure(pages == wanted, || format!("pages: wanted {wanted:?}, got {pages:?}"))
    }

    /// Pulls a router's cable out at the bridge, or puts it in.
    pub fn plug(&self, router: &Router, on: bool) -> Outcome {
        self.lan.ip_batch(&format!("link set {} {}", router.port, if on { "up" } else { "down" }))
    }

    /// Starts both daemons and waits until router 27 alone has the VIP.
    pub fn start_both(&mut self) -> Outcome {
        self.a.start()?;
        self.b.start()?;
        let limit = THREE_ADVERTS + SKEW + Duration::from_secs(5);
        self.stage.until("router 27 alone has the VIP", limit, || self.only(&self.a, VIP1)).map(drop)
    }

    /// Looks at both routers' status screens, and holds their first lines against what the kernel says.
    pub fn screens(&self) -> Outcome {
        screen::check(self.stage, &self.a)?;
        screen::check(self.stage, &self.b)
    }

    /// For the end of a scenario: what the daemons logged, where something went wrong.
    pub fn explain<T>(&self, result: Outcome<T>) -> Outcome<T> {
        if let Err(why) = &result {
            self.stage.say(format!("what is known about \"{why}\":"));
            for router in [&self.a, &self.b] {
                let log = router.daemon.as_ref().map(Daemon::log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(25)..].join("\n");
                let table = router.host.output("ipvsadm", &["-Ln"]).unwrap_or_else(|error| error);
                let addresses = router.host.output("ip", &["-4", "address", "show", "dev", "ens37"]);
                self.stage.say(format!("{} log:\n{last}", router.name));
                self.stage.say(format!("{}\n{table}", addresses.unwrap_or_else(|error| error)));
            }
        }
        result
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        // The threads inside go on in their namespaces; the names and the daemons go.
        self.a.daemon = None;
        self.b.daemon = None;
    }
}
