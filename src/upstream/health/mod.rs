//! Active health checks: one state machine per target, probes on the control thread.
