//! Stateless proof of address: a cookie that only the owner of an address can bring back.

use core::hash::Hasher;
use core::net::SocketAddr;
use core::time::Duration;

use glowplug_core::{Instant, Rng};
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::Scope;

/// Bytes in a cookie.
pub const COOKIE_LEN: usize = 16;

/// Makes cookies and knows them again, without remembering any.
///
/// A cookie is a keyed hash (SipHash-2-4, 128 bits) of the peer's address, port, zone and scope and of the coarse time.
/// It is good for at least `lifetime` and less than twice that. Nothing is stored for a peer that was sent one.
/// Protocols with a cookie of their own (DTLS's HelloVerifyRequest, QUIC's Retry) may use this to fill it.
///
/// ```
/// use core::time::Duration;
/// use glowplug_core::{Instant, Seed};
/// use glowplug_udp::{Cookies, Scope};
///
/// let cookies = Cookies::new(&mut Seed::from_u64(1).rng(), Duration::from_secs(10));
/// let (peer, other) = ("192.0.2.1:7000".parse().unwrap(), "192.0.2.2:7000".parse().unwrap());
/// let cookie = cookies.issue(Instant::ZERO, Scope::NONE, &peer);
/// let later = Instant::ZERO + Duration::from_secs(9);
/// assert!(cookies.verify(later, Scope::NONE, &peer, &cookie));
/// assert!(!cookies.verify(later, Scope::NONE, &other, &cookie));
/// ```
pub struct Cookies {
    keys: (u64, u64),
    lifetime: u64,
}

impl Cookies {
    /// Cookies under a secret drawn from `rng`, each good for `lifetime` (at least a millisecond).
    pub fn new(rng: &mut Rng, lifetime: Duration) -> Self {
        let lifetime = u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX).max(1_000_000);
        Self { keys: (rng.u64(), rng.u64()), lifetime }
    }

    /// The cookie for a peer at this time.
    pub fn issue(&self, now: Instant, scope: Scope, peer: &SocketAddr) -> [u8; COOKIE_LEN] {
        self.cookie(now.as_nanos() / self.lifetime, scope, peer)
    }

    /// Whether `cookie` was issued to this peer in this period or the one before.
    pub fn verify(&self, now: Instant, scope: Scope, peer: &SocketAddr, cookie: &[u8]) -> bool {
        let period = now.as_nanos() / self.lifetime;
        let is = |period| differs(&self.cookie(period, scope, peer), cookie) == 0;
        is(period) || period.checked_sub(1).is_some_and(is)
    }

    fn cookie(&self, period: u64, scope: Scope, peer: &SocketAddr) -> [u8; COOKIE_LEN] {
        let mut hasher = SipHasher24::new_with_keys(self.keys.0, self.keys.1);
        hasher.write(&period.to_le_bytes());
        hasher.write(&scope.0.to_le_bytes());
        hasher.write(&peer.port().to_le_bytes());
        match peer {
            SocketAddr::V4(peer) => hasher.write(&peer.ip().octets()),
            SocketAddr::V6(peer) => {
                hasher.write(&peer.scope_id().to_le_bytes());
                hasher.write(&peer.ip().octets());
            }
        }
        hasher.finish128().as_bytes()
    }
}

/// Zero when both are equal, found out without stopping at the first difference.
fn differs(one: &[u8; COOKIE_LEN], other: &[u8]) -> u8 {
    if other.len() != COOKIE_LEN {
        return 1;
    }
    one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b))
}

impl core::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Cookies(..)")
    }
}

/// The frames in which two trackers carry cookies, when both are told to.
///
/// ```text
///   client                                     server
///     | magic, 0, no cookie (16 zeros), payload  |   unknown, nothing kept
///     | ---------------------------------------> |
///     |                        magic, 1, cookie  |   no longer than what came
///     | <--------------------------------------- |
///     | magic, 0, cookie, payload                |   conversation opens, address proven
///     | ---------------------------------------> |
///     |                                 payload  |
///     | <--------------------------------------- |
///     | payload                                  |   from now on nothing is added, unless a
///     | ---------------------------------------> |   payload begins with the magic: that is framed
/// ```
pub(crate) mod frame {
    use super::COOKIE_LEN;

    const MAGIC: [u8; 7] = *b"\xf1glowUC";
    const DATA: u8 = 0;
    const RETRY: u8 = 1;
    /// Bytes before the payload.
    pub(crate) const HEAD_LEN: usize = MAGIC.len() + 1 + COOKIE_LEN;

    /// What a datagram is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Kind {
        Plain,
        /// A payload follows the head.
        Data([u8; COOKIE_LEN]),
        Retry([u8; COOKIE_LEN]),
        /// The magic and nothing that makes sense: never sent by a tracker.
        Broken,
    }

    pub(crate) fn needs_frame(payload: &[u8]) -> bool {
        payload.starts_with(&MAGIC)
    }

    pub(crate) fn kind(datagram: &[u8]) -> Kind {
        let Some(rest) = datagram.strip_prefix(&MAGIC) else { return Kind::Plain };
        let Some((head, payload)) = rest.split_first_chunk::<{ 1 + COOKIE_LEN }>() else {
            return Kind::Broken;
        };
        let [kind, cookie @ ..] = *head;
        match kind {
            DATA => Kind::Data(cookie),
            RETRY if payload.is_empty() => Kind::Retry(cookie),
            _ => Kind::Broken,
        }
    }

    pub(crate) fn data(cookie: [u8; COOKIE_LEN]) -> [u8; HEAD_LEN] {
        head(DATA, cookie)
    }

    pub(crate) fn retry(cookie: [u8; COOKIE_LEN]) -> [u8; HEAD_LEN] {
        head(RETRY, cookie)
    }

    fn head(kind: u8, cookie: [u8; COOKIE_LEN]) -> [u8; HEAD_LEN] {
        let mut head = [0; HEAD_LEN];
        head[..MAGIC.len()].copy_from_slice(&MAGIC);
        head[MAGIC.len()] = kind;
        head[MAGIC.len() + 1..].copy_from_slice(&cookie);
        head
    }
}

#[cfg(test)]
mod tests {
    use glowplug_core::Seed;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_cookie_is_good_for_its_peer_scope_and_time_alone() {
        let cookies = Cookies::new(&mut Seed::from_u64(1).rng(), Duration::from_secs(10));
        let peer: SocketAddr = "[fe80::1%3]:9".parse().unwrap();
        let cookie = cookies.issue(at(15), Scope(1), &peer);
        for (now, good) in [(15, true), (19, true), (29, true), (30, false), (9, false)] {
            assert_eq!(cookies.verify(at(now), Scope(1), &peer, &cookie), good, "at {now}");
        }
        for other in ["[fe80::1%4]:9", "[fe80::2%3]:9", "[fe80::1%3]:10", "1.2.3.4:9"] {
            assert!(!cookies.verify(at(15), Scope(1), &other.parse().unwrap(), &cookie), "{other}");
        }
        assert!(!cookies.verify(at(15), Scope(2), &peer, &cookie));
        assert!(!cookies.verify(at(15), Scope(1), &peer, &cookie[..15]));
        for bit in 0..128 {
            let mut forged = cookie;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!cookies.verify(at(15), Scope(1), &peer, &forged), "bit {bit}");
        }
        let stranger = Cookies::new(&mut Seed::from_u64(2).rng(), Duration::from_secs(10));
        assert!(!stranger.verify(at(15), Scope(1), &peer, &cookie));
    }

    #[test]
    fn frames_are_told_from_payloads() {
        use frame::Kind;
        let cookie = [7; COOKIE_LEN];
        assert_eq!(frame::kind(b""), Kind::Plain);
        assert_eq!(frame::kind(b"\xf1glow"), Kind::Plain);
        assert_eq!(frame::kind(b"\xf1glowUC"), Kind::Broken);
        assert_eq!(frame::kind(&frame::data(cookie)), Kind::Data(cookie));
        assert_eq!(frame::kind(&[&frame::data(cookie)[..], b"payload"].concat()), Kind::Data(cookie));
        assert_eq!(frame::kind(&frame::retry(cookie)), Kind::Retry(cookie));
        assert_eq!(frame::kind(&[&frame::retry(cookie)[..], b"x"].concat()), Kind::Broken);
        for cut in 7..frame::HEAD_LEN {
            assert_eq!(frame::kind(&frame::data(cookie)[..cut]), Kind::Broken);
        }
    }
}
