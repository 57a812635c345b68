//! Commands, encoded as they are built.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::SendBuf;

use crate::wire::number::{self, MAX_DIGITS};

/// Arguments given as [`Bytes`] that are at least this long are sent from where they are; shorter ones are copied.
const KEEP_THRESHOLD: usize = 1024;

/// What fits here needs no allocation: most commands that read.
const INLINE_LEN: usize = 78;

/// A command with its arguments, already in the bytes that go on the wire.
///
/// A short command lives in place; a longer one costs one allocation, and arguments given as long [`Bytes`] none.
///
/// ```
/// use glowplug_redis::Command;
/// let command = Command::new("SET").arg("key").arg(b"any\0bytes").arg("PX").arg(1500);
/// assert_eq!(command.to_vec(), b"*5\r\n$3\r\nSET\r\n$3\r\nkey\r\n$9\r\nany\0bytes\r\n$2\r\nPX\r\n$4\r\n1500\r\n");
/// ```
#[derive(Clone)]
pub struct Command {
    /// The arguments' headers and short texts. The array's own header is written when the command is sent.
    encoded: Encoded,
    /// Long arguments, each with the place in `encoded` where it belongs.
    kept: Vec<(usize, Bytes)>,
    args: usize,
    traits: Traits,
}

/// What is known about a command beyond its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) read_only: bool,
    pub(crate) blocks: Option<Blocks>,
    pub(crate) subscribes: Option<Subscribes>,
}

/// How long a command may make the server wait before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// At most this long.
    For(Duration),
    /// Until there is something to answer.
    Forever,
}

/// How a command changes what a connection is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribes {
    /// One confirmation for each of so many names.
    Names(usize),
    /// One for each channel, pattern or shard channel there is; at least one.
    AllOf(crate::pubsub::Scope),
}

#[derive(Clone)]
enum Encoded {
    Inline { len: u8, bytes: [u8; INLINE_LEN] },
    Heap(Vec<u8>),
}

impl Command {
    /// A command of the given name. A name of two words is a name and an argument: `new("CLIENT").arg("ID")`.
    pub fn new(name: &str) -> Self {
        let mut command = Self {
            encoded: Encoded::Inline { len: 0, bytes: [0; INLINE_LEN] },
            kept: Vec::new(),
            args: 0,
            traits: Traits::default(),
        };
        command.push_copied(name.as_bytes());
        command
    }

    /// A command of the given words, for those that are known in advance.
    pub(crate) fn words(words: &[&str]) -> Self {
        let (name, rest) = words.split_first().unwrap_or((&"", &[]));
        Self::new(name).args(rest)
    }

    /// Adds one argument.
    #[inline]
    pub fn arg(mut self, arg: impl Arg) -> Self {
        arg.push_to(&mut self);
        self
    }

    /// Adds one argument for each item.
    pub fn args<A: Arg>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            arg.push_to(&mut self);
        }
        self
    }

    /// Adds two arguments for each pair.
    pub fn pairs<A: Arg, B: Arg>(mut self, pairs: impl IntoIterator<Item = (A, B)>) -> Self {
        for (first, second) in pairs {
            first.push_to(&mut self);
            second.push_to(&mut self);
        }
        self
    }

    /// Adds `word` if `condition`.
    pub fn word_if(self, condition: bool, word: &str) -> Self {
        if condition { self.arg(word) } else { self }
    }

    /// Adds `word` and a value, if there is one.
    pub fn option(self, word: &str, value: Option<impl Arg>) -> Self {
        match value {
            Some(value) => self.arg(word).arg(value),
            None => self,
        }
    }

    /// Says that the command changes nothing, so that it is safe to send again after a break.
    pub fn read_only(mut self) -> Self {
        self.traits.read_only = true;
        self
    }

    /// Says that the server may wait before it answers, so that nobody takes it for dead meanwhile.
    pub fn blocking(mut self, blocks: Blocks) -> Self {
        self.traits.blocks = Some(blocks);
        self
    }

    pub(crate) fn subscribing(mut self, subscribes: Subscribes) -> Self {
        self.traits.subscribes = Some(subscribes);
        self
    }

    /// True when the command is known to change nothing.
    pub fn is_read_only(&self) -> bool {
        self.traits.read_only
    }

    /// How long the server may wait before it answers, if the command says so.
    pub fn blocks(&self) -> Option<Blocks> {
        self.traits.blocks
    }

    pub(crate) fn traits(&self) -> Traits {
        self.traits
    }

    /// How many arguments there are, the name included.
    pub fn arg_count(&self) -> usize {
        self.args
    }

    /// Adds one argument that is copied: what implementations of [`Arg`] call.
    #[inline]
    pub fn push_copied(&mut self, bytes: &[u8]) {
        self.args += 1;
        let mut digits = [0; MAX_DIGITS];
        let digits = number::format_u64(bytes.len() as u64, &mut digits);
        self.encoded.reserve(bytes.len() + digits.len() + 5);
        self.encoded.extend(b"$");
        self.encoded.extend(digits);
        self.encoded.extend(b"\r\n");
        self.encoded.extend(bytes);
        self.encoded.extend(b"\r\n");
    }

    /// Adds one argument that is kept when it is long, and copied when it is short.
    pub fn push_kept(&mut self, bytes: Bytes) {
        if bytes.len() < KEEP_THRESHOLD {
            self.push_copied(&bytes);
            return;
        }
        self.args += 1;
        let mut digits = [0; MAX_DIGITS];
        let digits = number::format_u64(bytes.len() as u64, &mut digits);
        self.encoded.extend(b"$");
        self.encoded.extend(digits);
        self.encoded.extend(b"\r\n");
        self.kept.push((self.encoded.as_slice().len(), bytes));
        self.encoded.extend(b"\r\n");
    }

    /// Bytes on the wire.
    pub fn encoded_len(&self) -> usize {
        let kept: usize = self.kept.iter().map(|(_, bytes)| bytes.len()).sum();
        number::digits_of(self.args) + 3 + self.encoded.as_slice().len() + kept
    }

    /// Appends the command to `out`; long arguments are queued there without a copy.
    pub fn encode(self, out: &mut SendBuf) {
        crate::wire::write_header(b'*', self.args, out.scratch());
        let encoded = self.encoded.as_slice();
        let mut from = 0;
        for (at, bytes) in self.kept {
            out.put_slice(&encoded[from..at]);
            out.push(bytes);
            from = at;
        }
        out.put_slice(&encoded[from..]);
    }

    /// The command as one contiguous text, copied: for tests and logs.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = SendBuf::new();
        self.clone().encode(&mut out);
        out.take_all().into()
    }
}

impl fmt::Debug for Command {
    /// The name and the number of further arguments: what they hold may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.encoded.as_slice().split(|&byte| byte == b'\n').nth(1).unwrap_or_default();
        write!(f, "Command({} +{})", name.trim_ascii_end().escape_ascii(), self.args - 1)
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.args == other.args && self.traits == other.traits && self.to_vec() == other.to_vec()
    }
}

impl Encoded {
    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Makes sure that `more` bytes fit without a second allocation.
    #[inline]
    fn reserve(&mut self, more: usize) {
        match self {
            Self::Inline { len, .. } if usize::from(*len) + more <= INLINE_LEN => {}
            Self::Inline { len, bytes } => {
                // Room for what comes after: options, or the next of many arguments.
                let mut heap = Vec::with_capacity(usize::from(*len) + more + INLINE_LEN);
                heap.extend_from_slice(&bytes[..usize::from(*len)]);
                *self = Self::Heap(heap);
            }
            Self::Heap(bytes) => bytes.reserve(more),
        }
    }

    #[inline]
    fn extend(&mut self, more: &[u8]) {
        if let Self::Inline { len, bytes } = self {
            let start = usize::from(*len);
            if let Some(room) = bytes.get_mut(start..start + more.len()) {
                room.copy_from_slice(more);
                *len += more.len() as u8;
                return;
            }
        }
        self.reserve(more.len());
        if let Self::Heap(bytes) = self {
            bytes.extend_from_slice(more);
        }
    }
}

/// What can be an argument of a command: text, bytes and numbers.
///
/// An implementation adds exactly one argument, by one call of [`Command::push_copied`] or [`Command::push_kept`] or of another `Arg`.
pub trait Arg {
    /// Adds itself.
    fn push_to(self, command: &mut Command);
}

impl Arg for Bytes {
    fn push_to(self, command: &mut Command) {
        command.push_kept(self);
    }
}

impl Arg for String {
    fn push_to(self, command: &mut Command) {
        command.push_kept(self.into());
    }
}

impl Arg for Vec<u8> {
    fn push_to(self, command: &mut Command) {
        command.push_kept(self.into());
    }
}

impl Arg for &Bytes {
    fn push_to(self, command: &mut Command) {
        command.push_kept(self.clone());
    }
}

impl<const N: usize> Arg for &[u8; N] {
    fn push_to(self, command: &mut Command) {
        command.push_copied(self);
    }
}

macro_rules! arg_from_slice {
    ($($type:ty),*) => {$(
        impl Arg for $type {
            #[inline]
            fn push_to(self, command: &mut Command) {
                command.push_copied(self.as_ref());
            }
        }
    )*};
}

arg_from_slice!(&str, &&str, &[u8], &&[u8], &String, &Vec<u8>);

macro_rules! arg_from_integer {
    ($format:ident as $wide:ty: $($type:ty),*) => {$(
        impl Arg for $type {
            fn push_to(self, command: &mut Command) {
                command.push_copied(number::$format(self as $wide, &mut [0; MAX_DIGITS]));
            }
        }

        impl Arg for &$type {
            fn push_to(self, command: &mut Command) {
                (*self).push_to(command);
            }
        }
    )*};
}

mod integers {
    use super::{Arg, Command, MAX_DIGITS, number};

    arg_from_integer!(format_i64 as i64: i8, i16, i32, i64, isize);
    arg_from_integer!(format_u64 as u64: u8, u16, u32, u64, usize);
}

impl Arg for f64 {
    fn push_to(self, command: &mut Command) {
        command.push_copied(number::format_f64(self).as_bytes());
    }
}

impl Arg for f32 {
    fn push_to(self, command: &mut Command) {
        f64::from(self).push_to(command);
    }
}
