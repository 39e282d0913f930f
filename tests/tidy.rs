//! The house of `src/lib.rs`, held: who may import whom, which words live in which room, sizes, leftovers.
//!
//! Each rule is tried on a small bad text first (`tests` at the end): a rule that cannot fail proves nothing.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

#[path = "tidy/lexer.rs"]
mod lexer;

use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS_MAX: usize = 110;
const LINES_MAX: usize = 600;

/// Rooms by floor, the lowest first. Imports go to a lower floor only; rooms of one floor do not meet.
const FLOORS: &[&[&str]] = &[
    &["time", "limits"],
    &["wire"],
    &["model"],
    &["engine", "control", "probe", "config"],
    &["sys"],
    &["cli"],
    &["main"],
];

/// Paths and where alone they may be used outside tests, with the reason that the message gives.
const WORDS: &[(&[&str], &[&str], &str)] = &[
    (&["std::thread"], &[], "one thread, one poll loop (law 1)"),
    (&["AtomicU64", "AtomicI64"], &[], "32-bit MIPS has no 64-bit atomics"),
    (&["HashMap", "HashSet"], &[], "their order differs from run to run; use BTreeMap or a Vec"),
    (&["async", "tokio"], &[], "one poll loop, no async"),
    (&["libc", "nix", "unsafe"], &["sys"], "system calls belong to sys"),
    (&["simplelog"], &["sys"], "the log's writer belongs to sys"),
    (&["std::process::exit", "std::process::ExitCode"], &["sys", "cli", "main"], "only cli ends the process"),
    (&["std::process"], &["sys", "cli", "main"], "processes belong to sys"),
    (
        &["RawFd", "OwnedFd", "BorrowedFd", "AsRawFd", "AsFd", "FromRawFd", "IntoRawFd", "std::os"],
        &["sys"],
        "descriptors belong to sys",
    ),
    (
        &["SystemTime", "std::time", "Instant::now", "UNIX_EPOCH"],
        &["sys"],
        "only sys reads a clock; the rest is handed `now`",
    ),
    (&["std::fs", "std::path"], &["sys", "cli"], "files belong to sys, and cli names them"),
    (&["std::env"], &["sys", "cli"], "the environment belongs to sys and cli"),
    (
        &[
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::net::ToSocketAddrs",
            "UnixStream",
            "UnixListener",
        ],
        &["sys", "probe"],
        "sockets belong to sys, and probe is handed one",
    ),
    (
        &["std::io"],
        &["sys", "probe", "cli"],
        "input and output belong to sys, probe (its socket) and cli (the terminal)",
    ),
    (&["println", "print"], &["cli"], "only cli writes to standard output"),
    (&["eprintln", "eprint"], &["cli", "sys"], "only cli and the log of sys write to standard error"),
    (&["log"], &["sys", "cli"], "the lower rooms return values, sys logs them"),
    (&["ureq_proto", "rustls", "md5"], &["probe"], "conversations belong to probe (law 6)"),
    (&["regex_lite"], &["config", "probe"], "config compiles to find mistakes, probe to use it"),
    (&["toml"], &["config"], "only config knows the text format"),
    (&["lexopt"], &["cli"], "only cli reads arguments"),
    (&["smoltcp"], &["wire", "time"], "only wire knows formats; time comes from crate::time"),
];

/// What wire may not use outside tests: it writes into the caller's buffer.
const HEAP: &[&str] =
    &["Vec", "String", "Box", "Rc", "Arc", "format", "vec", "to_vec", "to_string", "to_owned"];

/// Exceptions to `WORDS` and to the floors, each with its reason: (file, path, why).
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Top level, as design.md §3 has it; names that begin with a dot go too.
const TOP_LEVEL: &[&str] = &["Cargo.toml", "src", "buildroot", "board", "configs", "tests", "README.md"];
const TOP_LEVEL_ALSO: &[&str] = &["Cargo.lock", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "target"];

#[test]
fn house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = read_all(root, "src");
    assert!(sources.len() > 10, "found only {} files in src: the walk is broken", sources.len());
    let mut findings = check_sources(&sources);
    for (file, text) in read_all(root, "tests") {
        check_text(&file, &text, &mut findings);
        check_leftovers(&file, &lexer::tokens(&text), &mut findings);
    }
    for (file, _, why) in EXCEPTIONS {
        assert!(!why.is_empty(), "the exception for {file} has no reason");
        assert!(root.join(file).exists(), "the exception for {file} is stale");
    }
    check_top_level(root, &mut findings);
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// SOCK-30: what crosses the network is big-endian on every processor; the processor's own order is for the
/// kernel's messages alone. Miri runs the golden vectors for a big-endian processor:
/// `cargo +nightly miri test --target s390x-unknown-linux-gnu --lib wire::vrrp`.
#[test]
fn sock_30_only_messages_of_the_kernel_have_the_order_of_the_processor() {
    const OF_THE_KERNEL: [&str; 5] = ["netlink", "rtnetlink", "genetlink", "ipvs", "connector"];
    let sources = read_all(Path::new(env!("CARGO_MANIFEST_DIR")), "src/wire");
    let mut of_the_network = 0;
    for (file, text) in &sources {
        let format = file.trim_start_matches("src/wire/").split(['/', '.']).next().unwrap();
        if !OF_THE_KERNEL.contains(&format) {
            of_the_network += 1;
            assert!(!text.contains("_ne_bytes"), "{file} is not a format of the kernel (SOCK-30)");
            assert!(!text.contains("_le_bytes"), "{file}: nothing on a network is little-endian (SOCK-30)");
        }
    }
    assert!(of_the_network > 10, "only {of_the_network} of {} files looked at", sources.len());
}

/// SOCK-31: a number is made of its bytes, wherever they lie. sys writes `unsafe`, and not for that.
#[test]
fn sock_31_bytes_are_not_taken_for_structs() {
    for (file, text) in read_all(Path::new(env!("CARGO_MANIFEST_DIR")), "src") {
        for word in ["transmute", "from_raw_parts", "align_to", "repr(packed", "repr(C, packed"] {
            assert!(!text.contains(word), "{file}: `{word}` (SOCK-31)");
        }
    }
}

/// All rules that concern `src/`; `sources` are (path from the root, text).
fn check_sources(sources: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    let test_files = test_files(sources);
    for (file, text) in sources {
        let tokens = lexer::tokens(text);
        let all_test = test_files.iter().any(|t| file == t || file.starts_with(&format!("{t}/")));
        let mut in_test = lexer::test_regions(&tokens);
        if all_test {
            in_test.fill(true);
        }
        check_text(file, text, &mut findings);
        check_leftovers(file, &tokens, &mut findings);
        check_imports(file, &tokens, &mut findings);
        check_words(file, &tokens, &in_test, &mut findings);
        check_methods(file, &tokens, &in_test, &mut findings);
        check_panics(file, &tokens, &in_test, &mut findings);
    }
    findings
}

/// Lengths, and words that say that the work is not done.
fn check_text(file: &str, text: &str, findings: &mut Vec<String>) {
    let unfinished = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    for (number, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            findings.push(format!("{file}:{}: {columns} columns, at most {COLUMNS_MAX}", number + 1));
        }
        if let Some(word) =
            unfinished.iter().find(|w| line.split(|c: char| !c.is_alphanumeric()).any(|x| x == **w))
        {
            findings.push(format!("{file}:{}: `{word}` left over: do it, or open an issue", number + 1));
        }
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!("{file}:{lines}: {lines} lines, at most {LINES_MAX}: split it by noun"));
    }
}

fn check_leftovers(file: &str, tokens: &[lexer::Token], findings: &mut Vec<String>) {
    for (i, token) in tokens.iter().enumerate() {
        let next = tokens.get(i + 1).map_or("", |t| t.text.as_str());
        if ["todo", "unimplemented", "dbg"].contains(&token.text.as_str()) && next == "!" {
            findings.push(format!("{file}:{}: `{}!` left over", token.line, token.text));
        }
        if token.text == "ignore" && i > 1 && tokens[i - 1].text == "[" && tokens[i - 2].text == "#" {
            findings.push(format!(
                "{file}:{}: an ignored test: make it skip with a reason, or fix it",
                token.line
            ));
        }
    }
}

fn check_imports(file: &str, tokens: &[lexer::Token], findings: &mut Vec<String>) {
    let room = room(file);
    let inline = lexer::module_depth(tokens);
    if room == "lib" {
        for token in tokens.iter().filter(|t| t.text == "use") {
            findings.push(format!("{file}:{}: lib.rs declares the rooms and re-exports nothing", token.line));
        }
        return;
    }
    for path in lexer::paths(tokens) {
        let supers = path.parts.iter().take_while(|p| *p == "super").count();
        let target = match path.parts[0].as_str() {
            "crate" => path.parts.get(1),
            "vipd" if room == "main" => path.parts.get(1),
            "super" if supers >= depth(file) + inline[path.at] => path.parts.get(supers),
            _ => None,
        };
        let Some(target) = target else { continue };
        let written = path.parts.join("::");
        if excepted(file, &written) {
            continue;
        }
        match (floor(&room), floor(target)) {
            (Some(here), Some(there)) if there < here || *target == room => {}
            (Some(here), Some(there)) => findings.push(format!(
                "{file}:{}: {room} imports `{written}`, {}",
                path.line,
                if here == there { "a room of the same floor" } else { "a room above it" }
            )),
            (None, _) => findings.push(format!("{file}:1: no room of the house has this file")),
            (_, None) => {
                findings.push(format!("{file}:{}: `{written}` is in no room of the house", path.line))
            }
        }
    }
}

fn check_words(file: &str, tokens: &[lexer::Token], in_test: &[bool], findings: &mut Vec<String>) {
    let room = room(file);
    let mut last = (0, "");
    for path in lexer::paths(tokens).iter().filter(|p| !in_test[p.at]) {
        let written = path.parts.join("::");
        if excepted(file, &written) {
            continue;
        }
        for (words, rooms, why) in WORDS {
            let Some(word) = words.iter().find(|w| uses(&path.parts, w)) else { continue };
            if !rooms.contains(&room.as_str()) && last != (path.line, why) {
                last = (path.line, why);
                findings.push(format!("{file}:{}: `{word}` in {room}: {why}", path.line));
            }
        }
        if room == "wire"
            && path.parts.iter().any(|p| HEAP.contains(&p.as_str()))
            && path.parts[0] != "heapless"
        {
            findings.push(format!("{file}:{}: `{written}` in wire, which allocates nothing", path.line));
        }
    }
}

/// The same for methods, which no path names.
fn check_methods(file: &str, tokens: &[lexer::Token], in_test: &[bool], findings: &mut Vec<String>) {
    const METHODS: &[&str] =
        &["concat", "join", "repeat", "to_vec", "to_string", "to_owned", "into_boxed_slice"];
    for (i, pair) in tokens.windows(2).enumerate().filter(|(i, _)| !in_test[*i] && room(file) == "wire") {
        if pair[0].text == "." && METHODS.contains(&pair[1].text.as_str()) {
            let (line, method) = (tokens[i + 1].line, &pair[1].text);
            findings.push(format!("{file}:{line}: `.{method}` in wire, which allocates nothing"));
        }
    }
}

/// Is `word` (`std::fs`, `RawFd`) used by a path? Words of one part match any part that can be it.
fn uses(parts: &[String], word: &str) -> bool {
    let word: Vec<&str> = word.split("::").collect();
    let is_crate = word.len() == 1 && word[0].chars().all(|c| c.is_lowercase() || c.is_numeric());
    if is_crate {
        return parts[0] == word[0];
    }
    let core_too: Vec<&str> = parts.iter().map(|p| if p == "core" { "std" } else { p.as_str() }).collect();
    core_too.windows(word.len()).any(|w| w == word)
}

fn check_panics(file: &str, tokens: &[lexer::Token], in_test: &[bool], findings: &mut Vec<String>) {
    for (i, token) in tokens.iter().enumerate().filter(|(i, _)| !in_test[*i]) {
        let next = tokens.get(i + 1).map_or("", |t| t.text.as_str());
        let previous = if i > 0 { tokens[i - 1].text.as_str() } else { "" };
        // `.expect()` without words is some method of ours.
        let argument = tokens.get(i + 2).is_some_and(|t| t.text != ")");
        let call = match token.text.as_str() {
            "unwrap" | "unwrap_err" => true,
            "expect" | "expect_err" => argument,
            _ => false,
        };
        let makes = ["panic", "unreachable"].contains(&token.text.as_str());
        if (call && previous == "." && next == "(") || (makes && next == "!") {
            findings.push(format!(
                "{file}:{}: `{}` outside tests: outside data must not end the daemon",
                token.line, token.text
            ));
        }
    }
}

fn check_top_level(root: &Path, findings: &mut Vec<String>) {
    let names: Vec<String> =
        fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    for name in &names {
        let known = TOP_LEVEL.contains(&name.as_str()) || TOP_LEVEL_ALSO.contains(&name.as_str());
        if !known && !name.starts_with('.') {
            findings.push(format!("{name}:1: the house has no such entry at its top level"));
        }
    }
    for name in TOP_LEVEL.iter().filter(|n| !names.iter().any(|x| x == **n)) {
        findings.push(format!("{name}:1: missing at the top level"));
    }
}

fn excepted(file: &str, written: &str) -> bool {
    EXCEPTIONS.iter().any(|(f, path, _)| *f == file && written.starts_with(path))
}

/// `src/wire/vrrp.rs` is in `wire`; `src/time.rs` is `time`.
fn room(file: &str) -> String {
    let inner = file.strip_prefix("src/").unwrap_or(file);
    inner.split('/').next().unwrap_or("").trim_end_matches(".rs").to_string()
}

/// How many modules deep the file's own module is: `src/time.rs`, `src/wire/mod.rs` 1, `src/wire/vrrp.rs` 2.
fn depth(file: &str) -> usize {
    file.strip_prefix("src/").unwrap_or(file).split('/').filter(|p| *p != "mod.rs").count()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Files and folders that `#[cfg(test)] mod x;` declares.
fn test_files(sources: &[(String, String)]) -> Vec<String> {
    let mut out = Vec::new();
    for (file, text) in sources {
        let path = PathBuf::from(file);
        let parent = path.parent().unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy();
        let folder =
            if ["mod", "lib", "main"].contains(&stem.as_ref()) { parent.into() } else { parent.join(&*stem) };
        for name in lexer::test_modules(&lexer::tokens(text)) {
            out.push(folder.join(format!("{name}.rs")).to_string_lossy().into_owned());
            out.push(folder.join(name).to_string_lossy().into_owned());
        }
    }
    out
}

fn read_all(root: &Path, folder: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

mod tests {
    use super::*;

    /// What the rules say of one file.
    fn findings(file: &str, text: &str) -> Vec<String> {
        check_sources(&[(file.to_string(), text.to_string())])
    }

    #[track_caller]
    fn refused(file: &str, text: &str, message: &str) {
        let found = findings(file, text);
        assert!(
            found.iter().any(|f| f.contains(message)),
            "{file}: {text:?} gave {found:?}, not {message:?}"
        );
    }

    #[track_caller]
    fn accepted(file: &str, text: &str) {
        assert_eq!(findings(file, text), Vec::<String>::new(), "{file}: {text:?}");
    }

    #[test]
    fn imports_go_down_only() {
        refused(
            "src/wire/a.rs",
            "use crate::engine::Event;",
            "src/wire/a.rs:1: wire imports `crate::engine::Event`, a room above",
        );
        refused(
            "src/engine/a.rs",
            "\nuse crate::{limits, config::Toml};",
            "src/engine/a.rs:2: engine imports `crate::config",
        );
        refused("src/probe/a.rs", "fn f() { crate::engine::g() }", "a room of the same floor");
        refused("src/time.rs", "use crate::limits;", "a room of the same floor");
        refused("src/sys/run.rs", "use crate::cli::Help;", "a room above it");
        refused(
            "src/wire/a.rs",
            "use super::super::model::Name;",
            "wire imports `super::super::model::Name`",
        );
        refused("src/wire/mod.rs", "mod t { use super::super::model::Name; }", "a room above it");
        refused("src/wire/a.rs", "use crate::misc::Name;", "in no room");
        refused("src/misc.rs", "use crate::time::Instant;", "no room of the house has this file");
        refused("src/lib.rs", "pub use engine::Engine;", "re-exports nothing");
        accepted("src/sys/run.rs", "use crate::{engine::Event, probe, time::{Duration, Instant}};");
        accepted(
            "src/wire/a.rs",
            "use super::b; use super::super::wire::c; mod tests { use super::super::d; }",
        );
        accepted("src/main.rs", "fn main() { vipd::cli::main() }");
    }

    #[test]
    fn words_stay_in_their_rooms() {
        for bad in [
            "use std::{fs, net::IpAddr};",
            "fn f() { unsafe { g() } }",
            "let a = libc::AF_INET;",
            "let a = std::time::Instant::now();",
            "use std::os::fd::OwnedFd;",
            "use nix::sys::socket;",
            "std::thread::spawn(f);",
            "let m: std::collections::HashMap<u8, u8>;",
            "println!(\"\");",
        ] {
            assert!(!findings("src/engine/a.rs", bad).is_empty(), "engine may not say {bad:?}");
        }
        refused("src/sys/a.rs", "use std::thread;", "one thread");
        refused("src/wire/a.rs", "fn f() -> Vec<u8> { g() }", "allocates nothing");
        refused("src/wire/a.rs", "fn f() { format!(\"\") }", "allocates nothing");
        refused("src/wire/a.rs", "fn f() { g([[0; 2]; 2].concat()) }", "allocates nothing");
        refused("src/config/a.rs", "use std::net::TcpStream;", "sockets belong to sys");
        accepted("src/probe/a.rs", "use std::net::TcpStream; use std::io::Read;");
        accepted("src/engine/a.rs", "use std::net::{IpAddr, SocketAddr}; use std::collections::BTreeMap;");
        accepted("src/wire/a.rs", "fn f() -> heapless::Vec<u8, 3> { g() }");
        accepted(
            "src/engine/a.rs",
            "// unsafe, libc\n/* std::fs /* nix */ unsafe */ const A: &str = \"unsafe \\\" libc\";",
        );
        accepted(
            "src/engine/a.rs",
            "const A: &str = r#\"unsafe \" libc\"#; const B: char = '\"'; fn f<'a>(x: &'a u8) {}",
        );
        accepted("src/probe/a.rs", "#[cfg(test)]\nmod tests { use std::thread; fn f() { g().unwrap(); } }");
    }

    #[test]
    fn panics_and_leftovers_are_found() {
        refused(
            "src/engine/a.rs",
            "fn f() {\n  g().unwrap();\n}",
            "src/engine/a.rs:2: `unwrap` outside tests",
        );
        refused("src/engine/a.rs", "fn f() { g().expect(\"it\"); }", "`expect` outside tests");
        refused("src/engine/a.rs", "fn f() { panic!(\"it\"); }", "`panic` outside tests");
        refused(
            "src/engine/a.rs",
            "#[cfg(test)] mod tests {} fn f() { g().unwrap(); }",
            "`unwrap` outside tests",
        );
        refused("src/engine/a.rs", "#[cfg(not(test))] fn f() { g().unwrap(); }", "`unwrap` outside tests");
        refused("src/engine/a.rs", concat!("fn f() { to", "do!() }"), "left over");
        refused("src/engine/a.rs", concat!("// FIX", "ME: this"), "left over");
        refused(
            "src/engine/a.rs",
            "#[cfg(test)] mod tests { #[test] #[ignore] fn f() {} }",
            "an ignored test",
        );
        refused("src/engine/a.rs", &"x".repeat(COLUMNS_MAX + 1), "111 columns");
        refused("src/engine/a.rs", &"\n".repeat(LINES_MAX + 1), "601 lines");
        accepted("src/engine/a.rs", "fn f() { g().unwrap_or(1); self.expect(); }");
        let declares = ("src/engine/mod.rs".to_string(), "#[cfg(test)]\nmod script;".to_string());
        let script = ("src/engine/script.rs".to_string(), "fn f() { g().unwrap(); }".to_string());
        assert_eq!(
            check_sources(&[declares, script.clone()]),
            Vec::<String>::new(),
            "a test file may unwrap"
        );
        assert_eq!(check_sources(&[script]).len(), 1, "the same file outside a test module may not");
    }

    #[test]
    fn strangers_at_the_top_level_are_found() {
        let folder = std::env::temp_dir().join(format!("vipd-tidy-{}", std::process::id()));
        fs::create_dir_all(folder.join("scripts")).unwrap();
        let mut findings = Vec::new();
        check_top_level(&folder, &mut findings);
        fs::remove_dir_all(&folder).unwrap();
        assert!(
            findings.iter().any(|f| f.starts_with("scripts:1: the house has no such entry")),
            "{findings:?}"
        );
        assert!(findings.iter().any(|f| f.starts_with("README.md:1: missing")), "{findings:?}");
    }
}
