//! Single requests with an answer each: links, routes, rules, settings. The kernel handles a request inside
//! `send`, so the answer is there when `send` returns, and nothing waits.

use crate::engine::Refusal;
use crate::sys::errno::refusal;
use crate::sys::netlink::{Received, Socket};
use crate::wire::netlink::{Batch, Content, Message, Messages, NoRoom};
use nix::sys::socket::SockProtocol;
use std::io;

/// Queue of the socket: one answer at a time.
const QUEUE: usize = 64 << 10;
/// The longest request: a macvlan, or a rule with everything.
const REQUEST_MAX: usize = 256;
/// Datagrams that are read for one answer: late ones of an earlier request may be before it (RTNL-5).
const DATAGRAMS_MAX: usize = 32;

/// Its own socket, so that its answers and those of the address batches are never taken for each other.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    seq: u32,
}

impl Requests {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Requests { socket: Socket::open(SockProtocol::NetlinkRoute, 0, QUEUE)?, seq: 0 })
    }

    /// Sends what `emit` writes, which must ask for an acknowledgement, and reads up to it; `on_data` is
    /// shown what comes before.
    pub(super) fn ask(
        &mut self,
        buffer: &mut [u8],
        emit: impl FnOnce(&mut Batch<'_>, u32) -> Result<(), NoRoom>,
        on_data: &mut dyn FnMut(&Message<'_>),
    ) -> Result<(), Refusal> {
        self.seq = self.seq.wrapping_add(1);
        let mut bytes = [0; REQUEST_MAX];
        let mut batch = Batch::new(&mut bytes);
        emit(&mut batch, self.seq).map_err(|NoRoom| Refusal::Invalid)?;
        self.socket.send(batch.bytes()).map_err(refusal)?;
        for _ in 0..DATAGRAMS_MAX {
            match self.socket.receive(buffer) {
                Received::Datagram(bytes) => {
                    if let Some(result) = answer(bytes, self.socket.port(), self.seq, on_data) {
                        return result;
                    }
                }
                Received::Foreign => {}
                Received::Empty | Received::Overrun | Received::Failed(_) => break,
            }
        }
        Err(Refusal::Interrupted)
    }
}

/// `None`: the acknowledgement is not in it. By number and port: what is late changes nothing (B-85).
fn answer(
    datagram: &[u8],
    port: u32,
    seq: u32,
    on_data: &mut dyn FnMut(&Message<'_>),
) -> Option<Result<(), Refusal>> {
    for message in Messages::new(datagram).map_while(Result::ok) {
        if (message.port, message.seq) != (port, seq) {
            continue;
        }
        match message.content() {
            Ok(Content::Reply { errno: 0, .. }) => return Some(Ok(())),
            Ok(Content::Reply { errno, text }) => {
                log::debug!("rtnetlink refused: errno {errno} {}", text.unwrap_or(""));
                return Some(Err(refusal(errno)));
            }
            Ok(Content::Data) => on_data(&message),
            Ok(Content::Noop | Content::Overrun | Content::Done { .. }) | Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(kind: u16, seq: u32, port: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = [0; 128];
        let mut batch = Batch::new(&mut bytes);
        batch.message(kind, 0, seq, |b| b.bytes(body)).unwrap();
        let mut bytes = batch.bytes().to_vec();
        bytes[12..16].copy_from_slice(&port.to_ne_bytes());
        bytes
    }

    fn reply(errno: i32, seq: u32, port: u32) -> Vec<u8> {
        datagram(2, seq, port, &[&(-errno).to_ne_bytes()[..], &[0; 16]].concat())
    }

    #[test]
    fn b85_rtnl5_only_the_answer_to_this_request_counts() {
        let mut data = 0;
        let mut on_data = |_: &Message<'_>| data += 1;
        let late = [reply(0, 4, 77), reply(libc::EEXIST, 5, 78), datagram(16, 4, 77, &[0; 16])].concat();
        assert_eq!(answer(&late, 77, 5, &mut on_data), None, "an old number, a foreign port");
        let right = [datagram(16, 5, 77, &[0; 16]), reply(libc::EBUSY, 5, 77)].concat();
        assert_eq!(answer(&right, 77, 5, &mut on_data), Some(Err(Refusal::Busy)), "B-93: EBUSY on macvlan");
        assert_eq!(data, 1, "data of this request alone");
        assert_eq!(answer(&reply(0, 5, 77)[..30], 77, 5, &mut |_| {}), None, "B-75: cut");
    }
}
