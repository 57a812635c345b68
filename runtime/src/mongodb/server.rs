//! The embedded server, served.

use glowplug_mongodb::memory;

use super::Stream;
use crate::drive::Serve;
use crate::server::{Guarded, Server, Stopping};
use crate::{MaybeTls, Runtime, Spawn};

/// One connection of the embedded server, as the task that [`serve_memory`] spawns.
pub type Serving<R> = Guarded<Serve<memory::Connection, Stream<R>, R>>;

/// Serves an in-memory MongoDB until the server is stopped: a test double that needs no install.
///
/// The data outlive the server; serve them again, or on several runtimes at once. Dropping the future closes the listener;
/// connections run on.
pub async fn serve_memory<R: Runtime + Spawn<Serving<R>>>(
    runtime: R,
    server: Server<R>,
    data: memory::Handle,
) {
    server
        .run(|accepted| {
            let stream = MaybeTls::Plain(accepted.stream);
            serve(&runtime, stream, &data, accepted.stopping)
        })
        .await;
}

/// The same under TLS.
#[cfg(feature = "tls")]
pub async fn serve_memory_tls<R: Runtime + Spawn<Serving<R>>>(
    runtime: R,
    server: Server<R>,
    tls: crate::tls::ServerConfig,
    data: memory::Handle,
) {
    server
        .run(|accepted| {
            let stream = crate::tls::Tls::server(accepted.stream, &tls)
                .expect("a configuration that was checked when it was made begins a session");
            serve(&runtime, MaybeTls::Tls(Box::new(stream)), &data, accepted.stopping)
        })
        .await;
}

fn serve<R: Runtime>(
    runtime: &R,
    stream: Stream<R>,
    data: &memory::Handle,
    stopping: Stopping,
) -> Serve<memory::Connection, Stream<R>, R> {
    let machine = memory::Connection::new(data);
    Serve::new(runtime.clone(), stream, machine, Some(stopping), |_, event| match event {})
}
