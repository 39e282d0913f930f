//! A large file in parts: each `[[service]]` by itself, and all the rest.
//!
//! Whoever reads a file of a thousand services while virtual routers run must not read it in one go (law 1),
//! and the tree of one service takes less memory than that of a thousand.

use super::line::{self, TRIPLE};
use core::ops::Range;

/// Smaller texts are read in one go.
pub(super) const LARGE: usize = 16 << 10;

/// The services of a text, and the rest of it.
pub(super) struct Apart {
    /// The text with its services blanked out by spaces: places stay.
    pub(super) rest: String,
    /// Bytes of each service, with its servers.
    pub(super) services: Vec<Range<usize>>,
}

/// Takes a text apart. What begins a line like a header may stand in a list or a text of several lines: then
/// a part is no TOML by itself, and the text has to be read as a whole. `None`: that is clear already.
pub(super) fn apart(text: &str) -> Option<Apart> {
    if TRIPLE.iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let mut services: Vec<Range<usize>> = Vec::new();
    let (mut at, mut is_inside) = (0, false);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if line::is_header(line) {
            let name = line::code(line).trim();
            let is_first = name == "[[service]]";
            is_inside = is_first || (is_inside && is_below(name));
            if is_first {
                services.push(at..at);
            }
        }
        if is_inside && let Some(service) = services.last_mut() {
            service.end = end;
        }
        at = end;
    }
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for service in &services {
        rest.push_str(text.get(from..service.start)?);
        let part = text.get(service.clone())?;
        for line in part.split_inclusive('\n') {
            let is_whole = line.ends_with('\n');
            rest.push_str(&" ".repeat(line.len() - usize::from(is_whole)));
            rest.push_str(if is_whole { "\n" } else { "" });
        }
        from = service.end;
    }
    rest.push_str(text.get(from..)?);
    Some(Apart { rest, services })
}

/// Is this the header of a table in a service, `[[service.server]]`?
fn is_below(header: &str) -> bool {
    header.trim_start_matches('[').trim_start().starts_with("service.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_cut_out_and_places_stay() {
        let text = "[ipvs]\n[[service]]\nname = \"a\"\n[[service.server]]\n  [service.server.check]\n[mail]\n\
                    [[ service ]]\n[[service]] # b\nx = 1\n";
        let apart = apart(text).unwrap();
        let parts: Vec<&str> = apart.services.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(
            parts,
            [
                "[[service]]\nname = \"a\"\n[[service.server]]\n  [service.server.check]\n",
                "[[service]] # b\nx = 1\n"
            ],
            "a server goes with its service"
        );
        assert_eq!(apart.rest.len(), text.len(), "else every line:col after it is wrong");
        assert_eq!(apart.rest.find("[mail]"), text.find("[mail]"));
        assert!(apart.rest.contains("[[ service ]]"), "what is written otherwise is read with the rest");
    }

    #[test]
    fn texts_of_several_lines_are_read_as_a_whole() {
        assert!(super::apart("x = \"\"\"\n[[service]]\n\"\"\"\n").is_none());
    }
}
