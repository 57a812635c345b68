//! Early does nothing, late moves on.

use std::time::Duration;

use glowplug_core::{Instant, StreamProtocol};

use super::StreamLaw;
use super::drive::Run;
use super::subject::StreamSubject;
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::plan::Plan;

/// How many full batches one deadline may take.
const BATCHES: usize = 10_000;

/// How many deadlines are followed.
const DEADLINES: usize = 200;

/// At how many prefixes of each input time is let pass.
const PLACES: usize = 48;

/// How late a driver may be.
const LATE: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(3600),
    Duration::from_secs(3600 * 24 * 365 * 10),
];

/// Beyond this, adding to an instant saturates soon, and no deadline can lie after `now` any more.
const HORIZON: Instant = Instant::from_nanos(u64::MAX / 2);

/// The next deadline, if it comes before the end of time.
pub(super) fn next_deadline<P: StreamProtocol>(run: &Run<'_, P>) -> Option<Instant> {
    run.machine.poll_timeout().filter(|&deadline| deadline < HORIZON && run.now < HORIZON)
}

/// [`StreamLaw::Time`].
pub(super) fn time<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let empty = [("nothing", &[][..])];
    let inputs = subject.inputs.iter().map(|input| (input.name.as_str(), input.bytes.as_slice()));
    let mut deadlines = 0;
    for (name, bytes) in empty.into_iter().chain(inputs) {
        for (at, seed) in plan.few_places(bytes.len(), PLACES) {
            for late in LATE {
                let outcome = catching(StreamLaw::NoPanic.name(), || let_pass(subject, &bytes[..at], late));
                deadlines += outcome.map_err(|broken| {
                    let how = format!("the first {at} bytes, then each deadline {late:?} late");
                    Box::new(Trial::of(name, bytes).how(how).seed(seed).failure(&subject.name, plan, broken))
                })?;
            }
        }
        let outcome = catching(StreamLaw::NoPanic.name(), || early_changes_nothing(subject, bytes));
        outcome.map_err(|broken| {
            let how = "byte by byte, with an early handle_timeout after each";
            Box::new(Trial::of(name, bytes).how(how).failure(&subject.name, plan, broken))
        })?;
    }
    if deadlines == 0 {
        return Ok(Verdict::Untested("the machine never had a deadline".to_owned()));
    }
    Ok(Verdict::Held)
}

/// Follows the deadlines after `prefix`. Returns how many there were.
fn let_pass<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    prefix: &[u8],
    late: Duration,
) -> Result<usize, Broken> {
    let mut run = Run::fed(subject, prefix)?;
    for passed in 0..DEADLINES {
        early(&mut run)?;
        let Some(deadline) = next_deadline(&run) else {
            return Ok(passed);
        };
        pass(&mut run, deadline + late)?;
    }
    Ok(DEADLINES)
}

/// Handles the timeout at `now` until the deadline lies behind it.
pub(crate) fn pass<P: StreamProtocol>(run: &mut Run<'_, P>, now: Instant) -> Result<(), Broken> {
    for _ in 0..BATCHES {
        run.timeout_at(now)?;
        if run.machine.poll_timeout().is_none_or(|deadline| deadline > run.now) {
            return Ok(());
        }
    }
    let what = format!(
        "at {:?}, after {BATCHES} calls of handle_timeout, the deadline is still {:?}",
        run.now,
        run.machine.poll_timeout()
    );
    Err(Broken::new(StreamLaw::Time.name(), what))
}

/// `handle_timeout` before the deadline does nothing, however close the deadline is.
fn early<P: StreamProtocol>(run: &mut Run<'_, P>) -> Result<(), Broken> {
    let deadline = run.machine.poll_timeout();
    if deadline.is_some_and(|deadline| deadline <= run.now) {
        return Ok(());
    }
    let just_before = match deadline {
        Some(deadline) => deadline - Duration::from_nanos(1),
        None => run.now + Duration::from_secs(1),
    };
    for now in [run.now, just_before] {
        let before = (run.journal.entries().len(), run.left_over(), run.openness(), deadline);
        run.now = now;
        run.machine.handle_timeout(now);
        let after =
            (run.journal.entries().len(), run.left_over(), run.openness(), run.machine.poll_timeout());
        if before != after {
            let what = format!(
                "handle_timeout at {now:?} was early, and moved the deadline from {deadline:?} to {:?}, \
                 the interest from {:?} to {:?}",
                after.3, before.2, after.2
            );
            return Err(Broken::new(StreamLaw::Time.name(), what));
        }
        run.confirm_quiet().map_err(|broken| {
            let what = format!(
                "handle_timeout at {now:?} was early (the deadline was {deadline:?}): {}",
                broken.what
            );
            Broken::new(StreamLaw::Time.name(), what)
        })?;
    }
    Ok(())
}

/// Calls of `handle_timeout` in between change nothing in what the machine tells.
fn early_changes_nothing<P: StreamProtocol>(subject: &StreamSubject<P>, bytes: &[u8]) -> Result<(), Broken> {
    let bytes = &bytes[..bytes.len().min(4096)];
    let mut plain = Run::fed(subject, &[])?;
    let mut poked = Run::fed(subject, &[])?;
    for byte in bytes.chunks(1) {
        plain.feed(byte)?;
        poked.feed(byte)?;
        if poked.machine.poll_timeout().is_none_or(|deadline| deadline > poked.now) {
            poked.timeout_at(poked.now)?;
        }
    }
    match plain.journal.difference(&poked.journal) {
        Some(what) => {
            Err(Broken::new(StreamLaw::Time.name(), format!("early calls changed the events: {what}")))
        }
        None => Ok(()),
    }
}
