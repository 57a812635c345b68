//! Whole servers on one thread, which say everything back to a load in another process.

use std::future::{Future, poll_fn};
use std::sync::{Arc, mpsc};
use std::thread;

use bench_harness::{Clock, Measured};
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use futures_util::{SinkExt, StreamExt};
use glowplug::runtime::websocket::Acceptor;
use glowplug::runtime::{Endpoint, Listener, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use crate::load;

/// Lets `serve` run for ever in a thread, which says its port first, and measures what the load makes it work.
fn measured(
    connections: usize,
    len: usize,
    messages: u64,
    serve: impl FnOnce(mpsc::Sender<u16>) + Send + 'static,
) -> Measured {
    let (ready, port) = mpsc::channel();
    // It is never stopped: it costs nothing once its connections are closed.
    thread::spawn(move || serve(ready));
    let port = port.recv().expect("a port");
    let clock = Clock::start();
    load::run(port, connections, len, messages);
    clock.stop(messages)
}

fn on_tokio(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work);
}

/// Our server, on any executor.
async fn glowplug<R: Runtime>(runtime: R, ready: mpsc::Sender<u16>, spawn: impl Fn(Acceptor<R>, R::Stream)) {
    let any = Endpoint::Tcp(([127, 0, 0, 1], 0).into());
    let mut listener = runtime.listen(&any).await.expect("bound");
    let at = listener.local_endpoint().expect("an address").socket_addr().expect("of TCP");
    ready.send(at.port()).expect("somebody waits");
    let acceptor = Acceptor::new(runtime);
    loop {
        let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.expect("accepted");
        spawn(acceptor.clone(), stream);
    }
}

async fn echo<R: Runtime>(acceptor: Acceptor<R>, stream: R::Stream) {
    let mut socket = acceptor.accept(stream).await.expect("a handshake");
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

pub fn glowplug_tokio(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        on_tokio(glowplug(glowplug::tokio::Tokio, ready, |acceptor, stream| {
            tokio::spawn(echo(acceptor, stream));
        }));
    })
}

pub fn glowplug_smol(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        let executor = Arc::new(smol::Executor::new());
        let runtime = glowplug::smol::Smol::on(executor.clone());
        smol::block_on(executor.run(glowplug(runtime, ready, |acceptor, stream| {
            executor.spawn(echo(acceptor, stream)).detach();
        })));
    })
}

/// What a peer needs of its stream besides: the handshake is by the same few lines for each, since it is not what is measured.
macro_rules! shake_hands {
    ($stream:ident) => {{
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            $stream.read_exact(&mut byte).await.expect("a request");
            head.push(byte[0]);
        }
        $stream.write_all(load::ANSWER.as_bytes()).await.expect("written");
    }};
}

/// A peer's server on tokio.
fn on_tokio_by<F: Future<Output = ()> + Send + 'static>(
    ready: mpsc::Sender<u16>,
    echo: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    on_tokio(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        ready.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("set");
            tokio::spawn(async move {
                shake_hands!(stream);
                echo(stream).await;
            });
        }
    });
}

/// A peer's server on smol.
fn on_smol_by<F: Future<Output = ()> + Send + 'static>(
    ready: mpsc::Sender<u16>,
    echo: impl Fn(smol::net::TcpStream) -> F + Copy + Send + Sync + 'static,
) {
    use smol::io::{AsyncReadExt, AsyncWriteExt};
    let executor = smol::Executor::new();
    smol::block_on(executor.run(async {
        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        ready.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("set");
            let serving = async move {
                shake_hands!(stream);
                echo(stream).await;
            };
            executor.spawn(serving).detach();
        }
    }));
}

/// Says back what comes, by a stream and sink of messages.
macro_rules! echo_by_tungstenite {
    ($socket:expr) => {{
        let mut socket = $socket;
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    }};
}

/// Says back what comes, as in the peer's own example.
async fn echo_by_fastwebsockets<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    while let Ok(frame) = socket.read_frame().await {
        match frame.opcode {
            OpCode::Text | OpCode::Binary => {
                if socket.write_frame(frame).await.is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
}

pub fn tungstenite_tokio(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        on_tokio_by(ready, |stream| async move {
            let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
            echo_by_tungstenite!(
                tokio_tungstenite::WebSocketStream::from_raw_socket(stream, role, None).await
            );
        });
    })
}

pub fn tungstenite_smol(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        on_smol_by(ready, |stream| async move {
            let role = async_tungstenite::tungstenite::protocol::Role::Server;
            echo_by_tungstenite!(
                async_tungstenite::WebSocketStream::from_raw_socket(stream, role, None).await
            );
        });
    })
}

pub fn fastwebsockets_tokio(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        on_tokio_by(ready, echo_by_fastwebsockets);
    })
}

/// It knows tokio's traits alone: by tokio's own bridge between the two.
pub fn fastwebsockets_smol(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        on_smol_by(ready, |stream| echo_by_fastwebsockets(stream.compat()));
    })
}
