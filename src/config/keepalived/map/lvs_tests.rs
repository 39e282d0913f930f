//! keepalived's LVS, as TOML. What each part of a file becomes is written out, with what is told of it.

mod checks;
mod fronts;
mod globals;
mod persistence;
mod probes;
mod servers;
mod settings;
mod web;

use crate::config::keepalived::finding::Kind;
use crate::config::keepalived::memory::Memory;
use crate::config::keepalived::{Options, import as import_file, import_file as import_whole};
use crate::config::parse;

/// The text of `conf` and what is said about it. vipd takes it without an error.
fn import(conf: &'static str) -> (String, Vec<(Kind, u32, String)>) {
    let import = import_file("x", &mut Memory(conf), Options { config_id: "x" });
    let list = import.findings.into_iter();
    let list: Vec<_> =
        list.map(|finding| (finding.kind, finding.diagnostic.line, finding.diagnostic.what)).collect();
    let refused: Vec<_> = list.iter().filter(|(kind, ..)| *kind == Kind::Refused).collect();
    assert!(refused.is_empty(), "{refused:?}\n{}", import.text);
    (import.text, list)
}

/// The file becomes this text, which vipd takes; `told`: `line:column level` of what is said about it.
#[track_caller]
fn exact(conf: &'static str, toml: &str, told: &[&str]) {
    let import = import_file("x", &mut Memory(conf), Options { config_id: "x" });
    let said = import.findings.iter().map(|finding| &finding.diagnostic);
    let said: Vec<String> =
        said.map(|said| format!("{}:{} {}", said.line, said.column, said.level)).collect();
    assert_eq!(import.text, toml);
    assert_eq!(said, told, "{:#?}", import.findings);
    let (config, problems) = parse(&import.text, "vipd.toml");
    assert!(config.is_some(), "{problems:?}\n{}", import.text);
}

#[test]
fn scenario_s1() {
    let (text, findings) = import(
        "virtual_server 10.0.0.100 80 {
            delay_loop 6
            lb_algo wrr
            lb_kind DR
            #persistence_timeout 50
            protocol TCP
            sorry_server 127.0.0.1:80
            real_server 192.168.234.47 80 {
                weight 1
                HTTP_GET {
                    url {
                        path /
                        status_code 200
                    }
                    connect_timeout 3
                    nb_get_retry 3
                    delay_before_retry 3
                }
            }
            real_server 192.168.234.57 80 {
                weight 2
                HTTP_GET {
                    url {
                        path /
                        status_code 200
                    }
                    connect_timeout 3
                    nb_get_retry 3
                    delay_before_retry 3
                }
            }
        }",
    );
    let wanted = r#"# persistence_timeout 50
[[service]]
name = "10.0.0.100:80"
address = "10.0.0.100:80"
scheduler = "wrr"
forward = "direct"
# line 7: "127.0.0.1:80" is read as 127.0.0.1 80. keepalived wants a space between address and
# port, and leaves it out as it stands.
sorry = "127.0.0.1:80"

# line 10: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its
# steps. A server that trickles its answer is found out, too.
[service.check]
type = "http"
path = "/"
status = [200]
version = "1.0"
interval = "6s"
timeout = "3s"
fall = 4
retry_interval = "3s"

[[service.server]]
address = "192.168.234.47:80"

[[service.server]]
address = "192.168.234.57:80"
weight = 2
"#;
    assert_eq!(text, wanted);
    let told: Vec<(Kind, u32)> = findings.iter().map(|(kind, line, _)| (*kind, *line)).collect();
    let wanted = [
        (Kind::Deprecated, 3),
        (Kind::Deprecated, 4),
        (Kind::Corrected, 7),
        (Kind::Changed, 10),
        (Kind::Deprecated, 16),
    ];
    assert_eq!(told, wanted, "old names, IP:port in one word, and what `timeout` means");
}

/// A reload of a large file must not keep the loop from its adverts: without the breaths in between, reading
/// and mapping were one piece each.
#[test]
fn large_files_are_read_in_many_pieces() {
    let service = |n: u32| {
        let (high, low) = (n / 200, n % 200 + 1);
        format!(
            "virtual_server 10.0.{high}.{low} 80 {{\nprotocol TCP\nreal_server 10.1.0.1 80 {{\n\
             TCP_CHECK {{\n}}\n}}\n}}\n"
        )
    };
    let text: String = (0..300).map(service).collect();
    let (mut breaths, mut memory) = (0, Memory(text.leak()));
    let options = Options { config_id: "x" };
    let import = import_whole("x", &mut memory, options, crate::config::NO_KEY_FILES, &mut || breaths += 1);
    assert!(import.config.is_some());
    assert!(breaths > 2 * 300 + 300 * 7 / 64, "{breaths}");
}
