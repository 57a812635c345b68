//! Commands that know what they are answered with.

use core::fmt;

use crate::{Command, FromReply, Reply, ReplyError, Request};

/// A command and the type of its answer.
///
/// It is a plain value: [`commands`](crate::commands) makes them, whoever owns a connection sends
/// [`command`](Self::into_parts) and hands the reply to [`convert`](Answers::convert).
///
/// ```
/// use bytes::Bytes;
/// use glowplug_redis::{Reply, commands};
///
/// let (command, answers) = commands::get("key").into_parts();
/// assert_eq!(command.to_vec(), b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
/// let value: Option<Bytes> = answers.convert(Reply::Null)?;
/// assert_eq!(value, None);
/// # Ok::<(), glowplug_redis::ReplyError>(())
/// ```
#[must_use = "a command does nothing until it is sent"]
pub struct Typed<T> {
    command: Command,
    answers: Answers<T>,
}

/// How the reply to a [`Typed`] command becomes a `T`.
pub struct Answers<T>(fn(Reply) -> Result<T, ReplyError>);

impl<T> Answers<T> {
    /// The answer, or why the reply is none.
    pub fn convert(self, reply: Reply) -> Result<T, ReplyError> {
        (self.0)(reply)
    }
}

impl Answers<Reply> {
    /// The reply as it came; an error of the server is a [`Reply::Error`].
    pub fn raw() -> Self {
        Self(Ok)
    }
}

impl<T> Clone for Answers<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Answers<T> {}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers(..)")
    }
}

impl<T> Typed<T> {
    /// A command whose answer is converted by `convert`.
    pub fn with(command: Command, convert: fn(Reply) -> Result<T, ReplyError>) -> Self {
        Self { command, answers: Answers(convert) }
    }

    /// The command alone.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The command to send, and what turns its reply into a `T`.
    #[inline]
    pub fn into_parts(self) -> (Command, Answers<T>) {
        (self.command, self.answers)
    }

    pub(crate) fn map_command(self, change: impl FnOnce(Command) -> Command) -> Self {
        Self { command: change(self.command), answers: self.answers }
    }

    /// The same command, answered with another type.
    pub fn returning<U: FromReply>(self) -> Typed<U> {
        Typed::new(self.command)
    }
}

impl<T: FromReply> Typed<T> {
    /// A command whose answer is converted as `T` says itself.
    #[inline]
    pub fn new(command: Command) -> Self {
        Self { command, answers: Answers(T::from_reply) }
    }
}

impl<T> Clone for Typed<T> {
    fn clone(&self) -> Self {
        Self { command: self.command.clone(), answers: self.answers }
    }
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}

impl<T> From<Typed<T>> for Command {
    fn from(typed: Typed<T>) -> Self {
        typed.command
    }
}

impl<T> From<Typed<T>> for Request {
    fn from(typed: Typed<T>) -> Self {
        typed.command.into()
    }
}
