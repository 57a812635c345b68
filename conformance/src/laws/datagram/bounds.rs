//! Bounded work, bounded memory, no panic.

use std::time::Duration;

use glowplug_core::{DatagramProtocol, Path, Rng, Seed};

use super::DatagramLaw;
use super::drive::Run;
use super::subject::DatagramSubject;
use crate::failure::{Failure, Verdict};
use crate::heap;
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::mutate::hostile;
use crate::plan::Plan;

/// What the driver's own buffer and the kit's own notes may add to the heap.
const OVERHEAD: u64 = 64 * 1024;

/// How many datagrams a flood has.
const FLOOD: u64 = 20_000;

/// [`DatagramLaw::NoPanic`].
pub(super) fn no_panic<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    for seed in plan.seeds() {
        catching(DatagramLaw::NoPanic.name(), || chaos(Run::new(subject), seed)).map_err(|broken| {
            let trial = Trial::default()
                .how("hostile datagrams, unreachable paths, time jumps, a close")
                .seed(Some(seed));
            Box::new(trial.failure(&subject.name, plan, broken))
        })?;
    }
    Ok(Verdict::Held)
}

/// [`DatagramLaw::BoundedWork`]: every run holds the rule; here on other seeds than the law about panics.
pub(super) fn bounded_work<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    for seed in plan.seeds() {
        catching(DatagramLaw::NoPanic.name(), || chaos(Run::new(subject).muted(), seed ^ 0xB0)).map_err(
            |broken| {
                let trial = Trial::default()
                    .how("hostile datagrams, unreachable paths, time jumps, a close")
                    .seed(Some(seed));
                Box::new(trial.failure(&subject.name, plan, broken))
            },
        )?;
    }
    Ok(Verdict::Held)
}

/// Valid and hostile datagrams from known and unknown peers, while other things happen.
fn chaos<P: DatagramProtocol>(mut run: Run<'_, P>, seed: u64) -> Result<(), Broken> {
    let mut rng = Seed::from_u64(seed).rng();
    let (payloads, paths) = (run.subject.payloads(), run.subject.paths());
    for _ in 0..rng.below(60) {
        let path = somebody(&mut rng, &paths);
        match rng.below(16) {
            0 => run.machine.handle_unreachable(run.now, path),
            1 => {
                run.now += Duration::from_millis(rng.below(100_000));
                run.machine.handle_timeout(run.now);
            }
            2 => {
                if let Some(deadline) = run.next_deadline() {
                    run.pass(deadline)?;
                }
            }
            3 if rng.chance(1, 8) => run.machine.close(run.now),
            4..8 => run.settle()?,
            8 | 9 if !payloads.is_empty() => {
                let payload = payloads[rng.below(payloads.len() as u64) as usize];
                run.receive(path, payload);
            }
            _ => {
                let bytes = hostile(&mut rng, &payloads);
                run.receive(path, &bytes);
            }
        }
    }
    run.settle()
}

/// Mostly one of `paths`, now and then somebody new.
fn somebody(rng: &mut Rng, paths: &[Path]) -> Path {
    if !paths.is_empty() && rng.chance(3, 4) {
        return paths[rng.below(paths.len() as u64) as usize];
    }
    Path::to((rng.u32().to_be_bytes(), rng.u16()).into())
}

/// [`DatagramLaw::Memory`].
pub(super) fn memory<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let limit = subject.memory as u64 + OVERHEAD;
    // What is set up once for all (tables, thread locals) is nobody's leak: let it happen before the counting.
    let _ = catching(DatagramLaw::NoPanic.name(), || chaos(Run::new(subject).muted(), 0));
    let floods = [
        (true, false, "from ever new peers, nothing taken out"),
        (false, false, "from the same peers, nothing taken out"),
        (true, true, "from ever new peers, everything taken out"),
    ];
    let mut counted = true;
    for (strangers, polled, what) in floods {
        let (outcome, heap) = heap::measure(|| {
            catching(DatagramLaw::NoPanic.name(), || flood(Run::new(subject).muted(), strangers, polled))
        });
        let outcome = outcome.and_then(|()| match heap {
            Some(heap) if heap.peak > limit => {
                let what = format!(
                    "{} bytes of heap were held at once; {limit} are allowed, buffers included",
                    heap.peak
                );
                Err(Broken::new(DatagramLaw::Memory.name(), what))
            }
            Some(heap) if heap.kept != 0 => {
                let what =
                    format!("after the machine was dropped, {} bytes of heap are still held", heap.kept);
                Err(Broken::new(DatagramLaw::Memory.name(), what))
            }
            _ => Ok(()),
        });
        outcome.map_err(|broken| {
            let trial = Trial::default().how(format!("{FLOOD} datagrams {what}"));
            Box::new(trial.failure(&subject.name, plan, broken))
        })?;
        counted &= heap.is_some();
    }
    if !counted {
        return Ok(Verdict::Untested("allocations are not counted: the feature `memory` is off".to_owned()));
    }
    Ok(Verdict::Held)
}

fn flood<P: DatagramProtocol>(mut run: Run<'_, P>, strangers: bool, polled: bool) -> Result<(), Broken> {
    let mut rng = Seed::from_u64(0).rng();
    let (payloads, paths) = (run.subject.payloads(), run.subject.paths());
    for n in 0..FLOOD {
        let path = match paths.get(n as usize % paths.len().max(1)) {
            Some(path) if !strangers => *path,
            _ => Path::to(((n as u32).to_be_bytes(), 7).into()),
        };
        match payloads.get(rng.below(payloads.len() as u64 + 1) as usize) {
            Some(payload) => run.receive(path, payload),
            None => run.receive(path, &hostile(&mut rng, &payloads)),
        };
        if polled {
            run.settle()?;
        }
    }
    run.settle()
}
