use alloc::format;
use alloc::vec;

use glowplug_core::{Progress, RequestProtocol as _, SendBuf, StreamProtocol as _, Token};

use super::*;
use crate::{ClientConfig, ClientConnection, Event, Pipeline, commands};
use bytes::BytesMut;

const NOW: Instant = Instant::ZERO;
const HELLO: &str = "%1\r\n+proto\r\n:3\r\n";

/// A connection whose handshake is done, and that was told that its server tracks.
struct Conversation {
    connection: ClientConnection,
    input: BytesMut,
    next: u64,
}

impl Conversation {
    fn new(config: CacheConfig) -> Self {
        Self::answered(config, &format!("{HELLO}+OK\r\n"))
    }

    fn answered(config: CacheConfig, handshake: &str) -> Self {
        let config = ClientConfig::new().set_info(false).cache(Some(config));
        let connection = ClientConnection::new(NOW, config);
        let mut conversation = Self { connection, input: BytesMut::new(), next: 0 };
        conversation.shake(handshake);
        conversation
    }

    fn shake(&mut self, handshake: &str) {
        self.sent();
        self.input.extend_from_slice(handshake.as_bytes());
        assert!(matches!(self.poll(), Some(Event::Connected { .. })));
    }

    fn poll(&mut self) -> Option<Event> {
        self.connection.poll_event(NOW, &mut self.input).expect("no error")
    }

    fn sent(&mut self) -> Bytes {
        let mut out = SendBuf::new();
        self.connection.poll_transmit(NOW, &mut out);
        out.take_all()
    }

    fn submit(&mut self, request: impl Into<Request>) -> Token {
        self.next += 1;
        let token = Token(self.next);
        self.connection.submit(NOW, token, request.into()).expect("there is room");
        token
    }

    fn read(&mut self, key: &str) -> Token {
        self.submit(get(key).cacheable())
    }

    /// What the server says, and how many answers come of it.
    fn told(&mut self, text: &str) -> usize {
        self.sent();
        self.input.extend_from_slice(text.as_bytes());
        let mut answers = 0;
        while let Some(event) = self.poll() {
            assert!(matches!(event, Event::Answer(_)), "{event:?}");
            answers += 1;
        }
        answers
    }

    fn has(&mut self, key: &str) -> bool {
        self.connection.cached(NOW, &get(key)).is_some()
    }

    fn stats(&self) -> CacheStats {
        self.connection.cache_stats().expect("there is a cache")
    }
}

fn get(key: &str) -> Command {
    commands::get(key).into_parts().0
}

fn invalidate(key: &str) -> alloc::string::String {
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len())
}

#[test]
fn what_was_read_is_kept_until_it_changes() {
    let mut conversation = Conversation::new(CacheConfig::new());
    conversation.read("a");
    conversation.read("b");
    assert!(!conversation.has("a"), "it is on its way");
    assert_eq!(conversation.told("$1\r\n1\r\n_\r\n"), 2);
    assert_eq!(conversation.connection.cached(NOW, &get("a")), Some(Reply::Bulk("1".into())));
    assert_eq!(
        conversation.connection.cached(NOW, &get("b")),
        Some(Reply::Null),
        "nothing is an answer, too"
    );
    assert_eq!(conversation.told(&invalidate("a")), 0);
    assert!(!conversation.has("a") && conversation.has("b"));
    conversation.told(">2\r\n$10\r\ninvalidate\r\n_\r\n");
    assert!(!conversation.has("b"), "all keys");
    let CacheStats { tracking, entries, bytes, hits, misses, invalidated, evicted } = conversation.stats();
    assert_eq!((tracking, entries, bytes, hits, misses, invalidated, evicted), (true, 0, 0, 3, 2, 2, 0));
}

#[test]
fn a_change_that_overtakes_the_answer_counts() {
    let mut conversation = Conversation::new(CacheConfig::new());
    conversation.read("a");
    assert_eq!(conversation.told(&format!("{}$3\r\nold\r\n", invalidate("a"))), 1);
    assert!(!conversation.has("a"), "the server read it before it changed");
    // One that went out before the change, and one after.
    conversation.read("a");
    conversation.told(&invalidate("a"));
    conversation.read("a");
    conversation.told("$3\r\nold\r\n");
    assert!(!conversation.has("a"));
    conversation.told("$3\r\nnew\r\n");
    assert_eq!(conversation.connection.cached(NOW, &get("a")), Some(Reply::Bulk("new".into())));
    // The same for all keys.
    conversation.read("b");
    conversation.told(">2\r\n$10\r\ninvalidate\r\n_\r\n");
    conversation.told("$3\r\nold\r\n");
    assert!(!conversation.has("b"));
    conversation.read("b");
    conversation.told("$3\r\nnew\r\n");
    assert!(conversation.has("b"));
}

#[test]
fn what_is_written_here_is_not_read_from_here() {
    let mut conversation = Conversation::new(CacheConfig::new());
    let write = |conversation: &mut Conversation, request: Request| {
        for key in ["a", "b"] {
            conversation.read(key);
        }
        conversation.told("$1\r\n1\r\n$1\r\n1\r\n");
        conversation.read("a");
        conversation.submit(request);
        let kept = (conversation.has("a"), conversation.has("b"));
        conversation.told("$1\r\n1\r\n");
        assert!(!conversation.has("a"), "read before the write");
        conversation.connection.clear_cache();
        kept
    };
    let set = || commands::set("a", "2").into_parts().0;
    assert_eq!(write(&mut conversation, set().into()), (false, true));
    conversation.told("+OK\r\n");
    let long = commands::mset([
        (Bytes::from(vec![b'x'; 5000]), Bytes::from(vec![b'x'; 5000])),
        ("a".into(), "".into()),
    ]);
    assert_eq!(write(&mut conversation, long.into()), (false, true));
    conversation.told("+OK\r\n");
    let pipeline = Pipeline::new().with(commands::del(["c"])).with(set());
    assert_eq!(write(&mut conversation, pipeline.into()), (false, true));
    conversation.told(":0\r\n+OK\r\n");
    for all in [Command::new("flushall"), Command::new("SELECT").arg(1)] {
        assert_eq!(write(&mut conversation, all.into()), (false, false));
        conversation.told("+OK\r\n");
    }
    assert_eq!(write(&mut conversation, Command::new("RESET").into()), (false, false));
    conversation.told("+OK\r\n");
    conversation.read("a");
    conversation.told("$1\r\n1\r\n");
    assert!(!conversation.has("a"), "the server tells no more");
}

#[test]
fn the_end_of_a_transport_is_the_end_of_what_is_kept() {
    let mut conversation = Conversation::new(CacheConfig::new());
    conversation.read("a");
    conversation.told("$1\r\n1\r\n");
    let lost = conversation.read("lost");
    conversation.sent();
    conversation.read("stays");
    assert_eq!(conversation.connection.handle_disconnect(NOW), [(lost, Progress::FullySent)]);
    conversation.input.clear();
    assert!(!conversation.has("a"));
    conversation.connection.handle_reconnect(NOW);
    conversation.shake(&format!("{HELLO}+OK\r\n"));
    assert!(!conversation.has("a"));
    assert_eq!(conversation.told("$1\r\n1\r\n"), 1);
    assert!(conversation.has("stays"));
    assert_eq!((conversation.stats().entries, conversation.stats().misses), (1, 3));
}

#[test]
fn a_server_that_does_not_track_is_asked_each_time() {
    for handshake in
        [format!("{HELLO}-ERR unknown subcommand\r\n"), "-ERR unknown command 'HELLO'\r\n+OK\r\n".into()]
    {
        let mut conversation = Conversation::answered(CacheConfig::new(), &handshake);
        conversation.read("a");
        conversation.told("$1\r\n1\r\n");
        assert!(!conversation.has("a") && !conversation.stats().tracking, "{handshake}");
    }
}

#[test]
fn no_more_is_kept_than_was_said() {
    let mut conversation = Conversation::new(CacheConfig::new().max_entries(3));
    for key in ["a", "b", "c", "d"] {
        conversation.read(key);
        conversation.told("$1\r\n1\r\n");
        assert!(conversation.has("a"), "it is used all the time");
    }
    assert!(!conversation.has("b"), "the one that was not used for longest");
    assert_eq!((conversation.stats().entries, conversation.stats().evicted), (3, 1));

    let mut conversation = Conversation::new(CacheConfig::new().max_bytes(4096));
    for number in 0..100 {
        conversation.read(&format!("key {number}"));
        conversation.told(&format!("$1000\r\n{}\r\n", "x".repeat(1000)));
        assert!(conversation.stats().bytes <= 4096);
    }
    assert_eq!((conversation.stats().entries, conversation.stats().evicted), (3, 97));
    conversation.read("long");
    conversation.told(&format!("$5000\r\n{}\r\n", "x".repeat(5000)));
    assert!(!conversation.has("long") && conversation.stats().entries == 3, "too large for all of it");
}

#[test]
fn what_is_old_is_asked_for_again() {
    let mut conversation = Conversation::new(CacheConfig::new().max_age(Some(Duration::from_secs(1))));
    conversation.read("a");
    conversation.told("$1\r\n1\r\n");
    let later = NOW + Duration::from_millis(999);
    assert!(conversation.connection.cached(later, &get("a")).is_some());
    assert!(conversation.connection.cached(NOW + Duration::from_secs(1), &get("a")).is_none());
    assert_eq!((conversation.stats().entries, conversation.stats().bytes), (0, 0));
}

#[test]
fn with_prefixes_only_what_the_server_tells_of_is_kept() {
    let config = CacheConfig::new().broadcast(["user:", "price:"]);
    let words = [&b"CLIENT"[..], b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"user:", b"PREFIX", b"price:"];
    assert!(config.tracking().arguments().eq(words));
    let mut conversation = Conversation::new(config);
    conversation.read("user:1");
    conversation.read("other");
    conversation.submit(commands::mget(["user:1", "other"]).into_parts().0.cacheable());
    conversation.submit(commands::mget(["user:1", "price:1"]).into_parts().0.cacheable());
    conversation.told("$1\r\n1\r\n$1\r\n1\r\n*2\r\n$1\r\n1\r\n_\r\n*2\r\n$1\r\n1\r\n_\r\n");
    assert!(conversation.has("user:1") && !conversation.has("other"));
    assert_eq!(conversation.stats().entries, 2);
    conversation.told(&invalidate("price:1"));
    assert_eq!(conversation.stats().entries, 1);
}

#[test]
fn requests_that_were_never_sent_are_forgotten() {
    let mut conversation = Conversation::new(CacheConfig::new());
    let token = conversation.read("a");
    conversation.connection.cancel(token);
    assert!(conversation.sent().is_empty());
    let cache = conversation.connection_cache();
    assert!(cache.awaited.is_empty());
}

impl Conversation {
    fn connection_cache(&self) -> &Cache {
        self.connection.cache.as_ref().expect("there is a cache")
    }
}
