//! As much of Rust's lexical grammar as the house rules need: words, punctuation, paths, test regions.
//!
//! Comments and the insides of strings are left out, so a rule never fires on prose.

/// A word or a punctuation character of the code, with its line (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub line: usize,
    pub text: String,
}

/// A path as written, `use` groups expanded: `use std::{fs, io::Read}` gives `std::fs` and `std::io::Read`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub line: usize,
    pub parts: Vec<String>,
    /// Index of its first token.
    pub at: usize,
}

/// Code without comments and string contents; a string becomes the token `""`, a character `''`.
pub fn tokens(source: &str) -> Vec<Token> {
    let c: Vec<char> = source.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < c.len() {
        let start = i;
        let first_line = line;
        let text = match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < c.len() && at(i) != '\n' {
                    i += 1;
                }
                None
            }
            '/' if at(i + 1) == '*' => {
                i = block_comment_end(&c, i);
                None
            }
            '"' => {
                i = string_end(&c, i);
                Some("\"\"".to_string())
            }
            'r' | 'b' | 'c' if prefixed_string(&c, i).is_some() => {
                i = prefixed_string(&c, i).unwrap();
                Some("\"\"".to_string())
            }
            '\'' if at(i + 1) == '\\' || (at(i + 2) == '\'' && at(i + 1) != '\'') => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < c.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                Some("''".to_string())
            }
            w if w.is_alphanumeric() || w == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                Some(c[start..i].iter().collect())
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                Some("::".to_string())
            }
            w => {
                i += 1;
                (!w.is_whitespace()).then(|| w.to_string())
            }
        };
        line += c[start..i.min(c.len())].iter().filter(|w| **w == '\n').count();
        if let Some(text) = text {
            out.push(Token { line: first_line, text });
        }
    }
    out
}

fn block_comment_end(c: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < c.len() {
        match (c[i], c.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn string_end(c: &[char], mut i: usize) -> usize {
    i += 1;
    while i < c.len() && c[i] != '"' {
        i += if c[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// End of `b"..."`, `r"..."`, `r#"..."#`, `br##"..."##`, `c"..."` that begins at `i`; `None` where none does.
fn prefixed_string(c: &[char], i: usize) -> Option<usize> {
    let mut k = i;
    let mut raw = false;
    while let Some(w @ ('r' | 'b' | 'c')) = c.get(k) {
        raw |= *w == 'r';
        k += 1;
    }
    let hashes = c[k..].iter().take_while(|w| **w == '#').count();
    if k - i > 2 || (hashes > 0 && !raw) || c.get(k + hashes) != Some(&'"') {
        return None;
    }
    if !raw {
        return Some(string_end(c, k));
    }
    let mut e = k + hashes + 1;
    while e < c.len() {
        if c[e] == '"' && c[e + 1..].iter().take_while(|w| **w == '#').count() >= hashes {
            return Some(e + 1 + hashes);
        }
        e += 1;
    }
    Some(e)
}

/// Every path of the code, also those of one part only.
pub fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if is_word(&tokens[i].text) && (i == 0 || tokens[i - 1].text != "::") {
            i = path(tokens, i, &[], &mut out);
        } else {
            i += 1;
        }
    }
    out
}

fn path(tokens: &[Token], start: usize, prefix: &[String], out: &mut Vec<Path>) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut parts = prefix.to_vec();
    let mut i = start;
    loop {
        if is_word(text(i)) || text(i) == "*" {
            parts.push(text(i).to_string());
            i += 1;
        }
        if text(i) != "::" {
            break;
        }
        match text(i + 1) {
            "{" => {
                i += 2;
                while i < tokens.len() && text(i) != "}" {
                    if is_word(text(i)) || text(i) == "*" {
                        i = path(tokens, i, &parts, out);
                        if text(i) == "as" {
                            i += 2;
                        }
                    } else {
                        i += 1;
                    }
                }
                return i + 1;
            }
            next if is_word(next) || next == "*" => i += 1,
            _ => {
                i += 1;
                break;
            }
        }
    }
    out.push(Path { line: tokens.get(start).map_or(0, |t| t.line), parts, at: start });
    i.max(start + 1)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// For each token: is it inside an item under `#[cfg(test)]` (or any `cfg(all(test, ..))`)?
pub fn test_regions(tokens: &[Token]) -> Vec<bool> {
    let mut inside = vec![false; tokens.len()];
    let mut i = 0;
    while i < tokens.len() {
        match cfg_test_end(tokens, i) {
            Some(after) => {
                let end = item_end(tokens, after);
                inside[i..end].fill(true);
                i = end;
            }
            None => i += 1,
        }
    }
    inside
}

/// Modules declared in another file under `#[cfg(test)]`: `#[cfg(test)] mod tests;` gives `tests`.
pub fn test_modules(tokens: &[Token]) -> Vec<String> {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    (0..tokens.len())
        .filter_map(|i| cfg_test_end(tokens, i))
        .filter(|&i| text(i) == "mod" && text(i + 2) == ";")
        .map(|i| text(i + 1).to_string())
        .collect()
}

/// For each token: how many inline modules (`mod x { .. }`) is it inside of?
pub fn module_depth(tokens: &[Token]) -> Vec<usize> {
    let mut depth = vec![0; tokens.len()];
    for i in 0..tokens.len() {
        if tokens[i].text == "mod" && tokens.get(i + 2).is_some_and(|t| t.text == "{") {
            for d in &mut depth[i + 2..item_end(tokens, i)] {
                *d += 1;
            }
        }
    }
    depth
}

/// Just behind the attribute, where `#[cfg(.. test ..)]` begins at `i` and does not say `not`.
fn cfg_test_end(tokens: &[Token], i: usize) -> Option<usize> {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    if text(i) != "#" || text(i + 1) != "[" || text(i + 2) != "cfg" {
        return None;
    }
    let close = (i..tokens.len()).find(|&k| text(k) == "]")?;
    let words: Vec<&str> = (i..close).map(text).collect();
    (words.contains(&"test") && !words.contains(&"not")).then_some(close + 1)
}

/// Just behind the item that begins at `i`: its `;`, or the brace that closes its first one.
fn item_end(tokens: &[Token], i: usize) -> usize {
    let mut depth = 0usize;
    for (k, token) in tokens.iter().enumerate().skip(i) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return k + 1;
                }
            }
            ";" if depth == 0 => return k + 1,
            _ => {}
        }
    }
    tokens.len()
}
