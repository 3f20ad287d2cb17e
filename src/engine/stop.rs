//! Stop texts in a stream: found across token boundaries, never shown.

/// Watches a stream of text for the texts that end it.
#[derive(Debug)]
pub(super) struct StopWatch {
    stops: Vec<String>,
    held: String,
}

/// What may be shown after one more piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Text that cannot be part of a stop text any more.
    pub(super) text: String,
    /// Whether a stop text was met; nothing after it is shown.
    pub(super) stopped: bool,
}

impl StopWatch {
    /// Empty stop texts are ignored.
    pub(super) fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|s| !s.is_empty()).collect();
        Self {
            stops,
            held: String::new(),
        }
    }

    /// Takes more text and gives what may be shown of all text so far.
    pub(super) fn push(&mut self, text: &str) -> Shown {
        self.held.push_str(text);
        if let Some(at) = self
            .stops
            .iter()
            .filter_map(|s| self.held.find(s.as_str()))
            .min()
        {
            self.held.truncate(at);
            return Shown {
                text: self.rest(),
                stopped: true,
            };
        }
        let keep = self
            .stops
            .iter()
            .map(|s| overlap(&self.held, s))
            .max()
            .unwrap_or(0);
        let tail = self.held.split_off(self.held.len() - keep);
        Shown {
            text: std::mem::replace(&mut self.held, tail),
            stopped: false,
        }
    }

    /// The text held back, for when the stream ends without a stop text.
    pub(super) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that begin `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len() - 1);
    (1..=most)
        .rev()
        .find(|&n| stop.is_char_boundary(n) && text.as_bytes().ends_with(&stop.as_bytes()[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut watch = StopWatch::new(stops.iter().map(|s| s.to_string()).collect());
        let mut shown = String::new();
        for piece in pieces {
            let next = watch.push(piece);
            shown.push_str(&next.text);
            if next.stopped {
                return (shown, true);
            }
        }
        (shown + &watch.rest(), false)
    }

    #[test]
    fn a_stop_text_across_pieces_is_found_and_hidden() {
        assert_eq!(
            run(&["</end>"], &["hello <", "/e", "nd> more"]),
            ("hello ".into(), true)
        );
    }

    #[test]
    fn a_false_start_is_shown_after_all() {
        assert_eq!(run(&["</end>"], &["a </e", "x"]), ("a </ex".into(), false));
        assert_eq!(run(&["</end>"], &["a </e"]), ("a </e".into(), false));
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(
            run(&["later", "now"], &["do it now or later"]),
            ("do it ".into(), true)
        );
    }

    #[test]
    fn nothing_is_held_without_reason() {
        let mut watch = StopWatch::new(vec!["stop".into()]);
        assert_eq!(
            watch.push("hi s"),
            Shown {
                text: "hi ".into(),
                stopped: false
            }
        );
        assert_eq!(
            watch.push("o"),
            Shown {
                text: "so".into(),
                stopped: false
            }
        );
    }

    #[test]
    fn characters_are_not_split() {
        assert_eq!(run(&["né"], &["n", "è"]), ("nè".into(), false));
        assert_eq!(run(&["ñ"], &["aé", "ñ"]), ("aé".into(), true));
    }

    #[test]
    fn empty_stop_texts_do_nothing() {
        assert_eq!(run(&[""], &["text"]), ("text".into(), false));
    }
}
