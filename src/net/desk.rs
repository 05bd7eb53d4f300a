//! Questions of workers to another thread, and its answers.
//!
//! What always holds: no more questions wait than there is room for; one more is not taken. A question whose asker has gone can be told
//! from others. An answer wakes its asker, and so does whoever drops a question unanswered.

use super::call::{Caller, call};
use crossbeam::queue::ArrayQueue;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where workers ask. Any thread may hold one.
pub struct Desk<Q, A>(mpsc::Sender<Put<Q, A>>);

/// A question that was put, to be answered once.
pub struct Put<Q, A> {
    question: Option<Q>,
    answer: Arc<ArrayQueue<A>>,
    caller: Caller,
}

/// A desk at which so many questions may wait, and where they come out.
pub fn desk<Q, A>(room: usize) -> (Desk<Q, A>, mpsc::Receiver<Put<Q, A>>) {
    let (sender, receiver) = mpsc::channel(room);
    (Desk(sender), receiver)
}

impl<Q, A> Desk<Q, A> {
    /// Asks, on a worker. `None`: there was no room, or nobody has answered.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (caller, callee) = call().ok()?;
        let answer = Arc::new(ArrayQueue::new(1));
        self.0.try_send(Put { question: Some(question), answer: answer.clone(), caller }).ok()?;
        callee.await;
        answer.pop()
    }
}

impl<Q, A> Put<Q, A> {
    /// What is asked; `None`: it was taken.
    pub fn take(&mut self) -> Option<Q> {
        self.question.take()
    }

    /// Whether its asker still waits.
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.answer) > 1
    }

    /// Answers.
    pub fn answer(self, answer: A) {
        // There is room for the one that there is.
        let _ = self.answer.push(answer);
    }
}

impl<Q, A> Drop for Put<Q, A> {
    fn drop(&mut self) {
        self.caller.call();
    }
}

impl<Q, A> Clone for Desk<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q, A> fmt::Debug for Desk<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}
