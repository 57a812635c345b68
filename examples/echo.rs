//! An echo of lines: one plain function for each connection.
//!
//! ```sh
//! cargo run --example echo                                        # its own server, its own client
//! cargo run --example echo -- --on tokio --listen 127.0.0.1:7000  # until Ctrl-C; talk to it with nc
//! ```

pub(crate) mod common;

use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use glowplug::runtime::Runtime;
use glowplug::runtime::services::Services;
use glowplug::runtime::tcp::{self, Connection, Service};

fn main() -> Result<(), Failure> {
    run(&Options::from_args()?)
}

/// The whole program. On a runtime of your choice, this is all of it; the macro is only there to choose.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    on_executor!(options, |runtime| async {
        let service = Service::bind(runtime.clone(), options.address()).await?;
        let at = service.local_endpoint()?;
        println!("listening at {at}");
        let mut services = Services::new(runtime.clone());
        services.add("echo", service.stopper(), service.serve(echo));
        if options.listen.is_some() {
            services.run_until_interrupted().await??;
            return Ok(());
        }
        let port = at.socket_addr().map_or(0, |address| address.port());
        match select(Box::pin(talk(&runtime, port)), Box::pin(services.run())).await {
            Either::Left((talked, _)) => talked,
            Either::Right(_) => Err("the service ended".into()),
        }
    })
}

/// The conversation. When the function ends, what it sent is flushed, and the connection is closed.
async fn echo<R: Runtime>(mut connection: Connection<R>) {
    if let Err(error) = try_echo(&mut connection).await
        && !error.is_closed()
    {
        eprintln!("{:?}: {error}", connection.peer());
    }
}

async fn try_echo<R: Runtime>(connection: &mut Connection<R>) -> Result<(), tcp::Error> {
    loop {
        let line = connection.read_line().await?;
        connection.feed(line).await?;
        connection.send("\r\n").await?;
    }
}

/// The client's side of the story.
async fn talk<R: Runtime>(runtime: &R, port: u16) -> Result<(), Failure> {
    let mut connection = tcp::connect(runtime, "localhost", port).await?;
    for word in ["hello", "is there an echo?", "there is"] {
        connection.send(format!("{word}\r\n")).await?;
        let answer = connection.read_line().await?;
        println!("{word:>20} -> {}", String::from_utf8_lossy(&answer));
        if answer != word {
            return Err("that is no echo".into());
        }
    }
    connection.close().await?;
    Ok(())
}
