//! Memory that is fetched ahead of its use.

/// Has the processor bring the first cache line of a thing near, which is used in a moment: whoever then comes to it does not wait for
/// memory. It is a hint, and changes nothing else.
#[inline(always)]
pub fn fetch_ahead<T: ?Sized>(thing: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and an address that is fetched is never read by it: a wrong one would do nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(thing).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = thing;
}
