//! UDP: one plain function a peer, with the whole conversation in scope.

use std::net::SocketAddr;

use futures_util::future::join_all;
use glowplug::runtime::BoxFuture;
use glowplug::runtime::udp::{self, Conversation, Listener, conversation};

use crate::{Failure, Plug, Stage, Told, beside, pause};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("a datagram, and its answer", "1: hello"),
    ("20 peers, each counted for itself", "20 conversations, each at 3"),
    ("a datagram of no bytes", "0 bytes are data"),
    ("the largest datagram there is", "65507 bytes came"),
];

/// The conversation, as the server has it. Whoever is called from here may say `conversation::current()` for "my peer".
async fn serve(conversation: Conversation) {
    let mut count = 0;
    while let Ok(datagram) = conversation.recv().await {
        count += 1;
        let answer = match datagram.len() {
            0 => "0 bytes are data".to_owned(),
            len @ 1000.. => format!("{len} bytes came"),
            _ => format!("{count}: {}", String::from_utf8_lossy(&datagram)),
        };
        reply(answer).await;
    }
}

async fn reply(text: String) {
    if let Some(peer) = conversation::current() {
        // A peer that is gone needs no answer.
        drop(peer.send(text).await);
    }
}

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let listener = Listener::bind(stage.server.clone(), stage.any_port()).await?;
    let at = listener.local_addr();
    let serving = listener.serve(|conversation| -> BoxFuture<()> { Box::pin(serve(conversation)) });
    beside(story(&stage.client, at), serving).await
}

async fn story<R: Plug>(runtime: &R, server: SocketAddr) -> Result<Told, Failure> {
    let mut told = Told::new();
    let text = |datagram: &[u8]| String::from_utf8_lossy(datagram).into_owned();
    let conversation = udp::connect(runtime.clone(), server).await?;

    conversation.send("hello").await?;
    told.push(("a datagram, and its answer", text(&conversation.recv().await?)));

    let peers = join_all((0..20).map(|_| async {
        let peer = udp::connect(runtime.clone(), server).await?;
        let mut last = String::new();
        for _ in 0..3 {
            peer.send("tick").await?;
            last = text(&peer.recv().await?);
        }
        Ok::<_, Failure>(last)
    }));
    let at_three = peers.await.into_iter().filter(|last| last.as_ref().is_ok_and(|last| last == "3: tick"));
    told.push((
        "20 peers, each counted for itself",
        format!("{} conversations, each at 3", at_three.count()),
    ));

    conversation.send("").await?;
    told.push(("a datagram of no bytes", text(&conversation.recv().await?)));
    pause(runtime, 1).await;
    conversation.send(vec![b'g'; 65_507]).await?;
    told.push(("the largest datagram there is", text(&conversation.recv().await?)));
    Ok(told)
}
