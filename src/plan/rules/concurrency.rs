//! Rules of type concurrency.

use super::limit_key::count_key;
use super::{Compile, Does, Here, KeptFlight};
use crate::config::model;
use crate::gateway::limits::InFlight;
use crate::gateway::{Concurrency, Ranges};

impl Compile for model::Concurrency {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let key = match count_key(&self.key, [self.ipv4_prefix, self.ipv6_prefix]) {
            Ok(key) => key,
            Err(why) => {
                here.fault(&["key"], why, None);
                return Does::default();
            }
        };
        let under = format!("{} {}/{}", self.key, self.ipv4_prefix, self.ipv6_prefix);
        let same = |kept: &&KeptFlight| kept.rule == here.name && kept.under == under;
        let before = here.before.and_then(|before| before.flights().iter().find(same));
        let flight = InFlight::new(self.max, self.size, before.map(|kept| &kept.flight));
        here.lasting.flights.push(KeptFlight { rule: here.name.to_owned(), under, flight: flight.clone() });
        let (late, except) = (self.key.needs_identity(), Ranges::new(&self.except));
        Does::asked(Concurrency { key, late, except, flight })
    }
}
