//! Ports for servers in processes of their own.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Socket, Type};

/// A port on loopback that stays ours until a server binds it, and as long as this lives.
///
/// A port that was found free and let go may be anybody's by the time a slow server binds it: another server's, which then answers in the
/// place of the one that was started, or a client's. This one stays bound, without listening; on Linux that keeps everybody out but sockets
/// that are bound to it by number and with `SO_REUSEADDR`, as servers bind theirs.
pub(crate) struct Reserved {
    at: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option that every socket has");
        socket.bind(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let at = socket.local_addr().ok().and_then(|at| at.as_socket()).expect("an address");
        Self { at, _socket: socket }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }
}
