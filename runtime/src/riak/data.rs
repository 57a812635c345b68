//! Verbs for data types.

use glowplug_riak::datatype::{Change, CounterChange, Data, FetchedData, Map, UpdatedData};
use glowplug_riak::request::{AddToLegacyCounter, FetchData, GetLegacyCounter, UpdateData};
use glowplug_riak::{Blob, Location};

use super::{Client, Error};
use crate::Runtime;

/// A verb that reads one kind of data type.
macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident -> $ty:ty, $($variant:ident)|+;)*) => {$(
        $(#[$doc])*
        ///
        /// [`Error::WrongDataType`] when the bucket holds another kind. Dropping the future: as for [`ask`](Self::ask).
        pub async fn $name(&self, location: impl Into<Location>) -> Result<$ty, Error> {
            match self.fetch_data(location).await?.value {
                Some($(Data::$variant(value))|+) => Ok(value),
                None => Ok(<$ty>::default()),
                Some(_) => Err(Error::WrongDataType),
            }
        }
    )*};
}

impl<R: Runtime> Client<R> {
    /// Reads a data type of any kind, with its context. For options, [`ask`](Self::ask) with a [`FetchData`].
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn fetch_data(&self, location: impl Into<Location>) -> Result<FetchedData, Error> {
        self.ask(FetchData::new(location)).await
    }

    reads! {
        /// The value of a counter; 0 when there is none.
        counter -> i64, Counter;
        /// The elements of a set or grow-only set; none when there is none.
        set -> Vec<Blob>, Set | GSet;
        /// The fields of a map; none when there is none.
        map -> Map, Map;
        /// How many different values a HyperLogLog has seen, about; 0 when there is none.
        hll -> u64, Hll;
    }

    /// Changes a data type. A change that removes something is based on what is there now: its context is read first. To base it on an earlier
    /// read, send [`FetchedData::update`] by [`ask`](Self::ask).
    ///
    /// Changes add up, so one of which nobody knows what came is not sent again: the error says so.
    ///
    /// ```ignore
    /// let cart = Bucket::typed("sets", "carts").key("ada");
    /// riak.update_data(cart, SetChange::new().add("milk").remove("eggs")).await?;
    /// ```
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the change may be made.
    pub async fn update_data(
        &self,
        location: impl Into<Location>,
        change: impl Into<Change>,
    ) -> Result<UpdatedData, Error> {
        let (location, change) = (location.into(), change.into());
        let update = if change.needs_context() {
            self.fetch_data(location.clone()).await?.update(location, change)
        } else {
            UpdateData::new(location, change)
        };
        self.ask(update).await
    }

    /// Adds to a counter; a negative amount takes away.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the change may be made.
    pub async fn add_to_counter(&self, location: impl Into<Location>, amount: i64) -> Result<(), Error> {
        self.ask(UpdateData::new(location, CounterChange(amount))).await.map(drop)
    }

    /// The value of a counter of the kind that came before data types; `None` when there is none.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn legacy_counter(
        &self,
        bucket: impl Into<Blob>,
        key: impl Into<Blob>,
    ) -> Result<Option<i64>, Error> {
        self.ask(GetLegacyCounter::new(bucket, key)).await
    }

    /// Adds to a counter of the kind that came before data types.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the change may be made.
    pub async fn add_to_legacy_counter(
        &self,
        bucket: impl Into<Blob>,
        key: impl Into<Blob>,
        amount: i64,
    ) -> Result<(), Error> {
        self.ask(AddToLegacyCounter::new(bucket, key, amount)).await.map(drop)
    }
}
