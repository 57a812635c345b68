//! Limits: a name, a maximum, and a typed error that says both.

use core::fmt;

/// Something a peer sent is larger than the configuration allows.
///
/// The name is the configuration's own (`max_bulk_len`, `max_head_len` ...), so that whoever reads the error knows which knob
/// to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitExceeded {
    /// The configuration's name for the limit.
    pub limit: &'static str,
    /// The configured maximum.
    pub max: u64,
    /// What was seen or announced; `None` when it is only known to be more than `max`.
    pub seen: Option<u64>,
}

impl LimitExceeded {
    /// `limit` allows `max`, and `seen` was announced.
    pub const fn new(limit: &'static str, max: u64, seen: u64) -> Self {
        Self { limit, max, seen: Some(seen) }
    }

    /// `limit` allows `max`, and more came.
    pub const fn more_than(limit: &'static str, max: u64) -> Self {
        Self { limit, max, seen: None }
    }
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seen {
            Some(seen) => write!(f, "{seen} exceeds {} of {}", self.limit, self.max),
            None => write!(f, "more than {} of {}", self.limit, self.max),
        }
    }
}

impl core::error::Error for LimitExceeded {}

/// The range and the default of one configurable number.
///
/// Configurations set their numbers through [`clamp`](Self::clamp), so a value outside the range becomes the nearest
/// one inside rather than a panic or a silent zero.
///
/// ```
/// use glowplug_core::limits::Range;
/// const MAX_DEPTH: Range<u32> = Range::new(1, 32, 1024);
/// assert_eq!(MAX_DEPTH.default(), 32);
/// assert_eq!(MAX_DEPTH.clamp(0), 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Range<T> {
    min: T,
    default: T,
    max: T,
}

impl<T: Copy + Ord> Range<T> {
    /// A range with its default.
    pub const fn new(min: T, default: T, max: T) -> Self {
        Self { min, default, max }
    }

    /// The value a configuration starts with.
    pub const fn default(&self) -> T {
        self.default
    }

    /// The smallest value that makes sense.
    pub const fn min(&self) -> T {
        self.min
    }

    /// The largest value that is still safe.
    pub const fn max(&self) -> T {
        self.max
    }

    /// The nearest value inside the range.
    pub fn clamp(&self, value: T) -> T {
        value.max(self.min).min(self.max)
    }
}
