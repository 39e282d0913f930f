use super::super::Protocol;
use super::*;
use crate::wire::netlink::Messages;

const FAMILY_ID: u16 = 0x20;

fn emitted(emit: impl FnOnce(&mut Batch<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut buffer = [0xaa; MESSAGE_MAX];
    let mut batch = Batch::new(&mut buffer);
    emit(&mut batch).expect("MESSAGE_MAX is too small");
    batch.bytes().to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn tcp(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap() }
}

fn service(key: ServiceKey, scheduler: &str) -> Service {
    let prefix_len = if key.is_ipv6() { 128 } else { 32 };
    Service {
        key,
        scheduler: scheduler.try_into().unwrap(),
        flags: 0,
        timeout: 0,
        prefix_len,
        engine: "".try_into().unwrap(),
    }
}

fn destination() -> Destination {
    Destination {
        address: "10.0.0.2:8080".parse().unwrap(),
        forward: Forwarding::Masquerade,
        tunnel: crate::wire::ipvs::Tunnel::Ipip,
        weight: 100,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

/// The value of a nested attribute of the message's first attribute.
fn inner(message: &[u8], kind: u16) -> Vec<u8> {
    let message = Messages::new(message).next().unwrap().unwrap();
    let (_, mut attributes) = crate::wire::genetlink::parse(message.payload).unwrap();
    let nest = attributes.next().unwrap().unwrap();
    nest.nested().map(|a| a.unwrap()).find(|a| a.kind == kind).expect("attribute").value.to_vec()
}

/// IPVS-3, IPVS-4: header, version and padding; IPVS-20, IPVS-21, IPVS-21a, IPVS-22, IPVS-23a, IPVS-24,
/// IPVS-25, IPVS-26: each attribute in its own byte order.
#[test]
#[cfg(target_endian = "little")]
fn ipvs20_new_service_is_byte_for_byte_as_the_kernel_took_it() {
    let bytes = emitted(|b| {
        emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &service(tcp("192.0.2.10:80"), "wlc"))
    });
    let want = hex("68 00 00 00 20 00 05 00 05 00 00 00 00 00 00 00 01 01 00 00 54 00 01 00
         06 00 01 00 02 00 00 00 06 00 02 00 06 00 00 00
         14 00 03 00 c0 00 02 0a 00 00 00 00 00 00 00 00 00 00 00 00 06 00 04 00 00 50 00 00
         08 00 06 00 77 6c 63 00 0c 00 07 00 00 00 00 00 ff ff ff ff
         08 00 08 00 00 00 00 00 08 00 09 00 ff ff ff ff");
    assert_eq!(bytes.len(), 104);
    assert_eq!(bytes, want);
}

#[test]
#[cfg(target_endian = "big")]
fn ipvs20_new_service_is_byte_for_byte_as_a_big_endian_kernel_takes_it() {
    let bytes = emitted(|b| {
        emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &service(tcp("192.0.2.10:80"), "wlc"))
    });
    let want = hex("00 00 00 68 00 20 00 05 00 00 00 05 00 00 00 00 01 01 00 00 00 54 00 01
         00 06 00 01 00 02 00 00 00 06 00 02 00 06 00 00
         00 14 00 03 c0 00 02 0a 00 00 00 00 00 00 00 00 00 00 00 00 00 06 00 04 00 50 00 00
         00 08 00 06 77 6c 63 00 00 0c 00 07 00 00 00 00 ff ff ff ff
         00 08 00 08 00 00 00 00 00 08 00 09 ff ff ff ff");
    assert_eq!(bytes, want);
}

/// IPVS-30, IPVS-30a, IPVS-30b, IPVS-30c, IPVS-30d, IPVS-30g.
#[test]
#[cfg(target_endian = "little")]
fn ipvs30_destinations_are_byte_for_byte_as_the_kernel_took_them() {
    let service = "30 00 01 00 06 00 01 00 02 00 00 00 06 00 02 00 06 00 00 00
         14 00 03 00 c0 00 02 0a 00 00 00 00 00 00 00 00 00 00 00 00 06 00 04 00 00 50 00 00";
    let identity = "06 00 0b 00 02 00 00 00
         14 00 01 00 0a 00 00 02 00 00 00 00 00 00 00 00 00 00 00 00 06 00 02 00 1f 90 00 00";
    let rest =
        "08 00 03 00 00 00 00 00 08 00 04 00 64 00 00 00 08 00 05 00 00 00 00 00 08 00 06 00 00 00 00 00";
    let emit = |command| {
        emitted(|b| emit_destination(b, FAMILY_ID, 0x1e, command, (&tcp("192.0.2.10:80"), &destination())))
    };
    let new = format!(
        "8c 00 00 00 20 00 05 00 1e 00 00 00 00 00 00 00 05 01 00 00 {service} 48 00 02 00 {identity} {rest}"
    );
    assert_eq!(hex(&new).len(), 140);
    assert_eq!(emit(DestinationCommand::New), hex(&new));
    assert_eq!(emit(DestinationCommand::Set), hex(&new.replace("05 01 00 00", "06 01 00 00")));
    let del = format!(
        "6c 00 00 00 20 00 05 00 1e 00 00 00 00 00 00 00 07 01 00 00 {service} 28 00 02 00 {identity}"
    );
    assert_eq!(hex(&del).len(), 108);
    assert_eq!(emit(DestinationCommand::Del), hex(&del), "DEL_DEST carries the identity alone");
}

#[test]
#[cfg(target_endian = "little")]
fn ipvs23_service_by_mark_has_no_address() {
    let key = ServiceKey::Mark { mark: 7, ipv6: false };
    let bytes = emitted(|b| emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &service(key, "wrr")));
    let want = hex("4c 00 00 00 20 00 05 00 05 00 00 00 00 00 00 00 01 01 00 00 38 00 01 00
         06 00 01 00 02 00 00 00 08 00 05 00 07 00 00 00
         08 00 06 00 77 72 72 00 0c 00 07 00 00 00 00 00 ff ff ff ff
         08 00 08 00 00 00 00 00 08 00 09 00 ff ff ff ff");
    assert_eq!(bytes.len(), 76);
    assert_eq!(bytes, want);
}

#[test]
fn ipvs24_26_flags_timeout_and_mask_have_their_byte_orders() {
    let sh = Service { flags: 0x19, timeout: 50, prefix_len: 24, ..service(tcp("192.0.2.10:80"), "sh") };
    let bytes = emitted(|b| emit_service(b, FAMILY_ID, 5, ServiceCommand::Set, &sh));
    assert_eq!(bytes[16], SET_SERVICE);
    assert_eq!(inner(&bytes, 7), [0x19u32.to_ne_bytes(), [0xff; 4]].concat(), "host order");
    assert_eq!(inner(&bytes, 8), 50u32.to_ne_bytes(), "host order");
    assert_eq!(inner(&bytes, 9), [0xff, 0xff, 0xff, 0], "IPv4 mask in network order");
    let v6 = Service { prefix_len: 64, ..service(tcp("[2001:db8::1]:443"), "wlc") };
    let bytes = emitted(|b| emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &v6));
    assert_eq!(inner(&bytes, 9), 64u32.to_ne_bytes(), "IPv6 prefix length in host order");
    assert_eq!(inner(&bytes, 1), 10u16.to_ne_bytes());
    assert_eq!(inner(&bytes, 3), "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    assert_eq!(inner(&bytes, 4), [0x01, 0xbb], "network order");
    for (len, mask) in [(0, [0; 4]), (1, [0x80, 0, 0, 0]), (32, [0xff; 4]), (200, [0xff; 4])] {
        assert_eq!(netmask(false, len), mask, "/{len}");
    }
}

/// What follows the kernel's own message for IP in IP.
#[cfg(target_endian = "little")]
fn with_tunnel(tunnel: Tunnel) -> (Vec<u8>, Vec<u8>) {
    let key = tcp("192.0.2.10:80");
    let plain = Destination { forward: Forwarding::Tunnel, ..destination() };
    let emit = |destination: &Destination| {
        emitted(|b| emit_destination(b, FAMILY_ID, 1, DestinationCommand::New, (&key, destination)))
    };
    let (plain, bytes) = (emit(&plain), emit(&Destination { tunnel, ..plain }));
    assert_eq!(plain.len(), 140, "kernels before 5.2 get the message that they know");
    let (len, nest) = (u32::try_from(bytes.len()).unwrap(), 0x48 + u16::try_from(bytes.len()).unwrap() - 140);
    let mut want = plain.clone();
    want[0..4].copy_from_slice(&len.to_ne_bytes());
    want[68..70].copy_from_slice(&nest.to_ne_bytes());
    assert_eq!(bytes[..140], want, "nothing else differs");
    (plain, bytes[140..].to_vec())
}

#[test]
#[cfg(target_endian = "little")]
fn ipvs30i_tunnels_are_byte_for_byte_as_the_kernel_took_them() {
    let gue = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Full };
    let (plain, bytes) = with_tunnel(gue);
    assert_eq!(plain[108..116], hex("08 00 03 00 02 00 00 00"), "FWD_METHOD 2 (IPVS-30b)");
    let want = "05 00 0d 00 01 00 00 00 06 00 0e 00 17 c0 00 00 06 00 0f 00 01 00 00 00";
    assert_eq!(
        bytes,
        hex(want),
        "IPVS-30i, IPVS-30j, IPVS-30k: type a byte, port big endian, flags in host order"
    );
    let remote = with_tunnel(Tunnel::Gue { port: 1, checksum: TunnelChecksum::Remote }).1;
    assert_eq!(remote, hex("05 00 0d 00 01 00 00 00 06 00 0e 00 00 01 00 00 06 00 0f 00 02 00 00 00"));
    for (checksum, flags) in [(TunnelChecksum::None, "00"), (TunnelChecksum::Full, "01")] {
        let gre = with_tunnel(Tunnel::Gre { checksum }).1;
        assert_eq!(gre, hex(&format!("05 00 0d 00 02 00 00 00 06 00 0f 00 {flags} 00 00 00")));
    }
    assert_eq!(with_tunnel(Tunnel::Ipip).1, hex(""), "IP in IP goes without a word");
}

#[test]
fn ipvs30i_only_tunnels_have_a_kind_of_tunnel() {
    let tunnel = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Full };
    let nat = Destination { tunnel, ..destination() };
    let key = tcp("192.0.2.10:80");
    let emit = |command, destination: &Destination| {
        emitted(|b| emit_destination(b, FAMILY_ID, 1, command, (&key, destination))).len()
    };
    assert_eq!(emit(DestinationCommand::Set, &nat), 140);
    let tun = Destination { forward: Forwarding::Tunnel, ..nat };
    assert_eq!(emit(DestinationCommand::Set, &tun), MESSAGE_MAX, "the longest of all");
    assert_eq!(emit(DestinationCommand::Del, &tun), 108, "DEL_DEST carries the identity alone");
}

#[test]
#[cfg(target_endian = "little")]
fn ipvs26b_persistence_engine_is_a_name_with_its_nul() {
    let sip = Service { engine: "sip".try_into().unwrap(), ..service(tcp("192.0.2.10:80"), "wlc") };
    let bytes = emitted(|b| emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &sip));
    assert_eq!(inner(&bytes, 11), b"sip\0");
    assert_eq!(bytes[76..84], hex("08 00 0b 00 73 69 70 00"), "behind the scheduler");
    let long = Service { engine: "0123456789abcdef".try_into().unwrap(), ..sip };
    let bytes = emitted(|b| emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &long));
    assert_eq!(inner(&bytes, 11), b"0123456789abcdef\0", "16 characters and the NUL");
    let none = emitted(|b| {
        emit_service(b, FAMILY_ID, 5, ServiceCommand::Set, &service(tcp("192.0.2.10:80"), "wlc"))
    });
    assert_eq!(none.len(), 104, "left out, SET_SERVICE takes one away");
}

#[test]
fn longest_scheduler_name_keeps_its_nul() {
    let long = service(tcp("192.0.2.10:80"), "0123456789abcde");
    let bytes = emitted(|b| emit_service(b, FAMILY_ID, 5, ServiceCommand::New, &long));
    assert_eq!(inner(&bytes, 6), b"0123456789abcde\0", "IPVS-23a: 15 characters and the NUL");
    let longer = heapless::String::<{ crate::limits::SCHEDULER_MAX }>::try_from("0123456789abcdef");
    assert!(longer.is_err(), "IPVS-40c: the kernel refuses one more, so there is none");
}

#[test]
fn dumps_and_removal_name_their_command() {
    let services = emitted(|b| emit_dump_services(b, FAMILY_ID, 1));
    let message = Messages::new(&services).next().unwrap().unwrap();
    assert_eq!((message.kind, message.flags, message.payload), (0x20, 0x301, &[4u8, 1, 0, 0][..]));
    let key = tcp("192.0.2.10:80");
    let destinations = emitted(|b| emit_dump_destinations(b, FAMILY_ID, 1, &key));
    let message = Messages::new(&destinations).next().unwrap().unwrap();
    assert_eq!((message.flags, message.payload[0], destinations.len()), (0x301, 8, 68));
    let del = emitted(|b| emit_del_service(b, FAMILY_ID, 1, &key));
    let message = Messages::new(&del).next().unwrap().unwrap();
    assert_eq!((message.flags, message.payload[0], del.len()), (5, 3, 68), "a removal wants its answer");
}

#[test]
fn forwarding_methods_have_the_kernels_numbers() {
    use Forwarding::*;
    let all = [Masquerade, Local, Tunnel, DirectRoute, Bypass];
    assert_eq!(all.map(method), [0, 1, 2, 3, 4], "IPVS-30b");
}
