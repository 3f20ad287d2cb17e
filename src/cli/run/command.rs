//! Commands of a conversation: lines that start with a slash.

/// A command, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `/list [prefix]`
    List(Option<String>),
    /// `/load MODEL`
    Load(String),
    /// `/save MODEL`
    Save(String),
    /// `/clear`
    Clear,
    /// `/bye`, `/exit`
    Bye,
    /// `/set ...`
    Set(Setting),
    /// `/show ...`
    Show(Part),
    /// `/help ...`, and commands that lack what they need.
    Help(Topic),
    /// Anything else: what is not known.
    Unknown(String),
}

/// What `/set` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Parameter { name: String, values: Vec<String> },
    System(String),
    History(bool),
    Wrap(bool),
    JsonFormat,
    NoFormat,
    BadFormat,
    Verbose(bool),
    Think(Option<String>),
    NoThink,
}

/// What `/show` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Info,
    License,
    Modelfile,
    Parameters,
    System,
    Template,
}

/// What there is help about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    All,
    Set,
    Show,
    Load,
    Save,
    Parameters,
    Shortcuts,
}

impl Command {
    /// Reads a line that starts with a slash.
    pub(super) fn parse(line: &str) -> Command {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["/list", rest @ ..] => Command::List(rest.first().map(|&prefix| prefix.to_owned())),
            ["/load", model] => Command::Load((*model).to_owned()),
            ["/load", ..] => Command::Help(Topic::Load),
            ["/save", model] => Command::Save((*model).to_owned()),
            ["/save", ..] => Command::Help(Topic::Save),
            ["/clear", ..] => Command::Clear,
            ["/bye" | "/exit", ..] => Command::Bye,
            ["/set", rest @ ..] => parse_set(rest, line),
            ["/show"] => Command::Help(Topic::Show),
            ["/show", part, ..] => match parse_part(part) {
                Some(part) => Command::Show(part),
                None => Command::Unknown(format!("/show {part}")),
            },
            ["/?" | "/help", rest @ ..] => Command::Help(parse_topic(rest.first().copied())),
            [first, ..] => Command::Unknown((*first).to_owned()),
            [] => Command::Unknown(String::new()),
        }
    }
}

fn parse_set(words: &[&str], line: &str) -> Command {
    let setting = match words {
        [] => return Command::Help(Topic::Set),
        ["history", ..] => Setting::History(true),
        ["nohistory", ..] => Setting::History(false),
        ["wordwrap", ..] => Setting::Wrap(true),
        ["nowordwrap", ..] => Setting::Wrap(false),
        ["verbose", ..] => Setting::Verbose(true),
        ["quiet", ..] => Setting::Verbose(false),
        ["think", level @ ..] => Setting::Think(level.first().map(|&level| level.to_owned())),
        ["nothink", ..] => Setting::NoThink,
        ["format", "json", ..] => Setting::JsonFormat,
        ["format", ..] => Setting::BadFormat,
        ["noformat", ..] => Setting::NoFormat,
        ["parameter", name, first, rest @ ..] => Setting::Parameter {
            name: (*name).to_owned(),
            values: [first]
                .into_iter()
                .chain(rest)
                .map(|&value| value.to_owned())
                .collect(),
        },
        ["parameter", ..] => return Command::Help(Topic::Parameters),
        ["system"] => return Command::Help(Topic::Set),
        ["system", ..] => Setting::System(after_words(line, 2).to_owned()),
        [other, ..] => return Command::Unknown(format!("/set {other}")),
    };
    Command::Set(setting)
}

/// The rest of a line behind so many words, with its inner spaces as they are.
fn after_words(line: &str, words: usize) -> &str {
    (0..words).fold(line.trim(), |rest, _| {
        match rest.split_once(char::is_whitespace) {
            Some((_, rest)) => rest.trim_start(),
            None => "",
        }
    })
}

fn parse_part(word: &str) -> Option<Part> {
    match word {
        "info" => Some(Part::Info),
        "license" => Some(Part::License),
        "modelfile" => Some(Part::Modelfile),
        "parameters" => Some(Part::Parameters),
        "system" => Some(Part::System),
        "template" => Some(Part::Template),
        _ => None,
    }
}

fn parse_topic(word: Option<&str>) -> Topic {
    match word {
        Some("set" | "/set") => Topic::Set,
        Some("show" | "/show") => Topic::Show,
        Some("load" | "/load") => Topic::Load,
        Some("save" | "/save") => Topic::Save,
        Some("shortcut" | "shortcuts") => Topic::Shortcuts,
        _ => Topic::All,
    }
}

impl Topic {
    /// The help text.
    pub(super) fn text(self) -> &'static str {
        match self {
            Topic::All => {
                "\
Available Commands:
  /set            Change how the model is asked
  /show           Show what the model is
  /load <model>   Change to another model
  /save <model>   Keep this conversation as a model
  /list           List models
  /clear          Forget what was said
  /bye            Exit
  /?, /help       Help, also with the name of a command
  /? shortcuts    Keys

Use \"\"\" to begin and end a message of several lines.
"
            }
            Topic::Set => {
                "\
Available Commands:
  /set parameter ...     Set a parameter
  /set system <text>     Set the system message
  /set history           Keep a history of prompts
  /set nohistory         Keep no history of prompts
  /set wordwrap          Break lines between words
  /set nowordwrap        Leave lines to the terminal
  /set format json       Ask for JSON
  /set noformat          Ask for text
  /set verbose           Show counts and times
  /set quiet             Show only answers
  /set think [level]     Let the model think first
  /set nothink           Let the model answer at once
"
            }
            Topic::Show => {
                "\
Available Commands:
  /show info         Show details of the model
  /show license      Show its license
  /show modelfile    Show its Modelfile
  /show parameters   Show its parameters and yours
  /show system       Show the system message
  /show template     Show the prompt template
"
            }
            Topic::Load => "Usage:\n  /load <model>\n",
            Topic::Save => "Usage:\n  /save <model>\n",
            Topic::Parameters => {
                "\
Available Parameters:
  /set parameter seed <int>               Random number seed
  /set parameter num_predict <int>        Tokens to generate at most
  /set parameter top_k <int>              Choose among the k most likely tokens
  /set parameter top_p <float>            Choose among the most likely tokens of this total probability
  /set parameter min_p <float>            Least probability, relative to the most likely token
  /set parameter num_ctx <int>            Context in tokens
  /set parameter temperature <float>      How freely to choose
  /set parameter repeat_penalty <float>   How strongly to avoid repetition
  /set parameter repeat_last_n <int>      How far back to look for repetition
  /set parameter num_keep <int>           Tokens that stay when the context moves on
  /set parameter stop <text> <text> ...   Texts that end an answer
"
            }
            Topic::Shortcuts => {
                "\
Available keyboard shortcuts:
  Ctrl + a            To the start of the line (Home)
  Ctrl + e            To the end of the line (End)
  Alt + b, Alt + f    Back or forward by a word
  Ctrl + k            Delete to the end of the line
  Ctrl + u            Delete to the start of the line
  Ctrl + w            Delete the word before the cursor
  Ctrl + l            Clear the screen
  Ctrl + g            Open the line in your editor
  Ctrl + r            Search the history
  Ctrl + c            Stop the answer
  Ctrl + d            Exit
"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands() {
        let set = Command::Set;
        for (line, want) in [
            ("/list", Command::List(None)),
            ("/list lla", Command::List(Some("lla".into()))),
            ("/load m:1b", Command::Load("m:1b".into())),
            ("/load", Command::Help(Topic::Load)),
            ("/save  mine ", Command::Save("mine".into())),
            ("/save a b", Command::Help(Topic::Save)),
            ("/clear", Command::Clear),
            ("/bye", Command::Bye),
            ("/exit", Command::Bye),
            ("/set", Command::Help(Topic::Set)),
            ("/set parameter seed", Command::Help(Topic::Parameters)),
            ("/set system", Command::Help(Topic::Set)),
            (
                "/set system  Be  brief. ",
                set(Setting::System("Be  brief.".into())),
            ),
            ("/set history", set(Setting::History(true))),
            ("/set nohistory", set(Setting::History(false))),
            ("/set nowordwrap", set(Setting::Wrap(false))),
            ("/set format json", set(Setting::JsonFormat)),
            ("/set format xml", set(Setting::BadFormat)),
            ("/set noformat", set(Setting::NoFormat)),
            ("/set verbose", set(Setting::Verbose(true))),
            ("/set quiet", set(Setting::Verbose(false))),
            ("/set think", set(Setting::Think(None))),
            ("/set think high", set(Setting::Think(Some("high".into())))),
            ("/set nothink", set(Setting::NoThink)),
            ("/set colour", Command::Unknown("/set colour".into())),
            ("/show", Command::Help(Topic::Show)),
            ("/show info", Command::Show(Part::Info)),
            (
                "/show everything",
                Command::Unknown("/show everything".into()),
            ),
            ("/?", Command::Help(Topic::All)),
            ("/help set", Command::Help(Topic::Set)),
            ("/? shortcuts", Command::Help(Topic::Shortcuts)),
            (
                "/etc/passwd is here",
                Command::Unknown("/etc/passwd".into()),
            ),
            ("/", Command::Unknown("/".into())),
        ] {
            assert_eq!(Command::parse(line), want, "{line}");
        }
        let stop = Setting::Parameter {
            name: "stop".into(),
            values: vec!["a".into(), "b".into()],
        };
        assert_eq!(
            Command::parse("/set parameter stop a b"),
            Command::Set(stop)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in "/.{0,30}") {
            Command::parse(&line);
        }
    }
}
