//! The screen as it is drawn.

use super::rows::{Row as Line, Tab, bytes, duration, rate};
use super::screen::{Asks, Screen};
use crate::cli::table::{Tone, span};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState};

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
    let [head, history, tabs, table, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(if frame.area().height >= 20 { 3 } else { 0 }),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(summary(screen)), head);
    past(frame, screen, history);
    frame.render_widget(Paragraph::new(choices(screen)), tabs);
    rows(frame, screen, table);
    frame.render_widget(Paragraph::new(last_line(screen)), foot);
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
    let tone = if status.state == "ready" { Tone::Good } else { Tone::Bad };
    let first = vec![
        Span::raw(format!("ringway {}  ", status.version)),
        told(status.state.clone(), tone),
        Span::raw(format!("  plan {}  up {}  pid {}  ", status.plan, span(status.uptime), status.pid)),
        told(screen.line.clone(), Tone::Faint),
        told(if screen.paused { "  STANDS STILL" } else { "" }, Tone::Warn),
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
        told(format!("{} err/s  ", rate(errors)), if errors > 0.0 { Tone::Bad } else { Tone::Plain }),
        Span::raw(format!("p50 {}  p99 {}  ", quantile(0.5), quantile(0.99))),
        Span::raw(format!("{}B/s out  ", bytes(out))),
        Span::raw(format!("connections {} of {}  ", status.connections.open, status.connections.max)),
        told(format!("targets {up} of {all}"), tone),
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
    let widths = heads.iter().enumerate().map(|(place, head)| {
        let cells = lines.iter().filter_map(|line| line.values.get(place)).map(|value| value.text.chars().count());
        let width = cells.chain([head.chars().count()]).max().unwrap_or(0);
        Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))
    });
    let widths: Vec<Constraint> = widths.collect();
    let row = |line: &Line| {
        let cell = |(place, value): (usize, &super::rows::Value)| {
            aligned(Text::from(told(value.text.clone(), value.tone)), place)
        };
        Row::new(line.values.iter().enumerate().map(cell).collect::<Vec<_>>())
    };
    let head = heads.iter().enumerate().map(|(place, head)| aligned(Text::from(head.clone()), place));
    let head = Row::new(head.collect::<Vec<_>>()).style(style(Tone::Faint));
    let table = Table::new(lines.iter().map(row).collect::<Vec<_>>(), widths)
        .header(head)
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// What is asked, or wrong, or which keys there are.
fn last_line(screen: &Screen) -> Text<'static> {
    match &screen.asks {
        Asks::Whether(change) => {
            return Text::from(told(format!("{} y: yes, any other key: no", change.question()), Tone::Warn));
        }
        Asks::Filter => return Text::from(told(format!("show only rows with: {}▏", screen.filter), Tone::Warn)),
        Asks::Weight { target, typed, .. } => {
            return Text::from(told(format!("weight of {target}, 0 to 256: {typed}▏"), Tone::Warn));
        }
        Asks::Nothing | Asks::Help => {}
    }
    if let Some(why) = &screen.trouble {
        return Text::from(told(why.clone(), Tone::Bad));
    }
    match &screen.said {
        Some((text, true)) => Text::from(told(text.clone(), Tone::Good)),
        Some((text, false)) => Text::from(told(text.clone(), Tone::Bad)),
        None => Text::from(told(
            "? keys  / filter  < > sort  d drain  m maintenance  r ready  w weight  q leave",
            Tone::Faint,
        )),
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
