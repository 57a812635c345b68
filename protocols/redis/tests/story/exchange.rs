//! One exchange: a command, and what is known of its answer.

use std::fmt::Debug;

use glowplug_redis::{Command, Reply, ReplyError, Typed};

type Convert = Box<dyn Fn(Reply) -> Result<String, ReplyError> + Send>;

pub(crate) struct Exchange {
    pub(crate) command: Command,
    pub(crate) convert: Convert,
    pub(crate) check: Check,
    /// The server in memory answers something else.
    pub(crate) differs: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// The same value in both versions.
    Same,
    /// It converts, to something that differs from time to time.
    Converts,
    /// The server at hand refuses, with this word in what it says.
    Refused(&'static str),
    /// Not sent, and why.
    NotSent(#[expect(dead_code, reason = "for whoever reads the story")] &'static str),
    /// The server at hand is too old: the reply is taken from the documentation.
    Documented(&'static [u8]),
}

fn exchange<T: Debug + 'static>(typed: Typed<T>, check: Check) -> Exchange {
    let (command, answers) = typed.into_parts();
    let convert = move |reply| answers.convert(reply).map(|value| format!("{value:?}"));
    Exchange { command, convert: Box::new(convert), check, differs: false }
}

pub(crate) fn same<T: Debug + 'static>(typed: Typed<T>) -> Exchange {
    exchange(typed, Check::Same)
}

pub(crate) fn varies<T: Debug + 'static>(typed: Typed<T>) -> Exchange {
    exchange(typed, Check::Converts)
}

pub(crate) fn refused<T: Debug + 'static>(typed: Typed<T>, word: &'static str) -> Exchange {
    exchange(typed, Check::Refused(word))
}

pub(crate) fn not_sent<T: Debug + 'static>(typed: Typed<T>, why: &'static str) -> Exchange {
    exchange(typed, Check::NotSent(why))
}

pub(crate) fn documented<T: Debug + 'static>(typed: Typed<T>, reply: &'static [u8]) -> Exchange {
    exchange(typed, Check::Documented(reply))
}

pub(crate) fn differs(exchange: Exchange) -> Exchange {
    Exchange { differs: true, ..exchange }
}
