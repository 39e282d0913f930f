use super::super::netlink::Messages;
use super::*;

/// A message around `body`, as the kernel sends it.
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut batch = Batch::new(&mut buffer);
    batch.message(kind, 0, 0, |b| b.bytes(body)).unwrap();
    batch.bytes().to_vec()
}

#[track_caller]
fn check(kind: u16, body: &[u8], want: Result<Notice<'_>, Malformed>) {
    let bytes = message(kind, body);
    assert_eq!(parse(&Messages::new(&bytes).next().unwrap().unwrap()), want);
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((value.len() as u16 + 4).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn link_head(family: u8, kind: u16, index: i32, flags: u32) -> Vec<u8> {
    let mut out = vec![family, 0];
    out.extend(kind.to_ne_bytes());
    out.extend(index.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(0u32.to_ne_bytes());
    out
}

fn link(index: i32, attributes: &[&[u8]]) -> Vec<u8> {
    [&link_head(0, 1, index, 0x1043)[..], &attributes.concat()].concat()
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn name() -> Vec<u8> {
    attribute(IFLA_IFNAME, b"eth0\0")
}

fn mtu() -> Vec<u8> {
    attribute(IFLA_MTU, &1500u32.to_ne_bytes())
}

fn mac() -> Vec<u8> {
    attribute(IFLA_ADDRESS, &MAC)
}

fn eth0() -> Link<'static> {
    Link { index: 3, name: "eth0", up: true, running: true, no_arp: false, mac: Some(MAC), mtu: 1500 }
}

#[test]
fn link_is_read() {
    let body = link(3, &[&name(), &mtu(), &mac(), &attribute(0x3ffe, &[1])]);
    check(RTM_NEWLINK, &body, Ok(Notice::Link(eth0())));
    check(RTM_DELLINK, &body, Ok(Notice::LinkGone { index: 3 }));
    check(RTM_DELLINK, &link(3, &[]), Ok(Notice::LinkGone { index: 3 }));
    let down = [link_head(0, 1, 3, 0x82), name(), mtu(), mac()].concat();
    let want = Link { up: false, running: false, no_arp: true, ..eth0() };
    check(RTM_NEWLINK, &down, Ok(Notice::Link(want)));
}

#[test]
fn bridge_port_and_wireless_event_are_no_links() {
    let port = [link_head(7, 1, 3, 0x1043), name(), mtu(), mac()].concat();
    check(RTM_DELLINK, &port, Ok(Notice::Other));
    check(RTM_NEWLINK, &port, Ok(Notice::Other));
    // As the kernel's wireless extensions send it: a name and the event, no MTU, no address.
    check(RTM_NEWLINK, &link(3, &[&name(), &attribute(IFLA_WIRELESS, &[0; 8])]), Ok(Notice::Other));
}

#[test]
fn b78_mac_of_another_length_is_none_and_missing_parts_are_errors() {
    for len in [0, 5, 7, 8, 20, 32] {
        let body = link(3, &[&name(), &mtu(), &attribute(IFLA_ADDRESS, &[2; 32][..len])]);
        check(RTM_NEWLINK, &body, Ok(Notice::Link(Link { mac: None, ..eth0() })));
    }
    let loopback = [link_head(0, 772, 3, 0x1043), name(), mtu(), mac()].concat();
    check(RTM_NEWLINK, &loopback, Ok(Notice::Link(Link { mac: None, ..eth0() })));
    check(RTM_NEWLINK, &link(3, &[&mtu(), &mac()]), Err(Malformed::Missing("IFLA_IFNAME")));
    check(RTM_NEWLINK, &link(3, &[&name(), &mac()]), Err(Malformed::Missing("IFLA_MTU")));
    check(RTM_NEWLINK, &link_head(0, 1, 3, 0)[..12], Err(Malformed::Short("ifinfomsg")));
    check(RTM_NEWADDR, &[2, 24, 0, 0, 3, 0, 0, 0], Err(Malformed::Missing("IFA_LOCAL")));
    check(RTM_NEWADDR, &[2, 24, 0, 0], Err(Malformed::Short("ifaddrmsg")));
}

#[test]
fn b79_names_of_impossible_length_are_errors() {
    let with = |value: &[u8]| link(3, &[&attribute(IFLA_IFNAME, value), &mtu(), &mac()]);
    check(RTM_NEWLINK, &with(b"eth0"), Ok(Notice::Link(eth0())));
    check(RTM_NEWLINK, &with(b""), Err(Malformed::Value("IFLA_IFNAME")));
    check(RTM_NEWLINK, &with(b"\0"), Err(Malformed::Value("IFLA_IFNAME")));
    check(RTM_NEWLINK, &with(b"0123456789abcdef"), Err(Malformed::Value("IFLA_IFNAME")));
    check(RTM_NEWLINK, &with(b"\xff\0"), Ok(Notice::Link(Link { name: "", ..eth0() })));
}

#[test]
fn b80_index_zero_and_negative_are_errors() {
    for index in [0, -1, i32::MIN] {
        let error = Err(Malformed::Value("interface index"));
        check(RTM_NEWLINK, &link(index, &[&name(), &mtu()]), error);
        check(RTM_DELLINK, &link(index, &[]), error);
        let address = [&[2, 24, 0, 0][..], &index.to_ne_bytes()].concat();
        check(RTM_NEWADDR, &address, error);
        check(RTM_DELADDR, &address, error);
    }
}

#[test]
fn b76_b77_bad_attributes_make_the_message_malformed() {
    for len in [0u16, 3, 65535] {
        let bad = [&len.to_ne_bytes()[..], &IFLA_MTU.to_ne_bytes(), &[0; 4]].concat();
        check(RTM_NEWLINK, &link(3, &[&name(), &bad]), Err(Malformed::AttributeLength));
        check(RTM_NEWADDR, &address(24, 0, &[&bad]), Err(Malformed::AttributeLength));
    }
    check(
        RTM_NEWADDR,
        &address(24, 0, &[&attribute(IFA_LOCAL, &[10, 0, 0])]),
        Err(Malformed::Short("address")),
    );
}

#[test]
fn b81_other_types_are_nothing_to_us() {
    for kind in [18, 19, 22, 24, 0xffff] {
        check(kind, &[0; 3], Ok(Notice::Other));
    }
}

fn address(prefix_len: u8, flags: u8, attributes: &[&[u8]]) -> Vec<u8> {
    [&[2, prefix_len, flags, 0][..], &3u32.to_ne_bytes(), &attributes.concat()].concat()
}

fn cache_info(preferred: u32, valid: u32) -> Vec<u8> {
    attribute(IFA_CACHEINFO, &[pair(preferred, valid), pair(1, 1)].concat())
}

fn ten_one() -> Address {
    Address {
        index: 3,
        address: "10.0.0.1".parse().unwrap(),
        prefix_len: 24,
        protocol: None,
        permanent: false,
        secondary: false,
        valid: None,
    }
}

#[test]
fn ipv4_address_is_read() {
    let local = attribute(IFA_LOCAL, &[10, 0, 0, 1]);
    let peer = attribute(IFA_ADDRESS, &[10, 0, 0, 2]);
    let label = attribute(3, b"eth0\0");
    let body = address(24, 0x80, &[&peer, &local, &label, &cache_info(u32::MAX, u32::MAX)]);
    check(RTM_NEWADDR, &body, Ok(Notice::Address(Address { permanent: true, ..ten_one() })));
    check(RTM_DELADDR, &body, Ok(Notice::AddressGone(Address { permanent: true, ..ten_one() })));
    let flags = attribute(IFA_FLAGS, &0x201u32.to_ne_bytes());
    let body = address(24, 0x80, &[&local, &flags, &cache_info(2, 3), &attribute(IFA_PROTO, &[112])]);
    let want = Address { secondary: true, valid: Some(3), protocol: Some(112), ..ten_one() };
    check(RTM_NEWADDR, &body, Ok(Notice::Address(want)));
    check(RTM_NEWADDR, &address(33, 0, &[&local]), Err(Malformed::Value("prefix length")));
    check(
        RTM_NEWADDR,
        &address(24, 0, &[&local, &attribute(IFA_CACHEINFO, &[0; 15])]),
        Err(Malformed::Short("attribute")),
    );
}

#[test]
fn ipv6_address_is_read_and_other_families_are_skipped() {
    let v6: std::net::Ipv6Addr = "2001:db8::100".parse().unwrap();
    let mut body = address(64, 0, &[&attribute(IFA_ADDRESS, &v6.octets())]);
    body[0] = 10;
    let want = Address { address: v6.into(), prefix_len: 64, ..ten_one() };
    check(RTM_NEWADDR, &body, Ok(Notice::Address(want)));
    body[0] = 28;
    check(RTM_NEWADDR, &body, Ok(Notice::Other));
}

#[test]
#[cfg(target_endian = "little")]
fn add_and_remove_are_byte_for_byte_as_the_kernel_wants_them() {
    let mut buffer = [0; 256];
    let mut batch = Batch::new(&mut buffer);
    let vip =
        NewAddress { index: 4, address: "192.0.2.100".parse().unwrap(), prefix_len: 32, lease: Some(3) };
    emit_add_address(&mut batch, 1, true, &vip).unwrap();
    assert_eq!(
        batch.bytes(),
        [
            &[0x44, 0, 0, 0, 0x14, 0, 0x05, 0x05, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[2, 0x20, 0, 0, 4, 0, 0, 0],
            &[8, 0, 2, 0, 0xc0, 0, 2, 0x64],
            &[8, 0, 1, 0, 0xc0, 0, 2, 0x64],
            &[0x14, 0, 6, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[5, 0, 0x0b, 0, 112, 0, 0, 0],
        ]
        .concat(),
        "RTNL-20: IFA_LOCAL and IFA_ADDRESS, a lease of 3 s, our protocol number"
    );
    let mut batch = Batch::new(&mut buffer);
    emit_remove_address(&mut batch, 2, false, (4, vip.address, 32)).unwrap();
    assert_eq!(
        batch.bytes(),
        [
            &[0x28, 0, 0, 0, 0x15, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0][..],
            &[2, 0x20, 0, 0, 4, 0, 0, 0],
            &[8, 0, 2, 0, 0xc0, 0, 2, 0x64],
            &[8, 0, 1, 0, 0xc0, 0, 2, 0x64],
        ]
        .concat()
    );
}

#[test]
fn what_we_emit_we_can_read() {
    for (text, prefix_len, lease, want) in [
        ("10.0.0.1", 24, Some(3), Some(3)),
        ("2001:db8::1", 64, None, None),
        ("10.0.0.1", 24, Some(0), Some(1)),
    ] {
        let mut buffer = [0; ADDRESS_MESSAGE_MAX];
        let mut batch = Batch::new(&mut buffer);
        let address: IpAddr = text.parse().unwrap();
        let new = NewAddress { index: 3, address, prefix_len, lease };
        emit_add_address(&mut batch, 1, false, &new).expect("ADDRESS_MESSAGE_MAX is too small");
        let message = Messages::new(batch.bytes()).next().unwrap().unwrap();
        let want = Address { address, prefix_len, protocol: Some(PROTOCOL), valid: want, ..ten_one() };
        assert_eq!(parse(&message), Ok(Notice::Address(want)), "{text}: a zero lifetime would be refused");
    }
}

#[test]
fn dumps_ask_for_all() {
    let mut buffer = [0; 128];
    let mut batch = Batch::new(&mut buffer);
    emit_dump_links(&mut batch, 1).unwrap();
    emit_dump_addresses(&mut batch, 2).unwrap();
    let all: Vec<_> = Messages::new(batch.bytes()).map(|m| m.unwrap()).map(|m| (m.kind, m.flags)).collect();
    assert_eq!(all, [(18, 0x301), (22, 0x301)]);
}
