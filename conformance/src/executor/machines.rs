//! A machine on a stream, by the exclusive driver.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Seed};
use glowplug_runtime::Runtime;
use glowplug_runtime::drive::{DriverError, Exclusive};
use glowplug_runtime::time::sleep;

use super::io::{both, flush, polled, read_all, shutdown};
use super::{Stop, Trial, Tried, When as _, World, ensure, trial};
use crate::reference::line::{Config, Error, LineEcho};

pub(super) fn trials<R: Runtime>() -> Vec<Trial<R>> {
    vec![
        trial!("lines-come-back", lines_come_back),
        trial!("a-pause-ends-with-the-output", a_pause_ends),
        trial!("next-event-dropped-at-every-poll", next_event_dropped),
        trial!("deadline-ends-a-silent-connection", deadline),
        trial!("error-says-goodbye", goodbye),
    ]
}

/// Lines of seeded lengths, enough to fill the machine's queue and the sockets' buffers.
fn lines(seed: u64) -> Bytes {
    let mut rng = Seed::from_u64(seed).rng();
    let mut text = BytesMut::new();
    for n in 0..2000 {
        text.extend_from_slice(format!("{n} ").as_bytes());
        text.resize(text.len() + rng.below(900) as usize, b'.');
        text.extend_from_slice(b"\n");
    }
    text.freeze()
}

/// Serves line echo on one end and sends lines on the other. Each `next_event` may be polled `polls` times before it is
/// dropped and asked anew.
async fn serve<R: Runtime>(world: &World<R>, config: Config, polls: usize) -> Tried {
    let (mut client, server) = world.pair().await?;
    let text = lines(world.seed);
    let machine = LineEcho::new(config, world.runtime.now());
    let mut driver = Exclusive::new(world.runtime.clone(), server, machine);
    let serving = async {
        let mut count = 0_usize;
        loop {
            match polled(polls, driver.next_event()).await {
                // A simulated clock stands still for whoever asks again at once.
                None => sleep(&world.runtime, Duration::from_micros(50)).await,
                Some(Ok(Some(_))) => count += 1,
                Some(Ok(None)) => return Ok(count),
                Some(Err(error)) => return Err(error),
            }
        }
    };
    let talking = async {
        // Reading and writing at once: else both sides wait for each other once all buffers are full.
        let (mut out, mut back) = (glowplug_core::SendBuf::new(), BytesMut::new());
        out.push(text.clone());
        std::future::poll_fn(|cx| {
            use glowplug_runtime::Transport as _;
            use std::task::Poll;
            loop {
                if back.len() >= text.len() {
                    return Poll::Ready(Ok::<(), std::io::Error>(()));
                }
                let written = if out.is_empty() { Poll::Pending } else { client.poll_write(cx, &mut out)? };
                let read = client.poll_read(cx, &mut back)?;
                match (written, read) {
                    (Poll::Pending, Poll::Pending) => return Poll::Pending,
                    (_, Poll::Ready(0)) => return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into())),
                    _ => {}
                }
            }
        })
        .await?;
        shutdown(&mut client).await?;
        back.unsplit(read_all(&mut client).await?);
        Ok::<_, std::io::Error>(back)
    };
    let (served, back) = both(serving, talking).await;
    let (count, back) = (served.when("serve")?, back.when("talk")?);
    ensure(count == 2000, || format!("2000 lines were sent, and {count} were events"))?;
    ensure(back == text, || format!("{} bytes were sent, {} came back, not the same", text.len(), back.len()))
}

/// More room than all lines take: this machine never pauses.
const PATIENT: Config = Config { max_line: 1024, max_queued: usize::MAX, idle: Duration::from_secs(5) };

async fn lines_come_back<R: Runtime>(world: World<R>) -> Tried {
    serve(&world, PATIENT, usize::MAX).await
}

/// The machine stops in the middle of its input until its output was taken: whoever takes it has to ask for events again
/// before waiting for more input, which may never come.
async fn a_pause_ends<R: Runtime>(world: World<R>) -> Tried {
    serve(&world, Config { max_queued: 2000, ..PATIENT }, usize::MAX).await
}

async fn next_event_dropped<R: Runtime>(world: World<R>) -> Tried {
    for polls in 1..4 {
        serve(&world, PATIENT, polls).await?;
    }
    Ok(())
}

async fn deadline<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, server) = world.pair().await?;
    let config = Config { idle: Duration::from_millis(20), ..Config::default() };
    let start: Instant = world.runtime.now();
    let mut driver = Exclusive::new(world.runtime.clone(), server, LineEcho::new(config, start));
    let (ended, heard) = both(
        async {
            let ended = driver.next_event().await;
            // The goodbye goes out, then the stream is dropped.
            let finished = driver.finish().await;
            drop(driver);
            (ended, finished)
        },
        read_all(&mut client),
    )
    .await;
    match ended.0 {
        Err(DriverError::Protocol(Error::TimedOut)) => {}
        other => return Err(Stop(format!("a silent connection ended as {other:?}"))),
    }
    ensure(world.runtime.now() >= start + config.idle, || "its deadline came early".to_owned())?;
    let heard = heard.when("read to the end")?;
    ensure(heard == b"bye\n"[..], || format!("the goodbye was {heard:?}"))
}

async fn goodbye<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, server) = world.pair().await?;
    let machine = LineEcho::new(Config::default(), world.runtime.now());
    let mut driver = Exclusive::new(world.runtime.clone(), server, machine);
    let mut out = glowplug_core::SendBuf::new();
    out.put_slice(b"fine\nnot \0 fine\n");
    let talking = async {
        flush(&mut client, &mut out).await?;
        read_all(&mut client).await
    };
    let serving = async {
        let first = driver.next_event().await;
        let second = driver.next_event().await;
        let finished = driver.finish().await;
        drop(driver);
        (first, second, finished)
    };
    let ((first, second, _), heard) = both(serving, talking).await;
    ensure(matches!(first, Ok(Some(_))), || format!("the first line was {first:?}"))?;
    ensure(matches!(second, Err(DriverError::Protocol(Error::Nul(4)))), || {
        format!("the second line was {second:?}")
    })?;
    let heard = heard.when("read to the end")?;
    ensure(heard.ends_with(b"bye\n"), || format!("the goodbye was {heard:?}"))
}
