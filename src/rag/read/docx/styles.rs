//! What paragraphs are by their style.

use std::collections::HashMap;

use super::{Part, ReadError, attribute, events};

/// Styles that stand on each other.
const MOST_BASES: usize = 16;

/// What a paragraph is, if it is no plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    /// Its level, from 1.
    Heading(u8),
    /// A line of a table of contents.
    Contents,
}

/// By the names that paragraphs call them.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    role: Option<Role>,
    based_on: Option<String>,
}

impl Styles {
    pub(super) fn read(xml: &str) -> Result<Self, ReadError> {
        let mut styles = HashMap::new();
        let mut id = None;
        let mut style = Style::default();
        events(xml, |event| {
            match event {
                Part::Start(element) => match element.local_name().as_ref() {
                    "style" => {
                        id = attribute(element, "styleId");
                        style = Style::default();
                    }
                    "name" => {
                        let role = attribute(element, "val").and_then(|name| named_role(&name));
                        style.role = role.or(style.role);
                    }
                    "basedOn" => style.based_on = attribute(element, "val"),
                    "outlineLvl" => {
                        let role = attribute(element, "val").and_then(|level| outline_role(&level));
                        style.role = style.role.or(role);
                    }
                    _ => {}
                },
                Part::End("style") => {
                    if let Some(id) = id.take() {
                        styles.insert(id, std::mem::take(&mut style));
                    }
                }
                Part::End(_) | Part::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// The role of a style or of the nearest that it is based on.
    pub(super) fn role(&self, id: &str) -> Option<Role> {
        let mut id = id;
        for _ in 0..MOST_BASES {
            let Some(style) = self.0.get(id) else {
                // Some programs name styles without describing them.
                return named_role(id);
            };
            if style.role.is_some() {
                return style.role;
            }
            id = style.based_on.as_deref()?;
        }
        None
    }
}

/// The role of a style that programs know by its name.
fn named_role(name: &str) -> Option<Role> {
    let name = name.to_ascii_lowercase();
    let number = |prefix: &str| name.strip_prefix(prefix)?.trim().parse::<u8>().ok();
    match number("heading") {
        Some(level @ 1..=9) => Some(Role::Heading(level)),
        _ if name == "title" => Some(Role::Title),
        _ if number("toc").is_some() => Some(Role::Contents),
        _ => None,
    }
}

/// The role of a level of an outline, which counts from 0; 9 is plain text.
pub(super) fn outline_role(level: &str) -> Option<Role> {
    let level: u8 = level.parse().ok()?;
    (level < 9).then_some(Role::Heading(level + 1))
}
