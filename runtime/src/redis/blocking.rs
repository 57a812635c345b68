//! A Redis client for scripts: no executor, one caller, plain calls.

use std::fmt;
use std::net::TcpStream;
use std::time::Duration;

use glowplug_redis::{
    ClientConfig, ClientConnection, Event, ExecuteMut, Pipeline, RedisEndpoint, RedisUrl, Reply, ReplyError,
    Request, Typed,
};

use super::ConnectError;
use crate::blocking::{Blocking, BlockingError, BlockingStream};

/// A blocking Redis client.
///
/// ```no_run
/// use glowplug_runtime::redis::{CommandsMut, blocking};
/// let mut redis = blocking::Client::connect("redis://127.0.0.1")?;
/// redis.set("greeting", "hello")?;
/// assert_eq!(redis.get("greeting")?.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    blocking: Blocking<ClientConnection, Box<dyn BlockingStream + Send>>,
    /// How long a call may take. Default 30 s.
    timeout: Option<Duration>,
}

/// Why a command has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The command got no answer.
    Call(BlockingError<glowplug_redis::Error>),
    /// The answer is an error of the server, or not of the type that was asked for. The connection goes on.
    Reply(ReplyError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Reply(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => error.source(),
            Self::Reply(error) => error.source(),
        }
    }
}

impl Client {
    /// Connects to `redis://[user:password@]host[:port][/database]` or `unix:///path`, within 10 s an address.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::connect_with(url, ClientConfig::new())
    }

    /// Connects with settings of your own; what the URL says goes before them.
    pub fn connect_with(url: &str, config: ClientConfig) -> Result<Self, ConnectError> {
        let url: RedisUrl = url.parse().map_err(ConnectError::Url)?;
        let stream: Box<dyn BlockingStream + Send> = match url.endpoint() {
            RedisEndpoint::Tcp { host, port, tls: false } => Box::new(connect_tcp(host, *port)?),
            #[cfg(unix)]
            RedisEndpoint::Unix { path } => {
                let path = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path);
                Box::new(std::os::unix::net::UnixStream::connect(path).map_err(ConnectError::Connect)?)
            }
            other => return Err(ConnectError::Unsupported(other.clone())),
        };
        let config = url.apply(config);
        let mut blocking = Blocking::new(stream, |now| ClientConnection::new(now, config));
        loop {
            // The machine has a deadline of its own for the handshake.
            match blocking.next_event(None) {
                Ok(Some(Event::Connected { .. })) => break,
                Ok(Some(_)) => {}
                Ok(None) => return Err(ConnectError::Handshake(None)),
                Err(cause) => return Err(ConnectError::Handshake(cause.map(Into::into))),
            }
        }
        Ok(Self { blocking, timeout: Some(Duration::from_secs(30)) })
    }

    /// Sets how long a call may take; `None` waits for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Sends one typed command and converts the answer.
    pub fn run<T>(&mut self, command: Typed<T>) -> Result<T, Error> {
        let (command, answers) = command.into_parts();
        let reply = self.call(command)?;
        answers.convert(reply).map_err(Error::Reply)
    }

    /// Sends one command and gives the answer as it came; an error of the server is a [`Reply::Error`].
    pub fn call(&mut self, request: impl Into<Request>) -> Result<Reply, Error> {
        let mut replies = self.blocking.call(request.into(), self.timeout).map_err(Error::Call)?;
        Ok(replies.swap_remove(0))
    }

    /// Sends several commands at once and gives their answers, in order.
    pub fn pipeline(&mut self, pipeline: Pipeline) -> Result<Vec<Reply>, Error> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        self.blocking.call(pipeline.into(), self.timeout).map_err(Error::Call)
    }
}

impl ExecuteMut for Client {
    type Running<'e, T> = Result<T, Error>;

    fn execute<T>(&mut self, command: Typed<T>) -> Result<T, Error> {
        self.run(command)
    }
}

fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    use std::net::ToSocketAddrs;
    let addresses = (host, port).to_socket_addrs().map_err(ConnectError::Resolve)?;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Connect(last))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
