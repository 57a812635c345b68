//! One-byte reads cost what they must, and no more.

use glowplug_core::StreamProtocol;

use super::StreamLaw;
use super::drive::Run;
use super::subject::{Endless, StreamSubject, WINDOW};
use crate::failure::{Failure, Verdict};
use crate::heap;
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::journal::Journal;
use crate::plan::Plan;

/// What old input is overwritten with: bytes that end frames, and bytes that no frame may hold.
const POISON: &[&[u8]] =
    &[b"\n", b"\r\n", b"\0", b"\xff", b"0\r\n\r\n", b"\r\n$-1\r\n", b"\0\0\0\x01", b" ", b"\"", b"z"];

/// Shorter runs show nothing.
const SHORTEST: usize = 1024;

/// How much shorter the shorter of the two measured inputs is.
const SHARE: usize = 16;

/// For sixteen times the input, the allocator may be asked for this many times the bytes: buffers that double make of linear
/// growth anything from 8 to 32, quadratic growth gives 256.
const VOLUME_RATIO: u64 = 64;

/// Volumes below this are not worth a ratio.
const VOLUME_FLOOR: u64 = 64 * 1024;

/// [`StreamLaw::LinearCost`].
pub(super) fn linear_cost<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let mut tried = 0;
    for endless in &subject.endless {
        let trial = Trial::of(&endless.name, &endless.bytes(0, endless.len.min(WINDOW * 2)));
        let fail =
            |how: String, broken| Box::new(trial.clone().how(how).failure(&subject.name, plan, broken));
        let guarded = |work: &dyn Fn() -> Result<Ran, Broken>| catching(StreamLaw::NoPanic.name(), work);

        let plain = guarded(&|| run(subject, endless, endless.len, None))
            .map_err(|broken| fail(format!("{} bytes of it, one by one", endless.len), broken))?;
        // A machine may refuse what goes on for too long: what it took before that is what counts.
        let len = plain.taken;
        if len < SHORTEST {
            continue;
        }
        tried += 1;
        let plain = guarded(&|| run(subject, endless, len, None))
            .map_err(|broken| fail(format!("{len} bytes of it, one by one"), broken))?;
        for poison in POISON {
            for quarter in 1..4 {
                let at = len * quarter / 4;
                let how = || {
                    let (from, to) = (WINDOW, at - WINDOW);
                    let with = crate::escape::escape(poison);
                    format!(
                        "byte by byte; after {at} bytes, those from {from} to {to} are overwritten with {with}"
                    )
                };
                let poisoned = guarded(&|| run(subject, endless, len, Some((at, poison))))
                    .map_err(|broken| fail(how(), broken))?;
                if poisoned.journal.shape() != plain.journal.shape() || poisoned.taken != plain.taken {
                    let seen = poisoned
                        .journal
                        .difference(&plain.journal)
                        .unwrap_or_else(|| "other lengths".to_owned());
                    let what =
                        format!("the machine looked again at bytes it had seen long before: it told\n{seen}");
                    return Err(fail(how(), Broken::new(StreamLaw::LinearCost.name(), what)));
                }
            }
        }
        let volume = |len| {
            let (outcome, heap) = heap::measure(|| guarded(&|| run(subject, endless, len, None)).map(drop));
            outcome.map(|()| heap.map(|heap| heap.volume))
        };
        let (short, long) = (volume(len / SHARE), volume(len));
        if let (Ok(Some(short)), Ok(Some(long))) = (short, long)
            && long > VOLUME_FLOOR + short * VOLUME_RATIO
        {
            let what = format!(
                "{} bytes asked the allocator for {short} bytes in all, {len} bytes for {long}",
                len / 4
            );
            return Err(fail("byte by byte".to_owned(), Broken::new(StreamLaw::LinearCost.name(), what)));
        }
    }
    if tried == 0 {
        return Ok(Verdict::Untested(format!(
            "the subject has no endless frame of {SHORTEST} bytes or more"
        )));
    }
    Ok(Verdict::Held)
}

struct Ran {
    journal: Journal,
    /// How many bytes went in with the machine still wanting more.
    taken: usize,
}

/// Feeds `len` bytes of the frame one by one; after `at` of them, poisons what lies in the input, but for both ends.
fn run<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    endless: &Endless,
    len: usize,
    poison: Option<(usize, &[u8])>,
) -> Result<Ran, Broken> {
    let mut run = Run::new(subject);
    run.settle()?;
    let mut taken = 0;
    for position in 0..len {
        if let Some((at, poison)) = poison
            && position == at
            && run.input.len() > 2 * WINDOW
        {
            let end = run.input.len() - WINDOW;
            for (byte, fill) in run.input[WINDOW..end].iter_mut().zip(poison.iter().cycle()) {
                *byte = *fill;
            }
        }
        run.feed(&[endless.byte(position)])?;
        if !run.wants() {
            break;
        }
        taken = position + 1;
    }
    Ok(Ran { journal: run.journal, taken })
}
