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
pub(crate) fn prefer_huge_pages(memory: &mut [u8]) {
    if memory.len() < HUGE_PAGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let lost = memory.as_ptr().align_offset(4096).min(memory.len());
        let whole = &mut memory[lost..];
        // SAFETY: the range belongs to `whole`, and this advice changes neither contents nor validity of memory.
        let status =
            unsafe { libc::madvise(whole.as_mut_ptr().cast(), whole.len(), libc::MADV_HUGEPAGE) };
        // Refused where the kernel was built without them: weights work all the same.
        let _ = status;
    }
}
