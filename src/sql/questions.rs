//! Questions over three schemas as people have them: each answer must get through every step that a model's
//! would.

use serde::Deserialize;

use super::answer::{BUDGET_TOKENS, prompt};
use super::link::{Hints, Linker};
use super::resolve::resolve;
use super::{Dialect, Schema, grammar, guard};

const SCHEMAS: [(&str, &str); 3] = [
    (
        "shop",
        include_str!("../../models/starter/eval/questions/shop.sql"),
    ),
    (
        "bank",
        include_str!("../../models/starter/eval/questions/bank.sql"),
    ),
    (
        "clinic",
        include_str!("../../models/starter/eval/questions/clinic.sql"),
    ),
];

#[derive(Deserialize)]
struct Question {
    schema: String,
    question: String,
    sql: String,
}

#[test]
fn answers_pass_every_step() {
    let questions: Vec<Question> = serde_json::from_str(include_str!(
        "../../models/starter/eval/questions/questions.json"
    ))
    .unwrap();
    assert!(questions.len() >= 60);
    let mut missed = Vec::new();
    for (name, ddl) in SCHEMAS {
        let schema = Schema::from_ddl(ddl, Dialect::Postgres).unwrap();
        let linker = Linker::new(schema.clone(), &Hints::default());
        for question in questions.iter().filter(|question| question.schema == name) {
            let sql = &question.sql;
            let readable = guard::check(sql, Dialect::Postgres).unwrap();
            let found = resolve(readable.statement(), &schema);
            assert!(found.problems.is_empty(), "{sql}: {:?}", found.problems);
            let linked = match linker.link(&question.question, BUDGET_TOKENS, None) {
                Ok(linked) => linked.schema,
                Err(error) => {
                    missed.push(format!("{}: {error}", question.question));
                    continue;
                }
            };
            for table in &found.tables {
                if linked.table(table).is_none() {
                    missed.push(format!("{}: {table} is not linked", question.question));
                }
            }
            let (taken, whole) = grammar::tests::Checked::new(grammar::lark(&linked)).taken(sql);
            if !whole {
                let (good, bad) = sql.split_at(taken);
                missed.push(format!("{good} <<< {bad}"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// A prompt that begins as the one before did is not read again.
#[test]
fn prompts_over_one_schema_begin_alike() {
    let questions: Vec<Question> = serde_json::from_str(include_str!(
        "../../models/starter/eval/questions/questions.json"
    ))
    .unwrap();
    for (name, ddl) in SCHEMAS {
        let schema = Schema::from_ddl(ddl, Dialect::Postgres).unwrap();
        let linker = Linker::new(schema, &Hints::default());
        let asked = questions.iter().filter(|question| question.schema == name);
        let prompts: Vec<String> = asked
            .map(|question| {
                let linked = linker
                    .link(&question.question, BUDGET_TOKENS, None)
                    .unwrap();
                prompt(&linked.schema, &linked.examples, &question.question, None)
            })
            .collect();
        for pair in prompts.windows(2) {
            let bytes = pair[0].bytes().zip(pair[1].bytes());
            let same = bytes.take_while(|(a, b)| a == b).count();
            let share = same as f64 / pair[1].len() as f64;
            assert!(share >= 0.9, "{name}: {share} of\n{}", pair[1]);
        }
    }
}
