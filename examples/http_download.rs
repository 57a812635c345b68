//! A download with a progress bar: `cargo run --release --example http_download -- [--on smol|tokio] [URL [FILE]]`.
//!
//! Without a URL it serves itself 200 MB. Nothing is held but the piece that is being written.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream;
use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use glowplug::runtime::http::{Client, Reaper};
use glowplug::runtime::{Runtime, Spawn};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use indicatif::{ProgressBar, ProgressStyle};

type Failure = Box<dyn std::error::Error>;

/// Fetches `url` into `file`, and shows how it goes.
async fn download<R: Runtime + Spawn<Reaper<R>>>(
    runtime: R,
    url: &str,
    mut file: impl Write,
) -> Result<u64, Failure> {
    let client = Client::builder(runtime).build();
    let mut answer = client.get(url).send().await?;
    if !answer.status().is_success() {
        return Err(format!("{} says {}", answer.url(), answer.status()).into());
    }
    let bar = match answer.content_length() {
        Some(length) => ProgressBar::new(length),
        None => ProgressBar::no_length(),
    };
    bar.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?);
    let mut length = 0;
    while let Some(piece) = answer.chunk().await? {
        file.write_all(&piece)?;
        length += piece.len() as u64;
        bar.set_position(length);
    }
    bar.finish();
    Ok(length)
}

/// 200 MB of zeros, piece by piece.
async fn zeros(
    _: Request<Incoming>,
) -> Response<StreamBody<impl stream::Stream<Item = io::Result<Frame<Bytes>>>>> {
    static PIECE: [u8; 50_000] = [0; 50_000];
    let pieces = (0..4_000).map(|_| Ok(Frame::data(Bytes::from_static(&PIECE))));
    let mut answer = Response::new(StreamBody::new(stream::iter(pieces)));
    answer.headers_mut().insert("content-length", 200_000_000_u64.into());
    answer
}

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut executor = "smol".to_owned();
    if arguments.first().is_some_and(|first| first == "--on") {
        executor = arguments.get(1).cloned().ok_or("--on needs the name of an executor")?;
        arguments.drain(..2);
    }
    let file: Box<dyn Write> = match arguments.get(1) {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::sink()),
    };
    let url = arguments.first().cloned();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // The same few lines for each executor: a server of our own runs beside the download until that is done.
    macro_rules! fetch {
        ($runtime:expr) => {
            async {
                let server = Server::bind($runtime, anywhere).await?;
                let own = format!("http://{}/", server.local_endpoint()?);
                let url = url.unwrap_or(own);
                let download = download($runtime, &url, file);
                match select(pin!(download), pin!(server.run(service_fn(zeros)))).await {
                    Either::Left((done, _)) => done,
                    Either::Right(_) => Err("the server ended".into()),
                }
            }
        };
    }
    let length = match executor.as_str() {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(fetch!(Tokio)),
        "smol" => smol::block_on(fetch!(Smol::default())),
        other => Err(format!("{other} is none of: smol, tokio").into()),
    }?;
    println!("{length} bytes");
    Ok(())
}
