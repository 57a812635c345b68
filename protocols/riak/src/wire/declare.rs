//! How messages are declared: a table that reads like the `.proto` file it comes from.
//!
//! ```text
//! message RpbPair {
//!     required bytes key = 1;
//!     optional bytes value = 2;
//! }
//! ```
//!
//! `required` makes a bare value, `optional` an `Option`, `repeated` a [`List`](super::List), and `nested` a `Vec` where a
//! message is repeated inside itself. The rest (decoding, encoding, lengths, clearing, reflection) follows.

/// The Rust type behind a `.proto` type.
macro_rules! rust_type {
    (bytes) => {
        $crate::wire::Blob
    };
    (uint32) => {
        u32
    };
    (uint64) => {
        u64
    };
    (int64) => {
        i64
    };
    (sint64) => {
        i64
    };
    (bool) => {
        bool
    };
    (float) => {
        f32
    };
    (double) => {
        f64
    };
    ($message:ident) => {
        $message
    };
}

/// The [`Kind`](super::field::Kind) behind a `.proto` type. Messages and enums are their own.
macro_rules! kind {
    (bytes) => {
        $crate::wire::field::bytes
    };
    (uint32) => {
        $crate::wire::field::uint32
    };
    (uint64) => {
        $crate::wire::field::uint64
    };
    (int64) => {
        $crate::wire::field::int64
    };
    (sint64) => {
        $crate::wire::field::sint64
    };
    (bool) => {
        $crate::wire::field::bool
    };
    (float) => {
        $crate::wire::field::float
    };
    (double) => {
        $crate::wire::field::double
    };
    ($message:ident) => {
        $message
    };
}

/// What holds the values of a field.
macro_rules! holder {
    (required $kind:ident) => { $crate::wire::declare::rust_type!($kind) };
    (optional $kind:ident) => { Option<$crate::wire::declare::rust_type!($kind)> };
    (repeated $kind:ident) => { $crate::wire::List<$crate::wire::declare::rust_type!($kind)> };
    (nested $kind:ident) => { alloc::vec::Vec<$crate::wire::declare::rust_type!($kind)> };
}

/// Declares messages. See the module's page.
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        message $name:ident {$(
            $(#[$field_doc:meta])*
            $label:ident $kind:ident $field:ident = $number:literal;
        )*}
    )*) => {
        /// What the `.proto` file says about the messages of this module.
        pub const MESSAGES: &[$crate::wire::MessageInfo] = &[$($crate::wire::MessageInfo {
            name: stringify!($name),
            fields: &[$($crate::wire::FieldInfo {
                label: $crate::wire::declare::label_name!($label),
                kind: stringify!($kind),
                name: $crate::wire::declare::plain(stringify!($field)),
                number: $number,
            }),*],
        }),*];
        $(
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq)]
        pub struct $name {$(
            $(#[$field_doc])*
            #[doc = concat!("\n\nField ", $number, ", `", stringify!($label), " ", stringify!($kind), "`.")]
            pub $field: $crate::wire::declare::holder!($label $kind),
        )*}

        impl $crate::wire::Clear for $name {
            fn clear(&mut self) {
                $($crate::wire::Clear::clear(&mut self.$field);)*
            }
        }

        impl $crate::wire::Reflect for $name {
            fn name(&self) -> &'static str {
                stringify!($name)
            }

            #[allow(unused_variables, reason = "a message without fields shows none")]
            fn for_each_field(&self, show: &mut dyn FnMut($crate::wire::Field<'_>)) {
                $(for value in <$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::values(&self.$field) {
                    show($crate::wire::Field {
                        name: $crate::wire::declare::plain(stringify!($field)),
                        number: $number,
                        repeated: $crate::wire::declare::is_repeated!($label),
                        value: <$crate::wire::declare::kind!($kind) as $crate::wire::field::Kind>::view(value),
                    });
                })*
            }
        }

        impl $crate::wire::sealed::Merge for $name {
            #[inline]
            fn merge(&mut self, reader: &mut $crate::wire::reader::Reader<'_>) {
                // Whoever encodes writes fields in the order of their numbers. So each is looked for where it would stand, and only what
                // stands elsewhere is looked up.
                let next = reader.peek();
                $(let next = <$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::read_in_order(
                    &mut self.$field, $number, next, reader,
                );)*
                let _ = next;
                while let Some(key) = reader.key() {
                    self.merge_field(key, reader);
                }
            }

            #[inline(never)]
            fn merge_field(&mut self, key: $crate::wire::reader::Key, reader: &mut $crate::wire::reader::Reader<'_>) {
                match key.number() {
                    $($number => <$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::read(
                        &mut self.$field, key, reader,
                    ),)*
                    _ => reader.skip(key),
                }
            }

            #[inline]
            fn is_short(&self) -> bool {
                const MAX: usize = 0usize$(.saturating_add(
                    <$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::INLINE_LEN
                ))*;
                MAX < 0x80 $(&& <$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::is_inline(&self.$field))*
            }

            #[allow(unused_variables, reason = "a message without fields writes none")]
            #[inline]
            fn write<S: $crate::wire::Sink>(&self, out: &mut $crate::wire::writer::Writer<'_, S>) {
                $(<$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::write(&self.$field, $number, out);)*
            }
        }

        impl $crate::wire::Message for $name {
            const NAME: &'static str = stringify!($name);

            #[inline]
            fn encoded_len(&self) -> usize {
                0 $(+ <$crate::wire::field::$label as $crate::wire::field::Label<$crate::wire::declare::kind!($kind)>>::len(&self.$field, $number))*
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::wire::reflect::debug(self, f)
            }
        }
        )*
    };
}

/// Declares messages whose body this crate does not look into: those whose fields nobody published.
macro_rules! opaque_messages {
    ($(
        $(#[$doc:meta])*
        message $name:ident;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq)]
        pub struct $name {
            /// Everything behind the code.
            pub body: $crate::wire::Blob,
        }

        impl $crate::wire::Clear for $name {
            fn clear(&mut self) {
                self.body.clear();
            }
        }

        impl $crate::wire::Reflect for $name {
            fn name(&self) -> &'static str {
                stringify!($name)
            }

            fn for_each_field(&self, _: &mut dyn FnMut($crate::wire::Field<'_>)) {}
        }

        impl $crate::wire::sealed::Merge for $name {
            fn merge(&mut self, reader: &mut $crate::wire::reader::Reader<'_>) {
                self.body = reader.rest();
            }

            fn merge_field(&mut self, key: $crate::wire::reader::Key, reader: &mut $crate::wire::reader::Reader<'_>) {
                reader.skip(key);
            }

            fn write<S: $crate::wire::Sink>(&self, out: &mut $crate::wire::writer::Writer<'_, S>) {
                out.payload(&self.body);
            }
        }

        impl $crate::wire::Message for $name {
            const NAME: &'static str = stringify!($name);

            fn encoded_len(&self) -> usize {
                self.body.len()
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("body", &self.body).finish()
            }
        }
    )*};
}

/// Declares enums. A number that is not listed is kept as `Other`, so that nothing a newer node says is lost.
macro_rules! enums {
    ($(
        $(#[$doc:meta])*
        enum $name:ident {
            $(#[$first_doc:meta])*
            $first:ident = $first_number:literal, $first_label:literal;
            $($(#[$value_doc:meta])* $value:ident = $number:literal, $label:literal;)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$value_doc])* $value,)*
            /// A number this crate has no name for.
            Other(i32),
        }

        impl $name {
            /// The name in the `.proto` file.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    Self::$first => Some($first_label),
                    $(Self::$value => Some($label),)*
                    Self::Other(_) => None,
                }
            }

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                match self {
                    Self::$first => $first_number,
                    $(Self::$value => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The value with this number.
            pub const fn from_number(number: i32) -> Self {
                match number {
                    $first_number => Self::$first,
                    $($number => Self::$value,)*
                    other => Self::Other(other),
                }
            }
        }

        impl $crate::wire::Clear for $name {
            fn clear(&mut self) {
                *self = Self::default();
            }
        }

        impl $crate::wire::field::Kind for $name {
            type Value = Self;
            const WIRE: $crate::wire::reader::WireType = $crate::wire::reader::WireType::Varint;
            const INLINE_LEN: usize = $crate::wire::writer::VARINT;

            fn read(reader: &mut $crate::wire::reader::Reader<'_>, value: &mut Self) {
                *value = Self::from_number(reader.varint() as i32);
            }

            fn write<S: $crate::wire::Sink>(
                key: $crate::wire::reader::Key,
                value: &Self,
                out: &mut $crate::wire::writer::Writer<'_, S>,
            ) {
                out.key(key);
                // A negative number takes ten bytes: enums are signed on the wire.
                out.varint(i64::from(value.number()) as u64);
            }

            fn len(value: &Self) -> usize {
                $crate::wire::writer::varint_len(i64::from(value.number()) as u64)
            }

            fn view(value: &Self) -> $crate::wire::FieldValue<'_> {
                $crate::wire::FieldValue::Enum { name: value.name(), number: value.number() }
            }
        }
    )*};
}

/// Whether a label allows several values.
macro_rules! is_repeated {
    (repeated) => {
        true
    };
    (nested) => {
        true
    };
    ($other:ident) => {
        false
    };
}

/// The label as a `.proto` file has it.
macro_rules! label_name {
    (nested) => {
        "repeated"
    };
    ($other:ident) => {
        stringify!($other)
    };
}

/// A field's name without the `r#` that Rust asks for before `type`.
pub(crate) const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

pub(crate) use {enums, holder, is_repeated, kind, label_name, messages, opaque_messages, rust_type};
