//! Address changes, in batches.
//!
//! Only the last message of a batch asks for an acknowledgement. The kernel answers every message that failed
//! anyway, in order and before that acknowledgement, so silence means success once it is there. Where it is
//! not there, nothing is known of those without an answer: `Interrupted`, never success.

use crate::engine::{AddressOp, Event, Refusal};
use crate::limits;
use crate::model::{AddressOptions, Cidr};
use crate::sys::errno::refusal;
use crate::sys::netlink::{Received, Socket};
use crate::time::Duration;
use crate::wire::netlink::{Batch, Content, Messages, NoRoom};
use crate::wire::rtnetlink::{self, NewAddress};
use std::collections::VecDeque;

/// One address to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) op: AddressOp,
    pub(super) index: u32,
    pub(super) cidr: Cidr,
    pub(super) lease: Option<Duration>,
    /// Of a removal only the peer counts.
    pub(super) options: AddressOptions,
}

#[derive(Debug)]
pub(super) struct Addresses {
    port: u32,
    seq: u32,
    queue: VecDeque<Change>,
    bytes: Box<[u8]>,
}

/// What is known of the batch that was sent.
#[derive(Debug)]
struct Answers {
    port: u32,
    first_seq: u32,
    count: usize,
    refusals: [Option<Refusal>; limits::ADDRESS_BATCH],
    /// The last message was answered, and nothing was lost before.
    is_complete: bool,
}

impl Addresses {
    pub(super) fn new(port: u32) -> Self {
        let bytes = vec![0; limits::ADDRESS_BATCH * rtnetlink::ADDRESS_MESSAGE_MAX].into();
        Addresses { port, seq: 0, queue: VecDeque::new(), bytes }
    }

    /// The engine asks for as many as it has addresses, and for none twice at a time: that bounds the queue.
    pub(super) fn queue(&mut self, change: Change) {
        self.queue.push_back(change);
    }

    pub(super) fn flush(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        sink: &mut dyn FnMut(Event<'static>),
    ) -> bool {
        let count = self.queue.len().min(limits::ADDRESS_BATCH);
        if count == 0 {
            return false;
        }
        let mut answers = Answers::new(self.port, self.seq.wrapping_add(1), count);
        let mut batch = Batch::new(&mut self.bytes);
        let mut is_written = Ok(());
        for (number, change) in self.queue.iter().take(count).enumerate() {
            self.seq = self.seq.wrapping_add(1);
            is_written = is_written.and(change.emit(&mut batch, self.seq, number + 1 == count));
        }
        match (is_written, socket.send(batch.bytes())) {
            (Ok(()), Ok(())) => answers.read(socket, buffer),
            (Err(NoRoom), _) => answers.refuse_all(Refusal::Invalid),
            (Ok(()), Err(errno)) => answers.refuse_all(refusal(errno)),
        }
        for (number, change) in self.queue.drain(..count).enumerate() {
            sink(Event::AddressResult {
                index: change.index,
                cidr: change.cidr,
                op: change.op,
                result: answers.result(number),
            });
        }
        !self.queue.is_empty()
    }
}

impl Change {
    fn emit(&self, batch: &mut Batch<'_>, seq: u32, ack: bool) -> Result<(), NoRoom> {
        let Cidr { address, prefix_len } = self.cidr;
        let options = &self.options;
        let peer = options.peer.map(|peer| (peer.address, peer.prefix_len));
        match self.op {
            AddressOp::Add => {
                let new = NewAddress {
                    index: self.index,
                    address,
                    prefix_len,
                    peer,
                    lease: self.lease.map(seconds),
                    scope: options.scope.0,
                    label: options.label.as_ref().map_or("", |label| label.as_str()),
                    broadcast: options.broadcast,
                    deprecated: options.deprecated,
                    no_prefix_route: options.no_prefix_route,
                };
                rtnetlink::emit_add_address(batch, seq, ack, &new)
            }
            AddressOp::Remove => {
                rtnetlink::emit_remove_address(batch, seq, ack, (self.index, (address, prefix_len), peer))
            }
        }
    }
}

/// Whole seconds, rounded up. 2^32 - 1 would mean for ever.
fn seconds(lease: Duration) -> u32 {
    u32::try_from(lease.total_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

impl Answers {
    const fn new(port: u32, first_seq: u32, count: usize) -> Self {
        let refusals = [None; limits::ADDRESS_BATCH];
        Answers { port, first_seq, count, refusals, is_complete: false }
    }

    /// Reads until the last message is answered or nothing is left. The answers are there already.
    fn read(&mut self, socket: &Socket, buffer: &mut [u8]) {
        // Twice the batch: answers to an earlier one, whose end was lost, may still be there.
        for _ in 0..limits::ADDRESS_BATCH * 2 {
            match socket.receive(buffer) {
                Received::Datagram(bytes) => self.handle_datagram(bytes),
                Received::Foreign => {}
                Received::Empty | Received::Overrun | Received::Failed(_) => return,
            }
            if self.is_complete {
                return;
            }
        }
    }

    fn handle_datagram(&mut self, bytes: &[u8]) {
        for message in Messages::new(bytes).map_while(Result::ok) {
            let Ok(Content::Reply { errno, text }) = message.content() else { continue };
            // By number and port: what is late from an earlier batch changes nothing (RTNL-5, B-85).
            let number = message.seq.wrapping_sub(self.first_seq) as usize;
            if message.port != self.port || number >= self.count {
                continue;
            }
            if errno != 0 {
                log::debug!("address refused: errno {errno} {}", text.unwrap_or(""));
                if let Some(slot) = self.refusals.get_mut(number) {
                    *slot = Some(refusal(errno));
                }
            }
            self.is_complete |= number + 1 == self.count;
        }
    }

    fn refuse_all(&mut self, refusal: Refusal) {
        self.refusals = [Some(refusal); limits::ADDRESS_BATCH];
    }

    fn result(&self, number: usize) -> Result<(), Refusal> {
        match self.refusals.get(number).copied().flatten() {
            Some(refusal) => Err(refusal),
            None if self.is_complete => Ok(()),
            None => Err(Refusal::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests;
