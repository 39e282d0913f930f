//! What is wanted of a body: its digest, and a text in it.

use crate::limits::{BODY_MAX, REGEX_SIZE_MAX};
use crate::probe::Ending;
use crate::probe::talk::Stop;
use crate::wire::job::{Body, Pattern};
use core::fmt;
use md5::{Digest, Md5};
use regex_lite::{Regex, RegexBuilder};

/// Takes a body in and judges it.
pub(super) struct Judge<'a> {
    body: &'a Body<'a>,
    digest: Md5,
    search: Option<Search<'a>>,
    /// So many bytes more.
    left: usize,
}

struct Search<'a> {
    pattern: &'a Pattern<'a>,
    regex: Regex,
    /// All that came.
    text: Vec<u8>,
}

impl<'a> Judge<'a> {
    /// # Errors
    /// Where the regex does not compile.
    pub(super) fn new(body: &'a Body<'a>) -> Result<Self, regex_lite::Error> {
        let search = match &body.regex {
            Some(pattern) => {
                let regex = RegexBuilder::new(pattern.pattern).size_limit(REGEX_SIZE_MAX).build()?;
                Some(Search { pattern, regex, text: Vec::new() })
            }
            None => None,
        };
        Ok(Judge { body, digest: Md5::new(), search, left: BODY_MAX })
    }

    /// Bytes of the body so far.
    pub(super) fn taken(&self) -> u32 {
        u32::try_from(BODY_MAX - self.left).unwrap_or(u32::MAX)
    }

    /// Does more than the status decide?
    pub(super) fn is_picky(&self) -> bool {
        self.body.digest.is_some() || self.search.is_some()
    }

    /// Takes the next piece of the body, and of what was on the wire for it.
    ///
    /// # Errors
    /// Where the body is larger than `BODY_MAX` (HC-2).
    pub(super) fn take(&mut self, plain: &[u8], wire: &[u8]) -> Result<(), Stop> {
        self.left = self.left.checked_sub(plain.len()).ok_or(Stop::TooLarge)?;
        if self.body.digest.is_some() {
            self.digest.update(if self.body.raw { wire } else { plain });
        }
        if let Some(search) = &mut self.search {
            search.text.extend_from_slice(plain);
        }
        Ok(())
    }

    /// The verdict on a whole body.
    pub(super) fn verdict(self, status: u16) -> Ending {
        let digest = self.body.digest.map(|want| (want, <[u8; 16]>::from(self.digest.finalize())));
        let ending = match (digest, self.search) {
            (Some((want, got)), _) if got != want => {
                Ending::failed(status, format_args!("digest differs: got {}", Hex(&got)))
            }
            (_, Some(search)) => search.verdict(status),
            (_, None) => Ending::passed(status),
        };
        Ending { digest: digest.map(|(_, got)| got), ..ending }
    }
}

impl Search<'_> {
    fn verdict(self, status: u16) -> Ending {
        let negated = self.pattern.negated;
        match (self.matches(), negated) {
            (true, false) | (false, true) => Ending::passed(status),
            (false, false) => Ending::failed(status, format_args!("the regex does not match the page")),
            (true, true) => Ending::failed(status, format_args!("the regex matches the page")),
        }
    }

    /// Does a match begin where it may? The leftmost one from `first` on says so.
    fn matches(self) -> bool {
        let Search { pattern, regex, text } = self;
        let text = text_of(text);
        let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(first) = (at(pattern.first)..=text.len()).find(|at| text.is_char_boundary(*at)) else {
            return false;
        };
        let last = if pattern.last == 0 { usize::MAX } else { at(pattern.last) };
        regex.find_at(&text, first).is_some_and(|found| found.start() < last)
    }
}

/// Bytes as text, each where it was: one that is no UTF-8 becomes SUBSTITUTE.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::with_capacity(error.as_bytes().len());
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '\x1a'));
        }
        text
    })
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
