//! Plans for situations as they come.

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::coach::answers::Answers;
use crate::coach::check::Evidence;
use crate::coach::shelf::Shelf;
use crate::coach::writer::scripted::Scripted;

const TODAY: Date = Date::constant(2026, 11, 25);

fn request(numbers: serde_json::Value) -> PlanRequest {
    PlanRequest {
        numbers: serde_json::from_value(numbers).unwrap(),
        ..PlanRequest::default()
    }
}

/// Both steps of a plan.
async fn plan(
    desk: &Desk<'_, Scripted>,
    request: &PlanRequest,
    today: Date,
    say: &mut Say<'_>,
) -> Result<PlanAnswer, CoachError<&'static str>> {
    let found = look_up(desk.passages, request, today).await.unwrap();
    super::plan(desk, request, &found, today, say).await
}

fn planned(writer: &Scripted, request: &PlanRequest) -> PlanAnswer {
    let answers = Answers::default();
    let desk = Desk {
        passages: &Shelf,
        writer,
        answers: &answers,
    };
    let mut said = String::new();
    let mut say = |text: &str| said.push_str(text);
    let answer = plan(&desk, request, TODAY, &mut say)
        .now_or_never()
        .expect("nothing waits")
        .unwrap();
    assert_eq!(said, answer.response, "what was said is the answer");
    answer
}

/// A plan by a model that says nothing of use; checked for what holds for every plan.
fn sound(request: &PlanRequest) -> PlanAnswer {
    let answer = planned(&Scripted::new(&["It will be 987,654,321."]), request);
    let Plan {
        summary,
        steps,
        risks,
    } = &answer.plan;
    assert!(!summary.is_empty() && answer.response.starts_with(summary.as_str()));
    assert!(
        (2..=8).contains(&steps.len()) && (2..=7).contains(&risks.len()),
        "{steps:#?}"
    );
    assert!((1..=3).contains(&answer.follow_ups.len()));
    assert!(
        steps.iter().filter_map(|step| step.by).all(|by| by > TODAY),
        "{steps:#?}"
    );
    let mut ids: Vec<&str> = answer.figures.iter().map(|figure| figure.id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    // No number stands in the plan that was neither computed nor given.
    let situation = Situation::new(request, TODAY);
    let mut evidence = Evidence::new().with_figures(&answer.figures);
    for line in situation.given() {
        evidence = evidence.with_text(&line);
    }
    for text in steps
        .iter()
        .flat_map(|step| [&step.title, &step.detail])
        .chain(risks)
    {
        assert_eq!(evidence.unsupported(text), [], "{text}");
    }
    for step in steps {
        assert!(answer.response.contains(&step.title) && answer.response.contains(&step.detail));
    }
    assert!(!answer.response.contains(['<', '>']));
    answer
}

fn titles(answer: &PlanAnswer) -> Vec<&str> {
    answer
        .plan
        .steps
        .iter()
        .map(|step| step.title.as_str())
        .collect()
}

fn full() -> serde_json::Value {
    json!({"monthly_income": 3000, "monthly_expenses": 2500, "savings": 1000, "debts": [
        {"name": "car", "balance": 4000, "apr": 9, "minimum_payment": 150},
        {"name": "card", "balance": 2000, "apr": 20, "minimum_payment": 60}],
        "target_amount": 10000, "target_date": "2030-06"})
}

#[test]
fn a_whole_situation_gets_a_whole_plan_in_order() {
    let answer = sound(&request(full()));
    assert_eq!(
        titles(&answer),
        [
            "Give every month a plan",
            "Put one month of costs aside",
            "Pay the debts, the highest rate first",
            "Fill the emergency fund",
            "Save for your goal",
            "Let it run by itself",
            "Look at the plan again",
        ]
    );
    let steps = &answer.plan.steps;
    assert!(
        steps[0]
            .detail
            .starts_with("500 are left over each month, a savings rate of 16.67 %"),
        "{}",
        steps[0].detail
    );
    assert!(steps[1].detail.contains("2,500") && steps[1].detail.contains("3 months"));
    assert_eq!(steps[1].by, Some(Date::constant(2027, 2, 25)));
    assert!(
        steps[2].detail.contains("card (20 %), then car (9 %)")
            && steps[2].detail.contains("710 a month")
    );
    assert_eq!(steps[4].by, Some(Date::constant(2030, 6, 30)));
    assert!(
        answer
            .figures
            .iter()
            .any(|figure| figure.id == "avalanche_interest")
    );
    assert!(!answer.sources.is_empty());
}

#[test]
fn the_model_words_the_summary_and_only_that() {
    let says = "You keep 500 a month, so put one month of costs aside first. You will have 77,777 one day.";
    let answer = planned(&Scripted::new(&[says]), &request(full()));
    assert_eq!(
        answer.plan.summary,
        "You keep 500 a month, so put one month of costs aside first."
    );
    let other = planned(&Scripted::new(&["Something else."]), &request(full()));
    assert_eq!(
        (&other.plan.steps, &other.plan.risks, &other.figures),
        (&answer.plan.steps, &answer.plan.risks, &answer.figures)
    );
}

#[test]
fn the_beginning_of_the_prompt_is_that_of_the_chat() {
    let writer = Scripted::new(&["Yes."]);
    planned(&writer, &request(full()));
    let prompts = writer.prompts();
    assert_eq!(
        prompts[0].system,
        crate::coach::prompt::system(Level::Beginner)
    );
    assert!(
        prompts[0].user.contains("500 are left over each month")
            && !prompts[0].user.contains("2027-")
    );
}

#[test]
fn a_model_that_can_read_nothing_is_not_needed() {
    let tiny = || Scripted {
        context_tokens: 128,
        ..Scripted::new(&["Yes."])
    };
    let answer = planned(&tiny(), &request(full()));
    assert!(
        answer
            .plan
            .summary
            .starts_with("First: Give every month a plan."),
        "{}",
        answer.plan.summary
    );
    assert!(answer.plan.steps.len() > 5 && !answer.sources.is_empty());
    let answers = Answers::default();
    let writer = tiny();
    let desk = Desk {
        passages: &Shelf,
        writer: &writer,
        answers: &answers,
    };
    let long = PlanRequest {
        message: "word ".repeat(13_000),
        ..PlanRequest::default()
    };
    let answer = plan(&desk, &long, TODAY, &mut |_| {})
        .now_or_never()
        .unwrap();
    assert!(matches!(answer, Err(CoachError::TooLong)));
}

#[test]
fn without_a_goal_or_anything_there_is_a_plan_to_start_with() {
    let answer = sound(&PlanRequest::default());
    assert_eq!(
        titles(&answer)[0],
        "Write down what comes in and what goes out"
    );
    assert_eq!(answer.figures, []);
    assert!(!answer.sources.is_empty());
    let named = PlanRequest {
        profile: Profile {
            investment_goals: vec!["<b>a house</b>".to_owned()],
            ..Profile::default()
        },
        ..PlanRequest::default()
    };
    let answer = sound(&named);
    assert!(
        titles(&answer).contains(&"Put a number and a date on your goal: ‹b›a house‹/b›"),
        "{:?}",
        titles(&answer)
    );
    assert!(titles(&answer).contains(&"Work out what a home may cost"));
}

#[test]
fn who_spends_more_than_comes_in_closes_that_gap_first() {
    let answer = sound(&request(
        json!({"monthly_income": 2000, "monthly_expenses": 2600, "savings": 100}),
    ));
    assert_eq!(titles(&answer)[0], "Close the gap of 600 a month");
    assert!(answer.plan.risks[0].starts_with("Costs above income"));
    assert!(!titles(&answer).contains(&"Let it run by itself"));
    let nothing_comes_in = sound(&request(
        json!({"monthly_income": 0, "monthly_expenses": 900}),
    ));
    assert_eq!(titles(&nothing_comes_in)[0], "Close the gap of 900 a month");
}

#[test]
fn debts_that_never_end_go_to_the_lenders() {
    let debts = json!([{"name": "card", "balance": 10000, "apr": 30, "minimum_payment": 50}]);
    let answer = sound(&request(
        json!({"monthly_income": 1000, "monthly_expenses": 1000, "debts": debts}),
    ));
    assert!(titles(&answer).contains(&"Talk to your lenders"));
    assert!(
        answer
            .plan
            .risks
            .iter()
            .any(|risk| risk.contains("do not end"))
    );
    assert!(
        answer
            .follow_ups
            .contains(&"What can I do when I can no longer make the payments?".to_owned())
    );
}

#[test]
fn words_and_fields_that_differ_are_told_and_the_fields_count() {
    let mut both = request(json!({"monthly_income": 3000, "monthly_expenses": 2000}));
    both.message = "I earn 2500 a month and have 9,000 saved.".to_owned();
    let answer = sound(&both);
    assert!(
        answer.plan.risks[0].contains("income"),
        "{:?}",
        answer.plan.risks
    );
    let value = |id: &str| {
        answer
            .figures
            .iter()
            .find(|figure| figure.id == id)
            .map(|figure| figure.value)
    };
    assert_eq!(value("monthly_surplus"), Some(1000.0));
    assert_eq!(
        value("emergency_fund_months"),
        Some(4.5),
        "what only the words tell counts too"
    );
}

#[test]
fn currencies_stand_at_every_amount() {
    let mut swiss = request(full());
    swiss.profile.currency = Some("CHF".to_owned());
    let answer = sound(&swiss);
    assert!(
        answer.plan.steps[0]
            .detail
            .starts_with("500 CHF are left over")
    );
    let units: Vec<String> = answer
        .figures
        .iter()
        .map(|figure| figure.unit.to_string())
        .collect();
    assert!(units.contains(&"CHF".to_owned()) && !units.contains(&"money".to_owned()));
}

#[test]
fn risk_and_time_decide_how_to_invest() {
    let detail = |risk, years: f64| {
        let mut request =
            request(json!({"years": years, "monthly_contribution": 100, "expected_return": 5}));
        request.profile.risk_tolerance = Some(risk);
        let answer = sound(&request);
        let found = answer
            .plan
            .steps
            .iter()
            .find(|step| step.title == "Invest what is not needed soon");
        found.unwrap().detail.clone()
    };
    assert!(detail(RiskTolerance::Conservative, 20.0).contains("most of it in deposits"));
    assert!(detail(RiskTolerance::Moderate, 20.0).contains("Split it"));
    assert!(detail(RiskTolerance::Aggressive, 20.0).contains("falls hard"));
    assert!(
        detail(RiskTolerance::Aggressive, 2.0).contains("savings accounts"),
        "wanted soon"
    );
}

#[test]
fn goals_that_are_reached_past_or_too_large_are_told() {
    let reached = sound(&request(json!({"savings": 20000, "target_amount": 10000})));
    assert!(titles(&reached).contains(&"Set the goal's money apart"));
    let past = sound(&request(
        json!({"target_amount": 10000, "target_date": "2020-01", "savings": 1}),
    ));
    assert!(
        past.plan
            .risks
            .iter()
            .any(|risk| risk.contains("past or too near"))
    );
    let much = sound(&request(
        json!({"monthly_income": 2000, "monthly_expenses": 1900, "target_amount": 50000, "target_date": "2028-01"}),
    ));
    assert!(
        much.plan
            .risks
            .iter()
            .any(|risk| risk.contains("than is left over"))
    );
    let by_surplus = sound(&request(
        json!({"monthly_income": 2000, "monthly_expenses": 1900, "target_amount": 1000}),
    ));
    let step = by_surplus
        .plan
        .steps
        .iter()
        .find(|step| step.title == "Save for your goal")
        .unwrap();
    assert_eq!(
        (step.detail.contains("10 months"), step.by),
        (true, Some(Date::constant(2027, 9, 25)))
    );
}

#[test]
fn what_is_out_of_scope_gets_no_plan() {
    let writer = Scripted::new(&["Sure."]);
    let answer = planned(
        &writer,
        &PlanRequest {
            goal: "Should I buy Tesla shares?".to_owned(),
            ..PlanRequest::default()
        },
    );
    assert!(
        answer.refused.is_some() && answer.plan.steps.is_empty() && writer.prompts().is_empty()
    );
    assert_eq!(answer.plan.summary, answer.response);
}

#[test]
fn numbers_that_cannot_be_meant_are_named_and_not_repeated() {
    let problem = |numbers: serde_json::Value| {
        let bad = check(&request(numbers).numbers).unwrap_err();
        format!("{} {}", bad.field, bad.problem)
    };
    for (numbers, want) in [
        (
            json!({"monthly_income": -512}),
            "numbers.monthly_income must not be below zero",
        ),
        (
            json!({"savings": 9e15}),
            "numbers.savings must be 1000000000000 at most",
        ),
        (
            json!({"expected_return": 5120}),
            "numbers.expected_return must be from -99 to 1000 percent",
        ),
        (
            json!({"annual_fee": "-5%"}),
            "numbers.annual_fee must be from 0 to 1000 percent",
        ),
        (json!({"years": 512}), "numbers.years must be from 0 to 100"),
        (
            json!({"debts": [{"balance": 1, "apr": 5}, {"balance": -512, "apr": 5}]}),
            "numbers.debts[1].balance must not be below zero",
        ),
        (
            json!({"loan": {"amount": 1, "apr": 5, "months": 0}}),
            "numbers.loan.months must be from 1 to 1200",
        ),
    ] {
        assert_eq!(problem(numbers), want);
    }
    let many: Vec<serde_json::Value> = (0..51).map(|_| json!({"balance": 1, "apr": 5})).collect();
    assert_eq!(
        problem(json!({"debts": many})),
        "numbers.debts must have 50 entries at most"
    );
    assert_eq!(check(&request(full()).numbers), Ok(()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn every_plan_is_sound(
        income in 0.0..20_000.0f64, expenses in 0.0..20_000.0f64, savings in 0.0..200_000.0f64,
        debts in proptest::collection::vec((0.0..50_000.0f64, 1.0..35.0f64, 0.0..900.0f64), 0..4),
        target in 1.0..500_000.0f64, months in 1..400i32, which in 0..16u8,
    ) {
        let cents = |value: f64| (value * 100.0).round() / 100.0;
        let debts: Vec<_> = debts.iter().map(|(balance, apr, minimum)| json!({
            "name": "x", "balance": cents(*balance), "apr": cents(*apr), "minimum_payment": cents(*minimum)})).collect();
        let mut numbers = json!({"debts": debts});
        for (bit, key, value) in [(1, "monthly_income", income), (2, "monthly_expenses", expenses),
            (4, "savings", savings), (8, "target_amount", target)] {
            if which & bit != 0 {
                numbers[key] = cents(value).into();
            }
        }
        if months % 2 == 0 {
            let date = TODAY.checked_add(jiff::Span::new().months(months)).unwrap();
            numbers["target_date"] = date.to_string().into();
        }
        sound(&request(numbers));
    }
}
