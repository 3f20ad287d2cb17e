//! Breaking lines between words while text is still arriving.

use super::super::table::shown_width;

/// Columns that stay free at the right.
const MARGIN: usize = 5;
/// Terminals that are narrower break lines themselves.
const MIN_WIDTH: usize = 10;

/// Breaks a stream of text for a terminal. A word is shown as it arrives; if it turns out too long for
/// the line, it is erased there and written again on the next one.
#[derive(Debug)]
pub(super) struct Wrap {
    width: usize,
    column: usize,
    word: String,
}

impl Wrap {
    /// For a terminal of so many columns.
    pub(super) fn new(columns: usize) -> Option<Wrap> {
        (columns >= MIN_WIDTH).then(|| Wrap {
            width: columns - MARGIN,
            column: 0,
            word: String::new(),
        })
    }

    /// What to write for `text`.
    pub(super) fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '\n' | '\r' => {
                    self.word.clear();
                    self.column = 0;
                }
                _ => self.place(c, &mut out),
            }
            out.push(c);
        }
        out
    }

    /// Makes room for one character of a line.
    fn place(&mut self, c: char, out: &mut String) {
        let width = shown_width(c.encode_utf8(&mut [0; 4]));
        let space = c == ' ' || c == '\t';
        if self.column + width > self.width && !space {
            let word_width = shown_width(&self.word);
            // A word that fills more than half a line is broken where it stands.
            if word_width > 0 && word_width * 2 <= self.width {
                out.push_str(&format!("\u{1b}[{word_width}D\u{1b}[K\n{}", self.word));
                self.column = word_width;
            } else {
                out.push('\n');
                self.word.clear();
                self.column = 0;
            }
        }
        self.column += width;
        // Scripts with wide characters may break between any two of them.
        match space || width > 1 {
            true => self.word.clear(),
            false => self.word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows: cursor movements applied.
    fn shown(output: &str) -> Vec<String> {
        let mut lines: Vec<Vec<char>> = vec![Vec::new()];
        let mut rest = output;
        while let Some(c) = rest.chars().next() {
            let line = lines.last_mut().unwrap();
            if let Some(after) = rest.strip_prefix("\u{1b}[K") {
                rest = after;
                continue;
            }
            if let Some(after) = rest.strip_prefix("\u{1b}[") {
                let (columns, after) = after.split_once('D').unwrap();
                line.truncate(line.len() - columns.parse::<usize>().unwrap());
                rest = after;
                continue;
            }
            match c {
                '\n' => lines.push(Vec::new()),
                c => line.push(c),
            }
            rest = &rest[c.len_utf8()..];
        }
        lines
            .into_iter()
            .map(|line| line.into_iter().collect())
            .collect()
    }

    fn wrapped(columns: usize, pieces: &[&str]) -> Vec<String> {
        let mut wrap = Wrap::new(columns).unwrap();
        shown(
            &pieces
                .iter()
                .map(|piece| wrap.push(piece))
                .collect::<String>(),
        )
    }

    #[test]
    fn words_move_to_the_next_line_as_a_whole() {
        let lines = wrapped(15, &["the qui", "ck br", "own fox jumps"]);
        assert_eq!(lines, ["the quick ", "brown fox ", "jumps"]);
        assert_eq!(
            wrapped(15, &["a\nthe quick brown"]),
            ["a", "the quick ", "brown"]
        );
    }

    #[test]
    fn words_longer_than_a_line_are_broken() {
        assert_eq!(wrapped(15, &["abcdefghijklmno"]), ["abcdefghij", "klmno"]);
    }

    #[test]
    fn wide_characters_count_twice_and_break_anywhere() {
        assert_eq!(wrapped(15, &["天空是蓝色的"]), ["天空是蓝色", "的"]);
    }

    #[test]
    fn narrow_terminals_are_left_alone() {
        assert!(Wrap::new(9).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_long_and_nothing_is_lost(
            pieces in proptest::collection::vec("[a-z ]{0,12}", 0..20),
            columns in 10usize..40,
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let lines = wrapped(columns, &pieces);
            for line in &lines {
                proptest::prop_assert!(line.trim_end().len() <= columns - 5, "{line:?}");
            }
            proptest::prop_assert_eq!(lines.concat(), pieces.concat());
        }
    }
}
