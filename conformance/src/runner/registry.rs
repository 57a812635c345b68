//! What can be run.

use std::fmt;
use std::sync::Arc;

use glowplug_core::{DatagramProtocol, StreamProtocol};

use glowplug_runtime::Spawn;
#[cfg(feature = "mongodb")]
use glowplug_runtime::mongodb;
#[cfg(feature = "redis")]
use glowplug_runtime::redis::{Drive, Serving};

use crate::executor::services::Talking;
use crate::executor::{self, Executor};
use crate::failure::{Failure, Verdict};
use crate::laws::datagram::{DatagramLaw, DatagramSubject};
use crate::laws::stream::{StreamLaw, StreamSubject};
use crate::plan::Plan;
use crate::reference::{line, tally};
#[cfg(any(
    feature = "dns",
    feature = "http",
    feature = "mongodb",
    feature = "redis",
    feature = "riak",
    feature = "udp",
    feature = "websocket"
))]
use crate::subjects;

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, for this reason.
    Failed(String),
    /// It was not tried, for this reason.
    Skipped(String),
}

/// A column of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// No executor: a machine alone.
    Pure,
    /// The executor of this name.
    On(&'static str),
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pure => "pure",
            Self::On(executor) => executor,
        })
    }
}

/// One case in one lane.
#[derive(Clone)]
pub struct Case {
    /// Its name, alone in its suite and lane.
    pub name: String,
    /// Where it runs.
    pub lane: Lane,
    run: Arc<dyn Fn(&Plan) -> Outcome + Send + Sync>,
    skip: Option<String>,
}

impl Case {
    /// A case that `run` tries.
    pub fn new(
        name: impl Into<String>,
        lane: Lane,
        run: impl Fn(&Plan) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), lane, run: Arc::new(run), skip: None }
    }

    /// A case that is not tried, and why.
    pub fn skipped(name: impl Into<String>, lane: Lane, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let skip = Some(reason.clone());
        Self { skip, ..Self::new(name, lane, move |_| Outcome::Skipped(reason.clone())) }
    }

    /// Why it is not tried, where that is known beforehand.
    pub fn skip(&self) -> Option<&str> {
        self.skip.as_deref()
    }

    /// Tries it, here and now.
    pub fn run(&self, plan: &Plan) -> Outcome {
        (self.run)(plan)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// A row of the matrix.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its cases, in every lane.
    pub cases: Vec<Case>,
}

/// All suites.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    suites: Vec<Suite>,
}

impl Registry {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything of this house: every protocol and every executor that this build has.
    pub fn house() -> Self {
        let mut registry = Self::new();
        registry.stream("line-echo", line::subject);
        registry.datagram("tally", tally::subject);
        #[cfg(feature = "dns")]
        {
            registry.stream("dns-client", subjects::dns::client);
            registry.stream("dns-server", subjects::dns::server);
        }
        #[cfg(feature = "http")]
        {
            registry.stream("http-server", subjects::http::server);
            registry.stream("http-client", subjects::http::client);
        }
        #[cfg(feature = "mongodb")]
        registry.stream("mongodb-server", subjects::mongodb::server);
        #[cfg(feature = "redis")]
        {
            registry.stream("redis-handshake", subjects::redis::handshake);
            registry.stream("redis-client", subjects::redis::client);
            registry.stream("redis-server", subjects::redis::server);
            registry.stream("redis-memory", subjects::redis::memory);
        }
        #[cfg(feature = "riak")]
        {
            registry.stream("riak-client", subjects::riak::client);
            registry.stream("riak-server", subjects::riak::server);
        }
        #[cfg(feature = "udp")]
        registry.datagram("udp-tracker", subjects::udp::tracker);
        #[cfg(feature = "websocket")]
        {
            registry.stream("websocket-client", subjects::websocket::client);
            registry.stream("websocket-server", subjects::websocket::server);
            registry.stream("websocket-server-in-pieces", subjects::websocket::server_in_pieces);
        }
        #[cfg(feature = "tokio")]
        registry.executor::<executor::Tokio>();
        #[cfg(all(feature = "http", feature = "tokio"))]
        registry.http_client::<executor::Tokio>();
        #[cfg(all(feature = "http", feature = "tokio"))]
        registry.http_server::<executor::Tokio>();
        #[cfg(all(feature = "http", feature = "tokio"))]
        registry.http_files::<executor::Tokio>();
        #[cfg(all(feature = "dns", feature = "tokio"))]
        registry.dns::<executor::Tokio>();
        #[cfg(feature = "tokio")]
        registry.services::<executor::Tokio>();
        #[cfg(all(feature = "mongodb", feature = "tokio"))]
        registry.mongodb::<executor::Tokio>();
        #[cfg(all(feature = "redis", feature = "tokio"))]
        registry.redis::<executor::Tokio>();
        #[cfg(all(feature = "redis", feature = "tokio"))]
        registry.real_redis::<executor::Tokio>();
        #[cfg(all(feature = "udp", feature = "tokio"))]
        registry.udp::<executor::Tokio>();
        #[cfg(all(feature = "riak", feature = "tokio"))]
        registry.riak::<executor::Tokio>();
        #[cfg(all(feature = "websocket", feature = "tokio"))]
        registry.websocket::<executor::Tokio>();
        #[cfg(feature = "smol")]
        registry.executor::<executor::Smol>();
        #[cfg(all(feature = "http", feature = "smol"))]
        registry.http_client::<executor::Smol>();
        #[cfg(all(feature = "http", feature = "smol"))]
        registry.http_server::<executor::Smol>();
        #[cfg(all(feature = "http", feature = "smol"))]
        registry.http_files::<executor::Smol>();
        #[cfg(all(feature = "dns", feature = "smol"))]
        registry.dns::<executor::Smol>();
        #[cfg(feature = "smol")]
        registry.services::<executor::Smol>();
        #[cfg(all(feature = "mongodb", feature = "smol"))]
        registry.mongodb::<executor::Smol>();
        #[cfg(all(feature = "redis", feature = "smol"))]
        registry.redis::<executor::Smol>();
        #[cfg(all(feature = "redis", feature = "smol"))]
        registry.real_redis::<executor::Smol>();
        #[cfg(all(feature = "udp", feature = "smol"))]
        registry.udp::<executor::Smol>();
        #[cfg(all(feature = "riak", feature = "smol"))]
        registry.riak::<executor::Smol>();
        #[cfg(all(feature = "websocket", feature = "smol"))]
        registry.websocket::<executor::Smol>();
        #[cfg(feature = "sim")]
        registry.executor::<executor::Sim>();
        #[cfg(all(feature = "http", feature = "sim"))]
        registry.http_client::<executor::Sim>();
        #[cfg(all(feature = "http", feature = "sim"))]
        registry.http_server::<executor::Sim>();
        #[cfg(all(feature = "http", feature = "sim"))]
        registry.http_files::<executor::Sim>();
        #[cfg(all(feature = "dns", feature = "sim"))]
        registry.dns::<executor::Sim>();
        #[cfg(feature = "sim")]
        registry.services::<executor::Sim>();
        #[cfg(all(feature = "mongodb", feature = "sim"))]
        registry.mongodb::<executor::Sim>();
        #[cfg(all(feature = "redis", feature = "sim"))]
        registry.redis::<executor::Sim>();
        #[cfg(all(feature = "udp", feature = "sim"))]
        registry.udp::<executor::Sim>();
        #[cfg(all(feature = "riak", feature = "sim"))]
        registry.riak::<executor::Sim>();
        #[cfg(all(feature = "websocket", feature = "sim"))]
        registry.websocket::<executor::Sim>();
        registry
    }

    /// Adds the suite `laws-NAME`: every law of streams, on what `subject` builds.
    pub fn stream<P: StreamProtocol + 'static>(&mut self, name: &str, subject: fn() -> StreamSubject<P>) {
        for &law in StreamLaw::ALL {
            self.add(
                format!("laws-{name}"),
                Case::new(law.name(), Lane::Pure, move |plan| outcome(law.check(&subject(), plan))),
            );
        }
    }

    /// Adds the suite `laws-NAME`: every law of datagrams, on what `subject` builds.
    pub fn datagram<P: DatagramProtocol + 'static>(
        &mut self,
        name: &str,
        subject: fn() -> DatagramSubject<P>,
    ) {
        for &law in DatagramLaw::ALL {
            self.add(
                format!("laws-{name}"),
                Case::new(law.name(), Lane::Pure, move |plan| outcome(law.check(&subject(), plan))),
            );
        }
    }

    /// Adds a column: every suite that runs on an executor, on this one.
    pub fn executor<E: Executor>(&mut self) {
        for (suite, case) in executor::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the HTTP client to that column.
    #[cfg(feature = "http")]
    pub fn http_client<E: Executor>(&mut self) {
        for (suite, case) in executor::http_client::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the HTTP server to that column.
    #[cfg(feature = "http")]
    pub fn http_server<E: Executor>(&mut self)
    where
        E::Runtime: Spawn<executor::http::server::Serving<E::Runtime>>,
    {
        for (suite, case) in executor::http::server::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of WebSocket to that column.
    #[cfg(feature = "websocket")]
    pub fn websocket<E: Executor>(&mut self) {
        for (suite, case) in executor::websocket::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of files over HTTP to that column.
    #[cfg(feature = "http")]
    pub fn http_files<E: Executor>(&mut self) {
        for (suite, case) in executor::http::files::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of conversations over TCP, scopes and sets of services to that column.
    pub fn services<E: Executor>(&mut self)
    where
        E::Runtime: Spawn<Talking<E::Runtime>>
            + Spawn<executor::services::Worker>
            + Spawn<executor::services::Started>
            + Spawn<executor::services::Restarted<E::Runtime>>,
    {
        for (suite, case) in executor::services::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the MongoDB client to that column.
    #[cfg(feature = "mongodb")]
    pub fn mongodb<E: Executor>(&mut self)
    where
        E::Runtime: Spawn<mongodb::Janitor<E::Runtime>> + Spawn<mongodb::Serving<E::Runtime>>,
    {
        for (suite, case) in executor::mongodb::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the resolver, the client and the server of DNS to that column.
    #[cfg(feature = "dns")]
    pub fn dns<E: Executor>(&mut self)
    where
        E::Runtime: executor::dns::Plug,
    {
        for (suite, case) in executor::dns::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the Redis client to that column.
    #[cfg(feature = "redis")]
    pub fn redis<E: Executor>(&mut self)
    where
        E::Runtime: Spawn<Drive<E::Runtime>> + Spawn<Serving<E::Runtime>>,
    {
        for (suite, case) in executor::redis::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the Redis client against a real server to that column, skipped or failing where none is found. Not for an executor whose
    /// network is its own.
    #[cfg(feature = "redis")]
    pub fn real_redis<E: Executor>(&mut self)
    where
        E::Runtime: Spawn<Drive<E::Runtime>> + Spawn<Serving<E::Runtime>>,
    {
        for (suite, case) in executor::redis::real_cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of UDP conversations to that column.
    #[cfg(feature = "udp")]
    pub fn udp<E: Executor<Runtime: executor::udp::Conversing>>(&mut self) {
        for (suite, case) in executor::udp::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds the cases of the Riak client to that column.
    #[cfg(feature = "riak")]
    pub fn riak<E: Executor>(&mut self)
    where
        E::Runtime: Spawn<glowplug_runtime::riak::Reaper<E::Runtime>>
            + Spawn<glowplug_runtime::riak::Serving<E::Runtime>>,
    {
        for (suite, case) in executor::riak::cases::<E>() {
            self.add(suite.to_owned(), case);
        }
    }

    /// Adds a case to a suite, which need not exist yet.
    pub fn add(&mut self, suite: String, case: Case) {
        match self.suites.iter_mut().find(|known| known.name == suite) {
            Some(known) => known.cases.push(case),
            None => self.suites.push(Suite { name: suite, cases: vec![case] }),
        }
    }

    /// Leaves a case out in every lane, and says why wherever it would have been run.
    pub fn skip(&mut self, suite: &str, case: &str, reason: &str) {
        let suites = self.suites.iter_mut().filter(|known| known.name == suite);
        for known in suites.flat_map(|suite| &mut suite.cases).filter(|known| known.name == case) {
            *known = Case::skipped(case, known.lane.clone(), reason);
        }
    }

    /// The suites, in the order they were added.
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }

    /// The cases that `only` and `on` select; empty means all. A word that selects nothing is an error.
    pub(super) fn select(&self, only: &[String], on: &[String]) -> Result<Vec<(&Suite, &Case)>, String> {
        let all = || self.suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
        for word in only {
            if !all().any(|(suite, case)| selects(word, suite, case)) {
                return Err(format!("there is no suite or case {word}; --list shows them all"));
            }
        }
        for lane in on {
            if !all().any(|(_, case)| case.lane.to_string() == *lane) {
                return Err(format!("this build has no executor {lane}; --list shows them all"));
            }
        }
        let wanted = |suite: &Suite, case: &Case| {
            (only.is_empty() || only.iter().any(|word| selects(word, suite, case)))
                && (on.is_empty() || on.contains(&case.lane.to_string()))
        };
        let selected: Vec<_> = all().filter(|(suite, case)| wanted(suite, case)).collect();
        if selected.is_empty() {
            return Err("nothing is selected: no such case runs there".to_owned());
        }
        Ok(selected)
    }
}

/// `suite`, `suite/case`, or the beginning of a suite's name up to a dash.
fn selects(word: &str, suite: &Suite, case: &Case) -> bool {
    if let Some((of, name)) = word.split_once('/') {
        return of == suite.name && name == case.name;
    }
    suite.name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn outcome(result: Result<Verdict, Box<Failure>>) -> Outcome {
    match result {
        Ok(Verdict::Held) => Outcome::Passed,
        Ok(Verdict::Untested(reason)) => Outcome::Skipped(reason),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_is_by_suite_by_case_and_by_lane() {
        let mut registry = Registry::new();
        registry.stream("line-echo", line::subject);
        registry.datagram("tally", tally::subject);
        registry.add("streams".to_owned(), Case::new("echo", Lane::On("mine"), |_| Outcome::Passed));
        let count = |only: &[&str], on: &[&str]| {
            let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
            registry.select(&own(only), &own(on)).map(|selected| selected.len())
        };
        let (streams, datagrams) = (StreamLaw::ALL.len(), DatagramLaw::ALL.len());
        assert_eq!(count(&[], &[]), Ok(streams + datagrams + 1));
        assert_eq!(count(&["laws"], &[]), Ok(streams + datagrams));
        assert_eq!(count(&["laws-tally", "streams"], &[]), Ok(datagrams + 1));
        assert_eq!(count(&["laws-tally/errors"], &["pure"]), Ok(1));
        assert_eq!(count(&[], &["mine"]), Ok(1));
        for (only, on) in [("law", ""), ("laws-tally/no", ""), ("", "yours"), ("laws", "mine")] {
            let word = |word: &'static str| if word.is_empty() { vec![] } else { vec![word] };
            assert!(count(&word(only), &word(on)).is_err(), "{only} {on}");
        }
    }
}
