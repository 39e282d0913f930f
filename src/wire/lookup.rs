//! What the loop and the process that looks a name up for it say to each other: one datagram each way.
//!
//! ```text
//! question  family 1 (4, 6, 0: either), name
//! answer    verdict 1, count 1, places (1 + 16) × NAME_ADDRESSES_MAX, length 1, reason REASON_MAX
//! ```
//!
//! A place is a family (4, 6) and an address; one of IPv4 stands in the first 4 of the 16, zeros behind.
//! The process has talked to strangers, so its bytes are taken as untrusted.

use crate::limits::{HOST_NAME_MAX, NAME_ADDRESSES_MAX, REASON_MAX};
use core::net::IpAddr;

/// Bytes of a question at most.
pub const QUESTION_MAX: usize = 1 + HOST_NAME_MAX;
/// Bytes of an address, its family in front.
const PLACE: usize = 1 + 16;
/// Bytes of an answer; shorter or longer is none.
pub const ANSWER_LEN: usize = 2 + PLACE * NAME_ADDRESSES_MAX + 1 + REASON_MAX;

/// Addresses of a name, best first.
pub type Addresses = heapless::Vec<IpAddr, NAME_ADDRESSES_MAX>;
/// Why there are none.
pub type Why = heapless::String<REASON_MAX>;

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// Too short, too long, a number that stands for nothing, no text, or neither an address nor a reason.
    Nonsense,
    /// An address that no server can have.
    Address(IpAddr),
}

/// Writes a question for a family (IPv6? `None`: either); `None` where the name is empty or too long.
pub fn emit_question(host: &str, ipv6: Option<bool>, buf: &mut [u8; QUESTION_MAX]) -> Option<usize> {
    let (family, name) = buf.split_first_mut()?;
    *family = match ipv6 {
        None => 0,
        Some(false) => 4,
        Some(true) => 6,
    };
    name.get_mut(..host.len()).filter(|name| !name.is_empty())?.copy_from_slice(host.as_bytes());
    Some(1 + host.len())
}

/// Reads a question: the name, and whether IPv6 is wanted; `None`: either family.
pub fn parse_question(bytes: &[u8]) -> Option<(&str, Option<bool>)> {
    let (family, name) = bytes.split_first()?;
    let ipv6 = match family {
        0 => None,
        4 => Some(false),
        6 => Some(true),
        _ => return None,
    };
    Some((core::str::from_utf8(name).ok().filter(|name| !name.is_empty())?, ipv6))
}

/// Writes an answer.
pub fn emit_answer(answer: &Result<Addresses, Why>) -> [u8; ANSWER_LEN] {
    let mut bytes = [0; ANSWER_LEN];
    let (verdict, addresses, why) = match answer {
        Ok(addresses) => (0, addresses.as_slice(), ""),
        Err(why) => (1, &[][..], why.as_str()),
    };
    let (places, text) = bytes.split_at_mut(2 + PLACE * NAME_ADDRESSES_MAX);
    let (head, places) = places.split_at_mut(2);
    head.copy_from_slice(&[verdict, addresses.len() as u8]);
    for (place, address) in places.chunks_exact_mut(PLACE).zip(addresses) {
        let mut put = |family: u8, octets: &[u8]| {
            place.iter_mut().zip([family].iter().chain(octets)).for_each(|(to, from)| *to = *from);
        };
        match address {
            IpAddr::V4(v4) => put(4, &v4.octets()),
            IpAddr::V6(v6) => put(6, &v6.octets()),
        }
    }
    let length = [why.len() as u8];
    text.iter_mut().zip(length.iter().chain(why.as_bytes())).for_each(|(to, from)| *to = *from);
    bytes
}

/// Reads an answer to a question of this family (IPv6? `None`: either): at least one address, or why there
/// is none.
///
/// # Errors
/// Where it is no answer.
pub fn parse_answer(bytes: &[u8], ipv6: Option<bool>) -> Result<Result<Addresses, Why>, BadAnswer> {
    let bytes: &[u8; ANSWER_LEN] = bytes.try_into().map_err(|_| BadAnswer::Nonsense)?;
    let (head, text) = bytes.split_at(2 + PLACE * NAME_ADDRESSES_MAX);
    let (&[verdict, count], places) = head.split_first_chunk().ok_or(BadAnswer::Nonsense)?;
    let (length, text) = text.split_first().ok_or(BadAnswer::Nonsense)?;
    let text = text.get(..usize::from(*length)).ok_or(BadAnswer::Nonsense)?;
    let text = core::str::from_utf8(text).map_err(|_| BadAnswer::Nonsense)?;
    match (verdict, usize::from(count)) {
        (0, 1..=NAME_ADDRESSES_MAX) => {
            let places = places.as_chunks::<PLACE>().0.iter().take(usize::from(count));
            places.map(|place| address(place, ipv6)).collect::<Result<_, _>>().map(Ok)
        }
        // SEC-15: an escape would reach a terminal.
        (1, 0) if !text.is_empty() && !text.chars().any(char::is_control) => {
            Why::try_from(text).map(Err).map_err(|_| BadAnswer::Nonsense)
        }
        (_, _) => Err(BadAnswer::Nonsense),
    }
}

fn address(place: &[u8; PLACE], ipv6: Option<bool>) -> Result<IpAddr, BadAnswer> {
    let [family, octets @ ..] = *place;
    let [a, b, c, d, rest @ ..] = octets;
    let address = match family {
        4 if rest == [0; 12] => IpAddr::from([a, b, c, d]),
        6 => IpAddr::from(octets),
        _ => return Err(BadAnswer::Nonsense),
    };
    if ipv6.is_some_and(|ipv6| address.is_ipv6() != ipv6) {
        return Err(BadAnswer::Nonsense);
    }
    let is_odd = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(),
        // A server of IPv4 in disguise.
        IpAddr::V6(v6) => v6.is_unspecified() || v6.to_ipv4_mapped().is_some(),
    };
    if is_odd || address.is_multicast() { Err(BadAnswer::Address(address)) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Addresses {
        list.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect()
    }

    #[test]
    fn a_question_comes_out_as_it_went_in() {
        let mut buf = [0xff; QUESTION_MAX];
        for (host, ipv6) in [("www.example.org", Some(false)), ("h", Some(true)), ("both", None)] {
            let len = emit_question(host, ipv6, &mut buf).unwrap();
            assert_eq!(parse_question(&buf[..len]), Some((host, ipv6)));
        }
        let longest = "x".repeat(HOST_NAME_MAX);
        assert!(emit_question(&longest, Some(false), &mut buf).is_some());
        assert_eq!(
            emit_question(&format!("{longest}x"), Some(false), &mut buf),
            None,
            "another name would be asked for"
        );
        assert_eq!(emit_question("", Some(false), &mut buf), None);
        for bad in [&[][..], &[4], &[5, b'h'], &[4, 0xff]] {
            assert_eq!(parse_question(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_answer_comes_out_as_it_went_in() {
        let v4 = Ok(addresses(&["192.0.2.1", "127.0.0.1"]));
        assert_eq!(parse_answer(&emit_answer(&v4), Some(false)), Ok(v4.clone()));
        let v6 = Ok(addresses(&["2001:db8::1", "fe80::1"]));
        assert_eq!(parse_answer(&emit_answer(&v6), Some(true)), Ok(v6.clone()));
        assert_eq!(
            parse_answer(&emit_answer(&v6), Some(false)),
            Err(BadAnswer::Nonsense),
            "of the other family"
        );
        let both = Ok(addresses(&["2001:db8::1", "192.0.2.1"]));
        assert_eq!(parse_answer(&emit_answer(&both), None), Ok(both.clone()), "either family, in its order");
        for ipv6 in [false, true] {
            assert_eq!(parse_answer(&emit_answer(&both), Some(ipv6)), Err(BadAnswer::Nonsense));
        }
        let full = Ok((0..NAME_ADDRESSES_MAX).map(|n| IpAddr::from([192, 0, 2, n as u8])).collect());
        assert_eq!(parse_answer(&emit_answer(&full), Some(false)), Ok(full.clone()));
        let why = Err(Why::try_from("Name or service not known").unwrap());
        assert_eq!(parse_answer(&emit_answer(&why), Some(true)), Ok(why.clone()));
    }

    #[test]
    fn nonsense_is_no_answer() {
        let good = emit_answer(&Ok(addresses(&["192.0.2.1"])));
        for len in 0..good.len() {
            assert_eq!(parse_answer(&good[..len], Some(false)), Err(BadAnswer::Nonsense), "{len} bytes");
        }
        let mut long = good.to_vec();
        long.push(0);
        assert_eq!(parse_answer(&long, Some(false)), Err(BadAnswer::Nonsense));
        let changed = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            parse_answer(&bytes, Some(false))
        };
        assert_eq!(changed(0, 1), Err(BadAnswer::Nonsense), "a failure with an address");
        assert_eq!(changed(0, 2), Err(BadAnswer::Nonsense));
        assert_eq!(changed(1, 0), Err(BadAnswer::Nonsense), "success without an address");
        assert_eq!(changed(1, NAME_ADDRESSES_MAX as u8 + 1), Err(BadAnswer::Nonsense), "more than there are");
        assert_eq!(changed(2, 0), Err(BadAnswer::Nonsense), "an address of no family");
        assert_eq!(changed(7, 1), Err(BadAnswer::Nonsense), "an IPv4 address of more than 4 bytes");
        for odd in ["0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1"] {
            let answer = emit_answer(&Ok(addresses(&["192.0.2.1", odd])));
            assert_eq!(parse_answer(&answer, Some(false)), Err(BadAnswer::Address(odd.parse().unwrap())));
        }
        for odd in ["::", "ff02::1", "::ffff:192.0.2.1"] {
            let answer = emit_answer(&Ok(addresses(&[odd])));
            assert_eq!(parse_answer(&answer, Some(true)), Err(BadAnswer::Address(odd.parse().unwrap())));
        }
        for text in ["\x1b[2J", ""] {
            let answer = emit_answer(&Err(Why::try_from(text).unwrap()));
            assert_eq!(parse_answer(&answer, Some(false)), Err(BadAnswer::Nonsense), "SEC-15: {text:?}");
        }
    }
}
