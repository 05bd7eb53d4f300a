//! When results of checks make a target change its state.

/// The state of one target: HAProxy's rule of rise and fall. No I/O, no clock.
///
/// It holds one number: 0 to `rise` − 1 is down, counting checks passed in a row; `rise` to `rise` + `fall` − 1 is up,
/// counting down with checks failed in a row.
#[derive(Clone, Debug)]
pub struct Checker {
    rise: u64,
    fall: u64,
    health: u64,
}

/// How soon the next check is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The target is up, and nothing speaks against it.
    Steady,
    /// It is up and checks begin to fail, or down and checks begin to pass.
    Doubt,
    /// It is down.
    Down,
}

impl Checker {
    /// A target that no check has seen: up, and down at the first failure. `rise` and `fall` of 0 count as 1.
    pub fn new(rise: u32, fall: u32) -> Self {
        let (rise, fall) = (u64::from(rise.max(1)), u64::from(fall.max(1)));
        Self { rise, fall, health: rise }
    }

    /// A target that no check has seen and that is taken for down: up at the first success.
    pub fn unproven(rise: u32, fall: u32) -> Self {
        let new = Self::new(rise, fall);
        Self { health: new.rise - 1, ..new }
    }

    /// The same, of a target that is known to be up or down: it takes a full `fall` or `rise` to change that.
    pub fn knowing(mut self, up: bool) -> Self {
        self.health = if up { self.rise + self.fall - 1 } else { 0 };
        self
    }

    /// Whether the target may be used.
    pub fn is_up(&self) -> bool {
        self.health >= self.rise
    }

    /// How soon the next check is wanted.
    pub fn pace(&self) -> Pace {
        match self.health {
            0 => Pace::Down,
            best if best == self.rise + self.fall - 1 => Pace::Steady,
            _ => Pace::Doubt,
        }
    }

    /// Takes the result of a check; the new state if it changed.
    pub fn on_result(&mut self, passed: bool) -> Option<bool> {
        let was_up = self.is_up();
        let best = self.rise + self.fall - 1;
        self.health = match (was_up, passed) {
            (true, true) => best,
            (true, false) => self.health - 1,
            (false, true) => self.health + 1,
            (false, false) => 0,
        };
        if was_up == self.is_up() {
            return None;
        }
        self.health = if self.is_up() { best } else { 0 };
        Some(self.is_up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` passes, `-` fails; the answer has `U` and `D` where the state changed.
    fn run(rise: u32, fall: u32, results: &str) -> String {
        let mut checker = Checker::new(rise, fall);
        results
            .chars()
            .map(|result| match checker.on_result(result == '+') {
                Some(true) => 'U',
                Some(false) => 'D',
                None => '.',
            })
            .collect()
    }

    #[test]
    fn the_first_check_decides_alone() {
        assert!(Checker::new(2, 3).is_up());
        assert_eq!(run(2, 3, "-"), "D");
        assert_eq!(run(2, 3, "+--"), "...");
    }

    #[test]
    fn who_is_unproven_is_down_until_the_first_check_passes() {
        for rise in [1, 2, 5] {
            let mut checker = Checker::unproven(rise, 3);
            assert!(!checker.is_up());
            assert_eq!(checker.on_result(true), Some(true));
            let mut checker = Checker::unproven(rise, 3);
            assert_eq!(checker.on_result(false), None);
            let passes = (0..rise).map(|_| checker.on_result(true)).collect::<Vec<_>>();
            assert_eq!(passes.last(), Some(&Some(true)), "after a failure it takes all of `rise`");
        }
    }

    #[test]
    fn what_is_known_takes_a_full_row_to_change() {
        let mut up = Checker::new(2, 3).knowing(true);
        assert_eq!([false, false, false].map(|passed| up.on_result(passed)), [None, None, Some(false)]);
        let mut down = Checker::new(2, 3).knowing(false);
        assert_eq!([true, true].map(|passed| down.on_result(passed)), [None, Some(true)]);
    }

    #[test]
    fn the_pace_follows_the_doubt() {
        let mut checker = Checker::new(2, 2).knowing(true);
        let mut pace = |passed| {
            checker.on_result(passed);
            checker.pace()
        };
        let seen = [true, false, false, false, true, false, true, true].map(&mut pace);
        use Pace::{Doubt, Down, Steady};
        assert_eq!(seen, [Steady, Doubt, Down, Down, Doubt, Down, Doubt, Steady]);
    }

    #[test]
    fn only_results_in_a_row_count() {
        assert_eq!(run(2, 3, "+--+--+---"), ".........D");
        assert_eq!(run(3, 1, "-++-+++"), "D.....U");
    }

    #[test]
    fn a_target_that_came_back_gets_the_full_fall() {
        assert_eq!(run(2, 3, "-++--+---"), "D.U.....D");
    }

    #[test]
    fn extremes_change_at_every_result_or_hardly_ever() {
        assert_eq!(run(1, 1, "-+-+"), "DUDU");
        assert_eq!(run(0, 0, "-+"), "DU");
        assert_eq!(run(u32::MAX, u32::MAX, "+-+"), "...");
    }
}
