//! What a database says of how it would run a statement.

use serde_json::Value;

/// A plan, as far as advice needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Tables that are read from end to end, by name or alias, in small letters.
    scans: Vec<String>,
    /// The whole cost in the database's own unit, if it tells.
    pub cost: Option<f64>,
}

impl Plan {
    /// Reads PostgreSQL's `EXPLAIN (FORMAT JSON)` or the lines of SQLite's `EXPLAIN QUERY PLAN`.
    pub fn read(text: &str) -> Option<Plan> {
        let mut plan = Plan::default();
        if let Ok(json) = serde_json::from_str::<Value>(text) {
            let root = json.get(0).unwrap_or(&json).get("Plan")?;
            plan.cost = root.get("Total Cost").and_then(Value::as_f64);
            plan.walk(root);
            return Some(plan);
        }
        let mut known = false;
        for line in text.lines() {
            let words: Vec<&str> = line
                .trim_start_matches(['|', '-', '`', ' '])
                .split_whitespace()
                .collect();
            match words.as_slice() {
                ["SCAN", rest @ ..] => {
                    known = true;
                    let table = rest.iter().find(|word| **word != "TABLE");
                    let by_index = rest.contains(&"INDEX");
                    plan.scans.extend(
                        table
                            .filter(|_| !by_index)
                            .map(|table| table.to_lowercase()),
                    );
                }
                ["SEARCH", ..] => known = true,
                _ => {}
            }
        }
        known.then_some(plan)
    }

    fn walk(&mut self, node: &Value) {
        let name = |key: &str| node.get(key).and_then(Value::as_str);
        if name("Node Type").is_some_and(|kind| kind.ends_with("Seq Scan")) {
            let names = [name("Relation Name"), name("Alias")];
            self.scans
                .extend(names.into_iter().flatten().map(str::to_lowercase));
        }
        for inner in node
            .get("Plans")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.walk(inner);
        }
    }

    /// Whether the table is read from end to end.
    pub fn scans(&self, table: &str) -> bool {
        self.scans.contains(&table.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_two_databases_are_read() {
        let postgres = r#"[{"Plan": {"Node Type": "Hash Join", "Total Cost": 42.5, "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "o"},
            {"Node Type": "Index Scan", "Relation Name": "users", "Alias": "u"}]}}]"#;
        let plan = Plan::read(postgres).unwrap();
        assert_eq!(plan.cost, Some(42.5));
        assert!(plan.scans("orders") && plan.scans("O") && !plan.scans("users"));
        let sqlite =
            Plan::read("SCAN o\nSEARCH users USING INTEGER PRIMARY KEY (rowid=?)").unwrap();
        assert!(sqlite.scans("o") && !sqlite.scans("users"));
        assert_eq!(Plan::read("what is this"), None);
    }
}
