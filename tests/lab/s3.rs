//! S3: all web servers down, and back. At no moment is the table without a destination.

use crate::s1::{SERVICE, WEB47, WEB57};
use crate::stage::{Outcome, Stage, ensure};
use crate::table::{self, Sampler};
use crate::topology::{Lab, VIP1, port80};
use crate::web::{Client, Request};
use std::io::ErrorKind;
use std::time::Duration;

/// S1's check, faster: what is shown here does not hang on its times.
const FASTER: [(&str, &str); 2] =
    [("\"6s\"", "\"1s\""), ("retry_interval = \"3s\"", "retry_interval = \"1s\"")];
/// 4 failures a second apart.
const DETECTION: Duration = Duration::from_secs(4 + 3 + 3);

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = steps(&mut lab);
    lab.explain(result)
}

fn steps(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("both routers start", || {
        lab.a.edit(&FASTER)?;
        lab.b.edit(&FASTER)?;
        lab.start_both()?;
        stage.until("both web servers are in the table", Duration::from_secs(5), || {
            table::is(&lab.a.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        lab.screens()
    })?;
    let client = Client::start(&lab.client, port80(VIP1), Duration::ZERO, Duration::from_secs(1));
    let sampler = Sampler::start(&lab.a.host);
    stage.step("a client requests without pause; web server 47 stops", || {
        lab.web47.down();
        stage.until("it is out of the table", DETECTION, || table::is(&lab.a.table()?, SERVICE, &[WEB57]))?;
        lab.screens()
    })?;
    // A server that is dead leaves only when the sorry server is in: a request in between may go to it.
    let mut alone_from = 0;
    stage.step("web server 57 stops, too", || {
        lab.web57.down();
        stage.until("the sorry server is in the table", DETECTION, || {
            table::is(&lab.a.table()?, SERVICE, &["127.0.0.1:80 Route 1"])
        })?;
        // And the one under way.
        alone_from = client.so_far().len() + 1;
        stage.until("the client reads its page", Duration::from_secs(3), || {
            let requests = client.so_far();
            let page = requests.last().map(|request| request.page.clone());
            ensure(page == Some(Ok("sorry page of router 27".into())), || format!("last page: {page:?}"))
        })?;
        lab.screens()
    })?;
    stage.step("web server 47 is back", || {
        std::thread::sleep(Duration::from_secs(1));
        lab.web47.up();
        stage
            .until("it alone is in the table", DETECTION, || table::is(&lab.a.table()?, SERVICE, &[WEB47]))?;
        std::thread::sleep(Duration::from_secs(1));
        lab.screens()
    })?;
    stage.step("at no moment was the table without a destination", || {
        let samples = sampler.end();
        stage.say(format!(
            "   {} looks at the table, at most {} ms apart: {} without a destination",
            samples.reads,
            samples.longest.as_millis(),
            samples.empty
        ));
        ensure(samples.reads > 100, || format!("{} looks prove nothing", samples.reads))?;
        ensure(samples.empty == 0, || {
            format!("{} of {} looks saw no destination", samples.empty, samples.reads)
        })?;
        judge(lab, &client.end(), alone_from)
    })
}

/// From request number `alone_from` on, the table had living destinations alone, so nobody was refused. A
/// connection to a destination that goes is cut by the kernel, so the one request under way at the change may
/// fail.
fn judge(lab: &Lab, requests: &[Request], alone_from: usize) -> Outcome {
    let sorry = |request: &Request| request.page.as_ref().is_ok_and(|page| page.starts_with("sorry"));
    let (before, after) = requests.split_at_checked(alone_from).ok_or("no request to the sorry server")?;
    ensure(after.iter().any(sorry), || "no sorry page".into())?;
    let failed: Vec<ErrorKind> =
        after.iter().filter_map(|request| request.page.as_ref().err().copied()).collect();
    let count =
        |wanted: &str| after.iter().filter(|r| r.page.as_ref().is_ok_and(|page| page == wanted)).count();
    lab.stage.say(format!(
        "   {} requests before the sorry server was alone; then {} sorry pages, {} of web 47, {} failed",
        before.len(),
        after.iter().filter(|request| sorry(request)).count(),
        count("web 47"),
        failed.len()
    ));
    ensure(count("web 47") > 0, || "web 47 has served nothing after its return".into())?;
    ensure(!failed.contains(&ErrorKind::ConnectionRefused) && failed.len() <= 1, || {
        format!("requests failed while there was a destination all the time: {failed:?}")
    })
}
