//! Small files of every format, and files that mean harm.

use proptest::prelude::*;

use super::*;

fn texts(bytes: &[u8], format: Format) -> Vec<String> {
    let document = read(bytes, format).unwrap();
    document
        .blocks
        .into_iter()
        .map(|block| block.text)
        .collect()
}

#[test]
fn names_tell_formats() {
    let cases = [
        ("a.txt", Some(Format::Text)),
        ("A.MD", Some(Format::Markdown)),
        ("../../etc/x.html", Some(Format::Html)),
        ("t.tsv", Some(Format::Csv)),
        ("a.tar.json", Some(Format::Json)),
        ("a.exe", None),
        ("json", None),
        ("", None),
    ];
    for (name, want) in cases {
        assert_eq!(Format::of_name(name), want, "{name}");
    }
}

#[test]
fn plain_text_has_paragraphs_and_pages() {
    let document = read(b"one\r\ntwo\r\n\r\n three \n\x0cfour\n", Format::Text).unwrap();
    let blocks: Vec<_> = document
        .blocks
        .iter()
        .map(|b| (b.text.as_str(), b.page, b.offset))
        .collect();
    assert_eq!(
        blocks,
        [
            ("one\ntwo", Some(1), 0),
            ("three", Some(1), 8),
            ("four", Some(2), 14)
        ]
    );
    assert_eq!(read(b"x", Format::Text).unwrap().blocks[0].page, None);
}

#[test]
fn encodings_are_recognised() {
    let german = "Größe und Maß: für über 100 € schön verkäuflich";
    let russian = "Сложный процент работает на того, кто ждёт долго";
    let cases = [
        (german.as_bytes().to_vec(), german),
        ([b"\xef\xbb\xbf", german.as_bytes()].concat(), german),
        (
            encoding_rs::WINDOWS_1252.encode(german).0.into_owned(),
            german,
        ),
        (
            encoding_rs::WINDOWS_1251.encode(russian).0.into_owned(),
            russian,
        ),
        (utf16(german), german),
    ];
    for (bytes, want) in cases {
        assert_eq!(texts(&bytes, Format::Text), [want]);
    }
    let page = "<meta charset=\"windows-1251\"><p>Да</p>";
    let bytes = encoding_rs::WINDOWS_1251.encode(page).0;
    assert_eq!(texts(&bytes, Format::Html), ["Да"]);
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn markdown_is_read_by_structure() {
    let text = "---\ntitle: hidden\n---\n# Title\n\nA *b* `c`\nd <b>e</b>\n\n## Two\n\n- x\n- y\n  - z\n\n\
                ```rust\nlet a = 1;\n```\n\n| h | i |\n|---|---|\n| 1 | 2 |\n\n# Three\n\nEnd\n";
    let document = read(text.as_bytes(), Format::Markdown).unwrap();
    assert_eq!(document.title.as_deref(), Some("Title"));
    let blocks: Vec<_> = document
        .blocks
        .iter()
        .map(|b| (b.text.as_str(), b.headings.join("/")))
        .collect();
    let want = [
        ("A b c\nd e", "Title"),
        ("x", "Title/Two"),
        ("y", "Title/Two"),
        ("z", "Title/Two"),
        ("let a = 1;", "Title/Two"),
        ("h  i", "Title/Two"),
        ("1  2", "Title/Two"),
        ("End", "Three"),
    ];
    assert_eq!(blocks, want.map(|(text, path)| (text, path.to_owned())));
}

#[test]
fn pages_lose_scripts_menus_and_forms() {
    let page = "<!doctype html><html><head><title> A  page </title><style>p{}</style></head><body>\
        <nav><a href=/>Home</a></nav><header>Logo</header><main><header><h1>Top</h1></header><p>One <b>two</b>&amp;three<br>four</p>\
        <script>alert('x')</script><h2>Sub</h2><ul><li>five<li>six</ul>\
        <table><tr><td>7<td>8</table><form><input><button>Buy</button></form></main>\
        <footer>Legal</footer></body>";
    let document = read(page.as_bytes(), Format::Html).unwrap();
    assert_eq!(document.title.as_deref(), Some("A page"));
    let blocks: Vec<_> = document
        .blocks
        .iter()
        .map(|b| (b.text.as_str(), b.headings.join("/")))
        .collect();
    let want = [
        ("One two&three four", "Top"),
        ("five", "Top/Sub"),
        ("six", "Top/Sub"),
        ("7 8", "Top/Sub"),
    ];
    assert_eq!(blocks, want.map(|(text, path)| (text, path.to_owned())));
    assert_eq!(
        texts(b"<main></main>left <i>over</i>", Format::Html),
        ["left over"]
    );
}

#[test]
fn records_have_named_values() {
    let csv = "name;amount\n\"Rent; flat\";900\nFood;\n";
    assert_eq!(
        texts(csv.as_bytes(), Format::Csv),
        ["name: Rent; flat; amount: 900", "name: Food"]
    );
    assert_eq!(texts(b"a,b\n1,2,3\n", Format::Csv), ["a: 1; b: 2; 3"]);
    assert_eq!(texts(b"just one line", Format::Csv), ["just one line"]);
    let json = br#"{"shop": "X", "none": null, "items": [{"n": "a", "p": 1.5}, {"n": "b", "ok": true}], "tags": ["t", 2]}"#;
    assert_eq!(
        texts(json, Format::Json),
        [
            "shop: X",
            "items.n: a\nitems.p: 1.5",
            "items.n: b\nitems.ok: true",
            "tags: t\ntags: 2"
        ]
    );
}

#[test]
fn empty_broken_and_huge_files_are_refused() {
    for (bytes, format) in [
        (&b""[..], Format::Text),
        (b" \n\t\r\n", Format::Markdown),
        (b"<script>x</script>", Format::Html),
        (b"\n\n", Format::Csv),
        (b"{}", Format::Json),
        (b"\xef\xbb\xbf", Format::Text),
    ] {
        assert!(
            matches!(read(bytes, format), Err(ReadError::Empty)),
            "{bytes:?}"
        );
    }
    let binary: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let controls = [0x81, 1, 2, 3, 4, 5, 6].repeat(50);
    for bytes in [&binary, &controls] {
        assert!(matches!(read(bytes, Format::Text), Err(ReadError::NotText)));
    }
    assert!(matches!(
        read(b"{\"a\": ", Format::Json),
        Err(ReadError::Json(_))
    ));
    let deep = "[".repeat(100_000);
    assert!(matches!(
        read(deep.as_bytes(), Format::Json),
        Err(ReadError::Json(_))
    ));
    let huge = vec![b'a'; MOST_BYTES + 1];
    assert!(matches!(
        read(&huge, Format::Text),
        Err(ReadError::TooLarge { .. })
    ));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let page = format!("{}deep", "<div>".repeat(200_000));
    assert_eq!(texts(page.as_bytes(), Format::Html), ["deep"]);
    let page = format!("{}</nav>deep", "<nav>".repeat(200_000));
    assert!(matches!(
        read(page.as_bytes(), Format::Html),
        Err(ReadError::Empty)
    ));
    let quotes = format!("{}deep", "> ".repeat(20_000));
    assert!(read(quotes.as_bytes(), Format::Markdown).is_ok());
    let lists = "- ".repeat(20_000) + "deep";
    assert!(read(lists.as_bytes(), Format::Markdown).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in [Format::Text, Format::Markdown, Format::Html, Format::Csv, Format::Json] {
            if let Ok(document) = read(&bytes, format) {
                let mut offset = 0;
                for block in document.blocks {
                    prop_assert_eq!(block.offset, offset);
                    prop_assert!(!block.text.is_empty());
                    offset += block.text.len() + 1;
                }
            }
        }
    }
}
