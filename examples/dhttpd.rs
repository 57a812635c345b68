//! A directory on the web: `cargo run --release --example dhttpd -- --listing ~/public`, then `curl http://127.0.0.1:8080/`.
//!
//! A program to keep: ranges, conditions, compression, HTTPS, an access log, and an end that lets downloads finish. `--help` has the rest.

use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Buf;
use glowplug::http::HttpDate;
use glowplug::runtime::Endpoint;
use glowplug::runtime::http::compress::{Compress, Compression};
use glowplug::runtime::http::files::{Files, Symlinks};
use glowplug::runtime::http::server::{Config, Incoming, Server};
use glowplug::runtime::services::Services;
use glowplug::runtime::tls::ServerConfig;
use glowplug::runtime::tls::rustls::pki_types::pem::PemObject;
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Serves the files of a directory over HTTP.

usage: dhttpd [OPTIONS] [DIRECTORY]

  -d, --directory DIR   what to serve; default the current directory
  -a, --address ADDR    where to listen; default 127.0.0.1
  -p, --port PORT       default 8080; 0 for any that is free
  -l, --listing         list directories that have no index.html
      --hidden          serve names that begin with a dot
      --follow-links    follow symbolic links out of the directory
      --fallback FILE   what browsers get where there is nothing, for applications of one page
      --max-age SECS    let clients keep files for so long without asking
      --precompressed   send FILE.br, FILE.zst or FILE.gz for FILE to those who accept them
      --no-compression  do not compress what is sent
      --cert FILE       serve HTTPS with this chain of certificates (PEM)
      --key FILE        and this private key (PEM)
      --no-log          write no access log; it goes to standard output, in the combined format
      --on EXECUTOR     smol or tokio; default smol
  -h, --help            print this
";

/// Where the lines of the access log go.
type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// The command line.
pub(crate) struct Options {
    pub(crate) directory: PathBuf,
    pub(crate) at: SocketAddr,
    pub(crate) listing: bool,
    hidden: bool,
    follow_links: bool,
    fallback: Option<PathBuf>,
    max_age: Option<u32>,
    precompressed: bool,
    compression: bool,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) log: Option<Log>,
    pub(crate) on: String,
}

impl Options {
    pub(crate) fn new() -> Self {
        Self {
            directory: PathBuf::from("."),
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            listing: false,
            hidden: false,
            follow_links: false,
            fallback: None,
            max_age: None,
            precompressed: false,
            compression: true,
            certificate: None,
            key: None,
            log: Some(Arc::new(|line| {
                // A reader that has gone is no reason to stop serving.
                let _ = writeln!(std::io::stdout(), "{line}");
            })),
            on: "smol".to_owned(),
        }
    }

    /// `None` when only help was asked for.
    fn from_args() -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self::new();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('d') | Long("directory") => options.directory = parser.value()?.into(),
                Value(directory) => options.directory = directory.into(),
                Short('a') | Long("address") => options.at.set_ip(parser.value()?.parse::<IpAddr>()?),
                Short('p') | Long("port") => options.at.set_port(parser.value()?.parse()?),
                Short('l') | Long("listing") => options.listing = true,
                Long("hidden") => options.hidden = true,
                Long("follow-links") => options.follow_links = true,
                Long("fallback") => options.fallback = Some(parser.value()?.into()),
                Long("max-age") => options.max_age = Some(parser.value()?.parse()?),
                Long("precompressed") => options.precompressed = true,
                Long("no-compression") => options.compression = false,
                Long("cert") => options.certificate = Some(parser.value()?.into()),
                Long("key") => options.key = Some(parser.value()?.into()),
                Long("no-log") => options.log = None,
                Long("on") => options.on = parser.value()?.string()?,
                Short('h') | Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }

    fn files(&self) -> Result<Files, Failure> {
        let files =
            Files::new(&self.directory).map_err(|error| format!("{}: {error}", self.directory.display()))?;
        let links = if self.follow_links { Symlinks::Anywhere } else { Symlinks::Within };
        let mut files =
            files.listing(self.listing).hidden(self.hidden).precompressed(self.precompressed).symlinks(links);
        if let Some(page) = &self.fallback {
            files = files.fallback(page);
        }
        if let Some(seconds) = self.max_age {
            files = files.cache_control(HeaderValue::try_from(format!("max-age={seconds}"))?);
        }
        Ok(files)
    }

    fn tls(&self) -> Result<Option<ServerConfig>, Failure> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
                Ok(Some(ServerConfig::new(chain, PrivateKeyDer::from_pem_file(key)?)?))
            }
            _ => Err("HTTPS takes both --cert and --key".into()),
        }
    }
}

/// What is served, by these options.
fn service(options: &Options) -> Result<Logged<Compress<Files>>, Failure> {
    let mut compression = Compression::default();
    if !options.compression {
        compression = compression.codings([]);
    }
    Ok(Logged { inner: Compress::new(options.files()?, compression), log: options.log.clone() })
}

/// Serves until Ctrl-C, then lets what was begun finish for a few seconds. `ready` learns where it listens.
pub(crate) fn run(options: &Options, ready: impl FnOnce(Endpoint)) -> Result<(), Failure> {
    let (service, tls) = (service(options)?, options.tls()?);
    let config = Config::default().drain_timeout(Duration::from_secs(10));
    // The same few lines for each executor.
    macro_rules! serve {
        ($runtime:expr) => {
            async {
                let runtime = $runtime;
                let mut server = Server::bind(runtime.clone(), options.at).await?.config(config);
                if let Some(tls) = tls {
                    server = server.tls(tls);
                }
                ready(server.local_endpoint()?);
                let mut services = Services::new(runtime);
                services.add("files", server.stopper(), server.run(service));
                services.run_until_interrupted().await??;
                Ok(())
            }
        };
    }
    match options.on.as_str() {
        "smol" => smol::block_on(serve!(glowplug::smol::Smol::default())),
        #[allow(clippy::clone_on_copy, reason = "one text, for runtimes that are Copy and for others")]
        "tokio" => tokio::runtime::Runtime::new()?.block_on(serve!(glowplug::tokio::Tokio)),
        other => Err(format!("there is no executor called {other}").into()),
    }
}

fn main() -> Result<(), Failure> {
    let Some(options) = Options::from_args()? else {
        print!("{HELP}");
        return Ok(());
    };
    let scheme = if options.certificate.is_some() { "https" } else { "http" };
    run(&options, |at| eprintln!("{} is at {scheme}://{at}/", options.directory.display()))?;
    eprintln!("done");
    Ok(())
}

/// Writes a line for each answer, once it is sent or given up.
#[derive(Clone)]
pub(crate) struct Logged<S> {
    inner: S,
    log: Option<Log>,
}

impl<S, B> Service<Request<Incoming>> for Logged<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    B: Body<Data: Buf>,
{
    type Response = Response<Counted<B>>;
    type Error = S::Error;
    type Future = Logging<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let entry = self.log.as_ref().map(|log| Entry::of(&request, log.clone()));
        Logging { inner: Box::pin(self.inner.call(request)), entry }
    }
}

/// The future of a [`Logged`].
pub(crate) struct Logging<F> {
    inner: Pin<Box<F>>,
    entry: Option<Entry>,
}

impl<F, B, E> Future for Logging<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Counted<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.inner.as_mut().poll(cx))?;
        let mut entry = self.entry.take();
        if let Some(entry) = &mut entry {
            entry.status = response.status().as_u16();
        }
        Poll::Ready(Ok(response.map(|body| Counted { body: Box::pin(body), entry })))
    }
}

/// A body, and the line that is written when it goes.
pub(crate) struct Counted<B> {
    body: Pin<Box<B>>,
    entry: Option<Entry>,
}

impl<B: Body<Data: Buf>> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        if let (Some(Ok(frame)), Some(entry)) = (&frame, &mut self.entry)
            && let Some(data) = frame.data_ref()
        {
            entry.bytes += data.remaining() as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A line of the access log.
struct Entry {
    peer: String,
    at: SystemTime,
    line: String,
    referer: String,
    agent: String,
    status: u16,
    bytes: u64,
    log: Log,
}

impl Entry {
    fn of(request: &Request<Incoming>, log: Log) -> Self {
        let peer = request.body().connection().peer();
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        Self {
            peer: peer.socket_addr().map_or_else(|| "-".to_owned(), |at| at.ip().to_string()),
            at: SystemTime::now(),
            line: quoted(format!("{} {target} {:?}", request.method(), request.version()).as_bytes()),
            referer: field(request.headers(), &header::REFERER),
            agent: field(request.headers(), &header::USER_AGENT),
            status: 499,
            bytes: 0,
            log,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Self { peer, line, status, bytes, referer, agent, .. } = self;
        let at = stamp(self.at);
        (self.log)(&format!("{peer} - - [{at}] {line} {status} {bytes} {referer} {agent}"));
    }
}

fn field(headers: &HeaderMap, name: &HeaderName) -> String {
    quoted(headers.get(name).map_or(b"-", HeaderValue::as_bytes))
}

/// In quotes, with whatever could end them or the line escaped.
fn quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in text {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
            other => quoted.push(char::from(other)),
        }
    }
    quoted.push('"');
    quoted
}

/// `06/Nov/1994:08:49:37 +0000`, from the date that HTTP has.
fn stamp(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let date = HttpDate::from_unix(seconds);
    let date = date.as_str();
    format!("{}/{}/{}:{} +0000", &date[5..7], &date[8..11], &date[12..16], &date[17..25])
}
