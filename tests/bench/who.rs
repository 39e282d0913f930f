//! Whom the benchmarks compare, here and in the guest.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Vipd,
    Keepalived,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Subject::Vipd => "vipd",
            Subject::Keepalived => "keepalived",
        })
    }
}
