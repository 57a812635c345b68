//! Vectors from elsewhere.

fn main() {}
