//! The connection itself, and the other clients.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Options, millis};
use crate::{Arg, Command, Reply, Typed};

/// What `CLIENT TRACKING ON` may be given: the server then tells when what was read has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackingOptions {
    /// Tell another connection, by its number.
    pub redirect: Option<u64>,
    /// Tell of all keys with these prefixes, whoever read them (`BCAST`).
    pub prefixes: Option<Vec<Bytes>>,
    /// Only what is read right after `CLIENT CACHING YES` (`OPTIN`: `Some(true)`), or all but what is read right after
    /// `CLIENT CACHING NO` (`OPTOUT`: `Some(false)`).
    pub opt_in: Option<bool>,
    /// Do not tell of what this connection changes itself.
    pub no_loop: bool,
}

impl Options for TrackingOptions {
    fn add_to(&self, command: Command) -> Command {
        let mut command = command.option("REDIRECT", self.redirect).word_if(self.prefixes.is_some(), "BCAST");
        for prefix in self.prefixes.iter().flatten() {
            command = command.arg("PREFIX").arg(prefix);
        }
        command
            .word_if(self.opt_in == Some(true), "OPTIN")
            .word_if(self.opt_in == Some(false), "OPTOUT")
            .word_if(self.no_loop, "NOLOOP")
    }
}

/// `CLIENT PAUSE`: stops serving clients for so long; only those that write, if so asked.
pub fn client_pause(time: Duration, writes_only: bool) -> Typed<()> {
    let command = Command::new("CLIENT").arg("PAUSE").arg(millis(time));
    Typed::new(command.arg(if writes_only { "WRITE" } else { "ALL" }))
}

/// `PING`: `PONG`.
pub fn ping() -> Typed<String> {
    Typed::new(Command::new("PING").read_only())
}

/// `PING` with a message: the message.
pub fn ping_with(message: impl Arg) -> Typed<Bytes> {
    Typed::new(Command::new("PING").arg(message).read_only())
}

/// `ECHO`: the same again.
pub fn echo(message: impl Arg) -> Typed<Bytes> {
    Typed::new(Command::new("ECHO").arg(message).read_only())
}

/// `AUTH` as the default user.
pub fn auth(password: impl Arg) -> Typed<()> {
    Typed::new(Command::new("AUTH").arg(password))
}

/// `AUTH` as a user of the ACL.
pub fn auth_as(user: impl Arg, password: impl Arg) -> Typed<()> {
    Typed::new(Command::new("AUTH").arg(user).arg(password))
}

/// `SELECT`: changes the database of this connection. On a connection that is shared, for all who share it.
pub fn select(database: u32) -> Typed<()> {
    Typed::new(Command::new("SELECT").arg(database))
}

/// `HELLO`: changes the protocol's version, which a connection of this library does by itself; what the server is.
pub fn hello(version: u8) -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("HELLO").arg(version))
}

/// `QUIT`: lets the server hang up.
pub fn quit() -> Typed<()> {
    Typed::new(Command::new("QUIT"))
}

/// `RESET`: makes the connection as if it were new; `RESET`.
pub fn reset() -> Typed<String> {
    Typed::new(Command::new("RESET"))
}

/// `CLIENT ID`: the connection's number.
pub fn client_id() -> Typed<u64> {
    Typed::new(Command::new("CLIENT").arg("ID").read_only())
}

/// `CLIENT GETNAME`: the connection's name, if it has one.
pub fn client_getname() -> Typed<Option<String>> {
    Typed::new(Command::new("CLIENT").arg("GETNAME").read_only())
}

/// `CLIENT SETNAME`: names the connection.
pub fn client_setname(name: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("SETNAME").arg(name))
}

/// `CLIENT SETINFO` (Redis 7.2): `LIB-NAME` or `LIB-VER`.
pub fn client_setinfo(attribute: impl Arg, value: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("SETINFO").arg(attribute).arg(value))
}

/// `CLIENT INFO`: what the server knows of the connection.
pub fn client_info() -> Typed<String> {
    Typed::new(Command::new("CLIENT").arg("INFO").read_only())
}

/// `CLIENT LIST`: what the server knows of all of them, a line each.
pub fn client_list() -> Typed<String> {
    Typed::new(Command::new("CLIENT").arg("LIST").read_only())
}

/// `CLIENT KILL`: hangs up on a client by its address.
pub fn client_kill(address: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("KILL").arg(address))
}

/// `CLIENT KILL` by number: how many were hung up on.
pub fn client_kill_id(id: u64) -> Typed<u64> {
    Typed::new(Command::new("CLIENT").arg("KILL").arg("ID").arg(id))
}

/// `CLIENT UNBLOCK`: ends another client's wait, as if its time were over; true if it waited.
pub fn client_unblock(id: u64) -> Typed<bool> {
    Typed::new(Command::new("CLIENT").arg("UNBLOCK").arg(id))
}

/// `CLIENT UNPAUSE`: serves clients again.
pub fn client_unpause() -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("UNPAUSE"))
}

/// `CLIENT REPLY`: only `ON` is of use here: with the others no answer comes, and every answer after would belong to another request.
pub fn client_reply(mode: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("REPLY").arg(mode))
}

/// `CLIENT NO-EVICT`: `ON` or `OFF`.
pub fn client_no_evict(mode: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("NO-EVICT").arg(mode))
}

/// `CLIENT NO-TOUCH` (Redis 7.2): `ON` or `OFF`.
pub fn client_no_touch(mode: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("NO-TOUCH").arg(mode))
}

/// `CLIENT CAPA` (Valkey 8.0): what this client can do.
pub fn client_capa(capabilities: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("CAPA").args(capabilities))
}

/// `CLIENT CACHING`: `YES` or `NO`, for the next command.
pub fn client_caching(answer: impl Arg) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("CACHING").arg(answer))
}

/// `CLIENT GETREDIR`: whom invalidations go to; 0 for this connection, -1 for nobody.
pub fn client_getredir() -> Typed<i64> {
    Typed::new(Command::new("CLIENT").arg("GETREDIR").read_only())
}

/// `CLIENT TRACKING ON`: tell when what was read has changed.
pub fn client_tracking_on(options: &TrackingOptions) -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("TRACKING").arg("ON").with(options))
}

/// `CLIENT TRACKING OFF`: tell no longer.
pub fn client_tracking_off() -> Typed<()> {
    Typed::new(Command::new("CLIENT").arg("TRACKING").arg("OFF"))
}

/// `CLIENT TRACKINGINFO`: how tracking is set.
pub fn client_trackinginfo() -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("CLIENT").arg("TRACKINGINFO").read_only())
}

/// `CLIENT HELP`: the server's own help.
pub fn client_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("CLIENT").arg("HELP").read_only())
}
