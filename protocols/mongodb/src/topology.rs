//! Which server to ask: for now one, whatever it is.
//!
//! This is the boundary where discovery and selection plug in. A client asks [`select`](Topology::select) for a host before each
//! operation, gives every reply to `hello` to [`handle_hello`](Topology::handle_hello) and tells of every failed connection by
//! [`handle_failure`](Topology::handle_failure); nothing else of it knows how many servers there are.

use core::fmt;

use crate::concern::ReadPreference;
use crate::reply::ServerInfo;
use crate::uri::{ConnectionString, Host};

/// What is known of the servers that a connection string names.
#[derive(Clone, Debug)]
pub struct Topology {
    host: Host,
    set_name: Option<String>,
    kind: ServerKind,
}

/// What a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// Nobody has asked it yet, or it failed since.
    #[default]
    Unknown,
    /// A server of its own.
    Standalone,
    /// A router before shards.
    Mongos,
    /// The member of a replica set that takes writes.
    Primary,
    /// Any other member of a replica set.
    Member,
}

/// What an operation needs of a server.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// To write.
    Write,
    /// To read.
    Read(&'a ReadPreference),
}

/// Why no server can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopologyError {
    /// The string names no host: `mongodb+srv` was not resolved.
    NoHost,
    /// The string names several hosts: discovery is not there yet. Name one, with `directConnection=true` for a member of a set.
    SeveralHosts(usize),
    /// The server belongs to another replica set than the string says, or to none.
    WrongSet {
        /// What the string says.
        wanted: String,
        /// What the server says.
        found: Option<String>,
    },
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost => {
                f.write_str("the connection string names no host, or its srv records were not resolved")
            }
            Self::SeveralHosts(count) => {
                write!(
                    f,
                    "the connection string names {count} hosts, and discovery among several is not supported"
                )
            }
            Self::WrongSet { wanted, found: Some(found) } => {
                write!(f, "the server belongs to the replica set {found:?}, not to {wanted:?}")
            }
            Self::WrongSet { wanted, found: None } => {
                write!(f, "the server belongs to no replica set, and {wanted:?} was asked for")
            }
        }
    }
}

impl std::error::Error for TopologyError {}

impl Topology {
    /// The servers of a connection string.
    pub fn new(string: &ConnectionString) -> Result<Self, TopologyError> {
        match string.hosts() {
            [] => Err(TopologyError::NoHost),
            [host] => Ok(Self {
                host: host.clone(),
                set_name: string.replica_set().map(str::to_owned),
                kind: ServerKind::Unknown,
            }),
            several => Err(TopologyError::SeveralHosts(several.len())),
        }
    }

    /// The server to ask.
    pub fn select(&self, _: Selection<'_>) -> &Host {
        &self.host
    }

    /// A server said what it is. One that is not what the string says must not be used.
    pub fn handle_hello(&mut self, _: &Host, info: &ServerInfo) -> Result<(), TopologyError> {
        self.kind = match (info.is_mongos, info.set_name.is_some(), info.is_writable) {
            (true, ..) => ServerKind::Mongos,
            (_, true, true) => ServerKind::Primary,
            (_, true, false) => ServerKind::Member,
            _ => ServerKind::Standalone,
        };
        match &self.set_name {
            Some(wanted) if info.set_name.as_ref() != Some(wanted) => {
                Err(TopologyError::WrongSet { wanted: wanted.clone(), found: info.set_name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// A connection to a server failed.
    pub fn handle_failure(&mut self, _: &Host) {
        self.kind = ServerKind::Unknown;
    }

    /// What the server is.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc;

    fn topology(string: &str) -> Result<Topology, TopologyError> {
        Topology::new(&string.parse().expect("a connection string"))
    }

    #[test]
    fn one_host_is_asked_whatever_it_is() {
        let mut topology = topology("mongodb://h").expect("one host");
        let host = topology.select(Selection::Write).clone();
        for (hello, kind) in [
            (doc! { "isWritablePrimary": true }, ServerKind::Standalone),
            (doc! { "msg": "isdbgrid", "isWritablePrimary": true }, ServerKind::Mongos),
            (doc! { "setName": "rs", "isWritablePrimary": true }, ServerKind::Primary),
            (doc! { "setName": "rs", "secondary": true }, ServerKind::Member),
        ] {
            let info = ServerInfo::new(hello.into(), &[]);
            assert_eq!(topology.handle_hello(&host, &info), Ok(()));
            assert_eq!(topology.kind(), kind);
        }
        topology.handle_failure(&host);
        assert_eq!(topology.kind(), ServerKind::Unknown);
    }

    #[test]
    fn what_is_not_there_yet_is_refused_in_words() {
        assert_eq!(topology("mongodb://a,b").err(), Some(TopologyError::SeveralHosts(2)));
        assert_eq!(topology("mongodb+srv://a.example.com").err(), Some(TopologyError::NoHost));
        let mut wrong = topology("mongodb://h/?replicaSet=rs").expect("one host");
        let host = wrong.select(Selection::Write).clone();
        let info = ServerInfo::new(doc! { "isWritablePrimary": true }.into(), &[]);
        let error = wrong.handle_hello(&host, &info).expect_err("another set");
        assert_eq!(error.to_string(), r#"the server belongs to no replica set, and "rs" was asked for"#);
    }
}
