//! What answers the lookups: a process of its own, so that its work, its memory and its instructions are counted with nobody's.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use bench_harness::role::{Role, begin, plays};
use glowplug::runtime::datagram::{Io, RecvBatch, SendBatch};

const ROLE: &str = "responder";
/// The process, for as long as it is wanted.
pub struct Responder {
    _role: Role,
    pub at: SocketAddr,
}

impl Responder {
    pub fn start() -> Self {
        let role = Role::start(ROLE);
        Self { at: role.said.parse().expect("an address"), _role: role }
    }
}

/// Answers for ever, if this process is the responder.
pub fn answer_if_asked() {
    if !plays(ROLE) {
        return;
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    begin(socket.local_addr().expect("an address"));
    serve(&socket);
}

/// Answers every query with one address, as fast as the system lets it.
fn serve(socket: &UdpSocket) -> ! {
    let (mut input, mut output) = (RecvBatch::new(), SendBatch::new());
    let mut io = Io::new(socket).expect("a socket");
    let mut reply = Vec::new();
    loop {
        // Batches do not wait; this does.
        let waited = socket.peek_from(&mut [0]);
        if waited.is_err() || io.recv(socket, &mut input).is_err() {
            continue;
        }
        while let Some(datagram) = input.pop() {
            answer(&datagram.payload, &mut reply);
            output.push(datagram.path.remote.into(), &reply);
        }
        while !output.is_empty() {
            let _ = io.send(socket, &mut output);
        }
    }
}

/// Header and question as they came, and one address.
fn answer(query: &[u8], reply: &mut Vec<u8>) {
    reply.clear();
    let name = query[12..].iter().position(|byte| *byte == 0).expect("a name");
    reply.extend_from_slice(&query[..12 + name + 5]);
    reply[2] = 0x80 | query[2] & 1;
    reply[3] = 0x80;
    reply[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1]);
}
