//! What the fields say about the message itself: its length, the connection, the host (RFC 9112 §6 and §9).

use http::{StatusCode, Version};

use crate::config::Leniency;
use crate::error::{Error, Reason};
use crate::event::BodyLength;
use crate::wire::token::{decimal, is_word, list};

/// What was gathered from the fields of one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    content_length: Option<u64>,
    transfer_encoding: Option<TransferEncoding>,
    /// Both lengths were given, and the leniency let it pass.
    both: bool,
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
    upgrade_field: bool,
    /// `Expect: 100-continue`.
    pub(crate) expects_continue: bool,
    /// `Host` was seen.
    pub(crate) host: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransferEncoding {
    Chunked,
    /// Something other than one `chunked`.
    Invalid,
    /// A coding that is not known, then `chunked` or not.
    Unknown,
}

impl Facts {
    /// Notes one field. Most are told from the few that count by the length and the first letter of their names.
    #[inline]
    pub(crate) fn note(&mut self, name: &[u8], value: &[u8], leniency: &Leniency) -> Result<(), Reason> {
        match (name.len(), name.first().map_or(0, |first| first | 0x20)) {
            (4, b'h') | (6, b'e') | (7, b'u') | (10 | 14, b'c') | (17, b't') => {
                self.note_likely(name, value, leniency)
            }
            _ => Ok(()),
        }
    }

    fn note_likely(&mut self, name: &[u8], value: &[u8], leniency: &Leniency) -> Result<(), Reason> {
        match name.len() {
            4 if is_word(name, b"host") => return self.note_host(value),
            6 if is_word(name, b"expect") => {
                self.expects_continue |= list(value).any(|item| is_word(item, b"100-continue"));
            }
            7 if is_word(name, b"upgrade") => self.upgrade_field = true,
            10 if is_word(name, b"connection") => self.note_connection(value),
            14 if is_word(name, b"content-length") => return self.note_content_length(value, leniency),
            17 if is_word(name, b"transfer-encoding") => self.note_transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    fn note_host(&mut self, value: &[u8]) -> Result<(), Reason> {
        // RFC 9112 §3.2: more than one Host, or an invalid one, is answered with 400.
        if self.host {
            return Err(Reason::HostRepeated);
        }
        self.host = true;
        if crate::wire::target::is_host(value) { Ok(()) } else { Err(Reason::HostInvalid) }
    }

    pub(crate) fn note_connection(&mut self, value: &[u8]) {
        // As a rule it is this one option.
        if is_word(value, b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        for option in list(value) {
            match option.len() {
                5 if is_word(option, b"close") => self.close = true,
                7 if is_word(option, b"upgrade") => self.upgrade_option = true,
                10 if is_word(option, b"keep-alive") => self.keep_alive = true,
                _ => {}
            }
        }
    }

    fn note_content_length(&mut self, value: &[u8], leniency: &Leniency) -> Result<(), Reason> {
        if let (None, Some(length)) = (self.content_length, decimal(value)) {
            self.content_length = Some(length);
            return Ok(());
        }
        // RFC 9112 §6.3 rule 5: a list of equal values may be taken as one of them, anything else is invalid.
        let lenient = leniency.repeated_content_length;
        for (index, item) in list(value).enumerate() {
            if index > 0 && !lenient {
                return Err(Reason::ContentLengthRepeated);
            }
            let length = decimal(item).ok_or(Reason::ContentLength)?;
            match self.content_length {
                None => self.content_length = Some(length),
                Some(first) if lenient && first == length => {}
                Some(_) => return Err(Reason::ContentLengthRepeated),
            }
        }
        Ok(())
    }

    fn note_transfer_encoding(&mut self, value: &[u8]) {
        for coding in list(value) {
            self.transfer_encoding = Some(match self.transfer_encoding {
                None if is_word(coding, b"chunked") => TransferEncoding::Chunked,
                // RFC 9112 §7: the codings of the registry beside chunked, which this crate does not undo.
                None | Some(TransferEncoding::Unknown) if is_known_coding(coding) => {
                    TransferEncoding::Unknown
                }
                // RFC 9112 §6.1: chunked comes last, and once.
                Some(TransferEncoding::Unknown) if is_word(coding, b"chunked") => TransferEncoding::Unknown,
                _ => TransferEncoding::Invalid,
            });
        }
    }

    /// The length of a body that the fields allow for; `None` when they say nothing.
    fn declared(&mut self, version: Version, leniency: &Leniency) -> Result<Option<BodyLength>, Reason> {
        let Some(encoding) = self.transfer_encoding else {
            return Ok(self.content_length.map(BodyLength::Known));
        };
        // RFC 9112 §6.1: a message of HTTP/1.0 with Transfer-Encoding has faulty framing.
        if version == Version::HTTP_10 {
            return Err(Reason::TransferEncodingInHttp10);
        }
        match encoding {
            TransferEncoding::Chunked => {}
            TransferEncoding::Invalid => return Err(Reason::TransferEncoding),
            TransferEncoding::Unknown => return Err(Reason::TransferCodingUnknown),
        }
        // RFC 9112 §6.3 rule 3: a server may refuse a message with both, and a client ought to.
        if self.content_length.is_some() {
            if !leniency.content_length_with_transfer_encoding {
                return Err(Reason::ContentLengthAndTransferEncoding);
            }
            self.both = true;
        }
        Ok(Some(BodyLength::Unknown))
    }

    /// RFC 9112 §6.3 for a request.
    pub(crate) fn request_body(
        &mut self,
        version: Version,
        connect: bool,
        leniency: &Leniency,
    ) -> Result<BodyLength, Reason> {
        let body = match self.declared(version, leniency)? {
            None | Some(BodyLength::Known(0)) => BodyLength::Empty,
            Some(length) => length,
        };
        // RFC 9110 §9.3.6: what follows a CONNECT is the tunnel's, so a body has no place.
        if connect && body != BodyLength::Empty {
            return Err(Reason::ConnectWithBody);
        }
        Ok(body)
    }

    /// RFC 9112 §6.3 for a response to a request whose answer carries content (`false`: `HEAD`).
    pub(crate) fn response_body(
        &mut self,
        version: Version,
        status: StatusCode,
        with_content: bool,
        leniency: &Leniency,
    ) -> Result<ResponseBody, Reason> {
        if !with_content || status_has_no_content(status) {
            return Ok(ResponseBody::Empty);
        }
        Ok(match self.declared(version, leniency)? {
            None => ResponseBody::UntilClose,
            Some(BodyLength::Known(0) | BodyLength::Empty) => ResponseBody::Empty,
            Some(BodyLength::Known(length)) => ResponseBody::Known(length),
            Some(BodyLength::Unknown) => ResponseBody::Chunked,
        })
    }

    /// RFC 9112 §9.3: whether the connection goes on after this message, as far as its sender says.
    pub(crate) fn persists(&self, version: Version) -> bool {
        !self.close && !self.both && (version != Version::HTTP_10 || self.keep_alive)
    }

    /// An `Upgrade` field, announced by the `Connection` option (RFC 9110 §7.8).
    pub(crate) fn upgrade(&self, version: Version) -> bool {
        self.upgrade_field && self.upgrade_option && version != Version::HTTP_10
    }

    /// The sender wants the connection closed.
    pub(crate) fn close(&self) -> bool {
        self.close
    }

    /// The sender named `keep-alive`.
    pub(crate) fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The length that was given, if any.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.content_length
    }
}

/// How the body of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseBody {
    Empty,
    Known(u64),
    Chunked,
    UntilClose,
}

/// RFC 9110 §6.4.1: responses that end with their heads whatever these say.
pub(crate) fn status_has_no_content(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// RFC 9112 §7.2 and §7.3, with the obsolete names.
fn is_known_coding(coding: &[u8]) -> bool {
    ["gzip", "x-gzip", "deflate", "compress", "x-compress"]
        .iter()
        .any(|known| coding.eq_ignore_ascii_case(known.as_bytes()))
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::peer(0, reason)
    }
}
