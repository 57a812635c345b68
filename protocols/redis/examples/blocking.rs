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
use glowplug_redis::{ClientConfig, ClientConnection, Event, Typed, commands};

struct Redis {
    stream: TcpStream,
    machine: ClientConnection,
    input: BytesMut,
    output: SendBuf,
    epoch: time::Instant,
}

impl Redis {
    fn call<T>(&mut self, command: Typed<T>) -> Result<T, Box<dyn Error>> {
        let (command, answers) = command.into_parts();
        self.machine.submit(self.now(), Token(0), command.into())?;
        loop {
            while let Some(event) = self.machine.poll_event(self.now(), &mut self.input)? {
                if let Event::Answer(answer) = event {
                    return Ok(answers.convert(answer.response)?);
                }
            }
            self.machine.poll_transmit(self.now(), &mut self.output);
            if self.output.has_remaining() {
                let written = self.stream.write(self.output.chunk())?;
                self.output.advance(written);
                continue;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => self.machine.handle_eof(self.now()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.epoch.elapsed().as_nanos() as u64)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6379".into());
    let machine = ClientConnection::new(Instant::ZERO, ClientConfig::new());
    let (stream, epoch) = (TcpStream::connect(address)?, time::Instant::now());
    let mut redis = Redis { stream, machine, input: BytesMut::new(), output: SendBuf::new(), epoch };
    redis.call(commands::set("glow", "plug"))?;
    println!("{:?}", redis.call(commands::get("glow"))?);
    Ok(())
}
