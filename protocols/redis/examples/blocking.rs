//! A Redis client on nothing but a blocking socket: the whole loop, because there is no magic.
//!
//! `cargo run -p glowplug-redis --example blocking -- 127.0.0.1:6379`
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "here is where the sockets and clocks live"
)]

use std::io::{Read, Write};
use std::{env, error::Error, net::TcpStream, time};

use bytes::{Buf, BytesMut};
use glowplug_core::{Instant, RequestProtocol, SendBuf, StreamProtocol, Token};
use glowplug_redis::{ClientConfig, ClientConnection, Event, Reply, Request, commands};

fn call(
    stream: &mut TcpStream,
    redis: &mut ClientConnection,
    request: Request,
) -> Result<Reply, Box<dyn Error>> {
    let epoch = time::Instant::now();
    let now = || Instant::from_nanos(epoch.elapsed().as_nanos() as u64);
    let (mut input, mut out, mut chunk) = (BytesMut::new(), SendBuf::new(), [0; 4096]);
    redis.submit(now(), Token(0), request)?;
    loop {
        while let Some(event) = redis.poll_event(now(), &mut input)? {
            if let Event::Answer(answer) = event {
                return Ok(answer.response);
            }
        }
        redis.poll_transmit(now(), &mut out);
        if out.has_remaining() {
            let written = stream.write(out.chunk())?;
            out.advance(written);
            continue;
        }
        match stream.read(&mut chunk)? {
            0 => redis.handle_eof(now()),
            count => input.extend_from_slice(&chunk[..count]),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6379".into());
    let mut stream = TcpStream::connect(address)?;
    let mut redis = ClientConnection::new(Instant::ZERO, ClientConfig::new());
    call(&mut stream, &mut redis, commands::set("glow", "plug").into())?;
    println!("{:?}", call(&mut stream, &mut redis, commands::get("glow").into())?);
    Ok(())
}
