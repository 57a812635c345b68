//! Transactions, command by command. [`Transaction`](crate::Transaction) puts a whole one together.

use crate::{Arg, Command, Reply, Typed};

/// `MULTI`: from here on, commands are queued.
pub fn multi() -> Typed<()> {
    Typed::new(Command::new("MULTI"))
}

/// `EXEC`: runs what was queued: the replies, or nothing where a watched key has changed.
pub fn exec() -> Typed<Option<Reply>> {
    Typed::new(Command::new("EXEC"))
}

/// `DISCARD`: forgets what was queued.
pub fn discard() -> Typed<()> {
    Typed::new(Command::new("DISCARD"))
}

/// `WATCH`: lets the next `EXEC` do nothing if any of them changes before.
pub fn watch(keys: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("WATCH").args(keys))
}

/// `UNWATCH`: forgets what is watched.
pub fn unwatch() -> Typed<()> {
    Typed::new(Command::new("UNWATCH"))
}
