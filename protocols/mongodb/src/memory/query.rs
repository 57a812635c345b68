//! Filters, sort orders and projections.

use core::cmp::Ordering;

use super::node::{Fields, Node};
use super::{Failure, code};
use crate::bson::ElementType;

/// True when a document matches a filter.
pub(super) fn matches(document: &Node, filter: &Fields) -> Result<bool, Failure> {
    for (key, condition) in filter {
        let holds = match key.as_str() {
            "$and" => clauses(condition)?
                .try_fold(true, |all, clause| Ok::<_, Failure>(all && matches(document, clause?)?))?,
            "$or" => clauses(condition)?
                .try_fold(false, |any, clause| Ok::<_, Failure>(any || matches(document, clause?)?))?,
            "$nor" => !clauses(condition)?
                .try_fold(false, |any, clause| Ok::<_, Failure>(any || matches(document, clause?)?))?,
            "$comment" => true,
            key if key.starts_with('$') => return Err(unsupported(key)),
            path => {
                let mut found = Vec::new();
                reach(document, path, &mut found);
                holds(&found, condition)?
            }
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unsupported(operator: &str) -> Failure {
    Failure::new(code::BAD_VALUE, format!("the in-memory server has no {operator}"))
}

fn clauses(condition: &Node) -> Result<impl Iterator<Item = Result<&Fields, Failure>>, Failure> {
    let bad = || Failure::new(code::BAD_VALUE, "a list of clauses must be an array of documents");
    let Node::Array(items) = condition else { return Err(bad()) };
    Ok(items.iter().map(move |item| if let Node::Doc(fields) = item { Ok(fields) } else { Err(bad()) }))
}

/// The values at a path; arrays on the way stand for each of their documents, and for their items by number.
pub(super) fn reach<'n>(node: &'n Node, path: &str, found: &mut Vec<&'n Node>) {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let mut go_on = |child: &'n Node| match rest {
        Some(rest) => reach(child, rest, found),
        None => found.push(child),
    };
    if let Some(child) = node.child(first) {
        go_on(child);
    }
    if let Node::Array(items) = node {
        for item in items {
            if let Node::Doc(_) = item
                && let Some(child) = item.child(first)
            {
                go_on(child);
            }
        }
    }
}

fn is_operators(condition: &Node) -> Option<&Fields> {
    match condition {
        Node::Doc(fields) if fields.first().is_some_and(|(key, _)| key.starts_with('$')) => Some(fields),
        _ => None,
    }
}

/// True when the values at a path satisfy what is asked of them.
fn holds(found: &[&Node], condition: &Node) -> Result<bool, Failure> {
    let Some(operators) = is_operators(condition) else { return Ok(equals(found, condition)) };
    for (operator, operand) in operators {
        if !operator_holds(found, operator, operand)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn operator_holds(found: &[&Node], operator: &str, operand: &Node) -> Result<bool, Failure> {
    let list = || match operand {
        Node::Array(items) => Ok(items),
        _ => Err(Failure::new(code::BAD_VALUE, format!("{operator} needs an array"))),
    };
    Ok(match operator {
        "$eq" => equals(found, operand),
        "$ne" => !equals(found, operand),
        "$gt" => compares(found, operand, Ordering::is_gt),
        "$gte" => compares(found, operand, Ordering::is_ge),
        "$lt" => compares(found, operand, Ordering::is_lt),
        "$lte" => compares(found, operand, Ordering::is_le),
        "$in" => list()?.iter().any(|item| equals(found, item)),
        "$nin" => !list()?.iter().any(|item| equals(found, item)),
        "$all" => {
            let items = list()?;
            !items.is_empty() && items.iter().all(|item| equals(found, item))
        }
        "$not" => !holds(found, operand)?,
        "$exists" => {
            let wanted = !matches!(operand, Node::Bool(false) | Node::Null) && operand.as_f64() != Some(0.0);
            found.is_empty() != wanted
        }
        "$size" => {
            let size = operand.as_i64().and_then(|size| usize::try_from(size).ok());
            found.iter().any(|node| matches!(node, Node::Array(items) if Some(items.len()) == size))
        }
        "$type" => spread(found).any(|node| is_type(node, operand)),
        "$mod" => match list()?.iter().map(Node::as_i64).collect::<Option<Vec<_>>>().as_deref() {
            Some([divisor, rest]) if *divisor != 0 => spread(found)
                .any(|node| node.as_i64().is_some_and(|number| number.wrapping_rem(*divisor) == *rest)),
            _ => return Err(Failure::new(code::BAD_VALUE, "$mod needs a divisor and a remainder")),
        },
        "$elemMatch" => {
            let Node::Doc(filter) = operand else {
                return Err(Failure::new(code::BAD_VALUE, "$elemMatch needs a document"));
            };
            let items = found
                .iter()
                .filter_map(|node| if let Node::Array(items) = node { Some(items) } else { None });
            let mut any = false;
            for item in items.flatten() {
                any = any
                    || if is_operators(operand).is_some() {
                        holds(&[item], operand)?
                    } else {
                        matches(item, filter)?
                    };
            }
            any
        }
        "$comment" => true,
        other => return Err(unsupported(other)),
    })
}

/// Each value, and each item of those that are arrays.
fn spread<'n>(found: &'n [&'n Node]) -> impl Iterator<Item = &'n Node> {
    found.iter().flat_map(|node| {
        let items = if let Node::Array(items) = node { items.as_slice() } else { &[] };
        core::iter::once(*node).chain(items)
    })
}

/// Null is also what is not there.
fn equals(found: &[&Node], wanted: &Node) -> bool {
    (found.is_empty() && *wanted == Node::Null) || spread(found).any(|node| node == wanted)
}

fn compares(found: &[&Node], with: &Node, test: fn(Ordering) -> bool) -> bool {
    spread(found).any(|node| node.comparable(with) && test(node.cmp(with)))
}

fn is_type(node: &Node, wanted: &Node) -> bool {
    let own = node.element_type();
    match wanted {
        Node::Array(any) => any.iter().any(|wanted| is_type(node, wanted)),
        Node::String(name) => match name.as_str() {
            "number" => node.as_f64().is_some() || own == ElementType::Decimal128,
            "double" => own == ElementType::Double,
            "string" => own == ElementType::String,
            "object" => own == ElementType::Document,
            "array" => own == ElementType::Array,
            "binData" => own == ElementType::Binary,
            "objectId" => own == ElementType::ObjectId,
            "bool" => own == ElementType::Boolean,
            "date" => own == ElementType::DateTime,
            "null" => own == ElementType::Null,
            "regex" => own == ElementType::Regex,
            "int" => own == ElementType::Int32,
            "long" => own == ElementType::Int64,
            "timestamp" => own == ElementType::Timestamp,
            "decimal" => own == ElementType::Decimal128,
            _ => false,
        },
        number => number.as_i64() == Some(i64::from(own as u8)),
    }
}

/// Compares two documents by a sort document: fields with 1 or -1.
pub(super) fn sort_order(one: &Node, two: &Node, sort: &Fields) -> Ordering {
    for (path, direction) in sort {
        let descending = direction.as_f64().is_some_and(|direction| direction < 0.0);
        let order = sort_key(one, path, descending).cmp(&sort_key(two, path, descending));
        let order = if descending { order.reverse() } else { order };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Of an array its smallest item, or the largest when that comes first; of what is not there null.
fn sort_key(node: &Node, path: &str, descending: bool) -> Node {
    let mut found = Vec::new();
    reach(node, path, &mut found);
    let items = found.iter().flat_map(|node| match node {
        Node::Array(items) => items.as_slice(),
        other => core::slice::from_ref(*other),
    });
    let key = if descending { items.max() } else { items.min() };
    key.cloned().unwrap_or(Node::Null)
}

/// The document with only (or without) the projected fields. `_id` stays unless it is excluded by name.
pub(super) fn project(document: &Node, projection: &Fields) -> Result<Node, Failure> {
    let Node::Doc(fields) = document else { return Ok(document.clone()) };
    if projection.is_empty() {
        return Ok(document.clone());
    }
    let truth = |value: &Node| match value {
        Node::Bool(value) => Ok(*value),
        value => value
            .as_f64()
            .map(|number| number != 0.0)
            .ok_or_else(|| Failure::new(code::BAD_VALUE, "the in-memory server projects by 0 and 1 only")),
    };
    let mut including = None;
    for (key, value) in projection {
        let value = truth(value)?;
        if key != "_id" && *including.get_or_insert(value) != value {
            return Err(Failure::new(code::BAD_VALUE, "a projection cannot both include and exclude"));
        }
    }
    let id = projection.iter().find(|(key, _)| key == "_id").map(|(_, value)| truth(value)).transpose()?;
    let including = including.unwrap_or(id == Some(true));
    let paths: Vec<&str> =
        projection.iter().map(|(key, _)| key.as_str()).filter(|key| *key != "_id").collect();
    let mut kept = trim(fields, &paths, including);
    if including && id != Some(false) && !kept.iter().any(|(key, _)| key == "_id") {
        if let Some(found) = fields.iter().find(|(key, _)| key == "_id") {
            kept.insert(0, found.clone());
        }
    } else if !including && id == Some(false) {
        kept.retain(|(key, _)| key != "_id");
    }
    Ok(Node::Doc(kept))
}

fn trim(fields: &Fields, paths: &[&str], including: bool) -> Fields {
    let mut kept = Fields::new();
    for (key, value) in fields {
        let whole = paths.contains(&key.as_str());
        let deeper: Vec<&str> =
            paths.iter().filter_map(|path| path.strip_prefix(key.as_str())?.strip_prefix('.')).collect();
        match (whole, deeper.is_empty()) {
            (true, _) if including => kept.push((key.clone(), value.clone())),
            (false, true) if !including => kept.push((key.clone(), value.clone())),
            (false, false) => {
                kept.extend(trim_value(value, &deeper, including).map(|value| (key.clone(), value)));
            }
            _ => {}
        }
    }
    kept
}

fn trim_value(value: &Node, paths: &[&str], including: bool) -> Option<Node> {
    match value {
        Node::Doc(fields) => Some(Node::Doc(trim(fields, paths, including))),
        Node::Array(items) => {
            Some(Node::Array(items.iter().filter_map(|item| trim_value(item, paths, including)).collect()))
        }
        other => (!including).then(|| other.clone()),
    }
}
