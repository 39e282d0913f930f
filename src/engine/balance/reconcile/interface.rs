//! Which of the kernel's two interfaces is used, and when another one is taken.
//!
//! The old one knows no IPv6 (IPVS-90): what of ours it could not see any more, nor remove, goes before.

use super::{Family, Reconciler};
use crate::engine::balance::table::Row;
use crate::engine::{Action, Ctx};
use crate::model::{IpvsInterface, Text, cut};

/// What is wanted, and what is in use.
#[derive(Debug, Default)]
pub(in crate::engine::balance) struct Interface {
    wanted: IpvsInterface,
    used: IpvsInterface,
}

impl Reconciler {
    /// Has the kernel talked to this way, as soon as that is possible.
    pub(in crate::engine::balance) fn want_interface(&mut self, wanted: IpvsInterface) {
        self.interface.wanted = wanted;
    }

    /// Takes the interface that is wanted, unless something has to be done by the other one before.
    pub(super) fn take_interface(&mut self, cx: &mut Ctx<'_>) {
        let Interface { wanted, used } = self.interface;
        if wanted == used || self.keeps_interface() > 0 {
            return;
        }
        self.interface.used = wanted;
        cx.actions.push(Action::UseIpvsInterface(wanted));
    }

    /// Services whose remains keep the interface that is in use.
    fn keeps_interface(&self) -> usize {
        let Interface { wanted, used } = &self.interface;
        let can_see = match &self.family {
            Family::Unneeded | Family::Resolving { .. } => true,
            Family::Absent { .. } => false,
            Family::Ready => !self.sockopt,
        };
        match (wanted, used) {
            (IpvsInterface::Sockopt, IpvsInterface::Auto | IpvsInterface::Netlink) if can_see => {
                self.rows.iter().flatten().filter(|row| leaves_ipv6(row)).count()
            }
            (IpvsInterface::Sockopt | IpvsInterface::Auto | IpvsInterface::Netlink, _) => 0,
        }
    }

    /// What is not as wanted.
    pub(in crate::engine::balance) fn interface_problem(&self) -> Option<Text> {
        let count = self.keeps_interface();
        (count > 0).then(|| {
            cut(format_args!(
                "interface = \"sockopt\" waits: {count} services of ours with IPv6 are to leave the IPVS \
                 table before, and it cannot remove them"
            ))
        })
    }
}

/// Is something of IPv6 on its way out?
fn leaves_ipv6(row: &Row) -> bool {
    let leaves = row.wanted.is_none() && row.key.is_ipv6();
    // What is wanted of the entries of a stale row is not yet known.
    let is_left = |wanted: bool| row.is_stale || !wanted;
    leaves
        || row
            .entries
            .iter()
            .any(|e| e.address.is_ipv6() && e.actual.is_there() && is_left(e.wanted.is_some()))
}
