//! Pages that are filled from top to bottom, and drawn when all are known.

use chrono::{Datelike as _, Timelike as _};
use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;

use super::fonts::{Fonts, Weight};
use crate::domain::invoice::Invoice;

/// A4 in points.
pub const PAGE: (f32, f32) = (595.28, 841.89);
/// Left and right.
pub const MARGIN: f32 = 50.0;
/// Where text begins.
pub const TOP: f32 = 56.0;
/// The right edge of text.
pub const RIGHT: f32 = PAGE.0 - MARGIN;

/// Red, green and blue.
pub type Ink = (u8, u8, u8);
/// Text.
pub const DARK: Ink = (33, 37, 41);
/// Less important text.
pub const GREY: Ink = (108, 117, 125);
/// What leads the eye.
pub const ACCENT: Ink = (24, 62, 104);
/// Rules.
pub const PALE: Ink = (222, 226, 230);
/// Behind totals.
pub const WASH: Ink = (241, 244, 248);
/// On the accent.
pub const WHITE: Ink = (255, 255, 255);

/// Which side of its place a text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// It begins there.
    Left,
    /// It ends there.
    Right,
}

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Font.
    pub weight: Weight,
    /// Size in points.
    pub size: f32,
    /// Colour.
    pub ink: Ink,
}

enum Mark {
    Text {
        at: (f32, f32),
        align: Align,
        style: Style,
        text: String,
    },
    Area {
        at: (f32, f32),
        size: (f32, f32),
        ink: Ink,
    },
}

/// Pages being filled.
pub struct Canvas<'fonts> {
    /// The fonts, for measuring.
    pub fonts: &'fonts Fonts,
    pages: Vec<Vec<Mark>>,
    page: usize,
    footer: Vec<String>,
    /// Where the next thing goes.
    pub y: f32,
}

/// A page and how far down on it.
pub type Place = (usize, f32);

/// From line to line of the footer.
const FOOT_LEADING: f32 = 10.0;

impl<'fonts> Canvas<'fonts> {
    /// An empty first page.
    pub fn new(fonts: &'fonts Fonts) -> Self {
        Self {
            fonts,
            pages: vec![Vec::new()],
            page: 0,
            footer: Vec::new(),
            y: TOP,
        }
    }

    /// Goes on to the next page when `height` does not fit on this one; whether it did.
    pub fn ensure(&mut self, height: f32) -> bool {
        let full = self.y + height > self.bottom() && self.y > TOP;
        if full {
            self.page += 1;
            self.y = TOP;
            if self.page == self.pages.len() {
                self.pages.push(Vec::new());
            }
        }
        full
    }

    /// Where text ends; below is the footer.
    pub fn bottom(&self) -> f32 {
        self.foot_top() - 26.0
    }

    fn foot_top(&self) -> f32 {
        PAGE.1 - 32.0 - FOOT_LEADING * self.footer.len().max(2) as f32
    }

    /// Where the next thing goes.
    pub fn place(&self) -> Place {
        (self.page, self.y)
    }

    /// Goes back to a place, for what stands beside what follows it, or on from there.
    pub fn go(&mut self, place: Place) {
        (self.page, self.y) = place;
    }

    /// Writes on the baseline `y`.
    pub fn text(&mut self, x: f32, y: f32, align: Align, style: Style, text: &str) {
        let mark = Mark::Text {
            at: (x, y),
            align,
            style,
            text: text.to_owned(),
        };
        self.put(mark);
    }

    /// Fills an area, given its upper left corner.
    pub fn area(&mut self, x: f32, y: f32, width: f32, height: f32, ink: Ink) {
        self.put(Mark::Area {
            at: (x, y),
            size: (width, height),
            ink,
        });
    }

    /// A thin line from left to right.
    pub fn rule(&mut self, y: f32, ink: Ink) {
        self.area(MARGIN, y, RIGHT - MARGIN, 0.6, ink);
    }

    /// Every text on the pages, in the order of drawing.
    #[cfg(test)]
    pub fn drawn_text(&self) -> Vec<String> {
        let marks = self.pages.iter().flatten();
        let text = |mark: &Mark| match mark {
            Mark::Text { text, .. } => Some(text.clone()),
            Mark::Area { .. } => None,
        };
        marks.filter_map(text).collect()
    }

    /// Where every text of a page is, with its footer: left, right, and the baseline.
    #[cfg(test)]
    pub fn extents(&self) -> Vec<(f32, f32, f32, String)> {
        let mut extents = Vec::new();
        for page in &self.pages {
            let mut foot = Vec::new();
            self.foot(&mut foot, 1, 1);
            for mark in page.iter().chain(&foot) {
                let Mark::Text {
                    at,
                    align,
                    style,
                    text,
                } = mark
                else {
                    continue;
                };
                let width = self.fonts.width(style.weight, style.size, text);
                let left = match align {
                    Align::Left => at.0,
                    Align::Right => at.0 - width,
                };
                extents.push((left, left + width, at.1, text.clone()));
            }
        }
        extents
    }

    /// What stands at the foot of every page.
    pub fn set_footer(&mut self, lines: Vec<String>) {
        self.footer = lines;
    }

    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.get_mut(self.page) {
            page.push(mark);
        }
    }

    /// Draws every page.
    pub fn finish(mut self, invoice: &Invoice) -> Result<Vec<u8>, String> {
        let mut document = Document::new();
        document.set_metadata(metadata(invoice));
        let count = self.pages.len();
        for (at, mut marks) in std::mem::take(&mut self.pages).into_iter().enumerate() {
            self.foot(&mut marks, at + 1, count);
            let size = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or("the page has no size")?;
            let mut page = document.start_page_with(size);
            let mut surface = page.surface();
            for mark in &marks {
                self.draw(&mut surface, mark);
            }
            surface.finish();
            page.finish();
        }
        document.finish().map_err(|error| format!("{error:?}"))
    }

    fn foot(&self, marks: &mut Vec<Mark>, number: usize, count: usize) {
        let style = Style {
            weight: Weight::Regular,
            size: 7.5,
            ink: GREY,
        };
        let y = self.foot_top();
        marks.push(Mark::Area {
            at: (MARGIN, y),
            size: (RIGHT - MARGIN, 0.6),
            ink: PALE,
        });
        let mut baseline = y + 13.0;
        for line in &self.footer {
            let (at, text) = ((MARGIN, baseline), line.clone());
            marks.push(Mark::Text {
                at,
                align: Align::Left,
                style,
                text,
            });
            baseline += FOOT_LEADING;
        }
        let text = format!("Page {number} of {count}");
        marks.push(Mark::Text {
            at: (RIGHT, y + 13.0),
            align: Align::Right,
            style,
            text,
        });
    }

    fn draw(&self, surface: &mut Surface<'_>, mark: &Mark) {
        match mark {
            Mark::Area { at, size, ink } => {
                let Some(rect) = Rect::from_xywh(at.0, at.1, size.0, size.1) else {
                    return;
                };
                let mut path = PathBuilder::new();
                path.push_rect(rect);
                if let Some(path) = path.finish() {
                    surface.set_fill(Some(fill(*ink)));
                    surface.draw_path(&path);
                }
            }
            Mark::Text {
                at,
                align,
                style,
                text,
            } => {
                let typeface = self.fonts.typeface(style.weight);
                let shaped = typeface.shape(text);
                let x = match align {
                    Align::Left => at.0,
                    Align::Right => at.0 - shaped.width * style.size,
                };
                surface.set_fill(Some(fill(style.ink)));
                let (font, start) = (typeface.font.clone(), Point::from_xy(x, at.1));
                surface.draw_glyphs(start, &shaped.glyphs, font, &shaped.text, style.size, false);
            }
        }
    }
}

fn fill((red, green, blue): Ink) -> Fill {
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        ..Fill::default()
    }
}

/// Dates come from the invoice and never from the clock, so that bytes repeat.
fn metadata(invoice: &Invoice) -> Metadata {
    let time = invoice.issue_time.unwrap_or(invoice.create_time);
    let part = |value: u32| u8::try_from(value).unwrap_or(0);
    let date = DateTime::new(u16::try_from(time.year()).unwrap_or(0))
        .month(part(time.month()))
        .day(part(time.day()))
        .hour(part(time.hour()))
        .minute(part(time.minute()))
        .second(part(time.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    let number = invoice
        .number
        .as_ref()
        .map_or("draft", |number| &number.text);
    Metadata::new()
        .title(format!("Invoice {number}"))
        .authors(vec![invoice.document.company.legal_name.clone()])
        .creator("Reeve".to_owned())
        .language("en".to_owned())
        .document_id(invoice.id.to_string())
        .creation_date(date)
}
