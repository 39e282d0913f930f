//! Lengths of time, counts and Ethernet addresses as text.

use crate::time::Duration;
use core::fmt;

/// Prints at most 6 characters up to 999 days: `0.4s`, `41s`, `2m10s`, `3h05m`, `3d04h`. Rounds down: an age
/// is never told older than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age(pub(super) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.total_millis() / 100;
        let seconds = tenths / 10;
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        let text: heapless::String<24> = if seconds < 10 {
            crate::model::cut(format_args!("{seconds}.{}s", tenths % 10))
        } else if minutes == 0 {
            crate::model::cut(format_args!("{seconds}s"))
        } else if hours == 0 {
            crate::model::cut(format_args!("{minutes}m{:02}s", seconds % 60))
        } else if days == 0 {
            crate::model::cut(format_args!("{hours}h{:02}m", minutes % 60))
        } else if days < 1000 {
            crate::model::cut(format_args!("{days}d{:02}h", hours % 24))
        } else {
            crate::model::cut(format_args!("{days}d"))
        };
        f.pad(&text)
    }
}

/// As [`Age`], with milliseconds below a second: `12ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.total_millis() {
            0 if self.0.total_micros() > 0 => f.write_str("<1ms"),
            millis if millis < 1000 => write!(f, "{millis}ms"),
            millis if millis < 60_000 && millis % 1000 != 0 => {
                write!(f, "{}.{}s", millis / 1000, millis % 1000 / 100)
            }
            millis if millis < 60_000 => write!(f, "{}s", millis / 1000),
            _ => Age(self.0).fmt(f),
        }
    }
}

/// A count in at most 5 characters up to 9999 T: `132`, `99999`, `123k`, `45M`. Rounds down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let text: heapless::String<24> = match n {
            0..=99_999 => crate::model::cut(format_args!("{n}")),
            100_000..=9_999_999 => crate::model::cut(format_args!("{}k", n / 1000)),
            10_000_000..=9_999_999_999 => crate::model::cut(format_args!("{}M", n / 1_000_000)),
            10_000_000_000..=9_999_999_999_999 => crate::model::cut(format_args!("{}G", n / 1_000_000_000)),
            _ => crate::model::cut(format_args!("{}T", (n / 1_000_000_000_000).min(9999))),
        };
        f.pad(&text)
    }
}

/// An Ethernet address: `00:00:5e:00:01:33`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mac(pub(super) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_and_never_too_old() {
        for (millis, want) in [
            (0, "0.0s"),
            (449, "0.4s"),
            (9_999, "9.9s"),
            (41_900, "41s"),
            (59_999, "59s"),
            (130_000, "2m10s"),
            (3_599_000, "59m59s"),
            (11_100_000, "3h05m"),
            (86_399_000, "23h59m"),
            (273_600_000, "3d04h"),
            (86_400_000 * 1000, "1000d"),
        ] {
            assert_eq!(
                Age(Duration::from_millis(millis)).to_string(),
                want,
                "the table's columns rely on it"
            );
        }
        assert_eq!(Age(Duration::from_micros(u64::MAX)).to_string(), "213503982d", "no overflow, no panic");
    }

    #[test]
    fn spans_show_milliseconds() {
        for (micros, want) in [
            (0, "0ms"),
            (300, "<1ms"),
            (12_400, "12ms"),
            (1_000_000, "1s"),
            (3_600_000, "3.6s"),
            (90_000_000, "1m30s"),
        ] {
            assert_eq!(Span(Duration::from_micros(micros)).to_string(), want);
        }
    }

    #[test]
    fn counts_fit_their_column() {
        for (n, want) in [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "100k"),
            (9_999_999, "9999k"),
            (10_000_000, "10M"),
            (u64::MAX, "9999T"),
        ] {
            assert_eq!(Count(n).to_string(), want, "a long count would push the note off the screen");
        }
    }
}
