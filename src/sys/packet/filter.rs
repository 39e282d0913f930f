//! The filter of a listening socket (SOCK-12 to SOCK-15), in the classic BPF that every kernel has.

use crate::wire::ip::PROTOCOL;
use crate::wire::vrrp::Family;

/// IP protocol number of the Authentication Header: adverts of a peer with `auth_type AH`, which the engine
/// answers with advice.
const AUTHENTICATION_HEADER: u32 = 51;
/// Bytes of an Ethernet header.
const ETHERNET_LEN: u32 = 14;

const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Instructions, at most.
pub(super) type Program = heapless::Vec<libc::sock_filter, 16>;

/// Untagged (SOCK-12), for us and not our own (SOCK-13), IPv4 of protocol 112 or multicast AH, or IPv6 of
/// next header 112 (SOCK-14). `has_header`: what is filtered begins with an Ethernet header; otherwise with
/// the IP header (SOCK-15). The socket is bound to the ethertype; where there is a header, it is looked at
/// once more.
pub(super) fn program(family: Family, has_header: bool) -> Program {
    let network = if has_header { ETHERNET_LEN } else { 0 };
    let mut steps = Steps(Program::new());
    steps.load(LOAD_WORD, ancillary(libc::SKF_AD_VLAN_TAG_PRESENT));
    steps.demand(0);
    steps.load(LOAD_WORD, ancillary(libc::SKF_AD_PKTTYPE));
    steps.refuse(u32::from(libc::PACKET_OUTGOING));
    // Of a VLAN that nobody has here: by now the kernel has taken the tag away, and this is all that is left
    // of it (`__netif_receive_skb_core`). Also what a promiscuous interface picked up.
    steps.refuse(u32::from(libc::PACKET_OTHERHOST));
    let (ethertype, protocol_at) = match family {
        Family::V4 => (libc::ETH_P_IP, 9),
        Family::V6 => (libc::ETH_P_IPV6, 6),
    };
    if has_header {
        steps.load(LOAD_HALF, 12);
        steps.demand(ethertype as u32);
    }
    steps.load(LOAD_BYTE, network + protocol_at);
    match family {
        Family::V4 => {
            steps.accept(u32::from(PROTOCOL));
            steps.demand(AUTHENTICATION_HEADER);
            // Unicast AH is IPsec, and none of our business.
            steps.load(LOAD_BYTE, network + 16);
            steps.load(AND, 0xf0);
            steps.demand(0xe0);
        }
        Family::V6 => steps.demand(u32::from(PROTOCOL)),
    }
    steps.finish()
}

/// Takes nothing: for a socket that only sends.
pub(super) fn nothing() -> Program {
    let mut program = Program::new();
    let _ = program.push(instruction(RETURN, 0, 0, 0));
    program
}

fn ancillary(what: libc::c_int) -> u32 {
    (libc::SKF_AD_OFF + what) as u32
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Where a jump goes that is not known yet; no program is so long.
const TO_ACCEPT: u8 = 254;
const TO_DROP: u8 = 255;

/// Steps that say "accept" and "drop" before these places are known.
struct Steps(Program);

impl Steps {
    fn push(&mut self, step: libc::sock_filter) {
        // The longest program has 14 steps; one that lacked its end would be refused by the kernel.
        let _ = self.0.push(step);
    }

    fn load(&mut self, code: u32, k: u32) {
        self.push(instruction(code, 0, 0, k));
    }

    fn demand(&mut self, k: u32) {
        self.push(instruction(IF_EQUAL, 0, TO_DROP, k));
    }

    fn refuse(&mut self, k: u32) {
        self.push(instruction(IF_EQUAL, TO_DROP, 0, k));
    }

    fn accept(&mut self, k: u32) {
        self.push(instruction(IF_EQUAL, TO_ACCEPT, 0, k));
    }

    fn finish(mut self) -> Program {
        self.push(instruction(RETURN, 0, 0, u32::MAX));
        self.push(instruction(RETURN, 0, 0, 0));
        let len = self.0.len();
        for (at, step) in self.0.iter_mut().enumerate() {
            // A jump counts from the next instruction.
            let (accept, drop) =
                ((len - 2).saturating_sub(at + 1) as u8, (len - 1).saturating_sub(at + 1) as u8);
            for jump in [&mut step.jt, &mut step.jf] {
                match *jump {
                    TO_ACCEPT => *jump = accept,
                    TO_DROP => *jump = drop,
                    _ => {}
                }
            }
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with a program.
    fn passes(program: &Program, frame: &[u8], tagged: bool, kind: u8) -> bool {
        let (mut a, mut at) = (0u32, 0usize);
        for _ in 0..program.len() {
            let step = program[at];
            at += 1;
            let byte = |i: usize| frame.get(i).copied().map(u32::from);
            match u32::from(step.code) {
                LOAD_WORD if step.k == ancillary(libc::SKF_AD_VLAN_TAG_PRESENT) => a = u32::from(tagged),
                LOAD_WORD if step.k == ancillary(libc::SKF_AD_PKTTYPE) => a = u32::from(kind),
                LOAD_HALF => match (byte(step.k as usize), byte(step.k as usize + 1)) {
                    (Some(high), Some(low)) => a = high << 8 | low,
                    _ => return false,
                },
                LOAD_BYTE => match byte(step.k as usize) {
                    Some(value) => a = value,
                    None => return false,
                },
                AND => a &= step.k,
                IF_EQUAL => at += usize::from(if a == step.k { step.jt } else { step.jf }),
                RETURN => return step.k > 0,
                other => panic!("not an instruction of ours: {other:#x}"),
            }
        }
        panic!("the program has no end");
    }

    fn ipv4(protocol: u8, destination: u8) -> Vec<u8> {
        let mut frame = vec![0; 14 + 28];
        frame[12..14].copy_from_slice(&[8, 0]);
        (frame[14 + 9], frame[14 + 16]) = (protocol, destination);
        frame
    }

    fn ipv6(next_header: u8) -> Vec<u8> {
        let mut frame = vec![0; 14 + 48];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame[14 + 6] = next_header;
        frame
    }

    #[test]
    fn sock14_passes_vrrp_of_its_family_and_multicast_ah() {
        for (frame, v4, v6) in [
            (ipv4(112, 224), true, false),
            (ipv4(112, 10), true, false),
            (ipv4(51, 224), true, false),
            (ipv4(51, 239), true, false),
            (ipv4(51, 10), false, false),
            (ipv4(51, 240), false, false),
            (ipv4(6, 224), false, false),
            (ipv6(112), false, true),
            (ipv6(51), false, false),
            (ipv4(112, 224)[..20].to_vec(), false, false),
        ] {
            for (family, want) in [(Family::V4, v4), (Family::V6, v6)] {
                assert_eq!(passes(&program(family, true), &frame, false, 0), want, "{family:?} {frame:?}");
            }
        }
        // Without a link header the ethertype has been judged by the binding.
        for (family, frame, want) in [
            (Family::V4, ipv4(112, 10), true),
            (Family::V4, ipv4(51, 10), false),
            (Family::V6, ipv6(112), true),
            (Family::V6, ipv6(17), false),
        ] {
            assert_eq!(passes(&program(family, false), &frame[14..], false, 0), want, "SOCK-15: {family:?}");
        }
    }

    #[test]
    fn sock12_sock13_drop_tagged_and_outgoing_frames() {
        for has_header in [true, false] {
            let program = program(Family::V4, has_header);
            let frame = ipv4(112, 224);
            let frame = if has_header { &frame[..] } else { &frame[14..] };
            assert!(passes(&program, frame, false, libc::PACKET_MULTICAST));
            assert!(!passes(&program, frame, true, libc::PACKET_MULTICAST), "SOCK-12: a tag in the auxdata");
            assert!(!passes(&program, frame, false, libc::PACKET_OUTGOING), "SOCK-13");
            assert!(!passes(&program, frame, false, libc::PACKET_OTHERHOST), "SOCK-12: a tag that is gone");
        }
        let mut tagged = ipv4(112, 224);
        tagged[12..14].copy_from_slice(&[0x81, 0]);
        assert!(!passes(&program(Family::V4, true), &tagged, false, 0), "SOCK-12: a tag in the frame");
    }

    #[test]
    fn a_sender_receives_nothing() {
        assert!(!passes(&nothing(), &ipv4(112, 224), false, 0));
    }
}
