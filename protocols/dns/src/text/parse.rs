//! Record data from text.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use bytes::{BufMut, BytesMut};

use super::base::Bits;
use super::lex::{Fields, decimal, period};
use super::{TextReason, location, unescape};
use crate::wire::schema::{self, Field};
use crate::wire::{Name, NameError, Rdata, RecordType, SvcKey};

type Result<T> = core::result::Result<T, TextReason>;

/// Reads the data of one record of `rtype`: in its own form, or in the generic one of RFC 3597.
pub(super) fn rdata(rtype: RecordType, fields: &mut Fields<'_, '_>, origin: Option<&Name>) -> Result<Rdata> {
    let mut out = BytesMut::new();
    if fields.peek().is_some_and(|token| !token.quoted && token.text == b"\\#") {
        fields.next()?;
        let len = number(fields.word()?, u32::from(u16::MAX))? as usize;
        digits(Bits::hex(), fields, &mut out)?;
        if out.len() != len {
            return Err(TextReason::BadField);
        }
    } else {
        for field in schema::fields(rtype).ok_or(TextReason::UnknownType)? {
            put(*field, fields, origin, &mut out)?;
        }
    }
    if out.len() > usize::from(u16::MAX) {
        return Err(TextReason::DataTooLong);
    }
    Rdata::new(rtype, out.freeze()).map_err(|error| TextReason::BadData(error.reason))
}

fn number(word: &[u8], max: u32) -> Result<u32> {
    let value = decimal(word).ok_or(TextReason::BadField)??;
    if value > max { Err(TextReason::NumberTooLarge) } else { Ok(value) }
}

/// Anything that the standard library reads.
fn std_value<T: FromStr>(word: &[u8]) -> Result<T> {
    core::str::from_utf8(word).ok().and_then(|text| text.parse().ok()).ok_or(TextReason::BadField)
}

pub(super) fn name(text: &[u8], origin: Option<&Name>) -> Result<Name> {
    let relative = text == b"@" || !ends_absolute(text);
    if relative && origin.is_none() {
        return Err(TextReason::NoOrigin);
    }
    Name::from_text_at(text, origin).map_err(|error| match error {
        NameError::BadEscape => TextReason::BadEscape,
        error => TextReason::BadName(error),
    })
}

/// True if the last character is a dot that no backslash protects.
fn ends_absolute(text: &[u8]) -> bool {
    let Some(rest) = text.strip_suffix(b".") else { return false };
    rest.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
}

/// Replaces the escapes of a text.
pub(super) fn unescaped(text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'\\' {
            let (byte, used) = unescape(rest).ok_or(TextReason::BadEscape)?;
            rest = &rest[used..];
            out.push(byte);
        } else {
            out.push(*byte);
        }
    }
    Ok(out)
}

fn put_string(text: &[u8], out: &mut BytesMut) -> Result<()> {
    let string = unescaped(text)?;
    out.put_u8(u8::try_from(string.len()).map_err(|_| TextReason::StringTooLong)?);
    out.put_slice(&string);
    Ok(())
}

/// All that is left, as digits in any number of pieces.
fn digits(mut bits: Bits, fields: &mut Fields<'_, '_>, out: &mut BytesMut) -> Result<()> {
    while !fields.is_empty() {
        bits.piece(fields.word()?, out).ok_or(TextReason::BadField)?;
    }
    if bits.finish() { Ok(()) } else { Err(TextReason::BadField) }
}

/// One word of digits behind its length.
fn counted(mut bits: Bits, word: &[u8], out: &mut BytesMut) -> Result<()> {
    let at = out.len();
    out.put_u8(0);
    bits.piece(word, out).filter(|()| bits.finish()).ok_or(TextReason::BadField)?;
    out[at] = u8::try_from(out.len() - at - 1).map_err(|_| TextReason::StringTooLong)?;
    Ok(())
}

fn put(field: Field, fields: &mut Fields<'_, '_>, origin: Option<&Name>, out: &mut BytesMut) -> Result<()> {
    match field {
        Field::U8 => out.put_u8(number(fields.word()?, 0xff)? as u8),
        Field::U16 => out.put_u16(number(fields.word()?, 0xffff)? as u16),
        Field::U32 => out.put_u32(number(fields.word()?, u32::MAX)?),
        Field::Period => out.put_u32(period(fields.word()?).ok_or(TextReason::BadField)??),
        Field::Type => out.put_u16(std_value::<RecordType>(fields.word()?)?.0),
        Field::Algorithm => out.put_u8(mnemonic(ALGORITHMS, fields.word()?, 0xff)? as u8),
        Field::CertType => out.put_u16(mnemonic(CERT_TYPES, fields.word()?, 0xffff)?),
        Field::Time => out.put_u32(time(fields.word()?)?),
        Field::Ipv4 => out.put_slice(&std_value::<Ipv4Addr>(fields.word()?)?.octets()),
        Field::Ipv6 => out.put_slice(&std_value::<Ipv6Addr>(fields.word()?)?.octets()),
        Field::Name => out.put_slice(name(fields.word()?, origin)?.as_wire()),
        Field::String => put_string(fields.next()?.text, out)?,
        Field::OptString => {
            if !fields.is_empty() {
                put_string(fields.next()?.text, out)?;
            }
        }
        Field::Strings => {
            put_string(fields.next()?.text, out)?;
            while !fields.is_empty() {
                put_string(fields.next()?.text, out)?;
            }
        }
        Field::Tag => put_string(fields.word()?, out)?,
        Field::Text => out.put_slice(&unescaped(fields.next()?.text)?),
        Field::OptBase64 if fields.is_empty() => {}
        Field::Hex | Field::Base64 | Field::OptBase64 => {
            if fields.is_empty() {
                return Err(TextReason::MissingField);
            }
            digits(if field == Field::Hex { Bits::hex() } else { Bits::base64() }, fields, out)?;
        }
        Field::Salt => match fields.word()? {
            b"-" => out.put_u8(0),
            word => counted(Bits::hex(), word, out)?,
        },
        Field::Hash => counted(Bits::base32(), fields.word()?, out)?,
        Field::Bitmap => {
            let mut types = BTreeSet::new();
            while !fields.is_empty() {
                types.insert(std_value::<RecordType>(fields.word()?)?.0);
            }
            put_bitmap(&types, out);
        }
        Field::SvcParams => svc_params(fields, out)?,
        Field::Prefixes => {
            while !fields.is_empty() {
                prefix(fields.word()?, out)?;
            }
        }
        Field::Eui(len) => {
            let word = fields.word()?;
            let pairs = word.split(|b| *b == b'-');
            if word.len() + 1 != usize::from(len) * 3 {
                return Err(TextReason::BadField);
            }
            pairs.into_iter().try_for_each(|pair| {
                let mut bits = Bits::hex();
                (pair.len() == 2).then_some(()).ok_or(TextReason::BadField)?;
                bits.piece(pair, out).ok_or(TextReason::BadField)
            })?;
        }
        Field::Groups => {
            let word = fields.word()?;
            let mut count = 0;
            for group in word.split(|b| *b == b':') {
                let text = core::str::from_utf8(group).map_err(|_| TextReason::BadField)?;
                if group.is_empty() || group.len() > 4 || !group.iter().all(u8::is_ascii_hexdigit) {
                    return Err(TextReason::BadField);
                }
                out.put_u16(u16::from_str_radix(text, 16).map_err(|_| TextReason::BadField)?);
                count += 1;
            }
            if count != 4 {
                return Err(TextReason::BadField);
            }
        }
        Field::Location => location::parse(fields, out)?,
        Field::IpsecGateway => {
            let word = fields.word()?;
            match out[out.len() - 2] {
                0 if word == b"." => {}
                1 => out.put_slice(&std_value::<Ipv4Addr>(word)?.octets()),
                2 => out.put_slice(&std_value::<Ipv6Addr>(word)?.octets()),
                3 => out.put_slice(name(word, origin)?.as_wire()),
                _ => return Err(TextReason::BadField),
            }
        }
    }
    Ok(())
}

/// IANA's mnemonics of DNSSEC algorithms.
const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("ECC", 4),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// RFC 4398 section 2.1.
const CERT_TYPES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

fn mnemonic(table: &[(&str, u16)], word: &[u8], max: u32) -> Result<u16> {
    match table.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)) {
        Some((_, value)) => Ok(*value),
        None => number(word, max).map(|value| value as u16),
    }
}

/// RFC 4034 section 3.2: fourteen digits are a date, fewer are seconds since 1970.
fn time(word: &[u8]) -> Result<u32> {
    if word.len() != 14 {
        return number(word, u32::MAX);
    }
    let part = |from: usize, to: usize, range: core::ops::RangeInclusive<u32>| {
        let value = number(&word[from..to], 9999)?;
        if range.contains(&value) { Ok(value) } else { Err(TextReason::BadField) }
    };
    let (year, month, day) = (part(0, 4, 1970..=9999)?, part(4, 6, 1..=12)?, part(6, 8, 1..=31)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return Err(TextReason::BadField);
    }
    let (hour, minute, second) = (part(8, 10, 0..=23)?, part(10, 12, 0..=59)?, part(12, 14, 0..=59)?);
    // Days of whole years, of whole months counted from March, and of this month.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = u64::from(days) * 86_400 + u64::from(hour * 3600 + minute * 60 + second);
    // RFC 4034 section 3.1.5: the number on the wire is the time modulo 2^32.
    Ok(seconds as u32)
}

fn put_bitmap(types: &BTreeSet<u16>, out: &mut BytesMut) {
    let mut window = None;
    let mut at = 0;
    for rtype in types {
        let [high, low] = rtype.to_be_bytes();
        if window != Some(high) {
            window = Some(high);
            out.put_slice(&[high, 0]);
            at = out.len();
        }
        let byte = at + usize::from(low / 8);
        if out.len() <= byte {
            out.resize(byte + 1, 0);
            out[at - 1] = (byte + 1 - at) as u8;
        }
        out[byte] |= 0x80 >> (low % 8);
    }
}

/// `[!]family:address/bits` (RFC 3123 section 5).
fn prefix(word: &[u8], out: &mut BytesMut) -> Result<()> {
    let (negated, word) = word.strip_prefix(b"!").map_or((false, word), |rest| (true, rest));
    let colon = memchr::memchr(b':', word).ok_or(TextReason::BadField)?;
    let slash = memchr::memrchr(b'/', word).filter(|slash| *slash > colon).ok_or(TextReason::BadField)?;
    let (family, address, bits) = (&word[..colon], &word[colon + 1..slash], &word[slash + 1..]);
    let mut octets = [0; 16];
    let (family, len) = match number(family, 0xffff)? {
        1 => {
            octets[..4].copy_from_slice(&std_value::<Ipv4Addr>(address)?.octets());
            (1, 4)
        }
        2 => {
            octets = std_value::<Ipv6Addr>(address)?.octets();
            (2, 16)
        }
        _ => return Err(TextReason::BadField),
    };
    let bits = number(bits, len * 8)?;
    let used = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    out.put_u16(family);
    out.put_slice(&[bits as u8, u8::from(negated) << 7 | used as u8]);
    out.put_slice(&octets[..used]);
    Ok(())
}

/// `key`, `key=value` or `key="value"`, in any order (RFC 9460 section 2.1).
fn svc_params(fields: &mut Fields<'_, '_>, out: &mut BytesMut) -> Result<()> {
    let mut params: Vec<(SvcKey, Vec<u8>)> = Vec::new();
    while !fields.is_empty() {
        let word = fields.word()?;
        let (key, value) = match memchr::memchr(b'=', word) {
            None => (word, None),
            Some(equals) if equals + 1 == word.len() => {
                let joined = fields.peek().filter(|token| token.quoted && token.joined);
                if joined.is_some() {
                    fields.next()?;
                }
                (&word[..equals], Some(joined.map_or(&b""[..], |token| token.text)))
            }
            Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        };
        if fields.peek().is_some_and(|token| token.joined) {
            return Err(TextReason::BadField);
        }
        let key = SvcKey::from_text(key).ok_or(TextReason::BadField)?;
        let value = unescaped(value.unwrap_or_default())?;
        params.push((key, svc_value(key, value)?));
    }
    params.sort_by_key(|(key, _)| *key);
    for (key, value) in &params {
        out.put_u16(key.0);
        out.put_u16(u16::try_from(value.len()).map_err(|_| TextReason::DataTooLong)?);
        out.put_slice(value);
    }
    Ok(())
}

fn svc_value(key: SvcKey, text: Vec<u8>) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    let items = || text.split(|b| *b == b',');
    match key {
        SvcKey::MANDATORY => {
            let mut keys = Vec::new();
            for item in items() {
                keys.push(SvcKey::from_text(item).ok_or(TextReason::BadField)?);
            }
            keys.sort_unstable();
            for key in keys {
                out.put_u16(key.0);
            }
        }
        SvcKey::ALPN => alpn(&text, &mut out)?,
        SvcKey::PORT => out.put_u16(number(&text, 0xffff)? as u16),
        SvcKey::IPV4HINT => {
            for item in items() {
                out.put_slice(&std_value::<Ipv4Addr>(item)?.octets());
            }
        }
        SvcKey::IPV6HINT => {
            for item in items() {
                out.put_slice(&std_value::<Ipv6Addr>(item)?.octets());
            }
        }
        SvcKey::ECH => {
            let mut bits = Bits::base64();
            bits.piece(&text, &mut out).filter(|()| bits.finish()).ok_or(TextReason::BadField)?;
        }
        _ => return Ok(text),
    }
    Ok(out.to_vec())
}

/// A list whose commas and backslashes may be escaped once more (RFC 9460 appendix A.1).
fn alpn(text: &[u8], out: &mut BytesMut) -> Result<()> {
    let mut id = Vec::new();
    let mut bytes = text.iter();
    let mut flush = |id: &mut Vec<u8>| {
        if id.is_empty() {
            return Err(TextReason::BadField);
        }
        out.put_u8(u8::try_from(id.len()).map_err(|_| TextReason::StringTooLong)?);
        out.put_slice(id);
        id.clear();
        Ok(())
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b',' => flush(&mut id)?,
            b'\\' => match bytes.next() {
                Some(byte @ (b',' | b'\\')) => id.push(*byte),
                _ => return Err(TextReason::BadEscape),
            },
            byte => id.push(*byte),
        }
    }
    flush(&mut id)
}
