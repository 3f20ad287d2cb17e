//! Keys, unique sets and checks.

use super::Planner;
use crate::sql::Dialect;
use crate::sql::migrate::details::Rule;
use crate::sql::migrate::model::{Foreign, TableModel};

impl<'a> Planner<'_, 'a> {
    /// Foreign keys that end, or whose target changes its own key.
    pub(super) fn drop_foreign_keys(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            for key in &old.foreign {
                if !self.stays(new, key) {
                    let rule = Rule::Foreign(key.key.columns.clone());
                    self.say(self.write.drop_rule(old, &rule));
                }
            }
        }
        // Tables that point at each other cannot go one after the other.
        for old in self.removed() {
            for key in &old.foreign {
                if self.is_circular(old, key) {
                    self.say(
                        self.write
                            .drop_rule(old, &Rule::Foreign(key.key.columns.clone())),
                    );
                }
            }
        }
    }

    fn is_circular(&self, old: &TableModel<'_>, key: &Foreign<'_>) -> bool {
        let target = self.target(self.old, key);
        let points_back = |target: &TableModel<'_>| {
            target.foreign.iter().any(|key| {
                self.target(self.old, key)
                    .is_some_and(|back| back.table == old.table)
            })
        };
        target.is_some_and(|target| target.table != old.table && points_back(target))
    }

    /// Whether a key of the old table can be left as it is.
    fn stays(&self, new: &TableModel<'_>, key: &Foreign<'_>) -> bool {
        let targets = (self.target(self.old, key), self.target(self.new, key));
        let same_target = match targets {
            (Some(old), Some(new)) => old
                .rules()
                .iter()
                .all(|rule| !matches!(rule, Rule::Primary | Rule::Unique(_)) || new.has(old, rule)),
            (None, None) => true,
            _ => false,
        };
        new.has_foreign(key) && same_target
    }

    /// Whether the dialect changes keys and checks of a table that is there.
    pub(super) fn alters_rules(&self) -> bool {
        !matches!(self.dialect(), Dialect::Sqlite | Dialect::DuckDb)
    }

    pub(super) fn drop_rules(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            for rule in old.rules().iter().filter(|rule| !new.has(old, rule)) {
                self.say(self.write.drop_rule(old, rule));
            }
        }
    }

    pub(super) fn add_rules(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            let name = new.table.full_name();
            for rule in new.rules().iter().filter(|rule| !old.has(new, rule)) {
                self.say(self.write.add_rule(new, rule));
                self.warn_rule(&name, rule);
            }
        }
    }

    pub(super) fn warn_rule(&mut self, table: &str, rule: &Rule) {
        let reason = match rule {
            Rule::Primary => {
                "the new primary key fails where rows share it or have none".to_owned()
            }
            Rule::Unique(columns) => format!(
                "the new unique set fails where rows share {}",
                columns.join(", ")
            ),
            Rule::Check(check) => format!("the new check fails where rows break {check}"),
            Rule::Foreign(columns) => format!(
                "the new foreign key fails where {} points at no row",
                columns.join(", ")
            ),
        };
        self.warn(format!("{table}: {reason}"));
    }

    /// Keys of a new table that point at one created after it.
    pub(super) fn later<'t>(
        &self,
        new: &'t TableModel<'a>,
        after: &[&TableModel<'a>],
    ) -> Vec<&'t Foreign<'a>> {
        if self.dialect() == Dialect::Sqlite {
            return Vec::new();
        }
        let keys = new.foreign.iter().filter(|key| {
            let target = self.target(self.new, key).map(|target| target.table);
            after.iter().any(|other| Some(other.table) == target)
        });
        keys.collect()
    }

    pub(super) fn add_foreign_keys(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            for key in &new.foreign {
                let is_new = !old.has_foreign(key);
                if is_new || !self.stays(new, key) {
                    self.say(self.write.add_foreign(new, key));
                }
                if is_new {
                    self.warn_rule(
                        &new.table.full_name(),
                        &Rule::Foreign(key.key.columns.clone()),
                    );
                }
            }
        }
        let order = self.sorted(self.added(), self.new);
        for (at, new) in order.iter().enumerate() {
            for key in self.later(new, &order[at + 1..]) {
                self.say(self.write.add_foreign(new, key));
            }
        }
    }
}
