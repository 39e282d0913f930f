//! design.md §9: what 1,000 services of 8 servers cost.

use super::*;
use std::time::{Duration as Wall, Instant as Clock};

fn many(services: usize) -> Config {
    let services = (0..services).map(|i| {
        let mut s = service(&format!("s{i}"), &format!("10.0.{}.{}:80", i / 250, i % 250 + 1));
        s.servers = (1..=8).map(|n| server(&format!("192.0.{}.{n}:80", i % 250), 1)).collect();
        s.into()
    });
    Config { services: services.collect(), ..s1() }
}

/// The longest and the whole time that the balancer was at work while the kernel answered everything.
fn settle(bed: &mut Bed) -> (Wall, Wall, usize) {
    let (mut worst, mut all, mut commands) = (Wall::ZERO, Wall::ZERO, 0);
    let mut call = |bed: &mut Bed, event: Option<IpvsEvent>| {
        let begun = Clock::now();
        match event {
            Some(event) => bed.ipvs(event),
            None => bed.call(|b, now, cx| b.tick(now, cx)),
        }
        let took = begun.elapsed();
        (worst, all) = (worst.max(took), all + took);
    };
    loop {
        let requests = bed.drain();
        if requests.is_empty() && !bed.balancer.table.has_more() && bed.balancer.changes.is_empty() {
            return (worst, all, commands);
        }
        call(bed, None);
        for (token, request) in requests {
            commands += usize::from(!is_reading(&request));
            for event in bed.kernel.answer(token, &request) {
                call(bed, Some(event));
            }
        }
    }
}

/// What the daemon does between reading and taking over; how long all of it takes.
fn share(bed: &Bed, config: &mut Config) -> Wall {
    let begun = Clock::now();
    (0..config.services.len()).fold(0, |hint, at| bed.balancer.share(config, at, hint));
    begun.elapsed()
}

/// The numbers are printed; they are held to design.md's bounds where the build is an optimised one.
#[test]
fn a_thousand_services_are_programmed_and_reloaded_in_linear_time() {
    let holds = |what: &str, took: Wall, max: Wall| {
        println!("{what}: {took:?}");
        assert!(cfg!(debug_assertions) || took < max, "{what}: {took:?}, at most {max:?}");
    };
    for services in [500, 1000] {
        let mut config = many(services);
        let mut bed = Bed::new(&config);
        bed.start();
        let (worst, all, commands) = settle(&mut bed);
        assert_eq!(commands, services * 9 + 1, "a service and 8 servers each, and the question for IPVS");
        println!("{services} x 8: programmed in {all:?}");
        holds("one command", all / commands as u32, Wall::from_micros(10));
        holds("longest turn", worst, Wall::from_millis(5));

        type Change = fn(&mut Config);
        let reloads: [(&str, usize, Change); 4] = [
            ("the same again", 0, |_| {}),
            ("one weight", 1, |config| config.services[250].servers[3].weight = 2),
            ("a service more, in front", 9, |config| {
                config.services.insert(0, many(1001).services.remove(1000))
            }),
            ("every weight", services * 8 + 8, |config| {
                let servers = config.services.iter_mut().flat_map(|service| &mut service.servers);
                servers.for_each(|server| server.weight += 2);
            }),
        ];
        for (what, wanted, change) in reloads {
            change(&mut config);
            // As read from a file: nothing of it is shared with what runs.
            let mut read = config.clone();
            read.services.iter_mut().for_each(|service| _ = &mut **service);
            let took = share(&bed, &mut read);
            println!("{services} x 8: {what}, compared service by service: {took:?}");
            let begun = Clock::now();
            bed.reload(&read);
            drop(read);
            holds(&format!("{services} x 8: {what}, taken over"), begun.elapsed(), Wall::from_millis(50));
            let (worst, all, commands) = settle(&mut bed);
            assert_eq!(commands, wanted, "{what}");
            println!("{services} x 8: {what}, the table: longest turn {worst:?}, in all {all:?}");
        }
        bed.now += Duration::from_secs(11);
        let (worst, all, _) = settle_audit(&mut bed);
        println!("{services} x 8: read again in {all:?}, longest turn {worst:?}");
    }
}

fn settle_audit(bed: &mut Bed) -> (Wall, Wall, usize) {
    bed.call(|b, now, cx| b.tick(now, cx));
    settle(bed)
}
