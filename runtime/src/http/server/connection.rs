//! What a handler may know of the connection that its request came on.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::Endpoint;

/// The connection that a request came on. Cheap to clone, and no hold on the connection: it ends when it ends.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    peer: Endpoint,
    tls: bool,
    closed: AtomicBool,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    next_id: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    pub(super) fn new(peer: Endpoint, tls: bool) -> Self {
        let waiters = Mutex::default();
        Self { shared: Arc::new(Shared { peer, tls, closed: AtomicBool::new(false), waiters }) }
    }

    /// Where it comes from. The peer of a Unix socket has an empty path.
    pub fn peer(&self) -> &Endpoint {
        &self.shared.peer
    }

    /// True under TLS.
    pub fn is_tls(&self) -> bool {
        self.shared.tls
    }

    /// True once the peer has stopped sending, or the connection is over.
    pub fn is_peer_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Resolves once the peer has stopped sending while its request was being answered, or the connection is over: most often it
    /// has gone, and there is nobody to answer. A peer that half-closes and waits looks the same, which is why a server goes
    /// on with the answer unless the handler decides otherwise.
    ///
    /// It is noticed while the server reads: once the request's body has been read to its end.
    pub fn peer_closed(&self) -> PeerClosed {
        let id = {
            let mut waiters = self.shared.waiters();
            waiters.next_id += 1;
            waiters.next_id
        };
        PeerClosed { connection: self.clone(), id }
    }

    pub(super) fn set_peer_closed(&self) {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let wakers = std::mem::take(&mut self.shared.waiters().wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", self.peer())
            .field("tls", &self.is_tls())
            .field("peer_closed", &self.is_peer_closed())
            .finish_non_exhaustive()
    }
}

/// The future of [`Connection::peer_closed`]. Dropping it changes nothing.
#[must_use = "nobody is told until the future is polled"]
#[derive(Debug)]
pub struct PeerClosed {
    connection: Connection,
    id: u64,
}

impl Future for PeerClosed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.connection.is_peer_closed() {
            self.connection.shared.waiters().wakers.insert(self.id, cx.waker().clone());
        }
        // After registering: whoever closes from now on wakes this task.
        if self.connection.is_peer_closed() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for PeerClosed {
    fn drop(&mut self) {
        self.connection.shared.waiters().wakers.remove(&self.id);
    }
}
