//! Whether a request may be sent again after its connection failed.

use glowplug_core::Progress;
use http::Method;

/// What is known of a request whose connection ended without a complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// How far it got: see [`ClientConnection::progress`](crate::ClientConnection::progress).
    pub progress: Progress,
    /// The body can be produced once more from its beginning (or there is none).
    pub body_is_replayable: bool,
    /// The caller vouches for it that sending this request twice is the same as once, say by an idempotency key.
    pub declared_idempotent: bool,
    /// The connection had carried another exchange before: it may simply have been closed while it lay idle.
    pub reused: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again on another connection: the server has not seen it.
    Safe,
    /// Send it again if the caller allows for repeats: the server may have acted on it, but the method says that twice is
    /// the same as once (RFC 9110 §9.2.2).
    Idempotent,
    /// Tell the caller: the server may have acted on it.
    Unsafe,
}

/// Whether the request may be sent again.
///
/// - Of a request that was not sent, the server knows nothing: [`Verdict::Safe`] for any method.
/// - A request that was sent, in part or in full, on a connection that had been idle is the common race with the server's own
///   idle timeout (RFC 9112 §9.3.1). Idempotent methods may be repeated; others never are, since a server may act on what it
///   reads as it comes.
/// - Once the answer has begun, what the caller has seen of it cannot be taken back.
///
/// ```
/// use glowplug_core::Progress;
/// use glowplug_http::{Method, retry::{Attempt, Verdict, verdict}};
/// let post = Attempt {
///     method: &Method::POST,
///     progress: Progress::FullySent,
///     body_is_replayable: true,
///     declared_idempotent: false,
///     reused: true,
/// };
/// assert_eq!(verdict(&post), Verdict::Unsafe);
/// assert_eq!(verdict(&Attempt { progress: Progress::NotSent, ..post }), Verdict::Safe);
/// ```
pub fn verdict(attempt: &Attempt<'_>) -> Verdict {
    if !attempt.body_is_replayable {
        return Verdict::Unsafe;
    }
    match attempt.progress {
        Progress::NotSent => Verdict::Safe,
        Progress::PartlySent | Progress::FullySent
            if attempt.reused && (attempt.declared_idempotent || is_idempotent(attempt.method)) =>
        {
            Verdict::Idempotent
        }
        Progress::PartlySent | Progress::FullySent | Progress::AnswerBegun => Verdict::Unsafe,
    }
}

/// RFC 9110 §9.2.2: the methods of which several are the same as one.
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Idempotent, Safe, Unsafe};
    use super::*;

    #[test]
    fn what_may_have_been_applied_is_never_repeated() {
        let all = [Progress::NotSent, Progress::PartlySent, Progress::FullySent, Progress::AnswerBegun];
        let of = |method: &Method, reused, body_is_replayable| {
            all.map(|progress| {
                verdict(&Attempt { method, progress, body_is_replayable, declared_idempotent: false, reused })
            })
        };
        assert_eq!(of(&Method::GET, true, true), [Safe, Idempotent, Idempotent, Unsafe]);
        assert_eq!(of(&Method::POST, true, true), [Safe, Unsafe, Unsafe, Unsafe]);
        assert_eq!(of(&Method::GET, false, true), [Safe, Unsafe, Unsafe, Unsafe]);
        assert_eq!(of(&Method::PUT, true, false), [Unsafe; 4]);
    }
}
