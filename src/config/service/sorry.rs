//! `sorry`: where clients go when the quorum is lost.

use super::front::Face;
use super::method::{method, reachable};
use crate::config::reader::Value;
use crate::config::report::{At, Report};
use crate::config::values;
use crate::model::{Method, Sorry};
use toml::de::DeValue;

/// `"IP:port"`, or `{ address, forward, tunnel, inhibit }`. The place is that of the address.
pub(super) fn sorry(
    value: Value<'_>,
    face: &Face,
    default: Method,
    report: &mut Report<'_>,
) -> Option<At<Sorry>> {
    let (own, example) = match face.port() {
        Some(port) => (None, port),
        None => (Some(0), 0),
    };
    let read = |text: &str| values::socket(text, own, example);
    let (address, method, inhibit) = match value.value {
        DeValue::Table(_) => {
            let mut table = value.table("sorry", report)?;
            let address = table.parsed("address", read, report);
            table.require("address", "address = \"127.0.0.1:80\"");
            let method = method(&mut table, default, report);
            let inhibit = table.flag("inhibit", false, report);
            table.finish(report);
            (address?, method, inhibit)
        }
        _ => (value.parsed(read, report)?, default, false),
    };
    reachable("sorry", address, method.forward, face, report);
    Some(address.map(|address| Sorry { address, method, inhibit }))
}
