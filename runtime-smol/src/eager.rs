//! When to try, and when to wait first.

/// Whether a socket is tried at once or the reactor asked first; one for each direction.
///
/// A try at once is a call in vain where the peer answers one question at a time, and saves a turn of the reactor (six calls) where
/// it talks all the time. Which of the two it is, the last tries tell; but only where nobody takes the reactor's silence for the
/// socket's, as somebody does who looks at an idle connection.
#[derive(Debug, Default)]
pub(crate) struct Eager {
    adapts: bool,
    /// The reactor was asked, and has not answered. To try before it does is in vain, and leaves its answer behind, with which the next
    /// wait would end at once, for nothing.
    asked: bool,
    /// Tries in a row that found nothing; beyond [`Eager::PATIENCE`], waits since the last one.
    vain: u8,
}

impl Eager {
    /// So many tries in vain make it wait first; so many waits later it tries again.
    const PATIENCE: u8 = 16;

    /// One that learns from what came of its tries.
    pub(crate) fn adaptive() -> Self {
        Self { adapts: true, ..Self::default() }
    }

    /// Learns from now on.
    pub(crate) fn adapt(&mut self) {
        self.adapts = true;
    }

    /// Whether to try before the reactor is asked.
    pub(crate) fn tries(&mut self) -> bool {
        if self.asked {
            return false;
        }
        if !self.adapts || self.vain < Self::PATIENCE {
            return true;
        }
        self.vain += 1;
        if self.vain < 2 * Self::PATIENCE {
            return false;
        }
        self.vain = Self::PATIENCE - 1;
        true
    }

    /// What came of a try before the reactor was asked.
    pub(crate) fn tried(&mut self, in_vain: bool) {
        self.vain = if in_vain { self.vain.saturating_add(1) } else { 0 };
    }

    /// The reactor was asked, and whether it is still to answer.
    pub(crate) fn asked(&mut self, pending: bool) {
        self.asked = pending;
    }
}

/// Does `$io` on a non-blocking socket when it is its time, `$ready` being what asks the reactor.
macro_rules! when_ready {
    ($eager:expr, $ready:expr, $io:expr) => {{
        let eager = $eager;
        let mut first = eager.tries();
        loop {
            if !first {
                let answer = $ready;
                eager.asked(answer.is_pending());
                std::task::ready!(answer)?;
            }
            let result: io::Result<_> = $io;
            let in_vain = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if std::mem::take(&mut first) {
                eager.tried(in_vain);
            }
            match result {
                Err(_) if in_vain => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => first = true,
                result => return std::task::Poll::Ready(result),
            }
        }
    }};
}
pub(crate) use when_ready;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_talks_is_read_at_once_and_who_answers_is_waited_for() {
        let mut eager = Eager::adaptive();
        for _ in 0..100 {
            assert!(eager.tries());
            eager.tried(false);
        }
        // In vain, again and again: the reactor first, and now and then a look.
        for _ in 0..Eager::PATIENCE {
            assert!(eager.tries());
            eager.tried(true);
        }
        let looks = (0..160).filter(|_| {
            let tries = eager.tries();
            if tries {
                eager.tried(true);
            }
            tries
        });
        assert_eq!(looks.count(), 10);
        // The peer talks again.
        while !eager.tries() {}
        eager.tried(false);
        assert!(eager.tries());
    }

    #[test]
    fn who_only_looks_is_told_what_is_there() {
        let mut eager = Eager::default();
        for _ in 0..1000 {
            assert!(eager.tries());
            eager.tried(true);
        }
    }

    #[test]
    fn nothing_is_tried_while_the_reactor_is_to_answer() {
        let mut eager = Eager::default();
        eager.asked(true);
        assert!(!eager.tries());
        assert!(!eager.tries());
        eager.asked(false);
        assert!(eager.tries());
    }
}
