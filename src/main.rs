//! The `wick` command.

fn main() {}
