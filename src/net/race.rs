//! Two futures in one task. Written by hand: an async function would keep each of them twice.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Which of two futures was first.
pub enum Either<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for the first of two futures; the other is dropped. `a` is polled first.
pub fn race<A: Future, B: Future>(a: A, b: B) -> impl Future<Output = Either<A::Output, B::Output>> {
    Race { a, b }
}

/// Waits for both futures, or for the first that fails; the other is dropped then.
pub fn try_join<E>(
    a: impl Future<Output = Result<(), E>>,
    b: impl Future<Output = Result<(), E>>,
) -> impl Future<Output = Result<(), E>> {
    TryJoin { a, b, done: (false, false) }
}

struct Race<A, B> {
    a: A,
    b: B,
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: structural pinning of both fields: neither is ever moved out, and `Race` has no Drop of its own.
        let (a, b) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.a), Pin::new_unchecked(&mut this.b))
        };
        if let Poll::Ready(out) = a.poll(cx) {
            return Poll::Ready(Either::Left(out));
        }
        b.poll(cx).map(Either::Right)
    }
}

struct TryJoin<A, B> {
    a: A,
    b: B,
    done: (bool, bool),
}

impl<E, A: Future<Output = Result<(), E>>, B: Future<Output = Result<(), E>>> Future for TryJoin<A, B> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: structural pinning of the two futures: neither is ever moved out, and `TryJoin` has no Drop of its own.
        let (a, b, done) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.a), Pin::new_unchecked(&mut this.b), &mut this.done)
        };
        if !done.0
            && let Poll::Ready(result) = a.poll(cx)
        {
            result?;
            done.0 = true;
        }
        if !done.1
            && let Poll::Ready(result) = b.poll(cx)
        {
            result?;
            done.1 = true;
        }
        if *done == (true, true) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Waker;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_race_has_the_first_as_its_winner() {
        assert!(matches!(poll(pin!(race(ready(1), ready(2)))), Poll::Ready(Either::Left(1))));
        assert!(matches!(poll(pin!(race(pending::<()>(), ready(2)))), Poll::Ready(Either::Right(2))));
        assert!(poll(pin!(race(pending::<()>(), pending::<()>()))).is_pending());
    }

    #[test]
    fn a_join_waits_for_both_and_ends_with_the_first_failure() {
        assert_eq!(poll(pin!(try_join::<()>(ready(Ok(())), ready(Ok(()))))), Poll::Ready(Ok(())));
        assert_eq!(poll(pin!(try_join(pending(), ready(Err(3))))), Poll::Ready(Err(3)));
        let mut half = pin!(try_join::<()>(ready(Ok(())), pending()));
        assert!(poll(half.as_mut()).is_pending() && poll(half.as_mut()).is_pending());
    }
}
