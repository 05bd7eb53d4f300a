//! Rules of type concurrency.

use super::counting::Counting;
use super::{Compile, Does, Here, KeptFlight};
use crate::config::model;
use crate::gateway::Concurrency;
use crate::gateway::limits::InFlight;

impl Compile for model::Concurrency {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let counting = Counting::of(&self.key, &self.counting, here);
        let Some(Counting { key, late, except, under }) = counting else { return Does::default() };
        let same = |kept: &&KeptFlight| kept.rule == here.name && kept.under == under;
        let before = here.before.and_then(|before| before.flights().iter().find(same));
        let flight = InFlight::new(self.max, self.counting.size, before.map(|kept| &kept.flight));
        here.lasting.flights.push(KeptFlight { rule: here.name.to_owned(), under, flight: flight.clone() });
        Does::asked(Concurrency { key, late, except, flight })
    }
}
