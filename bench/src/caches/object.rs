//! What a cache is asked for: an object is all that its number says.

use crate::pattern::{Check, Side, mix};
use anyhow::{Result, ensure};

/// Something that the backend has. What an answer has in it follows from it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its number.
    pub id: u64,
    /// Bytes of its body.
    pub size: usize,
    /// Whether it comes in chunks.
    pub chunked: bool,
    /// Which of those it is that are told apart by Vary.
    pub variant: Option<u64>,
}

/// The header that variants are told apart by.
pub const VARIANT: &str = "x-variant";

/// The number of the bytes that a variant of `id` has.
pub fn bytes_of(id: u64, variant: u64) -> u64 {
    id ^ variant.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Object {
    /// A small one, of `1..=128` bytes.
    pub fn small(id: u64) -> Self {
        Self { id, size: 1 + (hash(id) % 128) as usize, chunked: false, variant: None }
    }

    /// One of 1 byte to 1 MiB, each order of magnitude as often as any other. A quarter comes in chunks; an eighth has variants, of
    /// which `random` chooses.
    pub fn of_any_size(id: u64, random: &mut fastrand::Rng) -> Self {
        let hash = hash(id);
        let size = 2f64.powf((hash >> 11) as f64 / (1u64 << 53) as f64 * 20.0) as usize;
        let variant = (hash % 8 == 2).then(|| random.u64(..6));
        Self { id, size: size.clamp(1, 1 << 20), chunked: hash % 4 == 1, variant }
    }

    /// Appends the request for it, below `/kept/` if the answer may be kept, else below `/strict/`. Without `origin` the origin is not
    /// to be asked (RFC 9111 section 5.2.1.7).
    pub fn request(&self, host: &str, kept: bool, origin: bool, wire: &mut String) {
        let Self { id, size, chunked, variant } = self;
        let folder = if kept { "kept" } else { "strict" };
        wire.push_str(&format!("GET /{folder}/{id:x}?size={size}"));
        wire.push_str(if *chunked { "&chunked=1" } else { "" });
        wire.push_str(if variant.is_some() { "&vary=1" } else { "" });
        wire.push_str(&format!(" HTTP/1.1\r\nhost: {host}\r\n"));
        if let Some(variant) = variant.filter(|_| kept) {
            wire.push_str(&format!("{VARIANT}: {variant:x}\r\n"));
        }
        wire.push_str(if origin { "\r\n" } else { "cache-control: only-if-cached\r\n\r\n" });
    }

    /// Ready to follow the body of an answer.
    pub fn check(&self, kept: bool) -> Check {
        let variant = self.variant.filter(|_| kept).unwrap_or(0);
        Check::new(bytes_of(self.id, variant), Side::Answer)
    }

    /// Fails if what was followed is not its body.
    pub fn verify(&self, check: &Check) -> Result<()> {
        ensure!(check.seen() == self.size as u64, "{self:?} has {} bytes", check.seen());
        ensure!(check.wrong_at().is_none(), "{self:?} is wrong at {:?}", check.wrong_at());
        Ok(())
    }
}

/// SplitMix64.
fn hash(id: u64) -> u64 {
    mix(id.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_of_all_orders_of_magnitude() {
        let mut random = fastrand::Rng::with_seed(1);
        let objects: Vec<Object> = (0..10_000).map(|id| Object::of_any_size(id, &mut random)).collect();
        for bits in 0..20 {
            let count = objects.iter().filter(|object| object.size.ilog2() == bits).count();
            assert!((300..700).contains(&count), "{count} of 2^{bits}");
        }
        let share = |of: fn(&Object) -> bool| objects.iter().filter(|object| of(object)).count() / 100;
        assert!((22..28).contains(&share(|object| object.chunked)), "{}", share(|object| object.chunked));
        assert!((10..15).contains(&share(|object| object.variant.is_some())));
    }

    #[test]
    fn small_objects_are_small() {
        let sizes: Vec<usize> = (0..1000).map(|id| Object::small(id).size).collect();
        assert!(sizes.iter().min() < Some(&10) && sizes.iter().all(|size| (1..=128).contains(size)));
    }
}
