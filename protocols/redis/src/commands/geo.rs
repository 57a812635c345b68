//! Places on the globe.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Options;
use crate::{Arg, Command, FromReply, ReplyError, ReplyRef, Typed};

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
}

impl FromReply for Position {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        let (longitude, latitude) = FromReply::from_ref(reply)?;
        Ok(Self { longitude, latitude })
    }
}

/// A unit of length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Metres.
    #[default]
    Metres,
    /// Kilometres.
    Kilometres,
    /// Miles.
    Miles,
    /// Feet.
    Feet,
}

impl Arg for Unit {
    fn push_to(self, command: &mut Command) {
        command.push_copied(match self {
            Self::Metres => b"m",
            Self::Kilometres => b"km",
            Self::Miles => b"mi",
            Self::Feet => b"ft",
        });
    }
}

/// Where a search has its centre.
#[derive(Clone, Debug, PartialEq)]
pub enum Centre {
    /// At a member.
    Member(Bytes),
    /// At a place.
    Position(Position),
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Area {
    /// A circle of this radius.
    Radius(f64, Unit),
    /// A box of this width and height.
    Box(f64, f64, Unit),
}

/// What `GEOSEARCH` looks for.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoSearch {
    /// Around what.
    pub centre: Centre,
    /// How far.
    pub area: Area,
    /// The nearest first (`Some(true)`) or the farthest (`Some(false)`).
    pub nearest_first: Option<bool>,
    /// At most so many.
    pub count: Option<u64>,
    /// Any of them, as soon as there are enough (`ANY`).
    pub any: bool,
}

impl Options for GeoSearch {
    fn add_to(&self, command: Command) -> Command {
        let command = match &self.centre {
            Centre::Member(member) => command.arg("FROMMEMBER").arg(member),
            Centre::Position(at) => command.arg("FROMLONLAT").arg(at.longitude).arg(at.latitude),
        };
        let command = match self.area {
            Area::Radius(radius, unit) => command.arg("BYRADIUS").arg(radius).arg(unit),
            Area::Box(width, height, unit) => command.arg("BYBOX").arg(width).arg(height).arg(unit),
        };
        command
            .word_if(self.nearest_first == Some(true), "ASC")
            .word_if(self.nearest_first == Some(false), "DESC")
            .option("COUNT", self.count)
            .word_if(self.any && self.count.is_some(), "ANY")
    }
}

/// `GEOADD`: members at places; how many are new.
pub fn geoadd<M: Arg>(key: impl Arg, members: impl IntoIterator<Item = (Position, M)>) -> Typed<u64> {
    let mut command = Command::new("GEOADD").arg(key);
    for (at, member) in members {
        command = command.arg(at.longitude).arg(at.latitude).arg(member);
    }
    Typed::new(command)
}

/// `GEODIST`: how far apart two members are.
pub fn geodist(key: impl Arg, one: impl Arg, other: impl Arg, unit: Unit) -> Typed<Option<f64>> {
    Typed::new(Command::new("GEODIST").arg(key).arg(one).arg(other).arg(unit).read_only())
}

/// `GEOHASH`: the geohash of each.
pub fn geohash(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<Option<String>>> {
    Typed::new(Command::new("GEOHASH").arg(key).args(members).read_only())
}

/// `GEOPOS`: where each is.
pub fn geopos(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<Option<Position>>> {
    Typed::new(Command::new("GEOPOS").arg(key).args(members).read_only())
}

/// `GEOSEARCH`: who is there.
pub fn geosearch(key: impl Arg, search: &GeoSearch) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("GEOSEARCH").arg(key).with(search).read_only())
}

/// `GEOSEARCH` `... WITHDIST`: who is there, and how far from the centre.
pub fn geosearch_withdist(key: impl Arg, search: &GeoSearch) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("GEOSEARCH").arg(key).with(search).arg("WITHDIST").read_only())
}

/// `GEOSEARCH` `... WITHCOORD`: who is there, and where.
pub fn geosearch_withcoord(key: impl Arg, search: &GeoSearch) -> Typed<Vec<(Bytes, Position)>> {
    Typed::new(Command::new("GEOSEARCH").arg(key).with(search).arg("WITHCOORD").read_only())
}

/// `GEOSEARCHSTORE`: stores who is there; how many. Scores are geohashes, or distances.
pub fn geosearchstore(to: impl Arg, key: impl Arg, search: &GeoSearch, distances: bool) -> Typed<usize> {
    Typed::new(Command::new("GEOSEARCHSTORE").arg(to).arg(key).with(search).word_if(distances, "STOREDIST"))
}

/// `GEORADIUS`: the old way to search around a place.
pub fn georadius(key: impl Arg, longitude: f64, latitude: f64, radius: f64, unit: Unit) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("GEORADIUS").arg(key).arg(longitude).arg(latitude).arg(radius).arg(unit))
}

/// `GEORADIUS_RO`: as [`georadius`].
pub fn georadius_ro(
    key: impl Arg,
    longitude: f64,
    latitude: f64,
    radius: f64,
    unit: Unit,
) -> Typed<Vec<Bytes>> {
    Typed::new(
        Command::new("GEORADIUS_RO").arg(key).arg(longitude).arg(latitude).arg(radius).arg(unit).read_only(),
    )
}

/// `GEORADIUSBYMEMBER`: the old way to search around a member.
pub fn georadiusbymember(key: impl Arg, member: impl Arg, radius: f64, unit: Unit) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("GEORADIUSBYMEMBER").arg(key).arg(member).arg(radius).arg(unit))
}

/// `GEORADIUSBYMEMBER_RO`: as [`georadiusbymember`].
pub fn georadiusbymember_ro(key: impl Arg, member: impl Arg, radius: f64, unit: Unit) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("GEORADIUSBYMEMBER_RO").arg(key).arg(member).arg(radius).arg(unit).read_only())
}
