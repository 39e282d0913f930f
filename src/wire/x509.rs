//! Of a certificate (RFC 5280 §4.1) its key and its dates, and nothing else: what a handshake needs where
//! nobody asks what the certificate is worth. So what stands beside them may be old or odd: version 1,
//! extensions that nobody knows, names that are none.

use super::date;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// Not before this, in seconds since 1970 (UTC).
    pub not_before: i64,
    /// Not after this.
    pub not_after: i64,
    /// Contents of the key's AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    /// The key, as its algorithm writes it.
    pub key: &'a [u8],
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, where it is not the first one.
const VERSION: u8 = 0xa0;

impl<'a> Certificate<'a> {
    /// Takes a certificate apart, DER; `None`: it is none.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut tbs = Der(Der(Der(der).take(SEQUENCE)?).take(SEQUENCE)?);
        if tbs.0.first() == Some(&VERSION) {
            tbs.take(VERSION)?;
        }
        tbs.take(INTEGER)?;
        let (_signature, _issuer) = (tbs.take(SEQUENCE)?, tbs.take(SEQUENCE)?);
        let mut validity = Der(tbs.take(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let _subject = tbs.take(SEQUENCE)?;
        let mut spki = Der(tbs.take(SEQUENCE)?);
        let algorithm = spki.take(SEQUENCE)?;
        // Keys are whole bytes: the last one has no unused bits.
        let (0, key) = spki.take(BIT_STRING)?.split_first()? else { return None };
        Some(Certificate { not_before, not_after, algorithm, key })
    }
}

/// Values one after the other, of definite length.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next value, which is `tag`.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&first, rest) = self.0.split_first()?;
        let (&len, rest) = rest.split_first()?;
        let (len, rest) = match len {
            0..=0x7f => (usize::from(len), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
                let len = bytes.iter().try_fold(0_u32, |n, b| Some(n.checked_mul(256)? + u32::from(*b)))?;
                (usize::try_from(len).ok()?, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        (first == tag).then_some(contents)
    }

    /// UTCTime or GeneralizedTime, as RFC 5280 §4.1.2.5 wants them: with seconds, in UTC.
    fn time(&mut self) -> Option<i64> {
        let (year, rest) = match *self.0.first()? {
            UTC_TIME => {
                let (year, rest) = number(self.take(UTC_TIME)?)?;
                (year + if year < 50 { 2000 } else { 1900 }, rest)
            }
            GENERALIZED_TIME => {
                let (century, rest) = number(self.take(GENERALIZED_TIME)?)?;
                let (year, rest) = number(rest)?;
                (century * 100 + year, rest)
            }
            _ => return None,
        };
        let (month, rest) = number(rest)?;
        let (day, rest) = number(rest)?;
        let (hour, rest) = number(rest)?;
        let (minute, rest) = number(rest)?;
        let (second, rest) = number(rest)?;
        let days = date::days(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        let of_day = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
        let is_real = (1..=12).contains(&month) && (1..=31).contains(&day) && of_day <= 86_400;
        (rest == b"Z" && is_real).then_some(days * 86_400 + of_day)
    }
}

/// Two digits, and what follows.
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let ([tens, ones], rest) = text.split_first_chunk::<2>()?;
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| (u16::from(tens - b'0') * 10 + u16::from(ones - b'0'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tag` around `parts`.
    fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let mut out = vec![tag];
        match contents.len() {
            len @ 0..=0x7f => out.push(len as u8),
            len => out.extend([0x82, (len >> 8) as u8, len as u8]),
        }
        out.extend(contents);
        out
    }

    /// A certificate with these first parts of what is signed, and these dates.
    fn certificate(version: &[u8], from: &[u8], until: &[u8]) -> Vec<u8> {
        let algorithm = value(SEQUENCE, &[b"alg"]);
        let name = value(SEQUENCE, &[]);
        let validity = value(SEQUENCE, &[from, until]);
        let spki = value(SEQUENCE, &[&algorithm, &value(BIT_STRING, &[&[0], &[7; 300]])]);
        let serial = value(INTEGER, &[&[1]]);
        let tbs = value(SEQUENCE, &[version, &serial, &algorithm, &name, &validity, &name, &spki, b"ext"]);
        value(SEQUENCE, &[&tbs, &algorithm, &value(BIT_STRING, &[&[0, 1]])])
    }

    #[test]
    fn key_and_dates_of_old_and_new_ones() {
        let version = value(VERSION, &[&value(INTEGER, &[&[2]])]);
        let from = value(UTC_TIME, &[b"000229235959Z"]);
        let until = value(GENERALIZED_TIME, &[b"20500101000000Z"]);
        for version in [&version[..], &[]] {
            let der = certificate(version, &from, &until);
            let got = Certificate::parse(&der).unwrap();
            assert_eq!(
                (got.algorithm, got.key),
                (&b"alg"[..], &[7; 300][..]),
                "no signature could be checked"
            );
            assert_eq!(
                (got.not_before, got.not_after),
                (951_868_799, 2_524_608_000),
                "good ones would expire"
            );
        }
    }

    #[test]
    fn years_of_two_digits() {
        let until = value(UTC_TIME, &[b"491231000000Z"]);
        let der = certificate(&[], &value(UTC_TIME, &[b"500101000000Z"]), &until);
        let got = Certificate::parse(&der).unwrap();
        assert_eq!((got.not_before, got.not_after), (-631_152_000, 2_524_521_600), "RFC 5280 §4.1.2.5.1");
    }

    #[test]
    fn cut_and_changed_ones_are_none_or_read_never_a_panic() {
        let time = value(UTC_TIME, &[b"260101000000Z"]);
        let der = certificate(&[], &time, &time);
        for cut in 0..der.len() {
            assert_eq!(Certificate::parse(&der[..cut]), None, "cut at {cut}");
        }
        for at in 0..der.len() {
            for byte in [0, 0x7f, 0x80, 0x81, 0x84, 0x85, 0xff] {
                let mut changed = der.clone();
                changed[at] = byte;
                let _ = Certificate::parse(&changed);
            }
        }
        for bad in
            [&b"260101000000"[..], b"26010100000aZ", b"260001000000Z", b"260132000000Z", b"260101250000Z"]
        {
            let der = certificate(&[], &value(UTC_TIME, &[bad]), &time);
            assert_eq!(Certificate::parse(&der), None, "{bad:?} is no time");
        }
    }
}
