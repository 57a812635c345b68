//! Record data, owned.

use core::hash::{Hash, Hasher};
use core::net::{Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, Bytes, BytesMut};

use super::name_ref::{INLINE, copy_inline};
use super::reader::Reader;
use super::{Name, RecordData, RecordType, Soa, schema};
use crate::error::{DecodeError, DecodeReason};

/// The data of one record, owned: its type and its uncompressed wire form.
///
/// Equality looks at names without regard to case, at everything else byte by byte. Up to 38 bytes, which is most data, need
/// no allocation; clones of longer data share their bytes.
///
/// ```
/// use glowplug_dns::{Rdata, RecordData, RecordType};
/// let data: Rdata = Rdata::from_text(RecordType::MX, "10 mail.example.org.")?;
/// let RecordData::Mx(mx) = data.data() else { panic!() };
/// assert_eq!(mx.preference, 10);
/// assert_eq!(data.to_string(), "10 mail.example.org.");
/// # Ok::<_, glowplug_dns::text::TextError>(())
/// ```
#[derive(Clone)]
pub struct Rdata {
    rtype: RecordType,
    wire: Wire,
}

#[derive(Clone)]
enum Wire {
    /// So many bytes of the array; what stands behind them means nothing.
    Short(u8, [u8; INLINE]),
    Long(Bytes),
}

impl Wire {
    /// A copy.
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        if bytes.len() > INLINE {
            return Self::Long(Bytes::copy_from_slice(bytes));
        }
        let mut short = [0; INLINE];
        short[..bytes.len()].copy_from_slice(bytes);
        Self::Short(bytes.len() as u8, short)
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Rdata {
    /// Record data of `rtype`, checked. The types unknown here take any bytes.
    pub fn new(rtype: RecordType, wire: Bytes) -> Result<Self, DecodeError> {
        if wire.len() > usize::from(u16::MAX) {
            return Err(DecodeError::new(usize::from(u16::MAX), DecodeReason::DataTooLong));
        }
        schema::check(rtype, Reader::new(&wire, 0, wire.len()))?;
        // A pointer would point into a message that is not there.
        let mut plain = BytesMut::with_capacity(wire.len());
        schema::expand(rtype, Reader::new(&wire, 0, wire.len()), &mut plain)?;
        Ok(Self::trusted(rtype, if plain == wire { wire } else { plain.freeze() }))
    }

    /// No data, of a type that stands for nothing.
    #[inline]
    pub(super) const fn blank() -> Self {
        Self { rtype: RecordType(0), wire: Wire::Short(0, [0; INLINE]) }
    }

    /// Copies the record data between the reader's place and its end out of a message.
    pub(crate) fn read(rtype: RecordType, reader: Reader<'_>) -> Result<Self, DecodeError> {
        let mut data = Self::blank();
        if data.set_short(rtype, reader)? {
            return Ok(data);
        }
        let mut wire = BytesMut::with_capacity(reader.remaining());
        schema::expand(rtype, reader, &mut wire)?;
        if wire.len() > usize::from(u16::MAX) {
            return Err(reader.error(DecodeReason::DataTooLong));
        }
        // All of it, and not a part that is split off: that would cost an allocation more.
        Ok(Self::trusted(rtype, wire.freeze()))
    }

    /// Becomes such a copy, where it is to stay. Data that needs an allocation lies in `arena`, which is empty and has room for that of all
    /// records once the first has asked for it: they share its allocation.
    #[inline]
    pub(super) fn set_in(
        &mut self,
        rtype: RecordType,
        reader: Reader<'_>,
        arena: &mut BytesMut,
    ) -> Result<(), DecodeError> {
        if self.set_short(rtype, reader)? {
            return Ok(());
        }
        Self::make_room(arena, reader.message.len() - reader.at);
        schema::expand(rtype, reader, arena)?;
        if arena.len() > usize::from(u16::MAX) {
            return Err(reader.error(DecodeReason::DataTooLong));
        }
        self.rtype = rtype;
        self.wire = if arena.len() > INLINE { Wire::Long(arena.split().freeze()) } else { Wire::of(arena) };
        arena.clear();
        Ok(())
    }

    /// Becomes a copy of the data that most records have, if it is short: an address, one name, or what has no form known here. `false` when
    /// it is none of these.
    #[inline]
    fn set_short(&mut self, rtype: RecordType, mut reader: Reader<'_>) -> Result<bool, DecodeError> {
        let Wire::Short(len, short) = &mut self.wire else { return Ok(false) };
        let start = reader.at;
        match (rtype, reader.remaining()) {
            (RecordType::A, 4) => short[..4].copy_from_slice(&reader.array::<4>()?),
            (RecordType::AAAA, 16) => short[..16].copy_from_slice(&reader.array::<16>()?),
            _ if schema::compressible(rtype) == Some((0, 1)) => {
                let name = reader.name()?;
                reader.finish()?;
                if name.wire_len() > INLINE {
                    return Ok(false);
                }
                name.copy_inline(short);
                (self.rtype, *len) = (rtype, name.wire_len() as u8);
                return Ok(true);
            }
            (_, left @ ..=INLINE) if schema::fields(rtype).is_none() => {
                copy_inline(reader.message, reader.at, left, short, 0);
            }
            _ => return Ok(false),
        }
        (self.rtype, *len) = (rtype, (reader.end - start) as u8);
        Ok(true)
    }

    /// Room in an arena that has none at all.
    fn make_room(arena: &mut BytesMut, len: usize) {
        if arena.capacity() == 0 {
            arena.reserve(len);
        }
    }

    /// Record data that was put together by one of the functions below.
    pub(crate) fn trusted(rtype: RecordType, wire: Bytes) -> Self {
        Self { rtype, wire: if wire.len() > INLINE { Wire::Long(wire) } else { Wire::of(&wire) } }
    }

    /// An A record's data.
    pub fn a(address: Ipv4Addr) -> Self {
        Self { rtype: RecordType::A, wire: Wire::of(&address.octets()) }
    }

    /// An AAAA record's data.
    pub fn aaaa(address: Ipv6Addr) -> Self {
        Self { rtype: RecordType::AAAA, wire: Wire::of(&address.octets()) }
    }

    /// An NS record's data.
    pub fn ns(name: &Name) -> Self {
        Self { rtype: RecordType::NS, wire: Wire::of(name.as_wire()) }
    }

    /// A CNAME record's data.
    pub fn cname(name: &Name) -> Self {
        Self { rtype: RecordType::CNAME, wire: Wire::of(name.as_wire()) }
    }

    /// A PTR record's data.
    pub fn ptr(name: &Name) -> Self {
        Self { rtype: RecordType::PTR, wire: Wire::of(name.as_wire()) }
    }

    /// An MX record's data.
    pub fn mx(preference: u16, exchange: &Name) -> Self {
        let mut out = BytesMut::with_capacity(2 + exchange.as_wire().len());
        out.put_u16(preference);
        out.put_slice(exchange.as_wire());
        Self::trusted(RecordType::MX, out.freeze())
    }

    /// A SRV record's data.
    pub fn srv(priority: u16, weight: u16, port: u16, target: &Name) -> Self {
        let mut out = BytesMut::with_capacity(6 + target.as_wire().len());
        for number in [priority, weight, port] {
            out.put_u16(number);
        }
        out.put_slice(target.as_wire());
        Self::trusted(RecordType::SRV, out.freeze())
    }

    /// A TXT record's data: `text` in strings of 255 bytes. What does not fit into 65,535 bytes is left out.
    pub fn txt(text: &[u8]) -> Self {
        let text = &text[..text.len().min(255 * 255)];
        let mut out = BytesMut::with_capacity(text.len() + text.len() / 255 + 1);
        let mut put = |string: &[u8]| {
            out.put_u8(string.len() as u8);
            out.put_slice(string);
        };
        if text.is_empty() {
            put(b"");
        }
        text.chunks(255).for_each(put);
        Self::trusted(RecordType::TXT, out.freeze())
    }

    /// A SOA record's data.
    pub fn soa(soa: &Soa<'_>) -> Self {
        let mut out = BytesMut::with_capacity(soa.mname.wire_len() + soa.rname.wire_len() + 20);
        soa.mname.write(&mut out);
        soa.rname.write(&mut out);
        for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
            out.put_u32(number);
        }
        Self::trusted(RecordType::SOA, out.freeze())
    }

    /// The type.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The uncompressed wire form.
    pub fn as_wire(&self) -> &[u8] {
        self.wire.as_slice()
    }

    /// The data, typed. OPT data and the like that nobody checked come as [`RecordData::Other`] when they are broken.
    pub fn data(&self) -> RecordData<'_> {
        let wire = self.as_wire();
        RecordData::read(self.rtype, wire, 0, wire.len()).unwrap_or(RecordData::Other(self.rtype, wire))
    }
}

impl PartialEq for Rdata {
    fn eq(&self, other: &Self) -> bool {
        self.rtype == other.rtype && schema::equal(self.rtype, self.as_wire(), other.as_wire())
    }
}

impl Eq for Rdata {}

impl Hash for Rdata {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rtype.hash(state);
        // Equal data differs at most in the case of names.
        self.as_wire().len().hash(state);
        self.as_wire().iter().for_each(|b| state.write_u8(b.to_ascii_lowercase()));
    }
}
