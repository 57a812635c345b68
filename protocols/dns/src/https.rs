//! DNS over HTTPS (RFC 8484) without the HTTP: what goes into a request, and what an answer means.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::error::{ExchangeError, HttpsError};
use crate::query::{Query, Reply, Verdict};
use crate::wire::{Edns, EdnsOption, Message};

/// The media type of a message in a body.
pub const MEDIA_TYPE: &str = "application/dns-message";

/// RFC 8467 section 4.1: queries are filled up to a multiple of this, so that their length tells little.
const BLOCK: usize = 128;

/// Length and code of the option that fills up.
const OPTION_HEAD: usize = 4;

impl Query {
    /// The query as the body of a `POST`, or, through [`encode_parameter`], as the parameter of a `GET`.
    ///
    /// Its id is 0, so that caches know it again (RFC 8484 section 4.1). The options that are about other transports, cookies and keepalive, are
    /// left out; padding fills it up to a multiple of 128 bytes (RFC 8467) unless the query has no EDNS or a padding of its own.
    pub fn to_https(&self) -> Bytes {
        let mut query = Self { cookie: None, ..self.clone() };
        if let Some(edns) = &mut query.edns {
            edns.options.retain(|o| !matches!(o, EdnsOption::Cookie(_) | EdnsOption::Keepalive(_)));
        }
        let mut out = BytesMut::new();
        query.write(0, None, &mut out);
        let padded = |edns: &Edns| edns.options.iter().any(|o| matches!(o, EdnsOption::Padding(_)));
        if let Some(edns) = query.edns.as_mut().filter(|edns| !padded(edns)) {
            let len = (out.len() + OPTION_HEAD).next_multiple_of(BLOCK) - out.len() - OPTION_HEAD;
            edns.options.push(EdnsOption::Padding(len as u16));
            out.clear();
            query.write(0, None, &mut out);
        }
        out.freeze()
    }

    /// Reads the answer of an HTTP server: its status, its `content-type` and `age`, and its body.
    ///
    /// The body has to answer this query, whole and well-formed. Its times to live are shortened by what an HTTP cache says it
    /// has kept it for (RFC 8484 section 5.1).
    pub fn read_https(
        &self,
        status: u16,
        content_type: Option<&[u8]>,
        age: Option<&[u8]>,
        body: Bytes,
    ) -> Result<Reply, ExchangeError> {
        if !(200..300).contains(&status) {
            return Err(ExchangeError::Https(HttpsError::Status(status)));
        }
        if !content_type.is_some_and(is_dns_message) {
            return Err(ExchangeError::Https(HttpsError::ContentType));
        }
        if body.len() > usize::from(u16::MAX) {
            return Err(ExchangeError::Https(HttpsError::TooLong));
        }
        let asked = Self { edns: None, ..self.clone() };
        match asked.judge(0, None, &body) {
            Verdict::Answer => {}
            Verdict::Malformed(error) => return Err(ExchangeError::Malformed(error)),
            Verdict::CaseLost | Verdict::Other(_) => {
                return Err(ExchangeError::Https(HttpsError::WrongAnswer));
            }
        }
        let age = age.and_then(|age| core::str::from_utf8(age).ok()?.trim().parse::<u64>().ok());
        let message = match age.map(|age| u32::try_from(age).unwrap_or(u32::MAX)) {
            Some(age) if age > 0 => aged(&body, age)?,
            _ => body,
        };
        Ok(Reply { message, server: None, round_trip: None })
    }
}

/// The message with shorter times to live.
fn aged(body: &[u8], age: u32) -> Result<Bytes, ExchangeError> {
    let mut message = Message::decode(body).map_err(ExchangeError::Malformed)?;
    let Message { answers, authorities, additionals, .. } = &mut message;
    for record in answers.iter_mut().chain(authorities).chain(additionals) {
        record.ttl = record.ttl.saturating_sub(age);
    }
    let mut out = BytesMut::new();
    // What came in 65,535 bytes may not fit again only if its sender packed it better than we do.
    message.encode(&mut out).map_err(|_| ExchangeError::Https(HttpsError::TooLong))?;
    Ok(out.freeze())
}

/// True for the media type of DNS messages, whatever its case and its parameters.
pub fn is_dns_message(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A message as the value of the parameter `dns`: base64url without padding (RFC 8484 section 6).
pub fn encode_parameter(message: &[u8]) -> String {
    let mut text = String::with_capacity(message.len().div_ceil(3) * 4);
    for chunk in message.chunks(3) {
        let bits =
            chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|digit| char::from(DIGITS[bits >> (18 - 6 * digit) & 63])));
    }
    text
}

/// The message in the value of a parameter `dns`; nothing if that is not base64url without padding.
pub fn decode_parameter(text: &str) -> Option<Bytes> {
    let mut message = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in chunk {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        // Digits that make no whole byte, and bits that are left over, are nobody's encoding.
        let left = 6 * chunk.len() as u32 % 8;
        if chunk.len() == 1 || bits & ((1 << left) - 1) != 0 {
            return None;
        }
        let whole = chunk.len() * 6 / 8;
        message.extend_from_slice(&(bits >> left).to_be_bytes()[4 - whole..]);
    }
    Some(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Cookie, MessageView, Rcode, Rdata, Record, RecordType};

    fn query() -> Query {
        Query::new("www.example.com".parse().expect("a name"), RecordType::A)
    }

    #[test]
    fn the_parameter_of_the_rfc() {
        // RFC 8484 section 4.1.1.
        let mut query = query();
        query.edns = None;
        let text = encode_parameter(&query.to_https());
        assert_eq!(text, "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB");
        assert_eq!(decode_parameter(&text), Some(query.to_https()));
        for len in 0..20 {
            let bytes: Vec<u8> = (0..len).map(|n: u8| n.wrapping_mul(37) ^ 0xa5).collect();
            assert_eq!(decode_parameter(&encode_parameter(&bytes)).expect("valid"), bytes);
        }
        for bad in ["A", "AB", "AAA=", "AA+A", "AA/A", "AAAAA", "AA A"] {
            assert_eq!(decode_parameter(bad), None, "{bad}");
        }
    }

    #[test]
    fn queries_are_filled_up_and_carry_no_cookie() {
        for labels in 1..30 {
            let name = "abc.".repeat(labels);
            let mut query = Query::new(name.parse().expect("a name"), RecordType::A);
            let cookie = Cookie { client: [1; 8], server: Bytes::new() };
            query.edns.get_or_insert_default().options.push(EdnsOption::Cookie(cookie.clone()));
            query.cookie = Some(cookie.into());
            let message = query.to_https();
            assert!(message.len().is_multiple_of(BLOCK), "{}", message.len());
            let read = Message::decode(&message).expect("well-formed");
            assert_eq!(read.id, 0);
            let options = read.edns.expect("EDNS").options;
            assert!(matches!(options[..], [EdnsOption::Padding(_)]), "{options:?}");
        }
    }

    fn answer(ttl: u32) -> Bytes {
        let mut message = Message::decode(&query().to_https()).expect("well-formed");
        message.flags = message.flags.with_response(true);
        message.answers.push(Record::new(query().name, ttl, Rdata::a([192, 0, 2, 1].into())));
        let mut out = BytesMut::new();
        message.encode(&mut out).expect("room");
        out.freeze()
    }

    #[test]
    fn answers_are_believed_only_if_they_are_answers() {
        let kind = Some(&b"Application/DNS-message; q=1"[..]);
        let read = |status, kind, body| query().read_https(status, kind, None, body);
        let reply = read(200, kind, answer(60)).expect("an answer");
        assert_eq!(reply.view().rcode(), Ok(Rcode::NOERROR));
        let https = |error| Err(ExchangeError::Https(error));
        assert_eq!(read(503, kind, answer(60)), https(HttpsError::Status(503)));
        assert_eq!(read(302, kind, answer(60)), https(HttpsError::Status(302)));
        assert_eq!(read(200, Some(b"text/html"), answer(60)), https(HttpsError::ContentType));
        assert_eq!(read(200, None, answer(60)), https(HttpsError::ContentType));
        assert_eq!(read(200, kind, vec_of(70_000)), https(HttpsError::TooLong));
        assert_eq!(read(200, kind, query().to_https()), https(HttpsError::WrongAnswer));
        let other = Query { rtype: RecordType::AAAA, ..query() };
        assert_eq!(other.read_https(200, kind, None, answer(60)), https(HttpsError::WrongAnswer));
        let whole = answer(60);
        for cut in 0..whole.len() {
            read(200, kind, whole.slice(..cut)).expect_err("a part of an answer");
        }
    }

    fn vec_of(len: usize) -> Bytes {
        alloc::vec![0; len].into()
    }

    #[test]
    fn what_was_kept_elsewhere_is_kept_for_less() {
        let kind = Some(MEDIA_TYPE.as_bytes());
        for (age, left) in [("0", 60), ("20", 40), ("61", 0), ("99999999999", 0), ("-1", 60), ("x", 60)] {
            let reply = query().read_https(200, kind, Some(age.as_bytes()), answer(60)).expect("an answer");
            let view = MessageView::new(&reply.message).expect("a message");
            assert_eq!(view.answers().next().expect("a record").expect("well-formed").ttl(), left, "{age}");
        }
    }
}
