//! Enumerations.

use super::Planner;

impl Planner<'_, '_> {
    pub(super) fn enums(&mut self) {
        for (name, labels) in &self.new.details.enums {
            let Some(before) = self.old.details.enums.get(name) else {
                let list: Vec<String> = labels.iter().map(|label| text(label)).collect();
                self.say(format!(
                    "CREATE TYPE {} AS ENUM ({})",
                    self.write.ident(name),
                    list.join(", ")
                ));
                continue;
            };
            for (at, label) in labels
                .iter()
                .enumerate()
                .filter(|(_, label)| !before.contains(label))
            {
                let place = match at.checked_sub(1) {
                    Some(before) => format!(" AFTER {}", text(&labels[before])),
                    None => format!(
                        " BEFORE {}",
                        text(&before.first().cloned().unwrap_or_default())
                    ),
                };
                self.say(format!(
                    "ALTER TYPE {} ADD VALUE {}{place}",
                    self.write.ident(name),
                    text(label)
                ));
            }
            let gone: Vec<String> = before
                .iter()
                .filter(|label| !labels.contains(label))
                .cloned()
                .collect();
            if !gone.is_empty() {
                self.warn(format!(
                    "the type {name} keeps {}: labels cannot be removed",
                    gone.join(", ")
                ));
            }
        }
    }

    pub(super) fn drop_enums(&mut self) {
        for name in self.old.details.enums.keys() {
            if !self.new.details.enums.contains_key(name) {
                self.say(format!("DROP TYPE {}", self.write.ident(name)));
            }
        }
    }
}

fn text(label: &str) -> String {
    format!("'{}'", label.replace('\'', "''"))
}
