//! Record data, borrowed and typed.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::reader::Reader;
use super::svcb::strings;
use super::{NameRef, OptView, RecordType, SvcParams, Svcb, schema};
use crate::error::DecodeError;

/// The data of one record, borrowed from a message or from an [`Rdata`](super::Rdata).
///
/// The types in daily use have their own variant; every other type is [`Other`](Self::Other), as are bytes that do not
/// have the form their type asks for when they come from [`Rdata::data`](super::Rdata::data).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordData<'a> {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A name server's name.
    Ns(NameRef<'a>),
    /// The canonical name.
    Cname(NameRef<'a>),
    /// The name that replaces the owner at the end of names below it.
    Dname(NameRef<'a>),
    /// The name pointed to.
    Ptr(NameRef<'a>),
    /// The start of a zone.
    Soa(Soa<'a>),
    /// A mail exchange.
    Mx(Mx<'a>),
    /// Texts.
    Txt(Strings<'a>),
    /// A service's host and port.
    Srv(Srv<'a>),
    /// A rewriting rule.
    Naptr(Naptr<'a>),
    /// A right to certify.
    Caa(Caa<'a>),
    /// How to reach a service.
    Svcb(Svcb<'a>),
    /// How to reach an HTTPS origin.
    Https(Svcb<'a>),
    /// A certificate's association.
    Tlsa(Tlsa<'a>),
    /// An SSH host key's fingerprint.
    Sshfp(Sshfp<'a>),
    /// A digest of a child's key.
    Ds(Ds<'a>),
    /// The digest a child wants.
    Cds(Ds<'a>),
    /// A zone's key.
    Dnskey(Dnskey<'a>),
    /// The key a child wants.
    Cdnskey(Dnskey<'a>),
    /// A signature.
    Rrsig(Rrsig<'a>),
    /// The next name.
    Nsec(Nsec<'a>),
    /// The next hashed name.
    Nsec3(Nsec3<'a>),
    /// How NSEC3 hashes.
    Nsec3param(Nsec3param<'a>),
    /// The options of EDNS. Class and TTL of the record belong to it too: see [`MessageView::opt`].
    ///
    /// [`MessageView::opt`]: super::MessageView::opt
    Opt(&'a [u8]),
    /// Any other type, as bytes (RFC 3597).
    Other(RecordType, &'a [u8]),
}

/// The data of a SOA record (RFC 1035 section 3.3.13). Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soa<'a> {
    /// The primary name server.
    pub mname: NameRef<'a>,
    /// The mailbox of whoever is responsible, its `@` as a dot.
    pub rname: NameRef<'a>,
    /// The zone's version (RFC 1982 arithmetic).
    pub serial: u32,
    /// How often a secondary looks for a new version.
    pub refresh: u32,
    /// How soon it tries again.
    pub retry: u32,
    /// How long it goes on without the primary.
    pub expire: u32,
    /// How long the absence of something may be cached (RFC 2308).
    pub minimum: u32,
}

/// The data of an MX record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mx<'a> {
    /// The lower, the sooner.
    pub preference: u16,
    /// The host; the root says that no mail is taken (RFC 7505).
    pub exchange: NameRef<'a>,
}

/// The data of a SRV record (RFC 2782).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Srv<'a> {
    /// The lower, the sooner.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; the root says that there is no such service.
    pub target: NameRef<'a>,
}

/// The data of a NAPTR record (RFC 3403).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naptr<'a> {
    /// The lower, the sooner.
    pub order: u16,
    /// The lower, the sooner, among those of one order.
    pub preference: u16,
    /// What to do with the result.
    pub flags: &'a [u8],
    /// Which services this is for.
    pub services: &'a [u8],
    /// The rewriting rule.
    pub regexp: &'a [u8],
    /// Or the next name to look at.
    pub replacement: NameRef<'a>,
}

/// The data of a CAA record (RFC 8659).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caa<'a> {
    /// 128: whoever does not understand the property must not certify.
    pub flags: u8,
    /// The property.
    pub tag: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// The data of a TLSA record (RFC 6698).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlsa<'a> {
    /// What the certificate is to the service.
    pub usage: u8,
    /// The whole certificate or its public key.
    pub selector: u8,
    /// Whole or hashed.
    pub matching: u8,
    /// What to compare with.
    pub data: &'a [u8],
}

/// The data of an SSHFP record (RFC 4255).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sshfp<'a> {
    /// The key's algorithm.
    pub algorithm: u8,
    /// The fingerprint's hash.
    pub hash: u8,
    /// The fingerprint.
    pub fingerprint: &'a [u8],
}

/// The data of a DS record (RFC 4034 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ds<'a> {
    /// The key's tag.
    pub key_tag: u16,
    /// The key's algorithm.
    pub algorithm: u8,
    /// The digest's hash.
    pub digest_type: u8,
    /// The digest.
    pub digest: &'a [u8],
}

/// The data of a DNSKEY record (RFC 4034 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dnskey<'a> {
    /// 256: a zone key; 1: a secure entry point.
    pub flags: u16,
    /// Always 3.
    pub protocol: u8,
    /// The key's algorithm.
    pub algorithm: u8,
    /// The key.
    pub key: &'a [u8],
}

/// The data of an RRSIG record (RFC 4034 section 3). Times are in seconds since 1970, modulo 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rrsig<'a> {
    /// Which type is signed.
    pub covered: RecordType,
    /// The key's algorithm.
    pub algorithm: u8,
    /// How many labels the owner had before a wildcard was expanded.
    pub labels: u8,
    /// The TTL in the zone.
    pub original_ttl: u32,
    /// Not valid after this.
    pub expiration: u32,
    /// Not valid before this.
    pub inception: u32,
    /// The key's tag.
    pub key_tag: u16,
    /// The zone that signed.
    pub signer: NameRef<'a>,
    /// The signature.
    pub signature: &'a [u8],
}

/// The data of an NSEC record (RFC 4034 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nsec<'a> {
    /// The next name of the zone.
    pub next: NameRef<'a>,
    /// What this one has.
    pub types: TypeBitmap<'a>,
}

/// The data of an NSEC3 record (RFC 5155 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nsec3<'a> {
    /// How names are hashed.
    pub params: Nsec3param<'a>,
    /// The next hash.
    pub next: &'a [u8],
    /// What this name has.
    pub types: TypeBitmap<'a>,
}

/// The data of an NSEC3PARAM record (RFC 5155 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nsec3param<'a> {
    /// The hash.
    pub hash: u8,
    /// 1: unsigned delegations may be left out.
    pub flags: u8,
    /// How many times more to hash.
    pub iterations: u16,
    /// What is hashed with the name.
    pub salt: &'a [u8],
}

/// Character strings in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// The strings.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        strings(self.0)
    }
}

impl fmt::Debug for Strings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Bytes::copy_from_slice)).finish()
    }
}

/// A set of record types (RFC 4034 section 4.1.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TypeBitmap<'a>(pub(crate) &'a [u8]);

impl<'a> TypeBitmap<'a> {
    /// The types, in rising order.
    pub fn iter(self) -> impl Iterator<Item = RecordType> + 'a {
        self.windows().flat_map(|(window, bits)| {
            (0..bits.len() * 8)
                .filter(|bit| bits[bit / 8] & (0x80 >> (bit % 8)) != 0)
                .map(move |bit| RecordType(u16::from(window) << 8 | bit as u16))
        })
    }

    /// True if the set has `rtype`.
    pub fn contains(self, rtype: RecordType) -> bool {
        let [window, bit] = rtype.0.to_be_bytes();
        self.windows()
            .find(|(w, _)| *w == window)
            .and_then(|(_, bits)| bits.get(usize::from(bit / 8)))
            .is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    }

    fn windows(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let ([window, len], tail) = rest.split_first_chunk()?;
            let (bits, tail) = tail.split_at_checked(usize::from(*len))?;
            rest = tail;
            Some((*window, bits))
        })
    }
}

impl fmt::Debug for TypeBitmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<'a> RecordData<'a> {
    /// Reads the record data between `start` and `end` of a message, which both lie within it.
    #[inline]
    pub(crate) fn read(
        rtype: RecordType,
        message: &'a [u8],
        start: usize,
        end: usize,
    ) -> Result<Self, DecodeError> {
        let mut r = Reader::new(message, start, end);
        let data = match rtype {
            RecordType::A => Self::A(Ipv4Addr::from(r.array::<4>()?)),
            RecordType::AAAA => Self::Aaaa(Ipv6Addr::from(r.array::<16>()?)),
            RecordType::NS => Self::Ns(r.name()?),
            RecordType::CNAME => Self::Cname(r.name()?),
            RecordType::PTR => Self::Ptr(r.name()?),
            _ => return Self::read_other(rtype, r),
        };
        r.finish()?;
        Ok(data)
    }

    fn read_other(rtype: RecordType, mut r: Reader<'a>) -> Result<Self, DecodeError> {
        let data = match rtype {
            RecordType::DNAME => Self::Dname(r.name()?),
            RecordType::SOA => Self::Soa(Soa {
                mname: r.name()?,
                rname: r.name()?,
                serial: r.u32()?,
                refresh: r.u32()?,
                retry: r.u32()?,
                expire: r.u32()?,
                minimum: r.u32()?,
            }),
            RecordType::MX => Self::Mx(Mx { preference: r.u16()?, exchange: r.name()? }),
            RecordType::TXT => {
                let start = r.at;
                schema::step(schema::Field::Strings, &mut r)?;
                Self::Txt(Strings(&r.message[start..r.at]))
            }
            RecordType::SRV => {
                Self::Srv(Srv { priority: r.u16()?, weight: r.u16()?, port: r.u16()?, target: r.name()? })
            }
            RecordType::NAPTR => Self::Naptr(Naptr {
                order: r.u16()?,
                preference: r.u16()?,
                flags: r.string()?,
                services: r.string()?,
                regexp: r.string()?,
                replacement: r.name()?,
            }),
            RecordType::CAA => {
                let flags = r.u8()?;
                let start = r.at + 1;
                schema::step(schema::Field::Tag, &mut r)?;
                Self::Caa(Caa { flags, tag: &r.message[start..r.at], value: r.rest() })
            }
            RecordType::SVCB => Self::Svcb(svcb(&mut r)?),
            RecordType::HTTPS => Self::Https(svcb(&mut r)?),
            RecordType::TLSA => {
                Self::Tlsa(Tlsa { usage: r.u8()?, selector: r.u8()?, matching: r.u8()?, data: r.rest() })
            }
            RecordType::SSHFP => {
                Self::Sshfp(Sshfp { algorithm: r.u8()?, hash: r.u8()?, fingerprint: r.rest() })
            }
            RecordType::DS => Self::Ds(ds(&mut r)?),
            RecordType::CDS => Self::Cds(ds(&mut r)?),
            RecordType::DNSKEY => Self::Dnskey(dnskey(&mut r)?),
            RecordType::CDNSKEY => Self::Cdnskey(dnskey(&mut r)?),
            RecordType::RRSIG => Self::Rrsig(Rrsig {
                covered: RecordType(r.u16()?),
                algorithm: r.u8()?,
                labels: r.u8()?,
                original_ttl: r.u32()?,
                expiration: r.u32()?,
                inception: r.u32()?,
                key_tag: r.u16()?,
                signer: r.name()?,
                signature: r.rest(),
            }),
            RecordType::NSEC => Self::Nsec(Nsec { next: r.name()?, types: bitmap(&mut r)? }),
            RecordType::NSEC3 => {
                Self::Nsec3(Nsec3 { params: nsec3param(&mut r)?, next: r.string()?, types: bitmap(&mut r)? })
            }
            RecordType::NSEC3PARAM => Self::Nsec3param(nsec3param(&mut r)?),
            RecordType::OPT => {
                OptView::check(r)?;
                Self::Opt(r.rest())
            }
            _ => {
                schema::check(rtype, r)?;
                Self::Other(rtype, r.rest())
            }
        };
        r.finish()?;
        Ok(data)
    }
}

fn svcb<'a>(r: &mut Reader<'a>) -> Result<Svcb<'a>, DecodeError> {
    let (priority, target, start) = (r.u16()?, r.name()?, r.at);
    super::svcb::check(r)?;
    Ok(Svcb { priority, target, params: SvcParams(&r.message[start..r.at]) })
}

fn ds<'a>(r: &mut Reader<'a>) -> Result<Ds<'a>, DecodeError> {
    Ok(Ds { key_tag: r.u16()?, algorithm: r.u8()?, digest_type: r.u8()?, digest: r.rest() })
}

fn dnskey<'a>(r: &mut Reader<'a>) -> Result<Dnskey<'a>, DecodeError> {
    Ok(Dnskey { flags: r.u16()?, protocol: r.u8()?, algorithm: r.u8()?, key: r.rest() })
}

fn nsec3param<'a>(r: &mut Reader<'a>) -> Result<Nsec3param<'a>, DecodeError> {
    Ok(Nsec3param { hash: r.u8()?, flags: r.u8()?, iterations: r.u16()?, salt: r.string()? })
}

fn bitmap<'a>(r: &mut Reader<'a>) -> Result<TypeBitmap<'a>, DecodeError> {
    let start = r.at;
    schema::step(schema::Field::Bitmap, r)?;
    Ok(TypeBitmap(&r.message[start..r.at]))
}
