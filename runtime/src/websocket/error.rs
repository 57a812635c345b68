//! Why there is no socket, or not any more.

use std::fmt;
use std::io;
use std::sync::Arc;

use glowplug_http::{Error as HttpError, HeadError};
use glowplug_websocket::{Error as ProtocolError, HandshakeError};
use http::{Response, StatusCode, header};

use crate::dial::DialError;
use crate::drive::DriverError;
use crate::http::BoxError;

/// Why a socket is over, other than in good order. Clones share the cause, for both halves of a split socket hear of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The socket is closed, or about to be: this message was not sent.
    Closed,
    /// The transport failed. What was sent last may have arrived or not.
    Io(Arc<io::Error>),
    /// The peer broke the protocol, exceeded a limit, went without a good-bye or was too slow. What was sent last may have arrived
    /// or not.
    Protocol(ProtocolError),
    /// The peer took nothing of what was sent to it for too long (`write_timeout`).
    WriteTimedOut,
    /// A message cannot be sent as it is: its text is not UTF-8, a ping is longer than 125 bytes, or another message is being sent in
    /// pieces. The socket goes on.
    Message(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the websocket is closed",
            Self::Io(_) => "the transport failed",
            Self::Protocol(_) => "the websocket protocol ended the connection",
            Self::WriteTimedOut => "the peer took nothing for too long",
            Self::Message(wrong) => wrong,
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(&**error),
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Why a client has no socket. No message was exchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be parsed, is not absolute, or is none of `ws`, `wss`, `http` and `https`.
    Url(BoxError),
    /// The request cannot be sent as it is: a header is invalid.
    Request(HeadError),
    /// There is no connection.
    Dial(DialError),
    /// The connection failed before the answer.
    Http(Option<DriverError<HttpError>>),
    /// The server answered with something else than status 101: a refusal, a redirect (none is followed), a login.
    Refused(Box<Response<()>>),
    /// The answer is not that of a WebSocket server.
    Handshake(HandshakeError),
    /// The time for it all was up.
    TimedOut,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("the url cannot be used"),
            Self::Request(_) => f.write_str("the request cannot be sent"),
            Self::Dial(_) => f.write_str("no connection to the server"),
            Self::Http(_) => f.write_str("the connection failed before the answer"),
            Self::Refused(answer) => {
                write!(f, "the server answered with status {}", answer.status().as_u16())
            }
            Self::Handshake(_) => f.write_str("the answer is not that of a websocket server"),
            Self::TimedOut => f.write_str("the time to connect was up"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(&**error),
            Self::Request(error) => Some(error),
            Self::Dial(error) => Some(error),
            Self::Http(Some(error)) => Some(error),
            Self::Handshake(error) => Some(error),
            Self::Http(None) | Self::Refused(_) | Self::TimedOut => None,
        }
    }
}

/// Why a transport did not become a socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The connection failed, or the peer does not speak HTTP/1.1.
    Http(Option<DriverError<HttpError>>),
    /// The request was answered with a refusal.
    Rejected(Rejection),
    /// The time for the handshake was up.
    TimedOut,
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "the connection failed before the handshake",
            Self::Rejected(_) => "the handshake was refused",
            Self::TimedOut => "the time for the handshake was up",
        })
    }
}

impl std::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Http(Some(error)) => Some(error),
            Self::Rejected(error) => Some(error),
            Self::Http(None) | Self::TimedOut => None,
        }
    }
}

/// Why a request does not become a socket; [`response`](Self::response) says so to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not the request of a WebSocket client.
    Handshake(HandshakeError),
    /// The server does not hand connections over: see [`Server::upgrades`](crate::http::server::Server::upgrades).
    NoUpgrades,
    /// The application refuses it, with this status.
    Refused(StatusCode),
}

impl Rejection {
    /// The answer: status 400, 405, 426 or 500, or the application's, with the headers that go with it.
    pub fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        let status = match self {
            Self::Handshake(error) => {
                match error.status() {
                    405 => {
                        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET"));
                    }
                    426 => {
                        headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
                        headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
                        let version = header::HeaderValue::from_static("13");
                        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
                    }
                    _ => {}
                }
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::NoUpgrades => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Refused(status) => *status,
        };
        *response.status_mut() = status;
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::NoUpgrades => f.write_str("the server does not hand connections over"),
            Self::Refused(status) => write!(f, "refused with status {}", status.as_u16()),
        }
    }
}

impl std::error::Error for Rejection {}

impl From<HandshakeError> for Rejection {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}
