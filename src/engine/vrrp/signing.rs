//! The state of the HMAC trailer (PKT-50): what we sign with, and what of others was accepted last. The wall
//! clock enters here and nowhere else, because the trailer carries it.

use super::Instance;
use crate::limits;
use crate::model::{AntiReplay, Authentication, Hmac, HmacMode};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::{AuthOut, ExpectAuth, Rung, Signature, Signer};
use std::net::IpAddr;

/// The shortest default window.
const WINDOW_MIN: Duration = Duration::from_secs(5);

/// What is remembered between adverts.
#[derive(Debug, Default)]
pub(super) struct Signing {
    /// The last number that we sent: seconds, 1/65536 seconds, counter (PKT-50).
    sent: u64,
    /// The last number accepted of each sender whose signature was good. A full table: the oldest goes.
    accepted: heapless::Vec<Accepted, { limits::SIGNERS_MAX }>,
}

#[derive(Debug, Clone, Copy)]
struct Accepted {
    address: IpAddr,
    signature: Signature,
    at: Instant,
}

impl Instance {
    fn hmac(&self) -> Option<&Hmac> {
        match &self.config.authentication {
            Authentication::Hmac(hmac) => Some(hmac),
            Authentication::None | Authentication::Pass(_) => None,
        }
    }

    /// Do our adverts carry the trailer?
    pub(super) fn is_signing(&self) -> bool {
        self.hmac().is_some_and(|hmac| hmac.mode != HmacMode::ReceiveOnly)
    }

    /// Does it need to know the time of day?
    pub(in crate::engine) fn wants_clock(&self) -> bool {
        self.hmac().is_some()
    }

    fn window(&self, hmac: &Hmac) -> Duration {
        hmac.window.unwrap_or_else(|| WINDOW_MIN.max(self.config.advert_interval * 3))
    }

    /// The number of our next advert: the time, and always more than the last. A clock that was set back
    /// beyond the window begins anew, because nobody would accept the old one either.
    pub(super) fn next_number(&mut self, unix: Duration) {
        let Some(hmac) = self.hmac().filter(|hmac| hmac.mode != HmacMode::ReceiveOnly) else { return };
        let (seconds, micros) = (unix.secs(), unix.total_micros() % 1_000_000);
        let clock = ((seconds & 0xffff_ffff) << 32) | (((micros << 16) / 1_000_000) << 16);
        let last = self.signing.sent;
        let ahead = (last >> 32).saturating_sub(clock >> 32);
        let strays = hmac.anti_replay == AntiReplay::Time && ahead > self.window(hmac).secs();
        self.signing.sent = if clock > last || strays { clock } else { last.wrapping_add(1) };
    }

    /// How the advert of [`Self::next_number`] is authenticated.
    pub(super) fn auth_out(&self) -> AuthOut<'_> {
        match &self.config.authentication {
            Authentication::None => AuthOut::None,
            Authentication::Pass(pass) => AuthOut::Pass(pass.0),
            Authentication::Hmac(hmac) => match hmac.keys.get(hmac.active) {
                Some(key) if hmac.mode != HmacMode::ReceiveOnly => {
                    let number = self.signing.sent;
                    AuthOut::Hmac(Signer {
                        key,
                        seconds: (number >> 32) as u32,
                        subseconds: (number >> 16) as u16,
                        counter: number as u16,
                    })
                }
                Some(_) | None => AuthOut::None,
            },
        }
    }

    /// What is wanted of the adverts of others.
    pub(super) fn expect_auth(&self) -> ExpectAuth<'_> {
        match &self.config.authentication {
            Authentication::None => ExpectAuth::None,
            Authentication::Pass(pass) => ExpectAuth::Pass(pass.0),
            Authentication::Hmac(hmac) => {
                ExpectAuth::Hmac { keys: &hmac.keys, is_strict: hmac.mode == HmacMode::Enforce }
            }
        }
    }

    /// Is a good signature also a fresh one? It is remembered if so.
    pub(super) fn check_fresh(
        &mut self,
        now: Instant,
        unix: Duration,
        address: IpAddr,
        signature: Signature,
    ) -> Result<(), Rung> {
        let Some(hmac) = self.hmac() else { return Ok(()) };
        let window = self.window(hmac).secs();
        let clock = unix.secs() as u32;
        let is_stale = |signature: &Signature| u64::from(signature.seconds_from(clock)) > window;
        let by_time = hmac.anti_replay == AntiReplay::Time;
        if by_time && is_stale(&signature) {
            return Err(Rung::HmacStale);
        }
        let list = &mut self.signing.accepted;
        if let Some(last) = list.iter_mut().find(|a| a.address == address) {
            // A last one outside the window only orders packets that the window rejects already: without
            // this a sender whose clock was set back would be shut out.
            let counts = !by_time || !is_stale(&last.signature);
            if counts && !signature.is_after(last.signature.sequence) {
                return Err(Rung::HmacReplay);
            }
            (last.signature, last.at) = (signature, now);
            return Ok(());
        }
        if list.is_full() {
            let oldest = list.iter().enumerate().min_by_key(|(_, a)| a.at).map(|(at, _)| at);
            if let Some(at) = oldest {
                list.swap_remove(at);
            }
        }
        let _ = list.push(Accepted { address, signature, at: now });
        Ok(())
    }
}
