//! Two small datagram machines: one asks until it is answered, the other answers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path, Transmit};

/// How long an answer may take before the question is asked again.
const PATIENCE: Duration = Duration::from_millis(300);

/// A datagram that is no number.
#[derive(Debug)]
pub(crate) struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number")
    }
}

impl std::error::Error for NotANumber {}

fn number(payload: &BytesMut) -> Result<u16, NotANumber> {
    payload[..].try_into().map(u16::from_be_bytes).map_err(|_| NotANumber)
}

/// Asks each number until it comes back; each is an event once.
#[derive(Debug)]
pub(crate) struct Asker {
    server: SocketAddr,
    /// When each unanswered number is asked again.
    open: BTreeMap<u16, Instant>,
    due: VecDeque<u16>,
    answered: VecDeque<u16>,
}

impl Asker {
    pub(crate) fn new(server: SocketAddr, count: u16) -> Self {
        Self {
            server,
            open: (0..count).map(|number| (number, Instant::FAR_FUTURE)).collect(),
            due: (0..count).collect(),
            answered: VecDeque::new(),
        }
    }
}

impl DatagramProtocol for Asker {
    type Event = u16;
    type Error = NotANumber;

    fn handle_datagram(&mut self, _now: Instant, _path: Path, payload: BytesMut) -> Result<(), NotANumber> {
        let number = number(&payload)?;
        if self.open.remove(&number).is_some() {
            self.answered.push_back(number);
        }
        Ok(())
    }

    fn poll_event(&mut self, _now: Instant) -> Option<u16> {
        self.answered.pop_front()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        loop {
            let number = self.due.pop_front()?;
            if let Some(again) = self.open.get_mut(&number) {
                *again = now + PATIENCE;
                out.extend_from_slice(&number.to_be_bytes());
                return Some(Transmit::new(Path::to(self.server), 2));
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.open.values().min().copied()
    }

    fn handle_timeout(&mut self, now: Instant) {
        for (number, again) in &mut self.open {
            if *again <= now {
                *again = Instant::FAR_FUTURE;
                self.due.push_back(*number);
            }
        }
    }

    fn close(&mut self, _now: Instant) {
        self.open.clear();
    }

    fn is_closed(&self) -> bool {
        self.open.is_empty() && self.answered.is_empty()
    }
}

/// Sends back whatever comes.
#[derive(Debug, Default)]
pub(crate) struct Echoer {
    answers: VecDeque<(Path, u16)>,
    closed: bool,
}

impl DatagramProtocol for Echoer {
    type Event = ();
    type Error = NotANumber;

    fn handle_datagram(&mut self, _now: Instant, path: Path, payload: BytesMut) -> Result<(), NotANumber> {
        self.answers.push_back((path, number(&payload)?));
        Ok(())
    }

    fn poll_event(&mut self, _now: Instant) -> Option<()> {
        None
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        let (path, number) = self.answers.pop_front()?;
        out.extend_from_slice(&number.to_be_bytes());
        Some(Transmit::new(path, 2))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn close(&mut self, _now: Instant) {
        self.closed = true;
    }

    fn is_closed(&self) -> bool {
        self.closed
    }
}
