//! Domain names, owned.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::convert::Infallible;
use core::fmt;
use core::hash::{Hash, Hasher};

use super::name_ref::INLINE;
use super::{Labels, NameRef};
use crate::error::{DecodeError, DecodeReason};

/// The longest name, counted as on the wire without compression (RFC 1035 section 2.3.4).
pub const MAX_NAME_LEN: usize = 255;

/// An owned, uncompressed, absolute name.
///
/// Equality and hashing ignore ASCII case; the order is DNSSEC's canonical order (RFC 4034 section 6.1), in which a
/// name's descendants follow it directly. A name of up to 38 bytes on the wire, as most are, needs no allocation; clones of a longer one
/// share their bytes.
///
/// ```
/// use glowplug_dns::Name;
/// let name: Name = "Www.Example.ORG".parse()?;
/// assert_eq!(name, "www.example.org.".parse::<Name>()?);
/// assert_eq!(name.to_string(), "Www.Example.ORG.");
/// # Ok::<_, glowplug_dns::NameError>(())
/// ```
#[derive(Clone)]
pub struct Name(Wire);

#[derive(Clone)]
enum Wire {
    /// So many bytes of the array; what stands behind them means nothing.
    Short(u8, [u8; INLINE]),
    Long(Arc<[u8]>),
}

impl Wire {
    /// A copy of a name that lies in a message.
    fn of(name: NameRef<'_>) -> Self {
        if name.wire_len() > INLINE {
            return Self::Long(match name.as_plain() {
                Some(plain) => Arc::from(plain),
                None => Arc::from(name.flatten(&mut [0; MAX_NAME_LEN])),
            });
        }
        let mut short = [0; INLINE];
        name.copy_inline(&mut short);
        Self::Short(name.wire_len() as u8, short)
    }
}

impl Name {
    /// The root.
    #[inline]
    pub const fn root() -> Self {
        Self(Wire::Short(1, [0; INLINE]))
    }

    /// A name of a wire form that was checked before.
    #[inline]
    pub(super) fn from_checked(wire: &[u8]) -> Self {
        NameRef::plain(wire).to_name()
    }

    /// Becomes a copy of a name that lies in a message. This writes where the copy is to stay: what is moved right after it was written in parts
    /// keeps the processor waiting.
    #[inline]
    pub(super) fn set(&mut self, name: NameRef<'_>) {
        match &mut self.0 {
            Wire::Short(len, short) if name.wire_len() <= INLINE => {
                *len = name.wire_len() as u8;
                name.copy_inline(short);
            }
            wire => *wire = Wire::of(name),
        }
    }

    /// A copy of a name that lies in a message.
    pub(super) fn from_ref(name: NameRef<'_>) -> Self {
        Self(Wire::of(name))
    }

    /// A name of the given wire form, which must be one whole uncompressed name.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (name, next) = NameRef::read(bytes, 0)?;
        if next != bytes.len() {
            return Err(DecodeError::new(next, DecodeReason::TrailingBytes));
        }
        Ok(name.to_name())
    }

    /// A name of the given labels, left to right, without the root.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut builder = NameBuilder::new();
        for label in labels {
            builder.label(label)?;
        }
        Ok(builder.finish())
    }

    /// Reads the presentation form. A name without a final dot is taken as if it had one. Escapes are `\.` and `\065`.
    ///
    /// The name is ASCII: see `from_unicode` (feature `idna`) for what people type.
    pub fn from_text(text: &[u8]) -> Result<Self, NameError> {
        Self::from_text_at(text, None)
    }

    /// Reads the presentation form of a name that is relative to `origin` unless it ends in a dot. `@` is the origin.
    pub fn from_text_at(text: &[u8], origin: Option<&Name>) -> Result<Self, NameError> {
        match (text, origin) {
            (b".", _) => return Ok(Self::root()),
            (b"@", Some(origin)) => return Ok(origin.clone()),
            _ => {}
        }
        let mut builder = NameBuilder::new();
        let mut absolute = false;
        let mut rest = text;
        while !rest.is_empty() {
            let plain = rest.iter().position(|byte| matches!(byte, b'.' | b'\\')).unwrap_or(rest.len());
            let (label, tail) = rest.split_at(plain);
            builder.extend(label)?;
            absolute = false;
            rest = match tail {
                [b'.', rest @ ..] => {
                    builder.close()?;
                    absolute = true;
                    rest
                }
                [_, rest @ ..] => {
                    let (byte, used) = crate::text::unescape(rest).ok_or(NameError::BadEscape)?;
                    builder.extend(&[byte])?;
                    &rest[used..]
                }
                [] => tail,
            };
        }
        if !absolute {
            builder.close()?;
            for label in origin.iter().flat_map(|origin| origin.as_ref().labels()) {
                builder.label(label)?;
            }
        }
        Ok(builder.finish())
    }

    /// Reads a host name in any script: labels are mapped and encoded by the rules of UTS 46 (non-transitional).
    #[cfg(feature = "idna")]
    pub fn from_unicode(text: &str) -> Result<Self, NameError> {
        let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY)
            .map_err(|_| NameError::NotIdna)?;
        Self::from_text(ascii.as_bytes())
    }

    /// The name with its encoded labels decoded, without the final dot: for people's eyes. Labels that do not decode
    /// stay as they are.
    #[cfg(feature = "idna")]
    pub fn to_unicode(&self) -> String {
        use alloc::string::ToString;
        let text = self.to_string();
        let text = text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(&text);
        idna::domain_to_unicode(text).0
    }

    /// The name as URLs, certificates and connection strings have it: without the final dot. The root is `.`.
    ///
    /// ```
    /// # use glowplug_dns::Name;
    /// let name: Name = "db.example.org.".parse()?;
    /// assert_eq!(name.to_host(), "db.example.org");
    /// # Ok::<_, glowplug_dns::NameError>(())
    /// ```
    pub fn to_host(&self) -> String {
        use alloc::string::ToString;
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }

    /// The name as a borrowed one.
    #[inline]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef::plain(self.as_wire())
    }

    /// The name on the wire.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        match &self.0 {
            Wire::Short(len, short) => &short[..usize::from(*len)],
            Wire::Long(long) => long,
        }
    }

    /// The labels from the left, without the root.
    pub fn labels(&self) -> Labels<'_> {
        self.as_ref().labels()
    }

    /// True for the root.
    pub fn is_root(&self) -> bool {
        self.as_wire().len() == 1
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let wire = self.as_wire();
        match wire[0] {
            0 => None,
            label => Some(Self::from_checked(&wire[usize::from(label) + 1..])),
        }
    }

    /// True if this is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.prefix_len(ancestor).is_some()
    }

    /// How many bytes of labels this name has in front of `ancestor`; `None` if it does not lie there.
    fn prefix_len(&self, ancestor: &Self) -> Option<usize> {
        let (wire, end) = (self.as_wire(), ancestor.as_wire());
        let want = wire.len().checked_sub(end.len())?;
        let mut at = 0;
        while at < want {
            at += usize::from(wire[at]) + 1;
        }
        (at == want && wire[at..].eq_ignore_ascii_case(end)).then_some(want)
    }

    /// The name with `old` at its end replaced by `new`, as a DNAME does (RFC 6672). `Ok(None)` if the name does not lie
    /// below `old`; an error if the result would be too long.
    pub fn replace_suffix(&self, old: &Self, new: &Self) -> Result<Option<Self>, NameError> {
        let Some(keep) = self.prefix_len(old).filter(|keep| *keep > 0) else { return Ok(None) };
        let new = new.as_wire();
        if keep + new.len() > MAX_NAME_LEN {
            return Err(NameError::TooLong);
        }
        let mut buffer = [0; MAX_NAME_LEN];
        buffer[..keep].copy_from_slice(&self.as_wire()[..keep]);
        buffer[keep..keep + new.len()].copy_from_slice(new);
        Ok(Some(Self::from_checked(&buffer[..keep + new.len()])))
    }

    /// This name's labels in front of `suffix`: `www` and `example.org` make `www.example.org`.
    pub fn join(&self, suffix: &Self) -> Result<Self, NameError> {
        if suffix.is_root() {
            return Ok(self.clone());
        }
        Ok(self.replace_suffix(&Self::root(), suffix)?.unwrap_or_else(|| suffix.clone()))
    }

    /// `label` in front of this name.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        Self::from_labels([label])?.join(self)
    }

    /// A copy in lower case.
    pub fn to_lowercase(&self) -> Self {
        let (wire, mut buffer) = (self.as_wire(), [0; MAX_NAME_LEN]);
        let lower = &mut buffer[..wire.len()];
        lower.copy_from_slice(wire);
        // Length bytes are below 64 and thus no letters.
        lower.make_ascii_lowercase();
        Self::from_checked(lower)
    }

    /// The name under `in-addr.arpa` or `ip6.arpa` at which an address has its PTR records (RFC 1035 section 3.5, RFC
    /// 3596 section 2.5).
    pub fn reverse(address: core::net::IpAddr) -> Self {
        use core::net::IpAddr;
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut out = NameBuilder::new();
        // None of these can fail: the labels are short and the whole is at most 74 bytes.
        let mut put = |label: &[u8]| {
            let _ = out.label(label);
        };
        match address {
            IpAddr::V4(address) => {
                for octet in address.octets().iter().rev() {
                    let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|d| b'0' + d);
                    put(&digits[match octet {
                        100.. => 0,
                        10.. => 1,
                        _ => 2,
                    }..]);
                }
                put(b"in-addr");
            }
            IpAddr::V6(address) => {
                for octet in address.octets().iter().rev() {
                    put(&[HEX[usize::from(octet & 15)]]);
                    put(&[HEX[usize::from(octet >> 4)]]);
                }
                put(b"ip6");
            }
        }
        put(b"arpa");
        out.finish()
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
    }
}

impl Eq for Name {}

impl PartialEq<NameRef<'_>> for Name {
    fn eq(&self, other: &NameRef<'_>) -> bool {
        self.as_ref() == *other
    }
}

impl PartialEq<Name> for NameRef<'_> {
    fn eq(&self, other: &Name) -> bool {
        *self == other.as_ref()
    }
}

impl Hash for Name {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Ord for Name {
    /// RFC 4034 section 6.1: label by label from the right, as lower-case bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.as_wire(), other.as_wire());
        let (mut a, mut b) = ([0; 128], [0; 128]);
        let (a, b) = (label_starts(mine, &mut a), label_starts(theirs, &mut b));
        let label = |name: &'_ [u8], at: u8| {
            let (at, len) = (usize::from(at) + 1, usize::from(name[usize::from(at)]));
            (at, at + len)
        };
        for (x, y) in a.iter().rev().zip(b.iter().rev()) {
            let ((x, x_end), (y, y_end)) = (label(mine, *x), label(theirs, *y));
            let x = mine[x..x_end].iter().map(u8::to_ascii_lowercase);
            let order = x.cmp(theirs[y..y_end].iter().map(u8::to_ascii_lowercase));
            if order.is_ne() {
                return order;
            }
        }
        a.len().cmp(&b.len())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where the labels of an uncompressed name start, the root's left out.
pub(crate) fn label_starts<'b>(name: &[u8], starts: &'b mut [u8; 128]) -> &'b [u8] {
    let (mut at, mut count) = (0, 0);
    while name[at] != 0 {
        starts[count] = at as u8;
        count += 1;
        at += usize::from(name[at]) + 1;
    }
    &starts[..count]
}

impl fmt::Display for Name {
    /// The presentation form, with its final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text.as_bytes())
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        text.parse()
    }
}

impl TryFrom<&String> for Name {
    type Error = NameError;

    fn try_from(text: &String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

// So that whatever takes `impl TryInto<Name>` takes names as well.
impl From<Infallible> for NameError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Puts a name together label by label.
struct NameBuilder {
    buffer: [u8; MAX_NAME_LEN],
    /// What is whole: labels with their length bytes.
    len: usize,
    /// Bytes of the label that is being written.
    open: usize,
}

impl NameBuilder {
    fn new() -> Self {
        Self { buffer: [0; MAX_NAME_LEN], len: 0, open: 0 }
    }

    /// Adds to the label that is being written.
    fn extend(&mut self, bytes: &[u8]) -> Result<(), NameError> {
        let at = self.len + 1 + self.open;
        self.open += bytes.len();
        if self.open > 63 {
            return Err(NameError::LabelTooLong);
        }
        // One byte stays for the root.
        let room = self.buffer[..MAX_NAME_LEN - 1].get_mut(at..at + bytes.len());
        room.ok_or(NameError::TooLong)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Ends the label that is being written.
    fn close(&mut self) -> Result<(), NameError> {
        if self.open == 0 {
            return Err(NameError::EmptyLabel);
        }
        self.buffer[self.len] = self.open as u8;
        self.len += 1 + self.open;
        self.open = 0;
        Ok(())
    }

    fn label(&mut self, label: &[u8]) -> Result<(), NameError> {
        self.extend(label)?;
        self.close()
    }

    fn finish(self) -> Name {
        Name::from_checked(&self.buffer[..=self.len])
    }
}

/// A text, or labels, that make no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameError {
    /// A label without a letter, such as between two dots.
    EmptyLabel,
    /// A label of more than 63 bytes.
    LabelTooLong,
    /// More than 255 bytes in all.
    TooLong,
    /// A backslash that is not followed by a character or a number up to 255.
    BadEscape,
    /// The text is no host name by the rules of UTS 46.
    NotIdna,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLabel => "a name has an empty label",
            Self::LabelTooLong => "a label is longer than 63 bytes",
            Self::TooLong => "a name is longer than 255 bytes",
            Self::BadEscape => "a name has a broken escape",
            Self::NotIdna => "not a host name",
        })
    }
}

impl core::error::Error for NameError {}
