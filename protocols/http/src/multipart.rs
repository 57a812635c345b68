//! Forms with files: `multipart/form-data` (RFC 7578, with the escapes of the WHATWG's HTML), made and read.
//!
//! ```text
//!  Preamble ──first boundary──▶ Head ──▶ Data ──boundary──▶ Head ...
//!  (CRLFs only)                            └──closing boundary──▶ Epilogue (thrown away)
//! ```

mod head;
mod reader;

use core::fmt;

use bytes::Bytes;
use glowplug_core::{LimitExceeded, Rng};
use http::HeaderMap;

pub use head::PartHead;
pub use reader::{MultipartEvent, MultipartReader};

/// What stands between two parts. It must not occur in them, so it is drawn at random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// 144 random bits, which no part contains by chance or guesses by intent.
    pub fn new(rng: &mut Rng) -> Self {
        use fmt::Write as _;
        let mut bytes = [0; 18];
        rng.fill(&mut bytes);
        let mut text = String::from("----glowplug");
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing into a String cannot fail");
        }
        Self(text)
    }

    /// The boundary that a `Content-Type` names; `None` unless that is `multipart/form-data` with a valid one (RFC 2046 §5.1.1).
    ///
    /// ```
    /// use glowplug_http::multipart::Boundary;
    /// let boundary = Boundary::of("multipart/form-data; boundary=\"a b\"").unwrap();
    /// assert_eq!(boundary.as_str(), "a b");
    /// assert_eq!(Boundary::of("text/plain; boundary=a"), None);
    /// ```
    pub fn of(content_type: &str) -> Option<Self> {
        let (kind, parameters) = head::parameters(content_type.as_bytes())?;
        if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
            return None;
        }
        let (_, value) = parameters.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"))?;
        Self::from_text(core::str::from_utf8(&value).ok()?)
    }

    /// A boundary of these characters: 1 to 70 that RFC 2046 §5.1.1 allows.
    pub fn from_text(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        let valid = matches!(text.len(), 1..=70) && text.bytes().all(allowed) && !text.ends_with(' ');
        valid.then(|| Self(text.to_owned()))
    }

    /// As it stands in `Content-Type`, without quotation marks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value for `Content-Type`.
    pub fn content_type(&self) -> String {
        let plain = self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte));
        let mark = if plain { "" } else { "\"" };
        format!("multipart/form-data; boundary={mark}{}{mark}", self.0)
    }

    /// What stands before the data of a part: the boundary and the part's head. `is_first` is the one that no part goes before.
    ///
    /// Name and filename are escaped as HTML has it, and sent as UTF-8. Of `headers`, `content-disposition` is left out.
    pub fn part_head(
        &self,
        is_first: bool,
        name: &str,
        filename: Option<&str>,
        headers: &HeaderMap,
    ) -> Bytes {
        let mut out = Vec::with_capacity(160);
        if !is_first {
            out.extend_from_slice(b"\r\n");
        }
        let mut add = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        add(&[
            b"--",
            self.0.as_bytes(),
            b"\r\ncontent-disposition: form-data; name=\"",
            escape(name).as_bytes(),
        ]);
        if let Some(filename) = filename {
            add(&[b"\"; filename=\"", escape(filename).as_bytes()]);
        }
        add(&[b"\"\r\n"]);
        for (name, value) in headers {
            if *name != http::header::CONTENT_DISPOSITION {
                add(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
            }
        }
        add(&[b"\r\n"]);
        out.into()
    }

    /// What stands behind the last part.
    pub fn end(&self, is_first: bool) -> Bytes {
        let lead = if is_first { "" } else { "\r\n" };
        format!("{lead}--{}--\r\n", self.0).into()
    }
}

/// HTML's "multipart/form-data encoding algorithm": what would end the quoted text, or the line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' => escaped.push_str("%22"),
            '\r' => escaped.push_str("%0D"),
            '\n' => escaped.push_str("%0A"),
            // No field holds it.
            '\0' => escaped.push_str("%00"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// How much of a form is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "each is named as the method that sets it")]
pub struct MultipartLimits {
    max_parts: usize,
    max_head_len: usize,
    max_fields: usize,
    max_part_len: u64,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self { max_parts: 1000, max_head_len: 8 * 1024, max_fields: 32, max_part_len: 1 << 30 }
    }
}

impl MultipartLimits {
    /// Sets how many parts a form has. Default 1,000.
    pub fn max_parts(mut self, parts: usize) -> Self {
        self.max_parts = parts;
        self
    }

    /// Sets how many bytes the head of a part has, and the line ends before the first boundary. Default 8 KiB.
    pub fn max_head_len(mut self, bytes: usize) -> Self {
        self.max_head_len = bytes;
        self
    }

    /// Sets how many fields the head of a part has. Default 32.
    pub fn max_fields(mut self, fields: usize) -> Self {
        self.max_fields = fields;
        self
    }

    /// Sets how many bytes the data of a part has. Default 1 GiB.
    pub fn max_part_len(mut self, bytes: u64) -> Self {
        self.max_part_len = bytes;
        self
    }
}

/// Why a body is no form, or not one that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipartError {
    /// Offset of the offending byte in the body; where a head or a part as a whole is wrong, where that begins.
    pub offset: u64,
    /// What is wrong.
    pub reason: MultipartReason,
}

/// What is wrong with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartReason {
    /// It does not begin with the boundary, or the first is not followed by a line end.
    Boundary,
    /// A byte that the head of a part cannot have there.
    Head,
    /// A part is not `form-data` with a name.
    Disposition,
    /// A part's `Content-Transfer-Encoding` is none of `7bit`, `8bit`, `binary` and `base64`.
    TransferEncoding,
    /// What a part says is base64 is not.
    Base64,
    /// It ends before its closing boundary.
    UnexpectedEnd,
    /// More than one of [`MultipartLimits`] allows.
    Limit(LimitExceeded),
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            MultipartReason::Boundary => f.write_str("no boundary where one has to be")?,
            MultipartReason::Head => f.write_str("invalid head of a part")?,
            MultipartReason::Disposition => f.write_str("a part that is no form data with a name")?,
            MultipartReason::TransferEncoding => f.write_str("unknown transfer encoding of a part")?,
            MultipartReason::Base64 => f.write_str("invalid base64")?,
            MultipartReason::UnexpectedEnd => f.write_str("the form ends before its closing boundary")?,
            MultipartReason::Limit(limit) => limit.fmt(f)?,
        }
        write!(f, " at byte {} of the form", self.offset)
    }
}

impl core::error::Error for MultipartError {}
