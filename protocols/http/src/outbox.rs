//! What waits to be sent, and the frame of the body that is being sent: the same for both halves.

use bytes::{Buf, Bytes};
use glowplug_core::SendBuf;

use crate::error::{FinishError, SendError};
use crate::wire::encode::{self, FieldSource};

/// Pieces of output shorter than this are copied when the room is tight.
const COPY: usize = 1024;

/// How the body that is being sent is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendBody {
    /// No body is open.
    None,
    /// So many bytes are still to come.
    Known(u64),
    Chunked,
    /// The end of the connection ends it.
    UntilClose,
    /// Nothing of it goes out: the answer to `HEAD`, and its like.
    Dropped,
}

/// Fields without `host`, which cannot be a trailer any more than those that frame a message (RFC 9110 §6.5.1).
struct Trailers<'a, F: ?Sized>(&'a F);

impl<F: FieldSource + ?Sized> FieldSource for Trailers<'_, F> {
    const VALID: bool = F::VALID;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        self.0.each(|name, value| {
            if !name.eq_ignore_ascii_case(b"host") {
                visit(name, value);
            }
        });
    }
}

/// Output on its way to `poll_transmit`.
#[derive(Debug)]
pub(crate) struct Outbox {
    pending: SendBuf,
    /// Where heads are put together: a plain vector takes small pieces with less ado than a shared buffer, and what is
    /// wrong can be thrown away.
    draft: Vec<u8>,
    pub(crate) body: SendBody,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { pending: SendBuf::with_room(capacity), draft: Vec::new(), body: SendBody::None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.pending.has_room()
    }

    /// Bytes that `send_data` takes before it is full.
    pub(crate) fn capacity(&self) -> usize {
        match self.body {
            SendBody::None => 0,
            _ => self.pending.room(),
        }
    }

    /// Queues what `write` writes, unless it fails.
    #[inline]
    pub(crate) fn write<T, E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>) -> Result<T, E> {
        self.draft.clear();
        let written = write(&mut self.draft)?;
        self.pending.put_slice(&self.draft);
        Ok(written)
    }

    pub(crate) fn send_data(&mut self, data: Bytes) -> Result<(), SendError> {
        if self.body == SendBody::None {
            return Err(SendError::Closed(data));
        }
        if self.is_full() {
            return Err(SendError::Full(data));
        }
        match &mut self.body {
            SendBody::Known(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Err(SendError::TooLong(data)),
            },
            SendBody::Chunked => {
                // An empty chunk would be the last one.
                if !data.is_empty() {
                    self.draft.clear();
                    encode::chunk_size_line(&mut self.draft, data.len());
                    self.pending.put_slice(&self.draft);
                    self.pending.push(data);
                    self.pending.put_slice(b"\r\n");
                }
                return Ok(());
            }
            SendBody::Dropped => return Ok(()),
            SendBody::UntilClose | SendBody::None => {}
        }
        self.pending.push(data);
        Ok(())
    }

    /// Queues a body that is neither chunked nor followed by more of it.
    #[inline]
    pub(crate) fn push(&mut self, body: Bytes) {
        self.pending.push(body);
    }

    /// Sends a piece as a chunk of its own, with extensions, where the body is chunked; elsewhere the piece alone.
    pub(crate) fn send_chunk<F: FieldSource + ?Sized>(
        &mut self,
        data: Bytes,
        extensions: &F,
    ) -> Result<(), SendError> {
        if self.body != SendBody::Chunked || data.is_empty() || self.is_full() {
            return self.send_data(data);
        }
        let size_line = self.write(|out| {
            encode::chunk_size_line(out, data.len());
            out.truncate(out.len() - 2);
            encode::chunk_extensions(out, extensions)
        });
        if size_line.is_err() {
            return Err(SendError::Extension(data));
        }
        self.pending.push(data);
        self.pending.put_slice(b"\r\n");
        Ok(())
    }

    /// Ends the body. Trailers go out where it is chunked.
    pub(crate) fn finish<F: FieldSource + ?Sized>(&mut self, trailers: &F) -> Result<(), FinishError> {
        match self.body {
            SendBody::None => return Err(FinishError::Closed),
            SendBody::Known(left) if left > 0 => return Err(FinishError::Short(left)),
            SendBody::Chunked => self.write(|out| {
                out.extend_from_slice(b"0\r\n");
                encode::fields(out, &Trailers(trailers), false).map_err(FinishError::Field)?;
                out.extend_from_slice(b"\r\n");
                Ok(())
            })?,
            SendBody::Known(_) | SendBody::UntilClose | SendBody::Dropped => {}
        }
        self.body = SendBody::None;
        Ok(())
    }

    /// Forgets what was not handed over, and the body with it.
    pub(crate) fn clear(&mut self) {
        let len = self.pending.len();
        self.pending.advance(len);
        self.body = SendBody::None;
    }

    /// Moves what has room; true when anything moved.
    #[inline]
    pub(crate) fn transmit(&mut self, out: &mut SendBuf) -> bool {
        if self.pending.is_empty() || !out.has_room() {
            return false;
        }
        if out.room() >= self.pending.len() {
            out.append(&mut self.pending);
            return true;
        }
        while out.has_room() && !self.pending.is_empty() {
            let len = self.pending.chunk().len().min(out.room());
            if len < COPY {
                out.put_slice(&self.pending.chunk()[..len]);
                self.pending.advance(len);
            } else {
                out.push(self.pending.copy_to_bytes(len));
            }
        }
        true
    }

    pub(crate) fn release_memory(&mut self) {
        self.pending.release_memory();
        self.draft = Vec::new();
    }
}
