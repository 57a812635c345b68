//! Small aggregations: `$match`, `$sort`, `$skip`, `$limit`, `$project`, `$addFields` (also called `$set`), `$unset`, `$unwind`, `$count`, and
//! `$group` with `$sum`, `$count`, `$min`, `$max`, `$avg`, `$first`, `$last`, `$push` and `$addToSet`.

use std::collections::BTreeMap;

use super::expression::{Budget, evaluate, or_null};
use super::node::{Fields, Node};
use super::{Call, Failure, MemoryServer, Outcome, code, node, query};

impl MemoryServer {
    pub(super) fn aggregate(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.collection()?;
        let mut budget = Budget::new(self.config.max_bytes);
        let mut documents: Vec<Node> =
            self.collection(call.database, name).map(|c| c.all().cloned().collect()).unwrap_or_default();
        for stage in call.statements("pipeline") {
            let stage = node::fields(stage)?;
            let [(operator, operand)] = stage.as_slice() else {
                return Err(Failure::new(code::FAILED_TO_PARSE, "a stage has exactly one field"));
            };
            documents = run(documents, operator, operand, &mut budget)?;
        }
        let batch = call.body.get_doc("cursor").and_then(|cursor| cursor.get_i64("batchSize"));
        let batch = batch.map(|size| usize::try_from(size).unwrap_or(0));
        self.open_cursor(call.namespace()?, documents, batch, false)
    }
}

fn run(
    mut documents: Vec<Node>,
    operator: &str,
    operand: &Node,
    budget: &mut Budget,
) -> Result<Vec<Node>, Failure> {
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
        "$limit" => match number()? {
            0 => return Err(Failure::new(code::LIMIT_NOT_POSITIVE, "the limit must be positive")),
            count => {
                documents.truncate(count);
                documents
            }
        },
        "$project" => {
            let projection = Projection::new(fields()?);
            documents.iter().map(|document| projection.apply(document, budget)).collect::<Result<_, _>>()?
        }
        "$addFields" | "$set" => {
            let added = flat(fields()?);
            for document in &mut documents {
                let before = budget.copy(document)?;
                for (path, expression) in &added {
                    set(document, path, evaluate(&before, expression, budget)?, budget)?;
                }
            }
            documents
        }
        "$unset" => {
            let paths = if let Node::Array(paths) = operand { paths } else { core::slice::from_ref(operand) };
            let exclude = |path: &Node| match path {
                Node::String(path) => Ok((path.clone(), Node::Int32(0))),
                _ => Err(bad()),
            };
            let projection = paths.iter().map(exclude).collect::<Result<Fields, _>>()?;
            documents
                .iter()
                .map(|document| query::project(document, &projection))
                .collect::<Result<_, _>>()?
        }
        "$unwind" => {
            let mut unwound = Vec::new();
            for document in &documents {
                unwind(document, operand, &mut unwound, budget)?;
            }
            unwound
        }
        "$count" => {
            let Node::String(name) = operand else { return Err(bad()) };
            let count = Node::of_len(documents.len());
            if documents.is_empty() { Vec::new() } else { vec![Node::Doc(vec![(name.clone(), count)])] }
        }
        "$group" => group(&documents, fields()?, budget)?,
        other => {
            return Err(Failure::new(
                code::NO_SUCH_STAGE,
                format!("the in-memory server has no stage {other}"),
            ));
        }
    })
}

/// Fields with their whole paths: documents in a specification that are no operators stand for what is below them.
fn flat(fields: &Fields) -> Fields {
    let mut all = Fields::new();
    for (key, value) in fields {
        match value {
            Node::Doc(below) if below.first().is_some_and(|(key, _)| !key.starts_with('$')) => {
                all.extend(flat(below).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            _ => all.push((key.clone(), value.clone())),
        }
    }
    all
}

/// Puts a value at a path, in each item of arrays on the way; what is no document there gives way to one. Nothing is put for nothing.
fn set(node: &mut Node, path: &str, value: Option<Node>, budget: &mut Budget) -> Result<(), Failure> {
    let Some(value) = value else { return Ok(()) };
    if let Node::Array(items) = node {
        for item in items {
            let value = budget.copy(&value)?;
            set(item, path, Some(value), budget)?;
        }
        return Ok(());
    }
    if !matches!(node, Node::Doc(_)) {
        *node = Node::Doc(Vec::new());
    }
    let Node::Doc(fields) = node else { return Ok(()) };
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let at = fields.iter().position(|(key, _)| key == first).unwrap_or_else(|| {
        fields.push((first.to_owned(), Node::Null));
        fields.len() - 1
    });
    match rest {
        Some(rest) => set(&mut fields[at].1, rest, Some(value), budget),
        None => {
            fields[at].1 = value;
            Ok(())
        }
    }
}

/// What `$project` does: fields that stay or go, and fields that are computed.
struct Projection {
    flags: Fields,
    computed: Fields,
}

impl Projection {
    fn new(spec: &Fields) -> Self {
        let is_flag = |value: &Node| matches!(value, Node::Bool(_)) || value.as_f64().is_some();
        let (mut flags, computed): (Fields, Fields) =
            flat(spec).into_iter().partition(|(_, value)| is_flag(value));
        // Computed fields alone leave nothing else but the id.
        if !computed.is_empty() && flags.iter().all(|(key, _)| key == "_id") {
            flags.push((String::new(), Node::Int32(1)));
        }
        if computed.iter().any(|(key, _)| key == "_id") {
            flags.push(("_id".to_owned(), Node::Int32(0)));
        }
        Self { flags, computed }
    }

    fn apply(&self, document: &Node, budget: &mut Budget) -> Result<Node, Failure> {
        let mut kept = query::project(document, &self.flags)?;
        for (path, expression) in &self.computed {
            set(&mut kept, path, evaluate(document, expression, budget)?, budget)?;
        }
        Ok(kept)
    }
}

/// One document for each item of an array. One without the array goes, unless it is to be preserved; a plain value counts as an array of it.
fn unwind(document: &Node, operand: &Node, into: &mut Vec<Node>, budget: &mut Budget) -> Result<(), Failure> {
    let (path, preserve, index) = match operand {
        Node::String(_) => (Some(operand), false, None),
        other => {
            let preserve = matches!(other.child("preserveNullAndEmptyArrays"), Some(Node::Bool(true)));
            (other.child("path"), preserve, other.child("includeArrayIndex"))
        }
    };
    let bad = || Failure::new(code::BAD_VALUE, "$unwind needs a path that begins with $");
    let Some(Node::String(expression)) = path else { return Err(bad()) };
    let path = expression.strip_prefix('$').filter(|path| !path.starts_with('$')).ok_or_else(bad)?;
    let mut put = |item: Option<Node>, number: Node, budget: &mut Budget| {
        let mut made = budget.copy(document)?;
        set(&mut made, path, item, budget)?;
        if let Some(Node::String(name)) = index {
            set(&mut made, name, Some(number), budget)?;
        }
        into.push(made);
        Ok(())
    };
    let at = path.split('.').try_fold(document, |node, name| match node {
        Node::Doc(_) => node.child(name),
        _ => None,
    });
    match at {
        Some(Node::Array(items)) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                let item = budget.copy(item)?;
                put(Some(item), Node::Int64(number as i64), budget)?;
            }
            Ok(())
        }
        Some(Node::Array(_)) if preserve => {
            // The empty array goes, the document stays.
            let mut kept = query::project(document, &vec![(path.to_owned(), Node::Int32(0))])?;
            if let Some(Node::String(name)) = index {
                set(&mut kept, name, Some(Node::Null), budget)?;
            }
            into.push(kept);
            Ok(())
        }
        Some(Node::Null) | None if preserve => put(None, Node::Null, budget),
        Some(Node::Array(_) | Node::Null) | None => Ok(()),
        Some(_) => put(None, Node::Null, budget),
    }
}

fn group(documents: &[Node], spec: &Fields, budget: &mut Budget) -> Result<Vec<Node>, Failure> {
    let id = spec.iter().find(|(key, _)| key == "_id").map(|(_, value)| value);
    let id = id.ok_or_else(|| Failure::new(code::FAILED_TO_PARSE, "$group needs an _id"))?;
    let mut groups: BTreeMap<Node, Vec<&Node>> = BTreeMap::new();
    for document in documents {
        groups.entry(or_null(document, id, budget)?).or_default().push(document);
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
            let mut values = Vec::with_capacity(members.len());
            for document in &members {
                values.push(evaluate(document, expression, budget)?);
            }
            result.push((name.clone(), accumulate(operator, values)?));
        }
        results.push(Node::Doc(result));
    }
    Ok(results)
}

/// One value of those that the documents of a group have, each perhaps nothing.
fn accumulate(operator: &str, mut values: Vec<Option<Node>>) -> Result<Node, Failure> {
    let present = || values.iter().flatten();
    // Null and nothing are neither the least nor the greatest.
    let compared = || present().filter(|value| !matches!(value, Node::Null));
    Ok(match operator {
        "$sum" => sum(&present().cloned().collect::<Vec<_>>()),
        "$count" => Node::of_len(values.len()),
        "$avg" => {
            let numbers: Vec<f64> = present().filter_map(Node::as_f64).collect();
            let count = numbers.len() as f64;
            if numbers.is_empty() { Node::Null } else { Node::Double(numbers.iter().sum::<f64>() / count) }
        }
        "$min" => compared().min().cloned().unwrap_or(Node::Null),
        "$max" => compared().max().cloned().unwrap_or(Node::Null),
        "$first" => values.into_iter().next().flatten().unwrap_or(Node::Null),
        "$last" => values.pop().flatten().unwrap_or(Node::Null),
        "$push" => Node::Array(values.into_iter().flatten().collect()),
        "$addToSet" => {
            let set: std::collections::BTreeSet<Node> = values.into_iter().flatten().collect();
            Node::Array(set.into_iter().collect())
        }
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
