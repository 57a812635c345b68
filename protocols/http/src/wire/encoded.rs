//! Fields that go out with one message after the other.

use core::fmt;

use crate::error::HeadError;
use crate::wire::encode::{self, FieldSource, Written};

/// Fields that were checked and encoded once, for heads that have these fields and no others: what a client says with each of its plain
/// requests to one host, for example.
///
/// ```
/// use glowplug_http::{EncodedFields, FieldSource};
///
/// let fields = EncodedFields::new(&[("host", "a.example"), ("accept", "*/*")])?;
/// let mut names = Vec::new();
/// fields.each(|name, _| names.push(name.to_vec()));
/// assert_eq!(names, [&b"host"[..], b"accept"]);
/// # Ok::<(), glowplug_http::HeadError>(())
/// ```
#[derive(Clone)]
pub struct EncodedFields {
    lines: Box<[u8]>,
    written: Written,
}

impl EncodedFields {
    /// These fields, without those that frame a message (`content-length`, `transfer-encoding`).
    ///
    /// # Errors
    ///
    /// [`HeadError::Field`] names the first that may not be sent.
    pub fn new(fields: &(impl FieldSource + ?Sized)) -> Result<Self, HeadError> {
        let mut lines = Vec::new();
        let written = encode::fields(&mut lines, fields, false).map_err(HeadError::Field)?;
        Ok(Self { lines: lines.into(), written })
    }

    /// Appends them, and tells what they say.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Written {
        out.extend_from_slice(&self.lines);
        self.written
    }
}

impl FieldSource for EncodedFields {
    const VALID: bool = true;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        // As they were written: a name, a colon and a blank, a value, a line end.
        let lines = self.lines.split_inclusive(|&byte| byte == b'\n');
        for line in lines.filter_map(|line| line.strip_suffix(b"\r\n")) {
            if let Some(colon) = memchr::memchr(b':', line) {
                visit(&line[..colon], &line[colon + 2..]);
            }
        }
    }

    fn encoded(&self) -> Option<&EncodedFields> {
        Some(self)
    }
}

impl fmt::Debug for EncodedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        self.each(|name, value| {
            map.entry(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
        });
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_goes_out_as_it_would_by_itself() {
        let fields =
            [("Host", "a:80"), ("x", ""), ("y", "a: b"), ("content-length", "3"), ("Connection", "close")];
        let encoded = EncodedFields::new(&fields).expect("valid");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let written = encode::fields(&mut ours, &encoded, false).expect("valid");
        let expected = encode::fields(&mut theirs, &fields, false).expect("valid");
        assert_eq!((ours, written.hosts), (theirs.clone(), 1));
        assert!(written.connection && written.facts.close() && expected.facts.close());
        // Where it is a source like any other, too.
        let mut again = Vec::new();
        encode::fields(&mut again, &(&encoded, ()), false).expect("valid");
        assert_eq!(again, theirs);
    }

    #[test]
    fn what_may_not_be_sent_is_not_encoded() {
        for (fields, index) in [([("a", "b"), ("a b", "c")], 1), ([("host", "a b"), ("c", "d")], 0)] {
            assert_eq!(EncodedFields::new(&fields).err(), Some(HeadError::Field(index)));
        }
    }
}
