//! Scripts that are sent once and called by their hash.

use alloc::string::String;
use core::fmt::Write as _;

use bytes::Bytes;
use sha1::{Digest as _, Sha1};

use crate::{Arg, Command, FromReply, Reply, ServerError, Typed, commands};

const RELEASE_LOCK: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";
const EXTEND_LOCK: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0";

/// A Lua script, and the hash by which a server that has seen it knows it.
///
/// ```
/// use glowplug_redis::Script;
/// let script = Script::new("return redis.call('GET', KEYS[1])");
/// assert_eq!(script.sha1(), "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f");
/// let call = script.call(["key"], [""; 0]).returning::<Option<String>>();
/// assert_eq!(call.by_hash().command().name(), b"EVALSHA");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    text: Bytes,
    sha1: String,
}

impl Script {
    /// A script of this text. The server is the first to check it.
    pub fn new(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(&text) {
            // Writing into a String cannot fail.
            let _ = write!(sha1, "{byte:02x}");
        }
        Self { text, sha1 }
    }

    /// Gives up what `SET key holder NX PX ...` has taken, if the holder (its argument) still has it (the key): 1 or 0.
    pub fn release_lock() -> Self {
        Self::new(RELEASE_LOCK)
    }

    /// Lets what `SET key holder NX PX ...` has taken end after so many milliseconds (its second argument), if the holder (the first) still
    /// has it (the key): 1 or 0.
    pub fn extend_lock() -> Self {
        Self::new(EXTEND_LOCK)
    }

    /// The hash of its text, in hexadecimal.
    pub fn sha1(&self) -> &str {
        &self.sha1
    }

    /// Its text.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// A call of the script: its keys and what else it is given.
    pub fn call(
        &self,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> ScriptCall<Reply> {
        let by_hash = commands::evalsha(&self.sha1, keys, args);
        ScriptCall { text: self.text.clone(), by_hash }
    }
}

/// A call of a [`Script`]: by its hash, and in full for a server that does not know it yet.
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct ScriptCall<T> {
    text: Bytes,
    by_hash: Typed<T>,
}

impl<T> ScriptCall<T> {
    /// The same call, answered with another type.
    pub fn returning<U: FromReply>(self) -> ScriptCall<U> {
        ScriptCall { text: self.text, by_hash: self.by_hash.returning() }
    }

    /// The call by hash (`EVALSHA`), which is to be tried first.
    pub fn by_hash(&self) -> Typed<T> {
        self.by_hash.clone()
    }

    /// The call in full (`EVAL`), from which on the server knows the script.
    pub fn in_full(self) -> Typed<T> {
        // The name and the hash give way to the name and the text.
        self.by_hash.map_command(|by_hash| Command::new("EVAL").arg(self.text).followed_by_rest(&by_hash, 2))
    }

    /// True for the error of a server that does not know the script yet: nothing was done.
    pub fn is_unknown(error: &ServerError) -> bool {
        error.code() == "NOSCRIPT"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_call_carry_the_same_arguments() {
        let script = Script::new("return 1");
        assert_eq!(script.sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        let long = Bytes::from(alloc::vec![b'x'; 5000]);
        for args in [alloc::vec![Bytes::from("a")], alloc::vec![Bytes::from("a"), long, Bytes::from("z")]] {
            let call = script.call(["k1", "k2"], &args);
            let expected = commands::eval("return 1", ["k1", "k2"], &args);
            assert_eq!(
                call.by_hash().command(),
                commands::evalsha(script.sha1(), ["k1", "k2"], &args).command()
            );
            assert_eq!(call.in_full().command().to_vec(), expected.command().to_vec());
        }
        let unknown = ServerError::new("NOSCRIPT No matching script.");
        assert!(ScriptCall::<Reply>::is_unknown(&unknown));
    }
}
