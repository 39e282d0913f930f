//! The status screen of a router: does it fit a serial console, and is its first line true?

use crate::daemon::status;
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::Router;
use std::time::{Duration, Instant};

/// Shows a router's `vipd status` (on a loud stage) and judges it. What changes this very moment gets 3 s to
/// be told.
pub fn check(stage: &Stage, router: &Router) -> Outcome {
    let begin = Instant::now();
    loop {
        let (code, text) = status(&router.socket, &[])?;
        let verdict = fits(&text).and_then(|()| match router.answers {
            true => is_true(router, code, &text),
            false => ensure(code == 3, || format!("no vipd runs, but status ends with {code}: {text}")),
        });
        if verdict.is_ok() || begin.elapsed() > Duration::from_secs(3) {
            show(stage, router, code, &text, verdict.is_err());
            return verdict.map_err(|why| format!("{}: vipd status: {why}", router.name));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn show(stage: &Stage, router: &Router, code: i32, text: &str, wrong: bool) {
    if stage.loud || wrong {
        let rule = format!("---- {}: vipd status (exit {code}) ", router.name);
        // One call, so that lines of scenarios side by side do not mix.
        println!("{rule:-<80}\n{}\n{:-<80}", text.trim_end(), "");
    }
}

/// 80 columns, 24 lines, plain ASCII.
fn fits(text: &str) -> Outcome {
    ensure(text.lines().count() <= 24, || format!("{} lines", text.lines().count()))?;
    for line in text.lines() {
        ensure(line.len() <= 80, || format!("{} columns: {line}", line.len()))?;
        ensure(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), || {
            format!("not plain ASCII: {line:?}")
        })?;
    }
    Ok(())
}

/// Holds the first line against the addresses, the link and the table that the kernel tells of.
fn is_true(router: &Router, code: i32, text: &str) -> Outcome {
    let first = text.lines().next().unwrap_or_default();
    let config =
        std::fs::read_to_string(&router.config).map_err(|error| format!("{}: {error}", router.config))?;
    let total = config.lines().filter(|line| line.trim() == "[[vrrp]]").count();
    let held =
        router.host.addresses("ens37")?.iter().filter(|address| address.starts_with("10.0.0.")).count();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let instances = format!("of {total} instance{}", plural(total));
    ensure(first.contains(&instances), || format!("no \"{instances}\" in: {first}"))?;
    if held > 0 {
        let wanted = format!("ACTIVE for {held} {instances}");
        ensure(first.contains(&wanted), || format!("{held} VIPs are here, but the first line is: {first}"))?;
    } else {
        ensure(!first.contains("ACTIVE"), || format!("no VIP is here, but the first line is: {first}"))?;
        let wanted = if has_carrier(router)? { "BACKUP for" } else { "FAULT for" };
        ensure(first.contains(wanted), || format!("no \"{wanted}\" in: {first}"))?;
    }
    let wanted = services(router, &config)?;
    ensure(first.contains(&wanted), || {
        format!("the table says \"{wanted}\", but the first line is: {first}")
    })?;
    let healthy = has_carrier(router)? && wanted.ends_with("healthy");
    ensure(code != 0 || healthy, || format!("exit 0 with \"{wanted}\""))
}

fn has_carrier(router: &Router) -> Outcome<bool> {
    Ok(router.host.output("ip", &["-o", "link", "show", "dev", "ens37"])?.contains("LOWER_UP"))
}

/// What the first line must say of the services, from the kernel's table.
fn services(router: &Router, config: &str) -> Outcome<String> {
    let Ok(table) = router.table() else {
        return Ok("no IPVS".into());
    };
    // Servers of each service, in the order of the file.
    let mut configured: Vec<usize> = Vec::new();
    for line in config.lines().map(str::trim) {
        match (line, configured.last_mut()) {
            ("[[service]]", _) => configured.push(0),
            ("[[service.server]]", Some(count)) => *count += 1,
            _ => {}
        }
    }
    let (mut healthy, mut degraded, mut sorry) = (0, 0, 0);
    let most = configured.iter().max().copied().unwrap_or_default();
    for entry in &table {
        if entry.destinations.iter().any(|destination| destination.starts_with("127.")) {
            sorry += 1;
        } else if entry.destinations.len() == most {
            healthy += 1;
        } else if !entry.destinations.is_empty() {
            degraded += 1;
        }
    }
    let total = configured.len();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    Ok(match (total - healthy - degraded - sorry, sorry, degraded) {
        (0, 0, 0) => format!("{total} service{} healthy", plural(total)),
        (0, 0, count) => format!("{count} service{} degraded", plural(count)),
        (0, count, _) => format!("{count} service{} on sorry server", plural(count)),
        (count, _, _) => format!("{count} service{} down", plural(count)),
    })
}
