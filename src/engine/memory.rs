//! How much memory a model needs and how much there is.

use std::path::Path;

use wick_models::Gguf;

/// Bytes a model will take: its file, and an f16 cache of `context_tokens` for `parallel` sequences.
pub(super) fn needed_bytes(gguf: &Gguf, context_tokens: usize, parallel: usize) -> u64 {
    let fact = |key: &str| gguf.arch_u64(key).ok().flatten();
    let layers = fact("block_count").unwrap_or(0);
    let heads = fact("attention.head_count").unwrap_or(1).max(1);
    let width = fact("attention.key_length")
        .unwrap_or_else(|| fact("embedding_length").unwrap_or(0) / heads);
    let kv_heads = fact("attention.head_count_kv").unwrap_or(heads);
    let per_token = 4u64
        .saturating_mul(layers)
        .saturating_mul(kv_heads)
        .saturating_mul(width);
    let tokens = (context_tokens as u64).saturating_mul(parallel as u64);
    gguf.file_bytes()
        .saturating_add(per_token.saturating_mul(tokens))
}

/// Bytes this process may still take: what the kernel calls available, within the control group's limit.
/// `None` where neither can be read.
pub(super) fn available_bytes() -> Option<u64> {
    [machine_bytes(), group_bytes()].into_iter().flatten().min()
}

/// As in `4.2 GiB`.
pub(super) fn human(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn machine_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn group_bytes() -> Option<u64> {
    let read = |name: &str| -> Option<u64> {
        std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    Some(read("memory.max")?.saturating_sub(read("memory.current")?))
}
