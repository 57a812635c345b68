//! A plug by hand: everything glowplug needs of an executor, on one thread, over the `polling` crate. Copy it, and replace what yours
//! does otherwise. For Unix systems.
//!
//! ```text
//!   block_on ─▶ poll what was woken ─▶ wait for the system ─▶ wake who waits for it ─▶ again
//!                                      (sockets, until the next timer)
//! ```
//!
//! `cargo run --example plug` runs the Redis client and the server in memory on it; `tests/plug.rs` runs the conformance kit on it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::{Future, Ready, poll_fn, ready};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use glowplug::core::{Instant, SendBuf};
use glowplug::runtime::datagram::{DatagramSocket, Io, RecvBatch, SendBatch};
use glowplug::runtime::{self, Endpoint, Runtime, Spawn, Transport, read_with, write_with};
use nix::errno::Errno;
use polling::{Event, Events, PollMode, Poller};
use socket2::{Domain, SockAddr, Socket, Type};

/// A boxed future that stays on its thread. glowplug asks for `Send` nowhere, so a plug need not have it.
type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

// ---------------------------------------------------------------------------------------------------------------- the loop

/// The loop: the plug itself. Cheap to clone; it stays on its thread.
#[derive(Clone)]
pub(crate) struct Loop(Rc<Inner>);

struct Inner {
    wakeups: Arc<Wakeups>,
    tasks: RefCell<HashMap<u64, LocalFuture<()>>>,
    /// Who waits for which socket.
    sockets: RefCell<HashMap<usize, Waiting>>,
    /// Who waits for which time. The number tells timers of the same time apart.
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    last_id: Cell<u64>,
    epoch: std::time::Instant,
}

#[derive(Default)]
struct Waiting {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The part of the loop that other threads reach: wakers may go anywhere.
struct Wakeups {
    poller: Poller,
    home: ThreadId,
    woken: Mutex<Vec<u64>>,
}

/// Wakes one task.
struct TaskWaker {
    task: u64,
    wakeups: Arc<Wakeups>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut woken = self.wakeups.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if !woken.contains(&self.task) {
            woken.push(self.task);
        }
        if thread::current().id() != self.wakeups.home {
            // The loop may be waiting for the system. If this fails, the loop has gone.
            let _ = self.wakeups.poller.notify();
        }
    }
}

/// The future that `block_on` itself waits for.
const MAIN: u64 = 0;

/// Runs what `work` makes, and all that it spawns, until it is done. What it spawned is dropped then.
pub(crate) fn block_on<F: Future>(work: impl FnOnce(Loop) -> F) -> F::Output {
    let this = Loop::new().expect("the system has a poller; without it nothing runs");
    let mut main = pin!(work(this.clone()));
    this.waker(MAIN).wake();
    let mut events = Events::new();
    let output = 'run: loop {
        for task in this.take_woken() {
            let waker = this.waker(task);
            let mut cx = Context::from_waker(&waker);
            if task == MAIN {
                if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
                    break 'run output;
                }
                continue;
            }
            // Out of the table while it is polled: it may spawn.
            let future = this.0.tasks.borrow_mut().remove(&task);
            if let Some(mut future) = future
                && future.as_mut().poll(&mut cx).is_pending()
            {
                this.0.tasks.borrow_mut().insert(task, future);
            }
        }
        this.wait(&mut events).expect("the poller waits");
    };
    // Tasks hold the loop, and the loop holds tasks. Dropping one may spawn another.
    while !this.0.tasks.borrow().is_empty() {
        drop(this.0.tasks.take());
    }
    output
}

impl Loop {
    fn new() -> io::Result<Self> {
        let wakeups =
            Wakeups { poller: Poller::new()?, home: thread::current().id(), woken: Mutex::default() };
        Ok(Self(Rc::new(Inner {
            wakeups: Arc::new(wakeups),
            tasks: RefCell::default(),
            sockets: RefCell::default(),
            timers: RefCell::default(),
            last_id: Cell::new(MAIN),
            epoch: std::time::Instant::now(),
        })))
    }

    fn new_id(&self) -> u64 {
        self.0.last_id.update(|id| id + 1);
        self.0.last_id.get()
    }

    fn waker(&self, task: u64) -> Waker {
        Arc::new(TaskWaker { task, wakeups: self.0.wakeups.clone() }).into()
    }

    fn take_woken(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.wakeups.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a socket is ready, a timer is due, or another thread wakes somebody, and wakes who waits for that.
    fn wait(&self, events: &mut Events) -> io::Result<()> {
        let idle = self.0.wakeups.woken.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let next = self.0.timers.borrow().first_key_value().map(|((at, _), _)| *at);
        let patience = if idle { next.map(|at| at - self.now()) } else { Some(Duration::ZERO) };
        events.clear();
        self.0.wakeups.poller.wait(events, patience)?;
        for event in events.iter() {
            if let Some(waiting) = self.0.sockets.borrow_mut().get_mut(&event.key) {
                let reader = waiting.reader.take_if(|_| event.readable);
                let writer = waiting.writer.take_if(|_| event.writable);
                reader.into_iter().chain(writer).for_each(Waker::wake);
            }
        }
        let now = self.now();
        while let Some(first) = self.0.timers.borrow_mut().first_entry().filter(|first| first.key().0 <= now)
        {
            first.remove().wake();
        }
        Ok(())
    }
}

impl Runtime for Loop {
    type Stream = Stream;
    type Listener = Listener;
    type Datagram = Datagram;
    type Timer = Timer;
    type Connecting = LocalFuture<io::Result<Stream>>;
    type Listening = Ready<io::Result<Listener>>;
    type Binding = Ready<io::Result<Datagram>>;
    type Resolving = LocalFuture<io::Result<Vec<SocketAddr>>>;

    fn now(&self) -> Instant {
        Instant::ZERO + self.0.epoch.elapsed()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random source answers; without it nothing here is safe");
    }

    fn timer(&self) -> Timer {
        Timer { of: self.clone(), id: self.new_id(), at: None }
    }

    fn connect(&self, to: &Endpoint) -> Self::Connecting {
        let begun = Stream::begin(self, to);
        Box::pin(async move {
            let stream = begun?;
            poll_fn(|cx| stream.0.poll_io(cx, Direction::Write, finish_connecting)).await?;
            Ok(stream)
        })
    }

    fn listen(&self, at: &Endpoint) -> Self::Listening {
        ready(Listener::bind(self, at))
    }

    fn bind(&self, local: SocketAddr) -> Self::Binding {
        ready(Datagram::bind(self, local))
    }

    /// The system's resolver blocks, so it gets a thread.
    fn resolve(&self, host: &str, port: u16) -> Self::Resolving {
        let answer = Arc::new(Mutex::new((None, None::<Waker>)));
        let (host, theirs) = (host.to_owned(), answer.clone());
        thread::spawn(move || {
            let addresses = (host, port).to_socket_addrs().map(Iterator::collect);
            let mut answer = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            answer.0 = Some(addresses);
            answer.1.take().into_iter().for_each(Waker::wake);
        });
        Box::pin(poll_fn(move |cx| {
            let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
            match answer.0.take() {
                Some(addresses) => Poll::Ready(addresses),
                None => {
                    answer.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Loop {
    fn spawn(&self, future: F) {
        let task = self.new_id();
        self.0.tasks.borrow_mut().insert(task, Box::pin(future));
        self.waker(task).wake();
    }
}

// ------------------------------------------------------------------------------------------------------------------ timers

/// One deadline in the loop's table.
pub(crate) struct Timer {
    of: Loop,
    id: u64,
    at: Option<Instant>,
}

impl runtime::Timer for Timer {
    fn reset(&mut self, at: Option<Instant>) {
        if let Some(old) = self.at {
            self.of.0.timers.borrow_mut().remove(&(old, self.id));
        }
        self.at = at;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.at {
            Some(at) if at <= self.of.now() => Poll::Ready(()),
            Some(at) => {
                self.of.0.timers.borrow_mut().insert((at, self.id), cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        runtime::Timer::reset(self, None);
    }
}

// ----------------------------------------------------------------------------------------------------------------- sockets

/// A socket that the loop watches.
struct Watched<S: AsFd> {
    socket: S,
    key: usize,
    of: Loop,
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

impl<S: AsFd + AsRawFd> Watched<S> {
    /// Watches `socket`, which does not block.
    fn new(of: &Loop, socket: S) -> io::Result<Self> {
        let key = of.new_id() as usize;
        // Edges, so that nothing has to be armed again: whoever waits has tried before, and found nothing.
        #[expect(unsafe_code, reason = "a poller cannot know how long a file descriptor stays open")]
        // SAFETY: the socket is owned from here on, and `drop` takes it out of the poller before it closes.
        unsafe {
            of.0.wakeups.poller.add_with_mode(&socket, Event::all(key), PollMode::Edge)?;
        }
        of.0.sockets.borrow_mut().insert(key, Waiting::default());
        Ok(Self { socket, key, of: of.clone() })
    }

    /// Tries, and waits for the socket when there is nothing to do yet.
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut attempt: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match attempt(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
        let mut sockets = self.of.0.sockets.borrow_mut();
        let waiting = sockets.entry(self.key).or_default();
        let waker = Some(cx.waker().clone());
        match direction {
            Direction::Read => waiting.reader = waker,
            Direction::Write => waiting.writer = waker,
        }
        Poll::Pending
    }
}

impl<S: AsFd> Drop for Watched<S> {
    fn drop(&mut self) {
        self.of.0.sockets.borrow_mut().remove(&self.key);
        // It was added; there is nothing to do if the poller has lost it.
        let _ = self.of.0.wakeups.poller.delete(&self.socket);
    }
}

fn address(endpoint: &Endpoint) -> io::Result<SockAddr> {
    match endpoint {
        Endpoint::Tcp(address) => Ok((*address).into()),
        Endpoint::Unix(path) => SockAddr::unix(path),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn endpoint(address: &SockAddr) -> Endpoint {
    match address.as_socket() {
        Some(address) => Endpoint::Tcp(address),
        None => Endpoint::Unix(address.as_pathname().map(Into::into).unwrap_or_default()),
    }
}

fn new_socket(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Machines write whole messages: what they write goes out at once.
fn without_delay(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    if address.domain() == Domain::UNIX { Ok(()) } else { socket.set_tcp_nodelay(true) }
}

fn finish_connecting(socket: &Socket) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        result => result.map(drop),
    }
}

/// A TCP or Unix stream.
pub(crate) struct Stream(Watched<Socket>);

impl Stream {
    fn begin(of: &Loop, to: &Endpoint) -> io::Result<Self> {
        let address = address(to)?;
        let socket = new_socket(&address)?;
        without_delay(&socket, &address)?;
        match socket.connect(&address) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(error),
            _ => {}
        }
        Ok(Self(Watched::new(of, socket)?))
    }
}

impl Transport for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        read_with(buf, |landing| self.0.poll_io(cx, Direction::Read, |mut socket| socket.read(landing)))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        write_with(out, |slices| {
            self.0.poll_io(cx, Direction::Write, |mut socket| socket.write_vectored(slices))
        })
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.0.socket.shutdown(Shutdown::Write) {
            // The peer reset the connection in the meantime: nothing is left to tell.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

/// A listening TCP or Unix socket.
pub(crate) struct Listener(Watched<Socket>);

impl Listener {
    fn bind(of: &Loop, at: &Endpoint) -> io::Result<Self> {
        let address = address(at)?;
        let socket = new_socket(&address)?;
        if address.domain() != Domain::UNIX {
            // A server that starts again finds its port free.
            socket.set_reuse_address(true)?;
        }
        socket.bind(&address)?;
        socket.listen(1024)?;
        Ok(Self(Watched::new(of, socket)?))
    }
}

impl runtime::Listener for Listener {
    type Stream = Stream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Endpoint)>> {
        self.0.poll_io(cx, Direction::Read, Socket::accept).map(|accepted| {
            let (socket, peer) = accepted?;
            socket.set_nonblocking(true)?;
            without_delay(&socket, &peer)?;
            Ok((Stream(Watched::new(&self.0.of, socket)?), endpoint(&peer)))
        })
    }

    fn local_endpoint(&self) -> io::Result<Endpoint> {
        self.0.socket.local_addr().map(|address| endpoint(&address))
    }
}

/// A datagram socket. The batched system calls are `glowplug::runtime`'s.
pub(crate) struct Datagram {
    socket: Watched<Box<UdpSocket>>,
    io: Io,
}

impl Datagram {
    fn bind(of: &Loop, local: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self { io: Io::new(&socket)?, socket: Watched::new(of, Box::new(socket))? })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        self.socket.poll_io(cx, Direction::Read, |socket| self.io.recv(socket, batch))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        self.socket.poll_io(cx, Direction::Write, |socket| self.io.send(socket, batch))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.io.local_addr())
    }
}

// ---------------------------------------------------------------------------------------------------------------- in use

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    use glowplug::redis::{Command, Pipeline, commands, memory};
    use glowplug::runtime::redis::{Client, serve_memory};
    use glowplug::runtime::server::Server;

    block_on(async |plug: Loop| {
        let server = Server::bind(plug.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let (at, stopper) = (server.local_endpoint()?, server.stopper());
        println!("a Redis in memory listens at {at}");
        plug.spawn(serve_memory(plug.clone(), server, memory::Handle::new(memory::Config::new())));

        let client = Client::builder(plug.clone()).connect(&format!("redis://{at}")).await?;
        client.run(commands::set("greeting", "hello from a loop by hand")).await?;
        let greeting = client.run(commands::get("greeting")).await?.unwrap_or_default();
        println!("GET greeting: {}", String::from_utf8_lossy(&greeting));

        let calls = (0..1000).map(|_| client.run(commands::incr("count")));
        let counts = futures_util::future::try_join_all(calls).await?;
        println!("INCR count by 1000 callers at once: {} to {}", counts[0], counts[999]);

        let pipeline = Pipeline::new().with(Command::new("DECR").arg("count"));
        println!("a pipeline: {:?}", client.pipeline(pipeline).await?);

        runtime::time::sleep(&plug, Duration::from_millis(20)).await;
        println!("connections that are being served: {}", stopper.connections());
        Ok(())
    })
}
