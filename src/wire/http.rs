//! The request of an HTTP probe, whole (RFC 9112 §3; HC-10). Whoever sends it, the loop or a worker, sends
//! these bytes.

/// HTTP version of a request (protocols §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum HttpVersion {
    /// `HTTP/1.0`.
    Http10,
    /// `HTTP/1.0` with `Connection: close`.
    Http10Close,
    /// `HTTP/1.1` with `Connection: close`; the default.
    #[default]
    Http11,
}

/// `User-Agent`, where the user gives none.
const AGENT: &str = concat!("vipd/", env!("CARGO_PKG_VERSION"));

/// Writes `GET path`, with `host` as `Host` header, and `headers` (name, value) after ours, or in the place
/// of those of the same name. What RFC 3986 §3.3 does not allow in a path is percent-encoded. `None`: it does
/// not fit, or a text would end its line early, and write headers of its own.
pub fn emit_request<'h>(
    version: HttpVersion,
    host: &str,
    path: &str,
    headers: impl Iterator<Item = (&'h str, &'h str)> + Clone,
    buf: &mut [u8],
) -> Option<usize> {
    let mut out = Out { buf, len: 0 };
    out.text("GET ")?;
    out.path(path)?;
    out.text(match version {
        HttpVersion::Http10 | HttpVersion::Http10Close => " HTTP/1.0\r\n",
        HttpVersion::Http11 => " HTTP/1.1\r\n",
    })?;
    let close = match version {
        HttpVersion::Http10 => None,
        HttpVersion::Http10Close | HttpVersion::Http11 => Some(("Connection", "close")),
    };
    let ours = [("Host", host), ("User-Agent", AGENT), ("Accept", "*/*")].into_iter().chain(close);
    for (name, value) in ours {
        // Two of a name would be one too many (RFC 9112 §3.2).
        if !headers.clone().any(|(theirs, _)| theirs.eq_ignore_ascii_case(name)) {
            out.header(name, value)?;
        }
    }
    for (name, value) in headers {
        out.header(name, value)?;
    }
    out.text("\r\n")?;
    Some(out.len)
}

/// Puts bytes at the end; `None` at the first that does not fit.
struct Out<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl Out<'_> {
    fn byte(&mut self, byte: u8) -> Option<()> {
        *self.buf.get_mut(self.len)? = byte;
        self.len += 1;
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        text.bytes().try_for_each(|byte| self.byte(byte))
    }

    fn header(&mut self, name: &str, value: &str) -> Option<()> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_plain = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
        if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_plain) {
            return None;
        }
        self.text(name)?;
        self.text(": ")?;
        self.text(value)?;
        self.text("\r\n")
    }

    fn path(&mut self, path: &str) -> Option<()> {
        if !path.starts_with('/') {
            self.byte(b'/')?;
        }
        for byte in path.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte) {
                self.byte(byte)?;
            } else {
                const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
                let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied();
                self.byte(b'%')?;
                self.byte(digit(byte >> 4)?)?;
                self.byte(digit(byte & 15)?)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: HttpVersion, host: &str, path: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut buf = [0; 512];
        let len = emit_request(version, host, path, headers.iter().copied(), &mut buf)?;
        Some(String::from_utf8(buf[..len].to_vec()).unwrap())
    }

    #[test]
    fn requests_of_each_version() {
        let agent = concat!("User-Agent: vipd/", env!("CARGO_PKG_VERSION"));
        let lines = |version| {
            let text = request(version, "10.0.0.1:80", "/", &[]).unwrap();
            text.split("\r\n").map(str::to_owned).collect::<Vec<_>>()
        };
        let close = "Connection: close";
        assert_eq!(
            lines(HttpVersion::Http11),
            ["GET / HTTP/1.1", "Host: 10.0.0.1:80", agent, "Accept: */*", close, "", ""],
            "HC-10: one Host header, and no connection kept alive"
        );
        assert_eq!(
            lines(HttpVersion::Http10Close),
            ["GET / HTTP/1.0", "Host: 10.0.0.1:80", agent, "Accept: */*", close, "", ""],
        );
        assert_eq!(
            lines(HttpVersion::Http10),
            ["GET / HTTP/1.0", "Host: 10.0.0.1:80", agent, "Accept: */*", "", ""],
            "§8.1: keepalived's 1.0 has no Connection header"
        );
    }

    #[test]
    fn own_headers_come_last_or_in_the_place_of_ours() {
        let own =
            [("X-Probe", "vipd"), ("user-agent", "KeepAliveClient"), ("HOST", "a"), ("connection", "b")];
        let text = request(HttpVersion::Http11, "h", "/", &own).unwrap();
        assert_eq!(
            text,
            "GET / HTTP/1.1\r\nAccept: */*\r\nX-Probe: vipd\r\nuser-agent: KeepAliveClient\r\nHOST: a\r\n\
             connection: b\r\n\r\n",
            "RFC 9112 §3.2: two Host fields are an error"
        );
    }

    #[test]
    fn a_path_is_encoded() {
        let text = request(HttpVersion::Http11, "h", "a b?c=ü%20", &[]).unwrap();
        assert!(text.starts_with("GET /a%20b?c=%C3%BC%20 HTTP/1.1\r\n"), "RFC 3986 §3.3: {text}");
    }

    #[test]
    fn no_text_writes_a_header_of_its_own() {
        let bad = |host, headers: &[_]| request(HttpVersion::Http11, host, "/", headers);
        assert_eq!(bad("h\r\nX: y", &[]), None);
        assert_eq!(bad("h", &[("X", "a\nY: b")]), None);
        assert_eq!(bad("h", &[("X: y", "a")]), None);
        assert_eq!(bad("h", &[("", "a")]), None);
        let line = request(HttpVersion::Http11, "h", "/\r\nX:", &[]).unwrap();
        assert!(line.starts_with("GET /%0D%0AX: HTTP/1.1\r\n"), "{line}");
    }

    #[test]
    fn what_does_not_fit_is_no_request() {
        let whole = request(HttpVersion::Http11, "h", "/", &[]).unwrap();
        let mut buf = [0; 512];
        for len in 0..whole.len() {
            let none = core::iter::empty();
            assert_eq!(
                emit_request(HttpVersion::Http11, "h", "/", none, &mut buf[..len]),
                None,
                "cut at {len}"
            );
        }
    }
}
