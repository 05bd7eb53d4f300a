//! Balancing policies: pure types, one file each.
