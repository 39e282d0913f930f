//! Thousands of damaged files from a seed: no panic, no silence, and every place that is named exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "texts/damage.rs"]
mod damage;
#[path = "sim/random.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod random;

use damage::Damage;
use random::Random;
use vipd::config::{parse, parse_bytes};

const S1: &str = include_str!("../configs/s1-router-27.toml");
const S2: &str = include_str!("../configs/s2-router-27.toml");
/// Trackers, a group, routes, rules and commands.
const GATEWAY: &str = include_str!("../configs/gateway.toml");
/// Groups, marks, names, tunnels, checks of many types.
const BALANCER: &str = include_str!("../configs/load-balancer.toml");
const ROUNDS: u64 = 10_000;
const DAMAGE: Damage = Damage { pieces: PIECES, most: 4, cut: 100 };

/// What mistakes are made of.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    ";",
    "//",
    "\\",
    "\n",
    " ",
    "\t",
    "\r",
    "\0",
    "é",
    "“",
    "-1",
    "0",
    "1s",
    "1.5",
    "999999999999999999999",
    "0x7f",
    "true",
    "inf",
    "nan",
    "1979-05-27",
    "\"\"\"",
    "'''",
    "a.b.c",
    "vrid = 1\n",
    "[vrrp]\n",
    "[[vrrp]]\n",
    "[[service]]\n",
    "[service.server]\n",
    "check = false\n",
    "10.0.0.1/24",
    "[::]:0",
    "\"fe80::1%eth0\"",
    "forever",
    "priority",
    "weight = -0\n",
    "\"255.255.255.255:0\"",
    "10.0.0.1-20:80",
    "fwmark = 0\n",
    "type = \"https\"",
    "type = \"file\"",
    "checks = [{}]\n",
    "\u{202e}",
    "\u{feff}",
];

#[test]
fn a_damaged_s1_is_refused_or_right_but_never_silent() {
    damage(S1, 112, ROUNDS);
}

#[test]
fn a_damaged_s2_is_refused_or_right_but_never_silent() {
    damage(S2, 224, ROUNDS);
}

#[test]
fn a_damaged_gateway_is_refused_or_right_but_never_silent() {
    damage(GATEWAY, 336, ROUNDS / 2);
}

#[test]
fn a_damaged_load_balancer_is_refused_or_right_but_never_silent() {
    damage(BALANCER, 448, ROUNDS / 4);
}

fn damage(right: &str, seed: u64, rounds: u64) {
    let mut random = Random::new(seed);
    let (mut refused, mut taken) = (0u32, 0u32);
    for round in 0..rounds {
        let bytes = DAMAGE.to(right, &mut random);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (config, diagnostics) = parse_bytes(&bytes, "f");
        assert_eq!(config.is_none(), diagnostics.has_errors(), "round {round}: silence\n{shown}");
        match config {
            Some(_) => taken += 1,
            None => refused += 1,
        }
        let lines: Vec<&str> = shown.split('\n').collect();
        for found in diagnostics.iter() {
            let text = found.to_string();
            assert!(
                !text.chars().any(char::is_control),
                "round {round}: one line each (SEC-15): {text:?}\n{shown}"
            );
            assert!(!found.what.is_empty() && !found.what.ends_with('.'), "round {round}: {text}");
            assert!(text.len() < 1000, "round {round}: too long to read: {text}");
            let line = usize::try_from(found.line).unwrap();
            let column = usize::try_from(found.column).unwrap();
            let longest = lines.get(line.wrapping_sub(1)).map(|line| line.chars().count() + 1);
            assert!(line == 0 || longest.is_some_and(|n| column <= n), "round {round}: {text}\n{shown}");
        }
    }
    assert!(
        refused > 500 && taken > 250,
        "the damage is too heavy or too light: {refused} refused, {taken} taken"
    );
}

/// A configuration that was taken says the same again: reading depends on nothing but the text.
#[test]
fn reading_twice_gives_the_same() {
    let mut random = Random::new(7);
    for _ in 0..500 {
        let bytes = DAMAGE.to(S1, &mut random);
        if let Ok(text) = core::str::from_utf8(&bytes) {
            assert_eq!(parse(text, "f"), parse(text, "f"));
        }
    }
}
