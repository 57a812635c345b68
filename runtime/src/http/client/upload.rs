//! The body of a request on its way into the machine, and once more if need be.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use glowplug_core::{Instant, Progress};
use glowplug_http::{BodyLength, ClientConnection, FinishError, SendError, StreamId};
use http::{HeaderMap, header};

use crate::http::BoxError;

/// A request's body.
///
/// It remembers what it has handed out for as long as that may be wanted again: all of it while nothing was sent; later only up
/// to a limit, or if the whole body was one piece, which lay in the caller's memory anyway.
pub(super) struct Upload<B> {
    length: BodyLength,
    /// `None` without a body. Boxed, since most requests have none, and all are moved about.
    content: Option<Box<Content<B>>>,
}

struct Content<B> {
    /// What more is to come out of; `None` once that is all.
    body: Option<Pin<Box<B>>>,
    /// To be sent before the body is asked for more.
    queue: VecDeque<Bytes>,
    /// What was taken out of the body so far.
    kept: Vec<Bytes>,
    kept_len: usize,
    replay_limit: usize,
    replayable: bool,
    trailers: Option<HeaderMap>,
    /// The machine has it all, or wants no more.
    finished: bool,
}

/// How it stands after as much was done as could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Nothing more is to be sent.
    Done,
    /// The machine has no room.
    Full,
    /// The body has nothing yet; it wakes the task.
    Waiting,
}

impl<B> Upload<B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    /// A body to be sent beside `headers`, whose `content-length` counts when the body itself does not know.
    pub(super) fn new(body: B, headers: &HeaderMap, replay_limit: usize) -> Self {
        let told = || headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        let length = if body.is_end_stream() {
            BodyLength::Empty
        } else {
            match body.size_hint().exact().or_else(told) {
                Some(0) => BodyLength::Empty,
                Some(length) => BodyLength::Known(length),
                None => BodyLength::Unknown,
            }
        };
        let content = (length != BodyLength::Empty).then(|| {
            Box::new(Content {
                body: Some(Box::pin(body)),
                queue: VecDeque::new(),
                kept: Vec::new(),
                kept_len: 0,
                replay_limit,
                replayable: true,
                trailers: None,
                finished: false,
            })
        });
        Self { length, content }
    }

    /// Moves what is there into the machine, as far as it has room; the request has made this much `progress`.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        machine: &mut ClientConnection,
        stream: StreamId,
        progress: Progress,
    ) -> Result<Sending, BoxError> {
        if self.is_finished() {
            return Ok(Sending::Done);
        }
        self.forget(progress);
        let Some(content) = &mut self.content else { return Ok(Sending::Done) };
        loop {
            if !machine.takes_body(stream) {
                // The answer came first, and ended it.
                content.finished = true;
                return Ok(Sending::Done);
            }
            if machine.capacity(stream) == 0 {
                return Ok(Sending::Full);
            }
            let piece = match content.queue.pop_front() {
                Some(piece) => piece,
                None => match content.take(cx) {
                    Poll::Ready(Some(Ok(piece))) => piece,
                    Poll::Ready(Some(Err(error))) => return Err(error),
                    Poll::Ready(None) => {
                        let finish = match &content.trailers {
                            Some(trailers) => machine.finish(now, stream, trailers),
                            None => machine.finish(now, stream, &()),
                        };
                        content.finished = true;
                        return match finish {
                            Ok(()) | Err(FinishError::Closed) => Ok(Sending::Done),
                            Err(error) => Err(error.into()),
                        };
                    }
                    Poll::Pending => return Ok(Sending::Waiting),
                },
            };
            match machine.send_data(now, stream, piece) {
                Ok(()) | Err(SendError::Closed(_)) => {}
                Err(SendError::Full(piece)) => content.queue.push_front(piece),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<B> Content<B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    /// The next piece out of the body.
    fn take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        loop {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(mut data) if data.has_remaining() => {
                        let piece = data.copy_to_bytes(data.remaining());
                        if self.replayable {
                            self.kept_len += piece.len();
                            self.kept.push(piece.clone());
                        }
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    Ok(_) => {}
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<B> Upload<B> {
    /// What the head says of the body.
    pub(super) fn length(&self) -> BodyLength {
        self.length
    }

    /// True when the machine has it all, or wants no more.
    pub(super) fn is_finished(&self) -> bool {
        self.content.as_ref().is_none_or(|content| content.finished)
    }

    /// Takes it out; none stays behind.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self { length: BodyLength::Empty, content: None })
    }

    /// Leaves the body behind, for a request that is to have none.
    pub(super) fn leave(&mut self) {
        *self = Self { length: BodyLength::Empty, content: None };
    }

    /// True when the body can be sent once more from its beginning, after a request that got so far.
    pub(super) fn is_replayable(&self, progress: Progress) -> bool {
        let Some(content) = &self.content else { return true };
        let is_whole = matches!(self.length, BodyLength::Known(length)
            if content.kept.len() == 1 && content.kept_len as u64 == length);
        content.replayable
            && (progress == Progress::NotSent || content.kept_len <= content.replay_limit || is_whole)
    }

    /// Goes back to the beginning of a replayable body.
    pub(super) fn rewind(&mut self) {
        let Some(content) = &mut self.content else { return };
        debug_assert!(content.replayable, "the beginning is gone");
        content.queue = content.kept.iter().cloned().collect();
        content.finished = false;
    }

    /// Gives up what was kept once it is too much, and cannot help any more.
    fn forget(&mut self, progress: Progress) {
        let replayable = self.is_replayable(progress);
        if let Some(content) = self.content.as_mut().filter(|content| content.replayable && !replayable) {
            content.replayable = false;
            content.kept = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use glowplug_core::{SendBuf, StreamProtocol};
    use glowplug_http::{ClientConfig, Method};

    use super::*;
    use crate::http::Body;

    const NOW: Instant = Instant::ZERO;

    /// Pieces of a known or unknown total.
    struct Pieces(VecDeque<&'static str>, Option<u64>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(http_body::Frame::data(Bytes::from(piece)))))
        }

        fn size_hint(&self) -> http_body::SizeHint {
            self.1.map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
        }
    }

    fn machine(length: BodyLength) -> (ClientConnection, StreamId) {
        let mut machine = ClientConnection::new(NOW, Arc::new(ClientConfig::default()));
        let stream = machine.submit(NOW, &Method::PUT, "/", &[("host", "a")], length).expect("ready");
        (machine, stream)
    }

    /// What goes out, without the head.
    fn sent<B>(upload: &mut Upload<B>) -> Result<String, BoxError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let (mut machine, stream) = machine(upload.length());
        let mut text = String::new();
        loop {
            let progress = machine.progress(stream);
            let mut cx = Context::from_waker(Waker::noop());
            let sending = upload.send(&mut cx, NOW, &mut machine, stream, progress)?;
            let mut out = SendBuf::new();
            machine.poll_transmit(NOW, &mut out);
            text += &String::from_utf8(out.take_all().to_vec())?;
            if sending == Sending::Done {
                return Ok(text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned());
            }
        }
    }

    #[test]
    fn a_body_goes_out_again_from_its_beginning() {
        let pieces = Pieces(["ab", "cde"].into(), None);
        let mut upload = Upload::new(pieces, &HeaderMap::new(), 100);
        let chunks = "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
        assert_eq!(sent(&mut upload).expect("no error"), chunks);
        upload.rewind();
        assert_eq!(sent(&mut upload).expect("no error"), chunks);
    }

    #[test]
    fn what_is_too_long_to_keep_is_not_replayed_unless_it_is_one_piece() {
        for (pieces, replayable) in [(&["ab", "cd"][..], true), (&["ab", "cde"], false), (&["abcde"], true)] {
            let length = pieces.iter().map(|piece| piece.len() as u64).sum();
            let pieces = Pieces(pieces.iter().copied().collect(), Some(length));
            let mut upload = Upload::new(pieces, &HeaderMap::new(), 4);
            let (mut machine, stream) = machine(upload.length());
            let mut cx = Context::from_waker(Waker::noop());
            upload.send(&mut cx, NOW, &mut machine, stream, Progress::NotSent).expect("no error");
            assert!(upload.is_replayable(machine.progress(stream)), "nothing was sent");
            machine.poll_transmit(NOW, &mut SendBuf::with_room(10));
            assert_eq!(upload.is_replayable(machine.progress(stream)), replayable);
            upload.forget(machine.progress(stream));
            let keeps = upload.content.as_ref().is_some_and(|content| !content.kept.is_empty());
            assert_eq!(keeps, replayable);
        }
    }

    #[test]
    fn a_body_that_is_not_as_long_as_it_said_is_an_error() {
        for (said, error) in [(3, "longer"), (9, "missing")] {
            let mut upload = Upload::new(Pieces(["abcd"].into(), Some(said)), &HeaderMap::new(), 100);
            let failed = sent(&mut upload).expect_err("the wrong length").to_string();
            assert!(failed.contains(error), "{failed}");
        }
    }

    #[test]
    fn a_length_in_the_head_serves_a_body_that_does_not_know() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, 2.into());
        let upload = Upload::new(Pieces(["ab"].into(), None), &headers, 100);
        assert_eq!(upload.length(), BodyLength::Known(2));
        let upload = Upload::new(Body::from("abc"), &headers, 100);
        assert_eq!(upload.length(), BodyLength::Known(3));
        let upload = Upload::new(Body::empty(), &headers, 100);
        assert_eq!(upload.length(), BodyLength::Empty);
    }
}
