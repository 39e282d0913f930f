//! What must never happen, and what must.

use crate::node::Node;
use crate::world::World;
use vipd::model::status::InstanceState;
use vipd::model::{AntiReplay, Authentication, Instance};
use vipd::time::{Duration, Instant};

/// How long signed adverts may be refused after a clock has jumped: twice the window (PKT-50).
const CLOCK: Duration = Duration::from_secs(14);
/// The same where only the order counts: a router that begins anew with a clock that was set back is behind
/// its own old numbers for as long as the clocks may differ, which is a minute here.
const CLOCK_MONOTONIC: Duration = Duration::from_secs(62);

pub(crate) struct Checker {
    pub(crate) looked_at: Instant,
    looks: u32,
    /// For each VR and pair of nodes: since when both are Active and hear each other.
    both_since: Vec<Option<Instant>>,
    /// For each VR and node: since when it holds something without being Active.
    stray_since: Vec<Option<Instant>>,
    /// For each node: since when its group is in two minds.
    torn_since: Vec<Option<Instant>>,
    /// For each VR and node: its state, and since when.
    states: Vec<(Option<InstanceState>, Instant)>,
    last_active: Vec<Option<usize>>,
    nodes: usize,
}

impl Checker {
    pub(crate) fn new(world: &World) -> Self {
        let (n, vrs) = (world.nodes.len(), world.plan.vrs.len());
        Checker {
            looked_at: world.now,
            looks: 0,
            both_since: vec![None; n * n * vrs],
            stray_since: vec![None; n * vrs],
            torn_since: vec![None; n],
            states: vec![(None, world.now); n * vrs],
            last_active: vec![None; vrs],
            nodes: n,
        }
    }

    /// A node has done something.
    pub(crate) fn after(&mut self, world: &mut World, at: usize) -> Result<(), String> {
        for vr in 0..world.plan.vrs.len() {
            let state = world.nodes[at].states[vr];
            let place = vr * self.nodes + at;
            if self.states[place].0 == state {
                continue;
            }
            if state == Some(InstanceState::Active) {
                self.check_takeover(world, vr, at)?;
                if self.last_active[vr].replace(at) != Some(at) {
                    world.summary.failovers += 1;
                }
            }
            self.states[place] = (state, world.now);
        }
        self.check_group(world, at)
    }

    pub(crate) fn after_all(&mut self, world: &mut World) -> Result<(), String> {
        (0..world.nodes.len()).try_for_each(|at| self.after(world, at))
    }

    /// What lasts, every now and then.
    pub(crate) fn look(&mut self, world: &mut World) -> Result<(), String> {
        self.looked_at = world.now;
        self.looks += 1;
        self.check_two_active(world)?;
        if self.looks.is_multiple_of(16) {
            self.check_complete(world)?;
        }
        self.check_stray(world)
    }

    /// An Active router has its addresses (law 3), unless the kernel refuses them.
    fn check_complete(&self, world: &World) -> Result<(), String> {
        for (at, node) in world.nodes.iter().enumerate().filter(|(_, n)| n.is_running()) {
            for vr in (0..world.plan.vrs.len()).filter(|vr| node.is_active(*vr)) {
                let (_, since) = self.states[vr * self.nodes + at];
                let calm_since = since.max(node.disturbed_at) + Duration::from_secs(3);
                if node.refuse_percent > 0 || world.now < calm_since {
                    continue;
                }
                let is_held = |cidr| node.kernel.held.iter().any(|h| h.cidr == cidr);
                if let Some(missing) = config(node, vr).all_addresses().find(|a| !is_held(a.cidr)) {
                    return Err(format!(
                        "{} is Active without {} at {}: {}",
                        node.name(),
                        missing.cidr,
                        world.now,
                        node.explain(world.now)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Two Active routers that hear each other: the lower one hears the higher one's next advert and steps
    /// down.
    fn check_two_active(&mut self, world: &mut World) -> Result<(), String> {
        let n = self.nodes;
        for vr in 0..world.plan.vrs.len() {
            for a in 0..n {
                for b in a + 1..n {
                    let (na, nb) = (&world.nodes[a], &world.nodes[b]);
                    let since = &mut self.both_since[(vr * n + a) * n + b];
                    if !na.is_active(vr) || !nb.is_active(vr) || !world.are_connected(vr, a, b) {
                        *since = None;
                        continue;
                    }
                    let start = *since.get_or_insert(world.now);
                    let mut start = start.max(world.calm_since(vr, a, b));
                    let interval = config(na, vr).max_interval(config(nb, vr));
                    if is_signed(na, vr) {
                        if na.clock_ahead != nb.clock_ahead {
                            continue;
                        }
                        let nodes = na.disturbed_at.max(nb.disturbed_at);
                        start = start.max(nodes + clock(na, vr));
                    }
                    let lan = &world.lans[world.plan.vrs[vr].lan];
                    let bound = interval + lan.delay_max + Duration::from_millis(200);
                    if start == world.now || world.now < start {
                        continue;
                    }
                    world.summary.contests += 1;
                    if world.now - start > bound {
                        return Err(format!(
                            "safety: VR {vr}: {} and {} both Active for more than {bound} at {}: {} / {}",
                            na.name(),
                            nb.name(),
                            world.now,
                            na.explain(world.now),
                            nb.explain(world.now)
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Node `at` has become Active: was there a live one that it should have left in peace?
    fn check_takeover(&self, world: &mut World, vr: usize, at: usize) -> Result<(), String> {
        let node = &world.nodes[at];
        let own = config(node, vr);
        if world.now < node.started_at + own.start_delay && node.reloaded_at == node.started_at {
            return Err(format!("{} is Active during its start delay at {}", node.name(), world.now));
        }
        for other in (0..self.nodes).filter(|o| *o != at) {
            let (state, since) = self.states[vr * self.nodes + other];
            if state != Some(InstanceState::Active) || !world.are_connected(vr, at, other) {
                continue;
            }
            let live = &world.nodes[other];
            let (own_state, own_since) = self.states[vr * self.nodes + at];
            // It must have heard one advert of the other's in this state.
            let wait = own.max_interval(config(live, vr))
                + world.lans[world.plan.vrs[vr].lan].delay_max
                + Duration::from_millis(300);
            let clock = clock(node, vr);
            let resigned_at = world.resigned_at(vr, at);
            let calm_since = world.calm_since(vr, at, other).max(resigned_at).max(since).max(own_since);
            if own_state != Some(InstanceState::Backup)
                || world.now < calm_since + wait + clock
                || node.clock_ahead != live.clock_ahead
            {
                continue;
            }
            let (ours, theirs) =
                (node.effective_priority(vr, world.now), live.effective_priority(vr, world.now));
            let is_owner = own.priority.is_owner();
            let why = if ours < theirs {
                "took over from a better router"
            } else if ours == theirs {
                "took over from a router of its own priority"
            } else if !own.preempt && !is_owner {
                "preempts though preemption is off"
            } else if !is_owner && world.now < own_since + own.preempt_delay {
                "preempts before its preempt_delay has passed"
            } else {
                world.summary.judged += 1;
                continue;
            };
            return Err(format!(
                "VR {vr}: {} ({ours}) {why} {} ({theirs}) at {}: {}",
                node.name(),
                live.name(),
                world.now,
                node.explain(world.now)
            ));
        }
        Ok(())
    }

    /// Active all together or not at all, but for members that a reload brought, which have to listen first.
    fn check_group(&mut self, world: &World, at: usize) -> Result<(), String> {
        let node = &world.nodes[at];
        let members: Vec<usize> = world
            .plan
            .group
            .iter()
            .copied()
            .filter(|vr| node.states[*vr].is_some() && node.instance(*vr).is_some())
            .collect();
        let active = members.iter().filter(|vr| node.is_active(**vr)).count();
        if active == 0 || active == members.len() || !node.is_running() {
            self.torn_since[at] = None;
            return Ok(());
        }
        let since = *self.torn_since[at].get_or_insert(world.now);
        let most = |of: fn(&Instance) -> Duration| {
            node.config.instances.iter().map(of).max().unwrap_or(Duration::ZERO)
        };
        let listening = most(|i| i.advert_interval * (u32::from(i.down_adverts) + 1))
            + most(|i| i.settle)
            + Duration::from_secs(2);
        if world.now > since.max(node.reloaded_at + listening) {
            return Err(format!(
                "group of {} is torn at {}: {}",
                node.name(),
                world.now,
                node.explain(world.now)
            ));
        }
        Ok(())
    }

    /// Something of a virtual router on a node that is not Active: gone in the same turn, or with the lease
    /// where no vipd can act.
    fn check_stray(&mut self, world: &World) -> Result<(), String> {
        for (at, node) in world.nodes.iter().enumerate() {
            for vr in 0..world.plan.vrs.len() {
                let since = &mut self.stray_since[vr * self.nodes + at];
                if node.is_active(vr) && node.is_running() {
                    *since = None;
                    continue;
                }
                let has_addresses = holds_any(world, node, vr);
                if !has_addresses && !has_routes(world, node, vr) {
                    *since = None;
                    continue;
                }
                let start = (*since.get_or_insert(world.now)).max(node.disturbed_at);
                let lease = world.plan.vrs[vr].config.lease;
                let bound = match (node.is_running(), lease) {
                    // Frozen or dead: the kernel takes the addresses away.
                    (false, Some(lease)) if has_addresses => lease,
                    (false, _) => {
                        *since = None;
                        continue;
                    }
                    // Refused removals are tried again every second.
                    (true, _) if node.refuse_percent > 0 => Duration::from_secs(40),
                    (true, _) => Duration::from_millis(3500),
                };
                if world.now - start > bound {
                    return Err(format!(
                        "{} holds what is VR {vr}'s and is not Active for more than {bound} at {}: {} {:?} \
                         {:?} {:?}",
                        node.name(),
                        world.now,
                        node.explain(world.now),
                        node.kernel.held,
                        node.kernel.routes,
                        node.kernel.rules,
                    ));
                }
            }
        }
        Ok(())
    }

    /// After the settling time without faults.
    pub(crate) fn check_settled(&self, world: &World) -> Result<(), String> {
        for vr in 0..world.plan.vrs.len() {
            let active: Vec<&Node> = world.nodes.iter().filter(|n| n.is_active(vr)).collect();
            let all = || world.nodes.iter().map(|n| n.explain(world.now)).collect::<Vec<_>>().join("\n");
            let [one] = active[..] else {
                let names: Vec<char> = active.iter().map(|n| n.name()).collect();
                return Err(format!("liveness: VR {vr}: Active are {names:?} at {}:\n{}", world.now, all()));
            };
            let own = config(one, vr);
            let is_held = |cidr| one.kernel.held.iter().any(|h| h.cidr == cidr);
            if let Some(missing) = own.all_addresses().find(|a| !is_held(a.cidr)) {
                return Err(format!(
                    "liveness: {} is Active without {}:\n{}",
                    one.name(),
                    missing.cidr,
                    all()
                ));
            }
            let routes = own.routes.iter().filter(|r| {
                let same = |k: &&vipd::engine::KernelRoute| {
                    k.destination == r.destination && k.kind == Some(r.kind) && k.source == r.source
                };
                !one.kernel.routes.iter().any(|k| same(&k))
            });
            if let Some(missing) = routes.map(|r| r.destination).next() {
                let there = &one.kernel.routes;
                return Err(format!("liveness: {} has no route {missing}: {there:?}\n{}", one.name(), all()));
            }
            if own.rules.iter().any(|r| !one.kernel.rules.contains(r)) {
                return Err(format!("liveness: {} lacks a rule:\n{}", one.name(), all()));
            }
            for other in world.nodes.iter().filter(|n| n.number != one.number) {
                if holds_any(world, other, vr) || has_routes(world, other, vr) {
                    return Err(format!("safety: {} holds what is {}'s (VR {vr})", other.name(), one.name()));
                }
            }
            let best = world.nodes.iter().map(|n| n.effective_priority(vr, world.now)).max();
            let is_best = Some(one.effective_priority(vr, world.now)) == best;
            let all_preempt = world.nodes.iter().all(|n| config(n, vr).preempt);
            if all_preempt && !world.plan.group.contains(&vr) && !is_best {
                return Err(format!(
                    "liveness: VR {vr}: {} is Active, best is {best:?}:\n{}",
                    one.name(),
                    all()
                ));
            }
        }
        Ok(())
    }

    /// After its end, nothing of a node is left.
    pub(crate) fn check_gone(&self, world: &World, at: usize) -> Result<(), String> {
        let node = &world.nodes[at];
        let has_macvlan = node.has_macvlan();
        let held = node.kernel.held.iter().any(|h| h.ours);
        let tables = !node.kernel.routes.is_empty() || !node.kernel.rules.is_empty();
        if node.has_engine() || held || has_macvlan || tables {
            return Err(format!(
                "the leave of {} is not complete: {:?} {:?} {:?} {:?}",
                node.name(),
                node.explain(world.now),
                node.kernel.held,
                node.kernel.links,
                node.kernel.routes
            ));
        }
        Ok(())
    }
}

trait Interval {
    /// The longer interval of the two.
    fn max_interval(&self, other: &Instance) -> Duration;
}

impl Interval for Instance {
    fn max_interval(&self, other: &Instance) -> Duration {
        self.advert_interval.max(other.advert_interval)
    }
}

fn config(node: &Node, vr: usize) -> &Instance {
    &node.config.instances[node.instance(vr).expect("it is configured")]
}

fn is_signed(node: &Node, vr: usize) -> bool {
    matches!(config(node, vr).authentication, Authentication::Hmac(_))
}

/// How long its adverts may be refused after a clock has jumped.
fn clock(node: &Node, vr: usize) -> Duration {
    match &config(node, vr).authentication {
        Authentication::Hmac(hmac) => match hmac.anti_replay {
            AntiReplay::Time => CLOCK,
            AntiReplay::Monotonic => CLOCK_MONOTONIC,
        },
        Authentication::None | Authentication::Pass(_) => Duration::ZERO,
    }
}

fn holds_any(world: &World, node: &Node, vr: usize) -> bool {
    let all = || world.plan.vrs[vr].config.all_addresses();
    node.kernel.held.iter().any(|h| h.ours && all().any(|a| a.cidr == h.cidr))
}

fn has_routes(world: &World, node: &Node, vr: usize) -> bool {
    let own = &world.plan.vrs[vr].config;
    let is_own = |k: &vipd::engine::KernelRoute| own.routes.iter().any(|r| r.destination == k.destination);
    node.kernel.routes.iter().any(is_own) || node.kernel.rules.iter().any(|r| own.rules.contains(r))
}
