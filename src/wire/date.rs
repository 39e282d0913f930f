//! Dates in UTC: the `Date` header of a mail (RFC 5322 §3.3), and days as people write them.

use core::fmt::Write;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// From seconds since 1970-01-01 00:00 UTC. Times before that are shown as that, times after the year
/// 9999 as its last second.
pub fn rfc5322(seconds: i64) -> heapless::String<32> {
    let seconds = seconds.clamp(0, 253_402_300_799);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let weekday = DAYS.get(((days + 4) % 7) as usize).unwrap_or(&"Thu");
    let month = MONTHS.get(month).unwrap_or(&"Jan");
    let mut text = heapless::String::new();
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // 31 bytes at most, so this fits.
    let _ = write!(text, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000");
    text
}

/// `2026-11-22`, from seconds since 1970-01-01 00:00 UTC; cut as by [`rfc5322`].
pub fn day(seconds: i64) -> heapless::String<10> {
    let (year, month, day) = civil(seconds.clamp(0, 253_402_300_799) / 86_400);
    let mut text = heapless::String::new();
    let _ = write!(text, "{year:04}-{:02}-{day:02}", month + 1);
    text
}

/// Days since 1970-01-01 of a year, a month from 1 and a day from 1; they may be any numbers up to 9999.
pub fn days(year: u16, month: u8, day: u8) -> i64 {
    // As in `civil`: years begin in March.
    let from_march = (i64::from(month) + 9) % 12;
    let year = i64::from(year) - i64::from(month < 3);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month from 0, and day from 1. Counted in years that begin in March, so that the leap day is
/// their last.
fn civil(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_740_787_200, "Sat, 01 Mar 2025 00:00:00 +0000"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
            (1_795_391_999, "Sun, 22 Nov 2026 23:59:59 +0000"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 +0000"),
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 +0000"),
        ] {
            assert_eq!(rfc5322(seconds), want, "mail would be sorted wrong, or taken for spam");
        }
    }

    #[test]
    fn days_there_and_back() {
        for (date, text) in [
            ((1970, 1, 1), "1970-01-01"),
            ((2000, 2, 29), "2000-02-29"),
            ((2024, 12, 31), "2024-12-31"),
            ((2100, 3, 1), "2100-03-01"),
            ((9999, 12, 31), "9999-12-31"),
        ] {
            let (year, month, date) = date;
            assert_eq!(day(days(year, month, date) * 86_400), text, "a certificate would expire another day");
        }
        assert_eq!(days(1969, 12, 31), -1);
        assert_eq!(day(i64::MIN), "1970-01-01");
    }
}
