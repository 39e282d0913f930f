//! Namespaces, a bridge between them, and what a test does to them.

use super::{Capture, Injector};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A named network namespace; gone when dropped.
pub struct Namespace {
    name: String,
    handle: OwnedFd,
}

impl Namespace {
    fn new(name: String) -> Self {
        run(&["ip", "netns", "add", &name]);
        let handle = std::fs::File::open(format!("/run/netns/{name}")).unwrap().into();
        let namespace = Namespace { name, handle };
        let quiet = "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
        namespace.inside(|| {
            for setting in quiet.split(' ') {
                let (key, value) = setting.split_once('=').unwrap();
                let _ = std::fs::write(format!("/proc/sys/{}", key.replace('.', "/")), value);
            }
        });
        run(&["ip", "-n", &namespace.name, "link", "set", "lo", "up"]);
        namespace
    }

    /// Its name for `ip -n`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For setns(2) in a child.
    pub fn raw_handle(&self) -> i32 {
        self.handle.as_raw_fd()
    }

    /// Runs `f` on a thread inside the namespace.
    pub fn inside<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(self.raw_handle()).expect("setns");
                f()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Moves the calling thread into a namespace.
pub fn enter(handle: i32) -> std::io::Result<()> {
    // SAFETY: setns takes a descriptor and a number.
    match unsafe { libc::setns(handle, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// A machine on the LAN; its interface is `eth0`.
pub struct Node {
    /// Where it lives.
    pub namespace: Namespace,
    /// Its letter: a, b or c.
    pub letter: char,
    /// Its own address.
    pub address: Ipv4Addr,
    /// Its Ethernet address.
    pub mac: [u8; 6],
}

impl Node {
    /// `ip -n <its namespace> <words>`.
    pub fn ip(&self, words: &str) -> String {
        let mut command = vec!["ip", "-n", self.namespace.name()];
        command.extend(words.split_whitespace());
        run(&command)
    }

    /// As `ip`, and a refusal is fine.
    pub fn try_ip(&self, words: &str) {
        let _ =
            Command::new("ip").args(["-n", self.namespace.name()]).args(words.split_whitespace()).output();
    }

    /// Is this address on `eth0`?
    pub fn has(&self, address: &str) -> bool {
        let wanted: IpAddr = address.split('/').next().unwrap_or("").parse().unwrap();
        self.addresses().iter().any(|a| a.address == wanted && a.interface == "eth0")
    }

    /// The interface with this address on which traffic to it can arrive: up, and with a carrier.
    pub fn carries(&self, address: &str) -> Option<String> {
        let wanted: IpAddr = address.parse().unwrap();
        self.addresses().into_iter().find(|a| a.address == wanted && a.live).map(|a| a.interface)
    }

    /// All its addresses, without starting a process: tests ask often.
    pub fn addresses(&self) -> Vec<Held> {
        use nix::net::if_::InterfaceFlags as Flags;
        let held = |entry: nix::ifaddrs::InterfaceAddress| {
            let at = entry.address?;
            let four = at.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
            let address = four.or_else(|| at.as_sockaddr_in6().map(|a| a.ip().into()))?;
            let live = entry.flags.contains(Flags::IFF_UP | Flags::IFF_RUNNING);
            Some(Held { interface: entry.interface_name, address, live })
        };
        self.namespace.inside(|| nix::ifaddrs::getifaddrs().unwrap().filter_map(held).collect())
    }

    /// Its link-local address, made from its MAC.
    pub fn link_local(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, u16::from(self.mac[5]))
    }

    /// How many addresses on `eth0` begin so; a `/` ends an address.
    pub fn count(&self, prefix: &str) -> usize {
        let begins = |a: &Held| a.interface == "eth0" && format!("{}/", a.address).starts_with(prefix);
        self.addresses().iter().filter(|a| begins(a)).count()
    }
}

/// An address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Where it is.
    pub interface: String,
    /// Without its prefix length.
    pub address: IpAddr,
    /// Is the interface up, and has it a carrier?
    pub live: bool,
}

/// Two routers, a client, and the wire between them.
pub struct Lan {
    /// First router, 10.9.0.1.
    pub a: Node,
    /// Second router, 10.9.0.2.
    pub b: Node,
    /// Client, 10.9.0.3.
    pub c: Node,
    /// What routers a and b send.
    pub capture: Capture,
    folder: PathBuf,
    wire: Namespace,
}

impl Lan {
    /// Builds one. Panics where the kernel refuses; see [`super::lan`].
    pub fn new() -> Self {
        Self::build(false)
    }

    /// As `new`, with IPv6 too: fd09::1, ::2 and ::3, and link-local addresses made from the MACs, all usable
    /// at once (no duplicate detection).
    pub fn dual() -> Self {
        Self::build(true)
    }

    fn build(ipv6: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        sweep();
        let base = format!("vipdtest-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&base);
        std::fs::create_dir_all(&folder).unwrap();
        let wire = Namespace::new(format!("{base}-lan"));
        let lan = wire.name().to_string();
        run(&[
            "ip",
            "-n",
            &lan,
            "link",
            "add",
            "br0",
            "type",
            "bridge",
            "mcast_snooping",
            "0",
            "forward_delay",
            "0",
        ]);
        run(&["ip", "-n", &lan, "link", "set", "br0", "up"]);
        let [a, b, c] = ['a', 'b', 'c'].map(|letter| node(&base, &wire, letter, ipv6));
        let capture = Capture::start(&wire, &["pa", "pb"]);
        Lan { a, b, c, capture, folder, wire }
    }

    /// Own folder for configurations, sockets and logs; gone with the LAN.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends frames from the client.
    pub fn injector(&self) -> Injector {
        Injector::new(&self.c.namespace)
    }

    /// Pulls a router's cable out of the bridge (both ends keep their carrier), or puts it back.
    pub fn partition(&self, node: &Node, apart: bool) {
        let port = format!("p{}", node.letter);
        let end: &[&str] = if apart { &["nomaster"] } else { &["master", "br0"] };
        let mut command = vec!["ip", "-n", self.wire.name(), "link", "set", &port];
        command.extend(end);
        run(&command);
    }

    /// Makes a hub of the switch: every frame goes everywhere.
    pub fn hub(&self) {
        run(&["ip", "-n", self.wire.name(), "link", "set", "br0", "type", "bridge", "ageing_time", "0"]);
    }

    /// Takes a router's carrier away, or gives it back.
    pub fn carrier(&self, node: &Node, up: bool) {
        let state = if up { "up" } else { "down" };
        run(&["ip", "-n", self.wire.name(), "link", "set", &format!("p{}", node.letter), state]);
    }

    /// The router that carries an address; panics when both do.
    #[track_caller]
    pub fn holder(&self, address: &str) -> Option<&Node> {
        match (self.a.has(address), self.b.has(address)) {
            (true, true) => panic!("{address} is on both routers"),
            (true, false) => Some(&self.a),
            (false, true) => Some(&self.b),
            (false, false) => None,
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Lan {
    /// What a failed test would like to know: logs, addresses, the last frames.
    pub fn tell(&self) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == "log") {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("--- {}", entry.path().display());
                eprintln!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
            }
        }
        for node in [&self.a, &self.b] {
            eprintln!("--- addresses of {}\n{}", node.letter, node.ip("-o addr show"));
        }
        let frames = self.capture.all();
        eprintln!("--- last of {} frames", frames.len());
        for frame in &frames[frames.len().saturating_sub(30)..] {
            eprintln!("{frame}");
        }
    }
}

fn node(base: &str, wire: &Namespace, letter: char, ipv6: bool) -> Node {
    let number = letter as u8 - b'a' + 1;
    let namespace = Namespace::new(format!("{base}-{letter}"));
    if ipv6 {
        let settings = "disable_ipv6=0 accept_dad=0 accept_ra=0 router_solicitations=0";
        namespace.inside(|| {
            for (scope, setting) in
                ["all", "default"].iter().flat_map(|s| settings.split(' ').map(move |x| (s, x)))
            {
                let (key, value) = setting.split_once('=').unwrap();
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{key}"), value);
            }
        });
    }
    let (port, mac) = (format!("p{letter}"), [2, 0, 0, 0, 0, number]);
    let mac_text = format!("02:00:00:00:00:{number:02x}");
    let peer = ["peer", "name", "eth0", "address", &mac_text, "netns", namespace.name()];
    run(&[&["ip", "-n", wire.name(), "link", "add", &port, "type", "veth"], &peer[..]].concat());
    run(&["ip", "-n", wire.name(), "link", "set", &port, "master", "br0", "up"]);
    let address = Ipv4Addr::new(10, 9, 0, number);
    let node = Node { namespace, letter, address, mac };
    node.ip(&format!("addr add {address}/24 dev eth0"));
    if ipv6 {
        node.ip(&format!("addr add fd09::{number}/64 dev eth0 nodad"));
    }
    node.ip("link set eth0 up");
    node
}

/// Is the test process no more whose namespace or folder is called `PID-...`?
fn is_over(name: &str) -> bool {
    !Path::new("/proc").join(name.split('-').next().unwrap_or("")).exists()
}

/// Removes what test processes that are no more have left.
fn sweep() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix("vipdtest-") else { continue };
            if is_over(rest) {
                let _ = Command::new("ip").args(["netns", "del", &name]).output();
            }
        }
        for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.strip_prefix("vipdtest-").is_some_and(is_over) {
                super::frr::end_left_over(&entry.path());
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    });
}

/// Runs a command that must succeed; gives its standard output.
#[track_caller]
pub fn run(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.unwrap_or_else(|e| panic!("{}: {e}", command.join(" ")));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", command.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `condition` holds; gives how long it took. Panics with `what` after `timeout`.
#[track_caller]
pub fn eventually(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    loop {
        if condition() {
            return start.elapsed();
        }
        assert!(start.elapsed() < timeout, "not within {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
