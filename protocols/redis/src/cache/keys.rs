//! Which keys a command reads.

use alloc::vec::Vec;

/// Where the keys are among a command's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// The first argument alone.
    First,
    /// Every argument.
    All,
}

use Keys::{All, First};

/// Commands whose answer depends on these keys and on nothing else: not on the time, not on chance, not on a cursor. In the order of their
/// names.
const COMMANDS: [(&str, Keys); 54] = [
    ("BITCOUNT", First),
    ("BITFIELD_RO", First),
    ("BITPOS", First),
    ("EXISTS", All),
    ("EXPIRETIME", First),
    ("GEODIST", First),
    ("GEOHASH", First),
    ("GEOPOS", First),
    ("GEORADIUSBYMEMBER_RO", First),
    ("GEORADIUS_RO", First),
    ("GEOSEARCH", First),
    ("GET", First),
    ("GETBIT", First),
    ("GETRANGE", First),
    ("HEXISTS", First),
    ("HGET", First),
    ("HGETALL", First),
    ("HKEYS", First),
    ("HLEN", First),
    ("HMGET", First),
    ("HSTRLEN", First),
    ("HVALS", First),
    ("LINDEX", First),
    ("LLEN", First),
    ("LPOS", First),
    ("LRANGE", First),
    ("MGET", All),
    ("PEXPIRETIME", First),
    ("SCARD", First),
    ("SDIFF", All),
    ("SINTER", All),
    ("SISMEMBER", First),
    ("SMEMBERS", First),
    ("SMISMEMBER", First),
    ("STRLEN", First),
    ("SUBSTR", First),
    ("SUNION", All),
    ("TYPE", First),
    ("XLEN", First),
    ("XRANGE", First),
    ("XREVRANGE", First),
    ("ZCARD", First),
    ("ZCOUNT", First),
    ("ZLEXCOUNT", First),
    ("ZMSCORE", First),
    ("ZRANGE", First),
    ("ZRANGEBYLEX", First),
    ("ZRANGEBYSCORE", First),
    ("ZRANK", First),
    ("ZREVRANGE", First),
    ("ZREVRANGEBYLEX", First),
    ("ZREVRANGEBYSCORE", First),
    ("ZREVRANK", First),
    ("ZSCORE", First),
];

impl Keys {
    fn of_name(name: &[u8]) -> Option<Self> {
        let found = COMMANDS.binary_search_by(|(word, _)| {
            let upper = name.iter().map(u8::to_ascii_uppercase);
            word.bytes().cmp(upper)
        });
        found.ok().map(|at| COMMANDS[at].1)
    }

    /// The keys that a command of these arguments, its name first, reads; `None` if its answer depends on more than keys, or that is not known.
    pub(crate) fn of<'a>(mut arguments: impl Iterator<Item = &'a [u8]>) -> Option<Vec<&'a [u8]>> {
        Some(match Self::of_name(arguments.next()?)? {
            First => arguments.take(1).collect(),
            All => arguments.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn keys_are_where_the_table_says() {
        let of = |words: &[&'static str]| Keys::of(words.iter().map(|word| word.as_bytes()));
        assert_eq!(of(&["get", "k"]), Some([&b"k"[..]].into()));
        assert_eq!(of(&["HGET", "k", "f"]), Some([&b"k"[..]].into()));
        assert_eq!(of(&["MGET", "a", "b"]), Some([&b"a"[..], b"b"].into()));
        assert_eq!(of(&["SRANDMEMBER", "a"]), None);
        assert_eq!(of(&["TTL", "a"]), None);
    }
}
