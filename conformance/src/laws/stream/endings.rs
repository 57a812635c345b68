//! How a connection ends: by its peer, by an error, by its owner.

use std::time::Duration;

use glowplug_core::{ReadInterest, Seed, StreamProtocol};

use super::StreamLaw;
use super::drive::Run;
use super::subject::StreamSubject;
use super::time;
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::mutate::hostile;
use crate::plan::Plan;

/// How many deadlines may pass before a closed machine has to be over.
const DEADLINES: usize = 1000;

/// At how many prefixes of each input the machine is closed.
const PLACES: usize = 96;

/// [`StreamLaw::EndOfStream`].
pub(super) fn end_of_stream<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let empty = [("nothing", &[][..])];
    let inputs = subject.inputs.iter().map(|input| (input.name.as_str(), input.bytes.as_slice()));
    let mut tried = 0;
    for (name, bytes) in empty.into_iter().chain(inputs) {
        for (at, seed) in plan.places(bytes.len()) {
            let outcome = catching(StreamLaw::NoPanic.name(), || ends(subject, &bytes[..at]));
            tried += usize::from(outcome.map_err(|broken| {
                let how = format!("the first {at} bytes, then the end of the stream");
                Box::new(Trial::of(name, bytes).how(how).seed(seed).failure(&subject.name, plan, broken))
            })?);
        }
    }
    if tried == 0 {
        return Ok(Verdict::Untested("the machine never wanted to read".to_owned()));
    }
    Ok(Verdict::Held)
}

/// Ends the stream after `prefix`. False when the machine does not read there.
fn ends<P: StreamProtocol>(subject: &StreamSubject<P>, prefix: &[u8]) -> Result<bool, Broken> {
    let mut run = Run::fed(subject, prefix)?;
    if !run.wants() {
        return Ok(false);
    }
    run.eof()?;
    let read = run.machine.interest().read;
    if !run.failed && read != ReadInterest::Closed {
        let what =
            format!("the stream ended, no turn moves anything any more, and the read interest is {read:?}");
        return Err(Broken::new(StreamLaw::EndOfStream.name(), what));
    }
    Ok(true)
}

/// [`StreamLaw::ErrorsEnd`].
pub(super) fn errors_end<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let mut errors = 0;
    for input in &subject.inputs {
        let outcome = catching(StreamLaw::NoPanic.name(), || ends_by_error(subject, &input.bytes));
        let trial = Trial::of(&input.name, &input.bytes);
        let failed =
            outcome.map_err(|broken| Box::new(trial.clone().failure(&subject.name, plan, broken)))?;
        if input.invalid && !failed {
            let broken =
                Broken::new(StreamLaw::ErrorsEnd.name(), "this input is invalid, and there was no error");
            return Err(Box::new(trial.failure(&subject.name, plan, broken)));
        }
        errors += usize::from(failed);
    }
    let raw = subject.raw_inputs();
    for seed in plan.seeds() {
        let bytes = hostile(&mut Seed::from_u64(seed).rng(), &raw);
        let outcome = catching(StreamLaw::NoPanic.name(), || ends_by_error(subject, &bytes));
        errors += usize::from(outcome.map_err(|broken| {
            Box::new(Trial::of("a hostile one", &bytes).seed(Some(seed)).failure(&subject.name, plan, broken))
        })?);
    }
    if errors == 0 {
        return Ok(Verdict::Untested("no input led to an error".to_owned()));
    }
    Ok(Verdict::Held)
}

/// Feeds `bytes` and the end of the stream. If that is an error, the machine has to be finished; then true.
fn ends_by_error<P: StreamProtocol>(subject: &StreamSubject<P>, bytes: &[u8]) -> Result<bool, Broken> {
    let mut run = Run::fed(subject, bytes)?;
    run.eof()?;
    if !run.failed {
        return Ok(false);
    }
    let broken = |what: String| Err(Broken::new(StreamLaw::ErrorsEnd.name(), what));
    for _ in 0..3 {
        run.input.extend_from_slice(bytes);
        let before = run.input.len();
        match run.machine.poll_event(run.now, &mut run.input) {
            Ok(None) | Err(_) => {}
            Ok(Some(_)) => return broken("after Err, poll_event returned one more event".to_owned()),
        }
        if run.input.len() != before {
            return broken(format!(
                "after Err, poll_event took {} bytes more",
                before.abs_diff(run.input.len())
            ));
        }
        // Late timers, too, find it finished.
        run.timeout_at(run.now + Duration::from_secs(3600))?;
    }
    if !run.machine.interest().is_closed() {
        let what = format!("after Err and its goodbye, the interest is still {:?}", run.machine.interest());
        return broken(what);
    }
    Ok(true)
}

/// [`StreamLaw::Close`].
pub(super) fn close<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    let empty = [("nothing", &[][..])];
    let inputs = subject.valid_inputs().map(|input| (input.name.as_str(), input.bytes.as_slice()));
    for (name, bytes) in empty.into_iter().chain(inputs) {
        for (at, seed) in plan.few_places(bytes.len(), PLACES) {
            for rest in [&bytes[at..], &[]] {
                let outcome = catching(StreamLaw::NoPanic.name(), || closes(subject, &bytes[..at], rest));
                outcome.map_err(|broken| {
                    let how = format!(
                        "the first {at} bytes, close, {} bytes more, the end of the stream, every deadline",
                        rest.len()
                    );
                    Box::new(Trial::of(name, bytes).how(how).seed(seed).failure(&subject.name, plan, broken))
                })?;
            }
        }
    }
    Ok(Verdict::Held)
}

fn closes<P: StreamProtocol>(subject: &StreamSubject<P>, before: &[u8], after: &[u8]) -> Result<(), Broken> {
    let mut run = Run::fed(subject, before)?;
    run.close()?;
    run.feed(after)?;
    // Closing twice is closing once.
    run.close()?;
    run.eof()?;
    for _ in 0..DEADLINES {
        if run.machine.interest().is_closed() {
            return Ok(());
        }
        let Some(deadline) = time::next_deadline(&run) else { break };
        time::pass(&mut run, deadline)?;
        run.eof()?;
    }
    let what = format!(
        "closed, at the end of the stream, with the next deadline {:?}: the interest is still {:?}",
        run.machine.poll_timeout(),
        run.machine.interest()
    );
    Err(Broken::new(StreamLaw::Close.name(), what))
}
