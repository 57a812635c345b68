//! The other end, in a process of its own, so that its work is counted with nobody's: this program, or a server.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::pin;

/// The other end's core and ours: they do not share one.
const OTHER_CORE: usize = 0;
const OUR_CORE: usize = 1;

/// The process that plays a role, for as long as it is wanted.
pub struct Role {
    child: Child,
    /// The line by which it says where it is.
    pub said: String,
}

impl Role {
    /// Starts this program with `role` as its argument, and waits until it has [said](begin) where it is.
    pub fn start(role: &str) -> Self {
        pin(OTHER_CORE);
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg(role)
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .expect("this program starts");
        pin(OUR_CORE);
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it is");
        Self { child, said: line.trim().to_owned() }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that ends with this process, however that ends.
pub fn server(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// True when this process is to play `role`.
pub fn plays(role: &str) -> bool {
    std::env::args().nth(1).as_deref() == Some(role)
}

/// Says where this process is, which ends with the one that started it.
pub fn begin(at: impl std::fmt::Display) {
    println!("{at}");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}
