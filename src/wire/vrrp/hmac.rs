//! The keyed trailer of keepalived 2.4 (PKT-50): 28 bytes behind the message, inside the IP length, outside
//! the VRRP checksum.
//!
//! ```text
//! 0 type=1 | 1 key id | 2 reserved(2)=0 | 4 seconds(4) | 8 1/65536 s(2) | 10 counter(2) | 12 code(16)
//! ```
//!
//! The code is HMAC-SHA256, cut to 16 bytes, over a block of 20 bytes {4 or 6, version, VRID, 0, source
//! padded to 16}, the message with a checksum of zero, the first 12 bytes of the trailer and 16 zeros.

use super::super::rung::Rung;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;

/// The trailer, in bytes.
pub(super) const TRAILER_LEN: usize = 28;
/// What of the trailer is signed, in bytes.
const HEAD_LEN: usize = 12;
const CODE_LEN: usize = 16;
/// The only type of trailer.
const TYPE_HMAC: u8 = 1;

/// One key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKey {
    /// 0..=255, on the wire.
    pub id: u8,
    /// 32..=64 bytes.
    pub secret: heapless::Vec<u8, 64>,
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({}, ...)", self.id)
    }
}

/// What a good trailer tells. Whether it is fresh is for the engine to say, which knows the time and what it
/// heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Which key signed it.
    pub key_id: u8,
    /// Seconds of the sender's clock.
    pub seconds: u32,
    /// Seconds (32 bits), 1/65536 s (16) and counter (16) in one number, which grows from advert to advert.
    pub sequence: u64,
}

impl Signature {
    /// Was it made later than that of an earlier advert? In the arithmetic of RFC 1982 §3.2, so that the
    /// number may wrap; what is just half a turn away is not later.
    pub const fn is_after(&self, sequence: u64) -> bool {
        let ahead = self.sequence.wrapping_sub(sequence);
        ahead != 0 && ahead < 1 << 63
    }

    /// How far the sender's clock is from ours, in seconds; across the turn of the 32 bits, too.
    pub const fn seconds_from(&self, seconds: u32) -> u32 {
        let ahead = self.seconds.wrapping_sub(seconds);
        let behind = seconds.wrapping_sub(self.seconds);
        if ahead < behind { ahead } else { behind }
    }
}

/// What signs an advert: a key, and a number that is larger than that of the advert before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a HmacKey,
    /// Seconds of our clock.
    pub seconds: u32,
    /// And 1/65536 s.
    pub subseconds: u16,
    /// Tells adverts of the same moment apart.
    pub counter: u16,
}

impl Signer<'_> {
    /// The trailer of a message from `source`.
    pub(super) fn trailer(&self, source: IpAddr, message: &[u8]) -> [u8; TRAILER_LEN] {
        let [s0, s1, s2, s3] = self.seconds.to_be_bytes();
        let [f0, f1] = self.subseconds.to_be_bytes();
        let [c0, c1] = self.counter.to_be_bytes();
        let head = [TYPE_HMAC, self.key.id, 0, 0, s0, s1, s2, s3, f0, f1, c0, c1];
        let mut trailer = [0; TRAILER_LEN];
        let bytes = head.into_iter().chain(code(self.key, source, message, &head));
        for (to, from) in trailer.iter_mut().zip(bytes) {
            *to = from;
        }
        trailer
    }
}

/// Judges a trailer: missing, malformed or of an unknown key, then the code.
pub(super) fn verify(
    keys: &[HmacKey],
    source: IpAddr,
    message: &[u8],
    trailer: &[u8],
) -> Result<Signature, Rung> {
    if trailer.is_empty() {
        return Err(Rung::HmacMissing);
    }
    let (head, received) = trailer.split_first_chunk::<HEAD_LEN>().ok_or(Rung::HmacInvalid)?;
    let [kind, key_id, reserved @ .., s0, s1, s2, s3, f0, f1, c0, c1] = *head;
    if kind != TYPE_HMAC || reserved != [0; 2] {
        return Err(Rung::HmacInvalid);
    }
    let key = keys.iter().find(|key| key.id == key_id).ok_or(Rung::HmacKey)?;
    if !super::is_equal_in_constant_time(received, &code(key, source, message, head)) {
        return Err(Rung::HmacInvalid);
    }
    let seconds = u32::from_be_bytes([s0, s1, s2, s3]);
    Ok(Signature { key_id, seconds, sequence: u64::from_be_bytes([s0, s1, s2, s3, f0, f1, c0, c1]) })
}

/// The code of a message of at least eight bytes.
fn code(key: &HmacKey, source: IpAddr, message: &[u8], head: &[u8; HEAD_LEN]) -> [u8; CODE_LEN] {
    // A key of at most a block is padded with zeros (RFC 2104 §2); so padded here, it cannot be of a wrong
    // length.
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(&key.secret) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    let (family, address) = match source {
        IpAddr::V4(v4) => (4, u128::from(u32::from(v4)) << 96),
        IpAddr::V6(v6) => (6, u128::from(v6)),
    };
    if let [version_type, vrid, priority, count, fifth, sixth, _, _, rest @ ..] = message {
        mac.update(&[family, version_type >> 4, *vrid, 0]);
        mac.update(&address.to_be_bytes());
        mac.update(&[*version_type, *vrid, *priority, *count, *fifth, *sixth, 0, 0]);
        mac.update(rest);
    }
    mac.update(head);
    mac.update(&[0; CODE_LEN]);
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    *whole.first_chunk().unwrap_or(&[0; CODE_LEN])
}

#[cfg(test)]
mod tests {
    use super::super::golden::bytes;
    use super::*;

    /// 00 01 02 .. 1f, as in PKT-50.
    fn key() -> HmacKey {
        HmacKey { id: 1, secret: (0..32).collect() }
    }

    const G5: &str = "310d6401 00640595 c0000267";
    const TRAILER: &str = "01010000 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c";

    fn source() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    #[test]
    fn pkt_50_vector_is_made() {
        let key = key();
        let signer = Signer { key: &key, seconds: 1_700_000_000, subseconds: 0x8000, counter: 0 };
        assert_eq!(signer.trailer(source(), &bytes(G5))[..], bytes(TRAILER), "PKT-50");
    }

    #[test]
    fn pkt_50_vector_is_understood() {
        let signature = verify(&[key()], source(), &bytes(G5), &bytes(TRAILER));
        let sequence = 1_700_000_000 << 32 | 0x8000_0000;
        assert_eq!(signature, Ok(Signature { key_id: 1, seconds: 1_700_000_000, sequence }), "PKT-50");
    }

    #[test]
    fn the_checksum_is_not_signed_and_all_else_is() {
        let (message, trailer) = (bytes(G5), bytes(TRAILER));
        for bit in 0..(message.len() + trailer.len()) * 8 {
            let mut all = [&message[..], &trailer].concat();
            all[bit / 8] ^= 1 << (bit % 8);
            let (message, trailer) = all.split_at(message.len());
            let wanted = match bit / 8 {
                6 | 7 => Ok(()), // The VRRP checksum has a rung of its own.
                13 => Err(Rung::HmacKey),
                _ => Err(Rung::HmacInvalid),
            };
            assert_eq!(verify(&[key()], source(), message, trailer).map(drop), wanted, "bit {bit}");
        }
        let elsewhere = [192, 0, 2, 2].into();
        assert_eq!(
            verify(&[key()], elsewhere, &message, &trailer),
            Err(Rung::HmacInvalid),
            "a signed advert replayed from another address"
        );
    }

    #[test]
    fn b_59_trailers_that_must_fall() {
        let message = bytes(G5);
        let judge = |trailer: &[u8]| verify(&[key()], source(), &message, trailer).err();
        assert_eq!(judge(&[]), Some(Rung::HmacMissing), "none");
        assert_eq!(judge(&bytes(TRAILER)[..27]), Some(Rung::HmacInvalid), "cut");
        assert_eq!(judge(&bytes(TRAILER)[..11]), Some(Rung::HmacInvalid), "cut in its head");
        let other = HmacKey { id: 1, secret: (1..33).collect() };
        let wrong = verify(&[other], source(), &message, &bytes(TRAILER)).err();
        assert_eq!(wrong, Some(Rung::HmacInvalid), "wrong key under the right id");
        let none = verify(&[], source(), &message, &bytes(TRAILER)).err();
        assert_eq!(none, Some(Rung::HmacKey), "no key at all");
    }

    #[test]
    fn rfc_1982_says_what_is_later() {
        let at = |sequence| Signature { key_id: 1, seconds: 0, sequence };
        assert!(at(8).is_after(7), "the next one");
        assert!(!at(7).is_after(7), "a replay is not later than itself");
        assert!(!at(6).is_after(7), "an older one");
        assert!(at(3).is_after(u64::MAX), "across the turn");
        assert!(!at(u64::MAX).is_after(3), "and back");
        assert!(!at(1 << 63).is_after(0), "half a turn away is not later, or both would be later");
    }

    #[test]
    fn clocks_are_compared_across_the_turn() {
        let at = |seconds| Signature { key_id: 1, seconds, sequence: 0 };
        assert_eq!(at(105).seconds_from(100), 5, "fast");
        assert_eq!(at(95).seconds_from(100), 5, "slow");
        assert_eq!(at(2).seconds_from(u32::MAX), 3, "in 2106");
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", key()), "HmacKey(1, ...)", "secrets do not go into logs");
    }
}
