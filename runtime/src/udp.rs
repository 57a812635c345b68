//! UDP conversations on any runtime.
