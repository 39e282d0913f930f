//! Which services in the kernel's table are ours, for the next run: what a killed one leaves there is ours to
//! remove (design §4).

use crate::limits;
use crate::sys::file;
use crate::sys::record::Record;
use crate::wire::ipvs::{Protocol, ServiceKey};
use std::fmt::Write;
use std::path::Path;

/// The longest line: `sctp [ffff:…:ffff]:65535`.
const LINE_MAX: usize = 64;

/// The record of our services, in `SOCKET.services`.
#[derive(Debug)]
pub struct OwnServices {
    record: Record,
    is_due: bool,
}

impl OwnServices {
    /// Nothing is read or written yet; `socket`: that of the control socket.
    pub fn beside(socket: &Path) -> Self {
        OwnServices { record: Record::new(file::with_suffix(socket, ".services")), is_due: false }
    }

    /// What an earlier run of this boot left. A file that cannot be read in whole is not believed at all:
    /// what it names would be deleted.
    pub fn read(&self) -> Vec<ServiceKey> {
        let parse = |text: &str| {
            let keys: Option<Vec<ServiceKey>> = text.lines().map(parse).collect();
            keys.filter(|keys| keys.len() <= limits::IPVS_REMEMBERED_MAX)
        };
        let most = limits::IPVS_REMEMBERED_MAX * LINE_MAX;
        self.record.recall(most, parse, "services that an earlier run left stay")
    }

    /// They have changed: `store` writes them at the end of the turn, before anything of them goes to the
    /// kernel in the next one.
    pub fn note_change(&mut self) {
        self.is_due = true;
    }

    /// Writes them, if they have changed, the first [`limits::IPVS_REMEMBERED_MAX`] of them.
    pub fn store(&mut self, keys: impl Iterator<Item = ServiceKey>) {
        if !core::mem::take(&mut self.is_due) {
            return;
        }
        let (mut lines, mut count) = (String::new(), 0);
        for key in keys {
            if count == limits::IPVS_REMEMBERED_MAX {
                let why = format_args!("too many services: those above the limit are not written down");
                self.record.warn(why);
                break;
            }
            write_line(&mut lines, &key);
            count += 1;
        }
        self.record.keep(&lines, "after a crash, services that are not wanted any more stay");
    }
}

/// `tcp 10.0.0.1:80`, `mark 7 ipv4`.
fn write_line(lines: &mut String, key: &ServiceKey) {
    // Writing into a string does not fail.
    let _ = match key {
        ServiceKey::Address { protocol, address } => writeln!(lines, "{protocol} {address}"),
        ServiceKey::Mark { mark, ipv6 } => {
            writeln!(lines, "mark {mark} {}", if *ipv6 { "ipv6" } else { "ipv4" })
        }
    };
}

fn parse(line: &str) -> Option<ServiceKey> {
    let mut words = line.split(' ');
    let (kind, what, family) = (words.next()?, words.next()?, words.next());
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|p| p.to_string() == kind);
    let key = match (kind, protocol, family) {
        ("mark", None, Some("ipv4" | "ipv6")) => {
            let mark = what.parse().ok().filter(|mark| *mark != 0)?;
            ServiceKey::Mark { mark, ipv6: family == Some("ipv6") }
        }
        (_, Some(protocol), None) => ServiceKey::Address { protocol, address: what.parse().ok()? },
        _ => return None,
    };
    words.next().is_none().then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::record::head;
    use std::fs;
    use std::path::PathBuf;

    /// A socket's name of its own; what lies beside it goes at the end.
    struct Socket(PathBuf);

    impl Socket {
        fn new(name: &str) -> Self {
            Socket(std::env::temp_dir().join(format!("vipd-services-{name}-{}", std::process::id())))
        }

        fn file(&self) -> PathBuf {
            file::with_suffix(&self.0, ".services")
        }

        fn read(&self) -> Vec<ServiceKey> {
            OwnServices::beside(&self.0).read()
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            let _ = fs::remove_file(self.file());
        }
    }

    fn keys() -> Vec<ServiceKey> {
        let address =
            |protocol, address: &str| ServiceKey::Address { protocol, address: address.parse().unwrap() };
        vec![
            address(Protocol::Tcp, "10.0.0.100:80"),
            address(Protocol::Udp, "[2001:db8::1]:53"),
            address(Protocol::Sctp, "10.0.0.100:0"),
            ServiceKey::Mark { mark: 7, ipv6: false },
            ServiceKey::Mark { mark: u32::MAX, ipv6: true },
        ]
    }

    #[test]
    fn ipvs57_what_a_killed_run_leaves_is_known_to_the_next_one() {
        let socket = Socket::new("killed");
        let mut own = OwnServices::beside(&socket.0);
        own.store(keys().into_iter());
        assert!(!socket.file().exists(), "nothing has changed");
        own.note_change();
        own.store(keys().into_iter());
        assert_eq!(socket.read(), keys());
        let text = fs::read_to_string(socket.file()).unwrap();
        assert!(text.lines().all(|line| line.len() < LINE_MAX), "{text}");
        fs::write(socket.file(), text.replacen("boot ", "boot x", 1)).unwrap();
        assert!(socket.read().is_empty(), "another boot has another table");
        own.note_change();
        own.store([].into_iter());
        assert!(!socket.file().exists(), "a clean end leaves nothing");
    }

    #[test]
    fn damaged_file_is_not_believed_at_all() {
        let socket = Socket::new("damaged");
        let good = "tcp 10.0.0.100:80\n";
        for bad in [
            "tcp",
            "tcp 10.0.0.100",
            "tcp 10.0.0.100:80 ipv4",
            "icmp 10.0.0.1:0",
            "mark 0 ipv4",
            "mark 7",
            "mark 7 ipv5",
            "mark 7 ipv4 more",
            "mark x ipv4",
            "",
            "\\0\\0\\0",
            "TCP 10.0.0.1:80",
        ] {
            fs::write(socket.file(), format!("{}{good}{bad}\n", head())).unwrap();
            assert!(socket.read().is_empty(), "{bad:?}: whoever guesses deletes what is somebody else's");
        }
        fs::write(socket.file(), format!("{}{good}", head())).unwrap();
        assert_eq!(socket.read(), keys()[..1]);
        fs::write(socket.file(), [head().as_bytes(), good.as_bytes(), b"\xff\n"].concat()).unwrap();
        assert!(socket.read().is_empty());
    }

    #[test]
    fn limit_of_remembered_services_holds() {
        let socket = Socket::new("limit");
        let mut own = OwnServices::beside(&socket.0);
        let many = |count: u32| (1..=count).map(|mark| ServiceKey::Mark { mark, ipv6: false });
        own.note_change();
        own.store(many(limits::IPVS_REMEMBERED_MAX as u32 + 5));
        assert!(own.record.is_warned);
        assert_eq!(socket.read().len(), limits::IPVS_REMEMBERED_MAX);
        let mut text = fs::read_to_string(socket.file()).unwrap();
        text.push_str("tcp 10.0.0.100:80\n");
        fs::write(socket.file(), &text).unwrap();
        assert!(socket.read().is_empty(), "nobody of us wrote that");
    }
}
