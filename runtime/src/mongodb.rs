//! MongoDB on any runtime.
