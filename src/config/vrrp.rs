//! `[[vrrp]]`.

use super::advert::{self, family_word, is_of};
use super::reader::{Table, Value};
use super::report::{At, Problem, Report};
use super::suggest::shown;
use super::values::{self, family_of};
use super::{Context, address, auth, notify, route, track};
use crate::limits;
use crate::model::{
    Family, Garp, GarpForm, IfName, Instance, Name, Priority, Route, Rule, Supervised, TrackUse,
    VirtualAddress, VirtualMac, Vrid, virtual_mac,
};
use crate::time::Duration;
use std::net::IpAddr;
use toml::de::DeValue;

/// What could be read of an instance, for comparisons with the others.
pub(super) struct Draft {
    pub(super) name: Option<At<Name>>,
    pub(super) interface: Option<At<IfName>>,
    pub(super) vrid: Option<At<Vrid>>,
    pub(super) family: Family,
    pub(super) priority: Priority,
    /// Advertised ones and others, with the key that they stand under.
    pub(super) addresses: Vec<(&'static str, At<VirtualAddress>)>,
    pub(super) virtual_mac: Option<At<VirtualMac>>,
    pub(super) tracks: Vec<At<TrackUse>>,
    pub(super) routes: Vec<At<Route>>,
    pub(super) rules: Vec<At<Rule>>,
    /// `run_while_active`.
    pub(super) supervised: Vec<At<Supervised>>,
    /// Empty for multicast.
    pub(super) peers: Vec<IpAddr>,
    /// `None` where something that has no default could not be read.
    pub(super) instance: Option<Instance>,
}

/// `[[vrrp]]`.
pub(super) fn instance(mut table: Table<'_>, context: &Context<'_>, report: &mut Report<'_>) -> Draft {
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"VI_1\"");
    let interface = table.parsed("interface", values::interface, report);
    table.require("interface", "interface = \"eth0\"");
    let vrid = vrid(&mut table, report);
    let family = advert::family(&mut table, report);
    let version = advert::version(&mut table, family, report);
    let priority = priority(&mut table, report);
    let advert_interval = advert::interval(&mut table, version, report);
    let down_adverts = table.number("down_adverts", 1..=100, report).map_or(3, |read| read.value);
    let (preempt, preempt_delay) = preempt(&mut table, priority, report);
    let hour = Duration::from_secs(3600);
    let delay = |table: &mut Table<'_>, key, report: &mut Report<'_>| {
        table.duration(key, Duration::ZERO..=hour, report).map_or(Duration::ZERO, |read| read.value)
    };
    let start_delay = delay(&mut table, "start_delay", report);
    let settle = delay(&mut table, "settle", report);
    let down_delay = down_delay(&mut table, advert_interval, down_adverts, report);
    let authentication = auth::authentication(&mut table, version, &context.outside, report);
    let group = advert::group(&mut table, family, context, report);
    let unicast = advert::unicast(&mut table, family, report);
    let (source, track_source) = advert::source(&mut table, family, report);
    let track_interface = track_interface(&mut table, report);
    let own_interface = interface.as_ref().map(|interface| &interface.value);
    let virtual_mac = virtual_mac_of(&mut table, family, vrid, own_interface, report);
    let place = virtual_mac.as_ref().map(|mac| &mac.value.name).or(own_interface).cloned();
    let (addresses, excluded) = addresses(&mut table, family, vrid, place.as_ref(), report);
    if let Some(source) = source.filter(|_| !priority.is_owner())
        && addresses.iter().chain(&excluded).any(|vip| vip.value.cidr.address == source.value)
    {
        let what = format!("`source`: {} is a virtual address, which moves", source.value);
        report.error(source.at, what, "Give the router's own address.");
    }
    let routes = route::routes(&mut table, false, report);
    let rules = route::rules(&mut table, family, report);
    let tracks = track::uses(&mut table, &context.tracks, report);
    owner_has_no_weights(&table, priority, &tracks, report);
    let checksum = advert::checksum(&mut table, family, version, report);
    let lower_priority_advert = table.flag("lower_priority_advert", true, report);
    let higher_priority_advert = table.flag("higher_priority_advert", false, report);
    let strict_addresses = table.flag("strict_addresses", false, report);
    let garp = table.table("garp", "garp", report).map_or(Garp::default(), |garp| self::garp(garp, report));
    let lease = lease(&mut table, report);
    let promote_secondaries = table.flag("promote_secondaries", false, report);
    accept(&mut table, report);
    let notify = notify::notify(&mut table, &context.owner, report);
    let pre_active = notify::pre_active(&mut table, &context.owner, report);
    let supervised = notify::run_while_active(&mut table, report);
    table.finish(report);
    let values = |list: &[At<VirtualAddress>]| list.iter().map(|read| read.value.clone()).collect();
    let peers = unicast.iter().flat_map(|unicast| &unicast.peers).map(|peer| peer.address).collect();
    let instance = match (&name, &interface, vrid) {
        (Some(name), Some(interface), Some(vrid)) => Some(Instance {
            version,
            priority,
            advert_interval,
            down_adverts,
            preempt,
            preempt_delay,
            start_delay,
            settle,
            down_delay,
            authentication,
            group,
            unicast,
            source: source.map(|source| source.value),
            track_source,
            track_interface,
            virtual_mac: virtual_mac.as_ref().map(|mac| mac.value.clone()),
            addresses: values(&addresses),
            excluded: values(&excluded),
            routes: routes.iter().map(|route| route.value.clone()).collect(),
            rules: rules.iter().map(|rule| rule.value.clone()).collect(),
            tracks: tracks.iter().map(|track| track.value).collect(),
            checksum,
            lower_priority_advert,
            higher_priority_advert,
            strict_addresses,
            garp,
            lease,
            promote_secondaries,
            notify,
            pre_active,
            run_while_active: supervised.iter().map(|service| service.value.clone()).collect(),
            ..Instance::new(name.value.clone(), interface.value.clone(), vrid.value, family)
        }),
        _ => None,
    };
    let all = addresses.into_iter().map(|vip| ("addresses", vip));
    let addresses = all.chain(excluded.into_iter().map(|vip| ("excluded_addresses", vip))).collect();
    Draft {
        name,
        interface,
        vrid,
        family,
        priority,
        addresses,
        virtual_mac,
        tracks,
        routes,
        rules,
        supervised,
        peers,
        instance,
    }
}

fn vrid(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<At<Vrid>> {
    let vrid = table.number("vrid", 1..=255, report);
    table.require("vrid", "vrid = 50");
    let vrid = vrid?;
    Vrid::new(vrid.value).map(|value| At { at: vrid.at, value })
}

fn priority(table: &mut Table<'_>, report: &mut Report<'_>) -> Priority {
    const DEFAULT: Priority = match Priority::new(100) {
        Some(priority) => priority,
        None => Priority::OWNER,
    };
    table.number("priority", 1..=255, report).and_then(|read| Priority::new(read.value)).unwrap_or(DEFAULT)
}

fn preempt(table: &mut Table<'_>, priority: Priority, report: &mut Report<'_>) -> (bool, Duration) {
    let longest = Duration::from_secs(1000);
    let preempt = table.boolean("preempt", report);
    let delay = table.duration("preempt_delay", Duration::ZERO..=longest, report);
    let preempts = preempt.is_none_or(|read| read.value);
    if let Some(At { at, value: false }) = preempt
        && priority.is_owner()
    {
        report.error(
            at,
            "`preempt = false` contradicts priority 255, whose router always takes over",
            "Set priority = 254 or less.",
        );
    } else if !preempts {
        let hint = "Leave one of the two out.";
        table.contradict(&["preempt_delay"], "`preempt = false`, with which nobody preempts", hint, report);
    } else if priority.is_owner() {
        let says = "priority 255, whose router takes over at once";
        table.contradict(&["preempt_delay"], says, "Set priority = 254 or less.", report);
    }
    (preempts, delay.map_or(Duration::ZERO, |delay| delay.value))
}

/// RTNL-42: who hides that the interface is down must not be longer silent than the others wait.
fn down_delay(table: &mut Table<'_>, interval: Duration, adverts: u8, report: &mut Report<'_>) -> Duration {
    let hour = Duration::from_secs(3600);
    let Some(read) = table.duration("down_delay", Duration::ZERO..=hour, report) else {
        return Duration::ZERO;
    };
    let end = interval * u32::from(adverts.saturating_sub(1));
    if read.value > Duration::ZERO && read.value >= end {
        let [delay, end] = [read.value, end].map(values::show_duration);
        let what = format!("`down_delay` is {delay}, wants less than {end}");
        let hint = "That is (down_adverts - 1) x advert_interval: after it another router takes over.";
        report.error(read.at, what, hint);
    }
    read.value
}

/// A list here is keepalived's block of other interfaces.
fn track_interface(table: &mut Table<'_>, report: &mut Report<'_>) -> bool {
    let Some(value) = table.get("track_interface") else { return true };
    if matches!(value.value, DeValue::Array(_) | DeValue::String(_) | DeValue::Table(_)) {
        let hint = "Other interfaces: [[track]] with type = \"interface\", and its name in `track`.";
        value.wrong("true or false", hint.to_owned(), report);
        return true;
    }
    value.boolean(report).is_none_or(|read| read.value)
}

/// `true`, or `{ name, mac }`.
fn virtual_mac_of(
    table: &mut Table<'_>,
    family: Family,
    vrid: Option<At<Vrid>>,
    interface: Option<&IfName>,
    report: &mut Report<'_>,
) -> Option<At<VirtualMac>> {
    let value = table.get("virtual_mac")?;
    let (name, mac) = match value.value {
        DeValue::Boolean(false) => return None,
        DeValue::Boolean(true) => (None, None),
        DeValue::Table(_) => {
            let mut table = value.table("virtual_mac", report)?;
            let name = table.parsed("name", values::interface, report);
            let mac = table.parsed("mac", self::mac, report).map(|mac| mac.value);
            table.finish(report);
            (name, mac)
        }
        _ => {
            value.wrong(
                "true, false or a table",
                "Write true, or { name = \"vrrp.50\" }.".to_owned(),
                report,
            );
            return None;
        }
    };
    if let Some(name) = name.as_ref().filter(|name| Some(&name.value) == interface) {
        let what = format!("`name`: {} is the interface below it", name.value);
        report.error(name.at, what, "Leave it out for the default, or choose another.");
    }
    let vrid = vrid?.value;
    let prefix = match family {
        Family::V4 => "vrrp",
        Family::V6 => "vrrp6",
    };
    let at = name.as_ref().map_or(value.at, |name| name.at);
    let name =
        name.map_or_else(|| IfName::try_from(format!("{prefix}.{vrid}").as_str()), |name| Ok(name.value));
    Some(At { at, value: VirtualMac { name: name.ok()?, mac: mac.unwrap_or(virtual_mac(family, vrid)) } })
}

/// Six bytes of a single station.
fn mac(text: &str) -> Result<[u8; 6], Problem> {
    let what = format!("\"{}\" is not a MAC", shown(text));
    let wrong = || Problem::new(what.clone(), "Write \"02:00:5e:00:01:32\".");
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let bytes: Option<Vec<u8>> = parts
        .iter()
        .map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() <= 2 && !part.starts_with('+')))
        .collect();
    let mac = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()).ok_or_else(wrong)?;
    if mac == [0; 6] || mac.first().is_some_and(|first| first & 1 == 1) {
        let what = format!("\"{}\" is not the MAC of a single station", shown(text));
        return Err(Problem::new(what, "Its first byte is even, and not all are zero."));
    }
    Ok(mac)
}

/// The advertised addresses and the others. None at all is a slip, unless `no_addresses` says that it is not.
fn addresses(
    table: &mut Table<'_>,
    family: Family,
    vrid: Option<At<Vrid>>,
    interface: Option<&IfName>,
    report: &mut Report<'_>,
) -> (Vec<At<VirtualAddress>>, Vec<At<VirtualAddress>>) {
    let addresses = address::list(table, "addresses", interface, report);
    let excluded = address::list(table, "excluded_addresses", interface, report);
    let is_without = table.flag("no_addresses", false, report);
    let none =
        |table: &Table<'_>, key| matches!(table.peek(key), Some(DeValue::Array(list)) if list.is_empty());
    let advertises_none = !table.has("addresses") || none(table, "addresses");
    let one = "Give at least one virtual address, or, for elections and scripts alone, no_addresses = true.";
    if is_without {
        if !advertises_none {
            let hint = "Leave one of the two out; addresses that no advert carries are `excluded_addresses`.";
            table.contradict(&["addresses"], "`no_addresses = true`", hint, report);
        }
    } else if !table.has("excluded_addresses") {
        table.require("addresses", "addresses = [\"10.0.0.100/24\"]");
        if none(table, "addresses") {
            report.error(table.key_at("addresses"), "`addresses` is empty", one);
        }
    } else if none(table, "excluded_addresses") && advertises_none {
        report.error(table.key_at("excluded_addresses"), "this [[vrrp]] has no address", one);
    } else if advertises_none {
        let what = "adverts without an address are ignored by routers that hold to RFC 9568 (RX-15)";
        let hint = "Put one address into `addresses`. Where all of this VRID take them: no_addresses = true.";
        report.warning(table.key_at("excluded_addresses"), what, hint);
    }
    for vip in &excluded {
        if addresses.iter().any(|other| other.value.cidr.address == vip.value.cidr.address) {
            let what = format!("`excluded_addresses`: {} is in `addresses`, too", vip.value.cidr.address);
            report.error(vip.at, what, "Leave one out.");
        }
    }
    if let Some(last) = addresses.iter().chain(&excluded).nth(limits::ADDRESSES_MAX)
        && addresses.len() <= limits::ADDRESSES_MAX
    {
        report.error(last.at, format!("more than {} addresses in one [[vrrp]]", limits::ADDRESSES_MAX), "");
    }
    of_one_family(&addresses, family, report);
    listed(&addresses, family, report);
    let all_read =
        matches!(table.peek("addresses"), Some(DeValue::Array(all)) if all.len() == addresses.len());
    if let Some(first) = addresses.first().filter(|_| all_read) {
        link_local_first(first, vrid, report);
    }
    (addresses, excluded)
}

fn of_one_family(addresses: &[At<VirtualAddress>], family: Family, report: &mut Report<'_>) {
    for vip in addresses.iter().filter(|vip| !is_of(family, vip.value.cidr.address)) {
        let cidr = vip.value.cidr;
        let [own, other] = [family_of(cidr.address), family_word(family)];
        let what = format!("`addresses`: {cidr} is {own}, this [[vrrp]] is {other}");
        let hint = format!("Put it into `excluded_addresses`, or give it a [[vrrp]] of its own ({own}).");
        report.error(vip.at, what, hint);
    }
}

/// PKT-26: what fits an advert. The MTU is not known here, so 1500 is taken for IPv6; the engine knows.
fn listed(addresses: &[At<VirtualAddress>], family: Family, report: &mut Report<'_>) {
    const FIT_IPV6: usize = 89;
    let (most, mtu, by) = match family {
        Family::V4 => (limits::ADVERT_ADDRESSES_MAX, "", "ARP"),
        Family::V6 => (FIT_IPV6, " at an MTU of 1500", "NA"),
    };
    if let Some(first) = addresses.get(most) {
        let what = format!("adverts list the first {most} addresses only{mtu}");
        report.note(first.at, what, format!("From here on they are announced by {by} alone (PKT-27)."));
    }
}

/// PKT-13. keepalived takes other orders, so it is no error.
fn link_local_first(first: &At<VirtualAddress>, vrid: Option<At<Vrid>>, report: &mut Report<'_>) {
    let IpAddr::V6(v6) = first.value.cidr.address else { return };
    if !v6.is_unicast_link_local() {
        let what = format!("`addresses`: the first of IPv6 is to be link-local, {v6} is not (PKT-13)");
        let id = vrid.map_or(1, |vrid| vrid.value.get());
        let hint = format!("Begin with \"fe80::{id:x}\" on all routers: hosts take it as their gateway.");
        report.warning(first.at, what, hint);
    }
}

/// The owner of the addresses has priority 255 whatever happens.
fn owner_has_no_weights(
    table: &Table<'_>,
    priority: Priority,
    tracks: &[At<TrackUse>],
    report: &mut Report<'_>,
) {
    if priority.is_owner() && tracks.iter().any(|track| track.value.weight != 0) {
        let what = "weights have no effect on priority 255";
        let hint = "Set priority = 254 or less, or use trackers without a weight.";
        report.warning(table.key_at("track"), what, hint);
    }
}

/// FSM-38. Taking packets is what keepalived does by default, too.
fn accept(table: &mut Table<'_>, report: &mut Report<'_>) {
    if let Some(At { at, value: false }) = table.boolean("accept", report) {
        let what = "`accept = false` needs a packet filter, and vipd sets none (FSM-38)";
        let hint = "Leave it out, and drop what is not wanted with nftables rules of your own.";
        report.error(at, what, hint);
    }
}

fn garp(mut table: Table<'_>, report: &mut Report<'_>) -> Garp {
    let default = Garp::default();
    let hour = Duration::from_secs(3600);
    let value = |read: Option<At<Duration>>, default| read.map_or(default, |read| read.value);
    let delay = value(table.duration("delay", Duration::ZERO..=hour, report), default.delay);
    let repeat = table.number("repeat", 1..=255, report).map_or(default.repeat, |read| read.value);
    let refresh = table.duration("refresh", Duration::ZERO..=hour * 24, report).filter(|refresh| {
        let short = refresh.value > Duration::ZERO && refresh.value < Duration::from_secs(1);
        if short {
            let what = format!("`refresh` is {}, wants 1s to 1d", values::show_duration(refresh.value));
            report.error(refresh.at, what, "\"0s\" is none.");
        }
        !short
    });
    let refresh_repeat = table.number("refresh_repeat", 1..=255, report);
    if refresh_repeat.is_some() && !table.has("refresh") {
        let what = "`refresh_repeat` has no effect without `refresh`";
        report.error(table.key_at("refresh_repeat"), what, "Add refresh = \"60s\", or leave it out.");
    }
    let lower_delay = table.duration("lower_priority_delay", Duration::ZERO..=hour, report);
    let lower_repeat = table.number("lower_priority_repeat", 0..=255, report);
    let forms = [("request", GarpForm::Request), ("reply", GarpForm::Reply), ("both", GarpForm::Both)];
    let form = table.choice("form", &forms, report).map_or(default.form, |read| read.value);
    let router_flag = table.boolean("router_flag", report).map(|read| read.value);
    table.finish(report);
    Garp {
        delay,
        repeat,
        refresh: value(refresh, default.refresh),
        refresh_repeat: refresh_repeat.map_or(default.refresh_repeat, |read| read.value),
        lower_priority_delay: value(lower_delay, delay),
        lower_priority_repeat: lower_repeat.map_or(repeat, |read| read.value),
        form,
        router_flag,
    }
}

/// The kernel counts lifetimes in whole seconds, and a lease must outlast the renewal of the second before.
fn lease(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let default = Some(Duration::from_secs(3));
    let Some(value) = table.get("lease") else { return default };
    if matches!(value.value, DeValue::String(text) if text == "forever") {
        return None;
    }
    let Some(read) = duration_or_forever(value, report) else { return default };
    if read.value.total_micros() % 1_000_000 != 0 {
        let what =
            format!("`lease` is {}, the kernel knows whole seconds only", values::show_duration(read.value));
        report.error(read.at, what, "\"2s\" is the shortest, \"forever\" is none.");
    }
    Some(read.value)
}

fn duration_or_forever(value: Value<'_>, report: &mut Report<'_>) -> Option<At<Duration>> {
    let never = ["never", "infinite", "none", "off", "inf", "Forever"];
    if matches!(value.value, DeValue::String(text) if never.contains(&text.as_ref())) {
        let what = "`lease` wants a length of time or \"forever\"";
        report.error(value.at, what, "Did you mean \"forever\"?");
        return None;
    }
    value.duration(Duration::from_secs(2)..=Duration::from_secs(3600), report)
}
