//! The smallest server: `cargo run --release --example http_hello -- [smol|tokio] [port]`, then `curl http://127.0.0.1:8080/you`.

use std::net::{Ipv4Addr, SocketAddr};

use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use http::{Request, Response};

async fn hello(request: Request<Incoming>) -> Response<String> {
    let name = request.uri().path().trim_start_matches('/');
    Response::new(format!("hello {}\n", if name.is_empty() { "world" } else { name }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let executor = arguments.next().unwrap_or_else(|| "smol".to_owned());
    let port = arguments.next().map_or(Ok(8080), |port| port.parse())?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    println!("http://{at}/ on {executor}");
    match executor.as_str() {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(async {
            Server::bind(glowplug::tokio::Tokio, at).await?.run(service_fn(hello)).await;
            Ok(())
        }),
        _ => smol::block_on(async {
            Server::bind(glowplug::smol::Smol::default(), at).await?.run(service_fn(hello)).await;
            Ok(())
        }),
    }
}
