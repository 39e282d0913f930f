//! The way out: whole frames into the caller's buffer.

use super::super::{checksum, ipv4};
use super::{AUTH_LEN, AUTH_NONE, AUTH_PASS, CENTISECONDS_MAX, ChecksumForm, TYPE_ADVERT, Version};
use crate::limits;
use crate::time::Duration;
use std::net::Ipv4Addr;

/// An advert to send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AdvertOut<'a> {
    /// Protocol version.
    pub version: Version,
    /// Virtual router id.
    pub vrid: u8,
    /// Our priority; 0 resigns.
    pub priority: u8,
    /// Our interval. v2: cut to whole seconds, 1..=255; v3: to centiseconds, 1..=4095.
    pub interval: Duration,
    /// v2: the password, padded with zeros (PKT-4). Ignored for v3.
    pub auth: Option<[u8; 8]>,
    /// In the order of the configuration (PKT-15). More than [`limits::ADVERT_ADDRESSES_MAX`]: the rest is
    /// not sent (PKT-27). The MTU is the caller's care: [`max_addresses`].
    pub addresses: &'a [Ipv4Addr],
    /// v3: what the checksum covers. Ignored for v2 (PKT-2).
    pub checksum_form: ChecksumForm,
}

/// How many addresses fit into an advert on a link of that MTU in bytes (PKT-26). keepalived takes the
/// Ethernet header off the MTU as well; so do we, to stay at or below its figure.
pub fn max_addresses(version: Version, mtu: u32) -> usize {
    let overhead = ipv4::HEADERS_LEN + version.message_len(0);
    let room = usize::try_from(mtu).unwrap_or(usize::MAX).saturating_sub(overhead);
    (room / 4).min(limits::ADVERT_ADDRESSES_MAX)
}

impl AdvertOut<'_> {
    /// Bytes that [`AdvertOut::emit_frame`] writes.
    pub fn frame_len(&self) -> usize {
        ipv4::HEADERS_LEN + self.version.message_len(self.count())
    }

    /// Writes the whole Ethernet frame to the head of `buf`. `ip_id` grows by one for each advert (PKT-23).
    /// A buffer shorter than [`AdvertOut::frame_len`] is a mistake of the caller and stays as it is.
    pub fn emit_frame(
        &self,
        source_mac: [u8; 6],
        source: Ipv4Addr,
        group: Ipv4Addr,
        ip_id: u16,
        buf: &mut [u8],
    ) {
        let frame = buf.get_mut(..self.frame_len());
        let Some((headers, message)) = frame.and_then(|f| f.split_first_chunk_mut()) else {
            debug_assert!(false, "buffer is shorter than frame_len()");
            return;
        };
        let message_len = self.version.message_len(self.count()) as u16;
        *headers = ipv4::emit_headers(source_mac, source, group, ip_id, message_len);
        let pseudo_header = match (self.version, self.checksum_form) {
            (Version::V3, ChecksumForm::PseudoHeader) => {
                checksum::pseudo_header(source, group, ipv4::PROTOCOL, message_len)
            }
            (Version::V3, ChecksumForm::MessageOnly)
            | (Version::V2, ChecksumForm::PseudoHeader | ChecksumForm::MessageOnly) => 0,
        };
        self.emit_message(pseudo_header, message);
    }

    /// Writes the message, which fills `message` exactly. `pseudo_header` is the sum that the checksum starts
    /// with.
    fn emit_message(&self, pseudo_header: u16, message: &mut [u8]) {
        let [fifth, sixth] = self.fifth_and_sixth();
        let version_type = self.version.number() << 4 | TYPE_ADVERT;
        let fixed = [version_type, self.vrid, self.priority, self.count(), fifth, sixth, 0, 0];
        let trailer = match self.version {
            Version::V2 => self.auth.unwrap_or_default(),
            Version::V3 => [0; AUTH_LEN],
        };
        let octets = self.addresses.iter().take(usize::from(self.count())).flat_map(|a| a.octets());
        let bytes = fixed.into_iter().chain(octets).chain(trailer);
        // v3 has no trailer: its message ends first.
        for (to, from) in message.iter_mut().zip(bytes) {
            *to = from;
        }
        let [c0, c1] = checksum::finish(checksum::sum(pseudo_header, message)).to_be_bytes();
        if let [_, _, _, _, _, _, high, low, ..] = message {
            (*high, *low) = (c0, c1);
        }
    }

    /// v2: authentication type and seconds; v3: reserved nibble, zero, and centiseconds (PKT-10).
    fn fifth_and_sixth(&self) -> [u8; 2] {
        match self.version {
            Version::V2 => {
                let auth_type = if self.auth.is_some() { AUTH_PASS } else { AUTH_NONE };
                [auth_type, self.interval.secs().clamp(1, 255) as u8]
            }
            Version::V3 => {
                let centiseconds = self.interval.total_millis() / 10;
                (centiseconds.clamp(1, u64::from(CENTISECONDS_MAX)) as u16).to_be_bytes()
            }
        }
    }

    /// Addresses in the packet.
    fn count(&self) -> u8 {
        self.addresses.len().min(limits::ADVERT_ADDRESSES_MAX) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{ALL, FRAMES, bytes};
    use super::super::{GROUP, check, open};
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[test]
    fn golden_vectors_are_emitted() {
        for golden in &ALL {
            let advert = golden.advert();
            let mut buf = vec![0xaa; advert.frame_len()];
            advert.emit_frame(MAC, golden.source, golden.destination, 1, &mut buf);
            assert_eq!(buf[ipv4::HEADERS_LEN..], bytes(golden.message), "{}", golden.name);
        }
    }

    #[test]
    fn frames_are_those_of_keepalived() {
        for (golden, id, headers) in &FRAMES {
            let advert = golden.advert();
            let mut buf = vec![0xaa; advert.frame_len() + 1];
            advert.emit_frame(MAC, golden.source, golden.destination, *id, &mut buf);
            let wanted = [bytes(headers), bytes(golden.message), vec![0xaa]].concat();
            assert_eq!(buf, wanted, "{}: G11 and keepalived's captures, and nothing behind", golden.name);
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

    #[test]
    fn pkt_26_the_longest_advert_is_whole_and_the_rest_is_left_out() {
        let addresses: Vec<_> = (0..300u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n)).collect();
        for golden in [&ALL[0], &ALL[4]] {
            let advert = AdvertOut { addresses: &addresses, ..golden.advert() };
            let mut buf = vec![0; advert.frame_len()];
            advert.emit_frame(MAC, golden.source, GROUP, 7, &mut buf);
            let received = open(&buf).and_then(|e| check(&e, &golden.expect())).expect("B-66: accepted");
            assert!(received.addresses().eq(addresses.iter().copied().take(255)), "PKT-27: 255, in order");
        }
    }

    #[test]
    fn pkt_26_what_fits_the_mtu() {
        assert_eq!(max_addresses(Version::V2, 1500), 255, "the field is the limit");
        assert_eq!(max_addresses(Version::V3, 1500), 255, "the field is the limit");
        for (version, base) in [(Version::V2, &ALL[0]), (Version::V3, &ALL[3])] {
            for mtu in [0, 41, 50, 54, 58, 68, 296, 576, 1000] {
                let addresses = vec![Ipv4Addr::LOCALHOST; max_addresses(version, mtu)];
                let len = AdvertOut { addresses: &addresses, ..base.advert() }.frame_len();
                assert!(addresses.is_empty() || len <= mtu as usize, "v{version}, MTU {mtu}: frame of {len}");
                assert!(len + 4 > mtu as usize, "v{version}, MTU {mtu}: one more would fit");
            }
        }
    }

    #[test]
    fn every_form_and_version_comes_back() {
        for golden in &ALL {
            for checksum_form in [ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly] {
                let advert = AdvertOut { checksum_form, ..golden.advert() };
                let mut buf = vec![0; advert.frame_len()];
                advert.emit_frame(MAC, golden.source, golden.destination, 0xffff, &mut buf);
                let received = open(&buf).and_then(|e| check(&e, &golden.expect())).expect(golden.name);
                let wanted = match golden.version {
                    Version::V2 => ChecksumForm::MessageOnly,
                    Version::V3 => checksum_form,
                };
                assert_eq!(received.checksum_form, wanted, "{}: PKT-35, PKT-36", golden.name);
            }
        }
    }
}
