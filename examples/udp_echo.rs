//! A UDP echo: one plain function for each peer, and its state is what the function remembers.
//!
//! ```sh
//! cargo run --release --example udp_echo                      # serve on port 7007
//! cargo run --release --example udp_echo -- 127.0.0.1:7007    # ask it, ten times
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use glowplug::runtime::time::within;
use glowplug::smol::Smol;
use glowplug::smol::udp::{self, Conversation};

/// The whole of the server's side of one conversation. It ends when the peer is silent for two minutes.
async fn echo(conversation: Conversation) {
    let mut count = 0;
    while let Ok(datagram) = conversation.recv().await {
        count += 1;
        println!("{}: datagram {count}, {} bytes", conversation.peer(), datagram.len());
        if conversation.send(datagram).await.is_err() {
            break;
        }
    }
}

async fn ask(peer: SocketAddr) -> std::io::Result<()> {
    let runtime = Smol::default();
    let conversation = udp::connect(runtime.clone(), peer).await?;
    for number in 1..=10 {
        conversation.send(format!("question {number}")).await?;
        // Datagrams get lost; this one is not asked again.
        match within(&runtime, Some(Duration::from_secs(1)), conversation.recv()).await {
            Ok(answer) => println!("{}", String::from_utf8_lossy(&answer?)),
            Err(_) => println!("question {number} has no answer"),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).map(|peer| peer.parse()) {
        None => smol::block_on(udp::serve(Smol::default(), (Ipv4Addr::UNSPECIFIED, 7007).into(), echo)),
        Some(Ok(peer)) => smol::block_on(ask(peer)),
        Some(Err(error)) => Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_echo: {error}");
            ExitCode::FAILURE
        }
    }
}
