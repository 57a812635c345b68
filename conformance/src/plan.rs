//! How much to try, and how to try it again.

use std::env;

/// How many seeds a suite runs when nobody says otherwise.
const DEFAULT_SEEDS: u64 = 200;

/// Inputs up to this long are cut at every byte.
const EVERY_CUT_UP_TO: usize = 4096;

/// How many cuts are drawn for longer inputs.
const SAMPLED_CUTS: u64 = 200;

/// How much to try: the seeds, and how a failing case is run again.
///
/// Everything a law does follows from the seed, so the same plan gives the same result. By default the seeds are 0 to
/// 199. The environment variable `GLOWPLUG_SEED` names one (`17`) or a range (`200..1200`), `GLOWPLUG_SEEDS` how many from
/// there on.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    seeds: u64,
    command: Option<String>,
}

impl Plan {
    /// Two hundred seeds from 0 on.
    pub const fn new() -> Self {
        Self { seed: 0, seeds: DEFAULT_SEEDS, command: None }
    }

    /// The plan that the environment asks for.
    ///
    /// # Panics
    /// When `GLOWPLUG_SEED` or `GLOWPLUG_SEEDS` is set to something else than that: a seed that is silently not used
    /// would show a green test for a red one.
    pub fn from_env() -> Self {
        let mut plan = Self::new();
        if let Some((seed, seeds)) = from_env("GLOWPLUG_SEED", one_or_range) {
            plan = Self { seed, seeds, ..plan };
        }
        if let Some(seeds) = from_env("GLOWPLUG_SEEDS", |text| text.parse().ok()) {
            plan.seeds = seeds;
        }
        plan
    }

    /// Starts at `seed`.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs `seeds` of them.
    pub fn with_seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// Failures print this command, followed by `--seed S --seeds 1` where a seed matters. Without it they print the
    /// `cargo test` command of the test they happened in.
    pub fn with_command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// The seeds, in order.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed;
        (0..self.seeds).map(move |n| first.wrapping_add(n))
    }

    /// The command that runs a case again, with `seed` alone if there is one.
    pub fn rerun(&self, seed: Option<u64>) -> String {
        if let Some(command) = &self.command {
            return match seed {
                Some(seed) => format!("{command} --seed {seed} --seeds 1"),
                None => command.clone(),
            };
        }
        let seed = seed.map_or(String::new(), |seed| format!("GLOWPLUG_SEED={seed} "));
        let package = env::var("CARGO_PKG_NAME").map_or(String::new(), |name| format!(" -p {name}"));
        // The standard test harness names each thread after its test.
        let thread = std::thread::current();
        let test =
            thread.name().filter(|&name| name != "main").map_or(String::new(), |name| format!(" {name}"));
        format!("{seed}cargo test{package}{test}")
    }

    /// Where to cut an input of `len` bytes: everywhere when it is short, at seeded places when it is long.
    pub(crate) fn places(&self, len: usize) -> Vec<(usize, Option<u64>)> {
        if len <= EVERY_CUT_UP_TO {
            return (0..=len).map(|at| (at, None)).collect();
        }
        let sampled = self.seeds().take(SAMPLED_CUTS as usize).map(|seed| {
            let at = glowplug_core::Seed::from_u64(seed).rng().below(len as u64 + 1);
            (at as usize, Some(seed))
        });
        [(0, None), (1, None), (len - 1, None), (len, None)].into_iter().chain(sampled).collect()
    }

    /// At most `count` of the [`places`](Self::places), evenly spread, both ends among them.
    pub(crate) fn few_places(&self, len: usize, count: usize) -> Vec<(usize, Option<u64>)> {
        let all = self.places(len);
        let step = all.len().div_ceil(count.max(1)).max(1);
        let last = all.last().copied();
        let mut few: Vec<_> = all.into_iter().step_by(step).collect();
        if few.last().copied() != last {
            few.extend(last);
        }
        few
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

fn from_env<T>(name: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let text = env::var(name).ok()?;
    match read(text.trim()) {
        Some(value) => Some(value),
        None => {
            panic!("{name} is {text:?}, and should be a number (17) or, for the seed, a range (200..1200)")
        }
    }
}

/// The first seed and how many there are.
fn one_or_range(text: &str) -> Option<(u64, u64)> {
    match text.split_once("..") {
        Some((first, end)) => {
            let (first, end): (u64, u64) = (first.trim().parse().ok()?, end.trim().parse().ok()?);
            Some((first, end.checked_sub(first)?))
        }
        None => Some((text.parse().ok()?, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_inputs_are_cut_everywhere_and_long_ones_where_the_seeds_say() {
        let plan = Plan::new().with_seed(5).with_seeds(3);
        assert_eq!(plan.seeds().collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(plan.places(4096).len(), 4097);
        assert_eq!(plan.places(5000).len(), 4 + 3);
        assert_eq!(plan.few_places(10, 4).iter().map(|place| place.0).collect::<Vec<_>>(), [0, 3, 6, 9, 10]);
    }

    #[test]
    fn a_seed_is_a_number_or_a_range() {
        assert_eq!(one_or_range("17"), Some((17, 1)));
        assert_eq!(one_or_range("200..1200"), Some((200, 1000)));
        for wrong in ["", "x", "1..", "9..2"] {
            assert_eq!(one_or_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_rerun_command_names_the_test_or_is_the_one_given() {
        assert!(Plan::new().rerun(Some(3)).starts_with("GLOWPLUG_SEED=3 cargo test"));
        assert!(Plan::new().rerun(None).ends_with("the_rerun_command_names_the_test_or_is_the_one_given"));
        assert_eq!(Plan::new().with_command("kit").rerun(Some(3)), "kit --seed 3 --seeds 1");
    }
}
