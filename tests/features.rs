//! A vipd that was built without some of its features refuses what it cannot do, by name, and does the rest.
//! Without these a packager's choice would show as servers that are down, or as mails that nobody gets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::path::PathBuf;
use std::process::Command;
use vipd::config::parse;

/// VRRP, IPVS, TCP and HTTP probes: what every vipd does.
const CORE: &str = r#"
[[vrrp]]
name = "a"
interface = "eth0"
vrid = 51
addresses = ["10.0.0.100/24"]
[[service]]
name = "web"
address = "10.0.0.100:80"
protocol = "tcp"
scheduler = "rr"
forward = "nat"
check = { type = "http", path = "/" }
[[service.server]]
address = "10.1.0.1:80"
[[service.server]]
address = "10.1.0.2:80"
check = { type = "tcp" }
"#;

fn messages(text: &str) -> Vec<String> {
    parse(text, "f").1.iter().map(|diagnostic| diagnostic.to_string()).collect()
}

/// `said` where the feature is there, else the one message that says so.
fn expect(has_feature: bool, text: &str, otherwise: &str) {
    let said = messages(text);
    if has_feature {
        assert_eq!(said, [""; 0]);
    } else {
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with(otherwise), "{said:#?}");
    }
}

#[test]
fn the_core_needs_no_feature() {
    assert_eq!(messages(CORE), [""; 0]);
}

#[test]
fn https_needs_the_feature() {
    let text = CORE.replace("type = \"http\"", "type = \"https\"");
    let otherwise = "f:13:11: error: `type = \"https\"`: this vipd is built without https";
    expect(cfg!(feature = "https"), &text, otherwise);
}

#[test]
fn mail_needs_the_feature() {
    let mail = "[mail]\nserver = \"10.0.0.5:25\"\nfrom = \"a@b\"\nto = [\"c@d\"]\n";
    let otherwise = "f:19:2: error: [mail]: this vipd is built without mail";
    expect(cfg!(feature = "mail"), &format!("{CORE}{mail}"), otherwise);
}

/// One `keepalived.conf`, with mail: imported with what can be, refused by a vipd without the importer.
#[test]
fn import_needs_the_feature() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("features-keepalived.conf");
    let text = "global_defs {\n notification_email {\n  c@d\n }\n notification_email_from a@b\n \
                smtp_server 10.0.0.5\n}\nvrrp_instance a {\n interface eth0\n virtual_router_id 51\n \
                virtual_ipaddress {\n  10.0.0.100/24\n }\n}\n";
    std::fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vipd")).arg("import").arg(&path).output().unwrap();
    let made = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if cfg!(not(feature = "import")) {
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("built without the importer"), "{said}");
        return;
    }
    assert!(made.contains("[[vrrp]]"), "{made}");
    let is_refused = said.contains(":5:2: error: `notification_email_from` is left out: no mails are sent");
    assert_eq!(is_refused, cfg!(not(feature = "mail")), "{said}");
    assert_eq!(made.contains("[mail]"), cfg!(feature = "mail"), "{made}");
    assert_eq!(output.status.code(), Some(i32::from(cfg!(not(feature = "mail")))), "{said}");
}
