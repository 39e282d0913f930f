//! The status screen of a router: does it fit a serial console, and is its first line true?

use crate::daemon::status;
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::Router;
use std::time::{Duration, Instant};

/// Shows a router's `vipd status` (on a loud stage) and judges it by what the kernel says just before and
/// just after it. Where that changes meanwhile, or the daemon is about to notice, it is asked again.
pub fn check(stage: &Stage, router: &Router) -> Outcome {
    let mut wrong_since: Option<Instant> = None;
    for _ in 0..50 {
        let before = Facts::of(router)?;
        let (code, text) = status(&router.socket, &[])?;
        let verdict = fits(&text).and_then(|()| match router.answers {
            true => before.hold(code, &text),
            false => ensure(code == 3, || format!("no vipd runs, but status ends with {code}: {text}")),
        });
        let given_up = wrong_since.is_some_and(|since| since.elapsed() > Duration::from_secs(2));
        if verdict.is_ok() || given_up {
            show(stage, router, code, &text, verdict.is_err());
            return verdict.map_err(|why| format!("{}: vipd status: {why}", router.name));
        }
        if Facts::of(router)? == before {
            wrong_since = wrong_since.or(Some(Instant::now()));
        } else {
            wrong_since = None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("{}: the kernel's state does not settle", router.name))
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

/// What the kernel says of a router.
#[derive(PartialEq, Eq)]
struct Facts {
    instances: usize,
    vips: usize,
    carrier: bool,
    services: String,
}

impl Facts {
    fn of(router: &Router) -> Outcome<Facts> {
        let config =
            std::fs::read_to_string(&router.config).map_err(|error| format!("{}: {error}", router.config))?;
        let addresses = router.host.addresses("ens37")?;
        let link = router.host.output("ip", &["-o", "link", "show", "dev", "ens37"])?;
        Ok(Facts {
            instances: config.lines().filter(|line| line.trim() == "[[vrrp]]").count(),
            vips: addresses.iter().filter(|address| address.starts_with("10.0.0.")).count(),
            carrier: link.contains("LOWER_UP"),
            services: services(router, &config)?,
        })
    }

    /// Holds the first line of the screen and the exit status against them.
    fn hold(&self, code: i32, text: &str) -> Outcome {
        let first = text.lines().next().unwrap_or_default();
        let plural = if self.instances == 1 { "" } else { "s" };
        let instances = format!("of {} instance{plural}", self.instances);
        let wanted = match (self.vips, self.carrier) {
            (0, true) => "BACKUP for".into(),
            (0, false) => "FAULT for".into(),
            (count, _) => format!("ACTIVE for {count} {instances}"),
        };
        for wanted in [&instances, &wanted, &self.services] {
            ensure(first.contains(wanted), || format!("the kernel says \"{wanted}\", the screen: {first}"))?;
        }
        ensure(self.vips > 0 || !first.contains("ACTIVE"), || format!("no VIP is here: {first}"))?;
        let healthy = self.carrier && self.services.ends_with("healthy");
        ensure((code == 0) == healthy, || format!("exit {code} with: {first}"))
    }
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
