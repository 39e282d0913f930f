//! `[static]`: what is on the box as long as the daemon runs.

use super::reader::Table;
use super::report::{At, Report};
use super::{address, route};
use crate::model::{Family, Route, Rule, VirtualAddress};

/// What `[static]` holds.
#[derive(Default)]
pub(super) struct Fixed {
    pub(super) addresses: Vec<At<VirtualAddress>>,
    pub(super) routes: Vec<At<Route>>,
    pub(super) rules: Vec<At<Rule>>,
}

/// `[static]`.
pub(super) fn fixed(mut table: Table<'_>, report: &mut Report<'_>) -> Fixed {
    let addresses = address::list(&mut table, "addresses", None, report);
    for address in addresses.iter().filter(|address| address.value.interface.is_none()) {
        let what = "a static address needs its interface";
        let hint = format!("Write {{ address = \"{}\", interface = \"eth0\" }}.", address.value.cidr);
        report.error(address.at, what, hint);
    }
    let routes = route::routes(&mut table, true, report);
    let rules = route::rules(&mut table, Family::V4, report);
    table.finish(report);
    Fixed { addresses, routes, rules }
}
