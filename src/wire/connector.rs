//! The kernel's news of processes (`linux/connector.h`, `linux/cn_proc.h`), in the CPU's own byte order.
//!
//! ```text
//! nlmsghdr 16 | cn_msg: idx 4, val 4, seq 4, ack 4, len 2, flags 2 | proc_event: what 4, cpu 4, time 8, data
//! ```

use super::netlink::HEADER_LEN;

/// CN_IDX_PROC, and the bit of its multicast group.
pub const GROUP: u32 = 1;
/// Bytes that [`emit_listen`] writes.
pub const LISTEN_LEN: usize = HEADER_LEN + CN_MSG_LEN + 4;

const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const CN_MSG_LEN: usize = 20;
/// Where the data of an event begin, after its `what`, `cpu` and time.
const DATA_AT: usize = CN_MSG_LEN + 16;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const NLMSG_DONE: u16 = 3;

const PROC_EVENT_NONE: u32 = 0;
const PROC_EVENT_FORK: u32 = 1;
const PROC_EVENT_EXEC: u32 = 2;
const PROC_EVENT_COMM: u32 = 0x200;
const PROC_EVENT_EXIT: u32 = 0x8000_0000;

/// What happened to a process. Threads that are no processes of their own are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEvent {
    /// The answer to [`emit_listen`]: an errno, 0 where we may listen.
    Answer(u32),
    /// A copy of `parent` is there.
    Fork {
        /// Process id of the parent.
        parent: u32,
        /// Process id of the copy.
        child: u32,
    },
    /// It became another program, or changed its name.
    Changed(u32),
    /// It is gone.
    Exit(u32),
    /// Something that nobody here needs.
    Other,
}

/// Writes a request to be told of processes.
pub fn emit_listen(buf: &mut [u8; LISTEN_LEN]) {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(place) = buf.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        at += bytes.len();
    };
    put(&(LISTEN_LEN as u32).to_ne_bytes());
    put(&NLMSG_DONE.to_ne_bytes());
    // Flags, sequence number, port id.
    put(&[0; 2 + 4 + 4]);
    put(&CN_IDX_PROC.to_ne_bytes());
    put(&CN_VAL_PROC.to_ne_bytes());
    // Sequence number, acknowledgement.
    put(&[0; 8]);
    put(&4_u16.to_ne_bytes());
    put(&[0; 2]);
    put(&PROC_CN_MCAST_LISTEN.to_ne_bytes());
}

/// Reads the payload of one netlink message. `None`: it is no event of processes, or cut short.
pub fn parse(payload: &[u8]) -> Option<ProcessEvent> {
    if (u32_at(payload, 0)?, u32_at(payload, 4)?) != (CN_IDX_PROC, CN_VAL_PROC) {
        return None;
    }
    let data = |index: usize| u32_at(payload, DATA_AT + 4 * index);
    Some(match u32_at(payload, CN_MSG_LEN)? {
        PROC_EVENT_NONE => ProcessEvent::Answer(data(0)?),
        PROC_EVENT_FORK => {
            let (parent, pid, child) = (data(1)?, data(2)?, data(3)?);
            if pid == child { ProcessEvent::Fork { parent, child } } else { ProcessEvent::Other }
        }
        PROC_EVENT_EXEC => ProcessEvent::Changed(data(1)?),
        PROC_EVENT_COMM if data(0)? == data(1)? => ProcessEvent::Changed(data(1)?),
        PROC_EVENT_EXIT if data(0)? == data(1)? => ProcessEvent::Exit(data(1)?),
        _ => ProcessEvent::Other,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|raw| u32::from_ne_bytes(*raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = [CN_IDX_PROC, CN_VAL_PROC, 0, 0, 0, what, 0, 0, 0].map(u32::to_ne_bytes).concat();
        data.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn events_are_read() {
        for (what, data, want) in [
            (0, &[1][..], ProcessEvent::Answer(1)),
            (1, &[10, 10, 11, 11], ProcessEvent::Fork { parent: 10, child: 11 }),
            (1, &[10, 10, 12, 10], ProcessEvent::Other),
            (2, &[12, 11], ProcessEvent::Changed(11)),
            (0x200, &[11, 11], ProcessEvent::Changed(11)),
            (0x200, &[12, 11], ProcessEvent::Other),
            (0x8000_0000, &[11, 11, 0, 17], ProcessEvent::Exit(11)),
            (0x8000_0000, &[12, 11, 0, 17], ProcessEvent::Other),
            (4, &[1, 1], ProcessEvent::Other),
        ] {
            assert_eq!(parse(&event(what, data)), Some(want), "a thread is no process: {what:#x} {data:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_foreign_is_nothing() {
        let whole = event(1, &[10, 10, 11, 11]);
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "{len} bytes");
        }
        let mut foreign = whole;
        foreign[0] ^= 2;
        assert_eq!(parse(&foreign), None);
    }

    #[test]
    fn a_request_has_the_kernels_layout() {
        let mut bytes = [0xff; LISTEN_LEN];
        emit_listen(&mut bytes);
        let words = [40_u32, 3, 0, 0, 1, 1, 0, 0, 4, 1].map(u32::to_le_bytes).concat();
        if cfg!(target_endian = "little") {
            assert_eq!(bytes.as_slice(), words.as_slice());
        }
    }
}
