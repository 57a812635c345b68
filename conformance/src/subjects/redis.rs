//! Redis: a client in its handshake, a client with requests in flight, a server, and the server in memory.

use std::time::Duration;

use glowplug_core::{Instant, RequestProtocol as _, Token};
use glowplug_redis::memory::{self, Connection, Handle};
use glowplug_redis::wire::{Limits, Protocol, Value};
use glowplug_redis::{
    ClientConfig, ClientConnection, Command, Pipeline, ServerConfig, ServerConnection, ServerEvent,
};

use crate::laws::stream::StreamSubject;

/// Small, so that hostile input meets them soon.
fn limits() -> Limits {
    Limits::default()
        .max_bulk_len(16 * 1024)
        .max_reply_len(64 * 1024)
        .max_elements(4096)
        .max_depth(8)
        .max_line_len(4096)
}

/// A client that has just connected and introduces itself.
pub fn handshake() -> StreamSubject<ClientConnection> {
    let config = || ClientConfig::new().password("secret").client_name("kit").database(3).limits(limits());
    let hello = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:11\r\n\
                 $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";
    let subject = StreamSubject::new("redis client in its handshake", move || {
        ClientConnection::new(Instant::ZERO, config())
    });
    hostile_replies(subject)
        .input("all is well", format!("{hello}+OK\r\n+OK\r\n+OK\r\n+OK\r\n"))
        .input(
            "no library names, an old server",
            format!("{hello}+OK\r\n-ERR unknown subcommand\r\n-ERR unknown\r\n+OK\r\n"),
        )
        .input("an older server yet", "-ERR unknown command 'HELLO'\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n")
        .input("a wrong password", "-WRONGPASS invalid username-password pair\r\n")
}

/// A client with requests in flight.
pub fn client() -> StreamSubject<ClientConnection> {
    let fresh = || {
        let config = ClientConfig::new().protocol(Protocol::Resp2).set_info(false).limits(limits());
        let mut client = ClientConnection::new(Instant::ZERO, config);
        let mut submit = |token, request: glowplug_redis::Request| {
            client.submit(Instant::ZERO, Token(token), request).expect("there is room for these few");
        };
        for token in 0..6 {
            submit(token, Command::new("GET").arg("key").into());
        }
        submit(6, Pipeline::new().with(Command::new("INCR").arg("n")).with(Command::new("PING")).into());
        client.cancel(Token(2));
        client
    };
    let all = "$5\r\nhello\r\n$-1\r\n:42\r\n-ERR no\r\n*3\r\n+a\r\n*-1\r\n*2\r\n$0\r\n\r\n:-7\r\n\
               ~1\r\n#t\r\n:1\r\n+PONG\r\n";
    let long = format!("${}\r\n{}\r\n+OK\r\n", 6000, "v".repeat(6000));
    hostile_replies(StreamSubject::new("redis client", fresh))
        .input("every answer", all)
        .input(
            "every answer, and pushes",
            format!(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n{all}>1\r\n+x\r\n"),
        )
        .input("some answers and a half", "+a\r\n,1.5\r\n%1\r\n+k\r\n_\r\n$10\r\nhalf")
        .input("a long answer", long)
        .invalid("an answer that nobody asked for", format!("{all}+OK\r\n"))
}

/// What no client should choke on.
fn hostile_replies(subject: StreamSubject<ClientConnection>) -> StreamSubject<ClientConnection> {
    subject
        .invalid("no reply at all", "HTTP/1.1 200 OK\r\n")
        .invalid("a bulk that is too long", "$999999999\r\n")
        .invalid("an array that is too long", "*4294967296\r\n")
        .invalid("too deep", "*1\r\n".repeat(20))
        .endless("a line without end", "+", "x")
        .endless("a bulk without end", "$16000\r\n", "x")
        .endless("an array without end", "*4000\r\n", ":1\r\n")
        .memory(512 * 1024)
}

/// A server whose application answers every command with its name.
pub fn server() -> StreamSubject<ServerConnection> {
    let idle = Some(Duration::from_secs(60));
    let config = move || ServerConfig::new().limits(limits()).max_output(16 * 1024).idle_timeout(idle);
    let subject = StreamSubject::on_event(
        "redis server",
        move || ServerConnection::new(Instant::ZERO, config()),
        |server, _, event, journal| {
            journal.event(format_args!("{event:?}"));
            if let ServerEvent::Command(command) = event {
                server.reply(&Value::bulk(command.get(0).unwrap_or_default()));
            }
        },
    );
    hostile_commands(subject).same_output()
}

/// A connection to the server in memory, which answers by itself.
pub fn memory() -> StreamSubject<Connection> {
    let fresh = || {
        let connection = ServerConfig::new().limits(limits()).max_output(16 * 1024);
        Connection::new(Instant::ZERO, &Handle::new(memory::Config::new().connection(connection)))
    };
    let story = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n\
                 *4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$7\r\nHGETALL\r\n$1\r\nh\r\n*1\r\n$5\r\nMULTI\r\n\
                 *2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*1\r\n$4\r\nEXEC\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
    hostile_commands(StreamSubject::new("redis in memory", fresh))
        .input("a story", story)
        .input("a pop that waits", "BLPOP list 1\r\nPING\r\n")
        .same_output()
}

/// What clients send, rightly and wrongly.
fn hostile_commands<P: glowplug_core::StreamProtocol>(subject: StreamSubject<P>) -> StreamSubject<P> {
    let echo = |n: usize| format!("*2\r\n$4\r\nECHO\r\n${n}\r\n{}\r\n", "e".repeat(n));
    let pipeline: Vec<String> = (0..150).map(echo).collect();
    subject
        .input(
            "arrays",
            "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*0\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        )
        .input("typed by hand", "PING\r\n\r\nset k \"a \\x41 b\"\r\nGET k\nQUI")
        .input("a long pipeline", pipeline.concat())
        .invalid("half a command", "*2\r\n$4\r\nECHO\r\n$2\r\nh")
        .invalid("a bulk that is too long", "*1\r\n$999999999\r\n")
        .invalid("not an array of bulks", "*1\r\n:5\r\n")
        .invalid("a quote without end", "SET k \"v\r\n")
        .endless("a line without end", "", "x")
        .endless("a bulk without end", "*1\r\n$16000\r\n", "x")
        .endless("an array without end", "*4000\r\n", "$1\r\nx\r\n")
        .memory(512 * 1024)
}
