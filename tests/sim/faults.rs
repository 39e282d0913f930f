//! What goes wrong.

use crate::node::Node;
use crate::world::World;
use vipd::model::{Instance, Priority};
use vipd::time::Duration;

/// One kind of trouble. Those that last are ended by a later one, or by [`Fault::heal`].
pub(crate) struct Fault;

impl Fault {
    pub(crate) fn strike(world: &mut World) {
        let count = world.nodes.len() as u64;
        let at = world.random.below(count) as usize;
        let name = world.nodes[at].name;
        match world.random.below(14) {
            0 | 1 => Self::lan(world),
            2 => {
                for side in 0..world.side.len() {
                    world.side[side] = world.random.below(2) as u8;
                }
                world.lan_disturbed_at = world.now;
                world.tell(format_args!("partition {:?}", world.side));
            }
            3 => {
                world.side.fill(0);
                world.lan_disturbed_at = world.now;
                world.tell(format_args!("partition heals"));
            }
            4 | 5 if world.nodes[at].is_running() => {
                let length = world.random.between(Duration::from_millis(10), Duration::from_secs(12));
                world.tell(format_args!("{name} is frozen for {length}"));
                world.nodes[at].paused_until = Some(world.now + length);
                world.nodes[at].disturbed_at = world.now;
            }
            6 if world.nodes[at].has_engine() => {
                world.tell(format_args!("{name} is killed"));
                world.nodes[at].kill(world.now);
            }
            7 if world.nodes[at].is_running() => {
                world.tell(format_args!("{name} is stopped"));
                world.act(at, Node::stop);
            }
            6..=9 if !world.nodes[at].has_engine() => {
                world.tell(format_args!("{name} starts"));
                world.act(at, Node::start);
            }
            8 | 9 => {
                let up = !world.nodes[at].link_up;
                world.tell(format_args!("link of {name} goes {}", if up { "up" } else { "down" }));
                world.act(at, |node, now, random, sent| node.set_link(now, up, random, sent));
            }
            10 => {
                world.tell(format_args!("a VIP of {name} is taken away"));
                let now = world.now;
                world.nodes[at].take_vip(now);
            }
            11 => {
                world.nodes[at].refuse_percent = world.random.below(50);
                world.nodes[at].disturbed_at = world.now;
                world.tell(format_args!("kernel of {name} refuses {} %", world.nodes[at].refuse_percent));
            }
            12 if world.nodes[at].is_running() => {
                let priority = Priority::new(1 + world.random.below(254) as u8).unwrap();
                let config = Instance { priority, ..world.nodes[at].config.clone() };
                world.tell(format_args!("{name} reloads with priority {priority}"));
                world.act(at, |node, now, random, sent| node.reload(now, config, random, sent));
            }
            _ => world.tell(format_args!("nothing")),
        }
    }

    fn lan(world: &mut World) {
        world.loss_percent = if world.random.percent(50) { world.random.below(60) } else { 0 };
        world.duplicate_percent = world.random.below(30);
        // Reordering comes of it: each frame has its own delay.
        world.delay_max = world.random.between(Duration::from_millis(1), Duration::from_millis(80));
        world.lan_disturbed_at = world.now;
        world.tell(format_args!("LAN: loss {} %, delay up to {}", world.loss_percent, world.delay_max));
    }

    /// Ends all trouble: every router runs, on one LAN that works.
    pub(crate) fn heal(world: &mut World) {
        world.loss_percent = 0;
        world.duplicate_percent = 0;
        world.delay_max = Duration::from_millis(2);
        world.side.fill(0);
        world.lan_disturbed_at = world.now;
        world.tell(format_args!("all trouble ends"));
        for at in 0..world.nodes.len() {
            world.nodes[at].refuse_percent = 0;
            if !world.nodes[at].link_up {
                world.act(at, |node, now, random, sent| node.set_link(now, true, random, sent));
            }
            if !world.nodes[at].has_engine() {
                world.act(at, Node::start);
            } else if world.nodes[at].paused_until.is_some() {
                world.act(at, Node::wake);
            }
        }
    }
}
