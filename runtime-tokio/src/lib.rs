//! glowplug on tokio: sockets, timers and tasks, and nothing that another executor's plug would say too.
//!
//! Everything here must run inside a tokio runtime with I/O and time enabled.
#![forbid(unsafe_code)]

mod bridge;
mod datagram;
mod runtime;
mod stream;
mod timer;

pub use bridge::FromTokio;
pub use datagram::Datagram;
pub use runtime::Tokio;
pub use stream::{Listener, Stream};
pub use timer::Timer;

glowplug_runtime::plug!(crate::Tokio);
