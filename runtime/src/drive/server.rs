//! Driving a connection that needs no application.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use glowplug_core::StreamProtocol;

use super::{DriverError, Exclusive};
use crate::{Runtime, Transport};

/// Drives one connection to its end, with no application behind it: what an embedded server's connections run as.
///
/// Events go to a function, errors are the output.
#[must_use = "a connection moves only while it is polled"]
pub struct Serve<P, T, R: Runtime, F> {
    driver: Exclusive<P, T, R>,
    on_event: F,
}

impl<P, T, R, F> Serve<P, T, R, F>
where
    P: StreamProtocol,
    T: Transport,
    R: Runtime,
    F: FnMut(&mut P, P::Event),
{
    /// Serves with `machine` over `transport`, and gives each event to `on_event`.
    pub fn new(runtime: R, transport: T, machine: P, on_event: F) -> Self {
        Self { driver: Exclusive::new(runtime, transport, machine), on_event }
    }
}

// Nothing in it is pinned: the driver and the function are moved about freely.
impl<P, T, R: Runtime, F> Unpin for Serve<P, T, R, F> {}

impl<P, T, R, F> Future for Serve<P, T, R, F>
where
    P: StreamProtocol,
    T: Transport,
    R: Runtime,
    F: FnMut(&mut P, P::Event),
{
    type Output = Result<(), DriverError<P::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some(event) = ready!(this.driver.poll_event(cx))? {
            (this.on_event)(this.driver.machine_mut(), event);
        }
        Poll::Ready(Ok(()))
    }
}

impl<P: fmt::Debug, T, R: Runtime, F> fmt::Debug for Serve<P, T, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("driver", &self.driver).finish_non_exhaustive()
    }
}
