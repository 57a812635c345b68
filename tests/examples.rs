//! The examples of services tell their stories, on tokio and on smol; and the machine of the tutorial keeps the laws.

#![allow(clippy::duplicate_mod, reason = "each example has its own copy of what they share")]

use glowplug::core::Instant;
use glowplug_conformance::{StreamSubject, stream_laws};

macro_rules! example {
    ($name:ident, $path:literal) => {
        #[path = $path]
        #[allow(
            dead_code,
            unreachable_pub,
            missing_docs,
            unnameable_types,
            reason = "an example is nobody's library"
        )]
        mod $name;
    };
}

example!(chat, "../examples/chat.rs");
example!(echo, "../examples/echo.rs");
example!(irc, "../examples/irc.rs");
example!(tls_echo, "../examples/tls_echo.rs");
example!(workers, "../examples/workers.rs");

macro_rules! stories {
    ($($name:ident),*) => { $(
        #[test]
        fn $name() {
            for executor in ["tokio", "smol"] {
                let options = $name::common::Options::on(executor);
                $name::run(&options).unwrap_or_else(|error| panic!("on {executor}: {error}"));
            }
        }
    )* };
}

stories![chat, echo, irc, tls_echo, workers];

fn irc_client() -> StreamSubject<irc::Irc> {
    let pings = "PING :one\r\n".repeat(1000);
    StreamSubject::new("irc", || irc::Irc::new(Instant::ZERO, "me"))
        .input("messages", ":here 001 me :Welcome\r\n:you!you@there PRIVMSG me :hello, you\r\nJOIN #here\n")
        .input("empty lines", "\r\n\r\n \r\n:only.a.prefix\r\nNOTICE * :last\r\n")
        .input("pings between", "PING :1\r\nNOTICE me :one\r\nPING 2\r\n")
        .input("many pings", pings)
        .invalid("half a line", "NOTICE me :one\r\nNOTICE me")
        .endless("a line without end", "NOTICE me :", "x")
        .memory(128 * 1024)
}

stream_laws!(the_laws_of_irc, irc_client());

#[test]
fn a_message_has_its_parts() {
    use irc::Message;
    let parsed = Message::parse(b":nick!user@host privmsg #a  b :c d :e").expect("a message");
    assert_eq!(parsed.prefix.as_deref(), Some("nick!user@host"));
    assert_eq!(
        (&*parsed.command, &parsed.params[..]),
        ("PRIVMSG", &["#a", "b", "c d :e"].map(String::from)[..])
    );
    for none in [&b""[..], b"   ", b":prefix", b" :last"] {
        assert_eq!(Message::parse(none), None, "{none:?}");
    }
}
