//! Updates: replacements and operators.

use super::node::{Fields, Node};
use super::{Failure, code, query};

/// An index this far behind an array's end is refused: the nulls between cost memory.
const MAX_PADDING: usize = 100_000;
/// The most items that one path with `$[]` may stand for.
const MAX_PLACES: usize = 100_000;

/// True when an update consists of operators; false when it is a replacement. A mixture is refused.
pub(super) fn is_operators(update: &Fields) -> Result<bool, Failure> {
    let operators = update.iter().filter(|(key, _)| key.starts_with('$')).count();
    match operators {
        0 => Ok(false),
        count if count == update.len() => Ok(true),
        _ => Err(Failure::new(code::FAILED_TO_PARSE, "an update has operators or fields, not both")),
    }
}

/// Which items of arrays `$[name]` stands for in the paths of an update.
#[derive(Debug, Default)]
pub(super) struct ArrayFilters(Vec<(String, Fields)>);

impl ArrayFilters {
    /// Filters about one name each, all of which the update's paths have to use.
    pub(super) fn new(filters: Vec<Fields>, update: &Fields) -> Result<Self, Failure> {
        let refused = |message: String| Failure::new(code::FAILED_TO_PARSE, message);
        let mut named = Vec::with_capacity(filters.len());
        for filter in filters {
            let name = name_of(&filter).map(str::to_owned);
            let name = name.ok_or_else(|| refused("an array filter needs a name".to_owned()))?;
            let place = format!("$[{name}]");
            let changes = update
                .iter()
                .filter_map(|(_, changes)| if let Node::Doc(fields) = changes { Some(fields) } else { None });
            if !changes.flatten().any(|(path, _)| path.split('.').any(|part| part == place)) {
                return Err(refused(format!("the array filter for identifier '{name}' was not used")));
            }
            named.push((name, filter));
        }
        Ok(Self(named))
    }

    /// The paths of the items that a path stands for.
    fn expand(&self, document: &Node, path: &str) -> Result<Vec<String>, Failure> {
        let (mut paths, mut open) = (Vec::new(), vec![path.to_owned()]);
        while let Some(path) = open.pop() {
            let Some((before, name, rest)) = placeholder(&path) else {
                paths.push(path);
                continue;
            };
            let refused = |message: String| Failure::new(code::BAD_VALUE, message);
            let Some(Node::Array(items)) = before.split('.').try_fold(document, Node::child) else {
                return Err(refused(format!("{before} is no array, for $[{name}]")));
            };
            let filter = self.0.iter().find(|(own, _)| own == name).map(|(_, filter)| filter);
            if filter.is_none() && !name.is_empty() {
                return Err(refused(format!("no array filter found for identifier '{name}'")));
            }
            // The last first: they are taken from the end.
            for (index, item) in items.iter().enumerate().rev() {
                let wrapped = || Node::Doc(vec![(name.to_owned(), item.clone())]);
                if filter.map_or(Ok(true), |filter| query::matches(&wrapped(), filter))? {
                    open.push(format!("{before}.{index}{rest}"));
                }
            }
            if open.len() + paths.len() > MAX_PLACES {
                return Err(refused(format!("{path} stands for more than {MAX_PLACES} items")));
            }
        }
        Ok(paths)
    }
}

/// The path before the first `$[name]`, the name, and what comes behind.
fn placeholder(path: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = path.split_once(".$[")?;
    let (name, rest) = rest.split_once(']')?;
    Some((before, name, rest))
}

/// What a filter is about: the first part of its first path.
fn name_of(filter: &Fields) -> Option<&str> {
    let (key, value) = filter.first()?;
    match value {
        Node::Array(clauses) if key.starts_with('$') => match clauses.first()? {
            Node::Doc(fields) => name_of(fields),
            _ => None,
        },
        _ => key.split('.').next().filter(|name| !name.is_empty() && !name.starts_with('$')),
    }
}

/// Changes a document in place. The `_id` of one that exists cannot change.
pub(super) fn apply(
    document: &mut Node,
    update: &Fields,
    filters: &ArrayFilters,
    inserting: bool,
) -> Result<(), Failure> {
    let id = document.child("_id").cloned();
    if is_operators(update)? {
        for (operator, operand) in update {
            let Node::Doc(changes) = operand else {
                return Err(Failure::new(code::FAILED_TO_PARSE, format!("{operator} needs a document")));
            };
            for (path, value) in changes {
                for path in filters.expand(document, path)? {
                    change(document, operator, &path, value, inserting)?;
                }
            }
        }
    } else {
        let mut fields: Fields = update.clone();
        if let (Some(id), false) = (&id, fields.iter().any(|(key, _)| key == "_id")) {
            fields.insert(0, ("_id".to_owned(), id.clone()));
        }
        *document = Node::Doc(fields);
    }
    if id.is_some() && document.child("_id") != id.as_ref() {
        return Err(Failure::new(code::IMMUTABLE_FIELD, "the _id of a document cannot change"));
    }
    Ok(())
}

fn change(
    document: &mut Node,
    operator: &str,
    path: &str,
    value: &Node,
    inserting: bool,
) -> Result<(), Failure> {
    if path.is_empty() || path.split('.').any(|part| part.is_empty() || part.starts_with('$')) {
        return Err(Failure::new(
            code::BAD_VALUE,
            format!("the in-memory server cannot update the path {path:?}"),
        ));
    }
    match operator {
        "$set" => *place(document, path)? = value.clone(),
        "$setOnInsert" => {
            if inserting {
                *place(document, path)? = value.clone();
            }
        }
        "$unset" => {
            take(document, path);
        }
        "$inc" | "$mul" => arithmetic(document, operator, path, value)?,
        "$min" | "$max" => {
            let exists = find(document, path).is_some();
            let old = place(document, path)?;
            let wins = if operator == "$min" { *value < *old } else { *value > *old };
            if !exists || wins {
                *old = value.clone();
            }
        }
        "$rename" => {
            let Node::String(to) = value else {
                return Err(Failure::new(code::BAD_VALUE, "$rename needs text"));
            };
            if let Some(old) = take(document, path) {
                *place(document, to)? = old;
            }
        }
        "$push" | "$addToSet" => push(document, operator, path, value)?,
        "$pop" => {
            if let Some(Node::Array(items)) = find(document, path) {
                if value.as_f64().is_some_and(|end| end < 0.0) && !items.is_empty() {
                    items.remove(0);
                } else {
                    items.pop();
                }
            }
        }
        "$pull" => {
            if let Some(Node::Array(items)) = find(document, path) {
                let mut kept = Vec::with_capacity(items.len());
                for item in core::mem::take(items) {
                    if !pulled(&item, value)? {
                        kept.push(item);
                    }
                }
                *items = kept;
            }
        }
        other => {
            let message = format!("the in-memory server has no {other}");
            return Err(Failure::new(code::FAILED_TO_PARSE, message));
        }
    }
    Ok(())
}

/// True when `$pull` takes this item: it equals the value, or matches it as a condition.
fn pulled(item: &Node, value: &Node) -> Result<bool, Failure> {
    match (item, value) {
        (_, Node::Doc(condition)) if condition.first().is_some_and(|(key, _)| key.starts_with('$')) => {
            let wrapped = Node::Doc(vec![("item".to_owned(), item.clone())]);
            query::matches(&wrapped, &vec![("item".to_owned(), value.clone())])
        }
        (Node::Doc(_), Node::Doc(condition)) => query::matches(item, condition),
        _ => Ok(item == value),
    }
}

fn arithmetic(document: &mut Node, operator: &str, path: &str, value: &Node) -> Result<(), Failure> {
    let not_numbers = || Failure::new(code::TYPE_MISMATCH, format!("{operator} needs numbers"));
    let by = value.as_f64().ok_or_else(not_numbers)?;
    let exists = find(document, path).is_some();
    let old = place(document, path)?;
    if !exists {
        *old = Node::Int32(0);
    }
    let adds = operator == "$inc";
    *old = match (&*old, value) {
        (Node::Double(_), _) | (_, Node::Double(_)) => {
            let number = old.as_f64().ok_or_else(not_numbers)?;
            Node::Double(if adds { number + by } else { number * by })
        }
        (old, value) => {
            let (one, two) = (old.as_i64().ok_or_else(not_numbers)?, value.as_i64().ok_or_else(not_numbers)?);
            let result = if adds { one.checked_add(two) } else { one.checked_mul(two) };
            let result =
                result.ok_or_else(|| Failure::new(code::BAD_VALUE, "the result does not fit 64 bits"))?;
            // Two numbers of 32 bits stay so where the result fits.
            match (old, value, i32::try_from(result)) {
                (Node::Int32(_), Node::Int32(_), Ok(small)) => Node::Int32(small),
                _ => Node::Int64(result),
            }
        }
    };
    Ok(())
}

fn push(document: &mut Node, operator: &str, path: &str, value: &Node) -> Result<(), Failure> {
    let added = match value {
        Node::Doc(fields) if fields.first().is_some_and(|(key, _)| key == "$each") => match fields.as_slice()
        {
            [(_, Node::Array(items))] => items.as_slice(),
            _ => {
                return Err(Failure::new(
                    code::BAD_VALUE,
                    "the in-memory server has only $each with an array",
                ));
            }
        },
        other => core::slice::from_ref(other),
    };
    let exists = find(document, path).is_some();
    let old = place(document, path)?;
    if !exists {
        *old = Node::Array(Vec::new());
    }
    let Node::Array(items) = old else {
        return Err(Failure::new(code::BAD_VALUE, format!("{path} is no array")));
    };
    for item in added {
        if operator == "$push" || !items.contains(item) {
            items.push(item.clone());
        }
    }
    Ok(())
}

/// The value at a path, if it is there.
fn find<'n>(node: &'n mut Node, path: &str) -> Option<&'n mut Node> {
    path.split('.').try_fold(node, |node, name| match node {
        Node::Doc(fields) => fields.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value),
        Node::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        _ => None,
    })
}

/// The place of a path, made where it is not there: missing fields as documents, missing items as nulls.
fn place<'n>(mut node: &'n mut Node, path: &str) -> Result<&'n mut Node, Failure> {
    let mut parts = path.split('.').peekable();
    while let Some(name) = parts.next() {
        let is_last = parts.peek().is_none();
        let fresh = || if is_last { Node::Null } else { Node::Doc(Vec::new()) };
        node = match node {
            Node::Doc(fields) => {
                let at = fields.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
                    fields.push((name.to_owned(), fresh()));
                    fields.len() - 1
                });
                &mut fields[at].1
            }
            Node::Array(items) => {
                let index = name.parse::<usize>().ok().filter(|index| *index < items.len() + MAX_PADDING);
                let index = index.ok_or_else(|| {
                    Failure::new(code::PATH_NOT_VIABLE, format!("{name} is no index of an array"))
                })?;
                if index >= items.len() {
                    items.resize(index, Node::Null);
                    items.push(fresh());
                }
                &mut items[index]
            }
            _ => {
                return Err(Failure::new(
                    code::PATH_NOT_VIABLE,
                    format!("{path} leads through a plain value"),
                ));
            }
        };
    }
    Ok(node)
}

/// Takes the value at a path out; an item of an array leaves null behind.
fn take(node: &mut Node, path: &str) -> Option<Node> {
    let (parent, name) = match path.rsplit_once('.') {
        Some((parent, name)) => (find(node, parent)?, name),
        None => (node, path),
    };
    match parent {
        Node::Doc(fields) => {
            let at = fields.iter().position(|(key, _)| key == name)?;
            Some(fields.remove(at).1)
        }
        Node::Array(items) => {
            let item = name.parse::<usize>().ok().and_then(|index| items.get_mut(index))?;
            Some(core::mem::replace(item, Node::Null))
        }
        _ => None,
    }
}
