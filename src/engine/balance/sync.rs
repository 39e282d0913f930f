//! A sync daemon in one of its two roles (IPVS-74): what runs there, whose it is, and what is to be done.

use super::whole::Pause;
use crate::engine::{Ctx, Refusal};
use crate::model::{DaemonRole, Level, Text, cut};
use crate::time::Instant;
use crate::wire::ipvs::Daemon;
use std::net::{IpAddr, Ipv4Addr};

/// What the kernel takes where nothing is said (spec/protocols.md §5.1).
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
const PORT: u16 = 8848;
const TTL: u8 = 1;
/// The least length that a backup reads, whatever was asked for (net/netfilter/ipvs/ip_vs_sync.c).
const BACKUP_LEN_MIN: u16 = 1024;
/// Starts in a row that met another daemon, until that counts as a failure.
const CLASHES_MAX: u8 = 3;

/// What runs in a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// Not looked yet, or a command may have been done or not.
    Unknown,
    Nothing,
    Something,
}

/// One role.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) role: DaemonRole,
    there: There,
    /// What we asked for, as long as it is that which runs.
    ours: Option<Daemon>,
    /// A command for this one was lost: it runs, or not.
    doubted: Option<Daemon>,
    /// Written down as ours by an earlier run, or before the kernel answered anew: it runs still, or not.
    pub(super) left: Option<Daemon>,
    /// What runs, in the kernel's words.
    looks: Option<Daemon>,
    /// As it is told by the dump that is under way.
    pub(super) told: Option<Daemon>,
    pub(super) pause: Pause,
    clashes: u8,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// NEW_DAEMON.
    Start(Daemon),
    /// DEL_DAEMON.
    Stop,
}

impl Post {
    /// Nothing is known of it.
    pub(super) fn new(role: DaemonRole) -> Self {
        Post {
            role,
            there: There::Unknown,
            ours: None,
            doubted: None,
            left: None,
            looks: None,
            told: None,
            pause: Pause::default(),
            clashes: 0,
        }
    }

    /// Does a daemon of ours run?
    pub(super) fn is_ours(&self) -> bool {
        self.ours.is_some()
    }

    /// Does one of ours run, or perhaps?
    pub(super) fn may_be_ours(&self) -> bool {
        self.mine().is_some()
    }

    /// What of ours runs, or perhaps does.
    pub(super) fn mine(&self) -> Option<&Daemon> {
        self.ours.as_ref().or(self.doubted.as_ref()).or(self.left.as_ref())
    }

    /// What failed is tried at once.
    pub(super) fn retry(&mut self) {
        self.pause.succeed();
        self.clashes = 0;
    }

    /// What brings it nearer to `wanted`. A daemon has no change of parameters: it stops and starts. One of
    /// somebody else is in the way only where we want to start ours (IPVS-44).
    pub(super) fn next(&self, wanted: Option<&Daemon>) -> Option<Step> {
        if !self.pause.is_over() {
            return None;
        }
        match (wanted, self.there) {
            (_, There::Unknown) | (None, There::Nothing) => None,
            (Some(wanted), There::Nothing) => Some(Step::Start(wanted.clone())),
            (Some(wanted), There::Something) => (self.ours.as_ref() != Some(wanted)).then_some(Step::Stop),
            (None, There::Something) => self.is_ours().then_some(Step::Stop),
        }
    }

    /// All daemons have been told. `configured`: one that an earlier run left with the same parameters is
    /// ours, also where it is wanted no more; so is the one that it wrote down. Returns how many changes
    /// somebody else made to ours.
    pub(super) fn look(&mut self, now: Instant, configured: Option<&Daemon>, cx: &mut Ctx<'_>) -> u32 {
        let (doubted, left) = (self.doubted.take(), self.left.take());
        let known = [doubted.as_ref().or(configured), left.as_ref()];
        let Some(told) = self.told.take() else {
            self.there = There::Nothing;
            self.looks = None;
            let was_ours = self.ours.take().is_some();
            if was_ours {
                let text =
                    format_args!("somebody stopped our sync daemon ({}); it is put right", self.word());
                cx.note(now, Level::Warning, "ipvs", "", text);
            }
            return u32::from(was_ours);
        };
        self.there = There::Something;
        let found = known.into_iter().flatten().find(|asked| {
            let any_len = asked.max_len == 0 || told.max_len == 0;
            let least = match self.role {
                DaemonRole::Master => 0,
                DaemonRole::Backup => BACKUP_LEN_MIN,
            };
            is_same(asked, &told) && (any_len || asked.max_len.max(least) == told.max_len)
        });
        let is_it = match (&self.ours, &self.looks) {
            (Some(_), Some(looks)) => *looks == told,
            (Some(asked), None) => is_same(asked, &told),
            (None, _) => found.is_some(),
        };
        let was_ours = self.ours.is_some();
        match (is_it, was_ours) {
            (true, true) => {}
            (true, false) => self.ours = found.cloned(),
            (false, true) => {
                self.ours = None;
                let word = self.word();
                let text = format_args!("somebody started another sync daemon ({word}); ours is put back");
                cx.note(now, Level::Warning, "ipvs", "", text);
            }
            (false, false) => {}
        }
        self.looks = Some(told);
        u32::from(was_ours && !is_it)
    }

    /// The end of a start. True: what runs must be looked at.
    pub(super) fn started(
        &mut self,
        now: Instant,
        daemon: Daemon,
        result: Result<(), Refusal>,
        cx: &mut Ctx<'_>,
    ) -> bool {
        match result {
            Ok(()) => {
                let text = format_args!("the sync daemon runs as {} on {}", self.word(), daemon.interface);
                cx.note(now, Level::Note, "ipvs", "", text);
                (self.there, self.ours, self.looks) = (There::Something, Some(daemon), None);
                self.retry();
                false
            }
            // IPVS-44: somebody was faster. His goes, ours comes.
            Err(Refusal::Exists) if self.clashes < CLASHES_MAX => {
                self.clashes += 1;
                (self.there, self.ours, self.looks) = (There::Something, None, None);
                false
            }
            Err(refusal) => self.failed(now, Some(daemon), refusal, cx),
        }
    }

    /// The end of a stop. True: what runs must be looked at.
    pub(super) fn stopped(&mut self, now: Instant, result: Result<(), Refusal>, cx: &mut Ctx<'_>) -> bool {
        match result {
            // IPVS-44a: it is not running, which is what was wanted.
            Ok(()) | Err(Refusal::NotFound) => {
                if self.ours.take().is_none() {
                    let text =
                        format_args!("a sync daemon ({}) of somebody else was stopped for ours", self.word());
                    cx.note(now, Level::Warning, "ipvs", "", text);
                }
                (self.there, self.looks) = (There::Nothing, None);
                self.pause.succeed();
                false
            }
            Err(refusal) => self.failed(now, None, refusal, cx),
        }
    }

    fn failed(&mut self, now: Instant, started: Option<Daemon>, refusal: Refusal, cx: &mut Ctx<'_>) -> bool {
        let is_lost = refusal == Refusal::Interrupted;
        if is_lost {
            // Done, or not.
            self.there = There::Unknown;
            self.doubted = self.ours.take().or(started);
        }
        if self.pause.fail(now, refusal) {
            let text =
                format_args!("the sync daemon ({}) cannot be started or stopped: {refusal}", self.word());
            cx.note(now, Level::Error, "ipvs", "", text);
        }
        is_lost
    }

    /// What is not as wanted.
    pub(super) fn problem(&self, wanted: &Daemon) -> Option<Text> {
        let (word, interface) = (self.word(), &wanted.interface);
        match self.pause.refusal {
            Some(Refusal::Invalid) => Some(cut(format_args!(
                "sync daemon ({word} on {interface}): the kernel does not take it; a server of another \
                 family than its service excludes it"
            ))),
            Some(refusal) => Some(cut(format_args!("sync daemon ({word} on {interface}): {refusal}"))),
            None => {
                let (ours, looks) = (self.ours.as_ref()?, self.looks.as_ref()?);
                let unsaid = (ours.port != 0 && looks.port == 0)
                    || (ours.ttl != 0 && looks.ttl == 0)
                    || (ours.group.is_some() && looks.group.is_none());
                unsaid.then(|| {
                    cut(format_args!(
                        "sync daemon ({word} on {interface}): the kernel does not tell its group, port and \
                         ttl: before Linux 4.3 they are the default ones"
                    ))
                })
            }
        }
    }

    fn word(&self) -> &'static str {
        match self.role {
            DaemonRole::Master => "master",
            DaemonRole::Backup => "backup",
        }
    }
}

/// Is `told` a daemon that was asked for so, the length of its datagrams aside (which the kernel makes fit)?
/// What an older kernel does not tell is taken as it should be.
fn is_same(asked: &Daemon, told: &Daemon) -> bool {
    asked.interface == told.interface
        && asked.id == told.id
        && told.group.is_none_or(|group| group == asked.group.unwrap_or(GROUP))
        && (told.port == 0 || told.port == if asked.port == 0 { PORT } else { asked.port })
        && (told.ttl == 0 || told.ttl == asked.ttl.max(TTL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipvs74_what_is_left_to_the_kernel_is_not_compared() {
        let interface: heapless::String<15> = "eth1".try_into().unwrap();
        let bare = Daemon { interface, id: 51, max_len: 0, group: None, port: 0, ttl: 0 };
        let told = Daemon { max_len: 1472, group: Some(GROUP), port: PORT, ttl: TTL, ..bare.clone() };
        assert!(is_same(&bare, &told), "the kernel's own choice is as good as any");
        assert!(is_same(&told, &bare), "an old kernel does not tell");
        for other in [
            Daemon { id: 52, ..told.clone() },
            Daemon { interface: "eth0".try_into().unwrap(), ..told.clone() },
            Daemon { group: Some("224.0.0.82".parse().unwrap()), ..told.clone() },
            Daemon { port: 8849, ..told.clone() },
            Daemon { ttl: 2, ..told.clone() },
        ] {
            assert!(!is_same(&other, &told), "{other:?}");
        }
    }
}
