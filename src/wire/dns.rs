//! DNS questions and what the answers say (RFC 1035 §4.1; HC-30 to HC-32).

use core::net::IpAddr;
use smoltcp::wire::{DnsFlags, DnsOpcode, DnsPacket};

/// Header, the longest name, its type and its class.
pub const QUERY_MAX: usize = HEADER_LEN + NAME_MAX + 4;

const HEADER_LEN: usize = 12;
/// RFC 1035 §3.1.
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;
const CLASS_IN: u16 = 1;

/// Record types A (RFC 1035 §3.2.2) and AAAA (RFC 3596 §2.1).
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// RCODE, 0..=15.
    pub rcode: u8,
    /// It is cut short (TC).
    pub truncated: bool,
    /// The wanted address is among its A or AAAA records; false where none was wanted.
    pub has_address: bool,
}

/// Writes a query with recursion desired (HC-30); `name` may end with a dot, and is empty for the root.
/// `None`: a label is empty or longer than 63 bytes, or the name longer than 255 (HC-32).
pub fn emit_query(id: u16, name: &str, kind: u16, buf: &mut [u8; QUERY_MAX]) -> Option<usize> {
    let name = name.strip_suffix('.').unwrap_or(name);
    // Some of the flags would stay as they are.
    buf.iter_mut().take(HEADER_LEN).for_each(|byte| *byte = 0);
    let mut packet = DnsPacket::new_unchecked(buf.as_mut_slice());
    packet.set_transaction_id(id);
    packet.set_flags(DnsFlags::RECURSION_DESIRED);
    packet.set_opcode(DnsOpcode::Query);
    packet.set_question_count(1);
    packet.set_answer_record_count(0);
    packet.set_authority_record_count(0);
    packet.set_additional_record_count(0);
    let mut at = HEADER_LEN;
    let mut put = |bytes: &[u8]| {
        buf.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        at += bytes.len();
        Some(())
    };
    if !name.is_empty() {
        for label in name.split('.') {
            if label.is_empty() || label.len() > LABEL_MAX {
                return None;
            }
            put(&[label.len() as u8])?;
            put(label.as_bytes())?;
        }
    }
    put(&[0])?;
    put(&kind.to_be_bytes())?;
    put(&CLASS_IN.to_be_bytes())?;
    Some(at)
}

/// What a datagram says to `query`, and whether `wanted` is among the addresses in it. `None`: it is no
/// answer to it (another id or question, no response, shorter than a header; B-120), and the right one may
/// still come. An error without the question, as some servers send it, counts.
///
/// The question of an answer is compared byte by byte, letters of either case: nobody compresses the first
/// name of a message, there is nothing before it to point to.
pub fn parse_answer(query: &[u8], datagram: &[u8], wanted: Option<IpAddr>) -> Option<Answer> {
    let asked = DnsPacket::new_checked(query).ok()?;
    let packet = DnsPacket::new_checked(datagram).ok()?;
    let rcode = u8::from(packet.rcode());
    let is_response = packet.flags().contains(DnsFlags::RESPONSE);
    if !is_response
        || packet.opcode() != DnsOpcode::Query
        || packet.transaction_id() != asked.transaction_id()
    {
        return None;
    }
    let question = query.get(HEADER_LEN..)?;
    let theirs = datagram.get(HEADER_LEN..HEADER_LEN + question.len());
    match (packet.question_count(), rcode) {
        (0, 1..) => {}
        (1, _) if theirs.is_some_and(|theirs| theirs.eq_ignore_ascii_case(question)) => {}
        (_, _) => return None,
    }
    let records = datagram.get(HEADER_LEN + question.len()..).unwrap_or(&[]);
    let count = packet.answer_record_count();
    let has_address = wanted.is_some_and(|wanted| has_address(records, count, wanted));
    let truncated = packet.flags().contains(DnsFlags::TRUNCATED);
    Some(Answer { rcode, truncated, has_address })
}

/// Is an A or AAAA record with this address among the first `count` ones? What is cut off, or makes no sense,
/// ends the search. Whose record it is does not matter: names on the way (CNAME) are the server's affair.
fn has_address(mut rest: &[u8], count: u16, wanted: IpAddr) -> bool {
    for _ in 0..count {
        let Some((kind, class, data, after)) = record(rest) else { return false };
        let is_it = match wanted {
            IpAddr::V4(v4) => kind == TYPE_A && data == v4.octets(),
            IpAddr::V6(v6) => kind == TYPE_AAAA && data == v6.octets(),
        };
        if is_it && class == CLASS_IN {
            return true;
        }
        rest = after;
    }
    false
}

/// Type, class and data of the first record, and what comes after it. Its name is passed over, not read: a
/// pointer, wherever it points, is the end of a name (RFC 1035 §4.1.4), so that there is no loop to follow.
fn record(bytes: &[u8]) -> Option<(u16, u16, &[u8], &[u8])> {
    let mut rest = bytes;
    // Each step takes at least one byte.
    loop {
        let (&len, after) = rest.split_first()?;
        rest = match len {
            0 => {
                rest = after;
                break;
            }
            1..=63 => after.get(usize::from(len)..)?,
            0xc0.. => {
                rest = after.get(1..)?;
                break;
            }
            64..=0xbf => return None,
        };
    }
    let (&[a, b, c, d, _, _, _, _, e, f], rest) = rest.split_first_chunk::<10>()?;
    let (data, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([e, f])))?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), data, after))
}

/// The name of an RCODE (RFC 1035 §4.1.1, RFC 2136 §2.2); empty for one that has none.
pub const fn rcode_name(rcode: u8) -> &'static str {
    match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: [u8; 29] = [
        0x12, 0x34, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x65, 0x78, 0x61, 0x6d,
        0x70, 0x6c, 0x65, 0x03, 0x63, 0x6f, 0x6d, 0x00, 0x00, 0x06, 0x00, 0x01,
    ];

    fn query(name: &str) -> Option<Vec<u8>> {
        let mut buf = [0xff; QUERY_MAX];
        emit_query(0x1234, name, 6, &mut buf).map(|len| buf[..len].to_vec())
    }

    fn answer(change: impl FnOnce(&mut Vec<u8>)) -> Option<Answer> {
        let mut bytes = GOLDEN.to_vec();
        bytes[2] |= 0x80;
        change(&mut bytes);
        parse_answer(&GOLDEN, &bytes, None)
    }

    const fn plain(rcode: u8) -> Option<Answer> {
        Some(Answer { rcode, truncated: false, has_address: false })
    }

    #[test]
    fn queries_are_those_of_hc30() {
        assert_eq!(query("example.com").unwrap(), GOLDEN);
        assert_eq!(query("example.com.").unwrap(), GOLDEN, "a last dot changes nothing");
        assert_eq!(query("").unwrap()[HEADER_LEN..], [0, 0, 6, 0, 1], "the root");
        assert_eq!(query(".").unwrap()[HEADER_LEN..], [0, 0, 6, 0, 1], "the root");
        let label = "x".repeat(63);
        assert!(query(&label).is_some());
        let longest = format!("{label}.{label}.{label}.{}", "x".repeat(61));
        assert_eq!(query(&longest).map(|q| q.len()), Some(QUERY_MAX), "255 bytes on the wire");
        for bad in [&format!("{label}x"), "a..b", ".a", &format!("{longest}x")] {
            assert_eq!(query(bad), None, "HC-32: {bad}");
        }
    }

    #[test]
    fn answers_are_told_from_everything_else_b120() {
        assert_eq!(answer(|_| {}), plain(0));
        let cut = Answer { rcode: 0, truncated: true, has_address: false };
        assert_eq!(answer(|b| b[2] |= 2), Some(cut), "HC-31: TC");
        assert_eq!(answer(|b| b[13..24].make_ascii_uppercase()), plain(0), "HC-31: letters' case");
        assert_eq!(answer(|b| b.resize(65_000, 7)), plain(0), "records are not looked at");
        for rcode in [2, 3, 5] {
            assert_eq!(answer(|b| b[3] |= rcode), plain(rcode));
        }
        let refused = |b: &mut Vec<u8>| {
            b.truncate(HEADER_LEN);
            (b[3], b[5]) = (5, 0);
        };
        assert_eq!(answer(refused), plain(5), "an error without the question");
        for len in 0..GOLDEN.len() {
            assert_eq!(answer(|b| b.truncate(len)), None, "{len} bytes");
        }
        assert_eq!(answer(|b| b[1] ^= 1), None, "another id");
        assert_eq!(answer(|b| b[2] &= 0x7f), None, "QR=0: a question");
        assert_eq!(answer(|b| b[2] |= 0x20), None, "HC-31: opcode");
        assert_eq!(answer(|b| b[14] = b'y'), None, "another name");
        assert_eq!(answer(|b| b[26] = 1), None, "another type");
        assert_eq!(answer(|b| b[5] = 2), None, "two questions");
        assert_eq!(answer(|b| b[5] = 0), None, "no question, and no error");
        assert_eq!(answer(|b| b[12..14].copy_from_slice(&[0xc0, 12])), None, "a name that points to itself");
    }

    /// An answer with `count` records, which are `records`; does it hold `wanted`?
    fn holds(count: u16, records: &[u8], wanted: &str) -> bool {
        let mut bytes = GOLDEN.to_vec();
        bytes[2] |= 0x80;
        bytes[6..8].copy_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(records);
        parse_answer(&GOLDEN, &bytes, Some(wanted.parse().unwrap())).unwrap().has_address
    }

    fn a_record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = name.to_vec();
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn an_address_is_found_among_the_records() {
        let alias = a_record(&[0xc0, 12], 5, b"\x03www\xc0\x14");
        let v4 = a_record(b"\x03www\x07example\xc0\x14", TYPE_A, &[192, 0, 2, 1]);
        let v6 = a_record(&[0], TYPE_AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let all = [alias.clone(), v4.clone(), v6.clone()].concat();
        assert!(holds(3, &all, "192.0.2.1"));
        assert!(holds(3, &all, "2001:db8::1"));
        assert!(!holds(3, &all, "192.0.2.2"), "another one");
        assert!(!holds(1, &all, "192.0.2.1"), "behind the answers: additional records are no answer");
        assert!(!holds(1, &a_record(&[0], 16, &[192, 0, 2, 1]), "192.0.2.1"), "a TXT with these bytes");
        let mut chaos = v4.clone();
        chaos[17] = 3;
        assert!(!holds(1, &chaos, "192.0.2.1"), "another class");
        for len in 0..v4.len() {
            assert!(!holds(1, &v4[..len], "192.0.2.1"), "cut at {len}");
        }
    }

    #[test]
    fn names_that_never_end_are_passed_over_b120() {
        let v4 = a_record(&[0xc0, 29], TYPE_A, &[192, 0, 2, 1]);
        assert!(holds(1, &v4, "192.0.2.1"), "a name that points to itself is passed over as any other");
        assert!(!holds(u16::MAX, &[0xc0; 64], "192.0.2.1"), "pointers and no records");
        assert!(!holds(u16::MAX, &[1; 4096], "192.0.2.1"), "labels without an end");
        assert!(!holds(1, &[0x40, 0, 0], "192.0.2.1"), "a label of a kind that nobody has defined");
        let empty = a_record(&[0], 16, &[]);
        assert!(!holds(u16::MAX, &empty.repeat(5000), "192.0.2.1"), "more records than there are");
        // Whatever it is, it is no panic.
        let mut seed = 1_u32;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..80)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            holds(u16::MAX, &bytes, "192.0.2.1");
        }
    }
}
