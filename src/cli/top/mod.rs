//! `ringway top`: what a running Ringway does, on a screen that goes on, with keys that drain and weigh targets.
//!
//! What always holds: it asks by the admin API alone, from a thread of its own, so that keys are heeded while an answer is late; what changes
//! anything is asked about first; the terminal is left as it was found, whatever happens.

mod act;
mod draw;
mod latency;
mod rows;
mod sample;
mod screen;

use super::ask::{Asked, Line, Trouble};
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use sample::Sample;
use screen::{Screen, Wish};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What is wanted of it.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// Seconds from one look to the next.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
}

/// How long keys are waited for before the screen is drawn again.
const TICK: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is a number of seconds".to_owned())?;
    if (0.2..=60.0).contains(&seconds) { Ok(seconds) } else { Err("it is from 0.2 to 60".to_owned()) }
}

/// Shows it until `q` or Ctrl-C.
pub fn top(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let line = arguments.asked.line()?;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Trouble("`top` needs a terminal: `ringway status` says the same once".into()));
    }
    // What is wrong with the way there is told before the screen changes.
    let first = Sample::take(&line)?;
    let (sender, looks) = sync_channel(2);
    let (again, asks) = (arguments.asked.line()?, Duration::from_secs_f64(arguments.interval));
    thread::spawn(move || look(&again, asks, &sender));
    let mut terminal = ratatui::try_init().map_err(|error| Trouble(format!("the terminal cannot be used: {error}")))?;
    let shown = show(&mut terminal, Screen::new(line.to_string(), first), &line, &looks);
    ratatui::restore();
    shown.map(|()| ExitCode::SUCCESS).map_err(|error| Trouble(format!("the terminal has failed: {error}")))
}

/// Looks again and again, until nobody wants to know.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, which does nothing else")]
fn look(line: &Line, interval: Duration, to: &SyncSender<Result<Sample, Trouble>>) {
    let mut next = Instant::now() + interval;
    loop {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // What was missed is not made up for.
        next = Instant::now() + interval;
        if let Err(TrySendError::Disconnected(_)) = to.try_send(Sample::take(line)) {
            return;
        }
    }
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut screen: Screen,
    line: &Line,
    looks: &Receiver<Result<Sample, Trouble>>,
) -> io::Result<()> {
    loop {
        for look in looks.try_iter() {
            screen.saw(look);
        }
        terminal.draw(|frame| draw::draw(frame, &mut screen))?;
        if !event::poll(TICK)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match screen.pressed(key) {
            Wish::Nothing => {}
            Wish::Leave => return Ok(()),
            Wish::Change(change) => {
                screen.says(act::carry_out(line, &change));
                if let Ok(sample) = Sample::take(line) {
                    screen.saw(Ok(sample));
                }
            }
        }
    }
}
