//! What happens to a file under a tired hand: words in the wrong place, swapped lines, a flipped bit, a lost
//! end.

use crate::random::Random;

pub(crate) struct Damage {
    /// What mistakes are made of.
    pub(crate) pieces: &'static [&'static str],
    /// At most so many mistakes.
    pub(crate) most: usize,
    /// So many of a hundred cuts are made; a bit flips instead of the others.
    pub(crate) cut: u64,
}

impl Damage {
    /// The right text with one mistake at least.
    pub(crate) fn to(&self, right: &str, random: &mut Random) -> Vec<u8> {
        let mut text = right.as_bytes().to_vec();
        for _ in 0..=random.index(self.most) {
            let at = random.index(text.len() + 1);
            let to = (at + random.index(12)).min(text.len());
            let piece = self.pieces[random.index(self.pieces.len())].bytes();
            match random.index(8) {
                0 => drop(text.drain(at..to)),
                1 | 2 => drop(text.splice(at..at, piece)),
                3 => drop(text.splice(at..to, piece)),
                4 if self.cut == 100 || random.percent(self.cut) => text.truncate(at.max(1)),
                4 | 5 => {
                    if let Some(byte) = text.get_mut(at) {
                        *byte ^= 1 << random.index(8);
                    }
                }
                6 => {
                    let mut lines: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                    let (a, b) = (random.index(lines.len()), random.index(lines.len()));
                    lines.swap(a, b);
                    text = lines.join(&b'\n');
                }
                _ => {
                    let copy = text[at..(at + random.index(200)).min(text.len())].to_vec();
                    drop(text.splice(at..at, copy));
                }
            }
        }
        text
    }
}
