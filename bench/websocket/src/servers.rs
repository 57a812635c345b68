//! Whole servers on one thread, which say everything back to a load in another process.

use std::future::{Future, poll_fn};
use std::sync::{Arc, mpsc};
use std::thread;

use bench_harness::{Clock, Measured};
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use futures_util::{SinkExt, StreamExt};
use glowplug::runtime::websocket::Acceptor;
use glowplug::runtime::{Endpoint, Listener, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol};

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

/// A peer's server: the handshake by the same few lines for each, since it is not what is measured.
fn peer<F: Future<Output = ()> + Send + 'static>(
    ready: mpsc::Sender<u16>,
    echo: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
) {
    on_tokio(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        ready.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("set");
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a request"));
                }
                stream.write_all(load::ANSWER.as_bytes()).await.expect("written");
                echo(stream).await;
            });
        }
    });
}

pub fn tungstenite(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        peer(ready, |stream| async move {
            let mut socket = WebSocketStream::from_raw_socket(stream, protocol::Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    })
}

pub fn fastwebsockets(connections: usize, len: usize, messages: u64) -> Measured {
    measured(connections, len, messages, |ready| {
        // As in its own example of a server that echoes.
        peer(ready, |stream| async move {
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
        });
    })
}
