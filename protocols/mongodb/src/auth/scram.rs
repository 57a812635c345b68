//! SCRAM: a password is proved without being sent, and the server proves that it knows it too.
//!
//! ```text
//! client first   n,,n=user,r=nonce
//! server first   r=nonce+more,s=salt,i=iterations
//! client final   c=biws,r=nonce+more,p=proof
//! server final   v=signature   or   e=error
//! ```
//!
//! RFC 5802, RFC 7677; MongoDB's specification "Authentication" says how passwords are prepared.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::bson::encode_hex;

/// RFC 7677 §4 asks for at least 4096; MongoDB's specification says the same of SCRAM-SHA-1.
pub(crate) const MIN_ITERATIONS: u32 = 4096;
/// Nonces and salts longer than this are nobody's.
const MAX_FIELD_LEN: usize = 1024;

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

/// The output of either hash.
#[derive(Clone, Copy)]
struct Output {
    bytes: [u8; 32],
    len: usize,
}

impl Output {
    fn new(bytes: &[u8]) -> Self {
        let mut output = Self { bytes: [0; 32], len: bytes.len() };
        output.bytes[..bytes.len()].copy_from_slice(bytes);
        output
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn xor(mut self, other: &Self) -> Self {
        self.bytes.iter_mut().zip(other.bytes).for_each(|(one, two)| *one ^= two);
        self
    }
}

/// HMAC keyed once; a key of any length is fine, so making one cannot fail.
macro_rules! keyed {
    ($hash:ty, $key:expr) => {
        <Hmac<$hash> as KeyInit>::new_from_slice($key).expect("HMAC takes keys of any length")
    };
}

impl ScramHash {
    fn hash(self, data: &[u8]) -> Output {
        match self {
            Self::Sha1 => Output::new(&Sha1::digest(data)),
            Self::Sha256 => Output::new(&Sha256::digest(data)),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Output {
        match self {
            Self::Sha1 => Output::new(&keyed!(Sha1, key).chain_update(data).finalize().into_bytes()),
            Self::Sha256 => Output::new(&keyed!(Sha256, key).chain_update(data).finalize().into_bytes()),
        }
    }

    /// PBKDF2 (RFC 8018 §5.2) for one block, which is all that SCRAM uses.
    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Output {
        macro_rules! pbkdf2 {
            ($hash:ty) => {{
                let mac = keyed!($hash, password);
                let mut block = Output::new(
                    &mac.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes(),
                );
                let mut sum = block;
                for _ in 1..iterations {
                    block = Output::new(&mac.clone().chain_update(block.as_slice()).finalize().into_bytes());
                    sum = sum.xor(&block);
                }
                sum
            }};
        }
        match self {
            Self::Sha1 => pbkdf2!(Sha1),
            Self::Sha256 => pbkdf2!(Sha256),
        }
    }

    /// The password as this mechanism hashes it.
    ///
    /// SCRAM-SHA-256 prepares it by SASLprep; SCRAM-SHA-1 takes MD5 of `user:mongo:password` in hexadecimal digits.
    pub fn prepare(self, username: &str, password: &str) -> Result<String, ScramError> {
        match self {
            Self::Sha1 => {
                let digest = Md5::digest(format!("{username}:mongo:{password}"));
                Ok(encode_hex(&digest))
            }
            Self::Sha256 => match stringprep::saslprep(password) {
                Ok(prepared) => Ok(prepared.into_owned()),
                Err(_) => Err(ScramError::Password),
            },
        }
    }
}

/// Why a SCRAM conversation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramError {
    /// SASLprep forbids a character of the password.
    Password,
    /// A message of the peer is malformed.
    Malformed,
    /// The server's nonce does not continue ours: somebody replays.
    Nonce,
    /// The server asks for so many iterations: fewer than are safe, or more than we allow.
    Iterations(u32),
    /// The server's signature is wrong: it does not know the password.
    ServerSignature,
    /// The client's proof is wrong: it does not know the password.
    ClientProof,
    /// The server says no, in its words.
    Refused(String),
}

impl fmt::Display for ScramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("the password has a character that SASLprep forbids"),
            Self::Malformed => f.write_str("a SCRAM message is malformed"),
            Self::Nonce => f.write_str("the server's nonce does not continue the client's"),
            Self::Iterations(count) => write!(f, "the server asks for {count} iterations"),
            Self::ServerSignature => f.write_str("the server does not prove that it knows the password"),
            Self::ClientProof => f.write_str("the client does not prove that it knows the password"),
            Self::Refused(words) => write!(f, "the server refuses: {words}"),
        }
    }
}

impl std::error::Error for ScramError {}

/// What a client derives from a password, worth keeping: a later connection to the same user with the same salt saves all
/// iterations. As secret as the password; `Debug` shows nothing.
#[derive(Clone)]
pub struct ScramKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    /// A digest of what was derived from, so that a changed password does not meet old keys.
    password: Output,
    client: Output,
    server: Output,
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(..)")
    }
}

/// The client's half of one conversation.
#[derive(Debug)]
pub struct ScramClient {
    hash: ScramHash,
    prepared: Secret,
    nonce: String,
    first_bare: String,
    keys: Option<ScramKeys>,
    server_signature: Option<Secret>,
}

/// Bytes that `Debug` does not show.
struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// The GS2 header: no channel binding, no other identity.
const GS2: &str = "n,,";

impl ScramClient {
    /// Begins a conversation. `prepared` is the password as [`ScramHash::prepare`] gives it; `nonce` is random printable
    /// text without commas; `keys` are those of an earlier conversation, if there are any.
    pub fn new(
        hash: ScramHash,
        username: &str,
        prepared: &str,
        nonce: String,
        keys: Option<ScramKeys>,
    ) -> Self {
        // RFC 5802 §5.1: commas and equals signs in names are escaped.
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={username},r={nonce}");
        let prepared = Secret(prepared.as_bytes().to_vec());
        Self { hash, prepared, nonce, first_bare, keys, server_signature: None }
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        format!("{GS2}{}", self.first_bare)
    }

    /// Answers the server's first message with the client's final one. `max_iterations` bounds the work.
    pub fn handle_first(&mut self, server_first: &[u8], max_iterations: u32) -> Result<String, ScramError> {
        let text = core::str::from_utf8(server_first).map_err(|_| ScramError::Malformed)?;
        let (nonce, salt, iterations) = parse_server_first(text)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Nonce);
        }
        if !(MIN_ITERATIONS..=max_iterations).contains(&iterations) {
            return Err(ScramError::Iterations(iterations));
        }
        let keys = self.derive(salt, iterations);
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(GS2));
        let auth_message = format!("{},{text},{without_proof}", self.first_bare);
        let stored = self.hash.hash(keys.client.as_slice());
        let signature = self.hash.hmac(stored.as_slice(), auth_message.as_bytes());
        let proof = keys.client.xor(&signature);
        let server_signature = self.hash.hmac(keys.server.as_slice(), auth_message.as_bytes());
        self.server_signature = Some(Secret(server_signature.as_slice().to_vec()));
        self.keys = Some(keys);
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof.as_slice())))
    }

    /// The kept keys where they fit, else new ones.
    fn derive(&mut self, salt: Vec<u8>, iterations: u32) -> ScramKeys {
        let password = self.hash.hash(&self.prepared.0);
        if let Some(keys) = self.keys.take_if(|keys| {
            keys.hash == self.hash
                && keys.salt == salt
                && keys.iterations == iterations
                && bool::from(keys.password.as_slice().ct_eq(password.as_slice()))
        }) {
            return keys;
        }
        let salted = self.hash.salted_password(&self.prepared.0, &salt, iterations);
        let client = self.hash.hmac(salted.as_slice(), b"Client Key");
        let server = self.hash.hmac(salted.as_slice(), b"Server Key");
        ScramKeys { hash: self.hash, salt, iterations, password, client, server }
    }

    /// Checks the server's final message.
    pub fn handle_final(&mut self, server_final: &[u8]) -> Result<(), ScramError> {
        let text = core::str::from_utf8(server_final).map_err(|_| ScramError::Malformed)?;
        if let Some(words) = text.strip_prefix("e=") {
            return Err(ScramError::Refused(words.chars().take(200).collect()));
        }
        let signature = text.strip_prefix("v=").ok_or(ScramError::Malformed)?;
        let signature = signature.split(',').next().unwrap_or_default();
        let signature = STANDARD.decode(signature).map_err(|_| ScramError::Malformed)?;
        match &self.server_signature {
            Some(expected) if expected.0.ct_eq(&signature).into() => Ok(()),
            _ => Err(ScramError::ServerSignature),
        }
    }

    /// The keys that were derived, for the next conversation.
    pub fn into_keys(self) -> Option<ScramKeys> {
        self.keys
    }
}

/// Nonce, salt and iterations of `r=..,s=..,i=..`.
fn parse_server_first(text: &str) -> Result<(&str, Vec<u8>, u32), ScramError> {
    if let Some(words) = text.strip_prefix("e=") {
        return Err(ScramError::Refused(words.chars().take(200).collect()));
    }
    // RFC 5802 §5.1: `m=` in front is an extension that must be understood; extensions behind may be ignored.
    let mut fields = text.split(',');
    let mut field =
        |name: &str| fields.next().and_then(|field| field.strip_prefix(name)).ok_or(ScramError::Malformed);
    let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
    if nonce.len() > MAX_FIELD_LEN || salt.len() > MAX_FIELD_LEN || iterations.starts_with('+') {
        return Err(ScramError::Malformed);
    }
    let salt = STANDARD.decode(salt).map_err(|_| ScramError::Malformed)?;
    Ok((nonce, salt, iterations.parse().map_err(|_| ScramError::Malformed)?))
}

/// What a server keeps of a password: enough to check one, not enough to be the user.
#[derive(Clone)]
pub struct StoredKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    stored: Output,
    server: Output,
}

impl StoredKeys {
    /// Derives the keys of a prepared password. At least 4096 iterations are made.
    pub fn new(hash: ScramHash, prepared: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let iterations = iterations.max(MIN_ITERATIONS);
        let salted = hash.salted_password(prepared.as_bytes(), &salt, iterations);
        let client = hash.hmac(salted.as_slice(), b"Client Key");
        let server = hash.hmac(salted.as_slice(), b"Server Key");
        Self { hash, salt, iterations, stored: hash.hash(client.as_slice()), server }
    }

    #[cfg(feature = "memory")]
    /// True when they are those of this prepared password.
    pub(crate) fn are_of(&self, prepared: &str) -> bool {
        let other = Self::new(self.hash, prepared, self.salt.clone(), self.iterations);
        // Both hashes are as long, and no byte ends the comparison early.
        let pairs = self.stored.as_slice().iter().zip(other.stored.as_slice());
        pairs.fold(0, |differ, (one, two)| differ | (one ^ two)) == 0
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredKeys(..)")
    }
}

/// The server's half of one conversation.
#[derive(Debug)]
pub struct ScramServer {
    client_first_bare: String,
    gs2: String,
    nonce: String,
    server_first: String,
}

impl ScramServer {
    /// Reads the client's first message: who it says it is, and the rest of the conversation.
    pub fn new(client_first: &[u8]) -> Result<(String, Self), ScramError> {
        let text = core::str::from_utf8(client_first).map_err(|_| ScramError::Malformed)?;
        // RFC 5802 §7: the flag (no binding, or could bind but thinks we cannot), an identity, then the bare message.
        let mut parts = text.splitn(3, ',');
        let (flag, identity, bare) = (parts.next(), parts.next(), parts.next());
        let (Some(flag @ ("n" | "y")), Some(identity), Some(bare)) = (flag, identity, bare) else {
            return Err(ScramError::Malformed);
        };
        let mut fields = bare.split(',');
        let mut field = |name: &str| {
            fields.next().and_then(|field| field.strip_prefix(name)).ok_or(ScramError::Malformed)
        };
        let (username, nonce) = (unescape(field("n=")?).ok_or(ScramError::Malformed)?, field("r=")?);
        if nonce.is_empty() || nonce.len() > MAX_FIELD_LEN {
            return Err(ScramError::Malformed);
        }
        let server = Self {
            client_first_bare: bare.to_owned(),
            gs2: format!("{flag},{identity},"),
            nonce: nonce.to_owned(),
            server_first: String::new(),
        };
        Ok((username, server))
    }

    /// The server's first message; `nonce` is random printable text that continues the client's.
    pub fn first(&mut self, keys: &StoredKeys, nonce: &str) -> String {
        self.nonce.push_str(nonce);
        self.server_first =
            format!("r={},s={},i={}", self.nonce, STANDARD.encode(&keys.salt), keys.iterations);
        self.server_first.clone()
    }

    /// Checks the client's final message and gives the server's.
    pub fn handle_final(&self, client_final: &[u8], keys: &StoredKeys) -> Result<String, ScramError> {
        let text = core::str::from_utf8(client_final).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let expected = format!("c={},r={}", STANDARD.encode(&self.gs2), self.nonce);
        if without_proof != expected {
            return Err(ScramError::Nonce);
        }
        let proof = STANDARD.decode(proof).map_err(|_| ScramError::Malformed)?;
        if proof.len() != keys.stored.len {
            return Err(ScramError::ClientProof);
        }
        let auth_message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = keys.hash.hmac(keys.stored.as_slice(), auth_message.as_bytes());
        let client = Output::new(&proof).xor(&signature);
        let stored = keys.hash.hash(&client.bytes[..keys.stored.len]);
        if !bool::from(stored.as_slice().ct_eq(keys.stored.as_slice())) {
            return Err(ScramError::ClientProof);
        }
        let server = keys.hash.hmac(keys.server.as_slice(), auth_message.as_bytes());
        Ok(format!("v={}", STANDARD.encode(server.as_slice())))
    }
}

/// `=2C` and `=3D` back to what they stand for; any other equals sign is wrong.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = part
            .strip_prefix("2C")
            .map(|rest| (',', rest))
            .or(part.strip_prefix("3D").map(|rest| ('=', rest)))?;
        out.push(sign);
        out.push_str(rest);
    }
    Some(out)
}
