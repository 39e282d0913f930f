//! Texts to single values: lengths of time, addresses, names.

use super::report::{At, Problem, Report};
use super::suggest::shown;
use crate::limits;
use crate::model::{Cidr, IfName, Name};
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Units with their microseconds, longest first so that [`show_duration`] finds the shortest text.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
];

/// A length of time: a whole number and a unit, `500ms`, `6s`, `10m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, micros)| *micros);
    match (number.parse::<u64>(), factor) {
        (Ok(number), Some(factor)) => match number.checked_mul(factor) {
            Some(micros) => Ok(Duration::from_micros(micros)),
            None => Err(Problem::new(format!("\"{}\" is too long a time", shown(text)), "")),
        },
        _ => {
            let what = format!("\"{}\" is not a length of time", shown(text));
            let hint = match guess_duration(text) {
                Some(guess) => format!("Did you mean \"{}\"?", show_duration(guess)),
                None => "Write a whole number and a unit: \"500ms\", \"6s\", \"10m\" or \"1h\".".to_owned(),
            };
            Err(Problem::new(what, hint))
        }
    }
}

/// What [`duration`] reads back, in the largest unit that fits.
pub(super) fn show_duration(duration: Duration) -> String {
    let micros = duration.total_micros();
    if micros == 0 {
        return "0s".to_owned();
    }
    let fits = UNITS.iter().find(|(_, factor)| micros.is_multiple_of(*factor));
    fits.map_or_else(String::new, |(name, factor)| format!("{}{name}", micros / factor))
}

/// Reports what the kernel cannot be told.
pub(super) fn whole_seconds(key: &str, read: At<Duration>, report: &mut Report<'_>) {
    if !read.value.total_micros().is_multiple_of(1_000_000) {
        let shown = show_duration(read.value);
        report.error(read.at, format!("`{key}` is {shown}, the kernel knows whole seconds only"), "");
    }
}

/// What people write who do not know our form: `1.5s`, `1m30s`, `10 sec`, `5 minutes`, a bare number of
/// seconds.
fn guess_duration(text: &str) -> Option<Duration> {
    let folded = text.trim().to_ascii_lowercase();
    let mut rest = folded.as_str();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at(number);
        let after = after.trim_start();
        let unit = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "us" | "usec" => 1,
            "ms" | "msec" | "msecs" | "millis" | "milliseconds" => 1000,
            "" | "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
            "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000,
            "d" | "day" | "days" => 86_400_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.len() > 6 || whole.is_empty() {
            return None;
        }
        total = total.checked_add(whole.parse::<u64>().ok()?.checked_mul(factor)?)?;
        if !fraction.is_empty() {
            let parts = 10u64.pow(u32::try_from(fraction.len()).ok()?);
            total = total.checked_add(fraction.parse::<u64>().ok()?.checked_mul(factor)? / parts)?;
        }
        rest = after.trim_start();
    }
    Some(Duration::from_micros(total))
}

/// An address, no name. `what` says whose, for the message.
pub(super) fn ip(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| no_address(text))
}

/// Why `text` is no address.
fn no_address(text: &str) -> Problem {
    let what = format!("\"{}\" is not an IP address", shown(text));
    if text.is_empty() {
        return Problem::new("the address is empty", "");
    }
    if text.contains('%') {
        return Problem::new(what, "Leave out what follows %: the interface has a key of its own.");
    }
    let parts: Vec<&str> = text.split('.').collect();
    let dotted = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if dotted {
        if parts.len() != 4 || parts.contains(&"") {
            return Problem::new(what, "An IPv4 address has four numbers: \"10.0.0.100\".");
        }
        let large = parts.iter().find(|part| part.parse::<u8>().is_err());
        return Problem::new(
            what,
            match large {
                Some(part) => format!("{} is more than 255.", shown(part)),
                None => "Write its numbers without leading zeros.".to_owned(),
            },
        );
    }
    if text.contains("://") {
        return Problem::new(what, "Give address and port, without http:// and path.");
    }
    if is_host_name(text) {
        return Problem::new(
            format!("\"{}\" is a host name, an IP address is wanted", shown(text)),
            "Only servers of a service and the mail server are looked up: give the address.",
        );
    }
    Problem::new(what, "")
}

fn is_host_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// `IP:port`, `[IPv6]:port`. Without a port: `default_port`, or a problem where there is none; `example_port`
/// is what the hint then shows.
pub(super) fn socket(
    text: &str,
    default_port: Option<u16>,
    example_port: u16,
) -> Result<SocketAddr, Problem> {
    let read = match text.parse::<SocketAddr>() {
        Ok(SocketAddr::V6(v6)) if v6.scope_id() != 0 || text.contains('%') => return Err(no_address(text)),
        Ok(address) => return Ok(address),
        Err(_) => text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>(),
    };
    if let Ok(address) = read {
        return default_port.map(|port| SocketAddr::new(address, port)).ok_or_else(|| {
            let example = SocketAddr::new(address, example_port);
            Problem::new(format!("\"{}\" has no port", shown(text)), format!("Did you mean \"{example}\"?"))
        });
    }
    let (host, port) = match text.rsplit_once([':', ' ', '\t']) {
        Some((host, port)) => (host.trim(), port.trim()),
        None => return Err(no_address(text)),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = match bare.parse() {
        Ok(address) => address,
        Err(_) => return Err(no_address(bare)),
    };
    match port.parse::<u16>() {
        Ok(port) => {
            let meant = SocketAddr::new(address, port);
            Err(Problem::new(
                format!("\"{}\" is not address and port", shown(text)),
                format!("Did you mean \"{meant}\"?"),
            ))
        }
        Err(_) => Err(Problem::new(
            format!("\"{}\" is not a port", shown(port)),
            "A port is a number from 0 to 65535.",
        )),
    }
}

/// `10.0.0.100/24`, `2001:db8::1/64`; without a prefix length that of a single host.
pub(super) fn cidr(text: &str, shortest: u8) -> Result<Cidr, Problem> {
    let (host, prefix) = match text.split_once('/') {
        Some((host, prefix)) => (host, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = host.parse().map_err(|_| no_address(host))?;
    let (longest, family) = if address.is_ipv6() { (128, "IPv6") } else { (32, "IPv4") };
    let Some(prefix) = prefix else { return Ok(Cidr { address, prefix_len: longest }) };
    match prefix.parse::<u8>() {
        Ok(len) if (shortest..=longest).contains(&len) && is_plain(prefix) => {
            Ok(Cidr { address, prefix_len: len })
        }
        _ => {
            let hint = match prefix.parse::<Ipv4Addr>().ok().and_then(mask_len) {
                Some(len) if longest == 32 => format!("Did you mean \"{address}/{len}\"?"),
                _ => String::new(),
            };
            let shown = shown(prefix);
            let what =
                format!("prefix length \"{shown}\" of an {family} address, wants {shortest} to {longest}");
            Err(Problem::new(what, hint))
        }
    }
}

/// No sign, no leading zero.
fn is_plain(number: &str) -> bool {
    number == "0" || !number.starts_with(['+', '0'])
}

/// A net: as [`cidr`], without host bits; `default` is all of IPv4.
pub(super) fn net(text: &str) -> Result<Cidr, Problem> {
    if text == "default" {
        return Ok(Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix_len: 0 });
    }
    let read = cidr(text, 0)?;
    let net = net_of(read);
    if net == read.address {
        return Ok(read);
    }
    let what = format!("\"{}\" has bits set beyond its prefix length", shown(text));
    let meant = Cidr { address: net, prefix_len: read.prefix_len };
    Err(Problem::new(what, format!("Did you mean \"{meant}\"?")))
}

/// A net of which the host bits, where it has any, do not count: as rules of the kernel take it.
#[cfg(feature = "import")]
pub(super) fn masked_net(text: &str) -> Option<Cidr> {
    let read = cidr(text, 0).ok()?;
    Some(Cidr { address: net_of(read), prefix_len: read.prefix_len })
}

/// The address with its host bits cleared.
fn net_of(cidr: Cidr) -> IpAddr {
    let len = u32::from(cidr.prefix_len);
    match cidr.address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - len.min(32)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - len.min(128)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// "IPv4" or "IPv6", for messages.
pub(super) fn family_of(ip: IpAddr) -> &'static str {
    if ip.is_ipv6() { "IPv6" } else { "IPv4" }
}

/// `255.255.255.0` → 24; `None` for a mask with holes and for 0.0.0.0.
pub(super) fn mask_len(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (ones > 0 && bits.count_ones() == ones).then(|| u8::try_from(ones).ok()).flatten()
}

/// A multicast group.
pub(super) fn group4(text: &str) -> Result<Ipv4Addr, Problem> {
    match ip(text)? {
        IpAddr::V4(group) if group.is_multicast() => Ok(group),
        IpAddr::V4(group) => Err(Problem::new(
            format!("{group} is not a multicast group"),
            "Groups are 224.0.0.0 to 239.255.255.255; VRRP's own is 224.0.0.18.",
        )),
        IpAddr::V6(_) => Err(Problem::new(
            format!("\"{}\" is an IPv6 address", shown(text)),
            "IPv6 groups go to multicast_group6.",
        )),
    }
}

/// A multicast group of IPv6.
pub(super) fn group6(text: &str) -> Result<Ipv6Addr, Problem> {
    match ip(text)? {
        IpAddr::V6(group) if group.is_multicast() => Ok(group),
        IpAddr::V6(group) => Err(Problem::new(
            format!("{group} is not a multicast group"),
            "Groups begin with ff; VRRP's own is ff02::12.",
        )),
        IpAddr::V4(_) => Err(Problem::new(
            format!("\"{}\" is an IPv4 address", shown(text)),
            "IPv4 groups go to multicast_group4.",
        )),
    }
}

/// A name of the user's own: 1 to 64 bytes, no control characters.
pub(super) fn name(text: &str) -> Result<Name, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new("the name is empty", ""));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::new("the name holds a control character", ""));
    }
    Name::try_from(text).map_err(|_| {
        Problem::new(
            format!("the name has {} bytes, wants 1 to {}", text.len(), limits::NAME_MAX),
            "Shorten it.",
        )
    })
}

/// An interface name as the kernel takes it (`dev_valid_name`).
pub(super) fn interface(text: &str) -> Result<IfName, Problem> {
    let bad = |what: String, hint: &str| Err(Problem::new(what, hint));
    if text.is_empty() {
        return bad("the interface name is empty".to_owned(), "");
    }
    if text == "." || text == ".." {
        return bad(format!("\"{text}\" is not an interface name"), "");
    }
    if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':')) {
        let hint = if c == ':' { "An alias is no interface: give the part before the colon." } else { "" };
        let what = format!("\"{}\": an interface name holds no {}", shown(text), character(c));
        return bad(what, hint);
    }
    IfName::try_from(text).map_err(|_| {
        Problem::new(
            format!(
                "\"{}\" has {} bytes, an interface name 1 to {}",
                shown(text),
                text.len(),
                limits::IFNAME_MAX
            ),
            "",
        )
    })
}

fn character(c: char) -> &'static str {
    match c {
        '/' => "slash",
        ':' => "colon",
        c if c.is_control() => "control character",
        _ => "space",
    }
}

/// Where mail comes from or goes to: `user@host`, printable ASCII without spaces (RFC 5321 §4.5.3.1.3: 254
/// bytes).
pub(super) fn mail_address(text: &str) -> Result<String, Problem> {
    let what = format!("\"{}\" is not a mail address", shown(text));
    if text.len() > limits::MAIL_ADDRESS_MAX {
        return Err(Problem::new(
            format!("a mail address of {} bytes, at most {}", text.len(), limits::MAIL_ADDRESS_MAX),
            "",
        ));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b',' | b';')) {
        return Err(Problem::new(what, "Give the bare address, \"root@localhost\", one to a string."));
    }
    match text.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() => Ok(text.to_owned()),
        Some(_) => Err(Problem::new(what, "Give user and host: \"root@localhost\".")),
        None if text.is_empty() => Err(Problem::new("the mail address is empty", "")),
        None => Err(Problem::new(what, format!("Did you mean \"{}@localhost\"?", shown(text)))),
    }
}

/// A host name for HELO or `Host:`: 1 to 253 printable ASCII characters without spaces.
pub(super) fn host(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > limits::HOST_NAME_MAX {
        let what = format!("a host name of {} bytes, wants 1 to {}", text.len(), limits::HOST_NAME_MAX);
        return Err(Problem::new(what, ""));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'@')) {
        let what = format!("\"{}\" is not a host name", shown(text));
        return Err(Problem::new(what, "Give the bare name, \"www.example.org\"."));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_back() {
        for text in ["500ms", "6s", "10m", "1h", "31d", "250us", "0s"] {
            assert_eq!(show_duration(duration(text).unwrap()), text, "what is printed is what is read");
        }
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert!(duration("99999999999999999999h").is_err(), "no wrap-around");
        assert!(duration("18446744073709551615s").is_err(), "no wrap-around");
    }

    #[test]
    fn other_forms_of_time_get_ours_as_a_hint() {
        for (text, meant) in [
            ("1", "1s"),
            ("0.5", "500ms"),
            ("1.5s", "1500ms"),
            ("1m30s", "90s"),
            ("10 sec", "10s"),
            ("5 Minutes", "5m"),
        ] {
            assert_eq!(duration(text).unwrap_err().hint, format!("Did you mean \"{meant}\"?"), "{text}");
        }
        for text in ["", "fast", "s", "-1s", "1..5s", "."] {
            let problem = duration(text).unwrap_err();
            assert!(!problem.hint.contains("Did you mean"), "{text}: {problem:?}");
        }
    }

    #[test]
    fn addresses_without_port_or_brackets_get_a_hint() {
        assert_eq!(socket("10.0.0.1", None, 80).unwrap_err().hint, "Did you mean \"10.0.0.1:80\"?");
        assert_eq!(socket("10.0.0.1 80", None, 80).unwrap_err().hint, "Did you mean \"10.0.0.1:80\"?");
        assert_eq!(socket("2001:db8::1", None, 80).unwrap_err().hint, "Did you mean \"[2001:db8::1]:80\"?");
        assert_eq!(socket("10.0.0.1", Some(25), 25).unwrap().port(), 25);
        assert!(socket("10.0.0.1:99999", None, 80).unwrap_err().what.contains("99999"));
        assert!(socket("mail.example.org:25", None, 25).unwrap_err().what.contains("host name"));
        assert!(socket("[fe80::1%2]:80", None, 80).unwrap_err().hint.contains("interface"));
        assert!(socket("10.0.0.300:80", None, 80).unwrap_err().hint.contains("300 is more than 255"));
    }

    #[test]
    fn nets_have_no_host_bits() {
        assert_eq!(net("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(net("default").unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(net("::/0").unwrap().to_string(), "::/0");
        assert_eq!(net("192.0.2.1").unwrap().prefix_len, 32);
        assert_eq!(net("10.0.0.1/8").unwrap_err().hint, "Did you mean \"10.0.0.0/8\"?", "RTNL-31: EINVAL");
        assert_eq!(net("2001:db8::1/32").unwrap_err().hint, "Did you mean \"2001:db8::/32\"?");
        assert_eq!(net("0.0.0.1/0").unwrap_err().hint, "Did you mean \"0.0.0.0/0\"?");
    }

    #[test]
    fn interface_names_are_the_kernels() {
        assert_eq!(interface("ens37").unwrap(), "ens37");
        assert!(interface("eth0.100").is_ok());
        for text in ["", ".", "..", "eth 0", "a/b", "eth0:1", "abcdefghijklmnop", "e\nth"] {
            assert!(interface(text).is_err(), "{text:?} is no interface name");
        }
    }

    #[test]
    fn names_and_mail_addresses_have_limits() {
        assert!(name("").is_err() && name("  ").is_err() && name("a\u{7}").is_err());
        assert!(name(&"x".repeat(64)).is_ok() && name(&"x".repeat(65)).is_err());
        assert!(mail_address("root@localhost").is_ok());
        for text in ["", "@host", "user@", "a b@c", "Root <root@localhost>", "a@b\r\nRCPT TO:<x@y>"] {
            assert!(mail_address(text).is_err(), "{text:?} would reach the mail server's command line");
        }
        assert!(mail_address(&format!("{}@b", "a".repeat(300))).is_err());
    }
}
