//! EDNS(0): RFC 6891 and the options in use.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use super::{Rcode, RecordType};
use crate::error::{DecodeError, DecodeReason};

/// The number of an EDNS option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionCode(pub u16);

impl OptionCode {
    /// Which server answers (RFC 5001).
    pub const NSID: Self = Self(3);
    /// The client's network (RFC 7871).
    pub const CLIENT_SUBNET: Self = Self(8);
    /// A cookie (RFC 7873).
    pub const COOKIE: Self = Self(10);
    /// How long the connection may idle (RFC 7828).
    pub const KEEPALIVE: Self = Self(11);
    /// Nothing, to hide the length (RFC 7830).
    pub const PADDING: Self = Self(12);
    /// What went wrong, in more detail (RFC 8914).
    pub const EXTENDED_ERROR: Self = Self(15);
}

/// One option as it lies in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOption<'a> {
    /// Which one.
    pub code: OptionCode,
    /// Its data.
    pub data: &'a [u8],
}

/// The OPT record of a message, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptView<'a> {
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: &'a [u8],
}

impl<'a> OptView<'a> {
    /// How large a datagram the sender takes.
    pub const fn udp_payload_size(self) -> u16 {
        self.class
    }

    /// The upper eight bits of the response code.
    pub const fn high_rcode(self) -> u8 {
        (self.ttl >> 24) as u8
    }

    /// The version; only 0 exists.
    pub const fn version(self) -> u8 {
        (self.ttl >> 16) as u8
    }

    /// DO: DNSSEC records are welcome (RFC 3225).
    pub const fn dnssec_ok(self) -> bool {
        self.ttl & 0x8000 != 0
    }

    /// The options, in order.
    pub fn options(self) -> impl Iterator<Item = RawOption<'a>> {
        let mut rest = self.data;
        core::iter::from_fn(move || {
            let (code, tail) = rest.split_first_chunk()?;
            let (len, tail) = tail.split_first_chunk()?;
            let (data, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            rest = tail;
            Some(RawOption { code: OptionCode(u16::from_be_bytes(*code)), data })
        })
    }

    /// The data of the first option with this code.
    pub fn option(self, code: OptionCode) -> Option<&'a [u8]> {
        self.options().find(|option| option.code == code).map(|option| option.data)
    }

    /// Options that fill their record exactly.
    pub(crate) fn check(mut reader: Reader<'_>) -> Result<(), DecodeError> {
        while !reader.is_empty() {
            reader.u16()?;
            let len = usize::from(reader.u16()?);
            reader.take(len)?;
        }
        Ok(())
    }
}

/// What EDNS adds to a message, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// How large a datagram the sender takes.
    pub udp_payload_size: u16,
    /// The version; only 0 exists.
    pub version: u8,
    /// DO: DNSSEC records are welcome (RFC 3225).
    pub dnssec_ok: bool,
    /// The other fifteen flag bits, all of them reserved.
    pub reserved: u16,
    /// Options, in order.
    pub options: Vec<EdnsOption>,
}

impl Edns {
    /// The size that passes nearly every path without fragments, agreed on at the DNS flag day of 2020.
    pub const DEFAULT_UDP_PAYLOAD_SIZE: u16 = 1232;

    /// Copies the OPT record of a message.
    pub fn from_view(opt: OptView<'_>) -> Self {
        Self {
            udp_payload_size: opt.class,
            version: opt.version(),
            dnssec_ok: opt.dnssec_ok(),
            reserved: opt.ttl as u16 & 0x7fff,
            options: opt.options().map(EdnsOption::from_raw).collect(),
        }
    }

    /// How long the OPT record is on the wire.
    pub fn wire_len(&self) -> usize {
        11 + self.options.iter().map(|option| 4 + option.data_len()).sum::<usize>()
    }

    /// How long the OPT record is with this cookie behind the other options.
    pub(crate) fn len_with(&self, cookie: Option<&Cookie>) -> usize {
        self.wire_len() + cookie.map_or(0, |cookie| 4 + cookie.len())
    }

    /// Appends the OPT record with the upper bits of `rcode`, and with a cookie behind the other options.
    pub(crate) fn write(&self, rcode: Rcode, cookie: Option<&Cookie>, out: &mut BytesMut) {
        let flags = u16::from(self.dnssec_ok) << 15 | self.reserved & 0x7fff;
        let len = self.len_with(cookie) - 11;
        let ([t1, t2], [s1, s2]) = (RecordType::OPT.0.to_be_bytes(), self.udp_payload_size.to_be_bytes());
        let ([f1, f2], [l1, l2]) = (flags.to_be_bytes(), (len as u16).to_be_bytes());
        out.put_slice(&[0, t1, t2, s1, s2, (rcode.0 >> 4) as u8, self.version, f1, f2, l1, l2]);
        for option in &self.options {
            out.put_u16(option.code().0);
            out.put_u16(option.data_len() as u16);
            option.write(out);
        }
        if let Some(cookie) = cookie {
            out.put_u16(OptionCode::COOKIE.0);
            out.put_u16(cookie.len() as u16);
            cookie.write(out);
        }
    }
}

impl Default for Edns {
    fn default() -> Self {
        Self {
            udp_payload_size: Self::DEFAULT_UDP_PAYLOAD_SIZE,
            version: 0,
            dnssec_ok: false,
            reserved: 0,
            options: Vec::new(),
        }
    }
}

/// The client's network (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientSubnet {
    /// The address; its bits behind the prefix are zero.
    pub address: IpAddr,
    /// How many bits of it the client gives.
    pub source_prefix: u8,
    /// How many bits the answer depends on; 0 in queries.
    pub scope_prefix: u8,
}

/// One EDNS option, owned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EdnsOption {
    /// Which server answers; empty in queries.
    Nsid(Bytes),
    /// The client's network.
    ClientSubnet(ClientSubnet),
    /// A cookie.
    Cookie(Cookie),
    /// How long the connection may idle, in tenths of a second; nothing in queries.
    Keepalive(Option<u16>),
    /// So many zero bytes.
    Padding(u16),
    /// What went wrong, in more detail: a number, and a text for people.
    ExtendedError(u16, Bytes),
    /// Any other option, and those above when their data has not their form.
    Other(OptionCode, Bytes),
}

/// The data of a cookie option (RFC 7873).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cookie {
    /// Chosen by the client, for one server.
    pub client: [u8; 8],
    /// What that server gave the client: 8 to 32 bytes, or nothing yet.
    pub server: Bytes,
}

impl Cookie {
    fn len(&self) -> usize {
        8 + self.server.len()
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.client);
        out.put_slice(&self.server);
    }
}

impl EdnsOption {
    /// Reads one option. This cannot fail: data of an unexpected form is [`Other`](Self::Other).
    pub fn from_raw(raw: RawOption<'_>) -> Self {
        let data = raw.data;
        let known = match raw.code {
            OptionCode::NSID => Some(Self::Nsid(Bytes::copy_from_slice(data))),
            OptionCode::CLIENT_SUBNET => client_subnet(data).map(Self::ClientSubnet),
            OptionCode::COOKIE => data
                .split_first_chunk()
                .filter(|(_, server)| server.is_empty() || (8..=32).contains(&server.len()))
                .map(|(client, server)| {
                    Self::Cookie(Cookie { client: *client, server: Bytes::copy_from_slice(server) })
                }),
            OptionCode::KEEPALIVE => match data {
                [] => Some(Self::Keepalive(None)),
                [high, low] => Some(Self::Keepalive(Some(u16::from_be_bytes([*high, *low])))),
                _ => None,
            },
            OptionCode::PADDING => data.iter().all(|b| *b == 0).then_some(Self::Padding(data.len() as u16)),
            OptionCode::EXTENDED_ERROR => data.split_first_chunk().map(|(code, text)| {
                Self::ExtendedError(u16::from_be_bytes(*code), Bytes::copy_from_slice(text))
            }),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(raw.code, Bytes::copy_from_slice(data)))
    }

    /// Which option this is.
    pub const fn code(&self) -> OptionCode {
        match self {
            Self::Nsid(_) => OptionCode::NSID,
            Self::ClientSubnet(_) => OptionCode::CLIENT_SUBNET,
            Self::Cookie(_) => OptionCode::COOKIE,
            Self::Keepalive(_) => OptionCode::KEEPALIVE,
            Self::Padding(_) => OptionCode::PADDING,
            Self::ExtendedError(..) => OptionCode::EXTENDED_ERROR,
            Self::Other(code, _) => *code,
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Nsid(data) | Self::Other(_, data) => data.len(),
            Self::ClientSubnet(subnet) => 4 + usize::from(subnet.source_prefix).div_ceil(8),
            Self::Cookie(cookie) => cookie.len(),
            Self::Keepalive(timeout) => timeout.map_or(0, |_| 2),
            Self::Padding(len) => usize::from(*len),
            Self::ExtendedError(_, text) => 2 + text.len(),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Nsid(data) | Self::Other(_, data) => out.put_slice(data),
            Self::ClientSubnet(subnet) => {
                let mut octets = [0; 32];
                let family = match subnet.address {
                    IpAddr::V4(address) => {
                        octets[..4].copy_from_slice(&address.octets());
                        1
                    }
                    IpAddr::V6(address) => {
                        octets[..16].copy_from_slice(&address.octets());
                        2
                    }
                };
                out.put_u16(family);
                out.put_slice(&[subnet.source_prefix, subnet.scope_prefix]);
                out.put_slice(&octets[..usize::from(subnet.source_prefix).div_ceil(8)]);
            }
            Self::Cookie(cookie) => cookie.write(out),
            Self::Keepalive(timeout) => {
                if let Some(timeout) = timeout {
                    out.put_u16(*timeout);
                }
            }
            Self::Padding(len) => out.put_bytes(0, usize::from(*len)),
            Self::ExtendedError(code, text) => {
                out.put_u16(*code);
                out.put_slice(text);
            }
        }
    }
}

/// RFC 7871 section 6: the address is cut to the prefix, and what is left of its last byte is zero.
fn client_subnet(data: &[u8]) -> Option<ClientSubnet> {
    let (&[f1, f2, source_prefix, scope_prefix], cut) = data.split_first_chunk()?;
    if cut.len() != usize::from(source_prefix).div_ceil(8) {
        return None;
    }
    let bits = source_prefix % 8;
    if bits > 0 && cut.last().is_some_and(|last| last & (0xff >> bits) != 0) {
        return None;
    }
    let mut octets = [0; 16];
    let (max, family) = match u16::from_be_bytes([f1, f2]) {
        1 => (4, false),
        2 => (16, true),
        _ => return None,
    };
    if cut.len() > max || usize::from(scope_prefix) > max * 8 {
        return None;
    }
    octets[..cut.len()].copy_from_slice(cut);
    let address = if family {
        IpAddr::V6(Ipv6Addr::from(octets))
    } else {
        IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
    };
    Some(ClientSubnet { address, source_prefix, scope_prefix })
}

impl fmt::Display for OptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NSID => f.write_str("NSID"),
            Self::CLIENT_SUBNET => f.write_str("ECS"),
            Self::COOKIE => f.write_str("COOKIE"),
            Self::KEEPALIVE => f.write_str("KEEPALIVE"),
            Self::PADDING => f.write_str("PADDING"),
            Self::EXTENDED_ERROR => f.write_str("EDE"),
            Self(code) => write!(f, "OPT{code}"),
        }
    }
}

/// A second OPT record, or one in the wrong place, makes a message ill-formed.
pub(crate) const fn misplaced(offset: usize) -> DecodeError {
    DecodeError::new(offset, DecodeReason::MisplacedOpt)
}
