//! Where unread messages of all conversations wait: one arena of linked nodes.
//!
//! A queue of its own per conversation would cost each of a million idle ones its capacity; here an idle conversation
//! costs nothing, and nodes are used again without allocating.

use alloc::vec::Vec;

use bytes::BytesMut;

pub(crate) const NIL: u32 = u32::MAX;

/// What a waiting message costs besides its bytes.
pub(crate) const OVERHEAD: usize = 64;

/// The bytes that `payload` counts for while it waits: what it holds, not what it shows.
#[inline]
pub(crate) fn charge(payload: &BytesMut) -> usize {
    payload.capacity() + OVERHEAD
}

/// Makes a payload fit to wait: short ones do not keep a long buffer.
#[inline]
pub(crate) fn compact(payload: BytesMut) -> BytesMut {
    if payload.len() < payload.capacity() / 4 { BytesMut::from(&payload[..]) } else { payload }
}

#[derive(Debug)]
struct Node {
    payload: BytesMut,
    next: u32,
}

/// The two ends of one conversation's queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    /// Messages waiting.
    pub(crate) len: u16,
    /// What they count for.
    pub(crate) charged: u32,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0, charged: 0 };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    nodes: Vec<Node>,
    free: u32,
    charged: usize,
}

impl Pool {
    pub(crate) const fn new() -> Self {
        Self { nodes: Vec::new(), free: NIL, charged: 0 }
    }

    /// What all waiting messages count for.
    pub(crate) const fn charged(&self) -> usize {
        self.charged
    }

    /// Appends a message. The caller has seen to the limits.
    #[inline]
    pub(crate) fn push(&mut self, queue: &mut Queue, payload: BytesMut) {
        let charge = charge(&payload);
        let node = if self.free == NIL {
            self.nodes.push(Node { payload, next: NIL });
            (self.nodes.len() - 1) as u32
        } else {
            let at = self.free;
            let node = &mut self.nodes[at as usize];
            self.free = core::mem::replace(&mut node.next, NIL);
            node.payload = payload;
            at
        };
        if queue.head == NIL {
            queue.head = node;
        } else {
            self.nodes[queue.tail as usize].next = node;
        }
        queue.tail = node;
        queue.len += 1;
        queue.charged += charge as u32;
        self.charged += charge;
    }

    /// Takes the oldest message out.
    #[inline]
    pub(crate) fn pop(&mut self, queue: &mut Queue) -> Option<BytesMut> {
        if queue.head == NIL {
            return None;
        }
        let at = queue.head;
        let node = &mut self.nodes[at as usize];
        let payload = core::mem::take(&mut node.payload);
        queue.head = core::mem::replace(&mut node.next, self.free);
        self.free = at;
        let charge = charge(&payload);
        queue.len -= 1;
        queue.charged -= charge as u32;
        self.charged -= charge;
        Some(payload)
    }

    /// Throws all messages of a queue away and says how many there were.
    pub(crate) fn clear(&mut self, queue: &mut Queue) -> u16 {
        let len = queue.len;
        while self.pop(queue).is_some() {}
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_share_nodes_and_keep_their_order() {
        let (mut pool, mut one, mut two) = (Pool::new(), Queue::EMPTY, Queue::EMPTY);
        for round in 0..3 {
            for i in 0..4u8 {
                pool.push(&mut one, BytesMut::from(&[1, i][..]));
                pool.push(&mut two, BytesMut::from(&[2, i][..]));
            }
            for i in 0..4u8 {
                assert_eq!(pool.pop(&mut one).unwrap()[..], [1, i]);
            }
            assert_eq!(pool.pop(&mut one), None);
            assert_eq!(pool.clear(&mut two), 4);
            assert_eq!((pool.charged(), two.charged, pool.nodes.len()), (0, 0, 8), "round {round}");
        }
    }

    #[test]
    fn a_short_piece_of_a_long_buffer_is_copied() {
        let mut long = BytesMut::with_capacity(64 * 1024);
        long.extend_from_slice(b"short");
        assert!(charge(&compact(long)) < 200);
        let full = BytesMut::from(&[0; 1000][..]);
        assert_eq!(compact(full.clone()).len(), 1000);
    }
}
