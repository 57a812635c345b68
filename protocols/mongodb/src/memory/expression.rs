//! Expressions of an aggregation: paths, constants, documents and arrays of them, and the common operators.

use super::node::Node;
use super::{Failure, code};

/// What an aggregation may still copy. Stages multiply documents (`$unwind`) and fields (`"$$ROOT"`), so that short pipelines could ask for
/// any amount of memory.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Pays for a copy of `node`.
    pub(super) fn copy(&mut self, node: &Node) -> Result<Node, Failure> {
        let left = self.0.checked_sub(node.size());
        let too_much =
            || Failure::new(code::OUT_OF_SPACE, "the aggregation copies more than the server may keep");
        self.0 = left.ok_or_else(too_much)?;
        Ok(node.clone())
    }
}

/// What an expression gives for a document; `None` where a path leads nowhere.
///
/// Recursion is bounded: requests are validated within a depth before anything is read from them.
pub(super) fn evaluate(
    document: &Node,
    expression: &Node,
    budget: &mut Budget,
) -> Result<Option<Node>, Failure> {
    match expression {
        Node::String(text) => match text.strip_prefix("$$ROOT").or_else(|| text.strip_prefix("$$CURRENT")) {
            Some("") => budget.copy(document).map(Some),
            Some(path) => path.strip_prefix('.').map_or(Ok(None), |path| field(document, path, budget)),
            None if text.starts_with("$$") => Err(unsupported("variable", text)),
            None => match text.strip_prefix('$') {
                Some(path) => field(document, path, budget),
                None => budget.copy(expression).map(Some),
            },
        },
        Node::Doc(fields) => match fields.as_slice() {
            [(operator, operand)] if operator.starts_with('$') => {
                operate(document, operator, operand, budget).map(Some)
            }
            fields => {
                let mut made = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    if let Some(value) = evaluate(document, value, budget)? {
                        made.push((key.clone(), value));
                    }
                }
                Ok(Some(Node::Doc(made)))
            }
        },
        Node::Array(items) => {
            let items = items.iter().map(|item| or_null(document, item, budget));
            Ok(Some(Node::Array(items.collect::<Result<_, _>>()?)))
        }
        constant => budget.copy(constant).map(Some),
    }
}

/// The same with null for nothing.
pub(super) fn or_null(document: &Node, expression: &Node, budget: &mut Budget) -> Result<Node, Failure> {
    Ok(evaluate(document, expression, budget)?.unwrap_or(Node::Null))
}

/// The value at a path; an array on the way gives an array of what its documents have there.
fn field(node: &Node, path: &str, budget: &mut Budget) -> Result<Option<Node>, Failure> {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    match (node, rest) {
        (Node::Doc(_), rest) => match (node.child(first), rest) {
            (Some(child), Some(rest)) => field(child, rest, budget),
            (Some(child), None) => budget.copy(child).map(Some),
            (None, _) => Ok(None),
        },
        (Node::Array(items), _) => {
            let mut found = Vec::new();
            for item in items {
                found.extend(field(item, path, budget)?);
            }
            Ok(Some(Node::Array(found)))
        }
        _ => Ok(None),
    }
}

fn unsupported(what: &str, name: &str) -> Failure {
    Failure::new(code::BAD_VALUE, format!("the in-memory server has no {what} {name}"))
}

/// What counts as true: everything but false, null and zero.
fn truth(node: &Node) -> bool {
    !matches!(node, Node::Bool(false) | Node::Null) && node.as_f64() != Some(0.0)
}

fn operate(document: &Node, operator: &str, operand: &Node, budget: &mut Budget) -> Result<Node, Failure> {
    if operator == "$literal" {
        return budget.copy(operand);
    }
    let bad = || Failure::new(code::BAD_VALUE, format!("{operator} has unusable operands"));
    if let ("$cond", Node::Doc(_)) = (operator, operand) {
        let part = |name: &str| operand.child(name).ok_or_else(bad);
        let holds = truth(&or_null(document, part("if")?, budget)?);
        return or_null(document, part(if holds { "then" } else { "else" })?, budget);
    }
    let operands =
        if let Node::Array(items) = operand { items.as_slice() } else { core::slice::from_ref(operand) };
    let values = operands.iter().map(|operand| or_null(document, operand, budget));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    Ok(match (operator, values.as_slice()) {
        ("$add" | "$multiply", values) => fold(operator, values).ok_or_else(bad)?,
        ("$subtract" | "$divide", [_, _]) => fold(operator, &values).ok_or_else(bad)?,
        ("$concat", values) => {
            let mut text = String::new();
            for value in values {
                match value {
                    Node::String(part) => text.push_str(part),
                    Node::Null => return Ok(Node::Null),
                    _ => return Err(bad()),
                }
            }
            Node::String(text)
        }
        ("$toUpper", [Node::String(text)]) => Node::String(text.to_ascii_uppercase()),
        ("$toLower", [Node::String(text)]) => Node::String(text.to_ascii_lowercase()),
        ("$size", [Node::Array(items)]) => Node::Int32(i32::try_from(items.len()).unwrap_or(i32::MAX)),
        ("$eq", [one, two]) => Node::Bool(one == two),
        ("$ne", [one, two]) => Node::Bool(one != two),
        ("$gt", [one, two]) => Node::Bool(one > two),
        ("$gte", [one, two]) => Node::Bool(one >= two),
        ("$lt", [one, two]) => Node::Bool(one < two),
        ("$lte", [one, two]) => Node::Bool(one <= two),
        ("$and", values) => Node::Bool(values.iter().all(truth)),
        ("$or", values) => Node::Bool(values.iter().any(truth)),
        ("$not", [value]) => Node::Bool(!truth(value)),
        ("$cond", [condition, then, otherwise]) => {
            if truth(condition) {
                then.clone()
            } else {
                otherwise.clone()
            }
        }
        ("$ifNull", [first @ .., last]) => {
            first.iter().find(|value| !matches!(value, Node::Null)).unwrap_or(last).clone()
        }
        (
            "$subtract" | "$divide" | "$toUpper" | "$toLower" | "$size" | "$eq" | "$ne" | "$gt" | "$gte"
            | "$lt" | "$lte" | "$not" | "$cond" | "$ifNull",
            _,
        ) => return Err(bad()),
        _ => return Err(unsupported("operator", operator)),
    })
}

/// Arithmetic: null as soon as one is null, whole numbers as long as all are and the result fits.
fn fold(operator: &str, values: &[Node]) -> Option<Node> {
    if values.iter().any(|value| matches!(value, Node::Null)) {
        return Some(Node::Null);
    }
    if values.iter().any(|value| value.as_f64().is_none()) {
        return None;
    }
    let doubles = operator == "$divide" || values.iter().any(|value| matches!(value, Node::Double(_)));
    let mut whole = values.iter().filter_map(Node::as_i64);
    let result = match operator {
        _ if doubles => None,
        "$add" => whole.try_fold(0i64, i64::checked_add),
        "$multiply" => whole.try_fold(1i64, i64::checked_mul),
        _ => whole.next().and_then(|first| whole.try_fold(first, i64::checked_sub)),
    };
    if let Some(result) = result {
        let small = values.iter().all(|value| matches!(value, Node::Int32(_)));
        return Some(match i32::try_from(result) {
            Ok(result) if small => Node::Int32(result),
            _ => Node::Int64(result),
        });
    }
    let mut numbers = values.iter().filter_map(Node::as_f64);
    Some(Node::Double(match operator {
        "$add" => numbers.sum(),
        "$multiply" => numbers.product(),
        "$subtract" => numbers.next()? - numbers.next()?,
        _ => match (numbers.next()?, numbers.next()?) {
            (_, 0.0) => return None,
            (one, two) => one / two,
        },
    }))
}
