//! Is all as it should be? One judgement for the exit code, the first line of the screen, JSON and metrics.

use crate::model::status::{
    InstanceState, InstanceStatus, PeerStatus, RunStatus, ServerStatus, ServiceStatus, Snapshot,
};
use crate::time::Duration;

/// Exit code of `vipd status`: 0 healthy, 1 degraded. Degraded is: an instance in Fault or Init, a VIP that
/// is not where the state says, a route or rule missing while Active, another Active router heard or rejected
/// while Active, a tracker that takes priority or fitness from anybody, a program of `run_while_active` that
/// failed, a service without its quorum or without all of its servers (but for drained ones, and while it
/// rests), IPVS absent where a service needs it.
pub fn health(snapshot: &Snapshot) -> u8 {
    let healthy = snapshot.instances.iter().all(is_instance_healthy)
        && snapshot.trackers.iter().all(|t| !t.hurts)
        && !snapshot.runs.iter().any(is_service_failed)
        && snapshot.services.iter().all(|s| service(s) == ServiceHealth::Healthy)
        && snapshot.ipvs.as_ref().is_none_or(|ipvs| ipvs.present);
    u8::from(!healthy)
}

/// What clients of a service get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceHealth {
    /// Every server takes part.
    Healthy,
    /// Some do.
    Degraded,
    /// None does; the sorry server answers.
    Sorry,
    /// None does, and nobody answers; or it is not in the kernel's table at all.
    Down,
}

impl ServiceHealth {
    /// A stable word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            ServiceHealth::Healthy => "healthy",
            ServiceHealth::Degraded => "degraded",
            ServiceHealth::Sorry => "sorry",
            ServiceHealth::Down => "down",
        }
    }
}

/// The judgement on one service. One that rests because none of its addresses is here is as healthy as a
/// Backup; a server that is drained is as the operator wants it.
pub fn service(service: &ServiceStatus) -> ServiceHealth {
    let serving = service.servers.iter().filter(|s| is_serving(s)).count();
    if service.suspended {
        ServiceHealth::Healthy
    } else if !service.installed {
        ServiceHealth::Down
    } else if service.sorry_active {
        ServiceHealth::Sorry
    } else if serving == 0 {
        ServiceHealth::Down
    } else if !service.has_quorum || service.servers.iter().any(|s| !is_serving(s) && !s.draining) {
        ServiceHealth::Degraded
    } else {
        ServiceHealth::Healthy
    }
}

/// Does it get connections, as far as its checks, the operator and the kernel's table say?
pub fn is_serving(server: &ServerStatus) -> bool {
    server.up && server.installed && !server.draining
}

/// The judgement on one instance. Backup is as good as Active.
pub fn is_instance_healthy(instance: &InstanceStatus) -> bool {
    let takes_part = match instance.state {
        InstanceState::Active | InstanceState::Backup => true,
        InstanceState::Initialize | InstanceState::Fault => false,
    };
    takes_part
        && missing(instance) == 0
        && left_over(instance) == 0
        && routes_missing(instance) == 0
        && rival(instance).is_none()
        && !is_rejecting(instance)
}

/// VIPs that are not on the box although the instance is Active (law 3).
pub fn missing(instance: &InstanceStatus) -> usize {
    match instance.state {
        InstanceState::Active => instance.addresses.iter().filter(|a| !a.present).count(),
        InstanceState::Initialize | InstanceState::Backup | InstanceState::Fault => 0,
    }
}

/// VIPs that are on the box although the instance is not Active (law 3).
pub fn left_over(instance: &InstanceStatus) -> usize {
    match instance.state {
        InstanceState::Active => 0,
        InstanceState::Initialize | InstanceState::Backup | InstanceState::Fault => {
            instance.addresses.iter().filter(|a| a.present).count()
        }
    }
}

/// Routes and rules that are not in the kernel's tables although the instance is Active.
pub fn routes_missing(instance: &InstanceStatus) -> usize {
    match instance.state {
        InstanceState::Active => instance.routes.iter().filter(|r| !r.present).count(),
        InstanceState::Initialize | InstanceState::Backup | InstanceState::Fault => 0,
    }
}

/// A service of this box that is not as the instance that it follows.
pub fn is_service_failed(run: &RunStatus) -> bool {
    run.failed && run.what == "service"
}

/// Another router that claims to be Active while this one is: heard within the last three of our intervals,
/// and one second at least.
pub fn rival(instance: &InstanceStatus) -> Option<&PeerStatus> {
    match instance.state {
        InstanceState::Active => {
            instance.active_router.as_ref().filter(|peer| peer.heard <= recent(instance))
        }
        InstanceState::Initialize | InstanceState::Backup | InstanceState::Fault => None,
    }
}

/// Is this one Active and drops what another router sends for the same VRID? Most often two routers whose
/// password, version or interval differs, so that both are Active.
pub fn is_rejecting(instance: &InstanceStatus) -> bool {
    match instance.state {
        InstanceState::Active => instance.rejected.iter().any(|peer| peer.last <= recent(instance)),
        InstanceState::Initialize | InstanceState::Backup | InstanceState::Fault => false,
    }
}

/// Three advert intervals, and one second at least.
fn recent(instance: &InstanceStatus) -> Duration {
    Duration::from_micros(instance.advert_interval.total_micros().saturating_mul(3))
        .max(Duration::from_secs(1))
}
