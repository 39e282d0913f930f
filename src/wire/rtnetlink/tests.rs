use super::super::netlink::{Batch, Messages};
use super::address::pair;
use super::*;

mod tables;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_WIRELESS: u16 = 11;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

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
    Link {
        index: 3,
        name: "eth0",
        up: true,
        running: true,
        no_arp: false,
        mac: Some(MAC),
        mtu: 1500,
        kind: LinkKind::Other,
        group: 0,
        master: 0,
        is_bridge_port: false,
        is_in_vrf: false,
        ipv4_settings: &[],
        ipv6_settings: &[],
    }
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
    for kind in [18, 19, 22, 26, 34, 36, 0xffff] {
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
        has_peer: false,
        protocol: None,
        permanent: false,
        secondary: false,
        no_dad: false,
        valid: None,
    }
}

#[test]
fn ipv4_address_is_read() {
    let local = attribute(IFA_LOCAL, &[10, 0, 0, 1]);
    let peer = attribute(IFA_ADDRESS, &[10, 0, 0, 2]);
    let label = attribute(3, b"eth0\0");
    let body = address(24, 0x80, &[&peer, &local, &label, &cache_info(u32::MAX, u32::MAX)]);
    let with_peer = Address { permanent: true, has_peer: true, ..ten_one() };
    check(RTM_NEWADDR, &body, Ok(Notice::Address(with_peer)));
    check(RTM_DELADDR, &body, Ok(Notice::AddressGone(with_peer)));
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

fn new_address(address: &str, prefix_len: u8, lease: Option<u32>) -> NewAddress<'static> {
    NewAddress {
        index: 4,
        address: address.parse().unwrap(),
        prefix_len,
        peer: None,
        lease,
        scope: 0,
        label: "",
        broadcast: None,
        deprecated: false,
        no_prefix_route: false,
    }
}

#[test]
#[cfg(target_endian = "little")]
fn add_and_remove_are_byte_for_byte_as_the_kernel_wants_them() {
    let mut buffer = [0; 256];
    let mut batch = Batch::new(&mut buffer);
    let vip = new_address("192.0.2.100", 32, Some(3));
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
    emit_remove_address(&mut batch, 2, false, (4, (vip.address, 32), None)).unwrap();
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
        let new = NewAddress { index: 3, ..new_address(text, prefix_len, lease) };
        emit_add_address(&mut batch, 1, false, &new).expect("ADDRESS_MESSAGE_MAX is too small");
        let message = Messages::new(batch.bytes()).next().unwrap().unwrap();
        let (protocol, no_dad) = (Some(PROTOCOL), address.is_ipv6());
        let want = Address { address, prefix_len, protocol, no_dad, valid: want, ..ten_one() };
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

const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_LINK_NETNSID: u16 = 37;

fn info(kind: &[u8], data: &[u8]) -> Vec<u8> {
    attribute(IFLA_LINKINFO, &[attribute(1, kind), attribute(2, data)].concat())
}

#[test]
fn vmac4_kind_parent_and_mode_of_a_macvlan_are_read() {
    let mode = |mode: u32| attribute(1, &mode.to_ne_bytes());
    let parent = attribute(IFLA_LINK, &2u32.to_ne_bytes());
    let with =
        |extra: &[Vec<u8>]| link(3, &[&[name(), mtu(), mac(), parent.clone()].concat(), &extra.concat()]);
    for (extra, want) in [
        (vec![info(b"macvlan\0", &mode(1))], LinkKind::Macvlan { parent: 2, is_private: true }),
        (vec![info(b"macvlan", &mode(4))], LinkKind::Macvlan { parent: 2, is_private: false }),
        (vec![info(b"macvlan\0", &[])], LinkKind::Macvlan { parent: 2, is_private: false }),
        (
            vec![info(b"macvlan\0", &mode(1)), attribute(IFLA_LINK_NETNSID, &[0; 4])],
            LinkKind::Macvlan { parent: 0, is_private: true },
        ),
        // Another kind's data are not looked into: 1 is not its mode.
        (vec![info(b"vlan\0", &[3, 0, 1, 0])], LinkKind::Other),
        (vec![info(b"macvtap\0", &mode(1))], LinkKind::Other),
    ] {
        check(RTM_NEWLINK, &with(&extra), Ok(Notice::Link(Link { kind: want, ..eth0() })));
    }
    let data_first = [attribute(2, &mode(1)), attribute(1, b"macvlan\0")].concat();
    let want = LinkKind::Macvlan { parent: 2, is_private: true };
    let body = with(&[attribute(IFLA_LINKINFO, &data_first)]);
    check(RTM_NEWLINK, &body, Ok(Notice::Link(Link { kind: want, ..eth0() })));
}

#[test]
fn b77_bad_attributes_inside_of_a_link_make_it_malformed() {
    let bad = [3, 0, 1, 0];
    for inner in [info(b"macvlan\0", &bad), attribute(IFLA_LINKINFO, &bad), attribute(IFLA_AF_SPEC, &bad)] {
        let body = link(3, &[&name(), &mtu(), &inner]);
        check(RTM_NEWLINK, &body, Err(Malformed::AttributeLength));
    }
    let short = info(b"macvlan\0", &attribute(1, &[1]));
    check(RTM_NEWLINK, &link(3, &[&name(), &mtu(), &short]), Err(Malformed::Short("attribute")));
}

#[test]
fn rtnl41_master_is_told_apart_by_its_kind() {
    let slave = |kind: &[u8]| attribute(IFLA_LINKINFO, &attribute(4, kind));
    let master = attribute(IFLA_MASTER, &9u32.to_ne_bytes());
    for (kind, is_bridge_port, is_in_vrf) in
        [(&b"bridge\0"[..], true, false), (b"vrf\0", false, true), (b"bond\0", false, false)]
    {
        let want = Link { master: 9, is_bridge_port, is_in_vrf, ..eth0() };
        let body = link(3, &[&name(), &mtu(), &mac(), &master, &slave(kind)]);
        check(RTM_NEWLINK, &body, Ok(Notice::Link(want)));
    }
    let body = link(3, &[&name(), &mtu(), &mac(), &slave(b"bridge\0")]);
    check(RTM_NEWLINK, &body, Ok(Notice::Link(eth0())));
}

#[test]
fn settings_of_a_link_are_found_by_number() {
    let row = |values: &[u32]| values.iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>();
    let inet = attribute(2, &attribute(1, &row(&[1, 2, 3])));
    let inet6 = attribute(10, &[attribute(1, &[0; 4]), attribute(2, &row(&[7, 8]))].concat());
    let body = link(3, &[&name(), &mtu(), &attribute(IFLA_AF_SPEC, &[inet, inet6].concat())]);
    let bytes = message(RTM_NEWLINK, &body);
    let notice = parse(&Messages::new(&bytes).next().unwrap().unwrap());
    let Ok(Notice::Link(link)) = notice else { panic!("{notice:?}") };
    assert_eq!([1, 3, 4, 0].map(|n| link.ipv4_setting(n)), [Some(1), Some(3), None, None], "from number 1");
    assert_eq!([0, 1, 2].map(|n| link.ipv6_setting(n)), [Some(7), Some(8), None], "from number 0");
    assert_eq!(eth0().ipv4_setting(u16::MAX), None);
}

#[test]
#[cfg(target_endian = "little")]
fn vmac20_vmac21_macvlan_messages_are_as_the_kernel_took_them() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|d| u8::from_str_radix(core::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    };
    let mut buffer = [0; 256];
    let new = NewMacvlan { parent: 3, name: "vrrp.51", mac: [0, 0, 0x5e, 0, 1, 0x33], group: 0, master: 0 };
    let mut check = |emit: &dyn Fn(&mut Batch<'_>) -> Result<(), super::super::netlink::NoRoom>,
                     want: &str| {
        let mut batch = Batch::new(&mut buffer);
        emit(&mut batch).unwrap();
        assert_eq!(batch.bytes(), hex(want));
    };
    // protocols.md §3.3; the sequence number is 1.
    check(
        &|batch| emit_create_macvlan(batch, 1, &new),
        "64000000 1000 0506 01000000 00000000 00000000000000000000000000000000
         1c001200 0b000100 6d616376 6c616e00 0c000200 08000100 01000000
         08000500 03000000 0b000300 76727270 2e353100 08001b00 00000000 0a000100 00005e00 01330000",
    );
    check(
        &|batch| emit_ipv4_settings(batch, 1, 4, &[(19, 1), (23, 1), (8, 0), (20, 1)]),
        "4c000000 1000 0500 01000000 00000000 00000000 04000000 00000000 00000000
         2c001a00 28000200 24000100 08001300 01000000 08001700 01000000 08000800 00000000 08001400 01000000",
    );
    check(
        &|batch| emit_address_generation_off(batch, 1, 4),
        "30000000 1000 0500 01000000 00000000 00000000 04000000 00000000 00000000
         10001a00 0c000a00 05000800 01000000",
    );
    check(
        &|batch| emit_set_link(batch, 1, 4, true),
        "20000000 1000 0500 01000000 00000000 00000000 04000000 01000000 01000000",
    );
    check(
        &|batch| emit_remove_link(batch, 1, 4),
        "20000000 1100 0500 01000000 00000000 00000000 04000000 00000000 00000000",
    );
    // RTNL-30; with ACK, our number instead of 18, no RTA_TABLE for a small table.
    let route = NewRoute { gateway: Some("192.0.2.254".parse().unwrap()), ..tables::new_route() };
    check(
        &|batch| emit_add_route(batch, 1, &route),
        "34000000 1800 0506 01000000 00000000 02180000 fe700001 00000000
         08000100 cb007100 08000500 c00002fe 08000400 03000000",
    );
}

#[test]
#[cfg(target_endian = "little")]
fn rtnl20_options_of_an_address_are_as_the_kernel_wants_them() {
    let mut buffer = [0; 256];
    let mut batch = Batch::new(&mut buffer);
    let new = NewAddress {
        peer: Some(("198.51.100.6".parse().unwrap(), 24)),
        scope: 253,
        label: "eth0:1",
        broadcast: Some("198.51.100.255".parse().unwrap()),
        deprecated: true,
        no_prefix_route: true,
        ..new_address("198.51.100.5", 32, Some(3))
    };
    emit_add_address(&mut batch, 1, false, &new).unwrap();
    assert_eq!(
        &batch.bytes()[16..],
        [
            &[2, 24, 0, 253, 4, 0, 0, 0][..],
            &[8, 0, 2, 0, 198, 51, 100, 5],
            &[8, 0, 1, 0, 198, 51, 100, 6],
            &[11, 0, 3, 0, b'e', b't', b'h', b'0', b':', b'1', 0, 0],
            &[8, 0, 4, 0, 198, 51, 100, 255],
            &[20, 0, 6, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[8, 0, 8, 0, 0, 2, 0, 0],
            &[5, 0, 11, 0, 112, 0, 0, 0],
        ]
        .concat(),
        "the prefix length is the peer's; preferred 0, valid 3"
    );
    let mut batch = Batch::new(&mut buffer);
    let v6 = NewAddress { deprecated: true, label: "x", ..new_address("2001:db8::100", 128, None) };
    emit_add_address(&mut batch, 1, false, &v6).unwrap();
    let message = Messages::new(batch.bytes()).next().unwrap().unwrap();
    let kinds: Vec<u16> =
        super::super::netlink::Attributes::new(&message.payload[8..]).map(|a| a.unwrap().kind).collect();
    assert_eq!(kinds, [IFA_LOCAL, IFA_ADDRESS, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO], "no label on IPv6");
}

#[test]
fn longest_address_message_fits() {
    for address in ["198.51.100.5", "2001:db8::5"] {
        let mut buffer = [0; ADDRESS_MESSAGE_MAX];
        let mut batch = Batch::new(&mut buffer);
        let new = NewAddress {
            peer: Some((address.parse().unwrap(), 24)),
            label: "fifteen-letters",
            broadcast: Some("198.51.100.255".parse().unwrap()),
            no_prefix_route: true,
            ..new_address(address, 24, Some(3))
        };
        emit_add_address(&mut batch, 1, true, &new).expect("ADDRESS_MESSAGE_MAX is too small");
    }
}
