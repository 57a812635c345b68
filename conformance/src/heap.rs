//! Heap use of a piece of code, counted on this thread.

/// What the heap saw while a closure ran.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeapUse {
    /// The most bytes that were held at any one time, beyond those held at the start.
    pub(crate) peak: u64,
    /// Bytes that are still held.
    pub(crate) kept: i64,
    /// Bytes that were asked for in all.
    pub(crate) volume: u64,
}

/// Runs `work`; the second value is `None` when this build cannot count.
///
/// `work` must not unwind, or the counter stays nested: laws catch panics inside.
#[cfg(feature = "memory")]
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Option<HeapUse>) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    let Some(result) = result else {
        unreachable!("the closure ran to its end, or this line is not reached")
    };
    (result, Some(HeapUse { peak: info.bytes_max, kept: info.bytes_current, volume: info.bytes_total }))
}

/// Runs `work`; the second value is `None` when this build cannot count.
#[cfg(not(feature = "memory"))]
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Option<HeapUse>) {
    (work(), None)
}
