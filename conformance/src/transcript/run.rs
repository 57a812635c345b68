//! A machine held to a transcript.

use std::time::Duration;

use glowplug_core::StreamProtocol;

use super::{Step, Transcript};
use crate::escape::excerpt;
use crate::failure::Failure;
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::journal::{Entry, Journal};
use crate::laws::stream::{Run, StreamSubject, pass};
use crate::plan::Plan;

/// What reports call the law that a transcript is.
pub(super) const LAW: &str = "transcript";

pub(super) fn check<P: StreamProtocol>(
    transcript: &Transcript,
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<(), Box<Failure>> {
    for (single, how) in [(false, "one read a line"), (true, "byte by byte")] {
        let mut line = None;
        let outcome = catching(LAW, || {
            let mut run = Run::new(subject).keep_sent();
            run.settle()?;
            let mut expected = 0;
            for step in &transcript.steps {
                line = Some(step);
                take(&mut run, &mut expected, &step.2, single)?;
            }
            line = None;
            nothing_more(&run, expected)
        });
        outcome.map_err(|broken| {
            let at =
                line.map_or("at the end".to_owned(), |(number, text, _)| format!("line {number}: {text}"));
            let how = format!("transcript {}, {how}, {at}", transcript.name);
            Box::new(Trial::default().how(how).failure(subject.name(), plan, broken))
        })?;
    }
    Ok(())
}

/// Takes one step. `expected` is how many of the journal's entries were expected so far.
fn take<P: StreamProtocol>(
    run: &mut Run<'_, P>,
    expected: &mut usize,
    step: &Step,
    single: bool,
) -> Result<(), Broken> {
    match step {
        Step::Sent(bytes) => return sent(run, bytes),
        Step::Event(_) | Step::Body(..) | Step::Error(_) => {
            entry(run.journal.entries().get(*expected), step)?;
            *expected += 1;
            return Ok(());
        }
        Step::Closed => {
            let interest = run.machine.interest();
            return if interest.is_closed() {
                Ok(())
            } else {
                broken(format!("the interest is {interest:?}"))
            };
        }
        Step::Receive(_) | Step::Pass(_) | Step::Eof | Step::Close | Step::Act(_) => {}
    }
    // Something comes from outside: all that happened until now must have been expected.
    nothing_more(run, *expected)?;
    run.journal = Journal::default();
    *expected = 0;
    match step {
        Step::Receive(bytes) if single => bytes.chunks(1).try_for_each(|byte| run.feed(byte)),
        Step::Receive(bytes) => run.feed(bytes),
        Step::Pass(time) => wait(run, *time),
        Step::Eof => {
            if !run.wants() {
                return broken(format!(
                    "the machine does not read: its interest is {:?}",
                    run.machine.interest()
                ));
            }
            let outcome = run.eof();
            // The end of the stream is the transcript's own doing.
            *expected = 1;
            outcome
        }
        Step::Close => run.close(),
        Step::Act(words) => {
            run.act(words).map_err(|what| Broken::new(LAW, what))?;
            run.settle()
        }
        Step::Sent(_) | Step::Event(_) | Step::Body(..) | Step::Error(_) | Step::Closed => Ok(()),
    }
}

fn broken<T>(what: String) -> Result<T, Broken> {
    Err(Broken::new(LAW, what))
}

/// The machine has sent these bytes next.
fn sent<P: StreamProtocol>(run: &mut Run<'_, P>, bytes: &[u8]) -> Result<(), Broken> {
    let Some(sent) = &mut run.sent else { return Ok(()) };
    if sent.starts_with(bytes) {
        sent.drain(..bytes.len());
        return Ok(());
    }
    let same = sent.iter().zip(bytes).take_while(|(sent, expected)| sent == expected).count();
    broken(format!("the machine sent {}\nwhich differs from the line at byte {same}", excerpt(sent)))
}

fn entry(entry: Option<&Entry>, step: &Step) -> Result<(), Broken> {
    let same = match (entry, step) {
        (Some(Entry::Event(text)), Step::Event(expected)) => text == expected,
        (Some(Entry::Data { stream, bytes }), Step::Body(name, expected)) => {
            stream == name && bytes == expected
        }
        (Some(Entry::Error(text)), Step::Error(expected)) => text.starts_with(expected.as_str()),
        _ => false,
    };
    if same {
        return Ok(());
    }
    broken(entry.map_or("nothing more happened".to_owned(), |entry| format!("what happened is: {entry}")))
}

fn nothing_more<P: StreamProtocol>(run: &Run<'_, P>, expected: usize) -> Result<(), Broken> {
    if let Some(entry) = run.journal.entries().get(expected) {
        return broken(format!("before this, something happened that is not written down: {entry}"));
    }
    match &run.sent {
        Some(sent) if !sent.is_empty() => {
            broken(format!("before this, the machine sent what is not written down: {}", excerpt(sent)))
        }
        _ => Ok(()),
    }
}

/// Lets time pass; each deadline on the way is handled when it is due.
fn wait<P: StreamProtocol>(run: &mut Run<'_, P>, time: Duration) -> Result<(), Broken> {
    let end = run.now + time;
    while let Some(deadline) = run.machine.poll_timeout().filter(|&deadline| deadline <= end) {
        pass(run, deadline)?;
    }
    run.now = run.now.max(end);
    run.settle()
}
