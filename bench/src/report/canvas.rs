//! What a chart is made of: texts, bars and whiskers, on whole pixels so that edges are sharp.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Text that is to be read first.
pub const INK: RGBColor = RGBColor(31, 35, 40);
/// Text that explains.
pub const MUTED: RGBColor = RGBColor(101, 109, 118);
/// Ringway's bar.
pub const ACCENT: RGBColor = RGBColor(9, 105, 218);
/// The others' bars.
pub const PLAIN: RGBColor = RGBColor(196, 204, 213);
const RULE: RGBColor = RGBColor(208, 215, 222);
const HATCH_GROUND: RGBColor = RGBColor(244, 245, 247);
/// Pixels between the lines of a hatched bar.
const HATCH_STEP: usize = 6;
/// The plotters crate writes sizes divided by this into SVG.
const SIZE_UNIT: f64 = 1.24;

/// How a text looks, and which of its points is placed.
#[derive(Clone, Copy)]
pub struct Font {
    size: f64,
    color: RGBColor,
    bold: bool,
    at: HPos,
}

impl Font {
    /// `size` in pixels, placed by its left edge.
    pub fn new(size: f64, color: RGBColor) -> Self {
        Self { size, color, bold: false, at: HPos::Left }
    }

    /// Bold.
    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// Placed by its right edge.
    pub fn right(self) -> Self {
        Self { at: HPos::Right, ..self }
    }
}

/// A box in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Its left edge.
    pub x: i32,
    /// Its upper edge.
    pub y: i32,
    /// How wide it is.
    pub width: i32,
    /// How high it is.
    pub height: i32,
}

impl Area {
    /// Where its middle is.
    pub fn middle(self) -> i32 {
        self.y + self.height / 2
    }

    fn grown(self, by: i32) -> Self {
        let Self { x, y, width, height } = self;
        Self { x: x - by, y: y - by, width: width + 2 * by, height: height + 2 * by }
    }
}

/// A picture under way.
pub struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

impl Canvas<'_> {
    /// The SVG that `paint` draws. It has its own white ground, so that it looks the same in dark surroundings.
    pub fn svg(width: i32, height: i32, paint: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<String> {
        let mut svg = String::new();
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let canvas = Canvas(SVGBackend::with_string(&mut svg, size).into_drawing_area());
        canvas.0.fill(&WHITE)?;
        canvas.0.draw(&Rectangle::new([(0, 0), (width - 1, height - 1)], RULE))?;
        paint(&canvas)?;
        canvas.0.present()?;
        drop(canvas);
        Ok(svg)
    }

    /// One line of text whose middle is at the height `y`.
    pub fn text(&self, x: i32, y: i32, font: Font, text: &str) -> Result<()> {
        let style = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        let style = FontDesc::new(FontFamily::SansSerif, font.size * SIZE_UNIT, style).color(&font.color);
        self.0.draw(&Text::new(text, (x, y), style.pos(Pos::new(font.at, VPos::Center))))?;
        Ok(())
    }

    /// A bar.
    pub fn bar(&self, area: Area, color: RGBColor) -> Result<()> {
        let Area { x, y, width, height } = area;
        self.0.draw(&Rectangle::new([(x, y), (x + width, y + height)], color.filled()))?;
        Ok(())
    }

    /// A bar that does not count.
    pub fn hatched(&self, area: Area) -> Result<()> {
        let Area { x, y, width, height } = area;
        self.bar(area, HATCH_GROUND)?;
        for reach in (0..width + height).step_by(HATCH_STEP) {
            let from = (x + (reach - height).max(0), y + reach.min(height));
            let to = (x + reach.min(width), y + (reach - width).max(0));
            self.0.draw(&PathElement::new(vec![from, to], PLAIN))?;
        }
        self.0.draw(&Rectangle::new([(x, y), (x + width, y + height)], PLAIN))?;
        Ok(())
    }

    /// The interval from `low` to `high`, across a bar whose middle is at the height `y`.
    pub fn whisker(&self, low: i32, high: i32, y: i32) -> Result<()> {
        let cap = |x| Area { x, y: y - 4, width: 1, height: 9 };
        let strokes = [Area { x: low, y, width: high - low, height: 1 }, cap(low), cap(high)];
        // A white edge first: ink alone is hard to see on the accent colour.
        strokes.iter().try_for_each(|stroke| self.bar(stroke.grown(1), WHITE))?;
        strokes.iter().try_for_each(|stroke| self.bar(*stroke, INK))
    }

    /// The line from which bars begin.
    pub fn base(&self, x: i32, from: i32, to: i32) -> Result<()> {
        self.bar(Area { x: x - 1, y: from, width: 1, height: to - from }, RULE)
    }
}
