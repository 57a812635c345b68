//! Data types: counters, sets, grow-only sets, maps and HyperLogLogs, as values and as changes.
//!
//! Nobody writes the value of a data type; one sends changes, which the nodes merge. Removals are the delicate ones: a removal
//! says "what I have seen", so it carries the context of the read. [`FetchedData::update`] does that.
//!
//! ```
//! use glowplug_riak::datatype::{FetchedData, MapChange, SetChange};
//! # let read = FetchedData { data_type: glowplug_riak::wire::dt::DataType::Map, value: None, context: None };
//! let change = MapChange::new()
//!     .counter("visits", 1)
//!     .set("tags", SetChange::new().add("new").remove("old"))
//!     .register("name", "Ada")
//!     .flag("active", true)
//!     .map("address", MapChange::new().register("city", "London"));
//! let update = read.update(glowplug_riak::Bucket::typed("maps", "users").key("ada"), change);
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::object::{Context, Location};
use crate::request::UpdateData;
use crate::wire::dt::{
    CounterOp, DataType, DtFetchResp, DtOp, DtUpdateResp, DtValue, FlagOp, GSetOp, HllOp, MapEntry, MapField,
    MapFieldType, MapOp, MapUpdate, SetOp,
};
use crate::wire::{Blob, List};

/// The value of a data type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// A counter's value.
    Counter(i64),
    /// A set's elements, in the node's order.
    Set(Vec<Blob>),
    /// A grow-only set's elements, in the node's order.
    GSet(Vec<Blob>),
    /// A map.
    Map(Map),
    /// How many different values a HyperLogLog has seen, about.
    Hll(u64),
}

/// The fields of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Name and value of each field, in the node's order. Two fields of one name differ in type.
    pub fields: Vec<(Blob, Field)>,
}

/// The value of a field in a map.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// A counter's value.
    Counter(i64),
    /// A set's elements.
    Set(Vec<Blob>),
    /// A register's value.
    Register(Blob),
    /// A flag.
    Flag(bool),
    /// A map.
    Map(Map),
}

/// Generates the getter of one kind of field.
macro_rules! getter {
    ($(#[$doc:meta])* $name:ident -> $ty:ty, $variant:ident($value:ident) => $give:expr) => {
        $(#[$doc])*
        pub fn $name(&self, name: impl AsRef<[u8]>) -> Option<$ty> {
            let name = name.as_ref();
            self.fields.iter().find_map(|(key, field)| match field {
                Field::$variant($value) if key == name => Some::<$ty>($give),
                _ => None,
            })
        }
    };
}

impl Map {
    getter! {
        /// The counter of this name.
        counter -> i64, Counter(value) => *value
    }
    getter! {
        /// The set of this name.
        set -> &[Blob], Set(value) => value
    }
    getter! {
        /// The register of this name.
        register -> &Blob, Register(value) => value
    }
    getter! {
        /// The flag of this name.
        flag -> bool, Flag(value) => *value
    }
    getter! {
        /// The map of this name.
        map -> &Self, Map(value) => value
    }

    fn from_entries(entries: impl IntoIterator<Item = MapEntry>) -> Self {
        Self { fields: entries.into_iter().filter_map(Field::from_entry).collect() }
    }
}

impl Field {
    /// A field of a type that this crate does not know is left out.
    fn from_entry(entry: MapEntry) -> Option<(Blob, Self)> {
        let value = match entry.field.r#type {
            MapFieldType::Counter => Self::Counter(entry.counter_value.unwrap_or(0)),
            MapFieldType::Set => Self::Set(entry.set_value.into_vec()),
            MapFieldType::Register => Self::Register(entry.register_value.unwrap_or_default()),
            MapFieldType::Flag => Self::Flag(entry.flag_value.unwrap_or(false)),
            MapFieldType::Map => Self::Map(Map::from_entries(entry.map_value)),
            MapFieldType::Other(_) => return None,
        };
        Some((entry.field.name, value))
    }
}

impl Data {
    fn from_wire(data_type: DataType, value: DtValue) -> Option<Self> {
        Some(match data_type {
            DataType::Counter => Self::Counter(value.counter_value.unwrap_or(0)),
            DataType::Set => Self::Set(value.set_value.into_vec()),
            DataType::GSet => Self::GSet(value.gset_value.into_vec()),
            DataType::Map => Self::Map(Map::from_entries(value.map_value)),
            DataType::Hll => Self::Hll(value.hll_value.unwrap_or(0)),
            DataType::Other(_) => return None,
        })
    }
}

/// A data type as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedData {
    /// What kind it is.
    pub data_type: DataType,
    /// The value; `None` when there is no such key.
    pub value: Option<Data>,
    /// What a removal must carry; `None` when it was not asked for, and for types that need none.
    pub context: Option<Context>,
}

impl FetchedData {
    /// A change based on this value: it carries the context.
    pub fn update(&self, location: impl Into<Location>, change: impl Into<Change>) -> UpdateData {
        let update = UpdateData::new(location, change);
        match &self.context {
            Some(context) => update.context(context.clone()),
            None => update,
        }
    }
}

impl From<DtFetchResp> for FetchedData {
    fn from(wire: DtFetchResp) -> Self {
        Self {
            data_type: wire.r#type,
            value: wire.value.and_then(|value| Data::from_wire(wire.r#type, value)),
            context: wire.context.map(Context),
        }
    }
}

/// What came of a change. The value is there if `return_body` asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdatedData {
    /// The key, if the node made it.
    pub key: Option<Blob>,
    /// The new context.
    pub context: Option<Context>,
    /// The new value. The reply does not say what type it is: an empty set, grow-only set or map cannot be told from no value
    /// and is `None`.
    pub value: Option<Data>,
}

impl From<DtUpdateResp> for UpdatedData {
    fn from(wire: DtUpdateResp) -> Self {
        let value = if let Some(value) = wire.counter_value {
            Some(Data::Counter(value))
        } else if let Some(value) = wire.hll_value {
            Some(Data::Hll(value))
        } else if !wire.set_value.is_empty() {
            Some(Data::Set(wire.set_value.into_vec()))
        } else if !wire.gset_value.is_empty() {
            Some(Data::GSet(wire.gset_value.into_vec()))
        } else if !wire.map_value.is_empty() {
            Some(Data::Map(Map::from_entries(wire.map_value)))
        } else {
            None
        };
        Self { key: wire.key, context: wire.context.map(Context), value }
    }
}

/// A change to a data type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Adds to a counter.
    Counter(CounterChange),
    /// Changes a set.
    Set(SetChange),
    /// Adds to a grow-only set.
    GSet(GSetChange),
    /// Changes a map.
    Map(MapChange),
    /// Counts values in a HyperLogLog.
    Hll(HllChange),
}

impl Change {
    /// True when something is removed, which wants the context of a read. Without it, a node removes only what the vnode at hand
    /// knows of, and refuses the rest.
    pub fn needs_context(&self) -> bool {
        match self {
            Self::Set(change) => change.needs_context(),
            Self::Map(change) => change.needs_context(),
            Self::Counter(_) | Self::GSet(_) | Self::Hll(_) => false,
        }
    }
}

/// Adds to a counter; a negative number takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterChange(pub i64);

/// Changes a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetChange {
    /// Elements to add.
    pub adds: Vec<Blob>,
    /// Elements to remove.
    pub removes: Vec<Blob>,
}

impl SetChange {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an element.
    #[allow(clippy::should_implement_trait, reason = "it adds to a set, and reads as it is said")]
    pub fn add(mut self, element: impl Into<Blob>) -> Self {
        self.adds.push(element.into());
        self
    }

    /// Removes an element.
    pub fn remove(mut self, element: impl Into<Blob>) -> Self {
        self.removes.push(element.into());
        self
    }

    fn needs_context(&self) -> bool {
        !self.removes.is_empty()
    }
}

/// Types one can only add to.
macro_rules! adding {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            /// What to add.
            pub adds: Vec<Blob>,
        }

        impl $name {
            /// No change yet.
            pub fn new() -> Self {
                Self::default()
            }

            /// Adds an element.
            #[allow(clippy::should_implement_trait, reason = "it adds to a set, and reads as it is said")]
            pub fn add(mut self, element: impl Into<Blob>) -> Self {
                self.adds.push(element.into());
                self
            }
        }
    )*};
}

adding! {
    /// Adds to a grow-only set.
    GSetChange;
    /// Counts values in a HyperLogLog.
    HllChange;
}

/// Changes a map: each field at most once, a later change of the same field counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapChange {
    changes: BTreeMap<(Blob, Kind), FieldChange>,
}

/// The types a field can have, in an order of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Counter,
    Set,
    Register,
    Flag,
    Map,
}

/// What happens to one field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FieldChange {
    Counter(i64),
    Set(SetChange),
    Register(Blob),
    Flag(bool),
    Map(MapChange),
    Remove,
}

impl MapChange {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: impl Into<Blob>, kind: Kind, change: FieldChange) -> Self {
        self.changes.insert((name.into(), kind), change);
        self
    }

    /// Adds to the counter of this name.
    pub fn counter(self, name: impl Into<Blob>, amount: i64) -> Self {
        self.with(name, Kind::Counter, FieldChange::Counter(amount))
    }

    /// Changes the set of this name.
    pub fn set(self, name: impl Into<Blob>, change: SetChange) -> Self {
        self.with(name, Kind::Set, FieldChange::Set(change))
    }

    /// Sets the register of this name.
    pub fn register(self, name: impl Into<Blob>, value: impl Into<Blob>) -> Self {
        self.with(name, Kind::Register, FieldChange::Register(value.into()))
    }

    /// Turns the flag of this name on or off.
    pub fn flag(self, name: impl Into<Blob>, on: bool) -> Self {
        self.with(name, Kind::Flag, FieldChange::Flag(on))
    }

    /// Changes the map of this name.
    pub fn map(self, name: impl Into<Blob>, change: Self) -> Self {
        self.with(name, Kind::Map, FieldChange::Map(change))
    }

    /// Removes the counter of this name.
    pub fn remove_counter(self, name: impl Into<Blob>) -> Self {
        self.with(name, Kind::Counter, FieldChange::Remove)
    }

    /// Removes the set of this name.
    pub fn remove_set(self, name: impl Into<Blob>) -> Self {
        self.with(name, Kind::Set, FieldChange::Remove)
    }

    /// Removes the register of this name.
    pub fn remove_register(self, name: impl Into<Blob>) -> Self {
        self.with(name, Kind::Register, FieldChange::Remove)
    }

    /// Removes the flag of this name.
    pub fn remove_flag(self, name: impl Into<Blob>) -> Self {
        self.with(name, Kind::Flag, FieldChange::Remove)
    }

    /// Removes the map of this name.
    pub fn remove_map(self, name: impl Into<Blob>) -> Self {
        self.with(name, Kind::Map, FieldChange::Remove)
    }

    fn needs_context(&self) -> bool {
        self.changes.values().any(|change| match change {
            FieldChange::Remove => true,
            FieldChange::Set(change) => change.needs_context(),
            FieldChange::Map(change) => change.needs_context(),
            FieldChange::Counter(_) | FieldChange::Register(_) | FieldChange::Flag(_) => false,
        })
    }
}

impl From<MapChange> for MapOp {
    fn from(map: MapChange) -> Self {
        let (mut removes, mut updates) = (List::new(), Vec::new());
        for ((name, kind), change) in map.changes {
            let r#type = match kind {
                Kind::Counter => MapFieldType::Counter,
                Kind::Set => MapFieldType::Set,
                Kind::Register => MapFieldType::Register,
                Kind::Flag => MapFieldType::Flag,
                Kind::Map => MapFieldType::Map,
            };
            let field = MapField { name, r#type };
            let mut update = MapUpdate { field, ..MapUpdate::default() };
            match change {
                FieldChange::Counter(amount) => {
                    update.counter_op = Some(CounterOp { increment: Some(amount) });
                }
                FieldChange::Set(change) => update.set_op = Some(change.into()),
                FieldChange::Register(value) => update.register_op = Some(value),
                FieldChange::Flag(on) => {
                    update.flag_op = Some(if on { FlagOp::Enable } else { FlagOp::Disable });
                }
                FieldChange::Map(change) => update.map_op = Some(change.into()),
                FieldChange::Remove => {
                    removes.push(update.field);
                    continue;
                }
            }
            updates.push(update);
        }
        Self { removes, updates }
    }
}

impl From<SetChange> for SetOp {
    fn from(change: SetChange) -> Self {
        Self { adds: change.adds.into(), removes: change.removes.into() }
    }
}

impl From<Change> for DtOp {
    fn from(change: Change) -> Self {
        match change {
            Change::Counter(CounterChange(amount)) => {
                Self { counter_op: Some(CounterOp { increment: Some(amount) }), ..Self::default() }
            }
            Change::Set(change) => Self { set_op: Some(change.into()), ..Self::default() },
            Change::GSet(change) => {
                Self { gset_op: Some(GSetOp { adds: change.adds.into() }), ..Self::default() }
            }
            Change::Map(change) => Self { map_op: Some(change.into()), ..Self::default() },
            Change::Hll(change) => {
                Self { hll_op: Some(HllOp { adds: change.adds.into() }), ..Self::default() }
            }
        }
    }
}

/// Every change is a [`Change`].
macro_rules! changes {
    ($($change:ident => $variant:ident;)*) => {$(
        impl From<$change> for Change {
            fn from(change: $change) -> Self {
                Self::$variant(change)
            }
        }
    )*};
}

changes! {
    CounterChange => Counter;
    SetChange => Set;
    GSetChange => GSet;
    MapChange => Map;
    HllChange => Hll;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Bucket;

    #[test]
    fn an_update_carries_the_context_of_the_read() {
        let context = Context("seen".into());
        let read = FetchedData { data_type: DataType::Set, value: None, context: Some(context.clone()) };
        let change = SetChange::new().add("a").remove("b");
        assert!(Change::from(change.clone()).needs_context());
        let update = read.update(Bucket::typed("sets", "s").key("k"), change);
        assert_eq!(update.message().context, Some(context.0));
        assert_eq!(
            update.message().op.set_op.as_ref().map(|op| (op.adds.len(), op.removes.len())),
            Some((1, 1))
        );
    }

    #[test]
    fn a_map_change_becomes_one_operation_per_field() {
        let change = MapChange::new()
            .counter("n", 1)
            .counter("n", 2)
            .set("n", SetChange::new().add("x"))
            .flag("f", false)
            .map("m", MapChange::new().remove_register("r"));
        assert!(Change::from(change.clone()).needs_context());
        let op = MapOp::from(change);
        assert!(op.removes.is_empty());
        assert_eq!(op.updates.len(), 4);
        let counter = op.updates.iter().find_map(|update| update.counter_op.as_ref());
        assert_eq!(counter, Some(&CounterOp { increment: Some(2) }));
        let inner = op.updates.iter().find_map(|update| update.map_op.as_ref());
        assert_eq!(inner.map(|op| op.removes.len()), Some(1));
    }

    #[test]
    fn an_empty_reply_is_a_value_without_anything() {
        assert_eq!(UpdatedData::from(DtUpdateResp::default()), UpdatedData::default());
        assert_eq!(FetchedData::from(DtFetchResp::default()).value, None);
        let empty = DtFetchResp { r#type: DataType::Map, value: Some(DtValue::default()), context: None };
        assert_eq!(FetchedData::from(empty).value, Some(Data::Map(Map::default())));
    }
}
