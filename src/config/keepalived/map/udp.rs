//! `UDP_CHECK` → `type = "udp"`.

use super::args;
use super::checker::{Around, Check, Common, Key, USUAL};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::keywords::Context;
use crate::config::keepalived::tree::Word;
use crate::config::keepalived::walk::Known;
use crate::limits;

/// Longest datagram.
const LONGEST: u32 = 65_507;

/// The check.
pub(super) fn udp(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    let place = known.statement.place();
    let (common, own) = Common::read(Context::UDP_CHECK, known.statement, findings);
    let (mut payload, mut wanted, mut reply) = (None, false, None);
    let (mut least, mut most) = (None, None);
    for line in own {
        let words = line.statement.arguments();
        match line.name {
            "payload" => payload = hex(words, false, findings).map(|(bytes, _)| show(&bytes)),
            "require_reply" => {
                wanted = true;
                reply = if words.is_empty() { None } else { hex(words, true, findings) };
            }
            "min_reply_length" => least = args::count(line, 0, 0..=LONGEST, findings),
            "max_reply_length" => most = args::count(line, 0, 0..=LONGEST, findings),
            _ => {}
        }
    }
    let mut keys: Vec<Key> = vec![("type", "udp".into())];
    match payload {
        Some(payload) => keys.push(("payload", payload.into())),
        None => {
            let what = "UDP_CHECK without `payload`: vipd sends an empty datagram, keepalived random bytes";
            findings.push(place, Kind::Changed, what, "Give a payload that the server answers.");
        }
    }
    if wanted {
        keys.push(("require_reply", true.into()));
    }
    if wanted && reply.is_none() && least.is_none() && most.is_none() {
        // keepalived looks at the length only where it looks at the bytes.
        keys.push(("reply_max", LONGEST.into()));
    }
    if let Some((bytes, mask)) = reply {
        let full = mask.iter().all(|mask| *mask == 0xff);
        let text = if full { show(&bytes) } else { format!("{}/{}", show(&bytes), show(&mask)) };
        keys.push(("reply", text.into()));
    }
    if !wanted && (least.is_some() || most.is_some()) {
        let what = "the length of replies is left out";
        findings.push(place, Kind::Ignored, what, "keepalived looks at none without `require_reply`.");
    }
    let (shortest, longest) = (least.unwrap_or(0), most.unwrap_or(255));
    if wanted && shortest > longest {
        let what = format!("replies of at least {shortest} and at most {longest} bytes");
        let hint = "No reply could be right: keepalived's check always fails. The lengths are left out.";
        findings.push(place, Kind::Invalid, what, hint);
    } else if wanted {
        keys.extend(least.filter(|least| *least != 0).map(|least| ("reply_min", least.into())));
        keys.extend(most.filter(|most| *most != 255).map(|most| ("reply_max", most.into())));
    }
    Some(common.check(known, keys, USUAL, None, around, findings))
}

/// Bytes and their mask. Each word is read from its left in pairs of digits; a digit that is left over is a
/// byte of its own. `x` is any digit where `masked`; so is what a `/mask` behind it leaves out.
fn hex(words: &[Word], masked: bool, findings: &mut Findings) -> Option<(Vec<u8>, Vec<u8>)> {
    let place = words.first()?.place;
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let (pattern, mask) = match text.split_once('/') {
        Some((pattern, mask)) if masked => (pattern, Some(mask)),
        Some(_) | None => (text.as_str(), None),
    };
    let read = digits(pattern, masked).zip(match mask {
        Some(mask) => digits(mask, false).map(Some),
        None => Some(None),
    });
    let read = read.filter(|((bytes, _), mask)| {
        bytes.len() <= limits::UDP_PAYLOAD_MAX
            && mask.as_ref().is_none_or(|(mask, _)| mask.len() == bytes.len())
    });
    let Some(((bytes, own), mask)) = read else {
        let what = format!("not bytes in hexadecimal, at most {}", limits::UDP_PAYLOAD_MAX);
        findings.push(place, Kind::Invalid, what, "keepalived leaves the line out.");
        return None;
    };
    let mask = match mask {
        Some((mask, _)) => own.iter().zip(mask).map(|(own, mask)| own & mask).collect(),
        None => own,
    };
    let bytes = bytes.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
    Some((bytes, mask))
}

fn digits(text: &str, masked: bool) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut bytes, mut masks) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        let digits: Vec<char> = word.chars().collect();
        for pair in digits.chunks(2) {
            let (mut byte, mut mask) = (0, 0);
            for digit in pair {
                let any = masked && matches!(digit, 'x' | 'X');
                let value = if any { 0 } else { u8::try_from(digit.to_digit(16)?).ok()? };
                byte = (byte << 4) | value;
                mask = (mask << 4) | if any { 0 } else { 0xf };
            }
            if pair.len() == 1 {
                mask |= 0xf0;
            }
            bytes.push(byte);
            masks.push(mask);
        }
    }
    (!bytes.is_empty()).then_some((bytes, masks))
}

fn show(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_of_free_form() {
        let (bytes, masks) = digits("Ab12f 3 456 546443123", false).unwrap();
        assert_eq!(bytes, [0xab, 0x12, 0x0f, 0x03, 0x45, 0x06, 0x54, 0x64, 0x43, 0x12, 0x03]);
        assert!(masks.iter().all(|mask| *mask == 0xff));
        assert_eq!(digits("4x x1 x", true), Some((vec![0x40, 0x01, 0x00], vec![0xf0, 0x0f, 0xf0])));
        assert_eq!(digits("4x", false), None);
        assert_eq!(digits("0g", true), None);
        assert_eq!(digits("", true), None);
    }
}
