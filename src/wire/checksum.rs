//! The internet checksum (RFC 1071) and the pseudo-headers (protocols §1.4).

use std::net::IpAddr;

/// Adds `bytes` as big-endian 16-bit words to `start`, in one's complement. An odd last byte counts as if a
/// zero followed, so of several pieces only the last may be odd.
pub fn sum(start: u16, bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<2>();
    let folded = words.iter().fold(start, |total, word| add(total, u16::from_be_bytes(*word)));
    match rest.first() {
        Some(&last) => add(folded, u16::from_be_bytes([last, 0])),
        None => folded,
    }
}

/// The checksum to write over a field that is zero (or skipped) in what was summed.
pub const fn finish(sum: u16) -> u16 {
    !sum
}

/// Is this the sum of a message that carries its right checksum?
pub const fn is_valid(sum: u16) -> bool {
    sum == 0xffff
}

/// Sum of the pseudo-header: source, destination, zero, protocol, length of the message in bytes. The one of
/// IPv6 has a wider length and more zeros (RFC 8200 §8.1), and so the same sum.
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u16) -> u16 {
    let address = |start, address| match address {
        IpAddr::V4(v4) => sum(start, &v4.octets()),
        IpAddr::V6(v6) => sum(start, &v6.octets()),
    };
    let addresses = address(address(0, source), destination);
    add(add(addresses, u16::from(protocol)), length)
}

/// One's complement addition: the carry comes back in below.
fn add(a: u16, b: u16) -> u16 {
    let (total, carry) = a.overflowing_add(b);
    total.wrapping_add(u16::from(carry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_come_back_in() {
        assert_eq!(sum(0xffff, &[0x00, 0x01]), 0x0001, "end-around carry");
        assert_eq!(sum(0, &[0xff; 4]), 0xffff, "two negative zeros make one");
    }

    #[test]
    fn an_odd_byte_is_the_high_half_of_a_word() {
        assert_eq!(sum(0, &[0x12, 0x34, 0x56]), 0x1234 + 0x5600, "RFC 1071 pads with zero at the end");
        assert_eq!(sum(7, &[]), 7, "nothing adds nothing");
    }

    #[test]
    fn rfc_1071_example() {
        let total = sum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(total, 0xddf2, "the worked example of RFC 1071 §3");
        assert!(is_valid(sum(total, &finish(total).to_be_bytes())), "what finish writes must verify");
    }

    #[test]
    fn pseudo_header_is_that_of_rfc_5798() {
        let by_bytes = sum(0, &[192, 0, 2, 1, 224, 0, 0, 18, 0, 112, 0, 12]);
        let (source, group) = ([192, 0, 2, 1].into(), [224, 0, 0, 18].into());
        let by_parts = pseudo_header(source, group, 112, 12);
        assert_eq!(by_parts, by_bytes, "protocols §1.4: src dst 00 70 length");
    }

    #[test]
    fn pkt_30_pseudo_header_is_that_of_rfc_8200() {
        let (source, group) = ("fe80::ff:fe00:1", "ff02::12");
        let (source, group): (std::net::Ipv6Addr, std::net::Ipv6Addr) =
            (source.parse().unwrap(), group.parse().unwrap());
        let tail = [0, 0, 0, 40, 0, 0, 0, 112];
        let by_bytes = sum(0, &[&source.octets()[..], &group.octets(), &tail].concat());
        let by_parts = pseudo_header(source.into(), group.into(), 112, 40);
        assert_eq!(by_parts, by_bytes, "protocols §1.4: src dst length(4) 00 00 00 70");
    }
}
