//! Documents as trees, which is what changing them wants.

use core::cmp::Ordering;

use crate::bson::{Array, ArrayWriter, Doc, Document, ElementType, ObjectId, RawElement, Value, Writer};
use crate::error::{DecodeError, EncodeError};

/// A value that owns what it holds. Documents keep the order of their fields.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Double(f64),
    String(String),
    ObjectId(ObjectId),
    DateTime(i64),
    Doc(Fields),
    Array(Vec<Node>),
    /// Any other type: a document of this one element, whose name is empty.
    Other(Document),
}

pub(super) type Fields = Vec<(String, Node)>;

impl Node {
    /// Recursion is bounded: requests are validated within a depth before anything is read from them.
    pub(super) fn of(value: Value<'_>) -> Result<Self, DecodeError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Boolean(value) => Self::Bool(value),
            Value::Int32(number) => Self::Int32(number),
            Value::Int64(number) => Self::Int64(number),
            Value::Double(number) => Self::Double(number),
            Value::String(text) => Self::String(text.to_owned()),
            Value::ObjectId(id) => Self::ObjectId(id),
            Value::DateTime(moment) => Self::DateTime(moment.millis()),
            Value::Document(doc) => Self::Doc(fields(doc)?),
            Value::Array(array) => Self::Array(items(array)?),
            other => {
                let mut document = Document::new();
                // The name is empty, so nothing in it can be refused; a pattern was read and has no zero byte.
                let _ = document.try_append("", other);
                Self::Other(document)
            }
        })
    }

    /// A count, of 32 bits where it fits them.
    pub(super) fn of_len(len: usize) -> Self {
        i32::try_from(len).map_or(Self::Int64(len as i64), Self::Int32)
    }

    /// The value under a name of this document, or at an index of this array.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Doc(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Self::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        }
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int32(number) => Some((*number).into()),
            Self::Int64(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int32(number) => Some((*number).into()),
            Self::Int64(number) => Some(*number),
            Self::Double(number) => Value::Double(*number).as_i64(),
            _ => None,
        }
    }

    /// The type's number, for `$type`.
    pub(super) fn element_type(&self) -> ElementType {
        match self {
            Self::Null => ElementType::Null,
            Self::Bool(_) => ElementType::Boolean,
            Self::Int32(_) => ElementType::Int32,
            Self::Int64(_) => ElementType::Int64,
            Self::Double(_) => ElementType::Double,
            Self::String(_) => ElementType::String,
            Self::ObjectId(_) => ElementType::ObjectId,
            Self::DateTime(_) => ElementType::DateTime,
            Self::Doc(_) => ElementType::Document,
            Self::Array(_) => ElementType::Array,
            Self::Other(document) => {
                other(document).map_or(ElementType::Undefined, |element| element.element_type())
            }
        }
    }

    /// Where the type stands among the others: the server's manual, "Comparison/Sort Order".
    fn rank(&self) -> u8 {
        match self.element_type() {
            ElementType::MinKey => 0,
            ElementType::Null | ElementType::Undefined => 1,
            ElementType::Int32 | ElementType::Int64 | ElementType::Double | ElementType::Decimal128 => 2,
            ElementType::String | ElementType::Symbol => 3,
            ElementType::Document => 4,
            ElementType::Array => 5,
            ElementType::Binary => 6,
            ElementType::ObjectId => 7,
            ElementType::Boolean => 8,
            ElementType::DateTime => 9,
            ElementType::Timestamp => 10,
            ElementType::Regex => 11,
            ElementType::DbPointer | ElementType::Code | ElementType::CodeWithScope => 12,
            ElementType::MaxKey => 13,
        }
    }

    /// True when `<` and `>` mean something between the two.
    pub(super) fn comparable(&self, with: &Self) -> bool {
        self.rank() == with.rank()
    }

    /// How many bytes it has as BSON, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Doc(fields) => {
                fields.iter().map(|(key, value)| key.len() + 2 + value.size()).sum::<usize>() + 5
            }
            Self::Array(items) => items.iter().map(|item| item.size() + 5).sum::<usize>() + 5,
            Self::String(text) => text.len() + 5,
            Self::Other(document) => document.as_bytes().len(),
            _ => 12,
        }
    }

    pub(super) fn put(&self, writer: &mut Writer<'_>, key: &str) -> Result<(), EncodeError> {
        match self {
            Self::Doc(fields) => put_fields(&mut writer.try_document(key)?, fields),
            Self::Array(items) => put_items(&mut writer.try_array(key)?, items),
            _ => self.leaf(|value| writer.try_append(key, value)),
        }
    }

    fn push(&self, writer: &mut ArrayWriter<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Doc(fields) => put_fields(&mut writer.try_document()?, fields),
            Self::Array(items) => put_items(&mut writer.try_array()?, items),
            _ => self.leaf(|value| writer.try_push(value)),
        }
    }

    /// Hands a value that is no container to `put`.
    fn leaf<T>(&self, put: impl FnOnce(Value<'_>) -> T) -> T {
        put(match self {
            Self::Bool(value) => Value::Boolean(*value),
            Self::Int32(number) => Value::Int32(*number),
            Self::Int64(number) => Value::Int64(*number),
            Self::Double(number) => Value::Double(*number),
            Self::String(text) => Value::String(text),
            Self::ObjectId(id) => Value::ObjectId(*id),
            Self::DateTime(millis) => Value::DateTime(crate::bson::DateTime::from_millis(*millis)),
            Self::Other(document) => {
                other(document).and_then(|element| element.value().ok()).unwrap_or(Value::Null)
            }
            Self::Null | Self::Doc(_) | Self::Array(_) => Value::Null,
        })
    }
}

/// The one element of an [`Node::Other`].
fn other(document: &Document) -> Option<RawElement<'_>> {
    document.as_doc().raw_iter().next()?.ok()
}

pub(super) fn fields(doc: Doc<'_>) -> Result<Fields, DecodeError> {
    doc.iter()
        .map(|element| element.and_then(|(key, value)| Ok((key.to_owned(), Node::of(value)?))))
        .collect()
}

fn items(array: Array<'_>) -> Result<Vec<Node>, DecodeError> {
    array.iter().map(|value| value.and_then(Node::of)).collect()
}

pub(super) fn put_fields(writer: &mut Writer<'_>, fields: &Fields) -> Result<(), EncodeError> {
    fields.iter().try_for_each(|(key, value)| value.put(writer, key))
}

fn put_items(writer: &mut ArrayWriter<'_>, items: &[Node]) -> Result<(), EncodeError> {
    items.iter().try_for_each(|item| item.push(writer))
}

/// The order of sorting. NaN comes before all numbers.
impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_rank = self.rank().cmp(&other.rank());
        if by_rank.is_ne() {
            return by_rank;
        }
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => one.cmp(two),
            (Self::String(one), Self::String(two)) => one.cmp(two),
            (Self::ObjectId(one), Self::ObjectId(two)) => one.cmp(two),
            (Self::DateTime(one), Self::DateTime(two)) => one.cmp(two),
            (Self::Array(one), Self::Array(two)) => one.cmp(two),
            (Self::Doc(one), Self::Doc(two)) => {
                let order = |(key, value): &(String, Self), (other_key, other): &(String, Self)| {
                    value
                        .rank()
                        .cmp(&other.rank())
                        .then_with(|| key.cmp(other_key))
                        .then_with(|| value.cmp(other))
                };
                let differ =
                    one.iter().zip(two).map(|(one, two)| order(one, two)).find(|order| order.is_ne());
                differ.unwrap_or(one.len().cmp(&two.len()))
            }
            (Self::Other(one), Self::Other(two)) => one.as_bytes().cmp(two.as_bytes()),
            _ => match (self.as_i64(), other.as_i64(), self.as_f64(), other.as_f64()) {
                (Some(one), Some(two), ..) => one.cmp(&two),
                (_, _, Some(one), Some(two)) => {
                    one.partial_cmp(&two).unwrap_or_else(|| two.is_nan().cmp(&one.is_nan()))
                }
                _ => Ordering::Equal,
            },
        }
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Node {}
