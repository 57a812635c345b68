//! What an update does.

use glowplug_mongodb::EncodeError;
use glowplug_mongodb::bson::{Document, ElementType, ToBson};

use super::Error;

/// What an update does: operators such as `$set`, or stages such as `$addFields` that each document passes through. Made of a document or of
/// several.
///
/// ```
/// use glowplug_runtime::mongodb::{Change, doc};
/// let operators = Change::from(doc! { "$inc": { "n": 1 } });
/// let stages = Change::from([doc! { "$set": { "total": { "$add": ["$a", "$b"] } } }]);
/// # let _ = (operators, stages);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Operators.
    Operators(Document),
    /// Stages.
    Stages(Vec<Document>),
}

impl From<Document> for Change {
    fn from(operators: Document) -> Self {
        Self::Operators(operators)
    }
}

impl From<Vec<Document>> for Change {
    fn from(stages: Vec<Document>) -> Self {
        Self::Stages(stages)
    }
}

impl<const N: usize> From<[Document; N]> for Change {
    fn from(stages: [Document; N]) -> Self {
        Self::Stages(stages.into())
    }
}

impl ToBson for Change {
    fn element_type(&self) -> ElementType {
        match self {
            Self::Operators(operators) => operators.element_type(),
            Self::Stages(stages) => stages.element_type(),
        }
    }

    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Operators(operators) => operators.write_to(buf),
            Self::Stages(stages) => stages.write_to(buf),
        }
    }
}

impl Change {
    /// Without operators an update would replace the document: specification "CRUD".
    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Operators(operators) if !has_operators(operators) => {
                Err(Error::Invalid("an update needs operators; to put another document in place, replace it"))
            }
            Self::Stages(stages) if stages.is_empty() => Err(Error::Invalid("an update needs stages")),
            _ => Ok(()),
        }
    }
}

/// A replacement with operators would be an update.
pub(super) fn check_replacement(replacement: &Document) -> Result<(), Error> {
    if has_operators(replacement) {
        return Err(Error::Invalid("a replacement has operators; to apply them, update"));
    }
    Ok(())
}

fn has_operators(document: &Document) -> bool {
    let first = document.as_doc().raw_iter().next().and_then(Result::ok);
    first.is_some_and(|element| element.key_bytes().first() == Some(&b'$'))
}
