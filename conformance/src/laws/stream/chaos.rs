//! Everything at once: hostile bytes, random cuts, time jumps, an end, a close.

use std::time::Duration;

use glowplug_core::{Rng, Seed, StreamProtocol};

use super::StreamLaw;
use super::drive::{Run, Writing};
use super::subject::StreamSubject;
use super::time;
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::mutate::{cut, hostile};
use crate::plan::Plan;

/// [`StreamLaw::NoPanic`].
pub(super) fn no_panic<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let raw = subject.raw_inputs();
    for seed in plan.seeds() {
        let mut rng = Seed::from_u64(seed).rng();
        let bytes = hostile(&mut rng, &raw);
        catching(StreamLaw::NoPanic.name(), || chaos(Run::new(subject), &mut rng, &bytes)).map_err(
            |broken| {
                let trial = Trial::of("a hostile one", &bytes)
                    .how("with random cuts, time jumps, room, end and close");
                Box::new(trial.seed(Some(seed)).failure(&subject.name, plan, broken))
            },
        )?;
    }
    Ok(Verdict::Held)
}

/// Feeds `bytes` in random pieces while other things happen.
pub(super) fn chaos<P: StreamProtocol>(run: Run<'_, P>, rng: &mut Rng, bytes: &[u8]) -> Result<(), Broken> {
    let writing = if rng.chance(1, 4) { Writing::OneByte } else { Writing::All };
    let mut run = run.room(1 << rng.below(16), writing);
    run.settle()?;
    for piece in cut(rng, bytes, 12) {
        run.feed(piece)?;
        match rng.below(16) {
            0 => run.timeout_at(run.now + Duration::from_millis(rng.below(10_000)))?,
            1 | 2 => {
                if let Some(deadline) = time::next_deadline(&run) {
                    time::pass(&mut run, deadline + Duration::from_nanos(rng.below(2)))?;
                }
            }
            3 if rng.chance(1, 4) => run.close()?,
            _ => {}
        }
    }
    if rng.chance(1, 2) {
        run.close()?;
    }
    run.eof()?;
    if let Some(deadline) = time::next_deadline(&run) {
        time::pass(&mut run, deadline)?;
    }
    Ok(())
}
