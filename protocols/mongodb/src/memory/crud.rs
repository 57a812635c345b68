//! Documents inserted, found, changed, deleted and counted.

use super::node::{Fields, Node};
use super::update::ArrayFilters;
use super::{Call, Failure, MAX_DOCUMENT_LEN, MemoryServer, Outcome, code, node, query, update};
use crate::bson::{Array, Doc, Document, Value};
use crate::doc;

/// What went wrong with single writes of a command.
struct WriteErrors {
    errors: Vec<Document>,
    ordered: bool,
}

impl WriteErrors {
    fn new(call: &Call<'_>) -> Self {
        Self { errors: Vec::new(), ordered: call.body.get_bool("ordered").unwrap_or(true) }
    }

    /// Notes a failure; true when the command ends here.
    fn note(&mut self, index: usize, failure: &Failure) -> bool {
        self.errors.push(doc! { "index": index as i64, "code": failure.code, "errmsg": &failure.message });
        self.ordered
    }

    fn finish(self, mut reply: Document) -> Document {
        if !self.errors.is_empty() {
            reply.append("writeErrors", self.errors);
        }
        reply.append("ok", 1.0);
        reply
    }
}

/// What one update did.
#[derive(Default)]
struct Updated {
    matched: i64,
    modified: i64,
    upserted: Option<Node>,
}

impl MemoryServer {
    /// The account of bytes: what is added must fit.
    fn charge(&mut self, before: usize, after: usize) -> Result<(), Failure> {
        if after > MAX_DOCUMENT_LEN {
            return Err(Failure::new(code::TOO_LARGE, "the document is too large"));
        }
        let bytes = self.bytes.saturating_sub(before) + after;
        if bytes > self.config.max_bytes && after > before {
            return Err(Failure::new(code::OUT_OF_SPACE, "the in-memory server holds no more"));
        }
        self.bytes = bytes;
        Ok(())
    }

    fn insert_one(&mut self, database: &str, collection: &str, mut fields: Fields) -> Result<Node, Failure> {
        let id = match fields.iter().find(|(key, _)| key == "_id") {
            Some((_, id)) => id.clone(),
            None => {
                let id = Node::ObjectId(self.ids.next_id(self.config.seconds));
                fields.insert(0, ("_id".to_owned(), id.clone()));
                id
            }
        };
        let document = Node::Doc(fields);
        let size = document.size();
        self.charge(0, size)?;
        let namespace = format!("{database}.{collection}");
        match self.collection_mut(database, collection).insert(&namespace, document) {
            Ok(()) => Ok(id),
            Err(failure) => {
                self.bytes -= size;
                Err(failure)
            }
        }
    }

    pub(super) fn insert(&mut self, call: &Call<'_>) -> Outcome {
        let collection = call.collection()?;
        let (mut errors, mut inserted) = (WriteErrors::new(call), 0i64);
        for (index, document) in call.statements("documents").into_iter().enumerate() {
            let result = node::fields(document).map_err(Failure::from);
            match result.and_then(|fields| self.insert_one(call.database, collection, fields)) {
                Ok(_) => inserted += 1,
                Err(failure) => {
                    if errors.note(index, &failure) {
                        break;
                    }
                }
            }
        }
        Ok(errors.finish(doc! { "n": inserted }))
    }

    pub(super) fn find(&mut self, call: &Call<'_>) -> Outcome {
        let limit = call.body.get_i64("limit").unwrap_or(0);
        let documents = self.select(
            call.database,
            call.collection()?,
            &call.fields("filter")?,
            &call.fields("sort")?,
            call.count("skip").unwrap_or(0),
            usize::try_from(limit.unsigned_abs()).unwrap_or(usize::MAX),
        )?;
        let projection = call.fields("projection")?;
        let documents = documents
            .iter()
            .map(|document| query::project(document, &projection))
            .collect::<Result<Vec<_>, _>>()?;
        let single = limit < 0 || call.body.get_bool("singleBatch").unwrap_or(false);
        self.open_cursor(call.namespace()?, documents, call.count("batchSize"), single)
    }

    /// The documents that match, in order; a limit of 0 is none.
    fn select(
        &self,
        database: &str,
        collection: &str,
        filter: &Fields,
        sort: &Fields,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Node>, Failure> {
        let Some(collection) = self.collection(database, collection) else { return Ok(Vec::new()) };
        let places = collection.find(filter)?;
        let mut found: Vec<&Node> = places.iter().filter_map(|place| collection.get(*place)).collect();
        if !sort.is_empty() {
            found.sort_by(|one, two| query::sort_order(one, two, sort));
        }
        let limit = if limit == 0 { usize::MAX } else { limit };
        Ok(found.into_iter().skip(skip).take(limit).cloned().collect())
    }

    pub(super) fn count(&mut self, call: &Call<'_>) -> Outcome {
        let collection = call.collection()?;
        let filter = call.fields("query")?;
        let all = match self.collection(call.database, collection) {
            Some(collection) if filter.is_empty() => collection.len(),
            Some(collection) => collection.find(&filter)?.len(),
            None => 0,
        };
        let limit = call.count("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let n = all.saturating_sub(call.count("skip").unwrap_or(0)).min(limit);
        Ok(doc! { "n": n as i64, "ok": 1.0 })
    }

    pub(super) fn distinct(&mut self, call: &Call<'_>) -> Outcome {
        let key =
            call.body.get_str("key").ok_or_else(|| Failure::new(code::BAD_VALUE, "distinct needs a key"))?;
        let (filter, sort) = (call.fields("query")?, Fields::new());
        let documents = self.select(call.database, call.collection()?, &filter, &sort, 0, 0)?;
        let mut values = std::collections::BTreeSet::new();
        for document in &documents {
            let mut found = Vec::new();
            query::reach(document, key, &mut found);
            for node in found {
                match node {
                    Node::Array(items) => values.extend(items.iter().cloned()),
                    other => {
                        values.insert(other.clone());
                    }
                }
            }
        }
        let mut reply = Document::new();
        Node::Array(values.into_iter().collect()).put(&mut reply.writer(), "values")?;
        reply.append("ok", 1.0);
        Ok(reply)
    }

    pub(super) fn update(&mut self, call: &Call<'_>) -> Outcome {
        let collection = call.collection()?;
        let (mut errors, mut total, mut upserted) = (WriteErrors::new(call), Updated::default(), Vec::new());
        for (index, statement) in call.statements("updates").into_iter().enumerate() {
            match self.update_one(call.database, collection, statement) {
                Ok(updated) => {
                    total.matched += updated.matched + i64::from(updated.upserted.is_some());
                    total.modified += updated.modified;
                    if let Some(id) = updated.upserted {
                        let mut document = doc! { "index": index as i64 };
                        id.put(&mut document.writer(), "_id")?;
                        upserted.push(document);
                    }
                }
                Err(failure) => {
                    if errors.note(index, &failure) {
                        break;
                    }
                }
            }
        }
        let mut reply = doc! { "n": total.matched, "nModified": total.modified };
        if !upserted.is_empty() {
            reply.append("upserted", upserted);
        }
        Ok(errors.finish(reply))
    }

    fn update_one(
        &mut self,
        database: &str,
        collection: &str,
        statement: Doc<'_>,
    ) -> Result<Updated, Failure> {
        let doc = |key: &str| {
            let missing = || Failure::new(code::FAILED_TO_PARSE, "an update needs documents q and u");
            Ok::<_, Failure>(node::fields(statement.get_doc(key).ok_or_else(missing)?)?)
        };
        let (filter, change) = (doc("q")?, doc("u")?);
        let multi = statement.get_bool("multi").unwrap_or(false);
        if multi && !update::is_operators(&change)? {
            return Err(Failure::new(code::FAILED_TO_PARSE, "a replacement cannot be for many"));
        }
        let array_filters = statement.get_array("arrayFilters");
        let array_filters = array_filters.into_iter().flat_map(Array::docs).map(node::fields);
        let array_filters = ArrayFilters::new(array_filters.collect::<Result<_, _>>()?, &change)?;
        let places = self.collection(database, collection).map_or(Ok(Vec::new()), |c| c.find(&filter))?;
        if places.is_empty() && statement.get_bool("upsert").unwrap_or(false) {
            let (id, _) = self.upsert(database, collection, &filter, &change, &array_filters)?;
            return Ok(Updated { upserted: Some(id), ..Updated::default() });
        }
        let mut updated = Updated::default();
        for place in places.into_iter().take(if multi { usize::MAX } else { 1 }) {
            updated.matched += 1;
            updated.modified +=
                i64::from(self.change(database, collection, place, &change, &array_filters)?);
        }
        Ok(updated)
    }

    /// Changes one document; false when it stays the same.
    fn change(
        &mut self,
        database: &str,
        collection: &str,
        place: u64,
        change: &Fields,
        array_filters: &ArrayFilters,
    ) -> Result<bool, Failure> {
        let Some(before) = self.collection(database, collection).and_then(|c| c.get(place)).cloned() else {
            return Ok(false);
        };
        let mut after = before.clone();
        update::apply(&mut after, change, array_filters, false)?;
        self.charge(before.size(), after.size())?;
        let changed = after != before || !same_types(&after, &before);
        self.collection_mut(database, collection).replace(place, after);
        Ok(changed)
    }

    /// Inserts what an update makes of the filter's equalities: its `_id` and the document.
    fn upsert(
        &mut self,
        database: &str,
        collection: &str,
        filter: &Fields,
        change: &Fields,
        array_filters: &ArrayFilters,
    ) -> Result<(Node, Node), Failure> {
        let mut document = Node::Doc(Vec::new());
        if update::is_operators(change)? {
            let plain = filter.iter().filter(|(key, value)| {
                let operators =
                    matches!(value, Node::Doc(fields) if fields.iter().any(|(key, _)| key.starts_with('$')));
                !key.starts_with('$') && !operators
            });
            let set = Node::Doc(plain.cloned().collect());
            update::apply(&mut document, &vec![("$set".to_owned(), set)], &ArrayFilters::default(), true)?;
        } else if let Some(id) =
            filter.iter().find(|(key, value)| key == "_id" && !matches!(value, Node::Doc(_)))
        {
            document = Node::Doc(vec![id.clone()]);
        }
        update::apply(&mut document, change, array_filters, true)?;
        let Node::Doc(fields) = document else { return Ok((Node::Null, Node::Null)) };
        let id = self.insert_one(database, collection, fields.clone())?;
        let mut fields = fields;
        if !fields.iter().any(|(key, _)| key == "_id") {
            fields.insert(0, ("_id".to_owned(), id.clone()));
        }
        Ok((id, Node::Doc(fields)))
    }

    pub(super) fn delete(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.collection()?;
        let (mut errors, mut deleted) = (WriteErrors::new(call), 0i64);
        for (index, statement) in call.statements("deletes").into_iter().enumerate() {
            let filter = statement.get_doc("q").map_or(Ok(Fields::new()), node::fields)?;
            let limit = if statement.get_i64("limit") == Some(1) { 1 } else { usize::MAX };
            let found = self.collection(call.database, name).map_or(Ok(Vec::new()), |c| c.find(&filter));
            match found {
                Ok(places) => {
                    for place in places.into_iter().take(limit) {
                        deleted += i64::from(self.remove(call.database, name, place));
                    }
                }
                Err(failure) => {
                    if errors.note(index, &failure) {
                        break;
                    }
                }
            }
        }
        Ok(errors.finish(doc! { "n": deleted }))
    }

    fn remove(&mut self, database: &str, collection: &str, place: u64) -> bool {
        let removed = self.collection_mut(database, collection).remove(place);
        self.bytes = self.bytes.saturating_sub(removed.as_ref().map_or(0, Node::size));
        removed.is_some()
    }

    pub(super) fn find_and_modify(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.collection()?;
        let (filter, sort) = (call.fields("query")?, call.fields("sort")?);
        let mut places = Vec::new();
        if let Some(collection) = self.collection(call.database, name) {
            places = collection.find(&filter)?;
            places.sort_by(|one, two| match (collection.get(*one), collection.get(*two)) {
                (Some(one), Some(two)) => query::sort_order(one, two, &sort),
                _ => core::cmp::Ordering::Equal,
            });
        }
        let place = places.first().copied();
        let get = |server: &Self, place: u64| {
            server.collection(call.database, name).and_then(|c| c.get(place)).cloned()
        };
        let before = place.and_then(|place| get(self, place));
        let new = call.body.get_bool("new").unwrap_or(false);
        let mut last = doc! { "n": i64::from(place.is_some()) };
        let value = if call.body.get_bool("remove").unwrap_or(false) {
            if let Some(place) = place {
                self.remove(call.database, name, place);
            }
            before
        } else {
            if !matches!(call.body.find("update"), Some(Value::Document(_))) {
                return Err(Failure::new(
                    code::FAILED_TO_PARSE,
                    "findAndModify needs remove or a document update",
                ));
            }
            let change = call.fields("update")?;
            let filters = call.statements("arrayFilters").into_iter().map(node::fields);
            let filters = ArrayFilters::new(filters.collect::<Result<_, _>>()?, &change)?;
            last.append("updatedExisting", place.is_some());
            match place {
                Some(place) => {
                    self.change(call.database, name, place, &change, &filters)?;
                    if new { get(self, place) } else { before }
                }
                None if call.body.get_bool("upsert").unwrap_or(false) => {
                    let (id, document) = self.upsert(call.database, name, &filter, &change, &filters)?;
                    last = doc! { "n": 1, "updatedExisting": false };
                    id.put(&mut last.writer(), "upserted")?;
                    new.then_some(document)
                }
                None => None,
            }
        };
        let projection = call.fields("fields")?;
        let value = value.map(|value| query::project(&value, &projection)).transpose()?.unwrap_or(Node::Null);
        let mut reply = doc! { "lastErrorObject": last };
        value.put(&mut reply.writer(), "value")?;
        reply.append("ok", 1.0);
        Ok(reply)
    }
}

/// Values that compare equal may still differ in type, as 1 and 1.0 do.
fn same_types(one: &Node, two: &Node) -> bool {
    match (one, two) {
        (Node::Doc(one), Node::Doc(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|((_, one), (_, two))| same_types(one, two))
        }
        (Node::Array(one), Node::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same_types(one, two))
        }
        _ => one.element_type() == two.element_type(),
    }
}
