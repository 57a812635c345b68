//! A real server from PyPI, if there is one.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::port::Reserved;

/// The server's program, or none with a word about it.
pub(crate) fn program() -> Option<PathBuf> {
    let named = std::env::var_os("GLOWPLUG_SECANTUSD").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        std::env::split_paths(&path).map(|folder| folder.join("secantusd-py")).find(|path| path.is_file())
    });
    let required = std::env::var_os("GLOWPLUG_REQUIRE_SERVERS").is_some_and(|value| value == "1");
    assert!(found.is_some() || !required, "secantusd-py is required, and not on PATH");
    found
}

/// A real server that says that it is a replica set of one, stopped when it is dropped.
pub(crate) struct Peer {
    child: Mutex<Child>,
    pub(crate) at: String,
    _port: Reserved,
}

impl Peer {
    pub(crate) fn start(program: &Path) -> Self {
        let port = Reserved::new();
        let at = port.at();
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &at.port().to_string(), "--storage-path", ":memory:"])
            .args(["--enable-test-commands", "--log-level", "ERROR"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let peer = Self { child: Mutex::new(child), at: at.to_string(), _port: port };
        for _ in 0..600 {
            if TcpStream::connect(at).is_ok() {
                return peer;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
