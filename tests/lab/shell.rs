//! S1 up and running, and a shell on router 27.

use crate::stage::{Outcome, Stage};
use crate::topology::Lab;
use std::process::{Command, ExitCode};

const HELP: &str = "
You are on router 27 (192.168.234.27). vipd runs here and on router 37; the VIP is 10.0.0.100.
  vipd status                                what is going on, and why
  vipd status --socket /run/lab-rb.sock      the same of router 37
  vipd events                                what has happened
  ipvsadm -Ln                                the kernel's table
  ip netns exec lab-client wget -qO- http://10.0.0.100/     a request of the client
  ip netns exec lab-lan ip link set ra down  pulls this router's cable; 'up' puts it in; w47, w57, rb likewise
  exit                                       ends the guest
";

/// Builds it, then waits for the shell's end.
pub fn run() -> ExitCode {
    let stage = Stage::new("lab".into(), false);
    match shell(&stage) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            stage.say(format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn shell(stage: &Stage) -> Outcome {
    crate::missing::load_ipvs();
    let mut lab = Lab::build(stage, "s1")?;
    std::fs::create_dir_all("/run/vipd").map_err(|error| error.to_string())?;
    lab.a.socket = "/run/vipd/control.sock".into();
    let started = lab.start_both();
    lab.explain(started)?;
    println!("{HELP}");
    // The shell's own `ip` (busybox) knows no namespaces.
    let places = ["/usr/sbin/ip", "/usr/bin/ip", "/sbin/ip", "/bin/ip"];
    let ip = places.iter().find(|place| std::path::Path::new(place).exists()).unwrap_or(&"ip");
    let _ = std::fs::write("/root/.shrc", format!("alias ip={ip}\nPS1='router27# '\n"));
    Command::new("ip")
        .args(["netns", "exec", &lab.a.host.name, "sh", "-i"])
        .env("ENV", "/root/.shrc")
        .status()
        .map(drop)
        .map_err(|error| format!("sh: {error}"))
}
