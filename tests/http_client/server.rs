//! A test server: the protocol crate's server half behind a function from requests to replies, and raw scripts of bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, Stream as _};
use glowplug::core::{Instant, StreamProtocol as _};
use glowplug::http::{BodyLength, Fields, ServerConfig, ServerConnection, ServerEvent, StatusCode, StreamId};
use glowplug::runtime::drive::{Exclusive, Parts};
use glowplug::runtime::{Endpoint, Listener as _, Runtime, Transport};

use crate::support::{any_port, read, write};

/// A request as the server saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// On which connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// It came to its end.
    pub(crate) complete: bool,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the server saw, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<Seen>>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.borrow().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.0.borrow().last().cloned().expect("a request came")
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<Bytes>,
    pub(crate) length: BodyLength,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) informational: Vec<u16>,
}

impl Reply {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = Bytes::from(text.into());
        Self {
            status: 200,
            fields: Vec::new(),
            length: BodyLength::Known(text.len() as u64),
            body: vec![text],
            trailers: Vec::new(),
            informational: Vec::new(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, length: BodyLength::Empty, body: Vec::new(), ..Self::text("") }
    }

    pub(crate) fn chunked(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let body = pieces.into_iter().map(Into::into).collect();
        Self { length: BodyLength::Unknown, body, ..Self::text("") }
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

/// A listener and its address, for the moment when it serves.
pub(crate) struct Site<R: Runtime> {
    pub(crate) runtime: R,
    listener: R::Listener,
    pub(crate) at: Endpoint,
}

impl<R: Runtime> Site<R> {
    pub(crate) async fn open(runtime: &R) -> Self {
        Self::open_at(runtime, &any_port()).await
    }

    pub(crate) async fn open_at(runtime: &R, at: &Endpoint) -> Self {
        let listener = runtime.listen(at).await.expect("a free port");
        let at = listener.local_endpoint().expect("an address");
        Self { runtime: runtime.clone(), listener, at }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// Serves by the machine until it is dropped.
    pub(crate) async fn serve(self, log: Log, handler: impl Fn(&Seen) -> Reply) {
        let runtime = self.runtime.clone();
        let (log, handler) = (&log, &handler);
        self.accept(async |id, stream| connection(&runtime, id, stream, log, handler).await).await;
    }

    /// Gives each connection, with its number, to `script`.
    pub(crate) async fn accept(mut self, script: impl AsyncFn(usize, R::Stream)) {
        let mut connections = FuturesUnordered::new();
        let mut id = 0;
        poll_fn(|cx| {
            loop {
                match self.listener.poll_accept(cx) {
                    Poll::Ready(Ok((stream, _))) => {
                        connections.push(script(id, stream));
                        id += 1;
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
            while let Poll::Ready(Some(())) = pin!(&mut connections).poll_next(cx) {}
            Poll::<()>::Pending
        })
        .await;
    }
}

fn pairs(fields: &Fields) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// What is being sent.
struct Sending {
    stream: StreamId,
    pieces: VecDeque<Bytes>,
    trailers: Vec<(String, String)>,
}

pub(crate) async fn connection<R: Runtime, T: Transport>(
    runtime: &R,
    id: usize,
    stream: T,
    log: &Log,
    handler: &impl Fn(&Seen) -> Reply,
) {
    let machine = ServerConnection::new(runtime.now(), Arc::new(ServerConfig::default()));
    let mut driver = Exclusive::new(runtime.clone(), stream, machine);
    let mut sending: Option<Sending> = None;
    let mut index = 0;
    loop {
        let event = poll_fn(|cx| {
            loop {
                let now = runtime.now();
                send(driver.machine_mut(), now, &mut sending);
                match driver.poll_event(cx) {
                    Poll::Pending
                        if sending.as_ref().is_some_and(|s| driver.machine().capacity(s.stream) > 0) => {}
                    polled => return polled,
                }
            }
        });
        let Ok(Some(event)) = event.await else { return };
        let now = runtime.now();
        match event {
            ServerEvent::Request { stream, head, expects_continue, .. } => {
                index = log.len();
                log.0.borrow_mut().push(Seen {
                    connection: id,
                    method: head.method().to_owned(),
                    target: head.target().to_owned(),
                    fields: pairs(head.fields()),
                    ..Seen::default()
                });
                if expects_continue {
                    let seen = log.0.borrow()[index].clone();
                    if seen.target.contains("refuse") {
                        answer(driver.machine_mut(), now, stream, handler(&seen), &mut sending);
                    } else {
                        driver.machine_mut().send_continue(now, stream).expect("an answer is due");
                    }
                }
            }
            ServerEvent::Data { stream, data } => {
                driver.machine_mut().release(now, stream, data.len());
                log.0.borrow_mut()[index].body.extend_from_slice(&data);
            }
            ServerEvent::End { stream, trailers } => {
                let seen = {
                    let mut log = log.0.borrow_mut();
                    log[index].complete = true;
                    log[index].trailers = trailers.as_deref().map(pairs).unwrap_or_default();
                    log[index].clone()
                };
                let reply = handler(&seen);
                answer(driver.machine_mut(), now, stream, reply, &mut sending);
            }
            ServerEvent::Upgraded { .. } => {
                let Parts { mut transport, mut input, unsent, .. } = driver.into_parts();
                // An echo in capitals, in the same write as what is left to send of the answer's head.
                let mut first = BytesMut::from(&unsent[..]);
                first.extend_from_slice(b"WELCOME");
                if write(&mut transport, first.freeze()).await.is_err() {
                    return;
                }
                while !input.is_empty() || read(&mut transport, &mut input).await.is_ok_and(|n| n > 0) {
                    let capitals = input.split().to_ascii_uppercase();
                    if write(&mut transport, capitals).await.is_err() {
                        return;
                    }
                }
                return;
            }
            _ => {}
        }
    }
}

fn answer(
    machine: &mut ServerConnection,
    now: Instant,
    stream: StreamId,
    reply: Reply,
    sending: &mut Option<Sending>,
) {
    for status in reply.informational {
        let status = StatusCode::from_u16(status).expect("a status");
        machine.send_informational(now, stream, status, &[("x-hint", "1")]).expect("an answer is due");
    }
    let status = StatusCode::from_u16(reply.status).expect("a status");
    machine.send_head(now, stream, status, &reply.fields, reply.length).expect("an answer is due");
    if reply.length != BodyLength::Empty {
        *sending = Some(Sending { stream, pieces: reply.body.into(), trailers: reply.trailers });
    }
}

fn send(machine: &mut ServerConnection, now: Instant, sending: &mut Option<Sending>) {
    let Some(current) = sending else { return };
    while machine.capacity(current.stream) > 0 {
        let Some(piece) = current.pieces.pop_front() else {
            let _ = machine.finish(now, current.stream, &current.trailers);
            *sending = None;
            return;
        };
        if machine.send_data(now, current.stream, piece).is_err() {
            *sending = None;
            return;
        }
    }
    // The answer was ended by the client's leaving.
    if machine.interest().is_closed() {
        *sending = None;
    }
}

/// Reads up to the end of a head; `None` if the peer has gone.
pub(crate) async fn read_head<T: Transport>(stream: &mut T) -> Option<String> {
    let mut input = BytesMut::new();
    loop {
        if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Some(String::from_utf8_lossy(&input[..end + 4]).into_owned());
        }
        if read(stream, &mut input).await.ok()? == 0 {
            return None;
        }
    }
}

/// Waits for ever.
pub(crate) fn for_ever() -> impl Future<Output = ()> {
    std::future::pending()
}
