//! A chat for consoles: everybody hears what anybody says.
//!
//! ```sh
//! cargo run --example chat                                        # two guests of its own
//! cargo run --example chat -- --on tokio --listen 127.0.0.1:7000  # until Ctrl-C; come in with nc 127.0.0.1 7000
//! ```

pub(crate) mod common;

use std::time::Duration;

use async_broadcast::{InactiveReceiver, RecvError, Sender, broadcast};
use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, select_biased};
use glowplug::runtime::Runtime;
use glowplug::runtime::services::Services;
use glowplug::runtime::tcp::{self, Config, Connection, Error, Service};

/// How many lines a guest may be behind; a slower one misses the oldest.
const BACKLOG: usize = 256;

fn main() -> Result<(), Failure> {
    run(&Options::from_args()?)
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    on_executor!(options, |runtime| async {
        let room = Room::new();
        // Short lines, and nobody has to say something for an hour.
        let config = Config::default().max_frame_len(512).read_timeout(Some(Duration::from_secs(3600)));
        let service = Service::bind(runtime.clone(), options.address()).await?.config(config);
        let at = service.local_endpoint()?;
        println!("the room is open at {at}");
        let mut services = Services::new(runtime.clone());
        services.add("chat", service.stopper(), service.serve(move |guest| welcome(guest, room.clone())));
        if options.listen.is_some() {
            services.run_until_interrupted().await??;
            return Ok(());
        }
        let port = at.socket_addr().map_or(0, |address| address.port());
        match select(Box::pin(evening(&runtime, port)), Box::pin(services.run())).await {
            Either::Left((story, _)) => story,
            Either::Right(_) => Err("the service ended".into()),
        }
    })
}

/// What is said, to everybody.
#[derive(Clone)]
struct Room {
    says: Sender<String>,
    /// Keeps the channel open while nobody listens.
    hears: InactiveReceiver<String>,
}

impl Room {
    fn new() -> Self {
        let (mut says, hears) = broadcast(BACKLOG);
        // Whoever speaks never waits for those who do not listen, nor for somebody to come.
        says.set_overflow(true);
        says.set_await_active(false);
        Self { says, hears: hears.deactivate() }
    }

    async fn say(&self, line: String) {
        // It fails only when the room is gone.
        let _ = self.says.broadcast_direct(line).await;
    }
}

async fn welcome<R: Runtime>(mut guest: Connection<R>, room: Room) {
    let Ok(name) = ask_for_a_name(&mut guest).await else { return };
    room.say(format!("* {name} comes in")).await;
    if let Err(error) = talk(&mut guest, &name, &room).await
        && !error.is_closed()
    {
        eprintln!("{name}: {error}");
    }
    room.say(format!("* {name} leaves")).await;
}

async fn ask_for_a_name<R: Runtime>(guest: &mut Connection<R>) -> Result<String, Error> {
    guest.send("Who are you?\r\n").await?;
    let line = guest.read_line().await?;
    let name: String =
        String::from_utf8_lossy(&line).chars().filter(|c| c.is_alphanumeric()).take(20).collect();
    Ok(if name.is_empty() { "somebody".to_owned() } else { name })
}

/// All that happens to a guest, in one loop: whichever comes first, and what was not chosen loses nothing.
async fn talk<R: Runtime>(guest: &mut Connection<R>, name: &str, room: &Room) -> Result<(), Error> {
    let mut hears = room.hears.activate_cloned();
    let mut closing = guest.stopping().fuse();
    guest.send(format!("Welcome, {name}. /quit leads out.\r\n")).await?;
    loop {
        select_biased! {
            () = closing => return guest.send("* the room closes\r\n").await,
            said = hears.recv_direct().fuse() => match said {
                Ok(line) => guest.send(format!("{line}\r\n")).await?,
                Err(RecvError::Overflowed(missed)) => guest.send(format!("* you missed {missed} lines\r\n")).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
            line = guest.read_line().fuse() => {
                let line = line?;
                match &line[..] {
                    b"" => {}
                    b"/quit" => return guest.send("* goodbye\r\n").await,
                    _ => room.say(format!("<{name}> {}", String::from_utf8_lossy(&line))).await,
                }
            }
        }
    }
}

/// The story: two guests, one of whom leaves.
async fn evening<R: Runtime>(runtime: &R, port: u16) -> Result<(), Failure> {
    let mut ada = come_in(runtime, port, "Ada").await?;
    let mut bob = come_in(runtime, port, "Bob").await?;
    hear(&mut ada, "* Bob comes in").await?;
    ada.send("good evening\r\n").await?;
    hear(&mut bob, "<Ada> good evening").await?;
    bob.send("what a nice room\r\n/quit\r\n").await?;
    hear(&mut ada, "<Bob> what a nice room").await?;
    hear(&mut ada, "* Bob leaves").await?;
    hear(&mut bob, "* goodbye").await?;
    ada.close().await?;
    Ok(())
}

async fn come_in<R: Runtime>(runtime: &R, port: u16, name: &str) -> Result<Connection<R>, Failure> {
    let mut guest = tcp::connect(runtime, "localhost", port).await?;
    hear(&mut guest, "Who are you?").await?;
    guest.send(format!("{name}\r\n")).await?;
    hear(&mut guest, "Welcome").await?;
    Ok(guest)
}

/// Reads on until a line begins like this.
async fn hear<R: Runtime>(guest: &mut Connection<R>, what: &str) -> Result<(), Failure> {
    loop {
        let line = guest.read_line().await?;
        if line.starts_with(what.as_bytes()) {
            println!("{}", String::from_utf8_lossy(&line));
            return Ok(());
        }
    }
}
