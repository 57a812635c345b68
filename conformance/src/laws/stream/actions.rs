//! What a driver relies on between its calls: silence, and the interest.

use std::time::Duration;

use glowplug_core::{ReadInterest, Seed, StreamProtocol};

use super::StreamLaw;
use super::chaos::chaos;
use super::drive::Run;
use super::subject::StreamSubject;
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::plan::Plan;

/// [`StreamLaw::Quiet`]: every run holds the rule; here it meets every prefix, and calm inputs in wild company.
pub(super) fn quiet<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    for input in &subject.inputs {
        let outcome = catching(StreamLaw::NoPanic.name(), || {
            let mut run = Run::fed(subject, &[])?;
            for byte in input.bytes.chunks(1) {
                run.feed(byte)?;
                run.now += Duration::from_nanos(1);
                run.settle()?;
            }
            run.eof()?;
            run.close()
        });
        outcome.map_err(|broken| {
            let trial = Trial::of(&input.name, &input.bytes).how("byte by byte, each twice polled");
            Box::new(trial.failure(&subject.name, plan, broken))
        })?;
        for seed in plan.seeds() {
            let mut rng = Seed::from_u64(seed).rng();
            let outcome =
                catching(StreamLaw::NoPanic.name(), || chaos(Run::new(subject), &mut rng, &input.bytes));
            outcome.map_err(|broken| {
                let trial = Trial::of(&input.name, &input.bytes)
                    .how("with random cuts, time jumps, room, end and close");
                Box::new(trial.seed(Some(seed)).failure(&subject.name, plan, broken))
            })?;
        }
    }
    Ok(Verdict::Held)
}

/// [`StreamLaw::Interest`]: what is closed stays closed in every run; here the hints are held to their word.
pub(super) fn interest<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    for input in &subject.inputs {
        catching(StreamLaw::NoPanic.name(), || hints(subject, &input.bytes)).map_err(|broken| {
            let trial = Trial::of(&input.name, &input.bytes).how("byte by byte");
            Box::new(trial.failure(&subject.name, plan, broken))
        })?;
    }
    Ok(Verdict::Held)
}

/// `Want(n)` says that no event comes before `n` more bytes have. In a body, whose data comes in any pieces, that is the event
/// that follows it.
fn hints<P: StreamProtocol>(subject: &StreamSubject<P>, bytes: &[u8]) -> Result<(), Broken> {
    let mut run = Run::fed(subject, &[])?;
    // The hint in force: after how many bytes it was given, and how many more it asked for.
    let mut hint = (0_usize, 0_usize);
    for (fed, byte) in (1_usize..).zip(bytes.chunks(1)) {
        if let ReadInterest::Want(more) = run.machine.interest().read
            && (fed - 1).saturating_add(more) > hint.0.saturating_add(hint.1)
        {
            hint = (fed - 1, more);
        }
        let told = run.journal.events();
        run.feed(byte)?;
        if run.journal.events() > told {
            if fed < hint.0.saturating_add(hint.1) {
                let what = format!(
                    "after {} bytes the machine asked for {} more, and had an event after {}",
                    hint.0,
                    hint.1,
                    fed - hint.0
                );
                return Err(Broken::new(StreamLaw::Interest.name(), what));
            }
            hint = (0, 0);
        }
    }
    // What ends stays ended, however often it is looked at.
    run.eof()?;
    run.close()?;
    (0..4).try_for_each(|_| run.settle())
}
