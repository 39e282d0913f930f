//! Where a probe goes, and whence: `address`, `port`, `source`, `source_port`, `interface`, `mark`.

use crate::config::reader::Table;
use crate::config::report::{Problem, Report};
use crate::config::route::same_family;
use crate::config::values;
use crate::model::ProbeVia;
use std::net::IpAddr;

/// The keys, each on its own; whether the type has them is known to `check`.
pub(super) fn via(table: &mut Table<'_>, report: &mut Report<'_>) -> ProbeVia {
    let address = table.parsed("address", |text| end("somebody who answers", text), report);
    let port = table.number("port", 1..=65535, report).map(|port| port.value);
    let source = table.parsed("source", |text| end("an address of this box", text), report);
    let source_port = table.number("source_port", 1..=65535, report).map_or(0, |port| port.value);
    let interface = table.parsed("interface", values::interface, report).map(|read| read.value);
    let mark = table.integer("mark", 1..=u32::MAX, report).map_or(0, |mark| mark.value);
    if let (Some(address), Some(source)) = (address, source) {
        same_family("source", source, address.value, report);
    }
    for (key, end) in [("address", address), ("source", source)] {
        if let Some(end) = end.filter(|end| is_link_local(end.value) && !table.has("interface")) {
            let what = format!("`{key}`: {} is on every link, and `interface` says on which", end.value);
            report.error(end.at, what, "Add: interface = \"eth0\"");
        }
    }
    ProbeVia {
        address: address.map(|address| address.value),
        port,
        source: source.map(|source| source.value),
        source_port,
        interface,
        mark,
    }
}

/// An address that one host can have.
fn end(whose: &str, text: &str) -> Result<IpAddr, Problem> {
    let ip = values::ip(text)?;
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(Problem::new(format!("{ip} is not the address of {whose}"), ""));
    }
    Ok(ip)
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
