//! A crawler with bounded concurrency: `cargo run --release --example http_crawler -- [--on smol|tokio] [URL]`.
//!
//! It follows the links of one site, never more than eight at once, and says what it found. Without a URL it crawls a site of its own,
//! whose pages link to each other, and where one link is dead and one leads elsewhere.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use glowplug::core::PoolConfig;
use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use glowplug::runtime::http::{Client, ClientError, Reaper};
use glowplug::runtime::{Runtime, Spawn};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http::{Request, Response, StatusCode, Uri};

type Failure = Box<dyn std::error::Error>;

/// Pages in flight.
const AT_ONCE: usize = 8;

/// Pages in all.
const AT_MOST: usize = 500;

/// What a crawl came to.
#[derive(Debug, Default)]
struct Found {
    pages: usize,
    bytes: usize,
    dead: Vec<String>,
}

async fn crawl<R: Runtime + Spawn<Reaper<R>>>(runtime: R, start: &str) -> Result<Found, Failure> {
    let client = Client::builder(runtime).pool(PoolConfig::default().max_per_key(AT_ONCE)).build();
    let start: Uri = start.parse()?;
    let site = start.authority().cloned().ok_or("an absolute url is needed")?;
    let mut seen = BTreeSet::from([start.to_string()]);
    let mut waiting = vec![start];
    let mut fetching = FuturesUnordered::new();
    let mut found = Found::default();
    loop {
        while fetching.len() < AT_ONCE
            && let Some(url) = waiting.pop()
        {
            fetching.push(fetch(&client, url));
        }
        let Some((url, page)) = fetching.next().await else { return Ok(found) };
        match page {
            Ok((StatusCode::OK, text)) => {
                found.pages += 1;
                found.bytes += text.len();
                let links = links(&text).filter_map(|link| join(&url, link));
                for link in links.filter(|link| link.authority() == Some(&site)) {
                    if seen.len() < AT_MOST && seen.insert(link.to_string()) {
                        waiting.push(link);
                    }
                }
            }
            Ok((status, _)) => found.dead.push(format!("{url}: {status}")),
            Err(error) => found.dead.push(format!("{url}: {error}")),
        }
    }
}

/// One page, and where it was in the end.
async fn fetch<R: Runtime>(client: &Client<R>, url: Uri) -> (Uri, Result<(StatusCode, String), ClientError>) {
    match client.get(url.clone()).send().await {
        Ok(answer) => {
            let (url, status) = (answer.url().clone(), answer.status());
            (url, answer.text().await.map(|text| (status, text)))
        }
        Err(error) => (url, Err(error)),
    }
}

/// The values of `href="..."`: enough for an example, and no parser of HTML.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(link, _)| link)
}

/// Where a link on a page leads: the rules are those of a redirect.
fn join(page: &Uri, link: &str) -> Option<Uri> {
    let get = http::Method::GET;
    let next = glowplug::http::redirect::next(&get, page, StatusCode::FOUND, Some(link.as_bytes()));
    next.ok().flatten().map(|next| next.uri)
}

/// A site of a hundred pages: each links to two that come after it.
async fn site(request: Request<Incoming>) -> Response<String> {
    let path = request.uri().path().trim_start_matches('/');
    let Some(n) = path.parse::<u32>().ok().or((path.is_empty()).then_some(0)).filter(|n| *n < 100) else {
        let mut missing = Response::new(String::from("no such page"));
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return missing;
    };
    Response::new(format!(
        "<h1>page {n}</h1> <a href=\"/{}\">one</a> <a href=\"./{}?from={n}#top\">two</a> <a href=\"http://elsewhere.example/\">away</a>",
        n + 1,
        (n * 2) % 100,
    ))
}

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut executor = "smol".to_owned();
    if arguments.first().is_some_and(|first| first == "--on") {
        executor = arguments.get(1).cloned().ok_or("--on needs the name of an executor")?;
        arguments.drain(..2);
    }
    let url = arguments.first().cloned();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // The same few lines for each executor: a site of our own is served beside the crawl until that is done.
    macro_rules! crawl {
        ($runtime:expr) => {
            async {
                let server = Server::bind($runtime, anywhere).await?;
                let url = url
                    .map_or_else(|| Ok(format!("http://{}/", server.local_endpoint()?)), Ok::<_, Failure>)?;
                match select(pin!(crawl($runtime, &url)), pin!(server.run(service_fn(site)))).await {
                    Either::Left((done, _)) => done,
                    Either::Right(_) => Err("the server ended".into()),
                }
            }
        };
    }
    let found = match executor.as_str() {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(crawl!(Tokio)),
        "smol" => smol::block_on(crawl!(Smol::default())),
        other => Err(format!("{other} is none of: smol, tokio").into()),
    }?;
    println!("{} pages, {} bytes, {} dead links", found.pages, found.bytes, found.dead.len());
    for dead in found.dead {
        println!("  {dead}");
    }
    Ok(())
}
