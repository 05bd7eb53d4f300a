//! An open connection to the server. It is given up as a whole with the first answer that does not come.

use super::call::{Call, is_unknown};
use crate::plan::Sharing;
use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// An open connection.
pub(super) struct Line {
    pub(super) sharing: Arc<Sharing>,
    connection: MultiplexedConnection,
    /// Moves its bytes.
    driver: JoinHandle<()>,
    /// Why it is of no use any more.
    trouble: ArcSwapOption<String>,
    broken: Notify,
}

impl Line {
    pub(super) fn new(sharing: Arc<Sharing>, connection: MultiplexedConnection, driver: JoinHandle<()>) -> Self {
        Self { sharing, connection, driver, trouble: ArcSwapOption::empty(), broken: Notify::new() }
    }

    /// Asks. Fails if any answer does not come in time; what answers say may be an error, too.
    pub(super) async fn ask(&self, calls: &[Call]) -> Result<Vec<Value>, String> {
        if let Some(why) = &*self.trouble.load() {
            return Err((**why).clone());
        }
        let limit = self.sharing.timeout;
        let asked = timeout(limit, self.ask_patiently(calls)).await;
        let answers = asked.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")));
        if let Err(why) = &answers {
            self.breaks(why.clone());
        }
        answers
    }

    async fn ask_patiently(&self, calls: &[Call]) -> Result<Vec<Value>, String> {
        let mut answers = self.send(calls.iter(), false).await?;
        let unknown: Vec<usize> =
            answers.iter().enumerate().filter(|(_, answer)| is_unknown(answer)).map(|(at, _)| at).collect();
        if !unknown.is_empty() {
            let again = self.send(unknown.iter().filter_map(|&at| calls.get(at)), true).await?;
            for (at, answer) in unknown.into_iter().zip(again) {
                if let Some(place) = answers.get_mut(at) {
                    *place = answer;
                }
            }
        }
        Ok(answers)
    }

    async fn send(&self, calls: impl Iterator<Item = &Call>, whole: bool) -> Result<Vec<Value>, String> {
        let mut pipeline = Pipeline::new();
        calls.for_each(|call| call.add_to(&mut pipeline, whole));
        let count = pipeline.len();
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(&pipeline, 0, count).await.map_err(|error| error.to_string())?;
        match answers.len() == count {
            true => Ok(answers),
            false => Err(format!("{} answers to {count} questions", answers.len())),
        }
    }

    /// It is of no use any more.
    pub(super) fn breaks(&self, why: String) {
        if self.trouble.load().is_none() {
            self.trouble.store(Some(Arc::new(why)));
        }
        self.broken.notify_one();
    }

    /// Waits until it is of no use any more, and says why.
    pub(super) async fn end(&self) -> String {
        loop {
            if let Some(why) = &*self.trouble.load() {
                return (**why).clone();
            }
            self.broken.notified().await;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
