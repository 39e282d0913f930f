//! `vipd resolve`: looks one name up for the loop, which must not wait for it (law 1), without the loop's
//! rights (law 6), and ends. The C library's resolver does it, so `/etc/hosts` and `/etc/resolv.conf` mean
//! what they always mean.

use super::sandbox;
use crate::model::cut;
use crate::wire::lookup::{Addresses, QUESTION_MAX, Why, emit_answer, parse_question};
use nix::sys::socket::{MsgFlags, SockType, getsockopt, recv, send, sockopt};
use std::net::ToSocketAddrs;
use std::os::fd::{AsFd, AsRawFd};

/// The first word on the command line that makes the program look a name up.
pub const ARGUMENT: &str = "resolve";

/// Standard input is the process's end of a pair, over which question and answer go. Gives the exit code: 0
/// answered, 1 the loop spoke nonsense or is gone, 2 this was not started by the loop.
pub fn main() -> u8 {
    let stdin = std::io::stdin();
    let loop_end = stdin.as_fd();
    if getsockopt(&loop_end, sockopt::SockType) != Ok(SockType::SeqPacket) {
        eprintln!("vipd resolve is started by vipd run, never by hand");
        return 2;
    }
    let confined = sandbox::confine_lookup();
    let mut buffer = [0; QUESTION_MAX + 1];
    let Ok(len) = recv(loop_end.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { return 1 };
    let Some((host, ipv6)) = buffer.get(..len).and_then(parse_question) else { return 1 };
    let answer = confined.and_then(|()| look_up(host, ipv6));
    match send(loop_end.as_raw_fd(), &emit_answer(&answer), MsgFlags::MSG_NOSIGNAL) {
        Ok(_) => 0,
        Err(_) => 1,
    }
}

fn look_up(host: &str, ipv6: Option<bool>) -> Result<Addresses, Why> {
    let found = (host, 0).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        // std's own words in front say nothing more.
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.is_empty() { cut(format_args!("not found")) } else { cut(format_args!("{text}")) }
    })?;
    let mut addresses = Addresses::new();
    for address in
        found.map(|found| found.ip()).filter(|address| ipv6.is_none_or(|ipv6| address.is_ipv6() == ipv6))
    {
        // What does not fit is ignored.
        if !addresses.contains(&address) && addresses.push(address).is_err() {
            break;
        }
    }
    match (addresses.is_empty(), ipv6) {
        (false, _) => Ok(addresses),
        (true, Some(true)) => Err(cut(format_args!("it has no IPv6 address"))),
        (true, Some(false)) => Err(cut(format_args!("it has no IPv4 address"))),
        (true, None) => Err(cut(format_args!("it has no address"))),
    }
}
