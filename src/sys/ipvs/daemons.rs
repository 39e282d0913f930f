//! The sync daemons of IPVS that are ours, for the next run: the kernel's threads outlive a killed one
//! (IPVS-74).

use crate::model::{Daemon, DaemonRole};
use crate::sys::file;
use crate::sys::record::Record;
use std::path::Path;

/// Bytes of the record: more than its two lines ever have.
const RECORD_MAX: usize = 256;

/// The record, in `SOCKET.sync`.
#[derive(Debug)]
pub struct OwnDaemons {
    record: Record,
}

impl OwnDaemons {
    /// Nothing is read or written yet; `socket`: that of the control socket.
    pub fn beside(socket: &Path) -> Self {
        OwnDaemons { record: Record::new(file::with_suffix(socket, ".sync")) }
    }

    /// What an earlier run of this boot left. A file that cannot be read in whole is not believed at all:
    /// what it names would be stopped.
    pub fn read(&self) -> Vec<(DaemonRole, Daemon)> {
        let parse = |text: &str| text.lines().map(parse).collect();
        self.record.recall(RECORD_MAX, parse, "a sync daemon that an earlier run left stays")
    }

    /// Writes them, at once.
    pub fn store(&mut self, daemons: &[(DaemonRole, Daemon)]) {
        let lines: String = daemons.iter().map(|(role, daemon)| line(*role, daemon)).collect();
        self.record.keep(&lines, "after a crash, a sync daemon that is not wanted any more stays");
    }
}

/// `master eth1 51 1472 224.0.0.81 8848 1`; `-` for the kernel's own group.
fn line(role: DaemonRole, daemon: &Daemon) -> String {
    let Daemon { interface, id, max_len, group, port, ttl } = daemon;
    let group = group.map_or("-".to_owned(), |group| group.to_string());
    format!("{} {interface} {id} {max_len} {group} {port} {ttl}\n", word(role))
}

fn word(role: DaemonRole) -> &'static str {
    match role {
        DaemonRole::Master => "master",
        DaemonRole::Backup => "backup",
    }
}

fn parse(line: &str) -> Option<(DaemonRole, Daemon)> {
    let mut words = line.split(' ');
    let role = words.next()?;
    let role = [DaemonRole::Master, DaemonRole::Backup].into_iter().find(|known| word(*known) == role)?;
    let interface = words.next()?.try_into().ok()?;
    let id = words.next()?.parse().ok()?;
    let max_len = words.next()?.parse().ok()?;
    let group = match words.next()? {
        "-" => None,
        group => Some(group.parse().ok()?),
    };
    let (port, ttl) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let daemon = Daemon { interface, id, max_len, group, port, ttl };
    words.next().is_none().then_some((role, daemon))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_again_and_damage_is_nothing() {
        let socket = std::env::temp_dir().join(format!("vipd-sync-{}", std::process::id()));
        let file = file::with_suffix(&socket, ".sync");
        let mut own = OwnDaemons::beside(&socket);
        assert_eq!(own.read(), [], "no file");
        let interface = "eth1".try_into().unwrap();
        let bare = Daemon { interface, id: 51, max_len: 0, group: None, port: 0, ttl: 0 };
        let group = Some("ff05::51".parse().unwrap());
        let full = Daemon { id: 255, max_len: 1400, group, port: 8849, ttl: 3, ..bare.clone() };
        let both = [(DaemonRole::Master, bare), (DaemonRole::Backup, full)];
        own.store(&both);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.ends_with("\nmaster eth1 51 0 - 0 0\nbackup eth1 255 1400 ff05::51 8849 3\n"), "{text}");
        assert_eq!(OwnDaemons::beside(&socket).read(), both);
        for damage in ["master eth1 51 0 - 0", "master eth1 51 0 - 0 0 0", "slave eth1 51 0 - 0 0", "", "x"] {
            std::fs::write(&file, text.replace("master eth1 51 0 - 0 0", damage)).unwrap();
            assert_eq!(own.read(), [], "{damage:?}");
        }
        own.store(&[]);
        assert!(!file.exists(), "nothing of ours runs: no file");
    }
}
