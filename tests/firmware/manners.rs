//! Manners on a small machine: what is missing is said once, and the rest runs; nothing is written but to
//! `/run`; the wall clock may jump by years.

use crate::device::{Device, lan, project};
use crate::netns::{Daemon, Lan, Node, Vipd, eventually, skip, vipd_binary};
use crate::openwrt::config;
use crate::web;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const VIP: &str = "10.9.0.100";

/// Everything that remembers something: settings of an interface, a service, a FIFO, trackers of all kinds, a
/// worker.
const WITH_EVERYTHING: &str = "\
virtual_mac = true
track = [\"number\", \"self\"]
notify = { any = \"/usr/bin/told\" }
[global]
start_script = \"/usr/bin/told start\"
[notify]
fifo = \"/run/vipd/events\"
[[track]]
name = \"number\"
type = \"file\"
path = \"/run/number\"
weight = 1
[[track]]
name = \"self\"
type = \"process\"
process = \"vipd\"
weight = 2
[[service]]
name = \"web\"
address = \"10.9.0.100:80\"
check = { type = \"http\", path = \"/\", interval = \"500ms\", timeout = \"300ms\" }
[[service.server]]
address = \"10.9.0.3:8000\"
[ipvs.settings]
expire_nodest_conn = 1
";

fn device(lan: &Lan, node: &Node, toml: &str) -> Device {
    let device = Device::new(lan, node);
    device.put("/etc/vipd.toml", toml, 0o600);
    device.put("/usr/bin/told", "#!/bin/sh\necho \"$@\" >>/run/told\n", 0o755);
    device
}

const RUN: &[&str] = &["sh", "-c", "exec vipd run --log-level debug >/run/log 2>&1 </dev/null &"];

/// Law 7. The root is one that cannot be written, and every file on it is looked at afterwards.
#[test]
fn nothing_is_written_but_to_run() {
    let Some(lan) = lan() else { return };
    web::serve(&lan, 8000);
    let mut device = device(&lan, &lan.a, &config(100, WITH_EVERYTHING));
    device.idle(&lan.a, "ro");
    let (code, _, error) = device.run(&["touch", "/etc/x"]);
    assert!(code != 0 && error.contains("Read-only"), "{error}");
    device.must(RUN);
    eventually("the address is there", SOON, || lan.a.carries(VIP).as_deref() == Some("vrrp.51"));
    eventually("a worker is at work, confined", SOON, || {
        device.read("/run/log").contains("workers are confined")
    });
    eventually("the script was told", SOON, || device.read("/run/told").contains("INSTANCE VI_1 MASTER"));
    device.must(&["vipd", "reload"]);
    device.must(&["vipd", "resign", "VI_1"]);
    eventually("resigned", SOON, || lan.a.carries(VIP).is_none());
    device.must(&["vipd", "restore", "VI_1"]);
    eventually("Active again", SOON, || lan.a.carries(VIP).is_some());
    let log = device.read("/run/log");
    assert!(!log.contains("ead-only"), "nobody has tried: {log}");
    let opened = open_files_for_writing(&device);
    assert!(opened.iter().all(|path| path.starts_with("/run/") || path.starts_with("/dev/")), "{opened:?}");
    let daemon = device.vipd();
    device.must(&["kill", &daemon[0]]);
    eventually("it has left", SOON, || device.vipd().is_empty());
    assert_eq!(device.must(&["find", "/tmp", "/dev", "-type", "f", "-newer", "/etc/vipd.toml"]), "");
}

/// Files that processes called vipd have open for writing.
fn open_files_for_writing(device: &Device) -> Vec<String> {
    let script = "for fd in /proc/[0-9]*/fd/*; do p=${fd%/fd/*}; [ \"$(cat $p/comm)\" = vipd ] || continue; \
                  grep -q '^flags:.*[12]$' $p/fdinfo/${fd##*/} && readlink $fd; done 2>/dev/null; true";
    let list = device.must(&["sh", "-c", script]);
    list.lines().filter(|path| path.starts_with('/')).map(str::to_owned).collect()
}

/// `tests/firmware/odd.c`, or a line that says why not.
fn odd_library(lan: &Lan) -> Option<PathBuf> {
    let library = lan.folder().join("odd.so");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(project().join("tests/firmware/odd.c"));
    match command.output() {
        Ok(output) if output.status.success() => Some(library),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => skip("needs a C compiler (Debian: gcc)"),
    }
}

/// `vipd run` on router a, to be started in odd surroundings.
fn daemon_on_a(lan: &Lan, toml: &str) -> (Command, PathBuf) {
    let (file, socket) = (lan.folder().join("a.toml"), lan.folder().join("a.sock"));
    std::fs::write(&file, toml).unwrap();
    let mut command = Command::new(vipd_binary());
    command.arg("run").arg("--config").arg(&file).arg("--socket").arg(&socket).args(["--log-level", "debug"]);
    (command, socket)
}

fn status(socket: &Path) -> String {
    let output = Command::new(vipd_binary()).arg("status").arg("--socket").arg(socket).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A router without a battery believes that it is 1970 until somebody tells it the time. (The guest's own
/// clock is set for real, by hours, in the lab's scenario `missing`.)
#[test]
fn wall_clock_that_jumps_by_years_changes_nothing() {
    let Some(lan) = lan() else { return };
    let Some(library) = odd_library(&lan) else { return };
    let offset = lan.folder().join("offset");
    std::fs::write(&offset, "-1700000000").unwrap();
    let (mut command, _) = daemon_on_a(&lan, &config(200, ""));
    command.env("LD_PRELOAD", library).env("CLOCK_OFFSET", &offset);
    let a = Daemon::start(&lan.a, command, lan.folder().join("a.log"));
    let b = Vipd::start(&lan, &lan.b, &config(100, ""));
    eventually("a is Active", SOON, || lan.a.has(VIP) && !lan.b.has(VIP));
    for jump in ["0", "1000000000", "-1700000000", "86400"] {
        let before = Instant::now();
        std::fs::write(&offset, jump).unwrap();
        std::thread::sleep(Duration::from_millis(1000));
        let count = lan.capture.advert_times('a', 51, before).len();
        assert!((8..=11).contains(&count), "{jump}: {count} adverts in a second");
        assert!(lan.capture.advert_times('b', 51, before).is_empty(), "{jump}: b took over");
        assert!(lan.a.has(VIP) && !lan.b.has(VIP), "{jump}: the lease is renewed");
    }
    assert!(b.status().contains("\"state\":\"backup\""));
    assert!(!a.log().contains("WARN"), "{}", a.log());
}

/// Without macvlan: the instance that wants one says so, the others run.
#[test]
fn kernel_without_macvlan() {
    let Some(lan) = lan() else { return };
    let Some(library) = odd_library(&lan) else { return };
    let other = "virtual_mac = true\n[[vrrp]]\nname = \"VI_2\"\ninterface = \"eth0\"\nvrid = 52\n\
                 version = 3\nadvert_interval = \"100ms\"\naddresses = [\"10.9.0.102/24\"]\n";
    let (mut command, socket) = daemon_on_a(&lan, &config(100, other));
    command.env("LD_PRELOAD", library).env("NO_MACVLAN", "1");
    let _a = Daemon::start(&lan.a, command, lan.folder().join("a.log"));
    eventually("the other one runs", SOON, || lan.a.has("10.9.0.102"));
    eventually("it is said what is missing", SOON, || status(&socket).contains("macvlan"));
    let text = status(&socket);
    assert!(text.contains("VI_1") && text.contains("Fault"), "{text}");
    assert!(lan.a.carries(VIP).is_none());
}

/// Makes socket(2) fail with `errno` for a domain, and where given a protocol, in the process to come and its
/// children: a kernel that was built without it.
fn refuse_sockets(
    command: &mut Command,
    domain: libc::c_int,
    protocol: Option<libc::c_int>,
    errno: libc::c_int,
) {
    let code = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at| code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let unless = |value: u32, skip| code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
    let end = |value| code(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    // seccomp_data: the number of the call, then at 16 its arguments of eight bytes, low half first.
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut program =
        vec![load(0), unless(libc::SYS_socket as u32, 5), load(16 + low), unless(domain as u32, 3)];
    match protocol {
        Some(protocol) => program.extend([load(32 + low), unless(protocol as u32, 1)]),
        None => program.extend([load(0), unless(libc::SYS_socket as u32, 1)]),
    }
    program.push(end(libc::SECCOMP_RET_ERRNO | errno as u32));
    program.push(end(libc::SECCOMP_RET_ALLOW));
    // SAFETY: only system calls between fork and exec; the program lives in the closure.
    unsafe {
        command.pre_exec(move || {
            let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
            let mode = libc::SECCOMP_MODE_FILTER;
            match libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
}

/// CONFIG_IPV6 is off: IPv4 runs, and the IPv6 instance says what is missing.
#[test]
fn kernel_without_ipv6() {
    let Some(lan) = lan() else { return };
    web::serve(&lan, 8000);
    let more = "[[vrrp]]\nname = \"six\"\ninterface = \"eth0\"\nvrid = 51\nadvert_interval = \"100ms\"\n\
                addresses = [\"fe80::100/64\"]\n[[service]]\nname = \"web\"\naddress = \"10.9.0.100:80\"\n\
                check = { type = \"http\", path = \"/\", interval = \"500ms\", timeout = \"300ms\" }\n\
                [[service.server]]\naddress = \"10.9.0.3:8000\"\n\
                [[service.server]]\naddress = \"[fd09::3]:80\"\nforward = \"tunnel\"\n";
    let (mut command, socket) = daemon_on_a(&lan, &config(100, more));
    refuse_sockets(&mut command, libc::AF_INET6, None, libc::EAFNOSUPPORT);
    let start = Instant::now();
    let mut a = Daemon::start(&lan.a, command, lan.folder().join("a.log"));
    lan.capture.advert('a', 51, 100, start, SOON);
    eventually("the address is there", SOON, || lan.a.has(VIP));
    eventually("what cannot be probed is said, what can be is probed", SOON, || {
        let log = a.log();
        log.contains("[fd09::3]:80: probe could not be made: no socket")
            && log.contains("workers are confined")
    });
    let log = a.log();
    assert!(log.contains("six: Init -> Fault") && log.contains("Address family not supported"), "{log}");
    assert!(status(&socket).contains("six"), "the operator sees it");
    assert_eq!(a.terminate(SOON), Some(0));
}

/// CONFIG_PROC_EVENTS is off: processes are looked up instead, and that is said.
#[test]
fn kernel_that_does_not_tell_of_processes() {
    let Some(lan) = lan() else { return };
    let more = "track = [\"self\"]\n[[track]]\nname = \"self\"\ntype = \"process\"\nprocess = \"vipd\"\n";
    let (mut command, socket) = daemon_on_a(&lan, &config(100, more));
    refuse_sockets(&mut command, libc::AF_NETLINK, Some(libc::NETLINK_CONNECTOR), libc::EPROTONOSUPPORT);
    let a = Daemon::start(&lan.a, command, lan.folder().join("a.log"));
    eventually("the tracker has found it, the address is there", SOON, || lan.a.has(VIP));
    let said = "the kernel does not tell of processes";
    assert_eq!(a.log().matches(said).count(), 1, "{}", a.log());
    assert!(status(&socket).contains("self"));
}

/// The host's kernel has no IPVS: one line says what to install, VRRP and probes run.
#[test]
fn kernel_without_ipvs() {
    if Path::new("/proc/net/ip_vs").exists() {
        return;
    }
    let Some(lan) = lan() else { return };
    web::serve(&lan, 8000);
    let more = "[[service]]\nname = \"web\"\naddress = \"10.9.0.100:80\"\n\
                check = { type = \"http\", path = \"/\", interval = \"500ms\", timeout = \"300ms\" }\n\
                [[service.server]]\naddress = \"10.9.0.3:8000\"\n";
    let (command, socket) = daemon_on_a(&lan, &config(100, more));
    let a = Daemon::start(&lan.a, command, lan.folder().join("a.log"));
    eventually("the address is there", SOON, || lan.a.has(VIP));
    eventually("its server is probed", SOON, || a.log().contains("workers are confined"));
    eventually("what to install is said", SOON, || status(&socket).contains("kmod-nf-ipvs"));
    assert_eq!(a.log().matches("the kernel has no IPVS").count(), 1, "once: {}", a.log());
}

/// Without `/etc/passwd`, `/etc/group`, `/etc/hosts` and `/etc/resolv.conf`; a program whose user is unknown
/// is not run as somebody else.
#[test]
fn no_users_and_no_files_in_etc() {
    let Some(lan) = lan() else { return };
    web::serve(&lan, 8000);
    let more = WITH_EVERYTHING.replace(
        "[global]\n",
        "[[sync_group]]\nname = \"G\"\nmembers = [\"VI_1\", \"VI_2\"]\n\
         notify = { any = { run = \"/usr/bin/told\", user = \"somebody\" } }\n\
         [[vrrp]]\nname = \"VI_2\"\ninterface = \"eth0\"\nvrid = 52\nversion = 3\n\
         advert_interval = \"100ms\"\naddresses = [\"10.9.0.102/24\"]\n[global]\n",
    );
    let mut device = device(&lan, &lan.a, &config(100, &more));
    device.idle(&lan.a, "ro");
    device.must(RUN);
    eventually("the addresses are there", SOON, || {
        lan.a.carries(VIP).is_some() && lan.a.carries("10.9.0.102").is_some()
    });
    eventually("a worker is at work, as nobody", SOON, || {
        device.read("/run/log").contains("workers are confined")
    });
    let log = device.read("/run/log");
    assert!(log.contains("user `somebody` is not in /etc/passwd"), "said: {log}");
    eventually("the others are told", SOON, || device.read("/run/told").contains("INSTANCE VI_1 MASTER"));
    assert!(!device.read("/run/told").contains("GROUP"), "not as root in place of somebody");
}

/// A mount that covers a file of `/proc` or `/sys` with nothing, or all of them.
fn without(device: &Device, paths: &[&str]) {
    for path in paths {
        if device.run(&["test", "-e", path]).0 != 0 {
            continue;
        }
        let is_folder = device.run(&["test", "-d", path]).0 == 0;
        match is_folder {
            true => device.must(&["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", path]),
            false => device.must(&["mount", "--bind", "/run/nothing", path]),
        };
    }
}

/// Files of `/proc` that a stripped kernel or a container does not have.
#[test]
fn proc_without_some_files() {
    let Some(lan) = lan() else { return };
    web::serve(&lan, 8000);
    let mut device = device(&lan, &lan.a, &config(100, WITH_EVERYTHING));
    device.idle(&lan.a, "rw");
    device.write("/run/nothing", "");
    without(
        &device,
        &[
            "/proc/sys/kernel/random/boot_id",
            "/proc/sys/kernel/osrelease",
            "/proc/sys/kernel/modprobe",
            "/proc/sys/net/ipv4/conf",
            "/proc/sys/net/ipv6",
            "/sys/module",
        ],
    );
    device.must(RUN);
    eventually("the address is on the virtual MAC", SOON, || {
        lan.a.carries(VIP).as_deref() == Some("vrrp.51")
    });
    eventually("a worker is at work", SOON, || device.read("/run/log").contains("workers are confined"));
    let status = device.run(&["vipd", "status"]).1;
    assert!(status.contains("web"), "{status}");
    let daemon = device.vipd();
    device.must(&["kill", &daemon[0]]);
    eventually("it leaves in order", SOON, || device.vipd().is_empty() && lan.a.carries(VIP).is_none());
}
