//! Who goes where, and how many: persistence with its granularity and its end, one-packet scheduling,
//! thresholds.

use super::{CHECK, row, service};
use crate::field::requests::PATIENCE;
use crate::field::saved::Saved;
use crate::field::transport::{Talk, Transport};
use crate::field::{Field, VIP4, vip, virtual_router};
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::is_forced;
use std::net::SocketAddr;
use std::time::Duration;

const BOTH: [(u8, u32); 2] = [(47, 1), (57, 1)];
/// Ports of the services.
const STICKY: u16 = 8200;
const BRIEF: u16 = 8201;
const CALLS: u16 = 8202;
const SINGLE: u16 = 8203;
const FLOW: u16 = 8204;
const FULL: u16 = 8205;

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let doors = [CALLS, SINGLE, FLOW].map(|port| (Transport::Udp, vip(false, port)));
    let mut field = Field::build(stage, 1, &doors)?;
    let result = steps(&mut field);
    field.explain(result)
}

fn config(upper: u32, lower: u32) -> String {
    let direct = |name: &str, port: u16, more: &str| {
        format!(
            "[[service]]\nname = \"{name}\"\naddress = \"{VIP4}:{port}\"\nprotocol = \"udp\"\nscheduler = \
             \"rr\"\n\
             forward = \"direct\"\n{more}{CHECK}\
             [[service.server]]\naddress = \"192.168.234.47:{port}\"\n\
             [[service.server]]\naddress = \"192.168.234.57:{port}\"\n"
        )
    };
    let limits = format!("upper_threshold = {upper}\nlower_threshold = {lower}\n");
    let limited =
        |number: u8| format!("[[service.server]]\naddress = \"192.168.234.{number}:7000\"\n{limits}");
    let address = |ipv6: bool, port: u16| format!("address = \"{}\"", vip(ipv6, port));
    let persistence =
        |prefix: u8| format!("persistence = {{ timeout = \"50s\", prefix = {prefix} }}\n{CHECK}");
    let brief = format!("protocol = \"udp\"\npersistence = \"2s\"\n{CHECK}");
    let mut text = virtual_router(100) + "[ipvs]\nudp_timeout = \"1s\"\n";
    // The old interface has neither IPv6 nor engines.
    if !is_forced() {
        text += &service("sticky6", &address(true, STICKY), "rr", &persistence(112), &BOTH);
        text +=
            &direct("calls", CALLS, "persistence = { timeout = \"50s\", prefix = 24, engine = \"sip\" }\n");
    }
    text + &service("sticky", &address(false, STICKY), "rr", &persistence(28), &BOTH)
        + &service("brief", &address(false, BRIEF), "rr", &brief, &BOTH)
        + &direct("single", SINGLE, "one_packet = true\n")
        + &direct("flow", FLOW, "")
        + &service("full", &address(false, FULL), "rr", CHECK, &[])
        + &limited(47)
        + &limited(57)
}

/// What `ipvsadm -Sn` says of it.
fn table(thresholds: &str) -> Saved {
    let mut lines = row("-t 10.0.0.100:8200", "rr", " -p 50 -M 255.255.255.240", &BOTH);
    if !is_forced() {
        lines.extend(row("-t [fd10::100]:8200", "rr", " -p 50 -M 112", &BOTH));
    }
    lines.extend(row("-u 10.0.0.100:8201", "rr", " -p 2", &BOTH));
    let calls = if is_forced() { None } else { Some((CALLS, " -p 50 -M 255.255.255.0 --pe sip")) };
    for (port, more) in calls.into_iter().chain([(SINGLE, " -o"), (FLOW, "")]) {
        lines.push(format!("-A -u 10.0.0.100:{port} -s rr{more}"));
        lines.extend([47, 57].map(|n| format!("-a -u 10.0.0.100:{port} -r 192.168.234.{n}:{port} -g -w 1")));
    }
    lines.push("-A -t 10.0.0.100:8205 -s rr".into());
    lines.extend(
        [47, 57].map(|n| format!("-a -t 10.0.0.100:8205 -r 192.168.234.{n}:7000 -m -w 1{thresholds}")),
    );
    lines.into_iter().collect()
}

/// Requests from addresses of the client, each with a new port.
fn from(field: &Field<'_>, kind: Transport, own: &[&str], target: SocketAddr) -> Outcome<Vec<String>> {
    let ask = |own: &&str| -> std::io::Result<String> {
        let own = own.parse().map_err(|_| std::io::ErrorKind::InvalidInput)?;
        Talk::open_from(kind, Some(SocketAddr::new(own, 0)), target, PATIENCE)?.ask()
    };
    field
        .client
        .run(|| own.iter().map(ask).collect::<std::io::Result<_>>())
        .map_err(|e| format!("{target}: {e}"))
}

fn steps(field: &mut Field<'_>) -> Outcome {
    let stage = field.stage;
    field.client.ip_batch(
        "address add 10.0.0.10/24 dev eth0\naddress add 10.0.0.33/24 dev eth0\n\
         address add fd10::a/64 dev eth0 nodad\naddress add fd10::1:9/64 dev eth0 nodad",
    )?;
    stage.step("the table", || {
        let router = &mut field.routers[0];
        router.start(&config(1, 0))?;
        router.wait_active(stage)?;
        router.wait_table(
            stage,
            "persistence, engine, one packet, thresholds are in it",
            &table(" -x 1 -y 0"),
        )
    })?;
    stage.step(
        "persistence: a net of clients stays with its server, another net goes to the other",
        || {
            for (ipv6, near, far) in [
                (false, ["10.0.0.9", "10.0.0.10", "10.0.0.9", "10.0.0.10"], ["10.0.0.33", "10.0.0.33"]),
                (true, ["fd10::9", "fd10::a", "fd10::9", "fd10::a"], ["fd10::1:9", "fd10::1:9"]),
            ] {
                if ipv6 && is_forced() {
                    continue;
                }
                let target = vip(ipv6, STICKY);
                let near = from(field, Transport::Tcp, &near, target)?;
                let far = from(field, Transport::Tcp, &far, target)?;
                stage.say(format!("   {target}: {near:?}, then {far:?}"));
                ensure(near.windows(2).all(|pair| pair[0] == pair[1]), || {
                    format!("a net is torn: {near:?}")
                })?;
                ensure(far[0] == far[1] && far[0] != near[0], || format!("{far:?} beside {near:?}"))?;
            }
            Ok(())
        },
    )?;
    stage.step("persistence ends: 2 s after the last connection the next server's turn has come", || {
        let target = vip(false, BRIEF);
        let first = from(field, Transport::Udp, &["10.0.0.9", "10.0.0.9"], target)?;
        ensure(first[0] == first[1], || format!("two datagrams of one client: {first:?}"))?;
        let ended = || {
            let next = from(field, Transport::Udp, &["10.0.0.9"], target)?;
            ensure(next[0] != first[0], || format!("still {next:?}"))
        };
        // Every request that comes before the end begins it anew: so first nothing, for longer than that.
        std::thread::sleep(Duration::from_secs(5));
        stage.until("another server", Duration::from_secs(8), || {
            let seen = ended();
            if seen.is_err() {
                std::thread::sleep(Duration::from_secs(5));
            }
            seen
        })?;
        Ok(())
    })?;
    stage.step(
        "the engine sip: a call stays with its server, whoever of the net carries it on; another does not",
        || {
            if is_forced() {
                return Ok(());
            }
            let target = vip(false, CALLS);
            let call = |id: &str, own: &str| -> Outcome<String> {
                let text =
                    format!("INVITE sip:who@lab SIP/2.0\r\nFrom: a\r\nTo: b\r\nCall-ID: {id}@lab\r\n\r\n");
                let own = own.parse().map_err(|_| "no address".to_string())?;
                let ask = || -> std::io::Result<String> {
                    let mut talk =
                        Talk::open_from(Transport::Udp, Some(SocketAddr::new(own, 0)), target, PATIENCE)?;
                    talk.ask_with(text.as_bytes())
                };
                field.client.run(ask).map_err(|error| format!("call {id}: {error}"))
            };
            let one = [call("one", "10.0.0.9")?, call("one", "10.0.0.33")?, call("one", "10.0.0.10")?];
            let two = [call("two", "10.0.0.9")?, call("two", "10.0.0.33")?];
            ensure(one.iter().all(|page| *page == one[0]), || format!("call one: {one:?}"))?;
            ensure(two.iter().all(|page| *page == two[0] && *page != one[0]), || {
                format!("call two: {two:?} {one:?}")
            })
        },
    )?;
    stage.step(
        "one packet: every datagram of one port is scheduled by itself; without it none is",
        || {
            let flow = |port: u16| -> Outcome<Vec<String>> {
                let talk = || -> std::io::Result<Vec<String>> {
                    let mut talk = Talk::open(Transport::Udp, vip(false, port), PATIENCE)?;
                    (0..4).map(|_| talk.ask()).collect()
                };
                field.client.run(talk).map_err(|error| format!("{port}: {error}"))
            };
            let (single, whole) = (flow(SINGLE)?, flow(FLOW)?);
            ensure(single[0] != single[1] && single[0] == single[2] && single[1] == single[3], || {
                format!("one packet: {single:?}")
            })?;
            ensure(whole.iter().all(|page| *page == whole[0]), || format!("a flow: {whole:?}"))
        },
    )?;
    thresholds(field)
}

/// Servers full up to their threshold take nobody; a reload that raises it lets people in (keepalived forgets
/// this one).
fn thresholds(field: &mut Field<'_>) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let router = &field.routers[0];
    let target = vip(false, FULL);
    let open = || -> std::io::Result<(Talk, String)> {
        let mut talk = Talk::open(Transport::Tcp, target, PATIENCE)?;
        let page = talk.ask()?;
        Ok((talk, page))
    };
    let mut guests = Vec::new();
    stage.step("thresholds: one connection each, then nobody", || {
        for _ in 0..2 {
            guests.push(client.run(open).map_err(|error| format!("a free server: {error}"))?);
        }
        ensure(guests[0].1 != guests[1].1, || format!("both at {}", guests[0].1))?;
        let third = client.run(open).map(|(_, page)| page);
        let refused =
            third.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        ensure(refused, || format!("the third, with both full: {third:?}"))
    })?;
    stage.step("raised by a reload: the next ones come in, the first ones are still there", || {
        // A server that was full takes connections again when it has fewer than the lower threshold.
        router.reload(&config(3, 2))?;
        router.wait_table(stage, "the table says so", &table(" -x 3 -y 2"))?;
        for _ in 0..2 {
            guests.push(client.run(open).map_err(|error| format!("below the new threshold: {error}"))?);
        }
        for (talk, page) in &mut guests {
            let now = client.run(|| talk.ask()).map_err(|error| format!("a guest of {page}: {error}"))?;
            ensure(now == *page, || format!("{now} in place of {page}"))?;
        }
        Ok(())
    })
}
