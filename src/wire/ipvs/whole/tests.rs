use super::*;
use crate::wire::netlink::Messages;

const FAMILY_ID: u16 = 0x20;

fn emitted(emit: impl FnOnce(&mut Batch<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut buffer = [0xaa; super::super::MESSAGE_MAX];
    let mut batch = Batch::new(&mut buffer);
    emit(&mut batch).expect("MESSAGE_MAX is too small");
    batch.bytes().to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn daemon() -> Daemon {
    Daemon { interface: "dummy0".try_into().unwrap(), id: 51, max_len: 0, group: None, port: 0, ttl: 0 }
}

/// A message of the family, as the kernel sends it.
fn told(command: u8, fill: impl FnOnce(&mut crate::wire::netlink::Body<'_>)) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut batch = Batch::new(&mut buffer);
    message(&mut batch, (FAMILY_ID, command), 2, 1, fill).unwrap();
    batch.bytes()[16..].to_vec()
}

#[test]
#[cfg(target_endian = "little")]
fn timeouts_are_byte_for_byte_as_the_kernel_took_them() {
    let timeouts = Timeouts { tcp: 600, tcp_fin: 60, udp: 200 };
    let bytes = emitted(|b| emit_set_timeouts(b, FAMILY_ID, 7, &timeouts));
    let want = "2c 00 00 00 20 00 05 00 07 00 00 00 00 00 00 00 0c 01 00 00
        08 00 04 00 58 02 00 00 08 00 05 00 3c 00 00 00 08 00 06 00 c8 00 00 00";
    assert_eq!(bytes, hex(want), "5.2: SET_CONFIG 600/60/200");
    assert_eq!(parse_timeouts(&bytes[16..]), Ok(timeouts), "the answer to GET_CONFIG has the same form");
    let get = emitted(|b| emit_get_timeouts(b, FAMILY_ID, 7));
    assert_eq!(get, hex("14 00 00 00 20 00 05 00 07 00 00 00 00 00 00 00 0d 01 00 00"));
}

#[test]
#[cfg(target_endian = "little")]
fn daemons_are_byte_for_byte_as_the_kernel_took_them() {
    let bytes = emitted(|b| emit_new_daemon(b, FAMILY_ID, 7, (DaemonRole::Master, &daemon())));
    let want = "34 00 00 00 20 00 05 00 07 00 00 00 00 00 00 00 09 01 00 00
        20 00 03 00 08 00 01 00 01 00 00 00 0b 00 02 00 64 75 6d 6d 79 30 00 00 08 00 03 00 33 00 00 00";
    assert_eq!(bytes, hex(want), "5.2: what is left to the kernel is not sent");
    let whole = Daemon {
        interface: "0123456789abcde".try_into().unwrap(),
        max_len: 1452,
        group: Some("ff02::51".parse().unwrap()),
        port: 8849,
        ttl: 3,
        ..daemon()
    };
    let bytes = emitted(|b| emit_new_daemon(b, FAMILY_ID, 7, (DaemonRole::Backup, &whole)));
    let want = "68 00 00 00 20 00 05 00 07 00 00 00 00 00 00 00 09 01 00 00
        54 00 03 00 08 00 01 00 02 00 00 00
        14 00 02 00 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 00 08 00 03 00 33 00 00 00
        06 00 04 00 ac 05 00 00 14 00 06 00 ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 51
        06 00 07 00 91 22 00 00 05 00 08 00 03 00 00 00";
    assert_eq!(bytes, hex(want), "MCAST_PORT in host order, unlike every other port");
    assert_eq!(parse_daemon(&bytes[16..]), Ok((DaemonRole::Backup, whole.clone())));
    let v4 = Daemon { group: Some("224.0.0.82".parse().unwrap()), ..daemon() };
    let bytes = emitted(|b| emit_new_daemon(b, FAMILY_ID, 7, (DaemonRole::Master, &v4)));
    assert_eq!(bytes[52..], hex("08 00 05 00 e0 00 00 52"));
    assert_eq!(parse_daemon(&bytes[16..]), Ok((DaemonRole::Master, v4)));
    let del = emitted(|b| emit_del_daemon(b, FAMILY_ID, 7, DaemonRole::Backup));
    let want = "20 00 00 00 20 00 05 00 07 00 00 00 00 00 00 00 0a 01 00 00
        0c 00 03 00 08 00 01 00 02 00 00 00";
    assert_eq!(del, hex(want));
    let dump = emitted(|b| emit_dump_daemons(b, FAMILY_ID, 7));
    assert_eq!(dump, hex("14 00 00 00 20 00 01 03 07 00 00 00 00 00 00 00 0b 01 00 00"));
}

#[test]
fn b103_timeouts_that_are_not_told_are_zero() {
    assert_eq!(parse_timeouts(&told(SET_CONFIG, |_| {})), Ok(Timeouts::default()));
    let udp = told(SET_CONFIG, |body| {
        body.attribute_u32(99, 1);
        body.attribute_u32(TIMEOUT_UDP, 300);
    });
    assert_eq!(parse_timeouts(&udp), Ok(Timeouts { udp: 300, ..Timeouts::default() }));
    let short = told(SET_CONFIG, |body| body.attribute(TIMEOUT_TCP, &[1, 2]));
    assert_eq!(parse_timeouts(&short), Err(Malformed::Short("attribute")));
    assert_eq!(parse_timeouts(&told(GET_CONFIG, |_| {})), Err(Malformed::Value("IPVS command")));
    assert_eq!(parse_timeouts(&[SET_CONFIG]), Err(Malformed::Short("genlmsghdr")));
}

#[test]
fn b96_daemon_without_a_part_is_malformed() {
    let parts = |without: u16| {
        told(NEW_DAEMON, |body| {
            body.nest(DAEMON, |body| {
                for (kind, value) in [(DAEMON_STATE, 1), (DAEMON_SYNC_ID, 51)] {
                    if kind != without {
                        body.attribute_u32(kind, value);
                    }
                }
                if without != DAEMON_MCAST_IFN {
                    body.attribute(DAEMON_MCAST_IFN, b"dummy0\0");
                }
            });
        })
    };
    assert_eq!(parse_daemon(&parts(0)), Ok((DaemonRole::Master, daemon())), "a kernel before 4.3");
    for kind in [DAEMON_STATE, DAEMON_MCAST_IFN, DAEMON_SYNC_ID] {
        assert!(matches!(parse_daemon(&parts(kind)), Err(Malformed::Missing(_))), "without {kind}");
    }
    assert_eq!(parse_daemon(&told(NEW_DAEMON, |_| {})), Err(Malformed::Missing("IPVS entry")));
    let odd = |kind, value: &[u8]| {
        parse_daemon(&told(NEW_DAEMON, |body| {
            body.nest(DAEMON, |body| {
                body.attribute(kind, value);
                body.attribute_u32(DAEMON_STATE, 2);
                body.attribute_u32(DAEMON_SYNC_ID, 0x133);
                body.attribute(DAEMON_MCAST_IFN, b"dummy0\0");
            });
        }))
    };
    assert_eq!(odd(99, &[]).map(|(_, daemon)| daemon.id), Ok(0x33), "what goes over the wire");
    assert!(odd(DAEMON_STATE, &3u32.to_ne_bytes()).is_err(), "no role of ours");
    for (kind, value) in [
        (DAEMON_MCAST_GROUP, &[224, 0, 0][..]),
        (DAEMON_MCAST_GROUP6, &[0xff; 4]),
        (DAEMON_MCAST_PORT, &[1]),
        (DAEMON_MCAST_TTL, &[]),
        (DAEMON_SYNC_MAXLEN, &[1]),
    ] {
        assert_eq!(odd(kind, value), Err(Malformed::Short("attribute")), "B-76: attribute {kind}");
    }
    let long = told(NEW_DAEMON, |body| {
        body.nest(DAEMON, |body| {
            body.attribute_u32(DAEMON_STATE, 2);
            body.attribute_u32(DAEMON_SYNC_ID, 1);
            body.attribute(DAEMON_MCAST_IFN, b"0123456789abcdef");
        });
    });
    assert!(parse_daemon(&long).is_err(), "B-79: no interface has such a name");
}

#[test]
fn commands_want_their_answer() {
    for bytes in [
        emitted(|b| emit_set_timeouts(b, FAMILY_ID, 1, &Timeouts::default())),
        emitted(|b| emit_get_timeouts(b, FAMILY_ID, 1)),
        emitted(|b| emit_new_daemon(b, FAMILY_ID, 1, (DaemonRole::Master, &daemon()))),
        emitted(|b| emit_del_daemon(b, FAMILY_ID, 1, DaemonRole::Master)),
    ] {
        assert_eq!(Messages::new(&bytes).next().unwrap().unwrap().flags, 5);
    }
}
