//! What routes have in common is there once, so that it stays in the caches of the cores however many routes there are.

use super::Forward;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// The last few different ones of a kind.
#[derive(Debug)]
pub(super) struct Alike<T> {
    recent: RefCell<VecDeque<Arc<T>>>,
}

/// How many are looked through for one that is alike.
const RECENT: usize = 16;

impl<T> Alike<T> {
    /// `new`, or one of the last that is like it.
    pub(super) fn shared(&self, new: Arc<T>, is_like: impl Fn(&T, &T) -> bool) -> Arc<T> {
        let mut recent = self.recent.borrow_mut();
        if let Some(same) = recent.iter().find(|other| is_like(other, &new)) {
            return same.clone();
        }
        recent.truncate(RECENT - 1);
        recent.push_front(new.clone());
        new
    }
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self { recent: RefCell::default() }
    }
}

impl Forward {
    /// Whether another does the same, where that can be told.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { pool, strip_prefix, host, retry, hedge, priority_class, edits, rewrite, method, bodies, .. } = self;
        let Self {
            scheme,
            buffer_request,
            buffer_response,
            buffer_disk,
            request_body,
            cache,
            compress,
            split,
            mirror,
            ..
        } = self;
        let is_plain = mirror.is_none()
            && self.translate.is_none()
            && split.is_none()
            && rewrite.is_none()
            && bodies.is_none()
            && cache.is_none()
            && compress.is_none();
        let is_other_plain = other.mirror.is_none()
            && other.translate.is_none()
            && other.split.is_none()
            && other.rewrite.is_none()
            && other.bodies.is_none()
            && other.cache.is_none()
            && other.compress.is_none();
        let same_edits = match (edits, &other.edits) {
            (None, None) => true,
            (Some(edits), Some(other)) => Arc::ptr_eq(edits, other),
            _ => false,
        };
        is_plain
            && is_other_plain
            && same_edits
            && retry.is_like(&other.retry)
            && (pool, strip_prefix, host, hedge) == (&other.pool, &other.strip_prefix, &other.host, &other.hedge)
            && (priority_class, method, scheme) == (&other.priority_class, &other.method, &other.scheme)
            && (buffer_request, buffer_response) == (&other.buffer_request, &other.buffer_response)
            && (buffer_disk, request_body) == (&other.buffer_disk, &other.request_body)
    }
}
