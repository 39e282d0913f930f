//! Every keyword of keepalived (2.4.3), in which context it stands, and what becomes of it.

mod check;
mod global;
#[cfg(test)]
mod tests;
mod vrrp;

/// Blocks in which keywords stand. A keyword lists those that know it, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context(pub(crate) u32);

impl Context {
    pub(crate) const ROOT: Context = Context(1);
    pub(crate) const GLOBAL: Context = Context(1 << 1);
    pub(crate) const INSTANCE: Context = Context(1 << 2);
    pub(crate) const GROUP: Context = Context(1 << 3);
    pub(crate) const SCRIPT: Context = Context(1 << 4);
    pub(crate) const PROCESS: Context = Context(1 << 5);
    pub(crate) const FILE: Context = Context(1 << 6);
    pub(crate) const AUTHENTICATION: Context = Context(1 << 7);
    pub(crate) const AUTH_HMAC: Context = Context(1 << 8);
    pub(crate) const GARP_GROUP: Context = Context(1 << 9);
    pub(crate) const TRACK_GROUP: Context = Context(1 << 10);
    pub(crate) const BFD: Context = Context(1 << 11);
    pub(crate) const VIRTUAL_SERVER: Context = Context(1 << 12);
    pub(crate) const REAL_SERVER: Context = Context(1 << 13);
    pub(crate) const TCP_CHECK: Context = Context(1 << 14);
    /// `HTTP_GET` and `SSL_GET`.
    pub(crate) const HTTP_GET: Context = Context(1 << 15);
    pub(crate) const URL: Context = Context(1 << 16);
    pub(crate) const SMTP_CHECK: Context = Context(1 << 17);
    pub(crate) const SMTP_HOST: Context = Context(1 << 18);
    pub(crate) const DNS_CHECK: Context = Context(1 << 19);
    pub(crate) const MISC_CHECK: Context = Context(1 << 20);
    pub(crate) const UDP_CHECK: Context = Context(1 << 21);
    pub(crate) const PING_CHECK: Context = Context(1 << 22);
    pub(crate) const FILE_CHECK: Context = Context(1 << 23);
    pub(crate) const BFD_CHECK: Context = Context(1 << 24);
    pub(crate) const SSL: Context = Context(1 << 25);

    /// This one or that.
    pub(crate) const fn or(self, other: Context) -> Context {
        Context(self.0 | other.0)
    }

    const fn contains(self, other: Context) -> bool {
        self.0 & other.0 != 0
    }
}

/// What stands after a keyword's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// Braces.
    Block,
    /// Braces or nothing.
    Maybe,
}

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// `map` makes a row of it.
    Mapped,
    /// An old name of this one.
    Alias(&'static str),
    /// Of no use here, and nothing is lost; why, as a sentence.
    Ignored(&'static str),
    /// Its lack changes behaviour; why, and what to do instead, as a sentence.
    Unsupported(&'static str),
}

/// A keyword of keepalived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keyword {
    /// As it is written.
    pub(crate) name: &'static str,
    /// Where it stands.
    pub(crate) contexts: Context,
    /// Least and most arguments; `u8::MAX`: any number.
    pub(crate) arguments: (u8, u8),
    /// What follows them.
    pub(crate) body: Body,
    /// What becomes of it.
    pub(crate) status: Status,
}

impl Keyword {
    /// A mapped keyword without a block.
    const fn line(name: &'static str, contexts: Context, least: u8, most: u8) -> Keyword {
        Keyword { name, contexts, arguments: (least, most), body: Body::None, status: Status::Mapped }
    }

    /// A mapped keyword with a block.
    const fn block(name: &'static str, contexts: Context, least: u8, most: u8) -> Keyword {
        Keyword { name, contexts, arguments: (least, most), body: Body::Block, status: Status::Mapped }
    }

    /// One of another status, whatever follows it.
    const fn other(name: &'static str, contexts: Context, status: Status) -> Keyword {
        Keyword { name, contexts, arguments: (0, u8::MAX), body: Body::Maybe, status }
    }
}

/// All keywords of all contexts.
pub(crate) fn everywhere() -> impl Iterator<Item = &'static Keyword> {
    [global::KEYWORDS, vrrp::KEYWORDS, check::KEYWORDS].into_iter().flatten()
}

/// All keywords of a context.
pub(crate) fn all(context: Context) -> impl Iterator<Item = &'static Keyword> {
    everywhere().filter(move |keyword| keyword.contexts.contains(context))
}

/// A keyword of a context; names are exact and case-sensitive.
pub(crate) fn find(context: Context, name: &str) -> Option<&'static Keyword> {
    all(context).find(|keyword| keyword.name == name)
}

/// Is it a keyword of any context?
pub(crate) fn is_any(name: &str) -> bool {
    everywhere().any(|keyword| keyword.name == name)
}

/// Does it take as many words as there are?
pub(crate) fn takes_any_number(name: &str) -> bool {
    let is = |keyword: &Keyword| keyword.name == name && keyword.status == Status::Mapped;
    everywhere().any(|keyword| is(keyword) && keyword.arguments.1 == u8::MAX)
}

/// Is it a keyword of a context that does not know the other word?
pub(crate) fn is_where_other_is_not(name: &str, other: &str) -> bool {
    let contexts = |name: &str| {
        let same = everywhere().filter(|keyword| keyword.name == name);
        same.fold(0, |contexts, keyword| contexts | keyword.contexts.0)
    };
    contexts(name) & !contexts(other) != 0
}

/// Is it a keyword of the outermost level?
pub(crate) fn is_root(name: &str) -> bool {
    find(Context::ROOT, name).is_some()
}

/// Is it a block of the outermost level that can stand nowhere else?
pub(crate) fn is_root_only(name: &str) -> bool {
    let mut places = everywhere().filter(|keyword| keyword.name == name).peekable();
    places.peek().is_some()
        && places.all(|keyword| keyword.contexts == Context::ROOT && keyword.body != Body::None)
}

/// Is it a keyword that has a block wherever it stands?
pub(crate) fn is_always_block(name: &str) -> bool {
    let mut places = everywhere().filter(|keyword| keyword.name == name).peekable();
    places.peek().is_some() && places.all(|keyword| keyword.body == Body::Block)
}
