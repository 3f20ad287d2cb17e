//! How many threads this process may usefully compute with.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

/// Physical cores this process may run on: its CPU affinity, its cgroup's quota (v1 and v2) and the sharing of cores by
/// hardware threads are all taken into account; at least one.
///
/// A matrix product keeps a core's multipliers busy with one thread, so that a second one on the same core only adds
/// stragglers.
pub fn default_threads() -> usize {
    // The standard library already takes the smaller of affinity and the quotas of both cgroup versions.
    let allowed = thread::available_parallelism().map_or(1, usize::from);
    allowed
        .min(physical_cores(Path::new("/")).unwrap_or(allowed))
        .max(1)
}

/// Distinct cores among the CPUs the process is bound to, or None where the system does not say. `root` is `/`.
fn physical_cores(root: &Path) -> Option<usize> {
    let status = std::fs::read_to_string(root.join("proc/self/status")).ok()?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = BTreeSet::new();
    for cpu in cpu_list(list.trim())? {
        let siblings = root.join(format!(
            "sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        ));
        let siblings = std::fs::read_to_string(siblings).ok()?;
        cores.insert(cpu_list(siblings.trim())?.into_iter().next()?);
    }
    (!cores.is_empty()).then_some(cores.len())
}

/// Parses the kernel's list format, `0-3,8,10-11`.
fn cpu_list(text: &str) -> Option<BTreeSet<usize>> {
    /// More CPUs than any machine has; a longer range is not a CPU list.
    const MAX_CPUS: usize = 1 << 16;
    let mut cpus = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= MAX_CPUS {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(allowed: &str, siblings: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let status = root.path().join("proc/self");
        std::fs::create_dir_all(&status).unwrap();
        let text = format!("Name:\twick\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n");
        std::fs::write(status.join("status"), text).unwrap();
        for (cpu, list) in siblings.iter().enumerate() {
            let folder = root
                .path()
                .join(format!("sys/devices/system/cpu/cpu{cpu}/topology"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("thread_siblings_list"), format!("{list}\n")).unwrap();
        }
        root
    }

    #[test]
    fn hardware_threads_of_a_core_count_once() {
        let split = machine("0-3", &["0,2", "1,3", "0,2", "1,3"]);
        assert_eq!(physical_cores(split.path()), Some(2));
        let neighbours = machine("0-3", &["0-1", "0-1", "2-3", "2-3"]);
        assert_eq!(physical_cores(neighbours.path()), Some(2));
        let single = machine("0-3", &["0", "1", "2", "3"]);
        assert_eq!(physical_cores(single.path()), Some(4));
    }

    #[test]
    fn only_cpus_of_the_affinity_count() {
        let bound = machine("1-2", &["0-1", "0-1", "2-3", "2-3"]);
        assert_eq!(physical_cores(bound.path()), Some(2));
        let one_core = machine("2,3", &["0-1", "0-1", "2-3", "2-3"]);
        assert_eq!(physical_cores(one_core.path()), Some(1));
    }

    #[test]
    fn a_system_that_says_nothing_gives_none() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(physical_cores(empty.path()), None);
        assert_eq!(
            physical_cores(machine("0-99999999999", &["0"]).path()),
            None
        );
        assert_eq!(physical_cores(machine("x", &["0"]).path()), None);
    }

    #[test]
    fn this_machine_has_a_core() {
        let threads = default_threads();
        assert!((1..=thread::available_parallelism().unwrap().get()).contains(&threads));
    }
}
