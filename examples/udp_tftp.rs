//! A TFTP server (RFC 1350, with the options of RFC 2347 to 2349): a real UDP service, in one function for each transfer.
//!
//! ```sh
//! cargo run --release --example udp_tftp -- ./public          # serves, and takes, files of that folder on port 6969
//! curl tftp://127.0.0.1:6969/hello.txt
//! curl -T hello.txt tftp://127.0.0.1:6969/copy.txt
//! ```
//!
//! A transfer is a conversation: the block number, the file and the retransmission are local variables. All of them share the one
//! socket, also towards the client, which passes through firewalls that would stop an answer from another port.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use glowplug::runtime::Runtime;
use glowplug::runtime::time::within;
use glowplug::runtime::udp::Conversation;
use glowplug::smol::Smol;

/// RFC 1350 §5.
const READ: u16 = 1;
const WRITE: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
/// RFC 2347.
const OPTIONS: u16 = 6;

/// How long an answer may take before the last packet is sent again, and how often.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 5;

/// The largest file that is taken, in bytes.
const LARGEST: usize = 64 << 20;

/// What a client asks for.
struct Request {
    writes: bool,
    name: String,
    block_size: usize,
    /// The options that we agree to, as they are acknowledged.
    agreed: Vec<u8>,
    size: Option<usize>,
}

/// One transfer. It is over when this returns.
pub(crate) async fn transfer<R: Runtime>(runtime: R, root: Arc<PathBuf>, client: Conversation) {
    let Ok(first) = client.recv().await else { return };
    let outcome = match Request::parse(&first) {
        Some(request) if request.writes => receive_file(&runtime, &root, &client, request).await,
        Some(request) => send_file(&runtime, &root, &client, request).await,
        None => Err(io::ErrorKind::InvalidData.into()),
    };
    if let Err(error) = outcome {
        let code: u16 = match error.kind() {
            io::ErrorKind::NotFound => 1,
            io::ErrorKind::PermissionDenied => 2,
            io::ErrorKind::InvalidData => 4,
            io::ErrorKind::AlreadyExists => 6,
            _ => 0,
        };
        let _ = client.try_send(packet(ERROR, code, format!("{}\0", error.kind()).as_bytes()));
    }
}

async fn send_file<R: Runtime>(
    runtime: &R,
    root: &Path,
    client: &Conversation,
    mut request: Request,
) -> io::Result<()> {
    let content = fs::read(file(root, &request.name)?)?;
    if request.size.is_some() {
        request.agree("tsize", content.len());
    }
    if !request.agreed.is_empty() {
        let options = [&OPTIONS.to_be_bytes()[..], &request.agreed].concat();
        ask(runtime, client, options, |answer| opcode(answer) == Some((ACK, 0))).await?;
    }
    // The last block is shorter than the others, and so may be empty.
    let blocks = content.len() / request.block_size + 1;
    for number in 1..=blocks {
        let from = (number - 1) * request.block_size;
        let block = &content[from..content.len().min(from + request.block_size)];
        // Long files begin to count anew.
        let number = number as u16;
        ask(runtime, client, packet(DATA, number, block), |answer| opcode(answer) == Some((ACK, number)))
            .await?;
    }
    Ok(())
}

async fn receive_file<R: Runtime>(
    runtime: &R,
    root: &Path,
    client: &Conversation,
    request: Request,
) -> io::Result<()> {
    let path = file(root, &request.name)?;
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut content = Vec::new();
    let mut reply = match &request.agreed[..] {
        [] => packet(ACK, 0, &[]),
        agreed => [&OPTIONS.to_be_bytes()[..], agreed].concat(),
    };
    for number in 1_u16.. {
        let block = ask(runtime, client, reply, |answer| opcode(answer) == Some((DATA, number))).await?;
        content.extend_from_slice(&block[4..]);
        if content.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        reply = packet(ACK, number, &[]);
        if block.len() - 4 < request.block_size {
            break;
        }
    }
    fs::write(path, content)?;
    client.send(reply.clone()).await?;
    // The last word may get lost: the client then says its own again.
    while let Ok(again) = within(runtime, Some(PATIENCE), client.recv()).await {
        again?;
        client.send(reply.clone()).await?;
    }
    Ok(())
}

/// Sends `question`, and again if need be, until the answer is there. Others are late ones, to questions before.
async fn ask<R: Runtime>(
    runtime: &R,
    client: &Conversation,
    question: Vec<u8>,
    is_answer: impl Fn(&[u8]) -> bool,
) -> io::Result<BytesMut> {
    for _ in 0..ATTEMPTS {
        client.send(question.clone()).await?;
        while let Ok(heard) = within(runtime, Some(PATIENCE), client.recv()).await {
            let heard = heard?;
            if is_answer(&heard) {
                return Ok(heard);
            }
            if opcode(&heard).is_some_and(|(opcode, _)| opcode == ERROR) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn packet(opcode: u16, number: u16, payload: &[u8]) -> Vec<u8> {
    [&opcode.to_be_bytes()[..], &number.to_be_bytes(), payload].concat()
}

/// What kind of packet it is, and its number.
fn opcode(packet: &[u8]) -> Option<(u16, u16)> {
    let [a, b, c, d, ..] = *packet else { return None };
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// A file in the folder, and in no other one.
fn file(root: &Path, name: &str) -> io::Result<PathBuf> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if plain { Ok(root.join(name)) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

impl Request {
    fn parse(packet: &[u8]) -> Option<Self> {
        let (opcode, rest) = packet.split_first_chunk()?;
        let opcode = u16::from_be_bytes(*opcode);
        let mut words = rest.strip_suffix(b"\0")?.split(|byte| *byte == 0).map(str::from_utf8);
        let name = words.next()?.ok()?.trim_start_matches('/').to_owned();
        let mode = words.next()?.ok()?;
        if !matches!(opcode, READ | WRITE) || !mode.eq_ignore_ascii_case("octet") {
            return None;
        }
        let mut request =
            Self { writes: opcode == WRITE, name, block_size: 512, agreed: Vec::new(), size: None };
        while let (Some(Ok(option)), Some(Ok(value))) = (words.next(), words.next()) {
            let value: Option<usize> = value.parse().ok();
            // What we do not know we do not acknowledge: the client then does without it.
            if let (true, Some(size @ 8..)) = (option.eq_ignore_ascii_case("blksize"), value) {
                // No fragments: 1,428 bytes fit an Ethernet frame (RFC 2348).
                request.block_size = size.min(1428);
                request.agree("blksize", request.block_size);
            }
            if let (true, Some(size)) = (option.eq_ignore_ascii_case("tsize"), value) {
                request.size = Some(size);
                if request.writes {
                    request.agree("tsize", size);
                }
            }
        }
        Some(request)
    }

    fn agree(&mut self, option: &str, value: usize) {
        self.agreed.extend_from_slice(format!("{option}\0{value}\0").as_bytes());
    }
}

pub(crate) fn main() -> ExitCode {
    let root = Arc::new(std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from));
    let at = (Ipv4Addr::UNSPECIFIED, 6969).into();
    let serving = glowplug::smol::udp::serve(Smol::default(), at, |client| {
        transfer(Smol::default(), root.clone(), client)
    });
    match smol::block_on(serving) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_tftp: {error}");
            ExitCode::FAILURE
        }
    }
}
