//! Reliable conversations: messages that arrive once, whole, and in order.
//!
//! The same [`Listener`], [`Conversation`] and `serve` as for plain datagrams, over [`glowplug_udp::reliable`], which says what is promised
//! and how. Both ends have to speak it.
//!
//! ```no_run
//! # use glowplug_runtime::{Runtime, Spawn, udp::{self, Builder, reliable}};
//! # async fn example<R: Runtime + Spawn<reliable::Drive<R>>>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
//! let conversation = Builder::new(runtime).reliable(Default::default()).connect("192.0.2.1:7000".parse()?).await?;
//! conversation.send("as long as a hundred datagrams").await?;
//! let answer = conversation.recv().await?;
//! conversation.finish().await?; // both sides have finished, and everything arrived
//! # Ok(())
//! # }
//! ```
//!
//! What is sent waits for the peer's acknowledgement, and `send` waits while too much does; what nobody reads holds up its own peer's
//! sender, and nobody else's. A conversation that is dropped is finished in the background: what was sent is delivered
//! all the same, unless the program ends first.

use glowplug_udp::reliable::Conversations;

pub use glowplug_udp::reliable::{ChannelConfig, Failure, MAX_MESSAGE_SEGMENTS, Order, WINDOW};

use super::Closed;
use super::conversation::current_of;

/// A socket of reliable conversations. [`Builder::reliable`](super::Builder::reliable) makes it.
pub type Listener<R> = super::Listener<R, Conversations>;
/// A reliable conversation, owned.
pub type Conversation = super::Conversation<Conversations>;
/// A handle to a reliable conversation that somebody else owns.
pub type Child = super::Child<Conversations>;
/// The task of such a socket. State it as `R: Spawn<udp::reliable::Drive<R>>`.
pub type Drive<R> = super::Drive<R, Conversations>;
/// The task of a served conversation. State it as `R: Spawn<Guarded<udp::reliable::Served<F>>>`.
pub type Served<F> = super::Served<F, Conversations>;

/// The reliable conversation that the running task belongs to; see [`conversation::current`](super::conversation::current).
pub fn current() -> Option<Child> {
    current_of()
}

impl Child {
    /// We have nothing more to say: the peer's `recv` gets [`Closed::Finished`] after all our messages. It may go on speaking, and
    /// is heard.
    pub fn shutdown(&self) {
        let id = self.id();
        self.shared().act(|state, _| state.machine_mut().finish(id));
    }
}

impl Conversation {
    /// Says that we have nothing more to say, and waits until the peer has said the same and everything has arrived on both
    /// sides. What it still says meanwhile is thrown away: read it before.
    ///
    /// An error says that something may have been lost. Dropping the future drops the conversation, which finishes in the background.
    pub async fn finish(self) -> Result<(), Closed> {
        self.shutdown();
        loop {
            match self.recv().await {
                Ok(_) => {}
                Err(Closed::Finished) => break,
                Err(closed) => return Err(closed),
            }
        }
        match self.closed().await {
            Closed::Finished => Ok(()),
            closed => Err(closed),
        }
    }
}
