//! A balanced service as the user asked for it.

use super::{Command, IfName, Name, Shared};
use crate::limits;
use crate::time::Duration;
use std::net::{IpAddr, SocketAddr};

pub use crate::wire::http::HttpVersion;
pub use crate::wire::ipvs::{
    Daemon, DaemonRole, Forwarding, PersistenceEngine, Protocol, ServiceKey, Timeouts, Tunnel, TunnelChecksum,
};

/// Name of an IPVS scheduler (`rr`, `wlc`, ...); never empty, never `none` (IPVS-40b).
pub type Scheduler = heapless::String<{ limits::SCHEDULER_MAX }>;

/// Clients stick to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persistence {
    /// How long after the last connection; whole seconds, 1 s ..= 31 days.
    pub timeout: Duration,
    /// Clients in one such net go to one server: IPv4 mask length 1..=32, IPv6 1..=128. In a group of both
    /// families it is that of IPv6, and IPv4 addresses have at most 32 of it.
    pub prefix_len: u8,
    /// What else of a packet names the client (`sip`); `None`: its address alone.
    pub engine: Option<PersistenceEngine>,
}

/// How packets reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// NAT, direct routing or tunnel.
    pub forward: Forwarding,
    /// Which tunnel; of meaning with `Forwarding::Tunnel` only, `Tunnel::Ipip` otherwise.
    pub tunnel: Tunnel,
}

impl Method {
    /// A method; a tunnel is IP in IP.
    pub const fn new(forward: Forwarding) -> Self {
        Method { forward, tunnel: Tunnel::Ipip }
    }
}

/// Where clients go when the quorum is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorry {
    /// Its address.
    pub address: SocketAddr,
    /// How packets reach it; the service's method by default.
    pub method: Method,
    /// It is in the table all the time, with weight 0 while it is not in charge.
    pub inhibit: bool,
}

/// What clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Front {
    /// An address and a port.
    Address(SocketAddr),
    /// Packets with a firewall mark.
    Mark {
        /// Not zero.
        mark: u32,
        /// IPv6?
        ipv6: bool,
    },
    /// All that a `[[server_group]]` lists.
    Group {
        /// Its name.
        name: Name,
        /// Its members, in the order of the file, each once; at least one, at most
        /// [`limits::GROUP_KEYS_MAX`]. The same servers stand behind each.
        keys: Vec<ServiceKey>,
    },
}

/// `[[service]]`: a virtual service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The user's name for it; unique.
    pub name: Name,
    /// Transport protocol; TCP for a mark, where it has no meaning.
    pub protocol: Protocol,
    /// What clients connect to. No two services have a [`ServiceKey`] in common.
    pub front: Front,
    /// Scheduler; `wlc` by default.
    pub scheduler: Scheduler,
    /// Flags of the scheduler: `IP_VS_SVC_F_SCHED1..3` (0x8, 0x10, 0x20; IPVS-65).
    pub scheduler_flags: u32,
    /// Each packet is scheduled by itself (`ops`; UDP or a mark).
    pub one_packet: bool,
    /// Persistence; off by default.
    pub persistence: Option<Persistence>,
    /// Sorry server.
    pub sorry: Option<Sorry>,
    /// The servers that are up must weigh so much together; 1 by default.
    pub quorum: u32,
    /// So much more to gain the quorum, so much less to lose it; 0 by default, below `quorum`.
    pub hysteresis: u32,
    /// What is lost when the daemon ends is told, too (`omega`).
    pub tells_stop: bool,
    /// Probes run, and servers are in the table, only while one of its addresses is on this box
    /// (`ha_suspend`).
    pub suspend: bool,
    /// Mail about the quorum; `None`: where `[mail]` is configured.
    pub mail: Option<bool>,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Box<Command>>,
    /// Run when the quorum is lost.
    pub quorum_down: Option<Box<Command>>,
    /// Servers in the order of the file; addresses are unique.
    pub servers: Vec<Server>,
}

impl Service {
    /// A service with defaults and without servers.
    pub fn new(name: Name, protocol: Protocol, front: Front) -> Self {
        Service {
            name,
            protocol,
            front,
            scheduler: Scheduler::try_from("wlc").unwrap_or_default(),
            scheduler_flags: 0,
            one_packet: false,
            persistence: None,
            sorry: None,
            quorum: 1,
            hysteresis: 0,
            tells_stop: false,
            suspend: false,
            mail: None,
            quorum_up: None,
            quorum_down: None,
            servers: Vec::new(),
        }
    }

    /// Its names in the kernel's table: at least one.
    pub fn keys(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        let (one, many): (_, &[ServiceKey]) = match &self.front {
            Front::Address(address) => {
                (Some(ServiceKey::Address { protocol: self.protocol, address: *address }), &[])
            }
            Front::Mark { mark, ipv6 } => (Some(ServiceKey::Mark { mark: *mark, ipv6: *ipv6 }), &[]),
            Front::Group { keys, .. } => (None, keys),
        };
        one.into_iter().chain(many.iter().copied())
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerAddress {
    /// Address and port.
    Ip(SocketAddr),
    /// A name that is looked up, again and again; the last address that it had stays while nothing answers.
    Name {
        /// Host name, at most [`limits::HOST_NAME_MAX`] bytes.
        host: String,
        /// Port.
        port: u16,
        /// The family that is wanted.
        ipv6: bool,
    },
}

impl ServerAddress {
    /// Its port.
    pub fn port(&self) -> u16 {
        match self {
            ServerAddress::Ip(address) => address.port(),
            ServerAddress::Name { port, .. } => *port,
        }
    }
}

impl core::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ServerAddress::Ip(address) => address.fmt(f),
            ServerAddress::Name { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// `[[service.server]]`: one real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: ServerAddress,
    /// 0..=`i32::MAX`; 1 by default.
    pub weight: u32,
    /// How packets reach it; the service's method by default.
    pub method: Method,
    /// No new connections above so many; 0: no limit.
    pub upper_threshold: u32,
    /// New ones again below so many; 0: three quarters of the upper one.
    pub lower_threshold: u32,
    /// While it is down it stays in the table with weight 0 (`inhibit_on_failure`).
    pub inhibit: bool,
    /// Without a verdict of its checks: in the table (keepalived's way, the default), or only after the first
    /// success (`alpha`).
    pub start_up: bool,
    /// How its health is found out; empty: always taken as up. Servers mostly have those of the service.
    pub checks: Shared<Vec<Check>>,
    /// One passing check is enough; otherwise all must pass.
    pub any_check: bool,
    /// Mail about it; `None`: where `[mail]` is configured.
    pub mail: Option<bool>,
    /// Run when it goes up.
    pub up: Option<Box<Command>>,
    /// Run when it goes down.
    pub down: Option<Box<Command>>,
}

impl Server {
    /// A server with defaults and without a check.
    pub fn new(address: SocketAddr, forward: Forwarding) -> Self {
        Server {
            address: ServerAddress::Ip(address),
            weight: 1,
            method: Method::new(forward),
            upper_threshold: 0,
            lower_threshold: 0,
            inhibit: false,
            start_up: true,
            checks: Shared::default(),
            any_check: false,
            mail: None,
            up: None,
            down: None,
        }
    }
}

/// A checker: what to probe, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What one probe does.
    pub kind: CheckKind,
    /// From the start of a probe to the start of the next. 10 s by default.
    pub interval: Duration,
    /// One deadline for the whole probe, connection included (HC-1). 5 s by default.
    pub timeout: Duration,
    /// As `interval`, while failures are being counted. 1 s by default.
    pub retry_interval: Duration,
    /// Successes in a row until a server that is down is up. 1 by default.
    pub rise: u16,
    /// Failures in a row until a server that is up is down. 2 by default.
    pub fall: u16,
    /// The first probe comes at most so long after the start; `interval` or 2 s, whichever is less, by
    /// default.
    pub warmup: Option<Duration>,
    /// Where the probe goes, and whence.
    pub via: ProbeVia,
}

impl Check {
    /// A check with defaults.
    pub fn new(kind: CheckKind) -> Self {
        Check {
            kind,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retry_interval: Duration::from_secs(1),
            rise: 1,
            fall: 2,
            warmup: None,
            via: ProbeVia::default(),
        }
    }
}

/// Where a probe goes, and whence; what is not given is the server's, or the kernel's choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeVia {
    /// To this address in place of the server's (`connect_ip`).
    pub address: Option<IpAddr>,
    /// To this port in place of the server's (`connect_port`).
    pub port: Option<u16>,
    /// From this address (`bindto`).
    pub source: Option<IpAddr>,
    /// From this port (`bind_port`); 0: any.
    pub source_port: u16,
    /// Out of this interface (`bind_if`).
    pub interface: Option<IfName>,
    /// With this firewall mark (SO_MARK); 0: none.
    pub mark: u32,
}

/// What one probe does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// Success = the connection is made (HC-20).
    Tcp,
    /// Success = every page comes with a wanted status, digest and text (HC-11).
    Http(Box<HttpCheck>),
    /// Success = 220, then 250 to HELO (HC-25).
    Smtp(SmtpCheck),
    /// Success = an echo reply. The port of the address has no meaning.
    Ping,
    /// Success = the wanted answer, by UDP.
    Dns(DnsCheck),
    /// Success = no ICMP error, or a reply as wanted (HC-35).
    Udp(Box<UdpCheck>),
    /// Success = exit code 0 (HC-45).
    Script(ScriptCheck),
    /// The number in a tracked file changes the weight, or decides.
    File(FileCheck),
}

/// What a DNS probe asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct DnsCheck {
    /// The name, without the last dot; empty for the root.
    pub name: String,
    /// Record type, as on the wire: A 1, NS 2, SOA 6, AAAA 28, ...
    pub kind: u16,
    /// The wanted RCODE, 0..=15; 0 by default.
    pub rcode: u8,
    /// One of the answers must be this address (A, AAAA).
    pub address: Option<IpAddr>,
}

/// What an HTTP probe asks for and wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpCheck {
    /// Pages, asked for in turn over one connection each; all must be as wanted. Never empty, at most
    /// [`limits::PAGES_MAX`].
    pub pages: Vec<HttpPage>,
    /// HTTP version and how the connection ends.
    pub version: HttpVersion,
    /// More header fields, (name, value).
    pub headers: Vec<(String, String)>,
    /// Over TLS.
    pub tls: Option<Box<TlsCheck>>,
}

impl HttpCheck {
    /// One page, with defaults.
    pub fn new(page: HttpPage) -> Self {
        HttpCheck { pages: vec![page], version: HttpVersion::default(), headers: Vec::new(), tls: None }
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpPage {
    /// Begins with `/`; no white space, no control characters.
    pub path: String,
    /// `Host` header; `address:port` where not given (HC-10).
    pub virtual_host: Option<String>,
    /// Any of these is wanted; 200-299 by default. Never empty.
    pub status: Vec<StatusRange>,
    /// MD5 of the body, where wanted.
    pub digest: Option<[u8; 16]>,
    /// The digest is that of the body as it comes over the wire, chunk framing and all (HC-12).
    pub raw_body: bool,
    /// What is looked for in the body.
    pub regex: Option<PageRegex>,
}

impl HttpPage {
    /// A page with defaults: any status of 200 to 299 is as wanted.
    pub fn new(path: &str) -> Self {
        HttpPage {
            path: path.to_owned(),
            virtual_host: None,
            status: vec![StatusRange { first: 200, last: 299 }],
            digest: None,
            raw_body: false,
            regex: None,
        }
    }
}

/// A regular expression over the body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageRegex {
    /// In the syntax of `regex-lite`, with its flags in front (`(?is)`); it compiles.
    pub pattern: String,
    /// It must not match.
    pub negated: bool,
    /// A match begins at this byte or later.
    pub first: u32,
    /// A match begins before this byte; 0: anywhere.
    pub last: u32,
}

/// How a TLS probe judges the other side (HC-14).
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct TlsCheck {
    /// The name sent (SNI), and verified; the virtual host where not given and not an address.
    pub name: Option<String>,
    /// Send no name at all.
    pub without_sni: bool,
    /// PEM file of authorities; `None`: the certificate is not looked at.
    pub ca: Option<String>,
    /// PEM files of the certificate and the key that are shown to the server.
    pub client: Option<(String, String)>,
}

/// First and last wanted status, 100..=599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusRange {
    /// First.
    pub first: u16,
    /// Last, not below `first`.
    pub last: u16,
}

/// What an SMTP probe says.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct SmtpCheck {
    /// Name in HELO; the router name where not given.
    pub helo: Option<String>,
}

/// What a UDP probe sends and wants (HC-35).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UdpCheck {
    /// What is sent, at most [`limits::UDP_PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
    /// No reply is a failure.
    pub needs_reply: bool,
    /// The reply begins with these bytes, as far as the mask of the same length says; empty: any.
    pub reply: Vec<(u8, u8)>,
    /// Shortest wanted reply, in bytes; 0 by default.
    pub reply_min: u16,
    /// Longest wanted reply, in bytes; 255 by default.
    pub reply_max: u16,
}

/// A program that looks at a server (HC-45).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptCheck {
    /// The program; its timeout is the check's.
    pub command: Command,
    /// Exit codes 2..=255 mean "up, with the weight code - 2".
    pub dynamic: bool,
}

/// A tracked file that says how fit a server is. It has no probes of its own: `interval` and the rest of the
/// [`Check`] have no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileCheck {
    /// Index in `Config::tracks`, of a file.
    pub track: usize,
    /// Its number is multiplied by this and added to the weight; 0: down while the number is not zero.
    pub weight: i16,
    /// With the sign turned; with weight zero: down while the number is zero.
    pub reverse: bool,
}

/// `[ipvs]`: how the kernel's table is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipvs {
    /// Leave our entries in the table at a clean exit (`keep = true`).
    pub keep: bool,
    /// How often the kernel's table is read and compared with what it should hold.
    pub watch_interval: Duration,
    /// How the kernel is talked to.
    pub interface: IpvsInterface,
    /// Timeouts of connections; what is 0 stays as the kernel has it. Put back at the end.
    pub timeouts: Timeouts,
    /// The connection table is told to the other router.
    pub sync: Option<SyncDaemon>,
    /// Values of `/proc/sys/net/ipv4/vs/NAME`, each name once; put back at the end (IPVS-80).
    pub settings: Vec<(IpvsSetting, IpvsValue)>,
}

/// Name of a file in `/proc/sys/net/ipv4/vs`.
pub type IpvsSetting = heapless::String<31>;
/// What is written there.
pub type IpvsValue = heapless::String<31>;

impl Default for Ipvs {
    fn default() -> Self {
        Ipvs {
            keep: false,
            watch_interval: Duration::from_secs(10),
            interface: IpvsInterface::Auto,
            timeouts: Timeouts::default(),
            sync: None,
            settings: Vec::new(),
        }
    }
}

/// How the kernel's IPVS is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpvsInterface {
    /// Generic netlink where the kernel has it, socket options otherwise.
    #[default]
    Auto,
    /// Generic netlink only.
    Netlink,
    /// Socket options only (IPVS-90); IPv4 only.
    Sockopt,
}

/// `[ipvs.sync]`: the kernel tells its connections to the other router (IPVS-74).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDaemon {
    /// Master while this instance is Active, backup otherwise: index in `Config::instances`. `None`: both
    /// roles at all times.
    pub instance: Option<usize>,
    /// All but the role.
    pub daemon: Daemon,
}
