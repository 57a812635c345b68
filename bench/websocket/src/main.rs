//! WebSocket: masking and one end of a connection in memory, and whole servers that echo, beside tungstenite and fastwebsockets.
//!
//! In memory nothing waits, so these rows are the CPU of a message. An echo is a message received and sent: the server has a core of its own, and
//! the load is another process.

mod codec;
mod load;
mod memory;
mod servers;

use bench_harness::{Counting, Entry, Work};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The two lengths of a message: a line of chat, and a large one.
const SHORT: usize = 64;
const LONG: usize = 64 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--load") {
        return load::main(&arguments[1..]);
    }
    let mask = |name, operations, len| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug", move |n| codec::mask(len, n)),
            Entry::peer("fastwebsockets", move |n| codec::mask_fast(len, n)),
            Entry::peer("byte by byte", move |n| codec::mask_plain(len, n)),
        ],
    };
    let receive = |name, operations, len| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug", move |n| memory::receive(len, n)),
            Entry::peer("tungstenite", move |n| memory::receive_tungstenite(len, n)),
            Entry::peer("fastwebsockets", move |n| memory::receive_fast(len, n)),
        ],
    };
    let send = |name, operations, len, masked| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug", move |n| memory::send(len, masked, n)),
            Entry::peer("tungstenite", move |n| memory::send_tungstenite(len, masked, n)),
            Entry::peer("fastwebsockets", move |n| memory::send_fast(len, masked, n)),
        ],
    };
    let echo = |name, operations, connections, len| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug on tokio", move |n| servers::glowplug_tokio(connections, len, n)),
            Entry::ours("glowplug on smol", move |n| servers::glowplug_smol(connections, len, n)),
            Entry::peer("tungstenite on tokio", move |n| servers::tungstenite_tokio(connections, len, n)),
            Entry::peer("tungstenite on smol", move |n| servers::tungstenite_smol(connections, len, n)),
            Entry::peer("fastwebsockets on tokio", move |n| {
                servers::fastwebsockets_tokio(connections, len, n)
            }),
            Entry::peer("fastwebsockets on smol", move |n| servers::fastwebsockets_smol(connections, len, n)),
        ],
    };
    bench_harness::pin(1);
    bench_harness::main(vec![
        mask("mask-64", 2_000_000, SHORT),
        mask("mask-64k", 20_000, LONG),
        receive("receive-64", 200_000, SHORT),
        receive("receive-64k", 5_000, LONG),
        send("send-64", 200_000, SHORT, false),
        send("send-64k", 5_000, LONG, false),
        send("send-masked-64", 200_000, SHORT, true),
        send("send-masked-64k", 5_000, LONG, true),
        echo("echo-64", 64 * 200, 64, SHORT),
        echo("echo-64k", 8 * 100, 8, LONG),
    ]);
}
