//! Write your own protocol: IRC (RFC 2812), as a pure machine, driven on the executor of your choice. `docs/your-own-protocol.md` tells how.
//!
//! ```sh
//! cargo run --example irc -- --on tokio                      # a server of its own
//! cargo run --example irc -- --server irc.libera.chat:6667   # a real one
//! ```

pub(crate) mod common;

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use glowplug::core::framer::{Framer, LineEnding, Rule};
use glowplug::core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use glowplug::runtime::Runtime;
use glowplug::runtime::dial::Dialer;
use glowplug::runtime::drive::Exclusive;
use glowplug::runtime::tcp::{Connection, Service};

/// The longest line; RFC 2812 §2.3 says 512 bytes, and servers with tags send more.
const MAX_LINE: usize = 8 * 1024;
/// No more is read while this much waits to be sent: a server that only pings and never reads cannot fill our memory.
const MAX_QUEUED: usize = 4 * 1024;
/// How long the server may be silent before it is pinged, and then before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// `:prefix COMMAND first second :the last, with spaces` (RFC 2812 §2.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) prefix: Option<String>,
    pub(crate) command: String,
    pub(crate) params: Vec<String>,
}

impl Message {
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let (head, last) = match text.split_once(" :") {
            Some((head, last)) => (head, Some(last.to_owned())),
            None => (&*text, None),
        };
        let mut words = head.split(' ').filter(|word| !word.is_empty()).peekable();
        let prefix = words.next_if(|word| word.starts_with(':')).map(|word| word[1..].to_owned());
        let command = words.next()?.to_ascii_uppercase();
        Some(Self { prefix, command, params: words.map(str::to_owned).chain(last).collect() })
    }
}

/// One end of the connection: the client's. Messages come out as events; pings are answered on the way.
pub(crate) struct Irc {
    framer: Framer,
    queue: BytesMut,
    deadline: Instant,
    pinged: bool,
    eof: bool,
    over: bool,
    failed: Option<io::ErrorKind>,
}

impl Irc {
    pub(crate) fn new(now: Instant, nick: &str) -> Self {
        let framer = Framer::new(Rule::Line(LineEnding::Either)).max_frame_len(MAX_LINE);
        let queue = BytesMut::from(&*format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n"));
        Self { framer, queue, deadline: now + PATIENCE, pinged: false, eof: false, over: false, failed: None }
    }

    /// Queues one command; what follows an end of line in it is cut off.
    pub(crate) fn send(&mut self, command: &str) {
        let line = command.split(['\r', '\n']).next().unwrap_or_default();
        self.queue.extend_from_slice(line.as_bytes());
        self.queue.extend_from_slice(b"\r\n");
    }
}

impl StreamProtocol for Irc {
    type Event = Message;
    type Error = io::Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> io::Result<Option<Message>> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        while !self.over && self.queue.len() < MAX_QUEUED {
            let line = if self.eof { self.framer.finish(input) } else { self.framer.decode(input) };
            let Some(line) = line.map_err(|_| *self.failed.insert(io::ErrorKind::InvalidData))? else {
                self.over = self.eof;
                break;
            };
            (self.deadline, self.pinged) = (now + PATIENCE, false);
            match Message::parse(&line) {
                Some(ping) if ping.command == "PING" => {
                    self.send(&format!("PONG :{}", ping.params.last().map_or("", String::as_str)));
                }
                Some(message) => return Ok(Some(message)),
                None => {}
            }
        }
        Ok(None)
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut SendBuf) {
        let count = self.queue.len().min(out.room());
        out.put_slice(&self.queue.split_to(count));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (!self.over && self.failed.is_none()).then_some(self.deadline)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        if self.pinged {
            self.failed = Some(io::ErrorKind::TimedOut);
        } else {
            self.send("PING :still there?");
            (self.deadline, self.pinged) = (now + PATIENCE, true);
        }
    }

    fn handle_eof(&mut self, _: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _: Instant) {
        if !self.over && self.failed.is_none() {
            self.send("QUIT :bye");
            self.over = true;
        }
    }

    fn interest(&self) -> Interest {
        let ended = self.over || self.failed.is_some();
        Interest {
            read: match ended {
                true => ReadInterest::Closed,
                false if self.queue.len() >= MAX_QUEUED => ReadInterest::Paused,
                false => ReadInterest::Want(1),
            },
            write: if ended && self.queue.is_empty() { WriteInterest::Closed } else { WriteInterest::Open },
        }
    }
}

/// The application: comes in, says a word to itself, and goes.
async fn visit<R: Runtime>(runtime: R, (host, port): (String, u16)) -> Result<(), Failure> {
    let stream = Dialer::new(runtime.clone()).tcp(&host, port).await?;
    let mut irc = Exclusive::new(runtime.clone(), stream, Irc::new(runtime.now(), "glowplug"));
    while let Some(message) = irc.next_event().await? {
        println!("{} {}", message.command, message.params.join(" "));
        match &*message.command {
            "001" => irc.machine_mut().send("PRIVMSG glowplug :hello, me"),
            "PRIVMSG" if message.params.last().is_some_and(|text| text == "hello, me") => {
                return Ok(irc.finish().await?);
            }
            _ => {}
        }
    }
    Err("the server hung up".into())
}

/// A server of a few lines, with the verbs of a connection. It asks its guests whether they live.
async fn serve<R: Runtime>(mut guest: Connection<R>) {
    while let Ok(line) = guest.read_line().await {
        let Some(message) = Message::parse(&line) else { continue };
        let answer = match (&*message.command, &*message.params) {
            ("USER", [nick, ..]) => format!("PING :alive?\r\n:here 001 {nick} :Welcome\r\n"),
            ("PRIVMSG", [to, text]) => format!(":{to}!me@here PRIVMSG {to} :{text}\r\n"),
            _ => continue,
        };
        if guest.send(answer).await.is_err() {
            return;
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    on_executor!(options, |runtime| async {
        let service = Service::bind(runtime.clone(), options.address()).await?;
        let own = service.local_endpoint()?.socket_addr().ok_or("it listens on TCP")?;
        let server = options.server.clone().unwrap_or_else(|| (own.ip().to_string(), own.port()));
        match select(Box::pin(visit(runtime.clone(), server)), Box::pin(service.serve(serve))).await {
            Either::Left((visited, _)) => visited,
            Either::Right(_) => Err("the server ended".into()),
        }
    })
}

fn main() -> Result<(), Failure> {
    run(&Options::from_args()?)
}
