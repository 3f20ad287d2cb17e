//! Values that a column could well hold, by its type, its rules and its name.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::sql::names::words;
use crate::sql::{Column, Dialect, Kind, Table};

use super::cell::Cell;
use super::checks::Bounds;

/// The first day of what is made up, and how many days it spans.
const FIRST_DAY: Date = date(2023, 1, 1);
const DAYS: i64 = 730;
/// Letters of a text at most. A check that asks for more is not met, and a wider type gets no wider texts.
pub(super) const MOST_LETTERS: usize = 10_000;

/// The column whose value is wanted.
pub(super) struct Wanted<'a> {
    pub(super) table: &'a Table,
    pub(super) column: &'a Column,
    pub(super) bounds: &'a Bounds,
    /// Rows before this one.
    pub(super) number: usize,
    /// Whether it is the whole primary key.
    pub(super) is_key: bool,
    /// Whether no two rows may share a value.
    pub(super) is_unique: bool,
    /// Whether it is part of what must differ.
    pub(super) is_varied: bool,
    pub(super) dialect: Dialect,
}

/// One value.
pub(super) fn value(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> Cell {
    if let Some(cell) = chosen(wanted, random) {
        return cell;
    }
    match wanted.column.kind {
        Kind::Integer => integer(wanted, random),
        Kind::Real => decimal(wanted, 4, random),
        Kind::Decimal => decimal(wanted, scale(wanted).1, random),
        Kind::Boolean => Cell::Bool(random.random_bool(0.5)),
        Kind::Date => Cell::Text(day(wanted, random).to_string()),
        Kind::Timestamp => Cell::Text(moment(wanted, random)),
        Kind::Time => Cell::Text(clock(random)),
        Kind::Json => Cell::Text(format!("{{\"number\": {}}}", wanted.number + 1)),
        Kind::Uuid => Cell::Text(uuid(random)),
        Kind::Binary => Cell::Bytes((0..8).map(|_| random.random()).collect()),
        Kind::Text => Cell::Text(text(wanted, random)),
        Kind::Other => other(wanted, random),
    }
}

/// One of the values that the column is known to take.
fn chosen(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> Option<Cell> {
    if let Some(choices) = &wanted.bounds.choices {
        let choice = choices.choose(random);
        return choice
            .filter(|cell| cell.size_bytes() <= MOST_LETTERS)
            .cloned();
    }
    let samples = &wanted.column.samples;
    let known = samples.choose(random).filter(|_| !wanted.is_unique)?;
    match wanted.column.kind {
        Kind::Integer => known.parse().ok().map(Cell::Integer),
        Kind::Text => Some(Cell::Text(known.clone())),
        _ => None,
    }
}

fn names(wanted: &Wanted<'_>) -> Vec<String> {
    words(&wanted.column.name)
}

/// The numbers in a type's brackets.
fn sizes(column: &Column) -> Vec<usize> {
    let Some((_, rest)) = column.type_name.split_once('(') else {
        return Vec::new();
    };
    let inner = rest.split(')').next().unwrap_or_default();
    inner
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect()
}

/// Whole and fractional digits of a decimal.
fn scale(wanted: &Wanted<'_>) -> (usize, usize) {
    match sizes(wanted.column).as_slice() {
        [] => (8, 2),
        [all] => (*all, 0),
        [all, fraction, ..] => (all.saturating_sub(*fraction), *fraction),
    }
}

fn integer(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> Cell {
    let number = wanted.number as i64;
    let name = wanted.column.type_name.to_lowercase();
    let highest = match name.split(['(', ' ']).next().unwrap_or_default() {
        "tinyint" if name.contains("unsigned") || wanted.dialect == Dialect::MsSql => 255,
        "tinyint" => 127,
        "smallint" | "int2" | "smallserial" => 32_767,
        "mediumint" => 8_388_607,
        _ => 2_147_483_647,
    };
    let words = names(wanted);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let (low, high) = if has(&["age"]) {
        (18, 90)
    } else if has(&["year"]) {
        (1990, 2025)
    } else if has(&["month"]) {
        (1, 12)
    } else if has(&["day"]) {
        (1, 28)
    } else if has(&["percent", "pct", "percentage"]) {
        (0, 100)
    } else if has(&["rating", "stars", "score"]) {
        (1, 5)
    } else if has(&["quantity", "qty", "count"]) {
        (1, 20)
    } else if has(&["position", "rank", "level", "priority"]) {
        (1, 10)
    } else {
        (1, 1_000)
    };
    let (low, high) = within(wanted.bounds, low as f64, high as f64, highest as f64, 1.0);
    let (low, high) = (low.ceil() as i64, high.floor() as i64);
    if wanted.is_key || wanted.is_unique {
        // They count up, from the least that the checks allow.
        let first = wanted.bounds.least.map_or(1, |least| (least as i64).max(1));
        let first = if wanted.bounds.least == Some(first as f64) && wanted.bounds.most.is_none() {
            first + 1
        } else {
            first
        };
        return Cell::Integer(first.saturating_add(number));
    }
    let high = if wanted.is_varied {
        high.max(low + number)
    } else {
        high
    };
    Cell::Integer(random.random_range(low..=high.max(low)))
}

/// A range that the bounds allow, near the usual one. `step` keeps away from a bound that may be excluded.
fn within(bounds: &Bounds, low: f64, high: f64, highest: f64, step: f64) -> (f64, f64) {
    let width = (high - low).max(step);
    let (low, high) = match (bounds.least, bounds.most) {
        (Some(least), Some(most)) if least >= most => (least, most),
        (Some(least), Some(most)) if most - least <= 2.0 * step => (least, most),
        (Some(least), Some(most)) => (low.max(least).min(most), high.min(most).max(least)),
        (Some(least), None) if low <= least => (least + step, high.max(least + width)),
        (None, Some(most)) if high >= most => (low.min(most - width), most - step),
        _ => (low, high),
    };
    let (low, high) = if low > high { (high, low) } else { (low, high) };
    (low.min(highest), high.min(highest))
}

fn decimal(wanted: &Wanted<'_>, digits: usize, random: &mut ChaCha8Rng) -> Cell {
    let whole = if wanted.column.kind == Kind::Decimal {
        scale(wanted).0.min(12)
    } else {
        6
    };
    let digits = digits.min(6);
    let unit = 10_f64.powi(-(digits as i32));
    let highest = 10_f64.powi(whole as i32) - unit;
    let words = names(wanted);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let (low, high) = if has(&["lat", "latitude"]) {
        (-90.0, 90.0)
    } else if has(&["lon", "lng", "longitude"]) {
        (-180.0, 180.0)
    } else if has(&["rate", "ratio", "share", "discount", "probability"]) {
        (0.0, 1.0)
    } else if has(&["percent", "percentage"]) {
        (0.0, 100.0)
    } else {
        (1.0, 1_000.0)
    };
    let (low, high) = within(wanted.bounds, low, high, highest, unit);
    let steps = ((high - low) / unit).max(0.0) as u64;
    let steps = if wanted.is_unique {
        steps.max(wanted.number as u64)
    } else {
        steps
    };
    let value = low + random.random_range(0..=steps) as f64 * unit;
    Cell::Number(format!("{value:.digits$}"))
}

fn day(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> Date {
    let words = names(wanted);
    let is_birth = words
        .iter()
        .any(|word| matches!(word.as_str(), "birth" | "born" | "birthday" | "dob"));
    let parsed = |text: &Option<String>| {
        text.as_deref()
            .and_then(|text| text.get(..10)?.parse::<Date>().ok())
    };
    let (least, most) = (
        parsed(&wanted.bounds.least_text),
        parsed(&wanted.bounds.most_text),
    );
    let first = if is_birth {
        date(1950, 1, 1)
    } else {
        FIRST_DAY
    };
    let days = if is_birth { 20_000 } else { DAYS };
    let days = if wanted.is_unique {
        days.max(wanted.number as i64 * 4)
    } else {
        days
    };
    let (first, days) = match (least, most) {
        (Some(least), Some(most)) => (least, i64::from((most - least).get_days()).max(0)),
        (Some(least), None) => (least.saturating_add(1.day()).max(first), days),
        (None, Some(most)) => (most.saturating_sub((days + 1).days()).min(first), days),
        (None, None) => (first, days),
    };
    let day = first.saturating_add(random.random_range(0..=days).days());
    most.map_or(day, |most| day.min(most))
}

fn clock(random: &mut ChaCha8Rng) -> String {
    let (hour, minute, second) = (
        random.random_range(0..24),
        random.random_range(0..60),
        random.random_range(0..60),
    );
    format!("{hour:02}:{minute:02}:{second:02}")
}

fn moment(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> String {
    let day = day(wanted, random);
    format!("{day} {}", clock(random))
}

fn uuid(random: &mut ChaCha8Rng) -> String {
    let (high, low): (u64, u64) = (random.random(), random.random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

fn other(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> Cell {
    let name = wanted.column.type_name.to_lowercase();
    if name.ends_with("[]") || name.starts_with("array") {
        return match wanted.dialect {
            Dialect::Postgres => Cell::Text("{}".to_owned()),
            _ => Cell::Null,
        };
    }
    match name.split(['(', ' ']).next().unwrap_or_default() {
        "interval" => Cell::Text(format!("{} days", random.random_range(1..30))),
        "inet" | "cidr" => Cell::Text(format!(
            "10.0.{}.{}",
            random.random_range(0..250),
            random.random_range(1..250)
        )),
        "" => Cell::Text(text(wanted, random)),
        _ if wanted.column.nullable => Cell::Null,
        _ => Cell::Text(text(wanted, random)),
    }
}

const FIRST_NAMES: [&str; 20] = [
    "Ada", "Ben", "Cora", "Dan", "Elif", "Finn", "Gita", "Hugo", "Ines", "Jonas", "Kira", "Leo",
    "Mia", "Noah", "Olga", "Paul", "Rosa", "Sami", "Tara", "Yusuf",
];
const LAST_NAMES: [&str; 20] = [
    "Adler", "Brown", "Costa", "Dumas", "Eriksen", "Fischer", "Garcia", "Haas", "Ito", "Jansen",
    "Kaya", "Lopez", "Moreau", "Novak", "Okafor", "Patel", "Rossi", "Silva", "Toth", "Weber",
];
const CITIES: [&str; 10] = [
    "Berlin", "Lyon", "Porto", "Oslo", "Kyoto", "Austin", "Lagos", "Pune", "Lima", "Perth",
];
const COUNTRIES: [(&str, &str); 10] = [
    ("DE", "Germany"),
    ("FR", "France"),
    ("PT", "Portugal"),
    ("NO", "Norway"),
    ("JP", "Japan"),
    ("US", "United States"),
    ("NG", "Nigeria"),
    ("IN", "India"),
    ("PE", "Peru"),
    ("AU", "Australia"),
];
const THINGS: [&str; 12] = [
    "lamp",
    "chair",
    "kettle",
    "notebook",
    "bicycle",
    "guitar",
    "camera",
    "jacket",
    "teapot",
    "garden hose",
    "desk",
    "mirror",
];
const STREETS: [&str; 6] = [
    "Main Street",
    "Mill Lane",
    "Park Avenue",
    "Station Road",
    "High Street",
    "River Walk",
];

fn text(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> String {
    if let Some(pattern) = &wanted.bounds.pattern {
        return from_pattern(pattern, wanted, random);
    }
    let plain = said(wanted, random);
    let number = wanted.number + 1;
    let text = match wanted.is_unique || wanted.is_varied {
        true => varied(&plain, number),
        false => plain,
    };
    fitted(text, wanted, number)
}

/// The text with the row's number in it, before the `@` of an address.
fn varied(text: &str, number: usize) -> String {
    match text.split_once('@') {
        Some((name, host)) => format!("{name}{number}@{host}"),
        None => format!("{text} {number}"),
    }
}

/// Text of a length that type and checks allow.
fn fitted(text: String, wanted: &Wanted<'_>, number: usize) -> String {
    let by_type = sizes(wanted.column).first().copied();
    let most = wanted.bounds.most_length.into_iter().chain(by_type).min();
    let least = wanted.bounds.least_length.unwrap_or(0);
    let mut text = text;
    if let Some(most) = most.filter(|most| text.chars().count() > *most) {
        text = match wanted.is_unique || wanted.is_varied {
            true => short_code(number, most),
            false => text
                .chars()
                .take(most)
                .collect::<String>()
                .trim_end()
                .to_owned(),
        };
    }
    let is_fixed = wanted.column.type_name.to_lowercase().starts_with("char(")
        && wanted.dialect == Dialect::Postgres;
    let least = if is_fixed {
        least.max(by_type.unwrap_or(0).min(MOST_LETTERS))
    } else {
        least
    };
    if least <= MOST_LETTERS {
        let missing = least.saturating_sub(text.chars().count());
        text.push_str(&"x".repeat(missing));
    }
    text
}

/// A number in letters and digits, of so many characters at most.
fn short_code(number: usize, most: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = number;
    let mut code = Vec::new();
    while code.len() < most {
        code.push(char::from(DIGITS[rest % 36]));
        rest /= 36;
    }
    code.into_iter().rev().collect()
}

/// Text that a `LIKE` pattern accepts.
fn from_pattern(pattern: &str, wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> String {
    let mut text = String::new();
    for letter in pattern.chars() {
        match letter {
            '%' => text.push_str(&(wanted.number + 1).to_string()),
            '_' => text.push(char::from(b'a' + random.random_range(0..26))),
            other => text.push(other),
        }
    }
    text
}

/// What the column's name makes one expect.
fn said(wanted: &Wanted<'_>, random: &mut ChaCha8Rng) -> String {
    let words = names(wanted);
    let of_table = crate::sql::names::words(&wanted.table.name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_person = of_table.iter().chain(&words).any(|word| {
        let people = [
            "user",
            "users",
            "customer",
            "customers",
            "person",
            "people",
            "employee",
            "employees",
            "patient",
            "patients",
            "doctor",
            "doctors",
            "author",
            "authors",
            "contact",
            "contacts",
            "student",
            "students",
            "member",
            "members",
        ];
        people.contains(&word.as_str())
    });
    let first = || -> &'static str { FIRST_NAMES[0] };
    let mut pick =
        |list: &[&'static str]| -> &'static str { list.choose(random).copied().unwrap_or(first()) };
    if has(&["email", "mail"]) {
        let (a, b) = (
            pick(&FIRST_NAMES).to_lowercase(),
            pick(&LAST_NAMES).to_lowercase(),
        );
        return format!("{a}.{b}@example.com");
    }
    if has(&["first", "given", "forename"]) && has(&["name", "firstname"]) || has(&["firstname"]) {
        return pick(&FIRST_NAMES).to_owned();
    }
    if has(&["last", "family"]) && has(&["name"]) || has(&["surname", "lastname"]) {
        return pick(&LAST_NAMES).to_owned();
    }
    if has(&["username", "login", "nickname", "handle"]) {
        return format!("{}_{}", pick(&FIRST_NAMES), pick(&LAST_NAMES)).to_lowercase();
    }
    if has(&["name"]) && is_person {
        return format!("{} {}", pick(&FIRST_NAMES), pick(&LAST_NAMES));
    }
    if has(&["phone", "mobile", "fax", "tel"]) {
        return format!("+49 30 {:07}", random.random_range(0..10_000_000));
    }
    if has(&["country"]) {
        let short = sizes(wanted.column).first().is_some_and(|size| *size <= 3);
        let (code, name) = COUNTRIES.choose(random).copied().unwrap_or(COUNTRIES[0]);
        return if short || has(&["code", "iso"]) {
            code
        } else {
            name
        }
        .to_owned();
    }
    if has(&["currency"]) {
        return pick(&["EUR", "USD", "JPY", "NOK", "INR"]).to_owned();
    }
    if has(&["language", "locale", "lang"]) {
        return pick(&["en", "de", "fr", "pt", "ja"]).to_owned();
    }
    if has(&["city", "town"]) {
        return pick(&CITIES).to_owned();
    }
    if has(&["street", "address"]) {
        let street = pick(&STREETS);
        return format!("{} {street}", random.random_range(1..200));
    }
    if has(&["zip", "postal", "postcode"]) {
        return format!("{:05}", random.random_range(1_000..99_999));
    }
    if has(&["url", "website", "link"]) {
        return format!("https://example.com/{}", pick(&THINGS).replace(' ', "-"));
    }
    if has(&["ip"]) {
        return format!("192.0.2.{}", random.random_range(1..255));
    }
    if has(&["color", "colour"]) {
        return pick(&["red", "green", "blue", "black", "white"]).to_owned();
    }
    if has(&["status", "state"]) {
        return pick(&["new", "active", "done", "cancelled"]).to_owned();
    }
    if has(&["type", "kind", "category"]) {
        return pick(&["basic", "standard", "premium"]).to_owned();
    }
    if has(&["hash", "token", "secret", "password", "digest"]) {
        return format!("{:016x}", random.random::<u64>());
    }
    if has(&["sku", "code", "number", "reference", "isbn"]) {
        return format!(
            "{}-{:05}",
            pick(&["AB", "CD", "XY"]),
            random.random_range(0..100_000)
        );
    }
    if has(&["slug"]) {
        return pick(&THINGS).replace(' ', "-");
    }
    if has(&[
        "description",
        "comment",
        "note",
        "notes",
        "body",
        "text",
        "content",
        "message",
        "bio",
    ]) {
        let (a, b) = (pick(&THINGS), pick(&CITIES));
        return format!("A {a} from {b}, in good condition.");
    }
    pick(&THINGS).to_owned()
}
