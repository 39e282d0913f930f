//! The whole daemon with programs, FIFOs and trackers, and the operator who takes an instance out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Vipd, eventually, lan};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const VIP: &str = "10.9.0.100";
const SOON: Duration = Duration::from_secs(15);

#[test]
fn programs_are_told_and_the_operator_is_obeyed() {
    let Some(lan) = lan() else { return };
    let path = |name: &str| lan.folder().join(name).to_str().unwrap().to_owned();
    let (script, out, pipe, number) = (path("told.sh"), path("out"), path("pipe"), path("number"));
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" >> {out}\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "[global]\nstart_script = \"{script} start\"\nstop_script = \"{script} stop\"\n\
         [notify]\nfifo = \"{pipe}\"\n\
         [[track]]\nname = \"num\"\ntype = \"file\"\npath = \"{number}\"\n\
         [[track]]\nname = \"peer\"\ntype = \"path\"\ntarget = \"10.9.0.3\"\nprobe = \"ping\"\n\
         interval = \"200ms\"\ntimeout = \"200ms\"\nrise = 1\n\
         [[track]]\nname = \"self\"\ntype = \"process\"\nprocess = \"vipd\"\n\
         [[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\n\
         advert_interval = \"100ms\"\naddresses = [\"{VIP}/24\"]\nnotify = {{ any = \"{script}\" }}\n\
         track = [{{ name = \"num\", weight = 1 }}, {{ name = \"peer\", weight = 20 }}, \
         {{ name = \"self\", weight = 3 }}]\n"
    );
    let mut a = Vipd::start(&lan, &lan.a, &config);
    let b = Vipd::start(
        &lan,
        &lan.b,
        &format!(
            "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = 90\n\
             advert_interval = \"100ms\"\naddresses = [\"{VIP}/24\"]\n"
        ),
    );
    eventually("a carries the VIP", SOON, || lan.a.has(VIP) && !lan.b.has(VIP));
    eventually("100 + 20 peer + 3 self", SOON, || a.status().contains("\"effective_priority\":123"));
    std::fs::write(&number, "7").unwrap();
    eventually("and + 7 num", SOON, || a.status().contains("\"effective_priority\":130"));
    let (code, _, words) = a.client(&["resign", "VI_2"]);
    assert_eq!(code, Some(2));
    assert!(words.contains("There are: VI_1"), "the operator has to know the names: {words}");
    let (code, words, _) = a.client(&["resign", "VI_1", "--for", "10m"]);
    assert_eq!((code, words.contains("vipd restore VI_1")), (Some(0), true), "{words}");
    eventually("b takes over", SOON, || lan.b.has(VIP) && !lan.a.has(VIP));
    assert_eq!(a.client(&["restore", "VI_1"]).0, Some(0));
    eventually("a takes it back", SOON, || lan.a.has(VIP) && !lan.b.has(VIP));
    let told = || std::fs::read_to_string(&out).unwrap_or_default();
    eventually("the script is told last", SOON, || told().trim_end().ends_with("INSTANCE VI_1 MASTER 130"));
    assert!(std::fs::exists(&pipe).unwrap());
    assert_eq!(a.terminate(SOON), Some(0));
    assert!(!std::fs::exists(&pipe).unwrap(), "a pipe without a writer would hold readers for ever");
    let told = told();
    assert!(told.starts_with("start\n"), "before anything else: {told}");
    assert!(told.ends_with("INSTANCE VI_1 STOP 130\nstop\n"), "after everything else: {told}");
    drop(b);
}
