//! What flows through a connection, and what ends it.
//!
//! ```text
//!  write -> [ under way: segments, each with its time of arrival ] -> [ inbox ] -> read
//!           |<-------------- at most the window ------------------------->|
//! ```

use std::collections::VecDeque;
use std::io;
use std::task::{Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Instant, SendBuf};

use super::State;
use crate::agenda::Event;
use crate::net::Cut;
use crate::world::{Wait, World};

/// One direction of a connection.
pub(super) struct Pipe {
    under_way: VecDeque<(Instant, Segment)>,
    inbox: VecDeque<Bytes>,
    /// Bytes under way or in the inbox.
    pub(super) occupied: usize,
    window: usize,
    /// Nothing overtakes in a stream.
    pub(super) last_arrival: Instant,
    /// The sender has shut down, or its end is gone.
    shut: bool,
    /// The end of the stream has arrived.
    ended: bool,
    /// Bytes that have arrived so far.
    carried: u64,
    /// What happens once so many bytes have arrived.
    pub(super) plan: Option<(u64, Cut)>,
    /// Nothing arrives any more, and nobody says so.
    stalled: bool,
    /// Segments that have arrived so far, and whether somebody counts for how long none does.
    popped: u64,
    watched: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What travels.
enum Segment {
    Data(Bytes),
    End,
    Reset,
}

impl Pipe {
    pub(super) fn new(window: usize) -> Self {
        Self {
            under_way: VecDeque::new(),
            inbox: VecDeque::new(),
            occupied: 0,
            window,
            last_arrival: Instant::ZERO,
            shut: false,
            ended: false,
            carried: 0,
            plan: None,
            stalled: false,
            popped: 0,
            watched: false,
            reader: None,
            writer: None,
        }
    }

    /// Forgets what is under way.
    fn drain(&mut self) {
        for (_, segment) in self.under_way.drain(..) {
            if let Segment::Data(data) = segment {
                self.occupied -= data.len();
            }
        }
    }
}

impl World {
    pub(crate) fn read(
        &mut self,
        id: u64,
        end: usize,
        buf: &mut BytesMut,
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let random = self.network.ways.link(connection.way(1 - end)).random_cuts;
        let pipe = &mut connection.pipes[1 - end];
        if pipe.inbox.is_empty() {
            // What arrived before the connection ended is still read, as on Linux.
            if let Some(kind) = connection.ends[end].error {
                return Poll::Ready(Err(kind.into()));
            }
            if pipe.ended {
                return Poll::Ready(Ok(0));
            }
            World::park(&mut self.retired, &mut pipe.reader, waker);
            self.waits_for(Wait::Read(id));
            return Poll::Pending;
        }
        let mut count = 0;
        while let Some(data) = pipe.inbox.pop_front() {
            count += data.len();
            buf.extend_from_slice(&data);
            if random && self.dice.network.chance(1, 3) {
                break;
            }
        }
        pipe.occupied -= count;
        World::wake(&mut self.wakes, &mut pipe.writer);
        self.note("read", id, count as u64);
        Poll::Ready(Ok(count))
    }

    pub(crate) fn write(
        &mut self,
        id: u64,
        end: usize,
        out: &mut SendBuf,
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let way = connection.way(end);
        if let Some(kind) = connection.ends[end].error {
            let first = !std::mem::replace(&mut connection.ends[end].told, true);
            return Poll::Ready(Err(if first { kind } else { io::ErrorKind::BrokenPipe }.into()));
        }
        let pipe = &mut connection.pipes[end];
        if pipe.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = pipe.window.saturating_sub(pipe.occupied);
        if room == 0 {
            World::park(&mut self.retired, &mut pipe.writer, waker);
            self.waits_for(Wait::Write(id));
            return Poll::Pending;
        }
        let link = self.network.ways.link(way).clone();
        let mut count = room.min(out.len());
        if link.random_cuts && self.dice.network.chance(1, 4) {
            count = 1 + self.dice.network.below(count as u64) as usize;
        }
        let mut data = out.copy_to_bytes(count);
        while data.has_remaining() {
            let most = data.len().min(link.segment);
            let cut = link.random_cuts && self.dice.network.chance(1, 2);
            let len = if cut { 1 + self.dice.network.below(most as u64) as usize } else { most };
            self.send_segment(id, end, Segment::Data(data.split_to(len)));
        }
        self.note("write", id, count as u64);
        Poll::Ready(Ok(count))
    }

    pub(crate) fn shutdown(&mut self, id: u64, end: usize) {
        if let Some(connection) = self.network.streams.connections.get_mut(&id)
            && connection.ends[end].error.is_none()
            && !std::mem::replace(&mut connection.pipes[end].shut, true)
        {
            self.note("shut down", id, end as u64);
            self.send_segment(id, end, Segment::End);
        }
    }

    /// The stream that held `end` was dropped.
    pub(crate) fn release(&mut self, id: u64, end: usize) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        if !std::mem::replace(&mut connection.ends[end].held, false) {
            return;
        }
        let opening = !matches!(connection.state, State::Open);
        let incoming = &mut connection.pipes[1 - end];
        let unread = !incoming.inbox.is_empty();
        incoming.occupied -= incoming.inbox.drain(..).map(|data| data.len()).sum::<usize>();
        self.retired.extend(incoming.reader.take());
        self.retired.extend(connection.pipes[end].writer.take());
        if end == 0 {
            self.retired.extend(connection.opener.take());
        }
        let failed = connection.ends[end].error.is_some();
        let shut = std::mem::replace(&mut connection.pipes[end].shut, true);
        let gone = connection.is_free();
        self.note("drop stream", id, end as u64);
        if gone {
            self.forget(id);
        } else if !failed && (unread || (opening && end == 0)) {
            // RFC 1122 §4.2.2.13: who closes with unread data tells the peer that it was lost.
            self.send_segment(id, end, Segment::Reset);
        } else if !failed && !shut {
            self.send_segment(id, end, Segment::End);
        }
    }

    /// Nobody will ever take this end, which was never given out.
    pub(super) fn abandon(&mut self, id: u64, end: usize) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        connection.ends[end].held = false;
        connection.pipes[end].shut = true;
        if connection.is_free() {
            self.forget(id);
        } else {
            self.send_segment(id, end, Segment::Reset);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(connection) = self.network.streams.connections.remove(&id) {
            self.retired.extend(connection.opener);
            for pipe in connection.pipes {
                self.retired.extend(pipe.reader.into_iter().chain(pipe.writer));
            }
        }
    }

    /// Sends `segment` off, behind everything that this end sent before.
    fn send_segment(&mut self, id: u64, from: usize, segment: Segment) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        let way = connection.way(from);
        let len = if let Segment::Data(data) = &segment { data.len() } else { 0 };
        let arrival = self.network.ways.travel_surely(&mut self.dice.network, self.now, way, len);
        let pipe = &mut connection.pipes[from];
        pipe.last_arrival = pipe.last_arrival.max(arrival);
        pipe.occupied += len;
        pipe.under_way.push_back((pipe.last_arrival, segment));
        self.agenda.add(pipe.last_arrival, Event::Arrive { connection: id, from });
    }

    /// The front segment of what `from` sent may have arrived.
    pub(crate) fn on_arrive(&mut self, id: u64, from: usize) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        let way = connection.way(from);
        let blocked = self.network.ways.is_blocked(way);
        let pipe = &mut connection.pipes[from];
        if pipe.under_way.front().is_none_or(|(arrival, _)| *arrival > self.now) {
            return;
        }
        if blocked || pipe.stalled {
            if !std::mem::replace(&mut pipe.watched, true) {
                let popped = pipe.popped;
                let patience = self.network.ways.link(way).give_up;
                self.later(patience, Event::GiveUp { connection: id, from, popped });
            }
            return;
        }
        let Some((_, segment)) = pipe.under_way.pop_front() else { return };
        pipe.popped += 1;
        match segment {
            Segment::Data(data) => self.on_data(id, from, data),
            Segment::End => {
                pipe.ended = true;
                World::wake(&mut self.wakes, &mut pipe.reader);
                self.note("end of stream arrives", id, from as u64);
            }
            Segment::Reset => self.break_end(id, 1 - from, io::ErrorKind::ConnectionReset),
        }
    }

    fn on_data(&mut self, id: u64, from: usize, mut data: Bytes) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        let pipe = &mut connection.pipes[from];
        // RFC 9293 §3.10.7.1: what comes for a connection that is over here is answered with a reset.
        if !connection.ends[1 - from].held || connection.ends[1 - from].error.is_some() {
            pipe.occupied -= data.len();
            World::wake(&mut self.wakes, &mut pipe.writer);
            self.note("data for nobody arrives", id, data.len() as u64);
            return self.send_segment(id, 1 - from, Segment::Reset);
        }
        let cut = pipe.plan.filter(|(after, _)| pipe.carried + data.len() as u64 >= *after);
        if let Some((after, _)) = cut {
            let keep = (after.saturating_sub(pipe.carried)) as usize;
            pipe.occupied -= data.len() - keep;
            data.truncate(keep);
            pipe.plan = None;
        }
        pipe.carried += data.len() as u64;
        let len = data.len() as u64;
        if !data.is_empty() {
            pipe.inbox.push_back(data);
            World::wake(&mut self.wakes, &mut pipe.reader);
        }
        self.note("data arrives", id, len);
        if let Some((_, kind)) = cut {
            self.cut(id, kind);
        }
    }

    /// The sender has waited for long.
    pub(crate) fn on_give_up(&mut self, id: u64, from: usize, popped: u64) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        let blocked = self.network.ways.is_blocked(connection.way(from));
        let pipe = &mut connection.pipes[from];
        pipe.watched = false;
        if !blocked && !pipe.stalled {
            return;
        }
        if pipe.popped == popped {
            self.break_end(id, from, io::ErrorKind::TimedOut);
        } else {
            self.on_arrive(id, from);
        }
    }

    /// This end learns that the connection is over.
    fn break_end(&mut self, id: u64, end: usize, kind: io::ErrorKind) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        if connection.ends[end].error.is_none() {
            connection.ends[end].error = Some(kind);
        }
        connection.pipes[end].drain();
        World::wake(&mut self.wakes, &mut connection.pipes[end].writer);
        World::wake(&mut self.wakes, &mut connection.pipes[1 - end].reader);
        self.note("connection breaks", id, end as u64);
    }

    /// Ends a connection from outside.
    pub(crate) fn cut(&mut self, id: u64, kind: Cut) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        self.trace.note(self.now, "cut", id, kind as u64);
        match kind {
            Cut::Reset => {
                self.break_end(id, 0, io::ErrorKind::ConnectionReset);
                self.break_end(id, 1, io::ErrorKind::ConnectionReset);
            }
            Cut::Close => {
                for pipe in &mut connection.pipes {
                    pipe.drain();
                    pipe.shut = true;
                    pipe.ended = true;
                    World::wake(&mut self.wakes, &mut pipe.reader);
                    World::wake(&mut self.wakes, &mut pipe.writer);
                }
            }
            Cut::BlackHole => {
                for pipe in &mut connection.pipes {
                    pipe.stalled = true;
                }
            }
        }
    }

    /// What was under way when `way` opened again is sent once more.
    pub(crate) fn resend(&mut self, way: super::Way) {
        let now = self.now;
        for (id, connection) in &mut self.network.streams.connections {
            for from in [0, 1] {
                if connection.way(from) != way || connection.pipes[from].under_way.is_empty() {
                    continue;
                }
                let again = now + self.network.ways.link(way).flight(&mut self.dice.network);
                let pipe = &mut connection.pipes[from];
                for (arrival, _) in &mut pipe.under_way {
                    *arrival = again.max(*arrival);
                    self.agenda.add(*arrival, Event::Arrive { connection: *id, from });
                }
                pipe.last_arrival = again.max(pipe.last_arrival);
            }
        }
    }

    /// The host of these ends has lost its power: nothing is said, everything is forgotten.
    pub(crate) fn silence_host(&mut self, host: u64) {
        let ids: Vec<u64> = self.network.streams.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.network.streams.connections.get_mut(&id) else { continue };
            for end in [0, 1] {
                if connection.hosts[end] != host {
                    continue;
                }
                connection.ends[end].held = false;
                connection.ends[end].error = Some(io::ErrorKind::ConnectionReset);
                connection.pipes[end].drain();
                connection.pipes[end].shut = true;
                let inbox: usize = connection.pipes[1 - end].inbox.drain(..).map(|data| data.len()).sum();
                connection.pipes[1 - end].occupied -= inbox;
            }
            if connection.is_free() {
                self.forget(id);
            }
        }
    }
}
