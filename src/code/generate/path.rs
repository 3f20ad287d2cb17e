//! Paths of files of a project: relative, inside it, and the same file on every system.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// Longest path, in bytes.
pub(super) const PATH_BYTES: usize = 200;
/// Longest part of a path, in bytes.
const PART_BYTES: usize = 100;
/// Folders and file of a path at most.
const PARTS: usize = 12;
/// Names that are devices on Windows, whatever ending they have.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// The same, with a digit behind it.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// The paths that a model may write, as a regular expression: no part is empty, starts with two dots or ends with one.
/// What it cannot say [`ProjectPath::new`] checks afterwards.
pub(super) const PATTERN: &str = concat!(
    r"^\.?[A-Za-z0-9_@+(\[](\.?[A-Za-z0-9_@+)\]-]){0,31}",
    r"(/\.?[A-Za-z0-9_@+(\[](\.?[A-Za-z0-9_@+)\]-]){0,31}){0,5}$"
);

/// A path with `/` between its parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[schema(value_type = String)]
pub struct ProjectPath(String);

/// Why a text is no such path; completes "the path ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing.
    #[error("must not be empty")]
    Empty,
    /// Too many bytes or parts.
    #[error("is too long: {PATH_BYTES} bytes in {PARTS} parts of {PART_BYTES} bytes at most")]
    TooLong,
    /// From the root of a file system, of a drive or of a home.
    #[error("must be relative: no '/' or '~' at its start, no drive letter")]
    Absolute,
    /// Windows' separator.
    #[error("must have '/' between its parts, not '\\'")]
    Backslash,
    /// `.` or `..`.
    #[error("must stay inside the project: no part may be '.' or '..'")]
    Dots,
    /// `a//b` or `a/`.
    #[error("must name a file: no part may be empty")]
    EmptyPart,
    /// A space or a dot where some systems drop it.
    #[error("has a part that starts with a space or ends with a space or a dot")]
    Edge,
    /// A device, or a folder that tools trust.
    #[error("has a part that is a reserved name, such as 'con', 'nul' or '.git'")]
    Reserved,
    /// NUL, line ends, invisible ones, `:` `*` `?` and the like.
    #[error(
        "has a character that is not safe in names: take letters, digits and -_.@+$()[]{{}}#&!,=' "
    )]
    Character,
}

impl ProjectPath {
    /// The path that a text is.
    pub fn new(text: &str) -> Result<ProjectPath, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if text.contains('\\') {
            return Err(PathError::Backslash);
        }
        let has_drive =
            matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if text.starts_with(['/', '~']) || has_drive {
            return Err(PathError::Absolute);
        }
        if !text.chars().all(|c| c == '/' || is_safe(c)) {
            return Err(PathError::Character);
        }
        if text.split('/').count() > PARTS {
            return Err(PathError::TooLong);
        }
        text.split('/').try_for_each(check_part)?;
        Ok(ProjectPath(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two paths have in common that are one file where letters' cases are not told apart.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// What follows the last dot of the name, in small letters; nothing for `.gitignore` or `Makefile`.
    pub fn ending(&self) -> String {
        match self.name().rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => ending.to_ascii_lowercase(),
            _ => String::new(),
        }
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters and digits of all scripts, and of signs those that no file system or shell of note reads as something else.
/// Letters written as a base and a combining mark are not among them: they are another name for the same file.
fn is_safe(c: char) -> bool {
    c.is_alphanumeric() || "-_.@+$()[]{}#&!,=' ".contains(c)
}

fn check_part(part: &str) -> Result<(), PathError> {
    if part.is_empty() {
        return Err(PathError::EmptyPart);
    }
    if part.len() > PART_BYTES {
        return Err(PathError::TooLong);
    }
    if part == "." || part == ".." {
        return Err(PathError::Dots);
    }
    if part.starts_with(' ') || part.ends_with([' ', '.']) {
        return Err(PathError::Edge);
    }
    match is_reserved(part) {
        true => Err(PathError::Reserved),
        false => Ok(()),
    }
}

fn is_reserved(part: &str) -> bool {
    let part = part.to_lowercase();
    let stem = part.split('.').next().unwrap_or_default().trim_end();
    let is_numbered = |device: &str| {
        let digit = stem.strip_prefix(device).unwrap_or_default();
        let mut chars = digit.chars();
        // Superscript digits count on Windows.
        matches!((chars.next(), chars.next()), (Some(c), None) if c.is_ascii_digit() || "¹²³".contains(c))
    };
    part == ".git"
        || DEVICES.contains(&stem)
        || NUMBERED_DEVICES.iter().any(|device| is_numbered(device))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_are_taken_as_they_are() {
        for path in [
            "index.html",
            "src/components/Button.jsx",
            ".gitignore",
            ".github/workflows/ci.yml",
            "app/[slug]/page.tsx",
            "app/(shop)/@modal/+page.svelte",
            "Makefile",
            "a b/c d.txt",
            "straße/日本.md",
            "console/nullable.py",
            "a..b/c...d",
        ] {
            assert_eq!(ProjectPath::new(path).map(|p| p.0), Ok(path.to_owned()));
        }
    }

    #[test]
    fn whatever_leaves_the_project_or_differs_between_systems_is_refused() {
        let long = "a/".repeat(99) + "abc";
        let longer = "a".repeat(PATH_BYTES + 1);
        let part = "a".repeat(PART_BYTES + 1);
        for (path, want) in [
            ("", PathError::Empty),
            ("..", PathError::Dots),
            ("../a", PathError::Dots),
            ("a/../../b", PathError::Dots),
            ("a/./b", PathError::Dots),
            ("/etc/passwd", PathError::Absolute),
            ("//host/share", PathError::Absolute),
            ("~/.ssh/id", PathError::Absolute),
            ("C:/a", PathError::Absolute),
            ("c:a", PathError::Absolute),
            ("..\\a", PathError::Backslash),
            ("\\\\host\\share", PathError::Backslash),
            ("a\0.txt", PathError::Character),
            ("a\nb", PathError::Character),
            ("a.txt:stream", PathError::Character),
            ("%2e%2e/a", PathError::Character),
            ("a\u{202e}txt.exe", PathError::Character),
            ("\u{2024}\u{2024}/a", PathError::Character),
            ("a\u{ff0f}b", PathError::Character),
            ("e\u{301}.txt", PathError::Character),
            ("<a>", PathError::Character),
            ("a?", PathError::Character),
            ("a//b", PathError::EmptyPart),
            ("a/", PathError::EmptyPart),
            ("a./b", PathError::Edge),
            ("a /b", PathError::Edge),
            (" a", PathError::Edge),
            ("...", PathError::Edge),
            ("CON", PathError::Reserved),
            ("a/nul.txt", PathError::Reserved),
            ("Aux.tar.gz", PathError::Reserved),
            ("com1.js", PathError::Reserved),
            ("lpt².log", PathError::Reserved),
            ("con .txt", PathError::Reserved),
            (".git/hooks/post-checkout", PathError::Reserved),
            ("a/.GIT/config", PathError::Reserved),
            ("GIT~1/config", PathError::Character),
            (long.as_str(), PathError::TooLong),
            (longer.as_str(), PathError::TooLong),
            (part.as_str(), PathError::TooLong),
        ] {
            assert_eq!(ProjectPath::new(path), Err(want), "{path:?}");
        }
    }

    #[test]
    fn names_have_endings() {
        let ending = |path: &str| ProjectPath::new(path).unwrap().ending();
        assert_eq!(ending("a.b/c.Test.JSX"), "jsx");
        assert_eq!(ending("a.b/.gitignore"), "");
        assert_eq!(ending("Makefile"), "");
    }

    proptest! {
        #[test]
        fn what_the_grammar_lets_through_stays_inside(path in proptest::string::string_regex(PATTERN.trim_matches(['^', '$'])).unwrap()) {
            let parsed = ProjectPath::new(&path);
            let is_fine = matches!(parsed, Ok(_) | Err(PathError::Reserved | PathError::TooLong));
            prop_assert!(is_fine, "{path}: {parsed:?}");
        }

        #[test]
        fn joined_to_a_folder_a_path_stays_below_it(path in r"[./\\~:a-c\x00 ]{0,12}") {
            if let Ok(parsed) = ProjectPath::new(&path) {
                let parts = std::path::Path::new(parsed.as_str()).components();
                let mut parts = parts.map(|part| matches!(part, std::path::Component::Normal(_)));
                prop_assert!(parts.all(|is_normal| is_normal), "{path}");
            }
        }
    }
}
