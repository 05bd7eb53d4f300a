//! The contract with the runtime.
