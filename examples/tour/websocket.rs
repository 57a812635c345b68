//! WebSocket: one end accepts on a connection of its own, the other talks in messages. (`web_chat` has a server of pages and sockets.)

use std::future::poll_fn;

use glowplug::runtime::websocket::{Acceptor, Config, Connector, DeflateConfig, Event, Message, MessageKind};
use glowplug::runtime::{Endpoint, Listener};

use crate::{Failure, Plug, Stage, Told, beside};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("a line there and back", "hello"),
    ("100 lines before the first echo", "100 echoes, in order"),
    ("a message in three frames", "one, two, three"),
    ("a mebibyte, compressed", "1048576 bytes, the same"),
    ("a ping", "answered with: still there?"),
    ("good-bye", "code 1000, and nothing more is taken"),
];

fn config() -> Config {
    Config::new().deflate(Some(DeflateConfig::new()))
}

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let listener = stage.server.listen(&Endpoint::Tcp(stage.any_port())).await?;
    let at = listener.local_endpoint()?;
    beside(story(stage.client.clone(), &at), serve(stage.server.clone(), listener)).await
}

/// Says everything back, to one guest after the other.
async fn serve<R: Plug>(runtime: R, mut listener: R::Listener) -> Result<(), Failure> {
    let acceptor = Acceptor::new(runtime).config(config());
    loop {
        let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await?;
        let mut socket = acceptor.accept(stream).await?;
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
    }
}

async fn story<R: Plug>(runtime: R, at: &Endpoint) -> Result<Told, Failure> {
    let mut told = Told::new();
    let mut socket = Connector::new(runtime).config(config()).connect(format!("ws://{at}/echo")).await?;

    socket.send("hello").await?;
    told.push(("a line there and back", text(socket.recv().await?)?));

    for number in 0..100 {
        socket.feed(number.to_string()).await?;
    }
    socket.flush().await?;
    let mut right = 0;
    for number in 0..100 {
        right += usize::from(text(socket.recv().await?)? == number.to_string());
    }
    told.push(("100 lines before the first echo", format!("{right} echoes, in order")));

    socket.send_data(MessageKind::Text, "one, ", false).await?;
    socket.send_data(MessageKind::Text, "two, ", false).await?;
    socket.send_data(MessageKind::Text, "three", true).await?;
    told.push(("a message in three frames", text(socket.recv().await?)?));

    let large: Vec<u8> = (0..1_u32 << 20).map(|index| (index % 251) as u8).collect();
    socket.send(large.clone()).await?;
    let back = socket.recv().await?.ok_or("the echo ended early")?.into_bytes();
    let same = if back == large { "the same" } else { "but others" };
    told.push(("a mebibyte, compressed", format!("{} bytes, {same}", back.len())));

    socket.ping("still there?").await?;
    let Some(Event::Pong(payload)) = socket.next_event().await? else { return Err("no pong came".into()) };
    told.push(("a ping", format!("answered with: {}", String::from_utf8_lossy(&payload))));

    socket.close().await?;
    let code = socket.close_frame().ok_or("no good-bye came")?.code;
    let refused = if socket.send("more").await.is_err() { "nothing more" } else { "more" };
    told.push(("good-bye", format!("code {code}, and {refused} is taken")));
    Ok(told)
}

fn text(message: Option<Message>) -> Result<String, Failure> {
    let message = message.ok_or("the echo ended early")?;
    Ok(message.as_text().ok_or("an echo that is no text")?.to_owned())
}
