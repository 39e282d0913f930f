//! Seeded damage to right frames.

use crate::catalogue::{Listener, cases};
use crate::frame::checksum;
use crate::random::Random;

/// Makes damaged frames; the same seed makes the same frames.
pub(crate) struct Mutator {
    random: Random,
    originals: Vec<Vec<u8>>,
}

impl Mutator {
    /// Damages what these listeners accept.
    pub(crate) fn new(seed: u64, listeners: &[Listener]) -> Mutator {
        let short = |frame: &Vec<u8>| frame.len() < 200;
        let accepted =
            cases().into_iter().filter(|c| c.falls_at.is_none() && listeners.contains(&c.listener));
        let originals = accepted.map(|case| case.frame).filter(short).collect();
        Mutator { random: Random::new(seed), originals }
    }

    /// The next frame: some damage, then perhaps checksums put right, so that the upper rungs are reached
    /// too.
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        if self.below(64) == 0 {
            return (0..self.below(2048)).map(|_| self.below(256) as u8).collect();
        }
        let mut frame = self.original();
        for _ in 0..self.below(5) {
            self.damage(&mut frame);
        }
        if self.below(4) != 0 {
            repair(&mut frame, self.below(4) != 0);
        }
        frame
    }

    fn damage(&mut self, frame: &mut Vec<u8>) {
        let at = self.below(frame.len());
        match self.below(8) {
            0 | 1 => flip(frame, at, 1 << self.below(8)),
            2 => flip(frame, at, self.below(256) as u8),
            // The VRRP message is where most of the rungs are.
            3 | 4 => {
                let message = if is_ipv6(frame) { 54 } else { 34 };
                let at = message + self.below(frame.len().saturating_sub(message));
                flip(frame, at, 1 << self.below(8));
            }
            5 => frame.truncate(at),
            6 => frame.extend((0..self.below(64)).map(|n| n as u8)),
            _ => {
                let other = self.original();
                let from = self.below(other.len());
                frame.truncate(at);
                frame.extend_from_slice(&other[from..]);
            }
        }
    }

    fn original(&mut self) -> Vec<u8> {
        let which = self.below(self.originals.len());
        self.originals[which].clone()
    }

    /// 0..`limit`, or 0 where that is empty.
    fn below(&mut self, limit: usize) -> usize {
        self.random.index(limit)
    }
}

fn flip(frame: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = frame.get_mut(at) {
        *byte ^= bits;
    }
}

fn is_ipv6(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x86, 0xdd])
}

/// Puts the IPv4 header checksum right, and on demand the length in the IP header and the VRRP checksum too:
/// over IPv4 that of the message alone, without what looks like an HMAC trailer.
fn repair(frame: &mut [u8], message_too: bool) {
    if is_ipv6(frame) {
        if message_too && frame.len() >= 62 {
            let payload_len = (frame.len() - 54) as u16;
            frame[18..20].copy_from_slice(&payload_len.to_be_bytes());
            frame[60..62].fill(0);
            let pseudo = [&frame[22..54], &[0, 0], &payload_len.to_be_bytes(), &[0, 0, 0, 112]].concat();
            let sum = checksum(&[&pseudo, &frame[54..]].concat());
            frame[60..62].copy_from_slice(&sum.to_be_bytes());
        }
        return;
    }
    if frame.len() < 42 {
        return;
    }
    if message_too {
        let total_len = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total_len.to_be_bytes());
        frame[40..42].fill(0);
        let trailer = if frame[34] >> 4 == 2 { 8 } else { 0 };
        let message_len = 8 + 4 * usize::from(frame[37]) + trailer;
        let is_signed = frame.len() == 34 + message_len + 28;
        let end = if is_signed { 34 + message_len } else { frame.len() };
        let sum = checksum(&frame[34..end]);
        frame[40..42].copy_from_slice(&sum.to_be_bytes());
    }
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}
