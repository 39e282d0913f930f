//! The snapshot as JSON: every field, stable keys in snake case, lengths of time in whole milliseconds.

use super::age::Mac;
use super::health;
use super::json::{Json, SCHEMA};
use crate::model::status::{
    AddressStatus, CheckStatus, GroupStatus, InstanceCounters, InstanceState, InstanceStatus, IpvsStatus,
    MailStatus, PeerStatus, RejectedPeer, RouteStatus, RunStatus, ServerStatus, ServiceStatus, Snapshot,
    Stalls, TrackerStatus,
};
use crate::model::{DaemonRole, Family, Front, Persistence};

/// `{"schema":1,...}` on one line. The patterns below name every field, so that a new one cannot be
/// forgotten.
pub(super) fn status(snapshot: &Snapshot) -> String {
    let Snapshot {
        router_name,
        up,
        instances,
        groups,
        trackers,
        runs,
        services,
        problems,
        ipvs,
        mail,
        stalls,
        dropped,
        foreign,
    } = snapshot;
    let mut json = Json::default();
    json.object(|json| {
        json.key("schema").number(SCHEMA);
        json.key("version").text(env!("CARGO_PKG_VERSION"));
        json.key("router_name").text(router_name);
        json.key("healthy").boolean(health::health(snapshot) == 0);
        json.key("up_ms").millis(*up);
        json.key("instances").array(instances, instance);
        json.key("groups").array(groups, group);
        json.key("trackers").array(trackers, tracker);
        json.key("runs").array(runs, run);
        json.key("services").array(services, service);
        json.key("problems").array(problems, |json, text| json.text(text));
        json.key("ipvs").optional(ipvs.as_ref(), |json, ipvs| {
            let IpvsStatus { present, why, repaired, refused, sockopt, sync } = ipvs;
            json.object(|json| {
                json.key("present").boolean(*present);
                json.key("why").text(why);
                json.key("sockopt").boolean(*sockopt);
                json.key("sync").array(sync, |json, role| json.text(role_word(*role)));
                json.key("repaired").number(*repaired);
                json.key("refused").number(*refused);
            });
        });
        json.key("mail").optional(mail.as_ref(), |json, mail| {
            let MailStatus { waiting, sent, failed, lost, reason } = mail;
            json.object(|json| {
                json.key("waiting").number(*waiting);
                json.key("sent").number(*sent);
                json.key("failed").number(*failed);
                json.key("lost").number(*lost);
                json.key("reason").text(reason);
            });
        });
        let Stalls { count, worst } = stalls;
        json.key("stalls").object(|json| {
            json.key("count").number(*count);
            json.key("worst_ms").millis(*worst);
        });
        json.key("dropped");
        self::dropped(json, dropped);
        json.key("foreign").array(foreign, |json, (vrid, address, heard)| {
            json.object(|json| {
                json.key("vrid").number(*vrid);
                json.key("address").shown(address);
                json.key("heard_ms").millis(*heard);
            });
        });
    });
    json.finish()
}

/// A stable word for programs.
pub(super) const fn state_word(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Initialize => "initialize",
        InstanceState::Backup => "backup",
        InstanceState::Active => "active",
        InstanceState::Fault => "fault",
    }
}

fn instance(json: &mut Json, instance: &InstanceStatus) {
    let InstanceStatus {
        name,
        interface,
        vrid,
        family,
        version,
        group,
        state,
        since,
        cause,
        priority,
        effective_priority,
        contributions,
        faults,
        waits,
        advert_interval,
        peers,
        virtual_mac,
        rivals,
        active_mac,
        active_router,
        addresses,
        routes,
        counters,
        rejected,
    } = instance;
    json.object(|json| {
        json.key("name").text(name);
        json.key("interface").text(interface);
        json.key("vrid").number(*vrid);
        json.key("family").text(family_word(*family));
        json.key("version").shown(version);
        json.key("group").optional(group.as_ref(), |json, name| json.text(name));
        json.key("state").text(state_word(*state));
        json.key("healthy").boolean(health::is_instance_healthy(instance));
        json.key("since_ms").millis(*since);
        json.key("cause").text(cause);
        json.key("priority").number(*priority);
        json.key("effective_priority").number(*effective_priority);
        json.key("contributions").array(contributions, |json, (tracker, number)| {
            json.object(|json| {
                json.key("tracker").text(tracker);
                json.key("number").signed(i64::from(*number));
            });
        });
        json.key("faults").array(faults, |json, text| json.text(text));
        json.key("waits").optional(waits.as_ref(), |json, text| json.text(text));
        json.key("advert_interval_ms").millis(*advert_interval);
        json.key("unicast_peers").array(peers, |json, peer| json.shown(peer));
        json.key("virtual_mac").optional(virtual_mac.as_ref(), |json, (interface, mac)| {
            json.object(|json| {
                json.key("interface").text(interface);
                json.key("mac").shown(Mac(*mac));
            });
        });
        json.key("rivals").number(*rivals);
        json.key("active_mac").optional(active_mac.as_ref(), |json, mac| json.shown(Mac(*mac)));
        json.key("active_router").optional(active_router.as_ref(), |json, peer| {
            let PeerStatus { address, priority, heard } = peer;
            json.object(|json| {
                json.key("address").shown(address);
                json.key("priority").number(*priority);
                json.key("heard_ms").millis(*heard);
            });
        });
        json.key("addresses").array(addresses, |json, vip| {
            let AddressStatus { address, present, put_back } = vip;
            json.object(|json| {
                json.key("address").shown(address);
                json.key("present").boolean(*present);
                json.key("put_back").number(*put_back);
            });
        });
        json.key("routes").array(routes, |json, route| {
            let RouteStatus { text, present, put_back } = route;
            json.object(|json| {
                json.key("text").text(text);
                json.key("present").boolean(*present);
                json.key("put_back").number(*put_back);
            });
        });
        json.key("counters");
        self::counters(json, counters);
        json.key("rejected").array(rejected, |json, peer| {
            let RejectedPeer { address, why, count, last } = peer;
            json.object(|json| {
                json.key("address").shown(address);
                json.key("why").text(why);
                json.key("count").number(*count);
                json.key("last_ms").millis(*last);
            });
        });
    });
}

fn counters(json: &mut Json, counters: &InstanceCounters) {
    let InstanceCounters {
        adverts_received,
        adverts_sent,
        became_active,
        released_active,
        priority_zero_received,
        priority_zero_sent,
        signed_received,
        unsigned_accepted,
        lower_priority_received,
        address_list_mismatch,
        other_checksum_form,
        interval_differs,
        dropped,
    } = counters;
    json.object(|json| {
        json.key("adverts_received").number(*adverts_received);
        json.key("adverts_sent").number(*adverts_sent);
        json.key("became_active").number(*became_active);
        json.key("released_active").number(*released_active);
        json.key("priority_zero_received").number(*priority_zero_received);
        json.key("priority_zero_sent").number(*priority_zero_sent);
        json.key("signed_received").number(*signed_received);
        json.key("unsigned_accepted").number(*unsigned_accepted);
        json.key("lower_priority_received").number(*lower_priority_received);
        json.key("address_list_mismatch").number(*address_list_mismatch);
        json.key("other_checksum_form").number(*other_checksum_form);
        json.key("interval_differs").number(*interval_differs);
        json.key("dropped");
        self::dropped(json, dropped);
    });
}

/// A stable word for programs.
pub(super) const fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn group(json: &mut Json, group: &GroupStatus) {
    let GroupStatus { name, state, since, members } = group;
    json.object(|json| {
        json.key("name").text(name);
        json.key("state").text(state_word(*state));
        json.key("since_ms").millis(*since);
        json.key("members").array(members, |json, name| json.text(name));
    });
}

fn tracker(json: &mut Json, tracker: &TrackerStatus) {
    let TrackerStatus { name, kind, up, hurts, value, since, reason, last, passed, failed, used_by } =
        tracker;
    json.object(|json| {
        json.key("name").text(name);
        json.key("kind").text(kind);
        json.key("up").optional(*up, Json::boolean);
        json.key("hurts").boolean(*hurts);
        json.key("value").optional(*value, Json::signed);
        json.key("since_ms").millis(*since);
        json.key("reason").text(reason);
        json.key("ended_ms").optional(last.map(|(ended, _)| ended), Json::millis);
        json.key("took_ms").optional(last.map(|(_, took)| took), Json::millis);
        json.key("passed").number(*passed);
        json.key("failed").number(*failed);
        json.key("used_by").array(used_by, |json, name| json.text(name));
    });
}

fn run(json: &mut Json, run: &RunStatus) {
    let RunStatus { subject, server, what, running, waiting, collapsed, outcome, failed, last } = run;
    json.object(|json| {
        json.key("subject").text(subject);
        json.key("server").optional(server.as_ref(), |json, address| json.shown(address));
        json.key("what").text(what);
        json.key("running_ms").optional(*running, Json::millis);
        json.key("waiting").number(*waiting);
        json.key("collapsed").number(*collapsed);
        json.key("outcome").text(outcome);
        json.key("failed").boolean(*failed);
        json.key("ended_ms").optional(last.map(|(ended, _)| ended), Json::millis);
        json.key("took_ms").optional(last.map(|(_, took)| took), Json::millis);
    });
}

fn dropped(json: &mut Json, dropped: &[(&'static str, u32)]) {
    json.array(dropped, |json, (why, count)| {
        json.object(|json| {
            json.key("why").text(why);
            json.key("count").number(*count);
        });
    });
}

fn service(json: &mut Json, service: &ServiceStatus) {
    let ServiceStatus {
        name,
        protocol,
        front,
        scheduler,
        persistence,
        sorry_active,
        sorry,
        installed,
        servers,
        active_connections,
        quorum,
        hysteresis,
        has_quorum,
        suspended,
        since,
    } = service;
    json.object(|json| {
        json.key("name").text(name);
        json.key("protocol").shown(protocol);
        json.key("address").text(&service.front_text());
        let (mark, group) = match front {
            Front::Address(_) => (None, None),
            Front::Mark { mark, .. } => (Some(*mark), None),
            Front::Group { name, .. } => (None, Some(name)),
        };
        json.key("mark").optional(mark, Json::number);
        json.key("group").optional(group, |json, name| json.text(name));
        json.key("scheduler").text(scheduler);
        json.key("persistence").optional(persistence.as_ref(), |json, persistence| {
            let Persistence { timeout, prefix_len, engine } = persistence;
            json.object(|json| {
                json.key("timeout_ms").millis(*timeout);
                json.key("prefix").number(*prefix_len);
                json.key("engine").optional(engine.as_ref(), |json, engine| json.text(engine));
            });
        });
        json.key("health").text(health::service(service).word());
        json.key("sorry_active").boolean(*sorry_active);
        json.key("sorry").optional(sorry.as_ref(), |json, sorry| json.shown(sorry));
        json.key("installed").boolean(*installed);
        json.key("servers").array(servers, server);
        json.key("active_connections").number(*active_connections);
        json.key("quorum").number(*quorum);
        json.key("hysteresis").number(*hysteresis);
        json.key("has_quorum").boolean(*has_quorum);
        json.key("suspended").boolean(*suspended);
        json.key("since_ms").millis(*since);
    });
}

fn server(json: &mut Json, server: &ServerStatus) {
    let ServerStatus {
        address,
        resolved,
        method,
        weight,
        configured_weight,
        draining,
        up,
        known,
        installed,
        since,
        reason,
        passed,
        failed,
        probed,
        probe_time,
        active_connections,
        inactive_connections,
        checks,
    } = server;
    json.object(|json| {
        json.key("address").shown(address);
        json.key("resolved").optional(resolved.as_ref(), |json, address| json.shown(address));
        json.key("forward").text(method.forward.word());
        json.key("weight").number(*weight);
        json.key("configured_weight").number(*configured_weight);
        json.key("draining").boolean(*draining);
        json.key("up").boolean(*up);
        json.key("known").boolean(*known);
        json.key("installed").boolean(*installed);
        json.key("since_ms").millis(*since);
        json.key("reason").text(reason);
        json.key("passed").number(*passed);
        json.key("failed").number(*failed);
        json.key("probed_ms").optional(*probed, Json::millis);
        json.key("probe_time_ms").optional(*probe_time, Json::millis);
        json.key("active_connections").number(*active_connections);
        json.key("inactive_connections").number(*inactive_connections);
        json.key("checks").array(checks, check);
    });
}

fn check(json: &mut Json, check: &CheckStatus) {
    let CheckStatus { kind, up, known, reason, passed, failed, probed, probe_time, weight } = check;
    json.object(|json| {
        json.key("kind").text(kind);
        json.key("up").boolean(*up);
        json.key("known").boolean(*known);
        json.key("reason").text(reason);
        json.key("passed").number(*passed);
        json.key("failed").number(*failed);
        json.key("probed_ms").optional(*probed, Json::millis);
        json.key("probe_time_ms").optional(*probe_time, Json::millis);
        json.key("weight").signed(i64::from(*weight));
    });
}

/// A stable word for programs.
pub(super) const fn role_word(role: DaemonRole) -> &'static str {
    match role {
        DaemonRole::Master => "master",
        DaemonRole::Backup => "backup",
    }
}
