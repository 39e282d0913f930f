//! vipd keeps a virtual IP address on exactly one healthy router (VRRP), and spreads the connections that
//! arrive there over healthy servers (IPVS). This page is the architecture; `README.md` is for whoever uses
//! it.
//!
//! # The house
//!
//! ```text
//! main → cli → sys → { engine, control, probe, config } → model → wire → { time, limits }
//! ```
//!
//! Imports run downward only, and rooms on one floor do not import each other; `tests/tidy.rs` holds that,
//! and which words may be spoken in which room.
//!
//! | room | holds | knows nothing of |
//! |---|---|---|
//! | [`wire`] | bytes ↔ typed values: VRRP, ARP, netlink, IPVS, DNS, HTTP, jobs | clocks, sockets |
//! | [`model`] | what the user asked for, validated; the shapes in which status is told | text formats |
//! | [`config`] | TOML → model, mistakes with place and intention; keepalived.conf → TOML | the engine |
//! | [`engine`] | pure state machines: virtual routers, groups, trackers, services | clocks, files |
//! | [`control`] | requests and replies of the control socket; status as text, JSON and metrics | sockets |
//! | [`probe`] | what a worker runs: HTTP and SMTP over a socket that it was handed | the engine |
//! | [`sys`] | the loop, clock, sockets, netlink, children, signals, privileges, logging | protocol rules |
//!
//! # The way of the data
//!
//! One thread, one `ppoll` ([`sys::run`]), in which the sockets of probes stand behind one epoll descriptor.
//! Each turn: what has arrived is heard, what is due is done, the kernel's news is taken in, then signals,
//! probes, the control socket. Everything becomes an [`engine::Event`] with the time at which it was seen;
//! [`engine::Engine::handle`] turns it into [`engine::Action`]s, the loop does them in order, and what fails
//! comes back as an event. The engine keeps comparisons of "should be" with "is": virtual addresses,
//! macvlans, routes and rules, and the kernel's IPVS table.
//!
//! What trackers find becomes the standing of an instance (its priority and its reasons for Fault); a sync
//! group looks at its members after every event and makes them follow each other. Notifications are queues
//! of programs; the loop forks them, and never waits for one.
//!
//! A probe belongs to a checker, its verdict to all servers that ask the same; what the servers weigh
//! together decides the quorum, and that who stands in the kernel's table. Conversations with servers run in
//! worker processes ([`sys::worker`]): the loop makes the connection, the worker, confined to it, talks. A
//! thousand dead or hung servers cost a thousand descriptors, and no process. Names are looked up by a child.
//!
//! # The laws
//!
//! 1. The loop never blocks.
//! 2. A rejected packet changes nothing but a counter.
//! 3. A virtual address is on the box exactly while its instance is Active, also when vipd is killed or
//!    frozen (kernel leases).
//! 4. Nothing wrong in a configuration is accepted silently.
//! 5. What we said we did, we check.
//! 6. Untrusted bytes are parsed without privileges.
//! 7. No wall clock in decisions, nothing written to flash.
//! 8. Every table has a limit ([`limits`]).

pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod limits;
pub mod model;
pub mod probe;
pub mod sys;
pub mod time;
pub mod wire;
