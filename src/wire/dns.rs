//! DNS questions and what the answers say (RFC 1035 §4.1; HC-30 to HC-32).

use smoltcp::wire::{DnsFlags, DnsOpcode, DnsPacket};

/// Header, the longest name, its type and its class.
pub const QUERY_MAX: usize = HEADER_LEN + NAME_MAX + 4;

const HEADER_LEN: usize = 12;
/// RFC 1035 §3.1.
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;
const CLASS_IN: u16 = 1;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// RCODE 0, whole or cut short (TC; HC-31).
    NoError,
    /// Any other RCODE.
    Error(u8),
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

/// What a datagram says to `query`. `None`: it is no answer to it (another id or question, no response,
/// shorter than a header; B-120), and the right one may still come. An error without the question, as some
/// servers send it, counts.
///
/// The question of an answer is compared byte by byte, letters of either case: nobody compresses the first
/// name of a message, there is nothing before it to point to.
pub fn parse_answer(query: &[u8], datagram: &[u8]) -> Option<Answer> {
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
    let is_ours = datagram.get(HEADER_LEN..HEADER_LEN + question.len());
    match (packet.question_count(), rcode) {
        (0, 1..) => Some(Answer::Error(rcode)),
        (1, _) if is_ours.is_some_and(|theirs| theirs.eq_ignore_ascii_case(question)) => Some(match rcode {
            0 => Answer::NoError,
            _ => Answer::Error(rcode),
        }),
        (_, _) => None,
    }
}

/// The name of an RCODE; empty for one that has none here.
pub const fn rcode_name(rcode: u8) -> &'static str {
    match rcode {
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
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
        parse_answer(&GOLDEN, &bytes)
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
        assert_eq!(answer(|_| {}), Some(Answer::NoError));
        assert_eq!(answer(|b| b[2] |= 2), Some(Answer::NoError), "HC-31: TC");
        assert_eq!(
            answer(|b| b[13..24].make_ascii_uppercase()),
            Some(Answer::NoError),
            "HC-31: letters' case"
        );
        assert_eq!(answer(|b| b.resize(65_000, 7)), Some(Answer::NoError), "records are not looked at");
        for rcode in [2, 3, 5] {
            assert_eq!(answer(|b| b[3] |= rcode), Some(Answer::Error(rcode)));
        }
        let refused = |b: &mut Vec<u8>| {
            b.truncate(HEADER_LEN);
            (b[3], b[5]) = (5, 0);
        };
        assert_eq!(answer(refused), Some(Answer::Error(5)), "an error without the question");
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
}
