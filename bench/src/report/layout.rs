//! How a scenario's chart is laid out: costs above, latency below, what must be known to read it at the foot.

use super::canvas::{ACCENT, Area, Canvas, Font, INK, MUTED, PLAIN};
use super::{Interval, Kind, Latency, OURS, Outcome, Peer, Report, number};
use anyhow::Result;

/// The peer that is only a yardstick.
const FLOOR: &str = "floor";

const WIDTH: i32 = 880;
const MARGIN: i32 = 28;
/// Where bars begin.
const BARS: i32 = 150;
/// Where the ratios end, and everything else.
const RIGHT: i32 = WIDTH - MARGIN;
const RATIO_WIDTH: i32 = 170;
/// What a value's text needs beside its bar.
const VALUE_WIDTH: i32 = 84;
/// From one row to the next, where a row has one line of text and where it has two.
const PITCHES: [i32; 2] = [30, 44];
const LINE: i32 = 18;
/// Where the head ends.
const HEAD: i32 = 82;
const HEADING: i32 = 30;
/// How long the bar is of a peer without any figure.
const STUB: f64 = 0.2;

/// The scenario's chart as SVG; `None` if it has no figures that a bar could show.
pub fn draw(report: &Report, outcome: &Outcome) -> Result<Option<String>> {
    let Some(costs) = costs(report, outcome) else { return Ok(None) };
    let latencies = latencies(outcome);
    let notes = notes(outcome, &costs, &latencies);
    let [low, high] = PITCHES;
    let rows = i32::try_from(costs.bars.len())?;
    let below = if latencies.is_empty() { 0 } else { HEADING * 2 + rows * low };
    let height = HEAD + HEADING + rows * high + below + 16 + LINE * i32::try_from(notes.len())? + 12;
    let paint = |canvas: &Canvas<'_>| {
        let Report { date, commit, kernel, cpu, .. } = report;
        canvas.text(MARGIN, 36, Font::new(20.0, INK).bold(), &outcome.scenario.title)?;
        let origin = format!("{date}  ·  {commit}  ·  Linux {kernel}  ·  {cpu}");
        canvas.text(MARGIN, 62, Font::new(13.0, MUTED), &origin)?;
        let mut y = HEAD;
        paint_costs(canvas, &costs, &mut y)?;
        if !latencies.is_empty() {
            paint_latencies(canvas, &latencies, &mut y)?;
        }
        for (line, note) in (0..).zip(&notes) {
            canvas.text(MARGIN, y + 24 + line * LINE, Font::new(12.0, MUTED), note)?;
        }
        Ok(())
    };
    Canvas::svg(WIDTH, height, paint).map(Some)
}

/// One quantity of all peers.
struct Panel {
    heading: String,
    unit: &'static str,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    detail: String,
    is_ours: bool,
    value: Option<Interval>,
    is_void: bool,
    ratio: Option<Interval>,
}

fn costs(report: &Report, outcome: &Outcome) -> Option<Panel> {
    let value: fn(&Peer) -> Option<Interval> = match outcome.scenario.kind {
        Kind::Load => |peer| peer.own,
        Kind::Idle => |peer| peer.bytes_each.map(exactly),
        Kind::Other => return None,
    };
    let ours_counts = outcome.peers.get(OURS).is_some_and(|peer| peer.void.is_none());
    let bar = |(name, peer): (&String, &Peer)| Bar {
        detail: report.versions.get(name).and_then(|text| version(text)).unwrap_or_default(),
        ratio: outcome.ratios.get(name).copied().flatten().filter(|_| ours_counts && name != OURS),
        ..Bar::new(name, peer, value(peer))
    };
    let bars: Vec<Bar> = ordered(outcome).into_iter().map(bar).collect();
    bars.iter().any(|bar| bar.value.is_some() || bar.is_void).then(|| Panel {
        heading: match outcome.scenario.kind {
            Kind::Idle => "Memory of process and kernel per connection".into(),
            _ => format!("CPU time per {}", outcome.scenario.unit),
        },
        unit: if outcome.scenario.kind == Kind::Idle { "B" } else { "µs" },
        bars,
    })
}

type Share = fn(&Latency) -> Option<Interval>;

fn latencies(outcome: &Outcome) -> Vec<Panel> {
    let shares: [(&str, Share); 3] =
        [("p50", |latency| latency.p50), ("p99", |latency| latency.p99), ("p99.9", |latency| latency.p999)];
    let panel = |(heading, share): (&str, Share)| {
        let bar = |(name, peer): (&String, &Peer)| Bar::new(name, peer, peer.latency.as_ref().and_then(share));
        let mut bars: Vec<Bar> = ordered(outcome).into_iter().map(bar).collect();
        let in_millis = bars.iter().any(|bar| bar.value.is_some_and(|latency| latency.value >= 1000.0));
        if in_millis {
            bars.iter_mut().for_each(|bar| bar.value = bar.value.map(|latency| latency.times(0.001)));
        }
        Panel { heading: heading.to_owned(), unit: if in_millis { "ms" } else { "µs" }, bars }
    };
    let panels: Vec<Panel> = shares.into_iter().map(panel).collect();
    let is_measured = panels.iter().flat_map(|panel| &panel.bars).any(|bar| bar.value.is_some());
    if is_measured { panels } else { Vec::new() }
}

/// What the reader must know: how to read bars and whiskers, and which bars do not count.
fn notes(outcome: &Outcome, costs: &Panel, latencies: &[Panel]) -> Vec<String> {
    let bars = || std::iter::once(costs).chain(latencies).flat_map(|panel| &panel.bars);
    let whiskers = || bars().filter(|bar| !bar.is_void).filter_map(|bar| bar.value).filter(|value| value.is_wide());
    let mut first = "Shorter is better.".to_owned();
    if let Some(sure) = whiskers().filter_map(|value| value.confidence).reduce(f64::min) {
        let percent = (sure * 100.0).floor();
        first += &format!(" Bars are medians; whiskers hold the true median with at least {percent} % confidence.");
    }
    let mut notes = vec![first];
    if outcome.peers.contains_key(FLOOR) {
        notes.push(
            "floor is a bare forwarder, not a proxy: about the least that forwarding costs on this kernel.".into(),
        );
    }
    for (name, peer) in ordered(outcome) {
        if let Some(void) = &peer.void {
            notes.push(format!("{} is void: {void}.", shown(name)));
        }
    }
    notes
}

/// Ringway first, then those that people know, and the yardstick last.
fn ordered(outcome: &Outcome) -> Vec<(&String, &Peer)> {
    let known = |name: &str| match name {
        OURS => 0,
        "haproxy" => 1,
        "nginx" => 2,
        FLOOR => 4,
        _ => 3,
    };
    let mut peers: Vec<_> = outcome.peers.iter().collect();
    peers.sort_by_key(|(name, _)| known(name));
    peers
}

fn shown(name: &str) -> String {
    name.replace(OURS, "Ringway").replace("haproxy", "HAProxy")
}

/// The number in what a program says about its version.
fn version(text: &str) -> Option<String> {
    let mut parts = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    parts.find(|part| part.contains('.') && part.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned)
}

fn exactly(value: f64) -> Interval {
    Interval { value, low: value, high: value, confidence: None }
}

impl Interval {
    fn times(self, factor: f64) -> Self {
        let Self { value, low, high, confidence } = self;
        Self { value: value * factor, low: low * factor, high: high * factor, confidence }
    }

    fn is_wide(self) -> bool {
        self.high > self.low
    }
}

impl Bar {
    fn new(name: &str, peer: &Peer, value: Option<Interval>) -> Self {
        let (is_ours, is_void) = (name == OURS, peer.void.is_some());
        Self { name: shown(name), detail: String::new(), is_ours, value, is_void, ratio: None }
    }

    fn font(&self, size: f64) -> Font {
        let font = Font::new(size, INK);
        if self.is_ours { font.bold() } else { font }
    }
}

impl Panel {
    /// Pixels per unit when the longest bar, its whisker included, takes `width`.
    fn scale(&self, width: i32) -> f64 {
        let longest = self.bars.iter().filter_map(|bar| bar.value).map(|value| value.high).fold(0.0, f64::max);
        if longest > 0.0 { f64::from(width) / longest } else { 0.0 }
    }

    /// Paints the bar in the box that the longest one could fill, and its value behind it.
    fn paint(&self, canvas: &Canvas<'_>, bar: &Bar, full: Area) -> Result<()> {
        let scale = self.scale(full.width);
        let long = |value: f64| (value * scale).round() as i32;
        let stub = (f64::from(full.width) * STUB) as i32;
        let area = Area { width: bar.value.map_or(stub, |value| long(value.value).max(1)), ..full };
        let middle = full.middle();
        let value = bar.value.map(|value| format!("{} {}", number(value.value), self.unit));
        if bar.is_void {
            canvas.hatched(area)?;
            return canvas.text(area.x + area.width + 9, middle, Font::new(13.0, MUTED), "void");
        }
        let (Some(interval), Some(value)) = (bar.value, value) else {
            return canvas.text(area.x + 9, middle, Font::new(13.0, MUTED), "not measured");
        };
        canvas.bar(area, if bar.is_ours { ACCENT } else { PLAIN })?;
        if interval.is_wide() {
            canvas.whisker(area.x + long(interval.low), area.x + long(interval.high), middle)?;
        }
        let end = long(interval.high.max(interval.value));
        canvas.text(area.x + end + 9, middle, bar.font(13.0), &value)
    }
}

fn paint_costs(canvas: &Canvas<'_>, costs: &Panel, y: &mut i32) -> Result<()> {
    let has_ratios = costs.bars.iter().any(|bar| bar.ratio.is_some());
    let right = if has_ratios { RIGHT - RATIO_WIDTH } else { RIGHT };
    let head = Font::new(13.0, MUTED);
    canvas.text(BARS, *y + HEADING / 2, head, &costs.heading)?;
    if has_ratios {
        canvas.text(RIGHT, *y + HEADING / 2, head.right(), "Ringway ÷ this one")?;
    }
    *y += HEADING;
    let [_, pitch] = PITCHES;
    let top = *y;
    for bar in &costs.bars {
        let full = Area { x: BARS, y: *y + 9, width: right - BARS - VALUE_WIDTH, height: pitch - 18 };
        let (middle, offset) = (full.middle(), if bar.detail.is_empty() { 0 } else { 8 });
        canvas.text(MARGIN, middle - offset, bar.font(14.0), &bar.name)?;
        if !bar.detail.is_empty() {
            canvas.text(MARGIN, middle + 9, Font::new(11.0, MUTED), &bar.detail)?;
        }
        costs.paint(canvas, bar, full)?;
        if let Some(ratio) = bar.ratio.filter(|_| !bar.is_void) {
            let wide = if ratio.is_wide() { format!("  [{:.2}, {:.2}]", ratio.low, ratio.high) } else { String::new() };
            let text = format!("{:.2}{wide}", ratio.value);
            canvas.text(RIGHT, middle, Font::new(13.0, INK).right(), &text)?;
        }
        *y += pitch;
    }
    canvas.base(BARS, top, *y)
}

fn paint_latencies(canvas: &Canvas<'_>, panels: &[Panel], y: &mut i32) -> Result<()> {
    let head = Font::new(13.0, MUTED);
    canvas.text(BARS, *y + HEADING, head, "Latency at one fixed rate for all")?;
    *y += HEADING * 2;
    let [pitch, _] = PITCHES;
    let step = (RIGHT - BARS) / panels.len() as i32;
    for (place, panel) in (0..).zip(panels) {
        let x = BARS + place * step;
        canvas.text(x, *y - 9, Font::new(12.0, INK).bold(), &panel.heading)?;
        for (row, bar) in (0..).zip(&panel.bars) {
            let full = Area { x, y: *y + row * pitch + 7, width: step - VALUE_WIDTH - 12, height: pitch - 14 };
            if place == 0 {
                canvas.text(MARGIN, full.middle(), bar.font(14.0), &bar.name)?;
            }
            panel.paint(canvas, bar, full)?;
        }
        canvas.base(x, *y, *y + pitch * panel.bars.len() as i32)?;
    }
    *y += pitch * panels.first().map_or(0, |panel| panel.bars.len() as i32);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn interval(value: f64) -> Value {
        json!({"value": value, "low": value * 0.95, "high": value * 1.05, "confidence": 0.9375})
    }

    fn svg(outcome: Value) -> Option<String> {
        let report = json!({
            "date": "2026-11-25", "commit": "712c3c0", "kernel": "6.18.44", "cpu": "EPYC <7B13>",
            "versions": {"haproxy": "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/"},
            "outcomes": [outcome],
        });
        let report: Report = serde_json::from_value(report).unwrap();
        draw(&report, &report.outcomes[0]).unwrap()
    }

    fn load(peers: Value) -> Value {
        let scenario = json!({"name": "h1-c64", "title": "h1 & 64 connections", "kind": "load", "unit": "request"});
        json!({"scenario": scenario, "peers": peers, "ratios": {"haproxy": interval(0.863), "nginx": interval(0.84)}})
    }

    #[track_caller]
    fn assert_holds(svg: &str, texts: &[&str]) {
        texts.iter().for_each(|text| assert!(svg.contains(&format!(">\n{text}\n<")), "{text} is not in {svg}"));
    }

    #[test]
    fn a_chart_names_every_peer_with_its_value_ringway_first() {
        let latency = json!({"p50": interval(182.0), "p99": interval(412.0), "p999": interval(2260.0)});
        let svg = svg(load(json!({
            "floor": {"own": interval(15.14)}, "haproxy": {"own": interval(24.63)}, "nginx": {"own": interval(1066.5)},
            "ringway": {"own": interval(21.21), "latency": latency},
        })));
        let svg = svg.unwrap();
        assert_holds(
            &svg,
            &["h1 &amp; 64 connections", "2026-11-25  ·  712c3c0  ·  Linux 6.18.44  ·  EPYC &lt;7B13&gt;"],
        );
        assert_holds(&svg, &["Ringway", "HAProxy", "2.6.12", "nginx", "floor"]);
        assert_holds(&svg, &["21.2 µs", "24.6 µs", "1,066 µs", "15.1 µs", "0.86  [0.82, 0.91]"]);
        assert_holds(&svg, &["p50", "182 µs", "p99", "412 µs", "p99.9", "2.26 ms"]);
        let places = ["Ringway", "HAProxy", "nginx", "floor"].map(|name| svg.find(&format!(">\n{name}\n<")));
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn a_void_row_shows_no_figure() {
        let peers =
            json!({"ringway": {"own": interval(21.2)}, "haproxy": {"own": interval(24.6), "void": "core full"}});
        let svg = svg(load(peers)).unwrap();
        assert_holds(&svg, &["21.2 µs", "void", "HAProxy is void: core full."]);
        assert!(!svg.contains("24.6") && !svg.contains("0.86"), "{svg}");
        let all_void = self::svg(load(json!({"ringway": {"void": "core full"}}))).unwrap();
        assert_holds(&all_void, &["Ringway", "void"]);
    }

    #[test]
    fn memory_is_shown_in_bytes() {
        let scenario = json!({"name": "idle", "title": "idle", "kind": "idle", "unit": "connection"});
        let peers = json!({"ringway": {"bytes_each": 451.2}, "nginx": {"bytes_each": 1470.0}});
        let svg = svg(json!({"scenario": scenario, "peers": peers})).unwrap();
        assert_holds(&svg, &["451 B", "1,470 B"]);
        assert!(!svg.contains("confidence") && !svg.contains("Latency"), "{svg}");
    }

    #[test]
    fn what_has_no_figures_has_no_chart() {
        let scenario = json!({"name": "hold", "title": "hold", "kind": "hold", "unit": "connection"});
        assert!(svg(json!({"scenario": scenario, "peers": {"ringway": {"void": null}}})).is_none());
        assert!(svg(load(json!({"ringway": {}}))).is_none());
    }
}
