//! Spans and events by `tracing`; nothing at all without that feature.
//!
//! Everything here is called whether or not the feature is on. Without it [`Span`] has no size and the functions have no body, so
//! callers need no `cfg`.

use std::any::Any;
use std::fmt;
#[cfg(not(feature = "tracing"))]
use std::marker::PhantomData;

use crate::Endpoint;

/// A span of `tracing`, or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Span(#[cfg(feature = "tracing")] tracing::Span);

/// While this lives, what happens happens inside the span.
pub(crate) struct Entered<'s>(
    #[cfg(feature = "tracing")]
    #[allow(dead_code, reason = "it is there to be dropped")]
    tracing::span::Entered<'s>,
    #[cfg(not(feature = "tracing"))] PhantomData<&'s ()>,
);

/// Makes a span of its level, name and fields.
macro_rules! span {
    ($level:ident, $name:literal, $($field:ident = $value:expr),*) => {{
        #[cfg(feature = "tracing")]
        let span = Span(tracing::span!(target: "glowplug", tracing::Level::$level, $name, $($field = %$value),*));
        #[cfg(not(feature = "tracing"))]
        let span = {
            $(let _ = $value;)*
            Span()
        };
        span
    }};
}

/// Makes an event of its level, its text and its fields.
macro_rules! event {
    ($level:ident, $text:literal, $($field:ident = $value:expr),*) => {{
        #[cfg(feature = "tracing")]
        tracing::event!(target: "glowplug", tracing::Level::$level, $($field = %$value,)* $text);
        #[cfg(not(feature = "tracing"))]
        {
            $(let _ = $value;)*
        }
    }};
}

impl Span {
    /// No span.
    pub(crate) fn none() -> Self {
        Self(
            #[cfg(feature = "tracing")]
            tracing::Span::none(),
        )
    }

    /// A connection that a server accepted.
    pub(crate) fn served(peer: &Endpoint) -> Self {
        span!(INFO, "connection", peer = peer)
    }

    /// A conversation over datagrams.
    #[cfg(feature = "udp")]
    pub(crate) fn conversation(peer: std::net::SocketAddr) -> Self {
        span!(INFO, "conversation", peer = peer)
    }

    /// A connection of ours that many callers share, as its task sees it.
    pub(crate) fn shared() -> Self {
        span!(INFO, "connection",)
    }

    /// A connection of ours that one caller has for itself, while it is polled.
    pub(crate) fn exclusive() -> Self {
        span!(DEBUG, "connection",)
    }

    /// One request on a connection that many share, from its first poll to its answer.
    pub(crate) fn request() -> Self {
        span!(DEBUG, "request",)
    }

    /// A task with a name.
    pub(crate) fn task(name: &str) -> Self {
        span!(INFO, "task", name = name)
    }

    /// Enters the span, until the result is dropped.
    #[cfg_attr(not(feature = "tracing"), expect(clippy::unused_self, reason = "there is no span to enter"))]
    pub(crate) fn enter(&self) -> Entered<'_> {
        #[cfg(feature = "tracing")]
        let entered = Entered(self.0.enter());
        #[cfg(not(feature = "tracing"))]
        let entered = Entered(PhantomData);
        entered
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Something of the application panicked, and the panic stays inside.
pub(crate) fn panicked(payload: &(dyn Any + Send)) {
    event!(ERROR, "panicked", panic = panic_text(payload));
}

/// Accepting failed, and not because of the peer.
pub(crate) fn accept_failed(error: &std::io::Error) {
    event!(WARN, "accepting failed", error = error);
}

/// A handshake did not come to an end.
pub(crate) fn handshake_failed(error: &dyn fmt::Display) {
    event!(DEBUG, "the handshake failed", error = error);
}

/// A connection of ours ended, and not in good order.
pub(crate) fn connection_broke(error: &dyn fmt::Display) {
    event!(WARN, "the connection broke", error = error);
}

/// A request ends without an answer.
pub(crate) fn request_failed(error: &dyn fmt::Display) {
    event!(DEBUG, "no answer", error = error);
}

/// A task is started again after it ended.
pub(crate) fn restarting(name: &str, after: &str, wait: std::time::Duration) {
    event!(WARN, "restarting", name = name, after = after, wait_ms = wait.as_millis());
}

/// A task is not started again any more.
pub(crate) fn gave_up(name: &str, attempts: u32) {
    event!(ERROR, "gave up", name = name, attempts = attempts);
}

/// A service of a set began or ended.
pub(crate) fn service(name: &str, what: &str) {
    event!(INFO, "service", name = name, is = what);
}
