//! Identifiers: how a dialect folds and quotes them, the words in them, and how far apart two of them are.

use super::Dialect;

/// The stored form of an identifier as it stands in a statement.
pub fn fold(dialect: Dialect, name: &str, quoted: bool) -> String {
    match dialect {
        Dialect::Postgres if !quoted => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// The identifier as a statement of the dialect must write it, in quotes only where it needs them.
pub fn written(dialect: Dialect, name: &str) -> String {
    if is_plain(dialect, name) {
        return name.to_owned();
    }
    match dialect {
        Dialect::MySql | Dialect::BigQuery => format!("`{}`", name.replace('`', "``")),
        Dialect::MsSql => format!("[{}]", name.replace(']', "]]")),
        Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb => {
            format!("\"{}\"", name.replace('"', "\"\""))
        }
    }
}

fn is_plain(dialect: Dialect, name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next();
    let starts = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let folds = dialect == Dialect::Postgres && name.chars().any(|c| c.is_ascii_uppercase());
    starts && goes_on && !folds && !is_reserved(name)
}

/// Whether the word means something in SQL, so that a name spelled like it wants quotes.
pub fn is_reserved(word: &str) -> bool {
    const WORDS: &str = " all alter analyse analyze and any array as asc asymmetric authorization between \
        binary both by case cast check collate collation column constraint create cross cube current \
        current_catalog current_date current_role current_time current_timestamp current_user database \
        default deferrable delete desc describe distinct div do drop else end escape except exists \
        explain false fetch for foreign freeze from full fulltext function grant group groups having if \
        ilike in index initially inner insert intersect interval into is isnull join key keys kill \
        lateral leading left like limit localtime localtimestamp lock merge mod natural not notnull null \
        nulls of offset on only option or order outer over overlaps partition percent pivot placing \
        plan primary procedure public qualify range rank read references returning revoke right rlike \
        row rows schema select session_user set similar some struct symmetric system table tablesample \
        then to top trailing transaction trigger true truncate union unique unnest unpivot update use \
        user using values variadic verbose view when where window with within without ";
    let word = word.to_ascii_lowercase();
    WORDS.contains(&format!(" {word} "))
}

/// The words of a name or a text, in lower case: split at what is no letter or digit, and where a capital
/// follows a small letter (`orderDate`, `HTTPCode`).
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = text.chars().collect();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let rises = letter.is_uppercase()
            && (before.is_some_and(|c| c.is_lowercase() || c.is_ascii_digit())
                || (before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|c| c.is_lowercase())));
        if !letter.is_alphanumeric() || rises {
            words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// A word without the ending that English plurals have: `categories` and `category` give the same.
pub fn stem(word: &str) -> String {
    let cut = |ending: &str| word.strip_suffix(ending).filter(|rest| rest.len() >= 2);
    if let Some(rest) = cut("ies") {
        return format!("{rest}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if let Some(rest) = cut(ending) {
            return format!("{rest}{}", &ending[..ending.len() - 2]);
        }
    }
    match cut("s") {
        Some(rest) if !rest.ends_with('s') && !rest.ends_with('u') && !rest.ends_with("i") => {
            rest.to_owned()
        }
        _ => word.to_owned(),
    }
}

/// Letters to insert, delete, replace or swap with their neighbour until `a` is `b`, in any case; `None` if
/// more than `most`.
pub fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let width = b.len() + 1;
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..width).collect();
    for (row, &letter) in a.iter().enumerate() {
        let mut now = vec![row + 1; width];
        for at in 1..width {
            let change = usize::from(letter != b[at - 1]);
            now[at] = (last[at] + 1)
                .min(now[at - 1] + 1)
                .min(last[at - 1] + change);
            let swapped = row > 0 && at > 1 && letter == b[at - 2] && a[row - 1] == b[at - 1];
            if swapped {
                now[at] = now[at].min(before[at - 2] + 1);
            }
        }
        if now.iter().all(|&steps| steps > most) {
            return None;
        }
        before = std::mem::replace(&mut last, now);
    }
    last.last().copied().filter(|&steps| steps <= most)
}

/// The names most like `wanted`, the likest first, at most `count`: those that hold the same words, and those
/// that a few letters away.
pub fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<String> {
    let mut found: Vec<(u32, &str)> = names
        .into_iter()
        .filter_map(|name| Some((likeness(wanted, name)?, name)))
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    found.dedup_by(|a, b| a.1 == b.1);
    let names = found.into_iter().take(count);
    names.map(|(_, name)| name.to_owned()).collect()
}

/// How like two names are, 1 to 1000; `None` if not at all.
pub fn likeness(wanted: &str, name: &str) -> Option<u32> {
    if wanted.eq_ignore_ascii_case(name) {
        return Some(1000);
    }
    let letters = wanted.chars().count().max(name.chars().count());
    let spelled = distance(wanted, name, (letters / 3).max(1))
        .map(|steps| 1000 - (1000 * steps / (letters + 1)) as u32);
    let said = shared_words(wanted, name);
    spelled.max(said)
}

/// By the words of both, each without its plural.
fn shared_words(wanted: &str, name: &str) -> Option<u32> {
    let stems = |text: &str| -> Vec<String> { words(text).iter().map(|w| stem(w)).collect() };
    let (a, b) = (stems(wanted), stems(name));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if a == b || a.concat() == b.concat() {
        return Some(960);
    }
    let shared = a.iter().filter(|word| b.contains(word)).count();
    let share = 2 * shared * 800 / (a.len() + b.len());
    (shared > 0 && share >= 400).then_some(share as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stand_only_where_needed() {
        assert_eq!(written(Dialect::Postgres, "users"), "users");
        assert_eq!(written(Dialect::Postgres, "Users"), "\"Users\"");
        assert_eq!(written(Dialect::Sqlite, "Users"), "Users");
        assert_eq!(written(Dialect::MySql, "order"), "`order`");
        assert_eq!(written(Dialect::MsSql, "a]b"), "[a]]b]");
        assert_eq!(written(Dialect::DuckDb, "2nd\"x"), "\"2nd\"\"x\"");
    }

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(words("orderDate"), ["order", "date"]);
        assert_eq!(words("HTTPStatus_code2"), ["http", "status", "code2"]);
        assert_eq!(words("größe der Häuser"), ["größe", "der", "häuser"]);
        assert_eq!(stem("categories"), "category");
        assert_eq!(stem("boxes"), "box");
        assert_eq!(stem("status"), "status");
        assert_eq!(stem("address"), "address");
    }

    #[test]
    fn distance_counts_swaps_once() {
        assert_eq!(distance("created_at", "craeted_at", 3), Some(1));
        assert_eq!(distance("name", "NAME", 1), Some(0));
        assert_eq!(distance("name", "surname", 2), None);
        assert_eq!(distance("", "ab", 2), Some(2));
    }

    #[test]
    fn nearest_names_come_first() {
        let names = [
            "created_at",
            "updated_at",
            "email",
            "customer_id",
            "order_date",
        ];
        assert_eq!(nearest("creatd_at", names, 1), ["created_at"]);
        assert_eq!(nearest("customerId", names, 1), ["customer_id"]);
        assert_eq!(nearest("date", names, 1), ["order_date"]);
        assert!(nearest("zzz", names, 3).is_empty());
    }
}
