//! What is on the screen, and what keys do to it. Pure.

use super::act::{Change, Want};
use super::rows::{Row, Tab, sort};
use super::sample::Sample;
use crate::cli::ask::Trouble;
use crate::control::overrides::State;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::VecDeque;
use std::time::Duration;

/// What is on the screen.
pub struct Screen {
    /// Where the Ringway is that is looked at.
    pub line: String,
    /// The last looks, the oldest first; never none.
    looks: VecDeque<Sample>,
    /// Requests a second, as the last looks had it.
    pub history: VecDeque<u64>,
    /// Why the last look came to nothing.
    pub trouble: Option<String>,
    /// How long nothing was heard, where that is too long.
    pub silent: Option<Duration>,
    /// What came of the last change, and whether that is good.
    pub said: Option<(String, bool)>,
    /// The table.
    pub tab: Tab,
    /// What it is sorted by, and whether the greatest comes first.
    pub order: (usize, bool),
    /// What rows have to hold to be shown.
    pub filter: String,
    /// What is asked.
    pub asks: Asks,
    /// Whether looks are let pass.
    pub paused: bool,
    /// The position of the row that keys are about.
    selected: usize,
}

/// What keys are taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing in particular.
    Nothing,
    /// What rows have to hold.
    Filter,
    /// A weight for a target of this pool.
    Weight { pool: String, target: String, typed: String },
    /// Whether to do it.
    Whether(Change),
    /// Whether enough was read of what keys do.
    Help,
}

/// What a key asks of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// To end.
    Leave,
    /// To change something.
    Change(Change),
}

/// Looks that latencies are told of.
const LOOKS: usize = 10;
/// Looks that the line at the top has room for.
const HISTORY: usize = 240;

impl Screen {
    /// After a first look.
    pub fn new(line: String, first: Sample) -> Self {
        Self {
            line,
            looks: VecDeque::from([first]),
            history: VecDeque::new(),
            trouble: None,
            silent: None,
            said: None,
            tab: Tab::default(),
            order: (0, false),
            filter: String::new(),
            asks: Asks::Nothing,
            paused: false,
            selected: 0,
        }
    }

    /// The last look.
    pub fn now(&self) -> &Sample {
        // There is always one.
        &self.looks[self.looks.len() - 1]
    }

    /// The one before it, or the same.
    pub fn before(&self) -> &Sample {
        &self.looks[self.looks.len().saturating_sub(2)]
    }

    /// The oldest.
    pub fn oldest(&self) -> &Sample {
        &self.looks[0]
    }

    /// Takes a look, or why there was none.
    pub fn saw(&mut self, look: Result<Sample, Trouble>) {
        if self.paused {
            return;
        }
        match look {
            Err(Trouble(why)) => self.trouble = Some(why),
            Ok(sample) => {
                self.trouble = None;
                self.looks.push_back(sample);
                if self.looks.len() > LOOKS {
                    self.looks.pop_front();
                }
                let rate = self.requests_per_second();
                self.history.push_back(rate.round() as u64);
                if self.history.len() > HISTORY {
                    self.history.pop_front();
                }
            }
        }
    }

    /// Requests a second, over all listeners.
    pub fn requests_per_second(&self) -> f64 {
        self.per_second(|sample| sample.listeners.iter().map(|listener| listener.requests).sum())
    }

    /// How much a total grew in a second.
    pub fn per_second(&self, total: impl Fn(&Sample) -> u64) -> f64 {
        let (now, before) = (self.now(), self.before());
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
        let grown = total(now).saturating_sub(total(before));
        if seconds > 0.0 { grown as f64 / seconds } else { 0.0 }
    }

    /// What came of a change.
    pub fn says(&mut self, came: Result<String, Trouble>) {
        self.said = Some(match came {
            Ok(text) => (text, true),
            Err(Trouble(why)) => (why, false),
        });
    }

    /// The rows of the table, in order, and the position of the selected one.
    pub fn rows(&mut self) -> (Vec<Row>, Option<usize>) {
        let mut rows = self.tab.rows(self.now(), self.before(), self.oldest());
        let wanted = self.filter.to_lowercase();
        rows.retain(|row| row.values.iter().any(|value| value.text.to_lowercase().contains(&wanted)));
        sort(&mut rows, self.order.0, self.order.1);
        self.selected = self.selected.min(rows.len().saturating_sub(1));
        let selected = (!rows.is_empty()).then_some(self.selected);
        (rows, selected)
    }

    /// A key was pressed.
    pub fn pressed(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c')) {
            return Wish::Leave;
        }
        match std::mem::replace(&mut self.asks, Asks::Nothing) {
            Asks::Nothing => self.command(key.code),
            Asks::Help => Wish::Nothing,
            Asks::Filter => self.filter_key(key.code),
            Asks::Weight { pool, target, typed } => self.weight_key(key.code, pool, target, typed),
            Asks::Whether(change) => match key.code {
                KeyCode::Char('y' | 'Y') => Wish::Change(change),
                _ => Wish::Nothing,
            },
        }
    }

    fn command(&mut self, key: KeyCode) -> Wish {
        self.said = None;
        let columns = self.tab.columns().len();
        match key {
            KeyCode::Char('q') => return Wish::Leave,
            KeyCode::Char('?' | 'h') => self.asks = Asks::Help,
            KeyCode::Char('/') => self.asks = Asks::Filter,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char(digit @ '1'..='4') => self.turn_to(Tab::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(Tab::ALL.len() - 1),
            KeyCode::Char('>' | '.') | KeyCode::Right => self.order_by((self.order.0 + 1) % columns),
            KeyCode::Char('<' | ',') | KeyCode::Left => self.order_by((self.order.0 + columns - 1) % columns),
            KeyCode::Char('i') => self.order.1 = !self.order.1,
            KeyCode::Down | KeyCode::Char('j') => self.selected += 1,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected += 10,
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = usize::MAX,
            KeyCode::Char('d') => self.wants(|_| Want::State(State::Drain)),
            KeyCode::Char('m') => self.wants(|_| Want::State(State::Maintenance)),
            KeyCode::Char('r') => self.wants(|_| Want::State(State::Ready)),
            KeyCode::Char('0') => self.wants(|_| Want::Reset),
            KeyCode::Char('+') => self.wants(|row| Want::Weight((row.weight + 1).min(256))),
            KeyCode::Char('-') => self.wants(|row| Want::Weight(row.weight.saturating_sub(1))),
            KeyCode::Char('w') => match self.target() {
                Some((_, (pool, target))) => self.asks = Asks::Weight { pool, target, typed: String::new() },
                None => self.names_no_target(),
            },
            _ => {}
        }
        Wish::Nothing
    }

    fn filter_key(&mut self, key: KeyCode) -> Wish {
        match key {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Esc => {
                self.filter.clear();
                return Wish::Nothing;
            }
            KeyCode::Enter => return Wish::Nothing,
            _ => {}
        }
        self.asks = Asks::Filter;
        Wish::Nothing
    }

    fn weight_key(&mut self, key: KeyCode, pool: String, target: String, mut typed: String) -> Wish {
        match key {
            KeyCode::Char(digit @ '0'..='9') if typed.len() < 3 => typed.push(digit),
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Esc => return Wish::Nothing,
            KeyCode::Enter => {
                match typed.parse() {
                    Ok(weight @ 0..=256) => {
                        self.asks = Asks::Whether(Change { pool, target, want: Want::Weight(weight) })
                    }
                    _ => self.said = Some(("a weight is a number from 0 to 256".to_owned(), false)),
                }
                return Wish::Nothing;
            }
            _ => {}
        }
        self.asks = Asks::Weight { pool, target, typed };
        Wish::Nothing
    }

    fn turn(&mut self, by: usize) {
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.turn_to(Tab::ALL[(at + by) % Tab::ALL.len()]);
    }

    fn turn_to(&mut self, tab: Tab) {
        (self.tab, self.order, self.selected) = (tab, (0, false), 0);
    }

    /// Names come from A, numbers from the greatest.
    fn order_by(&mut self, column: usize) {
        let (rows, _) = self.rows();
        let numeric = rows.first().and_then(|row| row.values.get(column)).is_some_and(super::rows::Value::is_number);
        self.order = (column, numeric);
    }

    fn target(&mut self) -> Option<(Row, (String, String))> {
        let (mut rows, selected) = self.rows();
        let row = rows.swap_remove(selected?);
        let target = row.target.clone()?;
        Some((row, target))
    }

    fn wants(&mut self, want: impl Fn(&Row) -> Want) {
        match self.target() {
            Some((row, (pool, target))) => self.asks = Asks::Whether(Change { want: want(&row), pool, target }),
            None => self.names_no_target(),
        }
    }

    fn names_no_target(&mut self) {
        self.said = Some(("choose a target first: they are on table 1".to_owned(), false));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::control::admin::view::{Pool, Status, Target};
    use serde_json::{from_value, json};
    use std::sync::OnceLock;
    use std::time::Instant;

    fn sample(second: u64, requests: u64) -> Sample {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        let target = |address: &str, weight: u32| {
            let weight = json!({ "configured": weight, "in_force": weight });
            let target = json!({ "address": address, "weight": weight, "backup": false, "state": "ready", "up": true,
                "in_flight": 0, "requests": requests, "errors": 0, "origin": "config" });
            from_value::<Target>(target).unwrap()
        };
        let status = json!({ "version": "1", "pid": 1, "started": 0, "uptime": 1, "state": "ready", "plan": 1, "workers": 1,
            "connections": { "open": 0, "max": 1 }, "overrides": 0, "bans": 0, "log_level": "info" });
        let pool = json!({ "name": "site", "balance": "round-robin", "protocol": "http1", "tls": false, "checked": false, "up": 2,
            "panic": false, "in_flight": 0, "requests": requests, "errors": 0, "targets": [] });
        let targets = vec![target("10.0.0.1:80", 1), target("10.0.0.2:80", 7)];
        Sample {
            at: *BEGIN.get_or_init(Instant::now) + Duration::from_secs(second),
            status: from_value::<Status>(status).unwrap(),
            listeners: Vec::new(),
            routes: Vec::new(),
            pools: vec![Pool { targets, ..from_value::<Pool>(pool).unwrap() }],
            failed: 0,
            durations: Default::default(),
            first_bytes: Default::default(),
        }
    }

    pub(in crate::cli::top) fn screen() -> Screen {
        let mut screen = Screen::new("here".into(), sample(0, 0));
        screen.saw(Ok(sample(10, 100)));
        screen
    }

    pub(in crate::cli::top) fn press(screen: &mut Screen, keys: &str) -> Wish {
        let code = |key: char| match key {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            other => KeyCode::Char(other),
        };
        keys.chars().fold(Wish::Nothing, |_, key| screen.pressed(KeyEvent::new(code(key), KeyModifiers::NONE)))
    }

    fn second(want: Want) -> Change {
        Change { pool: "site".into(), target: "10.0.0.2:80".into(), want }
    }

    #[test]
    fn nothing_changes_without_a_yes() {
        let mut screen = screen();
        assert_eq!(press(&mut screen, "jd"), Wish::Nothing);
        assert_eq!(screen.asks, Asks::Whether(second(Want::State(State::Drain))));
        assert_eq!(press(&mut screen, "n"), Wish::Nothing);
        assert_eq!(press(&mut screen, "y"), Wish::Nothing, "the question is gone");
        assert_eq!(press(&mut screen, "dy"), Wish::Change(second(Want::State(State::Drain))));
        assert_eq!(press(&mut screen, "my"), Wish::Change(second(Want::State(State::Maintenance))));
        assert_eq!(press(&mut screen, "ry"), Wish::Change(second(Want::State(State::Ready))));
        assert_eq!(press(&mut screen, "0y"), Wish::Change(second(Want::Reset)));
        assert_eq!(press(&mut screen, "+y"), Wish::Change(second(Want::Weight(8))));
        assert_eq!(press(&mut screen, "-y"), Wish::Change(second(Want::Weight(6))));
        assert_eq!(press(&mut screen, "w25\ny"), Wish::Change(second(Want::Weight(25))));
        assert_eq!(press(&mut screen, "w999\ny"), Wish::Nothing);
        assert_eq!(screen.said, None, "a key that means nothing takes the complaint away");
    }

    #[test]
    fn keys_are_about_the_row_that_is_shown() {
        let mut screen = screen();
        assert_eq!(press(&mut screen, "/.2:8\ndy"), Wish::Change(second(Want::State(State::Drain))));
        assert_eq!(press(&mut screen, "/nobody\ndy"), Wish::Nothing, "none is shown");
        assert_eq!(press(&mut screen, "\x1b2dy"), Wish::Nothing, "a pool is no target");
        assert_eq!(
            press(&mut screen, "1>>>dy"),
            Wish::Change(second(Want::State(State::Drain))),
            "by weight, the greatest first"
        );
        assert_eq!(press(&mut screen, "q"), Wish::Leave);
    }

    #[test]
    fn rates_are_those_between_two_looks() {
        let mut screen = screen();
        let (rows, _) = screen.rows();
        assert_eq!(rows[0].values[5].text, "10", "a hundred in ten seconds");
        screen.saw(Err(Trouble("gone".into())));
        assert_eq!(screen.trouble.as_deref(), Some("gone"));
        press(&mut screen, " ");
        screen.saw(Ok(sample(20, 1000)));
        assert!(screen.trouble.is_some(), "it stands still");
        press(&mut screen, " ");
        screen.saw(Ok(sample(20, 1000)));
        assert_eq!((screen.trouble.clone(), screen.rows().0[0].values[5].text.as_str()), (None, "90"));
    }
}
