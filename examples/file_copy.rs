//! A file copier over HTTP, with a progress bar: `cargo run --release --example file_copy -- [--on smol|tokio] FROM TO`.
//!
//! One of the two is a URL: a download goes on where it was cut off, also when it is started again (what it needs for that lies beside the file, in
//! `TO.etag`); an upload is a `PUT`. Without arguments it serves itself a folder, and copies 100 MB there and back. The proxies of the environment
//! are used.

use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::future::{Either, select};
use glowplug::http::resume::Validator;
use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use glowplug::runtime::http::{Body, Client, Download, Reaper, proxies_from_env};
use glowplug::runtime::{Runtime, Spawn};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use indicatif::{ProgressBar, ProgressStyle};

type Failure = Box<dyn std::error::Error>;

fn bar(total: Option<u64>) -> Result<ProgressBar, Failure> {
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?);
    Ok(bar)
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Copies whichever way it is; how many bytes.
async fn copy<R: Runtime + Spawn<Reaper<R>>>(runtime: R, from: &str, to: &str) -> Result<u64, Failure> {
    let client = Client::builder(runtime).proxies(proxies_from_env()?).build();
    match (is_url(from), is_url(to)) {
        (true, false) => download(&client, from, Path::new(to)).await,
        (false, true) => upload(&client, Path::new(from), to).await,
        _ => Err("one of the two has to be a url".into()),
    }
}

async fn download<R: Runtime>(client: &Client<R>, url: &str, to: &Path) -> Result<u64, Failure> {
    let mut kept = to.as_os_str().to_owned();
    kept.push(".etag");
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(to)?;
    let validator = fs::read(&kept).ok().and_then(|value| HeaderValue::from_bytes(&value).ok());
    let there = if validator.is_some() { file.seek(SeekFrom::End(0))? } else { 0 };
    let mut download = Download::resume(there, validator.map(Validator::from_value));
    let bar = bar(None)?;
    let outcome = download
        .run(
            || client.get(url),
            &mut file,
            |progress| {
                progress.total.into_iter().for_each(|total| bar.set_length(total));
                bar.set_position(progress.done);
            },
        )
        .await;
    match (&outcome, download.validator()) {
        (Err(_), Some(validator)) => fs::write(&kept, validator.value().as_bytes())?,
        _ => drop(fs::remove_file(&kept)),
    }
    bar.finish();
    Ok(outcome?)
}

async fn upload<R: Runtime>(client: &Client<R>, from: &Path, url: &str) -> Result<u64, Failure> {
    let file = File::open(from)?;
    let length = file.metadata()?.len();
    let bar = bar(Some(length))?;
    let shown = bar.clone();
    let body = Body::from_file(file)?.on_progress(move |progress| shown.set_position(progress.done));
    // The server may refuse before anything of the file is on its way.
    let answer = client.put(url).expect_continue().body(body).send().await?;
    bar.finish();
    if answer.status().is_success() {
        Ok(length)
    } else {
        Err(format!("the server answers {}", answer.status()).into())
    }
}

/// A server of one folder: takes a file by `PUT`, gives one back by `GET`, or the rest of one.
async fn serve(folder: &Path, request: Request<Incoming>) -> Response<Body> {
    let answer = |status| {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status;
        answer
    };
    // One name, and nothing that leads elsewhere.
    let name = request.uri().path().trim_start_matches('/').to_owned();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return answer(StatusCode::NOT_FOUND);
    }
    let path = folder.join(name);
    if *request.method() == Method::PUT {
        let Ok(mut file) = File::create(path) else { return answer(StatusCode::INTERNAL_SERVER_ERROR) };
        let mut body = request.into_body();
        loop {
            match body.data().await {
                Ok(Some(data)) if file.write_all(&data).is_ok() => {}
                Ok(Some(_)) => return answer(StatusCode::INSUFFICIENT_STORAGE),
                Ok(None) => return answer(StatusCode::CREATED),
                Err(_) => return answer(StatusCode::BAD_REQUEST),
            }
        }
    }
    let Ok(mut file) = File::open(path) else { return answer(StatusCode::NOT_FOUND) };
    let length = file.metadata().map_or(0, |meta| meta.len());
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<u64>().ok());
    let from = from.filter(|from| *from < length);
    let sought = file.seek(SeekFrom::Start(from.unwrap_or(0)));
    let Ok(body) = sought.and_then(|_| Body::from_file(file)) else {
        return answer(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut answer = Response::new(body);
    if let Some(from) = from {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {from}-{}/{length}", length - 1);
        answer.headers_mut().extend(HeaderValue::try_from(range).map(|range| (header::CONTENT_RANGE, range)));
    }
    // Nobody changes these files.
    answer.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"1\""));
    answer
}

/// 100 MB of it.
fn make(path: &Path) -> Result<(), Failure> {
    let mut file = File::create(path)?;
    let piece: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    (0..1000).try_for_each(|_| file.write_all(&piece))?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut executor = "smol".to_owned();
    if arguments.first().is_some_and(|first| first == "--on") {
        executor = arguments.get(1).cloned().ok_or("--on needs the name of an executor")?;
        arguments.drain(..2);
    }
    let folder: PathBuf = std::env::temp_dir().join(format!("file_copy-{}", std::process::id()));
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // The same few lines for each executor.
    macro_rules! run {
        ($runtime:expr) => {
            async {
                if let [from, to] = &arguments[..] {
                    return copy($runtime, from, to).await;
                }
                fs::create_dir_all(folder.join("served"))?;
                let [here, back] = ["here", "back"].map(|name| folder.join(name));
                make(&here)?;
                let served = folder.join("served");
                let server = Server::bind($runtime, anywhere).await?;
                let url = format!("http://{}/file", server.local_endpoint()?);
                let service = service_fn(move |request| {
                    let served = served.clone();
                    async move { Ok::<_, Infallible>(serve(&served, request).await) }
                });
                let both = async {
                    copy($runtime, &here.to_string_lossy(), &url).await?;
                    copy($runtime, &url, &back.to_string_lossy()).await
                };
                let copied = match select(pin!(both), pin!(server.run(service))).await {
                    Either::Left((copied, _)) => copied,
                    Either::Right(_) => Err("the server ended".into()),
                };
                let same = fs::read(&here)? == fs::read(&back)?;
                fs::remove_dir_all(&folder)?;
                if same { copied } else { Err("it is not the same any more".into()) }
            }
        };
    }
    let length = match executor.as_str() {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(run!(Tokio)),
        "smol" => smol::block_on(run!(Smol::default())),
        other => Err(format!("{other} is none of: smol, tokio").into()),
    }?;
    println!("{length} bytes");
    Ok(())
}
