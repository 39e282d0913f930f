//! A wider LAN than that of the seeds' scenarios: both families, every transport, every forwarding method at
//! once.
//!
//! ```text
//!   client 10.0.0.9 fd10::9        router 1 192.168.234.27 fd68::27      web 192.168.234.47 fd68::47, 57, 67
//!        |                              |                                     |   VIPs on lo, tunnel devices
//!   =====+=============================br0=============================+======+====
//!                                                                      |
//!                                                      router 2 192.168.234.37 fd68::37
//! ```
//!
//! VIPs are 10.0.0.100 and fd10::100. What a server answers from its own address goes by the router (NAT:
//! 192.168.234.1 and fd68::1 belong to the virtual router, too); what it answers from a VIP goes to the
//! client itself (direct routing, tunnels).

pub mod echo;
pub mod requests;
pub mod saved;
pub mod transport;

use crate::daemon::{Daemon, VIPD};
use crate::net::{Host, cable};
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::{forced, is_forced};
use crate::web::Web;
use saved::Saved;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use transport::Transport;

/// The VIP of IPv4.
pub const VIP4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
/// The VIP of IPv6.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 0, 0x100);
/// The port of every server's own address that answers all transports.
pub const PORT: u16 = 7000;
/// Where a server says that it is well.
pub const HEALTH: u16 = 9;
/// Where a server takes GUE.
pub const GUE: u16 = 6080;
/// vipd's start, an election at 200 ms adverts, and what a slow machine adds.
pub const ELECTION: Duration = Duration::from_secs(8);
/// What was asked for is in the kernel's table.
pub const SOON: Duration = Duration::from_secs(8);
/// Whether vipd uses the kernel's old interface: scenarios of both run once so, once so; with `--sockopt` by
/// it alone.
pub fn interfaces() -> &'static [bool] {
    if is_forced() { &[true] } else { &[false, true] }
}

/// The virtual router of a file: both VIPs and the servers' gateway. 200 ms adverts.
pub fn virtual_router(priority: u8) -> String {
    virtual_router_with(priority, &[])
}

/// With more VIPs.
pub fn virtual_router_with(priority: u8, more: &[&str]) -> String {
    let more: String = more.iter().map(|vip| format!(", \"{vip}\"")).collect();
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"ens37\"\nvrid = 51\nversion = 3\npriority = {priority}\n\
         advert_interval = \"200ms\"\naddresses = [\"{VIP4}/24\"]\n\
         excluded_addresses = [\"192.168.234.1/24\", \"{VIP6}/64\", \"fd68::1/64\"{more}]\n"
    )
}

/// The VIP of a family.
pub fn vip(ipv6: bool, port: u16) -> SocketAddr {
    SocketAddr::new(if ipv6 { VIP6.into() } else { VIP4.into() }, port)
}

/// A router.
pub struct Router {
    /// What it is called here.
    pub name: String,
    /// Its namespace; its interface is `ens37`.
    pub host: Host,
    /// Its vipd's control socket.
    pub socket: String,
    /// Its configuration file.
    pub config: String,
    /// What runs on it.
    pub daemon: Option<Daemon>,
}

impl Router {
    /// Writes its configuration; with `--sockopt` it says so.
    pub fn configure(&self, text: &str) -> Outcome {
        let text = match () {
            () if !is_forced() || text.contains("interface = \"sockopt\"") => text.to_string(),
            () if text.contains("[ipvs]\n") => text.replacen("[ipvs]\n", forced(), 1),
            () => text.to_string() + forced(),
        };
        std::fs::write(&self.config, text).map_err(|error| format!("{}: {error}", self.config))
    }

    /// Starts vipd with this configuration.
    pub fn start(&mut self, text: &str) -> Outcome {
        self.configure(text)?;
        self.daemon = Some(Daemon::vipd(&self.host, &self.config, &self.socket)?);
        Ok(())
    }

    /// Its daemon; an error where none was started.
    pub fn daemon(&mut self) -> Outcome<&mut Daemon> {
        self.daemon.as_mut().ok_or_else(|| format!("{}: nothing runs", self.name))
    }

    /// Hands the running vipd a new configuration, which it must take.
    pub fn reload(&self, text: &str) -> Outcome {
        self.configure(text)?;
        self.vipd(&["reload"]).map(drop)
    }

    /// A `vipd` command, which must end well; its output.
    pub fn vipd(&self, words: &[&str]) -> Outcome<String> {
        let (first, rest) = words.split_first().ok_or("no command")?;
        let all: Vec<&str> =
            [*first, "--socket", &self.socket].into_iter().chain(rest.iter().copied()).collect();
        self.host.output(VIPD, &all)
    }

    /// `vipd status --json`.
    pub fn status(&self) -> Outcome<serde_json::Value> {
        let (_, text) = crate::daemon::status(&self.socket, &["--json"])?;
        serde_json::from_str(&text).map_err(|error| format!("status: {error}: {text}"))
    }

    /// The table as `ipvsadm -Sn` tells it.
    pub fn saved(&self) -> Outcome<Saved> {
        saved::read(&self.host)
    }

    /// Does its interface carry the VIPs of both families?
    pub fn is_active(&self) -> Outcome<bool> {
        let text = self.host.output("ip", &["-o", "address", "show", "dev", "ens37"])?;
        Ok(text.contains(&format!(" {VIP4}/24")) && text.contains(&format!(" {VIP6}/64")))
    }

    /// Waits until it carries the VIPs and says so: a killed run's stay for a while, and prove nothing.
    pub fn wait_active(&self, stage: &Stage) -> Outcome {
        let what = format!("{} is Active", self.name);
        let check = || {
            ensure(self.is_active()?, || "no VIPs".into())?;
            let state = &self.status()?["instances"][0]["state"];
            ensure(*state == "active", || format!("it is {state}"))
        };
        stage.until(&what, ELECTION, check).map(drop)
    }

    /// Waits until the table is this one.
    pub fn wait_table(&self, stage: &Stage, what: &str, wanted: &Saved) -> Outcome {
        stage.until(what, SOON, || wanted.is(&self.saved()?)).map(drop)
    }

    /// What its log holds.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Daemon::log).unwrap_or_default()
    }
}

/// A server of the field.
pub struct Server {
    /// The last number of its addresses.
    pub number: u8,
    /// Well as long as this answers: the TCP port [`HEALTH`] of both families.
    pub health: Web,
}

/// The address of a server.
pub fn address(number: u8, ipv6: bool) -> IpAddr {
    let low = u16::from(number / 10) * 16 + u16::from(number % 10);
    match ipv6 {
        true => Ipv6Addr::new(0xfd68, 0, 0, 0, 0, 0, 0, low).into(),
        false => Ipv4Addr::new(192, 168, 234, number).into(),
    }
}

/// Everything.
pub struct Field<'a> {
    /// Who tells it.
    pub stage: &'a Stage,
    /// Routers 1 and 2 (where wanted).
    pub routers: Vec<Router>,
    /// Web servers 47, 57, 67.
    pub servers: Vec<Server>,
    /// The client.
    pub client: Host,
}

impl<'a> Field<'a> {
    /// Builds it with so many routers. Every server answers on these doors of the VIPs, and on [`PORT`] of
    /// its own addresses.
    pub fn build(stage: &'a Stage, routers: usize, doors: &[(Transport, SocketAddr)]) -> Outcome<Field<'a>> {
        let prefix = stage.name.as_str();
        let lan = Host::make(format!("{prefix}-lan"))?;
        lan.ip_batch("link add name br0 type bridge forward_delay 0 mcast_snooping 0\nlink set br0 up")?;
        // Much of this is waiting for the kernel.
        std::thread::scope(|scope| {
            let lan = &lan;
            let servers = [47, 57, 67].map(|number| scope.spawn(move || server(prefix, lan, number, doors)));
            let client = client(prefix, lan)?;
            let routers = (0..routers).map(|index| router(prefix, lan, index)).collect::<Outcome<_>>()?;
            let joined =
                servers.into_iter().map(|thread| thread.join().map_err(|_| "a server".to_string())?);
            Ok(Field { routers, servers: joined.collect::<Outcome<_>>()?, client, stage })
        })
    }

    /// For the end of a scenario: what is known, where something went wrong.
    pub fn explain<T>(&self, result: Outcome<T>) -> Outcome<T> {
        if let Err(why) = &result {
            self.stage.say(format!("what is known about \"{why}\":"));
            for router in &self.routers {
                let log = router.log();
                let lines: Vec<&str> = log.lines().collect();
                self.stage.say(format!(
                    "{} log:\n{}",
                    router.name,
                    lines[lines.len().saturating_sub(25)..].join("\n")
                ));
                let table = router.host.output("ipvsadm", &["-Ln"]).unwrap_or_else(|error| error);
                let lines: Vec<&str> = table.lines().take(30).collect();
                self.stage.say(lines.join("\n"));
            }
        }
        result
    }
}

fn client(prefix: &str, lan: &Host) -> Outcome<Host> {
    let host = plugged(prefix, lan, "client", "eth0")?;
    host.ip_batch(
        "address add 10.0.0.9/24 dev eth0\naddress add fd10::9/64 dev eth0 nodad\n\
         route add 192.168.234.0/24 dev eth0\nroute add fd68::/64 dev eth0",
    )?;
    Ok(host)
}

fn router(prefix: &str, lan: &Host, index: usize) -> Outcome<Router> {
    let port = format!("r{}", index + 1);
    let number = [27, 37].get(index).ok_or("two routers at most")?;
    let host = plugged(prefix, lan, &port, "ens37")?;
    host.ip_batch(&format!(
        "address add 192.168.234.{number}/24 dev ens37\naddress add fd68::{number}/64 dev ens37 nodad"
    ))?;
    for (key, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/ens37/send_redirects", "0"),
        // A service without a server refuses by ICMP, and every client is to hear it.
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ] {
        host.sysctl(&format!("net/{key}"), value)?;
    }
    Ok(Router {
        name: format!("router {}", index + 1),
        socket: format!("/run/{}.sock", host.name),
        config: format!("/tmp/{}.toml", host.name),
        daemon: None,
        host,
    })
}

/// A host with one interface on the bridge.
fn plugged(prefix: &str, lan: &Host, port: &str, interface: &str) -> Outcome<Host> {
    let host = Host::make(format!("{prefix}-{port}"))?;
    cable(lan, port, &host, interface)?;
    host.ip_batch(&format!("link set {interface} up"))?;
    for family in ["ipv4", "ipv6"] {
        host.sysctl(&format!("net/{family}/conf/{interface}/accept_redirects"), "0")?;
        host.sysctl(&format!("net/{family}/conf/all/accept_redirects"), "0")?;
    }
    Ok(host)
}

fn server(prefix: &str, lan: &Host, number: u8, doors: &[(Transport, SocketAddr)]) -> Outcome<Server> {
    let host = plugged(prefix, lan, &format!("w{number}"), "eth0")?;
    host.ip_batch(&format!(
        "address add 192.168.234.{number}/24 dev eth0\naddress add fd68::{number}/64 dev eth0 nodad\n\
         address add {VIP4}/32 dev lo\naddress add {VIP6}/128 dev lo nodad\n\
         route add 10.0.0.0/24 via 192.168.234.1\nroute add fd10::/64 via fd68::1\n\
         rule add from {VIP4} lookup 100\nroute add 10.0.0.0/24 dev eth0 table 100\n\
         route add fd10::/64 dev eth0 table 100\n\
         link add name ipip4 type ipip local 192.168.234.{number}\nlink set ipip4 up\n\
         link add name sit4 type sit local 192.168.234.{number}\nlink set sit4 up\n\
         link add name any6 type ip6tnl mode any local fd68::{number} remote ::\nlink set any6 up\n\
         link add name gre4 type gre local 192.168.234.{number}\nlink set gre4 up\n\
         link add name gre6 type ip6gre local fd68::{number} remote ::\nlink set gre6 up\n\
         fou add port {GUE} gue\nfou add port {GUE} gue -6"
    ))?;
    host.output("ip", &["-6", "rule", "add", "from", &VIP6.to_string(), "lookup", "100"])?;
    // Direct routing: the VIPs on lo are nobody's business on the wire (IPVS-71); tunnels: what comes out of
    // one has its sender elsewhere (IPVS-72).
    host.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
    host.sysctl("net/ipv4/conf/all/arp_announce", "2")?;
    let own = [false, true].map(|ipv6| SocketAddr::new(address(number, ipv6), PORT));
    let all: Vec<(Transport, SocketAddr)> = [Transport::Tcp, Transport::Udp, Transport::Sctp]
        .into_iter()
        .flat_map(|kind| own.map(|address| (kind, address)))
        .chain(doors.iter().copied())
        .collect();
    let page = format!("web {number}");
    echo::start(&host, &page, &all);
    let health = Web::start_at(&host, SocketAddr::from((Ipv6Addr::UNSPECIFIED, HEALTH)), &page);
    Ok(Server { number, health })
}
