//! A network namespace for a thread, and words for what happens in it.

use std::io::Write;
use std::process::Command;

/// Runs `test` on a thread in a fresh namespace; without the right to make one, says so and does nothing (a
/// failure where VIPD_TESTS_MUST_RUN is set).
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let name = std::thread::current().name().unwrap_or("test").to_string();
    let thread = std::thread::spawn(move || {
        // SAFETY: only this thread is moved.
        let rc = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        if rc == 0 && Command::new("ip").arg("-V").output().is_ok() {
            ip("link set lo up");
            test();
            return;
        }
        assert!(std::env::var_os("VIPD_TESTS_MUST_RUN").is_none(), "{name} cannot run: needs root and `ip`");
        let _ = writeln!(std::io::stderr(), "SKIPPED {name}: needs root and `ip` (Debian: iproute2)");
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip`, which must succeed; its namespace is that of the calling thread.
#[track_caller]
pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Index of a link.
pub(crate) fn index_of(name: &str) -> u32 {
    ip(&format!("-o link show dev {name}")).split(':').next().unwrap().trim().parse().unwrap()
}
