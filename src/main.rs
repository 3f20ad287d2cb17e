//! The `wick` command.

fn main() -> std::process::ExitCode {
    wick_models::keep_large_buffers_apart();
    wick::cli::main()
}
