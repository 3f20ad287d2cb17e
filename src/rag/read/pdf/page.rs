//! What a page draws, as lines of text in the order in which it draws them.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use lopdf::content::{Content, Operation};
use lopdf::{DecompressError, Dictionary, Document, Error, Object, ObjectId, Stream};

use super::font::{Font, Glyph};
use super::{ReadError, timed_out, unpacks};
use crate::rag::read::MOST_TEXT_BYTES;

/// All content of pages, unpacked.
const MOST_CONTENT_BYTES: usize = 256 << 20;

/// The content of a page.
const MOST_PAGE_BYTES: usize = 16 << 20;

/// Lines of all pages.
const MOST_LINES: usize = 2 << 20;

/// Drawings within drawings.
const MOST_FORMS: usize = 12;

/// Saved states, and marks within marks.
const MOST_SAVED: usize = 256;

/// Smaller text cannot be read, in points.
const SMALLEST: f64 = 1.0;

/// A line of text as it was drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    /// Where it begins and ends along its direction, in points.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Where it stands across its direction; greater is higher.
    pub(super) height: f64,
    /// Of its font, in points.
    pub(super) size: f64,
    /// Quarters of a turn from the direction of most pages.
    pub(super) turns: u8,
    /// Letters that are not white space, and how many of them are bold.
    pub(super) letters: usize,
    pub(super) bold: usize,
    /// Drawn without ink, as recognised text behind a picture is.
    pub(super) is_invisible: bool,
}

/// What may still be spent on a file.
pub(super) struct Budget {
    deadline: Instant,
    content_bytes: usize,
    text_bytes: usize,
    lines: usize,
    operations: usize,
}

impl Budget {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            content_bytes: MOST_CONTENT_BYTES,
            text_bytes: MOST_TEXT_BYTES,
            lines: MOST_LINES,
            operations: 0,
        }
    }

    fn operation(&mut self) -> Result<(), ReadError> {
        self.operations += 1;
        if self.operations.is_multiple_of(256) && Instant::now() > self.deadline {
            return Err(timed_out());
        }
        Ok(())
    }

    /// Counts what was drawn by what there was before and after.
    fn text(&mut self, before: (usize, usize), after: (usize, usize)) -> Result<(), ReadError> {
        let lines = after.0.saturating_sub(before.0);
        let bytes = match lines {
            0 => after.1.saturating_sub(before.1),
            _ => after.1,
        };
        let left = self
            .lines
            .checked_sub(lines)
            .zip(self.text_bytes.checked_sub(bytes));
        (self.lines, self.text_bytes) = left.ok_or(ReadError::TooMuchText)?;
        Ok(())
    }
}

/// Reads the pages of a file.
pub(super) struct Pages<'a> {
    file: &'a Document,
    budget: Budget,
    fonts: HashMap<ObjectId, Rc<Font>>,
    /// Whether something that a page draws could not be unpacked.
    pub(super) is_damaged: bool,
}

/// A transformation as the format writes it.
#[derive(Clone, Copy)]
struct Matrix([f64; 6]);

#[derive(Clone)]
struct State {
    page: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    letter_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
    mode: i64,
}

/// The drawing of one page.
struct Drawing {
    state: State,
    saved: Vec<State>,
    text: Matrix,
    line: Matrix,
    /// Open marks, and whether each says that what it holds is no content.
    marks: Vec<bool>,
    area: [f64; 4],
    lines: Vec<Line>,
    /// The last string and where it stood: drawn again nearby it is bolder, not longer.
    last: Option<(Vec<u8>, f64, f64)>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(file: &'a Document, budget: Budget) -> Self {
        Self {
            file,
            budget,
            fonts: HashMap::new(),
            is_damaged: false,
        }
    }

    /// The lines of a page.
    pub(super) fn lines(&mut self, page: ObjectId) -> Result<Vec<Line>, ReadError> {
        let file = self.file;
        let mut content = Vec::new();
        for id in file.get_page_contents(page) {
            let stream = file.get_object(id).and_then(Object::as_stream);
            if let Ok(stream) = stream {
                content.extend(self.unpacked(stream)?);
                // Parts are cut between words.
                content.push(b'\n');
            }
            if content.len() > MOST_PAGE_BYTES {
                return Err(unpacks());
            }
        }
        let mut drawing = Drawing::new(area(file, page));
        let resources = resources(file, page);
        self.draw(&content, resources, &mut drawing, 0)?;
        let lines = drawing.lines;
        let seen = |line: &Line| !line.is_invisible && !line.text.trim().is_empty();
        // Invisible text behind a picture is what the picture says; beside visible text it is
        // what nobody was to see.
        let keeps_invisible = !lines.iter().any(seen);
        Ok(lines
            .into_iter()
            .filter(|line| keeps_invisible || !line.is_invisible)
            .collect())
    }

    fn unpacked(&mut self, stream: &Stream) -> Result<Vec<u8>, ReadError> {
        let most = self.budget.content_bytes.min(MOST_PAGE_BYTES);
        match stream.get_plain_content_with_limit(most) {
            Ok(bytes) => {
                self.budget.content_bytes -= bytes.len().min(most);
                // The library returns what it could unpack; packed, nothing takes some bytes.
                self.is_damaged |= bytes.is_empty() && stream.content.len() > 16;
                Ok(bytes)
            }
            Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => Err(unpacks()),
            // What is damaged draws nothing; the rest of the page may.
            Err(_) => {
                self.is_damaged = true;
                Ok(Vec::new())
            }
        }
    }

    fn draw(
        &mut self,
        content: &[u8],
        resources: Option<&'a Dictionary>,
        drawing: &mut Drawing,
        depth: usize,
    ) -> Result<(), ReadError> {
        for operation in Content::decode_iter(content).map_while(Result::ok) {
            self.budget.operation()?;
            match operation.operator.as_str() {
                "Tf" => drawing.state.font = self.font(&operation, resources),
                "Do" if depth < MOST_FORMS => self.form(&operation, resources, drawing, depth)?,
                _ => {}
            }
            let before = drawing.size();
            drawing.operation(&operation);
            self.budget.text(before, drawing.size())?;
        }
        Ok(())
    }

    fn font(
        &mut self,
        operation: &Operation,
        resources: Option<&'a Dictionary>,
    ) -> Option<Rc<Font>> {
        let name = operation.operands.first()?.as_name().ok()?;
        let fonts = resources?
            .get_deref(b"Font", self.file)
            .ok()?
            .as_dict()
            .ok()?;
        let (id, font) = self.file.dereference(fonts.get(name).ok()?).ok()?;
        let font = font.as_dict().ok()?;
        match id {
            Some(id) => {
                let read = || Rc::new(Font::read(font, self.file));
                Some(Rc::clone(self.fonts.entry(id).or_insert_with(read)))
            }
            None => Some(Rc::new(Font::read(font, self.file))),
        }
    }

    /// Draws what is drawn in several places.
    fn form(
        &mut self,
        operation: &Operation,
        resources: Option<&'a Dictionary>,
        drawing: &mut Drawing,
        depth: usize,
    ) -> Result<(), ReadError> {
        let found = || {
            let name = operation.operands.first()?.as_name().ok()?;
            let forms = resources?
                .get_deref(b"XObject", self.file)
                .ok()?
                .as_dict()
                .ok()?;
            let form = forms.get_deref(name, self.file).ok()?.as_stream().ok()?;
            let kind = form
                .dict
                .get_deref(b"Subtype", self.file)
                .ok()?
                .as_name()
                .ok()?;
            (kind == b"Form").then_some(form)
        };
        let Some(form) = found() else {
            return Ok(());
        };
        let content = self.unpacked(form)?;
        let own = form
            .dict
            .get_deref(b"Resources", self.file)
            .and_then(Object::as_dict);
        let state = drawing.state.clone();
        let marks = drawing.marks.clone();
        let saved = std::mem::take(&mut drawing.saved);
        let matrix = form
            .dict
            .get_deref(b"Matrix", self.file)
            .and_then(Object::as_array);
        if let Some(matrix) = matrix.ok().and_then(|numbers| Matrix::read(numbers)) {
            drawing.state.page = matrix.then(drawing.state.page);
        }
        self.draw(&content, own.ok().or(resources), drawing, depth + 1)?;
        drawing.saved = saved;
        drawing.marks = marks;
        drawing.state = state;
        Ok(())
    }
}

impl Drawing {
    fn new(area: [f64; 4]) -> Self {
        Self {
            state: State {
                page: Matrix::SAME,
                font: None,
                size: 0.0,
                letter_space: 0.0,
                word_space: 0.0,
                scale: 1.0,
                leading: 0.0,
                rise: 0.0,
                mode: 0,
            },
            saved: Vec::new(),
            text: Matrix::SAME,
            line: Matrix::SAME,
            marks: Vec::new(),
            area,
            lines: Vec::new(),
            last: None,
        }
    }

    /// How many lines there are, and the bytes of the last, which is the only one that grows.
    fn size(&self) -> (usize, usize) {
        let last = self.lines.last().map_or(0, |line| line.text.len());
        (self.lines.len(), last)
    }

    fn operation(&mut self, operation: &Operation) {
        let operands = &operation.operands;
        let numbers: Vec<f64> = operands.iter().filter_map(finite).collect();
        match (operation.operator.as_str(), numbers.as_slice()) {
            ("q", _) if self.saved.len() < MOST_SAVED => self.saved.push(self.state.clone()),
            ("Q", _) => {
                if let Some(state) = self.saved.pop() {
                    self.state = state;
                }
            }
            ("cm", _) => {
                if let Some(matrix) = Matrix::of(&numbers) {
                    self.state.page = matrix.then(self.state.page);
                }
            }
            ("BT", _) => (self.text, self.line) = (Matrix::SAME, Matrix::SAME),
            ("Tf", [.., size]) => self.state.size = *size,
            ("Tc", [space]) => self.state.letter_space = *space,
            ("Tw", [space]) => self.state.word_space = *space,
            ("Tz", [percent]) => self.state.scale = percent / 100.0,
            ("TL", [leading]) => self.state.leading = *leading,
            ("Ts", [rise]) => self.state.rise = *rise,
            ("Tr", [mode]) => self.state.mode = *mode as i64,
            ("Tm", _) => {
                if let Some(matrix) = Matrix::of(&numbers) {
                    (self.text, self.line) = (matrix, matrix);
                }
            }
            ("Td", [x, y]) => self.next_line(*x, *y),
            ("TD", [x, y]) => {
                self.state.leading = -y;
                self.next_line(*x, *y);
            }
            ("T*", _) => self.next_line(0.0, -self.state.leading),
            ("Tj" | "TJ", _) => self.show(operands),
            ("'", _) => {
                self.next_line(0.0, -self.state.leading);
                self.show(operands);
            }
            ("\"", [word_space, letter_space]) => {
                self.state.word_space = *word_space;
                self.state.letter_space = *letter_space;
                self.next_line(0.0, -self.state.leading);
                self.show(operands.get(2..).unwrap_or(&[]));
            }
            ("BMC" | "BDC", _) if self.marks.len() < MOST_SAVED => {
                let tag = operands.first().and_then(|tag| tag.as_name().ok());
                self.marks.push(tag == Some(b"Artifact"));
            }
            ("EMC", _) => {
                self.marks.pop();
            }
            _ => {}
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix([1.0, 0.0, 0.0, 1.0, x, y]).then(self.line);
        self.text = self.line;
    }

    /// Strings, and numbers that move what follows back.
    fn show(&mut self, operands: &[Object]) {
        for operand in operands {
            match operand {
                Object::String(bytes, _) => self.string(bytes),
                Object::Array(inner) => {
                    for object in inner {
                        match object {
                            Object::String(bytes, _) => self.string(bytes),
                            number => {
                                let back = finite(number).unwrap_or(0.0) / 1000.0;
                                self.advance(-back * self.state.size * self.state.scale);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn advance(&mut self, x: f64) {
        self.text = Matrix([1.0, 0.0, 0.0, 1.0, x, 0.0]).then(self.text);
    }

    fn string(&mut self, bytes: &[u8]) {
        let Some(font) = self.state.font.clone() else {
            return;
        };
        let again = self.is_drawn_again(bytes);
        let is_shown = !again && !self.marks.contains(&true);
        font.glyphs(bytes, |glyph| {
            let State { size, scale, .. } = self.state;
            let width = f64::from(glyph.width) * size * scale;
            if is_shown {
                self.glyph(&glyph, width, font.is_bold);
            }
            let mut space = self.state.letter_space;
            if glyph.is_space_code {
                space += self.state.word_space;
            }
            self.advance(width + space * scale);
        });
    }

    /// Some programs make text bold by drawing it twice.
    fn is_drawn_again(&mut self, bytes: &[u8]) -> bool {
        let matrix = self.text.then(self.state.page);
        let [_, _, _, _, x, y] = matrix.0;
        let near = self.state.size.abs() * matrix.across() / 4.0;
        let again = self.last.as_ref().is_some_and(|(last, last_x, last_y)| {
            last == bytes && (last_x - x).abs() < near && (last_y - y).abs() < near
        });
        self.last = Some((bytes.to_vec(), x, y));
        again
    }

    fn glyph(&mut self, glyph: &Glyph, width: f64, is_bold: bool) {
        let matrix = self.text.then(self.state.page);
        let size = (self.state.size * matrix.across()).abs();
        let Some(turns) = matrix.turns() else {
            // What stands across a page is stamped on it.
            return;
        };
        let (x, y) = matrix.at(0.0, self.state.rise);
        let (end_x, end_y) = matrix.at(width, self.state.rise);
        let [left, bottom, right, top] = self.area;
        let is_on_page = (left..=right).contains(&x) && (bottom..=top).contains(&y);
        if !(size >= SMALLEST && is_on_page) {
            return;
        }
        let along = |x: f64, y: f64| match turns {
            0 => (x, y),
            1 => (y, -x),
            2 => (-x, -y),
            _ => (-y, x),
        };
        let ((from, height), (to, _)) = (along(x, y), along(end_x, end_y));
        let is_invisible = matches!(self.state.mode, 3 | 7);
        let goes_on = self.lines.last().is_some_and(|line| {
            let most = size.max(line.size);
            line.turns == turns
                && line.is_invisible == is_invisible
                && (line.height - height).abs() <= 0.5 * most
                && from - line.to >= -0.6 * most
        });
        if !goes_on {
            self.lines.push(Line {
                from,
                to: from,
                height,
                size,
                turns,
                is_invisible,
                ..Line::default()
            });
        }
        let line = self.lines.last_mut().expect("one has just been added");
        line.add(&glyph.text, from, to, size, is_bold);
    }
}

impl Line {
    fn add(&mut self, text: &str, from: f64, to: f64, size: f64, is_bold: bool) {
        let gap = from - self.to;
        if !self.text.is_empty() && gap > 0.2 * size.min(self.size) {
            // So far apart, they are columns of a table.
            let wanted = if gap > 2.0 * size { "  " } else { " " };
            let blank = self.text.len() - self.text.trim_end().len();
            self.text.push_str(wanted.get(blank..).unwrap_or(""));
        }
        self.to = to.max(self.to);
        if text.trim().is_empty() {
            if !self.text.is_empty() && !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            return;
        }
        if self.letters == 0 {
            (self.from, self.size) = (from, size);
            self.text.clear();
        }
        // The size of a line is that of its largest letters; those raised are smaller.
        self.size = self.size.max(size);
        self.letters += 1;
        self.bold += usize::from(is_bold);
        self.text.push_str(text);
    }
}

impl Matrix {
    const SAME: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn of(numbers: &[f64]) -> Option<Self> {
        Some(Self(numbers.try_into().ok()?))
    }

    fn read(objects: &[Object]) -> Option<Self> {
        let numbers: Vec<f64> = objects.iter().filter_map(finite).collect();
        Self::of(&numbers)
    }

    /// First this, then the other.
    fn then(self, other: Self) -> Self {
        let [a, b, c, d, e, f] = self.0;
        let [oa, ob, oc, od, oe, of] = other.0;
        Self([
            a * oa + b * oc,
            a * ob + b * od,
            c * oa + d * oc,
            c * ob + d * od,
            e * oa + f * oc + oe,
            e * ob + f * od + of,
        ])
    }

    fn at(self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + c * y + e, b * x + d * y + f)
    }

    /// How much it stretches what stands upright.
    fn across(self) -> f64 {
        let [_, _, c, d, _, _] = self.0;
        c.hypot(d)
    }

    /// The quarters of a turn that it makes, if it makes nothing between.
    fn turns(self) -> Option<u8> {
        let [a, b, ..] = self.0;
        let quarters = b.atan2(a) / std::f64::consts::FRAC_PI_2;
        let nearest = quarters.round();
        let is_straight = (quarters - nearest).abs() < 0.06;
        is_straight.then_some(nearest.rem_euclid(4.0) as u8)
    }
}

fn finite(object: &Object) -> Option<f64> {
    let number = match object {
        Object::Integer(number) => *number as f64,
        Object::Real(number) => f64::from(*number),
        _ => return None,
    };
    // Far beyond any page, and products of some of them are still numbers.
    (number.abs() < 1e9).then_some(number)
}

/// What a page or the nearest of the groups that it belongs to says.
fn inherited<'a>(file: &'a Document, page: ObjectId, key: &[u8]) -> Option<&'a Object> {
    let mut node = file.get_dictionary(page).ok()?;
    for _ in 0..64 {
        if let Ok(value) = node.get_deref(key, file) {
            return Some(value);
        }
        node = node.get_deref(b"Parent", file).ok()?.as_dict().ok()?;
    }
    None
}

fn resources(file: &Document, page: ObjectId) -> Option<&Dictionary> {
    inherited(file, page, b"Resources")?.as_dict().ok()
}

/// The corners of what is shown of a page, with room for what begins at its edge.
fn area(file: &Document, page: ObjectId) -> [f64; 4] {
    let everything = [f64::MIN, f64::MIN, f64::MAX, f64::MAX];
    let corners = |key: &[u8]| {
        let numbers = inherited(file, page, key)?.as_array().ok()?;
        let numbers = numbers.iter().filter_map(|number| {
            let (_, number) = file.dereference(number).ok()?;
            finite(number)
        });
        let [x1, y1, x2, y2] = numbers.collect::<Vec<f64>>().try_into().ok()?;
        let area = [
            x1.min(x2) - 2.0,
            y1.min(y2) - 2.0,
            x1.max(x2) + 2.0,
            y1.max(y2) + 2.0,
        ];
        (area[2] - area[0] > 10.0 && area[3] - area[1] > 10.0).then_some(area)
    };
    corners(b"CropBox")
        .or_else(|| corners(b"MediaBox"))
        .unwrap_or(everything)
}
