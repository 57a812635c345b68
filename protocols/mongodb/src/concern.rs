//! How safely to read and write, and from whom: concerns and preferences, and how they go with a command.

use core::time::Duration;

use crate::bson::Document;
use crate::reply::ServerInfo;
use crate::request::{Command, Expects};
use crate::session::ServerSession;
use crate::uri::{ConnectionString, OptionValue};

/// Which data a read may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadConcern {
    /// The level: `local`, `available`, `majority`, `linearizable`, `snapshot`, or what servers will know one day.
    pub level: String,
}

impl ReadConcern {
    /// A concern of this level.
    pub fn new(level: impl Into<String>) -> Self {
        Self { level: level.into() }
    }

    /// What most members have acknowledged.
    pub fn majority() -> Self {
        Self::new("majority")
    }

    fn put(&self, body: &mut Document) {
        body.writer().document("readConcern").append("level", &self.level);
    }
}

/// Which members have to acknowledge a write, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteConcern {
    /// How many, or which; `None` leaves it to the server.
    pub w: Option<Acknowledgement>,
    /// Once it is in the journal.
    pub journal: Option<bool>,
    /// How long the server waits for them before it says that they have not.
    pub timeout: Option<Duration>,
}

/// Who has to acknowledge a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// So many members. With 0 the server does not even answer.
    Nodes(u32),
    /// Most of them.
    Majority,
    /// As a rule of the replica set's configuration says.
    Rule(String),
}

impl WriteConcern {
    /// So many members; with 0 the server does not answer, and nobody learns whether the write was made.
    pub fn nodes(count: u32) -> Self {
        Self { w: Some(Acknowledgement::Nodes(count)), ..Self::default() }
    }

    /// Most members.
    pub fn majority() -> Self {
        Self { w: Some(Acknowledgement::Majority), ..Self::default() }
    }

    /// False when the server is asked not to answer.
    pub fn is_acknowledged(&self) -> bool {
        self.w != Some(Acknowledgement::Nodes(0)) || self.journal == Some(true)
    }

    fn put(&self, body: &mut Document) {
        // What says nothing is not said: the server's own default counts.
        if *self == Self::default() {
            return;
        }
        let mut writer = body.writer();
        let mut concern = writer.document("writeConcern");
        match &self.w {
            Some(Acknowledgement::Nodes(count)) => {
                concern.append("w", i32::try_from(*count).unwrap_or(i32::MAX));
            }
            Some(Acknowledgement::Majority) => {
                concern.append("w", "majority");
            }
            Some(Acknowledgement::Rule(rule)) => {
                concern.append("w", rule);
            }
            None => {}
        }
        if let Some(journal) = self.journal {
            concern.append("j", journal);
        }
        if let Some(timeout) = self.timeout {
            concern.append("wtimeout", i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        }
    }
}

/// Which members of a replica set may answer a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPreference {
    /// The kind of member.
    pub mode: ReadMode,
    /// Tags that a member has to have; the first set that some member has counts.
    pub tags: Vec<Vec<(String, String)>>,
    /// How far a secondary may lag behind.
    pub max_staleness: Option<Duration>,
}

/// Kinds of members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadMode {
    /// The primary alone.
    #[default]
    Primary,
    /// The primary, or a secondary when there is none.
    PrimaryPreferred,
    /// A secondary alone.
    Secondary,
    /// A secondary, or the primary when there is none.
    SecondaryPreferred,
    /// Whoever is near.
    Nearest,
}

impl ReadMode {
    /// The mode's name in commands and connection strings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::PrimaryPreferred => "primaryPreferred",
            Self::Secondary => "secondary",
            Self::SecondaryPreferred => "secondaryPreferred",
            Self::Nearest => "nearest",
        }
    }

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        use ReadMode::{Nearest, Primary, PrimaryPreferred, Secondary, SecondaryPreferred};
        [Primary, PrimaryPreferred, Secondary, SecondaryPreferred, Nearest]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

impl From<ReadMode> for ReadPreference {
    fn from(mode: ReadMode) -> Self {
        Self { mode, ..Self::default() }
    }
}

impl ReadPreference {
    /// Specification "Server Selection", "Passing read preference to mongos and load balancers" and "Topology type: Single".
    fn put(&self, info: &ServerInfo, body: &mut Document) {
        let mode = match self.mode {
            ReadMode::Primary if info.is_mongos => return,
            // A standalone has no use for it.
            _ if !info.is_mongos && info.set_name.is_none() => return,
            // Asked directly, a member answers whatever it is.
            ReadMode::Primary => ReadMode::PrimaryPreferred,
            mode => mode,
        };
        let mut writer = body.writer();
        let mut preference = writer.document("$readPreference");
        preference.append("mode", mode.name());
        if !self.tags.is_empty() {
            let mut sets = preference.array("tags");
            for set in &self.tags {
                let mut tags = sets.document();
                for (name, value) in set {
                    // A tag of a connection string may be anything; one that cannot be written matches nothing anyway.
                    let _ = tags.try_append(name, value);
                }
            }
        }
        if let Some(staleness) = self.max_staleness {
            preference.append("maxStalenessSeconds", i64::try_from(staleness.as_secs()).unwrap_or(i64::MAX));
        }
    }
}

/// What goes with a command besides itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attire<'a> {
    /// The session.
    pub session: Option<&'a ServerSession>,
    /// The number of a retryable write.
    pub txn_number: Option<i64>,
    /// For reads.
    pub read_concern: Option<&'a ReadConcern>,
    /// For reads.
    pub read_preference: Option<&'a ReadPreference>,
    /// For writes.
    pub write_concern: Option<&'a WriteConcern>,
}

impl Command {
    /// Appends what goes with the command, as far as this server takes it. A write that need not be acknowledged expects no answer.
    pub fn dress(&mut self, info: &ServerInfo, attire: &Attire<'_>) {
        if let Some(concern) = attire.write_concern {
            concern.put(&mut self.body);
            if !concern.is_acknowledged() {
                self.expects = Expects::Nothing;
            }
        }
        if let Some(concern) = attire.read_concern {
            concern.put(&mut self.body);
        }
        if let Some(preference) = attire.read_preference {
            preference.put(info, &mut self.body);
        }
        // An unacknowledged write has no session: nobody would know when it is free again.
        if self.expects != Expects::Nothing {
            if let Some(session) = attire.session {
                session.put(&mut self.body);
            }
            if let Some(number) = attire.txn_number {
                self.body.append("txnNumber", number);
            }
        }
    }
}

impl ConnectionString {
    /// The read concern, if the string names one.
    pub fn read_concern(&self) -> Option<ReadConcern> {
        match self.option("readConcernLevel") {
            Some(OptionValue::Text(level)) => Some(ReadConcern::new(level)),
            _ => None,
        }
    }

    /// The write concern, if the string says anything about it.
    pub fn write_concern(&self) -> Option<WriteConcern> {
        let w = match self.option("w") {
            Some(OptionValue::Int(count)) => {
                Some(Acknowledgement::Nodes(u32::try_from(*count).unwrap_or(u32::MAX)))
            }
            Some(OptionValue::Text(text)) if text == "majority" => Some(Acknowledgement::Majority),
            Some(OptionValue::Text(rule)) => Some(Acknowledgement::Rule(rule.clone())),
            _ => None,
        };
        let journal = match self.option("journal") {
            Some(OptionValue::Bool(journal)) => Some(*journal),
            _ => None,
        };
        let timeout = self.millis("wTimeoutMS").filter(|timeout| !timeout.is_zero());
        let concern = WriteConcern { w, journal, timeout };
        (concern != WriteConcern::default()).then_some(concern)
    }

    /// The read preference; the primary, if the string names none.
    pub fn read_preference(&self) -> ReadPreference {
        let mode = match self.option("readPreference") {
            Some(OptionValue::Text(name)) => ReadMode::from_name(name),
            _ => None,
        };
        let tags = match self.option("readPreferenceTags") {
            Some(OptionValue::Tags(tags)) => tags.clone(),
            _ => Vec::new(),
        };
        let max_staleness = match self.option("maxStalenessSeconds") {
            Some(OptionValue::Int(seconds)) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            _ => None,
        };
        ReadPreference { mode: mode.unwrap_or_default(), tags, max_staleness }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc;

    fn dressed(hello: Document, attire: &Attire<'_>) -> (String, Expects) {
        let mut command = Command::new("d", doc! { "x": 1 });
        command.dress(&ServerInfo::new(hello.into(), &[]), attire);
        (command.body().to_string(), command.expects())
    }

    #[test]
    fn concerns_go_with_the_command() {
        let concern = WriteConcern {
            w: Some(Acknowledgement::Majority),
            journal: Some(true),
            timeout: Some(Duration::from_millis(5)),
        };
        let attire = Attire { write_concern: Some(&concern), ..Attire::default() };
        let expected = r#"{"x":1,"writeConcern":{"w":"majority","j":true,"wtimeout":5}}"#;
        assert_eq!(dressed(doc! {}, &attire), (expected.to_owned(), Expects::Reply));
        let none = WriteConcern::nodes(0);
        let attire = Attire { write_concern: Some(&none), txn_number: Some(3), ..Attire::default() };
        let expected = r#"{"x":1,"writeConcern":{"w":0}}"#;
        assert_eq!(dressed(doc! {}, &attire), (expected.to_owned(), Expects::Nothing));
    }

    #[test]
    fn a_preference_goes_to_whom_it_concerns() {
        let preference = |mode: ReadMode, hello: Document| {
            let preference = ReadPreference::from(mode);
            dressed(hello, &Attire { read_preference: Some(&preference), ..Attire::default() }).0
        };
        let mongos = doc! { "msg": "isdbgrid" };
        let member = doc! { "setName": "rs" };
        assert_eq!(preference(ReadMode::Secondary, doc! {}), r#"{"x":1}"#);
        assert_eq!(preference(ReadMode::Primary, mongos.clone()), r#"{"x":1}"#);
        assert_eq!(
            preference(ReadMode::Secondary, mongos),
            r#"{"x":1,"$readPreference":{"mode":"secondary"}}"#
        );
        assert_eq!(
            preference(ReadMode::Primary, member),
            r#"{"x":1,"$readPreference":{"mode":"primaryPreferred"}}"#
        );
    }

    #[test]
    fn connection_strings_name_them() {
        let string: ConnectionString =
            "mongodb://h/?w=2&journal=true&wTimeoutMS=9&readConcernLevel=local&readPreference=nearest&\
             readPreferenceTags=a:b&maxStalenessSeconds=120"
                .parse()
                .expect("it is one");
        let concern = string.write_concern().expect("there is one");
        assert_eq!(
            concern,
            WriteConcern {
                w: Some(Acknowledgement::Nodes(2)),
                journal: Some(true),
                timeout: Some(Duration::from_millis(9))
            }
        );
        assert_eq!(string.read_concern(), Some(ReadConcern::new("local")));
        let preference = string.read_preference();
        assert_eq!(preference.mode, ReadMode::Nearest);
        assert_eq!(preference.tags, [[("a".to_owned(), "b".to_owned())]]);
        assert_eq!(preference.max_staleness, Some(Duration::from_secs(120)));
        let plain: ConnectionString = "mongodb://h".parse().expect("it is one");
        assert_eq!((plain.write_concern(), plain.read_concern()), (None, None));
    }
}
