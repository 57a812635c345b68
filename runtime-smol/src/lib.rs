//! glowplug on smol: sockets, timers and tasks, and nothing that another executor's plug would say too.
//!
//! Tasks run on smol's global executor, or on one of yours with [`Smol::on`].
#![forbid(unsafe_code)]

mod datagram;
mod eager;
mod runtime;
mod stream;
mod timer;

pub use datagram::Datagram;
pub use runtime::Smol;
pub use stream::{Listener, Stream};
pub use timer::Timer;

glowplug_runtime::plug!(crate::Smol);
