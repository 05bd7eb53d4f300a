//! What became of each line of the file: one verdict for every line that says something.
//!
//! What always holds: every line that was opened ends with exactly one verdict; of several that were given the worst counts, and one that
//! was given none is not supported. Secrets are not shown.
//! May depend on nothing but serde.

use serde::Serialize;
use std::fmt::Write;

/// What became of a line, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Carried over.
    Carried,
    /// Carried over with a difference.
    Differs,
    /// Not supported.
    Unsupported,
}

/// A line of the input, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The file, as it was named.
    pub file: String,
    /// Its number, from 1.
    pub line: u32,
    /// What it says, without secrets.
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Whether it kept something out that now comes in.
    pub opens: bool,
    /// What is different, or why it is not supported and what to use instead.
    pub notes: Vec<String>,
}

/// All lines of the input, in their order.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The lines.
    pub lines: Vec<Line>,
}

/// Names a line of a [`Ledger`].
pub type LineId = usize;

/// A report that is being written.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    file: String,
    line: u32,
    text: String,
    verdict: Option<Verdict>,
    opens: bool,
    notes: Vec<String>,
    /// The line that it belongs to: what becomes of that becomes of this one.
    of: Option<LineId>,
}

impl Ledger {
    /// Notes a line that is to get a verdict. `text` holds no secret.
    pub fn open(&mut self, file: &str, line: u32, text: impl Into<String>) -> LineId {
        let (file, text) = (file.to_owned(), text.into());
        self.lines.push(Open { file, line, text, verdict: None, opens: false, notes: Vec::new(), of: None });
        self.lines.len() - 1
    }

    /// Notes a line that goes on with what another one began, and shares its verdict. What it says is not shown.
    pub fn goes_on(&mut self, file: &str, line: u32, of: LineId) {
        let id = self.open(file, line, "…");
        if let Some(open) = self.lines.get_mut(id) {
            open.of = Some(of);
        }
    }

    /// It is carried over.
    pub fn carried(&mut self, id: LineId) {
        self.give(id, Verdict::Carried, None);
    }

    /// It is carried over, but for this.
    pub fn differs(&mut self, id: LineId, what: impl Into<String>) {
        self.give(id, Verdict::Differs, Some(what.into()));
    }

    /// It is not supported; `why` says what to use instead as well.
    pub fn unsupported(&mut self, id: LineId, why: impl Into<String>) {
        self.give(id, Verdict::Unsupported, Some(why.into()));
    }

    /// It is not supported, and kept something out.
    pub fn opens(&mut self, id: LineId, why: impl Into<String>) {
        self.give(id, Verdict::Unsupported, Some(why.into()));
        if let Some(open) = self.lines.get_mut(id) {
            open.opens = true;
        }
    }

    /// Whether it has a verdict.
    pub fn has_verdict(&self, id: LineId) -> bool {
        self.lines.get(id).is_some_and(|open| open.verdict.is_some())
    }

    fn give(&mut self, id: LineId, verdict: Verdict, note: Option<String>) {
        let Some(open) = self.lines.get_mut(id) else { return };
        open.verdict = open.verdict.max(Some(verdict));
        if let Some(note) = note.filter(|note| !open.notes.contains(note)) {
            open.notes.push(note);
        }
    }

    /// The report. What has no verdict was not understood.
    pub fn close(mut self) -> Report {
        for at in 0..self.lines.len() {
            let of = self.lines.get(at).and_then(|open| self.lines.get(open.of?));
            let Some((verdict, notes)) = of.map(|of| (of.verdict, of.notes.clone())) else { continue };
            if let Some(open) = self.lines.get_mut(at) {
                open.verdict = verdict;
                open.notes = notes;
            }
        }
        let close = |open: Open| {
            let mut notes = open.notes;
            if open.verdict.is_none() {
                notes.push("it is not understood".to_owned());
            }
            let verdict = open.verdict.unwrap_or(Verdict::Unsupported);
            Line { file: open.file, line: open.line, text: open.text, verdict, opens: open.opens, notes }
        };
        let mut lines: Vec<Line> = self.lines.into_iter().map(close).collect();
        lines.sort_by_key(|line| line.line);
        Report { lines }
    }
}

impl Report {
    /// How many lines have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }

    /// The numbers in one line.
    pub fn summary(&self) -> String {
        let lines = self.lines.len();
        let mut text = format!(
            "{lines} line{}: {} carried over, {} with a difference, {} not supported",
            if lines == 1 { "" } else { "s" },
            self.count(Verdict::Carried),
            self.count(Verdict::Differs),
            self.count(Verdict::Unsupported),
        );
        let opens = self.lines.iter().filter(|line| line.opens).count();
        if opens > 0 {
            let _ = write!(text, "; {opens} of these kept requests out that now come in");
        }
        text
    }

    /// As text, grouped by verdict, the worst first.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let is_open = |line: &&Line| line.opens;
        group(
            &mut text,
            "Not supported, and kept something out: look at these first",
            self.lines.iter().filter(is_open),
        );
        let groups = [
            ("Not supported", Verdict::Unsupported),
            ("Carried over with a difference", Verdict::Differs),
            ("Carried over", Verdict::Carried),
        ];
        for (title, verdict) in groups {
            group(&mut text, title, self.lines.iter().filter(|line| line.verdict == verdict && !line.opens));
        }
        text + &self.summary() + "\n"
    }

    /// As JSON: the lines with their verdicts, and the numbers.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "carried": self.count(Verdict::Carried),
            "differs": self.count(Verdict::Differs),
            "unsupported": self.count(Verdict::Unsupported),
            "lines": self.lines,
        })
    }
}

fn group<'a>(text: &mut String, title: &str, lines: impl Iterator<Item = &'a Line>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "{title}");
    for line in lines {
        let _ = writeln!(text, "  {}:{}: {}", line.file, line.line, line.text);
        for note in &line.notes {
            let _ = writeln!(text, "      {note}");
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_counts_and_none_is_not_supported() {
        let mut ledger = Ledger::default();
        let [one, two, three] = [1, 2, 3].map(|line| ledger.open("a.cfg", line, format!("line {line}")));
        ledger.carried(one);
        ledger.differs(one, "a little");
        ledger.differs(one, "a little");
        ledger.carried(one);
        ledger.opens(two, "nobody is kept out");
        let report = ledger.close();
        let verdicts: Vec<Verdict> = report.lines.iter().map(|line| line.verdict).collect();
        assert_eq!(verdicts, [Verdict::Differs, Verdict::Unsupported, Verdict::Unsupported]);
        assert_eq!(report.lines[0].notes, ["a little"]);
        assert_eq!(report.lines[three].notes, ["it is not understood"]);
        let text = report.text();
        assert!(
            text.starts_with("Not supported, and kept something out: look at these first\n  a.cfg:2: line 2\n"),
            "{text}"
        );
        assert!(text.ends_with("3 lines: 0 carried over, 1 with a difference, 2 not supported; 1 of these kept requests out that now come in\n"), "{text}");
        assert_eq!(report.json()["lines"][0]["verdict"], "differs");
    }
}
