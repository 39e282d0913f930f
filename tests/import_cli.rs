//! `vipd import`, and `vipd check` of a keepalived.conf: what they print, what they write, their exit codes.

#![cfg(feature = "import")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use vipd::config::parse;
use vipd::model::{CheckKind, Config, HttpVersion};

const GOOD: &str = "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n  @left priority 200\n  \
                    virtual_ipaddress {\n    10.0.0.100/24\n  }\n}\n";

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vipd-import-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn vipd(&self, words: &str) -> Said {
        vipd(&self.0, words)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs vipd in a folder.
fn vipd(folder: &Path, words: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipd"));
    command.args(words.split(' ')).current_dir(folder).stdin(Stdio::null()).output().unwrap().into()
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[track_caller]
fn config(text: &str) -> Config {
    parse(text, "f").0.unwrap_or_else(|| panic!("{text}"))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn toml_goes_where_it_is_asked_for() {
    let folder = Folder::new("where");
    folder.write("k.conf", GOOD);
    let said = folder.vipd("import k.conf");
    assert_eq!(said.code, 0, "{}", said.err);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines[0].starts_with("k.conf:4:3: note: ") && lines[0].contains("`@left`"), "{}", said.err);
    assert_eq!(lines[1..], ["k.conf: 1 note, 0 warnings, 0 errors"]);
    assert_eq!(config(&said.out).instances[0].priority.get(), 100);
    assert_eq!(folder.vipd("import k.conf -o -").out, said.out);
    assert_eq!(folder.vipd("import k.conf -o /dev/stdout").out, said.out, "no regular file is replaced");
    let other = folder.vipd("import k.conf --config-id left");
    assert_eq!(config(&other.out).instances[0].priority.get(), 200, "lines with @left count");
    let written = folder.vipd("import -o new.toml k.conf");
    assert_eq!((written.code, written.out.as_str()), (0, ""));
    let new = folder.0.join("new.toml");
    assert_eq!(std::fs::read_to_string(&new).unwrap(), said.out);
    assert_eq!(mode(&new), 0o600, "there may be passwords in it");
    let old = folder.write("old.toml", &"x".repeat(10_000));
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("old.toml", folder.0.join("link.toml")).unwrap();
    assert_eq!(folder.vipd("import k.conf --output link.toml").code, 0);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), said.out, "replaced as a whole");
    assert_eq!(mode(&old), 0o640, "whoever could read it still can");
    assert!(std::fs::symlink_metadata(folder.0.join("link.toml")).unwrap().is_symlink());
    assert_eq!(folder.names(), ["k.conf", "link.toml", "new.toml", "old.toml"], "nothing is left beside it");
    let same = folder.vipd("import k.conf -o ./k.conf");
    assert_eq!((same.code, std::fs::read_to_string(folder.0.join("k.conf")).unwrap().as_str()), (2, GOOD));
    assert!(same.err.contains("is what is read"), "{}", same.err);
    let nowhere = folder.vipd("import k.conf -o /nonexistent/x.toml");
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("/nonexistent/x.toml: error: "), "{}", nowhere.err);
}

#[test]
fn what_is_lost_is_code_1_and_strict_writes_nothing() {
    let folder = Folder::new("lost");
    let text =
        GOOD.replace("  @left priority 200\n", "").replace("  interface", "  no_such_word 5\n  interface");
    folder.write("k.conf", &text);
    let said = folder.vipd("import k.conf");
    assert_eq!(said.code, 1);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines[0].starts_with("k.conf:2:3: error: `no_such_word` "), "{}", said.err);
    assert_eq!(lines[1..], ["k.conf: 0 notes, 0 warnings, 1 error"]);
    assert_eq!(config(&said.out).instances.len(), 1, "what could be taken over is there");
    let strict = folder.vipd("import --strict k.conf -o t.toml");
    assert_eq!((strict.code, strict.out.as_str()), (1, ""));
    assert!(strict.err.contains(lines[0]) && strict.err.contains("Nothing is written"), "{}", strict.err);
    assert_eq!(folder.names(), ["k.conf"]);
    let check = folder.vipd("check k.conf");
    assert_eq!((check.code, check.out.as_str()), (1, ""));
    assert!(check.err.starts_with(lines[0]), "the same words: {}", check.err);
}

/// Who gets the TOML alone sees what differs in it, and from which line it comes.
#[test]
fn what_is_told_stands_beside_what_the_line_became() {
    let folder = Folder::new("beside");
    folder.write("part.inc", "no_such_word 5\n");
    let text = GOOD.replace("  @left priority 200\n", "  include part.inc\n  priority 300\n  state MASTER\n");
    folder.write("k.conf", &(text + "bfd_instance far {\n}\n"));
    let said = folder.vipd("import k.conf");
    let comments: Vec<&str> = said.out.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let comments = comments.join(" ");
    let mut told = 0;
    for line in said.err.lines().filter(|line| line.contains(": warning: ") || line.contains(": error: ")) {
        let (place, what) = line.split_once(": warning: ").or(line.split_once(": error: ")).unwrap();
        let (file, line) = place.rsplit_once(':').unwrap().0.rsplit_once(':').unwrap();
        let place = if file == "k.conf" { format!("line {line}") } else { format!("{file}:{line}") };
        assert!(comments.contains(&format!("{place}: {what}")), "{line}: {what}\n{}", said.out);
        told += 1;
    }
    assert!(told >= 3, "{}", said.err);
    let table = said.out.find("[[vrrp]]").unwrap();
    assert!(said.out.find("bfd_instance").unwrap() < table && table < said.out.len());
    assert_eq!(config(&said.out).instances.len(), 1, "comments and nothing else");
}

#[test]
fn what_is_no_keepalived_conf_is_code_2() {
    let folder = Folder::new("none");
    folder.write(
        "v.toml",
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 1\naddresses = [\"10.0.0.1\"]\n",
    );
    std::fs::write(folder.0.join("bytes"), (0..4096).map(|n| (n * 37 % 251) as u8).collect::<Vec<_>>())
        .unwrap();
    for name in ["v.toml", "bytes", "missing.conf"] {
        let said = folder.vipd(&format!("import {name} -o out.toml"));
        assert_eq!(said.code, 2, "{name}: {}", said.err);
        assert!(said.err.contains(name), "{}", said.err);
    }
    assert_eq!(folder.names(), ["bytes", "v.toml"], "nothing was written");
}

/// By content, whatever the name is.
#[test]
fn check_takes_a_keepalived_conf() {
    let folder = Folder::new("check");
    let included = "virtual_router_id 51\nvirtual_ipaddress {\n 10.0.0.100/24\n}\n";
    folder.write("part.inc", included);
    folder.write(
        "vipd.toml",
        "! a comment\nvrrp_instance VI_1 {\n interface eth0\n include part.inc\n debug 1\n}\n",
    );
    for words in ["check vipd.toml", "check --config vipd.toml"] {
        let said = folder.vipd(words);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.err.contains("vipd.toml:5:2: note: `debug` "), "{}", said.err);
        assert!(said.out.contains("vipd.toml is valid: 1 instance, 0 services, 0 servers"), "{}", said.out);
    }
    folder.write("part.inc", "virtual_router_id 551\n");
    let said = folder.vipd("check vipd.toml");
    assert_eq!(said.code, 1);
    assert!(
        said.err.lines().any(|line| line.starts_with("part.inc:1:")),
        "the file that it is in: {}",
        said.err
    );
}

/// The four files of the article that the scenarios S1 and S2 come from, as a user typed them. What comes out
/// does what our own files of S1 and S2 do, and every oddity is told with its line.
#[test]
fn the_article_becomes_s1_and_s2() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["s1-router-27", "s1-router-37", "s2-router-27", "s2-router-37"] {
        let said = vipd(&tree.join("tests/import"), &format!("import {name}.conf"));
        assert_eq!(said.code, 0, "{}", said.err);
        for (suffix, got) in [("toml", &said.out), ("txt", &said.err)] {
            let path = tree.join(format!("tests/import/{name}.{suffix}"));
            if std::env::var_os("VIPD_BLESS").is_some() {
                std::fs::write(&path, got).unwrap();
            }
            assert_eq!(*got, std::fs::read_to_string(&path).unwrap(), "{name}.{suffix}");
        }
        let (ours, theirs) = (std::fs::read_to_string(tree.join(format!("configs/{name}.toml"))), &said.out);
        let (mut ours, mut theirs) = (config(&ours.unwrap()), config(theirs));
        // Ours have nicer names (the article calls nearly all its routers alike), and a sorry server where
        // its first file has none; they leave HTTP's version and who writes mails to vipd's defaults.
        for config in [&mut ours, &mut theirs] {
            config.global.router_name = None;
            config.instances.iter_mut().for_each(|instance| instance.notify.mail = None);
            for (n, service) in config.services.iter_mut().enumerate() {
                service.name = format!("{n}").as_str().try_into().unwrap();
                service.mail = None;
                if name == "s1-router-27" {
                    service.sorry = None;
                }
                for check in service.servers.iter_mut().flat_map(|server| server.checks.iter_mut()) {
                    let CheckKind::Http(http) = &mut check.kind else { panic!("{check:?}") };
                    http.version = HttpVersion::Http11;
                }
            }
        }
        assert_eq!(theirs, ours, "{name}");
    }
}
