//! Huge pages for weights.
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
