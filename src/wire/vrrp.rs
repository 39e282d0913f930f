//! VRRP adverts, versions 2 and 3 (RFC 3768, RFC 9568; `PKT-*`, `RX-*`).

use core::fmt;

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// RFC 3768 (IPv4, whole seconds).
    #[default]
    V2,
    /// RFC 9568 (IPv4 and IPv6, centiseconds).
    V3,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V2 => "2",
            Version::V3 => "3",
        })
    }
}
