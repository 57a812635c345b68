//! The embedded server, served.

use glowplug_redis::memory;

use crate::drive::Serve;
use crate::server::{Guarded, Server};
use crate::{Runtime, Spawn};

/// One connection of the embedded server, as the task that [`serve_memory`] spawns.
pub type Serving<R> = Guarded<Serve<memory::Connection, <R as Runtime>::Stream, R>>;

/// Serves an in-memory Redis until the server is stopped: a test double that needs no install.
///
/// The store outlives the server; serve it again, or on several runtimes at once. Dropping the future closes the listener;
/// connections run on.
pub async fn serve_memory<R: Runtime + Spawn<Serving<R>>>(
    runtime: R,
    server: Server<R>,
    store: memory::Handle,
) {
    server
        .run(|accepted| {
            let machine = memory::Connection::new(runtime.now(), &store);
            Serve::new(runtime.clone(), accepted.stream, machine, Some(accepted.stopping), |_, event| {
                match event {}
            })
        })
        .await;
}
