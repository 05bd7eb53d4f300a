//! What things take of memory.

/// Bytes that the allocator sets aside for a block of `size` bytes: between two powers of two it has four sizes below 32 KiB,
/// eight above.
pub fn block(size: u64) -> u64 {
    match size {
        0..=16 => 16,
        17..=128 => size.next_multiple_of(16),
        _ => {
            let step = (size - 1).ilog2().saturating_sub(2);
            size.next_multiple_of(1 << step)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn blocks_are_never_smaller_than_what_is_in_them_and_seldom_a_quarter_larger() {
        for size in (1..5000).chain([65_536, 65_552, 1 << 20, (1 << 20) + 1]) {
            let block = block(size);
            assert!(block >= size && (size < 64 || block <= size + size / 4 + 16), "{size}: {block}");
        }
    }
}
