//! The way out: whole frames, or IP packets, into the caller's buffer.

use super::super::{checksum, ip, ipv4, ipv6};
use super::hmac::{Signer, TRAILER_LEN};
use super::{
    AUTH_NONE, AUTH_PASS, CENTISECONDS_MAX, ChecksumForm, Family, TYPE_ADVERT, Version, checksum_coverage,
};
use crate::limits;
use crate::time::Duration;
use std::net::IpAddr;

/// An advert to send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AdvertOut<'a> {
    /// Protocol version; IPv6 has version 3 alone.
    pub version: Version,
    /// Family of the IP header, and so of the addresses (PKT-12).
    pub family: Family,
    /// Virtual router id.
    pub vrid: u8,
    /// Our priority; 0 resigns.
    pub priority: u8,
    /// Our interval. v2: cut to whole seconds, 1..=255; v3: to centiseconds, 1..=4095.
    pub interval: Duration,
    /// How it is authenticated.
    pub auth: AuthOut<'a>,
    /// In the order of the configuration (PKT-15); those of the other family are skipped. More than
    /// [`limits::ADVERT_ADDRESSES_MAX`]: the rest is not sent (PKT-27). The MTU is the caller's care:
    /// [`max_addresses`].
    pub addresses: &'a [IpAddr],
    /// v3 over IPv4: what the checksum covers. Ignored for v2 (PKT-2) and IPv6 (PKT-30).
    pub checksum_form: ChecksumForm,
}

/// How an advert is authenticated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AuthOut<'a> {
    /// Not at all.
    None,
    /// v2: the password, padded with zeros (PKT-4). Ignored for v3.
    Pass([u8; 8]),
    /// By keepalived's trailer (PKT-50).
    Hmac(Signer<'a>),
}

/// How many addresses fit into an advert on a link of that MTU in bytes (PKT-26). keepalived takes the
/// Ethernet header off the MTU as well; so do we, to stay at or below its figure.
pub fn max_addresses(version: Version, family: Family, mtu: u32, is_hmac: bool) -> usize {
    let trailer_len = if is_hmac { TRAILER_LEN } else { 0 };
    let overhead = ip::ETHERNET_LEN + header_len(family) + version.message_len(family, 0) + trailer_len;
    let room = usize::try_from(mtu).unwrap_or(usize::MAX).saturating_sub(overhead);
    (room / family.address_len()).min(limits::ADVERT_ADDRESSES_MAX)
}

impl AdvertOut<'_> {
    /// Bytes that [`AdvertOut::emit_frame`] writes.
    pub fn frame_len(&self) -> usize {
        ip::ETHERNET_LEN + self.packet_len()
    }

    /// Bytes that [`AdvertOut::emit_packet`] writes.
    pub fn packet_len(&self) -> usize {
        header_len(self.family) + self.message_len() + self.trailer_len()
    }

    /// Writes the whole Ethernet frame to a multicast group to the head of `buf`, with a TTL or hop limit of
    /// 255 (PKT-20). `ip_id` grows by one for each advert (PKT-23); IPv6 has none. A buffer shorter than
    /// [`AdvertOut::frame_len`] or an address of the other family is a mistake of the caller: `buf` stays as
    /// it is.
    pub fn emit_frame(&self, source_mac: [u8; 6], source: IpAddr, group: IpAddr, ip_id: u16, buf: &mut [u8]) {
        let frame = buf.get_mut(..self.frame_len()).filter(|_| self.is_own_family(source, group));
        let Some((ethernet, packet)) = frame.and_then(|f| f.split_first_chunk_mut()) else {
            debug_assert!(false, "buffer is shorter than frame_len(), or families differ");
            return;
        };
        *ethernet = ip::ethernet(source_mac, group);
        self.emit_packet(source, group, ip::HOPS, ip_id, packet);
    }

    /// Writes an IP packet with its header to the head of `buf`, for a peer with an address of its own: the
    /// checksum covers that address where it covers any (PKT-38, INT-19). As [`AdvertOut::emit_frame`] for
    /// the rest.
    pub fn emit_packet(&self, source: IpAddr, destination: IpAddr, hops: u8, ip_id: u16, buf: &mut [u8]) {
        let payload_len = (self.message_len() + self.trailer_len()) as u16;
        let packet = buf.get_mut(..self.packet_len());
        let parts = packet.and_then(|p| p.split_at_mut_checked(header_len(self.family)));
        let Some((header, payload)) = parts.filter(|_| self.is_own_family(source, destination)) else {
            debug_assert!(false, "buffer is shorter than packet_len(), or families differ");
            return;
        };
        match (source, destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                copy(header, ipv4::header(from, to, hops, ip_id, payload_len));
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                copy(header, ipv6::header(from, to, hops, ip::PROTOCOL, payload_len));
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
        let Some((message, trailer)) = payload.split_at_mut_checked(self.message_len()) else { return };
        self.emit_message(message);
        if let AuthOut::Hmac(signer) = &self.auth {
            // Its code takes the checksum for zero, so the checksum can come last.
            copy(trailer, signer.trailer(source, message));
        }
        let covered = checksum_coverage(self.family, message.len(), payload.len());
        let pseudo_header = match (self.version, self.family, self.checksum_form) {
            (Version::V3, Family::V6, ChecksumForm::PseudoHeader | ChecksumForm::MessageOnly)
            | (Version::V3, Family::V4, ChecksumForm::PseudoHeader) => {
                checksum::pseudo_header(source, destination, ip::PROTOCOL, covered as u16)
            }
            (Version::V3, Family::V4, ChecksumForm::MessageOnly)
            | (
                Version::V2,
                Family::V4 | Family::V6,
                ChecksumForm::PseudoHeader | ChecksumForm::MessageOnly,
            ) => 0,
        };
        let sum = checksum::sum(pseudo_header, payload.get(..covered).unwrap_or_default());
        copy(payload.get_mut(6..8).unwrap_or_default(), checksum::finish(sum).to_be_bytes());
    }

    /// Writes the message, which fills `message` exactly, with a checksum of zero.
    fn emit_message(&self, message: &mut [u8]) {
        let [fifth, sixth] = self.fifth_and_sixth();
        let version_type = self.version.number() << 4 | TYPE_ADVERT;
        let fixed = [version_type, self.vrid, self.priority, self.count(), fifth, sixth, 0, 0];
        let (head, rest) = message.split_at_mut(fixed.len().min(message.len()));
        copy(head, fixed);
        let (list, data) = rest.split_at_mut(rest.len().saturating_sub(self.version.trailer_len()));
        for (to, address) in list.chunks_mut(self.family.address_len()).zip(self.listed()) {
            match address {
                IpAddr::V4(address) => copy(to, address.octets()),
                IpAddr::V6(address) => copy(to, address.octets()),
            }
        }
        copy(
            data,
            match self.auth {
                AuthOut::Pass(password) => password,
                AuthOut::None | AuthOut::Hmac(_) => [0; 8],
            },
        );
    }

    /// v2: authentication type and seconds; v3: reserved nibble, zero, and centiseconds (PKT-10).
    fn fifth_and_sixth(&self) -> [u8; 2] {
        match self.version {
            Version::V2 => {
                let auth_type = match self.auth {
                    AuthOut::Pass(_) => AUTH_PASS,
                    AuthOut::None | AuthOut::Hmac(_) => AUTH_NONE,
                };
                [auth_type, self.interval.secs().clamp(1, 255) as u8]
            }
            Version::V3 => {
                let centiseconds = self.interval.total_millis() / 10;
                (centiseconds.clamp(1, u64::from(CENTISECONDS_MAX)) as u16).to_be_bytes()
            }
        }
    }

    /// The addresses in the packet.
    fn listed(&self) -> impl Iterator<Item = IpAddr> {
        let of_family = self.addresses.iter().copied().filter(|a| Family::of(*a) == self.family);
        of_family.take(limits::ADVERT_ADDRESSES_MAX)
    }

    /// How many they are.
    fn count(&self) -> u8 {
        self.listed().count() as u8
    }

    fn message_len(&self) -> usize {
        self.version.message_len(self.family, self.count())
    }

    /// Bytes behind the message.
    fn trailer_len(&self) -> usize {
        match self.auth {
            AuthOut::None | AuthOut::Pass(_) => 0,
            AuthOut::Hmac(_) => TRAILER_LEN,
        }
    }

    fn is_own_family(&self, source: IpAddr, destination: IpAddr) -> bool {
        Family::of(source) == self.family && Family::of(destination) == self.family
    }
}

/// IP header without options, in bytes.
const fn header_len(family: Family) -> usize {
    match family {
        Family::V4 => ipv4::HEADER_LEN,
        Family::V6 => ipv6::HEADER_LEN,
    }
}

/// Writes as much as there is, and as fits.
fn copy<const N: usize>(to: &mut [u8], from: [u8; N]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{ALL, FRAMES, Golden, bytes};
    use super::super::{Expect, ExpectAuth, HmacKey, check, open};
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[test]
    fn golden_vectors_are_emitted() {
        for golden in &ALL {
            let advert = golden.advert();
            let mut buf = vec![0xaa; advert.frame_len()];
            advert.emit_frame(MAC, golden.source, golden.destination, 1, &mut buf);
            let at = 14 + header_len(golden.family());
            assert_eq!(buf[at..], bytes(golden.message), "PKT-1, PKT-2, PKT-30: {}", golden.name);
            let mut packet = vec![0xaa; advert.packet_len() + 1];
            advert.emit_packet(golden.source, golden.destination, 255, 1, &mut packet);
            assert_eq!(
                packet[..buf.len() - 14],
                buf[14..],
                "{}: a packet is a frame without MACs",
                golden.name
            );
            assert_eq!(packet.last(), Some(&0xaa), "{}: nothing is written behind it", golden.name);
        }
    }

    #[test]
    fn frames_are_those_of_keepalived() {
        for (golden, id, headers) in &FRAMES {
            let advert = golden.advert();
            let mut buf = vec![0xaa; advert.frame_len() + 1];
            advert.emit_frame(MAC, golden.source, golden.destination, *id, &mut buf);
            let wanted = [bytes(headers), bytes(golden.message), vec![0xaa]].concat();
            assert_eq!(
                buf, wanted,
                "{}: G11 and keepalived's captures with their ids (PKT-23), nothing behind",
                golden.name
            );
        }
    }

    #[test]
    fn values_out_of_range_are_cut_to_what_the_field_holds() {
        let base = ALL[0].advert();
        let fields = |version, millis| {
            AdvertOut { version, interval: Duration::from_millis(millis), ..base }.fifth_and_sixth()
        };
        assert_eq!(fields(Version::V2, 0), [0, 1], "v2: an interval of 0 is not valid (B-47)");
        assert_eq!(fields(Version::V2, 255_999), [0, 255], "v2: 255 s at most");
        assert_eq!(fields(Version::V2, 256_000), [0, 255], "v2: no wrap");
        assert_eq!(fields(Version::V3, 0), [0, 1], "v3: an interval of 0 is not valid (PKT-11)");
        assert_eq!(fields(Version::V3, 1_239), [0, 123], "v3: centiseconds");
        assert_eq!(
            fields(Version::V3, 655_370),
            [0x0f, 0xff],
            "v3: 4095 at most, reserved nibble zero (PKT-10)"
        );
    }

    fn v4(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    fn v6(n: u32) -> IpAddr {
        Ipv6Addr::from(0xfe80 << 112 | u128::from(n)).into()
    }

    #[test]
    fn pkt_26_the_longest_advert_is_whole_and_the_rest_is_left_out() {
        for golden in &ALL {
            let make = if golden.family() == Family::V4 { v4 } else { v6 };
            let addresses: Vec<_> = (0..300).map(make).collect();
            let advert = AdvertOut { addresses: &addresses, ..golden.advert() };
            let mut buf = vec![0; advert.frame_len()];
            advert.emit_frame(MAC, golden.source, golden.destination, 7, &mut buf);
            let received = open(&buf).and_then(|e| check(&e, &golden.expect())).expect("B-66: accepted");
            assert!(received.addresses().eq(addresses.iter().copied().take(255)), "PKT-27: 255, in order");
        }
    }

    #[test]
    fn pkt_12_addresses_of_the_other_family_are_left_out() {
        let addresses = [v6(1), v4(1), v6(2), v4(2), v6(3)];
        for golden in &ALL {
            let advert = AdvertOut { addresses: &addresses, ..golden.advert() };
            let mut buf = vec![0; advert.frame_len()];
            advert.emit_frame(MAC, golden.source, golden.destination, 7, &mut buf);
            let received = open(&buf).and_then(|e| check(&e, &golden.expect())).expect(golden.name);
            let wanted = addresses.into_iter().filter(|a| Family::of(*a) == golden.family());
            assert!(received.addresses().eq(wanted), "{}: PKT-12", golden.name);
        }
    }

    fn base(version: Version, family: Family) -> &'static Golden {
        ALL.iter().find(|g| (g.version, g.family()) == (version, family)).unwrap()
    }

    #[test]
    fn pkt_26_what_fits_the_mtu() {
        let at_1500 = |version, family| max_addresses(version, family, 1500, true);
        assert_eq!(at_1500(Version::V2, Family::V4), 255, "the field is the limit");
        assert_eq!(at_1500(Version::V3, Family::V4), 255, "the field is the limit");
        assert_eq!(max_addresses(Version::V3, Family::V6, 1500, false), 89, "keepalived's figure");
        let key = HmacKey { id: 0, secret: heapless::Vec::new() };
        let signer = Signer { key: &key, seconds: 0, subseconds: 0, counter: 0 };
        for (version, family, address) in [
            (Version::V2, Family::V4, v4(0)),
            (Version::V3, Family::V4, v4(0)),
            (Version::V3, Family::V6, v6(0)),
        ] {
            for (auth, is_hmac) in [(AuthOut::None, false), (AuthOut::Hmac(signer), true)] {
                for mtu in [0, 41, 50, 54, 58, 68, 96, 296, 576, 1000] {
                    let addresses = vec![address; max_addresses(version, family, mtu, is_hmac)];
                    let advert = base(version, family).advert();
                    let len = AdvertOut { addresses: &addresses, auth, ..advert }.frame_len();
                    let what = format!("v{version}, {family:?}, {is_hmac}, MTU {mtu}: frame of {len}");
                    assert!(addresses.is_empty() || len <= mtu as usize, "{what}");
                    assert!(len + family.address_len() > mtu as usize, "{what}: one more would fit");
                }
            }
        }
    }

    #[test]
    fn int_19_pkt_38_the_checksum_of_unicast_covers_the_real_destination() {
        let g6 = ALL.iter().find(|g| g.name == "G6").unwrap();
        let advert = g6.advert();
        let mut packet = vec![0; advert.packet_len()];
        advert.emit_packet(g6.source, g6.destination, 64, 9, &mut packet);
        assert_eq!(packet[20..], bytes(g6.message), "G6: keepalived's own");
        assert_eq!((packet[1], packet[8]), (0xc0, 64), "PKT-22, INT-18: CS6, and the TTL that was asked for");
        let frame = [bytes("000000000000 000000000000 0800"), packet].concat();
        let to = |hops| Expect { hops, ..g6.expect() };
        let envelope = open(&frame).expect("a device without MACs");
        assert_eq!(check(&envelope, &to((255, 255))).err(), Some(super::super::Rung::Ttl), "RX-7");
        assert!(check(&envelope, &to((64, 64))).is_ok(), "RX-7: the range of the peer");
        assert!(check(&envelope, &to((0, 255))).is_ok(), "RX-7: any, by default");
    }

    #[test]
    fn pkt_50_signed_adverts_come_back() {
        let key = HmacKey { id: 7, secret: (0..64).collect() };
        let signer = Signer { key: &key, seconds: 1_700_000_000, subseconds: 1, counter: 2 };
        for golden in ALL.iter().filter(|g| g.auth.is_none()) {
            let advert = AdvertOut { auth: AuthOut::Hmac(signer), ..golden.advert() };
            let mut buf = vec![0; advert.frame_len()];
            advert.emit_frame(MAC, golden.source, golden.destination, 3, &mut buf);
            let authentication = ExpectAuth::Hmac { keys: core::slice::from_ref(&key), is_strict: true };
            let expect = Expect { authentication, ..golden.expect() };
            let received = open(&buf).and_then(|e| check(&e, &expect)).expect(golden.name);
            let signature = received.signature.expect("signed");
            assert_eq!((signature.key_id, signature.seconds), (7, 1_700_000_000), "{}", golden.name);
            assert_eq!(
                signature.sequence,
                1_700_000_000 << 32 | 1 << 16 | 2,
                "{}: sec:subsec:ctr",
                golden.name
            );
            let plain = open(&buf).and_then(|e| check(&e, &golden.expect())).err();
            assert_eq!(plain, Some(super::super::Rung::Length), "{}: PKT-51", golden.name);
        }
    }

    /// keepalived leaves the checksum of IPv6 to the kernel, which covers the whole payload with it.
    #[test]
    fn pkt_50_over_ipv6_the_checksum_covers_the_trailer() {
        let key = HmacKey { id: 7, secret: (0..32).collect() };
        let signer = Signer { key: &key, seconds: 1_700_000_000, subseconds: 1, counter: 2 };
        let covered = |golden: &Golden, with_trailer: bool| {
            let form = ChecksumForm::PseudoHeader;
            let advert = AdvertOut { auth: AuthOut::Hmac(signer), checksum_form: form, ..golden.advert() };
            let mut packet = vec![0; advert.packet_len()];
            advert.emit_packet(golden.source, golden.destination, 255, 3, &mut packet);
            let payload = &packet[header_len(golden.family())..];
            let part = if with_trailer { payload } else { &payload[..payload.len() - TRAILER_LEN] };
            let start =
                checksum::pseudo_header(golden.source, golden.destination, ip::PROTOCOL, part.len() as u16);
            checksum::is_valid(checksum::sum(start, part))
        };
        let v6 = base(Version::V3, Family::V6);
        assert_eq!((covered(v6, true), covered(v6, false)), (true, false), "IPv6: inside");
        let v4 = base(Version::V3, Family::V4);
        assert_eq!((covered(v4, true), covered(v4, false)), (false, true), "IPv4: outside");
    }

    #[test]
    fn a_short_buffer_or_a_wrong_family_leaves_it_alone() {
        let golden = &ALL[0];
        let advert = golden.advert();
        let untouched = |write: &dyn Fn(&mut [u8])| {
            let mut buf = vec![0xaa; advert.frame_len()];
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(&mut buf)));
            (done.is_err() == cfg!(debug_assertions), buf.iter().all(|b| *b == 0xaa))
        };
        let short = untouched(&|b| advert.emit_packet(golden.source, golden.destination, 1, 1, &mut b[..20]));
        assert_eq!(short, (true, true), "a caller's mistake is told in debug builds, and writes nothing");
        let mixed = untouched(&|b| advert.emit_packet(v6(1), golden.destination, 1, 1, b));
        assert_eq!(mixed, (true, true), "PKT-12: no IPv4 message in an IPv6 packet");
    }

    #[test]
    fn every_form_and_version_comes_back() {
        for golden in &ALL {
            for checksum_form in [ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly] {
                let advert = AdvertOut { checksum_form, ..golden.advert() };
                let mut buf = vec![0; advert.frame_len()];
                advert.emit_frame(MAC, golden.source, golden.destination, 0xffff, &mut buf);
                let received = open(&buf).and_then(|e| check(&e, &golden.expect())).expect(golden.name);
                let wanted = match (golden.version, golden.family()) {
                    (Version::V2, _) => ChecksumForm::MessageOnly,
                    (Version::V3, Family::V4) => checksum_form,
                    (Version::V3, Family::V6) => ChecksumForm::PseudoHeader,
                };
                assert_eq!(received.checksum_form, wanted, "{}: PKT-35, PKT-36", golden.name);
            }
        }
    }
}
