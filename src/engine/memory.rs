//! How much memory a model needs and how much there is.

use std::path::Path;

use wick_models::{Gguf, KvType};

/// Bytes a model will take: its file, and a cache of `tokens`, all sequences together.
pub(super) fn needed_bytes(gguf: &Gguf, kv_type: KvType, tokens: usize) -> u64 {
    let per_token = token_bytes(kv_type, |key| gguf.arch_u64(key).ok().flatten());
    gguf.file_bytes()
        .saturating_add(per_token.saturating_mul(tokens as u64))
}

/// Bytes of cache per token of a model with these facts.
fn token_bytes(kv_type: KvType, fact: impl Fn(&str) -> Option<u64>) -> u64 {
    let layers = fact("block_count").unwrap_or(0);
    let heads = fact("attention.head_count").unwrap_or(1).max(1);
    let width = fact("attention.key_length")
        .unwrap_or_else(|| fact("embedding_length").unwrap_or(0) / heads);
    let kv_heads = fact("attention.head_count_kv").unwrap_or(heads);
    let size = |fact: u64| usize::try_from(fact).unwrap_or(usize::MAX);
    let per_layer = kv_type.token_bytes(size(kv_heads), size(width)) as u64;
    per_layer.saturating_mul(layers)
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
    let read = |name: &str| std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let (limit, taken) = (number("memory.max")?, number("memory.current")?);
    let files = read("memory.stat").map_or(0, |stat| file_bytes(&stat));
    Some(limit.saturating_sub(taken.saturating_sub(files)))
}

/// Bytes of files in memory, which a control group is charged for and which make room for whoever needs it: a model that
/// was just pulled is one of them.
fn file_bytes(stat: &str) -> u64 {
    let values = stat.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        matches!(key, "active_file" | "inactive_file").then(|| value.parse::<u64>().ok())?
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_takes_what_its_keys_and_values_take() {
        let llama = |key: &str| match key {
            "block_count" => Some(16),
            "attention.head_count" => Some(32),
            "attention.head_count_kv" => Some(8),
            "embedding_length" => Some(2048),
            _ => None,
        };
        assert_eq!(token_bytes(KvType::F16, llama), 16 * 2 * 8 * 64 * 2);
        assert_eq!(token_bytes(KvType::Q8_0, llama), 16 * 2 * 8 * (64 + 4));
        assert_eq!(token_bytes(KvType::F16, |_| None), 0);
        assert!(token_bytes(KvType::Q8_0, |_| Some(u64::MAX)) > u64::MAX / 2);
    }

    #[test]
    fn files_in_memory_are_told_from_what_is_taken() {
        let stat = "anon 4096\nfile 9000\nkernel 7\ninactive_anon 1\nactive_anon 2\ninactive_file 5000\n\
            active_file 3000\nunevictable 0\n";
        assert_eq!(file_bytes(stat), 8000);
        assert_eq!(file_bytes(""), 0);
    }
}
