//! Ranges of addresses with one port, spelled out.

use super::report::Problem;
use super::suggest::shown;
use super::values;
use crate::limits;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `10.0.0.1:80`, `10.0.0.1-20:80` (the last number), `10.0.0.1-10.0.0.30:80`, `10.0.0.0/28:80`, and
/// `[2001:db8::1-ff]:80` (the last 16 bits, hexadecimal), `[2001:db8::1-2001:db8::ff]:80`,
/// `[2001:db8::/120]:80`. All of a prefix, its first and its last address too. At most
/// [`limits::GROUP_KEYS_MAX`] of them.
pub(super) fn range(text: &str) -> Result<Vec<SocketAddr>, Problem> {
    let (ips, port) = split(text)?;
    let (first, last) = if let Some((address, prefix)) = ips.split_once('/') {
        prefixed(text, address, prefix)?
    } else if let Some((first, last)) = ips.split_once('-') {
        let first = values::ip(first.trim())?;
        (first, end(first, last.trim())?)
    } else {
        let address = values::socket(text, None, 80)?.ip();
        (address, address)
    };
    let many = |count: u128| {
        let what = format!("\"{}\" is {count} addresses, at most {}", shown(text), limits::GROUP_KEYS_MAX);
        Problem::new(what, "Split it, or take a mark for all of it.")
    };
    let (from, to) = (bits(first), bits(last));
    if to < from {
        let what = format!("\"{}\" ends before it begins", shown(text));
        return Err(Problem::new(what, format!("Did you mean {last} to {first}?")));
    }
    let count = (to - from).saturating_add(1);
    if count > u128::try_from(limits::GROUP_KEYS_MAX).unwrap_or(u128::MAX) {
        return Err(many(count));
    }
    let address = |bits: u128| SocketAddr::new(of_bits(first, bits), port);
    Ok((from..=to).map(address).collect())
}

/// What stands before the port, without brackets, and the port.
fn split(text: &str) -> Result<(&str, u16), Problem> {
    let example = |range: &str| Problem::new(format!("\"{}\" has no port", shown(text)), with_port(range));
    let (range, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((range, after)) => (range, after.strip_prefix(':').ok_or_else(|| example(range))?),
            None => return Err(Problem::new(format!("\"{}\": the bracket is not closed", shown(text)), "")),
        },
        None if text.matches(':').count() > 1 => {
            let what = format!("\"{}\": IPv6 addresses with a port stand in brackets", shown(text));
            return Err(Problem::new(what, "Write \"[2001:db8::1-ff]:80\"."));
        }
        None => match text.rsplit_once(':') {
            Some((range, port)) => (range, port),
            None => {
                // The words for a single address are better than ours.
                if !text.contains(['-', '/']) {
                    values::socket(text, None, 80)?;
                }
                return Err(example(text));
            }
        },
    };
    match port.parse::<u16>() {
        Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => Ok((range, number)),
        _ => {
            let what = format!("\"{}\" is not a port", shown(port));
            Err(Problem::new(what, "A port is a number from 0 to 65535."))
        }
    }
}

fn with_port(range: &str) -> String {
    match range.contains(':') {
        true => format!("Did you mean \"[{}]:80\"?", shown(range)),
        false => format!("Did you mean \"{}:80\"?", shown(range)),
    }
}

/// The last address of a range: whole, or its last number.
fn end(first: IpAddr, text: &str) -> Result<IpAddr, Problem> {
    let other = |first: IpAddr, last: IpAddr| {
        let [own, its] = [first, last].map(values::family_of);
        Problem::new(format!("the range begins with an {own} address and ends with an {its} one"), "")
    };
    if let Ok(last) = text.parse::<IpAddr>() {
        return if last.is_ipv6() == first.is_ipv6() { Ok(last) } else { Err(other(first, last)) };
    }
    match first {
        IpAddr::V4(v4) => match text.parse::<u8>() {
            Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) => {
                let [a, b, c, _] = v4.octets();
                Ok(IpAddr::V4(Ipv4Addr::new(a, b, c, number)))
            }
            _ => {
                let what = format!("\"{}\" ends no range of IPv4 addresses", shown(text));
                Err(Problem::new(what, "Write the last address, or its last number, 0 to 255."))
            }
        },
        IpAddr::V6(v6) => match u16::from_str_radix(text, 16) {
            Ok(number) if text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                let high = v6.to_bits() & !u128::from(u16::MAX);
                Ok(IpAddr::V6(Ipv6Addr::from_bits(high | u128::from(number))))
            }
            _ => {
                let what = format!("\"{}\" ends no range of IPv6 addresses", shown(text));
                Err(Problem::new(what, "Write the last address, or its last 16 bits in hexadecimal."))
            }
        },
    }
}

/// First and last address of a net.
fn prefixed(text: &str, address: &str, prefix: &str) -> Result<(IpAddr, IpAddr), Problem> {
    if prefix.contains('-') || address.contains('-') {
        let what = format!("\"{}\" is a range and a prefix at once", shown(text));
        return Err(Problem::new(what, "Write one or the other."));
    }
    let net = values::net(&format!("{address}/{prefix}"))?;
    let (longest, first) = match net.address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    };
    let hosts = match u32::from(longest - net.prefix_len.min(longest)) {
        0 => 0,
        bits => u128::MAX >> (128 - bits),
    };
    Ok((net.address, of_bits(net.address, first | hosts)))
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address of these bits, of the family of `like`.
fn of_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str) -> (usize, String, String) {
        let list = range(text).unwrap();
        (list.len(), list.first().unwrap().to_string(), list.last().unwrap().to_string())
    }

    #[test]
    fn every_form_of_a_range() {
        for (text, count, first, last) in [
            ("10.0.0.1:80", 1, "10.0.0.1:80", "10.0.0.1:80"),
            ("10.0.0.1-20:80", 20, "10.0.0.1:80", "10.0.0.20:80"),
            ("10.0.0.250-10.0.1.5:0", 12, "10.0.0.250:0", "10.0.1.5:0"),
            ("10.0.0.16/28:443", 16, "10.0.0.16:443", "10.0.0.31:443"),
            ("10.0.0.7/32:443", 1, "10.0.0.7:443", "10.0.0.7:443"),
            ("[2001:db8::1]:80", 1, "[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("[2001:db8::1-ff]:80", 255, "[2001:db8::1]:80", "[2001:db8::ff]:80"),
            ("[2001:db8::fff0-2001:db8::1:f]:80", 32, "[2001:db8::fff0]:80", "[2001:db8::1:f]:80"),
            ("[2001:db8::/120]:80", 256, "[2001:db8::]:80", "[2001:db8::ff]:80"),
            ("[2001:db8::1/128]:80", 1, "[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(ends(text), (count, first.to_owned(), last.to_owned()), "{text}");
        }
    }

    #[test]
    fn ranges_that_are_none() {
        for (text, says) in [
            ("10.0.0.20-1:80", "ends before it begins"),
            ("10.0.0.2-10.0.0.1:80", "ends before it begins"),
            ("[2001:db8::ff-1]:80", "ends before it begins"),
            ("10.0.0.1/28:80", "bits set beyond its prefix length"),
            ("[2001:db8::1/120]:80", "bits set beyond its prefix length"),
            ("10.0.0.1-256:80", "ends no range of IPv4"),
            ("10.0.0.1-+5:80", "ends no range of IPv4"),
            ("10.0.0.1-0x5:80", "ends no range of IPv4"),
            ("[2001:db8::1-10000]:80", "ends no range of IPv6"),
            ("[2001:db8::1-10.0.0.1]:80", "begins with an IPv6 address and ends with an IPv4"),
            ("10.0.0.0/8:80", "16777216 addresses, at most 1024"),
            ("0.0.0.0/0:80", "4294967296 addresses"),
            ("[::/0]:80", "at most 1024"),
            ("10.0.0.0-10.0.4.0:80", "1025 addresses"),
            ("10.0.0.1-20", "has no port"),
            ("10.0.0.1", "has no port"),
            ("[2001:db8::1-ff]", "has no port"),
            ("2001:db8::1-ff:80", "stand in brackets"),
            ("[2001:db8::1", "not closed"),
            ("10.0.0.1-20:http", "is not a port"),
            ("10.0.0.1-20:+80", "is not a port"),
            ("10.0.0.0/28-30:80", "a range and a prefix"),
            ("www.example.org:80", "host name"),
            ("10.0.0.300-310:80", "not an IP address"),
            ("", "the address is empty"),
            ("-:80", "the address is empty"),
        ] {
            let problem = range(text).unwrap_err();
            assert!(problem.what.contains(says), "{text}: {problem:?}");
        }
    }
}
