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
mod tests {
    use super::*;

    fn message(len: u32, kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(len.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(9u32.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }

    fn attribute(len: u16, kind: u16, value: &[u8]) -> Vec<u8> {
        [&len.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
    }

    fn content(kind: u16, flags: u16, payload: &[u8]) -> Result<(i32, Option<String>), Malformed> {
        let bytes = message(16 + payload.len() as u32, kind, flags, payload);
        match Messages::new(&bytes).next().unwrap().unwrap().content()? {
            Content::Reply { errno, text } => Ok((errno, text.map(str::to_string))),
            Content::Done { errno } => Ok((errno, None)),
            other => panic!("neither a reply nor an end: {other:?}"),
        }
    }

    #[test]
    fn b75_bad_message_length_ends_the_datagram() {
        for len in [0, 15, 21, u32::MAX, u32::MAX - 2] {
            let mut bytes = message(len, 0x10, 0, &[0; 4]);
            bytes.truncate(20);
            let all: Vec<_> = Messages::new(&bytes).collect();
            assert_eq!(all.len(), 1, "length {len}: the walk must end");
            assert_eq!(all[0].as_ref().unwrap_err(), &Malformed::MessageLength, "length {len}");
        }
        let short = &message(16, 0x10, 0, &[])[..15];
        assert!(Messages::new(short).next().unwrap().is_err(), "a datagram of 15 bytes holds no message");
    }

    #[test]
    fn messages_are_walked_by_four_and_the_last_may_be_unpadded() {
        let bytes = [message(17, 0x10, 0, &[1, 0, 0, 0]), message(18, 0x11, 0, &[2, 3])].concat();
        let all: Vec<_> = Messages::new(&bytes).map(|m| m.map(|m| (m.kind, m.payload.to_vec()))).collect();
        assert_eq!(all, [Ok((0x10, vec![1])), Ok((0x11, vec![2, 3]))], "alignment is not part of a payload");
    }

    #[test]
    fn b76_bad_attribute_length_is_an_error() {
        for len in [0, 3, 9, 65535] {
            let bytes = attribute(len, 1, &[0; 4]);
            let all: Vec<_> = Attributes::new(&bytes).map(|a| a.map(|_| ())).collect();
            assert_eq!(all, [Err(Malformed::AttributeLength)], "length {len}");
        }
        let bytes = [attribute(8, 1, &[0; 4]), vec![0; 3]].concat();
        assert!(Attributes::new(&bytes).nth(1).unwrap().is_err(), "3 stray bytes are no attribute");
    }

    #[test]
    fn b77_nested_attribute_longer_than_its_parent_is_an_error() {
        // The bytes beyond the parent are there, so only the parent's length can tell.
        let bytes = [attribute(12, 1, &[]), attribute(12, 2, &[0; 8])].concat();
        let parent = Attributes::new(&bytes).next().unwrap().unwrap();
        assert_eq!(parent.nested().next().unwrap().unwrap_err(), Malformed::AttributeLength);
    }

    #[test]
    fn attribute_flags_are_masked_and_long_values_tolerated() {
        let bytes = attribute(12, 0x8005, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let a = Attributes::new(&bytes).next().unwrap().unwrap();
        assert_eq!(a.kind, 5, "NLA_F_NESTED is no part of the type");
        assert_eq!(a.be16(), Ok(0x0102), "RTNL-4: longer than expected is tolerated");
        assert_eq!(a.bytes::<9>(), Err(Malformed::Short("attribute")));
    }

    #[test]
    fn b79_text_ends_at_nul_or_at_the_end() {
        for (value, want) in [(&b"lo\0x"[..], &b"lo"[..]), (b"lo", b"lo"), (b"", b""), (b"\0", b"")] {
            assert_eq!(Attribute { kind: 1, value }.text(), want, "{value:?}");
        }
    }

    #[test]
    fn b82_noop_and_overrun_are_told_apart_from_data() {
        for (kind, want) in
            [(1, Content::Noop), (4, Content::Overrun), (0x10, Content::Data), (9, Content::Data)]
        {
            let bytes = message(16, kind, 0, &[]);
            assert_eq!(Messages::new(&bytes).next().unwrap().unwrap().content(), Ok(want), "type {kind}");
        }
    }

    #[test]
    fn b83_error_of_19_bytes_is_malformed_and_of_20_is_a_reply() {
        let payload = [&(-17i32).to_ne_bytes()[..], &[0; 16]].concat();
        assert_eq!(content(2, 0, &payload[..19]), Err(Malformed::Short("NLMSG_ERROR")));
        assert_eq!(content(2, 0, &payload), Ok((17, None)), "the sign is the kernel's, not ours");
        assert_eq!(content(2, 0x100, &[0; 20]), Ok((0, None)), "0 is an acknowledgement");
        let odd = [&i32::MIN.to_ne_bytes()[..], &[0; 16]].concat();
        assert_eq!(content(2, 0, &odd), Ok((i32::MAX, None)), "the one number without a positive twin");
    }

    #[test]
    fn b84_done_with_and_without_payload() {
        assert_eq!(content(3, 2, &[]), Ok((0, None)));
        assert_eq!(content(3, 2, &[0; 4]), Ok((0, None)));
        assert_eq!(content(3, 2, &(-4i32).to_ne_bytes()), Ok((4, None)), "-EINTR: cut short");
    }

    #[test]
    fn error_text_is_found_behind_a_capped_and_a_whole_request() {
        let text = attribute(10, NLMSGERR_ATTR_MSG, b"wrong\0\0\0");
        let capped = [&(-22i32).to_ne_bytes()[..], &[0; 16], &text].concat();
        assert_eq!(content(2, 0x300, &capped), Ok((22, Some("wrong".into()))));
        let request = message(24, 20, 5, &[0; 8]);
        let whole = [&(-22i32).to_ne_bytes()[..], &request, &text].concat();
        assert_eq!(content(2, 0x200, &whole), Ok((22, Some("wrong".into()))));
        let lying = [&(-22i32).to_ne_bytes()[..], &u32::MAX.to_ne_bytes(), &[0; 12]].concat();
        assert_eq!(content(2, 0x200, &lying), Ok((22, None)), "an impossible length inside harms nothing");
    }

    #[test]
    fn batch_is_bounded_by_its_buffer_and_reads_back() {
        let mut buffer = [0xaa; 60];
        let mut batch = Batch::new(&mut buffer);
        let fill = |body: &mut Body<'_>| {
            body.bytes(&[1, 0, 0, 0]);
            body.nest(3, |inner| {
                inner.attribute(1, b"ab\0");
                inner.attribute_u16(2, 0x1234);
            });
        };
        assert_eq!(batch.message(0x20, NLM_F_REQUEST, 5, fill), Ok(()));
        let len = batch.bytes().len();
        assert_eq!(len, 16 + 4 + 4 + 8 + 8);
        assert_eq!(
            batch.message(0x20, NLM_F_REQUEST, 6, fill),
            Err(NoRoom),
            "40 more bytes do not fit into 20"
        );
        assert_eq!(batch.bytes().len(), len, "a message that does not fit leaves no trace");
        let message = Messages::new(batch.bytes()).next().unwrap().unwrap();
        assert_eq!((message.kind, message.flags, message.seq, message.port), (0x20, 1, 5, 0));
        let nest = Attributes::new(&message.payload[4..]).next().unwrap().unwrap();
        let inner: Vec<_> = nest.nested().map(|a| a.unwrap()).collect();
        assert_eq!(inner[0].text(), b"ab");
        assert_eq!(inner[1].u16(), Ok(0x1234));
        assert_eq!(&batch.bytes()[31..32], &[0], "padding is zero, not what the buffer held before");
    }
}
