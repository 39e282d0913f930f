//! FIFO lines and mails, word for word (spec/keepalived.md §2.6).

use super::*;
use crate::model::{Fifo, Fifos, MailServer};

/// A balancer whose lines and mails are kept.
fn started(config: &Config) -> Bed {
    let fifo = Fifo { path: "/run/lvs".into(), user: None, group: None, script: None };
    let mail = Mail {
        server: MailServer::Ip("192.0.2.25:25".parse().unwrap()),
        from: "vipd@example.org".into(),
        to: vec!["root@example.org".into()],
        helo: None,
        timeout: Duration::from_secs(30),
    };
    let config = Config {
        fifos: Fifos { balance: Some(fifo), ..Fifos::default() },
        mail: Some(mail),
        ..config.clone()
    };
    let mut bed = Bed::new(&config);
    bed.notifier.reconfigure(bed.now, &config, |_| false, &mut bed.actions);
    bed.start();
    bed.settle();
    bed
}

/// Each mail so far: subject, and the first line of its body.
fn mails(bed: &Bed) -> Vec<(String, String)> {
    let letters = (1..100).map_while(|id| bed.mailer.letter(id));
    letters.map(|l| (l.subject.to_string(), l.body.lines().next().unwrap_or("").to_owned())).collect()
}

/// The only server of a service goes down and up again.
fn down_and_up(service: Service) -> Bed {
    let mut bed = started(&Config { services: vec![service.into()], ..s1() });
    bed.go(2.1);
    let at = bed.balancer.services[0].servers[0].address.unwrap().to_string();
    bed.verdict(&at, false);
    bed.go(60.0);
    bed.verdict(&at, true);
    bed.drain();
    bed
}

fn one(front: Front, server_address: &str) -> Service {
    let mut one = service("x", "10.0.0.1:80");
    one.front = front;
    one.servers.truncate(1);
    one.servers[0].address = ServerAddress::Ip(server_address.parse().unwrap());
    one
}

#[track_caller]
fn assert_told(bed: &Bed, server: &str, front: &str) {
    let want =
        ["DOWN", "UP"].map(|word| [format!("RS {server} {front} {word}"), format!("VS {front} {word}")]);
    assert_eq!(bed.fifo, want.concat());
    let subjects: Vec<String> = mails(bed).into_iter().map(|(subject, _)| subject).collect();
    let want = ["DOWN", "UP"].map(|word| {
        let server = format!("[gw-a] Realserver {server} of virtual server {front} - {word}");
        [server, format!("[gw-a] Virtualserver {front} - {word}")]
    });
    assert_eq!(subjects, want.concat());
}

#[test]
fn services_by_address_mark_and_ipv6_are_told_in_keepalived_s_words() {
    let bed = down_and_up(one(Front::Address("10.0.0.1:80".parse().unwrap()), "10.0.0.11:80"));
    assert_told(&bed, "[10.0.0.11]:tcp:80", "[10.0.0.1]:tcp:80");
    let bodies: Vec<String> = mails(&bed).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies[0], "=> CHECK failed on service : HTTP/SSL request failed <=");
    assert_eq!(bodies[1], "=> Lost quorum 1-0=1 > 0 <=");
    assert_eq!(bodies[2], "=> CHECK succeed on service <=");
    assert!(bodies[3].starts_with("=> Gained quorum 1+0=1 <= "), "{bodies:?}");
    let bed = down_and_up(one(Front::Address("[2001:db8::1]:443".parse().unwrap()), "[2001:db8::11]:443"));
    assert_told(&bed, "[2001:db8::11]:tcp:443", "[2001:db8::1]:tcp:443");
    let mark = Front::Mark { mark: 7, ipv6: false };
    let bed = down_and_up(one(mark, "10.0.0.11:80"));
    assert_told(&bed, "[10.0.0.11]:none:80", "FWM 7");
    let address = "10.0.0.1:80".parse().unwrap();
    let keys = vec![ServiceKey::Address { protocol: Protocol::Tcp, address }];
    let group = Front::Group { name: Name::try_from("pool").unwrap(), keys };
    let bed = down_and_up(one(group, "10.0.0.11:80"));
    assert_told(&bed, "[10.0.0.11]:tcp:80", "[pool]:0");
}

/// The check that decides, not the first one of the list.
#[test]
fn a_mail_names_the_check_that_decided() {
    let mut service = one(Front::Address("10.0.0.1:80".parse().unwrap()), "10.0.0.11:80");
    service.servers[0].checks = vec![http(), Check::new(CheckKind::Tcp)].into();
    service.servers[0].checks[1].fall = 1;
    let mut bed = started(&Config { services: vec![service.into()], ..s1() });
    bed.go(2.1);
    let is_tcp =
        |bed: &Bed, id: ProbeId| bed.balancer.probe_spec(id).is_some_and(|s| *s.kind == CheckKind::Tcp);
    for (passed, seconds) in [(false, 20.0), (true, 40.0)] {
        for id in bed.probes.clone() {
            let fails = is_tcp(&bed, id) && !passed;
            bed.probe(id, if fails { failed("refused") } else { Outcome::Passed });
        }
        bed.drain();
        bed.go(seconds);
    }
    for id in bed.probes.clone() {
        bed.probe(id, Outcome::Passed);
    }
    let bodies: Vec<String> = mails(&bed).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies[0], "=> TCP CHECK failed on service <=", "HTTP passed: {bodies:?}");
    assert!(bodies.contains(&"=> TCP CHECK succeed on service <=".into()), "{bodies:?}");
}
