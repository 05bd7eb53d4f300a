//! Rules of type bandwidth.

use super::counting::Counting;
use super::{Compile, Does, Here, KeptFlow};
use crate::config::model;
use crate::config::rate::ByteRate;
use crate::gateway::limits::Speed;
use crate::gateway::limits::flow::Shared;
use crate::gateway::{Bandwidth, Ranges, Reins};
use std::sync::Arc;

impl Compile for model::Bandwidth {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        // There is nothing that could be tried out.
        if here.shadow {
            return Does::default();
        }
        let speed = |rate: ByteRate| {
            let rate = rate.bytes();
            // Without any, a timer that is late would cost time.
            Speed { rate, burst: self.burst.map_or(0, |burst| burst.0).max(rate / 10) }
        };
        let speeds = [self.download, self.upload].map(|rate| rate.map(speed));
        let Some(key) = &self.key else {
            let except = Ranges::new(&self.counting.except);
            let reins = Arc::new(Reins::Each { ways: speeds });
            return Does::asked(Bandwidth { index: here.index, late: false, except, reins });
        };
        let counting = Counting::of(key, &self.counting, here);
        let Some(Counting { key, late, except, under }) = counting else { return Does::default() };
        let same = |kept: &&KeptFlow| kept.rule == here.name && kept.under == under;
        let before = here.before.and_then(|before| before.flows.iter().find(same));
        let ways = [0, 1].map(|way| {
            let before = before.and_then(|before| before.ways[way].as_ref());
            speeds[way].map(|speed| Shared::new(speed, self.counting.size, before))
        });
        here.lasting.flows.push(KeptFlow { rule: here.name.to_owned(), under, ways: ways.clone() });
        let reins = Arc::new(Reins::Shared { key, ways });
        Does::asked(Bandwidth { index: here.index, late, except, reins })
    }
}
