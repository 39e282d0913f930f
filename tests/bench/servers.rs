//! Probes of many servers, most of them sick. keepalived's checker ends without IPVS, which the host's
//! kernel may not have: its numbers come from the guest.

use super::{Subject, Table, netns, sick};
use std::time::Duration;

pub fn measure(table: &mut Table, subjects: &[Subject], quick: bool) {
    if !subjects.contains(&Subject::Vipd) {
        return;
    }
    let span = Duration::from_secs(if quick { 5 } else { 15 });
    let mut put = |what: &str, value: String, remark| table.put(what, Subject::Vipd, value, remark);
    let found = sick::watch(&netns::Lan::new(), span);
    let remark = "200 servers that never answer, 200 that are not there, 50 good ones; adverts at 100 ms";
    put("450 servers, lateness", format!("{:.2} ms", found.lateness.as_secs_f64() * 1e3), remark);
    let remark = "a good one dies: at most its interval (2 s) and its timeout (1 s)";
    put("450 servers, a death is known after", format!("{:.2} s", found.detection.as_secs_f64()), remark);
    put("450 servers, CPU", format!("{:.1} %", found.cpu), "225 probes a second");
    put("450 servers, PSS", format!("{} kB", found.pss), "all processes");
    put("450 servers, RSS", format!("{} kB", found.rss), "all processes; what they share is counted twice");
    put("450 servers, descriptors", found.descriptors.to_string(), "of the loop, at most");
    put("450 servers, processes", found.processes.to_string(), "at most");
    for (kind, what) in [("tcp", "CPU per TCP probe"), ("http", "CPU per HTTP probe")] {
        let micros = sick::cost(&netns::Lan::new(), kind, span).as_micros();
        put(what, format!("{micros} us"), "user and system, loop and workers; 1,000 a second");
    }
    let bytes = sick::memory(&netns::Lan::new());
    put("memory per server", format!("{bytes} bytes"), "with a TCP probe, of 1,000");
}
