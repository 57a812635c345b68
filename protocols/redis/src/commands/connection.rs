//! The connection itself, and the server as a whole.

use alloc::string::String;

use bytes::Bytes;

use super::{read, write};
use crate::{Arg, Command, Typed};

/// `PING`: `PONG`.
pub fn ping() -> Typed<String> {
    read!("PING")
}

/// `ECHO`: the same again.
pub fn echo(message: impl Arg) -> Typed<Bytes> {
    read!("ECHO"; arg(message))
}

/// `AUTH` as the default user.
pub fn auth(password: impl Arg) -> Typed<()> {
    write!("AUTH"; arg(password))
}

/// `AUTH` as a user of the ACL.
pub fn auth_as(user: impl Arg, password: impl Arg) -> Typed<()> {
    write!("AUTH"; arg(user), arg(password))
}

/// `SELECT`: changes the database of this connection. On a connection that is shared, for all who share it.
pub fn select(database: u32) -> Typed<()> {
    write!("SELECT"; arg(database))
}

/// `DBSIZE`: how many keys there are.
pub fn dbsize() -> Typed<u64> {
    read!("DBSIZE")
}

/// `FLUSHDB`: empties the database.
pub fn flushdb() -> Typed<()> {
    write!("FLUSHDB")
}

/// `FLUSHALL`: empties all databases.
pub fn flushall() -> Typed<()> {
    write!("FLUSHALL")
}

/// `INFO`: the server's figures as `name:value` lines; all sections, or one.
pub fn info(section: Option<&str>) -> Typed<String> {
    Typed::new(Command::new("INFO").args(section).read_only())
}

/// `TIME`: the server's Unix time in seconds, and microseconds of the current one.
pub fn time() -> Typed<(u64, u32)> {
    read!("TIME")
}

/// `CLIENT ID`: the connection's number.
pub fn client_id() -> Typed<u64> {
    read!("CLIENT", "ID")
}

/// `CLIENT GETNAME`: the connection's name, if it has one.
pub fn client_getname() -> Typed<Option<String>> {
    read!("CLIENT", "GETNAME")
}

/// `CLIENT SETNAME`: names the connection.
pub fn client_setname(name: impl Arg) -> Typed<()> {
    write!("CLIENT", "SETNAME"; arg(name))
}
