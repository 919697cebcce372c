//! The two fonts, and text shaped with them.

use std::cell::RefCell;
use std::fmt::Write as _;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::{Direction, Face, GlyphBuffer, Script, ShapePlan, UnicodeBuffer};

static REGULAR: &[u8] = include_bytes!("../../fonts/Roboto-Regular.ttf");
static BOLD: &[u8] = include_bytes!("../../fonts/Roboto-Bold.ttf");

/// Which of the fonts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// For most text.
    Regular,
    /// For what matters.
    Bold,
}

/// The fonts, read.
pub struct Fonts {
    regular: Typeface,
    bold: Typeface,
}

/// One font, as the shaper and as the writer know it.
pub struct Typeface {
    face: Face<'static>,
    /// What shaping needs to know of a script, which takes longer to find out than to use.
    plans: RefCell<Vec<(Script, ShapePlan)>>,
    /// For the writer.
    pub font: Font,
}

/// Text with the places of its glyphs.
pub struct Shaped {
    /// The text that is printed.
    pub text: String,
    /// Its glyphs, in units of the font size.
    pub glyphs: Vec<KrillaGlyph>,
    /// Its width at size 1.
    pub width: f32,
}

impl Fonts {
    /// Reads the fonts that are compiled in.
    pub fn load() -> Result<Self, String> {
        let read = |data: &'static [u8]| {
            let face = Face::from_slice(data, 0).ok_or("a font cannot be read")?;
            let font = Font::new(data.into(), 0).ok_or("a font cannot be embedded")?;
            let plans = RefCell::default();
            Ok::<_, String>(Typeface { face, plans, font })
        };
        Ok(Self {
            regular: read(REGULAR)?,
            bold: read(BOLD)?,
        })
    }

    /// The font of a weight.
    pub fn typeface(&self, weight: Weight) -> &Typeface {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// Width of text in points.
    pub fn width(&self, weight: Weight, size: f32, text: &str) -> f32 {
        self.typeface(weight).shape(text).width * size
    }

    /// Breaks text into lines of at most `width` points, between words where there is one, else
    /// within a word.
    pub fn wrap(&self, weight: Weight, size: f32, text: &str, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let longer = if line.is_empty() {
                    word.to_owned()
                } else {
                    format!("{line} {word}")
                };
                if self.width(weight, size, &longer) <= width {
                    line = longer;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                line = self.break_word(weight, size, word, width, &mut lines);
            }
            lines.push(line);
        }
        lines
    }

    fn break_word(
        &self,
        weight: Weight,
        size: f32,
        word: &str,
        width: f32,
        lines: &mut Vec<String>,
    ) -> String {
        let letters: Vec<char> = word.chars().collect();
        let mut rest = &letters[..];
        let mut count = 1;
        loop {
            let piece = |count: usize| rest[..count].iter().collect::<String>();
            let fits = |count: usize| self.width(weight, size, &piece(count)) <= width;
            // From line to line about as many letters fit.
            while count < rest.len() && fits(count + 1) {
                count += 1;
            }
            while count > 1 && !fits(count) {
                count -= 1;
            }
            if count >= rest.len() {
                return piece(rest.len());
            }
            lines.push(piece(count));
            rest = &rest[count..];
            count = count.min(rest.len());
        }
    }
}

impl Typeface {
    /// Text in which every letter that the font lacks is written as its code point.
    pub fn printable(&self, text: &str) -> String {
        let mut printable = String::with_capacity(text.len());
        for letter in text.chars() {
            if letter.is_control() {
                printable.push(' ');
            } else if self.face.glyph_index(letter).is_some() {
                printable.push(letter);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(printable, "[U+{:04X}]", u32::from(letter));
            }
        }
        printable
    }

    fn glyphs(&self, buffer: UnicodeBuffer) -> GlyphBuffer {
        let (script, language) = (buffer.script(), buffer.language());
        let mut plans = self.plans.borrow_mut();
        let known = plans.iter().position(|(known, _)| *known == script);
        let at = known.unwrap_or_else(|| {
            let (face, direction) = (&self.face, buffer.direction());
            let plan = ShapePlan::new(face, direction, Some(script), language.as_ref(), &[]);
            plans.push((script, plan));
            plans.len() - 1
        });
        rustybuzz::shape_with_plan(&self.face, &plans[at].1, buffer)
    }

    /// Places the glyphs of a text, from left to right.
    pub fn shape(&self, text: &str) -> Shaped {
        let text = self.printable(text);
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(&text);
        buffer.guess_segment_properties();
        buffer.set_direction(Direction::LeftToRight);
        let output = self.glyphs(buffer);
        let em = self.font.units_per_em();
        let starts: Vec<usize> = output
            .glyph_infos()
            .iter()
            .map(|info| usize::try_from(info.cluster).unwrap_or(0))
            .collect();
        let mut glyphs = Vec::with_capacity(starts.len());
        let mut width = 0.0;
        let placed = output
            .glyph_infos()
            .iter()
            .zip(output.glyph_positions())
            .zip(&starts);
        for (at, ((info, place), start)) in placed.enumerate() {
            let end = starts[at..].iter().find(|next| *next > start).copied();
            let advance = place.x_advance as f32 / em;
            width += advance;
            glyphs.push(KrillaGlyph::new(
                GlyphId::new(info.glyph_id),
                advance,
                place.x_offset as f32 / em,
                place.y_offset as f32 / em,
                place.y_advance as f32 / em,
                *start..end.unwrap_or(text.len()),
                None,
            ));
        }
        Shaped {
            text,
            glyphs,
            width,
        }
    }
}
