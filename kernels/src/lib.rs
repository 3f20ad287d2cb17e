//! Quantised matrix products, attention, norms, rope and softmax on slices: no model, no I/O, no threads of its own.
