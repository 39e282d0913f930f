//! Commands and FIFOs: words without a shell, and as whom they run.

use super::super::finding::{Findings, Kind};
use super::super::source::Place;
use super::super::tree::Word;
use super::super::walk::Known;
use crate::config::document::Value;
use crate::config::suggest::shown;

/// What `sh` would do something about, where it begins a word or is all of it.
const SHELL: [&str; 12] = ["|", "&", ";", ">", "<", "1>", "2>", "$(", "$", "`", "(", ")"];

/// A user and perhaps a group.
pub(super) type Owner = (String, Option<String>);

/// The value of `KEYWORD COMMAND [USER [GROUP]]`, as of `notify_master` and `quorum_up`; `None` where there
/// is no command.
pub(super) fn command(known: Known<'_>, findings: &mut Findings) -> Option<Value> {
    let mut pieces = pieces(&known.statement.rest).into_iter();
    let first = pieces.next()?;
    let rest: Vec<String> = pieces.flat_map(|piece| piece.words()).collect();
    let mut argv = first.words();
    let owner = match rest.as_slice() {
        [] => None,
        [user] if is_account(user) => Some((user.clone(), None)),
        [user, group] if is_account(user) && is_account(group) => Some((user.clone(), Some(group.clone()))),
        [word, ..] => {
            let what = format!("`{}`: \"{}\" is read as an argument", known.name, shown(word));
            let hint = "keepalived takes what follows the command for a user and a group, and leaves the \
                        line out where there is none such: put the whole command into quotes.";
            findings.push(place(known), Kind::Corrected, what, hint);
            argv.extend(rest);
            None
        }
    };
    value(known, argv, owner, findings)
}

/// The value of `KEYWORD COMMAND`, as of `script` and `misc_path`, which has its user elsewhere.
pub(super) fn script(known: Known<'_>, owner: Option<Owner>, findings: &mut Findings) -> Option<Value> {
    value(known, words(known), owner, findings)
}

/// All words behind the keyword, without quotes and escapes.
pub(super) fn words(known: Known<'_>) -> Vec<String> {
    pieces(&known.statement.rest).into_iter().flat_map(|piece| piece.words()).collect()
}

/// The first word behind the keyword, all of what stands between its quotes, with escapes resolved.
pub(super) fn text(known: Known<'_>) -> Option<String> {
    pieces(&known.statement.rest).first().map(|piece| unescape(&piece.text))
}

/// `user NAME [GROUP]`, `script_user NAME [GROUP]`.
pub(super) fn owner(words: &[Word]) -> Option<Owner> {
    let user = words.first()?.text.clone();
    Some((user, words.get(1).map(|group| group.text.clone())))
}

/// The value of `notify_fifo PATH [USER [GROUP]]`, with its reader.
pub(super) fn fifo(path: Known<'_>, script: Option<Known<'_>>, findings: &mut Findings) -> Option<Value> {
    let written = path.statement.argument(0)?.text.clone();
    let owner = owner(path.statement.arguments().get(1..).unwrap_or(&[]));
    let script = script.and_then(|script| command(script, findings));
    if owner.is_none() && script.is_none() {
        return Some(Value::Text(written));
    }
    let mut keys = vec![("path", Value::Text(written))];
    keys.extend(owned(owner));
    keys.extend(script.map(|script| ("script", script)));
    Some(Value::Keys(keys))
}

/// As a command of vipd: an absolute path, and one text where no word needs quotes.
fn value(
    known: Known<'_>,
    mut argv: Vec<String>,
    owner: Option<Owner>,
    findings: &mut Findings,
) -> Option<Value> {
    let (name, at) = (known.name, place(known));
    let Some(program) = argv.first().cloned().filter(|program| !program.is_empty()) else {
        findings.push(at, Kind::Invalid, format!("`{name}` names no program"), "It is left out.");
        return None;
    };
    if program.starts_with(['<', '>', '(']) {
        let what = format!("`{name}`: \"{}\" is for a shell, and is given to /bin/sh", shown(&program));
        let hint = if program.contains("/dev/tcp/") {
            "Only bash knows /dev/tcp: a [[track]] with type = \"path\", probe = \"tcp\" needs no program."
        } else {
            "keepalived knows no shell, but has one try it."
        };
        findings.push(at, Kind::Changed, what, hint);
        argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), argv.join(" ")];
    } else {
        if let Some(word) = shell_word(&argv) {
            let what = format!("`{name}`: \"{}\" is for a shell, and there is none", shown(word));
            let hint = "keepalived hands it over as an argument, and so does vipd: write [\"/bin/sh\", \
                        \"-c\", \"...\"].";
            findings.push(at, Kind::Changed, what, hint);
        }
        if !program.contains('/') {
            let what = format!("`{name}`: \"{}\" is looked up by /usr/bin/env", shown(&program));
            findings.push(at, Kind::Changed, what, "vipd wants the whole path of a program.");
            argv.insert(0, "/usr/bin/env".to_owned());
        }
    }
    let plain = |word: &String| !word.is_empty() && !word.contains(|c: char| is_special(c));
    let run = if argv.iter().all(plain) {
        Value::Text(argv.join(" "))
    } else {
        Value::List(argv.into_iter().map(Value::Text).collect())
    };
    Some(match owned(owner) {
        owner if owner.is_empty() => run,
        owner => {
            let mut keys = vec![("run", run)];
            keys.extend(owner);
            Value::Keys(keys)
        }
    })
}

/// Does vipd's way to read a text of several words do something about it?
fn is_special(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "|><;&`$()*\"'\\".contains(c)
}

/// The first word that only a shell understands; what follows `-c` is for the shell that stands before it.
fn shell_word(argv: &[String]) -> Option<&String> {
    let named = argv.iter().take(3).any(|word| word == "-c");
    argv.iter().skip(1).find(|word| !named && SHELL.iter().any(|mark| word.starts_with(mark)))
}

fn owned(owner: Option<Owner>) -> Vec<(&'static str, Value)> {
    let Some((user, group)) = owner else { return Vec::new() };
    let mut keys = vec![("user", Value::Text(user))];
    keys.extend(group.map(|group| ("group", Value::Text(group))));
    keys
}

fn place(known: Known<'_>) -> Place {
    known.statement.argument(0).map_or(known.statement.place(), |word| word.place)
}

/// May it be the name of a user or a group? Those who write arguments without quotes write paths, options
/// and keepalived's states.
fn is_account(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.' | b'$');
    text.bytes().all(good) && !text.starts_with('-')
}

/// A word as it is written.
struct Piece {
    /// Without the quotes around it all.
    text: String,
    /// In quotes from end to end: it may hold several words.
    quoted: bool,
}

impl Piece {
    /// The words in it, without quotes and escapes.
    fn words(&self) -> Vec<String> {
        if !self.quoted {
            return vec![unescape(&self.text)];
        }
        pieces(&self.text).into_iter().map(|piece| unescape(&piece.text)).collect()
    }
}

/// Splits at white space outside quotes. Escapes stay.
fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if matches!(first, '"' | '\'')
            && let Some(end) = closing(rest, first)
            && let (Some(inner), Some(after)) = (rest.get(1..end), rest.get(end + 1..))
        {
            out.push(Piece { text: inner.to_owned(), quoted: true });
            rest = after.trim_start();
            continue;
        }
        let end = word_end(rest);
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let bare: String = word.trim_start_matches(['"', '\'']).to_owned();
        out.push(Piece { text: bare, quoted: false });
        rest = after.trim_start();
    }
    out
}

/// Byte of the quote that closes the one at the beginning.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            c if c == quote && !escaped => return Some(at),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// Where a word without a quote at its beginning ends: at white space, or at a quote, which begins the next.
fn word_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        let ends = c.is_whitespace() || (matches!(c, '"' | '\'') && at > 0);
        if ends && !escaped {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// `\a \b \E \f \n \r \t \v \NNN \xXX \cC`; another character stands for itself.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(c) = chars.next() else { break };
        let mut number = |radix: u32, most: usize, first: u32| {
            let mut value = first;
            for _ in 0..most {
                let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
                value = value * radix + digit;
                chars.next();
            }
            char::from_u32(value & 0xff).unwrap_or('?')
        };
        out.push(match c {
            'a' => '\x07',
            'b' => '\x08',
            'E' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => number(16, 2, 0),
            'c' => chars.next().map_or('?', |c| char::from_u32(u32::from(c) & 0x1f).unwrap_or('?')),
            c => match c.to_digit(8) {
                Some(first) => number(8, 2, first),
                None => c,
            },
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keepalived::tree::Statement;

    fn run(
        rest: &str,
        read: impl Fn(Known<'_>, &mut Findings) -> Option<Value>,
    ) -> (Option<Value>, Vec<Kind>) {
        let word = |text: &str| Word { text: text.to_owned(), place: Place::default() };
        let words = std::iter::once("notify").chain(rest.split_whitespace()).map(word).collect();
        let statement = Statement { words, rest: rest.to_owned(), body: None, comments: Vec::new() };
        let mut findings = Findings::new(10);
        (read(Known { name: "notify", statement: &statement }, &mut findings), findings.kinds())
    }

    fn list(words: &[&str]) -> Value {
        Value::List(words.iter().map(|word| Value::from(*word)).collect())
    }

    fn notify(rest: &str) -> (Option<Value>, Vec<Kind>) {
        run(rest, command)
    }

    fn probe(rest: &str) -> (Option<Value>, Vec<Kind>) {
        run(rest, |known, findings| script(known, None, findings))
    }

    #[test]
    fn a_command_in_quotes_is_several_words() {
        let both = Some(Value::from("/etc/notify.sh a b"));
        assert_eq!(notify("\"/etc/notify.sh a  b\""), (both.clone(), vec![]));
        assert_eq!(probe("/etc/notify.sh a b"), (both, vec![]), "the same without quotes");
        let want = Some(list(&["/etc/notify.sh", "g h", "i"]));
        assert_eq!(notify("\"/etc/notify.sh 'g h' i\""), (want, vec![]), "quotes within quotes");
        let want = Some(list(&["/bin/sh", "-c", "a | b"]));
        assert_eq!(
            probe("\"/bin/sh -c 'a | b'\""),
            (want, vec![]),
            "a shell that is named is no shell syntax"
        );
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(probe(r#"/bin/x a\ b \x41\102 \"c"#).0, Some(list(&["/bin/x", "a b", "AB", "\"c"])));
        assert_eq!(unescape(r"\t\E\cA\\\"), "\t\x1b\x01\\");
    }

    #[test]
    fn user_and_group_follow_a_notify_command() {
        let keys = |keys: &[(&'static str, &str)]| {
            Some(Value::Keys(keys.iter().map(|(key, value)| (*key, Value::from(*value))).collect()))
        };
        let want = keys(&[("run", "/etc/n.sh"), ("user", "nobody"), ("group", "adm")]);
        assert_eq!(notify("/etc/n.sh nobody adm"), (want, vec![]));
        let want = Some(Value::from("/etc/n.sh MASTER"));
        assert_eq!(notify("/etc/n.sh MASTER"), (want, vec![Kind::Corrected]), "there is no such user");
    }

    #[test]
    fn what_needs_a_shell_or_a_search_path_is_told() {
        let want = Some(Value::from("/usr/bin/env killall -0 sshd"));
        assert_eq!(probe("\"killall -0 sshd\""), (want, vec![Kind::Changed]));
        let want = Some(list(&["/bin/sh", "-c", "</dev/tcp/127.0.0.1/80"]));
        assert_eq!(probe("\"</dev/tcp/127.0.0.1/80\""), (want, vec![Kind::Changed]));
        let want = Some(list(&["/bin/ping", "h", ">", "/dev/null"]));
        assert_eq!(probe("\"/bin/ping h > /dev/null\""), (want, vec![Kind::Changed]));
        assert_eq!(probe("\"\""), (None, vec![Kind::Invalid]));
    }
}
