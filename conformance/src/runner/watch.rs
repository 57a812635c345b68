//! A case that hangs is a case that failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::registry::{Case, Outcome};
use crate::plan::Plan;

/// How long a case may take, beyond a share for each seed. Far more than any case needs: it is there to end a hang.
const LIMIT: Duration = Duration::from_secs(120);

/// What each seed may take.
const LIMIT_PER_SEED: Duration = Duration::from_millis(500);

/// Runs `case` in a thread of its own. A thread that does not come to its end is left behind.
pub(super) fn run(case: &Case, plan: &Plan) -> Outcome {
    let seeds = u32::try_from(plan.seeds().count()).unwrap_or(u32::MAX);
    within(LIMIT + LIMIT_PER_SEED.saturating_mul(seeds), case, plan)
}

fn within(limit: Duration, case: &Case, plan: &Plan) -> Outcome {
    let (done, result) = channel();
    let (case, plan) = (case.clone(), plan.clone());
    let spawned = thread::Builder::new().name(case.name.clone()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| case.run(&plan)));
        // Whoever gave up waiting does not want to know.
        let _ = done.send(outcome.unwrap_or_else(|payload| Outcome::Failed(text_of(payload.as_ref()))));
    });
    if let Err(error) = spawned {
        return Outcome::Failed(format!("no thread to run it in: {error}"));
    }
    match result.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Outcome::Failed(format!("it hangs: no end after {limit:?}")),
        Err(RecvTimeoutError::Disconnected) => {
            Outcome::Failed("its thread ended without a result".to_owned())
        }
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("the payload is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Lane;

    #[test]
    fn hangs_and_panics_are_failures() {
        let hang = Case::new("hang", Lane::Pure, |_| {
            loop {
                thread::park();
            }
        });
        let Outcome::Failed(reason) = within(Duration::from_millis(20), &hang, &Plan::new()) else {
            panic!("a hang is a failure")
        };
        assert!(reason.starts_with("it hangs"), "{reason}");
        let panics = Case::new("panic", Lane::Pure, |_| panic!("ouch {}", 1));
        assert_eq!(run(&panics, &Plan::new()), Outcome::Failed("it panicked: ouch 1".to_owned()));
    }
}
