//! Driving a connection that needs no application.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use glowplug_core::StreamProtocol;

use super::Exclusive;
use crate::server::Stopping;
use crate::{Runtime, Transport};

/// Drives one connection to its end, with no application behind it but a function for the events: what an embedded server's
/// connections run as.
///
/// When the server wants to stop, the machine is asked to finish. How the connection ended is nobody's business here; drive it by
/// [`Exclusive`] to know.
#[must_use = "a connection moves only while it is polled"]
pub struct Serve<P: StreamProtocol, T, R: Runtime> {
    driver: Exclusive<P, T, R>,
    stopping: Option<Stopping>,
    on_event: fn(&mut P, P::Event),
}

impl<P: StreamProtocol, T: Transport, R: Runtime> Serve<P, T, R> {
    /// Serves with `machine` over `transport`, and gives each event to `on_event`.
    pub fn new(
        runtime: R,
        transport: T,
        machine: P,
        stopping: Option<Stopping>,
        on_event: fn(&mut P, P::Event),
    ) -> Self {
        Self { driver: Exclusive::new(runtime, transport, machine), stopping, on_event }
    }
}

// Nothing in it is pinned: the driver is moved about freely.
impl<P: StreamProtocol, T, R: Runtime> Unpin for Serve<P, T, R> {}

impl<P: StreamProtocol, T: Transport, R: Runtime> Future for Serve<P, T, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(stopping) = &mut this.stopping
            && Pin::new(stopping).poll(cx).is_ready()
        {
            this.stopping = None;
            let now = this.driver.runtime().now();
            this.driver.machine_mut().close(now);
        }
        loop {
            match this.driver.poll_event(cx) {
                Poll::Ready(Ok(Some(event))) => (this.on_event)(this.driver.machine_mut(), event),
                Poll::Ready(Ok(None) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<P: StreamProtocol + fmt::Debug, T, R: Runtime> fmt::Debug for Serve<P, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("driver", &self.driver).finish_non_exhaustive()
    }
}
