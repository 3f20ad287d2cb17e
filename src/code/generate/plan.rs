//! Which files to write: asked of the model before any of them is written.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::path::{PATTERN, ProjectPath};
use super::project::Project;

/// Characters of what is said about a file.
const PURPOSE_CHARS: usize = 120;
/// Characters of what is said about the whole.
const NOTES_CHARS: usize = 300;
/// What a small model says of each when it says the most, in tokens.
const TOKENS_PER_FILE: usize = 70;
const TOKENS_OF_NOTES: usize = 120;

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = FileAction)]
pub enum Action {
    /// It is new.
    Create,
    /// It is written anew.
    Edit,
    /// It goes.
    Delete,
}

/// A file of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedFile {
    /// Where it is.
    pub path: ProjectPath,
    /// What happens to it.
    pub action: Action,
    /// What it is for, or what will change.
    pub purpose: String,
}

/// What will be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The files, each once.
    pub files: Vec<PlannedFile>,
    /// The whole in a few words.
    pub notes: String,
    /// What of the model's plan is not done.
    pub left_out: Vec<LeftOut>,
    /// Whether it broke off, so that files may be missing.
    pub is_cut: bool,
}

/// A file that is not written after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Where it would be, as the model has it.
    pub path: String,
    /// Why it is not.
    pub reason: String,
}

/// What a plan may be about.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    /// The project as it is.
    pub project: &'a Project,
    /// Files that are short enough to be written anew.
    pub editable: Vec<&'a ProjectPath>,
    /// Files of the plan at most.
    pub most: usize,
}

#[derive(Deserialize)]
struct Written {
    notes: String,
    files: Vec<WrittenFile>,
}

#[derive(Deserialize)]
struct WrittenFile {
    action: Action,
    path: String,
    purpose: String,
}

/// How many files a plan may have that is written in so many tokens.
pub(super) fn most_files(tokens: usize, most: usize) -> usize {
    (tokens.saturating_sub(TOKENS_OF_NOTES) / TOKENS_PER_FILE).clamp(1, most)
}

impl Scope<'_> {
    /// The JSON schema of a plan: new files have paths that stay inside, others are files that are there.
    pub(super) fn form(&self) -> Value {
        let file = |action: Action, path: Value| {
            json!({
                "type": "object",
                "properties": {
                    "action": {"const": action},
                    "path": path,
                    "purpose": {"type": "string", "minLength": 1, "maxLength": PURPOSE_CHARS},
                },
                "required": ["action", "path", "purpose"],
                "additionalProperties": false,
            })
        };
        let mut kinds = vec![file(
            Action::Create,
            json!({"type": "string", "pattern": PATTERN}),
        )];
        if !self.editable.is_empty() {
            kinds.push(file(Action::Edit, json!({"enum": self.editable})));
        }
        let given: Vec<&ProjectPath> = self.project.files().map(|(path, _)| path).collect();
        if !given.is_empty() {
            kinds.push(file(Action::Delete, json!({"enum": given})));
        }
        json!({
            "type": "object",
            "properties": {
                "notes": {"type": "string", "minLength": 1, "maxLength": NOTES_CHARS},
                "files": {"type": "array", "minItems": 1, "maxItems": self.most, "items": {"anyOf": kinds}},
            },
            "required": ["notes", "files"],
            "additionalProperties": false,
        })
    }

    /// The plan that a model wrote, without what cannot be done. Of one that broke off it has the files that were reached;
    /// `None`: there are none.
    pub(super) fn plan(&self, text: &str) -> Option<Plan> {
        let whole = serde_json::from_str::<Written>(text).ok();
        let is_cut = whole.is_none();
        let written = whole.or_else(|| begun(text))?;
        let mut plan = Plan {
            notes: on_one_line(&written.notes),
            is_cut,
            ..Plan::default()
        };
        // What the project will be, for paths that do not go together.
        let mut after = self.project.clone();
        for file in written.files {
            match self.planned(&file, &plan, &after) {
                Ok(planned) => {
                    match planned.action {
                        Action::Delete => after.remove(&planned.path),
                        Action::Create | Action::Edit => {
                            after.write(planned.path.clone(), String::new());
                        }
                    }
                    plan.files.push(planned);
                }
                Err(reason) => plan.left_out.push(LeftOut {
                    path: file.path,
                    reason,
                }),
            }
        }
        Some(plan)
    }

    fn planned(
        &self,
        file: &WrittenFile,
        plan: &Plan,
        after: &Project,
    ) -> Result<PlannedFile, String> {
        let path = ProjectPath::new(&file.path).map_err(|error| format!("its path {error}"))?;
        let key = path.key();
        if plan.files.iter().any(|other| other.path.key() == key) {
            return Err("it is planned already".to_owned());
        }
        let purpose = on_one_line(&file.purpose);
        let planned = |path: ProjectPath, action| PlannedFile {
            path,
            action,
            purpose: purpose.clone(),
        };
        match (file.action, self.project.known(&path)) {
            (Action::Delete, Some(known)) => Ok(planned(known.clone(), Action::Delete)),
            (Action::Delete | Action::Edit, None) => Err("there is no such file".to_owned()),
            // A file that is there is not new, whatever it is called.
            (Action::Create | Action::Edit, Some(known)) => match self.editable.contains(&known) {
                true => Ok(planned(known.clone(), Action::Edit)),
                false => Err("it is too long for the model to be written anew".to_owned()),
            },
            (Action::Create, None) if after.is_blocked(&path) => {
                Err("it would be a file and a folder at once".to_owned())
            }
            (Action::Create, None) => Ok(planned(path, Action::Create)),
        }
    }
}

/// The beginning of a plan, up to the last file that is whole.
fn begun(text: &str) -> Option<Written> {
    let mut ends = text.rmatch_indices('}').map(|(at, _)| &text[..=at]);
    ends.find_map(|start| serde_json::from_str(&format!("{start}]}}")).ok())
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        let files = [("index.html", "<p>"), ("big.js", "x"), ("css/a.css", "")];
        Project::new(files.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()).unwrap()
    }

    fn read(files: Value) -> Plan {
        let project = project();
        let all: Vec<&ProjectPath> = project.files().map(|(path, _)| path).collect();
        let scope = Scope {
            project: &project,
            editable: all
                .into_iter()
                .filter(|path| path.as_str() != "big.js")
                .collect(),
            most: 8,
        };
        let text = json!({"notes": "A\n plan.", "files": files}).to_string();
        scope.plan(&text).unwrap()
    }

    fn file(action: &str, path: &str) -> Value {
        json!({"action": action, "path": path, "purpose": "p"})
    }

    #[test]
    fn files_are_created_edited_and_deleted() {
        let plan = read(json!([
            file("create", "src/app.js"),
            file("edit", "index.html"),
            file("delete", "big.js")
        ]));
        let got: Vec<_> = plan
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.action))
            .collect();
        let want = [
            ("src/app.js", Action::Create),
            ("index.html", Action::Edit),
            ("big.js", Action::Delete),
        ];
        assert_eq!(got, want);
        assert_eq!((plan.notes.as_str(), plan.left_out.len()), ("A plan.", 0));
    }

    #[test]
    fn a_file_that_is_there_is_edited_and_never_created() {
        let plan = read(json!([file("create", "Index.HTML")]));
        assert_eq!(plan.files[0].path.as_str(), "index.html");
        assert_eq!(plan.files[0].action, Action::Edit);
    }

    #[test]
    fn what_cannot_be_done_is_left_out_and_told() {
        for (files, want) in [
            (
                json!([file("create", "nul.txt")]),
                "its path has a part that is a reserved name",
            ),
            (
                json!([file("create", "../a")]),
                "its path must stay inside the project",
            ),
            (json!([file("edit", "none.js")]), "there is no such file"),
            (json!([file("delete", "none.js")]), "there is no such file"),
            (json!([file("edit", "big.js")]), "too long for the model"),
            (
                json!([file("create", "css")]),
                "a file and a folder at once",
            ),
            (
                json!([file("create", "index.html/x")]),
                "a file and a folder at once",
            ),
        ] {
            let plan = read(files);
            assert_eq!((plan.files.len(), plan.left_out.len()), (0, 1));
            assert!(
                plan.left_out[0].reason.contains(want),
                "{:?}",
                plan.left_out
            );
        }
        let plan = read(json!([
            file("create", "a.js"),
            file("create", "A.js"),
            file("create", "a.js/b")
        ]));
        assert_eq!((plan.files.len(), plan.left_out.len()), (1, 2), "{plan:?}");
    }

    #[test]
    fn forms_offer_only_files_that_are_there() {
        let empty = Project::default();
        let scope = Scope {
            project: &empty,
            editable: Vec::new(),
            most: 3,
        };
        let kinds = |form: &Value| {
            form["properties"]["files"]["items"]["anyOf"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(kinds(&scope.form()), 1, "nothing to edit or delete");
        assert_eq!(scope.plan("{\"notes\": \"x\", \"files\": ["), None);
        let project = project();
        let path = ProjectPath::new("index.html").unwrap();
        let scope = Scope {
            project: &project,
            editable: vec![&path],
            most: 3,
        };
        let form = scope.form();
        let items = &form["properties"]["files"]["items"]["anyOf"];
        assert_eq!(
            items[1]["properties"]["path"],
            json!({"enum": ["index.html"]})
        );
        assert_eq!(
            items[2]["properties"]["path"]["enum"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        assert_eq!(form["properties"]["files"]["maxItems"], 3);
    }

    #[test]
    fn a_plan_that_broke_off_has_the_files_it_reached() {
        let empty = Project::default();
        let scope = Scope {
            project: &empty,
            editable: Vec::new(),
            most: 3,
        };
        let text = r#"{"notes": "n", "files": [{"action": "create", "path": "a", "purpose": "{x}"}, {"action": "create", "path": "b", "purpose": "} "#;
        let plan = scope.plan(text).unwrap();
        assert!(plan.is_cut);
        assert_eq!(
            (plan.files.len(), plan.files[0].purpose.as_str()),
            (1, "{x}")
        );
        assert_eq!(scope.plan(r#"{"notes": "n}"#), None);
    }

    #[test]
    fn short_contexts_have_short_plans() {
        assert_eq!(most_files(768, 8), 8);
        assert_eq!(most_files(400, 8), 4);
        assert_eq!(most_files(0, 8), 1);
    }
}
