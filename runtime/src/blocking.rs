//! The blocking loop: a protocol machine on a socket of the standard library, for scripts.
//!
//! No executor, no task, no waker: a call writes, reads until its answer is there, and returns.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant as StdInstant};

use bytes::{Buf, BytesMut};
use glowplug_core::{
    Instant, Progress, ReadInterest, RequestProtocol, SendBuf, StreamProtocol, SubmitError, Token,
};

use crate::drive::DriverError;

/// A stream that blocks, with a limit on how long.
pub trait BlockingStream: Read + Write {
    /// How long a read may wait; `None` for ever. A read that waits longer fails with `WouldBlock` or `TimedOut`.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
    /// How long a write may wait; `None` for ever.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
}

macro_rules! blocking_stream {
    ($stream:ty) => {
        impl BlockingStream for $stream {
            fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                Self::set_read_timeout(self, timeout)
            }

            fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                Self::set_write_timeout(self, timeout)
            }
        }
    };
}

blocking_stream!(TcpStream);
#[cfg(unix)]
blocking_stream!(UnixStream);

impl<T: BlockingStream + ?Sized> BlockingStream for Box<T> {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_write_timeout(timeout)
    }
}

/// One machine on one blocking stream.
#[derive(Debug)]
pub struct Blocking<P, S> {
    machine: P,
    stream: S,
    input: BytesMut,
    output: SendBuf,
    landing: Vec<u8>,
    epoch: StdInstant,
    eof: bool,
    next_token: u64,
}

/// Why a blocking call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum BlockingError<E> {
    /// The call's time was up. The connection goes on; the answer is thrown away if it comes.
    TimedOut(Progress),
    /// The connection is over.
    Closed(Progress, Option<DriverError<E>>),
}

impl<E> fmt::Display for BlockingError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(progress) => write!(f, "the call timed out ({progress})"),
            Self::Closed(progress, _) => write!(f, "the connection is closed ({progress})"),
        }
    }
}

impl<E: Error + 'static> Error for BlockingError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed(_, Some(cause)) => Some(cause),
            _ => None,
        }
    }
}

impl<P: StreamProtocol, S: BlockingStream> Blocking<P, S> {
    /// Puts a machine on `stream`; `make` gets the time it starts at.
    pub fn new(stream: S, make: impl FnOnce(Instant) -> P) -> Self {
        Self {
            machine: make(Instant::ZERO),
            stream,
            input: BytesMut::new(),
            output: SendBuf::new(),
            landing: vec![0; 64 * 1024],
            epoch: StdInstant::now(),
            eof: false,
            next_token: 0,
        }
    }

    /// The time since the machine was made, as it counts it.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    /// The machine.
    pub fn machine(&self) -> &P {
        &self.machine
    }

    /// The machine, to act on. What it wants sent goes out with the next event that is waited for.
    pub fn machine_mut(&mut self) -> &mut P {
        &mut self.machine
    }

    /// Waits for the next event; `Ok(None)` is the end in good order. With a deadline, `Err(None)` says that it passed.
    pub fn next_event(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<P::Event>, Option<DriverError<P::Error>>> {
        loop {
            let now = self.now();
            if self.machine.poll_timeout().is_some_and(|at| at <= now) {
                self.machine.handle_timeout(now);
            }
            match self.machine.poll_event(now, &mut self.input) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => {
                    let _ = self.write_out(now, deadline);
                    return Err(Some(DriverError::Protocol(error)));
                }
            }
            if self.write_out(now, deadline)? {
                // The machine may go on with input that it had left for want of room.
                continue;
            }
            match self.machine.interest().read {
                ReadInterest::Want(_) if !self.eof => self.read_in(deadline)?,
                _ => return Ok(None),
            }
        }
    }

    fn write_out(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<bool, Option<DriverError<P::Error>>> {
        let mut wrote = false;
        loop {
            self.machine.poll_transmit(now, &mut self.output);
            if self.output.is_empty() {
                return Ok(wrote);
            }
            while !self.output.is_empty() {
                self.stream
                    .set_write_timeout(Some(self.patience(deadline)?))
                    .map_err(|error| Some(error.into()))?;
                match self.stream.write(self.output.chunk()) {
                    Ok(0) => return Err(Some(DriverError::Io(io::ErrorKind::WriteZero.into()))),
                    Ok(n) => self.output.advance(n),
                    Err(error) if is_timeout(&error) => {}
                    Err(error) => return Err(Some(error.into())),
                }
            }
            wrote = true;
        }
    }

    /// Reads once, for at most as long as the machine and the caller can wait.
    fn read_in(&mut self, deadline: Option<Instant>) -> Result<(), Option<DriverError<P::Error>>> {
        let patience = self.patience(deadline)?;
        self.stream.set_read_timeout(Some(patience)).map_err(|error| Some(error.into()))?;
        match self.stream.read(&mut self.landing) {
            Ok(0) => {
                self.eof = true;
                let now = self.now();
                self.machine.handle_eof(now);
            }
            Ok(n) => self.input.extend_from_slice(&self.landing[..n]),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(Some(error.into())),
        }
        Ok(())
    }

    /// How long one system call may wait.
    fn patience(&self, deadline: Option<Instant>) -> Result<Duration, Option<DriverError<P::Error>>> {
        /// Nothing waits longer than this in one call; the loop simply asks again.
        const LONGEST: Duration = Duration::from_secs(60);
        let now = self.now();
        if deadline.is_some_and(|at| at <= now) {
            return Err(None);
        }
        let wait = [deadline, self.machine.poll_timeout()].into_iter().flatten().map(|at| at - now).min();
        // Zero would mean for ever.
        Ok(wait.unwrap_or(LONGEST).clamp(Duration::from_millis(1), LONGEST))
    }
}

impl<P: RequestProtocol, S: BlockingStream> Blocking<P, S> {
    /// Asks, and waits for all answers. Events that are no answers are dropped.
    pub fn call(
        &mut self,
        request: P::Request,
        timeout: Option<Duration>,
    ) -> Result<Vec<P::Response>, BlockingError<P::Error>> {
        let token = Token(self.next_token);
        self.next_token += 1;
        let now = self.now();
        let deadline = timeout.map(|timeout| now + timeout);
        let mut request = request;
        // Only calls that timed out before can fill the machine; their answers make room.
        while let Err(refused) = self.machine.submit(now, token, request) {
            match refused {
                SubmitError::Full(back) => request = back,
                _ => return Err(BlockingError::Closed(Progress::NotSent, None)),
            }
            match self.next_event(deadline) {
                Ok(Some(_)) => {}
                Ok(None) => return Err(BlockingError::Closed(Progress::NotSent, None)),
                Err(None) => return Err(BlockingError::TimedOut(Progress::NotSent)),
                Err(cause) => return Err(BlockingError::Closed(Progress::NotSent, cause)),
            }
        }
        let mut answers = Vec::new();
        loop {
            match self.next_event(deadline) {
                Ok(Some(event)) => {
                    if let Ok(answer) = P::into_answer(event)
                        && answer.token == token
                    {
                        answers.push(answer.response);
                        if answer.last {
                            return Ok(answers);
                        }
                    }
                }
                Ok(None) => return Err(BlockingError::Closed(self.machine.progress(token), None)),
                Err(None) => {
                    let progress = self.machine.progress(token);
                    self.machine.cancel(token);
                    return Err(BlockingError::TimedOut(progress));
                }
                Err(cause) => return Err(BlockingError::Closed(self.machine.progress(token), cause)),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
