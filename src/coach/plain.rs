//! Text that is only text: for pages that insert it as it is, and for models that read it.

use std::sync::LazyLock;

use regex::Regex;

/// `text` without anything that a page could take for markup.
///
/// A page may insert an answer into its HTML unescaped, or render it as Markdown. Escaping would show `&lt;` to
/// everybody else, so angle brackets become the quotation marks that look like them (`‹`, `›`), and Markdown loses
/// what makes links, images and emphasis. Control characters and those that turn the direction of writing go.
pub fn plain(text: &str) -> String {
    let mut lines = text.split('\n').map(plain_line);
    let mut out = lines.next().unwrap_or_default();
    for line in lines {
        out.push('\n');
        out.push_str(&line);
    }
    out
}

/// A title or a name: [`plain`], on one line, `most` characters at most.
pub fn plain_name(text: &str, most: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clip(&plain(&words.join(" ")), most)
}

/// `text` without what a model could take for the end of a turn or the beginning of another: its marks are made of
/// angle brackets (`<|im_end|>`, `</s>`) or capitals in square ones (`[INST]`). Comparisons such as `< 300` stay.
pub fn unmarked(text: &str) -> String {
    static CAPITALS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[(/?[A-Z][A-Z_]{2,})\]").expect("the pattern is fixed"));
    let text = CAPITALS.replace_all(text, "($1)");
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().filter(|c| !is_hidden(*c)).peekable();
    while let Some(c) = chars.next() {
        let compares = |next: &char| next.is_whitespace() || next.is_ascii_digit() || *next == '=';
        match c {
            '<' if !chars.peek().is_some_and(compares) => out.push('‹'),
            // Wide and small ones, which some vocabularies fold into the plain one.
            '\u{ff1c}' | '\u{fe64}' => out.push('‹'),
            c => out.push(c),
        }
    }
    out
}

/// The beginning of `text`: `most` characters at most, cut between words where there are any, with a mark where
/// something is missing.
pub fn clip(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else {
        return text.to_owned();
    };
    let kept = &text[..end];
    let words = kept.rfind(char::is_whitespace).filter(|at| at * 2 > end);
    let kept = words.map_or(kept, |at| &kept[..at]);
    format!("{}…", kept.trim_end())
}

/// Whether a link may stand in an answer: the two schemes that run nothing.
pub fn is_web_address(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    let is_web = lower.starts_with("https://") || lower.starts_with("http://");
    let breaks_out = |c: char| c.is_whitespace() || c.is_control() || "<>\"'`".contains(c);
    is_web && !url.contains(breaks_out)
}

fn plain_line(line: &str) -> String {
    let heading = line.trim_start_matches('#');
    let line = match heading.len() < line.len() && heading.starts_with(' ') {
        true => heading.trim_start(),
        false => line,
    };
    let mut out = String::with_capacity(line.len());
    for c in line.chars().filter(|c| !is_hidden(*c)) {
        match c {
            '<' => out.push('‹'),
            '>' => out.push('›'),
            '`' => {}
            // Two stars are emphasis, one is a list mark or a product.
            '*' if out.ends_with('*') => {
                out.pop();
            }
            // A space ends what would be a link.
            '(' if out.ends_with(']') => out.push_str(" ("),
            ':' if out.ends_with(']') && out.trim_start().starts_with('[') => out.push_str(" :"),
            c => out.push(c),
        }
    }
    out
}

/// Control characters but tabs and line ends; marks without width that hide words or turn their direction. What
/// joins the parts of an emoji stays.
fn is_hidden(c: char) -> bool {
    let is_control = c.is_control() && !matches!(c, '\n' | '\t');
    is_control
        || matches!(
            c,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_for_a_page_to_run() {
        for text in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<<b>script>alert(1)<</b>/script>",
            "<svg/onload=alert(1)//",
            "[click](javascript:alert(1)) ![x](http://evil.test/p.png)",
            "  [a]: javascript:alert(1)",
            "<\u{0}script\u{200b}>",
        ] {
            let shown = plain(text);
            assert!(!shown.contains(['<', '>', '\u{0}', '\u{200b}']), "{shown}");
            assert!(!shown.contains("](") && !shown.contains("]:"), "{shown}");
        }
    }

    #[test]
    fn words_numbers_and_emoji_stay() {
        for text in [
            "Tom & Ann's \"plan\": 3 * 4, 50 % [1], naïve 👩‍👩‍👧 🎉",
            "- one\n- two\n\n3. three",
            "C# and #1",
        ] {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain("## Head\n**bold** `code`"), "Head\nbold code");
        assert_eq!(plain("a < b > c"), "a ‹ b › c");
    }

    #[test]
    fn names_are_one_short_line() {
        assert_eq!(plain_name(" <b>A\n b</b> ", 80), "‹b›A b‹/b›");
        assert_eq!(plain_name("one two three", 9), "one two…");
        assert_eq!(clip("🎉🎉🎉", 2), "🎉🎉…");
        assert_eq!(clip("short", 5), "short");
    }

    #[test]
    fn a_text_cannot_end_its_turn() {
        for mark in [
            "<|im_start|>system",
            "</s>",
            "<start_of_turn>",
            "<｜User｜>",
            "[INST]",
            "[/INST]",
            "<<SYS>>",
            "\u{ff1c}|im_end|>",
        ] {
            let read = unmarked(mark);
            assert!(!read.contains(['<', '[']), "{read}");
        }
        for text in [
            "under < 300 or <300",
            "a <= b",
            "[1] and [see note]",
            "I > you",
        ] {
            assert_eq!(unmarked(text), text);
        }
    }

    #[test]
    fn only_web_addresses_are_links() {
        assert!(is_web_address("https://example.org/a?b=c") && is_web_address("HTTP://x.test"));
        for url in [
            "javascript:alert(1)",
            "data:text/html,x",
            "https://x\"onclick=",
            "file:///etc",
            "//x",
            "",
        ] {
            assert!(!is_web_address(url), "{url}");
        }
    }
}
