//! A tap: passes the bytes of HTTP connections on as they come, and prints what it sees of the messages in them.
//!
//! ```sh
//! cargo run --example http_tap                                                       # its own server, its own client
//! cargo run --example http_tap -- --listen 127.0.0.1:8080 --server example.org:80    # until Ctrl-C; ask it with curl
//! ```
//!
//! What it prints never holds up what it passes on: whatever is no HTTP is passed on, too, and said to be none.

pub(crate) mod common;

use bytes::BytesMut;
use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use glowplug::http::wire::{Observer, Part};
use glowplug::runtime::Runtime;
use glowplug::runtime::http::Client;
use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use glowplug::runtime::services::Services;
use glowplug::runtime::tcp::{self, Connection, Service};
use http::{Request, Response};

fn main() -> Result<(), Failure> {
    run(&Options::from_args()?)
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    on_executor!(options, |runtime| async {
        let tap = Service::bind(runtime.clone(), options.address()).await?;
        let at = tap.local_endpoint()?;
        println!("listening at {at}");
        let mut services = Services::new(runtime.clone());
        let server = match &options.server {
            Some(server) => server.clone(),
            None => {
                let server = Server::bind(runtime.clone(), Options::on(&options.on).address()).await?;
                let port = server.local_endpoint()?.socket_addr().map_or(0, |address| address.port());
                services.add("server", server.stopper(), server.run(service_fn(hello)));
                ("localhost".to_owned(), port)
            }
        };
        services.add("tap", tap.stopper(), tap.serve(move |client| pass_on(client, server.clone())));
        if options.listen.is_some() {
            services.run_until_interrupted().await??;
            return Ok(());
        }
        let client = Client::builder(runtime.clone()).build();
        match select(Box::pin(talk(client, at.to_string())), Box::pin(services.run())).await {
            Either::Left((talked, _)) => talked,
            Either::Right(_) => Err("the services ended".into()),
        }
    })
}

/// One connection: whoever has something to say is listened to, and the other one hears it.
async fn pass_on<R: Runtime>(mut client: Connection<R>, (host, port): (String, u16)) {
    let passed = async {
        let mut server = tcp::connect(client.runtime(), &host, port).await?;
        let mut tap = Tap::default();
        let (mut up, mut down) = (true, true);
        while up || down {
            // Dropping the read that did not come first loses nothing.
            let first = match (up, down) {
                (true, true) => match select(client.read_any(), server.read_any()).await {
                    Either::Left((bytes, _)) => Either::Left(bytes),
                    Either::Right((bytes, _)) => Either::Right(bytes),
                },
                (true, false) => Either::Left(client.read_any().await),
                (false, _) => Either::Right(server.read_any().await),
            };
            match first {
                Either::Left(Ok(bytes)) => {
                    tap.up(&bytes);
                    server.send(bytes).await?;
                }
                Either::Right(Ok(bytes)) => {
                    tap.down(&bytes);
                    client.send(bytes).await?;
                }
                Either::Left(Err(error)) if error.is_closed() => {
                    up = false;
                    tap.observer.handle_client_eof();
                    server.finish().await?;
                }
                Either::Right(Err(error)) if error.is_closed() => {
                    down = false;
                    tap.observer.handle_server_eof();
                    tap.down(b"");
                    client.finish().await?;
                }
                Either::Left(Err(error)) | Either::Right(Err(error)) => return Err(error.into()),
            }
        }
        Ok::<(), Failure>(())
    };
    if let Err(error) = passed.await {
        println!("! {error}");
    }
}

/// What is known of a connection, and the bytes of no whole part.
#[derive(Default)]
struct Tap {
    observer: Observer,
    from_client: BytesMut,
    from_server: BytesMut,
    /// No more is said about this connection.
    silent: bool,
}

impl Tap {
    fn up(&mut self, bytes: &[u8]) {
        self.from_client.extend_from_slice(bytes);
        self.look();
    }

    fn down(&mut self, bytes: &[u8]) {
        self.from_server.extend_from_slice(bytes);
        self.look();
    }

    fn look(&mut self) {
        if !self.silent
            && let Err(error) = self.print()
        {
            println!("  not HTTP: {error}");
            self.silent = true;
        }
        // What nobody will read, or is waited for in vain: bytes behind a question that nobody answers, say.
        let waiting = self.from_client.len().max(self.from_server.len());
        let (requests, responses) = (self.observer.requests(), self.observer.responses());
        self.silent |= waiting > 1 << 20 || requests.is_over() && responses.is_over();
        if self.silent || requests.is_over() {
            self.from_client.clear();
        }
        if self.silent || responses.is_over() {
            self.from_server.clear();
        }
    }

    /// Says what is whole, each way in turn: what a request is may depend on the answer to the one before.
    fn print(&mut self) -> Result<(), glowplug::http::Error> {
        loop {
            if let Some(part) = self.observer.decode_request(&mut self.from_client)? {
                match part {
                    Part::Head { head, .. } => println!("> {} {}", head.method(), head.target()),
                    part => say('>', &part),
                }
            } else if let Some(part) = self.observer.decode_response(&mut self.from_server)? {
                match part {
                    Part::Head { head, .. } => println!("< {}", head.status()),
                    part => say('<', &part),
                }
            } else {
                return Ok(());
            }
        }
    }
}

fn say<H>(arrow: char, part: &Part<H>) {
    match part {
        Part::Data(data) => {
            println!("{arrow}   {} bytes: {:.40}", data.len(), data.escape_ascii().to_string());
        }
        Part::Switched => println!("{arrow} from here on it is another protocol"),
        _ => {}
    }
}

async fn hello(request: Request<Incoming>) -> Response<String> {
    Response::new(format!("hello {}", request.uri().path().trim_start_matches('/')))
}

/// The client's side of the story.
async fn talk<R: Runtime>(client: Client<R>, at: String) -> Result<(), Failure> {
    for name in ["you", "you-too"] {
        let url = format!("http://{at}/{name}");
        let text = client.get(url).send().await?.text().await?;
        if text != format!("hello {name}") {
            return Err(format!("the tap changed something: {text}").into());
        }
    }
    Ok(())
}
