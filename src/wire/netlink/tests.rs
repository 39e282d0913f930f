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
    assert_eq!(a.kind, 5, "IPVS-4: NLA_F_NESTED is no part of the type");
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
    for (kind, want) in [(1, Content::Noop), (4, Content::Overrun), (0x10, Content::Data), (9, Content::Data)]
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
    assert_eq!(batch.message(0x20, NLM_F_REQUEST, 6, fill), Err(NoRoom), "40 more bytes do not fit into 20");
    assert_eq!(batch.bytes().len(), len, "a message that does not fit leaves no trace");
    let message = Messages::new(batch.bytes()).next().unwrap().unwrap();
    assert_eq!((message.kind, message.flags, message.seq, message.port), (0x20, 1, 5, 0));
    let nest = Attributes::new(&message.payload[4..]).next().unwrap().unwrap();
    let inner: Vec<_> = nest.nested().map(|a| a.unwrap()).collect();
    assert_eq!(inner[0].text(), b"ab");
    assert_eq!(inner[1].u16(), Ok(0x1234));
    assert_eq!(&batch.bytes()[31..32], &[0], "padding is zero, not what the buffer held before");
}
