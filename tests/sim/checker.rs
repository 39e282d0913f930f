//! What must never happen, and what must.

use crate::node::Node;
use crate::world::World;
use vipd::model::status::InstanceState;
use vipd::time::{Duration, Instant};

pub(crate) struct Checker {
    /// For each pair of nodes: since when both are Active and hear each other.
    both_since: Vec<Option<Instant>>,
    /// For each node: since when it holds a VIP without being Active.
    stray_since: Vec<Option<Instant>>,
}

impl Checker {
    pub(crate) fn new(world: &World) -> Self {
        let n = world.nodes.len();
        Checker { both_since: vec![None; n * n], stray_since: vec![None; n] }
    }

    /// How long a world without faults may take to come to rest.
    pub(crate) fn settling(&self, world: &World) -> Duration {
        let config = &world.nodes[0].config;
        // An old learned interval cannot be longer than ours (all have one); a lease may have to run out.
        config.advert_interval * 5 + Duration::from_secs(2) + config.lease.unwrap_or(Duration::ZERO)
    }

    pub(crate) fn check(&mut self, world: &World) -> Result<(), String> {
        self.check_two_active(world)?;
        self.check_stray(world)
    }

    /// Two Active routers that hear each other: the lower one hears the higher one's next advert and steps
    /// down.
    fn check_two_active(&mut self, world: &World) -> Result<(), String> {
        let n = world.nodes.len();
        let bound = world.nodes[0].config.advert_interval + Duration::from_millis(200);
        for a in 0..n {
            for b in a + 1..n {
                let (na, nb) = (&world.nodes[a], &world.nodes[b]);
                let both = world.side[a] == world.side[b] && active(na) && active(nb);
                let since = &mut self.both_since[a * n + b];
                if !both {
                    *since = None;
                    continue;
                }
                let start = since.get_or_insert(world.now);
                // A frame that was lost, or a node that could not act, starts the time anew.
                let start = (*start).max(world.lan_disturbed_at).max(na.disturbed_at).max(nb.disturbed_at);
                if world.now - start > bound {
                    return Err(format!(
                        "{} and {} both Active for more than {bound} at {}",
                        na.name, nb.name, world.now
                    ));
                }
            }
        }
        Ok(())
    }

    /// A VIP on a router that is not Active: gone in the same turn, or with the lease where no vipd can act.
    fn check_stray(&mut self, world: &World) -> Result<(), String> {
        for (at, node) in world.nodes.iter().enumerate() {
            if !node.holds_any() || active(node) {
                self.stray_since[at] = None;
                continue;
            }
            let start = *self.stray_since[at].get_or_insert(world.now);
            let bound = match (node.is_running(), node.config.lease) {
                // Frozen or dead: the kernel takes it away.
                (false, Some(lease)) => lease,
                (false, None) => continue,
                // Refused removals are tried again every second.
                (true, _) if node.refuse_percent > 0 => Duration::from_secs(30),
                (true, _) => Duration::from_millis(1500),
            };
            let start = start.max(node.disturbed_at);
            if world.now - start > bound {
                return Err(format!(
                    "{} holds a VIP and is not Active for more than {bound} at {}",
                    node.name, world.now
                ));
            }
        }
        Ok(())
    }

    /// After the settling time without faults.
    pub(crate) fn check_settled(&mut self, world: &World) -> Result<(), String> {
        let is_active: Vec<&Node> =
            world.nodes.iter().filter(|n| n.state() == Some(InstanceState::Active)).collect();
        let [one] = is_active[..] else {
            let names: Vec<char> = is_active.iter().map(|n| n.name).collect();
            return Err(format!("liveness: Active are {names:?} at {}", world.now));
        };
        if !one.holds_all() {
            return Err(format!("liveness: {} is Active without all of its VIPs", one.name));
        }
        if let Some(other) = world.nodes.iter().find(|n| n.name != one.name && n.holds_any()) {
            return Err(format!("safety: {} holds a VIP while {} is Active", other.name, one.name));
        }
        let best = world.nodes.iter().map(|n| n.config.priority).max();
        if one.config.preempt && Some(one.config.priority) != best {
            return Err(format!(
                "liveness: {} is Active with priority {}, best {best:?}",
                one.name, one.config.priority
            ));
        }
        Ok(())
    }
}

fn active(node: &Node) -> bool {
    node.is_running() && node.state() == Some(InstanceState::Active)
}
