//! DNS on any runtime.
