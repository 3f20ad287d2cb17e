//! The `wick` command.

fn main() -> std::process::ExitCode {
    wick_kernels::keep_large_buffers_apart();
    wick::cli::main()
}
