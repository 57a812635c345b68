//! The contract of the two protocol traits, as laws that are tried on a machine.
//!
//! Describe a machine once, as a [`StreamSubject`](stream::StreamSubject) or a
//! [`DatagramSubject`](datagram::DatagramSubject): how to build it, what the peer might send, how its events are written down. Then
//! [`stream_laws!`](crate::stream_laws) or [`datagram_laws!`](crate::datagram_laws) makes one test of each law:
//!
//! ```
//! use glowplug_conformance::reference::line;
//!
//! // In a test file; `cargo test line_echo::cuts` then runs one law alone.
//! glowplug_conformance::stream_laws!(line_echo, line::subject());
//! ```
//!
//! Nothing here sleeps, reads a clock or asserts a duration: what a law measures is counted, in calls, in bytes or in
//! allocations, so the same plan gives the same result on any machine under any load.
//!
//! What the laws cannot see: a single call that never returns (the test hangs; run it under a harness with a time limit),
//! and quadratic work over bytes that a machine has copied into itself (see [`StreamLaw::LinearCost`](stream::StreamLaw::LinearCost)).

pub mod datagram;
pub(crate) mod guard;
pub mod journal;
mod mutate;
pub mod stream;

/// Makes a module with one test for each [`StreamLaw`](crate::StreamLaw), tried on the subject that the expression
/// builds.
#[macro_export]
macro_rules! stream_laws {
    ($module:ident, $subject:expr) => {
        $crate::__laws!($module, $crate::StreamLaw, $subject,
            cuts: Cuts, incomplete_stays: IncompleteStays, linear_cost: LinearCost, time: Time, end_of_stream: EndOfStream,
            errors_end: ErrorsEnd, bounded_work: BoundedWork, memory: Memory, no_panic: NoPanic, close: Close, quiet: Quiet,
            interest: Interest);
    };
}

/// Makes a module with one test for each [`DatagramLaw`](crate::DatagramLaw), tried on the subject that the
/// expression builds.
#[macro_export]
macro_rules! datagram_laws {
    ($module:ident, $subject:expr) => {
        $crate::__laws!($module, $crate::DatagramLaw, $subject,
            batching: Batching, errors: Errors, transmits: Transmits, time: Time, bounded_work: BoundedWork, memory: Memory,
            no_panic: NoPanic, close: Close, quiet: Quiet);
    };
}

/// The body of [`stream_laws!`](crate::stream_laws) and [`datagram_laws!`](crate::datagram_laws).
#[doc(hidden)]
#[macro_export]
macro_rules! __laws {
    ($module:ident, $laws:ty, $subject:expr, $($test:ident: $law:ident),+) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $test() {
                    if let Err(failure) = <$laws>::$law.check(&$subject, &$crate::Plan::from_env()) {
                        panic!("{failure}");
                    }
                }
            )+
        }
    };
}
