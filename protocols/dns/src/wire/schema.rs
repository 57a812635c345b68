//! What the record data of each type is made of: one table that decoding, expansion, comparison and both directions of
//! the presentation format share.

use bytes::BytesMut;

use super::reader::Reader;
use super::{NameRef, RecordType, svcb};
use crate::error::{DecodeError, DecodeReason};

/// One field of record data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    U8,
    U16,
    U32,
    /// Seconds, which people may write with units.
    Period,
    /// A record type, shown by its mnemonic.
    Type,
    /// A DNSSEC algorithm, for which people may write a mnemonic.
    Algorithm,
    /// A certificate type, for which people may write a mnemonic.
    CertType,
    /// A moment as `YYYYMMDDHHmmSS`.
    Time,
    Ipv4,
    Ipv6,
    Name,
    /// A character string.
    String,
    /// One or more character strings up to the end.
    Strings,
    /// A character string that may be missing.
    OptString,
    /// A character string of letters and digits, shown bare.
    Tag,
    /// The rest, as one quoted text.
    Text,
    /// The rest, as hexadecimal digits.
    Hex,
    /// The rest, as base64.
    Base64,
    /// The same, which may be missing.
    OptBase64,
    /// A length byte and that much, as hexadecimal digits or `-`.
    Salt,
    /// A length byte and that much, as base32 with the extended alphabet.
    Hash,
    /// The types that exist at a name, up to the end.
    Bitmap,
    SvcParams,
    /// Address prefixes up to the end.
    Prefixes,
    /// So many bytes as pairs of digits with dashes.
    Eui(u8),
    /// Eight bytes as four groups of digits.
    Groups,
    /// A location (RFC 1876).
    Location,
    /// The gateway of an IPSECKEY, whose kind stands in the byte before the last (RFC 4025).
    IpsecGateway,
}

/// The fields of a type; `None` for the types whose data is opaque here (RFC 3597).
pub(crate) const fn fields(rtype: RecordType) -> Option<&'static [Field]> {
    use Field::{
        Algorithm, Base64, Bitmap, CertType, Eui, Groups, Hash, Hex, IpsecGateway, Ipv4, Ipv6, Location,
        Name, OptBase64, OptString, Period, Prefixes, Salt, String, Strings, SvcParams, Tag, Text, Time,
        Type, U8, U16, U32,
    };
    Some(match rtype {
        RecordType::A => &[Ipv4],
        RecordType::AAAA => &[Ipv6],
        RecordType::NS
        | RecordType::MD
        | RecordType::MF
        | RecordType::CNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::PTR
        | RecordType::DNAME => &[Name],
        RecordType::SOA => &[Name, Name, U32, Period, Period, Period, Period],
        RecordType::MINFO | RecordType::RP => &[Name, Name],
        RecordType::MX | RecordType::AFSDB | RecordType::RT | RecordType::KX | RecordType::LP => &[U16, Name],
        RecordType::HINFO => &[String, String],
        RecordType::TXT | RecordType::SPF | RecordType::AVC | RecordType::RESINFO | RecordType::WALLET => {
            &[Strings]
        }
        RecordType::X25 => &[String],
        RecordType::ISDN => &[String, OptString],
        RecordType::GPOS => &[String, String, String],
        RecordType::PX => &[U16, Name, Name],
        RecordType::SIG | RecordType::RRSIG => &[Type, Algorithm, U8, Period, Time, Time, U16, Name, Base64],
        RecordType::KEY | RecordType::DNSKEY | RecordType::CDNSKEY => &[U16, U8, Algorithm, Base64],
        RecordType::LOC => &[Location],
        RecordType::SRV => &[U16, U16, U16, Name],
        RecordType::NAPTR => &[U16, U16, String, String, String, Name],
        RecordType::CERT => &[CertType, U16, Algorithm, Base64],
        RecordType::APL => &[Prefixes],
        RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::TA => &[U16, Algorithm, U8, Hex],
        RecordType::SSHFP => &[U8, U8, Hex],
        RecordType::IPSECKEY => &[U8, U8, U8, IpsecGateway, OptBase64],
        RecordType::NSEC => &[Name, Bitmap],
        RecordType::DHCID | RecordType::OPENPGPKEY => &[Base64],
        RecordType::NSEC3 => &[U8, U8, U16, Salt, Hash, Bitmap],
        RecordType::NSEC3PARAM => &[U8, U8, U16, Salt],
        RecordType::TLSA | RecordType::SMIMEA => &[U8, U8, U8, Hex],
        RecordType::CSYNC => &[U32, U16, Bitmap],
        RecordType::ZONEMD => &[U32, U8, U8, Hex],
        RecordType::SVCB | RecordType::HTTPS => &[U16, Name, SvcParams],
        RecordType::NID | RecordType::L64 => &[U16, Groups],
        RecordType::L32 => &[U16, Ipv4],
        RecordType::EUI48 => &[Eui(6)],
        RecordType::EUI64 => &[Eui(8)],
        RecordType::URI => &[U16, U16, Text],
        RecordType::CAA => &[U8, Tag, Text],
        _ => return None,
    })
}

/// Where names in the data of the types that may be compressed lie: so many bytes, so many names, then the rest
/// (RFC 3597 section 4: the types of RFC 1035 and no other).
pub(crate) const fn compressible(rtype: RecordType) -> Option<(usize, usize)> {
    match rtype {
        RecordType::NS
        | RecordType::MD
        | RecordType::MF
        | RecordType::CNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::PTR => Some((0, 1)),
        RecordType::SOA | RecordType::MINFO => Some((0, 2)),
        RecordType::MX => Some((2, 1)),
        _ => None,
    }
}

/// Moves over one field; returns the name if it is one.
pub(crate) fn step<'a>(field: Field, reader: &mut Reader<'a>) -> Result<Option<NameRef<'a>>, DecodeError> {
    match field {
        Field::U8 | Field::Algorithm => drop(reader.take(1)?),
        Field::U16 | Field::Type | Field::CertType => drop(reader.take(2)?),
        Field::U32 | Field::Period | Field::Time | Field::Ipv4 => drop(reader.take(4)?),
        Field::Ipv6 => drop(reader.take(16)?),
        Field::Groups => drop(reader.take(8)?),
        Field::Eui(len) => drop(reader.take(usize::from(len))?),
        Field::Name => return reader.name().map(Some),
        Field::String | Field::Salt | Field::Hash => drop(reader.string()?),
        Field::Tag => {
            let start = *reader;
            let tag = reader.string()?;
            // RFC 8659 section 4.1: a tag has at least one letter or digit, and nothing else.
            if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
                return Err(start.error(DecodeReason::BadData));
            }
        }
        Field::Strings => {
            reader.string()?;
            while !reader.is_empty() {
                reader.string()?;
            }
        }
        Field::OptString => {
            if !reader.is_empty() {
                reader.string()?;
            }
        }
        Field::Text | Field::Hex | Field::Base64 | Field::OptBase64 => drop(reader.rest()),
        Field::Bitmap => bitmap(reader)?,
        Field::SvcParams => svcb::check(reader)?,
        Field::Prefixes => {
            while !reader.is_empty() {
                prefix(reader)?;
            }
        }
        Field::Location => {
            let start = *reader;
            let location = reader.array::<16>()?;
            // RFC 1876 section 2: version 0; sizes are two decimal digits.
            let size = |b: u8| b >> 4 <= 9 && b & 15 <= 9;
            if location[0] != 0 || !location[1..4].iter().copied().all(size) {
                return Err(start.error(DecodeReason::BadData));
            }
        }
        Field::IpsecGateway => match reader.message[reader.at - 2] {
            0 => {}
            1 => drop(reader.take(4)?),
            2 => drop(reader.take(16)?),
            3 => return reader.name().map(Some),
            _ => return Err(reader.error(DecodeReason::BadData)),
        },
    }
    Ok(None)
}

/// RFC 4034 section 4.1.2: windows in rising order, each of 1 to 32 bytes.
fn bitmap(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut last = None;
    while !reader.is_empty() {
        let start = *reader;
        let [window, len] = reader.array()?;
        if last.is_some_and(|last| window <= last) || !(1..=32).contains(&len) {
            return Err(start.error(DecodeReason::BadData));
        }
        reader.take(usize::from(len))?;
        last = Some(window);
    }
    Ok(())
}

/// One item of an APL record: family, prefix length, and an address without its trailing zeros (RFC 3123 section 4).
pub(crate) fn prefix<'a>(reader: &mut Reader<'a>) -> Result<(u16, u8, bool, &'a [u8]), DecodeError> {
    let start = *reader;
    let family = reader.u16()?;
    let [bits, flags] = reader.array()?;
    let address = reader.take(usize::from(flags & 0x7f))?;
    let max = match family {
        1 => 4,
        2 => 16,
        _ => 127,
    };
    let known = family == 1 || family == 2;
    if address.len() > max || address.last() == Some(&0) || (known && usize::from(bits) > max * 8) {
        return Err(start.error(DecodeReason::BadData));
    }
    Ok((family, bits, flags & 0x80 != 0, address))
}

/// Checks the record data between the reader's place and its end.
pub(crate) fn check(rtype: RecordType, mut reader: Reader<'_>) -> Result<(), DecodeError> {
    let Some(fields) = fields(rtype) else { return Ok(()) };
    for field in fields {
        step(*field, &mut reader)?;
    }
    reader.finish()
}

/// Appends the record data with its names uncompressed.
pub(crate) fn expand(
    rtype: RecordType,
    mut reader: Reader<'_>,
    out: &mut BytesMut,
) -> Result<(), DecodeError> {
    let mut copied = reader.at;
    for field in fields(rtype).unwrap_or_default() {
        let start = reader.at;
        if let Some(name) = step(*field, &mut reader)? {
            out.extend_from_slice(&reader.message[copied..start]);
            name.write(out);
            copied = reader.at;
        }
    }
    if fields(rtype).is_some() {
        reader.finish()?;
    }
    out.extend_from_slice(&reader.message[copied..reader.end]);
    Ok(())
}

/// Compares uncompressed record data of one type: names without case, everything else byte by byte.
pub(crate) fn equal(rtype: RecordType, a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    if a.len() != b.len() || !a.eq_ignore_ascii_case(b) {
        return false;
    }
    let mut one = Reader::new(a, 0, a.len());
    for field in fields(rtype).unwrap_or_default() {
        let start = one.at;
        match step(*field, &mut one) {
            // The bytes are equal but for case, so the names have the same shape.
            Ok(Some(_)) => {}
            Ok(None) if a[start..one.at] == b[start..one.at] => {}
            _ => return false,
        }
    }
    a[one.at..] == b[one.at..]
}
