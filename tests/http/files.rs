//! Files that mean harm, read by the real program in a process of its own.

use std::fmt::Write;
use std::path::PathBuf;

use wick::rag::read::{Document, Format, ReadError, Reader};

fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    Reader::new(PathBuf::from(env!("CARGO_BIN_EXE_wick"))).read(bytes, Format::Pdf)
}

/// A PDF of objects, the first of which is the catalog.
fn pdf(objects: &[String]) -> Vec<u8> {
    let mut file = "%PDF-1.7\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(objects) {
        writeln!(table, "{:010} 00000 n ", file.len()).unwrap();
        write!(file, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    let start = file.len();
    let size = objects.len() + 1;
    write!(
        file,
        "{table}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"
    )
    .unwrap();
    file.into_bytes()
}

/// A page with a heading and a sentence, and one more object.
pub(crate) fn page(more: String) -> Vec<u8> {
    let content = "BT /F 20 Tf 50 700 Td (Reserve) Tj ET BT /F 10 Tf 50 650 Td (Keep three months of costs.) Tj ET";
    pdf(&[
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Count 1/Kids[3 0 R]>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>".to_owned(),
        format!("<</Length {}>>\nstream\n{content}\nendstream", content.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned(),
        more,
    ])
}

#[test]
fn a_pdf_is_read_in_a_process_of_its_own() {
    let document = read(&page("null".to_owned())).unwrap();
    let block = &document.blocks[0];
    assert_eq!(block.text, "Keep three months of costs.");
    assert_eq!(*block.headings, ["Reserve"]);
    assert_eq!((block.page, block.offset), (Some(1), 0));
    assert!(matches!(
        read(b"%PDF-1.7\n1 0 obj"),
        Err(ReadError::Broken { .. })
    ));
}

/// A file each of whose many numbers takes two bytes of it and some hundred of memory.
pub(crate) fn bomb() -> Vec<u8> {
    page(format!("[{}]", "1 ".repeat(14 << 20)))
}

#[test]
fn a_file_that_takes_gigabytes_ends_its_process_only() {
    let read = read(&bomb());
    assert!(
        matches!(read, Err(ReadError::Bomb { .. } | ReadError::Broken { .. })),
        "{read:?}"
    );
}
