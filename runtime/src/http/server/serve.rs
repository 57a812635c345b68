//! One connection and its application, in one task.
//!
//! ```text
//! Idle ──request──▶ Waiting ──ready──▶ Handling ──response──▶ Sending ──end──▶ Idle
//!                  (for the service)     │  panic, error: 500 and close │
//!                                        └── no body: answered at once ─┴──▶ Idle
//! ```
//!
//! A turn takes what the machine tells, lets the application work on it until neither has anything new, writes what was answered (of
//! all requests that were there: pipelines are answered by one write) and reads on.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use glowplug_core::Instant;
use glowplug_http::{BodyLength, FieldSource};
use http::StatusCode;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::link::{Begun, End, Heard, Link, Transmitted};
use super::service::{HttpService, Reply};
use super::{Connection, Settings};
use crate::server::Stopping;
use crate::{MaybeTls, Runtime};

/// How many turns one poll makes before it lets other tasks run.
const TURNS: u32 = 32;

/// How often machine and application take turns, one request each, before answers are written.
const BATCH: u32 = 64;

pin_project! {
    /// One connection of a [`Server`](super::Server), with the handler that answers it: a future that runs until the connection is
    /// over. Dropping it drops the handler's future and closes the connection.
    #[must_use = "a connection moves only while it is polled"]
    pub struct Serve<R, S>
    where
        R: Runtime,
        S: HttpService,
    {
        link: Option<Link<R>>,
        service: S,
        #[pin]
        work: Work<S::Asked, S::Future, S::Body>,
    }
}

pin_project! {
    /// What the application is doing.
    #[project = WorkNow]
    enum Work<Q, F, B>
    where
        B: Body,
    {
        Idle,
        /// The service is asked whether it takes a request.
        Waiting { request: Option<Q> },
        Handling { #[pin] future: F },
        /// The answer's body is sent. A frame that it gave before there was room for it is held.
        Sending { #[pin] body: B, held: Option<Frame<B::Data>> },
    }
}

/// What the application of a service is doing.
type Working<S> = Work<<S as HttpService>::Asked, <S as HttpService>::Future, <S as HttpService>::Body>;

impl<R: Runtime, S: HttpService> Serve<R, S> {
    pub(super) fn new(
        runtime: R,
        settings: Arc<Settings<R>>,
        service: S,
        stream: MaybeTls<R::Stream>,
        connection: Connection,
        stopping: Stopping,
    ) -> Self {
        let link = Link::new(runtime, settings, stream, connection, stopping);
        Self { link: Some(link), service, work: Work::Idle }
    }

    /// For a connection that could not even be begun: over at once.
    #[cfg(feature = "tls")]
    pub(super) fn over(service: S) -> Self {
        Self { link: None, service, work: Work::Idle }
    }
}

impl<R: Runtime, S: HttpService> Future for Serve<R, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(link) = this.link else { return Poll::Ready(()) };
        let end = ready!(drive(link, this.service, this.work.as_mut(), cx));
        if let (End::Upgraded, Some(link)) = (end, this.link.take()) {
            link.hand_over();
        }
        // The body that a handler reads has failed by now: it gets to see that before it is dropped.
        if let WorkNow::Handling { future } = this.work.as_mut().project() {
            let _ = contained(|| future.poll(cx).is_ready());
        }
        this.work.set(Work::Idle);
        Poll::Ready(())
    }
}

/// Drives the connection until it is over.
fn drive<R: Runtime, S: HttpService>(
    link: &mut Link<R>,
    service: &mut S,
    mut work: Pin<&mut Working<S>>,
    cx: &mut Context<'_>,
) -> Poll<End> {
    link.wake_up();
    link.hear_stop();
    let mut now = link.now();
    // Whoever woke this task may have woken the application.
    let mut news = true;
    for _ in 0..TURNS {
        if !link.check_time(now) {
            return Poll::Ready(End::Lost);
        }
        let mut batch = 0;
        let rests = loop {
            loop {
                match link.poll_event(cx, now) {
                    Ok(None) => break,
                    Ok(Some(Heard::Nothing)) => {}
                    Ok(Some(Heard::News)) => news = true,
                    Ok(Some(Heard::Request(request))) => {
                        receive(link, service, work.as_mut(), cx, now, request);
                        news = true;
                        if !link.has_body() {
                            // The handler has all there is of it: it may answer before the machine is asked for more.
                            break;
                        }
                    }
                    Ok(Some(Heard::Over)) => {
                        // The machine has answered. A handler at work gets to see why its body ended.
                        if !matches!(work.as_mut().project(), WorkNow::Handling { .. }) {
                            work.set(Work::Idle);
                        }
                        news = true;
                    }
                    Err(error) => {
                        link.fail(cx, now, error);
                        return Poll::Ready(End::Closed);
                    }
                }
            }
            if !std::mem::take(&mut news) || !step(link, service, work.as_mut(), cx, now) {
                break true;
            }
            batch += 1;
            if batch == BATCH {
                break false;
            }
        };
        let Transmitted { some, more, written } = link.transmit(cx, now);
        if link.is_lost() {
            // Before anything else is asked for: a body that always has more would be made for nobody.
            return Poll::Ready(End::Lost);
        }
        if some || more {
            // Handing output over makes room: for input that was left, and for more of an answer's body.
            news = matches!(work.as_mut().project(), WorkNow::Sending { .. });
        }
        // After the last of an answer there is nothing to ask for; but only the machine knows whether it was the last.
        let done = !more && link.is_quiet() && matches!(work.as_mut().project(), WorkNow::Idle);
        if !rests || (some || more) && !done {
            continue;
        }
        if let Poll::Ready(end) = link.poll_end(cx, now, written) {
            return Poll::Ready(end);
        }
        match link.read(cx) {
            Ok(true) => {
                now = link.now();
                continue;
            }
            Ok(false) => {}
            Err(end) => return Poll::Ready(end),
        }
        if link.poll_sleep(cx, now).is_pending() {
            return Poll::Pending;
        }
        now = link.now();
        link.tend_body(now);
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Gives the service a request, or has it wait until the service takes one.
fn receive<R: Runtime, S: HttpService>(
    link: &mut Link<R>,
    service: &mut S,
    mut work: Pin<&mut Working<S>>,
    cx: &mut Context<'_>,
    now: Instant,
    request: S::Asked,
) {
    match contained(|| service.poll_ready(cx)) {
        Some(Poll::Ready(Ok(()))) => {
            if let Some(future) = contained(|| service.call(request)) {
                work.set(Work::Handling { future });
                return;
            }
        }
        Some(Poll::Pending) => {
            work.set(Work::Waiting { request: Some(request) });
            return;
        }
        Some(Poll::Ready(Err(_))) | None => {}
    }
    give_up(link, work, now);
}

/// There is no answer: the service failed, or it panicked.
fn give_up<R: Runtime, Q, F, B: Body>(link: &mut Link<R>, mut work: Pin<&mut Work<Q, F, B>>, now: Instant) {
    work.set(Work::Idle);
    link.abort(now);
    link.finish_exchange();
}

/// Lets the application work as far as it can. True when the machine was told anything, and may have something to tell.
fn step<R: Runtime, S: HttpService>(
    link: &mut Link<R>,
    service: &mut S,
    mut work: Pin<&mut Working<S>>,
    cx: &mut Context<'_>,
    now: Instant,
) -> bool {
    loop {
        match work.as_mut().project() {
            WorkNow::Idle => return link.tend_body(now),
            WorkNow::Waiting { request } => {
                let Some(request) = request.take() else { return false };
                receive(link, service, work.as_mut(), cx, now, request);
                if matches!(work.as_mut().project(), WorkNow::Waiting { .. }) {
                    return false;
                }
            }
            WorkNow::Handling { future } => match contained(|| future.poll(cx)) {
                Some(Poll::Pending) => return link.tend_body(now),
                Some(Poll::Ready(Ok(reply))) => {
                    let (status, fields, body) = reply.into_parts();
                    work.set(Work::Sending { body, held: None });
                    let WorkNow::Sending { body, held } = work.as_mut().project() else { return true };
                    let sent = answer(link, body, held, status, &fields, cx, now);
                    S::Reply::recycle(fields);
                    match sent {
                        Sent::More => return link.tend_body(now),
                        Sent::All => {
                            work.set(Work::Idle);
                            link.finish_exchange();
                            return true;
                        }
                        Sent::Failed => break,
                    }
                }
                Some(Poll::Ready(Err(_))) | None => break,
            },
            WorkNow::Sending { body, held } => match send_body(link, body, held, cx, now) {
                Sent::More => return link.tend_body(now),
                Sent::All => {
                    work.set(Work::Idle);
                    link.finish_exchange();
                    return true;
                }
                Sent::Failed => break,
            },
        }
    }
    give_up(link, work, now);
    true
}

enum Sent {
    /// It waits for the body, or for room.
    More,
    All,
    Failed,
}

/// Sends an answer: its head, and as much of its body as there is and has room.
fn answer<R: Runtime, B: Body>(
    link: &mut Link<R>,
    mut body: Pin<&mut B>,
    held: &mut Option<Frame<B::Data>>,
    status: StatusCode,
    fields: &impl FieldSource,
    cx: &mut Context<'_>,
    now: Instant,
) -> Sent {
    let is_empty = body.is_end_stream();
    let length = match body.size_hint().exact() {
        _ if is_empty => BodyLength::Empty,
        Some(length) => BodyLength::Known(length),
        None => given_length(fields).map_or(BodyLength::Unknown, BodyLength::Known),
    };
    let mut waits = false;
    if let BodyLength::Known(length) = length
        && link.sends_body(status)
    {
        // Most bodies are all there: such a one goes out with its head.
        match contained(|| body.as_mut().poll_frame(cx)) {
            Some(Poll::Pending) => waits = true,
            Some(Poll::Ready(None)) if length == 0 => {
                link.respond(now, status, fields, &[][..]);
                return Sent::All;
            }
            Some(Poll::Ready(Some(Ok(frame)))) => match frame.into_data() {
                Ok(data) if data.remaining() as u64 == length => {
                    link.respond(now, status, fields, data);
                    return Sent::All;
                }
                Ok(data) => *held = Some(Frame::data(data)),
                Err(frame) => *held = Some(frame),
            },
            // It failed before anything of the answer was sent.
            Some(Poll::Ready(_)) | None => return Sent::Failed,
        }
    }
    match link.answer(now, status, fields, length) {
        Begun::Body if waits => Sent::More,
        Begun::Body => send_body(link, body, held, cx, now),
        Begun::Done => Sent::All,
    }
}

/// A `content-length` among the fields, for a body that does not know its length itself.
fn given_length(fields: &impl FieldSource) -> Option<u64> {
    let mut given = None;
    fields.each(|name, value| {
        if name.eq_ignore_ascii_case(b"content-length") {
            given = given.or_else(|| std::str::from_utf8(value).ok()?.parse().ok());
        }
    });
    given
}

/// Sends what is held, and what the body has behind it, as far as there is room.
fn send_body<R: Runtime, B: Body>(
    link: &mut Link<R>,
    mut body: Pin<&mut B>,
    held: &mut Option<Frame<B::Data>>,
    cx: &mut Context<'_>,
    now: Instant,
) -> Sent {
    while link.capacity() > 0 {
        let frame = match held.take() {
            Some(frame) => frame,
            None => match contained(|| body.as_mut().poll_frame(cx)) {
                Some(Poll::Pending) => return Sent::More,
                Some(Poll::Ready(None)) => {
                    return if link.finish(now, None) { Sent::All } else { Sent::Failed };
                }
                Some(Poll::Ready(Some(Ok(frame)))) => frame,
                Some(Poll::Ready(Some(Err(_)))) | None => return Sent::Failed,
            },
        };
        match frame.into_data() {
            Ok(data) => {
                if !link.send(now, data) {
                    return Sent::Failed;
                }
                if body.is_end_stream() {
                    return if link.finish(now, None) { Sent::All } else { Sent::Failed };
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return if link.finish(now, Some(&trailers)) { Sent::All } else { Sent::Failed };
                }
            }
        }
    }
    Sent::More
}

/// What `work` returns, unless it panics. What panicked is dropped and never polled again, so nobody sees what it left half done.
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl<R: Runtime, S: HttpService> fmt::Debug for Serve<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("over", &self.link.is_none()).finish_non_exhaustive()
    }
}
