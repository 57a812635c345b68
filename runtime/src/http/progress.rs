//! How far a transfer is.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::{Body, BoxError};

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, if that is known.
    pub total: Option<u64>,
}

impl Body {
    /// The same body, which tells `listen` after each piece how much of it was taken.
    ///
    /// Of a request's body, what was taken is on its way to the server, and not all of it need be there: what lies between is bounded by the send
    /// buffers of machine and system. A body that is sent anew is told anew only if it was not kept.
    ///
    /// ```
    /// use glowplug_runtime::http::Body;
    /// let body = Body::from("text").on_progress(|progress| println!("{} of {:?}", progress.done, progress.total));
    /// assert_eq!(http_body::Body::size_hint(&body).exact(), Some(4));
    /// ```
    pub fn on_progress(self, listen: impl FnMut(Transferred) + Send + 'static) -> Self {
        let total = self.size_hint().exact();
        Self::new(Watched { body: self, listen: Box::new(listen), progress: Transferred { done: 0, total } })
    }
}

struct Watched {
    body: Body,
    listen: Box<dyn FnMut(Transferred) + Send>,
    progress: Transferred,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            this.progress.done += data.len() as u64;
            (this.listen)(this.progress);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
