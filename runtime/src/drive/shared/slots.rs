//! Everybody's slots: where an answer waits for its caller.

use std::task::Waker;

use glowplug_core::{Instant, RequestProtocol, Token};

use super::call::CallError;

/// One call.
pub(super) struct Slot<P: RequestProtocol> {
    /// Tells this use of the slot from earlier ones.
    generation: u32,
    pub(super) phase: Phase<P::Error>,
    pub(super) waker: Option<Waker>,
    pub(super) deadline: Option<Instant>,
    pub(super) answers: Answers<P::Response>,
}

/// How far a call is.
pub(super) enum Phase<E> {
    Free,
    /// Waits for room in the machine, or for answers.
    Pending,
    Answered,
    Failed(CallError<E>),
}

/// What was answered so far. One answer, the usual case, needs no allocation.
pub(super) enum Answers<T> {
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Answers<T> {
    pub(super) fn push(&mut self, answer: T) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(answer),
            Self::One(first) => Self::Many(vec![first, answer]),
            Self::Many(mut all) => {
                all.push(answer);
                Self::Many(all)
            }
        };
    }
}

/// A caller's hold on its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId {
    index: u32,
    generation: u32,
}

impl SlotId {
    pub(super) fn token(self) -> Token {
        Token(u64::from(self.generation) << 32 | u64::from(self.index))
    }

    fn of(token: Token) -> Self {
        Self { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
    }
}

/// The slots of all calls, used again and again.
pub(super) struct Slots<P: RequestProtocol> {
    slots: Vec<Slot<P>>,
    free: Vec<u32>,
}

impl<P: RequestProtocol> Slots<P> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn allocate(&mut self) -> SlotId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                phase: Phase::Free,
                waker: None,
                deadline: None,
                answers: Answers::None,
            });
            (self.slots.len() - 1) as u32
        });
        SlotId { index, generation: self.slots[index as usize].generation }
    }

    /// Frees a slot. Who still has a hold on it finds nothing.
    pub(super) fn release(&mut self, id: SlotId) {
        let slot = self.at(id);
        slot.generation = slot.generation.wrapping_add(1);
        slot.phase = Phase::Free;
        slot.waker = None;
        slot.deadline = None;
        slot.answers = Answers::None;
        self.free.push(id.index);
    }

    /// The slot of a caller who is still there.
    pub(super) fn at(&mut self, id: SlotId) -> &mut Slot<P> {
        let slot = &mut self.slots[id.index as usize];
        debug_assert_eq!(slot.generation, id.generation, "a slot is freed by its caller or after it left");
        slot
    }

    /// The slot, unless its caller has left.
    pub(super) fn get(&mut self, id: SlotId) -> Option<&mut Slot<P>> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
    }

    /// The slot that `token` names, unless its caller has left.
    pub(super) fn of(&mut self, token: Token) -> Option<&mut Slot<P>> {
        self.get(SlotId::of(token))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot<P>> {
        self.slots.iter_mut()
    }
}
