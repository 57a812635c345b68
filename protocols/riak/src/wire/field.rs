//! The field types of a `.proto` file, and the labels `required`, `optional` and `repeated`.

use alloc::vec::Vec;

use super::blob::INLINE;
use super::reader::{Key, Reader, WireType};
use super::writer::{Sink, VARINT, Writer, varint_len};
use super::{Blob, FieldValue, List};

/// What the kind `bool` hides in this module.
type Bool = core::primitive::bool;

/// Bytes of the longest key: numbers of fields are below 2,048.
const MAX_KEY: usize = 2;

/// What can be emptied and used again.
pub trait Clear {
    /// Back to the default value, keeping memory for the next use.
    fn clear(&mut self);
}

/// One field type: how it is read, written, measured and shown.
pub(crate) trait Kind {
    type Value: Default;
    const WIRE: WireType;

    fn read(reader: &mut Reader<'_>, value: &mut Self::Value);
    /// Writes the field, its key included.
    fn write<S: Sink>(key: Key, value: &Self::Value, out: &mut Writer<'_, S>);
    /// How many bytes the value takes, without its key.
    fn len(value: &Self::Value) -> usize;
    /// The most bytes that a value which [lies in line](Self::is_inline) takes, without its key.
    const INLINE_LEN: usize;

    /// True when all of the value lies in the message's own memory.
    #[inline]
    fn is_inline(value: &Self::Value) -> Bool {
        let _ = value;
        true
    }

    fn view(value: &Self::Value) -> FieldValue<'_>;
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

/// A number that travels as a varint: from and to the raw 64 bits.
macro_rules! varint_kind {
    ($($name:ident: $value:ty, $from:expr, $to:expr, $view:expr;)*) => {$(
        #[allow(non_camel_case_types, reason = "named as in a .proto file")]
        pub(crate) struct $name;

        impl Kind for $name {
            type Value = $value;
            const WIRE: WireType = WireType::Varint;
            const INLINE_LEN: usize = VARINT;

            #[inline]
            fn read(reader: &mut Reader<'_>, value: &mut $value) {
                *value = $from(reader.varint());
            }

            #[inline]
            fn write<S: Sink>(key: Key, value: &$value, out: &mut Writer<'_, S>) {
                out.key(key);
                out.varint($to(*value));
            }

            #[inline]
            fn len(value: &$value) -> usize {
                varint_len($to(*value))
            }

            fn view(value: &$value) -> FieldValue<'_> {
                $view(*value)
            }
        }
    )*};
}

varint_kind! {
    uint32: u32, |raw| raw as u32, u64::from, |v| FieldValue::Uint(u64::from(v));
    uint64: u64, |raw| raw, |v| v, FieldValue::Uint;
    int64: i64, |raw| raw as i64, |v| v as u64, FieldValue::Int;
    sint64: i64, unzigzag, zigzag, FieldValue::Int;
    bool: Bool, |raw| raw != 0, u64::from, FieldValue::Bool;
}

/// A number of fixed size, little-endian.
macro_rules! fixed_kind {
    ($($name:ident: $value:ty, $wire:ident, $view:ident;)*) => {$(
        #[allow(non_camel_case_types, reason = "named as in a .proto file")]
        pub(crate) struct $name;

        impl Kind for $name {
            type Value = $value;
            const WIRE: WireType = WireType::$wire;
            const INLINE_LEN: usize = size_of::<$value>();

            fn read(reader: &mut Reader<'_>, value: &mut $value) {
                *value = <$value>::from_le_bytes(reader.fixed());
            }

            fn write<S: Sink>(key: Key, value: &$value, out: &mut Writer<'_, S>) {
                out.key(key);
                out.fixed(value.to_le_bytes());
            }

            fn len(_: &$value) -> usize {
                size_of::<$value>()
            }

            fn view(value: &$value) -> FieldValue<'_> {
                FieldValue::$view(*value)
            }
        }
    )*};
}

fixed_kind! {
    float: f32, Fixed32, Float;
    double: f64, Fixed64, Double;
}

#[allow(non_camel_case_types, reason = "named as in a .proto file")]
pub(crate) struct bytes;

impl Kind for bytes {
    type Value = Blob;
    const WIRE: WireType = WireType::Len;
    const INLINE_LEN: usize = 1 + INLINE;

    #[inline]
    fn is_inline(value: &Blob) -> Bool {
        value.parts().is_ok()
    }

    #[inline]
    fn read(reader: &mut Reader<'_>, value: &mut Blob) {
        reader.blob(value);
    }

    #[inline]
    fn write<S: Sink>(key: Key, value: &Blob, out: &mut Writer<'_, S>) {
        out.blob_field(key, value);
    }

    #[inline]
    fn len(value: &Blob) -> usize {
        match value.parts() {
            Ok((_, len)) => 1 + len,
            Err(long) => varint_len(long.len() as u64) + long.len(),
        }
    }

    fn view(value: &Blob) -> FieldValue<'_> {
        FieldValue::Bytes(value)
    }
}

/// A label: what holds the values of a field, and how it is filled and written.
pub(crate) trait Label<K: Kind> {
    type Holder;
    /// The most bytes that a field takes whose values [lie in line](Self::is_inline), keys included.
    const INLINE_LEN: usize;

    fn read(holder: &mut Self::Holder, key: Key, reader: &mut Reader<'_>);

    /// Reads what there is of a field if `next`, the byte at which the reader stands, is its key. What is returned is the byte at which the
    /// reader stands then.
    #[inline]
    fn read_in_order(holder: &mut Self::Holder, number: u32, mut next: u8, reader: &mut Reader<'_>) -> u8 {
        let key = Key::new(number, K::WIRE);
        // A byte above is the first of a longer key.
        while key.raw() < 0x80 && u32::from(next) == key.raw() {
            reader.pass_key();
            Self::read(holder, key, reader);
            next = reader.peek();
        }
        next
    }

    fn values<'a>(holder: &'a Self::Holder) -> impl Iterator<Item = &'a K::Value>
    where
        K::Value: 'a;

    /// True when all of the values lie in the message's own memory.
    fn is_inline(holder: &Self::Holder) -> Bool;

    /// Writes every value, each behind the field's key.
    #[inline]
    fn write<S: Sink>(holder: &Self::Holder, number: u32, out: &mut Writer<'_, S>) {
        for value in Self::values(holder) {
            K::write(Key::new(number, K::WIRE), value, out);
        }
    }

    /// How many bytes [`write`](Self::write) appends.
    #[inline]
    fn len(holder: &Self::Holder, number: u32) -> usize {
        let key = varint_len(u64::from(number << 3));
        Self::values(holder).map(|value| key + K::len(value)).sum()
    }
}

/// Reads one value of a field whose layout must be the declared one.
#[inline]
fn read_one<K: Kind>(key: Key, reader: &mut Reader<'_>, value: &mut K::Value) {
    if key.has(K::WIRE) {
        K::read(reader, value);
    } else {
        reader.fail_wire_type();
    }
}

/// The bare value. Always written; a missing one reads as its default, which is how real nodes treat it.
#[allow(non_camel_case_types, reason = "named as in a .proto file")]
pub(crate) struct required;

impl<K: Kind> Label<K> for required {
    type Holder = K::Value;
    const INLINE_LEN: usize = MAX_KEY.saturating_add(K::INLINE_LEN);

    #[inline]
    fn is_inline(holder: &K::Value) -> Bool {
        K::is_inline(holder)
    }

    #[inline]
    fn read(holder: &mut K::Value, key: Key, reader: &mut Reader<'_>) {
        read_one::<K>(key, reader, holder);
    }

    #[inline]
    fn values<'a>(holder: &'a K::Value) -> impl Iterator<Item = &'a K::Value>
    where
        K::Value: 'a,
    {
        core::iter::once(holder)
    }
}

/// The value, if it is there.
#[allow(non_camel_case_types, reason = "named as in a .proto file")]
pub(crate) struct optional;

impl<K: Kind> Label<K> for optional {
    type Holder = Option<K::Value>;
    const INLINE_LEN: usize = MAX_KEY.saturating_add(K::INLINE_LEN);

    #[inline]
    fn is_inline(holder: &Option<K::Value>) -> Bool {
        holder.as_ref().is_none_or(K::is_inline)
    }

    #[inline]
    fn read(holder: &mut Option<K::Value>, key: Key, reader: &mut Reader<'_>) {
        read_one::<K>(key, reader, holder.get_or_insert_default());
    }

    #[inline]
    fn values<'a>(holder: &'a Option<K::Value>) -> impl Iterator<Item = &'a K::Value>
    where
        K::Value: 'a,
    {
        holder.iter()
    }
}

/// What a repeated field grows in.
trait Grow {
    type Item;
    fn grow(&mut self) -> &mut Self::Item;
}

impl<T: Default> Grow for List<T> {
    type Item = T;

    #[inline]
    fn grow(&mut self) -> &mut T {
        List::grow(self)
    }
}

impl<T: Default> Grow for Vec<T> {
    type Item = T;

    fn grow(&mut self) -> &mut T {
        self.push(T::default());
        self.last_mut().expect("an element was pushed a line above")
    }
}

/// Reads one more value of a repeated field, or a packed run of numbers (which no Riak sends, and every reader of
/// protocol buffers has to accept).
#[inline]
fn read_more<K: Kind>(holder: &mut impl Grow<Item = K::Value>, key: Key, reader: &mut Reader<'_>) {
    if !key.has(K::WIRE) {
        read_packed::<K>(holder, key, reader);
    } else if reader.charge(size_of::<K::Value>()) {
        K::read(reader, holder.grow());
    }
}

#[cold]
fn read_packed<K: Kind>(holder: &mut impl Grow<Item = K::Value>, key: Key, reader: &mut Reader<'_>) {
    if !key.has(WireType::Len) {
        return reader.fail_wire_type();
    }
    let outer = reader.enter();
    while !reader.at_end() && reader.charge(size_of::<K::Value>()) {
        K::read(reader, holder.grow());
    }
    reader.leave(outer);
}

/// Any number of values, the first one inline.
#[allow(non_camel_case_types, reason = "named as in a .proto file")]
pub(crate) struct repeated;

impl<K: Kind> Label<K> for repeated {
    type Holder = List<K::Value>;
    const INLINE_LEN: usize = usize::MAX;

    #[inline]
    fn is_inline(_: &List<K::Value>) -> Bool {
        false
    }

    #[inline]
    fn read(holder: &mut List<K::Value>, key: Key, reader: &mut Reader<'_>) {
        read_more::<K>(holder, key, reader);
    }

    #[inline]
    fn values<'a>(holder: &'a List<K::Value>) -> impl Iterator<Item = &'a K::Value>
    where
        K::Value: 'a,
    {
        holder.iter()
    }
}

/// `repeated`, where a message holds itself and so must lie on the heap.
#[allow(non_camel_case_types, reason = "stands where a .proto file says `repeated`")]
pub(crate) struct nested;

impl<K: Kind> Label<K> for nested {
    type Holder = Vec<K::Value>;
    const INLINE_LEN: usize = usize::MAX;

    #[inline]
    fn is_inline(_: &Vec<K::Value>) -> Bool {
        false
    }

    fn read(holder: &mut Vec<K::Value>, key: Key, reader: &mut Reader<'_>) {
        read_more::<K>(holder, key, reader);
    }

    fn values<'a>(holder: &'a Vec<K::Value>) -> impl Iterator<Item = &'a K::Value>
    where
        K::Value: 'a,
    {
        holder.iter()
    }
}

/// Values without memory of their own worth keeping.
macro_rules! clear_to_default {
    ($($value:ty),*) => {$(
        impl Clear for $value {
            #[inline]
            fn clear(&mut self) {
                *self = Self::default();
            }
        }
    )*};
}

clear_to_default!(u32, u64, i64, Bool, f32, f64);

impl Clear for Blob {
    #[inline]
    fn clear(&mut self) {
        Self::clear(self);
    }
}

impl<T> Clear for Option<T> {
    #[inline]
    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: Clear> Clear for List<T> {
    #[inline]
    fn clear(&mut self) {
        Self::clear(self);
    }
}

impl<T> Clear for Vec<T> {
    fn clear(&mut self) {
        Self::clear(self);
    }
}

#[cfg(test)]
mod tests {
    use ::bytes::BytesMut;

    use super::*;

    #[test]
    fn varint_lengths_are_those_written() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut buf = BytesMut::new();
                let mut out = Writer::new(&mut buf);
                out.varint(value);
                out.finish();
                assert_eq!(varint_len(value), buf.len(), "{value:#x}");
            }
        }
    }

    #[test]
    fn zigzag_goes_both_ways() {
        for (value, raw) in [(0, 0), (-1, 1), (1, 2), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!((zigzag(value), unzigzag(raw)), (raw, value));
        }
    }
}
