//! The first words of a client: who it is, which version it speaks, which database it wants.
//!
//! Everything goes out in one flight: `HELLO 3` with the password and name in it, then the rest. When the server does not
//! know `HELLO`, a second flight says the same in the words of RESP2.

use alloc::collections::VecDeque;

use glowplug_core::SendBuf;

use crate::command::Command;
use crate::config::ClientConfig;
use crate::error::{Error, PeerError};
use crate::wire::{Protocol, Reply, ServerError};

#[derive(Debug)]
pub(crate) struct Handshake {
    /// Steps that were written and are not answered yet.
    waiting: VecDeque<Step>,
    out: SendBuf,
    protocol: Protocol,
    server: Option<Reply>,
    /// `HELLO` was refused: the rest of the first flight does not count.
    falling_back: bool,
    /// The server tells of changes.
    tracking: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    Auth,
    SetName,
    /// A refusal is no harm.
    SetInfo,
    Select,
    /// A refusal means that nothing is kept.
    Tracking,
}

pub(crate) enum Outcome {
    Continue,
    Done { protocol: Protocol, server: Option<Reply>, tracking: bool },
}

impl Handshake {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        let mut handshake = Self {
            waiting: VecDeque::new(),
            out: SendBuf::new(),
            protocol: config.protocol,
            server: None,
            falling_back: false,
            tracking: false,
        };
        handshake.write_flight(config);
        handshake
    }

    /// True when no step is left.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn transmit(&mut self, out: &mut SendBuf) {
        if out.has_room() && !self.out.is_empty() {
            out.append(&mut self.out);
        }
    }

    fn write(&mut self, step: Step, command: Command) {
        command.encode(&mut self.out);
        self.waiting.push_back(step);
    }

    fn write_flight(&mut self, config: &ClientConfig) {
        let name = config.client_name.as_deref();
        if self.protocol == Protocol::Resp3 {
            let mut hello = Command::new("HELLO").arg(3);
            if let Some(password) = &config.password {
                let user = config.username.as_deref().unwrap_or(b"default");
                hello = hello.arg("AUTH").arg(user).arg(password);
            }
            self.write(Step::Hello, hello.option("SETNAME", name));
        } else {
            if let Some(password) = &config.password {
                let auth = Command::new("AUTH").args(config.username.as_ref()).arg(password);
                self.write(Step::Auth, auth);
            }
            if let Some(name) = name {
                self.write(Step::SetName, Command::words(&["CLIENT", "SETNAME", name]));
            }
        }
        if config.set_info {
            self.write(Step::SetInfo, Command::words(&["CLIENT", "SETINFO", "LIB-NAME", "glowplug"]));
            let version = env!("CARGO_PKG_VERSION");
            self.write(Step::SetInfo, Command::words(&["CLIENT", "SETINFO", "LIB-VER", version]));
        }
        if config.database != 0 {
            self.write(Step::Select, Command::new("SELECT").arg(config.database));
        }
        if let Some(cache) = config.cache.as_ref().filter(|_| self.protocol == Protocol::Resp3) {
            self.write(Step::Tracking, cache.tracking());
        }
    }

    pub(crate) fn handle_reply(&mut self, reply: Reply, config: &ClientConfig) -> Result<Outcome, Error> {
        let Some(step) = self.waiting.pop_front() else { return Ok(self.outcome()) };
        match reply {
            _ if self.falling_back => {}
            Reply::Error(error) => match step {
                Step::SetInfo | Step::Tracking => {}
                Step::Hello if knows_no_hello(&error) => {
                    self.protocol = Protocol::Resp2;
                    self.falling_back = true;
                }
                Step::Hello => return Err(Error::Refused { step: "HELLO", error }),
                Step::Auth => return Err(Error::Refused { step: "AUTH", error }),
                Step::SetName => return Err(Error::Refused { step: "CLIENT SETNAME", error }),
                Step::Select => return Err(Error::Refused { step: "SELECT", error }),
            },
            reply if step == Step::Hello => {
                // A proxy may give RESP2's form of a map.
                if reply.view().elements().is_none_or(|elements| elements.len() % 2 == 1) {
                    return Err(Error::Peer(PeerError::NotAGreeting));
                }
                self.server = Some(reply);
            }
            _ if step == Step::Tracking => self.tracking = true,
            _ => {}
        }
        if self.falling_back && self.waiting.is_empty() {
            self.falling_back = false;
            self.write_flight(config);
        }
        Ok(self.outcome())
    }

    fn outcome(&mut self) -> Outcome {
        if self.is_done() {
            Outcome::Done { protocol: self.protocol, server: self.server.take(), tracking: self.tracking }
        } else {
            Outcome::Continue
        }
    }
}

/// A server before 6.0 does not know the command, a proxy may not know the version.
fn knows_no_hello(error: &ServerError) -> bool {
    error.code() == "NOPROTO" || error.message().to_ascii_lowercase().starts_with("unknown command")
}
