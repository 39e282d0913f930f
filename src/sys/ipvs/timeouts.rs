//! The timeouts of IPVS as they were before, for the next run: a killed one has not put them back (IPVS-45b).

use crate::engine::HeldTimeouts;
use crate::model::Timeouts;
use crate::sys::file;
use crate::sys::record::Record;
use std::path::Path;

/// Bytes of the record: more than its three lines ever have.
const RECORD_MAX: usize = 256;

/// The record, in `SOCKET.timeouts`.
#[derive(Debug)]
pub struct OldTimeouts {
    record: Record,
}

impl OldTimeouts {
    /// Nothing is read or written yet; `socket`: that of the control socket.
    pub fn beside(socket: &Path) -> Self {
        OldTimeouts { record: Record::new(file::with_suffix(socket, ".timeouts")) }
    }

    /// What an earlier run of this boot left. A file that cannot be read in whole is of no use.
    pub fn read(&self) -> HeldTimeouts {
        self.record.recall(RECORD_MAX, parse, "IPVS timeouts that an earlier run left stay")
    }

    /// Writes it, at once.
    pub fn store(&mut self, held: HeldTimeouts) {
        let HeldTimeouts { before, ours } = held;
        let pairs = [
            ("tcp", before.tcp, ours.tcp),
            ("tcp_fin", before.tcp_fin, ours.tcp_fin),
            ("udp", before.udp, ours.udp),
        ];
        let changed = pairs.iter().filter(|(_, before, _)| *before != 0);
        let lines: String = changed.map(|(name, before, ours)| format!("{name} {before} {ours}\n")).collect();
        self.record.keep(&lines, "after a crash, IPVS timeouts stay as they are then");
    }
}

/// Lines of a name, what was there, and what is ours, in seconds.
fn parse(text: &str) -> Option<HeldTimeouts> {
    let mut held = HeldTimeouts::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let field: fn(&mut Timeouts) -> &mut u32 = match words.next()? {
            "tcp" => |t| &mut t.tcp,
            "tcp_fin" => |t| &mut t.tcp_fin,
            "udp" => |t| &mut t.udp,
            _ => return None,
        };
        *field(&mut held.before) = words.next()?.parse().ok()?;
        *field(&mut held.ours) = words.next()?.parse().ok()?;
        if words.next().is_some() {
            return None;
        }
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_again_and_damage_is_nothing() {
        let socket = std::env::temp_dir().join(format!("vipd-timeouts-{}", std::process::id()));
        let file = file::with_suffix(&socket, ".timeouts");
        let mut old = OldTimeouts::beside(&socket);
        assert_eq!(old.read(), HeldTimeouts::default(), "no file");
        let before = Timeouts { tcp: 900, tcp_fin: 0, udp: 4_294_967 };
        let held = HeldTimeouts { before, ours: Timeouts { tcp: 60, tcp_fin: 0, udp: 30 } };
        old.store(held);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.ends_with("\ntcp 900 60\nudp 4294967 30\n"), "{text}");
        assert_eq!(OldTimeouts::beside(&socket).read(), held);
        for damage in ["tcp 900 60 1", "tcp 900", "tcp x 60", "sctp 1 2", "tcp 99999999999 1", ""] {
            std::fs::write(&file, text.replace("tcp 900 60", damage)).unwrap();
            assert_eq!(old.read(), HeldTimeouts::default(), "{damage:?}");
        }
        old.store(HeldTimeouts::default());
        assert!(!file.exists(), "nothing to put back is no file");
    }
}
