//! `type = "udp"`: what is sent, and the wanted reply.

use crate::config::reader::Table;
use crate::config::report::{Problem, Report};
use crate::config::suggest::shown;
use crate::limits;
use crate::model::UdpCheck;

/// The keys of `type = "udp"` (HC-35).
pub(super) fn udp(table: &mut Table<'_>, report: &mut Report<'_>) -> UdpCheck {
    const LONGEST: u32 = 65_507;
    const REPLY_MAX: u16 = 255;
    let payload = table.parsed("payload", hex, report).map(|read| read.value).unwrap_or_default();
    let needs_reply = table.flag("require_reply", false, report);
    let reply = table.parsed("reply", pattern, report);
    let min = table.number::<u16>("reply_min", 0..=LONGEST, report);
    let max = table.number::<u16>("reply_max", 0..=LONGEST, report);
    let (shortest, longest) = (min.map_or(0, |min| min.value), max.map_or(REPLY_MAX, |max| max.value));
    if shortest > longest {
        let what = format!("`reply_min` ({shortest}) is above `reply_max` ({longest})");
        let hint = "No reply could be right.";
        report.error(table.key_at(if max.is_some() { "reply_max" } else { "reply_min" }), what, hint);
    }
    UdpCheck {
        payload,
        needs_reply,
        reply: reply.map(|read| read.value).unwrap_or_default(),
        reply_min: shortest,
        reply_max: longest,
    }
}

/// Bytes in hexadecimal, with or without spaces between them.
fn hex(text: &str) -> Result<Vec<u8>, Problem> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(rest) = text.trim_start().strip_prefix("0x").or_else(|| text.trim_start().strip_prefix("0X"))
    {
        let what = format!("\"{}\" begins with 0x", shown(text));
        return Err(Problem::new(what, format!("Did you mean \"{}\"?", shown(rest))));
    }
    if let Some(at) = digits.iter().position(|c| !c.is_ascii_hexdigit()) {
        let odd = digits.get(at).copied().unwrap_or(' ');
        let what = format!("`{}` is not a hexadecimal digit", shown(&odd.to_string()));
        let hint = if at == 0 || text.len() < 3 {
            "Write each byte as two of 0 to 9 and a to f: \"0a ff\".".to_owned()
        } else {
            let as_hex: Vec<String> = text.bytes().take(8).map(|b| format!("{b:02x}")).collect();
            let more = if text.len() > 8 { " ..." } else { "" };
            format!("Two digits a byte; the text itself would be \"{}{more}\".", as_hex.join(" "))
        };
        return Err(Problem::new(what, hint));
    }
    if digits.len() % 2 == 1 {
        let what = format!("{} digits make no whole bytes", digits.len());
        return Err(Problem::new(what, "Write each byte as two digits: \"0a\", not \"a\"."));
    }
    let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|pair| byte(*pair)).collect();
    if bytes.len() > limits::UDP_PAYLOAD_MAX {
        let what = format!("{} bytes, at most {}", bytes.len(), limits::UDP_PAYLOAD_MAX);
        return Err(Problem::new(what, ""));
    }
    Ok(bytes)
}

fn byte(pair: [char; 2]) -> u8 {
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let [high, low] = pair.map(digit);
    (high << 4) | low
}

/// `hex`, or `hex/mask`: where the mask has a 1 the reply must have the bit of the pattern.
fn pattern(text: &str) -> Result<Vec<(u8, u8)>, Problem> {
    let (bytes, mask) = match text.split_once('/') {
        Some((bytes, mask)) => (hex(bytes)?, Some(hex(mask)?)),
        None => (hex(text)?, None),
    };
    if bytes.is_empty() {
        return Err(Problem::new("the pattern is empty", "Leave it out for any reply."));
    }
    let Some(mask) = mask else { return Ok(bytes.into_iter().map(|byte| (byte, 0xff)).collect()) };
    if mask.len() != bytes.len() {
        let what = format!("a pattern of {} bytes and a mask of {}", bytes.len(), mask.len());
        return Err(Problem::new(what, "Both are of one length: \"4f4b/ffff\"."));
    }
    if let Some(at) = bytes.iter().zip(&mask).position(|(byte, mask)| byte & !mask != 0) {
        let what = format!("byte {} of the pattern has bits set that its mask leaves out", at + 1);
        return Err(Problem::new(what, "Set those bits in the mask, or clear them in the pattern."));
    }
    Ok(bytes.into_iter().zip(mask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hc_35_payloads_are_bytes() {
        assert_eq!(hex("00fF 0a").unwrap(), [0, 0xff, 0x0a]);
        assert_eq!(hex("").unwrap(), [0; 0], "an empty datagram");
        assert_eq!(hex("0xff").unwrap_err().hint, "Did you mean \"ff\"?");
        assert!(hex("abc").unwrap_err().what.contains("3 digits"));
        let problem = hex("ping").unwrap_err();
        assert!(problem.what.contains("`p`"), "the byte for `p` would be anybody's guess: {problem:?}");
        assert!(hex("deadbeet").unwrap_err().hint.contains("64 65 61 64 62 65 65 74"));
        assert!(hex("é").is_err() && hex("a\u{301}b").is_err());
        assert_eq!(hex(&"00".repeat(limits::UDP_PAYLOAD_MAX)).unwrap().len(), limits::UDP_PAYLOAD_MAX);
        assert!(hex(&"00".repeat(limits::UDP_PAYLOAD_MAX + 1)).is_err());
    }

    #[test]
    fn hc_35_masks_are_as_long_as_their_patterns() {
        assert_eq!(pattern("4f4b").unwrap(), [(0x4f, 0xff), (0x4b, 0xff)]);
        assert_eq!(pattern("400b/f0 ff").unwrap(), [(0x40, 0xf0), (0x0b, 0xff)]);
        for text in ["", "/ff", "4f/ffff", "4f4b/ff", "4f/f0", "4f/", "4f/ff/ff"] {
            assert!(pattern(text).is_err(), "{text:?} would match what nobody meant");
        }
    }
}
