//! Reading a file without waiting for anybody.

use crate::config::KeyFile;
use crate::limits;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Reads a configuration file for the loop: at most one byte more than [`limits::CONFIG_BYTES_MAX`], which
/// `config::parse_bytes` refuses.
///
/// # Errors
/// `InvalidInput` where it is no regular file; else what the system says.
pub fn read_config(path: &Path) -> io::Result<Vec<u8>> {
    read_small(path, limits::CONFIG_BYTES_MAX + 1)
}

/// Reads at most `most` bytes of a regular file, and of nothing else, since a FIFO or a terminal would make
/// the loop wait (law 1).
///
/// # Errors
/// `InvalidInput` where it is no regular file; else what the system says.
pub(super) fn read_small(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`read_small`], of a file that only vipd writes: a symbolic link is not followed, for whoever made it
/// would choose what is read.
///
/// # Errors
/// As [`read_small`]; `InvalidInput` for a symbolic link, too.
pub(super) fn read_own(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_with(path, libc::O_NOFOLLOW)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts `bytes` into the place of a file of vipd's own in one step, readable by nobody else. Neither there
/// nor under the name that it has before is a symbolic link followed.
///
/// # Errors
/// What the system says; the file is then what it was.
pub(super) fn replace_own(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, ".new", bytes, None)
}

/// Puts a text for the user into a file, in one step that also an interruption of the power leaves whole: a
/// new file is readable by its owner alone, for it may hold passwords; of one that is there already the
/// access rights stay. What is no regular file (`/dev/stdout`) is written to as it is.
///
/// # Errors
/// What the system says; a regular file is then what it was.
pub fn replace_config(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        // The file that is meant, not a link to it.
        Ok(there) if there.is_file() => replace(&path.canonicalize()?, ".vipd-new", bytes, Some(there)),
        Ok(_) => OpenOptions::new().write(true).open(path)?.write_all(bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => replace(path, ".vipd-new", bytes, None),
        Err(e) => Err(e),
    }
}

/// `old`: whose access rights the new file has.
fn replace(path: &Path, suffix: &str, bytes: &[u8], old: Option<Metadata>) -> io::Result<()> {
    let new = with_suffix(path, suffix);
    match fs::remove_file(&new) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&new)?;
    let mut fill = || {
        if let Some(old) = &old {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        // The name must not be there before the bytes are.
        file.sync_all()?;
        fs::rename(&new, path)
    };
    let done = fill();
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

/// The path with more at the end of its file name: `with_extension` would give `a.1` and `a.2` the same.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a regular file for reading, without waiting.
///
/// # Errors
/// `InvalidInput` where it is no regular file; else what the system says.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    open_with(path, 0)
}

/// What it is, is known before it is opened: opening a device may do something (rewind a tape, start a
/// watchdog), and opening a FIFO may wait.
fn open_with(path: &Path, more: libc::c_int) -> io::Result<File> {
    // Not by OpenOptions: with musl they take O_PATH, there also O_SEARCH, for an access mode, and drop it.
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::from_bits_retain(more);
    let place = File::from(nix::fcntl::open(path, flags, Mode::empty())?);
    if !place.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    // The same file, whatever has come to stand under its name meanwhile.
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(again)
}

/// Reads a file with the key of `auth_hmac`; at most one byte more than [`limits::KEY_FILE_MAX`].
///
/// # Errors
/// Why it could not be read, for a person.
pub fn read_key(path: &str) -> Result<KeyFile, String> {
    const GROUP_WRITES_OR_OTHERS: u32 = 0o027;
    let read = || {
        let file = open_regular(Path::new(path))?;
        let is_public = file.metadata()?.mode() & GROUP_WRITES_OR_OTHERS != 0;
        let mut bytes = Vec::new();
        file.take(limits::KEY_FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(KeyFile { bytes, is_public })
    };
    read().map_err(|e: io::Error| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let path = std::env::temp_dir().join(format!("vipd-file-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, "x").unwrap();
        assert_eq!(read_config(&path).unwrap(), b"x");
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = read_config(&path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "law 1: a FIFO as --config would stop the adverts");
        let error = read_config(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "and a device would fill the memory");
    }

    /// A watchdog that is opened restarts the box when it is closed again.
    #[test]
    fn a_device_is_not_even_opened() {
        // A terminal whose opening would be seen: the other side is told of the hang-up after it.
        // SAFETY: plain system calls on descriptors of this test's own.
        let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK) };
        if master < 0 {
            eprintln!("SKIPPED: no pseudo-terminals here");
            return;
        }
        // SAFETY: as above.
        let name = unsafe {
            libc::grantpt(master);
            libc::unlockpt(master);
            std::ffi::CStr::from_ptr(libc::ptsname(master)).to_str().unwrap().to_owned()
        };
        let hung_up = || {
            let mut poll = libc::pollfd { fd: master, events: libc::POLLIN, revents: 0 };
            // SAFETY: one descriptor.
            unsafe { libc::poll(&raw mut poll, 1, 0) };
            poll.revents & libc::POLLHUP != 0
        };
        let before = hung_up();
        let error = open_regular(Path::new(&name)).unwrap_err();
        assert_eq!((error.kind(), hung_up()), (ErrorKind::InvalidInput, before));
        drop(File::open(&name).unwrap());
        assert!(hung_up() != before, "an opening would have been seen");
        // SAFETY: ours.
        unsafe { libc::close(master) };
    }

    #[test]
    fn links_are_followed_only_where_anybody_may_choose() {
        let path = std::env::temp_dir().join(format!("vipd-link-{}", std::process::id()));
        let target = path.with_extension("target");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&target, "x").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let (followed, own) = (read_small(&path, 9), read_own(&path, 9));
        let plain = read_own(&target, 9);
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&target).unwrap();
        assert_eq!(followed.unwrap(), b"x");
        assert_eq!(own.unwrap_err().kind(), ErrorKind::InvalidInput, "whoever made it would choose");
        assert_eq!(plain.unwrap(), b"x");
    }

    #[test]
    fn a_key_that_others_can_read_is_no_secret() {
        let path = std::env::temp_dir().join(format!("vipd-key-{}", std::process::id()));
        let name = path.to_str().unwrap();
        std::fs::write(&path, [b'k'; limits::KEY_FILE_MAX + 10]).unwrap();
        let mode = |mode| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read_key(name).unwrap()
        };
        let (own, group, all) = (mode(0o600), mode(0o640), mode(0o644));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((own.is_public, group.is_public, all.is_public), (false, false, true));
        assert_eq!(own.bytes.len(), limits::KEY_FILE_MAX + 1, "a large file does not fill the memory");
        assert!(read_key(name).unwrap_err().contains("No such file"));
        assert!(read_key("/dev/zero").unwrap_err().contains("regular file"));
    }
}
