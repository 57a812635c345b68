//! A handle to a shared connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::RequestProtocol;

use super::state::{Over, Shared};
use super::{Call, Calls, Config, Drive};
use crate::drive::DriverError;
use crate::{MaybeTls, Runtime, Transport};

/// A handle to a connection that many callers share. Clones share the connection; it ends with the last of them.
pub struct Connection<P: RequestProtocol, R: Runtime, T: Transport = MaybeTls<<R as Runtime>::Stream>> {
    pub(super) shared: Arc<Shared<P, T>>,
    pub(super) runtime: R,
    pub(super) call_timeout: Option<Duration>,
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Connection<P, R, T> {
    /// Puts `machine` on `transport`. The [`Drive`] is to be spawned: nothing moves without it.
    pub fn new(runtime: R, transport: T, machine: P, config: Config) -> (Self, Drive<P, T, R>) {
        let call_timeout = config.call_timeout;
        let shared = Arc::new(Shared::new(machine, config));
        let drive = Drive::new(shared.clone(), runtime.clone(), transport, BytesMut::new());
        (Self { shared, runtime, call_timeout }, drive)
    }

    /// Asks for one answer.
    pub fn call(&self, request: P::Request) -> Call<'_, P, R, T> {
        Call::new(self, request)
    }

    /// Asks for several answers, such as a pipeline's, and gives them all when the last is there.
    pub fn call_many(&self, request: P::Request) -> Calls<'_, P, R, T> {
        Calls::new(self, request)
    }

    /// The next thing the machine said that was not an answer: that it is ready, or a push. `None` when the connection has ended
    /// in good order; the error, as often as asked, when it broke.
    ///
    /// There is one queue of events; of several callers, any one gets an event. Dropping the future loses nothing.
    pub fn next_event(&self) -> NextEvent<'_, P, R, T> {
        NextEvent { connection: self }
    }

    /// How many events were dropped since the last time this was asked, because nobody took them.
    pub fn take_events_lost(&self) -> u64 {
        self.shared.lock().take_events_lost()
    }

    /// True once the connection is over.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_over()
    }

    /// Looks at the machine, or acts on it; the task is told afterwards. `f` runs under the connection's lock: be quick, and
    /// do not use the connection inside.
    pub fn with_machine<O>(&self, f: impl FnOnce(&mut P) -> O) -> O {
        let mut state = self.shared.lock();
        let output = f(&mut state.machine);
        let task = state.wake_task();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        output
    }

    /// Looks at the machine, or acts on it where that gives the task nothing to do; as quick as [`with_machine`](Self::with_machine).
    pub fn peek_machine<O>(&self, f: impl FnOnce(&mut P) -> O) -> O {
        f(&mut self.shared.lock().machine)
    }

    /// Asks the machine to finish: no new calls, those in flight complete.
    pub fn close(&self) {
        let now = self.runtime.now();
        self.with_machine(|machine| machine.close(now));
    }

    /// The runtime this connection runs on.
    pub fn runtime(&self) -> &R {
        &self.runtime
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Clone for Connection<P, R, T> {
    fn clone(&self) -> Self {
        self.shared.lock().handles += 1;
        Self { shared: self.shared.clone(), runtime: self.runtime.clone(), call_timeout: self.call_timeout }
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Drop for Connection<P, R, T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.handles -= 1;
        let task = if state.is_deserted() { state.wake_task() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> fmt::Debug for Connection<P, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// The future of [`Connection::next_event`].
#[must_use = "nothing is taken until the future is polled"]
pub struct NextEvent<'c, P: RequestProtocol, R: Runtime, T: Transport = MaybeTls<<R as Runtime>::Stream>> {
    connection: &'c Connection<P, R, T>,
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Future for NextEvent<'_, P, R, T> {
    type Output = Result<Option<P::Event>, Arc<DriverError<P::Error>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.connection.shared.lock().poll_event(cx);
        match polled {
            Ok(Ok(event)) => Poll::Ready(Ok(Some(event))),
            Ok(Err(Over(None))) => Poll::Ready(Ok(None)),
            Ok(Err(Over(Some(cause)))) => Poll::Ready(Err(cause)),
            Err(task) => {
                if let Some(task) = task {
                    task.wake();
                }
                Poll::Pending
            }
        }
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> fmt::Debug for NextEvent<'_, P, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextEvent").finish_non_exhaustive()
    }
}
