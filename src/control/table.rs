//! Text in columns, for a screen that never wraps.

/// Between two columns.
const GAP: usize = 2;

/// A column: its title, and how it gives way where the table is too wide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Not cut below this width; [`usize::MAX`]: not at all.
    pub(super) width_min: usize,
    /// Numbers stand at the right edge.
    pub(super) right: bool,
    /// Cut in the middle, so that the port at the end of an address stays.
    pub(super) middle: bool,
}

impl Column {
    pub(super) const fn left(title: &'static str, width_min: usize) -> Self {
        Column { title, width_min, right: false, middle: false }
    }

    pub(super) const fn right(title: &'static str) -> Self {
        Column { title, width_min: usize::MAX, right: true, middle: false }
    }

    pub(super) const fn address(title: &'static str, width_min: usize) -> Self {
        Column { title, width_min, right: false, middle: true }
    }
}

/// A table laid out: one line per row, none longer than asked for.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) header: String,
    pub(super) lines: Vec<String>,
    /// Where the last column begins.
    pub(super) last_at: usize,
}

/// Lays rows out; each has as many cells as there are columns. Cells hold plain ASCII ([`ascii`]).
pub(super) fn lay_out<const N: usize>(columns: &[Column; N], rows: &[[String; N]], width: usize) -> Table {
    let mut widths = columns.map(|c| c.title.len());
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(cell.len());
        }
    }
    shrink(columns, &mut widths, width);
    let header: [String; N] = columns.map(|c| c.title.to_owned());
    let last_at = widths.iter().take(N.saturating_sub(1)).map(|w| w + GAP).sum();
    Table {
        header: line(columns, &widths, &header, width),
        lines: rows.iter().map(|row| line(columns, &widths, row, width)).collect(),
        last_at,
    }
}

/// Width of the table where nothing is cut.
pub(super) fn natural_width<const N: usize>(columns: &[Column; N], rows: &[[String; N]]) -> usize {
    let gaps = GAP * N.saturating_sub(1);
    let widest = |at: usize, title: &str| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(String::len);
        cells.max().unwrap_or(0).max(title.len())
    };
    columns.iter().enumerate().map(|(at, column)| widest(at, column.title)).sum::<usize>() + gaps
}

/// Takes from the widest column that may give, until all fit or none may.
fn shrink<const N: usize>(columns: &[Column; N], widths: &mut [usize; N], width: usize) {
    let gaps = GAP * N.saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let widest = columns
            .iter()
            .zip(widths.iter_mut())
            .filter(|(column, w)| **w > column.width_min.max(column.title.len()))
            .max_by_key(|(_, w)| **w);
        match widest {
            Some((_, w)) => *w -= 1,
            None => return,
        }
    }
}

fn line<const N: usize>(
    columns: &[Column; N],
    widths: &[usize; N],
    cells: &[String; N],
    width: usize,
) -> String {
    let mut out = String::with_capacity(width);
    for ((column, w), cell) in columns.iter().zip(widths).zip(cells) {
        if !out.is_empty() {
            out.push_str("  ");
        }
        let cell = if column.middle { cut_middle(cell, *w) } else { cut(cell, *w) };
        let pad = w.saturating_sub(cell.len());
        if column.right {
            out.extend(core::iter::repeat_n(' ', pad));
            out.push_str(&cell);
        } else {
            out.push_str(&cell);
            out.extend(core::iter::repeat_n(' ', pad));
        }
    }
    out.truncate(out.trim_end().len());
    cut(&out, width)
}

/// Plain ASCII: anything else, and every control character (a peer or a server may have sent it; SEC-15), is
/// `?`.
pub(super) fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect()
}

/// At most `width` characters of an ASCII text; `~` stands for what is left out.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.len() <= width {
        return text.to_owned();
    }
    let kept = text.get(..width.saturating_sub(1)).unwrap_or("");
    if width == 0 { String::new() } else { format!("{kept}~") }
}

/// As [`cut`], and the last characters stay: from the last `]` or `:` on.
pub(super) fn cut_middle(text: &str, width: usize) -> String {
    let tail_at = text.rfind(']').or_else(|| text.rfind(':')).unwrap_or(text.len());
    let tail = text.get(tail_at..).unwrap_or("");
    if text.len() <= width || tail.len() + 2 > width {
        return cut(text, width);
    }
    let head = text.get(..width - tail.len() - 1).unwrap_or("");
    format!("{head}~{tail}")
}

/// Breaks an ASCII text at spaces into lines of at most `width`, the second and later ones indented by
/// `indent`. A word that is too long is broken where the line ends.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim_end();
    let mut pad = 0;
    loop {
        let room = width.saturating_sub(pad).max(1);
        let head = " ".repeat(pad);
        if rest.len() <= room {
            lines.push(head + rest);
            return lines;
        }
        // A space right behind the room is a place to break, too.
        let window = rest.get(..room + 1).unwrap_or(rest);
        let at = window.rfind(' ').filter(|at| *at > room / 2).unwrap_or(room);
        let (line, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        lines.push(head + line.trim_end());
        rest = after.trim_start();
        pad = indent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_and_marks_what_it_cut() {
        let columns = [Column::left("NAME", 6), Column::address("ADDRESS", 12), Column::right("N")];
        let row = |a: &str, b: &str, c: &str| [a.to_owned(), b.to_owned(), c.to_owned()];
        let rows = [
            row("short", "tcp [2001:db8::1234:5678:9abc:def0]:443", "7"),
            row(&"x".repeat(64), "a:1", "12345"),
        ];
        let table = lay_out(&columns, &rows, 40);
        for line in table.lines.iter().chain([&table.header]) {
            assert!(line.len() <= 40, "a serial console would wrap {line:?}");
        }
        assert!(table.lines[0].contains("~]:443"), "the port tells services apart: {:?}", table.lines[0]);
        assert!(table.lines[1].contains("x~"), "a cut name must show that it is cut: {:?}", table.lines[1]);
    }

    #[test]
    fn ascii_hides_escapes_and_other_alphabets() {
        assert_eq!(
            ascii("a\x1b[2Jb\u{e9}\n"),
            "a?[2Jb??",
            "SEC-15: a serial console must not be steered by a peer"
        );
    }

    #[test]
    fn wrap_keeps_every_word() {
        let text = "load the module ip_vs: modprobe ip_vs, or install the package kmod-nf-ipvs";
        let lines = wrap(text, 30, 2);
        assert!(lines.iter().all(|l| l.len() <= 30), "{lines:?}");
        let again: Vec<&str> = lines.iter().map(|l| l.trim_start()).collect();
        assert_eq!(again.join(" "), text, "what to do is at the end of a problem: nothing may be lost");
        assert_eq!(wrap(&"y".repeat(70), 30, 2).len(), 3, "a word without spaces is broken, not dropped");
    }
}
