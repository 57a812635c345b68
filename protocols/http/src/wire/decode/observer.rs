//! Both directions.

use bytes::BytesMut;

use super::{Part, RequestDecoder, ResponseDecoder};
use crate::config::{Leniency, Limits};
use crate::error::Error;
use crate::wire::head::{RequestHead, ResponseHead};

/// Reads both directions of a connection between two others: what a capture tool, a firewall or a recording proxy sees.
///
/// The two decoders tell each other what they have to know: what was asked, and whether the connection stays with HTTP.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_http::wire::{Observer, Part};
///
/// let mut observer = Observer::default();
/// let mut up = BytesMut::from("HEAD / HTTP/1.1\r\nHost: example.org\r\n\r\n");
/// let mut down = BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
/// while observer.decode_request(&mut up)?.is_some() {}
/// let head = observer.decode_response(&mut down)?;
/// assert!(matches!(head, Some(Part::Head { head, .. }) if head.status() == 200));
/// // Five bytes are announced, and none follow: that was a HEAD.
/// assert!(matches!(observer.decode_response(&mut down)?, Some(Part::End(None))));
/// # Ok::<(), glowplug_http::Error>(())
/// ```
///
/// Whoever may get an answer before its request calls [`decode_request`](Self::decode_request) first, as far as it goes: an answer to what is not known
/// stays in the input.
#[derive(Debug, Default)]
pub struct Observer {
    requests: RequestDecoder,
    responses: ResponseDecoder,
}

impl Observer {
    /// At the beginning of a connection, with the same limits and leniencies each way.
    pub fn new(limits: Limits, leniency: Leniency) -> Self {
        let requests = RequestDecoder::new(limits.clone(), leniency.clone());
        Self { requests, responses: ResponseDecoder::new(limits, leniency) }
    }

    /// [`RequestDecoder::decode`] of what the client sent.
    ///
    /// # Errors
    ///
    /// Its errors; and `max_unanswered`, behind which it goes on once answers have come.
    pub fn decode_request(&mut self, input: &mut BytesMut) -> Result<Option<Part<RequestHead>>, Error> {
        if self.requests.is_undecided() && self.responses.expected() == 0 {
            if self.responses.has_switched() { self.requests.switch() } else { self.requests.go_on() }
        }
        if self.responses.is_over() {
            self.requests.finish();
        }
        if self.requests.is_between() && !input.is_empty() {
            self.responses.check_room()?;
        }
        let part = self.requests.decode(input)?;
        if let Some(Part::Head { .. }) = part {
            self.responses.expect(self.requests.question())?;
        }
        Ok(part)
    }

    /// [`ResponseDecoder::decode`] of what the server sent.
    ///
    /// # Errors
    ///
    /// Its errors.
    pub fn decode_response(&mut self, input: &mut BytesMut) -> Result<Option<Part<ResponseHead>>, Error> {
        self.responses.decode(input)
    }

    /// The client has finished sending.
    pub fn handle_client_eof(&mut self) {
        self.requests.handle_eof();
    }

    /// The server has finished sending.
    pub fn handle_server_eof(&mut self) {
        self.responses.handle_eof();
    }

    /// The direction of requests.
    pub fn requests(&self) -> &RequestDecoder {
        &self.requests
    }

    /// The direction of answers.
    pub fn responses(&self) -> &ResponseDecoder {
        &self.responses
    }
}
