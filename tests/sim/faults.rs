//! What goes wrong.

use crate::node::Node;
use crate::plan::{lan_name, mac};
use crate::world::{World, priority};
use vipd::time::Duration;

/// One kind of trouble. Those that last are ended by a later one, or by [`Fault::heal`].
pub(crate) struct Fault;

impl Fault {
    pub(crate) fn strike(world: &mut World) {
        let at = world.random.index(world.nodes.len());
        let lan = world.random.index(world.lans.len());
        let (name, now) = (world.nodes[at].name(), world.now);
        let is_running = world.nodes[at].is_running() && !world.nodes[at].is_leaving;
        match world.random.below(28) {
            0 | 1 => Self::lan(world, lan),
            2 => {
                for node in 0..world.nodes.len() {
                    world.lans[lan].side[node] = world.random.below(2) as u8;
                }
                world.lans[lan].changed_at = now;
                world.tell(format_args!("lan{lan}: partition {:?}", world.lans[lan].side));
            }
            3 => {
                world.lans[lan].side.fill(0);
                world.lans[lan].changed_at = now;
                world.tell(format_args!("lan{lan}: partition heals"));
            }
            4 | 5 if is_running => {
                let length = world.random.between(Duration::from_millis(10), Duration::from_secs(12));
                world.tell(format_args!("{name} is frozen for {length}"));
                world.nodes[at].paused_until = Some(now + length);
                world.nodes[at].disturbed_at = now;
                world.nodes[at].reschedule();
            }
            6 if world.nodes[at].has_engine() => {
                world.tell(format_args!("{name} is killed"));
                world.nodes[at].kill(now);
            }
            7 if is_running => {
                world.tell(format_args!("{name} is stopped"));
                world.nodes[at].refuse_percent = 0;
                world.act(at, Node::stop);
            }
            6..=9 if !world.nodes[at].has_engine() => {
                world.tell(format_args!("{name} starts"));
                world.act(at, Node::start);
            }
            8..=11 => Self::link(world, at, lan),
            12 | 13 => {
                world.tell(format_args!("somebody takes an address and a route of {name}"));
                let number = world.random.index(8);
                world.act(at, |node, now, _, _| {
                    node.kernel.take_address(now, number);
                    node.kernel.take_route(now);
                    node.disturbed_at = now;
                });
            }
            14 => {
                world.nodes[at].refuse_percent = world.random.below(50);
                world.nodes[at].disturbed_at = now;
                world.tell(format_args!("kernel of {name} refuses {} %", world.nodes[at].refuse_percent));
            }
            15 => {
                let length = world.random.between(Duration::from_millis(1), Duration::from_secs(1));
                world.tell(format_args!("{name} loses notifications for {length}"));
                world.nodes[at].overrun(now, now + length);
            }
            16..=18 if is_running => Self::reload(world, at),
            19 => {
                let seconds = world.random.below(60) as i64 - 30;
                world.tell(format_args!("clock of {name} is {seconds} s ahead"));
                world.nodes[at].clock_ahead = seconds;
                world.nodes[at].disturbed_at = now;
            }
            20..=23 if !world.plan.tracks.is_empty() => {
                let track = world.random.index(world.plan.tracks.len());
                let value = if world.random.percent(50) { 0 } else { world.random.below(7) as i32 - 3 };
                world.tell(format_args!("tracker {track} of {name} finds {value}"));
                world.nodes[at].verdicts[track] = value;
                world.nodes[at].disturbed_at = now;
                if is_running {
                    world.act(at, |node, now, random, sent| node.tell_track(now, track, random, sent));
                }
            }
            24 if is_running => {
                let vr = world.random.index(world.plan.vrs.len());
                let length = Duration::from_secs(world.random.below(20));
                world.tell(format_args!("{name} resigns {vr} for {length}"));
                world.act(at, |node, now, random, sent| node.resign(now, vr, length, random, sent));
            }
            _ => world.tell(format_args!("nothing")),
        }
    }

    fn lan(world: &mut World, lan: usize) {
        let loss = if world.random.percent(50) { world.random.below(60) } else { 0 };
        let duplicates = world.random.below(30);
        let delay = world.random.between(Duration::from_millis(1), Duration::from_millis(80));
        world.tell(format_args!("lan{lan}: loss {loss} %, delay up to {delay}"));
        let of = &mut world.lans[lan];
        (of.loss_percent, of.duplicate_percent, of.delay_max) = (loss, duplicates, delay);
        of.changed_at = world.now;
    }

    fn link(world: &mut World, at: usize, lan: usize) {
        let name = world.nodes[at].name();
        let found = world.nodes[at].kernel.named(lan_name(lan)).copied();
        let own = mac(at, lan);
        let other = world.nodes[at].kernel.named("moved").copied().filter(|l| l.mac == Some(own));
        // A macvlan that a killed run left on a renamed interface is nobody's any more.
        let node = &world.nodes[at];
        let is_free = node.kernel.named("moved").is_none() && (node.has_engine() || !node.has_macvlan());
        let what = world.random.below(6);
        world.tell(format_args!("{name}: change {what} of lan{lan}, which is {found:?}"));
        world.act(at, |node, now, _, _| {
            node.disturbed_at = now;
            match (found, other) {
                (Some(link), _) if what < 3 && link.running => {
                    // Carrier, or set down.
                    node.kernel.set_up(now, link.index, what < 2, false);
                    node.empty_inbox(lan);
                }
                (Some(link), _) if what < 4 => node.kernel.set_up(now, link.index, true, true),
                (Some(link), _) if what == 4 && is_free => node.kernel.rename(now, link.index, "moved"),
                (Some(link), _) => {
                    node.kernel.unplug(now, link.index);
                    node.empty_inbox(lan);
                }
                (None, Some(link)) => node.kernel.rename(now, link.index, lan_name(lan)),
                (None, None) => node.plug(now, lan),
            }
        });
    }

    fn reload(world: &mut World, at: usize) {
        let vr = world.random.index(world.plan.vrs.len());
        let what = world.random.below(4);
        let own = &mut world.priorities[at];
        match what {
            0 if own.iter().flatten().count() > 1 => own[vr] = None,
            1 => own.iter_mut().for_each(|p| *p = p.or(Some(100))),
            _ => own[vr] = Some(priority(&mut world.random)),
        }
        let name = world.nodes[at].name();
        world.tell(format_args!("{name} reloads with priorities {:?}", world.priorities[at]));
        Self::load(world, at);
    }

    /// Gives a node the configuration of its priorities.
    fn load(world: &mut World, at: usize) {
        let own = world.priorities[at].clone();
        let config = world.plan.config(&mut world.random, at, &own);
        let vrs = (0..own.len()).filter(|vr| own[*vr].is_some()).collect();
        world.act(at, |node, now, random, sent| node.reload(now, config, vrs, random, sent));
    }

    /// Ends all trouble: every router runs, on LANs that work, and finds everything well.
    pub(crate) fn heal(world: &mut World) {
        world.tell(format_args!("all trouble ends"));
        let now = world.now;
        for lan in &mut world.lans {
            (lan.loss_percent, lan.duplicate_percent) = (0, 0);
            lan.delay_max = Duration::from_millis(2);
            lan.side.fill(0);
            lan.changed_at = now;
        }
        for at in 0..world.nodes.len() {
            let node = &mut world.nodes[at];
            (node.refuse_percent, node.clock_ahead, node.disturbed_at) = (0, 0, now);
            node.verdicts.fill(0);
            let is_leaving = node.is_leaving;
            if is_leaving && node.has_engine() {
                node.kill(now);
            }
            world.priorities[at].iter_mut().for_each(|p| *p = p.or(Some(100)));
            for lan in 0..world.lans.len() {
                world.act(at, |node, now, _, _| {
                    let moved = node.kernel.named("moved").copied();
                    match (node.kernel.named(lan_name(lan)).copied(), moved) {
                        (Some(link), _) => node.kernel.set_up(now, link.index, true, true),
                        (None, Some(link)) if link.mac == Some(mac(at, lan)) => {
                            node.kernel.rename(now, link.index, lan_name(lan));
                            node.kernel.set_up(now, link.index, true, true);
                        }
                        (None, _) => node.plug(now, lan),
                    }
                });
            }
            if world.nodes[at].paused_until.is_some() {
                world.act(at, Node::wake);
            }
            Self::load(world, at);
            if !world.nodes[at].has_engine() {
                world.act(at, Node::start);
            }
            for vr in 0..world.plan.vrs.len() {
                world.act(at, |node, now, random, sent| {
                    node.resign(now, vr, Duration::ZERO, random, sent);
                });
            }
        }
    }
}
