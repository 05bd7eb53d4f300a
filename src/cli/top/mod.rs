//! `ringway top`: what a running Ringway does, on a screen that goes on, with keys that drain and weigh targets.
//!
//! What always holds: it asks by the admin API alone, from threads of its own, so that keys are heeded while an answer is late; what changes
//! anything is asked about first; what is old is said to be; the terminal is left as it was found, whatever happens.

mod act;
mod draw;
mod latency;
mod rows;
mod sample;
mod screen;

use super::ask::{Asked, Line, Trouble};
use act::Change;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use sample::Sample;
use screen::{Screen, Wish};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

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
/// How long nothing may be heard, beside two intervals, until what is shown is called old.
const SILENCE: Duration = Duration::from_secs(2);

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
    let interval = Duration::from_secs_f64(arguments.interval);
    let (sender, looks) = sync_channel(2);
    let (wishes, wanted) = sync_channel(1);
    let (told, done) = sync_channel(2);
    let (again, hand) = (arguments.asked.line()?, arguments.asked.line()?);
    let (looked, ended) = (sender.clone(), Arc::new(AtomicBool::new(false)));
    thread::spawn(move || look(&again, interval, &sender));
    thread::spawn(move || change(&hand, &wanted, &told, &looked));
    end_with(ended.clone())?;
    let mut terminal = ratatui::try_init().map_err(|error| Trouble(format!("the terminal cannot be used: {error}")))?;
    let ways = Ways { looks, wishes, done, ended, patience: interval * 2 + SILENCE };
    let shown = show(&mut terminal, Screen::new(line.to_string(), first), &ways);
    ratatui::restore();
    shown.map(|()| ExitCode::SUCCESS).map_err(|error| Trouble(format!("the terminal has failed: {error}")))
}

/// What the screen has to do with those that ask.
struct Ways {
    /// What was seen.
    looks: Receiver<Result<Sample, Trouble>>,
    /// What is to be changed.
    wishes: SyncSender<Change>,
    /// What came of it.
    done: Receiver<Result<String, Trouble>>,
    /// Whether a signal says that it is over.
    ended: Arc<AtomicBool>,
    /// How long nothing may be heard until what is shown is called old.
    patience: Duration,
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

/// Carries out what is wanted, one after the other, and looks what it is like then.
fn change(
    line: &Line,
    wanted: &Receiver<Change>,
    told: &SyncSender<Result<String, Trouble>>,
    looked: &SyncSender<Result<Sample, Trouble>>,
) {
    for change in wanted {
        if told.send(act::carry_out(line, &change)).is_err() {
            return;
        }
        if let Ok(sample) = Sample::take(line) {
            // If there is no room, others have looked.
            let _ = looked.try_send(Ok(sample));
        }
    }
}

/// Has signals that would end the process end the screen alone, so that the terminal is put right. When the terminal is gone (SIGHUP)
/// there is nothing to put right, and the process ends as any does.
fn end_with(ended: Arc<AtomicBool>) -> Result<(), Trouble> {
    let broken = |error: io::Error| Trouble(format!("signals cannot be heeded: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let entered = runtime.enter();
    let mut term = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        ended.store(true, Ordering::Relaxed);
    });
    Ok(())
}

fn show(terminal: &mut ratatui::DefaultTerminal, mut screen: Screen, ways: &Ways) -> io::Result<()> {
    let mut heard = Instant::now();
    while !ways.ended.load(Ordering::Relaxed) {
        for look in ways.looks.try_iter() {
            heard = Instant::now();
            screen.saw(look);
        }
        for came in ways.done.try_iter() {
            screen.says(came);
        }
        screen.silent = Some(heard.elapsed()).filter(|silent| *silent > ways.patience);
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
            Wish::Change(change) => screen.says(match ways.wishes.try_send(change) {
                Ok(()) => Ok("asked for …".to_owned()),
                Err(_) => Err(Trouble("nothing is done: what was asked before has no answer yet".to_owned())),
            }),
        }
    }
    Ok(())
}
