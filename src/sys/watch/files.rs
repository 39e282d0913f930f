//! The numbers in files: told by inotify on their folders, and looked at from time to time all the same.

use crate::engine::Event;
use crate::model::{Reason, Track, TrackKind, cut};
use crate::sys::file::open_regular;
use crate::sys::poll::{Interest, PollSet};
use crate::time::{Duration, Instant};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// A file of which nothing tells us: there is no inotify, no folder yet, or it is a link to elsewhere.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Any other: what is written through a mapping, or over a network, is told by nobody.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A file that was just made, or is empty, is looked at again after this: who writes it has not finished.
const SETTLE: Duration = Duration::from_millis(100);
/// Bytes of a file that are read; a number behind white space that is longer is none.
const READ_MAX: usize = 64;
/// Reads of events in one turn, of up to 4096 bytes each; the rest waits for the next turn.
const READS_PER_TURN: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Files {
    list: Vec<File>,
    inotify: Option<Inotify>,
    slot: Option<usize>,
}

#[derive(Debug)]
struct File {
    track: usize,
    path: PathBuf,
    folder: Option<WatchDescriptor>,
    look_at: Instant,
    /// It was empty when it was last looked at.
    is_empty: bool,
    told: Option<Result<i32, Reason>>,
}

/// What a file holds.
enum Content {
    Empty,
    Value(Result<i32, Reason>),
}

impl Files {
    pub(super) fn configure(&mut self, now: Instant, tracks: &[Track]) {
        self.inotify = None;
        self.list.clear();
        for (track, kind) in tracks.iter().map(|track| &track.kind).enumerate() {
            if let TrackKind::File { path } = kind {
                let path = PathBuf::from(path);
                let file = File { track, path, folder: None, look_at: now, is_empty: false, told: None };
                self.list.push(file);
            }
        }
        if !self.list.is_empty() {
            self.inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
                .inspect_err(|error| {
                    log::warn!("no inotify ({}): files are looked at every second", error.desc());
                })
                .ok();
        }
    }

    pub(super) fn register(&mut self, set: &mut PollSet) {
        self.slot = self.inotify.as_ref().map(|inotify| set.add(inotify.as_fd(), Interest::Read));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.list.iter().map(|file| file.look_at).min()
    }

    pub(super) fn process(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        if self.slot.take().is_some_and(|slot| set.is_ready(slot)) {
            self.read_events(now);
        }
        for file in self.list.iter_mut().filter(|file| file.look_at <= now) {
            file.look(now, self.inotify.as_ref(), sink);
        }
    }

    fn read_events(&mut self, now: Instant) {
        let Some(inotify) = &self.inotify else { return };
        for _ in 0..READS_PER_TURN {
            let events = match inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                Err(error) => {
                    log::warn!("inotify: {}: files are looked at every second", error.desc());
                    self.inotify = None;
                    self.list.iter_mut().for_each(|file| (file.folder, file.look_at) = (None, now));
                    return;
                }
            };
            for event in events {
                let is_lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                for file in &mut self.list {
                    if is_lost || file.folder == Some(event.wd) {
                        file.handle(now, event.mask, event.name.as_ref());
                    }
                }
            }
        }
    }
}

impl File {
    /// Something has happened in its folder, or events were lost.
    fn handle(&mut self, now: Instant, what: AddWatchFlags, name: Option<&OsString>) {
        let folder_gone = AddWatchFlags::IN_IGNORED
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_UNMOUNT;
        if what.intersects(folder_gone) {
            self.folder = None;
            self.look_at = now;
        } else if what.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            self.look_at = now;
        } else if name.map(OsString::as_os_str) == self.path.file_name() {
            let is_new = what.contains(AddWatchFlags::IN_CREATE);
            self.look_at = if is_new { self.look_at.min(now + SETTLE) } else { now };
        }
    }

    fn look(&mut self, now: Instant, inotify: Option<&Inotify>, sink: &mut dyn FnMut(Event<'static>)) {
        // The watch first: what changes between the two is told by it.
        if self.folder.is_none()
            && let (Some(inotify), Some(folder)) = (inotify, self.path.parent())
        {
            let flags = AddWatchFlags::IN_CLOSE_WRITE
                | AddWatchFlags::IN_MOVED_TO
                | AddWatchFlags::IN_MOVED_FROM
                | AddWatchFlags::IN_CREATE
                | AddWatchFlags::IN_DELETE
                | AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_MOVE_SELF
                | AddWatchFlags::IN_ONLYDIR;
            self.folder = inotify.add_watch(folder, flags).ok();
        }
        let is_link = std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_symlink());
        let is_told = self.folder.is_some() && !is_link;
        self.look_at = now + if is_told { LOOK_INTERVAL } else { POLL_INTERVAL };
        let value = match read(&self.path) {
            Content::Empty if !core::mem::replace(&mut self.is_empty, true) => {
                self.look_at = now + SETTLE;
                return;
            }
            Content::Empty => Err(cut(format_args!("the file is empty"))),
            Content::Value(value) => {
                self.is_empty = false;
                value
            }
        };
        if self.told.as_ref() != Some(&value) {
            self.told = Some(value.clone());
            sink(Event::TrackedFile { track: self.track, value });
        }
    }
}

fn read(path: &Path) -> Content {
    let mut buffer = [0; READ_MAX];
    let bytes = match open_regular(path).and_then(|mut file| file.read(&mut buffer)) {
        Ok(len) => buffer.get(..len).unwrap_or(&[]),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Content::Value(Ok(0));
        }
        Err(error) => return Content::Value(Err(cut(format_args!("cannot be read: {error}")))),
    };
    if bytes.is_empty() { Content::Empty } else { Content::Value(number(bytes)) }
}

/// A whole number at the beginning, with white space before it and white space or nothing after it.
fn number(bytes: &[u8]) -> Result<i32, Reason> {
    let word = bytes.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or(&[]);
    let text = core::str::from_utf8(word).unwrap_or("");
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(cut(format_args!("no number at its beginning")));
    }
    text.parse().map_err(|_| cut(format_args!("its number is beyond 32 bits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_files_are_read_or_refused() {
        for (text, want) in [
            ("5", Ok(5)),
            (" \n -254\n", Ok(-254)),
            ("+7 packets\n", Ok(7)),
            ("2147483647", Ok(i32::MAX)),
            ("-2147483648\0", Err("no number at its beginning")),
            ("2147483648", Err("its number is beyond 32 bits")),
            ("99999999999999999999999", Err("its number is beyond 32 bits")),
            ("12abc", Err("no number at its beginning")),
            ("-", Err("no number at its beginning")),
            (" \n\t", Err("no number at its beginning")),
            ("1.5", Err("no number at its beginning")),
            ("\u{ff15}", Err("no number at its beginning")),
        ] {
            let got = number(text.as_bytes());
            assert_eq!(got, want.map_err(|why| cut(format_args!("{why}"))), "{text:?}");
        }
    }
}
