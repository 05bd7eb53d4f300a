//! Protocol-neutral heads, bodies and the exchange; the h1 codec at the edge.

pub mod h1;
pub mod head;
