//! Conversations with a far end that is a script: what it says comes in any pieces, and no cut may change how
//! the conversation ends.

mod letters;
mod pages;

use super::*;
use crate::wire::job::stamp;
use std::collections::VecDeque;

pub(super) const TIMEOUT: Duration = Duration::from_millis(400);

pub(super) const MEANS: Means<'static> =
    Means { clock: || Instant::ZERO, wall: || Duration::ZERO, has_random: || true, files: &[] };

/// The far end: says its pieces, one at each reading, and then ends. It hears everything.
pub(super) struct Script {
    pieces: VecDeque<Vec<u8>>,
    end: Stop,
    heard: Vec<u8>,
}

impl Script {
    pub(super) fn new(pieces: Vec<Vec<u8>>, end: Stop) -> Self {
        Script { pieces: pieces.into(), end, heard: Vec::new() }
    }
}

impl Line for Script {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        assert!(!buffer.is_empty(), "it would be taken for the end");
        let Some(mut piece) = self.pieces.pop_front() else { return Err(self.end.clone()) };
        let len = piece.len().min(buffer.len());
        buffer[..len].copy_from_slice(&piece[..len]);
        if len < piece.len() {
            self.pieces.push_front(piece.split_off(len));
        }
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.heard.extend_from_slice(bytes);
        Ok(())
    }

    fn hurry(&mut self, _: Duration) {}
}

/// Numbers that are the same in each run (xorshift32).
pub(super) struct Random(pub(super) u32);

impl Random {
    /// From 1 to `most`.
    pub(super) fn next(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % most + 1
    }
}

/// A reply whole, byte by byte, in two at each place where it is short, and `count` times in random pieces.
pub(super) fn cuts(reply: &[u8], count: u32) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let in_two = if reply.len() <= 1024 { 1..reply.len() } else { 1..1 };
    let in_two = in_two.map(|at| vec![reply[..at].to_vec(), reply[at..].to_vec()]);
    let bytes = reply.iter().map(|byte| vec![*byte]).collect();
    let mut random = Random(0x9e37_79b9);
    let pieces = (0..count).map(move |_| {
        let (most, mut rest, mut pieces) = (random.next(reply.len().max(1)), reply, Vec::new());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.next(most).min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces
    });
    let whole = if reply.is_empty() { Vec::new() } else { vec![reply.to_vec()] };
    [whole, bytes].into_iter().chain(in_two).chain(pieces)
}

/// How a job ends with a far end that says `reply`, and then ends so: however it is cut, `count` times at
/// random.
#[track_caller]
fn ending(job: &mut [u8], reply: &[u8], end: &Stop, count: u32) -> Ending {
    ending_and_heard(job, reply, end, count).0
}

/// And what the far end heard.
#[track_caller]
fn ending_and_heard(job: &mut [u8], reply: &[u8], end: &Stop, count: u32) -> (Ending, Vec<u8>) {
    stamp(job, 9, TIMEOUT);
    let job = Job::parse(job).unwrap();
    let mut first: Option<(Ending, Vec<u8>, u32)> = None;
    for pieces in cuts(reply, count) {
        let mut script = Script::new(pieces.clone(), end.clone());
        let mut course = Course { clock: MEANS.clock, start: Instant::ZERO, steps: [0; STEPS], bytes: 0 };
        let ending = hold(&job, &mut script, &MEANS, &mut course);
        // What was read of a page that fails is of no matter.
        let bytes = if ending.verdict == Verdict::Passed { course.bytes } else { 0 };
        let got = (ending, script.heard, bytes);
        let want = first.get_or_insert_with(|| got.clone());
        assert_eq!(got, *want, "cut into {:?}", pieces.iter().map(Vec::len).collect::<Vec<_>>());
    }
    let (ending, heard, _) = first.unwrap();
    (ending, heard)
}

#[test]
fn a_span_reads_as_it_was_written() {
    let words = |millis| span(Duration::from_millis(millis)).to_string();
    assert_eq!(
        [words(250), words(3000), words(1500)],
        ["250ms", "3s", "1500ms"],
        "reasons name the configured timeout"
    );
}

#[test]
fn a_reply_is_cut_everywhere() {
    let all: Vec<_> = cuts(b"abc", 50).collect();
    assert!(all.iter().all(|pieces| pieces.concat() == b"abc"), "a cut loses nothing");
    for want in [vec![3], vec![1, 1, 1], vec![1, 2], vec![2, 1]] {
        let is_there = |pieces: &Vec<Vec<u8>>| pieces.iter().map(Vec::len).collect::<Vec<_>>() == want;
        assert!(all.iter().any(is_there), "{want:?}");
    }
}
