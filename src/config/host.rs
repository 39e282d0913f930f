//! Host names.

use super::report::Problem;
use super::suggest::shown;
use super::values;
use crate::limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A host name (RFC 1123 §2.1): labels of 1 to 63 letters, digits and inner dashes, the last one no number;
/// the root's dot may follow. What looks like a mistyped address is told as one.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let what = |why: &str| format!("\"{}\" is not a host name: {why}", shown(text));
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.is_empty() {
        return Err(Problem::new("the host name is empty", ""));
    }
    if bare.len() > limits::HOST_NAME_MAX {
        let why = format!("{} bytes, at most {}", bare.len(), limits::HOST_NAME_MAX);
        return Err(Problem::new(what(&why), ""));
    }
    if bare.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(Problem::new(format!("\"{}\" is not an IP address", shown(text)), meant(bare)));
    }
    for label in bare.split('.') {
        if let Err((why, hint)) = self::label(label) {
            return Err(Problem::new(what(&why), hint));
        }
    }
    let last = bare.rsplit('.').next().unwrap_or(bare);
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::new(what("the last part is a number"), ""));
    }
    Ok(text.to_owned())
}

/// `IP:port`, `[IPv6]:port` or `name:port`, made a `T` by `ip` or `named`; without a port: `default`, or a
/// problem where there is none, whose hint shows `example`.
pub(super) fn end<T>(
    text: &str,
    default: Option<u16>,
    example: u16,
    ip: impl FnOnce(SocketAddr) -> T,
    named: impl FnOnce(String, u16) -> T,
) -> Result<T, Problem> {
    match with_port(text, default, example) {
        None => values::socket(text, default, example).map(ip),
        Some(read) => read.map(|(host, port)| named(host, port)),
    }
}

/// As [`end`] for a name; `None`: it is an address, or meant to be one.
fn with_port(text: &str, default: Option<u16>, example: u16) -> Option<Result<(String, u16), Problem>> {
    let (host, after) = match text.rsplit_once(':') {
        Some((host, after)) => (host, Some(after)),
        None => (text, None),
    };
    let is_name = host.bytes().any(|b| b.is_ascii_alphabetic())
        && !host.contains([':', '[', ']', '/', ' ', '\t', '%'])
        && host.parse::<IpAddr>().is_err();
    is_name.then(|| {
        let host = name(host)?;
        match (after.map(str::parse::<u16>), default) {
            (Some(Ok(port)), _) => Ok((host, port)),
            (Some(Err(_)), _) => {
                let what = format!("\"{}\" is not a port", shown(after.unwrap_or("")));
                Err(Problem::new(what, "A port is a number from 0 to 65535."))
            }
            (None, Some(port)) => Ok((host, port)),
            (None, None) => {
                let what = format!("\"{}\" has no port", shown(text));
                Err(Problem::new(what, format!("Did you mean \"{}:{example}\"?", shown(text))))
            }
        }
    })
}

fn label(label: &str) -> Result<(), (String, &'static str)> {
    if label.is_empty() {
        return Err(("there is nothing between two dots".to_owned(), ""));
    }
    if label.len() > 63 {
        return Err((format!("\"{}\" has {} bytes, at most 63", shown(label), label.len()), ""));
    }
    if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        let hint = match c {
            '_' => "Did you mean a dash?",
            c if !c.is_ascii() => "Write the form that begins with xn--.",
            '/' => "Give the bare name, without a path.",
            _ => "Letters, digits, dashes and dots.",
        };
        return Err((format!("`{}` does not belong there", shown(&c.to_string())), hint));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err((format!("\"{}\" begins or ends with a dash", shown(label)), ""));
    }
    Ok(())
}

/// What is wrong with digits and dots that are no address.
fn meant(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 || parts.contains(&"") {
        return "An IPv4 address has four numbers: \"10.0.0.100\".".to_owned();
    }
    match parts.iter().find(|part| part.parse::<u8>().is_err()) {
        Some(part) => format!("{} is more than 255.", shown(part)),
        None if text.parse::<Ipv4Addr>().is_err() => "Write its numbers without leading zeros.".to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1123_names() {
        for text in ["a", "www.example.org", "www.example.org.", "3com.com", "xn--bcher-kva.example", "a-b"] {
            assert_eq!(name(text).unwrap(), text);
        }
        assert!(name(&["a"; 127].join(".")).is_ok(), "253 bytes");
        for text in ["", ".", "a..b", "-a.b", "a-.b", "a_b", "a b", "bücher.example", "a.1", "10.0.0.300"] {
            assert!(name(text).is_err(), "{text:?} would be asked for again and again, and never found");
        }
        assert!(name(&"a".repeat(64)).is_err() && name(&["ab"; 85].join(".")).is_err());
        assert!(name("10.0.0.300").unwrap_err().hint.contains("300 is more than 255"));
    }
}
