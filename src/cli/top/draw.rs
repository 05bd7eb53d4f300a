//! The screen as it is drawn.

use super::rows::{Row as Line, Tab, bytes, duration, rate};
use super::screen::{Asks, Screen};
use crate::cli::table::{Tone, span};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState};

/// Between two columns.
const SPACING: u16 = 2;

/// What keys do.
const KEYS: [(&str, &str); 12] = [
    ("1 2 3 4, Tab", "targets, pools, routes, listeners"),
    ("↑ ↓ j k", "choose a row"),
    ("← → < >", "sort by another column"),
    ("i", "the other way round"),
    ("/ Esc", "show only rows that hold a text; all"),
    ("d", "drain the target: nothing new goes to it"),
    ("m", "maintenance: it is taken out of use"),
    ("r", "ready: it is used again"),
    ("w + -", "another weight"),
    ("0", "as the configuration says"),
    ("space", "stand still, and go on"),
    ("q, Ctrl-C", "leave"),
];

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, screen: &mut Screen) {
    let last = last_lines(screen, usize::from(frame.area().width));
    let [head, history, tabs, table, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(if frame.area().height >= 20 { 3 } else { 0 }),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(u16::try_from(last.len()).unwrap_or(1).min(frame.area().height / 2).max(1)),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(summary(screen)), head);
    past(frame, screen, history);
    frame.render_widget(Paragraph::new(choices(screen)), tabs);
    rows(frame, screen, table);
    frame.render_widget(Paragraph::new(last), foot);
    if screen.asks == Asks::Help {
        help(frame);
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warn => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
    }
}

fn told(text: impl Into<String>, tone: Tone) -> Span<'static> {
    Span::styled(text.into(), style(tone))
}

/// The two lines at the top: what runs, and how it is.
fn summary(screen: &Screen) -> Vec<Text<'static>> {
    let now = screen.now();
    let status = &now.status;
    let (state, tone) = match &*status.state {
        _ if screen.trouble.is_some() || screen.silent.is_some() => ("NO ANSWER", Tone::Bad),
        "ready" => ("ready", Tone::Good),
        other => (other, Tone::Bad),
    };
    let first = vec![
        Span::raw(format!("ringway {}  ", status.version)),
        told(state, tone),
        told(if screen.paused { "  STANDS STILL" } else { "" }, Tone::Warn),
        Span::raw(format!("  plan {}  up {}  pid {}  ", status.plan, span(status.uptime), status.pid)),
        told(screen.line.clone(), Tone::Faint),
    ];
    let errors = screen.per_second(|sample| sample.failed);
    let out = screen.per_second(|sample| sample.listeners.iter().map(|listener| listener.sent).sum());
    let taken = now.duration_since(screen.oldest());
    let quantile = |share: f64| taken.quantile(share).map_or("-".to_owned(), duration);
    let all: usize = now.pools.iter().map(|pool| pool.targets.len()).sum();
    let up: usize = now.pools.iter().map(|pool| pool.up).sum();
    let tone = match up {
        _ if now.pools.iter().any(|pool| pool.up == 0) => Tone::Bad,
        up if up < all => Tone::Warn,
        _ => Tone::Good,
    };
    let second = vec![
        Span::styled(rate(screen.requests_per_second()), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(" req/s  "),
        told(format!("targets {up} of {all}  "), tone),
        told(format!("{} err/s  ", rate(errors)), if errors > 0.0 { Tone::Bad } else { Tone::Plain }),
        Span::raw(format!("p50 {}  p99 {}  ", quantile(0.5), quantile(0.99))),
        Span::raw(format!("{}B/s out  ", bytes(out))),
        Span::raw(format!("connections {} of {}", status.connections.open, status.connections.max)),
    ];
    vec![Text::from(first), Text::from(second)]
}

fn past(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let width = usize::from(area.width);
    let shown: Vec<u64> = screen.history.iter().rev().take(width).rev().copied().collect();
    frame.render_widget(Sparkline::default().data(&shown).style(Style::new().fg(Color::Cyan)), area);
}

/// The tables that there are.
fn choices(screen: &Screen) -> Text<'static> {
    let mut spans = Vec::new();
    for (place, tab) in Tab::ALL.into_iter().enumerate() {
        let text = format!(" {} {} ", place + 1, tab.title());
        let style = if tab == screen.tab { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw(" "));
    }
    if !screen.filter.is_empty() {
        spans.push(told(format!(" only with `{}`", screen.filter), Tone::Warn));
    }
    Text::from(spans)
}

fn rows(frame: &mut Frame<'_>, screen: &mut Screen, area: Rect) {
    let (lines, selected) = screen.rows();
    let columns = screen.tab.columns();
    let (by, descending) = screen.order;
    let heads: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(place, title)| match place == by {
            true => format!("{title}{}", if descending { "▼" } else { "▲" }),
            false => (*title).to_owned(),
        })
        .collect();
    let is_number =
        |place: usize| lines.first().and_then(|line| line.values.get(place)).is_some_and(super::rows::Value::is_number);
    let aligned = |text: Text<'static>, place: usize| {
        Cell::from(text.alignment(if is_number(place) { Alignment::Right } else { Alignment::Left }))
    };
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(place, head)| {
            let cells = lines.iter().filter_map(|line| line.values.get(place)).map(|value| value.text.chars().count());
            cells.chain([head.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let widths: Vec<Constraint> = fitting(&widths, area.width).into_iter().map(Constraint::Length).collect();
    let shown = widths.len();
    let row = |line: &Line| {
        let cell = |(place, value): (usize, &super::rows::Value)| {
            aligned(Text::from(told(value.text.clone(), value.tone)), place)
        };
        Row::new(line.values.iter().enumerate().take(shown).map(cell).collect::<Vec<_>>())
    };
    let head = heads.iter().enumerate().take(shown).map(|(place, head)| aligned(Text::from(head.clone()), place));
    let head = Row::new(head.collect::<Vec<_>>()).style(style(Tone::Faint));
    let table = Table::new(lines.iter().map(row).collect::<Vec<_>>(), widths)
        .header(head)
        .column_spacing(SPACING)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// The columns that there is room for, the first ones first: half of them would say less than none. Long names are cut before that.
fn fitting(widths: &[usize], room: u16) -> Vec<u16> {
    let most = (room * 2 / 5).max(8);
    let mut left = i32::from(room);
    let cut = widths.iter().map(|width| u16::try_from(*width).unwrap_or(u16::MAX).min(most));
    cut.take_while(|width| {
        left -= i32::from(*width);
        let is_room = left >= 0;
        left -= i32::from(SPACING);
        is_room
    })
    .collect()
}

/// What is asked, or wrong, or which keys there are: in as many lines as it takes, as who says yes is to know to what.
fn last_lines(screen: &Screen, width: usize) -> Vec<Text<'static>> {
    let (text, tone) = last_words(screen);
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(width.max(1)).map(|line| Text::from(told(line.iter().collect::<String>(), tone))).collect()
}

fn last_words(screen: &Screen) -> (String, Tone) {
    match &screen.asks {
        Asks::Whether(change) => return (format!("{} y: yes, any other key: no", change.question()), Tone::Warn),
        Asks::Filter => return (format!("show only rows with: {}▏", screen.filter), Tone::Warn),
        Asks::Weight { target, typed, .. } => {
            return (format!("weight of {target}, 0 to 256: {typed}▏"), Tone::Warn);
        }
        Asks::Nothing | Asks::Help => {}
    }
    if let Some(why) = &screen.trouble {
        return (why.clone(), Tone::Bad);
    }
    if let Some(silent) = screen.silent {
        let seconds = silent.as_secs();
        return (format!("{} has not answered for {seconds} s: what is shown is old", screen.line), Tone::Bad);
    }
    match &screen.said {
        Some((text, true)) => (text.clone(), Tone::Good),
        Some((text, false)) => (text.clone(), Tone::Bad),
        None => {
            ("? keys  / filter  d drain  m maintenance  r ready  w weight  < > sort  q leave".to_owned(), Tone::Faint)
        }
    }
}

fn help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (60.min(area.width), (KEYS.len() as u16 + 2).min(area.height));
    let at = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let line = |(keys, what): &(&str, &str)| Text::from(format!(" {keys:14} {what}"));
    let text: Vec<Text<'_>> = KEYS.iter().map(line).collect();
    frame.render_widget(Clear, at);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(" keys ")), at);
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::{press, screen};
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::Duration;

    fn drawn(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        let cells = terminal.backend().buffer().content().chunks(usize::from(width));
        cells.map(|line| line.iter().map(|cell| cell.symbol()).collect()).collect()
    }

    #[test]
    fn a_small_terminal_has_whole_columns_and_what_counts() {
        let mut screen = screen();
        let small = drawn(&mut screen, 40, 10);
        assert!(small[1].contains("targets 2 of 2"), "{small:#?}");
        let head = small.iter().find(|line| line.contains("POOL")).unwrap();
        assert!(head.contains("TARGET") && head.contains("STATE"), "{small:#?}");
        assert!(small.iter().any(|line| line.contains("10.0.0.2:80")), "{small:#?}");
        for (width, height) in [(1, 1), (3, 2), (20, 4), (80, 5), (300, 100)] {
            drawn(&mut screen, width, height);
        }
    }

    #[test]
    fn a_question_is_read_whole_before_it_is_answered() {
        let mut screen = screen();
        press(&mut screen, "jd");
        let small = drawn(&mut screen, 30, 12).concat();
        assert!(small.contains("Drain 10.0.0.2:80 of pool site"), "{small}");
        assert!(small.contains("y: yes, any other key: no"), "{small}");
    }

    #[test]
    fn what_is_old_is_said_to_be() {
        let mut screen = screen();
        assert!(drawn(&mut screen, 100, 12)[0].contains("ready"));
        screen.silent = Some(Duration::from_secs(7));
        let old = drawn(&mut screen, 100, 12);
        assert!(old[0].contains("NO ANSWER") && !old[0].contains("ready"), "{old:#?}");
        assert!(old[11].contains("has not answered for 7 s"), "{old:#?}");
    }

    #[test]
    fn columns_are_whole_or_not_there() {
        assert_eq!(fitting(&[4, 11, 5, 6], 40), [4, 11, 5, 6]);
        assert_eq!(fitting(&[64, 64, 5, 6], 40), [16, 16]);
        assert_eq!(fitting(&[4, 15, 5, 9], 40), [4, 15, 5, 9], "an address and its port");
        assert_eq!(fitting(&[4, 4, 4], 10), [4, 4]);
        assert_eq!(fitting(&[4], 3), Vec::<u16>::new());
    }
}
