//! The numbers of the status in Prometheus' text form (version 0.0.4).

use super::health::{self, ServiceHealth};
use super::json_status::{family_word, role_word, state_word};
use crate::model::DaemonRole;
use crate::model::status::{
    CheckStatus, GroupStatus, InstanceState, InstanceStatus, RunStatus, ServerStatus, ServiceStatus,
    Snapshot, TrackerStatus,
};
use crate::time::Duration;
use core::fmt::{Display, Write};

/// Every number that grows or changes, one family after the other. Lengths of time in seconds.
pub(super) fn metrics(snapshot: &Snapshot) -> String {
    let mut page = Page { out: String::new() };
    page.family("vipd_up_seconds", "gauge", "time since the daemon started");
    page.sample("vipd_up_seconds", &[], Seconds(snapshot.up));
    page.family("vipd_healthy", "gauge", "1 where all is as it should be");
    page.sample("vipd_healthy", &[], u8::from(health::health(snapshot) == 0));
    page.family("vipd_loop_late_total", "counter", "turns of the loop that came late");
    page.sample("vipd_loop_late_total", &[], snapshot.stalls.count);
    page.family("vipd_loop_late_worst_seconds", "gauge", "the latest of them");
    page.sample("vipd_loop_late_worst_seconds", &[], Seconds(snapshot.stalls.worst));
    if !snapshot.dropped.is_empty() {
        page.family("vipd_dropped_total", "counter", "packets that belong to no instance, by reason");
        for (why, count) in &snapshot.dropped {
            page.sample("vipd_dropped_total", &[("why", why)], count);
        }
    }
    page.ipvs_and_mail(snapshot);
    page.instances(&snapshot.instances);
    page.groups(&snapshot.groups);
    page.trackers(&snapshot.trackers);
    page.runs(&snapshot.runs);
    page.services(&snapshot.services);
    page.servers(&snapshot.services);
    page.checks(&snapshot.services);
    page.out
}

/// All states, as they are told.
const STATES: [InstanceState; 4] =
    [InstanceState::Initialize, InstanceState::Backup, InstanceState::Active, InstanceState::Fault];

type Labels<'a> = [(&'static str, &'a str)];

struct Page {
    out: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl Display) {
        self.out.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{label}=\"{}\"", Escaped(text));
        }
        self.out.push_str(if labels.is_empty() { " " } else { "} " });
        let _ = writeln!(self.out, "{value}");
    }

    fn ipvs_and_mail(&mut self, snapshot: &Snapshot) {
        if let Some(ipvs) = &snapshot.ipvs {
            self.family("vipd_ipvs_present", "gauge", "1 where the kernel's IPVS answers");
            self.sample("vipd_ipvs_present", &[], u8::from(ipvs.present));
            self.family(
                "vipd_ipvs_repaired_total",
                "counter",
                "entries that somebody else changed, put right",
            );
            self.sample("vipd_ipvs_repaired_total", &[], ipvs.repaired);
            self.family("vipd_ipvs_refused_total", "counter", "commands that the kernel refused");
            self.sample("vipd_ipvs_refused_total", &[], ipvs.refused);
            self.family("vipd_ipvs_sockopt", "gauge", "1 where it is talked to by socket options");
            self.sample("vipd_ipvs_sockopt", &[], u8::from(ipvs.sockopt));
            self.family("vipd_ipvs_sync", "gauge", "1 where the sync daemon runs in that role");
            for role in [DaemonRole::Master, DaemonRole::Backup] {
                let labels = [("role", role_word(role))];
                self.sample("vipd_ipvs_sync", &labels, u8::from(ipvs.sync.contains(&role)));
            }
        }
        if let Some(mail) = &snapshot.mail {
            self.family("vipd_mail_waiting", "gauge", "mails in the queue");
            self.sample("vipd_mail_waiting", &[], mail.waiting);
            let totals = [("sent", mail.sent), ("failed", mail.failed), ("lost", mail.lost)];
            self.family("vipd_mail_total", "counter", "mails sent and lost, and tries that failed");
            for (what, count) in totals {
                self.sample("vipd_mail_total", &[("result", what)], count);
            }
        }
    }

    fn instances(&mut self, instances: &[InstanceStatus]) {
        if instances.is_empty() {
            return;
        }
        self.family("vipd_instance_info", "gauge", "always 1: what the instance is");
        for i in instances {
            let (vrid, version) = (i.vrid.to_string(), i.version.to_string());
            let labels = [
                ("instance", i.name.as_str()),
                ("interface", &i.interface),
                ("vrid", &vrid),
                ("family", family_word(i.family)),
                ("version", &version),
                ("group", i.group.as_ref().map_or("", |name| name)),
            ];
            self.sample("vipd_instance_info", &labels, 1);
        }
        self.family("vipd_instance_state", "gauge", "1 for the state that the instance is in");
        for i in instances {
            for state in STATES {
                let labels = [("instance", i.name.as_str()), ("state", state_word(state))];
                self.sample("vipd_instance_state", &labels, u8::from(i.state == state));
            }
        }
        self.each_instance(instances, "since_seconds", "gauge", "time in that state", |i| Seconds(i.since));
        self.each_instance(instances, "priority", "gauge", "priority in use", |i| i.effective_priority);
        self.each_instance(instances, "base_priority", "gauge", "priority configured", |i| i.priority);
        self.each_instance(instances, "routes", "gauge", "virtual routes and rules", |i| i.routes.len());
        self.each_instance(instances, "routes_present", "gauge", "those in the kernel's tables", |i| {
            i.routes.iter().filter(|r| r.present).count()
        });
        self.each_instance(instances, "vips", "gauge", "virtual addresses", |i| i.addresses.len());
        self.each_instance(instances, "vips_present", "gauge", "those on the box", |i| {
            i.addresses.iter().filter(|a| a.present).count()
        });
        self.each_instance(
            instances,
            "vips_put_back_total",
            "counter",
            "removed by others and put back",
            |i| i.addresses.iter().map(|a| u64::from(a.put_back)).sum::<u64>(),
        );
        self.instance_counters(instances);
        self.family("vipd_instance_dropped_total", "counter", "packets dropped, by reason");
        for i in instances {
            for (why, count) in &i.counters.dropped {
                self.sample("vipd_instance_dropped_total", &[("instance", &i.name), ("why", why)], count);
            }
        }
    }

    fn instance_counters(&mut self, instances: &[InstanceStatus]) {
        type Pick = fn(&InstanceStatus) -> u32;
        let counters: [(&str, &str, Pick); 13] = [
            ("rivals_total", "times another router was Active, too", |i| i.rivals),
            ("signed_received_total", "adverts with a good HMAC", |i| i.counters.signed_received),
            ("unsigned_accepted_total", "adverts without one, accepted", |i| i.counters.unsigned_accepted),
            ("adverts_received_total", "valid adverts received", |i| i.counters.adverts_received),
            ("adverts_sent_total", "adverts sent", |i| i.counters.adverts_sent),
            ("became_active_total", "times it became Active", |i| i.counters.became_active),
            ("released_active_total", "times it stopped being Active", |i| i.counters.released_active),
            ("resignations_received_total", "adverts of priority 0 heard", |i| {
                i.counters.priority_zero_received
            }),
            ("resignations_sent_total", "adverts of priority 0 sent", |i| i.counters.priority_zero_sent),
            ("lower_priority_total", "lower priorities heard while Active", |i| {
                i.counters.lower_priority_received
            }),
            ("address_list_mismatch_total", "adverts with other addresses", |i| {
                i.counters.address_list_mismatch
            }),
            ("other_checksum_form_total", "adverts with the other checksum", |i| {
                i.counters.other_checksum_form
            }),
            ("interval_differs_total", "adverts with another interval", |i| i.counters.interval_differs),
        ];
        for (name, help, pick) in counters {
            self.each_instance(instances, name, "counter", help, pick);
        }
    }

    fn each_instance<T: Display>(
        &mut self,
        instances: &[InstanceStatus],
        name: &str,
        kind: &str,
        help: &str,
        value: impl Fn(&InstanceStatus) -> T,
    ) {
        let name = format!("vipd_instance_{name}");
        self.family(&name, kind, help);
        for instance in instances {
            self.sample(&name, &[("instance", &instance.name)], value(instance));
        }
    }

    fn groups(&mut self, groups: &[GroupStatus]) {
        if groups.is_empty() {
            return;
        }
        self.family("vipd_group_state", "gauge", "1 for the state that the group is in");
        for group in groups {
            for state in STATES {
                let labels = [("group", group.name.as_str()), ("state", state_word(state))];
                self.sample("vipd_group_state", &labels, u8::from(group.state == state));
            }
        }
    }

    fn trackers(&mut self, trackers: &[TrackerStatus]) {
        if trackers.is_empty() {
            return;
        }
        type Pick = fn(&TrackerStatus) -> Option<i64>;
        let numbers: [(&str, &str, &str, Pick); 5] = [
            ("up", "gauge", "1 where it is up; none before the first result", |t| t.up.map(i64::from)),
            ("hurts", "gauge", "1 where it takes priority or fitness", |t| Some(t.hurts.into())),
            ("value", "gauge", "number of a file, count of processes", |t| t.value),
            ("passed_total", "counter", "runs or probes passed", |t| Some(t.passed.into())),
            ("failed_total", "counter", "runs or probes failed", |t| Some(t.failed.into())),
        ];
        for (name, kind, help, pick) in numbers {
            let name = format!("vipd_tracker_{name}");
            self.family(&name, kind, help);
            for tracker in trackers {
                if let Some(number) = pick(tracker) {
                    let labels = [("tracker", tracker.name.as_str()), ("kind", tracker.kind)];
                    self.sample(&name, &labels, number);
                }
            }
        }
    }

    fn runs(&mut self, runs: &[RunStatus]) {
        if runs.is_empty() {
            return;
        }
        type Pick = fn(&RunStatus) -> u32;
        let numbers: [(&str, &str, &str, Pick); 4] = [
            ("failed", "gauge", "1 where the last one failed", |r| r.failed.into()),
            ("running", "gauge", "1 where one runs", |r| r.running.is_some().into()),
            ("waiting", "gauge", "how many wait", |r| r.waiting),
            ("collapsed_total", "counter", "passed over for newer ones", |r| r.collapsed),
        ];
        for (name, kind, help, pick) in numbers {
            let name = format!("vipd_program_{name}");
            self.family(&name, kind, help);
            for run in runs {
                let server = run.server.as_ref().map(|server| server.to_string());
                let labels = [("subject", run.subject.as_str()), ("what", run.what)];
                match &server {
                    None => self.sample(&name, &labels, pick(run)),
                    Some(server) => {
                        let [subject, what] = labels;
                        self.sample(&name, &[subject, what, ("server", server)], pick(run));
                    }
                }
            }
        }
    }

    fn services(&mut self, services: &[ServiceStatus]) {
        if services.is_empty() {
            return;
        }
        type Pick = fn(&ServiceStatus) -> u64;
        let gauges: [(&str, &str, Pick); 9] = [
            ("healthy", "1 where every server takes part", |s| {
                (health::service(s) == ServiceHealth::Healthy).into()
            }),
            ("installed", "1 where it is in the kernel's table", |s| s.installed.into()),
            ("sorry_active", "1 where the sorry server answers", |s| s.sorry_active.into()),
            ("servers", "servers configured", |s| s.servers.len() as u64),
            ("quorum", "weight that must be up", |s| s.quorum.into()),
            ("hysteresis", "more to gain the quorum, less to lose it", |s| s.hysteresis.into()),
            ("has_quorum", "1 where the quorum is held", |s| s.has_quorum.into()),
            ("suspended", "1 where none of its addresses is here", |s| s.suspended.into()),
            ("active_connections", "as of the last reading of the table", |s| s.active_connections),
        ];
        for (name, help, pick) in gauges {
            let name = format!("vipd_service_{name}");
            self.family(&name, "gauge", help);
            for service in services {
                self.sample(&name, &[("service", &service.name)], pick(service));
            }
        }
    }

    fn servers(&mut self, services: &[ServiceStatus]) {
        if services.iter().all(|s| s.servers.is_empty()) {
            return;
        }
        type Pick = fn(&ServerStatus) -> u32;
        let numbers: [(&str, &str, &str, Pick); 9] = [
            ("up", "gauge", "1 where its checker takes it as up", |s| s.up.into()),
            ("installed", "gauge", "1 where it is in the kernel's table", |s| s.installed.into()),
            ("weight", "gauge", "weight, as its checks make it", |s| s.weight),
            ("configured_weight", "gauge", "weight in the configuration", |s| s.configured_weight),
            ("draining", "gauge", "1 where the operator lets it run dry", |s| s.draining.into()),
            ("active_connections", "gauge", "as of the last reading", |s| s.active_connections),
            ("inactive_connections", "gauge", "as of the last reading", |s| s.inactive_connections),
            ("probes_passed_total", "counter", "probes passed", |s| s.passed),
            ("probes_failed_total", "counter", "probes failed", |s| s.failed),
        ];
        for (name, kind, help, pick) in numbers {
            let name = format!("vipd_server_{name}");
            self.family(&name, kind, help);
            for service in services {
                for server in &service.servers {
                    let address = server.address.to_string();
                    self.sample(&name, &[("service", &service.name), ("server", &address)], pick(server));
                }
            }
        }
    }
}

impl Page {
    /// The checks of servers, by their numbers.
    fn checks(&mut self, services: &[ServiceStatus]) {
        let servers =
            || services.iter().flat_map(|service| service.servers.iter().map(move |s| (service, s)));
        if servers().all(|(_, server)| server.checks.is_empty()) {
            return;
        }
        type Pick = fn(&CheckStatus) -> i64;
        let numbers: [(&str, &str, &str, Pick); 4] = [
            ("up", "gauge", "1 where it passes", |c| c.up.into()),
            ("weight", "gauge", "what it adds to the weight", |c| c.weight.into()),
            ("passed_total", "counter", "probes passed", |c| c.passed.into()),
            ("failed_total", "counter", "probes failed", |c| c.failed.into()),
        ];
        for (name, kind, help, pick) in numbers {
            let name = format!("vipd_check_{name}");
            self.family(&name, kind, help);
            for (service, server) in servers() {
                let address = server.address.to_string();
                for (number, check) in (1..).zip(&server.checks) {
                    let number: usize = number;
                    let labels = [
                        ("service", service.name.as_str()),
                        ("server", &address),
                        ("check", &number.to_string()),
                        ("kind", check.kind),
                    ];
                    self.sample(&name, &labels, pick(check));
                }
            }
        }
    }
}

/// Seconds with milliseconds.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let millis = self.0.total_millis();
        write!(f, "{}.{:03}", millis / 1000, millis % 1000)
    }
}

/// A label's value: backslash, quote and line end are escaped; other control characters are `?`.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() => f.write_char('?')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
