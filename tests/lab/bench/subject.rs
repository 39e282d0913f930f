//! The two daemons with one face, for what they share: services with their servers and checks.

pub use super::who::Subject;
use crate::daemon::Daemon;
use crate::net::{Host, output};
use crate::stage::Outcome;
use std::time::Duration;

/// How servers are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    None,
    /// Every two seconds, as the rest.
    Tcp,
    Http,
}

/// A configuration in no one's words.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// An instance with adverts every 100 ms.
    pub vrrp: bool,
    pub services: usize,
    /// Of each service.
    pub servers: usize,
    pub check: Check,
    /// Weight of the first server of the middle service; the others have 1.
    pub odd_weight: u32,
}

/// Server `j` of service `i`, in a net whose every address is the responder's.
fn server(i: usize, j: usize) -> String {
    format!("10.8.{}.{}", i % 250, 10 + j + 20 * (i / 250))
}

/// Services differ in their address first, then in their port.
fn front(i: usize) -> (String, usize) {
    (format!("10.9.9.{}", i % 250 + 1), 80 + i / 250)
}

impl Load {
    fn weight(&self, i: usize, j: usize) -> u32 {
        if i == self.services / 2 && j == 0 { self.odd_weight } else { 1 }
    }

    fn vipd(&self) -> String {
        let mut text = String::new();
        if self.vrrp {
            text += "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = \
            200\n\
                     advert_interval = \"100ms\"\naddresses = [\"10.9.0.100/24\"]\n";
        }
        let check = match self.check {
            Check::None => "",
            Check::Tcp => "check = { type = \"tcp\", interval = \"2s\", timeout = \"2s\" }\n",
            Check::Http => {
                "check = { type = \"http\", path = \"/\", status = [200], interval = \"2s\", timeout = \
                 \"2s\" }\n"
            }
        };
        for i in 0..self.services {
            let (address, port) = front(i);
            text += &format!(
                "[[service]]\nname = \"s{i}\"\naddress = \"{address}:{port}\"\nscheduler = \"wrr\"\n\
                 forward = \"nat\"\n{check}"
            );
            for j in 0..self.servers {
                let weight = self.weight(i, j);
                text +=
                    &format!("[[service.server]]\naddress = \"{}:80\"\nweight = {weight}\n", server(i, j));
            }
        }
        text
    }

    fn keepalived(&self) -> String {
        let mut text = "global_defs {\n router_id bench\n vrrp_version 3\n}\n".to_string();
        if self.vrrp {
            text += "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
            priority 200\n \
                     advert_int 0.1\n virtual_ipaddress {\n 10.9.0.100/24\n }\n}\n";
        }
        let check = match self.check {
            Check::None => "",
            Check::Tcp => "TCP_CHECK {\n connect_timeout 2\n }\n",
            Check::Http => "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 2\n }\n",
        };
        for i in 0..self.services {
            let (address, port) = front(i);
            text += &format!(
                "virtual_server {address} {port} {{\n delay_loop 2\n lb_algo wrr\n lb_kind NAT\n protocol \
                 TCP\n"
            );
            for j in 0..self.servers {
                let weight = self.weight(i, j);
                text += &format!(" real_server {} 80 {{\n weight {weight}\n {check} }}\n", server(i, j));
            }
            text += "}\n";
        }
        text
    }
}

/// A daemon at work on a host.
pub struct Running {
    pub subject: Subject,
    pub daemon: Daemon,
    config: String,
    socket: String,
}

impl Running {
    /// Starts it.
    pub fn start(subject: Subject, host: &Host, load: &Load) -> Outcome<Running> {
        let config = format!("/tmp/{}-{subject}.conf", host.name);
        let socket = format!("/run/{}.sock", host.name);
        write(subject, &config, load)?;
        let daemon = match subject {
            Subject::Vipd => Daemon::vipd(host, &config, &socket)?,
            Subject::Keepalived => Daemon::keepalived(host, &config)?,
        };
        Ok(Running { subject, daemon, config, socket })
    }

    /// Changes the file and has it read; for vipd until it answers that it did.
    pub fn reload(&self, load: &Load) -> Outcome {
        write(self.subject, &self.config, load)?;
        match self.subject {
            Subject::Vipd => output(crate::daemon::VIPD, &["reload", "--socket", &self.socket]).map(drop),
            Subject::Keepalived => self.daemon.signal(nix::sys::signal::Signal::SIGHUP),
        }
    }

    /// Processor time of all its processes and of their children that have ended.
    pub fn cpu(&self) -> Duration {
        let (user, system) = self.times();
        user + system
    }

    /// As [`Running::cpu`]: its own, and the kernel's for it.
    pub fn times(&self) -> (Duration, Duration) {
        let (mut user, mut system) = (0, 0);
        for pid in self.daemon.pids() {
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name in brackets: utime, stime, cutime, cstime are the 12th to the 15th.
            let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
            let ticks: Vec<u64> =
                rest.split_whitespace().skip(11).take(4).filter_map(|word| word.parse().ok()).collect();
            if let [utime, stime, cutime, cstime] = ticks[..] {
                user += utime + cutime;
                system += stime + cstime;
            }
        }
        (Duration::from_millis(user * 10), Duration::from_millis(system * 10))
    }

    /// Heap, stack and other pages of their own, of all its processes, in bytes.
    pub fn anonymous(&self) -> u64 {
        self.daemon.memory("Pss_Anon") * 1024
    }
}

fn write(subject: Subject, path: &str, load: &Load) -> Outcome {
    let text = match subject {
        Subject::Vipd => load.vipd(),
        Subject::Keepalived => load.keepalived(),
    };
    std::fs::write(path, text).map_err(|error| format!("{path}: {error}"))
}
