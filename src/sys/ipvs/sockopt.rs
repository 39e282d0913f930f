//! The kernel's IPVS over socket options, for kernels without its generic netlink family (IPVS-90): the same
//! requests, the same events. Nothing waits: each call is answered when it returns.

use crate::engine::{IpvsEvent, IpvsRequest, Refusal, WholeRequest};
use crate::limits;
use crate::sys::errno::refusal;
use crate::wire::ipvs::sockopt::{self as wire, Lacking, Set};
use crate::wire::ipvs::{DestinationCommand, ServiceCommand, ServiceKey};
use crate::wire::netlink::Malformed;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Tries to read a table that grows meanwhile.
const TRIES: usize = 4;
/// Places for entries that come between the counting and the reading; the last one stays empty, which shows
/// that nothing is missing.
const SPARE: usize = 8;

/// Where options are read and set: the kernel, and in tests a table.
pub(super) trait Options {
    /// # Errors
    /// The errno.
    fn set(&self, option: i32, value: &[u8]) -> Result<(), i32>;

    /// Puts the answer in the place of the question.
    ///
    /// # Errors
    /// The errno.
    fn get(&self, option: i32, buffer: &mut [u8]) -> Result<(), i32>;
}

/// A raw socket, of which only the options are of interest.
#[derive(Debug)]
pub(super) struct Raw(OwnedFd);

/// One conversation.
#[derive(Debug)]
pub(super) struct Sockopt<K = Raw> {
    kernel: K,
    telling: Option<Telling>,
}

/// A dump that is being told in slices.
#[derive(Debug)]
struct Telling {
    token: u32,
    answer: Vec<u8>,
    /// The service whose destinations these are; `None`: these are services.
    of: Option<ServiceKey>,
    /// Next place, and how many there are.
    at: usize,
    count: usize,
    is_damaged: bool,
}

/// How a request ended that was not done.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// By the kernel.
    Errno(i32),
    /// By us.
    Refused(Refusal),
}

impl From<Lacking> for Failure {
    fn from(lacking: Lacking) -> Self {
        Failure::Refused(Refusal::NotBySockopt(lacking))
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        log::debug!("IPVS: {malformed}");
        Failure::Refused(Refusal::Interrupted)
    }
}

/// The kernel has no IPVS any more (ENOPROTOOPT): what was asked last is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Sockopt<Raw> {
    /// Looks whether the kernel has IPVS.
    ///
    /// # Errors
    /// The errno: ENOPROTOOPT where it has not.
    pub(super) fn open() -> Result<Self, i32> {
        let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw);
        let sockopt = Sockopt { kernel: Raw(socket.map_err(|errno| errno as i32)?), telling: None };
        sockopt.kernel.get(wire::GET_INFO, &mut [0; wire::INFO_LEN])?;
        Ok(sockopt)
    }
}

impl<K: Options> Sockopt<K> {
    /// Is a dump under way? Other requests wait for its end.
    pub(super) const fn is_telling(&self) -> bool {
        self.telling.is_some()
    }

    /// Does one request, which is not [`IpvsRequest::Resolve`]. A dump is told by `tell`. The errno of the
    /// kernel, where it refused.
    pub(super) fn request(
        &mut self,
        token: u32,
        request: &IpvsRequest,
        sink: &mut dyn FnMut(IpvsEvent),
    ) -> Result<Option<i32>, Gone> {
        let (result, errno) = match self.perform(token, request, sink) {
            Ok(()) if self.is_telling() => return Ok(None),
            Ok(()) => (Ok(()), None),
            Err(Failure::Refused(refusal)) => (Err(refusal), None),
            Err(Failure::Errno(libc::ENOPROTOOPT)) => {
                sink(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
                return Err(Gone);
            }
            Err(Failure::Errno(errno)) => (Err(refusal(errno)), Some(errno)),
        };
        sink(IpvsEvent::Done { token, result });
        Ok(errno)
    }

    fn perform(
        &mut self,
        token: u32,
        request: &IpvsRequest,
        sink: &mut dyn FnMut(IpvsEvent),
    ) -> Result<(), Failure> {
        use DestinationCommand as Dest;
        match request {
            IpvsRequest::Resolve => Ok(()),
            IpvsRequest::DumpServices => {
                let (answer, count) = self.services()?;
                self.telling = Some(Telling { token, answer, of: None, at: 0, count, is_damaged: false });
                Ok(())
            }
            IpvsRequest::DumpDestinations(key) => {
                let Some((answer, count)) = self.destinations(key)? else { return Ok(()) };
                let of = Some(*key);
                self.telling = Some(Telling { token, answer, of, at: 0, count, is_damaged: false });
                Ok(())
            }
            IpvsRequest::NewService(service) => self.set(wire::emit_service(ServiceCommand::New, service)?),
            IpvsRequest::SetService(service) => self.set(wire::emit_service(ServiceCommand::Set, service)?),
            IpvsRequest::DelService(key) => self.remove(wire::emit_del_service(key)),
            IpvsRequest::NewDestination(key, d) => self.set(wire::emit_destination(Dest::New, (key, d))?),
            IpvsRequest::SetDestination(key, d) => self.set(wire::emit_destination(Dest::Set, (key, d))?),
            IpvsRequest::DelDestination(key, d) => self.remove(wire::emit_destination(Dest::Del, (key, d))),
            IpvsRequest::Whole(WholeRequest::GetTimeouts) => {
                let mut answer = [0; wire::TIMEOUTS_LEN];
                self.kernel.get(wire::GET_TIMEOUT, &mut answer).map_err(Failure::Errno)?;
                sink(IpvsEvent::Timeouts(wire::parse_timeouts(&answer)?));
                Ok(())
            }
            IpvsRequest::Whole(WholeRequest::SetTimeouts(timeouts)) => {
                self.set(wire::emit_timeouts(timeouts))
            }
            IpvsRequest::Whole(WholeRequest::DumpDaemons) => {
                let mut answer = [0; wire::DAEMONS_LEN];
                self.kernel.get(wire::GET_DAEMON, &mut answer).map_err(Failure::Errno)?;
                for index in 0..2 {
                    if let Some((role, daemon)) = wire::parse_daemon(&answer, index)? {
                        sink(IpvsEvent::Daemon(role, daemon));
                    }
                }
                Ok(())
            }
            IpvsRequest::Whole(WholeRequest::NewDaemon(role, daemon)) => {
                self.set(wire::emit_new_daemon((*role, daemon))?)
            }
            IpvsRequest::Whole(WholeRequest::DelDaemon(role)) => self.set(wire::emit_del_daemon(*role)),
        }
    }

    fn set(&self, set: Set) -> Result<(), Failure> {
        self.kernel.set(set.option(), set.bytes()).map_err(Failure::Errno)
    }

    /// What cannot be said here is not in the table that can be seen from here.
    fn remove(&self, set: Result<Set, Lacking>) -> Result<(), Failure> {
        self.set(set.map_err(|_| Failure::Refused(Refusal::NotFound))?)
    }

    /// All services, and how many places there are for them.
    fn services(&self) -> Result<(Vec<u8>, usize), Failure> {
        for _ in 0..TRIES {
            let mut info = [0; wire::INFO_LEN];
            self.kernel.get(wire::GET_INFO, &mut info).map_err(Failure::Errno)?;
            let (count, places) = places(wire::parse_service_count(&info)?)?;
            let mut answer = vec![0; wire::services_len(count)];
            wire::prepare_services(&mut answer, places);
            match self.kernel.get(wire::GET_SERVICES, &mut answer) {
                Ok(()) if wire::is_free_service(&answer, count.saturating_sub(1)) => {
                    return Ok((answer, count));
                }
                Ok(()) | Err(libc::EINVAL) => {}
                Err(errno) => return Err(Failure::Errno(errno)),
            }
        }
        Err(Failure::Refused(Refusal::Interrupted))
    }

    /// All destinations of a service, likewise; `None` without the service, as netlink has it (IPVS-45).
    fn destinations(&self, key: &ServiceKey) -> Result<Option<(Vec<u8>, usize)>, Failure> {
        for _ in 0..TRIES {
            let mut service = [0; wire::SERVICE_LEN];
            wire::prepare_service(&mut service, key)?;
            match self.kernel.get(wire::GET_SERVICE, &mut service) {
                Err(libc::ESRCH) => return Ok(None),
                other => other.map_err(Failure::Errno)?,
            }
            let (count, places) = places(wire::parse_destination_count(&service)?)?;
            let mut answer = vec![0; wire::destinations_len(count)];
            wire::prepare_destinations(&mut answer, key, places)?;
            match self.kernel.get(wire::GET_DESTS, &mut answer) {
                Ok(()) if wire::is_free_destination(&answer, count.saturating_sub(1)) => {
                    return Ok(Some((answer, count)));
                }
                Ok(()) | Err(libc::EINVAL) => {}
                Err(libc::ESRCH) => return Ok(None),
                Err(errno) => return Err(Failure::Errno(errno)),
            }
        }
        Err(Failure::Refused(Refusal::Interrupted))
    }

    /// Goes on with the dump that is under way; says how many places it looked at, at most `limit`.
    pub(super) fn tell(&mut self, limit: usize, sink: &mut dyn FnMut(IpvsEvent)) -> usize {
        let Some(telling) = &mut self.telling else { return 0 };
        let mut looked = 0;
        while looked < limit && telling.at < telling.count {
            if let Err(malformed) = telling.tell_one(sink) {
                log::debug!("IPVS: {malformed}");
                telling.is_damaged = true;
            }
            telling.at += 1;
            looked += 1;
        }
        if telling.at >= telling.count {
            let result = if telling.is_damaged { Err(Refusal::Interrupted) } else { Ok(()) };
            sink(IpvsEvent::Done { token: telling.token, result });
            self.telling = None;
        }
        looked
    }

    /// Gives up the dump that is under way.
    pub(super) fn interrupt(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        if let Some(Telling { token, .. }) = self.telling.take() {
            sink(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
        }
    }
}

/// Places for so many entries and some to spare.
fn places(entries: u32) -> Result<(usize, u32), Failure> {
    let count = usize::try_from(entries).map_or(usize::MAX, |entries| entries.saturating_add(SPARE));
    match u32::try_from(count) {
        Ok(places) if count <= limits::IPVS_SOCKOPT_ENTRIES_MAX => Ok((count, places)),
        Ok(_) | Err(_) => Err(Lacking::Room.into()),
    }
}

impl Telling {
    fn tell_one(&self, sink: &mut dyn FnMut(IpvsEvent)) -> Result<(), Malformed> {
        match self.of {
            None => {
                if let Some(service) = wire::parse_service(&self.answer, self.at)? {
                    sink(IpvsEvent::Service(service));
                }
            }
            Some(key) => {
                if let Some(entry) = wire::parse_destination(&self.answer, self.at)? {
                    sink(IpvsEvent::Destination(key, entry));
                }
            }
        }
        Ok(())
    }
}

impl Options for Raw {
    fn set(&self, option: i32, value: &[u8]) -> Result<(), i32> {
        // SAFETY: the pointer is to `value`, which lives until the call is over, and the length is its own.
        let rc = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::IPPROTO_IP,
                option,
                value.as_ptr().cast(),
                value.len() as libc::socklen_t,
            )
        };
        done(rc)
    }

    fn get(&self, option: i32, buffer: &mut [u8]) -> Result<(), i32> {
        let mut len = buffer.len() as libc::socklen_t;
        // SAFETY: the buffer is ours and as long as `len` says; both live until the call is over.
        let rc = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::IPPROTO_IP,
                option,
                buffer.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        done(rc)
    }
}

fn done(rc: libc::c_int) -> Result<(), i32> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)) }
}

#[cfg(test)]
mod tests;
