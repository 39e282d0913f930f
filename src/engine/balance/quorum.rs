//! The quorum of a service, as keepalived counts it (spec/keepalived.md §2.4).
//!
//! What is up must weigh so much together; a hysteresis keeps a service near the limit from switching to and
//! fro: more is needed to gain the quorum, and less loses it only.

use crate::model;

/// What a service asks of its servers, with what can be had at most taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// The servers that are up must weigh so much together.
    pub(super) quorum: u32,
    /// So much more to gain it, so much less to lose it; below `quorum`.
    pub(super) hysteresis: u32,
}

impl Terms {
    /// Of a service: a quorum above the weight of all its servers is lowered to that, and the hysteresis
    /// stays below the quorum, as in keepalived. (That both together may never be reached is left so, too.)
    pub(super) fn of(config: &model::Service) -> Terms {
        let total: u64 = config.servers.iter().map(|server| u64::from(server.weight)).sum();
        let quorum = u64::from(config.quorum).min(total).max(1);
        let quorum = u32::try_from(quorum).unwrap_or(u32::MAX);
        Terms { quorum, hysteresis: config.hysteresis.min(quorum - 1) }
    }

    /// What is compared with the weight of those that are up while the quorum is held, or is not.
    pub(super) fn threshold(self, is_held: bool) -> u64 {
        let (quorum, hysteresis) = (u64::from(self.quorum), u64::from(self.hysteresis));
        if is_held { quorum - hysteresis } else { quorum + hysteresis }
    }

    /// Is the quorum held, now that those that are up weigh `weight`? Nobody is never enough.
    pub(super) fn is_held(self, was_held: bool, weight: u64) -> bool {
        weight > 0 && weight >= self.threshold(was_held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Forwarding, Front, Name, Protocol, Server};

    fn terms(quorum: u32, hysteresis: u32, weights: &[u32]) -> Terms {
        let address = "192.0.2.1:80".parse().unwrap();
        let server = |&weight: &u32| Server { weight, ..Server::new(address, Forwarding::Masquerade) };
        let name = Name::try_from("web").unwrap();
        let service = model::Service {
            quorum,
            hysteresis,
            servers: weights.iter().map(server).collect(),
            ..model::Service::new(name, Protocol::Tcp, Front::Mark { mark: 1, ipv6: false })
        };
        Terms::of(&service)
    }

    /// keepalived §2.4, line by line: up when S >= T, down when S == 0 or S < T, T by what it was.
    #[test]
    fn gained_at_quorum_plus_hysteresis_lost_below_quorum_minus_hysteresis() {
        for (quorum, hysteresis, rows) in [
            // (was held, weight, is held)
            (1, 0, &[(false, 0, false), (false, 1, true), (true, 1, true), (true, 0, false)][..]),
            (3, 0, &[(false, 2, false), (false, 3, true), (true, 3, true), (true, 2, false)]),
            (
                5,
                2,
                &[
                    (false, 5, false),
                    (false, 6, false),
                    (false, 7, true),
                    (true, 6, true),
                    (true, 3, true),
                    (true, 2, false),
                ],
            ),
            (2, 1, &[(true, 1, true), (true, 0, false), (false, 2, false), (false, 3, true)]),
        ] {
            let terms = terms(quorum, hysteresis, &[100]);
            for &(was_held, weight, is_held) in rows {
                let what = format!("{quorum}±{hysteresis}, held {was_held}, weight {weight}");
                assert_eq!(terms.is_held(was_held, weight), is_held, "{what}");
            }
        }
    }

    /// A quorum that cannot be reached would leave the sorry server in charge for ever.
    #[test]
    fn a_quorum_above_all_weights_is_lowered() {
        assert_eq!(terms(9, 0, &[1, 2]), Terms { quorum: 3, hysteresis: 0 });
        assert_eq!(terms(9, 8, &[1, 2]), Terms { quorum: 3, hysteresis: 2 }, "the hysteresis stays below it");
        assert_eq!(terms(2, 1, &[1, 2]), Terms { quorum: 2, hysteresis: 1 }, "one that can stays");
        let nobody = terms(1, 0, &[0, 0]);
        assert!(!nobody.is_held(false, 0) && !nobody.is_held(true, 0), "weight 0 serves nobody (HC-6)");
        assert!(terms(u32::MAX, 0, &[u32::MAX, u32::MAX]).is_held(false, u64::from(u32::MAX)), "no overflow");
    }
}
