//! Names, texts and addresses.

use crate::limits;
use core::fmt;
use std::net::IpAddr;

/// A name that the user gave: not empty, at most [`limits::NAME_MAX`] bytes.
pub type Name = heapless::String<{ limits::NAME_MAX }>;
/// An interface name.
pub type IfName = heapless::String<{ limits::IFNAME_MAX }>;
/// One line for a person to read.
pub type Text = heapless::String<{ limits::TEXT_MAX }>;
/// Why a probe failed.
pub type Reason = heapless::String<{ limits::REASON_MAX }>;

/// Formats into a bounded string; what does not fit is cut at a character, and control characters (which a
/// peer or a server may have sent; SEC-15) become `?`.
///
/// ```
/// let text: vipd::model::Reason = vipd::model::cut(format_args!("HTTP {}, want {}", 503, 200));
/// assert_eq!(text, "HTTP 503, want 200");
/// ```
pub fn cut<const N: usize>(arguments: fmt::Arguments<'_>) -> heapless::String<N> {
    struct Cut<const N: usize>(heapless::String<N>);
    impl<const N: usize> fmt::Write for Cut<N> {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            for c in s.chars() {
                let c = if c.is_control() { '?' } else { c };
                if self.0.push(c).is_err() {
                    return Err(fmt::Error);
                }
            }
            Ok(())
        }
    }
    let mut out = Cut(heapless::String::new());
    let _ = fmt::write(&mut out, arguments);
    out.0
}

/// An address with its prefix length, `10.0.0.100/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// The address itself, host bits and all.
    pub address: IpAddr,
    /// 0..=32 or 0..=128.
    pub prefix_len: u8,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_keeps_whole_characters_and_hides_control_characters() {
        let text: heapless::String<8> = cut(format_args!("ab\x1b[1méé"));
        assert_eq!(text, "ab?[1mé", "SEC-15: escape sequences must not reach a terminal");
    }
}
