//! Real captures: each datagram to the conversation that Wireshark puts it in.
//!
//! Files are found below the folder that `GLOWPLUG_VECTORS` names; without it the suite is listed as ignored. Each capture
//! is replayed once per host in it, as that host's tracker saw it: what the host received is handed in, what it sent opens a
//! conversation of its own. A conversation of the capture is an address pair and a port pair; the host's own side of it
//! (which in reality is a socket each) is the scope.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path, Seed};
use glowplug_udp::{Config, ConnectError, ConversationId, ConversationKey, Event, Scope, Tracker};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

fn main() {
    let arguments = Arguments::from_args();
    let trials = match std::env::var_os("GLOWPLUG_VECTORS") {
        None => vec![Trial::test("GLOWPLUG_VECTORS is not set", || Ok(())).with_ignored_flag(true)],
        Some(root) => trials(&PathBuf::from(root).join("vectors/udp/captures")),
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials(folder: &FilePath) -> Vec<Trial> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder was opened").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(files.len() >= 25, "only {} captures in {}", files.len(), folder.display());
    let mut trials: Vec<Trial> = files
        .iter()
        .map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let file = file.clone();
            Trial::test(name, move || replay(&read(&file)?))
        })
        .collect();
    let kcp = folder.join("kcp.pcap.json");
    trials.push(Trial::test("kcp by conversation number", move || by_conversation_number(&read(&kcp)?)));
    trials
}

struct Datagram {
    src: SocketAddr,
    dst: SocketAddr,
    payload: Vec<u8>,
    stream: u64,
}

fn read(file: &FilePath) -> Result<Vec<Datagram>, Failed> {
    let capture: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let datagrams = capture["datagrams"].as_array().ok_or("no datagrams")?;
    datagrams
        .iter()
        .map(|datagram| {
            let address = |ip: &str, port: &str| -> Result<SocketAddr, Failed> {
                let ip: IpAddr = datagram[ip].as_str().ok_or("no address")?.parse()?;
                Ok(SocketAddr::new(ip, datagram[port].as_u64().ok_or("no port")?.try_into()?))
            };
            let len: usize = datagram["len"].as_u64().ok_or("no length")?.try_into()?;
            let mut payload = hex(datagram["head"].as_str().ok_or("no head")?)?;
            payload.resize(len, 0);
            Ok(Datagram {
                src: address("src", "sport")?,
                dst: address("dst", "dport")?,
                payload,
                stream: datagram["stream"].as_u64().ok_or("no stream")?,
            })
        })
        .collect()
}

fn hex(text: &str) -> Result<Vec<u8>, Failed> {
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::from_str_radix(text.get(at..at + 2).ok_or("odd hex")?, 16)?))
        .collect()
}

/// A tracker that sees everything: nothing expires, nothing is refused.
fn tracker(config: Config) -> Tracker {
    Tracker::new(config.idle_timeout(None), &Seed::from_u64(1))
}

fn replay(datagrams: &[Datagram]) -> Result<(), Failed> {
    let hosts: BTreeSet<IpAddr> = datagrams.iter().flat_map(|d| [d.src.ip(), d.dst.ip()]).collect();
    for host in hosts {
        let mut host_tracker = tracker(Config::default());
        let mut sockets: BTreeMap<SocketAddr, u32> = BTreeMap::new();
        let mut conversations: BTreeMap<ConversationId, u64> = BTreeMap::new();
        let mut streams: BTreeMap<u64, ConversationId> = BTreeMap::new();
        for (number, datagram) in datagrams.iter().enumerate() {
            let now = Instant::ZERO + Duration::from_millis(number as u64);
            // A datagram to oneself was sent by one socket and received by another.
            let mut ends = Vec::new();
            if datagram.src.ip() == host && datagram.dst.ip() != host {
                ends.push((datagram.src, datagram.dst, false));
            }
            if datagram.dst.ip() == host {
                ends.push((datagram.dst, datagram.src, true));
            }
            for (ours, theirs, received) in ends {
                // Within one host both directions are two sockets' views of one stream: the lower address stands for both.
                let (ours, theirs) =
                    if ours.ip() == theirs.ip() && theirs < ours { (theirs, ours) } else { (ours, theirs) };
                let next = sockets.len() as u32 + 1;
                let scope = Scope(*sockets.entry(ours).or_insert(next));
                let path = Path { remote: theirs, local: Some(ours.ip()) };
                let conversation = if received {
                    let payload = BytesMut::from(&datagram.payload[..]);
                    host_tracker.handle_datagram_in(now, scope, path, payload)?;
                    let (conversation, message) = message(&mut host_tracker, now)?;
                    if message[..] != datagram.payload[..] {
                        return Err(format!("datagram {number} changed").into());
                    }
                    conversation
                } else {
                    match host_tracker.connect_in(now, scope, path) {
                        Ok(conversation) | Err(ConnectError::Exists(conversation)) => conversation,
                        Err(error) => return Err(error.into()),
                    }
                };
                let stream = *conversations.entry(conversation).or_insert(datagram.stream);
                let known = *streams.entry(datagram.stream).or_insert(conversation);
                if (stream, known) != (datagram.stream, conversation) {
                    let text = format!(
                        "datagram {number} of stream {}: conversation {conversation:?} of stream {stream}",
                        datagram.stream
                    );
                    return Err(text.into());
                }
            }
        }
        if host_tracker.len() != streams.len() {
            return Err(format!("{} conversations, {} streams", host_tracker.len(), streams.len()).into());
        }
    }
    Ok(())
}

/// The one message there is to be told, after at most one `Opened`.
fn message(tracker: &mut Tracker, now: Instant) -> Result<(ConversationId, BytesMut), Failed> {
    loop {
        match tracker.poll_event(now).ok_or("no message")? {
            Event::Opened { .. } => {}
            Event::Message { conversation, payload } => return Ok((conversation, payload)),
            other => return Err(format!("{other:?}").into()),
        }
    }
}

/// KCP's conversation number (the first four bytes) in place of the address: the same partition by another way, also when
/// every datagram comes from another port.
fn by_conversation_number(datagrams: &[Datagram]) -> Result<(), Failed> {
    let number = |payload: &[u8]| payload.get(..4).and_then(ConversationKey::new);
    let mut tracker = tracker(Config::default().identify(number));
    let mut conversations: BTreeMap<Vec<u8>, ConversationId> = BTreeMap::new();
    for (count, datagram) in datagrams.iter().enumerate() {
        let Some(number) = datagram.payload.get(..4) else { continue };
        let now = Instant::ZERO + Duration::from_millis(count as u64);
        let mut from = datagram.src;
        from.set_port(10_000 + count as u16);
        tracker.handle_datagram(now, Path::to(from), BytesMut::from(&datagram.payload[..]))?;
        let conversation = loop {
            match tracker.poll_event(now).ok_or("no message")? {
                Event::Message { conversation, .. } => break conversation,
                Event::Opened { .. } | Event::Moved { .. } => {}
                other => return Err(format!("{other:?}").into()),
            }
        };
        let known = *conversations.entry(number.to_vec()).or_insert(conversation);
        if known != conversation {
            return Err(format!("datagram {count}: {conversation:?}, not {known:?}").into());
        }
    }
    if conversations.len() != tracker.len() || conversations.is_empty() {
        return Err(format!("{} numbers, {} conversations", conversations.len(), tracker.len()).into());
    }
    Ok(())
}
