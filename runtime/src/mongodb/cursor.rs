//! A cursor: documents batch by batch.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use glowplug_core::{Instant, Token};
use glowplug_mongodb::bson::{Doc, from_doc};
use glowplug_mongodb::{Attire, Command, CursorStep, Reply, Response, ServerSession};
use serde::de::DeserializeOwned;

use super::action::Scope;
use super::session::Held;
use super::shared::Lease;
use super::{Client, Error};
use crate::Runtime;

/// Documents that were found, fetched batch by batch as they are read.
///
/// Dropped before its end, or at its limit, it kills the server's cursor in the background; [`close`](Self::close) waits for that.
/// Every method may be dropped at any await: nothing is lost, the next call goes on.
pub struct Cursor<T, R: Runtime> {
    client: Client<R>,
    machine: glowplug_mongodb::Cursor,
    /// A getMore that waits to be sent.
    unsent: Option<Command>,
    /// The getMore that is under way.
    flight: Option<Flight<R>>,
    session: CursorSession<R>,
    read_preference: glowplug_mongodb::ReadPreference,
    timeout: Option<Duration>,
    of: PhantomData<fn() -> T>,
}

/// A getMore under way, and the connection that its answer comes on.
struct Flight<R: Runtime> {
    lease: Lease<R>,
    token: Token,
    until: Option<Instant>,
}

/// Which session the cursor's commands carry.
enum CursorSession<R: Runtime> {
    None,
    /// Its own: it goes back to the pool with the cursor.
    Implicit(Held<R>),
    /// One of the user's: the cursor knows its id.
    Explicit(ServerSession),
}

impl<R: Runtime> CursorSession<R> {
    fn session(&self) -> Option<&ServerSession> {
        match self {
            Self::None => None,
            Self::Implicit(held) => Some(held.session()),
            Self::Explicit(session) => Some(session),
        }
    }
}

impl<T, R: Runtime> Cursor<T, R> {
    /// Takes the reply to the command that opens it.
    pub(super) fn open(
        scope: &mut Scope<'_, R>,
        mut machine: glowplug_mongodb::Cursor,
        reply: Option<&Reply>,
    ) -> Result<Self, Error> {
        let reply = reply.ok_or(Error::Malformed("reply"))?;
        machine.handle_reply(reply)?;
        // Specification "Find, getMore and killCursors commands": servers since 4.4 take a remark on each.
        if machine.id().is_some()
            && let Some(comment) = scope.extra.as_doc().find("comment")
            && scope.client.server_info().is_some_and(|info| info.wire_versions.1 >= 9)
        {
            machine.add_common("comment", comment)?;
        }
        // A server that waits for more documents needs that time besides.
        let waits = Duration::from_millis(machine.options().max_await_ms.unwrap_or(0));
        let timeout = scope.timeout.map(|timeout| timeout + waits);
        let session = match (machine.id(), &scope.session) {
            // All is here already.
            (None, _) => CursorSession::None,
            (Some(_), Some(session)) => CursorSession::Explicit(session.held.session().clone()),
            (Some(_), None) => scope.take_implicit().map_or(CursorSession::None, CursorSession::Implicit),
        };
        Ok(Self {
            client: scope.client.clone(),
            machine,
            unsent: None,
            flight: None,
            session,
            read_preference: scope.read_preference().clone(),
            timeout,
            of: PhantomData,
        })
    }

    /// True while the server may have more documents.
    pub fn is_alive(&self) -> bool {
        self.machine.id().is_some() || self.flight.is_some() || self.unsent.is_some()
    }

    /// Makes documents ready to be read; false at the end. With `once`, the server is asked at most once.
    async fn fill(&mut self, once: bool) -> Result<bool, Error> {
        let mut asked = false;
        loop {
            if self.machine.is_ready() {
                return Ok(true);
            }
            if self.machine.is_satisfied() {
                self.leave_flight();
            }
            if self.unsent.is_none() && self.flight.is_none() {
                if once && asked {
                    return Ok(false);
                }
                match self.machine.step() {
                    CursorStep::Read => return Ok(true),
                    CursorStep::Done => return Ok(false),
                    CursorStep::Send(command) if command.name() == "killCursors" => {
                        // At its limit, or after an error: nobody waits for the server to forget it.
                        self.client.shared().kill_cursor(command);
                        return Ok(false);
                    }
                    CursorStep::Send(command) => self.unsent = Some(command),
                    CursorStep::Wait => return Err(Error::Malformed("next batch")),
                }
            }
            if let Err(error) = self.take_off().await {
                self.unsent = None;
                self.machine.close();
                return Err(error);
            }
            let reply = poll_fn(|cx| self.poll_flight(cx)).await?;
            self.machine.handle_reply(&reply)?;
            asked = true;
        }
    }

    /// Sends the getMore that waits, unless one is under way.
    async fn take_off(&mut self) -> Result<(), Error> {
        if self.flight.is_some() {
            return Ok(());
        }
        let shared = self.client.shared();
        let until = self.timeout.map(|timeout| shared.runtime.now() + timeout);
        let mut lease = shared.check_out(until).await?;
        let mut command = self.unsent.take().ok_or(Error::Malformed("next batch"))?;
        let attire = Attire {
            session: self.session.session(),
            read_preference: Some(&self.read_preference),
            ..Attire::default()
        };
        let info = lease.info().clone();
        command.dress(&info, &attire);
        let token = lease.submit(command);
        self.flight = Some(Flight { lease, token, until });
        Ok(())
    }

    /// Nobody waits for the getMore that is under way: its connection goes to the janitor, who reads on.
    fn leave_flight(&mut self) {
        if let Some(mut flight) = self.flight.take() {
            flight.lease.cancel(flight.token);
        }
    }

    /// The next reply. While more are announced, the flight goes on.
    fn poll_flight(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Error>> {
        let Some(flight) = &mut self.flight else { return Poll::Ready(Err(Error::Malformed("reply"))) };
        let Poll::Ready(answered) = flight.lease.poll_answer(cx, flight.token, flight.until) else {
            return Poll::Pending;
        };
        let generation = flight.lease.generation;
        match answered {
            Ok(answered) => {
                if answered.last {
                    self.flight = None;
                } else {
                    flight.until = self.timeout.map(|timeout| self.client.shared().runtime.now() + timeout);
                }
                Poll::Ready(match answered.response {
                    Response::Reply(reply) => Ok(reply),
                    Response::Refused(error) => Err(error.into()),
                    Response::Sent => Err(Error::Malformed("reply")),
                })
            }
            Err(failure) => {
                self.flight = None;
                self.machine.close();
                let error = Error::from(failure);
                if error.is_network() {
                    self.client.shared().clear(generation);
                }
                Poll::Ready(Err(error))
            }
        }
    }

    /// Goes to the next document, which [`current`](Self::current) then shows as it lies in the reply; false at the end.
    pub async fn advance(&mut self) -> Result<bool, Error> {
        // Most documents are here already.
        if self.machine.is_ready() { Ok(true) } else { self.fill(false).await }
    }

    /// The next document as it lies in the reply, without a copy. Only after [`advance`](Self::advance) said that there is one; none
    /// after it was taken.
    pub fn current(&mut self) -> Option<Result<Doc<'_>, Error>> {
        self.machine.next_doc().map(|doc| doc.map_err(Error::from))
    }

    /// Kills the server's cursor, if it lives, and waits until that is done. Dropping the cursor does the same without waiting.
    pub async fn close(mut self) -> Result<(), Error> {
        if let Some(kill) = self.end() {
            let shared = self.client.shared().clone();
            let until = self.timeout.map(|timeout| shared.runtime.now() + timeout);
            let mut lease = shared.check_out(until).await?;
            lease.call(kill, until).await?;
        }
        Ok(())
    }

    /// Lets go of everything; the command that kills the server's cursor, if it has to be.
    fn end(&mut self) -> Option<Command> {
        self.leave_flight();
        self.unsent = None;
        self.machine.close();
        let CursorStep::Send(mut kill) = self.machine.step() else { return None };
        if let (Some(session), Some(info)) = (self.session.session(), self.client.server_info()) {
            kill.dress(&info, &Attire { session: Some(session), ..Attire::default() });
        }
        Some(kill)
    }
}

impl<T: DeserializeOwned, R: Runtime> Cursor<T, R> {
    /// The next document; none at the end. After an error there are no more.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        if self.machine.is_ready() {
            return self.take();
        }
        match self.fill(false).await {
            Ok(true) => self.take(),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The next document if there is one now, asking the server at most once: for tailable cursors, whose end is none.
    /// [`is_alive`](Self::is_alive) says whether more may come.
    pub async fn next_if_any(&mut self) -> Result<Option<T>, Error> {
        if self.fill(true).await? { self.take().transpose() } else { Ok(None) }
    }

    fn take(&mut self) -> Option<Result<T, Error>> {
        match self.machine.next_doc()? {
            Ok(doc) => Some(from_doc(doc).map_err(Error::from)),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// All that is left.
    pub async fn collect(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(next) = self.next().await {
            all.push(next?);
        }
        Ok(all)
    }

    /// The documents as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<T, Error>> + Unpin {
        let fetch = |mut cursor: Self| async {
            let filled = cursor.fill(false).await;
            (cursor, filled)
        };
        Documents { state: State::Reading(self), fetch }
    }
}

/// A cursor's documents as a stream: those that are there without ado, the next batch by a future.
struct Documents<C, F, Fetch> {
    state: State<C, Fetch>,
    fetch: F,
}

enum State<C, Fetch> {
    Reading(C),
    Fetching(Pin<Box<Fetch>>),
    Done,
}

impl<T, R, F, Fetch> Stream for Documents<Cursor<T, R>, F, Fetch>
where
    T: DeserializeOwned,
    R: Runtime,
    F: FnMut(Cursor<T, R>) -> Fetch + Unpin,
    Fetch: Future<Output = (Cursor<T, R>, Result<bool, Error>)>,
{
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.state, State::Done) {
                State::Reading(mut cursor) => match cursor.take() {
                    Some(item) => {
                        this.state = State::Reading(cursor);
                        return Poll::Ready(Some(item));
                    }
                    None => this.state = State::Fetching(Box::pin((this.fetch)(cursor))),
                },
                State::Fetching(mut fetch) => match fetch.as_mut().poll(cx) {
                    Poll::Ready((cursor, Ok(true))) => this.state = State::Reading(cursor),
                    Poll::Ready((_, Ok(false))) => return Poll::Ready(None),
                    Poll::Ready((_, Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Pending => {
                        this.state = State::Fetching(fetch);
                        return Poll::Pending;
                    }
                },
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

impl<T, R: Runtime> Drop for Cursor<T, R> {
    fn drop(&mut self) {
        if let Some(kill) = self.end() {
            self.client.shared().kill_cursor(kill);
        }
    }
}

impl<T, R: Runtime> fmt::Debug for Cursor<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("machine", &self.machine).finish_non_exhaustive()
    }
}
