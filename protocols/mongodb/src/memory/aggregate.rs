//! Small aggregations: `$match`, `$sort`, `$skip`, `$limit`, `$project`, `$count`, and `$group` by a field or a constant with
//! `$sum`, `$min`, `$max`, `$avg`, `$first`, `$last` and `$push`.

use std::collections::BTreeMap;

use super::node::{Fields, Node};
use super::{Call, Failure, MemoryServer, Outcome, code, node, query};

impl MemoryServer {
    pub(super) fn aggregate(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.collection()?;
        let mut documents: Vec<Node> =
            self.collection(call.database, name).map(|c| c.all().cloned().collect()).unwrap_or_default();
        for stage in call.statements("pipeline") {
            let stage = node::fields(stage)?;
            let [(operator, operand)] = stage.as_slice() else {
                return Err(Failure::new(code::FAILED_TO_PARSE, "a stage has exactly one field"));
            };
            documents = run(documents, operator, operand)?;
        }
        let batch = call.body.get_doc("cursor").and_then(|cursor| cursor.get_i64("batchSize"));
        let batch = batch.map(|size| usize::try_from(size).unwrap_or(0));
        self.open_cursor(call.namespace()?, documents, batch, false)
    }
}

fn run(mut documents: Vec<Node>, operator: &str, operand: &Node) -> Result<Vec<Node>, Failure> {
    let bad = || Failure::new(code::BAD_VALUE, format!("{operator} has an unusable operand"));
    let fields = || if let Node::Doc(fields) = operand { Ok(fields) } else { Err(bad()) };
    let number = || operand.as_i64().and_then(|number| usize::try_from(number).ok()).ok_or_else(bad);
    Ok(match operator {
        "$match" => {
            let mut kept = Vec::new();
            for document in documents {
                if query::matches(&document, fields()?)? {
                    kept.push(document);
                }
            }
            kept
        }
        "$sort" => {
            let sort = fields()?;
            documents.sort_by(|one, two| query::sort_order(one, two, sort));
            documents
        }
        "$skip" => documents.split_off(number()?.min(documents.len())),
        "$limit" => {
            documents.truncate(number()?);
            documents
        }
        "$project" => documents
            .iter()
            .map(|document| query::project(document, fields()?))
            .collect::<Result<Vec<_>, _>>()?,
        "$count" => {
            let Node::String(name) = operand else { return Err(bad()) };
            let count = Node::Int64(documents.len() as i64);
            if documents.is_empty() { Vec::new() } else { vec![Node::Doc(vec![(name.clone(), count)])] }
        }
        "$group" => group(&documents, fields()?)?,
        other => {
            return Err(Failure::new(code::BAD_VALUE, format!("the in-memory server has no stage {other}")));
        }
    })
}

/// A field's path as `$path`, or a constant.
fn evaluate(document: &Node, expression: &Node) -> Node {
    match expression {
        Node::String(text) if text.starts_with('$') => {
            let mut found = Vec::new();
            query::reach(document, &text[1..], &mut found);
            found.first().map_or(Node::Null, |node| (*node).clone())
        }
        constant => constant.clone(),
    }
}

fn group(documents: &[Node], spec: &Fields) -> Result<Vec<Node>, Failure> {
    let id = spec.iter().find(|(key, _)| key == "_id").map(|(_, value)| value);
    let id = id.ok_or_else(|| Failure::new(code::FAILED_TO_PARSE, "$group needs an _id"))?;
    let mut groups: BTreeMap<Node, Vec<&Node>> = BTreeMap::new();
    for document in documents {
        groups.entry(evaluate(document, id)).or_default().push(document);
    }
    let mut results = Vec::with_capacity(groups.len());
    for (key, members) in groups {
        let mut result = vec![("_id".to_owned(), key)];
        for (name, accumulator) in spec.iter().filter(|(key, _)| key != "_id") {
            let Node::Doc(accumulator) = accumulator else {
                return Err(Failure::new(code::FAILED_TO_PARSE, format!("{name} is no accumulator")));
            };
            let [(operator, expression)] = accumulator.as_slice() else {
                return Err(Failure::new(code::FAILED_TO_PARSE, format!("{name} needs one accumulator")));
            };
            let values = members.iter().map(|document| evaluate(document, expression));
            result.push((name.clone(), accumulate(operator, values)?));
        }
        results.push(Node::Doc(result));
    }
    Ok(results)
}

fn accumulate(operator: &str, mut values: impl Iterator<Item = Node>) -> Result<Node, Failure> {
    Ok(match operator {
        "$sum" => sum(&values.collect::<Vec<_>>()),
        "$avg" => {
            let numbers: Vec<f64> = values.filter_map(|value| value.as_f64()).collect();
            let count = numbers.len() as f64;
            if numbers.is_empty() { Node::Null } else { Node::Double(numbers.iter().sum::<f64>() / count) }
        }
        "$min" => values.min().unwrap_or(Node::Null),
        "$max" => values.max().unwrap_or(Node::Null),
        "$first" => values.next().unwrap_or(Node::Null),
        "$last" => values.last().unwrap_or(Node::Null),
        "$push" => Node::Array(values.collect()),
        other => {
            return Err(Failure::new(
                code::BAD_VALUE,
                format!("the in-memory server has no accumulator {other}"),
            ));
        }
    })
}

/// Whole numbers as long as all are and the sum fits; 32 bits where it fits them.
fn sum(values: &[Node]) -> Node {
    let doubles = values.iter().any(|value| matches!(value, Node::Double(_)));
    let whole = values.iter().filter_map(Node::as_i64).try_fold(0i64, i64::checked_add);
    match whole {
        Some(whole) if !doubles => i32::try_from(whole).map_or(Node::Int64(whole), Node::Int32),
        _ => Node::Double(values.iter().filter_map(Node::as_f64).sum()),
    }
}
