//! A destination of one service: what is wanted of it, what it is, and the command between the two.

use crate::engine::IpvsRequest;
use crate::model::Method;
use crate::wire::ipvs::{Destination, Forwarding, ServiceKey, Tunnel};
use std::net::SocketAddr;
use std::rc::Rc;

/// What a service wants behind each of its keys: servers in any order, an address perhaps more than once.
pub(super) type Wants = Rc<[(SocketAddr, Params)]>;

/// Where the packets for a server go behind `key`: NAT alone can change the port, so a server that is reached
/// otherwise has the port of the service, 0 behind a mark (IPVS-60, IPVS-61).
pub(super) fn place(key: &ServiceKey, mut address: SocketAddr, method: &Method) -> SocketAddr {
    match method.forward {
        Forwarding::Masquerade | Forwarding::Local | Forwarding::Bypass => {}
        Forwarding::Tunnel | Forwarding::DirectRoute => address.set_port(match key {
            ServiceKey::Address { address, .. } => address.port(),
            ServiceKey::Mark { .. } => 0,
        }),
    }
    address
}

/// A destination without its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    /// How packets reach it.
    pub(super) method: Method,
    /// 0 = no new connections (IPVS-50).
    pub(super) weight: u32,
    /// 0 = no limit.
    pub(super) upper_threshold: u32,
    /// 0 = three quarters of the upper one.
    pub(super) lower_threshold: u32,
}

impl Params {
    /// Without thresholds.
    pub(super) fn new(method: Method, weight: u32) -> Self {
        Params { method, weight, upper_threshold: 0, lower_threshold: 0 }
    }

    /// As the kernel told it.
    pub(super) fn of(destination: &Destination) -> Self {
        let Destination { address: _, forward, tunnel, weight, upper_threshold, lower_threshold } =
            *destination;
        Params { method: Method { forward, tunnel }, weight, upper_threshold, lower_threshold }
    }

    pub(super) fn at(self, address: SocketAddr) -> Destination {
        let Params { method: Method { forward, tunnel }, weight, upper_threshold, lower_threshold } = self;
        Destination { address, forward, tunnel, weight, upper_threshold, lower_threshold }
    }

    /// Is `self`, read from the kernel, what `wanted` asked for? Some kernels say `Local` of any
    /// destination on this host, whatever was asked for.
    pub(super) fn serves_as(&self, wanted: &Params) -> bool {
        let forward = self.method == wanted.method || self.method.forward == Forwarding::Local;
        forward
            && self.weight == wanted.weight
            && self.upper_threshold == wanted.upper_threshold
            && self.lower_threshold == wanted.lower_threshold
    }
}

/// What the kernel has shown that it can say. An older one takes what it does not know, and forgets it.
#[derive(Debug, Default)]
pub(super) struct Tells {
    /// Tunnels other than IP in IP (Linux 5.2).
    pub(super) tunnels: bool,
    /// Persistence engines.
    pub(super) engines: bool,
}

/// So many times what an older kernel seems to have forgotten is sent again; then it is believed to be there.
pub(super) const UNSAID_MAX: u8 = 2;

/// What is in the kernel's table, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actual<T> {
    /// Nothing.
    Absent,
    /// Something, with parameters that we do not know.
    Somehow,
    /// This.
    As(T),
}

impl<T> Actual<T> {
    /// Is it there, in whatever form?
    pub(super) fn is_there(&self) -> bool {
        match self {
            Actual::Absent => false,
            Actual::Somehow | Actual::As(_) => true,
        }
    }
}

/// A destination that is wanted or there.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its address.
    pub(super) address: SocketAddr,
    /// What it should be; `None`: it should not be there.
    pub(super) wanted: Option<Params>,
    /// What it is.
    pub(super) actual: Actual<Params>,
    /// The kernel refused it: no command until the row's `retry_at`.
    pub(super) held: bool,
    /// Told by the current reading.
    pub(super) seen: bool,
    /// Somebody else has removed it.
    pub(super) lost: bool,
    /// Readings that told a plain tunnel in place of the one that was asked for and taken.
    pub(super) unsaid: u8,
    /// Active connections when last read.
    pub(super) active_connections: u32,
    /// Inactive ones, likewise.
    pub(super) inactive_connections: u32,
}

impl Entry {
    /// One that is not in the table.
    pub(super) fn new(address: SocketAddr, wanted: Option<Params>) -> Self {
        Entry {
            address,
            wanted,
            actual: Actual::Absent,
            held: false,
            seen: false,
            lost: false,
            unsaid: 0,
            active_connections: 0,
            inactive_connections: 0,
        }
    }

    /// Does it take new connections, as wanted and as it is?
    pub(super) fn serves(&self) -> bool {
        self.wants_to_serve()
            && match &self.actual {
                Actual::As(params) => params.weight > 0,
                Actual::Absent | Actual::Somehow => false,
            }
    }

    pub(super) fn wants_to_serve(&self) -> bool {
        self.wanted.is_some_and(|wanted| wanted.weight > 0)
    }

    /// The command that brings it nearer without taking anything away.
    pub(super) fn raise(&self, key: ServiceKey) -> Option<IpvsRequest> {
        let wanted = self.wanted?;
        match &self.actual {
            Actual::Absent => Some(IpvsRequest::NewDestination(key, wanted.at(self.address))),
            Actual::Somehow => Some(IpvsRequest::SetDestination(key, wanted.at(self.address))),
            Actual::As(actual) if actual.serves_as(&wanted) || self.is_lowering(actual) => None,
            Actual::As(_) => Some(IpvsRequest::SetDestination(key, wanted.at(self.address))),
        }
    }

    /// The command that takes something away: the deletion, or the change to weight 0.
    pub(super) fn lower(&self, key: ServiceKey) -> Option<IpvsRequest> {
        match (&self.wanted, &self.actual) {
            (None, Actual::Absent) | (Some(_), Actual::Absent | Actual::Somehow) => None,
            (None, Actual::Somehow | Actual::As(_)) => {
                let any = Params::new(Method::new(Forwarding::Masquerade), 0);
                Some(IpvsRequest::DelDestination(key, any.at(self.address)))
            }
            (Some(wanted), Actual::As(actual)) => {
                self.is_lowering(actual).then(|| IpvsRequest::SetDestination(key, wanted.at(self.address)))
            }
        }
    }

    fn is_lowering(&self, actual: &Params) -> bool {
        self.wanted.is_some_and(|wanted| wanted.weight == 0) && actual.weight > 0
    }

    /// The kernel tells it. True: not what we knew.
    pub(super) fn set_read(&mut self, mut told: Params, tells: &mut Tells) -> bool {
        self.seen = true;
        self.lost = false;
        tells.tunnels |= told.method.tunnel != Tunnel::Ipip;
        let mut judged = told;
        if let Actual::As(known) = &self.actual
            && !tells.tunnels
            && known.method.forward == told.method.forward
            && known.method.tunnel != Tunnel::Ipip
        {
            // It took the tunnel, and does not tell it: nobody has changed that.
            judged.method = known.method;
            if self.unsaid < UNSAID_MAX {
                self.unsaid += 1;
            } else {
                told.method = known.method;
            }
        } else {
            self.unsaid = 0;
        }
        let foreign = match &self.actual {
            Actual::As(known) => !judged.serves_as(known) && *known != judged,
            Actual::Somehow => false,
            Actual::Absent => true,
        };
        self.actual = Actual::As(told);
        foreign
    }

    /// Is it believed to be as wanted though the kernel does not tell so?
    pub(super) fn is_unsaid(&self) -> bool {
        self.unsaid >= UNSAID_MAX && self.wanted.is_some_and(|wanted| wanted.method.tunnel != Tunnel::Ipip)
    }

    /// The kernel told that it is not there.
    pub(super) fn forget(&mut self) {
        self.actual = Actual::Absent;
        self.active_connections = 0;
        self.inactive_connections = 0;
    }
}
