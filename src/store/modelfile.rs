//! Modelfiles: instructions, one per line, that say how to create a model.

mod local;
mod parameters;

use std::fmt;

pub use local::{LocalFile, LocalRequest, Places};
pub use parameters::{Parameter, parse_parameter};

/// Why a Modelfile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelfileError {
    /// A Modelfile without FROM.
    #[error("no FROM line")]
    NoFrom,
    /// A line that starts with something else than an instruction.
    #[error(
        "(line {0}): command must be one of \"from\", \"license\", \"template\", \"system\", \
         \"adapter\", \"draft\", \"renderer\", \"parser\", \"parameter\", \"message\", or \"requires\""
    )]
    UnknownCommand(usize),
    /// A message by someone else.
    #[error("(line {0}): message role must be one of \"system\", \"user\", or \"assistant\"")]
    MessageRole(usize),
    /// The text ends (or a line does) where a value should be, or within quotes.
    #[error("unexpected EOF")]
    UnexpectedEnd,
    /// As before, after this word.
    #[error("unexpected EOF: {0}")]
    UnexpectedEndAfter(String),
    /// The bytes are neither UTF-8 nor UTF-16 with a byte order mark.
    #[error("the Modelfile is not UTF-8")]
    NotText,
    /// PARAMETER of no known name.
    #[error("unknown parameter '{0}'")]
    UnknownParameter(String),
    /// PARAMETER with a value of the wrong type.
    #[error("invalid {kind} value [{value}]")]
    ParameterValue {
        /// `int`, `float` or `bool`.
        kind: &'static str,
        /// What stands there.
        value: String,
    },
    /// REQUIRES with something that is no version.
    #[error("requires must be a valid semver (e.g. 0.14.0)")]
    Requires,
    /// A folder without a model.
    #[error("no Modelfile or safetensors files found")]
    NoModelFiles,
    /// A link in a model's folder leads out of it.
    #[error("insecure path: {0}")]
    InsecurePath(String),
    /// DRAFT and FROM are the same file.
    #[error("DRAFT must not reference the same local path as FROM: {0}")]
    DraftIsModel(String),
    /// `~name` of a home that is not known.
    #[error("failed to find user '{0}'")]
    UnknownHome(String),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// FROM: a model's name, a file or a folder.
    From(String),
    /// ADAPTER: a file or folder.
    Adapter(String),
    /// DRAFT: a file or folder.
    Draft(String),
    /// TEMPLATE: Go template text.
    Template(String),
    /// SYSTEM: system text.
    System(String),
    /// LICENSE: licence text.
    License(String),
    /// RENDERER: name of a built-in prompt renderer.
    Renderer(String),
    /// PARSER: name of a built-in output parser.
    Parser(String),
    /// REQUIRES: least server version.
    Requires(String),
    /// PARAMETER: an option and its value as text.
    Parameter(String, String),
    /// MESSAGE: role and text.
    Message(String, String),
}

/// A parsed Modelfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modelfile {
    /// The instructions in their order.
    pub commands: Vec<Command>,
}

impl Modelfile {
    /// Parses a Modelfile: UTF-8 with or without a byte order mark, or UTF-16 with one.
    pub fn parse(bytes: &[u8]) -> Result<Modelfile, ModelfileError> {
        let text = decode(bytes)?;
        let mut reader = Reader {
            rest: &text,
            line: 1,
        };
        let mut commands = Vec::new();
        while let Some(command) = reader.command()? {
            commands.push(command);
        }
        if !commands
            .iter()
            .any(|command| matches!(command, Command::From(_)))
        {
            return Err(ModelfileError::NoFrom);
        }
        Ok(Modelfile { commands })
    }
}

/// One line per instruction; values in quotes where they need them.
impl fmt::Display for Modelfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.commands
            .iter()
            .try_for_each(|command| writeln!(f, "{command}"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::From(value) => write!(f, "FROM {value}"),
            Command::Adapter(value) => write!(f, "ADAPTER {}", quote(value)),
            Command::Draft(value) => write!(f, "DRAFT {}", quote(value)),
            Command::Template(value) => write!(f, "TEMPLATE {}", quote(value)),
            Command::System(value) => write!(f, "SYSTEM {}", quote(value)),
            Command::License(value) => write!(f, "LICENSE {}", quote(value)),
            Command::Renderer(value) => write!(f, "RENDERER {}", quote(value)),
            Command::Parser(value) => write!(f, "PARSER {}", quote(value)),
            Command::Requires(value) => write!(f, "REQUIRES {}", quote(value)),
            Command::Parameter(name, value) => write!(f, "PARAMETER {name} {}", quote(value)),
            Command::Message(role, text) => write!(f, "MESSAGE {role} {}", quote(text)),
        }
    }
}

/// Quotes only what would not survive bare: line breaks and spaces at an end.
fn quote(value: &str) -> String {
    let bare = !(value.contains('\n') || value.starts_with(' ') || value.ends_with(' '));
    if bare {
        value.to_owned()
    } else if value.contains('"') {
        format!("\"\"\"{value}\"\"\"")
    } else {
        format!("\"{value}\"")
    }
}

/// The value behind quotes, or nothing while a quote is still open.
fn unquote(value: &str) -> Option<&str> {
    if let Some(rest) = value.strip_prefix("\"\"\"") {
        return rest.strip_suffix("\"\"\"");
    }
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

fn decode(bytes: &[u8]) -> Result<String, ModelfileError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units = pairs.iter().map(|&pair| unit(pair));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.ok()
            .filter(|_| rest.is_empty())
            .ok_or(ModelfileError::NotText)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            String::from_utf8(rest.to_vec()).map_err(|_| ModelfileError::NotText)
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn command(&mut self) -> Result<Option<Command>, ModelfileError> {
        self.skip_blanks_and_comments();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let instruction = self
            .take_while(|c| c.is_ascii_alphabetic())
            .to_ascii_lowercase();
        match self.rest.chars().next() {
            Some(' ' | '\t') => {}
            Some(_) => return Err(ModelfileError::UnknownCommand(line)),
            None => return Err(ModelfileError::UnexpectedEnd),
        }
        let command = match instruction.as_str() {
            "from" => Command::From(self.value()?),
            "adapter" => Command::Adapter(self.value()?),
            "draft" => Command::Draft(self.value()?),
            "template" => Command::Template(self.value()?),
            "system" => Command::System(self.value()?),
            "license" => Command::License(self.value()?),
            "renderer" => Command::Renderer(self.value()?),
            "parser" => Command::Parser(self.value()?),
            "requires" => Command::Requires(self.value()?),
            "parameter" => {
                let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_')?;
                Command::Parameter(name, self.value()?)
            }
            "message" => {
                let role = self.word(|c| c.is_ascii_alphabetic())?;
                if !matches!(role.as_str(), "system" | "user" | "assistant") {
                    return Err(ModelfileError::MessageRole(line));
                }
                Command::Message(role, self.value()?)
            }
            _ => return Err(ModelfileError::UnknownCommand(line)),
        };
        Ok(Some(command))
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            if !self.rest.starts_with('#') {
                return;
            }
            self.take_while(|c| !is_newline(c));
        }
    }

    /// A word and the space behind it: a value has to follow.
    fn word(&mut self, belongs: fn(char) -> bool) -> Result<String, ModelfileError> {
        self.take_while(|c| matches!(c, ' ' | '\t'));
        let word = self.take_while(belongs);
        match self.rest.chars().next() {
            Some(' ' | '\t') => Ok(word),
            Some(_) => Err(ModelfileError::UnexpectedEndAfter(word)),
            None => Err(ModelfileError::UnexpectedEnd),
        }
    }

    /// The rest of the line, or of as many lines as an open quote takes.
    fn value(&mut self) -> Result<String, ModelfileError> {
        let mut end = 0;
        loop {
            end += self.rest[end..]
                .find(is_newline)
                .unwrap_or(self.rest.len() - end);
            if let Some(value) = unquote(self.rest[..end].trim()) {
                let value = value.chars().filter(|&c| is_kept(c)).collect();
                self.advance(end);
                return Ok(value);
            }
            if end == self.rest.len() {
                return Err(ModelfileError::UnexpectedEnd);
            }
            end += 1;
        }
    }

    fn take_while(&mut self, belongs: fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let taken = self.rest[..end].to_owned();
        self.advance(end);
        taken
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].matches('\n').count();
        self.rest = &self.rest[bytes..];
    }
}

fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// Control characters have no place in a value, except those that lay out text.
fn is_kept(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t')
}

/// Whether `text` is a version: up to three numbers, then perhaps `-pre` and `+build`.
fn is_semver(text: &str) -> bool {
    let (text, build) = text
        .split_once('+')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = text
        .split_once('-')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let is_identifier = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let suffixes_fit = numbers.len() == 3 || (pre.is_none() && build.is_none());
    numbers.len() <= 3
        && numbers.iter().all(is_number)
        && suffixes_fit
        && [pre, build]
            .into_iter()
            .flatten()
            .flat_map(|s| s.split('.'))
            .all(is_identifier)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Vec<Command>, String> {
        Modelfile::parse(text.as_bytes())
            .map(|file| file.commands)
            .map_err(|e| e.to_string())
    }

    fn from(value: &str) -> Command {
        Command::From(value.to_owned())
    }

    #[test]
    fn instructions_comments_and_quotes_are_read() {
        let text = concat!(
            "\u{feff}# a comment\n  # another\n\nfrom   llama3:latest  \r\n",
            "ADAPTER ./a.gguf\nPARAMETER stop \"<|end|> \"\nParameter num_ctx 4096\n",
            "TEMPLATE \"\"\"{{ .System }}\n# no comment\n\"{{ .Prompt }}\" \"\"\"   \n",
            "SYSTEM \"two\nlines\"\nMESSAGE user  Hey there! # text\nLICENSE \"\"\nREQUIRES 0.14.0\n",
            "RENDERER r\nPARSER p\nDRAFT d\nSYSTEM a \"b\" c",
        );
        let want = vec![
            from("llama3:latest"),
            Command::Adapter("./a.gguf".into()),
            Command::Parameter("stop".into(), "<|end|> ".into()),
            Command::Parameter("num_ctx".into(), "4096".into()),
            Command::Template("{{ .System }}\n# no comment\n\"{{ .Prompt }}\" ".into()),
            Command::System("two\nlines".into()),
            Command::Message("user".into(), "Hey there! # text".into()),
            Command::License(String::new()),
            Command::Requires("0.14.0".into()),
            Command::Renderer("r".into()),
            Command::Parser("p".into()),
            Command::Draft("d".into()),
            Command::System("a \"b\" c".into()),
        ];
        assert_eq!(parse(text).unwrap(), want);
    }

    #[test]
    fn utf16_with_a_byte_order_mark_is_read() {
        let text = "FROM x\nSYSTEM héllo 👋";
        let want = parse(text);
        for mark in [[0xff, 0xfe], [0xfe, 0xff]] {
            let little = mark[0] == 0xff;
            let units = text.encode_utf16();
            let bytes: Vec<u8> = mark
                .into_iter()
                .chain(units.flat_map(|u| {
                    if little {
                        u.to_le_bytes()
                    } else {
                        u.to_be_bytes()
                    }
                }))
                .collect();
            assert_eq!(
                Modelfile::parse(&bytes).unwrap().commands,
                *want.as_ref().unwrap()
            );
            assert!(Modelfile::parse(&bytes[..bytes.len() - 1]).is_err());
        }
        assert_eq!(
            Modelfile::parse(b"FROM \xff").unwrap_err().to_string(),
            "the Modelfile is not UTF-8"
        );
    }

    #[test]
    fn mistakes_have_their_known_texts() {
        const COMMANDS: &str = r#"command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message", or "requires""#;
        for (text, want) in [
            ("", "no FROM line".to_owned()),
            ("PARAMETER a b", "no FROM line".to_owned()),
            (
                "\nFROM foo\nBADCOMMAND a b\n",
                format!("(line 3): {COMMANDS}"),
            ),
            ("FROM foo\nSYSTEM\n", format!("(line 2): {COMMANDS}")),
            ("FROM \"\"\"a\nb\"\"\"\n!", format!("(line 3): {COMMANDS}")),
            (
                "\nFROM foo\nMESSAGE badguy hi\n",
                r#"(line 3): message role must be one of "system", "user", or "assistant""#
                    .to_owned(),
            ),
            ("FROM foo\nPARAMETER p\n", "unexpected EOF: p".to_owned()),
            ("FROM foo\nMESSAGE system", "unexpected EOF".to_owned()),
            ("FROM foo\nSYSTEM \"\"\"open\"", "unexpected EOF".to_owned()),
            ("FROM foo\nSYSTEM \"open", "unexpected EOF".to_owned()),
            ("FROM", "unexpected EOF".to_owned()),
        ] {
            assert_eq!(parse(text).unwrap_err(), want, "{text:?}");
        }
    }

    #[test]
    fn values_are_quoted_only_when_they_have_to_be() {
        for (value, want) in [
            ("plain \"x\"", "SYSTEM plain \"x\"\n"),
            ("two\nlines", "SYSTEM \"two\nlines\"\n"),
            (" lead", "SYSTEM \" lead\"\n"),
            ("say \"hi\" ", "SYSTEM \"\"\"say \"hi\" \"\"\"\n"),
        ] {
            let file = Modelfile {
                commands: vec![Command::System(value.to_owned())],
            };
            assert_eq!(file.to_string(), want);
        }
    }

    #[test]
    fn control_characters_are_dropped() {
        assert_eq!(parse("FROM a\0b\u{1b}c\td").unwrap(), vec![from("abc\td")]);
    }

    #[test]
    fn versions() {
        for good in ["0.14.0", "1", "1.2", "1.2.3-rc.1+x", "10.0.0"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in ["", "a", "1.", "01.2.3", "1.2.3.4", "1.2-rc", "1.2.3-", "v1"] {
            assert!(!is_semver(bad), "{bad}");
        }
    }

    /// Text that the format can carry: no control characters, no triple quotes, and nothing that
    /// starts or ends with a quote, because quotes around a bare value are taken off.
    fn text() -> impl Strategy<Value = String> {
        "[ -~äß中👋\n]{0,40}".prop_map(|text| {
            let text = text.replace("\"\"\"", "\"");
            let text = text.trim_matches('"');
            text.to_owned()
        })
    }

    proptest! {
        #[test]
        fn what_is_written_parses_back(
            system in text(),
            template in text(),
            message in text(),
            name in "[a-z_]{1,12}",
        ) {
            let file = Modelfile {
                commands: vec![
                    from("base:7b"),
                    Command::System(system),
                    Command::Parameter(name, template.clone()),
                    Command::Template(template),
                    Command::Message("assistant".to_owned(), message),
                ],
            };
            prop_assert_eq!(Modelfile::parse(file.to_string().as_bytes()).unwrap(), file);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Modelfile::parse(&bytes);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "(FROM |MESSAGE user |\"|\n| |[a-z]){0,30}") {
            let _ = Modelfile::parse(text.as_bytes());
        }
    }
}
