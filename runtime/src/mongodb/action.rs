//! What every operation has in common: options, the way to a connection, and a second try.

use std::fmt;
use std::time::Duration;

use glowplug_core::{Instant, Progress};
use glowplug_mongodb::bson::{Document, ToBson};
use glowplug_mongodb::{
    Attire, Command, CommandError, ReadConcern, ReadPreference, Reply, Response, ServerInfo, ServerSession,
    WriteConcern,
};

use super::connection::CallFailure;
use super::session::Held;
use super::shared::Lease;
use super::{Client, Error, Session};
use crate::Runtime;

/// An operation with its options. Nothing is sent before `run().await`.
///
/// The methods here are every operation's; those of each kind `K` are with it: [`FindMany`](super::FindMany),
/// [`InsertOne`](super::InsertOne), [`Update`](super::Update) and so on.
///
/// Dropping the future of `run`: before anything was sent, nothing happens; later the server may still act, and the answer is
/// thrown away. The connection goes back to the pool either way.
#[must_use = "nothing is sent until it is run"]
pub struct Action<'a, K, R: Runtime> {
    pub(super) scope: Scope<'a, R>,
    pub(super) kind: K,
}

/// What an operation may be asked for, whatever it is.
pub(super) struct Scope<'a, R: Runtime> {
    pub(super) client: &'a Client<R>,
    pub(super) session: Option<&'a mut Session<R>>,
    /// The session of an operation that was given none.
    implicit: Option<Held<R>>,
    pub(super) timeout: Option<Duration>,
    pub(super) read_concern: Option<ReadConcern>,
    pub(super) write_concern: Option<WriteConcern>,
    pub(super) read_preference: Option<ReadPreference>,
    pub(super) extra: Document,
    /// An option that could not be written down.
    error: Option<Error>,
}

/// How a command is treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// It may be sent again.
    Read,
    /// It may be sent again under a number.
    Write,
    /// It is sent once, with a write concern.
    Admin,
    /// It reads and writes: sent once, with everything.
    Out,
    /// It is sent once, as it is.
    Plain,
}

impl<'a, K, R: Runtime> Action<'a, K, R> {
    pub(super) fn new(client: &'a Client<R>, kind: K) -> Self {
        Self { scope: Scope::new(client), kind }
    }

    /// Runs it in a session of yours.
    pub fn session(mut self, session: &'a mut Session<R>) -> Self {
        self.scope.session = Some(session);
        self
    }

    /// Gives it a time of its own: waiting for a connection, connecting, sending and a second try together. `None` waits for ever.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.scope.timeout = timeout;
        self
    }

    /// Which data it may see, when it reads.
    pub fn read_concern(mut self, concern: ReadConcern) -> Self {
        self.scope.read_concern = Some(concern);
        self
    }

    /// Who has to acknowledge it, when it writes.
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.scope.write_concern = Some(concern);
        self
    }

    /// Who may answer it, when it reads.
    pub fn read_preference(mut self, preference: impl Into<ReadPreference>) -> Self {
        self.scope.read_preference = Some(preference.into());
        self
    }

    /// Adds a field to the command for which there is no method, such as `collation`, `let` or `maxTimeMS`.
    pub fn option(mut self, key: &str, value: impl ToBson) -> Self {
        if let Err(error) = self.scope.extra.try_append(key, value) {
            self.scope.error.get_or_insert(error.into());
        }
        self
    }

    /// Which index to use: a name, or its key document.
    pub fn hint(self, hint: impl ToBson) -> Self {
        self.option("hint", hint)
    }

    /// A remark for the server's log and profiler.
    pub fn comment(self, comment: impl ToBson) -> Self {
        self.option("comment", comment)
    }
}

impl<K: fmt::Debug, R: Runtime> fmt::Debug for Action<'_, K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<'a, R: Runtime> Scope<'a, R> {
    pub(super) fn new(client: &'a Client<R>) -> Self {
        Self {
            client,
            session: None,
            implicit: None,
            timeout: client.shared().settings.timeout,
            read_concern: None,
            write_concern: None,
            read_preference: None,
            extra: Document::new(),
            error: None,
        }
    }

    /// When the operation's time is up.
    pub(super) fn until(&self) -> Option<Instant> {
        let shared = self.client.shared();
        self.timeout.map(|timeout| shared.runtime.now() + timeout)
    }

    /// The implicit session, for a cursor that goes on with it.
    pub(super) fn take_implicit(&mut self) -> Option<Held<R>> {
        self.implicit.take()
    }

    /// The session that commands carry.
    pub(super) fn server_session(&self) -> Option<&ServerSession> {
        match (&self.session, &self.implicit) {
            (Some(session), _) => Some(session.held.session()),
            (None, Some(held)) => Some(held.session()),
            (None, None) => None,
        }
    }

    fn server_session_mut(&mut self) -> Option<&mut ServerSession> {
        match (&mut self.session, &mut self.implicit) {
            (Some(session), _) => Some(session.held.session_mut()),
            (None, Some(held)) => Some(held.session_mut()),
            (None, None) => None,
        }
    }

    pub(super) fn read_preference(&self) -> &ReadPreference {
        self.read_preference.as_ref().unwrap_or(&self.client.shared().settings.read_preference)
    }

    /// Sends the command and gives the reply, unless it says that the command failed; none when none was asked for.
    pub(super) fn command(
        &mut self,
        kind: Kind,
        command: Command,
    ) -> impl Future<Output = Result<Option<Reply>, Error>> {
        let until = self.until();
        self.command_until(kind, command, until)
    }

    /// The same for one of several commands under one deadline.
    pub(super) async fn command_until(
        &mut self,
        kind: Kind,
        mut command: Command,
        until: Option<Instant>,
    ) -> Result<Option<Reply>, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        command.extend(self.extra.as_doc());
        let shared = self.client.shared();
        if self.session.is_none() && self.implicit.is_none() {
            self.implicit = Held::take(shared);
        }
        let mut txn_number = None;
        let mut first: Option<Error> = None;
        loop {
            let mut lease = match shared.check_out(until).await {
                Ok(lease) => lease,
                Err(error) if first.is_none() && error.is_network() && self.may_retry_connecting(kind) => {
                    first = Some(error);
                    continue;
                }
                Err(error) => return Err(first.unwrap_or(error)),
            };
            let info = lease.info().clone();
            let last = first.is_some() || !self.may_retry(kind, &command, &info);
            let mut attempt = if last { std::mem::take(&mut command) } else { command.clone() };
            if kind == Kind::Write && !last && txn_number.is_none() {
                txn_number = self.server_session_mut().map(ServerSession::next_txn_number);
            }
            self.dress(kind, &mut attempt, &info, txn_number);
            let response = lease.call(attempt, until).await;
            let failure = match self.judge(&lease, response, txn_number.is_some()) {
                Ok(Response::Reply(reply)) => match (reply.ok().err(), retryable(kind, &reply, &info)) {
                    (_, Some(error)) if !last => Error::Command(error),
                    (None, _) => return Ok(Some(reply)),
                    (Some(error), _) => return Err(error.into()),
                },
                Ok(Response::Sent) => return Ok(None),
                Ok(Response::Refused(error)) => return Err(error.into()),
                Err(error) if !last && error.is_network() => error,
                // The second try was not even sent: what is known is what came of the first.
                Err(error) if error.progress() == Progress::NotSent => return Err(first.unwrap_or(error)),
                Err(error) => return Err(error),
            };
            first = Some(failure);
        }
    }

    /// Takes note of what an answer, or its absence, says about the session and the server.
    fn judge(
        &mut self,
        lease: &Lease<R>,
        response: Result<Response, CallFailure>,
        is_numbered: bool,
    ) -> Result<Response, Error> {
        let shared = self.client.shared();
        match response {
            Ok(response) => {
                let now = lease.polled_at();
                if let Some(session) = self.server_session_mut() {
                    session.touch(now);
                }
                if let Response::Reply(reply) = &response
                    && !reply.is_ok()
                    && reply.ok().is_err_and(|error| error.is_shutdown())
                {
                    self.client.shared().clear(lease.generation);
                }
                Ok(response)
            }
            Err(failure) => {
                let mut error = Error::from(failure);
                if error.is_network() {
                    shared.clear(lease.generation);
                }
                if let Error::Broken { numbered, .. } = &mut error {
                    *numbered = is_numbered;
                }
                if let Some(session) = self.server_session_mut() {
                    session.mark_dirty();
                }
                Err(error)
            }
        }
    }

    fn dress(&self, kind: Kind, command: &mut Command, info: &ServerInfo, txn_number: Option<i64>) {
        let settings = &self.client.shared().settings;
        let mut attire = Attire { session: self.server_session(), txn_number, ..Attire::default() };
        match kind {
            Kind::Read => {
                attire.read_preference = Some(self.read_preference());
                attire.read_concern = self.read_concern.as_ref().or(settings.read_concern.as_ref());
            }
            Kind::Write | Kind::Admin => {
                attire.write_concern = self.write_concern.as_ref().or(settings.write_concern.as_ref());
            }
            Kind::Out => {
                attire.write_concern = self.write_concern.as_ref().or(settings.write_concern.as_ref());
                attire.read_concern = self.read_concern.as_ref().or(settings.read_concern.as_ref());
                // Older servers write on the primary alone.
                if info.wire_versions.1 >= 13 {
                    attire.read_preference = Some(self.read_preference());
                }
            }
            Kind::Plain => {
                attire.read_preference = self.read_preference.as_ref();
                attire.read_concern = self.read_concern.as_ref();
                attire.write_concern = self.write_concern.as_ref();
            }
        }
        command.dress(info, &attire);
    }

    fn may_retry_connecting(&self, kind: Kind) -> bool {
        let settings = &self.client.shared().settings;
        match kind {
            Kind::Read => settings.retry_reads,
            Kind::Write => settings.retry_writes,
            Kind::Admin | Kind::Out | Kind::Plain => false,
        }
    }

    fn may_retry(&self, kind: Kind, command: &Command, info: &ServerInfo) -> bool {
        let settings = &self.client.shared().settings;
        match kind {
            Kind::Read => settings.retry_reads,
            Kind::Write => {
                let concern = self.write_concern.as_ref().or(settings.write_concern.as_ref());
                settings.retry_writes
                    && info.retries_writes()
                    && self.server_session().is_some()
                    && concern.is_none_or(WriteConcern::is_acknowledged)
                    && command.is_retryable_write()
            }
            Kind::Admin | Kind::Out | Kind::Plain => false,
        }
    }
}

/// The error in a reply that is a reason to try again.
fn retryable(kind: Kind, reply: &Reply, info: &ServerInfo) -> Option<CommandError> {
    match kind {
        Kind::Read if reply.is_ok() => None,
        Kind::Read => reply.ok().err().filter(CommandError::is_retryable_read),
        Kind::Write => reply.retryable_write_error(info),
        Kind::Admin | Kind::Out | Kind::Plain => None,
    }
}
