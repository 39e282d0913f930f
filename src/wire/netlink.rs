//! Netlink messages and attributes (`linux/netlink.h`; RTNL-4).
//!
//! Everything is in the CPU's own byte order, except where a format says big endian. Bytes are copied, never
//! cast: the kernel aligns to 4 only, also numbers of 8 bytes (SOCK-31). The numbers here are the same on
//! every CPU; those that are not (errno, socket options) stay in `sys`.

use core::fmt;

/// `struct nlmsghdr`: length u32, type u16, flags u16, sequence u32, port u32.
pub const HEADER_LEN: usize = 16;
/// `nla_len` u16, `nla_type` u16.
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// The two top bits of an attribute's type are flags (nested, network byte order).
const NLA_TYPE_MASK: u16 = 0x3fff;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// `struct nlmsgerr`: the error and the header of the request.
const NLMSGERR_LEN: usize = 4 + HEADER_LEN;

/// A request.
pub const NLM_F_REQUEST: u16 = 0x1;
/// A part of a dump.
pub const NLM_F_MULTI: u16 = 0x2;
/// Wants an acknowledgement.
pub const NLM_F_ACK: u16 = 0x4;
/// The table has changed while it was dumped (RTNL-51).
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// All entries.
pub const NLM_F_DUMP: u16 = 0x300;
/// Replace what is there.
pub const NLM_F_REPLACE: u16 = 0x100;
/// Refuse where it is there already.
pub const NLM_F_EXCL: u16 = 0x200;
/// Make it where it is not there.
pub const NLM_F_CREATE: u16 = 0x400;
/// In an NLMSG_ERROR: the request's payload is left out.
const NLM_F_CAPPED: u16 = 0x100;
/// In an NLMSG_ERROR: attributes follow (NETLINK_EXT_ACK).
const NLM_F_ACK_TLVS: u16 = 0x200;

/// Address family IPv4, as netlink bodies have it (`linux/socket.h`, the same on every CPU).
pub const AF_INET: u8 = 2;
/// Address family IPv6.
pub const AF_INET6: u8 = 10;

/// What is wrong with a message. The rest of its datagram is not to be trusted after a bad message length;
/// every other fault concerns one message alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A message is shorter than its header, or longer than its datagram (B-75).
    MessageLength,
    /// An attribute is shorter than its header, or longer than what holds it (B-76, B-77).
    AttributeLength,
    /// A body or a value is too short.
    Short(&'static str),
    /// Something that must be there is not (B-78, B-96).
    Missing(&'static str),
    /// A value that cannot be.
    Value(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::MessageLength => f.write_str("impossible message length"),
            Malformed::AttributeLength => f.write_str("impossible attribute length"),
            Malformed::Short(what) => write!(f, "{what} too short"),
            Malformed::Missing(what) => write!(f, "no {what}"),
            Malformed::Value(what) => write!(f, "impossible {what}"),
        }
    }
}

/// One message of a datagram.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// Sequence number: that of the request in a reply.
    pub seq: u32,
    /// Port id: that of the asker in a reply.
    pub port: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// What a message is for the netlink protocol itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A message of the family.
    Data,
    /// To be skipped (NLMSG_NOOP).
    Noop,
    /// Messages were lost (NLMSG_OVERRUN).
    Overrun,
    /// The end of a request that is no dump, or of a dump that did not begin.
    Reply {
        /// 0 = done as asked.
        errno: i32,
        /// The kernel's words for it (RTNL-6).
        text: Option<&'a str>,
    },
    /// The end of a dump.
    Done {
        /// 0 = complete.
        errno: i32,
    },
}

impl<'a> Message<'a> {
    /// Tells replies from data.
    ///
    /// # Errors
    /// An NLMSG_ERROR below 20 bytes (B-83). An NLMSG_DONE without a payload is a complete one (B-84).
    pub fn content(&self) -> Result<Content<'a>, Malformed> {
        Ok(match self.kind {
            NLMSG_NOOP => Content::Noop,
            NLMSG_OVERRUN => Content::Overrun,
            NLMSG_DONE => Content::Done { errno: errno(self.payload).unwrap_or(0) },
            NLMSG_ERROR if self.payload.len() < NLMSGERR_LEN => return Err(Malformed::Short("NLMSG_ERROR")),
            NLMSG_ERROR => Content::Reply {
                errno: errno(self.payload).ok_or(Malformed::Short("NLMSG_ERROR"))?,
                text: self.error_text(),
            },
            _ => Content::Data,
        })
    }

    fn error_text(&self) -> Option<&'a str> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let request = if self.flags & NLM_F_CAPPED != 0 {
            HEADER_LEN
        } else {
            align(u32_at(self.payload, 4)?.try_into().ok()?)?
        };
        Attributes::new(self.payload.get(request.checked_add(4)?..)?)
            .map_while(Result::ok)
            .find(|a| a.kind == NLMSGERR_ATTR_MSG)
            .and_then(|a| core::str::from_utf8(a.text()).ok())
    }
}

/// The kernel sends errors as negative numbers.
fn errno(payload: &[u8]) -> Option<i32> {
    u32_at(payload, 0).map(|raw| raw.cast_signed().saturating_abs())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|raw| u32::from_ne_bytes(*raw))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|raw| u16::from_ne_bytes(*raw))
}

const fn align(len: usize) -> Option<usize> {
    match len.checked_add(3) {
        Some(len) => Some(len & !3),
        None => None,
    }
}

/// The messages of a datagram. Ends after the first error: what follows a bad length means nothing.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Of a whole datagram.
    pub const fn new(datagram: &'a [u8]) -> Self {
        Messages { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = core::mem::take(&mut self.rest);
        let Some(len) = u32_at(bytes, 0).and_then(|len| usize::try_from(len).ok()) else {
            return Some(Err(Malformed::MessageLength));
        };
        let (Some(payload), Some(kind), Some(flags), Some(seq), Some(port)) = (
            bytes.get(HEADER_LEN..len),
            u16_at(bytes, 4),
            u16_at(bytes, 6),
            u32_at(bytes, 8),
            u32_at(bytes, 12),
        ) else {
            return Some(Err(Malformed::MessageLength));
        };
        self.rest = align(len).and_then(|next| bytes.get(next..)).unwrap_or(&[]);
        Some(Ok(Message { kind, flags, seq, port, payload }))
    }
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// Type, without its flags.
    pub kind: u16,
    /// Value, without padding.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The first `N` bytes; a longer value is tolerated (RTNL-4).
    ///
    /// # Errors
    /// Too short.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.value.first_chunk().copied().ok_or(Malformed::Short("attribute"))
    }

    /// One byte.
    ///
    /// # Errors
    /// Too short.
    pub fn u8(&self) -> Result<u8, Malformed> {
        self.bytes().map(u8::from_ne_bytes)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// Too short.
    pub fn u16(&self) -> Result<u16, Malformed> {
        self.bytes().map(u16::from_ne_bytes)
    }

    /// Two bytes in network byte order.
    ///
    /// # Errors
    /// Too short.
    pub fn be16(&self) -> Result<u16, Malformed> {
        self.bytes().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// Too short.
    pub fn u32(&self) -> Result<u32, Malformed> {
        self.bytes().map(u32::from_ne_bytes)
    }

    /// Up to the first NUL, or all of it where there is none (B-79).
    pub fn text(&self) -> &'a [u8] {
        self.value.split(|b| *b == 0).next().unwrap_or(&[])
    }

    /// The attributes inside.
    pub const fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}

/// A row of attributes. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Of what follows the family's own header, or of a nesting attribute's value.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Attributes { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = core::mem::take(&mut self.rest);
        let (Some(len), Some(kind)) = (u16_at(bytes, 0).map(usize::from), u16_at(bytes, 2)) else {
            return Some(Err(Malformed::AttributeLength));
        };
        let Some(value) = bytes.get(ATTRIBUTE_HEADER_LEN..len) else {
            return Some(Err(Malformed::AttributeLength));
        };
        self.rest = align(len).and_then(|next| bytes.get(next..)).unwrap_or(&[]);
        Some(Ok(Attribute { kind: kind & NLA_TYPE_MASK, value }))
    }
}

/// The buffer has no room for one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

/// Messages for one `send`, in the caller's buffer, which bounds them.
#[derive(Debug)]
pub struct Batch<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Batch { buffer, len: 0 }
    }

    /// What is to be sent.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// Adds one message: header, then what `fill` writes. Port 0, as the kernel wants it from a client.
    ///
    /// # Errors
    /// No room: nothing is added.
    pub fn message(
        &mut self,
        kind: u16,
        flags: u16,
        seq: u32,
        fill: impl FnOnce(&mut Body<'_>),
    ) -> Result<(), NoRoom> {
        let free = self.buffer.get_mut(self.len..).ok_or(NoRoom)?;
        let mut body = Body { buffer: free, len: 0, full: false };
        body.bytes(&[0; HEADER_LEN]);
        fill(&mut body);
        let len = body.len;
        if body.full {
            return Err(NoRoom);
        }
        let length = u32::try_from(len).map_err(|_| NoRoom)?;
        body.put(0, &length.to_ne_bytes());
        body.put(4, &kind.to_ne_bytes());
        body.put(6, &flags.to_ne_bytes());
        body.put(8, &seq.to_ne_bytes());
        self.len += len;
        Ok(())
    }
}

/// The part of a message after its header. What does not fit makes the whole message fail ([`NoRoom`]), so
/// the writers return nothing.
#[derive(Debug)]
pub struct Body<'a> {
    buffer: &'a mut [u8],
    len: usize,
    full: bool,
}

impl Body<'_> {
    /// Bytes as they are, padded to 4 with zeros.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = align(bytes.len()).and_then(|len| len.checked_add(self.len));
        match end.and_then(|end| Some((end, self.buffer.get_mut(self.len..end)?))) {
            Some((end, to)) => {
                to.fill(0);
                if let Some(to) = to.get_mut(..bytes.len()) {
                    to.copy_from_slice(bytes);
                }
                self.len = end;
            }
            None => self.full = true,
        }
    }

    /// An attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let start = self.len;
        self.bytes(&[0; ATTRIBUTE_HEADER_LEN]);
        self.bytes(value);
        self.attribute_header(start, kind, ATTRIBUTE_HEADER_LEN.saturating_add(value.len()));
    }

    /// An attribute of two bytes.
    pub fn attribute_u16(&mut self, kind: u16, value: u16) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// An attribute of four bytes.
    pub fn attribute_u32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// An attribute that holds attributes. NLA_F_NESTED is not set: the kernels of interest take both
    /// (IPVS-4).
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.len;
        self.bytes(&[0; ATTRIBUTE_HEADER_LEN]);
        fill(self);
        self.attribute_header(start, kind, self.len.saturating_sub(start));
    }

    fn attribute_header(&mut self, start: usize, kind: u16, len: usize) {
        match u16::try_from(len) {
            Ok(len) if !self.full => {
                self.put(start, &len.to_ne_bytes());
                self.put(start.saturating_add(2), &kind.to_ne_bytes());
            }
            Ok(_) | Err(_) => self.full = true,
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.buffer.get_mut(at..).and_then(|to| to.get_mut(..bytes.len())) {
            to.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
