//! A cell of the matrix: one service, with what stands for it in vipd's file and in `ipvsadm -Sn`.

use crate::field::transport::Transport;
use crate::field::{GUE, HEALTH, PORT, address, vip};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

/// The kernel's schedulers, as this one has them (`twos` is not compiled into Debian's).
pub const SCHEDULERS: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"];

/// The two servers of every service, and the one that takes their place.
pub const SERVERS: [u8; 2] = [47, 57];
/// The sorry server.
pub const SORRY: u8 = 67;

/// What clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Front {
    /// Address and port of a transport protocol.
    Port(Transport),
    /// A firewall mark, put on TCP packets by nftables.
    Mark,
}

/// How packets reach the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Nat,
    Direct,
    Ipip,
    Gue,
    Gre,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub front: Front,
    pub way: Way,
    pub ipv6: bool,
}

impl Row {
    /// All that the interface of the kernel can say: the old one knows IPv4 and IP in IP alone.
    pub fn all(old_interface: bool) -> Vec<Row> {
        let fronts = [Transport::Tcp, Transport::Udp, Transport::Sctp].map(Front::Port);
        let mut rows = Vec::new();
        for front in fronts.into_iter().chain([Front::Mark]) {
            for way in [Way::Nat, Way::Direct, Way::Ipip, Way::Gue, Way::Gre] {
                for ipv6 in [false, true] {
                    if !(old_interface && (ipv6 || matches!(way, Way::Gue | Way::Gre))) {
                        rows.push(Row { front, way, ipv6 });
                    }
                }
            }
        }
        rows
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let front = match self.front {
            Front::Port(kind) => kind.to_string(),
            Front::Mark => "mark".to_string(),
        };
        let way = match self.way {
            Way::Nat => "NAT",
            Way::Direct => "DR",
            Way::Ipip => "TUN ipip",
            Way::Gue => "TUN gue",
            Way::Gre => "TUN gre",
        };
        write!(f, "{front:<4}  {way:<8}  {}", if self.ipv6 { "IPv6" } else { "IPv4" })
    }
}

/// One service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub row: Row,
    /// Index of the scheduler that it begins with.
    pub column: usize,
    /// Port on the VIP; also its mark.
    pub port: u16,
}

/// What the file says at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Version {
    /// Weights 1 and 2, or 2 and 1.
    pub swapped: bool,
    /// So many schedulers further on.
    pub shift: usize,
    /// The second server is not there.
    pub without_second: bool,
}

impl Version {
    /// The servers that it names, with their weights.
    pub fn servers(self) -> impl Iterator<Item = (u8, u32)> {
        let weights = if self.swapped { [2, 1] } else { [1, 2] };
        SERVERS.into_iter().zip(weights).take(if self.without_second { 1 } else { 2 })
    }
}

impl Cell {
    /// The cells of the rows, in their order. Each interface has ports of its own: the kernel keeps in mind
    /// how many connections a server had that was removed.
    pub fn all(rows: &[Row], old_interface: bool) -> Vec<Cell> {
        let places = rows.iter().flat_map(|row| (0..SCHEDULERS.len()).map(move |column| (*row, column)));
        places
            .zip(if old_interface { 3000u16.. } else { 2000.. })
            .map(|((row, column), port)| Cell { row, column, port })
            .collect()
    }

    /// As few of them as have every scheduler with every method, every protocol and every family, and every
    /// two of those.
    pub fn pairs(rows: &[Row], old_interface: bool) -> Vec<Cell> {
        let mut cells = Cell::all(rows, old_interface);
        let ways: BTreeSet<Way> = rows.iter().map(|row| row.way).collect();
        let fronts: BTreeSet<Front> = rows.iter().map(|row| row.front).collect();
        let is_two = rows.iter().any(|row| row.ipv6);
        cells.retain(|cell| {
            let way = ways.range(..cell.row.way).count();
            let front = fronts.range(..cell.row.front).count();
            // The longer of the two goes through all its values with each scheduler, the other follows.
            let (whole, part, parts) = match ways.len() > fronts.len() {
                true => (way, front, fronts.len()),
                false => (front, way, ways.len()),
            };
            let turn = whole + cell.column;
            part == turn % parts && (!is_two || cell.row.ipv6 == (turn / parts % 2 == 1))
        });
        cells
    }

    /// The service's name in the file.
    pub fn name(&self) -> String {
        format!("s{}", self.port)
    }

    /// Its scheduler in a version.
    pub fn scheduler(&self, version: Version) -> &'static str {
        SCHEDULERS[(self.column + version.shift) % SCHEDULERS.len()]
    }

    /// What a client speaks.
    pub fn transport(&self) -> Transport {
        match self.row.front {
            Front::Port(kind) => kind,
            Front::Mark => Transport::Tcp,
        }
    }

    /// Where a client goes.
    pub fn target(&self) -> SocketAddr {
        vip(self.row.ipv6, self.port)
    }

    /// Where servers must answer besides their own addresses: direct routing and tunnels change nothing.
    pub fn door(&self) -> Option<(Transport, SocketAddr)> {
        (self.row.way != Way::Nat).then(|| (self.transport(), self.target()))
    }

    /// A server as the file names it. Behind a mark the port says only where checks would go, except for NAT.
    pub fn server(&self, number: u8) -> SocketAddr {
        let own = self.row.way == Way::Nat || self.row.front == Front::Mark;
        SocketAddr::new(address(number, self.row.ipv6), if own { PORT } else { self.port })
    }

    /// `[[service]]` and its servers.
    pub fn config(&self, version: Version) -> String {
        let (name, scheduler) = (self.name(), self.scheduler(version));
        let front = match self.row.front {
            Front::Port(kind) => format!("address = \"{}\"\nprotocol = \"{kind}\"", self.target()),
            Front::Mark if self.row.ipv6 => format!("fwmark = {}\nfamily = \"ipv6\"", self.port),
            Front::Mark => format!("fwmark = {}", self.port),
        };
        let forward = match self.row.way {
            Way::Nat => "forward = \"nat\"".to_string(),
            Way::Direct => "forward = \"direct\"".to_string(),
            Way::Ipip => "forward = \"tunnel\"".to_string(),
            // IPv6 takes no UDP without a checksum.
            Way::Gue => format!(
                "forward = \"tunnel\"\ntunnel = {{ type = \"gue\", port = {GUE}, checksum = \"{}\" }}",
                if self.row.ipv6 { "full" } else { "none" }
            ),
            Way::Gre => "forward = \"tunnel\"\ntunnel = { type = \"gre\" }".to_string(),
        };
        let flags = if is_hashed(scheduler) { "scheduler_flags = [\"fallback\"]\n" } else { "" };
        let sorry = self.server(SORRY);
        let mut text = format!(
            "[[service]]\nname = \"{name}\"\n{front}\nscheduler = \"{scheduler}\"\n{flags}{forward}\n\
             sorry = \"{sorry}\"\ncheck = {{ type = \"tcp\", port = {HEALTH}, interval = \"1s\", \
             timeout = \"1s\", retry_interval = \"500ms\", fall = 2 }}\n"
        );
        for (number, weight) in version.servers() {
            text +=
                &format!("[[service.server]]\naddress = \"{}\"\nweight = {weight}\n", self.server(number));
        }
        text
    }

    /// Its lines in `ipvsadm -Sn` with these servers.
    pub fn lines(&self, version: Version, servers: &[(u8, u32)]) -> Vec<String> {
        let front = match self.row.front {
            Front::Port(Transport::Tcp) => format!("-t {}", self.target()),
            Front::Port(Transport::Udp) => format!("-u {}", self.target()),
            Front::Port(Transport::Sctp) => format!("--sctp-service {}", self.target()),
            Front::Mark if self.row.ipv6 => format!("-f {} -6", self.port),
            Front::Mark => format!("-f {}", self.port),
        };
        let scheduler = self.scheduler(version);
        let flags = if is_hashed(scheduler) { format!(" -b {scheduler}-fallback") } else { String::new() };
        let (method, tunnel) = match self.row.way {
            Way::Nat => ("-m", String::new()),
            Way::Direct => ("-g", String::new()),
            Way::Ipip => ("-i", " --tun-type ipip".to_string()),
            Way::Gue => {
                let checksum = if self.row.ipv6 { "--tun-csum" } else { "--tun-nocsum" };
                ("-i", format!(" --tun-type gue --tun-port {GUE} {checksum}"))
            }
            Way::Gre => ("-i", " --tun-type gre --tun-nocsum".to_string()),
        };
        let port = match (self.row.way, self.row.front) {
            (Way::Nat, _) => PORT,
            (_, Front::Mark) => 0,
            (_, Front::Port(_)) => self.port,
        };
        let to = |number: u8| SocketAddr::new(address(number, self.row.ipv6), port);
        std::iter::once(format!("-A {front} -s {scheduler}{flags}"))
            .chain(servers.iter().map(|(number, weight)| {
                format!("-a {front} -r {} {method} -w {weight}{tunnel}", to(*number))
            }))
            .collect()
    }
}

/// Takes a scheduler clients by a hash, and has it flags?
fn is_hashed(scheduler: &str) -> bool {
    matches!(scheduler, "sh" | "mh")
}

/// So many requests of every cell show what its scheduler does.
pub const REQUESTS: usize = 6;

/// An error in words unless these answers of [`REQUESTS`] short requests of one client, one after the other,
/// are what the scheduler gives with these servers (two, or one).
pub fn judge(scheduler: &str, servers: &[(u8, u32)], answers: &[String]) -> Result<(), String> {
    let count = |number: u8| answers.iter().filter(|page| **page == format!("web {number}")).count();
    let counts: Vec<usize> = servers.iter().map(|(number, _)| count(*number)).collect();
    let total: usize = counts.iter().sum();
    let told = || format!("{scheduler} with {servers:?} gave {answers:?}");
    if total != answers.len() || answers.len() != REQUESTS {
        return Err(told());
    }
    let [first, second] = counts[..] else { return Ok(()) };
    let heaviest = if servers[0].1 > servers[1].1 { first } else { second };
    let right = match scheduler {
        "rr" => first == second,
        "wrr" => heaviest == 4,
        // They count connections that have ended, too, also those of the steps before.
        "lc" => first > 0 && second > 0,
        "wlc" => heaviest > REQUESTS / 2,
        // No connection is alive when the next one comes: the heaviest is the best.
        "sed" | "fo" | "ovf" => heaviest == REQUESTS,
        // The first idle one; one client, one address: one server.
        "nq" | "dh" | "sh" | "mh" | "lblc" | "lblcr" => first == 0 || second == 0,
        other => return Err(format!("no scheduler {other}")),
    };
    if right { Ok(()) } else { Err(told()) }
}
