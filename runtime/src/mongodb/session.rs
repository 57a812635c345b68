//! Sessions: what belongs together, in the server's eyes.

use std::fmt;
use std::sync::Arc;

use glowplug_mongodb::ServerSession;
use glowplug_mongodb::bson::Document;

use super::Client;
use super::shared::Shared;
use crate::Runtime;

/// A session of your own: operations that are given it carry its id. Made by [`Client::start_session`].
///
/// Operations without one have one each, taken from a pool and given back, so this is for telling the server that several belong
/// together. Dropping it gives it back to the pool.
pub struct Session<R: Runtime> {
    pub(super) held: Held<R>,
}

impl<R: Runtime> Session<R> {
    pub(super) fn new(client: &Client<R>) -> Option<Self> {
        Held::take(client.shared()).map(|held| Self { held })
    }

    /// The session's id, as commands carry it in `lsid`.
    pub fn id(&self) -> Document {
        self.held.session().lsid()
    }
}

impl<R: Runtime> fmt::Debug for Session<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish()
    }
}

/// A session that goes back to the pool when it is dropped.
pub(super) struct Held<R: Runtime> {
    shared: Arc<Shared<R>>,
    session: Option<ServerSession>,
}

impl<R: Runtime> Held<R> {
    /// None when the server has no sessions.
    pub(super) fn take(shared: &Arc<Shared<R>>) -> Option<Self> {
        let session = shared.take_session()?;
        Some(Self { shared: shared.clone(), session: Some(session) })
    }

    pub(super) fn session(&self) -> &ServerSession {
        self.session.as_ref().expect("a session is held until it is dropped")
    }

    pub(super) fn session_mut(&mut self) -> &mut ServerSession {
        self.session.as_mut().expect("a session is held until it is dropped")
    }
}

impl<R: Runtime> Drop for Held<R> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.shared.give_session(session);
        }
    }
}
