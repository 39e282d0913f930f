//! A router made of busybox, vipd and what a package installs: a root folder of its own, with processes and
//! mounts of its own, in the network namespace of a node.

use crate::netns::{Daemon, Lan, Node, eventually, skip, vipd_binary};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// A LAN on which devices can be made, or a line that says why not.
pub(crate) fn lan() -> Option<Lan> {
    let lan = crate::netns::lan()?;
    let has = |program: &str| Command::new(program).arg("--help").output().is_ok();
    match ["busybox", "nsenter", "unshare"].into_iter().find(|program| !has(program)) {
        None => Some(lan),
        Some("busybox") => skip("needs `busybox` (Debian: busybox-static)"),
        Some(_) => skip("needs `nsenter` and `unshare` (Debian: util-linux)"),
    }
}

/// The project's folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) struct Device {
    root: PathBuf,
    first: Option<Daemon>,
}

impl Device {
    /// A root folder with busybox for all commands, and nothing running in it yet.
    pub(crate) fn new(lan: &Lan, node: &Node) -> Self {
        let root = lan.folder().join(format!("root-{}", node.letter));
        for folder in ["bin", "sbin", "usr/bin", "usr/sbin", "etc/init.d", "lib", "proc", "sys", "dev"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for folder in ["run", "tmp", "var", "root"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink("../bin/busybox", root.join("sbin/init")).unwrap();
        symlink("../run", root.join("var/run")).unwrap();
        symlink("../tmp", root.join("var/log")).unwrap();
        let device = Device { root, first: None };
        device.busybox();
        device.libraries();
        device.put("/usr/sbin/vipd", "", 0o755);
        device.put("/etc/hostname", "router\n", 0o644);
        device
    }

    fn busybox(&self) {
        let found = ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        std::fs::copy(found.unwrap(), self.root.join("bin/busybox")).unwrap();
        let list = Command::new(found.unwrap()).arg("--list").output().unwrap();
        for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|a| *a != "busybox") {
            symlink("busybox", self.root.join("bin").join(applet)).unwrap();
        }
    }

    /// What this build of vipd is linked with; one for a device is linked with nothing.
    fn libraries(&self) {
        let output = Command::new("ldd").arg(vipd_binary()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
            let to = self.root.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(path, to).unwrap();
        }
    }

    /// Writes a file before the device runs.
    pub(crate) fn put(&self, path: &str, text: &str, mode: u32) {
        let path = self.root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// As `put`, a file of the project as it is.
    pub(crate) fn install(&self, from: &str, to: &str) {
        let from = project().join(from);
        let mode = std::fs::metadata(&from).unwrap().permissions().mode();
        self.put(to, &std::fs::read_to_string(from).unwrap(), mode);
    }

    /// As `install`, a folder with all that is below it.
    pub(crate) fn install_all(&self, from: &str) {
        let from = project().join(from);
        let output =
            Command::new("cp").arg("-r").arg(format!("{}/.", from.display())).arg(&self.root).output();
        assert!(output.unwrap().status.success(), "{}", from.display());
    }

    /// Starts the first process: `mode` is "ro" for a root that cannot be written, or "rw".
    pub(crate) fn boot(&mut self, node: &Node, mode: &str, first: &[&str], console: Option<&Path>) {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--uts", "--fork", "--kill-child", "--"]);
        command.arg(project().join("tests/firmware/enter")).arg(&self.root).arg(vipd_binary());
        command.arg(mode).args(first);
        if let Some(console) = console {
            command.env("CONSOLE", console);
        }
        let log = self.root.with_extension("log");
        self.first = Some(Daemon::start(node, command, log));
        eventually("the device has its mounts", SOON, || {
            self.pid().is_some_and(|pid| {
                let link = std::fs::read_link(format!("/proc/{pid}/root"));
                link.is_ok_and(|link| link == self.root)
            })
        });
    }

    /// As `boot`, with a first process that does nothing but take in orphans.
    pub(crate) fn idle(&mut self, node: &Node, mode: &str) {
        self.boot(node, mode, &["/bin/sh", "-c", "while sleep 0.1; do :; done"], None);
    }

    /// Its first process, as the host knows it.
    fn pid(&self) -> Option<u32> {
        self.first.as_ref()?.pids().get(1).copied()
    }

    /// A command on the device.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.pid().expect("it runs").to_string());
        command.args(["--mount", "--net", "--uts", "--pid", "--root", "--wd=/", "--"]);
        command.args(["/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]).args(words);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command on the device; gives its exit code, standard output and standard error.
    pub(crate) fn run(&self, words: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// Runs a command that must succeed; gives its standard output.
    #[track_caller]
    pub(crate) fn must(&self, words: &[&str]) -> String {
        let (code, out, error) = self.run(words);
        assert_eq!(code, 0, "{}: {out}{error}", words.join(" "));
        out
    }

    /// A file as the device has it now; empty where there is none.
    pub(crate) fn read(&self, path: &str) -> String {
        let pid = self.pid().expect("it runs");
        std::fs::read_to_string(format!("/proc/{pid}/root{path}")).unwrap_or_default()
    }

    /// Writes a file while the device runs.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let pid = self.pid().expect("it runs");
        std::fs::write(format!("/proc/{pid}/root{path}"), text).unwrap();
    }

    /// Process ids of vipd's first process, as the device knows them.
    pub(crate) fn vipd(&self) -> Vec<String> {
        let (_, out, _) = self.run(&["pidof", "vipd"]);
        let is_daemon = |pid: &&str| self.read(&format!("/proc/{pid}/cmdline")).contains("\0run\0");
        out.split_whitespace().filter(is_daemon).map(str::to_owned).collect()
    }

    /// Waits until its first process, and all others with it, have ended.
    #[track_caller]
    pub(crate) fn ended(&mut self) {
        self.first.as_mut().unwrap().ended(SOON);
    }
}
