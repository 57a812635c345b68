//! How the server in memory says no.

use alloc::borrow::Cow;
use alloc::format;

use super::args::Args;
use crate::wire::{ServerError, Value};

/// What a command answers, or why it refuses.
pub(super) type Answer = Result<Value, Refusal>;

/// The whole line of an error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(Cow<'static, str>);

impl Refusal {
    pub(super) const WRONG_TYPE: Self =
        Self::of("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(super) const NOT_INTEGER: Self = Self::of("ERR value is not an integer or out of range");
    pub(super) const NOT_FLOAT: Self = Self::of("ERR value is not a valid float");
    pub(super) const SYNTAX: Self = Self::of("ERR syntax error");
    pub(super) const NO_SUCH_KEY: Self = Self::of("ERR no such key");
    pub(super) const OUT_OF_RANGE: Self = Self::of("ERR index out of range");
    pub(super) const NOT_POSITIVE: Self = Self::of("ERR value is out of range, must be positive");
    pub(super) const OVERFLOW: Self = Self::of("ERR increment or decrement would overflow");
    pub(super) const NOT_FINITE: Self = Self::of("ERR increment would produce NaN or Infinity");
    pub(super) const TOO_LONG: Self =
        Self::of("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

    pub(super) const fn of(line: &'static str) -> Self {
        Self(Cow::Borrowed(line))
    }

    pub(super) fn invalid_expire(args: Args<'_>) -> Self {
        Self(Cow::Owned(format!("ERR invalid expire time in '{}' command", args.lower_name())))
    }

    pub(super) fn wrong_arity(name: &str) -> Self {
        Self(Cow::Owned(format!("ERR wrong number of arguments for '{name}' command")))
    }

    pub(super) fn saying(line: alloc::string::String) -> Self {
        Self(Cow::Owned(line))
    }
}

impl From<Refusal> for Value {
    fn from(refusal: Refusal) -> Self {
        Self::Error(ServerError::new(refusal.0))
    }
}
