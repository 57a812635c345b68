//! Map-reduce jobs, as far as they are made of Riak's own functions and written in JSON.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::json::Json;
use super::{BucketId, Entry, Node, Result, refused};
use crate::object::decimal;
use crate::wire::kv::{IndexQueryType, RpbIndexReq, RpbMapRedReq, RpbMapRedResp};
use crate::wire::{Blob, Reply};

/// How many results a reply has at most.
const CHUNK: usize = 100;

/// The module whose functions are known.
const MODULE: &str = "riak_kv_mapreduce";

/// What a phase does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    MapIdentity,
    MapObjectValue,
    ReduceCountInputs,
    ReduceIdentity,
    ReduceSetUnion,
    ReduceSort,
    ReduceStringToInteger,
    ReduceSum,
}

impl Function {
    const ALL: &[(&str, &str, Self)] = &[
        ("map", "map_identity", Self::MapIdentity),
        ("map", "map_object_value", Self::MapObjectValue),
        ("reduce", "reduce_count_inputs", Self::ReduceCountInputs),
        ("reduce", "reduce_identity", Self::ReduceIdentity),
        ("reduce", "reduce_set_union", Self::ReduceSetUnion),
        ("reduce", "reduce_sort", Self::ReduceSort),
        ("reduce", "reduce_string_to_integer", Self::ReduceStringToInteger),
        ("reduce", "reduce_sum", Self::ReduceSum),
    ];
}

#[derive(Debug)]
struct Phase {
    /// Which one, counted from 0.
    number: usize,
    function: Function,
    /// What a map makes of an object that is not there.
    arg: Option<Json>,
    /// Whether its results are sent.
    keep: bool,
}

/// Where an object is, and what the job says about it.
#[derive(Clone, Debug)]
struct Input {
    bucket: Blob,
    key: Blob,
    data: Option<Json>,
}

impl Input {
    /// `[bucket, key]` or `[bucket, key, data]`.
    fn parse(json: &Json) -> Option<Self> {
        let Json::List(parts) = json else { return None };
        let (bucket, key, data) = match &parts[..] {
            [bucket, key] => (bucket, key, None),
            [bucket, key, data] => (bucket, key, Some(data.clone())),
            _ => return None,
        };
        Some(Self { bucket: bucket.as_text()?.clone(), key: key.as_text()?.clone(), data })
    }

    fn to_json(&self) -> Json {
        let parts = [Json::Text(self.bucket.clone()), Json::Text(self.key.clone())];
        Json::List(parts.into_iter().chain(self.data.clone()).collect())
    }
}

/// What one phase hands to the next.
#[derive(Clone, Debug)]
enum Item {
    Input(Input),
    /// An object, whatever is in it: it can be counted and not shown.
    Object,
    Value(Json),
}

impl Item {
    /// The item as it is shown and compared.
    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Input(input) => Ok(input.to_json()),
            Self::Object => refused("objects are not shown as JSON in memory"),
            Self::Value(json) => Ok(json.clone()),
        }
    }
}

/// The error of a function that failed, worded as a node does, but for the stack.
fn failed<T>(phase: usize, error: &str, input: String) -> Result<T> {
    let text = |text: &str| Json::Text(text.into());
    let fields = [
        ("phase", Json::Int(phase as i64)),
        ("error", text(error)),
        ("input", Json::Text(input.into())),
        ("type", text("error")),
        ("stack", text("[]")),
    ];
    let fields = fields.into_iter().map(|(name, value)| (Blob::from(name), value)).collect();
    let mut message = String::new();
    match Json::Object(fields).write(&mut message) {
        Some(()) => refused(message),
        None => refused(alloc::format!("phase {phase} failed: {error}")),
    }
}

impl Phase {
    fn parse(number: usize, last: bool, json: &Json) -> Result<Self> {
        let unknown = |what: &str| refused(alloc::format!("Phase {number}: {what}"));
        let Json::Object(fields) = json else { return unknown("not an object") };
        let [(kind, spec)] = &fields[..] else { return unknown("not an object of one field") };
        let field = |name| spec.field(name).and_then(Json::as_text);
        let runner = match &kind[..] {
            b"map" => "riak_kv_mrc_map",
            b"reduce" => "riak_kv_w_reduce",
            _ => return unknown("neither map nor reduce, and nothing else is run in memory"),
        };
        let (Some(language), Some(module), Some(function)) =
            (field("language"), field("module"), field("function"))
        else {
            return unknown(&alloc::format!(
                "The PhaseSpec part of the argument for {runner} must be of one of the following forms:\n   \
                 {{modfun, Module :: atom(), Function :: atom()}}\n   {{qfun, Function :: function()}}\n   \
                 {{strfun, Source :: string()}}\n   {{strfun, {{Bucket :: binary(), Key :: binary()}}}}\n"
            ));
        };
        if language != "erlang" {
            return unknown("only functions in Erlang are run in memory");
        }
        if module != MODULE {
            let module = String::from_utf8_lossy(module);
            return unknown(&alloc::format!(
                "invalid module named in PhaseSpec function:\n must be a valid module name (failed to load {module}: \
                 nofile)"
            ));
        }
        let known = Function::ALL.iter().find(|(of, name, _)| kind == of && function == name);
        let Some((.., known)) = known else {
            let function = String::from_utf8_lossy(function);
            return unknown(&alloc::format!("the function {function} is not run in memory"));
        };
        let keep = match spec.field("keep") {
            Some(Json::Bool(keep)) => *keep,
            _ => last,
        };
        Ok(Self { number, function: *known, arg: spec.field("arg").cloned(), keep })
    }

    /// What becomes of an object that is not there.
    fn not_found(&self, input: &Input) -> Result<Option<Item>> {
        match &self.arg {
            Some(Json::Text(action)) if action == "filter_notfound" => Ok(None),
            Some(Json::Text(action)) if action == "include_keydata" => {
                Ok(Some(Item::Value(input.data.clone().unwrap_or(Json::Text("undefined".into())))))
            }
            _ => {
                let name = |name: &Blob| String::from_utf8_lossy(name).into_owned();
                let (bucket, key) = (name(&input.bucket), name(&input.key));
                let input =
                    alloc::format!("{{{{error,notfound}},{{<<\"{bucket}\">>,<<\"{key}\">>}},undefined}}");
                failed(self.number, "function_clause", input)
            }
        }
    }

    fn map(&self, node: &Node, time: Duration, item: Item) -> Result<Option<Item>> {
        let input = match item {
            Item::Input(input) => Some(input),
            Item::Value(json) => Input::parse(&json),
            Item::Object => None,
        };
        let Some(input) = input else {
            return failed(self.number, "badarg", "an input that is no bucket and key".into());
        };
        let stored = match node.entry(&BucketId::new(None, input.bucket.clone())?, &input.key) {
            Some(Entry::Object(stored)) if !stored.is_deleted() && !stored.is_gone(time) => stored,
            Some(Entry::Data(_)) => return refused("data types are not mapped in memory"),
            _ => return self.not_found(&input),
        };
        if self.function == Function::MapIdentity {
            return Ok(Some(Item::Object));
        }
        let mut contents = stored.contents();
        match (contents.next(), contents.next()) {
            (Some(content), None) => Ok(Some(Item::Value(Json::Text(content.value.clone())))),
            _ => failed(self.number, "badmatch", "an object with siblings".into()),
        }
    }

    fn run(&self, node: &Node, time: Duration, items: Vec<Item>) -> Result<Vec<Item>> {
        let values = |items: Vec<Item>| items.iter().map(Item::to_json).collect::<Result<Vec<Json>>>();
        let wrap = |values: Vec<Json>| Ok(values.into_iter().map(Item::Value).collect());
        let bad_number =
            || failed(self.number, "badarith", "what is no number, or the sum is too large".into());
        match self.function {
            Function::MapIdentity | Function::MapObjectValue => {
                items.into_iter().filter_map(|item| self.map(node, time, item).transpose()).collect()
            }
            Function::ReduceIdentity => Ok(items),
            Function::ReduceSort | Function::ReduceSetUnion => {
                let mut values = values(items)?;
                values.sort_by(Json::cmp);
                if self.function == Function::ReduceSetUnion {
                    values.dedup();
                }
                wrap(values)
            }
            Function::ReduceCountInputs => {
                // A number is a count that was made before.
                let count = items.iter().try_fold(0, |count: i64, item| {
                    count.checked_add(if let Item::Value(Json::Int(count)) = item { *count } else { 1 })
                });
                count.map_or_else(bad_number, |count| wrap(alloc::vec![Json::Int(count)]))
            }
            Function::ReduceSum => {
                let sum =
                    values(items)?.into_iter().try_fold(Json::Int(0), |sum, value| match (sum, value) {
                        (Json::Int(sum), Json::Int(value)) => sum.checked_add(value).map(Json::Int),
                        (Json::Int(sum), Json::Float(value)) => Some(Json::Float(sum as f64 + value)),
                        (Json::Float(sum), Json::Int(value)) => Some(Json::Float(sum + value as f64)),
                        (Json::Float(sum), Json::Float(value)) => Some(Json::Float(sum + value)),
                        _ => None,
                    });
                sum.map_or_else(bad_number, |sum| wrap(alloc::vec![sum]))
            }
            Function::ReduceStringToInteger => {
                let number = |value| match value {
                    Json::Int(number) => Some(Json::Int(number)),
                    Json::Text(text) => text.to_str().ok()?.parse().ok().map(Json::Int),
                    _ => None,
                };
                let numbers: Option<_> = values(items)?.into_iter().map(number).collect();
                numbers.map_or_else(|| failed(self.number, "badarg", "no whole number".into()), wrap)
            }
        }
    }
}

impl Node {
    pub(super) fn map_reduce(&self, time: Duration, request: &RpbMapRedReq) -> Result<Vec<Reply>> {
        match &request.content_type[..] {
            b"application/json" => {}
            b"application/x-erlang-binary" => return refused("jobs in Erlang terms are not run in memory"),
            other => {
                let other = String::from_utf8_lossy(other);
                return refused(alloc::format!("{{unknown_content_type,<<\"{other}\">>}}"));
            }
        }
        let Some(job) = Json::parse(&request.request) else { return refused("{invalid_json,badmatch}") };
        let (Some(inputs), Some(Json::List(query))) = (job.field("inputs"), job.field("query")) else {
            return refused("missing_field");
        };
        let phases = query.iter().enumerate();
        let phases: Vec<Phase> = phases
            .map(|(number, phase)| Phase::parse(number, number + 1 == query.len(), phase))
            .collect::<Result<_>>()?;
        let mut items = self.inputs(time, inputs)?;
        let mut replies = Vec::new();
        if phases.is_empty() {
            show(0, &items, &mut replies)?;
        }
        for phase in &phases {
            items = phase.run(self, time, items)?;
            if phase.keep {
                show(phase.number, &items, &mut replies)?;
            }
        }
        replies.push(RpbMapRedResp { done: Some(true), ..RpbMapRedResp::default() }.into());
        Ok(replies)
    }

    /// What the job begins with: a bucket, objects by name, or what an index query finds.
    fn inputs(&self, time: Duration, inputs: &Json) -> Result<Vec<Item>> {
        let of_bucket = |bucket: &Blob, keys: Vec<Blob>| {
            let input = |key| Item::Input(Input { bucket: bucket.clone(), key, data: None });
            keys.into_iter().map(input).collect()
        };
        let understood = match inputs {
            Json::Text(bucket) => {
                let id = BucketId::new(None, bucket.clone())?;
                let keys = self.live_objects(time, &id).map(|(key, _)| key.clone()).collect();
                Some(of_bucket(bucket, keys))
            }
            Json::List(inputs) => inputs.iter().map(|input| Input::parse(input).map(Item::Input)).collect(),
            Json::Object(_) => match index_query(inputs) {
                Some(query) => {
                    let mut keys = Vec::new();
                    for reply in self.index(time, &query)? {
                        if let Reply::RpbIndexResp(found) = reply {
                            keys.extend(found.keys);
                        }
                    }
                    Some(of_bucket(&query.bucket, keys))
                }
                None => None,
            },
            _ => None,
        };
        understood.map_or_else(|| refused("the inputs are of no kind that is read in memory"), Ok)
    }
}

/// The query behind inputs of the form `{"bucket": .., "index": .., "key": ..}` or with `start` and `end`.
fn index_query(inputs: &Json) -> Option<RpbIndexReq> {
    let term = |name| match inputs.field(name)? {
        Json::Text(text) => Some(text.clone()),
        Json::Int(number) => Some(decimal(*number)),
        _ => None,
    };
    let (bucket, index) =
        (inputs.field("bucket")?.as_text()?.clone(), inputs.field("index")?.as_text()?.clone());
    let query = RpbIndexReq { bucket, index, ..RpbIndexReq::default() };
    if let Some(key) = term("key") {
        return Some(RpbIndexReq { qtype: IndexQueryType::Eq, key: Some(key), ..query });
    }
    let (range_min, range_max) = (Some(term("start")?), Some(term("end")?));
    Some(RpbIndexReq { qtype: IndexQueryType::Range, range_min, range_max, ..query })
}

/// Sends the results of a phase; none need no reply.
fn show(phase: usize, items: &[Item], replies: &mut Vec<Reply>) -> Result<()> {
    for items in items.chunks(CHUNK) {
        let values = items.iter().map(Item::to_json).collect::<Result<_>>()?;
        let mut text = String::new();
        if Json::List(values).write(&mut text).is_none() {
            return refused("a result is no text, and so is not shown as JSON");
        }
        let reply = RpbMapRedResp { phase: Some(phase as u32), response: Some(text.into()), done: None };
        replies.push(reply.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use super::*;
    use crate::memory::NodeConfig;
    use crate::object::{Bucket, Content};
    use crate::request::{Ask, Delete, MapReduce, Put};
    use glowplug_core::Seed;

    const TIME: Duration = Duration::from_secs(1_800_000_000);

    /// A node with the numbers from 1 to 12 in the bucket `n`, each by its name, in an index `of_int`, and again in words of an index `in_bin`.
    fn node() -> Node {
        let mut node = Node::new(&Seed::from_u64(8), NodeConfig::new());
        for n in 1..=12 {
            let content = Content::new(n.to_string()).index_int("of", n).index_bin("in", format!("w{n:02}"));
            let put = Put::new(Bucket::new("n").key(n.to_string()), content);
            assert!(node.handle(TIME, 1, put.into_request()).all(|reply| reply.is_ok()));
        }
        node
    }

    /// Every reply to a job: phase and results, or how it was refused.
    fn run(node: &mut Node, job: &str) -> core::result::Result<Vec<(u32, String)>, String> {
        let text = |blob: Blob| blob.to_str().expect("JSON is text").into();
        let mut results = Vec::new();
        let mut done = false;
        for reply in node.handle(TIME, 1, MapReduce::json(job).into_request()) {
            assert!(!done, "nothing comes behind the end");
            let reply = reply.map_err(|error| error.text().into_owned())?;
            let reply = MapReduce::read(reply).expect("a reply to a job");
            done = reply.done == Some(true);
            results.extend(reply.phase.zip(reply.response.map(text)));
        }
        assert!(done, "the end is told");
        Ok(results)
    }

    fn phase(kind: &str, function: &str, more: &str) -> String {
        format!(
            r#"{{"{kind}":{{"language":"erlang","module":"riak_kv_mapreduce","function":"{function}"{more}}}}}"#
        )
    }

    fn job(inputs: &str, phases: &[String]) -> String {
        format!(r#"{{"inputs":{inputs},"query":[{}]}}"#, phases.join(","))
    }

    #[test]
    fn values_are_mapped_and_reduced() {
        let values = || phase("map", "map_object_value", "");
        let numbers = || phase("reduce", "reduce_string_to_integer", "");
        let three = r#"[["n","3"],["n","1"],["n","3"]]"#;
        let cases = [
            (r#""n""#, alloc::vec![values(), numbers(), phase("reduce", "reduce_sum", "")], "[78]"),
            (
                r#""n""#,
                alloc::vec![phase("map", "map_identity", ""), phase("reduce", "reduce_count_inputs", "")],
                "[12]",
            ),
            (r#""nobody""#, alloc::vec![phase("reduce", "reduce_count_inputs", "")], "[0]"),
            (r#""nobody""#, alloc::vec![phase("reduce", "reduce_sum", "")], "[0]"),
            (three, alloc::vec![values(), phase("reduce", "reduce_sort", "")], r#"["1","3","3"]"#),
            (three, alloc::vec![values(), phase("reduce", "reduce_set_union", "")], r#"["1","3"]"#),
            (three, alloc::vec![phase("reduce", "reduce_identity", ""), values()], r#"["3","1","3"]"#),
            (
                r#"[["n","1","why"]]"#,
                alloc::vec![phase("reduce", "reduce_identity", "")],
                r#"[["n","1","why"]]"#,
            ),
            (
                r#"{"bucket":"n","index":"of_int","start":11,"end":12}"#,
                alloc::vec![values(), numbers(), phase("reduce", "reduce_sort", "")],
                "[11,12]",
            ),
            (r#"{"bucket":"n","index":"in_bin","key":"w07"}"#, alloc::vec![values()], r#"["7"]"#),
            (r#"{"bucket":"n","index":"$key","key":"7"}"#, alloc::vec![values()], r#"["7"]"#),
        ];
        for (inputs, phases, result) in cases {
            let last = phases.len() as u32 - 1;
            let results = run(&mut node(), &job(inputs, &phases));
            assert_eq!(results, Ok(alloc::vec![(last, result.into())]), "{inputs} {phases:?}");
        }
    }

    #[test]
    fn every_phase_that_is_kept_is_sent() {
        let phases = [
            phase("map", "map_object_value", r#","keep":true"#),
            phase("reduce", "reduce_string_to_integer", r#","keep":false"#),
            phase("reduce", "reduce_sum", r#","keep":true"#),
        ];
        let results = run(&mut node(), &job(r#"[["n","1"],["n","2"]]"#, &phases)).unwrap();
        assert_eq!(results, [(0, r#"["1","2"]"#.into()), (2, "[3]".into())]);
        let none = run(&mut node(), &job(r#""n""#, &[phase("map", "map_identity", r#","keep":false"#)]));
        assert_eq!(none, Ok(Vec::new()));
        // Many results come in several replies.
        let many = alloc::vec![r#"["n","1"]"#; 250].join(",");
        let results = run(&mut node(), &job(&format!("[{many}]"), &[])).unwrap();
        assert_eq!(results.len(), 3);
    }

    #[test]
    fn objects_that_are_not_there_are_what_the_job_says() {
        let mut node = node();
        let delete = Delete::new(("n", "2"));
        assert!(node.handle(TIME, 1, delete.into_request()).all(|reply| reply.is_ok()));
        let mut mapped = |arg: &str| {
            run(
                &mut node,
                &job(r#"[["n","1"],["n","2"],["n","x","data"]]"#, &[phase("map", "map_object_value", arg)]),
            )
        };
        assert_eq!(mapped(r#","arg":"filter_notfound""#), Ok(alloc::vec![(0, r#"["1"]"#.into())]));
        let with_data = r#"["1","undefined","data"]"#;
        assert_eq!(mapped(r#","arg":"include_keydata""#), Ok(alloc::vec![(0, with_data.into())]));
        let error = mapped("").unwrap_err();
        let begin = r#"{"phase":0,"error":"function_clause","input":"{{error,notfound},{<<\"n\">>,<<\"2\">>},undefined}""#;
        assert!(error.starts_with(begin), "{error}");
    }

    #[test]
    fn what_is_not_run_is_refused_by_name() {
        let map = |more: &str| phase("map", "map_object_value", more);
        let binary = Put::new(("b", "k"), Content::new(&b"\xff"[..]));
        let siblings = Bucket::typed("mult", "b").key("k");
        let mut node = node();
        for put in
            [binary, Put::new(siblings.clone(), Content::new("a")), Put::new(siblings, Content::new("b"))]
        {
            assert!(node.handle(TIME, 1, put.into_request()).all(|reply| reply.is_ok()));
        }
        let cases = [
            ("{".into(), "{invalid_json"),
            ("[]".into(), "missing_field"),
            (r#"{"query":[]}"#.into(), "missing_field"),
            (job("7", &[]), "the inputs are of no kind"),
            (job(r#"[["n"]]"#, &[]), "the inputs are of no kind"),
            (job(r#"{"bucket":"n","index":"of_int"}"#, &[]), "the inputs are of no kind"),
            (job(r#""""#, &[]), "Bucket cannot be zero-length"),
            (job(r#"{"bucket":"n","index":"of_int","key":"x"}"#, &[]), "Error processing incoming message"),
            (job(r#""n""#, &["7".into()]), "Phase 0: "),
            (job(r#""n""#, &[map(""), r#"{"link":{}}"#.into()]), "Phase 1: neither map nor reduce"),
            (
                job(r#""n""#, &[map(""), r#"{"reduce":{}}"#.into()]),
                "Phase 1: The PhaseSpec part of the argument for riak_kv_w",
            ),
            (job(r#""n""#, &[phase("map", "reduce_sum", "")]), "Phase 0: the function reduce_sum is not run"),
            (
                job(r#""n""#, &[phase("map", "map_object_value_list", "")]),
                "Phase 0: the function map_object_value_list",
            ),
            (job(r#""n""#, &[phase("map", "map_identity", "")]), "objects are not shown"),
            (job(r#""b""#, &[map("")]), "a result is no text"),
            (job(r#""n""#, &[map(""), map("")]), r#"{"phase":1,"error":"badarg""#),
            (
                job(r#""n""#, &[map(""), phase("reduce", "reduce_sum", "")]),
                r#"{"phase":1,"error":"badarith""#,
            ),
            (
                job(r#""b""#, &[phase("reduce", "reduce_string_to_integer", "")]),
                r#"{"phase":0,"error":"badarg""#,
            ),
        ];
        for (job, refusal) in cases {
            let error = run(&mut node, &job).unwrap_err();
            assert!(error.starts_with(refusal), "{job}: {error}");
        }
        let mut erlang = node.handle(TIME, 1, MapReduce::erlang("\u{83}").into_request());
        let error = erlang.next().and_then(Result::err).expect("refused");
        assert_eq!(error.text(), "jobs in Erlang terms are not run in memory");
    }
}
