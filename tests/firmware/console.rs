//! A serial line: one end for a device, the other one for the test.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) struct Console {
    line: File,
    device: PathBuf,
    /// Kept open: a line whose far end nobody has open gives an error.
    _far: File,
    /// All that came.
    pub(crate) text: String,
}

impl Console {
    pub(crate) fn new() -> Self {
        // SAFETY: plain calls; the name is copied before anything else could change it.
        let (line, device) = unsafe {
            let fd = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
            assert!(fd >= 0, "posix_openpt: {}", std::io::Error::last_os_error());
            assert_eq!((libc::grantpt(fd), libc::unlockpt(fd)), (0, 0));
            let name = CStr::from_ptr(libc::ptsname(fd)).to_str().unwrap().to_owned();
            libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
            (File::from_raw_fd(fd), PathBuf::from(name))
        };
        let far = File::options().read(true).open(&device).unwrap();
        Console { line, device, _far: far, text: String::new() }
    }

    /// The far end.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// Types.
    pub(crate) fn send(&mut self, keys: &str) {
        self.line.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `words` have come after what was waited for before.
    #[track_caller]
    pub(crate) fn wait(&mut self, words: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        let from = self.text.len();
        loop {
            let mut poll = libc::pollfd { fd: self.line.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one entry, and it is ours.
            unsafe { libc::poll(&raw mut poll, 1, 50) };
            let mut bytes = [0; 4096];
            if let Ok(n) = self.line.read(&mut bytes) {
                self.text.push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
            if self.text[from..].contains(words) {
                return;
            }
            assert!(Instant::now() < end, "not on the console: {words}\n{}", self.text);
        }
    }
}
