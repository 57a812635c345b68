//! Bounded work and bounded memory.

use glowplug_core::{Seed, StreamProtocol};

use super::StreamLaw;
use super::chaos::chaos;
use super::drive::{Run, Writing};
use super::subject::StreamSubject;
use crate::failure::{Failure, Verdict};
use crate::heap::{self, HeapUse};
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::mutate::hostile;
use crate::plan::Plan;

/// What a driver's own buffers and the kit's own notes may add to the heap: not counted against the machine.
const OVERHEAD: u64 = 64 * 1024;

/// How much a driver reads at once while memory is measured.
const READ: usize = 4096;

/// At how many prefixes of each input the output is tried without room.
const PLACES: usize = 256;

/// [`StreamLaw::BoundedWork`].
pub(super) fn bounded_work<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    for input in &subject.inputs {
        for (at, seed) in plan.few_places(input.bytes.len(), PLACES) {
            let outcome = catching(StreamLaw::NoPanic.name(), || without_room(subject, &input.bytes[..at]));
            outcome.map_err(|broken| {
                let how = format!("the first {at} bytes, and an output without room");
                let trial = Trial::of(&input.name, &input.bytes).how(how).seed(seed);
                Box::new(trial.failure(&subject.name, plan, broken))
            })?;
        }
    }
    let raw = subject.raw_inputs();
    for seed in plan.seeds() {
        // Other inputs than the law about panics sees.
        let mut rng = Seed::from_u64(seed ^ 0xB0).rng();
        let bytes = hostile(&mut rng, &raw);
        catching(StreamLaw::NoPanic.name(), || chaos(Run::new(subject).muted(), &mut rng, &bytes)).map_err(
            |broken| {
                let trial = Trial::of("a hostile one", &bytes)
                    .how("with random cuts, time jumps, room, end and close");
                Box::new(trial.seed(Some(seed)).failure(&subject.name, plan, broken))
            },
        )?;
    }
    Ok(Verdict::Held)
}

/// The rules themselves are held by every run; here the output is full from the first byte on.
fn without_room<P: StreamProtocol>(subject: &StreamSubject<P>, prefix: &[u8]) -> Result<(), Broken> {
    let mut run = Run::new(subject).room(1, Writing::Nothing);
    run.out.put_slice(b"!");
    run.settle()?;
    run.feed(prefix)?;
    run.eof()?;
    run.close()
}

/// [`StreamLaw::Memory`].
pub(super) fn memory<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let limit = subject.memory as u64 + OVERHEAD;
    let total = subject.memory.saturating_mul(4);
    let measured =
        |trial: Trial, work: &mut dyn FnMut() -> Result<(), Broken>| -> Result<bool, Box<Failure>> {
            let (outcome, heap) = heap::measure(|| catching(StreamLaw::NoPanic.name(), work));
            // The text of a broken rule was made inside: it is no leak.
            let outcome = outcome.and_then(|()| heap.map_or(Ok(()), |heap| within(heap, limit)));
            outcome.map_err(|broken| Box::new(trial.failure(&subject.name, plan, broken)))?;
            Ok(heap.is_some())
        };

    // What is set up once for all (tables, thread locals) is nobody's leak: let it happen before the counting.
    for bytes in subject.raw_inputs() {
        let _ = catching(StreamLaw::NoPanic.name(), || Run::fed(subject, bytes).map(drop));
    }
    let mut counted = true;
    for endless in &subject.endless {
        let trial =
            Trial::of(&endless.name, &endless.bytes(0, 128)).how(format!("up to {total} bytes of it"));
        counted &= measured(trial, &mut || {
            let mut run = Run::new(subject).muted();
            run.settle()?;
            let mut fed = 0;
            while fed < total && run.wants() {
                run.feed(&endless.bytes(fed, fed + READ))?;
                fed += READ;
            }
            Ok(())
        })?;
    }
    for input in &subject.inputs {
        let trial = Trial::of(&input.name, &input.bytes)
            .how(format!("again and again, up to {total} bytes, from a peer that never reads"));
        counted &= measured(trial, &mut || {
            let mut run = Run::new(subject).room(READ, Writing::Nothing).muted();
            run.settle()?;
            let mut fed = 0;
            while fed < total && run.wants() && !input.bytes.is_empty() {
                for piece in input.bytes.chunks(READ) {
                    if run.wants() {
                        run.feed(piece)?;
                    }
                }
                fed += input.bytes.len();
            }
            Ok(())
        })?;
    }
    let raw = subject.raw_inputs();
    for seed in plan.seeds() {
        let mut rng = Seed::from_u64(seed ^ 0xE0).rng();
        let bytes = hostile(&mut rng, &raw);
        let trial = Trial::of("a hostile one", &bytes).seed(Some(seed));
        counted &= measured(trial, &mut || chaos(Run::new(subject).muted(), &mut rng, &bytes))?;
    }
    if !counted {
        return Ok(Verdict::Untested("allocations are not counted: the feature `memory` is off".to_owned()));
    }
    Ok(Verdict::Held)
}

fn within(heap: HeapUse, limit: u64) -> Result<(), Broken> {
    if heap.peak > limit {
        let what =
            format!("{} bytes of heap were held at once; {limit} are allowed, buffers included", heap.peak);
        return Err(Broken::new(StreamLaw::Memory.name(), what));
    }
    if heap.kept != 0 {
        let what = format!("after the machine was dropped, {} bytes of heap are still held", heap.kept);
        return Err(Broken::new(StreamLaw::Memory.name(), what));
    }
    Ok(())
}
