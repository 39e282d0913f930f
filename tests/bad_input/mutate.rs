//! Seeded damage to right frames.

use crate::catalogue::{G1, G2, G4, G5};
use crate::frame::{Frame, checksum, hex};
use crate::random::Random;

/// Makes damaged frames; the same seed makes the same frames.
pub(crate) struct Mutator {
    random: Random,
    originals: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Mutator {
        let originals = [G1, G2, G4, G5].map(|message| Frame::new(hex(message)).bytes());
        Mutator { random: Random::new(seed), originals: originals.to_vec() }
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
            3 | 4 => flip(frame, 34 + self.below(24), 1 << self.below(8)),
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

/// Puts the IPv4 header checksum right, and on demand total length and VRRP checksum (without pseudo-header)
/// too.
fn repair(frame: &mut [u8], message_too: bool) {
    if frame.len() < 42 {
        return;
    }
    if message_too {
        let total_len = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total_len.to_be_bytes());
        frame[40..42].fill(0);
        let sum = checksum(&frame[34..]);
        frame[40..42].copy_from_slice(&sum.to_be_bytes());
    }
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}
