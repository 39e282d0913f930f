//! Thousands of damaged files from a seed: no panic, no silence, and every place that is named exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sim/random.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod random;

use random::Random;
use vipd::config::{parse, parse_bytes};

const S1: &str = include_str!("../configs/s1-router-27.toml");
const S2: &str = include_str!("../configs/s2-router-27.toml");
/// Trackers, a group, routes, rules and commands.
const GATEWAY: &str = include_str!("../configs/gateway.toml");
/// Groups, marks, names, tunnels, checks of many types.
const BALANCER: &str = include_str!("../configs/load-balancer.toml");
const ROUNDS: u64 = 10_000;

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

fn damaged(right: &str, random: &mut Random) -> Vec<u8> {
    let mut text = right.as_bytes().to_vec();
    for _ in 0..=random.index(4) {
        let at = random.index(text.len() + 1);
        let to = (at + random.index(12)).min(text.len());
        let piece = PIECES[random.index(PIECES.len())].bytes();
        match random.index(8) {
            0 => drop(text.drain(at..to)),
            1 | 2 => drop(text.splice(at..at, piece)),
            3 => drop(text.splice(at..to, piece)),
            4 => text.truncate(at.max(1)),
            5 => {
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= 1 << random.index(8);
                }
            }
            6 => {
                let mut lines: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                let (a, b) = (random.index(lines.len()), random.index(lines.len()));
                lines.swap(a, b);
                text = lines.join(&b'\n');
            }
            _ => {
                let copy = text[at..(at + random.index(200)).min(text.len())].to_vec();
                drop(text.splice(at..at, copy));
            }
        }
    }
    text
}

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
        let bytes = damaged(right, &mut random);
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
        let bytes = damaged(S1, &mut random);
        if let Ok(text) = core::str::from_utf8(&bytes) {
            assert_eq!(parse(text, "f"), parse(text, "f"));
        }
    }
}
