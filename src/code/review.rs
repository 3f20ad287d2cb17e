//! What there is to say about a change: a unified diff in, remarks on lines of it out.
//!
//! The model is held to a form in which it can only name files and lines that the change has.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Characters of one remark at most.
const REMARK_CHARS: usize = 300;
/// Characters of the summary at most.
const SUMMARY_CHARS: usize = 400;

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Likely to cause trouble.
    Warning,
    /// Wrong.
    Error,
}

/// A remark on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Remark {
    /// File, as the diff names it after the change.
    pub path: String,
    /// Line of that file after the change.
    pub line: usize,
    /// How much it matters.
    pub severity: Severity,
    /// What there is to say.
    pub comment: String,
}

/// All there is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// Remarks, in the order of the diff.
    pub comments: Vec<Remark>,
    /// The change in a few words.
    pub summary: String,
}

/// A file of a change that has lines to talk about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ChangedFile {
    path: String,
    /// Numbers of the lines that were added, after the change.
    added: Vec<usize>,
}

/// A change as a unified diff describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    files: Vec<ChangedFile>,
    /// The diff with the number of each line that is there after the change.
    numbered: String,
}

/// Why a diff cannot be reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// No file, no hunk.
    #[error("must be a unified diff, as 'git diff' writes it")]
    NotADiff,
    /// A hunk whose header and lines do not agree.
    #[error("is broken at line {0}: a hunk ends before its time or goes on after it")]
    BrokenHunk(usize),
    /// Nothing was added.
    #[error("adds no lines, so there is nothing to review")]
    NothingAdded,
}

/// Where the reader is in a hunk.
#[derive(Clone, Copy, Debug, Default)]
struct Hunk {
    line: usize,
    old_left: usize,
    new_left: usize,
}

impl Change {
    /// Reads a unified diff; what stands between its files is passed over.
    pub fn read(diff: &str) -> Result<Change, DiffError> {
        let mut change = Change {
            files: Vec::new(),
            numbered: String::new(),
        };
        let mut hunk = Hunk::default();
        for (at, line) in diff.lines().enumerate() {
            if hunk.is_open() {
                change
                    .take(line, &mut hunk)
                    .ok_or(DiffError::BrokenHunk(at + 1))?;
            } else if let Some(path) = line.strip_prefix("+++ ") {
                change.open(path);
            } else if line.starts_with("@@ ") && !change.files.is_empty() {
                hunk = Hunk::read(line).ok_or(DiffError::BrokenHunk(at + 1))?;
            }
        }
        if hunk.is_open() {
            return Err(DiffError::BrokenHunk(diff.lines().count()));
        }
        if change.files.is_empty() {
            return Err(DiffError::NotADiff);
        }
        change.files.retain(|file| !file.added.is_empty());
        match change.files.is_empty() {
            true => Err(DiffError::NothingAdded),
            false => Ok(change),
        }
    }

    fn open(&mut self, path: &str) {
        let path = path.split('\t').next().unwrap_or(path);
        let path = path.strip_prefix("b/").unwrap_or(path).to_owned();
        self.numbered.push_str(&format!("\nFile {path}\n"));
        let added = Vec::new();
        self.files.push(ChangedFile { path, added });
    }

    /// A line of a hunk; `None`: it cannot be one.
    fn take(&mut self, line: &str, hunk: &mut Hunk) -> Option<()> {
        let (sign, text) = match line.chars().next() {
            // Editors drop the space of empty lines.
            None => (' ', ""),
            Some(sign) => (sign, line.get(1..).unwrap_or_default()),
        };
        match sign {
            ' ' | '+' => {
                hunk.new_left = hunk.new_left.checked_sub(1)?;
                if sign == ' ' {
                    hunk.old_left = hunk.old_left.checked_sub(1)?;
                } else if let Some(file) = self.files.last_mut() {
                    file.added.push(hunk.line);
                }
                self.numbered
                    .push_str(&format!("{}{sign} {text}\n", hunk.line));
                hunk.line += 1;
            }
            '-' => {
                hunk.old_left = hunk.old_left.checked_sub(1)?;
                self.numbered.push_str(&format!("- {text}\n"));
            }
            // "No newline at end of file"
            '\\' => {}
            _ => return None,
        }
        Some(())
    }

    /// The diff for the model to read.
    pub fn prompt(&self, language: &str) -> String {
        let language = match language.trim() {
            "" => String::new(),
            language => format!(" of {language} code"),
        };
        format!(
            "Review this change{language}. Lines with + were added and have their number before them, lines \
             with - were removed. Name mistakes, risks and unclear places of added lines; leave out praise.\n{}",
            self.numbered
        )
    }

    /// The JSON schema of an answer with `most` remarks at most.
    pub fn form(&self, most: usize) -> Value {
        let remark = |file: &ChangedFile| {
            json!({
                "type": "object",
                "properties": {
                    "path": {"const": file.path},
                    "line": {"enum": file.added},
                    "severity": {"enum": ["info", "warning", "error"]},
                    "comment": {"type": "string", "minLength": 1, "maxLength": REMARK_CHARS},
                },
                "required": ["path", "line", "severity", "comment"],
                "additionalProperties": false,
            })
        };
        let remarks: Vec<Value> = self.files.iter().map(remark).collect();
        json!({
            "type": "object",
            "properties": {
                "comments": {"type": "array", "maxItems": most, "items": {"anyOf": remarks}},
                "summary": {"type": "string", "minLength": 1, "maxLength": SUMMARY_CHARS},
            },
            "required": ["comments", "summary"],
            "additionalProperties": false,
        })
    }

    /// The answer with its remarks in the order of the diff, the same one only once; `None`: it is not whole.
    pub fn review(&self, answer: &str) -> Option<Review> {
        let mut review: Review = serde_json::from_str(answer).ok()?;
        let place = |remark: &Remark| {
            let file = self.files.iter().position(|file| file.path == remark.path);
            (file, remark.line)
        };
        review.comments.sort_by_key(place);
        review.comments.dedup();
        Some(review)
    }
}

impl Hunk {
    /// `@@ -1,2 +3,4 @@`; a count that is left out is one.
    fn read(header: &str) -> Option<Hunk> {
        let mut words = header.split(' ').skip(1);
        let range = |word: Option<&str>, sign: char| {
            let word = word?.strip_prefix(sign)?;
            let (start, count) = word.split_once(',').unwrap_or((word, "1"));
            // No file has more lines, and sums of these numbers stay in bounds.
            let number = |text: &str| text.parse::<u32>().ok().map(|number| number as usize);
            Some((number(start)?, number(count)?))
        };
        let (_, old_left) = range(words.next(), '-')?;
        let (line, new_left) = range(words.next(), '+')?;
        Some(Hunk {
            line,
            old_left,
            new_left,
        })
    }

    fn is_open(&self) -> bool {
        self.old_left > 0 || self.new_left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "\
diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,4 @@ def f():
 import os
-x = 1
+x = 2
+y = x / 0

@@ -10 +11 @@
-old
+new
\\ No newline at end of file
diff --git a/gone b/gone
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-bye
";

    #[test]
    fn added_lines_have_their_numbers_after_the_change() {
        let change = Change::read(DIFF).unwrap();
        assert_eq!(change.files.len(), 1);
        assert_eq!(change.files[0].path, "src/a.py");
        assert_eq!(change.files[0].added, [2, 3, 11]);
        let prompt = change.prompt("python");
        for line in [
            "of python code",
            "1  import os",
            "- x = 1",
            "3+ y = x / 0",
            "11+ new",
        ] {
            assert!(prompt.contains(line), "{line}\n{prompt}");
        }
    }

    #[test]
    fn what_is_no_diff_is_told_apart() {
        assert_eq!(Change::read("hello"), Err(DiffError::NotADiff));
        assert_eq!(Change::read(""), Err(DiffError::NotADiff));
        let head = "--- a/x\n+++ b/x\n";
        let read = |rest: &str| Change::read(&format!("{head}{rest}"));
        assert_eq!(read("@@ -1 +0,0 @@\n-x\n"), Err(DiffError::NothingAdded));
        assert_eq!(read("@@ -1,2 +1,2 @@\n x\n"), Err(DiffError::BrokenHunk(4)));
        assert_eq!(read("@@ -0,0 +1 @@\n-x\n"), Err(DiffError::BrokenHunk(4)));
        assert_eq!(read("@@ what @@\n"), Err(DiffError::BrokenHunk(3)));
        // Numbers beyond any file must not overflow.
        let huge = format!("@@ -0,0 +{0},{0} @@\n+x\n", usize::MAX);
        assert!(read(&huge).is_err());
    }

    #[test]
    fn a_review_is_ordered_and_whole() {
        let change = Change::read(DIFF).unwrap();
        let remark =
            |line| json!({"path": "src/a.py", "line": line, "severity": "error", "comment": "c"});
        let answer = json!({"comments": [remark(11), remark(3), remark(3)], "summary": "s"});
        let review = change.review(&answer.to_string()).unwrap();
        let lines: Vec<usize> = review.comments.iter().map(|remark| remark.line).collect();
        assert_eq!(lines, [3, 11]);
        assert_eq!(change.review("{\"comments\": ["), None);
    }
}
