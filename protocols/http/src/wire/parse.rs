//! From the bytes of a whole head to its fields and what they say about the message.
//!
//! Plain heads go the quick way (`quick.rs`). For all others `httparse` knows the grammar; what it lets pass and RFC 9112
//! does not is checked here, and so are the fields that decide about the message: its length, the connection, the host.

use core::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use glowplug_core::LimitExceeded;
use http::{StatusCode, Version};
use httparse::{Header, ParserConfig, Status};

use crate::config::{Leniency, Limits};
use crate::error::{Error, Reason};
use crate::wire::fields::{Fields, Span};
use crate::wire::framing::Facts;
use crate::wire::head::{RequestHead, ResponseHead};
use crate::wire::scan::{Bounds, SectionScan, Stop, unfold};
use crate::wire::{locate, target};

/// The largest that `max_fields` can be set to.
const MAX_FIELDS: usize = 256;

/// The largest that `max_head_len` can be set to: offsets are kept in 16 bits.
const MAX_LEN: usize = 65_535;

/// What a head or a trailer section is held to.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) leniency: &'a Leniency,
}

impl Rules<'_> {
    /// Takes a whole request head off `input` and into `head`, and what it says into `facts`; false while it is incomplete, and stays
    /// there.
    #[inline]
    pub(crate) fn take_request(
        self,
        scan: &mut SectionScan,
        input: &mut BytesMut,
        head: &mut RequestHead,
        facts: &mut Facts,
    ) -> Result<bool, Error> {
        let quick = if self.may_try(scan) { self.quick_request(input, head, facts) } else { None };
        let len = match quick {
            Some(len) => {
                debug_assert!(self.agrees_on_request(input, len, head, *facts), "{:?}", &input[..len]);
                len
            }
            None => match self.careful_request(scan, input, head, facts)? {
                None => return Ok(false),
                Some(len) => len,
            },
        };
        *scan = SectionScan::default();
        head.fields.bytes = input.split_to(len).freeze();
        Ok(true)
    }

    /// Takes a whole response head off `input` and into `head`, and what it says into `facts`; false while it is incomplete, and stays
    /// there.
    #[inline]
    pub(crate) fn take_response(
        self,
        scan: &mut SectionScan,
        input: &mut BytesMut,
        head: &mut ResponseHead,
        facts: &mut Facts,
    ) -> Result<bool, Error> {
        let quick = if self.may_try(scan) { self.quick_response(input, head, facts) } else { None };
        let len = match quick {
            Some(len) => {
                debug_assert!(self.agrees_on_response(input, len, head, *facts), "{:?}", &input[..len]);
                len
            }
            None => match self.careful_response(scan, input, head, facts)? {
                None => return Ok(false),
                Some(len) => len,
            },
        };
        *scan = SectionScan::default();
        head.fields.bytes = input.split_to(len).freeze();
        Ok(true)
    }

    /// Finds the end of the head at the front of `input`, and reads it into `head` and `facts`. Its length, once it is all there.
    #[cold]
    fn careful_request(
        self,
        scan: &mut SectionScan,
        input: &mut BytesMut,
        head: &mut RequestHead,
        facts: &mut Facts,
    ) -> Result<Option<usize>, Error> {
        let Some(len) = self.find_head(scan, input)? else { return Ok(None) };
        let parsed = self.request(&input[..len], head)?;
        let len;
        (len, *facts) = parsed.ok_or(Error::peer(0, Reason::LineEnd))?;
        Ok(Some(len))
    }

    /// The same for a response.
    #[cold]
    fn careful_response(
        self,
        scan: &mut SectionScan,
        input: &mut BytesMut,
        head: &mut ResponseHead,
        facts: &mut Facts,
    ) -> Result<Option<usize>, Error> {
        let Some(len) = self.find_head(scan, input)? else { return Ok(None) };
        let parsed = self.response(&input[..len], head)?;
        let len;
        (len, *facts) = parsed.ok_or(Error::peer(0, Reason::LineEnd))?;
        Ok(Some(len))
    }

    /// Most heads come whole: the first look at one tries the quick way, without having searched for its end. If anything about it is
    /// unusual, nothing is made of that, and the end is searched for first, so that the verdict stays a function of the
    /// bytes alone. That is once for each head, so cost stays linear.
    #[inline]
    fn may_try(self, scan: &SectionScan) -> bool {
        scan.is_fresh() && !self.leniency.obs_fold
    }

    /// Whether the careful way comes to the same as the quick one.
    pub(super) fn agrees_on_request(
        self,
        input: &mut BytesMut,
        len: usize,
        quick: &RequestHead,
        facts: Facts,
    ) -> bool {
        let mut head = RequestHead::empty();
        matches!(self.find_head(&mut SectionScan::default(), input), Ok(Some(found)) if found == len)
            && matches!(self.request(&input[..len], &mut head), Ok(Some(found)) if found == (len, facts))
            && head.fields.spans().eq(quick.fields.spans())
            && (head.method_len, head.target_len, head.version)
                == (quick.method_len, quick.target_len, quick.version)
    }

    /// The same for a response.
    pub(super) fn agrees_on_response(
        self,
        input: &mut BytesMut,
        len: usize,
        quick: &ResponseHead,
        facts: Facts,
    ) -> bool {
        let mut head = ResponseHead::empty();
        matches!(self.find_head(&mut SectionScan::default(), input), Ok(Some(found)) if found == len)
            && matches!(self.response(&input[..len], &mut head), Ok(Some(found)) if found == (len, facts))
            && head.fields.spans().eq(quick.fields.spans())
            && (head.reason_len, head.status, head.version) == (quick.reason_len, quick.status, quick.version)
    }

    /// The length of the head at the front of `input`, which is not all there while there is none.
    fn find_head(self, scan: &mut SectionScan, input: &mut BytesMut) -> Result<Option<usize>, Error> {
        let limits = self.limits.get();
        let bounds = Bounds {
            max_section: limits.max_head_len(),
            max_first_line: limits.max_start_line_len(),
            bare_lf: self.leniency.bare_lf,
        };
        let found = scan.find(input, bounds).map_err(|stop| match stop {
            Stop::FirstLine => limit("max_start_line_len", bounds.max_first_line.min(bounds.max_section)),
            Stop::Section => limit("max_head_len", bounds.max_section),
            Stop::BareLf(at) => Error::peer(at, Reason::LineEnd),
        })?;
        if let Some(len) = found
            && self.leniency.obs_fold
        {
            unfold(&mut input[..len], true);
        }
        Ok(found)
    }

    /// Takes a whole trailer section off `input`, or leaves it there while it is incomplete. As a rule it has no fields.
    pub(crate) fn take_trailers(
        self,
        scan: &mut SectionScan,
        input: &mut BytesMut,
    ) -> Result<Option<Fields>, Error> {
        let max = self.limits.get().max_trailer_len();
        let bounds = Bounds { max_section: max, max_first_line: max, bare_lf: self.leniency.bare_lf };
        let found = scan.find(input, bounds).map_err(|stop| match stop {
            Stop::FirstLine | Stop::Section => limit("max_trailer_len", max),
            Stop::BareLf(at) => Error::peer(at, Reason::LineEnd),
        })?;
        let Some(len) = found else { return Ok(None) };
        let mut section = input.split_to(len);
        if self.leniency.obs_fold {
            unfold(&mut section, false);
        }
        let section = section.freeze();
        if len <= 2 {
            return Ok(Some(Fields::new(Bytes::new())));
        }
        self.parse_trailers(&section).map(Some)
    }

    fn parse_trailers(self, section: &Bytes) -> Result<Fields, Error> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let headers = &mut headers[..self.limits.get().max_fields()];
        let parsed = match httparse::parse_headers(section, headers) {
            Ok(Status::Complete((len, parsed))) if len == section.len() => parsed,
            Ok(_) => return Err(Error::peer(0, Reason::LineEnd)),
            Err(error) => return Err(locate::trailers(section, error, self.limits)),
        };
        let mut fields = Fields::new(section.clone());
        for header in parsed {
            let span = span(section, header);
            // RFC 9110 §6.5.1: what frames or routes a message cannot come after it.
            if ["content-length", "transfer-encoding", "host"]
                .iter()
                .any(|no| header.name.eq_ignore_ascii_case(no))
            {
                return Err(Error::peer(usize::from(span.name), Reason::TrailerForbidden));
            }
            fields.push(span);
        }
        Ok(fields)
    }

    /// Parses the request head at the front of `input` into `head`, all but the bytes themselves. Returns its length, empty
    /// line included, and what the fields say; `None` while it is incomplete.
    fn request(self, input: &[u8], head: &mut RequestHead) -> Result<Option<(usize, Facts)>, Error> {
        head.fields.clear();
        let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let headers = &mut headers[..self.limits.get().max_fields()];
        let mut request = httparse::Request::new(&mut []);
        let len =
            match ParserConfig::default().parse_request_with_uninit_headers(&mut request, input, headers) {
                Ok(Status::Complete(len)) => len.min(MAX_LEN + 1),
                Ok(Status::Partial) => return Ok(None),
                Err(error) => return Err(locate::request(input, Some(error), self.limits)),
            };
        let (Some(method), Some(path), Some(minor)) = (request.method, request.path, request.version) else {
            return Err(locate::request(input, None, self.limits));
        };
        if len > MAX_LEN {
            return Err(limit("max_head_len", MAX_LEN));
        }
        head.method_len = method.len() as u16;
        head.target_len = path.len() as u16;
        if let Err(at) = target::check(method.as_bytes(), path.as_bytes(), self.leniency) {
            return Err(Error::peer(method.len() + 1 + at, Reason::Target));
        }
        head.version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
        let facts = self.collect(input, request.headers, &mut head.fields)?;
        // RFC 9112 §3.2: a request of HTTP/1.1 without Host is answered with 400.
        if !facts.host && minor == 1 && !self.leniency.missing_host {
            return Err(Error::peer(0, Reason::HostMissing));
        }
        Ok(Some((len, facts)))
    }

    /// The same for a response head.
    fn response(self, input: &[u8], head: &mut ResponseHead) -> Result<Option<(usize, Facts)>, Error> {
        head.fields.clear();
        let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let headers = &mut headers[..self.limits.get().max_fields()];
        let mut config = ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(self.leniency.space_before_colon);
        let mut response = httparse::Response::new(&mut []);
        let len = match config.parse_response_with_uninit_headers(&mut response, input, headers) {
            Ok(Status::Complete(len)) => len.min(MAX_LEN + 1),
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(locate::response(input, Some(error), self.limits)),
        };
        let (Some(code), Some(minor)) = (response.code, response.version) else {
            return Err(locate::response(input, None, self.limits));
        };
        if len > MAX_LEN {
            return Err(limit("max_head_len", MAX_LEN));
        }
        // RFC 9112 §4: the space behind the status code is not optional, though the phrase is.
        let after_code = "HTTP/1.1 200".len();
        if input.get(after_code) != Some(&b' ') && !self.leniency.status_without_space {
            return Err(Error::peer(after_code, Reason::Status));
        }
        head.status =
            StatusCode::from_u16(code).map_err(|_| Error::peer("HTTP/1.1 ".len(), Reason::Status))?;
        let phrase = input.get(after_code + 1..len).unwrap_or_default();
        head.reason_len = memchr::memchr2(b'\r', b'\n', phrase).unwrap_or(0) as u16;
        head.version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
        let facts = self.collect(input, response.headers, &mut head.fields)?;
        Ok(Some((len, facts)))
    }

    #[inline]
    fn collect(self, input: &[u8], headers: &[Header<'_>], fields: &mut Fields) -> Result<Facts, Error> {
        let mut facts = Facts::default();
        for header in headers {
            let span = span(input, header);
            facts
                .note(header.name.as_bytes(), header.value, self.leniency)
                .map_err(|reason| Error::peer(usize::from(span.name), reason))?;
            fields.push(span);
        }
        Ok(facts)
    }
}

/// Where a header lies in the section that it was parsed from.
#[inline]
fn span(section: &[u8], header: &Header<'_>) -> Span {
    let base = section.as_ptr().addr();
    // An empty value may point anywhere.
    let value = if header.value.is_empty() { base } else { header.value.as_ptr().addr() };
    Span {
        name: (header.name.as_ptr().addr() - base) as u16,
        name_len: header.name.len() as u16,
        value: (value - base) as u16,
        value_len: header.value.len() as u16,
    }
}

pub(crate) fn limit(name: &'static str, max: usize) -> Error {
    Error::Limit(LimitExceeded::more_than(name, max as u64))
}
