//! The control protocol: what may be asked of a running vipd, and how the answers look.
//!
//! One request line in, one reply out, then the connection ends: `echo status | nc -U /run/vipd/control.sock`
//! is all a client needs. A line that begins with `vipd1 ` gets one more line before the reply, `vipd1 code=0
//! bytes=123`, so that the `vipd` command knows its exit code and whether the reply is complete.
//!
//! Everything here is pure: a [`Snapshot`](crate::model::status::Snapshot) goes in, a text comes out.

mod age;
mod detail;
mod drain;
mod events;
pub mod health;
mod inquiry;
mod json;
mod json_status;
mod metrics;
mod problems;
pub mod render;
mod reply;
mod request;
mod rows;
mod screen;
mod section;
mod service_rows;
mod table;
mod target;
mod track_rows;

pub use drain::Place;
pub use inquiry::{Finding, Inquiry, Verdict};
pub use reply::{Reply, Report, header, parse_header};
pub use request::{
    EventsRequest, FRAMED, Format, ProbeRequest, Refused, Request, ResignRequest, ServerRequest, ServerWord,
    StatusRequest, parse_span,
};

#[cfg(test)]
mod balanced;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
