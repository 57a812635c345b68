//! Authentication, the server's half: SCRAM, PLAIN and X.509.

use glowplug_core::Rng;

use super::{Failure, MemoryServer, Outcome, code};
use crate::auth::{Mechanism, ScramError, ScramHash, ScramServer, StoredKeys};
use crate::bson::{Binary, BinarySubtype, Doc, Document, Value, encode_hex};
use crate::doc;

/// Fewer than a real server's: tests make many connections.
const ITERATIONS: u32 = 4096;

/// What is kept of a user's password.
#[derive(Debug)]
pub(super) struct User {
    sha1: StoredKeys,
    sha256: StoredKeys,
}

impl User {
    /// `None` when SASLprep forbids the password.
    pub(super) fn new(name: &str, password: &str, rng: &mut Rng) -> Option<Self> {
        let mut keys = |hash: ScramHash| {
            let mut salt = vec![0; 16];
            rng.fill(&mut salt);
            Some(StoredKeys::new(hash, &hash.prepare(name, password).ok()?, salt, ITERATIONS))
        };
        Some(Self { sha1: keys(ScramHash::Sha1)?, sha256: keys(ScramHash::Sha256)? })
    }

    fn keys(&self, hash: ScramHash) -> &StoredKeys {
        match hash {
            ScramHash::Sha1 => &self.sha1,
            ScramHash::Sha256 => &self.sha256,
        }
    }
}

/// How far a connection's authentication got.
#[derive(Debug)]
pub(super) enum Authentication {
    Conversing { conversation: ScramServer, username: String, hash: ScramHash },
    Done,
}

fn failed() -> Failure {
    Failure::new(code::AUTHENTICATION_FAILED, "Authentication failed.")
}

impl From<ScramError> for Failure {
    fn from(_: ScramError) -> Self {
        failed()
    }
}

fn payload(command: Doc<'_>) -> Result<&[u8], Failure> {
    match command.find("payload") {
        Some(Value::Binary(binary)) => Ok(binary.bytes),
        _ => Err(failed()),
    }
}

fn answer(payload: &[u8], done: bool) -> Document {
    let payload = Binary { subtype: BinarySubtype::GENERIC, bytes: payload };
    doc! { "conversationId": 1, "done": done, "payload": payload, "ok": 1.0 }
}

impl MemoryServer {
    pub(super) fn is_authenticated(&self, connection: u64) -> bool {
        matches!(self.authentications.get(&connection), Some(Authentication::Done))
    }

    pub(super) fn sasl_start(&mut self, connection: u64, command: Doc<'_>) -> Outcome {
        let mechanism = command.get_str("mechanism").and_then(Mechanism::from_name);
        if mechanism == Some(Mechanism::Plain) {
            return self.plain(connection, payload(command)?);
        }
        let hash = mechanism.and_then(Mechanism::scram_hash).ok_or_else(failed)?;
        let (username, mut conversation) = ScramServer::new(payload(command)?)?;
        let mut nonce = [0; 18];
        self.rng.fill(&mut nonce);
        let keys = self.users.get(&username).ok_or_else(failed)?.keys(hash);
        let first = conversation.first(keys, &encode_hex(&nonce));
        let conversing = Authentication::Conversing { conversation, username, hash };
        self.authentications.insert(connection, conversing);
        Ok(answer(first.as_bytes(), false))
    }

    /// RFC 4616 §2: who to act as, who one is, and the password, with zero bytes between.
    fn plain(&mut self, connection: u64, payload: &[u8]) -> Outcome {
        let text = core::str::from_utf8(payload).map_err(|_| failed())?;
        let [_, name, password] = *text.split('\0').collect::<Vec<_>>().as_slice() else {
            return Err(failed());
        };
        let keys = self.users.get(name).ok_or_else(failed)?.keys(ScramHash::Sha256);
        let prepared = ScramHash::Sha256.prepare(name, password).map_err(|_| failed())?;
        if !keys.are_of(&prepared) {
            return Err(failed());
        }
        self.authentications.insert(connection, Authentication::Done);
        Ok(answer(&[], true))
    }

    /// X.509: there is no certificate to look at here, so it takes the client's word for whose it is.
    pub(super) fn authenticate(&mut self, connection: u64, command: Doc<'_>) -> Outcome {
        let known = &self.config.x509_subjects;
        let subject = command.get_str("user").or(known.first().map(String::as_str)).unwrap_or_default();
        let mechanism = command.get_str("mechanism").and_then(Mechanism::from_name);
        if mechanism != Some(Mechanism::X509) || !known.iter().any(|known| known == subject) {
            return Err(failed());
        }
        let reply = doc! { "dbname": "$external", "user": subject, "ok": 1.0 };
        self.authentications.insert(connection, Authentication::Done);
        Ok(reply)
    }

    pub(super) fn sasl_continue(&mut self, connection: u64, command: Doc<'_>) -> Outcome {
        match self.authentications.remove(&connection) {
            Some(Authentication::Conversing { conversation, username, hash }) => {
                let keys = self.users.get(&username).ok_or_else(failed)?.keys(hash);
                let last = conversation.handle_final(payload(command)?, keys)?;
                self.authentications.insert(connection, Authentication::Done);
                Ok(answer(last.as_bytes(), true))
            }
            Some(Authentication::Done) | None => Err(failed()),
        }
    }
}
