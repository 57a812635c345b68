//! Early does nothing, late moves on, closed ends.

use std::time::Duration;

use glowplug_core::DatagramProtocol;

use super::DatagramLaw;
use super::drive::Run;
use super::subject::{DatagramSubject, Script, Step};
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::plan::Plan;

/// How many deadlines are followed.
const DEADLINES: usize = 1000;

/// How late a driver may be.
const LATE: [Duration; 3] = [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(3600 * 24 * 365)];

/// Each beginning of each script: the empty one too, once.
fn beginnings<P: DatagramProtocol>(subject: &DatagramSubject<P>) -> impl Iterator<Item = (String, &[Step])> {
    let empty = std::iter::once(("nothing".to_owned(), &[][..]));
    let of = |script: &Script, at: usize| format!("the first {at} steps of {}", script.text());
    empty.chain(subject.scripts.iter().flat_map(move |script| {
        (1..=script.steps.len()).map(move |at| (of(script, at), &script.steps[..at]))
    }))
}

fn after<'s, P: DatagramProtocol>(
    subject: &'s DatagramSubject<P>,
    steps: &[Step],
) -> Result<Run<'s, P>, Broken> {
    let mut run = Run::new(subject);
    run.settle()?;
    for step in steps {
        run.step(step)?;
    }
    run.settle()?;
    Ok(run)
}

/// [`DatagramLaw::Time`].
pub(super) fn time<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let mut deadlines = 0;
    for (how, steps) in beginnings(subject) {
        for late in LATE {
            let outcome = catching(DatagramLaw::NoPanic.name(), || let_pass(subject, steps, late));
            deadlines += outcome.map_err(|broken| {
                let trial = Trial::default().how(format!("{how}; then each deadline {late:?} late"));
                Box::new(trial.failure(&subject.name, plan, broken))
            })?;
        }
    }
    if deadlines == 0 {
        return Ok(Verdict::Untested("the machine never had a deadline".to_owned()));
    }
    Ok(Verdict::Held)
}

/// Follows the deadlines. Returns how many there were.
fn let_pass<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    steps: &[Step],
    late: Duration,
) -> Result<usize, Broken> {
    let mut run = after(subject, steps)?;
    for passed in 0..DEADLINES {
        early(&mut run)?;
        let Some(deadline) = run.next_deadline() else { return Ok(passed) };
        run.pass(deadline + late)?;
    }
    Ok(DEADLINES)
}

fn early<P: DatagramProtocol>(run: &mut Run<'_, P>) -> Result<(), Broken> {
    let deadline = run.machine.poll_timeout();
    if deadline.is_some_and(|deadline| deadline <= run.now) {
        return Ok(());
    }
    let just_before = match deadline {
        Some(deadline) => deadline - Duration::from_nanos(1),
        None => run.now + Duration::from_secs(1),
    };
    for now in [run.now, just_before] {
        let closed = run.machine.is_closed();
        run.now = now;
        run.machine.handle_timeout(now);
        let broken = |what: String| {
            Err(Broken::new(DatagramLaw::Time.name(), format!("handle_timeout at {now:?} was early: {what}")))
        };
        if run.machine.poll_timeout() != deadline {
            return broken(format!(
                "it moved the deadline from {deadline:?} to {:?}",
                run.machine.poll_timeout()
            ));
        }
        if run.machine.is_closed() != closed {
            return broken("it closed the machine".to_owned());
        }
        if let Err(inner) = run.confirm_quiet() {
            return broken(inner.what);
        }
    }
    Ok(())
}

/// [`DatagramLaw::Close`].
pub(super) fn close<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    for (how, steps) in beginnings(subject) {
        catching(DatagramLaw::NoPanic.name(), || closes(subject, steps)).map_err(|broken| {
            Box::new(Trial::default().how(format!("{how}; then close")).failure(&subject.name, plan, broken))
        })?;
    }
    Ok(Verdict::Held)
}

fn closes<P: DatagramProtocol>(subject: &DatagramSubject<P>, steps: &[Step]) -> Result<(), Broken> {
    let mut run = Run::new(subject);
    run.settle()?;
    // Nothing is taken out before the close: what is queued still goes out.
    for step in steps {
        run.step(step)?;
    }
    run.machine.close(run.now);
    run.settle()?;
    for _ in 0..DEADLINES {
        if run.machine.is_closed() {
            let deadline = run.machine.poll_timeout();
            return match deadline {
                None => Ok(()),
                Some(_) => Err(Broken::new(
                    DatagramLaw::Close.name(),
                    format!("closed, it still has the deadline {deadline:?}"),
                )),
            };
        }
        let Some(deadline) = run.next_deadline() else { break };
        run.pass(deadline)?;
    }
    let what = format!(
        "closed, with everything taken out and the next deadline {:?}, it is not over",
        run.machine.poll_timeout()
    );
    Err(Broken::new(DatagramLaw::Close.name(), what))
}
