//! Word of peers that cannot be reached.

use std::net::SocketAddr;

use crate::datagram::RecvBatch;

/// How many are read at once; the rest waits for the next time.
#[cfg(target_os = "linux")]
const MOST: usize = 64;

/// Reads what the system has kept of such news. True if there was any.
#[cfg(target_os = "linux")]
pub(super) fn take(fd: i32, local: SocketAddr, batch: &mut RecvBatch) -> bool {
    use std::io::IoSliceMut;

    use glowplug_core::Path;
    use nix::errno::Errno;
    use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err, sockaddr_in6};
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

    let _ = local;
    let mut any = false;
    for _ in 0..MOST {
        // The datagram that found nobody comes back, too; nobody needs it.
        let mut payload = [IoSliceMut::new(&mut [])];
        let mut said = nix::cmsg_space!(sock_extended_err, sockaddr_in6, [u8; 64]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut payload, Some(&mut said), flags) else { break };
        let sent_to = message.address.as_ref().and_then(super::address);
        for said in message.cmsgs().into_iter().flatten() {
            let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) =
                said
            else {
                continue;
            };
            let of_a_peer = [SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6].contains(&error.ee_origin);
            let errno = Errno::from_raw(error.ee_errno.cast_signed());
            if let (true, Some(remote), Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) =
                (of_a_peer, sent_to, errno)
            {
                batch.push_unreachable(Path::to(remote));
                any = true;
            }
        }
    }
    any
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take(_: i32, _: SocketAddr, _: &mut RecvBatch) -> bool {
    false
}
