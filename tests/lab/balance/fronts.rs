//! What clients connect to besides one address: server groups (ranges, prefixes, marks), servers of the other
//! family behind a tunnel, several methods in one service. Both kernel interfaces where the old one can.

use super::{CHECK, counters, row, service};
use crate::field::requests::answers;
use crate::field::saved::Saved;
use crate::field::transport::Transport;
use crate::field::{Field, GUE, VIP4, VIP6, interfaces, virtual_router_with};
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::is_forced;
use nix::sys::signal::Signal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Doors behind direct routing and tunnels.
const MIXED: u16 = 8100;
const SIX_BY_FOUR: u16 = 8101;
const FOUR_BY_SIX: u16 = 8102;
/// nftables puts mark 7 on what goes to this port, mark 8 on what goes to the next one.
const MARKED: u16 = 8007;
const BOTH: [(u8, u32); 2] = [(47, 1), (57, 1)];

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let doors: Vec<(Transport, SocketAddr)> =
        [(IpAddr::from(VIP4), MIXED), (IpAddr::from(VIP6), SIX_BY_FOUR), (IpAddr::from(VIP4), FOUR_BY_SIX)]
            .map(|(vip, port)| (Transport::Tcp, SocketAddr::new(vip, port)))
            .to_vec();
    let mut field = Field::build(stage, 1, &doors)?;
    let both = interfaces().iter().try_for_each(|old| groups(&mut field, *old));
    // The old interface knows neither the other family nor gue nor gre.
    let result = both.and_then(|()| if is_forced() { Ok(()) } else { mixed(&mut field) });
    field.explain(result)
}

/// A group's member as `ipvsadm` names it, and a client.
struct Member {
    front: String,
    target: SocketAddr,
}

/// What the groups of the file mean, spelled out here by hand.
fn members(old_interface: bool, later: bool) -> Vec<Member> {
    let v4 = |last: u8, port: u16| (IpAddr::from(Ipv4Addr::new(10, 0, 0, last)), port);
    let v6 = |last: u16, port: u16| (IpAddr::from(Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 0, last)), port);
    let mut all = vec![v4(100, 8000), v4(101, 8001), v4(102, 8001), v4(105, 8003), v4(106, 8003)];
    match later {
        false => all.extend([v4(103, 8001), v4(112, 8002), v4(113, 8002), v4(114, 8002), v4(115, 8002)]),
        true => all.push(v4(103, 8004)),
    }
    if !old_interface {
        all.extend([v6(0x100, 8000), v6(0x101, 8001), v6(0x102, 8001)]);
        all.extend([v6(0x110, 8002), v6(0x111, 8002), v6(0x112, 8002), v6(0x113, 8002)]);
    }
    let address = |(ip, port)| {
        let target = SocketAddr::new(ip, port);
        Member { front: format!("-t {target}"), target }
    };
    let mut members: Vec<Member> = all.into_iter().map(address).collect();
    let mark = |number: u16, ipv6: bool| Member {
        front: format!("-f {number}{}", if ipv6 { " -6" } else { "" }),
        target: SocketAddr::new(if ipv6 { VIP6.into() } else { VIP4.into() }, MARKED + number - 7),
    };
    members.extend([mark(7, false), mark(8, false)]);
    if !old_interface {
        members.push(mark(7, true));
    }
    members
}

/// The file.
fn config(old_interface: bool, later: bool) -> String {
    let mut text = virtual_router_with(
        100,
        &[
            "10.0.0.101/24",
            "10.0.0.102/24",
            "10.0.0.103/24",
            "10.0.0.105/24",
            "10.0.0.106/24",
            "10.0.0.112/24",
            "10.0.0.113/24",
            "10.0.0.114/24",
            "10.0.0.115/24",
            "fd10::101/64",
            "fd10::102/64",
            "fd10::110/64",
            "fd10::111/64",
            "fd10::112/64",
            "fd10::113/64",
        ],
    );
    text += match (old_interface, later) {
        (true, _) => "[ipvs]\ninterface = \"sockopt\"\n",
        (false, _) => "",
    };
    text += match later {
        false => {
            "[[server_group]]\nname = \"pool\"\naddresses = [\"10.0.0.100:8000\", \"10.0.0.101-103:8001\", \
             \"10.0.0.112/30:8002\", \"10.0.0.105-10.0.0.106:8003\"]\n"
        }
        true => {
            "[[server_group]]\nname = \"pool\"\naddresses = [\"10.0.0.103:8004\", \"10.0.0.101-102:8001\", \
             \"10.0.0.105-10.0.0.106:8003\", \"10.0.0.100:8000\"]\n"
        }
    };
    text += "[[server_group]]\nname = \"marks\"\nfwmarks = [7, 8]\n";
    text += &service("pool", "group = \"pool\"", "rr", CHECK, &BOTH);
    text += &service("marks", "group = \"marks\"", "rr", CHECK, &BOTH);
    if !old_interface {
        text += "[[server_group]]\nname = \"pool6\"\naddresses = [\"[fd10::100]:8000\", \
        \"[fd10::101-102]:8001\", \
                 \"[fd10::110/126]:8002\"]\n\
                 [[server_group]]\nname = \"marks6\"\nfamily = \"ipv6\"\nfwmarks = [7]\n";
        for (name, group) in [("six", "pool6"), ("marks6", "marks6")] {
            text += &service(name, &format!("group = \"{group}\""), "rr", CHECK, &BOTH);
        }
    }
    text
}

fn table(members: &[Member], servers: &[(u8, u32)]) -> Saved {
    members.iter().flat_map(|member| row(&member.front, "rr", "", servers)).collect()
}

/// Ranges, prefixes and marks; a server of all of them fails; a reload changes the members.
fn groups(field: &mut Field<'_>, old_interface: bool) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let unwell = &field.servers[1].health;
    let router = &mut field.routers[0];
    let over = if old_interface { "socket options" } else { "netlink" };
    let everybody = |members: &[Member]| -> Outcome {
        for member in members {
            let mut pages = answers(&client, Transport::Tcp, member.target, 2);
            pages.sort();
            ensure(pages == ["web 47", "web 57"], || format!("{}: {pages:?}", member.front))?;
        }
        Ok(())
    };
    let before = members(old_interface, false);
    stage.step(&format!("{over}: groups of ranges, prefixes and marks"), || {
        let mut rules = String::from("flush ruleset\n");
        for family in ["ip", "ip6"] {
            rules += &format!(
                "table {family} lab {{ chain pre {{ type filter hook prerouting priority mangle; meta \
                 mark set tcp \
                 dport map {{ {MARKED} : 7, {} : 8 }}; }}; }}\n",
                MARKED + 1
            );
        }
        let path = format!("/tmp/{}.nft", router.host.name);
        std::fs::write(&path, rules).map_err(|error| format!("{path}: {error}"))?;
        router.host.output("nft", &["-f", &path])?;
        router.start(&config(old_interface, false))?;
        router.wait_active(stage)?;
        router.wait_table(stage, "a row for each member", &table(&before, &BOTH))?;
        everybody(&before)
    })?;
    stage.step("a server fails: it leaves every row; and comes back", || {
        unwell.down();
        router.wait_table(stage, "no row has it", &table(&before, &[(47, 1)]))?;
        unwell.up();
        router.wait_table(stage, "all have it again", &table(&before, &BOTH))
    })?;
    stage.step("a reload takes members away, brings one, and changes their order", || {
        let counted = counters(&router.host)?;
        let after = members(old_interface, true);
        router.reload(&config(old_interface, true))?;
        router.wait_table(stage, "the table follows", &table(&after, &BOTH))?;
        let new = |line: &&String| !counted.contains(*line);
        let recounted: Vec<String> = counters(&router.host)?.iter().filter(new).cloned().collect();
        ensure(recounted.len() == 1 && recounted[0].contains("10.0.0.103:8004"), || {
            format!("those that stay keep their counters: {recounted:?}")
        })?;
        let gone: SocketAddr = "10.0.0.112:8002".parse().map_err(|_| "no address")?;
        let pages = answers(&client, Transport::Tcp, gone, 1);
        ensure(pages == ["ConnectionRefused"], || format!("{gone} is removed: {pages:?}"))?;
        everybody(&after)
    })?;
    stage.step("the end: nothing is left over", || {
        router.daemon()?.end(Signal::SIGTERM)?;
        Saved::default().is(&router.saved()?)
    })
}

/// Tunnels lead to servers of the other family (IPVS-43b); each server has a method of its own.
fn mixed(field: &mut Field<'_>) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let router = &mut field.routers[0];
    let text = virtual_router_with(100, &[])
        + &format!(
            "[[service]]\nname = \"mixed\"\naddress = \"{VIP4}:{MIXED}\"\nscheduler = \"rr\"\nforward = \
             \"nat\"\n{CHECK}\
             [[service.server]]\naddress = \"192.168.234.47:7000\"\n\
             [[service.server]]\naddress = \"192.168.234.57:{MIXED}\"\nforward = \"direct\"\n\
             [[service.server]]\naddress = \"192.168.234.67:{MIXED}\"\nforward = \"tunnel\"\n\
             tunnel = {{ type = \"gre\" }}\n\
             [[service]]\nname = \"six\"\naddress = \"[{VIP6}]:{SIX_BY_FOUR}\"\nscheduler = \"rr\"\n\
             forward = \"tunnel\"\n{CHECK}\
             [[service.server]]\naddress = \"192.168.234.47:{SIX_BY_FOUR}\"\n\
             [[service.server]]\naddress = \"192.168.234.57:{SIX_BY_FOUR}\"\n\
             tunnel = {{ type = \"gue\", port = {GUE} }}\n\
             [[service.server]]\naddress = \"[fd68::67]:{SIX_BY_FOUR}\"\n\
             [[service]]\nname = \"four\"\naddress = \"{VIP4}:{FOUR_BY_SIX}\"\nscheduler = \"rr\"\n\
             forward = \"tunnel\"\n{CHECK}\
             [[service.server]]\naddress = \"[fd68::47]:{FOUR_BY_SIX}\"\n\
             [[service.server]]\naddress = \"[fd68::57]:{FOUR_BY_SIX}\"\ntunnel = {{ type = \"gre\" }}\n\
             [[service.server]]\naddress = \"192.168.234.67:{FOUR_BY_SIX}\"\n"
        );
    stage.step("several methods in one service; tunnels to servers of the other family", || {
        router.start(&text)?;
        router.wait_active(stage)?;
        let wanted = Saved::of(&[
            "-A -t 10.0.0.100:8100 -s rr",
            "-a -t 10.0.0.100:8100 -r 192.168.234.47:7000 -m -w 1",
            "-a -t 10.0.0.100:8100 -r 192.168.234.57:8100 -g -w 1",
            "-a -t 10.0.0.100:8100 -r 192.168.234.67:8100 -i -w 1 --tun-type gre --tun-nocsum",
            "-A -t [fd10::100]:8101 -s rr",
            "-a -t [fd10::100]:8101 -r 192.168.234.47:8101 -i -w 1 --tun-type ipip",
            "-a -t [fd10::100]:8101 -r 192.168.234.57:8101 -i -w 1 --tun-type gue --tun-port 6080 \
             --tun-nocsum",
            "-a -t [fd10::100]:8101 -r [fd68::67]:8101 -i -w 1 --tun-type ipip",
            "-A -t 10.0.0.100:8102 -s rr",
            "-a -t 10.0.0.100:8102 -r [fd68::47]:8102 -i -w 1 --tun-type ipip",
            "-a -t 10.0.0.100:8102 -r [fd68::57]:8102 -i -w 1 --tun-type gre --tun-nocsum",
            "-a -t 10.0.0.100:8102 -r 192.168.234.67:8102 -i -w 1 --tun-type ipip",
        ]);
        router.wait_table(stage, "the table says so", &wanted)?;
        for target in [(IpAddr::from(VIP4), MIXED), (VIP6.into(), SIX_BY_FOUR), (VIP4.into(), FOUR_BY_SIX)] {
            let mut pages = answers(&client, Transport::Tcp, SocketAddr::from(target), 6);
            pages.sort();
            let wanted = ["web 47", "web 47", "web 57", "web 57", "web 67", "web 67"];
            ensure(pages == wanted, || format!("{target:?}: {pages:?}"))?;
        }
        Ok(())
    })
}
