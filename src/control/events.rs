//! The last events as text: one line each, oldest first, so that the newest stands above the prompt.

use super::age::Age;
use super::render::Screen;
use super::table::{ascii, cut, wrap};
use crate::model::status::Happening;

/// `   41s  warning  web  192.168.234.57:80 down: HTTP 503, want 200`; longer texts go on below.
/// `happenings` come newest first, as the engine keeps them.
pub(super) fn text(happenings: &[Happening]) -> String {
    if happenings.is_empty() {
        return "no events yet\n".to_owned();
    }
    let width = Screen::default().columns;
    let subject_width = happenings.iter().map(|h| h.subject.len()).max().unwrap_or(0).min(16);
    let mut out = String::new();
    for h in happenings.iter().rev() {
        let subject = if h.subject.is_empty() { h.kind } else { &h.subject };
        let subject = cut(&ascii(subject), subject_width.max(7));
        let head = format!(
            "{:>7}  {:<7}  {subject:<w$}  ",
            Age(h.age),
            h.level.to_string(),
            w = subject_width.max(7)
        );
        // The text keeps its column on the lines below.
        let indent = head.len();
        for line in wrap(&(head + &ascii(&h.text)), width, indent) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}
