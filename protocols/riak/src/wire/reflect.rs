//! Looking at a message without knowing its type: for logs, proxies and tests.

use core::fmt;

/// What a `.proto` file says about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageInfo {
    /// The message's name.
    pub name: &'static str,
    /// Its fields, in the order of the file.
    pub fields: &'static [FieldInfo],
}

/// What a `.proto` file says about one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// `required`, `optional` or `repeated`.
    pub label: &'static str,
    /// `bytes`, `uint32`, the name of a message ...
    pub kind: &'static str,
    /// The field's name.
    pub name: &'static str,
    /// The number on the wire.
    pub number: u32,
}

/// A message as a list of named fields.
pub trait Reflect {
    /// The message's name in the `.proto` file.
    fn name(&self) -> &'static str;

    /// Shows each value that is present, in the order of declaration; a repeated field is shown once per value.
    fn for_each_field(&self, show: &mut dyn FnMut(Field<'_>));
}

/// One value of one field.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// The name in the `.proto` file.
    pub name: &'static str,
    /// The number on the wire.
    pub number: u32,
    /// True when the field may have several values.
    pub repeated: bool,
    /// What is there.
    pub value: FieldValue<'a>,
}

/// The value of a field.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// Bytes, of any meaning.
    Bytes(&'a [u8]),
    /// An unsigned number.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A number in single precision.
    Float(f32),
    /// A number in double precision.
    Double(f64),
    /// One of a list of names.
    Enum {
        /// The name in the `.proto` file, if this crate knows it.
        name: Option<&'static str>,
        /// The number on the wire.
        number: i32,
    },
    /// A message inside the message.
    Message(&'a dyn Reflect),
}

impl fmt::Debug for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::Uint(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Enum { name: Some(name), .. } => f.write_str(name),
            Self::Enum { name: None, number } => number.fmt(f),
            Self::Message(message) => debug(*message, f),
        }
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name, self.value)
    }
}

/// Passwords and the like: shown by name alone.
fn is_secret(message: &str, field: &str) -> bool {
    message == "RpbAuthReq" && field == "password"
}

/// Shows the fields of a message that are present, and nothing else.
pub(crate) fn debug(message: &dyn Reflect, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(message.name())?;
    let (mut result, mut before, mut in_list) = (Ok(()), None, false);
    message.for_each_field(&mut |field| {
        let same = before == Some(field.number);
        let end = if in_list && !same { "]" } else { "" };
        let start = if before.is_none() { " { " } else { ", " };
        let written = write!(f, "{end}{start}").and_then(|()| match (same, field.repeated) {
            (true, _) => Ok(()),
            (false, false) => write!(f, "{}: ", field.name),
            (false, true) => write!(f, "{}: [", field.name),
        });
        let shown = if is_secret(message.name(), field.name) {
            f.write_str("..")
        } else {
            write!(f, "{:?}", field.value)
        };
        result = result.and(written).and(shown);
        (before, in_list) = (Some(field.number), field.repeated);
    });
    result?;
    f.write_str(match (before, in_list) {
        (None, _) => "",
        (Some(_), false) => " }",
        (Some(_), true) => "] }",
    })
}
