//! Commands: a program and its arguments, without a shell.

use super::reader::{Table, Value};
use super::report::{At, Problem, Report};
use super::suggest::shown;
use super::values;
use crate::limits;
use crate::model::Command;
use crate::time::Duration;
use core::ops::RangeInclusive;
use toml::de::DeValue;

/// What a shell would do something about; we would hand it over as it is.
const SHELL: [char; 11] = ['|', '>', '<', ';', '&', '`', '$', '(', ')', '*', '\n'];

/// As whom a command runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Owner {
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
}

/// How long a command may take, and as whom it runs where it does not say.
#[derive(Clone, Copy)]
pub(super) struct Terms<'o> {
    pub(super) owner: &'o Owner,
    pub(super) timeout: Duration,
    pub(super) range: (Duration, Duration),
    /// It runs as long as the daemon.
    pub(super) endless: bool,
}

impl<'o> Terms<'o> {
    /// Half a minute unless the command says otherwise, an hour at most.
    pub(super) fn of(owner: &'o Owner) -> Self {
        let secs = Duration::from_secs;
        Terms { owner, timeout: secs(30), range: (Duration::from_millis(100), secs(3600)), endless: false }
    }

    /// No timeout at all.
    pub(super) fn endless(self) -> Self {
        Terms { timeout: Duration::MAX, endless: true, ..self }
    }

    /// Another timeout where the command says none, and the longest one.
    pub(super) fn with(self, timeout: Duration, longest: Duration) -> Self {
        Terms { timeout, range: (self.range.0, longest), ..self }
    }

    fn range(&self) -> RangeInclusive<Duration> {
        self.range.0..=self.range.1
    }
}

/// A command, where it is given: `"/path argument"`, `["/path", "argument"]` or `{ run, user, group,
/// timeout }`.
pub(super) fn optional(
    table: &mut Table<'_>,
    key: &'static str,
    terms: Terms<'_>,
    report: &mut Report<'_>,
) -> Option<Command> {
    command(table.get(key)?, terms, report)
}

/// As [`optional`], for a value at hand.
pub(super) fn command(value: Value<'_>, terms: Terms<'_>, report: &mut Report<'_>) -> Option<Command> {
    let DeValue::Table(_) = value.value else {
        let argv = argv(value, report)?;
        let Owner { user, group } = terms.owner.clone();
        return Some(Command { argv, user, group, timeout: terms.timeout });
    };
    let mut table = value.table("a command", report)?;
    let run = table.get("run");
    table.require("run", "run = [\"/etc/vipd/notify\"]");
    let argv = run.and_then(|run| self::argv(run, report));
    let owner = owner(&mut table, terms.owner, report);
    let timeout = if terms.endless {
        let what = "`timeout` has no meaning here: this command runs as long as vipd";
        table.refuse("timeout", what, "Leave it out.", report);
        None
    } else {
        table.duration("timeout", terms.range(), report)
    };
    table.finish(report);
    let timeout = timeout.map_or(terms.timeout, |timeout| timeout.value);
    Some(Command { argv: argv?, user: owner.user, group: owner.group, timeout })
}

/// `user` and `group`; a user without a group goes with its own one, not with that of `default`.
pub(super) fn owner(table: &mut Table<'_>, default: &Owner, report: &mut Report<'_>) -> Owner {
    let user = table.parsed("user", account, report).map(|user| user.value);
    let group = table.parsed("group", account, report).map(|group| group.value);
    match (user, group) {
        (None, None) => default.clone(),
        (user, group) => Owner { user, group },
    }
}

/// `"user"` or `"user:group"`.
pub(super) fn owner_text(text: &str) -> Result<Owner, Problem> {
    let (user, group) = match text.split_once([':', ' ']) {
        Some((user, group)) => (user, Some(account(group)?)),
        None => (text, None),
    };
    Ok(Owner { user: Some(account(user)?), group })
}

/// The name of a user or a group; whether there is one is only known where the command runs.
fn account(text: &str) -> Result<String, Problem> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | ',');
    if text.parse() == Ok(u32::MAX) {
        let what = format!("\"{text}\" is no user or group: to the kernel it means \"leave as it is\"");
        return Err(Problem::new(what, ""));
    }
    if text.is_empty() || text.len() > limits::ACCOUNT_MAX || text.contains(bad) {
        let what = format!("\"{}\" is not the name of a user or group", shown(text));
        let hint = match text.split_once(':') {
            Some((user, group)) if account(user).is_ok() && account(group).is_ok() => {
                format!("Did you mean user = \"{user}\", group = \"{group}\"?")
            }
            _ => String::new(),
        };
        return Err(Problem::new(what, hint));
    }
    Ok(text.to_owned())
}

fn argv(value: Value<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    if let DeValue::String(_) = value.value {
        let read = value.parsed(|text| words(text).and_then(checked), report)?;
        return Some(read.value);
    }
    let DeValue::Array(_) = value.value else {
        value.wrong("a command", "Write \"/path argument\" or [\"/path\", \"argument\"].".to_owned(), report);
        return None;
    };
    let items = value.list(report)?;
    let count = items.len();
    let words: Vec<At<&str>> = items.into_iter().filter_map(|item| item.text(report)).collect();
    if words.len() < count {
        return None;
    }
    match checked(words.iter().map(|word| word.value.to_owned()).collect()) {
        Ok(argv) => Some(argv),
        Err(problem) => {
            let at = words.first().map_or(value.at, |word| word.at);
            let what = format!("`{}`: {}", value.key, problem.what);
            report.error(at, what, problem.hint);
            None
        }
    }
}

/// What the kernel will take: an absolute path, and not too much of it all.
fn checked(argv: Vec<String>) -> Result<Vec<String>, Problem> {
    let Some(program) = argv.first() else { return Err(Problem::new("the command is empty", "")) };
    if argv.iter().any(|word| word.contains('\0')) {
        return Err(Problem::new("the command holds a NUL byte", ""));
    }
    if argv.len() > limits::COMMAND_WORDS_MAX {
        let what = format!("{} words, a command has at most {}", argv.len(), limits::COMMAND_WORDS_MAX);
        return Err(Problem::new(what, "Put them into a script file."));
    }
    let bytes: usize = argv.iter().map(String::len).sum();
    if bytes > limits::COMMAND_BYTES_MAX {
        let what = format!("{bytes} bytes, a command has at most {}", limits::COMMAND_BYTES_MAX);
        return Err(Problem::new(what, "Put them into a script file."));
    }
    absolute(program)?;
    Ok(argv)
}

/// A path from the root that names a file.
pub(super) fn absolute(path: &str) -> Result<(), Problem> {
    let what = |why: &str| format!("\"{}\" {why}", shown(path));
    if path.is_empty() {
        return Err(Problem::new("the path is empty", ""));
    }
    if path.len() > limits::PATH_MAX {
        let why = format!("is longer than {} bytes", limits::PATH_MAX);
        return Err(Problem::new(what(&why), ""));
    }
    if !path.starts_with('/') {
        let hint = match path.split_once('=') {
            Some((name, _)) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                "Variables are set in a script file."
            }
            _ => "Give the whole path, from / on: no search path is used.",
        };
        return Err(Problem::new(what("is not an absolute path"), hint));
    }
    if path.ends_with('/') {
        return Err(Problem::new(what("is a directory"), "Give the path of a file."));
    }
    if path.contains(char::is_control) {
        return Err(Problem::new(what("holds a control character"), ""));
    }
    Ok(())
}

/// A path for [`Table::parsed`].
pub(super) fn path(text: &str) -> Result<String, Problem> {
    absolute(text).map(|()| text.to_owned())
}

/// Splits at white space; quotes and a backslash keep what they cover. What only a shell understands is
/// refused.
fn words(text: &str) -> Result<Vec<String>, Problem> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(Problem::new("the command ends with a backslash", "Leave it out.")),
            },
            (Some('"'), '$' | '`') => return Err(shell(c)),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if SHELL.contains(&c) => return Err(shell(c)),
            (None, c) if c.is_whitespace() => out.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(Problem::new(format!("the quote {open} is not closed"), ""));
    }
    out.extend(word);
    Ok(out)
}

fn shell(c: char) -> Problem {
    let c = if c == '\n' { "a line end".to_owned() } else { format!("`{c}`") };
    Problem::new(
        format!("{c} is for a shell, and none is used"),
        "Put the command line into a script file, or write the words as a list to have them as they are.",
    )
}

/// Is the name fit for `/etc/init.d/NAME`?
pub(super) fn init_script(name: &str) -> Result<String, Problem> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(good) {
        let what = format!("\"{}\" is not the name of a script in /etc/init.d", shown(name));
        let hint = "Give { name = ..., start = \"/path ...\", stop = \"/path ...\" }.";
        return Err(Problem::new(what, hint));
    }
    values::name(name)?;
    Ok(format!("/etc/init.d/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_without_a_shell() {
        for (text, wanted) in [
            ("/bin/a", vec!["/bin/a"]),
            ("  /bin/a  b\tc ", vec!["/bin/a", "b", "c"]),
            ("/bin/a 'b c' \"d e\"", vec!["/bin/a", "b c", "d e"]),
            ("/bin/a 'x'\"y\"z", vec!["/bin/a", "xyz"]),
            ("/bin/a '' \"\"", vec!["/bin/a", "", ""]),
            ("/bin/a b\\ c \"d\\\"e\"", vec!["/bin/a", "b c", "d\"e"]),
            ("/bin/a '$x | > *'", vec!["/bin/a", "$x | > *"]),
            ("", vec![]),
        ] {
            assert_eq!(words(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_does_is_refused() {
        for text in
            ["/a | /b", "/a > /b", "/a < /b", "/a; /b", "/a && /b", "/a $(b)", "/a `b`", "/a \"$b\"", "/a *"]
        {
            let problem = words(text).unwrap_err();
            assert!(
                problem.hint.contains("script file"),
                "{text} would be run as something else: {problem:?}"
            );
        }
        for text in ["/a 'b", "/a \"b", "/a \\"] {
            assert!(words(text).is_err(), "{text}");
        }
    }

    #[test]
    fn programs_have_absolute_paths() {
        for text in ["arping", "./a", "", "/usr/bin/", "A=b", "/a\u{7}"] {
            assert!(checked(vec![text.to_owned()]).is_err(), "{text:?} is found by luck or not at all");
        }
        assert!(checked(vec!["/a".to_owned(), "x\0".to_owned()]).is_err(), "cut at the NUL by execve");
        assert!(checked(vec!["/a".to_owned(); limits::COMMAND_WORDS_MAX]).is_ok());
        assert!(checked(vec!["/a".to_owned(); limits::COMMAND_WORDS_MAX + 1]).is_err());
        assert!(checked(vec!["/a".to_owned(), "x".repeat(limits::COMMAND_BYTES_MAX)]).is_err());
    }

    #[test]
    fn a_user_of_its_own_does_not_get_the_group_of_another() {
        let owner = owner_text("nobody:nogroup").unwrap();
        assert_eq!((owner.user.as_deref(), owner.group.as_deref()), (Some("nobody"), Some("nogroup")));
        assert!(owner_text("a:b:c").is_err() && owner_text(":b").is_err() && owner_text("a:").is_err());
    }

    #[test]
    fn the_number_that_changes_nothing_is_nobody() {
        for text in ["4294967295", "+4294967295", "nobody:4294967295"] {
            assert!(owner_text(text).is_err(), "HC-46: {text} would run as root");
        }
        assert!(owner_text("4294967294:4294967294").is_ok());
    }
}
