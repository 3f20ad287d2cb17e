//! Where a completion ends: with the block that the cursor is in, and before it says again what follows.
//!
//! Blocks are told by indentation, and brackets by counting; both hold for code of all common languages.

const CLOSERS: [char; 3] = [')', ']', '}'];
/// Shorter lines than this say too little to be taken for a repetition.
const TELLING_CHARS: usize = 3;

/// The place of the cursor.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// What follows, without the spaces before it.
    suffix: &'a str,
    /// The first line of what follows that is not empty, without spaces around it.
    next_line: &'a str,
    /// Whether the rest of the cursor's line says more than brackets.
    is_inside_line: bool,
    /// Columns that lines of the block are indented by at least.
    indent: usize,
    /// Brackets that were opened before the cursor and are not closed after it.
    open: usize,
}

impl<'a> Place<'a> {
    pub(super) fn new(prefix: &str, suffix: &'a str) -> Place<'a> {
        let rest_of_line = suffix.split('\n').next().unwrap_or_default();
        let is_closing = |c: char| CLOSERS.contains(&c) || "\"'`;,:".contains(c);
        let line = prefix.rsplit('\n').next().unwrap_or_default();
        let opens_block = line.trim_end().ends_with(['{', '(', '[', ':']);
        let indent = columns(line) + usize::from(opens_block);
        let balance = |text: &str| {
            text.chars().fold(0_i64, |balance, c| match c {
                '(' | '[' | '{' => balance + 1,
                c if CLOSERS.contains(&c) => balance - 1,
                _ => balance,
            })
        };
        let mut lines = suffix.lines().map(str::trim);
        Place {
            suffix: suffix.trim_start(),
            next_line: lines.find(|line| !line.is_empty()).unwrap_or_default(),
            is_inside_line: rest_of_line.trim().chars().any(|c| !is_closing(c)),
            indent,
            open: usize::try_from(balance(prefix) + balance(suffix)).unwrap_or(0),
        }
    }

    /// Where the completion ends for certain, whatever the model writes after it; `None`: perhaps not yet.
    pub(super) fn end(&self, text: &str) -> Option<usize> {
        let by_bracket = self.closed_elsewhere(text);
        let by_line = self.end_of_lines(text);
        by_bracket.into_iter().chain(by_line).min()
    }

    /// The completion without what does not belong to it.
    pub(super) fn kept<'t>(&self, text: &'t str) -> &'t str {
        let text = &text[..self.end(text).unwrap_or(text.len())];
        let text = &text[..text.len() - self.repeated(text)];
        text.trim_end()
    }

    /// A closing bracket that opens nowhere in the completion and stands after the cursor already.
    fn closed_elsewhere(&self, text: &str) -> Option<usize> {
        let mut open = 0_usize;
        let mut open_before = self.open;
        for (at, char) in text.char_indices() {
            match char {
                '(' | '[' | '{' => open += 1,
                c if CLOSERS.contains(&c) && open > 0 => open -= 1,
                c if CLOSERS.contains(&c) => {
                    if open_before == 0 || self.suffix.starts_with(c) {
                        return Some(at);
                    }
                    open_before -= 1;
                }
                _ => {}
            }
        }
        None
    }

    /// The end of the block as lines tell it.
    fn end_of_lines(&self, text: &str) -> Option<usize> {
        let mut lines = Lines(text, 0);
        let (first, mut end) = lines.next()?;
        if self.is_inside_line {
            return (end < text.len()).then_some(end);
        }
        let mut has_words = !first.trim().is_empty();
        for (line, line_end) in lines {
            let is_whole = line_end < text.len();
            if line.trim().is_empty() {
                // At the outermost level nothing else tells one thing from the next.
                if is_whole && self.indent == 0 && has_words {
                    return Some(end);
                }
            } else if self.is_repetition(line, is_whole) {
                return Some(end);
            } else if columns(line) < self.indent && has_words {
                let closes = line.trim_start().starts_with(CLOSERS);
                if !closes {
                    return Some(end);
                }
                // The line that closes the block belongs to it.
                return is_whole.then_some(line_end);
            }
            has_words |= !line.trim().is_empty();
            end = line_end;
        }
        None
    }

    /// Whether a line is the one that follows the cursor anyway.
    fn is_repetition(&self, line: &str, is_whole: bool) -> bool {
        let is_telling = self.next_line.chars().count() >= TELLING_CHARS;
        is_whole && is_telling && line.trim() == self.next_line
    }

    /// Bytes at the end of the completion that what follows begins with.
    fn repeated(&self, text: &str) -> usize {
        let starts = text.char_indices().map(|(at, _)| &text[at..]);
        let mut telling = starts.filter(|tail| tail.trim().chars().count() >= TELLING_CHARS);
        telling
            .find(|tail| self.suffix.starts_with(tail.trim_start()))
            .map_or(0, str::len)
    }
}

/// Lines and where they end, the line break left out.
struct Lines<'a>(&'a str, usize);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a str, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.get(self.1..)?;
        let length = rest.find('\n').unwrap_or(rest.len());
        let end = self.1 + length;
        self.1 = end + 1;
        Some((&rest[..length], end))
    }
}

/// Columns of space at the start of a line; a tab counts as four.
fn columns(line: &str) -> usize {
    let spaces = line.chars().take_while(|c| *c == ' ' || *c == '\t');
    spaces.map(|c| if c == '\t' { 4 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(prefix: &str, suffix: &str, text: &str) -> String {
        Place::new(prefix, suffix).kept(text).to_owned()
    }

    #[test]
    fn a_block_ends_where_lines_stand_further_left() {
        let python = "def f(x):\n    ";
        let body = "y = x\n    if y:\n        return 1\n\n    return y";
        assert_eq!(kept(python, "", &format!("{body}\n\ndef g():\n")), body);
        assert_eq!(
            kept("def f(x):", "", "\n    return x\nprint(f(1))\n"),
            "\n    return x"
        );
        assert_eq!(kept("x = ", "", "1\ny = 2\n\nz = 3\n"), "1\ny = 2");
    }

    #[test]
    fn the_bracket_that_closes_the_block_belongs_to_it_once() {
        let before = "function f(items) {\n  let sum = 0;\n  ";
        let text =
            "for (const i of items) {\n    sum += i;\n  }\n  return sum;\n}\n\nfunction g() {\n";
        let body = "for (const i of items) {\n    sum += i;\n  }\n  return sum;";
        assert_eq!(kept(before, "", text), format!("{body}\n}}"));
        assert_eq!(kept(before, "\n}\n", text), body);
    }

    #[test]
    fn brackets_after_the_cursor_are_not_said_again() {
        assert_eq!(kept("print(", ")\n", "f(x))\nprint(y)"), "f(x)");
        assert_eq!(kept("a = [1", "]", ", 2]\n"), ", 2");
        assert_eq!(kept("a = [1", "", ", 2]\n\nb = 3\n"), ", 2]");
        assert_eq!(kept("x = 1", "", ")\n"), "");
    }

    #[test]
    fn inside_a_line_only_the_line_is_completed() {
        assert_eq!(kept("let a = ", " + c;\n", "b\nlet d = 1;\n"), "b");
        // Closing signs after the cursor do not make it the middle of a line.
        assert_eq!(kept("  call(", ");\n", "1,\n    2"), "1,\n    2");
    }

    #[test]
    fn what_follows_is_not_repeated() {
        let suffix = "\n    return total\n";
        let text = "total += x\n    return total\n    # more";
        assert_eq!(kept("    for x in xs: ", suffix, text), "total += x");
        assert_eq!(
            kept("    ", "return total", "total = 1; return total"),
            "total = 1;"
        );
        assert_eq!(kept("x = ", "", "value"), "value");
    }

    #[test]
    fn an_end_is_certain_only_when_more_was_said() {
        let place = Place::new("def f():\n    ", "");
        for open in ["", "return 1", "return 1\n", "return 1\n  ", "x\n\n"] {
            assert_eq!(place.end(open), None, "{open:?}");
        }
        assert_eq!(place.end("return 1\nd"), Some(8));
        let js = Place::new("f(() => {\n  ", "");
        assert_eq!(js.end("a();\n}"), None, "there may be more on the line");
        assert_eq!(js.end("a();\n});\n"), Some(8));
    }

    #[test]
    fn characters_stay_whole() {
        assert_eq!(kept("s = \"", "\"\n", "é😀"), "é😀");
        assert_eq!(kept("", "é😀😀", "aé😀😀"), "a");
    }
}
