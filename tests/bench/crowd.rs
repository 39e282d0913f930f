//! 255 VRIDs of both families on one box, all of them Active at 1 s.

use super::{Subject, Table, netns::Lan, netns::eventually, table};
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);
const INSTANCES: usize = 510;

pub fn measure(table: &mut Table, subjects: &[Subject], quick: bool) {
    for &subject in subjects {
        let lan = Lan::dual();
        let begin = Instant::now();
        let mut running = subject.start_with(&lan, &lan.a, &config(subject));
        eventually("all instances speak", Duration::from_secs(40), || {
            sleep(Duration::from_millis(200));
            spoken(&lan, begin).len() == INSTANCES
        });
        let all = begin.elapsed();
        // Past the second burst of announcements.
        sleep(Duration::from_secs(if quick { 1 } else { 8 }));
        let (from, busy) = (Instant::now(), running.daemon().cpu_ticks());
        sleep(Duration::from_secs(if quick { 5 } else { 15 }));
        let busy = running.daemon().cpu_ticks() - busy;
        let took = from.elapsed();
        let mut off: Vec<Duration> = spoken(&lan, from)
            .values()
            .flat_map(|times| times.windows(2).map(|w| (w[1] - w[0]).abs_diff(INTERVAL)))
            .collect();
        off.sort();
        let ms = |d: Option<&Duration>| d.map_or(f64::NAN, |d| d.as_secs_f64() * 1e3);
        let (middle, worst) = (off.get(off.len() / 2), off.last());
        let value = format!("{:.2} ms (worst {:.2})", ms(middle), ms(worst));
        table.put("510 instances, lateness", subject, value, "255 VRIDs, IPv4 and IPv6: spacing against 1 s");
        let share = busy as f64 / took.as_secs_f64();
        table.put("510 instances, CPU", subject, format!("{share:.2} %"), "all processes");
        let own = running.daemon().kilobytes("smaps_rollup", "Pss_Anon");
        table.put("510 instances, of it anonymous", subject, table::kilobytes(vec![own]), "heap and stack");
        let pss = running.daemon().kilobytes("smaps_rollup", "Pss");
        table.put("510 instances, PSS", subject, table::kilobytes(vec![pss]), "all processes");
        let value = format!("{:.1} s", all.as_secs_f64());
        table.put(
            "510 instances, from start to all Active",
            subject,
            value,
            "the protocol says 3.6 s and the start",
        );
    }
}

/// When each instance of router a spoke.
fn spoken(lan: &Lan, since: Instant) -> BTreeMap<(u8, bool), Vec<Instant>> {
    let mut times: BTreeMap<(u8, bool), Vec<Instant>> = BTreeMap::new();
    let adverts = lan.capture.since(since, |f| f.advert().map(|a| (f.at, a.vrid, a.source.is_ipv6())));
    for (at, vrid, ipv6) in adverts {
        times.entry((vrid, ipv6)).or_default().push(at);
    }
    times
}

fn config(subject: Subject) -> String {
    let instance = |vrid: usize, ipv6: bool| {
        let address = if ipv6 { format!("fe80::8:{vrid:x}/64") } else { format!("10.8.0.{vrid}/32") };
        let family = if ipv6 { 6 } else { 4 };
        match subject {
            Subject::Vipd => format!(
                "[[vrrp]]\nname = \"V{family}_{vrid}\"\ninterface = \"eth0\"\nvrid = {vrid}\nversion = 3\n\
                 priority = 100\nadvert_interval = \"1s\"\naddresses = [\"{address}\"]\n"
            ),
            Subject::Keepalived => format!(
                "vrrp_instance V{family}_{vrid} {{\n state BACKUP\n interface eth0\n \
                 virtual_router_id {vrid}\n priority 100\n advert_int 1\n \
                 virtual_ipaddress {{\n {address}\n }}\n}}\n"
            ),
        }
    };
    let head = match subject {
        Subject::Vipd => "",
        Subject::Keepalived => "global_defs {\n router_id bench\n vrrp_version 3\n}\n",
    };
    let all = (1..=255).flat_map(|vrid| [instance(vrid, false), instance(vrid, true)]);
    std::iter::once(head.to_string()).chain(all).collect()
}
