//! Everything the server runs, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use glowplug_core::{Progress, Token};
use glowplug_redis::{Event, MonitorLine, Typed, commands};

use super::lane::{Entering, Exchange, Turn, closed};
use super::target::Own;
use super::{Client, Error};
use crate::Runtime;
use crate::drive::shared::CallError;
use crate::time::within;

impl<R: Runtime> Client<R> {
    /// Shows every command that the server runs from now on, for whomever (`MONITOR`).
    ///
    /// On a connection of its own, one of [`Builder::max_lanes`](super::Builder::max_lanes), which is closed when the monitor is dropped. It
    /// costs the server much.
    ///
    /// Dropping the future gives the place to the next.
    pub async fn monitor(&self) -> Result<Monitor<R>, Error> {
        let lanes = &self.core.lanes;
        let timeout = lanes.target().settings.shared.call_timeout;
        let beginning = async {
            let mut entering = Entering::new(lanes.clone());
            let (mut own, turn) = poll_fn(|cx| entering.poll(cx)).await?;
            let (command, answers) = Typed::<()>::new(commands::monitor()).into_parts();
            let mut exchange = Exchange::begin(&mut own, Token(0), command.into())?;
            let replies = poll_fn(|cx| exchange.poll(&mut own, cx)).await?;
            for reply in replies {
                answers.convert(reply).map_err(Error::Reply)?;
            }
            Ok(Monitor { own, _turn: turn, ended: false })
        };
        match within(self.connection.runtime(), timeout, beginning).await {
            Ok(begun) => begun,
            Err(_) => Err(Error::Call(CallError::TimedOut { progress: Progress::NotSent })),
        }
    }
}

/// What the server runs, as a stream of [`MonitorLine`]s. Made by [`Client::monitor`].
///
/// It moves only while it is polled; a server hangs up on a monitor that does not keep up. When the connection is lost, the last item is the
/// error: what was run meanwhile is not known.
#[must_use = "the server shows everything to a connection that nobody reads"]
pub struct Monitor<R: Runtime> {
    own: Own<R>,
    _turn: Turn<R>,
    ended: bool,
}

impl<R: Runtime> Monitor<R> {
    /// The next command; `None` after the end.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<MonitorLine, Error>> {
        poll_fn(|cx| self.poll_line(cx)).await
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<MonitorLine, Error>>> {
        while !self.ended {
            let cause = match self.own.poll_event(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(Event::Push(push)))) => match MonitorLine::from_push(&push) {
                    Some(line) => return Poll::Ready(Some(Ok(line))),
                    None => continue,
                },
                Poll::Ready(Ok(Some(_))) => continue,
                Poll::Ready(Ok(None)) => None,
                Poll::Ready(Err(cause)) => Some(Arc::new(cause)),
            };
            self.ended = true;
            return Poll::Ready(Some(Err(closed(Progress::AnswerBegun, cause))));
        }
        Poll::Ready(None)
    }
}

// Nothing in it is pinned.
impl<R: Runtime> Unpin for Monitor<R> {}

impl<R: Runtime> Stream for Monitor<R> {
    type Item = Result<MonitorLine, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_line(cx)
    }
}

impl<R: Runtime> fmt::Debug for Monitor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("ended", &self.ended).finish_non_exhaustive()
    }
}
