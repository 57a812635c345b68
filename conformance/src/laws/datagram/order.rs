//! What comes out does not depend on when it is asked for, nor on what was refused before.

use std::time::Duration;

use glowplug_core::{DatagramProtocol, Path, Seed};

use super::DatagramLaw;
use super::drive::Run;
use super::subject::{DatagramSubject, Script};
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::mutate::hostile;
use crate::plan::Plan;

/// Where refused datagrams come from: a documentation network that no script should use.
fn stranger() -> Path {
    Path::to(([198, 51, 100, 77], 7777).into())
}

fn untested<P: DatagramProtocol>(subject: &DatagramSubject<P>) -> Option<Verdict> {
    subject.scripts.is_empty().then(|| Verdict::Untested("the subject has no scripts".to_owned()))
}

/// Goes through a script and takes everything out after each step.
fn step_by_step<'s, P: DatagramProtocol>(
    subject: &'s DatagramSubject<P>,
    script: &Script,
) -> Result<Run<'s, P>, Broken> {
    let mut run = Run::new(subject);
    run.settle()?;
    for step in &script.steps {
        run.step(step)?;
        run.settle()?;
    }
    Ok(run)
}

/// [`DatagramLaw::Batching`].
pub(super) fn batching<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    if let Some(verdict) = untested(subject) {
        return Ok(verdict);
    }
    for script in &subject.scripts {
        let fail = |seed, broken| {
            let trial = Trial::default().how(script.text()).seed(seed);
            Box::new(trial.failure(&subject.name, plan, broken))
        };
        let single = catching(DatagramLaw::NoPanic.name(), || step_by_step(subject, script));
        let single = single.map_err(|broken| fail(None, broken))?;
        // Batches up to everything at once, then batches of seeded sizes.
        let batches = std::iter::once(None).chain(plan.seeds().map(Some));
        for seed in batches {
            let mut rng = seed.map(|seed| Seed::from_u64(seed).rng());
            let outcome = catching(DatagramLaw::NoPanic.name(), || {
                let mut run = Run::new(subject);
                run.settle()?;
                for (number, step) in script.steps.iter().enumerate() {
                    if rng.as_mut().is_none_or(|rng| rng.chance(1, 4)) {
                        run.announce(&script.steps[number..]);
                    }
                    run.step(step)?;
                    if rng.as_mut().is_some_and(|rng| rng.chance(1, 4)) {
                        run.settle()?;
                    }
                }
                run.settle()?;
                let broken = |what| Err(Broken::new(DatagramLaw::Batching.name(), what));
                if let Some(what) = single.journal.sorted().difference(&run.journal.sorted()) {
                    let what = format!(
                        "first difference to taking events after each datagram (both sorted): {what}"
                    );
                    return broken(what);
                }
                Ok(())
            });
            outcome.map_err(|broken| fail(seed, broken))?;
        }
    }
    Ok(Verdict::Held)
}

/// [`DatagramLaw::Errors`].
pub(super) fn errors<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let mut junk: Vec<(Option<u64>, String, Vec<u8>)> =
        subject.refused.iter().map(|(name, payload)| (None, name.clone(), payload.clone())).collect();
    let payloads = subject.payloads();
    for seed in plan.seeds() {
        let bytes = hostile(&mut Seed::from_u64(seed).rng(), &payloads);
        junk.push((Some(seed), "a hostile one".to_owned(), bytes));
    }
    let mut tried = 0;
    for (seed, name, bytes) in &junk {
        let outcome = catching(DatagramLaw::NoPanic.name(), || {
            let (refused, told) = alone(subject, bytes)?;
            if seed.is_none() && !refused {
                return Err(Broken::new(
                    DatagramLaw::Errors.name(),
                    "this payload has to be refused, and was taken",
                ));
            }
            if !refused || told {
                return Ok(0);
            }
            let mut tried = 0;
            for script in &subject.scripts {
                tried += usize::from(between(subject, script, bytes)?);
            }
            Ok(tried)
        });
        tried += outcome.map_err(|broken| {
            let trial =
                Trial::of(name, bytes).how("from a stranger, between all steps of each script").seed(*seed);
            Box::new(trial.failure(&subject.name, plan, broken))
        })?;
    }
    if tried == 0 {
        return Ok(Verdict::Untested("no datagram was refused".to_owned()));
    }
    Ok(Verdict::Held)
}

/// Whether a fresh machine refuses `payload`, and whether it says anything about it.
fn alone<P: DatagramProtocol>(subject: &DatagramSubject<P>, payload: &[u8]) -> Result<(bool, bool), Broken> {
    let mut run = Run::new(subject);
    run.settle()?;
    let before = (run.journal.count(), run.datagrams);
    let refused = !run.receive(stranger(), payload);
    if refused && run.machine.is_closed() {
        return Err(Broken::new(DatagramLaw::Errors.name(), "one refused datagram closed the machine"));
    }
    run.settle()?;
    Ok((refused, (run.journal.count(), run.datagrams) != before))
}

/// A script with refused datagrams in between tells what it tells without them. False when one of them was taken.
fn between<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    script: &Script,
    payload: &[u8],
) -> Result<bool, Broken> {
    let clean = step_by_step(subject, script)?;
    let mut run = Run::new(subject);
    run.settle()?;
    for step in &script.steps {
        if run.receive(stranger(), payload) {
            return Ok(false);
        }
        run.step(step)?;
        run.settle()?;
    }
    match clean.journal.difference(&run.journal) {
        Some(what) => {
            let what = format!("refused datagrams changed what happened to others ({}): {what}", script.name);
            Err(Broken::new(DatagramLaw::Errors.name(), what))
        }
        None => Ok(true),
    }
}

/// [`DatagramLaw::Transmits`]: every run holds the rules; here every script does.
pub(super) fn transmits<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let mut datagrams = 0;
    for script in &subject.scripts {
        let run = catching(DatagramLaw::NoPanic.name(), || {
            let mut run = step_by_step(subject, script)?;
            run.machine.close(run.now);
            run.settle()?;
            Ok(run.datagrams)
        });
        datagrams += run.map_err(|broken| {
            Box::new(Trial::default().how(script.text()).failure(&subject.name, plan, broken))
        })?;
    }
    if datagrams == 0 {
        return Ok(Verdict::Untested("the machine sent nothing".to_owned()));
    }
    Ok(Verdict::Held)
}

/// [`DatagramLaw::Quiet`]: every run holds the rule; here time passes between the polls.
pub(super) fn quiet<P: DatagramProtocol>(
    subject: &DatagramSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    if let Some(verdict) = untested(subject) {
        return Ok(verdict);
    }
    for script in &subject.scripts {
        let outcome = catching(DatagramLaw::NoPanic.name(), || {
            let mut run = Run::new(subject);
            run.settle()?;
            for step in &script.steps {
                run.step(step)?;
                run.settle()?;
                run.now += Duration::from_nanos(1);
                if run.machine.poll_timeout().is_none_or(|deadline| deadline > run.now) {
                    run.confirm_quiet()?;
                }
            }
            run.machine.close(run.now);
            run.settle()
        });
        outcome.map_err(|broken| {
            Box::new(Trial::default().how(script.text()).failure(&subject.name, plan, broken))
        })?;
    }
    Ok(Verdict::Held)
}
