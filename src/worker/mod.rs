//! The pinned thread: accept, mailbox, drain.
