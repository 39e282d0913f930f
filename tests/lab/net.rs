//! Hosts: network namespaces, made with `ip netns`, and work done inside them.

use crate::stage::Outcome;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name under `/run/netns`.
    pub name: String,
}

impl Host {
    /// Makes it, with `lo` up.
    pub fn make(name: String) -> Outcome<Host> {
        ip(&["netns", "add", &name])?;
        let host = Host { name };
        host.ip_batch("link set lo up")?;
        Ok(host)
    }

    /// Calls `work` in a thread inside the namespace and waits for it. Processes and threads started there
    /// stay there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace, for good.
    pub fn enter(&self) {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)
            .unwrap_or_else(|error| panic!("setns {path}: {error}"));
    }

    /// `ip -batch` inside; one command a line.
    pub fn ip_batch(&self, commands: &str) -> Outcome {
        batch(&["-n", &self.name, "-batch", "-"], commands)
    }

    /// Output of a program run inside.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Outcome<String> {
        self.run(|| output(program, arguments))
    }

    /// Sets a kernel variable inside: `net/ipv4/...`.
    pub fn sysctl(&self, key: &str, value: &str) -> Outcome {
        self.run(|| {
            std::fs::write(format!("/proc/sys/{key}"), value).map_err(|error| format!("{key}: {error}"))
        })
    }

    /// Its IPv4 addresses of one interface, as `a.b.c.d/n`.
    pub fn addresses(&self, interface: &str) -> Outcome<Vec<String>> {
        let text = output("ip", &["-n", &self.name, "-4", "-o", "address", "show", "dev", interface])?;
        Ok(text.lines().filter_map(|line| line.split_whitespace().nth(3)).map(String::from).collect())
    }

    /// The MAC address of an interface.
    pub fn mac(&self, interface: &str) -> Outcome<String> {
        self.run(|| {
            // sysfs shows the namespace it was mounted in, so ask by ip.
            let text = output("ip", &["-o", "link", "show", "dev", interface])?;
            let mac = text.split_whitespace().skip_while(|word| *word != "link/ether").nth(1);
            mac.map(String::from).ok_or_else(|| format!("no MAC in {text}"))
        })
    }
}

/// `ip` with arguments, in the guest's own namespace.
pub fn ip(arguments: &[&str]) -> Outcome {
    output("ip", arguments).map(drop)
}

/// Output of a program; an error where it ends with one.
pub fn output(program: &str, arguments: &[&str]) -> Outcome<String> {
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
    }
}

/// `ip ARGUMENTS` with `commands` on its standard input.
fn batch(arguments: &[&str], commands: &str) -> Outcome {
    let run = || -> std::io::Result<std::process::Output> {
        let mut child = Command::new("ip")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(commands.as_bytes())?;
        }
        child.wait_with_output()
    };
    let done = run().map_err(|error| format!("ip: {error}"))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
    }
}

/// Names the two ends of a cable: a port of the bridge `br0` in `lan`, and `interface` in `host`.
pub fn cable(lan: &Host, port: &str, host: &Host, interface: &str) -> Outcome {
    ip(&[
        "link", "add", "name", port, "netns", &lan.name, "type", "veth", "peer", "name", interface, "netns",
        &host.name,
    ])?;
    lan.ip_batch(&format!("link set {port} master br0 up"))
}
