//! Dumps as the kernel sends them, and the same ones damaged: cut, moved, with bits turned over.

use super::*;

/// Counters as the kernel nests them, `wide` ones after padding (B-98).
fn counters(body: &mut Body<'_>, kind: u16, is_wide: bool) {
    body.nest(kind, |body| {
        body.attribute(11, &[]);
        for number in 1..=10 {
            match is_wide || number == 4 || number == 5 {
                true => body.attribute(number, &[7; 8]),
                false => body.attribute(number, &[7; 4]),
            }
        }
    });
}

fn service(body: &mut Body<'_>, number: u16) {
    body.bytes(&[1, 1, 0, 0]);
    body.nest(1, |body| {
        body.attribute_u16(1, 2);
        body.attribute_u16(2, 6);
        body.attribute(3, &[10, 0, (number >> 8) as u8, number as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.attribute(4, &[0, 80]);
        body.attribute(6, b"wlc\0");
        body.attribute(7, &[2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        body.attribute_u32(8, 0);
        body.attribute(9, &[255; 4]);
        counters(body, 10, false);
        counters(body, 12, true);
    });
}

/// A destination without the part `left_out`.
fn destination(body: &mut Body<'_>, number: u8, left_out: u16) {
    body.bytes(&[5, 1, 0, 0]);
    body.nest(2, |body| {
        let address = [10, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let parts: [(u16, &[u8]); 2] = [(1, &address), (2, &[0, 80])];
        parts.iter().filter(|(kind, _)| *kind != left_out).for_each(|(kind, value)| {
            body.attribute(*kind, value);
        });
        (3..=9).filter(|kind| *kind != left_out).for_each(|kind| body.attribute_u32(kind, 1));
        counters(body, 10, false);
        body.attribute_u16(11, 2);
        counters(body, 12, true);
    });
}

/// A datagram of `fill`'s messages, as it comes to our port.
fn datagram(seq: u32, fill: impl FnOnce(&mut Batch<'_>, u32)) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let mut batch = Batch::new(&mut bytes);
    fill(&mut batch, seq);
    let mut bytes = batch.bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        bytes[at + 12..at + 16].copy_from_slice(&PORT.to_ne_bytes());
        at += u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    bytes
}

fn done(batch: &mut Batch<'_>, seq: u32) {
    batch.message(DONE, MULTI, seq, |body| body.bytes(&[0; 4])).unwrap();
}

impl Bed {
    fn take(&mut self, bytes: &[u8]) {
        let told = &mut self.told;
        self.exchange.handle_datagram(self.now, PORT, bytes, &mut |e| told.push(short(&e)));
    }

    fn ask(&mut self, request: IpvsRequest) -> u32 {
        self.exchange.request(1, request);
        self.send()[0].3
    }
}

/// As measured: 300 services in four datagrams, of which the largest has 32,320 bytes.
#[test]
fn ipvs47_a_dump_in_large_datagrams_is_whole() {
    let mut bed = Bed::ready();
    let seq = bed.ask(IpvsRequest::DumpServices);
    let (mut number, mut largest) = (0, 0);
    for count in [12, 101, 101, 86] {
        let bytes = datagram(seq, |batch, seq| {
            for _ in 0..count {
                number += 1;
                batch.message(ID, MULTI, seq, |body| service(body, number)).unwrap();
            }
        });
        largest = largest.max(bytes.len());
        bed.take(&bytes);
    }
    bed.done(seq, 0);
    let told = bed.told();
    assert!((32_000..crate::sys::ipvs::DATAGRAM_MAX).contains(&largest), "{largest} bytes in one datagram");
    assert_eq!(told.len(), 301, "a service that is not told would be made again");
    assert_eq!(told[300], "1 Ok(())");
}

/// A destination of which a part is missing is not there, and the others do not look like all.
#[test]
fn b96_a_dump_of_destinations_with_a_bad_one_does_not_look_complete() {
    for left_out in 0..=8 {
        let mut bed = Bed::ready();
        let seq = bed.ask(IpvsRequest::DumpDestinations(key()));
        bed.take(&datagram(seq, |batch, seq| {
            for (number, left_out) in [(1, 0), (2, left_out), (3, 0)] {
                batch.message(ID, MULTI, seq, |body| destination(body, number, left_out)).unwrap();
            }
            done(batch, seq);
        }));
        let told = bed.told();
        match left_out {
            0 => assert_eq!((told.len(), &*told[3]), (4, "1 Ok(())"), "nothing is missing"),
            _ => assert_eq!((told.len(), &*told[2]), (3, "1 Err(Interrupted)"), "without {left_out}"),
        }
    }
}

/// Numbers of 8 bytes are aligned to 4 at best, and the buffer to nothing.
#[test]
fn b98_an_entry_is_read_wherever_it_lies() {
    let mut bed = Bed::ready();
    for offset in 0..8 {
        let seq = bed.ask(IpvsRequest::DumpServices);
        let bytes = datagram(seq, |batch, seq| {
            batch.message(ID, MULTI, seq, |body| service(body, 1)).unwrap();
            done(batch, seq);
        });
        let moved = [&vec![0xee; offset][..], &bytes].concat();
        bed.take(&moved[offset..]);
        assert_eq!(bed.told(), ["service wlc", "1 Ok(())"], "at {offset}");
    }
}

/// Cut at each byte, with the end of the dump lost or seen.
#[test]
fn b75_b96_a_dump_that_is_cut_never_looks_complete() {
    let mut bed = Bed::ready();
    let whole = |seq| {
        datagram(seq, |batch, seq| {
            (1..=3).for_each(|number| {
                batch.message(ID, MULTI, seq, |body| service(body, number)).unwrap();
            });
        })
    };
    let len = whole(0).len();
    for cut in 0..len {
        let seq = bed.ask(IpvsRequest::DumpServices);
        bed.take(&whole(seq)[..cut]);
        let told = bed.told();
        assert!(told.iter().all(|told| told == "service wlc"), "{cut}: {told:?}");
        bed.done(seq, 0);
        let want = match cut % (len / 3) {
            0 => "1 Ok(())",
            _ => "1 Err(Interrupted)",
        };
        assert_eq!(bed.told(), [want], "cut at {cut} of {len}");
    }
}

/// 2,000 dumps with some bits turned over: each ends once, and the next one is read as if nothing had been.
#[test]
fn b75_to_b98_damaged_dumps_end_and_harm_nobody() {
    let mut random = 0x9e37_79b9_u32;
    let mut next = move |most: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % most
    };
    let mut bed = Bed::ready();
    let (mut complete, mut interrupted) = (0, 0);
    for number in 0..2000 {
        let is_services = number % 2 == 0;
        let kind = match is_services {
            true => IpvsRequest::DumpServices,
            false => IpvsRequest::DumpDestinations(key()),
        };
        let seq = bed.ask(kind.clone());
        let mut bytes = datagram(seq, |batch, seq| {
            for number in 1..=3_u8 {
                let fill = |body: &mut Body<'_>| match is_services {
                    true => service(body, number.into()),
                    false => destination(body, number, 0),
                };
                batch.message(ID, MULTI, seq, fill).unwrap();
            }
            done(batch, seq);
        });
        for _ in 0..=next(8) {
            let at = next(bytes.len());
            bytes[at] ^= 1 << next(8);
        }
        bed.take(&bytes);
        let mut told = bed.told();
        if bed.exchange.is_waiting() {
            // The end was damaged. Whatever else is awaited (the family, after an ENOENT), it is given up.
            bed.now += ANSWER_TIMEOUT;
            let all = &mut bed.told;
            bed.exchange.handle_timeout(bed.now, &mut |e| all.push(short(&e)));
            told.extend(bed.told());
        }
        let ends: Vec<_> = told.iter().filter(|told| told.starts_with("1 ")).collect();
        assert_eq!(ends.len(), 1, "one end: {told:?}");
        match ends[0] == "1 Ok(())" {
            true => complete += 1,
            false => interrupted += 1,
        }
        if !matches!(bed.exchange.next(), Next::Nothing) || told.iter().any(|told| told.starts_with("absent"))
        {
            bed = Bed::ready();
        }
        let seq = bed.ask(IpvsRequest::DumpServices);
        bed.take(&datagram(seq, |batch, seq| {
            batch.message(ID, MULTI, seq, |body| service(body, 1)).unwrap();
            done(batch, seq);
        }));
        assert_eq!(bed.told(), ["service wlc", "1 Ok(())"], "after number {number}");
    }
    assert!(complete > 200 && interrupted > 200, "both kinds of damage: {complete}, {interrupted}");
}
