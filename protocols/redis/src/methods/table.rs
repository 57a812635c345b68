//! The table of all methods, by family: name, arguments, answer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Execute, ExecuteMut};
use crate::commands::{
    self, BitFieldOps, BitOperation, BitUnit, End, ExpireIf, Expiry, Extreme, GeoSearch, PendingSummary,
    Popped, Position, ScanOptions, Scanned, SetOptions, SortOptions, StreamEntries, StreamEntry,
    TrackingOptions, Trim, Ttl, Unit, XReadOptions, ZAddOptions, ZRangeOptions, ZStoreOptions,
};
use crate::{Arg, Reply};

methods! {
    shared: {
    // Strings.
    get(key: impl Arg) -> Option<Bytes>;
    set(key: impl Arg, value: impl Arg) -> ();
    set_with(key: impl Arg, value: impl Arg, options: SetOptions) -> bool;
    set_get(key: impl Arg, value: impl Arg, options: SetOptions) -> Option<Bytes>;
    setnx(key: impl Arg, value: impl Arg) -> bool;
    setex(key: impl Arg, seconds: u64, value: impl Arg) -> ();
    psetex(key: impl Arg, milliseconds: u64, value: impl Arg) -> ();
    getset(key: impl Arg, value: impl Arg) -> Option<Bytes>;
    getdel(key: impl Arg) -> Option<Bytes>;
    getex(key: impl Arg, expiry: Expiry) -> Option<Bytes>;
    mget(keys: impl IntoIterator<Item = impl Arg>) -> Vec<Option<Bytes>>;
    mset(pairs: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> ();
    msetnx(pairs: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> bool;
    incr(key: impl Arg) -> i64;
    incrby(key: impl Arg, by: i64) -> i64;
    incrbyfloat(key: impl Arg, by: f64) -> f64;
    decr(key: impl Arg) -> i64;
    decrby(key: impl Arg, by: i64) -> i64;
    append(key: impl Arg, value: impl Arg) -> usize;
    strlen(key: impl Arg) -> usize;
    getrange(key: impl Arg, start: i64, end: i64) -> Bytes;
    substr(key: impl Arg, start: i64, end: i64) -> Bytes;
    setrange(key: impl Arg, offset: usize, value: impl Arg) -> usize;
    lcs(one: impl Arg, other: impl Arg) -> Bytes;
    lcs_len(one: impl Arg, other: impl Arg) -> usize;
    // Keys.
    del(keys: impl IntoIterator<Item = impl Arg>) -> u64;
    unlink(keys: impl IntoIterator<Item = impl Arg>) -> u64;
    exists(key: impl Arg) -> bool;
    exists_many(keys: impl IntoIterator<Item = impl Arg>) -> u64;
    touch(keys: impl IntoIterator<Item = impl Arg>) -> u64;
    key_type(key: impl Arg) -> String;
    keys(pattern: impl Arg) -> BTreeSet<Bytes>;
    scan(cursor: u64, options: &ScanOptions) -> Scanned<Bytes>;
    randomkey() -> Option<Bytes>;
    rename(from: impl Arg, to: impl Arg) -> ();
    renamenx(from: impl Arg, to: impl Arg) -> bool;
    copy(from: impl Arg, to: impl Arg, replace: bool) -> bool;
    move_key(key: impl Arg, database: u32) -> bool;
    expire(key: impl Arg, seconds: i64) -> bool;
    expire_if(key: impl Arg, seconds: i64, condition: ExpireIf) -> bool;
    expireat(key: impl Arg, unix_seconds: i64) -> bool;
    pexpire(key: impl Arg, milliseconds: i64) -> bool;
    pexpireat(key: impl Arg, unix_milliseconds: i64) -> bool;
    persist(key: impl Arg) -> bool;
    ttl(key: impl Arg) -> Ttl;
    pttl(key: impl Arg) -> Ttl;
    expiretime(key: impl Arg) -> Ttl;
    pexpiretime(key: impl Arg) -> Ttl;
    dump(key: impl Arg) -> Option<Bytes>;
    restore(key: impl Arg, milliseconds: u64, dumped: impl Arg, replace: bool) -> ();
    object_encoding(key: impl Arg) -> Option<String>;
    object_refcount(key: impl Arg) -> Option<u64>;
    object_idletime(key: impl Arg) -> Option<u64>;
    object_freq(key: impl Arg) -> Option<u64>;
    object_help() -> Vec<String>;
    sort(key: impl Arg, options: &SortOptions) -> Vec<Option<Bytes>>;
    sort_ro(key: impl Arg, options: &SortOptions) -> Vec<Option<Bytes>>;
    sort_store(key: impl Arg, options: &SortOptions, to: impl Arg) -> usize;
    wait(replicas: u64, timeout: Option<Duration>) -> u64;
    waitaof(local: u64, replicas: u64, timeout: Option<Duration>) -> (u64, u64);
    migrate(
        host: impl Arg,
        port: u16,
        database: u32,
        timeout: Duration,
        keys: impl IntoIterator<Item = impl Arg>,
    ) -> bool;
    // Hashes.
    hset(key: impl Arg, field: impl Arg, value: impl Arg) -> bool;
    hset_many(key: impl Arg, pairs: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> u64;
    hmset(key: impl Arg, pairs: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> ();
    hsetnx(key: impl Arg, field: impl Arg, value: impl Arg) -> bool;
    hget(key: impl Arg, field: impl Arg) -> Option<Bytes>;
    hmget(key: impl Arg, fields: impl IntoIterator<Item = impl Arg>) -> Vec<Option<Bytes>>;
    hgetall(key: impl Arg) -> BTreeMap<Bytes, Bytes>;
    hdel(key: impl Arg, fields: impl IntoIterator<Item = impl Arg>) -> u64;
    hexists(key: impl Arg, field: impl Arg) -> bool;
    hlen(key: impl Arg) -> usize;
    hstrlen(key: impl Arg, field: impl Arg) -> usize;
    hkeys(key: impl Arg) -> BTreeSet<Bytes>;
    hvals(key: impl Arg) -> Vec<Bytes>;
    hincrby(key: impl Arg, field: impl Arg, by: i64) -> i64;
    hincrbyfloat(key: impl Arg, field: impl Arg, by: f64) -> f64;
    hrandfield(key: impl Arg) -> Option<Bytes>;
    hrandfield_count(key: impl Arg, count: i64) -> Vec<Bytes>;
    hrandfield_withvalues(key: impl Arg, count: i64) -> Vec<(Bytes, Bytes)>;
    hscan(key: impl Arg, cursor: u64, options: &ScanOptions) -> Scanned<(Bytes, Bytes)>;
    hexpire(
        key: impl Arg,
        seconds: u64,
        condition: Option<ExpireIf>,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<i64>;
    hpexpire(
        key: impl Arg,
        milliseconds: u64,
        condition: Option<ExpireIf>,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<i64>;
    hexpireat(
        key: impl Arg,
        unix_seconds: u64,
        condition: Option<ExpireIf>,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<i64>;
    hpexpireat(
        key: impl Arg,
        unix_milliseconds: u64,
        condition: Option<ExpireIf>,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<i64>;
    hpersist(
        key: impl Arg,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<i64>;
    httl(
        key: impl Arg,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<Ttl>;
    hpttl(
        key: impl Arg,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<Ttl>;
    hexpiretime(
        key: impl Arg,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<Ttl>;
    hpexpiretime(
        key: impl Arg,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<Ttl>;
    hgetdel(
        key: impl Arg,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<Option<Bytes>>;
    hgetex(
        key: impl Arg,
        expiry: Expiry,
        fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<Option<Bytes>>;
    hsetex(
        key: impl Arg,
        expiry: Expiry,
        pairs: impl IntoIterator<Item = (impl Arg, impl Arg), IntoIter: ExactSizeIterator>,
    ) -> bool;
    // Lists.
    lpush(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> usize;
    rpush(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> usize;
    lpushx(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> usize;
    rpushx(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> usize;
    lpop(key: impl Arg) -> Option<Bytes>;
    lpop_count(key: impl Arg, count: usize) -> Option<Vec<Bytes>>;
    rpop(key: impl Arg) -> Option<Bytes>;
    rpop_count(key: impl Arg, count: usize) -> Option<Vec<Bytes>>;
    llen(key: impl Arg) -> usize;
    lrange(key: impl Arg, start: i64, end: i64) -> Vec<Bytes>;
    ltrim(key: impl Arg, start: i64, end: i64) -> ();
    lindex(key: impl Arg, index: i64) -> Option<Bytes>;
    lset(key: impl Arg, index: i64, element: impl Arg) -> ();
    lrem(key: impl Arg, count: i64, element: impl Arg) -> usize;
    linsert_before(key: impl Arg, pivot: impl Arg, element: impl Arg) -> i64;
    linsert_after(key: impl Arg, pivot: impl Arg, element: impl Arg) -> i64;
    lpos(key: impl Arg, element: impl Arg) -> Option<u64>;
    lpos_all(key: impl Arg, element: impl Arg, count: u64) -> Vec<u64>;
    lmove(from: impl Arg, to: impl Arg, take: End, put: End) -> Option<Bytes>;
    lmpop(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        end: End,
        count: u64,
    ) -> Option<(Bytes, Vec<Bytes>)>;
    rpoplpush(from: impl Arg, to: impl Arg) -> Option<Bytes>;
    blpop(keys: impl IntoIterator<Item = impl Arg>, timeout: Option<Duration>) -> Option<(Bytes, Bytes)>;
    brpop(keys: impl IntoIterator<Item = impl Arg>, timeout: Option<Duration>) -> Option<(Bytes, Bytes)>;
    brpoplpush(from: impl Arg, to: impl Arg, timeout: Option<Duration>) -> Option<Bytes>;
    blmove(from: impl Arg, to: impl Arg, take: End, put: End, timeout: Option<Duration>) -> Option<Bytes>;
    blmpop(
        timeout: Option<Duration>,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        end: End,
        count: u64,
    ) -> Option<(Bytes, Vec<Bytes>)>;
    // Sets.
    sadd(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> u64;
    srem(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> u64;
    smembers(key: impl Arg) -> BTreeSet<Bytes>;
    scard(key: impl Arg) -> usize;
    sismember(key: impl Arg, member: impl Arg) -> bool;
    smismember(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Vec<bool>;
    smove(from: impl Arg, to: impl Arg, member: impl Arg) -> bool;
    spop(key: impl Arg) -> Option<Bytes>;
    spop_count(key: impl Arg, count: usize) -> BTreeSet<Bytes>;
    srandmember(key: impl Arg) -> Option<Bytes>;
    srandmember_count(key: impl Arg, count: i64) -> Vec<Bytes>;
    sinter(keys: impl IntoIterator<Item = impl Arg>) -> BTreeSet<Bytes>;
    sinterstore(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> usize;
    sintercard(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        limit: Option<u64>,
    ) -> usize;
    sunion(keys: impl IntoIterator<Item = impl Arg>) -> BTreeSet<Bytes>;
    sunionstore(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> usize;
    sdiff(keys: impl IntoIterator<Item = impl Arg>) -> BTreeSet<Bytes>;
    sdiffstore(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> usize;
    sscan(key: impl Arg, cursor: u64, options: &ScanOptions) -> Scanned<Bytes>;
    // Sorted sets.
    zadd(key: impl Arg, scored_members: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> u64;
    zadd_with(
        key: impl Arg,
        options: &ZAddOptions,
        scored_members: impl IntoIterator<Item = (impl Arg, impl Arg)>,
    ) -> u64;
    zadd_incr(key: impl Arg, options: &ZAddOptions, by: f64, member: impl Arg) -> Option<f64>;
    zincrby(key: impl Arg, by: f64, member: impl Arg) -> f64;
    zrem(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> u64;
    zcard(key: impl Arg) -> usize;
    zscore(key: impl Arg, member: impl Arg) -> Option<f64>;
    zmscore(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Vec<Option<f64>>;
    zrank(key: impl Arg, member: impl Arg) -> Option<u64>;
    zrevrank(key: impl Arg, member: impl Arg) -> Option<u64>;
    zrank_withscore(key: impl Arg, member: impl Arg) -> Option<(u64, f64)>;
    zrevrank_withscore(key: impl Arg, member: impl Arg) -> Option<(u64, f64)>;
    zcount(key: impl Arg, min: impl Arg, max: impl Arg) -> usize;
    zlexcount(key: impl Arg, min: impl Arg, max: impl Arg) -> usize;
    zrange(key: impl Arg, start: i64, end: i64) -> Vec<Bytes>;
    zrange_withscores(key: impl Arg, start: i64, end: i64) -> Vec<(Bytes, f64)>;
    zrange_with(key: impl Arg, start: impl Arg, end: impl Arg, options: &ZRangeOptions) -> Vec<Bytes>;
    zrange_with_withscores(
        key: impl Arg,
        start: impl Arg,
        end: impl Arg,
        options: &ZRangeOptions,
    ) -> Vec<(Bytes, f64)>;
    zrangestore(
        to: impl Arg,
        key: impl Arg,
        start: impl Arg,
        end: impl Arg,
        options: &ZRangeOptions,
    ) -> usize;
    zrevrange(key: impl Arg, start: i64, end: i64) -> Vec<Bytes>;
    zrevrange_withscores(key: impl Arg, start: i64, end: i64) -> Vec<(Bytes, f64)>;
    zremrangebyrank(key: impl Arg, start: i64, end: i64) -> u64;
    zremrangebyscore(key: impl Arg, min: impl Arg, max: impl Arg) -> u64;
    zremrangebylex(key: impl Arg, min: impl Arg, max: impl Arg) -> u64;
    zpopmin(key: impl Arg, count: u64) -> Vec<(Bytes, f64)>;
    zpopmax(key: impl Arg, count: u64) -> Vec<(Bytes, f64)>;
    bzpopmin(
        keys: impl IntoIterator<Item = impl Arg>,
        timeout: Option<Duration>,
    ) -> Option<(Bytes, Bytes, f64)>;
    bzpopmax(
        keys: impl IntoIterator<Item = impl Arg>,
        timeout: Option<Duration>,
    ) -> Option<(Bytes, Bytes, f64)>;
    zmpop(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        extreme: Extreme,
        count: u64,
    ) -> Option<Popped>;
    bzmpop(
        timeout: Option<Duration>,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        extreme: Extreme,
        count: u64,
    ) -> Option<Popped>;
    zrandmember(key: impl Arg) -> Option<Bytes>;
    zrandmember_count(key: impl Arg, count: i64) -> Vec<Bytes>;
    zrandmember_withscores(key: impl Arg, count: i64) -> Vec<(Bytes, f64)>;
    zunion(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        options: &ZStoreOptions,
    ) -> Vec<Bytes>;
    zunion_withscores(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        options: &ZStoreOptions,
    ) -> Vec<(Bytes, f64)>;
    zunionstore(
        to: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        options: &ZStoreOptions,
    ) -> usize;
    zinter(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        options: &ZStoreOptions,
    ) -> Vec<Bytes>;
    zinter_withscores(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        options: &ZStoreOptions,
    ) -> Vec<(Bytes, f64)>;
    zinterstore(
        to: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        options: &ZStoreOptions,
    ) -> usize;
    zintercard(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        limit: Option<u64>,
    ) -> usize;
    zdiff(keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>) -> Vec<Bytes>;
    zdiff_withscores(
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> Vec<(Bytes, f64)>;
    zdiffstore(
        to: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    ) -> usize;
    zscan(key: impl Arg, cursor: u64, options: &ScanOptions) -> Scanned<(Bytes, f64)>;
    zrangebyscore(key: impl Arg, min: impl Arg, max: impl Arg, skip_take: Option<(u64, i64)>) -> Vec<Bytes>;
    zrangebyscore_withscores(
        key: impl Arg,
        min: impl Arg,
        max: impl Arg,
        skip_take: Option<(u64, i64)>,
    ) -> Vec<(Bytes, f64)>;
    zrevrangebyscore(
        key: impl Arg,
        max: impl Arg,
        min: impl Arg,
        skip_take: Option<(u64, i64)>,
    ) -> Vec<Bytes>;
    zrevrangebyscore_withscores(
        key: impl Arg,
        max: impl Arg,
        min: impl Arg,
        skip_take: Option<(u64, i64)>,
    ) -> Vec<(Bytes, f64)>;
    zrangebylex(key: impl Arg, min: impl Arg, max: impl Arg, skip_take: Option<(u64, i64)>) -> Vec<Bytes>;
    zrevrangebylex(
        key: impl Arg,
        max: impl Arg,
        min: impl Arg,
        skip_take: Option<(u64, i64)>,
    ) -> Vec<Bytes>;
    // Streams.
    xread(
        names_and_ids: impl IntoIterator<Item = (impl Arg, impl Arg)>,
        options: &XReadOptions,
    ) -> StreamEntries;
    xreadgroup(
        group: impl Arg,
        consumer: impl Arg,
        names_and_ids: impl IntoIterator<Item = (impl Arg, impl Arg)>,
        options: &XReadOptions,
    ) -> StreamEntries;
    xclaim(
        key: impl Arg,
        group: impl Arg,
        consumer: impl Arg,
        idle: Duration,
        ids: impl IntoIterator<Item = impl Arg>,
    ) -> Vec<StreamEntry>;
    xclaim_justid(
        key: impl Arg,
        group: impl Arg,
        consumer: impl Arg,
        idle: Duration,
        ids: impl IntoIterator<Item = impl Arg>,
    ) -> Vec<String>;
    xautoclaim(
        key: impl Arg,
        group: impl Arg,
        consumer: impl Arg,
        idle: Duration,
        start: impl Arg,
        count: Option<u64>,
    ) -> (String, Vec<StreamEntry>);
    xadd(key: impl Arg, id: impl Arg, fields: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> String;
    xadd_trimming(
        key: impl Arg,
        trim: &Trim,
        id: impl Arg,
        fields: impl IntoIterator<Item = (impl Arg, impl Arg)>,
    ) -> String;
    xadd_existing(
        key: impl Arg,
        id: impl Arg,
        fields: impl IntoIterator<Item = (impl Arg, impl Arg)>,
    ) -> Option<String>;
    xlen(key: impl Arg) -> usize;
    xrange(key: impl Arg, start: impl Arg, end: impl Arg, count: Option<u64>) -> Vec<StreamEntry>;
    xrevrange(key: impl Arg, end: impl Arg, start: impl Arg, count: Option<u64>) -> Vec<StreamEntry>;
    xdel(key: impl Arg, ids: impl IntoIterator<Item = impl Arg>) -> u64;
    xtrim(key: impl Arg, trim: &Trim) -> u64;
    xsetid(key: impl Arg, last_id: impl Arg) -> ();
    xack(key: impl Arg, group: impl Arg, ids: impl IntoIterator<Item = impl Arg>) -> u64;
    xgroup_create(key: impl Arg, group: impl Arg, id: impl Arg, make_stream: bool) -> ();
    xgroup_setid(key: impl Arg, group: impl Arg, id: impl Arg) -> ();
    xgroup_destroy(key: impl Arg, group: impl Arg) -> bool;
    xgroup_createconsumer(key: impl Arg, group: impl Arg, consumer: impl Arg) -> bool;
    xgroup_delconsumer(key: impl Arg, group: impl Arg, consumer: impl Arg) -> u64;
    xgroup_help() -> Vec<String>;
    xpending(key: impl Arg, group: impl Arg) -> PendingSummary;
    xpending_range(
        key: impl Arg,
        group: impl Arg,
        start: impl Arg,
        end: impl Arg,
        count: u64,
        consumer: Option<&str>,
    ) -> Vec<(String, Bytes, u64, u64)>;
    xinfo_stream(key: impl Arg) -> BTreeMap<String, Reply>;
    xinfo_groups(key: impl Arg) -> Vec<BTreeMap<String, Reply>>;
    xinfo_consumers(key: impl Arg, group: impl Arg) -> Vec<BTreeMap<String, Reply>>;
    xinfo_help() -> Vec<String>;
    // Geo.
    geoadd(key: impl Arg, members: impl IntoIterator<Item = (Position, impl Arg)>) -> u64;
    geodist(key: impl Arg, one: impl Arg, other: impl Arg, unit: Unit) -> Option<f64>;
    geohash(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Vec<Option<String>>;
    geopos(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Vec<Option<Position>>;
    geosearch(key: impl Arg, search: &GeoSearch) -> Vec<Bytes>;
    geosearch_withdist(key: impl Arg, search: &GeoSearch) -> Vec<(Bytes, f64)>;
    geosearch_withcoord(key: impl Arg, search: &GeoSearch) -> Vec<(Bytes, Position)>;
    geosearchstore(to: impl Arg, key: impl Arg, search: &GeoSearch, distances: bool) -> usize;
    georadius(key: impl Arg, longitude: f64, latitude: f64, radius: f64, unit: Unit) -> Vec<Bytes>;
    georadius_ro(key: impl Arg, longitude: f64, latitude: f64, radius: f64, unit: Unit) -> Vec<Bytes>;
    georadiusbymember(key: impl Arg, member: impl Arg, radius: f64, unit: Unit) -> Vec<Bytes>;
    georadiusbymember_ro(key: impl Arg, member: impl Arg, radius: f64, unit: Unit) -> Vec<Bytes>;
    // Hyperloglog.
    pfadd(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> bool;
    pfcount(keys: impl IntoIterator<Item = impl Arg>) -> u64;
    pfmerge(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> ();
    // Bitmaps.
    getbit(key: impl Arg, offset: u64) -> bool;
    setbit(key: impl Arg, offset: u64, bit: bool) -> bool;
    bitcount(key: impl Arg) -> u64;
    bitcount_range(key: impl Arg, start: i64, end: i64, unit: BitUnit) -> u64;
    bitop(operation: BitOperation, to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> u64;
    bitpos(key: impl Arg, bit: bool) -> i64;
    bitpos_range(key: impl Arg, bit: bool, start: i64, end: i64, unit: BitUnit) -> i64;
    bitfield(key: impl Arg, ops: &BitFieldOps) -> Vec<Option<i64>>;
    bitfield_ro(key: impl Arg, ops: &BitFieldOps) -> Vec<Option<i64>>;
    // Scripting.
    eval(
        script: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Reply;
    eval_ro(
        script: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Reply;
    evalsha(
        sha1: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Reply;
    evalsha_ro(
        sha1: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Reply;
    script_load(script: impl Arg) -> String;
    script_exists(sha1s: impl IntoIterator<Item = impl Arg>) -> Vec<bool>;
    script_flush() -> ();
    script_kill() -> ();
    script_show(sha1: impl Arg) -> String;
    script_debug(mode: impl Arg) -> ();
    script_help() -> Vec<String>;
    fcall(
        function: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Reply;
    fcall_ro(
        function: impl Arg,
        keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Reply;
    function_load(replace: bool, code: impl Arg) -> String;
    function_delete(library: impl Arg) -> ();
    function_dump() -> Bytes;
    function_restore(dumped: impl Arg) -> ();
    function_flush() -> ();
    function_kill() -> ();
    function_list() -> Vec<BTreeMap<String, Reply>>;
    function_stats() -> BTreeMap<String, Reply>;
    function_help() -> Vec<String>;
    // Pubsub.
    publish(channel: impl Arg, message: impl Arg) -> u64;
    spublish(channel: impl Arg, message: impl Arg) -> u64;
    pubsub_channels(pattern: Option<&str>) -> Vec<Bytes>;
    pubsub_numsub(channels: impl IntoIterator<Item = impl Arg>) -> Vec<(Bytes, u64)>;
    pubsub_numpat() -> u64;
    pubsub_shardchannels(pattern: Option<&str>) -> Vec<Bytes>;
    pubsub_shardnumsub(channels: impl IntoIterator<Item = impl Arg>) -> Vec<(Bytes, u64)>;
    pubsub_help() -> Vec<String>;
    // Server.
    dbsize() -> u64;
    flushdb() -> ();
    flushall() -> ();
    swapdb(one: u32, other: u32) -> ();
    info(section: Option<&str>) -> String;
    time() -> (u64, u32);
    lastsave() -> u64;
    save() -> ();
    bgsave() -> String;
    bgrewriteaof() -> String;
    shutdown(mode: Option<&str>) -> ();
    role() -> Reply;
    replicaof(host: impl Arg, port: impl Arg) -> ();
    slaveof(host: impl Arg, port: impl Arg) -> ();
    failover(options: impl IntoIterator<Item = impl Arg>) -> ();
    lolwut() -> String;
    command_count() -> u64;
    command_all() -> Vec<Reply>;
    command_docs(names: impl IntoIterator<Item = impl Arg>) -> BTreeMap<String, Reply>;
    command_info(names: impl IntoIterator<Item = impl Arg>) -> Vec<Option<Reply>>;
    command_list() -> Vec<String>;
    command_getkeys(command: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> Vec<String>;
    command_getkeysandflags(
        command: impl Arg,
        args: impl IntoIterator<Item = impl Arg>,
    ) -> Vec<(String, Vec<String>)>;
    command_help() -> Vec<String>;
    config_get(patterns: impl IntoIterator<Item = impl Arg>) -> BTreeMap<String, String>;
    config_set(settings: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> ();
    config_resetstat() -> ();
    config_rewrite() -> ();
    config_help() -> Vec<String>;
    slowlog_get(count: Option<i64>) -> Vec<Reply>;
    slowlog_len() -> u64;
    slowlog_reset() -> ();
    slowlog_help() -> Vec<String>;
    memory_usage(key: impl Arg, samples: Option<u64>) -> Option<u64>;
    memory_stats() -> BTreeMap<String, Reply>;
    memory_doctor() -> String;
    memory_malloc_stats() -> String;
    memory_purge() -> ();
    memory_help() -> Vec<String>;
    latency_doctor() -> String;
    latency_graph(event: impl Arg) -> String;
    latency_histogram(commands: impl IntoIterator<Item = impl Arg>) -> BTreeMap<String, Reply>;
    latency_history(event: impl Arg) -> Vec<(u64, u64)>;
    latency_latest() -> Vec<(String, u64, u64, u64)>;
    latency_reset(events: impl IntoIterator<Item = impl Arg>) -> u64;
    latency_help() -> Vec<String>;
    module_list() -> Vec<BTreeMap<String, Reply>>;
    module_load(path: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> ();
    module_loadex(path: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> ();
    module_unload(name: impl Arg) -> ();
    module_help() -> Vec<String>;
    // Acl.
    acl_cat() -> Vec<String>;
    acl_cat_of(category: impl Arg) -> Vec<String>;
    acl_deluser(users: impl IntoIterator<Item = impl Arg>) -> u64;
    acl_dryrun(user: impl Arg, command: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> String;
    acl_genpass(bits: Option<u32>) -> String;
    acl_getuser(user: impl Arg) -> Option<BTreeMap<String, Reply>>;
    acl_list() -> Vec<String>;
    acl_load() -> ();
    acl_log(count: Option<u64>) -> Vec<BTreeMap<String, Reply>>;
    acl_log_reset() -> ();
    acl_save() -> ();
    acl_setuser(user: impl Arg, rules: impl IntoIterator<Item = impl Arg>) -> ();
    acl_users() -> Vec<String>;
    acl_whoami() -> String;
    acl_help() -> Vec<String>;
    // Connection.
    client_pause(time: Duration, writes_only: bool) -> ();
    ping() -> String;
    ping_with(message: impl Arg) -> Bytes;
    echo(message: impl Arg) -> Bytes;
    client_id() -> u64;
    client_getname() -> Option<String>;
    client_info() -> String;
    client_list() -> String;
    client_kill(address: impl Arg) -> ();
    client_kill_id(id: u64) -> u64;
    client_unblock(id: u64) -> bool;
    client_unpause() -> ();
    client_getredir() -> i64;
    client_trackinginfo() -> BTreeMap<String, Reply>;
    client_help() -> Vec<String>;
    }
    alone: {
    auth(password: impl Arg) -> ();
    auth_as(user: impl Arg, password: impl Arg) -> ();
    select(database: u32) -> ();
    hello(version: u8) -> BTreeMap<String, Reply>;
    quit() -> ();
    reset() -> String;
    client_setname(name: impl Arg) -> ();
    client_setinfo(attribute: impl Arg, value: impl Arg) -> ();
    client_reply(mode: impl Arg) -> ();
    client_no_evict(mode: impl Arg) -> ();
    client_no_touch(mode: impl Arg) -> ();
    client_capa(capabilities: impl IntoIterator<Item = impl Arg>) -> ();
    client_caching(answer: impl Arg) -> ();
    client_tracking_on(options: &TrackingOptions) -> ();
    client_tracking_off() -> ();
    multi() -> ();
    exec() -> Option<Reply>;
    discard() -> ();
    watch(keys: impl IntoIterator<Item = impl Arg>) -> ();
    unwatch() -> ();
    }
}
