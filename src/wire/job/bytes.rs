//! Bytes taken off the front, and put at the end.

use super::{JobError, stamp};
use crate::limits::JOB_MAX;
use crate::time::Duration;

/// Longest time for one conversation. More is cut, so that no arithmetic on it can overflow.
const LEFT_MAX_MICROS: u64 = 86_400_000_000;
/// Where the time left stands in a job.
pub(super) const LEFT_AT: usize = 5;

/// Takes bytes off the front.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], JobError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(JobError::Length)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], JobError> {
        self.take(N)?.try_into().map_err(|_| JobError::Length)
    }

    pub(super) fn u8(&mut self) -> Result<u8, JobError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, JobError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, JobError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, JobError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn duration(&mut self) -> Result<Duration, JobError> {
        Ok(Duration::from_micros(self.u64()?.min(LEFT_MAX_MICROS)))
    }

    pub(super) fn flag(&mut self) -> Result<bool, JobError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(JobError::Number),
        }
    }

    pub(super) fn optional_digest(&mut self) -> Result<Option<[u8; 16]>, JobError> {
        let wanted = self.flag()?;
        let digest = self.array()?;
        Ok(wanted.then_some(digest))
    }

    pub(super) fn counted_bytes(&mut self) -> Result<&'a [u8], JobError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    pub(super) fn checked_string(&mut self) -> Result<&'a str, JobError> {
        core::str::from_utf8(self.counted_bytes()?).map_err(|_| JobError::Text)
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.checked_string().ok()
    }
}

/// Puts bytes at the end; `None` at the first that does not fit.
pub(super) struct Writer<'b> {
    buffer: &'b mut [u8; JOB_MAX],
    pub(super) len: usize,
}

impl<'b> Writer<'b> {
    pub(super) fn new(buffer: &'b mut [u8; JOB_MAX], kind: u8, timeout: Duration) -> Option<Self> {
        buffer[0] = kind;
        stamp(buffer, 0, Duration::ZERO);
        let mut out = Writer { buffer, len: LEFT_AT + 8 };
        out.bytes(&timeout.total_micros().to_be_bytes())?;
        Some(out)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.buffer.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// As `string`, of bytes that `fill` writes into what room there is.
    pub(super) fn filled(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        let (len_at, from) = (self.len, self.len + 2);
        let len = fill(self.buffer.get_mut(from..)?)?;
        self.len = from + len;
        let len = u16::try_from(len).ok()?;
        self.buffer.get_mut(len_at..from)?.copy_from_slice(&len.to_be_bytes());
        Some(())
    }

    pub(super) fn flag(&mut self, is_set: bool) -> Option<()> {
        self.bytes(&[u8::from(is_set)])
    }

    pub(super) fn string(&mut self, text: &str) -> Option<()> {
        self.bytes(&u16::try_from(text.len()).ok()?.to_be_bytes())?;
        self.bytes(text.as_bytes())
    }

    pub(super) fn counted<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        mut emit: impl FnMut(&mut Self, T) -> Option<()>,
    ) -> Option<()> {
        let count_at = self.len;
        self.bytes(&[0])?;
        let mut count = 0u8;
        for item in items {
            count = count.checked_add(1)?;
            emit(self, item)?;
        }
        *self.buffer.get_mut(count_at)? = count;
        Some(())
    }
}
