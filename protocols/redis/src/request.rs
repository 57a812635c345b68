//! What is submitted: one command or several, with what is known about their answers.

use alloc::boxed::Box;
use alloc::vec::Vec;

use glowplug_core::SendBuf;

use crate::command::{self, Blocks, Command, Subscribes};
use crate::transaction::Place;
use crate::typed::Typed;

/// What a [`ClientConnection`](crate::ClientConnection) takes: one command, or a pipeline.
///
/// Both convert: `connection.submit(now, token, command.into())`.
#[derive(Debug)]
#[must_use = "a request does nothing until it is submitted"]
pub struct Request(Body);

#[derive(Debug)]
enum Body {
    One(Command),
    /// Boxed, so that the usual request is cheap to move.
    Many(Box<Pipeline>),
}

impl Request {
    /// How many replies will come: one for each command.
    #[inline]
    pub fn replies(&self) -> usize {
        match &self.0 {
            Body::One(_) => 1,
            Body::Many(pipeline) => pipeline.len,
        }
    }

    /// True when no command in it changes anything: safe to send again after a break.
    pub fn is_read_only(&self) -> bool {
        match &self.0 {
            Body::One(command) => command.is_read_only(),
            Body::Many(pipeline) => !pipeline.writes,
        }
    }

    /// How long the server may wait before it has answered everything, if any command says so.
    #[inline]
    pub fn blocks(&self) -> Option<Blocks> {
        match &self.0 {
            Body::One(command) => command.blocks(),
            Body::Many(pipeline) => pipeline.blocks,
        }
    }

    /// The command, if there is but one and it changes nothing.
    pub(crate) fn read_only_command(&self) -> Option<Command> {
        match &self.0 {
            Body::One(command) if command.is_read_only() => Some(command.clone()),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn subscribes(&self) -> Option<Subscribes> {
        match &self.0 {
            Body::One(command) => command.subscribes(),
            Body::Many(_) => None,
        }
    }

    /// The command, if there is but one and the connection's cache may keep the answer.
    pub(crate) fn cacheable(&self) -> Option<&Command> {
        match &self.0 {
            Body::One(command) if command.is_cacheable() => Some(command),
            _ => None,
        }
    }

    /// Calls `each` with the words of every command.
    pub(crate) fn each_command(&mut self, mut each: impl FnMut(&[&[u8]])) {
        match &mut self.0 {
            Body::One(command) => each(&command.arguments().collect::<Vec<_>>()),
            Body::Many(pipeline) => {
                // Together, so that they can be read; what is in one piece already is not copied.
                let together = pipeline.bytes.take_all();
                command::each_command(&together, each);
                pipeline.bytes.push(together);
            }
        }
    }

    /// Bytes on the wire.
    pub fn encoded_len(&self) -> usize {
        match &self.0 {
            Body::One(command) => command.encoded_len(),
            Body::Many(pipeline) => pipeline.bytes.len(),
        }
    }

    /// Appends the commands to `out`.
    #[inline]
    pub(crate) fn encode(self, out: &mut SendBuf) {
        match self.0 {
            Body::One(command) => command.encode(out),
            Body::Many(mut pipeline) => out.append(&mut pipeline.bytes),
        }
    }
}

impl From<Command> for Request {
    #[inline]
    fn from(command: Command) -> Self {
        Self(Body::One(command))
    }
}

/// Commands that are sent together and answered one by one.
///
/// The server may run other clients' commands in between; [`Transaction`](crate::Transaction)
/// keeps them out.
///
/// ```
/// use glowplug_redis::{Command, Pipeline};
/// let mut pipeline = Pipeline::new();
/// pipeline.push(Command::new("INCR").arg("hits"));
/// pipeline.push(Command::new("GET").arg("name"));
/// assert_eq!(pipeline.len(), 2);
/// ```
#[derive(Debug, Default)]
#[must_use = "a pipeline does nothing until it is submitted"]
pub struct Pipeline {
    bytes: SendBuf,
    len: usize,
    writes: bool,
    blocks: Option<Blocks>,
}

impl Pipeline {
    /// A pipeline of no command.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a command. Those that subscribe do not belong into a pipeline: their number of answers differs.
    pub fn push(&mut self, command: impl Into<Command>) {
        let command = command.into();
        self.writes |= !command.is_read_only();
        self.blocks = match (self.blocks, command.blocks()) {
            (Some(Blocks::For(one)), Some(Blocks::For(other))) => {
                Some(Blocks::For(one.saturating_add(other)))
            }
            (Some(Blocks::Forever), _) | (_, Some(Blocks::Forever)) => Some(Blocks::Forever),
            (one, other) => one.or(other),
        };
        self.len += 1;
        command.encode(&mut self.bytes);
    }

    /// Adds a typed command; the place is where its answer will be among the replies.
    ///
    /// ```
    /// use glowplug_redis::{CommandsMut, Pipeline, Reply};
    /// let mut pipeline = Pipeline::new();
    /// let hits = pipeline.incr("hits"); // the same as `pipeline.add(commands::incr("hits"))`
    /// let mut replies = vec![Reply::Integer(7)]; // what a client gives back
    /// assert_eq!(hits.take_from(&mut replies), Ok(7));
    /// ```
    pub fn add<T>(&mut self, typed: Typed<T>) -> Place<T> {
        let (command, answers) = typed.into_parts();
        let index = self.len;
        self.push(command);
        Place::new(index, answers)
    }

    /// Adds a command, in a chain.
    pub fn with(mut self, command: impl Into<Command>) -> Self {
        self.push(command);
        self
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none. An empty pipeline cannot be submitted: nothing would ever answer it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl From<Pipeline> for Request {
    fn from(pipeline: Pipeline) -> Self {
        Self(Body::Many(Box::new(pipeline)))
    }
}
