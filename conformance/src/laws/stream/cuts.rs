//! However the input is cut, the machine tells the same.

use glowplug_core::{Seed, StreamProtocol};

use super::StreamLaw;
use super::drive::{Openness, Run, Writing};
use super::subject::StreamSubject;
use crate::failure::{Failure, Verdict};
use crate::laws::guard::{Broken, Trial, catching};
use crate::laws::mutate::{cut, pieces, places_of};
use crate::plan::Plan;

/// How a run feeds and writes.
#[derive(Clone, Copy)]
struct Way {
    room: usize,
    writing: Writing,
}

/// The run that all others are compared with.
const PLAIN: Way = Way { room: 64 * 1024, writing: Writing::All };

/// The other ways to write, each tried with the input whole and byte by byte.
const WAYS: [Way; 4] = [
    Way { room: 1, writing: Writing::All },
    Way { room: 16, writing: Writing::OneByte },
    Way { room: 100, writing: Writing::All },
    Way { room: 1 << 24, writing: Writing::All },
];

/// [`StreamLaw::Cuts`].
pub(super) fn cuts<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    if subject.inputs.is_empty() {
        return Ok(Verdict::Untested("the subject has no inputs".to_owned()));
    }
    for input in &subject.inputs {
        let bytes = &input.bytes;
        let trial = |how: String, seed| Trial::of(&input.name, bytes).how(how).seed(seed);
        let fail = |trial: Trial, broken| Box::new(trial.failure(&subject.name, plan, broken));

        let whole = catching(StreamLaw::NoPanic.name(), || run(subject, &[bytes], PLAIN));
        let whole = whole.map_err(|broken| fail(trial("in one piece".to_owned(), None), broken))?;
        if input.invalid && !whole.failed {
            let broken =
                Broken::new(StreamLaw::ErrorsEnd.name(), "this input is invalid, and there was no error");
            return Err(fail(trial("in one piece".to_owned(), None), broken));
        }

        let compare = |pieces: &[&[u8]], way: Way, seed| {
            let outcome = catching(StreamLaw::NoPanic.name(), || {
                let other = run(subject, pieces, way)?;
                difference(&whole, &other)
                    .map_or(Ok(()), |what| Err(Broken::new(StreamLaw::Cuts.name(), what)))
            });
            outcome.map_err(|broken| {
                let writing = match way.writing {
                    Writing::All => "everything is written at once",
                    Writing::OneByte => "one byte is written at a time",
                    Writing::Nothing => "nothing is written",
                };
                fail(
                    trial(
                        format!("{}; output has room for {}, {writing}", places_of(pieces), way.room),
                        seed,
                    ),
                    broken,
                )
            })
        };

        compare(&[bytes], PLAIN, None)?;
        for (at, seed) in plan.places(bytes.len()) {
            compare(&pieces(bytes, &[at]), PLAIN, seed)?;
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        compare(&single, PLAIN, None)?;
        for way in WAYS {
            compare(&[bytes], way, None)?;
            compare(&single, way, None)?;
        }
        for seed in plan.seeds() {
            let pieces = cut(&mut Seed::from_u64(seed).rng(), bytes, 8);
            compare(&pieces, PLAIN, Some(seed))?;
        }
    }
    Ok(Verdict::Held)
}

/// Feeds `pieces`, then the end of the stream.
fn run<'s, P: StreamProtocol>(
    subject: &'s StreamSubject<P>,
    pieces: &[&[u8]],
    way: Way,
) -> Result<Run<'s, P>, Broken> {
    let mut run = Run::new(subject).room(way.room, way.writing);
    if subject.same_output {
        run = run.keep_sent();
    }
    run.settle()?;
    for piece in pieces {
        run.feed(piece)?;
    }
    run.eof()?;
    Ok(run)
}

/// What tells two finished runs apart, in words.
fn difference<P: StreamProtocol>(whole: &Run<'_, P>, other: &Run<'_, P>) -> Option<String> {
    if let Some(what) = whole.journal.difference(&other.journal) {
        return Some(format!("first difference to the uncut input: {what}"));
    }
    if whole.openness() != other.openness() {
        return Some(format!(
            "uncut, the machine ended with the interest {:?}; now it ends with {:?}",
            whole.openness(),
            other.openness()
        ));
    }
    // Once nothing matters any more, what is thrown away and what was never read may differ.
    let over = whole.failed || whole.openness().0 == Openness::Closed;
    if !over && whole.left_over() != other.left_over() {
        return Some(format!(
            "uncut, {} bytes were left over; now {} are",
            whole.left_over(),
            other.left_over()
        ));
    }
    if whole.sent != other.sent {
        let (before, now) = (whole.sent.as_deref()?, other.sent.as_deref()?);
        let same = before.iter().zip(now).take_while(|(before, now)| before == now).count();
        return Some(format!(
            "the output differs from byte {same} on\nuncut: {}\nnow:   {}",
            crate::escape::excerpt(&before[same..]),
            crate::escape::excerpt(&now[same..])
        ));
    }
    None
}

/// [`StreamLaw::IncompleteStays`].
pub(super) fn incomplete_stays<P: StreamProtocol>(
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Verdict, Box<Failure>> {
    if subject.inputs.is_empty() {
        return Ok(Verdict::Untested("the subject has no inputs".to_owned()));
    }
    for input in &subject.inputs {
        for (at, seed) in plan.few_places(input.bytes.len(), 256) {
            let outcome = catching(StreamLaw::NoPanic.name(), || stays(subject, &input.bytes, at));
            outcome.map_err(|broken| {
                let trial = Trial::of(&input.name, &input.bytes)
                    .how(format!("cut at {at}, then byte by byte"))
                    .seed(seed);
                Box::new(trial.failure(&subject.name, plan, broken))
            })?;
        }
    }
    Ok(Verdict::Held)
}

/// Whatever lies in the input after each step is the end of what was handed in.
fn stays<P: StreamProtocol>(subject: &StreamSubject<P>, bytes: &[u8], at: usize) -> Result<(), Broken> {
    let mut run = Run::new(subject);
    run.settle()?;
    let (head, tail) = bytes.split_at(at);
    // After the first piece, 64 single bytes show what a machine does with a frame that grows; the rest comes at once.
    let (slow, rest) = tail.split_at(tail.len().min(64));
    let mut fed = 0;
    for piece in [head].into_iter().chain(slow.chunks(1)).chain([rest]) {
        run.feed(piece)?;
        fed += piece.len();
        let given = &bytes[..fed];
        if !run.failed && run.openness().0 == Openness::Open && !given.ends_with(&run.input) {
            let what = format!(
                "after {fed} bytes, the input is not the end of what was handed in\nit is {}",
                crate::escape::excerpt(&run.input)
            );
            return Err(Broken::new(StreamLaw::IncompleteStays.name(), what));
        }
    }
    Ok(())
}
