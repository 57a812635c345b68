//! From a fresh connection to one that takes commands: `hello`, then authentication.
//!
//! ```text
//! hello ──► (isMaster when hello is unknown) ──► ready
//!   │                                             ▲
//!   └─► saslStart (or its answer in hello's) ──► saslContinue.. ─┘
//!   └─► authenticate (X.509) ────────────────────┘
//! ```
//!
//! MongoDB's specifications "Handshake" and "Authentication".

use glowplug_core::Rng;

use crate::auth::{Credential, Mechanism, ScramClient, ScramError, ScramHash, ScramKeys};
use crate::bson::{Binary, BinarySubtype, Doc, Document, RawDocument, Value, encode_hex};
use crate::config::Config;
use crate::error::{Error, LocalError, PeerError};
use crate::reply::{Reply, ServerInfo};
use crate::{Command, doc};

/// MongoDB 3.6, which brought OP_MSG.
const MIN_WIRE_VERSION: i64 = 6;
/// The specification's limit on the length of an application's name.
const MAX_APP_NAME: usize = 128;
/// A conversation that goes on longer than this goes nowhere.
const MAX_STEPS: usize = 6;

/// What to send next.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A command in an OP_MSG.
    Command(Command),
    /// A command in an OP_QUERY.
    Legacy(Document),
}

/// The handshake's state.
#[derive(Debug)]
pub(super) struct Handshake {
    stage: Stage,
    info: Option<ServerInfo>,
    steps: usize,
}

#[derive(Debug)]
enum Stage {
    Hello { legacy: bool, speculation: Option<Conversation> },
    Authenticating(Conversation),
}

/// An authentication under way.
#[derive(Debug)]
enum Conversation {
    Scram { client: Box<ScramClient>, step: ScramStep, id: Option<Document> },
    Single,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ScramStep {
    First,
    Final,
    /// The server's signature is right, but it says that it is not done: one empty exchange more.
    Empty,
}

/// What a reply leads to.
pub(super) enum Next {
    Send(Outgoing),
    Ready(Box<ServerInfo>, Option<ScramKeys>),
}

impl Handshake {
    /// The first message, and the state that waits for its answer.
    pub(super) fn start(config: &Config, rng: &mut Rng) -> Result<(Self, Outgoing), Error> {
        let plain = config.credential.as_ref().is_some_and(|c| c.mechanism == Some(Mechanism::Plain));
        if plain && !config.tls {
            return Err(Error::Local(LocalError::PlainWithoutTls));
        }
        // With the stable API declared, the server knows `hello`.
        let legacy = config.legacy_hello && config.server_api.is_none();
        let (speculation, hello) = hello(config, rng, legacy);
        let outgoing =
            if legacy { Outgoing::Legacy(hello) } else { Outgoing::Command(Command::new("admin", hello)) };
        Ok((Self { stage: Stage::Hello { legacy, speculation }, info: None, steps: 0 }, outgoing))
    }

    /// A reply came.
    pub(super) fn handle_reply(
        &mut self,
        document: RawDocument,
        config: &Config,
        rng: &mut Rng,
    ) -> Result<Next, Error> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Error::Peer(PeerError::BadHandshake));
        }
        let reply = Reply::new(document);
        match core::mem::replace(&mut self.stage, Stage::Authenticating(Conversation::Single)) {
            Stage::Hello { legacy, speculation } => {
                self.handle_hello(&reply, legacy, speculation, config, rng)
            }
            Stage::Authenticating(conversation) => self.handle_auth(conversation, &reply, config),
        }
    }

    fn handle_hello(
        &mut self,
        reply: &Reply,
        legacy: bool,
        speculation: Option<Conversation>,
        config: &Config,
        rng: &mut Rng,
    ) -> Result<Next, Error> {
        if let Err(error) = reply.ok() {
            if legacy || config.server_api.is_some() || !error.is_unknown_command() {
                return Err(Error::Refused(error));
            }
            let (speculation, hello) = hello(config, rng, true);
            self.stage = Stage::Hello { legacy: true, speculation };
            return Ok(Next::Send(Outgoing::Legacy(hello)));
        }
        let info = ServerInfo::new(reply.document().clone(), &available(config));
        if info.wire_versions.1 < MIN_WIRE_VERSION {
            return Err(Error::Peer(PeerError::TooOld { wire_version: info.wire_versions.1 }));
        }
        self.info = Some(info);
        let Some(credential) = &config.credential else { return self.ready(None) };
        let doc = reply.doc();
        // An arbiter has no users.
        if doc.get_bool("arbiterOnly") == Some(true) {
            return self.ready(None);
        }
        if let (Some(answer), Some(conversation)) = (doc.get_doc("speculativeAuthenticate"), speculation) {
            return self.handle_answer(conversation, answer, config);
        }
        let (conversation, command) = begin(credential, mechanism(credential, doc), config, rng)?;
        self.stage = Stage::Authenticating(conversation);
        Ok(Next::Send(Outgoing::Command(Command::new(credential.source.as_str(), command))))
    }

    fn handle_auth(
        &mut self,
        conversation: Conversation,
        reply: &Reply,
        config: &Config,
    ) -> Result<Next, Error> {
        self.handle_answer(conversation, reply.ok().map_err(Error::Refused)?, config)
    }

    /// One step of authentication.
    fn handle_answer(
        &mut self,
        conversation: Conversation,
        answer: Doc<'_>,
        config: &Config,
    ) -> Result<Next, Error> {
        let Conversation::Scram { mut client, step, id } = conversation else { return self.ready(None) };
        let malformed = Error::Scram(ScramError::Malformed);
        let payload = match answer.find("payload") {
            Some(Value::Binary(binary)) => binary.bytes,
            Some(Value::String(text)) => text.as_bytes(),
            _ => return Err(malformed),
        };
        let done = answer.get_bool("done").unwrap_or(false);
        let id = match id {
            Some(id) => id,
            None => {
                let value = answer.find("conversationId").ok_or(malformed.clone())?;
                let mut id = Document::new();
                id.append("conversationId", value);
                id
            }
        };
        let (message, step) = match step {
            ScramStep::First if !done => {
                (client.handle_first(payload, config.limits.max_scram_iterations())?, ScramStep::Final)
            }
            ScramStep::Final => {
                client.handle_final(payload)?;
                if done {
                    return self.ready(client.into_keys());
                }
                (String::new(), ScramStep::Empty)
            }
            ScramStep::Empty if done => return self.ready(client.into_keys()),
            // A server that says it is done before it has proved anything proves nothing, and one that never is done neither.
            ScramStep::First | ScramStep::Empty => return Err(malformed),
        };
        let mut command = doc! { "saslContinue": 1 };
        command.extend(id.as_doc()).append("payload", generic(message.as_bytes()));
        self.stage = Stage::Authenticating(Conversation::Scram { client, step, id: Some(id) });
        let source = config.credential.as_ref().map_or("admin", |credential| &credential.source);
        Ok(Next::Send(Outgoing::Command(Command::new(source, command))))
    }

    fn ready(&mut self, keys: Option<ScramKeys>) -> Result<Next, Error> {
        let info = self.info.take().ok_or(Error::Peer(PeerError::BadHandshake))?;
        Ok(Next::Ready(Box::new(info), keys))
    }
}

/// The compressors to offer.
fn available(config: &Config) -> Vec<crate::wire::Compressor> {
    config.compressors.iter().copied().filter(|compressor| compressor.is_available()).collect()
}

/// `hello` or `isMaster`, and the authentication that it already begins.
fn hello(config: &Config, rng: &mut Rng, legacy: bool) -> (Option<Conversation>, Document) {
    let mut document = if legacy {
        doc! { "isMaster": 1, "helloOk": true }
    } else {
        doc! { "hello": 1, "helloOk": true }
    };
    let mut writer = document.writer();
    if config.load_balanced {
        writer.append("loadBalanced", true);
    }
    {
        let mut client = writer.document("client");
        if let Some(name) = &config.app_name {
            // Cut at the limit, and not within a character.
            let end =
                (0..=name.len().min(MAX_APP_NAME)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
            client.document("application").append("name", &name[..end]);
        }
        client.document("driver").append("name", "glowplug").append("version", env!("CARGO_PKG_VERSION"));
        client.document("os").append("type", std::env::consts::OS);
    }
    {
        let mut compression = writer.array("compression");
        for compressor in available(config) {
            compression.push(compressor.name());
        }
    }
    let mut speculation = None;
    if let Some(credential) = &config.credential {
        if credential.mechanism.is_none() {
            writer.append("saslSupportedMechs", format!("{}.{}", credential.source, credential.username));
        }
        // Without a mechanism, guess the likeliest; PLAIN would give the password away before the server asked for it.
        let guess = credential.mechanism.unwrap_or(Mechanism::ScramSha256);
        // A password that SASLprep forbids may still be right for SHA-1.
        if guess != Mechanism::Plain
            && let Ok((conversation, mut command)) = begin(credential, guess, config, rng)
        {
            if guess != Mechanism::X509 {
                command.append("db", &credential.source);
            }
            writer.append("speculativeAuthenticate", command);
            speculation = Some(conversation);
        }
    }
    drop(writer);
    (speculation, document)
}

/// The mechanism of a credential that names none.
fn mechanism(credential: &Credential, hello: Doc<'_>) -> Mechanism {
    credential.mechanism.unwrap_or_else(|| {
        let offered = hello.get_array("saslSupportedMechs");
        let sha256 = offered.is_some_and(|offered| {
            offered
                .iter()
                .any(|name| name.is_ok_and(|name| name.as_str() == Some(Mechanism::ScramSha256.name())))
        });
        if sha256 { Mechanism::ScramSha256 } else { Mechanism::ScramSha1 }
    })
}

/// The first command of an authentication.
fn begin(
    credential: &Credential,
    mechanism: Mechanism,
    config: &Config,
    rng: &mut Rng,
) -> Result<(Conversation, Document), Error> {
    let hash = match mechanism {
        Mechanism::ScramSha1 => ScramHash::Sha1,
        Mechanism::ScramSha256 => ScramHash::Sha256,
        Mechanism::X509 => {
            let mut command = doc! { "authenticate": 1, "mechanism": mechanism.name() };
            if !credential.username.is_empty() {
                command.append("user", &credential.username);
            }
            return Ok((Conversation::Single, command));
        }
        Mechanism::Plain => {
            // RFC 4616 §2: identity to act as, identity, password.
            let payload = format!("\0{}\0{}", credential.username, credential.password);
            return Ok((Conversation::Single, sasl_start(mechanism, payload.as_bytes())));
        }
    };
    let prepared = hash.prepare(&credential.username, &credential.password)?;
    let client =
        ScramClient::new(hash, &credential.username, &prepared, nonce(rng), config.scram_keys.clone());
    let mut command = sasl_start(mechanism, client.first().as_bytes());
    // The specification's option: no empty exchange at the end.
    command.writer().document("options").append("skipEmptyExchange", true);
    let conversation = Conversation::Scram { client: Box::new(client), step: ScramStep::First, id: None };
    Ok((conversation, command))
}

fn sasl_start(mechanism: Mechanism, payload: &[u8]) -> Document {
    doc! { "saslStart": 1, "mechanism": mechanism.name(), "payload": generic(payload), "autoAuthorize": 1 }
}

fn generic(bytes: &[u8]) -> Binary<'_> {
    Binary { subtype: BinarySubtype::GENERIC, bytes }
}

/// Twenty-four random bytes as hexadecimal digits.
fn nonce(rng: &mut Rng) -> String {
    let mut bytes = [0; 24];
    rng.fill(&mut bytes);
    encode_hex(&bytes)
}
