//! Huge pages for weights, and pages that are given back.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the system is told through a C function")
)]

/// Size of a huge page on the systems that have them.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Asks the system to back this memory with huge pages: in a virtual machine, reading weights once per token costs up
/// to half as much again in page walks with small ones. Call it before the memory is first written. A wish only;
/// without support, or for less than a huge page, nothing happens.
pub fn prefer_huge_pages<T>(memory: &mut [T]) {
    if size_of_val(memory) < HUGE_PAGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let start = memory.as_mut_ptr().cast::<u8>();
        let lost = start.align_offset(4096).min(size_of_val(memory));
        // SAFETY: the range lies within `memory`, and this advice changes neither contents nor validity of memory.
        let status = unsafe {
            libc::madvise(
                start.wrapping_add(lost).cast(),
                size_of_val(memory) - lost,
                libc::MADV_HUGEPAGE,
            )
        };
        // Refused where the kernel was built without them: weights work all the same.
        let _ = status;
    }
}

/// Gives memory that was freed back to the system. glibc keeps it otherwise, for each thread that ever freed some: after
/// work on many threads with large buffers that can be half of what the process holds. Takes some milliseconds; elsewhere
/// nothing happens.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: only memory that the allocator has free is touched, under the allocator's own locks.
        let was_any = unsafe { libc::malloc_trim(0) };
        // Nothing to give back is no failure.
        let _ = was_any;
    }
}

/// From here on buffers of a MiB and more have pages of their own, which go back to the system as they are freed. glibc
/// begins so, but the first large buffer that is freed raises its bound up to 32 MiB, and what is freed afterwards stays
/// with the process. Call it before other threads run; elsewhere nothing happens.
pub fn keep_large_buffers_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGE: libc::c_int = 1 << 20;
        // SAFETY: an option of the allocator, which it takes at any time.
        let was_taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
        // A wish only.
        let _ = was_taken;
    }
}

// Elsewhere these run under an emulator, whose memory would be looked at.
#[cfg(all(test, target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Resident memory of this process in MiB.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<usize>().unwrap() >> 10
    }

    /// 256 MiB, written to.
    fn buffers_of(bytes: usize) -> Vec<Vec<u8>> {
        (0..(256 << 20) / bytes).map(|_| vec![1; bytes]).collect()
    }

    #[test]
    fn freed_memory_goes_back_to_the_system() {
        keep_large_buffers_apart();
        // Without that, the first of these that is freed would raise the bound to its own size.
        drop(buffers_of(4 << 20));
        let before = resident();
        let large = buffers_of(2 << 20);
        let last = vec![1_u8; 64 << 10];
        assert!(resident() > before + 200, "{} after {before}", resident());
        drop(large);
        assert!(resident() < before + 56, "{} after {before}", resident());

        let small = buffers_of(64 << 10);
        let beyond = vec![1_u8; 64 << 10];
        drop(small);
        assert!(resident() > before + 200, "{} after {before}", resident());
        return_freed_memory();
        assert!(resident() < before + 56, "{} after {before}", resident());
        drop((last, beyond));
    }
}
