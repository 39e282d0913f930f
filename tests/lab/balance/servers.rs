//! Servers that fail, and what their services make of it: inhibit, start-up mode, quorum with hysteresis,
//! sorry servers that wait in the table, suspended services.

use super::{CHECK, row, service};
use crate::field::requests::{PATIENCE, answers};
use crate::field::saved::Saved;
use crate::field::transport::{Talk, Transport};
use crate::field::{ELECTION, Field, SOON, vip, virtual_router};
use crate::stage::{Outcome, Stage, ensure};
use nix::sys::signal::Signal;

/// Ports: inhibit; start-up mode; quorum; sorry that waits; suspended.
const INHIBIT: u16 = 8700;
const ALPHA: u16 = 8701;
const QUORUM: u16 = 8702;
const WAITS: u16 = 8703;
const SUSPENDED: u16 = 8704;

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut field = Field::build(stage, 2, &[])?;
    let result = failures(&mut field).and_then(|()| suspended(&mut field));
    field.explain(result)
}

fn front(port: u16) -> String {
    format!("address = \"{}\"", vip(false, port))
}

fn config() -> String {
    let with = |keys: &str| format!("{keys}{CHECK}");
    virtual_router(100)
        + &service("inhibit", &front(INHIBIT), "rr", &with("inhibit = true\n"), &[(47, 2), (57, 3)])
        + &service("alpha", &front(ALPHA), "rr", &with("start_up = false\n"), &[(47, 2), (57, 3)])
        + &service(
            "quorum",
            &front(QUORUM),
            "wrr",
            &with("quorum = 4\nhysteresis = 1\nsorry = \"192.168.234.67:7000\"\n"),
            &[(47, 2), (57, 3)],
        )
        + &service(
            "waits",
            &front(WAITS),
            "wlc",
            &with("sorry = { address = \"192.168.234.67:7000\", inhibit = true }\n"),
            &[(47, 1), (57, 1)],
        )
}

/// The table, service by service.
fn table(inhibit: &[(u8, u32)], alpha: &[(u8, u32)], quorum: &[(u8, u32)], waits: &[(u8, u32)]) -> Saved {
    let all =
        [(INHIBIT, "rr", inhibit), (ALPHA, "rr", alpha), (QUORUM, "wrr", quorum), (WAITS, "wlc", waits)];
    all.into_iter()
        .flat_map(|(port, name, servers)| row(&format!("-t {}", vip(false, port)), name, "", servers))
        .collect()
}

fn failures(field: &mut Field<'_>) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let router = &mut field.routers[0];
    let [web47, web57, _] = &field.servers[..] else { return Err("three servers".into()) };
    let pages = |port: u16, wanted: &[&str]| -> Outcome {
        let seen = answers(&client, Transport::Tcp, vip(false, port), 4);
        ensure(seen.iter().all(|page| wanted.contains(&page.as_str())), || {
            format!("{port}: {seen:?}, not {wanted:?}")
        })
    };
    stage.step(
        "57 is unwell from the start: alpha never lets it in, inhibit keeps it at weight 0",
        || {
            web57.health.down();
            router.start(&config())?;
            router.wait_active(stage)?;
            // The quorum is 4, with its hysteresis 5 to be gained and 3 to be kept: 2 is too little.
            let wanted = table(&[(47, 2), (57, 0)], &[(47, 2)], &[(67, 1)], &[(47, 1), (67, 0)]);
            router.wait_table(stage, "the table", &wanted)?;
            pages(INHIBIT, &["web 47"])?;
            pages(ALPHA, &["web 47"])?;
            pages(QUORUM, &["web 67"])?;
            pages(WAITS, &["web 47"])
        },
    )?;
    let open = |port: u16| -> Outcome<(Talk, String)> {
        let open = || -> std::io::Result<(Talk, String)> {
            let mut talk = Talk::open(Transport::Tcp, vip(false, port), PATIENCE)?;
            let page = talk.ask()?;
            Ok((talk, page))
        };
        client.run(open).map_err(|error| format!("{port}: no conversation: {error}"))
    };
    let all =
        table(&[(47, 2), (57, 3)], &[(47, 2), (57, 3)], &[(47, 2), (57, 3)], &[(47, 1), (57, 1), (67, 0)]);
    stage.step("57 is well: it goes in everywhere, and the quorum is gained", || {
        web57.health.up();
        router.wait_table(stage, "the table", &all)?;
        pages(QUORUM, &["web 47", "web 57"])
    })?;
    stage.step(
        "47 fails: the quorum holds (3 of 4, hysteresis 1); inhibit: its conversations go on",
        || {
            let (mut live, page) = loop {
                let (live, page) = open(INHIBIT)?;
                if page == "web 47" {
                    break (live, page);
                }
            };
            web47.health.down();
            let wanted = table(&[(47, 0), (57, 3)], &[(57, 3)], &[(57, 3)], &[(57, 1), (67, 0)]);
            router.wait_table(stage, "the table", &wanted)?;
            let now =
                client.run(|| live.ask()).map_err(|error| format!("the live conversation broke: {error}"))?;
            ensure(now == page, || format!("{now} in place of {page}"))?;
            pages(INHIBIT, &["web 57"])?;
            pages(QUORUM, &["web 57"])
        },
    )?;
    stage.step(
        "57 fails, too: the sorry servers; one alone that comes back is not enough for the quorum",
        || {
            web57.health.down();
            let none = table(&[(47, 0), (57, 0)], &[], &[(67, 1)], &[(67, 1)]);
            router.wait_table(stage, "the table", &none)?;
            pages(QUORUM, &["web 67"])?;
            pages(WAITS, &["web 67"])?;
            pages(ALPHA, &["ConnectionRefused"])?;
            web57.health.up();
            let one = table(&[(47, 0), (57, 3)], &[(57, 3)], &[(67, 1)], &[(57, 1), (67, 0)]);
            router.wait_table(stage, "57 is back", &one)?;
            pages(QUORUM, &["web 67"])?;
            web47.health.up();
            router.wait_table(stage, "both are back", &all)?;
            pages(QUORUM, &["web 47", "web 57"])
        },
    )?;
    stage.step("SIGTERM", || {
        router.daemon()?.end(Signal::SIGTERM)?;
        Saved::default().is(&router.saved()?)
    })
}

/// A suspended service probes nobody and serves nobody where its VIP is not (keepalived's `ha_suspend`).
fn suspended(field: &mut Field<'_>) -> Outcome {
    let stage = field.stage;
    let config = |priority: u8| {
        let more = format!("suspend = true\n{CHECK}");
        virtual_router(priority) + &service("suspended", &front(SUSPENDED), "rr", &more, &[(47, 1), (57, 1)])
    };
    let awake = row("-t 10.0.0.100:8704", "rr", "", &[(47, 1), (57, 1)]).into_iter().collect::<Saved>();
    let asleep = row("-t 10.0.0.100:8704", "rr", "", &[]).into_iter().collect::<Saved>();
    let is_suspended = |field: &Field<'_>, index: usize| -> Outcome<bool> {
        let status = field.routers[index].status()?;
        Ok(status["services"][0]["suspended"] == true)
    };
    stage.step("suspend: servers are in the table of the Active, not of the Backup", || {
        field.routers[0].start(&config(200))?;
        field.routers[0].wait_active(stage)?;
        field.routers[1].start(&config(100))?;
        field.routers[0].wait_table(stage, "router 1 has them", &awake)?;
        let check = || {
            let seen = field.routers[1].saved()?;
            ensure(seen == asleep || seen == Saved::default(), || format!("router 2: {seen:?}"))
        };
        stage.until("router 2 has no server", SOON, check)?;
        ensure(!is_suspended(field, 0)? && is_suspended(field, 1)?, || "the status does not say so".into())
    })?;
    stage.step("the Active ends: the other wakes up, and serves", || {
        field.routers[0].daemon()?.end(Signal::SIGTERM)?;
        field.routers[1].wait_active(stage)?;
        field.routers[1].wait_table(stage, "router 2 has them", &awake)?;
        let pages = answers(&field.client, Transport::Tcp, vip(false, SUSPENDED), 2);
        ensure(pages.iter().all(|page| page.starts_with("web ")), || format!("{pages:?}"))?;
        ensure(!is_suspended(field, 1)?, || "the status still says suspended".into())
    })?;
    stage.step("router 1 comes back: router 2 sleeps again", || {
        field.routers[0].start(&config(200))?;
        field.routers[0].wait_active(stage)?;
        field.routers[0].wait_table(stage, "router 1 has them", &awake)?;
        stage.until("router 2 is suspended", ELECTION, || {
            let seen = field.routers[1].saved()?;
            ensure(seen == asleep || seen == Saved::default(), || format!("router 2: {seen:?}"))?;
            ensure(is_suspended(field, 1)?, || "the status does not say so".into())
        })?;
        Ok(())
    })
}
