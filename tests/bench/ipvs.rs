//! What needs a kernel with IPVS: measured in the lab's guest, by `board/lab/run --bench`, taken in here.

use super::{Subject, Table};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

pub fn measure(table: &mut Table, subjects: &[Subject], quick: bool) {
    if !subjects.contains(&Subject::Vipd) || !subjects.contains(&Subject::Keepalived) {
        println!("SKIPPED ipvs: the guest measures both daemons, and one of them is not wanted or not there");
        return;
    }
    let has_qemu = Command::new("qemu-system-x86_64").arg("--version").output().is_ok();
    if !has_qemu {
        println!(
            "SKIPPED ipvs: no qemu-system-x86_64 (Debian: qemu-system-x86), and this kernel may have no IPVS"
        );
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/lab/run");
    let mut command = Command::new(script);
    command.arg("--bench").stdin(Stdio::null()).stdout(Stdio::piped());
    if quick {
        command.arg("--quick");
    }
    let mut child = command.spawn().expect("board/lab/run is there");
    let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
    // A console: what is no row is for whoever looks on.
    for line in output.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_string();
        match line.split('|').collect::<Vec<_>>().as_slice() {
            ["bench", what, who, value, remark] => {
                let subject = if *who == "vipd" { Subject::Vipd } else { Subject::Keepalived };
                table.put(what, subject, value.to_string(), remark);
            }
            _ => eprintln!("{line}"),
        }
    }
    let status = child.wait().expect("it was started");
    assert!(status.success(), "board/lab/run --bench: {status}");
}
