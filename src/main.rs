//! bbdl
fn main() {}
