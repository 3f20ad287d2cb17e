//! Which models are in memory, for how long, and who waits for one.
