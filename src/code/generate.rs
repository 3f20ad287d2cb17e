//! From a request in words to the files of a project: planned first, then written one by one.
//!
//! The plan is JSON under a schema in which new files stay inside the project and others are files that are there. Each
//! file is written whole, between fences that its own text cannot close, then checked; a file with a mistake is written
//! once more. What is not sound after that is told in the notes. All calls go on with one conversation, so that the
//! model reads its beginning once.
//!
//! The model is a [`Writer`]; nothing here knows how it is asked.

mod fence;
mod memory;
mod path;
mod plan;
mod project;
mod stack;
mod wording;

use std::future::Future;
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::check::{self, Problem};
use super::language;
use crate::engine::Constraint;

pub use memory::{Conversation, Kept, Memory};
pub use path::{PathError, ProjectPath};
pub use plan::{Action, PlannedFile};
pub use project::{Clash, Project, ProjectError};
pub use stack::{Stack, find as stack, names as stacks};

use fence::Fence;
use plan::{LeftOut, Plan, Scope};
use wording::{ask_for, ask_to_mend, clipped, complaint, rules, shown, task};

/// Files of one answer at most.
const MOST_FILES: usize = 8;
/// Tokens of a plan and of a file at most; less where the context is short.
const PLAN_TOKENS: usize = 768;
const FILE_TOKENS: usize = 3072;
/// What a template puts around a message, generously.
const TURN_TOKENS: usize = 12;
/// A token of code is about this many bytes and seldom twice as many: files are measured before they are counted.
const BYTES_PER_TOKEN: usize = 4;
/// Requests that a conversation remembers, and characters of each.
const REQUESTS: usize = 4;
const REQUEST_CHARS: usize = 300;
/// A second attempt should come to something else.
const SECOND_TEMPERATURE: f32 = 0.5;

/// Who says something to the model, or the model itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The rules.
    System,
    /// The task.
    User,
    /// The model.
    Model,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose it is.
    pub role: Role,
    /// What it says.
    pub text: String,
}

/// What a model is asked to write.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The conversation so far; it ends with the task.
    pub turns: Vec<Turn>,
    /// What the answer is held to.
    pub form: Constraint,
    /// Tokens of the answer at most.
    pub max_tokens: usize,
    /// 0: the likeliest words.
    pub temperature: f32,
}

/// Takes the pieces of an answer as they come.
pub type Say<'a> = dyn FnMut(&str) + Send + 'a;

/// A model.
pub trait Writer: Sync {
    /// Why it wrote nothing.
    type Error: Send;

    /// Tokens of prompt and answer together at most.
    fn context_tokens(&self) -> usize;

    /// Tokens of a text.
    fn count(&self, text: &str) -> usize;

    /// Writes, piece by piece.
    fn write(
        &self,
        ask: Ask,
        say: &mut Say<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What to make.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    /// In words.
    pub prompt: String,
    /// What it is built with.
    pub stack: Option<Stack>,
    /// The files that are there.
    pub project: Project,
    /// What the same conversation asked for before, the oldest first.
    pub earlier: Vec<String>,
    /// No file is begun that would likely not be done by then; the first one always is.
    pub until: Instant,
}

/// A file of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedFile {
    /// Where it is, from the root of the project; it never leads out of it.
    #[schema(example = "src/App.jsx")]
    pub path: ProjectPath,
    /// All of it; nothing for one that is deleted.
    pub content: String,
    /// Its language, by its name.
    #[schema(example = "javascript")]
    pub language: &'static str,
    /// What happens to it.
    pub action: Action,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Files that changed, in the order in which they were written.
    pub files: Vec<ChangedFile>,
    /// What was done, and what is not as it should be.
    pub notes: String,
    /// The project with the changes.
    pub project: Project,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress<'a> {
    /// What will be written.
    Plan(&'a [PlannedFile]),
    /// More of a file, as it is first written.
    Text {
        /// The file.
        path: &'a ProjectPath,
        /// What comes next in it.
        text: &'a str,
    },
    /// A file that is done.
    File(&'a ChangedFile),
}

/// Takes what there is to tell.
pub type Tell<'a> = dyn FnMut(Progress<'_>) + Send + 'a;

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError<E> {
    /// The plan broke off before its first file.
    #[error("the plan did not come to an end")]
    NoPlan,
    /// Nothing that was planned could be done; holds the reasons, without the paths.
    #[error("nothing came of the plan: {0}")]
    Nothing(String),
    /// The model failed.
    #[error("the model failed")]
    Writer(E),
}

/// Plans the files and writes them.
///
/// # Errors
/// A model that fails or whose plan comes to nothing.
pub async fn generate<W: Writer>(
    request: &CodeRequest,
    writer: &W,
    tell: &mut Tell<'_>,
) -> Result<Generated, GenerateError<W::Error>> {
    let mut desk = Desk::new(request, writer);
    let plan = desk.plan().await?;
    tell(Progress::Plan(&plan.files));
    let mut done = Generated {
        project: request.project.clone(),
        ..Generated::default()
    };
    let mut notes = vec![plan.notes];
    if plan.is_cut {
        notes.push("The plan broke off: files may be missing".to_owned());
    }
    let mut left_out = plan.left_out;
    let mut longest = Duration::ZERO;
    for (at, planned) in plan.files.iter().enumerate() {
        let begun = Instant::now();
        if at > 0 && begun + longest >= request.until {
            left_out.push(LeftOut {
                path: planned.path.to_string(),
                reason: "there is no time left, ask for it again".to_owned(),
            });
            continue;
        }
        let outcome = desk.change(planned, &mut done.project, tell).await?;
        longest = longest.max(begun.elapsed());
        match outcome {
            Ok(changed) => {
                notes.extend(changed.note);
                tell(Progress::File(&changed.file));
                done.files.push(changed.file);
            }
            Err(reason) => left_out.push(LeftOut {
                path: planned.path.to_string(),
                reason: reason.to_owned(),
            }),
        }
    }
    if done.files.is_empty() {
        return Err(nothing(&left_out));
    }
    let told = left_out
        .iter()
        .map(|file| format!("{} was not written: {}", file.path, file.reason));
    notes.extend(told);
    notes.extend(unchecked(&done.files));
    done.notes = notes.join("\n");
    Ok(done)
}

fn nothing<E>(left_out: &[LeftOut]) -> GenerateError<E> {
    let mut reasons: Vec<&str> = left_out.iter().map(|file| file.reason.as_str()).collect();
    reasons.dedup();
    GenerateError::Nothing(reasons.join("; "))
}

/// The requests of a conversation with one more, the oldest ones left out.
pub fn remembered(mut earlier: Vec<String>, prompt: &str) -> Vec<String> {
    earlier.push(clipped(prompt, REQUEST_CHARS));
    let surplus = earlier.len().saturating_sub(REQUESTS);
    earlier.split_off(surplus)
}

/// What is said of files that nothing here can check.
fn unchecked(files: &[ChangedFile]) -> Option<String> {
    let is_unchecked =
        |file: &&ChangedFile| file.action != Action::Delete && !check::is_known(file.language);
    let paths: Vec<&str> = files
        .iter()
        .filter(is_unchecked)
        .map(|file| file.path.as_str())
        .collect();
    (!paths.is_empty()).then(|| format!("Syntax not checked: {}", paths.join(", ")))
}

/// How the context is divided, in tokens.
#[derive(Clone, Copy, Debug)]
struct Room {
    context: usize,
    plan: usize,
    file: usize,
    /// Files of the project that the model sees throughout.
    shown: usize,
}

impl Room {
    fn new(context: usize) -> Room {
        let plan = PLAN_TOKENS.min(context / 4);
        let file = FILE_TOKENS.min(context / 3);
        Room {
            context,
            plan,
            file,
            shown: (context - plan - file) / 2,
        }
    }
}

/// A file of the conversation: what was asked and what was written.
struct Exchange {
    ask: String,
    answer: String,
}

/// A file that is done.
struct Done {
    file: ChangedFile,
    /// What is to be told about it.
    note: Option<String>,
}

/// A version of a file.
struct Draft {
    content: String,
    is_whole: bool,
    problem: Option<Problem>,
}

impl Draft {
    /// Larger is better.
    fn rank(&self) -> (bool, bool) {
        (self.is_whole, self.problem.is_none())
    }

    fn is_sound(&self) -> bool {
        self.rank() == (true, true)
    }
}

/// One request at work.
struct Desk<'a, W> {
    request: &'a CodeRequest,
    writer: &'a W,
    room: Room,
    editable: Vec<&'a ProjectPath>,
    /// Rules and task; then the same without the files' contents.
    beginnings: [Vec<Turn>; 2],
    plan: String,
    written: Vec<Exchange>,
}

impl<'a, W: Writer> Desk<'a, W> {
    fn new(request: &'a CodeRequest, writer: &'a W) -> Desk<'a, W> {
        let room = Room::new(writer.context_tokens());
        let is_short = |text: &str| text.len() <= room.file * BYTES_PER_TOKEN;
        let editable = request.project.files().filter(|(_, text)| is_short(text));
        let shown = shown(request, writer, room.shown);
        let beginning = |shown: &[&ProjectPath]| {
            vec![
                turn(Role::System, rules(request.stack)),
                turn(Role::User, task(request, shown)),
            ]
        };
        Desk {
            request,
            writer,
            room,
            editable: editable.map(|(path, _)| path).collect(),
            beginnings: [beginning(&shown), beginning(&[])],
            plan: String::new(),
            written: Vec::new(),
        }
    }

    async fn plan(&mut self) -> Result<Plan, GenerateError<W::Error>> {
        let scope = Scope {
            project: &self.request.project,
            editable: self.editable.clone(),
            most: plan::most_files(self.room.plan, MOST_FILES),
        };
        let room = self.room.context.saturating_sub(self.room.plan);
        let [whole, lean] = &self.beginnings;
        let beginning = if self.tokens(whole) <= room {
            whole
        } else {
            lean
        };
        let ask = Ask {
            turns: beginning.clone(),
            form: Constraint::Schema(scope.form()),
            max_tokens: self.room.plan,
            temperature: 0.0,
        };
        let mut text = String::new();
        let mut take = |piece: &str| text.push_str(piece);
        let writing = self.writer.write(ask, &mut take).await;
        writing.map_err(GenerateError::Writer)?;
        let plan = scope.plan(&text).ok_or(GenerateError::NoPlan)?;
        if plan.files.is_empty() {
            return Err(nothing(&plan.left_out));
        }
        self.plan = text;
        Ok(plan)
    }

    /// Does what is planned for one file, or tells why not.
    async fn change(
        &mut self,
        planned: &PlannedFile,
        project: &mut Project,
        tell: &mut Tell<'_>,
    ) -> Result<Result<Done, &'static str>, GenerateError<W::Error>> {
        let path = &planned.path;
        if planned.action == Action::Delete {
            project.remove(path);
            let file = changed(planned, String::new());
            return Ok(Ok(Done { file, note: None }));
        }
        let stored = project
            .content(path)
            .filter(|_| planned.action == Action::Edit);
        // Line ends of another system come back as they were.
        let has_returns = stored.is_some_and(|text| text.contains("\r\n"));
        let present = stored.map(|text| text.replace("\r\n", "\n"));
        let Some(mut draft) = self.draft(planned, present.as_deref(), tell).await? else {
            return Ok(Err("it does not fit into the model's context"));
        };
        let mut note = None;
        if !draft.is_sound() {
            let first = complaint(&draft);
            if let Some(second) = self.repaired(planned, present.as_deref(), &draft).await?
                && second.rank() >= draft.rank()
            {
                draft = second;
            }
            note = Some(match draft.is_sound() {
                true => format!("{path} was written twice, as the first time {first}"),
                false => format!("{path} is not sound: {}", complaint(&draft)),
            });
        }
        if planned.action == Action::Edit && !draft.is_whole {
            // Half a file must not take the place of a whole one.
            return Ok(Err("it broke off, so it stays as it was"));
        }
        let is_same = |present: &str| present.trim_end() == draft.content.trim_end();
        if present.as_deref().is_some_and(is_same) {
            return Ok(Err("it came out as it was"));
        }
        let answer = fence(planned, present.as_deref()).wrap(&draft.content);
        let content = match has_returns {
            true => draft.content.replace('\n', "\r\n"),
            false => draft.content,
        };
        if !project.write(path.clone(), content.clone()) {
            return Ok(Err("the project would be too large"));
        }
        self.written.push(Exchange {
            ask: ask_for(planned, None),
            answer,
        });
        let file = changed(planned, content);
        Ok(Ok(Done { file, note }))
    }

    /// The file as it is first written; `None`: there is no room for it.
    async fn draft(
        &self,
        planned: &PlannedFile,
        present: Option<&str>,
        tell: &mut Tell<'_>,
    ) -> Result<Option<Draft>, GenerateError<W::Error>> {
        let last = [turn(Role::User, ask_for(planned, present))];
        let Some(turns) = self.turns(&last) else {
            return Ok(None);
        };
        let mut reader = fence(planned, present).reader();
        let mut say = |piece: &str| {
            let text = reader.push(piece);
            if !text.is_empty() {
                tell(Progress::Text {
                    path: &planned.path,
                    text: &text,
                });
            }
        };
        self.write(planned, present, turns, 0.0, &mut say)
            .await
            .map(Some)
    }

    /// The file written once more; `None`: there is no room for that.
    async fn repaired(
        &self,
        planned: &PlannedFile,
        present: Option<&str>,
        draft: &Draft,
    ) -> Result<Option<Draft>, GenerateError<W::Error>> {
        let last = [
            turn(Role::User, ask_for(planned, present)),
            turn(Role::Model, fence(planned, present).wrap(&draft.content)),
            turn(Role::User, ask_to_mend(planned, draft)),
        ];
        // A draft that broke off is as long as an answer may be, and need not be read again.
        let short = [turn(
            Role::User,
            format!(
                "{}\n{}",
                ask_for(planned, present),
                ask_to_mend(planned, draft)
            ),
        )];
        let turns = match draft.is_whole {
            true => self.turns(&last),
            false => self.turns(&short),
        };
        let Some(turns) = turns else {
            return Ok(None);
        };
        let mut unheard = |_: &str| {};
        let second = self.write(planned, present, turns, SECOND_TEMPERATURE, &mut unheard);
        second.await.map(Some)
    }

    async fn write(
        &self,
        planned: &PlannedFile,
        present: Option<&str>,
        turns: Vec<Turn>,
        temperature: f32,
        say: &mut Say<'_>,
    ) -> Result<Draft, GenerateError<W::Error>> {
        let fence = fence(planned, present);
        let ask = Ask {
            turns,
            form: Constraint::Lark(fence.grammar(may_be_empty(&planned.path))),
            max_tokens: self.room.file,
            temperature,
        };
        let mut text = String::new();
        let mut take = |piece: &str| {
            text.push_str(piece);
            say(piece);
        };
        self.writer
            .write(ask, &mut take)
            .await
            .map_err(GenerateError::Writer)?;
        let unfenced = fence.unwrap(&text);
        Ok(Draft {
            problem: check::problem(language::of(&planned.path), &unfenced.content),
            content: unfenced.content,
            is_whole: unfenced.is_whole,
        })
    }

    fn tokens(&self, turns: &[Turn]) -> usize {
        let counts = turns
            .iter()
            .map(|turn| self.writer.count(&turn.text) + TURN_TOKENS);
        counts.sum()
    }

    /// The conversation up to these messages, with as much of it as leaves room for a file. What was written first goes
    /// first, then the contents of the project.
    fn turns(&self, last: &[Turn]) -> Option<Vec<Turn>> {
        let mut conversation = vec![turn(Role::Model, self.plan.clone())];
        for exchange in &self.written {
            conversation.push(turn(Role::User, exchange.ask.clone()));
            conversation.push(turn(Role::Model, exchange.answer.clone()));
        }
        let tokens = |turns: &[Turn]| self.tokens(turns);
        let room = self
            .room
            .context
            .saturating_sub(self.room.file + tokens(last));
        let sizes: Vec<usize> = conversation.chunks(1).map(tokens).collect();
        for beginning in &self.beginnings {
            let start = tokens(beginning) + sizes[0];
            // From an even number of messages after the plan on, so that question and answer stay together.
            let mut left_out = (1..=conversation.len()).step_by(2);
            let first = left_out.find(|&from| start + sizes[from..].iter().sum::<usize>() <= room);
            if let Some(from) = first {
                let kept = [&conversation[..1], &conversation[from..], last].concat();
                return Some([beginning.as_slice(), &kept].concat());
            }
        }
        None
    }
}

fn turn(role: Role, text: String) -> Turn {
    Turn { role, text }
}

fn changed(planned: &PlannedFile, content: String) -> ChangedFile {
    ChangedFile {
        path: planned.path.clone(),
        content,
        language: language::of(&planned.path),
        action: planned.action,
    }
}

fn fence(planned: &PlannedFile, present: Option<&str>) -> Fence {
    Fence::new(language::of(&planned.path), present)
}

/// Files that say by being there what they are for.
fn may_be_empty(path: &ProjectPath) -> bool {
    ["__init__.py", ".gitkeep", ".nojekyll", "py.typed"].contains(&path.name())
}

#[cfg(test)]
mod tests;
