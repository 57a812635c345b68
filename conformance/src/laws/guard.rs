//! From a broken rule, deep inside a run, to the report.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Plan;
use crate::failure::Failure;

/// A rule that a run saw broken.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The name of the law.
    pub(crate) law: &'static str,
    /// What happened.
    pub(crate) what: String,
}

impl Broken {
    pub(crate) fn new(law: &'static str, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}

/// What is known about a trial besides what went wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    pub(crate) input: Option<(String, Vec<u8>)>,
    pub(crate) how: String,
    pub(crate) seed: Option<u64>,
}

impl Trial {
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        Self { input: Some((name.to_owned(), bytes.to_vec())), ..Self::default() }
    }

    pub(crate) fn how(mut self, how: impl Into<String>) -> Self {
        self.how = how.into();
        self
    }

    pub(crate) fn seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn failure(self, subject: &str, plan: &Plan, broken: Broken) -> Failure {
        Failure {
            law: broken.law,
            subject: subject.to_owned(),
            what: broken.what,
            input: self.input,
            how: self.how,
            seed: self.seed,
            rerun: plan.rerun(self.seed),
        }
    }
}

/// Runs `work`; a panic inside becomes a broken law of the name `law`.
pub(crate) fn catching<T>(law: &'static str, work: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    // The machine that panicked is never touched again, so it does not matter what state it was left in.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a payload that is not text");
        Err(Broken::new(law, format!("the machine panicked: {text}")))
    })
}
