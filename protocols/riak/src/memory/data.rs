//! Data types, as one replica sees them.
//!
//! With one replica a merge never happens; what is left of the theory is the context. Every element of a set and every field of
//! a map remembers the write that added it last, and a removal takes away only what its context has seen.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::fmt::Write;

use super::{BucketId, Entry, Node, Result, check_key, clock, crashed, refused};
use crate::wire::Blob;
use crate::wire::dt::{
    DataType, DtFetchReq, DtFetchResp, DtOp, DtUpdateReq, DtUpdateResp, DtValue, FlagOp, MapEntry, MapField,
    MapFieldType, MapOp, SetOp,
};
use crate::wire::kv::{RpbCounterGetReq, RpbCounterGetResp, RpbCounterUpdateReq, RpbCounterUpdateResp};
use crate::wire::riak::RpbBucketProps;

/// Maps may not lie deeper in one another than this: less than what a decoder takes.
const MAX_DEPTH: u32 = 30;

/// The state of a data type.
#[derive(Clone, Debug)]
pub(super) enum DataState {
    Counter(i64),
    Set(Set),
    GSet(BTreeSet<Blob>),
    Map(Map),
    /// A HyperLogLog, which counts exactly here.
    Hll(BTreeSet<Blob>),
}

/// The elements, each with the write that added it last.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(BTreeMap<Blob, u64>);

/// The fields, each with the write that touched it last.
#[derive(Clone, Debug, Default)]
pub(super) struct Map(BTreeMap<(Blob, i32), (u64, FieldState)>);

/// The state of a field.
#[derive(Clone, Debug)]
enum FieldState {
    Counter(i64),
    Set(Set),
    Register(Blob),
    Flag(bool),
    Map(Map),
}

/// The context of an update: what its sender has seen, or that it does not say.
type Seen = Option<u64>;

/// Memory of its own, for what is kept.
fn owned(bytes: &Blob) -> Blob {
    Blob::copy_from_slice(bytes)
}

/// A binary as Erlang prints it.
fn printed(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) => alloc::format!("<<\"{text}\">>"),
        _ => {
            let mut list = String::from("<<");
            for (n, byte) in bytes.iter().enumerate() {
                let comma = if n == 0 { "" } else { "," };
                write!(list, "{comma}{byte}").expect("a string takes what is written to it");
            }
            list + ">>"
        }
    }
}

impl Set {
    fn apply(&mut self, op: &SetOp, event: u64, seen: Seen) -> Result<()> {
        // First look, then change: a refused update changes nothing.
        for element in &op.removes {
            if seen.is_none() && !self.0.contains_key(element) {
                return refused(alloc::format!("{{precondition,{{not_present,{}}}}}", printed(element)));
            }
        }
        for element in &op.removes {
            if self.0.get(element).is_some_and(|added| seen.is_none_or(|seen| *added <= seen)) {
                self.0.remove(element);
            }
        }
        for element in &op.adds {
            self.0.insert(owned(element), event);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.keys().map(|element| element.len() + size_of::<u64>()).sum()
    }
}

impl FieldState {
    fn blank(field_type: MapFieldType) -> Result<Self> {
        Ok(match field_type {
            MapFieldType::Counter => Self::Counter(0),
            MapFieldType::Set => Self::Set(Set::default()),
            MapFieldType::Register => Self::Register(Blob::new()),
            MapFieldType::Flag => Self::Flag(false),
            MapFieldType::Map => Self::Map(Map::default()),
            MapFieldType::Other(_) => return crashed("function_clause"),
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Counter(_) | Self::Flag(_) => size_of::<i64>(),
            Self::Set(set) => set.len(),
            Self::Register(value) => value.len(),
            Self::Map(map) => map.len(),
        }
    }
}

impl Map {
    fn apply(&mut self, op: &MapOp, event: u64, seen: Seen, depth: u32) -> Result<()> {
        if depth == 0 {
            return refused("maps lie too deep in one another");
        }
        for field in &op.removes {
            let id = (field.name.clone(), field.r#type.number());
            match (self.0.get(&id), seen) {
                (None, None) => {
                    let (name, kind) = (printed(&field.name), erlang_type(field.r#type));
                    return refused(alloc::format!("{{precondition,{{not_present,{{{name},{kind}}}}}}}"));
                }
                (Some((touched, _)), seen) if seen.is_none_or(|seen| *touched <= seen) => {
                    self.0.remove(&id);
                }
                _ => {}
            }
        }
        for update in &op.updates {
            let id = (owned(&update.field.name), update.field.r#type.number());
            let blank = FieldState::blank(update.field.r#type)?;
            let (touched, state) = self.0.entry(id).or_insert((event, blank));
            *touched = event;
            match state {
                FieldState::Counter(value) => {
                    let op = update.counter_op.as_ref();
                    *value = value.saturating_add(op.map_or(0, |op| op.increment.unwrap_or(1)));
                }
                FieldState::Set(set) => {
                    if let Some(op) = &update.set_op {
                        set.apply(op, event, seen)?;
                    }
                }
                FieldState::Register(value) => {
                    *value = owned(&update.register_op.clone().unwrap_or_default());
                }
                FieldState::Flag(on) => *on = update.flag_op == Some(FlagOp::Enable),
                FieldState::Map(map) => {
                    if let Some(op) = &update.map_op {
                        map.apply(op, event, seen, depth - 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn to_entries(&self) -> impl Iterator<Item = MapEntry> {
        self.0.iter().map(|((name, number), (_, state))| {
            let field = MapField { name: name.clone(), r#type: MapFieldType::from_number(*number) };
            let mut entry = MapEntry { field, ..MapEntry::default() };
            match state {
                FieldState::Counter(value) => entry.counter_value = Some(*value),
                FieldState::Set(set) => entry.set_value = set.0.keys().cloned().collect(),
                FieldState::Register(value) => entry.register_value = Some(value.clone()),
                FieldState::Flag(on) => entry.flag_value = Some(*on),
                FieldState::Map(map) => entry.map_value = map.to_entries().collect(),
            }
            entry
        })
    }

    fn len(&self) -> usize {
        self.0.iter().map(|((name, _), (_, state))| name.len() + size_of::<u64>() + state.len()).sum()
    }
}

fn erlang_type(field_type: MapFieldType) -> &'static str {
    match field_type {
        MapFieldType::Counter => "riak_dt_emcntr",
        MapFieldType::Set => "riak_dt_orswot",
        MapFieldType::Register => "riak_dt_lwwreg",
        MapFieldType::Flag => "riak_dt_od_flag",
        _ => "riak_dt_map",
    }
}

impl DataState {
    fn blank(data_type: DataType) -> Self {
        match data_type {
            DataType::Set => Self::Set(Set::default()),
            DataType::GSet => Self::GSet(BTreeSet::new()),
            DataType::Map => Self::Map(Map::default()),
            DataType::Hll => Self::Hll(BTreeSet::new()),
            DataType::Counter | DataType::Other(_) => Self::Counter(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Counter(_) => size_of::<i64>(),
            Self::Set(set) => set.len(),
            Self::GSet(set) | Self::Hll(set) => set.iter().map(Blob::len).sum(),
            Self::Map(map) => map.len(),
        }
    }

    pub(super) fn content_type(&self) -> Blob {
        Blob::from_static(match self {
            Self::Counter(_) => b"application/riak_counter",
            Self::Set(_) => b"application/riak_set",
            Self::GSet(_) => b"application/riak_gset",
            Self::Map(_) => b"application/riak_map",
            Self::Hll(_) => b"application/riak_hll",
        })
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Counter(_) => DataType::Counter,
            Self::Set(_) => DataType::Set,
            Self::GSet(_) => DataType::GSet,
            Self::Map(_) => DataType::Map,
            Self::Hll(_) => DataType::Hll,
        }
    }

    fn apply(&mut self, op: &DtOp, event: u64, seen: Seen) -> Result<()> {
        let of_type = self.data_type();
        let (asked, of) = (op_name(op), type_name(of_type));
        match self {
            Self::Counter(value) if op.counter_op.is_some() => {
                let increment = op.counter_op.as_ref().and_then(|op| op.increment).unwrap_or(1);
                *value = value.saturating_add(increment);
                Ok(())
            }
            Self::Set(set) if op.set_op.is_some() => {
                set.apply(&op.set_op.clone().unwrap_or_default(), event, seen)
            }
            Self::GSet(set) if op.gset_op.is_some() => {
                set.extend(op.gset_op.iter().flat_map(|op| &op.adds).map(owned));
                Ok(())
            }
            Self::Map(map) if op.map_op.is_some() => {
                map.apply(&op.map_op.clone().unwrap_or_default(), event, seen, MAX_DEPTH)
            }
            Self::Hll(set) if op.hll_op.is_some() => {
                set.extend(op.hll_op.iter().flat_map(|op| &op.adds).map(owned));
                Ok(())
            }
            _ => refused(alloc::format!("Operation type is `{asked}` but  bucket type is `{of}`.")),
        }
    }

    fn value(&self) -> DtValue {
        let mut value = DtValue::default();
        match self {
            Self::Counter(count) => value.counter_value = Some(*count),
            Self::Set(set) => value.set_value = set.0.keys().cloned().collect(),
            Self::GSet(set) => value.gset_value = set.iter().cloned().collect(),
            Self::Map(map) => value.map_value = map.to_entries().collect(),
            Self::Hll(set) => value.hll_value = Some(set.len() as u64),
        }
        value
    }
}

fn op_name(op: &DtOp) -> &'static str {
    match op {
        DtOp { counter_op: Some(_), .. } => "counter",
        DtOp { set_op: Some(_), .. } => "set",
        DtOp { map_op: Some(_), .. } => "map",
        DtOp { hll_op: Some(_), .. } => "hll",
        DtOp { gset_op: Some(_), .. } => "gset",
        _ => "undefined",
    }
}

fn type_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Counter | DataType::Other(_) => "counter",
        DataType::Set => "set",
        DataType::Map => "map",
        DataType::Hll => "hll",
        DataType::GSet => "gset",
    }
}

/// The data type that a bucket holds.
fn data_type_of(props: &RpbBucketProps) -> Result<DataType> {
    match props.datatype.as_deref() {
        Some(b"counter") => Ok(DataType::Counter),
        Some(b"set") => Ok(DataType::Set),
        Some(b"gset") => Ok(DataType::GSet),
        Some(b"map") => Ok(DataType::Map),
        Some(b"hll") => Ok(DataType::Hll),
        _ => refused("\"Bucket must be allow_mult=true\""),
    }
}

impl Node {
    fn data_bucket(&self, bucket_type: Blob, name: Blob) -> Result<(BucketId, DataType)> {
        let bucket = BucketId::new(Some(bucket_type), name)?;
        if self.props_of_type(&bucket.bucket_type).is_none() {
            return refused(alloc::format!("Error no bucket type `{}`", printed(&bucket.bucket_type)));
        }
        let data_type = data_type_of(&self.props_of(&bucket)?)?;
        Ok((bucket, data_type))
    }

    /// The context of everything up to now, for types that need one.
    fn context(&self, data_type: DataType, include: Option<bool>) -> Option<Blob> {
        let needed = matches!(data_type, DataType::Set | DataType::Map);
        (needed && include != Some(false)).then(|| clock::encode(self.last_event))
    }

    fn data(&self, bucket: &BucketId, key: &[u8]) -> Option<&DataState> {
        match self.entry(bucket, key) {
            Some(Entry::Data(state)) => Some(state),
            _ => None,
        }
    }

    pub(super) fn fetch(&self, request: DtFetchReq) -> Result<DtFetchResp> {
        let (bucket, data_type) = self.data_bucket(request.r#type, request.bucket)?;
        check_key(&request.key)?;
        Ok(match self.data(&bucket, &request.key) {
            None => DtFetchResp { r#type: data_type, ..DtFetchResp::default() },
            Some(state) => DtFetchResp {
                context: self.context(data_type, request.include_context),
                r#type: state.data_type(),
                value: Some(state.value()),
            },
        })
    }

    pub(super) fn update(&mut self, request: DtUpdateReq) -> Result<DtUpdateResp> {
        let (bucket, data_type) = self.data_bucket(request.r#type, request.bucket)?;
        let seen = request.context.as_ref().map(|context| clock::decode(Some(context))).transpose()?;
        let made_key = request.key.is_none().then(|| self.random_name(27));
        let key = made_key.clone().or(request.key).unwrap_or_default();
        check_key(&key)?;
        let mut state = self.data(&bucket, &key).cloned().unwrap_or_else(|| DataState::blank(data_type));
        let event = self.next_event();
        state.apply(&request.op, event, seen)?;
        let value = (request.return_body == Some(true)).then(|| state.value());
        self.replace(bucket, &key, Some(Entry::Data(state)))?;
        let Some(value) = value else {
            return Ok(DtUpdateResp { key: made_key, ..DtUpdateResp::default() });
        };
        if data_type == DataType::GSet {
            // Releases up to 3.2 crash here, and have stored the element all the same.
            return crashed("function_clause");
        }
        Ok(DtUpdateResp {
            key: made_key,
            context: self.context(data_type, request.include_context),
            counter_value: value.counter_value,
            set_value: value.set_value,
            map_value: value.map_value,
            hll_value: value.hll_value,
            gset_value: value.gset_value,
        })
    }

    pub(super) fn update_legacy_counter(
        &mut self,
        request: RpbCounterUpdateReq,
    ) -> Result<RpbCounterUpdateResp> {
        let bucket = BucketId::new(None, request.bucket)?;
        check_key(&request.key)?;
        if self.props_of(&bucket)?.allow_mult != Some(true) {
            return refused("\"Counters require bucket property 'allow_mult=true'\"");
        }
        let old = match self.data(&bucket, &request.key) {
            Some(DataState::Counter(value)) => *value,
            _ => 0,
        };
        let value = old.saturating_add(request.amount);
        self.replace(bucket, &request.key, Some(Entry::Data(DataState::Counter(value))))?;
        Ok(RpbCounterUpdateResp { value: (request.returnvalue == Some(true)).then_some(value) })
    }

    pub(super) fn get_legacy_counter(&self, request: RpbCounterGetReq) -> Result<RpbCounterGetResp> {
        let bucket = BucketId::new(None, request.bucket)?;
        check_key(&request.key)?;
        let value = match self.data(&bucket, &request.key) {
            Some(DataState::Counter(value)) => Some(*value),
            _ => None,
        };
        Ok(RpbCounterGetResp { value })
    }
}
