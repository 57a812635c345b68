//! Every command that the server in memory knows.

use super::args::Args;
use super::refusal::{Answer, Refusal};
use super::server::{ConnectionId, Outcome, Server, Wait, last_argument};
use super::{Db, hashes, keys, lists, sets, sort, sorted_sets, streams, strings};
use crate::wire::Value;

/// What runs a command.
pub(super) enum Run {
    /// On the data of one database.
    Data(fn(&mut Db<'_>, Args<'_>) -> Answer),
    /// On the data of one database; where there is nothing, it waits as long as the second says.
    Blocking(
        fn(&mut Db<'_>, Args<'_>) -> Result<Option<Value>, Refusal>,
        fn(Args<'_>) -> Result<Wait, Refusal>,
    ),
    /// On the server as a whole, or on the session.
    Server(fn(&mut Server, ConnectionId, Args<'_>) -> Outcome),
}

/// One command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// How many arguments, the name included; at least so many when negative.
    pub(super) arity: i32,
    pub(super) run: Run,
}

const fn data(name: &'static str, arity: i32, run: fn(&mut Db<'_>, Args<'_>) -> Answer) -> Command {
    Command { name, arity, run: Run::Data(run) }
}

const fn blocking(
    name: &'static str,
    arity: i32,
    run: fn(&mut Db<'_>, Args<'_>) -> Result<Option<Value>, Refusal>,
) -> Command {
    Command { name, arity, run: Run::Blocking(run, last_argument) }
}

const fn reading(
    name: &'static str,
    arity: i32,
    run: fn(&mut Db<'_>, Args<'_>) -> Result<Option<Value>, Refusal>,
) -> Command {
    Command { name, arity, run: Run::Blocking(run, streams::wait) }
}

const fn server(
    name: &'static str,
    arity: i32,
    run: fn(&mut Server, ConnectionId, Args<'_>) -> Outcome,
) -> Command {
    Command { name, arity, run: Run::Server(run) }
}

/// In the order of their names.
static COMMANDS: &[Command] = &[
    data("APPEND", 3, strings::append),
    server("AUTH", -2, Server::auth),
    data("BITCOUNT", -2, strings::bitcount),
    blocking("BLMOVE", 6, lists::blmove),
    blocking("BLPOP", -3, lists::blpop),
    blocking("BRPOP", -3, lists::brpop),
    blocking("BRPOPLPUSH", 4, lists::brpoplpush),
    blocking("BZPOPMAX", -3, sorted_sets::bzpopmax),
    blocking("BZPOPMIN", -3, sorted_sets::bzpopmin),
    server("CLIENT", -2, Server::client),
    server("COMMAND", -1, Server::command),
    server("CONFIG", -2, Server::config),
    data("COPY", -3, keys::copy),
    data("DBSIZE", 1, keys::dbsize),
    data("DECR", 2, strings::decr),
    data("DECRBY", 3, strings::decrby),
    data("DEL", -2, keys::del),
    server("DISCARD", 1, Server::discard),
    server("ECHO", 2, Server::echo),
    server("EVAL", -3, Server::eval),
    server("EVALSHA", -3, Server::evalsha),
    server("EXEC", 1, Server::exec),
    data("EXISTS", -2, keys::exists),
    data("EXPIRE", -3, keys::expire),
    data("EXPIREAT", -3, keys::expireat),
    data("EXPIRETIME", 2, keys::expiretime),
    server("FLUSHALL", -1, Server::flushall),
    data("FLUSHDB", -1, keys::flushdb),
    data("GET", 2, strings::get),
    data("GETBIT", 3, strings::getbit),
    data("GETDEL", 2, strings::getdel),
    data("GETEX", -2, strings::getex),
    data("GETRANGE", 4, strings::getrange),
    data("GETSET", 3, strings::getset),
    data("HDEL", -3, hashes::hdel),
    server("HELLO", -1, Server::hello),
    data("HEXISTS", 3, hashes::hexists),
    data("HGET", 3, hashes::hget),
    data("HGETALL", 2, hashes::hgetall),
    data("HINCRBY", 4, hashes::hincrby),
    data("HINCRBYFLOAT", 4, hashes::hincrbyfloat),
    data("HKEYS", 2, hashes::hkeys),
    data("HLEN", 2, hashes::hlen),
    data("HMGET", -3, hashes::hmget),
    data("HMSET", -4, hashes::hmset),
    data("HSCAN", -3, hashes::hscan),
    data("HSET", -4, hashes::hset),
    data("HSETNX", 4, hashes::hsetnx),
    data("HSTRLEN", 3, hashes::hstrlen),
    data("HVALS", 2, hashes::hvals),
    data("INCR", 2, strings::incr),
    data("INCRBY", 3, strings::incrby),
    data("INCRBYFLOAT", 3, strings::incrbyfloat),
    server("INFO", -1, Server::info),
    data("KEYS", 2, keys::keys),
    data("LINDEX", 3, lists::lindex),
    data("LINSERT", 5, lists::linsert),
    data("LLEN", 2, lists::llen),
    data("LMOVE", 5, lists::lmove),
    data("LPOP", -2, lists::lpop),
    data("LPUSH", -3, lists::lpush),
    data("LPUSHX", -3, lists::lpushx),
    data("LRANGE", 4, lists::lrange),
    data("LREM", 4, lists::lrem),
    data("LSET", 4, lists::lset),
    data("LTRIM", 4, lists::ltrim),
    data("MGET", -2, strings::mget),
    server("MONITOR", 1, Server::monitor),
    server("MOVE", 3, Server::move_key),
    data("MSET", -3, strings::mset),
    data("MSETNX", -3, strings::msetnx),
    server("MULTI", 1, Server::multi),
    data("PERSIST", 2, keys::persist),
    data("PEXPIRE", -3, keys::pexpire),
    data("PEXPIREAT", -3, keys::pexpireat),
    data("PEXPIRETIME", 2, keys::pexpiretime),
    server("PING", -1, Server::ping),
    data("PSETEX", 4, strings::psetex),
    server("PSUBSCRIBE", -2, Server::psubscribe),
    data("PTTL", 2, keys::pttl),
    server("PUBLISH", 3, Server::publish),
    server("PUBSUB", -2, Server::pubsub),
    server("PUNSUBSCRIBE", -1, Server::punsubscribe),
    server("QUIT", -1, Server::quit),
    data("RANDOMKEY", 1, keys::randomkey),
    data("RENAME", 3, keys::rename),
    data("RENAMENX", 3, keys::renamenx),
    server("RESET", 1, Server::reset),
    data("RPOP", -2, lists::rpop),
    data("RPOPLPUSH", 3, lists::rpoplpush),
    data("RPUSH", -3, lists::rpush),
    data("RPUSHX", -3, lists::rpushx),
    data("SADD", -3, sets::sadd),
    data("SCAN", -2, keys::scan),
    data("SCARD", 2, sets::scard),
    server("SCRIPT", -2, Server::script),
    data("SDIFF", -2, sets::sdiff),
    data("SDIFFSTORE", -3, sets::sdiffstore),
    server("SELECT", 2, Server::select),
    data("SET", -3, strings::set),
    data("SETBIT", 4, strings::setbit),
    data("SETEX", 4, strings::setex),
    data("SETNX", 3, strings::setnx),
    data("SETRANGE", 4, strings::setrange),
    data("SINTER", -2, sets::sinter),
    data("SINTERSTORE", -3, sets::sinterstore),
    data("SISMEMBER", 3, sets::sismember),
    data("SMEMBERS", 2, sets::smembers),
    data("SMISMEMBER", -3, sets::smismember),
    data("SMOVE", 4, sets::smove),
    data("SORT", -2, sort::sort),
    data("SPOP", -2, sets::spop),
    server("SPUBLISH", 3, Server::spublish),
    data("SRANDMEMBER", -2, sets::srandmember),
    data("SREM", -3, sets::srem),
    data("SSCAN", -3, sets::sscan),
    server("SSUBSCRIBE", -2, Server::ssubscribe),
    data("STRLEN", 2, strings::strlen),
    server("SUBSCRIBE", -2, Server::subscribe),
    data("SUBSTR", 4, strings::getrange),
    data("SUNION", -2, sets::sunion),
    data("SUNIONSTORE", -3, sets::sunionstore),
    server("SUNSUBSCRIBE", -1, Server::sunsubscribe),
    server("TIME", 1, Server::time),
    data("TOUCH", -2, keys::exists),
    data("TTL", 2, keys::ttl),
    data("TYPE", 2, keys::key_type),
    data("UNLINK", -2, keys::del),
    server("UNSUBSCRIBE", -1, Server::unsubscribe),
    server("UNWATCH", 1, Server::unwatch_command),
    server("WATCH", -2, Server::watch),
    data("XACK", -4, streams::xack),
    data("XADD", -5, streams::xadd),
    data("XDEL", -3, streams::xdel),
    data("XGROUP", -2, streams::xgroup),
    data("XLEN", 2, streams::xlen),
    data("XPENDING", 3, streams::xpending),
    data("XRANGE", -4, streams::xrange),
    reading("XREAD", -4, streams::xread),
    reading("XREADGROUP", -7, streams::xreadgroup),
    data("XREVRANGE", -4, streams::xrevrange),
    data("ZADD", -4, sorted_sets::zadd),
    data("ZCARD", 2, sorted_sets::zcard),
    data("ZCOUNT", 4, sorted_sets::zcount),
    data("ZINCRBY", 4, sorted_sets::zincrby),
    data("ZLEXCOUNT", 4, sorted_sets::zlexcount),
    data("ZMSCORE", -3, sorted_sets::zmscore),
    data("ZPOPMAX", -2, sorted_sets::zpopmax),
    data("ZPOPMIN", -2, sorted_sets::zpopmin),
    data("ZRANGE", -4, sorted_sets::zrange),
    data("ZRANGEBYLEX", -4, sorted_sets::zrangebylex),
    data("ZRANGEBYSCORE", -4, sorted_sets::zrangebyscore),
    data("ZRANK", 3, sorted_sets::zrank),
    data("ZREM", -3, sorted_sets::zrem),
    data("ZREMRANGEBYLEX", 4, sorted_sets::zremrangebylex),
    data("ZREMRANGEBYRANK", 4, sorted_sets::zremrangebyrank),
    data("ZREMRANGEBYSCORE", 4, sorted_sets::zremrangebyscore),
    data("ZREVRANGE", -4, sorted_sets::zrevrange),
    data("ZREVRANGEBYLEX", -4, sorted_sets::zrevrangebylex),
    data("ZREVRANGEBYSCORE", -4, sorted_sets::zrevrangebyscore),
    data("ZREVRANK", 3, sorted_sets::zrevrank),
    data("ZSCAN", -3, sorted_sets::zscan),
    data("ZSCORE", 3, sorted_sets::zscore),
];

/// Longer than any name.
const MAX_NAME_LEN: usize = 20;

/// The command of the given name, in whatever case.
pub(super) fn find(name: &[u8]) -> Option<&'static Command> {
    let mut upper = [0; MAX_NAME_LEN];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    let index = COMMANDS.binary_search_by(|command| command.name.as_bytes().cmp(upper)).ok()?;
    Some(&COMMANDS[index])
}

pub(super) fn count() -> usize {
    COMMANDS.len()
}

/// What a RESP2 connection may say while it listens.
pub(super) fn allowed_while_listening(name: &str) -> bool {
    name.ends_with("SUBSCRIBE") || matches!(name, "PING" | "QUIT" | "RESET")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_in_order() {
        assert!(super::COMMANDS.is_sorted_by(|one, other| one.name < other.name));
    }

    /// What the Python framework diesel could say to a Redis, and so what a double of one has to know.
    #[test]
    fn the_operations_of_diesel_are_there() {
        let operations = "AUTH EXISTS DEL TYPE KEYS RANDOMKEY RENAME RENAMENX DBSIZE EXPIRE EXPIREAT TTL SELECT MOVE \
            FLUSHDB FLUSHALL MULTI EXEC DISCARD WATCH SET GET GETSET MGET SETNX SETEX MSET MSETNX INCR INCRBY DECR \
            DECRBY APPEND SUBSTR GETBIT SETBIT STRLEN RPUSH LPUSH LLEN LRANGE LTRIM LINDEX LSET LREM LPOP RPOP BLPOP \
            BRPOP RPOPLPUSH SADD SREM SPOP SMOVE SCARD SISMEMBER SINTER SINTERSTORE SUNION SUNIONSTORE SDIFF \
            SDIFFSTORE SMEMBERS SRANDMEMBER ZADD ZREM ZRANGE ZREVRANGE ZCARD ZSCORE ZINCRBY ZRANK ZREVRANK \
            ZRANGEBYSCORE ZCOUNT ZREMRANGEBYRANK ZREMRANGEBYSCORE HSET HGET HMSET HMGET HINCRBY HEXISTS HDEL HLEN \
            HKEYS HVALS HGETALL HSETNX SORT SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBLISH";
        for name in operations.split_whitespace() {
            assert!(super::find(name.as_bytes()).is_some(), "{name}");
            assert!(super::find(name.to_ascii_lowercase().as_bytes()).is_some(), "{name}");
        }
    }
}
