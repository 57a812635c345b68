//! Reading a form as it streams by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use glowplug_core::LimitExceeded;
use http::HeaderMap;
use memchr::memmem::Finder;

use super::head::{self, PartHead, Transfer};
use super::{Boundary, MultipartError, MultipartLimits, MultipartReason};

/// Reads `multipart/form-data`, however it is cut.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_http::multipart::{Boundary, MultipartEvent, MultipartLimits, MultipartReader};
///
/// let boundary = Boundary::from_text("x").unwrap();
/// let mut reader = MultipartReader::new(&boundary, MultipartLimits::default());
/// let mut input = BytesMut::from("--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n");
/// let Some(MultipartEvent::Part(head)) = reader.poll_event(&mut input)? else { panic!() };
/// assert_eq!(head.name(), "a");
/// assert_eq!(reader.poll_event(&mut input)?, Some(MultipartEvent::Data("1".into())));
/// assert_eq!(reader.poll_event(&mut input)?, Some(MultipartEvent::PartEnd));
/// assert_eq!(reader.poll_event(&mut input)?, Some(MultipartEvent::End));
/// # Ok::<(), glowplug_http::multipart::MultipartError>(())
/// ```
///
/// It is strict where readers that differ are fooled: nothing but line ends before the first boundary, every boundary at the beginning of a line
/// and followed by a line end or `--` at once, CRLF everywhere, one name a part. What looks almost like a boundary is data. Data comes as it
/// is, or decoded where a part says `Content-Transfer-Encoding: base64`.
#[derive(Debug)]
pub struct MultipartReader {
    /// A line end, two hyphens, and the boundary.
    delimiter: Finder<'static>,
    limits: MultipartLimits,
    state: State,
    /// Bytes taken off the input so far.
    offset: u64,
    parts: usize,
    /// The current head: its fields, and how many bytes it has.
    fields: HeaderMap,
    field_count: usize,
    head_len: usize,
    head_at: u64,
    /// Where the current part's data begins, and how many bytes of it were taken.
    data_at: u64,
    part_len: u64,
    transfer: Transfer,
    /// Fewer than four digits of base64.
    digits: Vec<u8>,
    padded: bool,
    /// What is wrong behind the data that was handed out.
    wrong: Option<MultipartReason>,
    error: Option<MultipartError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    Head,
    Data,
    /// The data is over; what is behind the boundary was looked at.
    Boundary {
        closes: bool,
    },
    Closed,
    Epilogue,
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartEvent {
    /// A part begins.
    Part(PartHead),
    /// Some of its data, at least a byte.
    Data(Bytes),
    /// The part is complete.
    PartEnd,
    /// The form is complete. Whatever comes behind it is thrown away.
    End,
}

impl MultipartReader {
    /// A reader of a form with this boundary.
    pub fn new(boundary: &Boundary, limits: MultipartLimits) -> Self {
        let delimiter = format!("\r\n--{}", boundary.as_str());
        Self {
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            limits,
            state: State::Preamble,
            offset: 0,
            parts: 0,
            fields: HeaderMap::new(),
            field_count: 0,
            head_len: 0,
            head_at: 0,
            data_at: 0,
            part_len: 0,
            transfer: Transfer::Plain,
            digits: Vec::new(),
            padded: false,
            wrong: None,
            error: None,
        }
    }

    /// The next event out of `input`, of which it takes what it has understood; `None` if more has to come, behind what is left there. After an
    /// error it gives the same error again.
    pub fn poll_event(&mut self, input: &mut BytesMut) -> Result<Option<MultipartEvent>, MultipartError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let polled = self.advance(input);
        self.error = polled.as_ref().err().copied();
        polled
    }

    /// No more is coming; `left` bytes of the input were not taken.
    pub fn finish(&self, left: usize) -> Result<(), MultipartError> {
        match (self.error, self.state) {
            (Some(error), _) => Err(error),
            (None, State::Epilogue) => Ok(()),
            _ => Err(self.error_at(left, MultipartReason::UnexpectedEnd)),
        }
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<MultipartEvent>, MultipartError> {
        loop {
            match self.state {
                State::Preamble => {
                    if !self.preamble(input)? {
                        return Ok(None);
                    }
                }
                State::Head => {
                    let Some((head, transfer)) = self.head(input)? else { return Ok(None) };
                    self.transfer = transfer;
                    (self.data_at, self.part_len) = (self.offset, 0);
                    self.padded = false;
                    self.state = State::Data;
                    return Ok(Some(MultipartEvent::Part(head)));
                }
                State::Data => match self.data(input)? {
                    Some(data) if data.is_empty() => {}
                    Some(data) => return Ok(Some(MultipartEvent::Data(data))),
                    None => return Ok(None),
                },
                State::Boundary { closes } => {
                    if !self.digits.is_empty() {
                        self.wrong = Some(MultipartReason::Base64);
                    }
                    self.check()?;
                    if closes {
                        self.state = State::Closed;
                    } else {
                        self.begin_head()?;
                    }
                    return Ok(Some(MultipartEvent::PartEnd));
                }
                State::Closed => {
                    self.state = State::Epilogue;
                    return Ok(Some(MultipartEvent::End));
                }
                State::Epilogue => {
                    self.take(input, input.len());
                    return Ok(None);
                }
            }
        }
    }

    /// Line ends, and the first boundary. True if there is no more to wait for.
    fn preamble(&mut self, input: &mut BytesMut) -> Result<bool, MultipartError> {
        while input.starts_with(b"\r\n") {
            if self.offset >= self.limits.max_head_len as u64 {
                return Err(self.limit(0, "max_head_len", self.limits.max_head_len as u64));
            }
            self.take(input, 2);
        }
        // The first has no line end before it.
        let boundary = &self.delimiter.needle()[2..];
        let common = boundary.iter().zip(input.iter()).take_while(|(ours, theirs)| ours == theirs).count();
        if common < boundary.len() {
            let lone_cr = input.len() == 1 && input[0] == b'\r';
            return if common == input.len() || lone_cr {
                Ok(false)
            } else {
                Err(self.error_at(common, MultipartReason::Boundary))
            };
        }
        match input.get(common..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {
                self.take(input, common + 2);
                self.begin_head()?;
            }
            [b'-', b'-', ..] => {
                self.take(input, common + 2);
                self.state = State::Closed;
            }
            [] | [b'\r' | b'-'] => return Ok(false),
            [b'\r' | b'-', _, ..] => return Err(self.error_at(common + 1, MultipartReason::Boundary)),
            _ => return Err(self.error_at(common, MultipartReason::Boundary)),
        }
        Ok(true)
    }

    fn begin_head(&mut self) -> Result<(), MultipartError> {
        self.parts += 1;
        if self.parts > self.limits.max_parts {
            return Err(self.limit(0, "max_parts", self.limits.max_parts as u64));
        }
        self.fields = HeaderMap::new();
        self.field_count = 0;
        self.head_len = 0;
        self.head_at = self.offset;
        self.state = State::Head;
        Ok(())
    }

    /// Fields, up to the empty line.
    fn head(&mut self, input: &mut BytesMut) -> Result<Option<(PartHead, Transfer)>, MultipartError> {
        loop {
            let limit = self.limits.max_head_len - self.head_len.min(self.limits.max_head_len);
            let end = memchr::memchr2(b'\r', b'\n', input);
            let len = end.unwrap_or(input.len());
            // What lies beyond the limit is not looked at, so that it is the limit which is told, however the line was cut.
            if let Some(at) = wrong_byte(&input[..len.min(limit.saturating_sub(1))]) {
                return Err(self.error_at(at, MultipartReason::Head));
            }
            if len + 2 > limit {
                return Err(self.limit(0, "max_head_len", self.limits.max_head_len as u64));
            }
            let Some(end) = end else { return Ok(None) };
            if input[end] == b'\n' {
                return Err(self.error_at(end, MultipartReason::Head));
            }
            match input.get(end + 1) {
                Some(b'\n') => {}
                // What comes behind a bare CR in the midst of a name is no better than the CR itself.
                _ if end > 0 && !input[..end].contains(&b':') => {
                    return Err(self.error_at(end, MultipartReason::Head));
                }
                Some(_) => return Err(self.error_at(end + 1, MultipartReason::Head)),
                None => return Ok(None),
            }
            let line = self.take(input, end + 2).freeze().slice(..end);
            self.head_len += end + 2;
            if line.is_empty() {
                let fields = core::mem::take(&mut self.fields);
                return match PartHead::from_fields(fields) {
                    Ok(head) => Ok(Some(head)),
                    Err(reason) => Err(MultipartError { offset: self.head_at, reason }),
                };
            }
            self.field_count += 1;
            if self.field_count > self.limits.max_fields {
                return Err(self.limit(0, "max_fields", self.limits.max_fields as u64));
            }
            let (name, value) = head::field(&line).map_err(|at| MultipartError {
                offset: self.offset - (line.len() + 2 - at) as u64,
                reason: MultipartReason::Head,
            })?;
            self.fields.append(name, value);
        }
    }

    /// Data up to a boundary, or to what may become one. `None` if more has to come; nothing at all if only the state has changed.
    fn data(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, MultipartError> {
        self.check()?;
        let delimiter = self.delimiter.needle().len();
        let mut from = 0;
        let (data, boundary) = loop {
            let Some(at) = self.delimiter.find(&input[from..]).map(|at| at + from) else {
                break (from.max(input.len() - partial(input, self.delimiter.needle())), None);
            };
            match input.get(at + delimiter..).unwrap_or_default() {
                [b'\r', b'\n', ..] => break (at, Some(false)),
                [b'-', b'-', ..] => break (at, Some(true)),
                [] | [b'\r' | b'-'] => break (at, None),
                // Almost one.
                _ => from = at + 1,
            }
        };
        let room = self.limits.max_part_len - self.part_len;
        if data as u64 > room {
            let max = self.limits.max_part_len;
            self.wrong = Some(MultipartReason::Limit(LimitExceeded::more_than("max_part_len", max)));
            let taken = self.take(input, room as usize).freeze();
            self.part_len += room;
            return Ok(Some(self.decode(taken)));
        }
        self.part_len += data as u64;
        let taken = self.take(input, data).freeze();
        if let Some(closes) = boundary {
            self.take(input, delimiter + 2);
            self.state = State::Boundary { closes };
        }
        let waits = boundary.is_none() && data == 0;
        Ok((!waits).then(|| self.decode(taken)))
    }

    /// What is wrong behind the data that was handed out, said of the part as a whole.
    fn check(&self) -> Result<(), MultipartError> {
        self.wrong.map_or(Ok(()), |reason| Err(MultipartError { offset: self.data_at, reason }))
    }

    /// Of base64, whole groups of four digits; line ends between them are nothing.
    fn decode(&mut self, data: Bytes) -> Bytes {
        if self.transfer == Transfer::Plain {
            return data;
        }
        self.digits.extend(data.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let whole = self.digits.len() / 4 * 4;
        let mut decoded = Vec::with_capacity(whole / 4 * 3);
        for group in self.digits[..whole].chunks(4) {
            // Nothing comes behind the padding.
            let ended = self.padded;
            self.padded |= group.ends_with(b"=");
            if ended || STANDARD.decode_vec(group, &mut decoded).is_err() {
                self.wrong = self.wrong.or(Some(MultipartReason::Base64));
                break;
            }
        }
        self.digits.drain(..whole);
        decoded.into()
    }

    fn take(&mut self, input: &mut BytesMut, len: usize) -> BytesMut {
        self.offset += len as u64;
        if len == input.len() { input.split() } else { input.split_to(len) }
    }

    fn error_at(&self, ahead: usize, reason: MultipartReason) -> MultipartError {
        MultipartError { offset: self.offset + ahead as u64, reason }
    }

    fn limit(&self, ahead: usize, name: &'static str, max: u64) -> MultipartError {
        self.error_at(ahead, MultipartReason::Limit(LimitExceeded::more_than(name, max)))
    }
}

/// A byte that no line of a head has at this place, as far as the line is there.
fn wrong_byte(line: &[u8]) -> Option<usize> {
    use crate::wire::token;
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let name = line[..colon].iter().position(|byte| !token::is_tchar(*byte));
    let empty = (colon == 0 && !line.is_empty()).then_some(0);
    let value = || line[colon..].iter().position(|byte| !token::is_value_byte(*byte)).map(|at| colon + at);
    name.or(empty).or_else(value)
}

/// How many bytes at the end of `input` are a beginning of `delimiter`.
fn partial(input: &[u8], delimiter: &[u8]) -> usize {
    let most = input.len().min(delimiter.len() - 1);
    (1..=most).rev().find(|len| delimiter.starts_with(&input[input.len() - len..])).unwrap_or(0)
}
