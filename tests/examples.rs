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
example!(http_tap, "../examples/http_tap.rs");
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

stories![chat, echo, http_tap, irc, tls_echo, workers];

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

/// A real server, stopped at the end.
#[cfg(unix)]
struct Ngircd {
    process: std::process::Child,
    folder: std::path::PathBuf,
    port: u16,
}

#[cfg(unix)]
impl Ngircd {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let found = std::env::var_os("PATH")
            .into_iter()
            .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
        let program = found
            .chain(["/usr/sbin".into()])
            .map(|folder| folder.join("ngircd"))
            .find(|path| path.is_file())?;
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let folder = std::env::temp_dir().join(format!("glowplug-ngircd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = folder.join("ngircd.conf");
        let text = format!(
            "[Global]\nName = irc.example.net\nInfo = for a test\nListen = 127.0.0.1\nPorts = {port}\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        let process = std::process::Command::new(program)
            .args(["-n", "-f"])
            .arg(&config)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("ngircd starts");
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Some(Self { process, folder, port })
    }
}

#[cfg(unix)]
impl Drop for Ngircd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(unix)]
#[test]
fn the_tutorial_talks_to_a_real_server() {
    let Some(server) = Ngircd::start() else {
        let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
        assert!(!required, "ngircd is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it");
        // To the terminal itself: what a passing test prints is seen by nobody.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: ngircd is not installed\n");
        return;
    };
    for executor in ["tokio", "smol"] {
        let mut options = irc::common::Options::on(executor);
        options.server = Some(("localhost".to_owned(), server.port));
        irc::run(&options).unwrap_or_else(|error| panic!("on {executor}: {error}"));
    }
}
