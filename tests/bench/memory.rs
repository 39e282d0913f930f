//! Memory of all processes while the seeds' first scenario runs.
//!
//! The host's kernel may have no IPVS. vipd says so and goes on, its probes running; keepalived's checker
//! ends
//! without IPVS, so keepalived runs VRRP only and is flattered by this comparison.

use super::subject::{Instance, Running};
use super::{Subject, Table, netns, table};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::sleep;
use std::time::Duration;

pub fn measure(table: &mut Table, subjects: &[Subject], quick: bool) {
    let lan = netns::Lan::new();
    [47, 57, 67].iter().for_each(|host| serve(&lan, *host));
    for &subject in subjects {
        let mut running = subject.start(&lan, &lan.a, &scenario(true));
        netns::eventually("the VIP is there", Duration::from_secs(10), || lan.a.has("10.9.0.100"));
        sleep(Duration::from_secs(if quick { 3 } else { 12 }));
        put(table, subject, "memory in S1", &mut running);
        drop(running);
        netns::eventually("the VIP is gone", Duration::from_secs(10), || {
            lan.a.try_ip("addr del 10.9.0.100/24 dev eth0");
            !lan.a.has("10.9.0.100")
        });
    }
    if subjects.contains(&Subject::Vipd) {
        let mut running = Subject::Vipd.start(&lan, &lan.b, &scenario(false));
        netns::eventually("the VIP is there", Duration::from_secs(10), || lan.b.has("10.9.0.100"));
        sleep(Duration::from_secs(3));
        put(table, Subject::Vipd, "memory, VRRP only", &mut running);
    }
}

/// Median of samples over two seconds, so that a probe under way is in some of them.
fn put(table: &mut Table, subject: Subject, what: &str, running: &mut Running) {
    let daemon = running.daemon();
    let (mut pss, mut anonymous, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..20 {
        pss.push(daemon.kilobytes("smaps_rollup", "Pss"));
        anonymous.push(daemon.kilobytes("smaps_rollup", "Pss_Anon"));
        count = count.max(daemon.pids().len());
        sleep(Duration::from_millis(100));
    }
    let remark = "all processes; keepalived: VRRP only, its checker needs IPVS";
    table.put(&format!("{what}, PSS"), subject, table::kilobytes(pss), remark);
    table.put(
        &format!("{what}, of it anonymous"),
        subject,
        table::kilobytes(anonymous),
        "heap and stack: what a bigger binary does not add to",
    );
    table.put(&format!("{what}, processes"), subject, count.to_string(), "");
}

/// S1 as the design has it, with probes often enough to be seen, and a server with a TCP probe.
fn scenario(service: bool) -> Instance {
    let web = "[[service]]\nname = \"web\"\naddress = \"10.9.0.100:80\"\nprotocol = \"tcp\"\n\
        scheduler = \"wrr\"\nforward = \"direct\"\nsorry = \"127.0.0.1:80\"\n\
        check = { type = \"http\", path = \"/\", status = [200], interval = \"1s\", timeout = \"500ms\" }\n\
        [[service.server]]\naddress = \"10.9.0.47:80\"\nweight = 1\n\
        [[service.server]]\naddress = \"10.9.0.57:80\"\nweight = 2\n\
        [[service.server]]\naddress = \"10.9.0.67:80\"\nweight = 2\ncheck = { type = \"tcp\" }\n";
    let more = if service { web.to_string() } else { String::new() };
    Instance { priority: 100, interval_ms: 1000, vips: vec!["10.9.0.100/24".into()], more }
}

/// A web server of the client: one small page for every request.
fn serve(lan: &netns::Lan, host: u8) {
    lan.c.ip(&format!("addr add 10.9.0.{host}/24 dev eth0"));
    let listener = lan.c.namespace.inside(|| TcpListener::bind(format!("10.9.0.{host}:80")).unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { continue };
            let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
            let mut request = [0; 1024];
            let _ = connection.read(&mut request);
            let _ = connection
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
        }
    });
}
