//! Thousands of damaged keepalived.conf from a seed: no panic, no silence, every place that is named exists,
//! and the same file gives the same text.

#![cfg(feature = "import")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

#[path = "texts/damage.rs"]
mod damage;
#[path = "import/memory.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod memory;
#[path = "sim/random.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod random;

use damage::Damage;
use memory::Memory;
use random::Random;
use vipd::config::keepalived::{Options, count_pieces, import, outline};
use vipd::config::parse;

const LANGUAGE: &str = include_str!("import/language.conf");
const OPTIONS: Options<'static> = Options { config_id: "main" };
/// Most files keep their end: what comes after a cut would never be read.
const DAMAGE: Damage = Damage { pieces: PIECES, most: 5, cut: 20 };

/// What mistakes are made of.
const PIECES: &[&str] = &[
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "#",
    "!",
    "//",
    "@",
    "@main ",
    "@^main ",
    "$",
    "${",
    "$X",
    "$X=",
    "${X}",
    "~",
    "~SEQ(i,3) ",
    "~SEQ(i,1,1000000000) ",
    "~SEQx(",
    "~LST(v,a,b) ",
    "~LST({",
    ",",
    "(",
    ")",
    "\n",
    "\\\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\u{feff}",
    "\u{a0}",
    "\u{201c}",
    "é",
    "{{ x }}",
    "@X@",
    "include conf.d/*\n",
    "include main.conf\n",
    "include {a,b",
    "[",
    "${_RANDOM 1 2}",
    "${_RANDOM 9 1}",
    "${_ENV",
    "${_PWD}",
    "-1",
    "0",
    "99999999999999999999",
    "1.5",
    "vrrp_instance A {\n",
    "virtual_server 10.0.0.1 80 {\n",
    "priority 255\n",
    "real_server fwmark 0 {\n",
    "10.0.0.1/33",
    "::1/129",
    "$R=$R\n$R\n",
    "$M=a \\\n$M \\\n",
    "weight",
    "unknwon",
];

#[test]
fn a_damaged_file_is_read_or_told_but_never_silent() {
    let mut random = Random::new(5);
    let (mut unreadable, mut wrong, mut right) = (0, 0, 0);
    for round in 0..4000 {
        let bytes = DAMAGE.to(LANGUAGE, &mut random);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let files = [("conf.d/1.conf", "global_defs {\n router_id x\n}\n"), ("conf.d/2.conf", "}")];
        let mut memory = Memory::new(&files);
        memory.put("main.conf", &bytes);
        let done = import("main.conf", &mut memory, OPTIONS);
        assert!(done.is_readable || done.has_errors, "round {round}: silence\n{shown}");
        match (done.is_readable, done.has_errors) {
            (false, _) => unreadable += 1,
            (true, true) => wrong += 1,
            (true, false) => right += 1,
        }
        if !done.has_errors {
            let (config, found) = parse(&done.text, "f");
            assert!(config.is_some(), "round {round}: {found:?}\n{}\n{shown}", done.text);
        }
        let lines: Vec<&str> = shown.split('\n').collect();
        for finding in &done.findings {
            let found = &finding.diagnostic;
            let text = found.to_string();
            assert!(!text.chars().any(char::is_control), "round {round}: one line each: {text:?}\n{shown}");
            assert!(
                !found.what.is_empty() && (!found.what.ends_with('.') || found.what.ends_with("...")),
                "round {round}: {text}"
            );
            assert!(text.len() < 3000, "round {round}: too long to read: {text}");
            let line = usize::try_from(found.line).unwrap();
            let column = usize::try_from(found.column).unwrap();
            let longest = lines.get(line.wrapping_sub(1)).map(|line| line.chars().count() + 1);
            let is_there = line == 0 || found.file != "main.conf" || longest.is_some_and(|n| column <= n);
            assert!(is_there, "round {round}: {text}\n{shown}");
        }
        if round % 16 == 0 {
            assert_eq!(
                import("main.conf", &mut memory, OPTIONS),
                done,
                "round {round}: the same again\n{shown}"
            );
        }
    }
    assert!(wrong > 500, "the damage is too light: {unreadable} unreadable, {wrong} wrong, {right} right");
}

/// What the fuzzer found worth keeping (`tests/fuzz/corpus`), in each build, without the fuzzer.
#[test]
fn what_the_fuzzer_kept_is_read_without_a_panic_and_never_in_silence() {
    let mut files = 0;
    for target in ["lexer", "expander", "import"] {
        let directory = format!("{}/tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(directory).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(count_pieces(&bytes) <= bytes.len());
            let done = import("main.conf", &mut Memory::of_bytes("main.conf", &bytes), OPTIONS);
            assert!(done.is_readable || done.has_errors, "silence: {}", String::from_utf8_lossy(&bytes));
            files += 1;
        }
    }
    assert!(files > 40, "{files} files");
}

/// Found by the fuzzer: each route was compared with all before it, so that 8000 took 20 s on a fast
/// machine; so were the checks of each server with those of all others. The limit is far from what it takes.
#[test]
fn time_grows_with_the_file_and_not_with_its_square() {
    let addresses = (0..8000).map(|n| format!("10.1.{}.{}", n / 200, n % 200));
    let routes: String = addresses.clone().map(|at| format!("{at}/32 via 10.0.0.1 dev eth0\n")).collect();
    let servers: String =
        addresses.map(|at| format!("real_server {at} 80 {{\nTCP_CHECK {{\n}}\n}}\n")).collect();
    let routes = format!("static_routes {{\n{routes}}}\n");
    let servers = format!("virtual_server 10.0.0.100 80 {{\nprotocol TCP\n{servers}}}\n");
    for (text, last) in [(routes, "10.1.39.199/32"), (servers, "10.1.39.199:80")] {
        let begin = std::time::Instant::now();
        let done = import("main.conf", &mut Memory::of_bytes("main.conf", text.as_bytes()), OPTIONS);
        assert!(done.text.contains(last), "{:?}", done.findings.first());
        assert!(begin.elapsed().as_secs() < 60, "{last}: {:?}", begin.elapsed());
    }
}

/// Every statement of every file of the corpora is in the tree. They are counted here in another way, in the
/// files that have no substitution.
#[test]
fn nothing_of_the_corpora_is_lost() {
    let root = env!("CARGO_MANIFEST_DIR");
    let places = ["../shared/corpus", "../../shared/corpus"].map(|place| format!("{root}/{place}"));
    let Some(place) = places.iter().find(|place| std::fs::metadata(place).is_ok()) else {
        eprintln!("SKIPPED: no corpora beside the project");
        return;
    };
    let (mut files, mut compared, mut statements) = (0, 0, 0);
    for directory in ["article", "keepalived-samples", "keepalived-issues"] {
        for entry in std::fs::read_dir(format!("{place}/{directory}")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let (text, _) = outline("k.conf", &mut Memory::of_bytes("k.conf", &bytes), OPTIONS);
            let _ = import("k.conf", &mut Memory::of_bytes("k.conf", &bytes), OPTIONS);
            files += 1;
            let source = String::from_utf8_lossy(&bytes);
            let is_plain = !source.contains(['$', '~', '@', '"']) && !source.contains("include");
            if !is_plain || source.contains("{{") {
                continue;
            }
            let has_words = |piece: &&str| !piece.trim().is_empty();
            let expected: usize = source
                .lines()
                .map(|line| line.split(['#', '!']).next().unwrap().split(" //").next().unwrap())
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| line.split(['{', '}']).filter(has_words).count())
                .sum();
            let found = text.split(['{', '}', ';']).filter(has_words).count();
            assert_eq!(found, expected, "{}\n{text}", path.display());
            compared += 1;
            statements += found;
        }
    }
    println!("{files} files read, {statements} statements of {compared} compared");
    assert!(files > 150 && compared > 40, "{files} files, {compared} compared");
}
