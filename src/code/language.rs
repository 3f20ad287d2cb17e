//! Languages of files, by the files' names and by their own.

use super::generate::ProjectPath;

/// Endings and the languages they stand for, as fences name them.
const ENDINGS: [(&str, &str); 44] = [
    ("bash", "bash"),
    ("c", "c"),
    ("cfg", "ini"),
    ("cjs", "javascript"),
    ("cpp", "cpp"),
    ("cs", "csharp"),
    ("css", "css"),
    ("csv", "csv"),
    ("dart", "dart"),
    ("go", "go"),
    ("graphql", "graphql"),
    ("h", "c"),
    ("htm", "html"),
    ("html", "html"),
    ("ini", "ini"),
    ("java", "java"),
    ("js", "javascript"),
    ("json", "json"),
    ("jsonc", "jsonc"),
    ("jsx", "javascript"),
    ("kt", "kotlin"),
    ("less", "less"),
    ("markdown", "markdown"),
    ("md", "markdown"),
    ("mdx", "markdown"),
    ("mjs", "javascript"),
    ("php", "php"),
    ("prisma", "prisma"),
    ("py", "python"),
    ("rb", "ruby"),
    ("rs", "rust"),
    ("scss", "scss"),
    ("sh", "bash"),
    ("sql", "sql"),
    ("svelte", "svelte"),
    ("svg", "xml"),
    ("swift", "swift"),
    ("toml", "toml"),
    ("ts", "typescript"),
    ("tsx", "typescript"),
    ("vue", "vue"),
    ("xml", "xml"),
    ("yaml", "yaml"),
    ("yml", "yaml"),
];

/// Names that say more than an ending.
const NAMES: [(&str, &str); 3] = [
    ("dockerfile", "dockerfile"),
    ("makefile", "makefile"),
    (".babelrc", "jsonc"),
];

/// The language of a file; `text` where nothing is known.
pub(super) fn of(path: &ProjectPath) -> &'static str {
    let name = path.name().to_ascii_lowercase();
    let ending = path.ending();
    let is_config = name.starts_with("tsconfig") || name.starts_with("jsconfig");
    if is_config && ending == "json" {
        // Their tools read comments.
        return "jsonc";
    }
    let find = |table: &[(&str, &'static str)], key: &str| {
        let found = table.iter().find(|(known, _)| *known == key);
        found.map(|(_, language)| *language)
    };
    find(&NAMES, &name)
        .or_else(|| find(&ENDINGS, &ending))
        .unwrap_or("text")
}

/// The language that somebody calls by its name or by an ending of its files, in any case; `text` where it is not known.
pub(super) fn named(name: &str) -> &'static str {
    let name = name.trim().to_ascii_lowercase();
    let is_meant =
        |(ending, language): &&(&str, &str)| [*ending, *language].contains(&name.as_str());
    let found = ENDINGS.iter().find(is_meant);
    found.map_or("text", |(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_endings_tell_languages() {
        for (path, want) in [
            ("src/App.jsx", "javascript"),
            ("a.TSX", "typescript"),
            ("Dockerfile", "dockerfile"),
            ("package.json", "json"),
            ("tsconfig.app.json", "jsonc"),
            ("README", "text"),
            (".gitignore", "text"),
        ] {
            assert_eq!(of(&ProjectPath::new(path).unwrap()), want, "{path}");
        }
        for (name, want) in [
            ("Python", "python"),
            (" py", "python"),
            ("JSX", "javascript"),
            ("csharp", "csharp"),
            ("klingon", "text"),
            ("", "text"),
        ] {
            assert_eq!(named(name), want, "{name}");
        }
    }
}
