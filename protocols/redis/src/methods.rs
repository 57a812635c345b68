//! Every typed command as a method: `client.get("key")`.
//!
//! Whoever can take a [`Typed`] command says so once, by [`Execute`] or [`ExecuteMut`], and has all of them. Each method only
//! hands the value of the function of the same name in [`commands`] on.

use crate::{Pipeline, Place, Transaction, Typed};

/// Takes typed commands by a shared reference: a client that many callers use at once.
pub trait Execute {
    /// What a command answered with `T` becomes: a future, say.
    type Running<'e, T>
    where
        Self: 'e;

    /// Takes one command.
    fn execute<T>(&self, command: Typed<T>) -> Self::Running<'_, T>;
}

/// Takes typed commands one at a time: a blocking client, a connection of one's own, a pipeline, a transaction.
pub trait ExecuteMut {
    /// What a command answered with `T` becomes: its answer, a future, or the place where the answer will be.
    type Running<'e, T>
    where
        Self: 'e;

    /// Takes one command.
    fn execute<T>(&mut self, command: Typed<T>) -> Self::Running<'_, T>;
}

impl ExecuteMut for Transaction {
    type Running<'e, T> = Place<T>;

    fn execute<T>(&mut self, command: Typed<T>) -> Place<T> {
        self.add(command)
    }
}

impl ExecuteMut for Pipeline {
    type Running<'e, T> = Place<T>;

    fn execute<T>(&mut self, command: Typed<T>) -> Place<T> {
        self.add(command)
    }
}

/// Writes both traits from one list.
macro_rules! methods {
    (
        shared: { $($name:ident($($arg:ident: $type:ty),* $(,)?) -> $answer:ty;)* }
        alone: { $($own:ident($($own_arg:ident: $own_type:ty),* $(,)?) -> $own_answer:ty;)* }
    ) => {
        /// The typed commands as methods of whatever is shared by many callers.
        ///
        /// Commands that change the connection itself (`SELECT`, `WATCH`, `CLIENT TRACKING` and their like) are not here: they would
        /// change it for everybody. [`CommandsMut`] has them.
        pub trait Commands: Execute {
            $(
                #[doc = concat!("As [`commands::", stringify!($name), "`].")]
                #[inline]
                fn $name(&self, $($arg: $type),*) -> Self::Running<'_, $answer> {
                    self.execute(commands::$name($($arg),*))
                }
            )*
        }

        impl<E: Execute> Commands for E {}

        /// The typed commands as methods of whatever one caller has for itself.
        ///
        /// ```
        /// use glowplug_redis::{CommandsMut, Transaction};
        /// let mut transaction = Transaction::new();
        /// let hits = transaction.incr("hits");
        /// let name = transaction.get("name");
        /// assert_eq!(transaction.len(), 2);
        /// # let _ = (hits, name);
        /// ```
        pub trait CommandsMut: ExecuteMut {
            $(
                #[doc = concat!("As [`commands::", stringify!($name), "`].")]
                #[inline]
                fn $name(&mut self, $($arg: $type),*) -> Self::Running<'_, $answer> {
                    self.execute(commands::$name($($arg),*))
                }
            )*
            $(
                #[doc = concat!("As [`commands::", stringify!($own), "`].")]
                #[inline]
                fn $own(&mut self, $($own_arg: $own_type),*) -> Self::Running<'_, $own_answer> {
                    self.execute(commands::$own($($own_arg),*))
                }
            )*
        }

        impl<E: ExecuteMut> CommandsMut for E {}

        /// The names of all methods, for the test that none is forgotten.
        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$(stringify!($name),)* $(stringify!($own),)*];
    };
}

mod table;

pub use table::{Commands, CommandsMut};

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::table::NAMES;
    use super::*;
    use crate::Reply;

    /// Every function of `commands` that makes a typed command is a method as well.
    #[test]
    fn no_command_is_forgotten() {
        let sources = [
            include_str!("commands/acl.rs"),
            include_str!("commands/bitmaps.rs"),
            include_str!("commands/connection.rs"),
            include_str!("commands/geo.rs"),
            include_str!("commands/hashes.rs"),
            include_str!("commands/hyperloglog.rs"),
            include_str!("commands/keys.rs"),
            include_str!("commands/lists.rs"),
            include_str!("commands/pubsub.rs"),
            include_str!("commands/scripting.rs"),
            include_str!("commands/server.rs"),
            include_str!("commands/sets.rs"),
            include_str!("commands/sorted_sets.rs"),
            include_str!("commands/streams.rs"),
            include_str!("commands/strings.rs"),
            include_str!("commands/transactions.rs"),
        ];
        let mut functions = BTreeSet::new();
        for function in sources.iter().flat_map(|source| source.split("\npub fn ").skip(1)) {
            let (head, _) = function.split_once(" {\n").expect("a body");
            let name = head.split(['(', '<']).next().expect("a name");
            if head.contains("-> Typed<") {
                functions.insert(name);
            }
        }
        let methods: BTreeSet<_> = NAMES.iter().copied().collect();
        assert!(
            functions.len() > 350 && functions == methods,
            "{:?}",
            functions.symmetric_difference(&methods)
        );
    }

    #[test]
    fn a_pipeline_knows_where_each_answer_is() {
        let mut pipeline = Pipeline::new();
        let (hits, name) = (pipeline.incr("hits"), pipeline.get("name"));
        assert_eq!(pipeline.len(), 2);
        let mut replies = [Reply::Integer(3), Reply::Null];
        assert_eq!(name.take_from(&mut replies), Ok(None));
        assert_eq!(hits.take_from(&mut replies), Ok(3));
        assert!(hits.take_from(&mut replies).is_err(), "it was taken");
    }
}
