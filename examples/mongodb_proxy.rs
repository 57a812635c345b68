//! A proxy that prints MongoDB's traffic as readable lines, and forwards every message as it came.
//!
//! `cargo run --example mongodb_proxy -- 127.0.0.1:27018 127.0.0.1:27017` listens on the first address and forwards to the second. Without
//! arguments it stands between a client and an embedded server of its own.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use bytes::BytesMut;
use glowplug::core::SendBuf;
use glowplug::mongodb::Limits;
use glowplug::mongodb::memory::Handle;
use glowplug::mongodb::wire::Decoder;
use glowplug::runtime::{Runtime, Transport};
use glowplug::tokio::mongodb::{Client, Document, doc, serve_memory};
use glowplug::tokio::server::Server;
use glowplug::tokio::{Endpoint, Stream, Tokio};

/// One direction: what was read and is no whole message yet, and what waits to be written.
struct Way {
    arrow: &'static str,
    decoder: Decoder,
    input: BytesMut,
    output: SendBuf,
    ended: bool,
    /// The end was passed on.
    closed: bool,
}

impl Way {
    fn new(arrow: &'static str) -> Self {
        let decoder = Decoder::new(Limits::default().max_message_len());
        let (input, output) = (BytesMut::new(), SendBuf::new());
        Self { arrow, decoder, input, output, ended: false, closed: false }
    }

    /// Reads, prints and writes as far as both ends go along; ready when the end was passed on.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<io::Result<()>> {
        loop {
            while !self.output.is_empty() {
                match to.poll_write(cx, &mut self.output) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => return Poll::Pending,
                };
            }
            if self.ended {
                if !self.closed && to.poll_shutdown(cx).is_ready() {
                    self.closed = true;
                }
                return if self.closed { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            match from.poll_read(cx, &mut self.input) {
                Poll::Ready(read) => self.ended = read? == 0,
                Poll::Pending => return Poll::Pending,
            }
            while let Some(frame) = self.decoder.decode(&mut self.input).map_err(io::Error::other)? {
                println!("{} {frame}", self.arrow);
                self.output.push(frame.bytes().clone());
            }
        }
    }
}

async fn relay(mut client: Stream, upstream: SocketAddr) -> io::Result<()> {
    let mut server = Tokio.connect(&Endpoint::Tcp(upstream)).await?;
    let (mut there, mut back) = (Way::new(">"), Way::new("<"));
    poll_fn(|cx| {
        let forth = there.poll(cx, &mut client, &mut server)?;
        let back = back.poll(cx, &mut server, &mut client)?;
        if forth.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

async fn serve(server: Server, upstream: SocketAddr) {
    server
        .run(|accepted| async move {
            if let Err(error) = relay(accepted.stream, upstream).await {
                println!("! {error}");
            }
        })
        .await;
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(at), Some(upstream)) = (arguments.next(), arguments.next()) {
        let server = Server::bind(Tokio, Endpoint::Tcp(at.parse()?)).await?;
        serve(server, upstream.parse()?).await;
        return Ok(());
    }
    let here = || Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let database = Server::bind(Tokio, here()).await?;
    let upstream = database.local_endpoint()?.socket_addr().ok_or("no address")?;
    tokio::spawn(serve_memory(Tokio, database, Handle::default()));
    let proxy = Server::bind(Tokio, here()).await?;
    let uri = format!("mongodb://{}/?compressors=zlib", proxy.local_endpoint()?);
    tokio::spawn(serve(proxy, upstream));

    let client = Client::connect(&uri).await?;
    let fruit = client.database("shop").collection::<Document>("fruit");
    fruit.insert_many(&[doc! { "name": "fig" }, doc! { "name": "kiwi" }]).run().await?;
    println!("found {:?}", fruit.find(doc! { "name": "fig" }).collect().await?);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(run())
}
