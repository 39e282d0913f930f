//! A network of a test's own.

use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Runs a test on a thread with a network of its own: `lo`, and `v0` - `v1` between here and another one.
pub(crate) fn in_network(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name("network".into()).spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            assert!(std::env::var_os("VIPD_TESTS_MUST_RUN").is_none(), "only root has namespaces: {error}");
            eprintln!("SKIPPED: only root has namespaces: {error}");
            return;
        }
        ip("link set lo up");
        // The other end has no address: whoever asks for one gets no answer.
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        ip("link set v1 up");
        ip("addr add 10.77.0.1/24 dev v0");
        test();
    });
    thread.unwrap().join().unwrap();
}

pub(crate) fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn set(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
}
