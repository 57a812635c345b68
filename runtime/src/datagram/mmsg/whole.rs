//! Datagrams of IPv4 that nobody on the way may cut.

use std::io;
use std::os::fd::AsFd;

/// Whether all datagrams of a socket go out marked as not to be cut.
///
/// The system gives each that may be cut a number of its own (RFC 6864), out of a table that all sockets share and that is in nobody's
/// cache: with many peers that costs more than finding the way. What is not cut needs none. As soon as a datagram turns out to be longer than its way
/// takes, the socket leaves cutting to the system again, as it does without being asked: nobody notices but by the speed.
#[derive(Debug, Default)]
pub(super) struct Whole {
    on: bool,
}

#[cfg(target_os = "linux")]
impl Whole {
    /// Switches it on, unless the socket's owner has chosen something.
    pub(super) fn new(socket: &impl AsFd) -> Self {
        use rustix::net::sockopt::{Ipv4PathMtuDiscovery, ip_mtu_discover, set_ip_mtu_discover};
        let on = ip_mtu_discover(socket) == Ok(Ipv4PathMtuDiscovery::WANT)
            && set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO).is_ok();
        Self { on }
    }

    /// True when a datagram did not go because of it, and would now.
    pub(super) fn gives_way(&mut self, socket: &impl AsFd, error: &io::Error) -> bool {
        use rustix::io::Errno;
        use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
        if !self.on || error.raw_os_error() != Some(Errno::MSGSIZE.raw_os_error()) {
            return false;
        }
        self.on = false;
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT).is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
impl Whole {
    pub(super) fn new(_: &impl AsFd) -> Self {
        Self::default()
    }

    pub(super) fn gives_way(&mut self, _: &impl AsFd, _: &io::Error) -> bool {
        self.on
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{SocketAddr, UdpSocket};

    use glowplug_core::Path;
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, ip_mtu_discover, set_ip_mtu_discover};

    use crate::datagram::{Io, SendBatch};

    fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_nonblocking(true).expect("it can");
        let at = socket.local_addr().expect("bound");
        (socket, at)
    }

    fn send(io: &mut Io, from: &UdpSocket, to: SocketAddr, len: usize) -> bool {
        let mut batch = SendBatch::new();
        batch.push(Path::to(to), &vec![7; len]);
        io.send(from, &mut batch).is_ok()
    }

    #[test]
    fn a_datagram_that_is_too_long_for_its_way_ends_it() {
        let ((from, _), (to, at)) = (socket(), socket());
        let mut io = Io::new(&from).expect("a socket");
        assert_eq!(ip_mtu_discover(&from), Ok(Ipv4PathMtuDiscovery::DO));
        assert!(send(&mut io, &from, at, 1000));
        assert_eq!(ip_mtu_discover(&from), Ok(Ipv4PathMtuDiscovery::DO));
        // Longer than any datagram may be: that is an error either way, and what comes next goes.
        assert!(!send(&mut io, &from, at, 65_508));
        assert_eq!(ip_mtu_discover(&from), Ok(Ipv4PathMtuDiscovery::WANT));
        assert!(send(&mut io, &from, at, 2000));
        let mut buf = [0; 4096];
        to.set_nonblocking(false).expect("it can");
        assert_eq!(to.recv(&mut buf).expect("it is there"), 1000);
        assert_eq!(to.recv(&mut buf).expect("it is there"), 2000);
    }

    #[test]
    fn what_the_owner_of_a_socket_has_chosen_stays() {
        let (from, at) = socket();
        set_ip_mtu_discover(&from, Ipv4PathMtuDiscovery::DONT).expect("it can");
        let mut io = Io::new(&from).expect("a socket");
        assert!(!send(&mut io, &from, at, 65_508));
        assert_eq!(ip_mtu_discover(&from), Ok(Ipv4PathMtuDiscovery::DONT));
    }
}
