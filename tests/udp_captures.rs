//! Real captures, through sockets of the simulator: each datagram in the conversation that Wireshark puts it in.
//!
//! Files are found below the folder that `GLOWPLUG_VECTORS` names; without it the suite is listed as ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path as FilePath, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use glowplug::core::Path;
use glowplug::runtime::time::within;
use glowplug::runtime::udp::{Builder, Config};
use glowplug::runtime::{DatagramSocket, Runtime, SendBatch};
use glowplug::sim::{Link, Sim, Simulation};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

fn main() -> ExitCode {
    let trials = match std::env::var_os("GLOWPLUG_VECTORS") {
        None => vec![Trial::test("GLOWPLUG_VECTORS is not set", || Ok(())).with_ignored_flag(true)],
        Some(root) => trials(&PathBuf::from(root).join("vectors/udp/captures")),
    };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trials(folder: &FilePath) -> Vec<Trial> {
    let files: BTreeSet<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder was opened").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    assert!(files.len() >= 25, "only {} captures in {}", files.len(), folder.display());
    let trial = |file: PathBuf| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name, move || replay(&read(&file)?))
    };
    files.into_iter().map(trial).collect()
}

struct Captured {
    src: SocketAddr,
    dst: SocketAddr,
    len: usize,
    stream: u64,
}

fn read(file: &FilePath) -> Result<Vec<Captured>, Failed> {
    let capture: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let datagrams = capture["datagrams"].as_array().ok_or("no datagrams")?;
    datagrams
        .iter()
        .map(|datagram| {
            let address = |ip: &str, port: &str| -> Result<SocketAddr, Failed> {
                let ip: IpAddr = datagram[ip].as_str().ok_or("no address")?.parse()?;
                Ok(SocketAddr::new(ip, datagram[port].as_u64().ok_or("no port")?.try_into()?))
            };
            Ok(Captured {
                src: address("src", "sport")?,
                dst: address("dst", "dport")?,
                len: datagram["len"].as_u64().ok_or("no length")?.try_into()?,
                stream: datagram["stream"].as_u64().ok_or("no stream")?,
            })
        })
        .collect()
}

/// Every socket that was written to listens, all on one host; what wrote to it is sent again, from the address it had.
fn replay(captured: &[Captured]) -> Result<(), Failed> {
    let mut simulation =
        Simulation::new(1).configure(|net| net.default_link(Link::new().jitter(Duration::ZERO)));
    let server = simulation.host("server", [203, 0, 113, 1]);
    let others = simulation.host("others", [203, 0, 113, 2]);
    simulation.run(async {
        let mut listeners = BTreeMap::new();
        for (datagram, port) in captured.iter().zip(1000..) {
            if listeners.contains_key(&datagram.dst) {
                continue;
            }
            let config = Config::default().idle_timeout(None).max_queue(4096);
            let builder = Builder::new(server.clone()).tracker(config);
            listeners.insert(datagram.dst, builder.bind(([203, 0, 113, 1], port).into()).await?);
        }
        let mut sockets: BTreeMap<u16, <Sim as Runtime>::Datagram> = BTreeMap::new();
        for (number, datagram) in captured.iter().enumerate() {
            if let std::collections::btree_map::Entry::Vacant(entry) = sockets.entry(datagram.src.port()) {
                entry.insert(others.bind((Ipv4Addr::UNSPECIFIED, datagram.src.port()).into()).await?);
            }
            let Some(socket) = sockets.get_mut(&datagram.src.port()) else { continue };
            // Its number instead of the first bytes, as far as there is room.
            let mut payload = vec![0; datagram.len];
            let head = (number as u32).to_be_bytes();
            let known = head.len().min(payload.len());
            payload[..known].copy_from_slice(&head[..known]);
            let mut batch = SendBatch::new();
            let remote = listeners[&datagram.dst].local_addr();
            batch.push(Path { remote, local: Some(datagram.src.ip()) }, &payload);
            poll_fn(|cx| socket.poll_send(cx, &mut batch)).await?;
            others.sleep(Duration::from_millis(1)).await;
        }
        for (dst, listener) in listeners {
            let mut streams: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            for (number, datagram) in captured.iter().enumerate().filter(|(_, datagram)| datagram.dst == dst)
            {
                streams.entry(datagram.stream).or_default().push(number);
            }
            while let Ok(conversation) =
                within(&server, Some(Duration::from_millis(10)), listener.accept()).await
            {
                let conversation = conversation?;
                let found =
                    streams.iter().find(|(_, numbers)| captured[numbers[0]].src == conversation.peer());
                let stream = *found.ok_or("a conversation with nobody of the capture")?.0;
                let numbers = streams.remove(&stream).unwrap_or_default();
                for number in numbers {
                    let expected = &captured[number];
                    let Some(heard) = conversation.try_recv()? else {
                        return Err(format!("datagram {number} is in another conversation").into());
                    };
                    let head = (number as u32).to_be_bytes();
                    let known = head.len().min(heard.len());
                    if heard.len() != expected.len || heard[..known] != head[..known] {
                        return Err(format!("another datagram in the place of {number}").into());
                    }
                }
                if conversation.try_recv()?.is_some() {
                    return Err(format!("a datagram too many in stream {stream}").into());
                }
            }
            if !streams.is_empty() {
                return Err(format!("streams without a conversation at {dst}: {:?}", streams.keys()).into());
            }
        }
        Ok(())
    })
}
