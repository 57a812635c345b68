//! SVCB and HTTPS (RFC 9460).

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::NameRef;
use super::reader::Reader;
use crate::error::{DecodeError, DecodeReason};

/// The data of an SVCB or HTTPS record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Svcb<'a> {
    /// 0 for an alias; else the lower, the sooner to be tried.
    pub priority: u16,
    /// Where the service is; the root means the owner itself.
    pub target: NameRef<'a>,
    /// How to reach it.
    pub params: SvcParams<'a>,
}

/// The key of a service parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SvcKey(pub u16);

impl SvcKey {
    /// The keys that a client must understand.
    pub const MANDATORY: Self = Self(0);
    /// The protocols spoken.
    pub const ALPN: Self = Self(1);
    /// The default protocol is not spoken.
    pub const NO_DEFAULT_ALPN: Self = Self(2);
    /// The port.
    pub const PORT: Self = Self(3);
    /// IPv4 addresses, ahead of a lookup.
    pub const IPV4HINT: Self = Self(4);
    /// The configuration of Encrypted ClientHello.
    pub const ECH: Self = Self(5);
    /// IPv6 addresses, ahead of a lookup.
    pub const IPV6HINT: Self = Self(6);
    /// The URI template of a DoH server (RFC 9461).
    pub const DOHPATH: Self = Self(7);
    /// Oblivious HTTP is served (RFC 9540).
    pub const OHTTP: Self = Self(8);

    const NAMES: [&'static str; 9] =
        ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

    /// Reads a key's name, or `key` and its number.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        if let Some(key) = Self::NAMES.iter().position(|name| name.as_bytes() == text) {
            return Some(Self(key as u16));
        }
        let number = core::str::from_utf8(text.strip_prefix(b"key")?).ok()?;
        // RFC 9460 section 2.1: no leading zeros.
        if !number.bytes().all(|b| b.is_ascii_digit()) || (number.len() > 1 && number.starts_with('0')) {
            return None;
        }
        number.parse().ok().map(Self)
    }
}

impl fmt::Display for SvcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "key{}", self.0),
        }
    }
}

/// One service parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SvcParam<'a> {
    /// Which one.
    pub key: SvcKey,
    /// Its value on the wire.
    pub value: &'a [u8],
}

/// The service parameters of a record, in the order of their keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SvcParams<'a>(pub(crate) &'a [u8]);

impl<'a> SvcParams<'a> {
    /// All parameters.
    pub fn iter(self) -> impl Iterator<Item = SvcParam<'a>> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (key, tail) = rest.split_first_chunk()?;
            let (len, tail) = tail.split_first_chunk()?;
            let (value, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            rest = tail;
            Some(SvcParam { key: SvcKey(u16::from_be_bytes(*key)), value })
        })
    }

    /// The value of one parameter.
    pub fn get(self, key: SvcKey) -> Option<&'a [u8]> {
        self.iter().find(|param| param.key == key).map(|param| param.value)
    }

    /// The keys that a client must understand to use the record at all.
    pub fn mandatory(self) -> impl Iterator<Item = SvcKey> {
        let keys = self.get(SvcKey::MANDATORY).unwrap_or_default().as_chunks().0;
        keys.iter().map(|key| SvcKey(u16::from_be_bytes(*key)))
    }

    /// The protocols spoken, beside the default one.
    pub fn alpn(self) -> impl Iterator<Item = &'a [u8]> {
        strings(self.get(SvcKey::ALPN).unwrap_or_default())
    }

    /// The port, if it is not the default one.
    pub fn port(self) -> Option<u16> {
        self.get(SvcKey::PORT)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// IPv4 addresses to try before the target's own are known.
    pub fn ipv4_hints(self) -> impl Iterator<Item = Ipv4Addr> {
        let hints: &[[u8; 4]] = self.get(SvcKey::IPV4HINT).unwrap_or_default().as_chunks().0;
        hints.iter().map(|hint| Ipv4Addr::from(*hint))
    }

    /// IPv6 addresses to try before the target's own are known.
    pub fn ipv6_hints(self) -> impl Iterator<Item = Ipv6Addr> {
        let hints: &[[u8; 16]] = self.get(SvcKey::IPV6HINT).unwrap_or_default().as_chunks().0;
        hints.iter().map(|hint| Ipv6Addr::from(*hint))
    }
}

impl fmt::Debug for SvcParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Length-prefixed strings, up to the first broken one.
pub(crate) fn strings(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (len, tail) = rest.split_first()?;
        let (string, tail) = tail.split_at_checked(usize::from(*len))?;
        rest = tail;
        Some(string)
    })
}

/// RFC 9460 sections 2.2, 7 and 8: keys in rising order, values of the right shape.
pub(crate) fn check(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let params = SvcParams(&reader.message[reader.at..reader.end]);
    let mut last = None;
    while !reader.is_empty() {
        let start = *reader;
        let key = SvcKey(reader.u16()?);
        let len = usize::from(reader.u16()?);
        let value = reader.take(len)?;
        if last.is_some_and(|last| key <= last) || !value_fits(key, value, params) {
            return Err(start.error(DecodeReason::BadData));
        }
        last = Some(key);
    }
    Ok(())
}

fn value_fits(key: SvcKey, value: &[u8], params: SvcParams<'_>) -> bool {
    let len = value.len();
    match key {
        SvcKey::MANDATORY => {
            // Rising order, never itself, and each present (RFC 9460 section 8). Both lists rise, so one walk over both
            // is enough; if the parameters do not, the record is refused anyway.
            let (keys, odd) = value.as_chunks();
            let mut present = params.iter().map(|param| param.key).filter(|key| *key != SvcKey::MANDATORY);
            let mut each = keys.iter().map(|key| SvcKey(u16::from_be_bytes(*key)));
            !keys.is_empty()
                && odd.is_empty()
                && each.all(|key| present.find(|other| *other >= key) == Some(key))
        }
        SvcKey::ALPN => {
            len > 0 && strings(value).all(|id| !id.is_empty()) && {
                strings(value).map(|id| id.len() + 1).sum::<usize>() == len
            }
        }
        SvcKey::NO_DEFAULT_ALPN | SvcKey::OHTTP => len == 0,
        SvcKey::PORT => len == 2,
        SvcKey::IPV4HINT => len > 0 && len.is_multiple_of(4),
        SvcKey::IPV6HINT => len > 0 && len.is_multiple_of(16),
        SvcKey::ECH => len > 0,
        _ => true,
    }
}
