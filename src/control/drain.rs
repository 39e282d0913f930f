//! Answers to `drain` and `undrain`.

use super::age::Span;
use super::health;
use super::problems::s;
use super::reply::Reply;
use super::request::ServerRequest;
use super::table::ascii;
use super::target::{Target, find, name_of};
use crate::model::status::Snapshot;

/// A server by its place: (index in `Config::services`, index in its servers).
pub type Place = (usize, usize);

impl Reply {
    /// Answer to `drain`, with the server that is meant.
    ///
    /// # Errors
    /// The reply where there is no such server, or more than one.
    pub fn drain(request: &ServerRequest, snapshot: &Snapshot) -> Result<(Place, Self), Self> {
        let target = find(request, snapshot)?;
        let (service, server) = (ascii(&target.service.name), name_of(target.server));
        let left = left(&target);
        let mut body = match (target.server.draining, target.server.up) {
            (true, _) => format!("{service}: {server} is drained already, {left}.\n"),
            (false, true) => format!("{service}: {server} gets no new connections, {left}.\n"),
            (false, false) => {
                format!("{service}: {server} is down, and gets none when it is up again, {left}.\n")
            }
        };
        if let Some(persistence) = &target.service.persistence {
            body.push_str(&format!(
                "Clients that stick to it (persistence {}) reach it until then, unless\n\
                 expire_quiescent_template is 1.\n",
                Span(persistence.timeout)
            ));
        }
        if !is_any_other_serving(&target) {
            let then = match target.service.sorry {
                Some(sorry) => format!("the sorry server {sorry} answers"),
                None => "new clients are refused".to_owned(),
            };
            body.push_str(&format!("WARNING: no other server of {service} is up: {then}.\n"));
        }
        body.push_str(&format!("\"vipd undrain {} {server}\" ends that.\n", quoted(&service)));
        Ok(((target.service_at, target.server_at), Reply::done(body)))
    }

    /// Answer to `undrain`, likewise.
    ///
    /// # Errors
    /// As for `drain`.
    pub fn undrain(request: &ServerRequest, snapshot: &Snapshot) -> Result<(Place, Self), Self> {
        let target = find(request, snapshot)?;
        let (service, server) = (ascii(&target.service.name), name_of(target.server));
        let body = match (target.server.draining, target.server.up) {
            (false, _) => format!("{service}: {server} was not drained.\n"),
            (true, true) => format!("{service}: {server} gets new connections again.\n"),
            (true, false) => {
                format!("{service}: {server} is drained no more; it gets connections when it is up.\n")
            }
        };
        Ok(((target.service_at, target.server_at), Reply::done(body)))
    }
}

fn left(target: &Target<'_>) -> String {
    match target.server.active_connections {
        0 => "no connection is left".to_owned(),
        n => format!("{n} connection{} left", s(n)),
    }
}

fn is_any_other_serving(target: &Target<'_>) -> bool {
    let others = target.service.servers.iter().enumerate().filter(|(at, _)| *at != target.server_at);
    others.into_iter().any(|(_, server)| health::is_serving(server) && !server.draining && server.weight > 0)
}

/// As a shell takes it as one word.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@+".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { format!("'{name}'") }
}
