//! Columns of text, left-aligned and four spaces apart.

use std::io::{self, Write};

const GAP: &str = "    ";

/// Writes rows whose cells are padded to the widest of their column; the gap follows every cell.
pub(crate) fn write(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| shown_width(cell))
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for row in rows {
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            let fill = width - shown_width(cell);
            write!(out, "{cell}{:fill$}{GAP}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A titled block, indented, with an empty line after it.
pub(crate) fn section(out: &mut dyn Write, title: &str, rows: Vec<Vec<String>>) -> io::Result<()> {
    writeln!(out, "  {title}")?;
    let indent = |row| [vec![String::new()], row].concat();
    write(out, &rows.into_iter().map(indent).collect::<Vec<_>>())?;
    writeln!(out)
}

/// Terminal columns a text takes.
pub(crate) fn shown_width(text: &str) -> usize {
    console::measure_text_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[&[&str]]) -> Vec<Vec<String>> {
        text.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        write(
            &mut out,
            &rows(&[&["NAME", "ID"], &["模型", "123456"], &["a-model", "1"]]),
        )
        .unwrap();
        let want = "NAME       ID        \n模型       123456    \na-model    1         \n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn sections_are_indented_and_rows_may_differ_in_length() {
        let mut out = Vec::new();
        section(
            &mut out,
            "Parameters",
            rows(&[&["stop", "\"a\""], &["seed"]]),
        )
        .unwrap();
        let want = "  Parameters\n    stop    \"a\"    \n    seed           \n\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
