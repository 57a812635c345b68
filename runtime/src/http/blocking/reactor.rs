//! Waiting, in the thread that calls: for sockets, for a time, or for another thread.
//!
//! What a future waits for, it says anew each time it is polled. Whatever comes first, the whole of it is polled again: there is one future a thread,
//! with a handful of sockets.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use socket2::Socket;

/// What is waited for of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Read,
    Write,
}

#[derive(Default)]
struct Waits {
    sockets: Vec<(Arc<Socket>, Readiness)>,
    until: Option<Instant>,
    wakers: Vec<Waker>,
}

thread_local! {
    static WAITS: RefCell<Waits> = RefCell::default();
}

/// Waits for a socket too.
pub(super) fn wait_for(cx: &mut Context<'_>, socket: &Arc<Socket>, readiness: Readiness) {
    WAITS.with_borrow_mut(|waits| {
        waits.sockets.push((socket.clone(), readiness));
        waits.wakers.push(cx.waker().clone());
    });
}

/// Waits no longer than up to this time.
pub(super) fn wait_until(cx: &mut Context<'_>, at: Instant) {
    WAITS.with_borrow_mut(|waits| {
        waits.until = Some(waits.until.map_or(at, |until| until.min(at)));
        waits.wakers.push(cx.waker().clone());
    });
}

/// Runs `future` to its end.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // A call within a call waits for its own.
    let outer = WAITS.take();
    let alarm = Alarm::new();
    let waker = Waker::from(alarm.clone());
    let mut cx = Context::from_waker(&waker);
    let output = loop {
        alarm.reset();
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            break output;
        }
        let waits = WAITS.take();
        alarm.wait(&waits);
        waits.wakers.into_iter().for_each(Waker::wake);
    };
    WAITS.set(outer);
    output
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod system {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::{Arc, Instant, Readiness, Waits, Wake, io};

    /// What other threads, and the future itself, wake a waiting thread by.
    pub(super) struct Alarm {
        rung: AtomicBool,
        /// Both ends; `None` where the system has no socket left, and the thread looks every millisecond instead.
        bell: Option<(UnixStream, UnixStream)>,
    }

    impl Alarm {
        pub(super) fn new() -> Arc<Self> {
            let bell = UnixStream::pair().and_then(|(ring, hear)| {
                ring.set_nonblocking(true)?;
                hear.set_nonblocking(true)?;
                Ok((ring, hear))
            });
            Arc::new(Self { rung: AtomicBool::new(false), bell: bell.ok() })
        }

        pub(super) fn reset(&self) {
            if self.rung.swap(false, Ordering::AcqRel)
                && let Some((_, hear)) = &self.bell
            {
                let mut hear: &UnixStream = hear;
                while hear.read(&mut [0; 16]).is_ok_and(|len| len == 16) {}
            }
        }

        pub(super) fn wait(&self, waits: &Waits) {
            if self.rung.load(Ordering::Acquire) {
                return;
            }
            let mut fds: Vec<PollFd<'_>> = waits
                .sockets
                .iter()
                .map(|(socket, readiness)| {
                    let flags =
                        if *readiness == Readiness::Read { PollFlags::POLLIN } else { PollFlags::POLLOUT };
                    PollFd::new(socket.as_fd(), flags)
                })
                .collect();
            let mut patience = waits.until.map(|until| until.saturating_duration_since(Instant::now()));
            match &self.bell {
                Some((_, hear)) => fds.push(PollFd::new(hear.as_fd(), PollFlags::POLLIN)),
                None => patience = Some(super::LOOK),
            }
            // Rounded up, so as not to look a moment too early again and again.
            let millis = patience.map(|patience| patience.as_micros().div_ceil(1000));
            let timeout = match millis {
                Some(millis) => PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX),
                None => PollTimeout::NONE,
            };
            // Whatever it says, and an interruption too: to look again is right.
            let _ = poll(&mut fds, timeout);
        }
    }

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            if !self.rung.swap(true, Ordering::AcqRel)
                && let Some((ring, _)) = &self.bell
            {
                let mut ring: &UnixStream = ring;
                // A full pipe has rung already.
                let _: io::Result<usize> = ring.write(&[1]);
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod system {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{self, Thread};

    use super::{Arc, Instant, Waits, Wake};

    /// What other threads, and the future itself, wake a waiting thread by. Without a call of the system to wait for sockets, the thread looks every
    /// millisecond.
    pub(super) struct Alarm {
        rung: AtomicBool,
        thread: Thread,
    }

    impl Alarm {
        pub(super) fn new() -> Arc<Self> {
            Arc::new(Self { rung: AtomicBool::new(false), thread: thread::current() })
        }

        pub(super) fn reset(&self) {
            self.rung.store(false, Ordering::Release);
        }

        pub(super) fn wait(&self, waits: &Waits) {
            if self.rung.load(Ordering::Acquire) {
                return;
            }
            let until = waits.until.map(|until| until.saturating_duration_since(Instant::now()));
            match until {
                _ if !waits.sockets.is_empty() => thread::park_timeout(super::LOOK),
                Some(patience) => thread::park_timeout(patience),
                None => thread::park(),
            }
        }
    }

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            self.rung.store(true, Ordering::Release);
            self.thread.unpark();
        }
    }
}

/// How often a thread looks that cannot be told.
const LOOK: std::time::Duration = std::time::Duration::from_millis(1);

use system::Alarm;
