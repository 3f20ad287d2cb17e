//! Word documents made here, whole ones and ones that mean harm.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::rag::read::Block;

const RELATIONS: &str = r#"<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;

const STYLES: &str = r#"<w:styles xmlns:w="w">
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/><w:basedOn w:val="Standard"/></w:style>
<w:style w:type="paragraph" w:styleId="Kapitel"><w:name w:val="Mein Kapitel"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Unter"><w:name w:val="Mein Unterkapitel"/><w:basedOn w:val="Kapitel"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="Verzeichnis1"><w:name w:val="toc 1"/></w:style>
<w:style w:type="paragraph" w:styleId="Kreis1"><w:name w:val="a"/><w:basedOn w:val="Kreis2"/></w:style>
<w:style w:type="paragraph" w:styleId="Kreis2"><w:name w:val="b"/><w:basedOn w:val="Kreis1"/></w:style>
</w:styles>"#;

fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in parts {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn main_part(body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="w"><w:body>{body}</w:body></w:document>"#
    )
}

fn docx(body: &str) -> Vec<u8> {
    let main = main_part(body);
    archive(&[
        ("_rels/.rels", RELATIONS.as_bytes()),
        ("word/styles.xml", STYLES.as_bytes()),
        ("word/document.xml", main.as_bytes()),
    ])
}

/// A paragraph with a style.
fn styled(style: &str, text: &str) -> String {
    format!(r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#)
}

fn plain(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn shown(blocks: &[Block]) -> Vec<(&str, String)> {
    let shown = blocks
        .iter()
        .map(|block| (block.text.as_str(), block.headings.join("/")));
    shown.collect()
}

fn reason(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn headings_are_known_by_style_whatever_its_language() {
    let body = [
        styled("Titel", "The plan"),
        styled("Verzeichnis1", "One ....... 1"),
        plain("Before."),
        styled("berschrift1", "One"),
        plain("Under one."),
        styled("Kapitel", "One b"),
        plain("Under one b."),
        styled("Unter", "One c"),
        plain("Under one c."),
        "<w:p><w:pPr><w:outlineLvl w:val=\"0\"/></w:pPr><w:r><w:t>Two</w:t></w:r></w:p>".to_owned(),
        styled("Heading3", "Two three"),
        styled("Kreis1", "A &amp; B &#8364; &lt;c&gt;"),
    ]
    .concat();
    let document = read(&docx(&body)).unwrap();
    assert_eq!(document.title.as_deref(), Some("The plan"));
    let want = [
        ("Before.", "The plan"),
        ("Under one.", "The plan/One"),
        ("Under one b.", "The plan/One/One b"),
        ("Under one c.", "The plan/One/One c"),
        ("A & B € <c>", "The plan/Two/Two three"),
    ];
    let want: Vec<_> = want.map(|(text, path)| (text, path.to_owned())).into();
    assert_eq!(shown(&document.blocks), want);
    let offsets: Vec<usize> = document.blocks.iter().map(|block| block.offset).collect();
    assert_eq!(offsets, [0, 8, 19, 32, 45]);
    assert!(document.blocks.iter().all(|block| block.page.is_none()));
}

#[test]
fn what_is_not_shown_is_not_read() {
    let body = r#"<w:p>
        <w:r><w:t xml:space="preserve">Seen </w:t></w:r>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden </w:t></w:r>
        <w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>again</w:t></w:r>
        <w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>
        <w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>
        <w:r><w:instrText>PAGE</w:instrText><w:tab/><w:t>end</w:t></w:r></w:p>
        <w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></mc:Choice>
        <mc:Fallback><w:p><w:r><w:t>In a box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:r><w:r><w:t>around</w:t></w:r></w:p>"#;
    let document = read(&docx(body)).unwrap();
    let texts: Vec<&str> = document
        .blocks
        .iter()
        .map(|block| block.text.as_str())
        .collect();
    assert_eq!(texts, ["Seen again\tend", "In a box", "around"]);
}

#[test]
fn rows_are_blocks_and_notes_stand_where_they_are_referred_to() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", plain(text));
    let body = [
        "<w:tbl><w:tr>".to_owned(),
        cell("Rent"),
        format!("<w:tc><w:tbl><w:tr>{}{}</w:tr></w:tbl>{}</w:tc>", cell("a"), cell("b"), plain("c")),
        "</w:tr></w:tbl>".to_owned(),
        r#"<w:p><w:r><w:t>Text</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:endnoteReference w:id="2"/></w:r><w:r><w:t>.</w:t></w:r></w:p>"#.to_owned(),
    ]
    .concat();
    let foot = format!(
        r#"<w:footnotes><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote><w:footnote w:id="2">{}{}</w:footnote></w:footnotes>"#,
        plain("see"),
        plain("law")
    );
    let end = format!(
        r#"<w:endnotes><w:endnote w:id="2">{}</w:endnote></w:endnotes>"#,
        plain("end")
    );
    let main = main_part(&body);
    let bytes = archive(&[
        ("word/document.xml", main.as_bytes()),
        ("word/footnotes.xml", foot.as_bytes()),
        ("word/endnotes.xml", end.as_bytes()),
        (
            "docProps/core.xml",
            b"<p><dc:title>Called  so</dc:title><dc:creator>x</dc:creator></p>",
        ),
    ]);
    let document = read(&bytes).unwrap();
    assert_eq!(document.title.as_deref(), Some("Called so"));
    let texts: Vec<&str> = document
        .blocks
        .iter()
        .map(|block| block.text.as_str())
        .collect();
    assert_eq!(texts, ["Rent  a  b c", "Text (see law) (end)."]);
}

#[test]
fn pages_are_as_laid_out_or_as_told() {
    let pages = |body: &str| -> Vec<Option<u32>> {
        let document = read(&docx(body)).unwrap();
        document.blocks.iter().map(|block| block.page).collect()
    };
    let told = format!(
        r#"{}<w:p><w:r><w:br w:type="page"/></w:r></w:p>{}"#,
        plain("a"),
        plain("b")
    );
    assert_eq!(pages(&told), [Some(1), Some(2)]);
    let laid_out = format!(
        "{}<w:p><w:r><w:lastRenderedPageBreak/><w:t>b</w:t></w:r><w:r><w:lastRenderedPageBreak/><w:t>b</w:t></w:r></w:p>{}",
        plain("a"),
        plain("c")
    );
    assert_eq!(pages(&laid_out), [Some(1), Some(2), Some(3)]);
    assert_eq!(pages(&plain("a")), [None]);
}

#[test]
fn other_encodings_and_other_names_of_parts_are_read() {
    let main = main_part(&plain("größer")).replace("UTF-8", "UTF-16");
    let units = std::iter::once(0xfeff).chain(main.encode_utf16());
    let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    let relations = RELATIONS.replace("word/document.xml", "/strange/main.xml");
    let file = archive(&[
        ("_rels/.rels", relations.as_bytes()),
        ("strange/main.xml", &bytes),
    ]);
    assert_eq!(read(&file).unwrap().blocks[0].text, "größer");
}

#[test]
fn broken_files_say_what_is_wrong() {
    let whole = docx(&plain("text"));
    assert!(reason(b"no archive").contains("cut off or damaged"));
    for end in [30, whole.len() / 2, whole.len() - 30] {
        assert!(
            reason(&whole[..end]).contains("cut off or damaged"),
            "{end}"
        );
    }
    assert!(matches!(
        read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on"),
        Err(ReadError::Encrypted)
    ));
    let without = archive(&[("word/styles.xml", STYLES.as_bytes())]);
    assert!(reason(&without).contains("main part is missing"));
    let cut = archive(&[("word/document.xml", b"<w:document><w:body><w:p>")]);
    assert!(reason(&cut).contains("XML ends too early"));
    let crossed = archive(&[(
        "word/document.xml",
        b"<w:document><w:body></w:document></w:body>",
    )]);
    assert!(reason(&crossed).contains("XML is damaged"));
    let binary: Vec<u8> = (0..=255).cycle().take(5000).collect();
    assert!(reason(&archive(&[("word/document.xml", &binary)])).contains("not text"));
    // A byte of the packed text changed: its checksum tells.
    let mut changed = whole.clone();
    let at = memchr::memmem::rfind(&whole, b"word/document.xml").unwrap();
    let data = memchr::memmem::find_iter(&whole, b"word/document.xml")
        .next()
        .unwrap();
    assert!(data < at);
    changed[data + 40] ^= 0x55;
    assert!(read(&changed).is_err());
}

#[test]
fn nothing_outside_the_file_is_pulled_in() {
    let with = |kind: &str, text: &str| {
        let main = main_part(&plain(text)).replace("<w:document ", &format!("{kind}<w:document "));
        archive(&[("word/document.xml", main.as_bytes())])
    };
    let external = with(
        "<!DOCTYPE d [<!ENTITY x SYSTEM \"file:///etc/hostname\">]>",
        "&x;",
    );
    assert!(reason(&external).contains("document type"));
    let laughs = with(
        "<!DOCTYPE d [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]>",
        "&b;",
    );
    assert!(reason(&laughs).contains("document type"));
    assert!(reason(&with("", "&x;")).contains("entity"));
    let relations = RELATIONS
        .replace("Target=", "TargetMode=\"External\" Target=")
        .replace("word/document.xml", "file:///etc/hostname");
    let main = main_part(&plain("inside"));
    let file = archive(&[
        ("_rels/.rels", relations.as_bytes()),
        ("word/document.xml", main.as_bytes()),
    ]);
    assert_eq!(read(&file).unwrap().blocks[0].text, "inside");
    let upwards = RELATIONS.replace("word/document.xml", "../../etc/hostname");
    assert!(reason(&archive(&[("_rels/.rels", upwards.as_bytes())])).contains("missing"));
}

#[test]
fn nesting_has_an_end() {
    let deep = "<w:p>".repeat(100_000);
    assert!(reason(&docx(&deep)).contains("nested too deeply"));
    let boxes = format!(
        "{}{}{}",
        "<w:p>".repeat(200),
        "<w:r><w:t>in</w:t></w:r>",
        "</w:p>".repeat(200)
    );
    assert_eq!(read(&docx(&boxes)).unwrap().blocks.len(), 1);
}

#[test]
fn bombs_are_refused_before_they_unpack() {
    let spaces = vec![b' '; 80 << 20];
    let main = [main_part(&plain("text")).as_bytes(), &spaces].concat();
    let bomb = archive(&[("word/document.xml", &main)]);
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    assert!(
        matches!(read(&bomb), Err(ReadError::Bomb { .. })),
        "{}",
        reason(&bomb)
    );

    // The same with sizes that lie, in both places that tell them.
    let mut lying = bomb.clone();
    let size = (main.len() as u32).to_le_bytes();
    let places: Vec<usize> = memchr::memmem::find_iter(&bomb, &size).collect();
    assert!(places.len() >= 2, "{places:?}");
    for at in places {
        lying[at..at + 4].copy_from_slice(&1000_u32.to_le_bytes());
    }
    assert!(read(&lying).is_err());

    let names: Vec<String> = (0..5000).map(|at| format!("word/media/{at}.png")).collect();
    let parts: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), &b"x"[..]))
        .collect();
    assert!(reason(&archive(&parts)).contains("too many parts"));

    // A picture that is a bomb is never unpacked.
    let picture = vec![0; 80 << 20];
    let main = main_part(&plain("text"));
    let file = archive(&[
        ("word/document.xml", main.as_bytes()),
        ("word/media/1.png", &picture),
    ]);
    assert_eq!(read(&file).unwrap().blocks[0].text, "text");
}

#[test]
fn parts_with_a_password_are_not_read() {
    let mut bytes = docx(&plain("secret"));
    // The flag that a part is encrypted, in the list of parts.
    let at = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    bytes[at + 8] |= 1;
    let start = u32::from_le_bytes(bytes[at + 42..at + 46].try_into().unwrap()) as usize;
    bytes[start + 6] |= 1;
    assert!(
        matches!(read(&bytes), Err(ReadError::Encrypted)),
        "{}",
        reason(&bytes)
    );
}

proptest! {
    #[test]
    fn changed_files_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        end in any::<prop::sample::Index>(), cuts in any::<bool>(),
    ) {
        let mut bytes = docx(&format!("{}{}", styled("berschrift1", "Head"), plain("text")));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(document) = read(&bytes) {
            prop_assert!(document.blocks.len() <= 10);
        }
    }

    #[test]
    fn any_markup_is_read_or_refused(parts in prop::collection::vec(
        prop::sample::select(vec![
            "<w:p>", "</w:p>", "<w:r>", "</w:r>", "<w:t>", "</w:t>", "<w:tr>", "</w:tr>", "<w:tc>", "</w:tc>",
            "<w:tbl>", "</w:tbl>", "<w:br/>", "<w:del>", "</w:del>", "<mc:Fallback>", "</mc:Fallback>", "text", "&amp;",
            "<w:pStyle w:val=\"berschrift1\"/>", "<w:outlineLvl w:val=\"999\"/>", "<w:footnote w:id=\"1\">",
            "</w:footnote>", "<w:footnoteReference/>", "<w:vanish/>", "<w:lastRenderedPageBreak/>", "<!-- -->",
        ]), 0..40,
    )) {
        let _ = read(&docx(&parts.concat()));
    }
}
