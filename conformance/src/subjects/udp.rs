//! The conversation tracker, as an echo.

use std::time::Duration;

use glowplug_core::{Path, Seed};
use glowplug_udp::{Config, Event, Tracker};

use crate::laws::datagram::{DatagramSubject, Step};

/// A tracker that accepts everybody and sends each message back.
pub fn tracker() -> DatagramSubject<Tracker> {
    let config = || {
        Config::default()
            .max_conversations(64)
            .max_queue(16)
            .max_queue_bytes(16 * 1024)
            .max_buffered(64 * 1024)
            .max_output(64)
            .max_output_bytes(64 * 1024)
            .max_datagram(2048)
            .idle_timeout(Some(Duration::from_secs(60)))
    };
    let (one, two) = (Path::to(([192, 0, 2, 1], 1).into()), Path::to(([192, 0, 2, 2], 2).into()));
    let crowd =
        (0..30).map(|n| Step::Datagram(Path::to(([192, 0, 2, n], 7).into()), vec![n; usize::from(n)]));
    DatagramSubject::on_event(
        "udp tracker",
        move || Tracker::new(config(), &Seed::from_u64(1)),
        |tracker, _, event, journal| {
            journal.event(format_args!("{event:?}"));
            if let Event::Message { conversation, payload } = event {
                // A full queue loses a datagram, as any network may.
                let _ = tracker.send(conversation, payload.freeze());
            }
        },
    )
    .script(
        "two peers",
        [
            Step::Datagram(one, b"hello".to_vec()),
            Step::Datagram(two, Vec::new()),
            Step::Wait(Duration::from_secs(45)),
            Step::Datagram(one, b"still here".to_vec()),
            Step::Wait(Duration::from_secs(30)),
            Step::Datagram(two, b"who am I?".to_vec()),
            Step::Wait(Duration::from_secs(300)),
        ],
    )
    .script("a crowd", crowd)
    .script("nobody there", [Step::Datagram(one, b"hello".to_vec()), Step::Unreachable(one)])
    .memory(1 << 20)
}
