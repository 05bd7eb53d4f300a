//! Text for a terminal: aligned columns, and colours where they are shown. Pure.

use std::fmt::Write as _;
use std::io::IsTerminal;

/// A cell: its text and how it is coloured.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

/// How a text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it comes.
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// As it should not be.
    Bad,
    /// Of no weight.
    Faint,
}

/// Rows under a head.
#[derive(Debug)]
pub struct Table {
    head: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }
}

impl Cell {
    /// A text of this tone.
    pub fn new(text: impl ToString, tone: Tone) -> Self {
        Self { text: text.to_string(), tone }
    }
}

impl Table {
    /// One with these columns.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| Cell::new(name, Tone::Faint)).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, a line for each row.
    pub fn text(&self, colour: bool) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| lines().filter_map(|row| row.get(column)).map(|cell| count(&cell.text)).max();
        let widths: Vec<usize> = (0..self.head.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for line in lines() {
            let last = line.len().saturating_sub(1);
            for (column, cell) in line.iter().enumerate() {
                text.push_str(&tinted(&cell.text, cell.tone, colour));
                if column < last {
                    let blanks = widths[column] - count(&cell.text) + 2;
                    text.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// A text in its colour.
pub fn tinted(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        _ if !colour || text.is_empty() => return text.to_owned(),
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "1;31",
        Tone::Faint => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Whether a stream shows colours.
pub fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A span of seconds in its two largest units: "3d 4h", "12s".
pub fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut text = String::new();
    let mut shown = 0;
    for (unit, size) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 || shown > 0 || unit == "s" && text.is_empty() {
            shown += 1;
            if count > 0 || text.is_empty() {
                // Writing to a text cannot fail.
                let _ = write!(text, "{}{count}{unit}", if text.is_empty() { "" } else { " " });
            }
        }
        if shown == 2 {
            break;
        }
    }
    text
}

fn count(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let mut table = Table::new(&["NAME", "STATE", "N"]);
        table.row(["a→long name".into(), Cell::new("up", Tone::Good), 7.into()]);
        table.row(["b".into(), Cell::new("down", Tone::Bad), "".into()]);
        assert_eq!(table.text(false), "NAME         STATE  N\na→long name  up     7\nb            down\n");
        assert!(table.text(true).contains("\x1b[32mup\x1b[0m     7"));
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3661, "1h 1m"), (7200, "2h"), (273_600, "3d 4h"), (86_405, "1d")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
