//! Commands, encoded as they are built.

use alloc::borrow::Cow;
use alloc::boxed::Box;
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
const INLINE_LEN: usize = 62;

/// An encoded command begins with room for `*N\r\n`, which is right while N has one digit.
const HEADER_LEN: usize = 4;

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
    /// The array's header, the arguments' headers and short texts.
    encoded: Encoded,
    args: u32,
    read_only: bool,
    /// What few commands have, so that the others are cheap to move.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    /// Long arguments, each with the place in `encoded` where it belongs.
    kept: Vec<(usize, Bytes)>,
    pub(crate) blocks: Option<Blocks>,
    pub(crate) subscribes: Option<Subscribes>,
    /// The connection's cache may keep the answer.
    pub(crate) cacheable: bool,
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
    /// One; then every command that the server runs.
    Everything,
}

#[derive(Clone)]
enum Encoded {
    Inline { len: u8, bytes: [u8; INLINE_LEN] },
    Heap(Vec<u8>),
}

impl Command {
    /// A command of the given name. A name of two words is a name and an argument: `new("CLIENT").arg("ID")`.
    #[inline]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; INLINE_LEN];
        bytes[..HEADER_LEN].copy_from_slice(b"*0\r\n");
        let encoded = Encoded::Inline { len: HEADER_LEN as u8, bytes };
        let mut command = Self { encoded, args: 0, read_only: false, rare: None };
        command.push_copied(name.as_bytes());
        command
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn kept(&self) -> &[(usize, Bytes)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.kept)
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

    /// Adds all arguments of `other` but its name.
    pub(crate) fn followed_by(self, other: &Self) -> Self {
        self.followed_by_rest(other, 1)
    }

    /// Adds all arguments of `other` but its first ones, which have no line end in them and are short.
    pub(crate) fn followed_by_rest(mut self, other: &Self, skipped: u32) -> Self {
        // An argument is `$`, its length, and its text, each line with its end.
        let encoded = other.encoded.as_slice();
        let lines = 2 * skipped as usize;
        let mut from = memchr::memchr_iter(b'\n', encoded).nth(lines).map_or(0, |end| end + 1);
        for (at, bytes) in other.kept() {
            self.encoded.extend(&encoded[from..*at]);
            let at_here = self.encoded.as_slice().len();
            self.rare().kept.push((at_here, bytes.clone()));
            from = *at;
        }
        self.encoded.extend(&encoded[from..]);
        self.args += other.args - skipped;
        self.encoded.set_count(self.args);
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
        self.read_only = true;
        self
    }

    /// Says that the server may wait before it answers, so that nobody takes it for dead meanwhile.
    pub fn blocking(mut self, blocks: Blocks) -> Self {
        self.rare().blocks = Some(blocks);
        self
    }

    /// The same command where the server does not wait: in a transaction.
    pub(crate) fn never_blocking(mut self) -> Self {
        if let Some(rare) = &mut self.rare {
            rare.blocks = None;
        }
        self
    }

    /// Says that the connection's cache may keep the answer, if the connection has a cache and knows which keys the command reads: see
    /// [`CacheConfig`](crate::CacheConfig).
    pub fn cacheable(mut self) -> Self {
        self.rare().cacheable = true;
        self
    }

    pub(crate) fn is_cacheable(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.cacheable)
    }

    /// Its bytes on the wire, borrowed where they lie together.
    pub(crate) fn on_the_wire(&self) -> Cow<'_, [u8]> {
        if self.args < 10 && self.kept().is_empty() {
            Cow::Borrowed(self.encoded.as_slice())
        } else {
            Cow::Owned(self.to_vec())
        }
    }

    pub(crate) fn subscribing(mut self, subscribes: Subscribes) -> Self {
        self.rare().subscribes = Some(subscribes);
        self
    }

    /// The command's name, as it was given: `GET`. Of a name of two words, the first.
    pub fn name(&self) -> &[u8] {
        self.encoded.as_slice().split(|&byte| byte == b'\n').nth(2).unwrap_or_default().trim_ascii_end()
    }

    /// All arguments in order, the name being the first.
    ///
    /// ```
    /// use glowplug_redis::Command;
    /// let command = Command::new("SET").arg("key").arg(7);
    /// assert!(command.arguments().eq([&b"SET"[..], b"key", b"7"]));
    /// ```
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        Arguments { encoded: &self.encoded.as_slice()[HEADER_LEN..], passed: HEADER_LEN, kept: self.kept() }
    }

    /// True when the command is known to change nothing.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How long the server may wait before it answers, if the command says so.
    pub fn blocks(&self) -> Option<Blocks> {
        self.rare.as_ref()?.blocks
    }

    pub(crate) fn subscribes(&self) -> Option<Subscribes> {
        self.rare.as_ref()?.subscribes
    }

    /// How many arguments there are, the name included.
    pub fn arg_count(&self) -> usize {
        self.args as usize
    }

    /// Adds one argument that is copied: what implementations of [`Arg`] call.
    #[inline]
    pub fn push_copied(&mut self, bytes: &[u8]) {
        self.args += 1;
        self.encoded.push(bytes);
        self.encoded.set_count(self.args);
    }

    /// Adds one argument that is kept when it is long, and copied when it is short.
    pub fn push_kept(&mut self, bytes: Bytes) {
        if bytes.len() < KEEP_THRESHOLD {
            self.push_copied(&bytes);
            return;
        }
        self.args += 1;
        self.encoded.set_count(self.args);
        self.encoded.push_header(bytes.len());
        let at = self.encoded.as_slice().len();
        self.rare().kept.push((at, bytes));
        self.encoded.extend(b"\r\n");
    }

    /// Bytes on the wire.
    pub fn encoded_len(&self) -> usize {
        let encoded = self.encoded.as_slice().len();
        if self.args < 10 && self.rare.is_none() {
            return encoded;
        }
        let kept: usize = self.kept().iter().map(|(_, bytes)| bytes.len()).sum();
        number::digits_of(self.args as usize) + 3 + encoded - HEADER_LEN + kept
    }

    /// Appends the command to `out`; long arguments are queued there without a copy.
    #[inline]
    pub fn encode(self, out: &mut SendBuf) {
        let encoded = self.encoded.as_slice();
        if self.args < 10 && self.rare.is_none() {
            out.put_slice(encoded);
            return;
        }
        crate::wire::write_header(b'*', self.args as usize, out.scratch());
        let mut from = HEADER_LEN;
        for (at, bytes) in self.rare.map(|rare| rare.kept).unwrap_or_default() {
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
        write!(f, "Command({} +{})", self.name().escape_ascii(), self.args - 1)
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        (self.args, self.read_only, &self.rare) == (other.args, other.read_only, &other.rare)
            && self.encoded.as_slice() == other.encoded.as_slice()
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

    /// Says in the header how many arguments there are; a second digit has no place there.
    #[inline]
    fn set_count(&mut self, args: u32) {
        let bytes = match self {
            Self::Inline { bytes, .. } => &mut bytes[..],
            Self::Heap(bytes) => bytes,
        };
        bytes[1] = b'0'.wrapping_add(args as u8);
    }

    /// Adds an argument: its header, it, and the line's end.
    #[inline]
    fn push(&mut self, arg: &[u8]) {
        if let Self::Inline { len, bytes } = self
            && arg.len() < 100
        {
            // `$`, two digits, two line ends.
            let start = usize::from(*len);
            let head = if arg.len() < 10 { 4 } else { 5 };
            if let Some(room) = bytes.get_mut(start..start + head + arg.len() + 2) {
                let (header, text) = room.split_at_mut(head);
                header[0] = b'$';
                if arg.len() < 10 {
                    header[1] = b'0' + arg.len() as u8;
                } else {
                    header[1] = b'0' + (arg.len() / 10) as u8;
                    header[2] = b'0' + (arg.len() % 10) as u8;
                }
                header[head - 2..].copy_from_slice(b"\r\n");
                text[..arg.len()].copy_from_slice(arg);
                text[arg.len()..].copy_from_slice(b"\r\n");
                *len = (start + head + arg.len() + 2) as u8;
                return;
            }
        }
        self.push_long(arg);
    }

    #[inline(never)]
    fn push_long(&mut self, arg: &[u8]) {
        self.reserve(arg.len() + MAX_DIGITS + 5);
        self.push_header(arg.len());
        self.extend(arg);
        self.extend(b"\r\n");
    }

    fn push_header(&mut self, len: usize) {
        self.extend(b"$");
        self.extend(number::format_u64(len as u64, &mut [0; MAX_DIGITS]));
        self.extend(b"\r\n");
    }

    /// Makes sure that `more` bytes fit without a second allocation.
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

    fn extend(&mut self, more: &[u8]) {
        self.reserve(more.len());
        match self {
            Self::Inline { len, bytes } => {
                let start = usize::from(*len);
                bytes[start..start + more.len()].copy_from_slice(more);
                *len += more.len() as u8;
            }
            Self::Heap(bytes) => bytes.extend_from_slice(more),
        }
    }
}

/// The arguments that lie in what is encoded, and those that are kept beside it.
struct Arguments<'a> {
    /// From the next argument's header on.
    encoded: &'a [u8],
    /// How much lies before that.
    passed: usize,
    kept: &'a [(usize, Bytes)],
}

impl<'a> Arguments<'a> {
    fn skip(&mut self, len: usize) -> Option<&'a [u8]> {
        let (skipped, rest) = self.encoded.split_at_checked(len)?;
        self.encoded = rest;
        self.passed += len;
        Some(skipped)
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let header = memchr::memchr(b'\n', self.encoded)? + 1;
        let digits = self.skip(header)?.get(1..header - 2)?;
        let arg = match self.kept.split_first() {
            Some(((at, bytes), rest)) if *at == self.passed => {
                self.kept = rest;
                bytes
            }
            _ => self.skip(number::parse_i64(digits).and_then(|len| usize::try_from(len).ok())?)?,
        };
        self.skip(2)?;
        Some(arg)
    }
}

/// Calls `each` with the words of every command in `encoded`: commands as they were written, one after another.
pub(crate) fn each_command(encoded: &[u8], mut each: impl FnMut(&[&[u8]])) {
    let mut rest = encoded;
    let mut words = Vec::new();
    while let Some(header) = memchr::memchr(b'\n', rest).map(|end| end + 1) {
        let count = rest.get(1..header - 2).and_then(number::parse_i64).unwrap_or(0);
        let mut arguments = Arguments { encoded: &rest[header..], passed: 0, kept: &[] };
        words.clear();
        words.extend(arguments.by_ref().take(usize::try_from(count).unwrap_or(0)));
        each(&words);
        rest = arguments.encoded;
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

impl Arg for bool {
    /// 1 or 0.
    fn push_to(self, command: &mut Command) {
        command.push_copied(if self { b"1" } else { b"0" });
    }
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

#[cfg(test)]
mod tests;
