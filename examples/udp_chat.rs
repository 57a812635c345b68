//! A chat over UDP, by reliable conversations: who connects hears what the others say.
//!
//! ```sh
//! cargo run --release --example udp_chat                      # the room, on port 7008
//! cargo run --release --example udp_chat -- 127.0.0.1:7008    # a guest: what is typed is said
//! ```
//!
//! Each guest has a function of their own; a child of their conversation carries to them what the others say.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glowplug::tokio::Tokio;
use glowplug::tokio::udp::reliable::{ChannelConfig, Child, Conversation};
use glowplug::tokio::udp::{Builder, Closed};
use glowplug::udp::reliable::Conversations;

/// Who is there. A child does not keep a guest who wants to leave.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<BTreeMap<SocketAddr, Child>>>);

impl Room {
    /// Says `line` to everybody but `from`. Who cannot follow misses it: the room waits for nobody.
    fn say(&self, from: SocketAddr, line: &str) {
        let guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, guest) in guests.iter().filter(|(peer, _)| **peer != from) {
            let _ = guest.try_send(format!("{from}: {line}"));
        }
    }

    fn enter(&self, guest: &Conversation) -> Leaving {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guests.insert(guest.peer(), guest.child());
        Leaving { room: self.clone(), peer: guest.peer() }
    }
}

/// Takes the guest out of the room, however their function ends.
struct Leaving {
    room: Room,
    peer: SocketAddr,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.room.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.peer);
        self.room.say(self.peer, "(leaves)");
    }
}

async fn host(room: Room, guest: Conversation) {
    let _leaving = room.enter(&guest);
    room.say(guest.peer(), "(enters)");
    while let Ok(line) = guest.recv().await {
        room.say(guest.peer(), &String::from_utf8_lossy(&line));
    }
}

/// Signs of life keep silent guests in the room.
fn builder() -> Reliable {
    let channel = ChannelConfig::default().keep_alive(Some(Duration::from_secs(20)));
    Builder::new(Tokio).reliable(channel)
}

type Reliable = glowplug::runtime::udp::Builder<Tokio, Conversations>;

async fn serve() -> std::io::Result<()> {
    let room = Room::default();
    let listener = builder().bind((Ipv4Addr::UNSPECIFIED, 7008).into()).await?;
    listener.serve(|guest| host(room.clone(), guest)).await
}

async fn visit(peer: SocketAddr) -> std::io::Result<()> {
    let conversation = builder().connect(peer).await?;
    // What the others say, beside what we say: the child ends with the conversation.
    let heard = conversation.child();
    let hearing = tokio::spawn(conversation.scope(async move {
        while let Ok(line) = heard.recv().await {
            println!("{}", String::from_utf8_lossy(&line));
        }
    }));
    let (typed, mut lines) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        conversation.send(line).await?;
    }
    hearing.abort();
    match conversation.finish().await {
        Ok(()) | Err(Closed::Finished) => Ok(()),
        Err(closed) => Err(closed.into()),
    }
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("udp_chat: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match std::env::args().nth(1).map(|peer| peer.parse()) {
        None => runtime.block_on(serve()),
        Some(Ok(peer)) => runtime.block_on(visit(peer)),
        Some(Err(error)) => Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_chat: {error}");
            ExitCode::FAILURE
        }
    }
}
