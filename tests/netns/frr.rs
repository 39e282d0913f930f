//! Debian's FRR on a node: zebra and vrrpd, with files of their own.

use super::{Daemon, Lan, Node, eventually};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FOLDER: &str = "/usr/lib/frr";
const SOON: Duration = Duration::from_secs(10);

/// zebra, which does what vrrpd asks of the kernel, and vrrpd.
pub struct Frr {
    zebra: Daemon,
    vrrpd: Daemon,
    run: PathBuf,
}

impl Frr {
    /// Why it cannot be the other router; `None` when it can.
    pub fn obstacle() -> Option<&'static str> {
        let there = ["zebra", "vrrpd"].iter().all(|name| Path::new(FOLDER).join(name).exists());
        if there { None } else { Some("needs FRR's zebra and vrrpd (Debian: frr)") }
    }

    /// The macvlan that its user has to make before vrrpd does anything for a VRID and family: found by its
    /// MAC, in bridge mode, with the virtual addresses on it. Its link-local address is `own`, where given.
    pub fn device(node: &Node, vrid: u8, addresses: &[&str], own: Option<IpAddr>) -> String {
        let family = if own.is_some() { 6 } else { 4 };
        let name = format!("vrrp{family}-{vrid}");
        let group = if family == 6 { 2 } else { 1 };
        node.ip(&format!("link add {name} link eth0 type macvlan mode bridge"));
        node.ip(&format!("link set {name} addrgenmode none address 00:00:5e:00:{group:02x}:{vrid:02x}"));
        for address in addresses {
            let quiet = if family == 6 { "nodad" } else { "" };
            node.ip(&format!("addr add {address} dev {name} {quiet}"));
        }
        if let Some(own) = own {
            node.ip(&format!("addr add {own}/64 dev {name} nodad"));
        }
        node.ip(&format!("link set {name} up"));
        name
    }

    /// Starts both, vrrpd with this configuration.
    pub fn start(lan: &Lan, node: &Node, config: &str) -> Self {
        let run = lan.folder().join(format!("frr-{}", node.letter));
        let _ = std::fs::remove_dir_all(&run);
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join("zebra.conf"), "").unwrap();
        std::fs::write(run.join("vrrpd.conf"), config).unwrap();
        // They give root up for the user that the package made, and only that user is in its group.
        super::run(&["chown", "-R", "frr:frr", run.to_str().unwrap()]);
        let command = |name: &str| {
            let mut command = Command::new(Path::new(FOLDER).join(name));
            command.arg("--config_file").arg(run.join(format!("{name}.conf")));
            command.arg("--pid_file").arg(run.join(format!("{name}.pid")));
            command.arg("--vty_socket").arg(&run).arg("--socket").arg(run.join("zserv.api"));
            command.args(["--vty_port", "0", "--log", "stdout"]);
            command
        };
        let log = |name: &str| lan.folder().join(format!("{name}-{}.log", node.letter));
        let zebra = Daemon::start(node, command("zebra"), log("zebra"));
        eventually("zebra listens", SOON, || run.join("zserv.api").exists());
        let vrrpd = Daemon::start(node, command("vrrpd"), log("vrrpd"));
        Frr { zebra, vrrpd, run }
    }

    /// What it answers to `show vrrp json`; empty while it does not.
    pub fn show(&self) -> String {
        let mut command = Command::new("vtysh");
        command.args(["-d", "vrrpd", "-c", "show vrrp json", "--vty_socket"]).arg(&self.run);
        command.output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
    }

    /// vrrpd ends by SIGTERM, then zebra, which needs to be there for what vrrpd asks of it last.
    #[track_caller]
    pub fn terminate(&mut self, timeout: Duration) {
        self.vrrpd.terminate(timeout);
        self.zebra.terminate(timeout);
    }

    /// SIGKILL for both; gives the moment when vrrpd stopped.
    pub fn kill_all(&mut self) -> Instant {
        let at = self.vrrpd.kill_all();
        self.zebra.kill_all();
        at
    }

    /// What vrrpd has said.
    pub fn log(&self) -> String {
        self.vrrpd.log()
    }
}

/// Ends daemons that a killed test left in its folder: they changed their user, and with that the kernel
/// forgot that they were to die with it.
pub(super) fn end_left_over(folder: &Path) {
    for (letter, name) in ['a', 'b'].iter().flat_map(|l| ["vrrpd", "zebra"].map(|n| (l, n))) {
        let file = folder.join(format!("frr-{letter}")).join(format!("{name}.pid"));
        let pid = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(pid) = pid.trim().parse::<i32>() else { continue };
        let program = std::fs::read_link(format!("/proc/{pid}/exe"));
        if program.is_ok_and(|p| p == Path::new(FOLDER).join(name)) {
            // SAFETY: a process that a test started: its id is in the test's folder, and it runs what was
            // started.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}
