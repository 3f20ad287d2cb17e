//! The files of a project, within bounds.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::path::{PathError, ProjectPath};

/// Files of a project at most.
pub(super) const FILES: usize = 64;
/// Longest file, in bytes.
pub(super) const FILE_BYTES: usize = 256 << 10;
/// All files together, in bytes.
pub(super) const PROJECT_BYTES: usize = 1 << 20;

/// Files by their paths. No two paths are one file on any system, and no file is another one's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    files: BTreeMap<ProjectPath, String>,
}

/// Why files do not make up a project. Files are told by their places in the list, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// A path that is none.
    #[error("field 'files[{at}].path' {reason}")]
    Path {
        /// Which file.
        at: usize,
        /// What is wrong with it.
        reason: PathError,
    },
    /// The same path twice.
    #[error(
        "field 'files[{at}].path' is the path of files[{first}] as well, at least where letters' cases are not told apart"
    )]
    Twice {
        /// The second file.
        at: usize,
        /// The first one.
        first: usize,
    },
    /// A file where another one needs a folder.
    #[error(
        "field 'files[{at}].path' is a file and a folder at once: files[{other}] lies in it or it in that"
    )]
    FileAndFolder {
        /// One file.
        at: usize,
        /// The other.
        other: usize,
    },
    /// A file that is no text.
    #[error("field 'files[{at}].content' must be text: it has a NUL character")]
    NoText {
        /// Which file.
        at: usize,
    },
    /// More files than there may be.
    #[error("field 'files' has more than {FILES} files: send those that matter")]
    TooMany,
    /// A file that is too long.
    #[error("field 'files[{at}].content' is longer than {FILE_BYTES} bytes: leave it out")]
    TooLong {
        /// Which file.
        at: usize,
    },
    /// Files that are too long together.
    #[error("field 'files' is longer than {PROJECT_BYTES} bytes together: send those that matter")]
    TooLarge,
}

/// Why newer files do not go over older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// A newer file where an older one needs a folder, or the other way round.
    #[error("a file would be a folder of another one")]
    FileAndFolder,
    /// Too many or too long together.
    #[error("there would be more than {FILES} files or {PROJECT_BYTES} bytes")]
    TooLarge,
}

impl ProjectError {
    /// Whether less of the same would do.
    pub fn is_about_size(&self) -> bool {
        match self {
            ProjectError::TooMany | ProjectError::TooLong { .. } | ProjectError::TooLarge => true,
            ProjectError::Path { .. }
            | ProjectError::Twice { .. }
            | ProjectError::FileAndFolder { .. }
            | ProjectError::NoText { .. } => false,
        }
    }
}

impl Project {
    /// A project of these paths and contents.
    pub fn new(files: Vec<(String, String)>) -> Result<Project, ProjectError> {
        if files.len() > FILES {
            return Err(ProjectError::TooMany);
        }
        if let Some(at) = files.iter().position(|(_, text)| text.len() > FILE_BYTES) {
            return Err(ProjectError::TooLong { at });
        }
        if files.iter().map(|(_, text)| text.len()).sum::<usize>() > PROJECT_BYTES {
            return Err(ProjectError::TooLarge);
        }
        let mut project = Project::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (at, (path, content)) in files.into_iter().enumerate() {
            let path =
                ProjectPath::new(&path).map_err(|reason| ProjectError::Path { at, reason })?;
            if content.contains('\0') {
                return Err(ProjectError::NoText { at });
            }
            let key = path.key();
            if let Some(&first) = places.get(&key) {
                return Err(ProjectError::Twice { at, first });
            }
            let nested = places
                .iter()
                .find(|(other, _)| is_below(other, &key) || is_below(&key, other));
            if let Some((_, &other)) = nested {
                return Err(ProjectError::FileAndFolder { at, other });
            }
            places.insert(key, at);
            project.files.insert(path, content);
        }
        Ok(project)
    }

    /// Paths and contents, in the order of the paths.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&ProjectPath, &str)> {
        self.files
            .iter()
            .map(|(path, content)| (path, content.as_str()))
    }

    /// What a file holds.
    pub fn content(&self, path: &ProjectPath) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The file that is meant by a path, whatever the case of its letters.
    pub fn known(&self, path: &ProjectPath) -> Option<&ProjectPath> {
        let key = path.key();
        self.files.keys().find(|known| known.key() == key)
    }

    /// Whether a new file would be a folder of others, or lie below a file.
    pub fn is_blocked(&self, path: &ProjectPath) -> bool {
        let key = path.key();
        let mut keys = self.files.keys().map(ProjectPath::key);
        keys.any(|other| is_below(&other, &key) || is_below(&key, &other))
    }

    /// Writes a file, over the one that is there. Gives whether there was room for it.
    pub fn write(&mut self, path: ProjectPath, content: String) -> bool {
        let present = self.content(&path).map(str::len);
        let bytes = self.bytes() - present.unwrap_or(0) + content.len();
        let has_room = bytes <= PROJECT_BYTES && (present.is_some() || self.files.len() < FILES);
        if has_room {
            self.files.insert(path, content);
        }
        has_room
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &ProjectPath) {
        self.files.remove(path);
    }

    /// The files of `newer` over these.
    pub fn with(&self, newer: Project) -> Result<Project, Clash> {
        let mut both = self.clone();
        for (path, content) in newer.files {
            // The file may be written in other letters now.
            if let Some(known) = both.known(&path).cloned() {
                both.files.remove(&known);
            }
            if both.is_blocked(&path) {
                return Err(Clash::FileAndFolder);
            }
            if !both.write(path, content) {
                return Err(Clash::TooLarge);
            }
        }
        Ok(both)
    }

    /// Bytes of all contents.
    pub fn bytes(&self) -> usize {
        self.files.values().map(String::len).sum()
    }

    /// A zip archive of the files, the same bytes for the same files.
    pub fn archive(&self) -> Vec<u8> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644);
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let sound = "memory takes all of a small project";
        for (path, content) in &self.files {
            archive.start_file(path.as_str(), options).expect(sound);
            archive.write_all(content.as_bytes()).expect(sound);
        }
        archive.finish().expect(sound).into_inner()
    }
}

/// Whether a path lies in a folder that another path is the name of.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn project(files: &[(&str, &str)]) -> Result<Project, ProjectError> {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Project::new(files.collect())
    }

    #[test]
    fn files_that_do_not_go_together_are_refused() {
        for (files, want) in [
            (
                vec![("a", ""), ("b/../c", "")],
                ProjectError::Path {
                    at: 1,
                    reason: PathError::Dots,
                },
            ),
            (
                vec![("a.JS", ""), ("b", ""), ("A.js", "")],
                ProjectError::Twice { at: 2, first: 0 },
            ),
            (
                vec![("a/b", ""), ("A", "")],
                ProjectError::FileAndFolder { at: 1, other: 0 },
            ),
            (
                vec![("a", ""), ("a/b/c", "")],
                ProjectError::FileAndFolder { at: 1, other: 0 },
            ),
            (vec![("a", "x\0")], ProjectError::NoText { at: 0 }),
        ] {
            let error = project(&files).unwrap_err();
            assert_eq!(error, want);
            assert!(!error.is_about_size());
        }
        assert!(project(&[("a", ""), ("ab", ""), ("a.b", "")]).is_ok());
    }

    #[test]
    fn what_is_too_much_is_told_apart() {
        let many: Vec<_> = (0..=FILES)
            .map(|at| (format!("f{at}"), String::new()))
            .collect();
        assert_eq!(Project::new(many.clone()), Err(ProjectError::TooMany));
        assert!(Project::new(many[1..].to_vec()).is_ok());
        let long = "x".repeat(FILE_BYTES);
        assert!(project(&[("a", &long)]).is_ok());
        let longer = format!("{long}x");
        assert_eq!(
            project(&[("b", ""), ("a", &longer)]),
            Err(ProjectError::TooLong { at: 1 })
        );
        let five: Vec<_> = (0..5).map(|at| (format!("f{at}"), long.clone())).collect();
        let error = Project::new(five).unwrap_err();
        assert_eq!(error, ProjectError::TooLarge);
        assert!(error.is_about_size());
    }

    #[test]
    fn newer_files_go_over_older_ones() {
        let old = project(&[("a.js", "1"), ("b/c", "2")]).unwrap();
        let both = old
            .with(project(&[("A.js", "3"), ("d", "4")]).unwrap())
            .unwrap();
        let files: Vec<_> = both
            .files()
            .map(|(path, text)| (path.as_str(), text))
            .collect();
        assert_eq!(files, [("A.js", "3"), ("b/c", "2"), ("d", "4")]);
        assert_eq!(
            old.with(project(&[("b", "")]).unwrap()),
            Err(Clash::FileAndFolder)
        );
        let long = "x".repeat(FILE_BYTES);
        let four: Vec<_> = (0..4).map(|at| (format!("f{at}"), long.clone())).collect();
        assert_eq!(old.with(Project::new(four).unwrap()), Err(Clash::TooLarge));
    }

    #[test]
    fn an_archive_holds_the_same_bytes() {
        let project =
            project(&[("src/é.txt", "ünï\r\n"), ("empty", ""), (".env", "A=1\n")]).unwrap();
        let bytes = project.archive();
        assert_eq!(bytes, project.archive());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut found = Vec::new();
        for at in 0..archive.len() {
            let mut file = archive.by_index(at).unwrap();
            assert!(file.is_file() && !file.is_symlink());
            assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o644));
            let name = file.name().unwrap().into_owned();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            found.push((name, text));
        }
        let want: Vec<_> = project
            .files()
            .map(|(path, text)| (path.to_string(), text.to_owned()))
            .collect();
        assert_eq!(found, want);
    }
}
