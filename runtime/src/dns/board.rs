//! Who of many has something to do: wakers that say which.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Where bells are heard. A task that drives many sockets gives each a [`Bell`], so that one that wakes does not cost a poll of all.
#[derive(Default)]
pub(super) struct Board(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    keys: Vec<u64>,
    task: Option<Waker>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bell that reports as `key`. It has rung already: what is new is to be polled.
    pub(super) fn bell(self: &Arc<Self>, key: u64) -> Arc<Bell> {
        let bell = Arc::new(Bell { key, rung: AtomicBool::new(false), board: Arc::clone(self) });
        bell.ring();
        bell
    }

    /// Says who is to be woken when a bell rings.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut rung = self.lock();
        if !rung.task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            rung.task = Some(waker.clone());
        }
    }

    /// Whose bells rang since the last call, into `keys`.
    pub(super) fn take(&self, keys: &mut Vec<u64>) {
        keys.clear();
        std::mem::swap(keys, &mut self.lock().keys);
    }

    /// True if nobody rang since the last [`take`](Self::take).
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().keys.is_empty()
    }
}

/// The waker of one of many.
pub(super) struct Bell {
    key: u64,
    rung: AtomicBool,
    board: Arc<Board>,
}

impl Bell {
    /// Puts the key on the board without waking: the task that hears it is at work.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.board.lock().keys.push(self.key);
        }
    }

    /// Before a poll: what happens from now on rings again.
    pub(super) fn hear(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut rung = self.board.lock();
            rung.keys.push(self.key);
            rung.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}
