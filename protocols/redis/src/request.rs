//! What is submitted: one command or several, with what is known about their answers.

use glowplug_core::SendBuf;

use crate::command::{Blocks, Command, Subscribes};

/// What a [`ClientConnection`](crate::ClientConnection) takes: one command, or a pipeline.
///
/// Both convert: `connection.submit(now, token, command.into())`.
#[derive(Debug)]
#[must_use = "a request does nothing until it is submitted"]
pub struct Request {
    pub(crate) body: Body,
    pub(crate) replies: usize,
    pub(crate) read_only: bool,
    pub(crate) blocks: Option<Blocks>,
    pub(crate) subscribes: Option<Subscribes>,
}

#[derive(Debug)]
pub(crate) enum Body {
    One(Command),
    Encoded(SendBuf),
}

impl Request {
    /// How many replies will come: one for each command.
    pub fn replies(&self) -> usize {
        self.replies
    }

    /// True when no command in it changes anything: safe to send again after a break.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How long the server may wait before it has answered everything, if any command says so.
    pub fn blocks(&self) -> Option<Blocks> {
        self.blocks
    }

    /// Bytes on the wire.
    pub fn encoded_len(&self) -> usize {
        match &self.body {
            Body::One(command) => command.encoded_len(),
            Body::Encoded(bytes) => bytes.len(),
        }
    }

    /// Appends the commands to `out`.
    pub(crate) fn encode(self, out: &mut SendBuf) {
        match self.body {
            Body::One(command) => command.encode(out),
            Body::Encoded(mut bytes) => out.append(&mut bytes),
        }
    }
}

impl From<Command> for Request {
    #[inline]
    fn from(command: Command) -> Self {
        let traits = command.traits();
        Self {
            body: Body::One(command),
            replies: 1,
            read_only: traits.read_only,
            blocks: traits.blocks,
            subscribes: traits.subscribes,
        }
    }
}

/// Commands that are sent together and answered one by one.
///
/// The server may run other clients' commands in between; `MULTI` and `EXEC` keep them out.
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
        let traits = command.traits();
        self.writes |= !traits.read_only;
        self.blocks = match (self.blocks, traits.blocks) {
            (Some(Blocks::For(one)), Some(Blocks::For(other))) => {
                Some(Blocks::For(one.saturating_add(other)))
            }
            (Some(Blocks::Forever), _) | (_, Some(Blocks::Forever)) => Some(Blocks::Forever),
            (one, other) => one.or(other),
        };
        self.len += 1;
        command.encode(&mut self.bytes);
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
        Self {
            body: Body::Encoded(pipeline.bytes),
            replies: pipeline.len,
            read_only: !pipeline.writes,
            blocks: pipeline.blocks,
            subscribes: None,
        }
    }
}
