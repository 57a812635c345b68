//! Record data as text.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Escape, base, location, write_escaped};
use crate::wire::reader::Reader;
use crate::wire::schema::{self, Field};
use crate::wire::{NameRef, Rdata, RecordType, SvcKey, SvcParam, SvcParams, TypeBitmap};

pub(super) fn rdata(data: &Rdata, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let wire = data.as_wire();
    let reader = Reader::new(wire, 0, wire.len());
    match schema::fields(data.rtype()) {
        Some(fields) if is_printable(data.rtype(), fields, reader) => print_fields(fields, reader, f),
        _ => generic(wire, f),
    }
}

/// The form of RFC 3597 section 5, for any type.
fn generic(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {}", wire.len())?;
    if !wire.is_empty() {
        f.write_str(" ")?;
        base::write_hex(f, wire)?;
    }
    Ok(())
}

/// True if the data has its type's form and the text of each field could be read again.
fn is_printable(rtype: RecordType, fields: &[Field], mut reader: Reader<'_>) -> bool {
    let last = fields.last();
    if schema::check(rtype, reader).is_err() {
        return false;
    }
    for field in fields {
        let start = reader.at;
        if schema::step(*field, &mut reader).is_err() {
            return false;
        }
        let empty = reader.at == start;
        let blank = matches!(field, Field::Hex | Field::Base64) && empty && Some(field) == last;
        let no_hash = *field == Field::Hash && reader.at == start + 1;
        if blank || no_hash {
            return false;
        }
    }
    // Families without a textual form of their addresses.
    !matches!(fields, [Field::Prefixes]) || {
        let mut items = Reader::new(reader.message, 0, reader.end);
        while let Ok((family, ..)) = schema::prefix(&mut items) {
            if !(1..=2).contains(&family) {
                return false;
            }
        }
        true
    }
}

fn print_fields(fields: &[Field], mut reader: Reader<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut first = true;
    for field in fields {
        let start = reader.at;
        let name = schema::step(*field, &mut reader).map_err(|_| fmt::Error)?;
        let bytes = &reader.message[start..reader.at];
        if bytes.is_empty() && !matches!(field, Field::Text | Field::IpsecGateway) {
            continue;
        }
        if !first {
            f.write_str(" ")?;
        }
        first = false;
        print_field(*field, bytes, name, f)?;
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    write_escaped(f, text, Escape::Quoted)?;
    f.write_str("\"")
}

fn print_field(
    field: Field,
    bytes: &[u8],
    name: Option<NameRef<'_>>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if let Some(name) = name {
        return write!(f, "{name}");
    }
    match field {
        Field::U8 | Field::U16 | Field::U32 | Field::Period | Field::Algorithm | Field::CertType => {
            write!(f, "{}", number(bytes))
        }
        Field::Type => write!(f, "{}", RecordType(number(bytes) as u16)),
        Field::Time => time(f, number(bytes)),
        Field::Ipv4 => write!(f, "{}", Ipv4Addr::from(number(bytes))),
        Field::Ipv6 => ipv6(f, bytes),
        Field::IpsecGateway => match bytes.len() {
            4 => write!(f, "{}", Ipv4Addr::from(number(bytes))),
            16 => ipv6(f, bytes),
            _ => f.write_str("."),
        },
        Field::String | Field::Strings | Field::OptString => {
            let mut space = "";
            crate::wire::strings(bytes).try_for_each(|string| {
                f.write_str(space)?;
                space = " ";
                quoted(f, string)
            })
        }
        Field::Tag => bytes[1..].iter().try_for_each(|b| write!(f, "{}", char::from(*b))),
        Field::Text => quoted(f, bytes),
        Field::Hex => base::write_hex(f, bytes),
        Field::Base64 | Field::OptBase64 => base::write_base64(f, bytes),
        Field::Salt if bytes.len() == 1 => f.write_str("-"),
        Field::Salt => base::write_hex(f, &bytes[1..]),
        Field::Hash => base::write_base32(f, &bytes[1..]),
        Field::Bitmap => {
            let mut space = "";
            TypeBitmap(bytes).iter().try_for_each(|rtype| {
                write!(f, "{space}{rtype}")?;
                space = " ";
                Ok(())
            })
        }
        Field::SvcParams => {
            let mut space = "";
            SvcParams(bytes).iter().try_for_each(|param| {
                f.write_str(space)?;
                space = " ";
                svc_param(f, param)
            })
        }
        Field::Prefixes => prefixes(f, bytes),
        Field::Eui(_) => {
            let mut dash = "";
            bytes.iter().try_for_each(|byte| {
                write!(f, "{dash}{byte:02x}")?;
                dash = "-";
                Ok(())
            })
        }
        Field::Groups => {
            let mut colon = "";
            bytes.chunks(2).try_for_each(|group| {
                write!(f, "{colon}{:04x}", number(group))?;
                colon = ":";
                Ok(())
            })
        }
        Field::Location => bytes.try_into().map_or(Err(fmt::Error), |wire| location::write(f, wire)),
        // Names were printed above.
        Field::Name => Ok(()),
    }
}

fn ipv6(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let octets: [u8; 16] = bytes.try_into().map_err(|_| fmt::Error)?;
    write!(f, "{}", Ipv6Addr::from(octets))
}

/// Seconds since 1970 as a date (RFC 4034 section 3.2).
fn time(f: &mut fmt::Formatter<'_>, seconds: u32) -> fmt::Result {
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    write!(f, "{year:04}{month:02}{day:02}{:02}{:02}{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The date of a day counted from 1 January 1970, by counting in eras of 400 years from March on.
fn civil(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u32::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn svc_param(f: &mut fmt::Formatter<'_>, param: SvcParam<'_>) -> fmt::Result {
    write!(f, "{}", param.key)?;
    let value = param.value;
    if value.is_empty() {
        return Ok(());
    }
    f.write_str("=")?;
    let mut comma = "";
    let mut separate = |f: &mut fmt::Formatter<'_>| {
        let result = f.write_str(comma);
        comma = ",";
        result
    };
    match param.key {
        SvcKey::MANDATORY => value.chunks(2).try_for_each(|key| {
            separate(f)?;
            write!(f, "{}", SvcKey(number(key) as u16))
        }),
        SvcKey::PORT => write!(f, "{}", number(value)),
        SvcKey::IPV4HINT => value.chunks(4).try_for_each(|hint| {
            separate(f)?;
            write!(f, "{}", Ipv4Addr::from(number(hint)))
        }),
        SvcKey::IPV6HINT => value.chunks(16).try_for_each(|hint| {
            separate(f)?;
            ipv6(f, hint)
        }),
        SvcKey::ECH => base::write_base64(f, value),
        SvcKey::ALPN => {
            f.write_str("\"")?;
            crate::wire::strings(value).try_for_each(|id| {
                separate(f)?;
                // Commas and backslashes are escaped twice: in the list, then in the text (RFC 9460 appendix A.1).
                id.split_inclusive(|b| matches!(b, b',' | b'\\')).try_for_each(|part| match part {
                    [head @ .., special @ (b',' | b'\\')] => {
                        write_escaped(f, head, Escape::Quoted)?;
                        write_escaped(f, &[b'\\', *special], Escape::Quoted)
                    }
                    part => write_escaped(f, part, Escape::Quoted),
                })
            })?;
            f.write_str("\"")
        }
        _ => quoted(f, value),
    }
}

fn prefixes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut items = Reader::new(bytes, 0, bytes.len());
    let mut space = "";
    while let Ok((family, bits, negated, address)) = schema::prefix(&mut items) {
        let mut octets = [0; 16];
        octets[..address.len()].copy_from_slice(address);
        write!(f, "{space}{}{family}:", if negated { "!" } else { "" })?;
        match family {
            1 => write!(f, "{}", Ipv4Addr::from(number(&octets[..4])))?,
            _ => ipv6(f, &octets)?,
        }
        write!(f, "/{bits}")?;
        space = " ";
    }
    Ok(())
}
