//! What a host on the LAN does and sees.

use super::{Capture, Frame, Lan, Node, packet::octets};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Port of the letters.
const PORT: u16 = 4040;

/// On every address of both routers a service that says the router's letter, for as long as the test runs.
pub fn serve_letters(lan: &Lan) {
    for node in [&lan.a, &lan.b] {
        // "::" takes IPv4 too; without IPv6 there is no "::".
        let listener = node.namespace.inside(|| {
            TcpListener::bind(("::", PORT)).or_else(|_| TcpListener::bind(("0.0.0.0", PORT))).unwrap()
        });
        let letter = node.letter as u8;
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let _ = { connection }.write_all(&[letter]);
            }
        });
    }
}

/// Which router answers the client at an address; `None` when none does within a second.
pub fn who_answers(lan: &Lan, address: &str) -> Option<char> {
    let to = SocketAddr::new(address.parse().unwrap(), PORT);
    let wait = Duration::from_secs(1);
    lan.c.namespace.inside(|| {
        let mut connection = TcpStream::connect_timeout(&to, wait).ok()?;
        connection.set_read_timeout(Some(wait)).ok()?;
        let mut letter = [0];
        connection.read_exact(&mut letter).ok()?;
        Some(char::from(letter[0]))
    })
}

/// The MAC that the client has for an address.
pub fn neighbour(lan: &Lan, address: &str) -> Option<String> {
    let text = lan.c.ip(&format!("neigh show to {address} dev eth0"));
    let mut words = text.split_whitespace().skip_while(|w| *w != "lladdr");
    words.nth(1).map(str::to_string)
}

/// Makes the client forget every neighbour.
pub fn forget_neighbours(lan: &Lan) {
    lan.c.ip("neigh flush all dev eth0");
}

/// Answers to "who has this address?": the router, and the MACs that it told and used.
pub fn answers(capture: &Capture, address: &str, since: Instant) -> Vec<(char, [u8; 6], [u8; 6])> {
    let address: IpAddr = address.parse().unwrap();
    capture.since(since, |f| {
        let told = arp_reply(f, address).or_else(|| solicited(f, address))?;
        Some((f.from, told, f.bytes[6..12].try_into().unwrap()))
    })
}

/// An ARP reply to somebody (RFC 826); a gratuitous one is none.
fn arp_reply(frame: &Frame, address: IpAddr) -> Option<[u8; 6]> {
    let arp = frame.bytes.get(14..42).filter(|_| frame.bytes[12..14] == [8, 6])?;
    let answers = arp[7] == 2 && arp[14..18] == octets(address) && arp[24..28] != octets(address);
    answers.then(|| arp[8..14].try_into().unwrap())
}

/// A solicited neighbour advertisement (RFC 4861 \u00a74.4) with the option that tells the MAC.
fn solicited(frame: &Frame, address: IpAddr) -> Option<[u8; 6]> {
    let message = frame.bytes.get(54..86).filter(|_| frame.bytes[12..14] == [0x86, 0xdd])?;
    let answers = message[0] == 136 && message[4] & 0x40 != 0 && message[8..24] == octets(address);
    answers.then(|| message[26..32].try_into().unwrap())
}

/// How many packets a node has forwarded (`Ip: ForwDatagrams`).
pub fn forwarded(node: &Node) -> u64 {
    let text = node.namespace.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let rows: Vec<Vec<&str>> =
        text.lines().filter(|l| l.starts_with("Ip:")).map(|l| l.split_whitespace().collect()).collect();
    let column = rows[0].iter().position(|name| *name == "ForwDatagrams").unwrap();
    rows[1][column].parse().unwrap()
}

/// A kernel setting of a node, by its path below /proc/sys.
pub fn setting(node: &Node, path: &str) -> String {
    let path = format!("/proc/sys/{path}");
    node.namespace.inside(|| std::fs::read_to_string(path).unwrap_or_default().trim().to_string())
}

/// Changes one.
pub fn set(node: &Node, path: &str, value: &str) {
    let path = format!("/proc/sys/{path}");
    node.namespace.inside(|| std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
}

/// All settings of one interface, or of `all`.
pub fn settings(node: &Node, interface: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    node.namespace.inside(|| {
        for family in ["ipv4", "ipv6"] {
            let folder = format!("/proc/sys/net/{family}/conf/{interface}");
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let value = std::fs::read_to_string(entry.path()).unwrap_or_default();
                found.push((entry.path().display().to_string(), value));
            }
        }
    });
    found.sort();
    found
}
