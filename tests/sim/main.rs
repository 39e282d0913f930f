//! Simulation: several engines on a virtual LAN, a virtual clock, faults from a seed, the real wire format in
//! between; checkers for safety (never two Active routers that hear each other, never a VIP without an Active
//! router) and liveness (exactly one Active router, with its VIPs, once the faults stop).
//!
//! `VIPD_SIM_SEED=n` runs one seed and tells what happens; `VIPD_SIM_SEEDS=n` that many (300 where not
//! given).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod checker;
mod faults;
mod node;
#[allow(dead_code, reason = "others use the rest of it")]
mod random;
mod world;

use random::Random;
use world::World;

fn run(seed: u64, verbose: bool) -> Result<world::Summary, String> {
    let mut world = World::new(Random::new(seed), verbose);
    world.run().map_err(|why| format!("seed {seed}: {why}"))
}

#[test]
fn safety_and_liveness_under_seeded_faults() {
    if let Some(seed) = number("VIPD_SIM_SEED") {
        match run(seed, true) {
            Ok(summary) => println!("seed {seed}: {summary:?}"),
            Err(why) => panic!("{why}"),
        }
        return;
    }
    let seeds = number("VIPD_SIM_SEEDS").unwrap_or(300);
    let mut total = world::Summary::default();
    for seed in 0..seeds {
        match run(seed, false) {
            Ok(summary) => total.add(&summary),
            Err(why) => {
                panic!("{why}\nreproduce with VIPD_SIM_SEED={seed} cargo test --test sim -- --nocapture")
            }
        }
    }
    println!("{seeds} seeds: {total:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(total.failovers > seeds && total.frames_lost > seeds && total.faults > seeds * 5, "{total:?}");
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    assert_eq!(run(7, false), run(7, false), "without this a failing seed could not be looked into");
}

/// The checkers themselves: worlds in which something is wrong must not pass.
#[test]
fn the_checkers_catch_broken_routers() {
    for seed in 0..20 {
        let mut deaf = World::new(Random::new(seed), false);
        deaf.break_hearing();
        assert!(deaf.run().is_err(), "seed {seed}: two routers that never hear each other are both Active");
        let mut sticky = World::new(Random::new(seed), false);
        sticky.break_removal();
        assert!(sticky.run().is_err(), "seed {seed}: a VIP that is never removed stays on a Backup");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
