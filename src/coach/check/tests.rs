//! Numbers as people and models write them.

use proptest::prelude::*;

use super::super::figures::{budget, growth, payoff};
use super::*;

/// A number as its digits, kind and first reading.
type Found<'a> = (&'a str, Kind, f64);

fn found(text: &str) -> Vec<Found<'_>> {
    let numbers = numbers(text).into_iter();
    numbers
        .map(|number| (&text[number.span], number.kind, number.readings[0].value))
        .collect()
}

fn evidence() -> Evidence {
    let debts = [payoff::Debt {
        balance: 900.0,
        percent: 18.0,
        minimum: 30.0,
    }];
    let figures = [
        budget::split(3210.0).unwrap().to_vec(),
        vec![budget::savings_rate(3000.0, 2550.0).unwrap()],
        payoff::compare(&debts, 100.0).unwrap().to_vec(),
    ];
    Evidence::new()
        .with_figures(figures.iter().flatten())
        .with_text("Inflation of 3 % halves money in about 23.4 years. Limits differ: 100,000 euros or $250k.")
        .with_text("I am 34 and pay 1.234,50 € rent since 2021.")
}

#[test]
fn numbers_are_found_as_people_write_them() {
    use Kind::{Money, Percent, Plain};
    let cases: [(&str, &[Found<'_>]); 30] = [
        ("costs 1,234.50 a year", &[("1,234.50", Plain, 1234.5)]),
        ("kostet 1.234,50 €", &[("1.234,50", Money, 1234.5)]),
        ("CHF 1'234.50", &[("1'234.50", Money, 1234.5)]),
        ("12 345,67 EUR", &[("12 345,67", Money, 12_345.67)]),
        ("1\u{202f}234\u{a0}€", &[("1\u{202f}234", Money, 1234.0)]),
        ("12 %", &[("12", Percent, 12.0)]),
        (
            "12.5% and 3,5 %",
            &[("12.5", Percent, 12.5), ("3,5", Percent, 3.5)],
        ),
        (
            "7 percent, 8 per cent",
            &[("7", Percent, 7.0), ("8", Percent, 8.0)],
        ),
        ("2 percentage points", &[("2", Percent, 2.0)]),
        (
            "$1.2k or US$3",
            &[("1.2", Money, 1200.0), ("3", Money, 3.0)],
        ),
        ("£2 million", &[("2", Money, 2e6)]),
        ("1.5bn dollars", &[("1.5", Money, 1.5e9)]),
        ("2 lakh rupees", &[("2", Money, 2e5)]),
        ("-$500", &[("500", Money, 500.0)]),
        ("$-500", &[("500", Money, 500.0)]),
        (
            "between 3 and 5 %",
            &[("3", Percent, 3.0), ("5", Percent, 5.0)],
        ),
        ("3–6 months", &[("3", Plain, 3.0), ("6", Plain, 6.0)]),
        (
            "50/30/20",
            &[
                ("50", Plain, 50.0),
                ("30", Plain, 30.0),
                ("20", Plain, 20.0),
            ],
        ),
        (
            "on 2026-11-21",
            &[
                ("2026", Plain, 2026.0),
                ("11", Plain, 11.0),
                ("21", Plain, 21.0),
            ],
        ),
        (
            "in 2026 500 people",
            &[("2026", Plain, 2026.0), ("500", Plain, 500.0)],
        ),
        ("1,000,000", &[("1,000,000", Plain, 1e6)]),
        (
            "It is 500. Then 20.",
            &[("500", Plain, 500.0), ("20", Plain, 20.0)],
        ),
        (
            "10, 20 and .5",
            &[("10", Plain, 10.0), ("20", Plain, 20.0), (".5", Plain, 0.5)],
        ),
        (
            "a 5-year loan, mid-2026",
            &[("5", Plain, 5.0), ("2026", Plain, 2026.0)],
        ),
        ("3x as much", &[("3", Plain, 3.0)]),
        ("1. First\n2) Second\n- 3. Third", &[]),
        ("Step 2: as in [1] and source 4", &[]),
        ("401(k), 403(b), 24/7, the S&P 500, FTSE 100", &[]),
        ("H2O, COVID-19, 3rd, 21st, 4G, id_7", &[]),
        ("no digits at all", &[]),
    ];
    for (text, want) in cases {
        assert_eq!(found(text), want, "{text}");
    }
}

#[test]
fn one_separator_before_three_digits_has_two_readings() {
    let values = |text: &str| -> Vec<f64> {
        let readings = numbers(text).remove(0).readings;
        readings.into_iter().map(|reading| reading.value).collect()
    };
    assert_eq!(values("1,234"), [1234.0, 1.234]);
    assert_eq!(values("1.234"), [1234.0, 1.234]);
    assert_eq!(values("1,23"), [1.23]);
    assert_eq!(values("12m"), [12e6, 12.0]);
    assert_eq!(values("$12m"), [12e6]);
}

#[test]
fn supported_numbers_pass() {
    for answer in [
        "Put 1,605 into needs, 963 into wants and 642 into savings.",
        "That is about $1.6k for needs.",
        "Your savings rate is 15 %, and 15.00 percent is good.",
        "You are free of debt in 10 months, for 74 in interest.",
        "At 3% inflation money halves in 23 years.",
        "The limit is €100,000 or 250,000 dollars.",
        "You are 34, rent is 1,234.50 and has been since 2021.",
        "1. Save first.\n2. Then spend.\n",
        "",
    ] {
        let unsupported = evidence().unsupported(answer);
        assert!(unsupported.is_empty(), "{answer}: {unsupported:?}");
    }
}

#[test]
fn invented_numbers_are_named() {
    let cases: [(&str, &[&str]); 8] = [
        ("Put 1,700 into needs and 963 into wants.", &["1,700"]),
        ("Expect 7 % a year.", &["7"]),
        ("Expect 34 % a year.", &["34"]),
        ("You pay 15 % of $15.", &["15"]),
        ("It takes 11 months and costs 74.", &["11"]),
        ("Needs are 1,604.99.", &["1,604.99"]),
        ("Inflation is 3.2 %.", &["3.2"]),
        ("You will have $2 million by 2050.", &["2", "2050"]),
    ];
    for (answer, want) in cases {
        let unsupported = evidence().unsupported(answer);
        let digits: Vec<&str> = unsupported
            .iter()
            .map(|n| &answer[n.span.clone()])
            .collect();
        assert_eq!(digits, want, "{answer}");
    }
}

#[test]
fn sentences_with_invented_numbers_go() {
    let cases = [
        (
            "Save 642 a month. Expect 9 % a year! Start today.",
            "Save 642 a month. Start today.",
        ),
        ("Expect 9 % a year.", ""),
        (
            "Two steps:\n1. Save 642.\n2. Borrow 77,000.\n3. Buy 5 flats. Sleep well.\nDone.\n",
            "Two steps:\n1. Save 642.\n3. Sleep well.\nDone.\n",
        ),
        (
            "- Earn 9 %.\n- Save \"15 %.\" Good.\n",
            "- Save \"15 %.\" Good.\n",
        ),
        ("Pay e.g. 77 first. Then rest.", "Then rest."),
        ("Nothing to remove: 642.\r\n", "Nothing to remove: 642.\r\n"),
    ];
    for (answer, want) in cases {
        assert_eq!(evidence().without_unsupported(answer), want, "{answer}");
    }
}

#[test]
fn the_library_supports_itself() {
    for article in crate::coach::library::articles() {
        let evidence = Evidence::new().with_text(article.body);
        assert_eq!(evidence.unsupported(article.body), [], "{}", article.name);
        assert_eq!(evidence.without_unsupported(article.body), article.body);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_supports_itself(text in "\\PC{0,80}|[0-9.,'%$€kKmM \n-]{0,60}") {
        let all = numbers(&text);
        for number in &all {
            prop_assert!(text.get(number.span.clone()).is_some());
            prop_assert!(number.readings.iter().all(|reading| reading.value >= 0.0));
        }
        let evidence = Evidence::new().with_text(&text);
        prop_assert_eq!(evidence.unsupported(&text), []);
        prop_assert_eq!(evidence.without_unsupported(&text), text.clone());
        let left = Evidence::new().without_unsupported(&text);
        prop_assert_eq!(numbers(&left), []);
    }

    #[test]
    fn a_figure_is_supported_in_every_way_of_writing(start in 0.0..1e7) {
        let saving = growth::Saving { start, monthly: 0.0, percent: 3.0 };
        let figures = growth::growth(saving, 12).unwrap();
        let evidence = Evidence::new().with_figures(&figures);
        let value = figures[0].value;
        let english = grouped(value, ',', '.');
        let german = grouped(value, '.', ',');
        for text in [
            format!("{value}"), format!("${english}"), format!("{german} €"),
            format!("{}", value.round()), format!("${:.1}k", value / 1000.0),
        ] {
            prop_assert_eq!(evidence.unsupported(&text), [], "{}", text);
        }
        let wrong = format!("{:.2}", value + 0.02);
        prop_assert_eq!(evidence.unsupported(&wrong).len(), usize::from(start > 1.0), "{}", wrong);
    }
}

fn grouped(value: f64, thousands: char, decimal: char) -> String {
    let text = format!("{value:.2}");
    let (whole, fraction) = text.split_once('.').unwrap();
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(thousands);
        }
        out.push(digit);
    }
    format!("{out}{decimal}{fraction}")
}
