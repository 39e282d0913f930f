//! What the kernel may answer, late, cut, or not at all.

mod forged;

use super::*;
use crate::limits::IPVS_WINDOW;
use crate::wire::ipvs::{
    Daemon, DaemonRole, Destination, Forwarding, MESSAGE_MAX, Protocol, Service, Timeouts,
};
use crate::wire::netlink::Body;

const PORT: u32 = 77;
const ID: u16 = 0x1c;
const MULTI: u16 = 2;
const DONE: u16 = 3;
const ERROR: u16 = 2;

/// The kernel's side: takes what is sent, makes datagrams, keeps the events.
struct Bed {
    exchange: Exchange,
    now: Instant,
    told: Vec<String>,
    /// Can services have what they need?
    can: bool,
}

/// (message type, flags, command, sequence number) of what was sent.
type Sent = Vec<(u16, u16, u8, u32)>;

impl Bed {
    fn new() -> Self {
        Bed { exchange: Exchange::default(), now: Instant::from_secs(100), told: Vec::new(), can: true }
    }

    /// With a family that has been found.
    fn ready() -> Self {
        let mut bed = Bed::new();
        bed.exchange.request(0, IpvsRequest::Resolve);
        bed.answer_lookup(Some(ID));
        assert_eq!(bed.told(), ["ready"]);
        bed
    }

    fn send(&mut self) -> Sent {
        let mut bytes = [0; IPVS_WINDOW * MESSAGE_MAX];
        let mut batch = Batch::new(&mut bytes);
        let told = &mut self.told;
        let can = &mut |_: &Needs| self.can;
        self.exchange.next_batch(self.now, IPVS_WINDOW, &mut batch, can, &mut |e| told.push(short(&e)));
        Messages::new(batch.bytes())
            .map(|m| m.unwrap())
            .map(|m| (m.kind, m.flags, m.payload[0], m.seq))
            .collect()
    }

    fn receive(&mut self, kind: u16, flags: u16, seq: u32, fill: impl FnOnce(&mut Body<'_>)) {
        self.receive_for(PORT, kind, flags, seq, fill);
    }

    fn receive_for(&mut self, port: u32, kind: u16, flags: u16, seq: u32, fill: impl FnOnce(&mut Body<'_>)) {
        let mut bytes = [0; 512];
        let mut batch = Batch::new(&mut bytes);
        batch.message(kind, flags, seq, fill).unwrap();
        let mut bytes = batch.bytes().to_vec();
        bytes[12..16].copy_from_slice(&port.to_ne_bytes());
        let told = &mut self.told;
        self.exchange.handle_datagram(self.now, PORT, &bytes, &mut |e| told.push(short(&e)));
    }

    fn reply(&mut self, seq: u32, errno: i32) {
        let payload = [&(-errno).to_ne_bytes()[..], &[0; 16]].concat();
        self.receive(ERROR, 0x100, seq, |body| body.bytes(&payload));
    }

    fn done(&mut self, seq: u32, errno: i32) {
        self.receive(DONE, MULTI, seq, |body| body.bytes(&(-errno).to_ne_bytes()));
    }

    /// Lets the question for the family go out and answers it.
    fn answer_lookup(&mut self, id: Option<u16>) {
        let sent = self.send();
        let [(0x10, 0x301, 3, seq)] = sent[..] else { panic!("no question for the families: {sent:?}") };
        let mut family = |name: &str, id: u16| {
            self.receive(0x10, MULTI, seq, |body| {
                body.bytes(&[1, 2, 0, 0]);
                body.attribute(2, name.as_bytes());
                body.attribute_u16(1, id);
            });
        };
        family("nlctrl\0", 0x10);
        if let Some(id) = id {
            family("IPVS\0", id);
        }
        family("other\0", 0x33);
        self.done(seq, 0);
    }

    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.told)
    }
}

fn short(event: &IpvsEvent) -> String {
    match event {
        IpvsEvent::Timeouts(t) => format!("timeouts {} {} {}", t.tcp, t.tcp_fin, t.udp),
        IpvsEvent::Daemon(role, daemon) => format!("{role:?} {} {}", daemon.interface, daemon.id),
        IpvsEvent::Ready { sockopt: _ } => "ready".into(),
        IpvsEvent::Absent { why } => format!("absent: {why}"),
        IpvsEvent::Service(service) => format!("service {}", service.scheduler),
        IpvsEvent::Destination(key, entry) => {
            format!("{} at {}", entry.destination.address, key.address().unwrap())
        }
        IpvsEvent::Done { token, result } => format!("{token} {result:?}"),
    }
}

fn key() -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: "10.0.0.100:80".parse().unwrap() }
}

fn new_service() -> IpvsRequest {
    let scheduler = "wlc".try_into().unwrap();
    IpvsRequest::NewService(Service {
        key: key(),
        scheduler,
        flags: 0,
        timeout: 0,
        prefix_len: 32,
        engine: "".try_into().unwrap(),
    })
}

fn set_destination() -> IpvsRequest {
    let destination = Destination {
        address: "10.0.0.2:80".parse().unwrap(),
        forward: Forwarding::DirectRoute,
        tunnel: crate::wire::ipvs::Tunnel::Ipip,
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    IpvsRequest::SetDestination(key(), destination)
}

fn service_entry(body: &mut Body<'_>, scheduler: Option<&[u8]>) {
    body.bytes(&[1, 1, 0, 0]);
    body.nest(1, |body| {
        body.attribute_u16(1, 2);
        body.attribute_u16(2, 6);
        body.attribute(3, &[10, 0, 0, 100]);
        body.attribute(4, &[0, 80]);
        if let Some(scheduler) = scheduler {
            body.attribute(6, scheduler);
        }
        body.attribute(7, &[0; 8]);
        body.attribute_u32(8, 0);
        body.attribute(9, &[255; 4]);
    });
}

#[test]
fn ipvs1_family_is_found_among_others_or_its_absence_told() {
    let mut bed = Bed::new();
    bed.exchange.request(1, new_service());
    assert_eq!(bed.exchange.next_deadline(), Some(Instant::ZERO), "the loop comes at once");
    assert_eq!(bed.send(), []);
    assert_eq!(bed.told(), ["1 Err(Interrupted)"], "nothing can be asked before the family is found");
    bed.exchange.request(2, IpvsRequest::Resolve);
    bed.exchange.request(3, new_service());
    bed.answer_lookup(None);
    let told = bed.told();
    assert_eq!(told[0], "3 Err(Interrupted)");
    for word in ["kmod-nf-ipvs", "CONFIG_IP_VS", "modprobe ip_vs"] {
        assert!(
            told[1].starts_with("absent: ") && told[1].contains(word),
            "{told:?} must name {word}, whole"
        );
    }
    bed.exchange.request(4, IpvsRequest::Resolve);
    bed.exchange.request(5, new_service());
    bed.answer_lookup(Some(ID));
    assert_eq!(bed.told(), ["ready"]);
    assert_eq!(bed.send(), [(ID, 5, 1, bed.exchange.seq)], "what was asked behind it goes out");
}

#[test]
fn b95_family_without_an_id_is_an_absent_one() {
    let mut bed = Bed::new();
    bed.exchange.request(1, IpvsRequest::Resolve);
    let seq = bed.send()[0].3;
    bed.receive(0x10, MULTI, seq, |body| {
        body.bytes(&[1, 2, 0, 0]);
        body.attribute(2, b"IPVS\0");
    });
    bed.done(seq, 0);
    assert!(bed.told()[0].starts_with("absent: the kernel has no IPVS"));
}

/// Seen in the guest: 64 changed schedulers in one send kept the loop for seconds.
#[test]
fn services_that_change_go_alone() {
    let mut bed = Bed::ready();
    let IpvsRequest::NewService(service) = new_service() else { unreachable!() };
    let [del, set] = [IpvsRequest::DelService(key()), IpvsRequest::SetService(service)];
    for (token, request) in [&del, &set, &set, &del].into_iter().enumerate() {
        bed.exchange.request(token as u32 + 1, request.clone());
    }
    let mut sizes = Vec::new();
    for _ in 0..4 {
        sizes.push((bed.exchange.is_next_slow(), {
            let sent = bed.send();
            sent.iter().for_each(|(.., seq)| bed.reply(*seq, 0));
            sent.len()
        }));
    }
    assert_eq!(sizes, [(false, 1), (true, 1), (true, 1), (false, 1)]);
    assert_eq!(bed.told().len(), 4, "all have ended");
}

#[test]
fn commands_go_in_order_in_one_batch_and_dumps_alone() {
    let mut bed = Bed::ready();
    for token in 0..100 {
        bed.exchange.request(token, new_service());
    }
    bed.exchange.request(100, IpvsRequest::DumpServices);
    bed.exchange.request(101, IpvsRequest::DumpDestinations(key()));
    let sent = bed.send();
    assert_eq!(sent.len(), IPVS_WINDOW, "the window bounds a batch");
    assert_eq!(bed.send(), [], "the next one waits for the answers");
    for (_, _, _, seq) in sent {
        bed.reply(seq, 0);
    }
    let rest = bed.send();
    assert_eq!(rest.len(), 100 - IPVS_WINDOW, "and ends before the dump");
    for (_, _, _, seq) in rest {
        bed.reply(seq, 0);
    }
    let want: Vec<String> = (0..100).map(|token| format!("{token} Ok(())")).collect();
    assert_eq!(bed.told(), want);
    let dump = bed.send();
    assert_eq!(dump, [(ID, 0x301, 4, dump[0].3)]);
    bed.receive(ID, MULTI, dump[0].3, |body| service_entry(body, Some(b"wlc\0")));
    bed.done(dump[0].3, 0);
    assert_eq!(bed.told(), ["service wlc", "100 Ok(())"]);
    let dump = bed.send();
    assert_eq!(dump, [(ID, 0x301, 8, dump[0].3)]);
    bed.receive(ID, MULTI, dump[0].3, |body| {
        body.bytes(&[5, 1, 0, 0]);
        body.nest(2, |body| {
            body.attribute(1, &[10, 0, 0, 2]);
            body.attribute(2, &[0, 80]);
            (3..=8).for_each(|kind| body.attribute_u32(kind, 1));
        });
    });
    bed.done(dump[0].3, 0);
    assert_eq!(bed.told(), ["10.0.0.2:80 at 10.0.0.100", "101 Ok(())"]);
    assert_eq!(bed.exchange.next_deadline(), None);
}

#[test]
fn b99_dump_of_a_missing_service_is_an_empty_one() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, IpvsRequest::DumpDestinations(key()));
    let seq = bed.send()[0].3;
    bed.done(seq, 0);
    assert_eq!(bed.told(), ["1 Ok(())"], "IPVS-45");
}

#[test]
fn b101_refusals_end_their_own_request_only() {
    let mut bed = Bed::ready();
    for token in 1..=3 {
        bed.exchange.request(token, new_service());
    }
    let sent = bed.send();
    bed.reply(sent[0].3, libc::EEXIST);
    bed.reply(sent[1].3, libc::ESRCH);
    bed.reply(sent[2].3, 0);
    assert_eq!(bed.told(), ["1 Err(Exists)", "2 Err(NotFound)", "3 Ok(())"]);
}

#[test]
fn b85_late_and_foreign_answers_change_nothing() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, new_service());
    let seq = bed.send()[0].3;
    bed.reply(seq.wrapping_sub(1), libc::EPERM);
    bed.receive_for(PORT + 1, ERROR, 0, seq, |body| body.bytes(&[0; 20]));
    bed.receive(ERROR, 0, seq, |body| body.bytes(&[0; 16]));
    assert_eq!(bed.told(), [""; 0]);
    bed.reply(seq, 0);
    assert_eq!(bed.told(), ["1 Ok(())"]);
}

#[test]
fn b86_silence_ends_after_two_seconds() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, IpvsRequest::DumpServices);
    bed.exchange.request(2, new_service());
    let seq = bed.send()[0].3;
    bed.now += Duration::from_millis(1500);
    bed.receive(ID, MULTI, seq, |body| service_entry(body, Some(b"wlc\0")));
    let deadline = bed.exchange.next_deadline().unwrap();
    assert_eq!(deadline, bed.now + ANSWER_TIMEOUT, "a long dump that goes on is not late");
    let told = &mut bed.told;
    assert!(!bed.exchange.handle_timeout(deadline - Duration::from_millis(1), &mut |e| told.push(short(&e))));
    assert!(bed.exchange.handle_timeout(deadline, &mut |e| told.push(short(&e))));
    assert_eq!(bed.told(), ["service wlc", "1 Err(Interrupted)"]);
    assert_eq!(bed.send().len(), 1, "what was not sent yet goes on");
}

#[test]
fn b86_family_that_is_not_answered_is_absent() {
    let mut bed = Bed::new();
    bed.exchange.request(1, IpvsRequest::Resolve);
    bed.send();
    let told = &mut bed.told;
    assert!(bed.exchange.handle_timeout(bed.now + ANSWER_TIMEOUT, &mut |e| told.push(short(&e))));
    assert_eq!(bed.told(), ["absent: generic netlink does not answer"]);
    assert_eq!(bed.exchange.next_deadline(), None);
}

#[test]
fn b95_module_loaded_anew_is_found_again_and_told() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, set_destination());
    bed.exchange.request(2, IpvsRequest::DumpServices);
    let seq = bed.send()[0].3;
    bed.reply(seq, libc::ENOENT);
    assert_eq!(bed.told(), [""; 0], "a destination or the family? Ask.");
    bed.answer_lookup(Some(ID + 1));
    assert_eq!(bed.told(), ["1 Err(Interrupted)", "2 Err(Interrupted)", "ready"], "the table is empty now");
    bed.exchange.request(3, IpvsRequest::DumpServices);
    assert_eq!(bed.send()[0].0, ID + 1, "under its new id");
}

#[test]
fn b95_enoent_of_an_entry_is_told_after_one_look() {
    let mut bed = Bed::ready();
    for token in 1..=3 {
        bed.exchange.request(token, set_destination());
    }
    for (_, _, _, seq) in bed.send() {
        bed.reply(seq, if seq % 2 == 0 { libc::ENOENT } else { 0 });
    }
    let before = bed.told().len();
    bed.answer_lookup(Some(ID));
    let told = bed.told();
    assert_eq!(before + told.len(), 3, "no answer is lost, and no `ready` is told");
    assert!(told.iter().all(|t| t.ends_with("Err(NotFound)")), "IPVS-42a: {told:?}");
    assert_eq!(bed.send(), [], "one look is enough");
}

#[test]
fn b95_ipvs45d_module_that_is_gone_is_told_as_absent() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, IpvsRequest::DumpServices);
    let seq = bed.send()[0].3;
    bed.reply(seq, libc::ENOENT);
    bed.answer_lookup(None);
    let told = bed.told();
    assert_eq!(told[0], "1 Err(Interrupted)");
    assert!(told[1].starts_with("absent: the kernel has no IPVS"));
}

#[test]
fn b96_dump_with_a_part_that_cannot_be_read_does_not_look_complete() {
    let mut bed = Bed::ready();
    for (flags, scheduler, want) in [
        (MULTI, Some(&b"wlc\0"[..]), "Ok(())"),
        (MULTI, None, "Err(Interrupted)"),
        (MULTI | 0x10, Some(&b"wlc\0"[..]), "Err(Interrupted)"),
    ] {
        bed.exchange.request(1, IpvsRequest::DumpServices);
        let seq = bed.send()[0].3;
        bed.receive(ID, flags, seq, |body| service_entry(body, scheduler));
        bed.done(seq, 0);
        assert_eq!(bed.told().last().unwrap(), &format!("1 {want}"), "{flags} {scheduler:?} (IPVS-48)");
    }
    bed.exchange.request(2, IpvsRequest::DumpServices);
    let seq = bed.send()[0].3;
    bed.exchange.handle_datagram(bed.now, PORT, &[0xff; 20], &mut |_| {});
    bed.done(seq, 0);
    assert_eq!(bed.told(), ["2 Err(Interrupted)"], "B-75: the rest of that datagram is unknown");
    bed.exchange.request(3, IpvsRequest::DumpServices);
    let seq = bed.send()[0].3;
    bed.done(seq, libc::EINTR);
    assert_eq!(bed.told(), ["3 Err(Interrupted)"], "B-84");
}

#[test]
fn lost_answers_and_failed_sends_end_what_was_sent() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, new_service());
    bed.exchange.request(2, new_service());
    let seq = bed.send()[0].3;
    bed.reply(seq, 0);
    let told = &mut bed.told;
    bed.exchange.handle_loss(&mut |e| told.push(short(&e)));
    assert_eq!(bed.told(), ["1 Ok(())", "2 Err(Interrupted)"], "B-88, B-89");
    bed.exchange.request(3, new_service());
    bed.send();
    let told = &mut bed.told;
    bed.exchange.handle_send_failure(libc::ENOBUFS, &mut |e| told.push(short(&e)));
    assert_eq!(bed.told(), ["3 Err(Busy)"]);
    bed.exchange.request(4, new_service());
    assert_eq!(bed.send().len(), 1, "and it goes on");
}

#[test]
fn b103_timeouts_are_told_by_a_message_and_an_acknowledgement() {
    let mut bed = Bed::ready();
    let get = || IpvsRequest::Whole(WholeRequest::GetTimeouts);
    bed.exchange.request(1, get());
    bed.exchange.request(2, IpvsRequest::Whole(WholeRequest::SetTimeouts(Timeouts::default())));
    let sent = bed.send();
    assert_eq!(sent.iter().map(|s| (s.1, s.2)).collect::<Vec<_>>(), [(5, 13), (5, 12)], "both in one batch");
    bed.receive(ID, 0, sent[0].3, |body| {
        body.bytes(&[12, 1, 0, 0]);
        (4..=6).for_each(|kind| body.attribute_u32(kind, u32::from(kind) * 100));
    });
    assert_eq!(bed.told(), ["timeouts 400 500 600"]);
    bed.reply(sent[0].3, 0);
    bed.reply(sent[1].3, libc::EINVAL);
    assert_eq!(bed.told(), ["1 Ok(())", "2 Err(Invalid)"], "IPVS-45c");
    bed.exchange.request(3, get());
    let seq = bed.send()[0].3;
    bed.receive(ID, 0, seq, |body| body.bytes(&[12, 1, 0, 0]));
    bed.reply(seq, 0);
    assert_eq!(bed.told(), ["timeouts 0 0 0", "3 Ok(())"], "a kernel without TCP and UDP");
    for payload in [&[12, 1, 0, 0, 6, 0, 4, 0, 1, 1, 0, 0][..], &[13, 1, 0, 0], &[]] {
        bed.exchange.request(4, get());
        let seq = bed.send()[0].3;
        if !payload.is_empty() {
            bed.receive(ID, 0, seq, |body| body.bytes(payload));
        }
        bed.reply(seq, 0);
        assert_eq!(bed.told(), ["4 Err(Interrupted)"], "no answer, or none that can be read: {payload:?}");
    }
}

#[test]
fn daemons_are_told_by_a_dump_of_their_own() {
    let mut bed = Bed::ready();
    let daemon =
        Daemon { interface: "eth1".try_into().unwrap(), id: 51, max_len: 0, group: None, port: 0, ttl: 0 };
    let roles = [DaemonRole::Master, DaemonRole::Backup];
    for (token, role) in (1..).zip(roles) {
        bed.exchange.request(token, IpvsRequest::Whole(WholeRequest::NewDaemon(role, daemon.clone())));
    }
    bed.exchange.request(3, IpvsRequest::Whole(WholeRequest::DelDaemon(DaemonRole::Master)));
    bed.exchange.request(4, IpvsRequest::Whole(WholeRequest::DumpDaemons));
    let sent = bed.send();
    let want = [(5, 9), (5, 9), (5, 10)];
    assert_eq!(sent.iter().map(|s| (s.1, s.2)).collect::<Vec<_>>(), want, "a dump goes alone");
    bed.reply(sent[0].3, libc::EEXIST);
    bed.reply(sent[1].3, libc::ENODEV);
    bed.reply(sent[2].3, libc::ESRCH);
    assert_eq!(bed.told(), ["1 Err(Exists)", "2 Err(NoDevice)", "3 Err(NotFound)"], "IPVS-44..44c");
    let mut tell = |parts: &[(u16, &[u8])]| {
        let [(ID, 0x301, 11, seq)] = bed.send()[..] else { panic!("no GET_DAEMON") };
        bed.receive(ID, MULTI, seq, |body| {
            body.bytes(&[9, 1, 0, 0]);
            body.nest(3, |body| parts.iter().for_each(|(kind, value)| body.attribute(*kind, value)));
        });
        bed.done(seq, 0);
        bed.exchange.request(5, IpvsRequest::Whole(WholeRequest::DumpDaemons));
        bed.told()
    };
    let (state, id) = (1u32.to_ne_bytes(), 51u32.to_ne_bytes());
    assert_eq!(tell(&[(1, &state), (2, b"eth1\0"), (3, &id)]), ["Master eth1 51", "4 Ok(())"]);
    assert_eq!(tell(&[(1, &state), (3, &id)]), ["5 Err(Interrupted)"], "B-96: it has no interface");
}

#[test]
fn ipvs40a_service_whose_scheduler_cannot_be_had_is_not_sent() {
    let mut bed = Bed::ready();
    bed.can = false;
    bed.exchange.request(1, new_service());
    bed.exchange.request(2, set_destination());
    bed.exchange.request(3, IpvsRequest::DelService(key()));
    let sent = bed.send();
    assert_eq!(bed.told(), ["1 Err(NotFound)"], "the kernel would run its module loader inside our send");
    assert_eq!(sent.iter().map(|s| s.2).collect::<Vec<_>>(), [6, 3], "the rest has no such need");
    sent.iter().for_each(|s| bed.reply(s.3, 0));
    bed.can = true;
    bed.exchange.request(4, new_service());
    bed.exchange.request(5, set_destination());
    for (_, _, _, seq) in bed.send() {
        bed.reply(seq, libc::ENOENT);
    }
    assert!(bed.exchange.take_lacking().is_empty(), "the family may be gone as well");
    bed.answer_lookup(Some(ID));
    let IpvsRequest::NewService(service) = new_service() else { unreachable!() };
    assert_eq!(bed.exchange.take_lacking(), [Needs::of(&service)]);
    assert!(bed.exchange.take_lacking().is_empty(), "told once");
}

#[test]
fn ipvs2_restart_asks_for_the_family_again() {
    let mut bed = Bed::ready();
    bed.exchange.request(1, new_service());
    let seq = bed.send()[0].3;
    bed.exchange.request(2, new_service());
    let told = &mut bed.told;
    bed.exchange.restart(&mut |e| told.push(short(&e)));
    assert_eq!(bed.told(), ["1 Err(Interrupted)", "2 Err(Interrupted)"]);
    bed.reply(seq, 0);
    bed.exchange.request(3, new_service());
    bed.answer_lookup(Some(ID));
    assert_eq!(bed.told(), ["ready"], "what comes late changes nothing");
    assert_eq!(bed.send().len(), 1);
}
