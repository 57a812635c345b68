//! An input of a `conn_*` target: what the application and the clock do, and what the peer sends.
//!
//! ```text
//! length of the script: 1 | choice of configuration: 1 | steps: 1 each | bytes of the peer: the rest
//! ```
//!
//! A step is an operation in its low three bits and a number in its high five.

/// A script and the bytes of the peer.
#[derive(Clone, Copy)]
pub struct Script<'a> {
    /// Which configuration to use.
    pub choice: u8,
    steps: &'a [u8],
    /// What the peer sends, all in all.
    pub peer: &'a [u8],
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes come from the peer.
    Deliver(usize),
    /// The application does something, which the subject chooses by this number.
    Act(u8),
    /// The clock is called just before the deadline: nothing may happen.
    Early,
    /// So many seconds pass; with 0, the time until the deadline.
    Wait(u8),
    /// The transport takes no more, or takes everything again.
    Stall(bool),
    /// The application wants to finish.
    Close,
}

impl<'a> Script<'a> {
    /// Reads any bytes as a script.
    pub fn read(data: &'a [u8]) -> Self {
        let (len, rest) = data.split_first().map_or((0, data), |(len, rest)| (usize::from(*len), rest));
        let (script, peer) = rest.split_at(len.min(rest.len()));
        let (choice, steps) = script.split_first().map_or((0, script), |(choice, steps)| (*choice, steps));
        Self { choice, steps, peer }
    }

    /// Writes one, as [`read`](Self::read) understands it.
    pub fn write(choice: u8, steps: &[Step], peer: &[u8]) -> Vec<u8> {
        let steps = steps.iter().map(|step| match *step {
            Step::Deliver(len) if len <= 32 => (len.max(1) - 1) as u8 * 8,
            Step::Deliver(len) => ((len / 64).min(31) as u8) * 8 + 1,
            Step::Act(number) => number * 8 + 2,
            Step::Early => 3,
            Step::Wait(seconds) => seconds * 8 + 4,
            Step::Stall(stall) => u8::from(stall) * 8 + 5,
            Step::Close => 6,
        });
        let mut script = vec![0, choice];
        script.extend(steps);
        script[0] = u8::try_from(script.len() - 1).expect("a short script");
        script.extend_from_slice(peer);
        script
    }

    /// What happens, in order.
    pub fn steps(self) -> impl Iterator<Item = Step> {
        self.steps.iter().map(|step| {
            let number = step >> 3;
            match step & 7 {
                0 => Step::Deliver(usize::from(number) + 1),
                1 => Step::Deliver(usize::from(number) * 64 + 33),
                3 => Step::Early,
                4 => Step::Wait(number),
                5 => Step::Stall(number & 1 == 1),
                // Closing ends most of the fun, so it is rare.
                6 if number < 4 => Step::Close,
                _ => Step::Act(number),
            }
        })
    }
}
