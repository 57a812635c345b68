//! Commands that run as one step.

use alloc::vec::Vec;
use core::fmt;

use crate::typed::Answers;
use crate::wire::{Reply, ReplyRef, ServerError};
use crate::{Command, Pipeline, ReplyError, Request, Typed};

/// A transaction: `MULTI`, commands, `EXEC`, sent together; their answers are typed once `EXEC` has answered.
///
/// With `WATCH` sent before on the same connection, the transaction does nothing if any watched key has changed meanwhile.
/// Connections that watch are for one caller alone: what others send there in between would belong to it.
///
/// ```
/// use glowplug_redis::wire::{Decoder, Limits};
/// use glowplug_redis::{Transaction, commands};
///
/// let mut transaction = Transaction::new();
/// let hits = transaction.add(commands::incr("hits"));
/// let name = transaction.add(commands::get("name"));
/// let (request, mut replies) = transaction.into_parts();
/// assert_eq!(request.replies(), 4);
///
/// // What a server answers, one reply after the other.
/// let mut input = bytes::BytesMut::from("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:7\r\n$3\r\nann\r\n");
/// let mut decoder = Decoder::new(Limits::default());
/// while let Some(reply) = decoder.decode(&mut input)? {
///     replies.push(reply);
/// }
/// let mut results = replies.finish()?.expect("no watched key has changed");
/// assert_eq!(results.take(hits)?, 7);
/// assert_eq!(results.take(name)?.as_deref(), Some(&b"ann"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a transaction does nothing until it is submitted"]
pub struct Transaction {
    pipeline: Pipeline,
}

/// Where the answer to one command of a pipeline or a transaction will be.
#[derive(Debug)]
pub struct Place<T> {
    index: usize,
    answers: Answers<T>,
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl<T> Place<T> {
    pub(crate) fn new(index: usize, answers: Answers<T>) -> Self {
        Self { index, answers }
    }

    /// The answer of one command among the `replies` to its pipeline, or why it is none. A place can be asked once; after that it
    /// holds [`Reply::Null`].
    pub fn take_from(self, replies: &mut [Reply]) -> Result<T, ReplyError> {
        let reply = replies.get_mut(self.index).map(|reply| core::mem::replace(reply, Reply::Null));
        self.answers.convert(reply.unwrap_or(Reply::Null))
    }
}

impl Transaction {
    /// A transaction of no command.
    pub fn new() -> Self {
        let mut pipeline = Pipeline::new();
        pipeline.push(Command::new("MULTI"));
        Self { pipeline }
    }

    /// Adds a command; the place is where its answer will be.
    ///
    /// Commands that wait do not wait here, and those that subscribe do not belong here.
    pub fn add<T>(&mut self, typed: Typed<T>) -> Place<T> {
        let (command, answers) = typed.into_parts();
        let index = self.len();
        self.pipeline.push(command.never_blocking());
        Place { index, answers }
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.pipeline.len() - 1
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The request to submit, and what takes its replies.
    pub fn into_parts(mut self) -> (Request, TransactionReplies) {
        let commands = self.len();
        self.pipeline.push(Command::new("EXEC"));
        (self.pipeline.into(), TransactionReplies { commands, seen: 0, refused: Vec::new(), exec: None })
    }
}

impl Default for Transaction {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes the replies to a transaction, one after the other.
#[derive(Debug)]
#[must_use = "what the transaction came to is in its replies"]
pub struct TransactionReplies {
    commands: usize,
    seen: usize,
    refused: Vec<(usize, ServerError)>,
    exec: Option<Reply>,
}

impl TransactionReplies {
    /// The next reply.
    pub fn push(&mut self, reply: Reply) {
        let index = self.seen;
        self.seen += 1;
        if index > self.commands {
            self.exec = Some(reply);
        } else if let Reply::Error(error) = reply {
            // The first reply is to MULTI.
            self.refused.push((index.saturating_sub(1), error));
        }
    }

    /// What the transaction came to: results, or `None` when a watched key had changed and so nothing was done.
    pub fn finish(self) -> Result<Option<TransactionResults>, TransactionError> {
        let reply = self.exec.ok_or(TransactionError::Incomplete)?;
        match &reply {
            Reply::Null => return Ok(None),
            Reply::Error(exec) => {
                return Err(TransactionError::Refused { commands: self.refused, exec: exec.clone() });
            }
            _ => {}
        }
        match reply.view() {
            ReplyRef::Array(elements) if elements.len() == self.commands => {
                Ok(Some(TransactionResults(elements.map(|element| Some(element.to_reply())).collect())))
            }
            other => Err(TransactionError::Unexpected(ReplyError::unexpected(
                "one result for each command",
                &other,
            ))),
        }
    }
}

/// The results of a transaction that was done.
#[derive(Debug)]
pub struct TransactionResults(Vec<Option<Reply>>);

impl TransactionResults {
    /// The answer at `place`, or why it is none. A command may be refused while the others are done. A place can be asked once;
    /// after that it holds nothing.
    pub fn take<T>(&mut self, place: Place<T>) -> Result<T, ReplyError> {
        let reply = self.0.get_mut(place.index).and_then(Option::take);
        place.answers.convert(reply.unwrap_or(Reply::Null))
    }

    /// How many results there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a transaction was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionError {
    /// The server refused it, and did none of it.
    Refused {
        /// The commands it refused to queue, by their number, and why.
        commands: Vec<(usize, ServerError)>,
        /// What `EXEC` answered.
        exec: ServerError,
    },
    /// `EXEC` answered something else than results.
    Unexpected(ReplyError),
    /// Not all replies have come.
    Incomplete,
}

impl TransactionError {
    /// True if the server has answered out of step: what it answers next may be as wrong.
    pub fn is_out_of_step(&self) -> bool {
        matches!(self, Self::Unexpected(_) | Self::Incomplete)
    }
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { commands, .. } => match commands.first() {
                Some((index, error)) => {
                    write!(f, "the transaction was refused: command {index}: {}", error.text())
                }
                None => f.write_str("the transaction was refused"),
            },
            Self::Unexpected(_) => f.write_str("the transaction was answered with something else"),
            Self::Incomplete => f.write_str("the transaction was not answered in full"),
        }
    }
}

impl core::error::Error for TransactionError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Refused { exec, .. } => Some(exec),
            Self::Unexpected(error) => Some(error),
            Self::Incomplete => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;
    use crate::wire::{Decoder, Limits};
    use bytes::BytesMut;

    fn play(bytes: &str) -> (Place<i64>, Place<f64>, Result<Option<TransactionResults>, TransactionError>) {
        let mut transaction = Transaction::new();
        let places = (transaction.add(commands::incr("a")), transaction.add(commands::incrbyfloat("b", 1.0)));
        let (_, mut replies) = transaction.into_parts();
        let (mut decoder, mut input) = (Decoder::new(Limits::default()), BytesMut::from(bytes));
        while let Some(reply) = decoder.decode(&mut input).expect("valid") {
            replies.push(reply);
        }
        (places.0, places.1, replies.finish())
    }

    #[test]
    fn one_command_may_fail_and_the_other_not() {
        let (one, other, results) = play("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR no\r\n$3\r\n1.5\r\n");
        let mut results = results.expect("done").expect("not aborted");
        assert_eq!(results.take(other), Ok(1.5));
        assert!(matches!(results.take(one), Err(ReplyError::Server(error)) if error.message() == "no"));
        assert!(matches!(results.take(other), Err(ReplyError::Unexpected { .. })), "it was taken");
    }

    #[test]
    fn a_watched_key_that_changed_leaves_nothing() {
        for null in ["*-1\r\n", "_\r\n"] {
            let (.., results) = play(&alloc::format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n{null}"));
            assert!(matches!(results, Ok(None)));
        }
    }

    #[test]
    fn refusals_say_which_command() {
        let (.., results) = play("+OK\r\n+QUEUED\r\n-ERR bad\r\n-EXECABORT no\r\n");
        let Err(TransactionError::Refused { commands, exec }) = results else { panic!("not refused") };
        assert_eq!((commands[0].0, exec.code()), (1, "EXECABORT"));
        assert!(matches!(play("+OK\r\n").2, Err(TransactionError::Incomplete)));
        assert!(matches!(
            play("+OK\r\n+QUEUED\r\n+QUEUED\r\n*1\r\n:1\r\n").2,
            Err(TransactionError::Unexpected(_))
        ));
    }
}
