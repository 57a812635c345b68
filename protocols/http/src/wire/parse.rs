//! From the bytes of a whole head to its fields and what they say about the message.
//!
//! `httparse` knows the grammar; what it lets pass and RFC 9112 does not is checked here, and so are the fields that
//! decide about the message: its length, the connection, the host.

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

/// What a head or a trailer section is held to.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) leniency: &'a Leniency,
}

impl Rules<'_> {
    /// Takes a whole head off `input`, or leaves it there while it is incomplete.
    #[inline]
    pub(crate) fn take_head(
        self,
        scan: &mut SectionScan,
        input: &mut BytesMut,
    ) -> Result<Option<Bytes>, Error> {
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
        let Some(len) = found else { return Ok(None) };
        *scan = SectionScan::default();
        Ok(Some(self.split(input, len, true)))
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
        let section = self.split(input, len, false);
        if len <= 2 {
            return Ok(Some(Fields::new(Bytes::new())));
        }
        self.parse_trailers(&section).map(Some)
    }

    fn split(self, input: &mut BytesMut, len: usize, has_first_line: bool) -> Bytes {
        let mut section = input.split_to(len);
        if self.leniency.obs_fold {
            unfold(&mut section, has_first_line);
        }
        section.freeze()
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
            fields.push(span(section, header));
        }
        Ok(fields)
    }

    /// Parses a whole request head, empty line included.
    #[inline]
    pub(crate) fn request(self, head: Bytes) -> Result<(RequestHead, Facts), Error> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let headers = &mut headers[..self.limits.get().max_fields()];
        let mut request = httparse::Request::new(&mut []);
        let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, &head, headers);
        let (Some(method), Some(path), Some(minor)) = (request.method, request.path, request.version) else {
            return Err(locate::request(&head, parsed.err(), self.limits));
        };
        match parsed {
            Ok(Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(Error::peer(0, Reason::LineEnd)),
            Err(error) => return Err(locate::request(&head, Some(error), self.limits)),
        }
        let (method_len, target_len) = (method.len() as u16, path.len() as u16);
        if let Err(at) = target::check(method.as_bytes(), path.as_bytes(), self.leniency) {
            return Err(Error::peer(method.len() + 1 + at, Reason::Target));
        }
        let mut fields = Fields::new(Bytes::new());
        let facts = self.collect(&head, request.headers, &mut fields)?;
        let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
        // RFC 9112 §3.2: a request of HTTP/1.1 without Host is answered with 400.
        if !facts.host && minor == 1 && !self.leniency.missing_host {
            return Err(Error::peer(0, Reason::HostMissing));
        }
        fields.bytes = head;
        Ok((RequestHead { fields, method_len, target_len, version }, facts))
    }

    /// Parses a whole response head, empty line included.
    #[inline]
    pub(crate) fn response(self, head: Bytes) -> Result<(ResponseHead, Facts), Error> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let headers = &mut headers[..self.limits.get().max_fields()];
        let mut config = ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(self.leniency.space_before_colon);
        let mut response = httparse::Response::new(&mut []);
        let parsed = config.parse_response_with_uninit_headers(&mut response, &head, headers);
        let (Some(code), Some(minor)) = (response.code, response.version) else {
            return Err(locate::response(&head, parsed.err(), self.limits));
        };
        match parsed {
            Ok(Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(Error::peer(0, Reason::LineEnd)),
            Err(error) => return Err(locate::response(&head, Some(error), self.limits)),
        }
        // RFC 9112 §4: the space behind the status code is not optional, though the phrase is.
        let after_code = "HTTP/1.1 200".len();
        if head.get(after_code) != Some(&b' ') && !self.leniency.status_without_space {
            return Err(Error::peer(after_code, Reason::Status));
        }
        let status =
            StatusCode::from_u16(code).map_err(|_| Error::peer("HTTP/1.1 ".len(), Reason::Status))?;
        let phrase = head.get(after_code + 1..).unwrap_or_default();
        let reason_len = memchr::memchr2(b'\r', b'\n', phrase).unwrap_or(0) as u16;
        let mut fields = Fields::new(Bytes::new());
        let facts = self.collect(&head, response.headers, &mut fields)?;
        let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
        fields.bytes = head;
        Ok((ResponseHead { fields, reason_len, status, version }, facts))
    }

    #[inline]
    fn collect(self, head: &[u8], headers: &[Header<'_>], fields: &mut Fields) -> Result<Facts, Error> {
        let mut facts = Facts::default();
        for header in headers {
            let span = span(head, header);
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
