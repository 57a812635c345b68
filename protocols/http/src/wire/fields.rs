//! A field section as it came: one buffer and where the fields lie in it.

use core::fmt;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Fields up to this number are indexed without an allocation. Browsers send 10 to 18.
const INLINE: usize = 20;

/// Where one field lies. A section is at most 65,535 bytes long, so offsets fit in 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) name: u16,
    pub(crate) name_len: u16,
    pub(crate) value: u16,
    pub(crate) value_len: u16,
}

/// The fields of a head or of a trailer section: names as they were written, in their order, values as bytes without
/// the white space around them.
///
/// It is one [`Bytes`] and a list of ranges. The bytes are a slice of the buffer that was read into, which stays alive
/// as long as this value; whoever keeps one for long calls [`compact`](Self::compact).
#[derive(Clone)]
pub struct Fields {
    pub(crate) bytes: Bytes,
    len: u16,
    inline: [Span; INLINE],
    spilled: Vec<Span>,
}

impl Fields {
    /// No fields, in `bytes`.
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, len: 0, inline: [Span::default(); INLINE], spilled: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.spilled.clear();
    }

    #[inline]
    pub(crate) fn push(&mut self, span: Span) {
        match self.inline.get_mut(usize::from(self.len)) {
            Some(slot) => *slot = span,
            None => self.spilled.push(span),
        }
        self.len += 1;
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.spans().map(|span| (self.name(span), self.value(span)))
    }

    /// The first value of the field `name`, in whatever case it was written.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.named(name).next()
    }

    /// All values of the field `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.named(name)
    }

    /// Copies the bytes into a buffer of their own, so that this value keeps no read buffer alive.
    pub fn compact(&mut self) {
        self.bytes = Bytes::copy_from_slice(&self.bytes);
    }

    /// Adds the fields to a map of the `http` crate. Values share the buffer; names lose their case.
    pub fn append_to(&self, map: &mut HeaderMap) {
        map.reserve(self.len());
        for span in self.spans() {
            let name = usize::from(span.name);
            let name = HeaderName::from_bytes(&self.bytes[name..name + usize::from(span.name_len)]);
            let value = self.bytes.slice(usize::from(span.value)..usize::from(span.value + span.value_len));
            // Both were checked when the section was parsed, by the same rules.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
                map.append(name, value);
            }
        }
    }

    /// The fields as a map of the `http` crate.
    pub fn to_header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        self.append_to(&mut map);
        map
    }

    #[inline]
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        self.inline[..usize::from(self.len).min(INLINE)].iter().chain(&self.spilled).copied()
    }

    fn named<'f, 'n>(&'f self, name: &'n str) -> impl Iterator<Item = &'f [u8]> + use<'f, 'n> {
        self.spans()
            .filter(move |span| {
                let start = usize::from(span.name);
                usize::from(span.name_len) == name.len()
                    && self.bytes[start..start + name.len()].eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|span| self.value(span))
    }

    #[inline]
    fn name(&self, span: Span) -> &str {
        let start = usize::from(span.name);
        // Names are tokens, hence ASCII.
        core::str::from_utf8(&self.bytes[start..start + usize::from(span.name_len)]).unwrap_or_default()
    }

    #[inline]
    fn value(&self, span: Span) -> &[u8] {
        let start = usize::from(span.value);
        &self.bytes[start..start + usize::from(span.value_len)]
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string())))
            .finish()
    }
}

/// Equal when the same fields stand in the same order, written in the same way.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(count: usize) -> Fields {
        let mut text = String::new();
        let mut spans = Vec::new();
        for n in 0..count {
            let name = format!("X-{n}");
            let value = format!("value {n}");
            spans.push(Span {
                name: text.len() as u16,
                name_len: name.len() as u16,
                value: (text.len() + name.len() + 2) as u16,
                value_len: value.len() as u16,
            });
            text.extend([&name, ": ", &value, "\r\n"]);
        }
        let mut fields = Fields::new(Bytes::from(text));
        for span in spans {
            fields.push(span);
        }
        fields
    }

    #[test]
    fn more_fields_than_fit_inline_keep_their_order() {
        let fields = fields(50);
        assert_eq!(fields.len(), 50);
        for (n, (name, value)) in fields.iter().enumerate() {
            assert_eq!((name, value), (format!("X-{n}").as_str(), format!("value {n}").as_bytes()));
        }
        assert_eq!(fields.get("x-37"), Some(&b"value 37"[..]));
        assert_eq!(fields.to_header_map().len(), 50);
    }

    #[test]
    fn compacting_leaves_the_old_buffer() {
        let mut shared = fields(3);
        let before = shared.clone();
        shared.compact();
        assert_ne!(shared.bytes.as_ptr(), before.bytes.as_ptr());
        assert_eq!(shared, before);
    }
}
