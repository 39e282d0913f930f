//! The real program: what it prints, and its exit codes (design.md §5).

#![allow(clippy::unwrap_used, reason = "a test")]

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn vipd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vipd")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A path of this test's own in the temporary directory.
fn temporary(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("vipd-cli-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// All that the help lists, and not `help` itself.
const COMMANDS: [&str; 12] = [
    "run", "check", "import", "status", "events", "reload", "resign", "restore", "drain", "undrain", "probe",
    "version",
];

const GOOD: &str = r#"
[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 50
addresses = ["10.0.0.100/24"]

[[service]]
name = "web"
address = "10.0.0.100:80"

[[service.server]]
address = "192.168.234.47:80"
"#;

#[test]
fn help_fits_80_columns_and_knows_every_command() {
    let all = vipd(&["help"]);
    assert_eq!(all.status.code(), Some(0));
    let mut texts = vec![out(&all)];
    for command in COMMANDS {
        assert!(texts[0].contains(&format!("\n  {command} ")), "{command} is not in the list of commands");
        let help = vipd(&["help", command]);
        assert_eq!(help.status.code(), Some(0));
        assert_eq!(out(&help), out(&vipd(&[command, "--help"])), "both ways to ask give the same");
        assert!(out(&help).starts_with(&format!("Usage: vipd {command}")), "{}", out(&help));
        texts.push(out(&help));
    }
    for line in texts.iter().flat_map(|text| text.lines()) {
        assert!(line.len() <= 80 && line.is_ascii(), "a serial console would wrap: {line}");
    }
    assert!(texts.iter().all(|text| text.lines().count() <= 23), "help that scrolls away helps nobody");
}

#[test]
fn help_names_the_options_that_there_are() {
    for command in COMMANDS {
        let help = out(&vipd(&["help", command]));
        let options =
            help.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).filter(|w| w.starts_with("--"));
        for option in options {
            // A command that does not know the option says so; any other mistake shows that it does.
            let said = err(&vipd(&[command, option, "--no-such-option"]));
            assert!(
                !said.contains(&format!("unknown option `{option}`")),
                "help {command} lies of {option}: {said}"
            );
        }
    }
}

#[test]
fn what_is_not_understood_exits_2_with_a_hint() {
    for (arguments, want) in [
        (&["statsu"][..], "Did you mean `status`?"),
        (&["status", "--jsno"], "Did you mean `--json`?"),
        (&["import"], "which file? vipd import KEEPALIVED.CONF"),
        (&["run", "vipd.toml"], "--config vipd.toml"),
        (&["drain", "web"], "which server? vipd drain SERVICE SERVER"),
        (&["undrian", "web", "10.0.0.11"], "Did you mean `undrain`?"),
        (&["probe", "web", "10.0.0.11 :80"], "in one word"),
        (&[], "Usage: vipd COMMAND"),
    ] {
        let output = vipd(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} is a usage error");
        assert!(err(&output).contains(want), "{arguments:?} should lead to {want:?}: {}", err(&output));
        assert!(output.stdout.is_empty(), "a script that reads standard output must not see a complaint");
    }
}

/// The examples name scripts and services that this box need not have: a warning, but no refusal.
#[test]
fn check_takes_every_example() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let output = vipd(&["check", "--config", path.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(0), "{}: {output:?}", path.display());
            if path.ends_with("gateway.toml") {
                let read = "2 instances, 1 sync group, 2 trackers, 0 services, 0 servers";
                assert!(out(&output).contains(read), "what was read: {}", out(&output));
            }
            count += 1;
        }
    }
    assert!(count >= 9, "only {count} examples are left");
}

#[test]
fn check_tells_good_from_bad() {
    let good = temporary("good.toml");
    std::fs::write(&good, GOOD).unwrap();
    let output = vipd(&["check", "--config", good.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "a valid file: {}", err(&output));
    assert!(out(&output).contains("1 instance, 1 service, 1 server"), "what was read: {}", out(&output));

    let bad = temporary("bad.toml");
    std::fs::write(&bad, GOOD.replace("vrid = 50", "vird = 50")).unwrap();
    let output = vipd(&["check", "--config", bad.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "law 4: an unknown key is refused");
    let place = format!("{}:5:1: error: unknown key `vird`", bad.display());
    assert!(err(&output).contains(&place), "file, line and column, and what: {}", err(&output));
    assert!(err(&output).lines().all(|line| line.starts_with(bad.to_str().unwrap())), "one finding a line");

    let missing = vipd(&["check", "--config", "/nonexistent/vipd.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("cannot be read"), "{}", err(&missing));
    for path in [good, bad] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn no_daemon_is_code_3() {
    let path = temporary("nobody.sock");
    let of_a_server = |command| [command, "web", "10.0.0.11:80"];
    let commands = ["status", "events", "reload"].map(|command| vec![command]).into_iter();
    for command in commands.chain(["drain", "undrain", "probe"].map(|c| of_a_server(c).to_vec())) {
        let output = vipd(&[&command[..], &["--socket", path.to_str().unwrap()]].concat());
        let command = command[0];
        assert_eq!(output.status.code(), Some(3), "`vipd {command}` must not look like a healthy daemon");
        assert!(err(&output).contains("not running"), "{}", err(&output));
    }
    let version = vipd(&["version", "--socket", path.to_str().unwrap()]);
    assert_eq!(version.status.code(), Some(0), "the program's own version needs no daemon");
    assert_eq!(out(&version), concat!("vipd ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_daemon_that_hangs_is_code_4_within_3_seconds() {
    let path = temporary("silent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let begin = Instant::now();
    let output = vipd(&["status", "--socket", path.to_str().unwrap()]);
    let took = begin.elapsed();
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(4), "a watchdog must tell a hung daemon from a dead one");
    assert!(took < Duration::from_secs(3), "an operator would give up after {took:?}");
    assert!(
        err(&output).contains("does not answer") || err(&output).contains("did not answer"),
        "{}",
        err(&output)
    );
}

/// A daemon of the test: answers each connection with `reply`.
fn answering(
    name: &str,
    reply: &'static [u8],
    times: usize,
) -> (PathBuf, std::thread::JoinHandle<Vec<String>>) {
    use std::io::{BufRead, BufReader, Write};
    let path = temporary(name);
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for _ in 0..times {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            asked.push(line);
            stream.write_all(reply).unwrap();
        }
        asked
    });
    (path, thread)
}

#[test]
fn a_reply_is_printed_with_its_code() {
    let (path, daemon) = answering("reply.sock", b"vipd1 code=1 bytes=5\ngw-a\n", 1);
    let output = vipd(&["status", "--json", "--socket", path.to_str().unwrap(), "web"]);
    assert_eq!(output.status.code(), Some(1), "degraded is told by the code");
    assert_eq!(out(&output), "gw-a\n", "the header is not for people");
    assert_eq!(
        daemon.join().unwrap(),
        ["vipd1 status --json -- web\n"],
        "the daemon was asked something else"
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_server_is_asked_for_by_the_words_of_the_user() {
    let (path, daemon) = answering("probe.sock", b"vipd1 code=1 bytes=7\nFAILED\n", 3);
    let socket = path.to_str().unwrap();
    let probe = vipd(&["probe", "--json", "my site", "[2001:db8::1]:80", "--socket", socket]);
    assert_eq!((probe.status.code(), out(&probe).as_str()), (Some(1), "FAILED\n"), "a result is an answer");
    let drain = vipd(&["drain", "web", "www.example.org", "--socket", socket]);
    assert_eq!(err(&drain), "FAILED\n", "what is refused is a complaint");
    vipd(&["undrain", "--socket", socket, "web", "10.0.0.11"]);
    assert_eq!(
        daemon.join().unwrap(),
        [
            "vipd1 probe --json -- my site [2001:db8::1]:80\n",
            "vipd1 drain -- web www.example.org\n",
            "vipd1 undrain -- web 10.0.0.11\n"
        ],
        "the daemon was asked something else"
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn watch_ends_when_nobody_reads() {
    let (path, daemon) = answering("watch.sock", b"vipd1 code=0 bytes=5\ngw-a\n", 1);
    let mut child = Command::new(env!("CARGO_BIN_EXE_vipd"))
        .args(["status", "--watch", "--socket", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    daemon.join().unwrap();
    let begin = Instant::now();
    drop(child.stdout.take());
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begin.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    std::fs::remove_file(path).unwrap();
    assert!(ended.is_some(), "`vipd status --watch | head -3` would go on for ever");
}
