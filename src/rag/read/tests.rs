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
        ("a.Pdf", Some(Format::Pdf)),
        ("a.docx", Some(Format::Docx)),
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
fn what_a_page_hides_is_not_read() {
    let page = "<p>Seen <span hidden>secret</span>text.</p>\
        <div hidden>one<div>two</div>three</div>\
        <div style='color: red; display:none'><p>four<p>five</div>\
        <p style='Visibility : hidden'>six\
        <p style='font-size:0'>seven</p>\
        <ul><li hidden>eight<ul><li>nine</ul><li>Ten.</ul>\
        <p style='font-size: 0.9em'>Small print.</p>\
        <details><summary>More</summary><p hidden='until-found'>Found.</p></details>\
        <div hidden/>eleven";
    assert_eq!(
        texts(page.as_bytes(), Format::Html),
        ["Seen text.", "Ten.", "Small print.", "More", "Found."]
    );
    let unclosed = "<main><div hidden><p>no</main><p>Outside.";
    assert_eq!(texts(unclosed.as_bytes(), Format::Html), ["Outside."]);
    let inline = "<main><b>Bold</main> text</b> <p>on";
    assert_eq!(texts(inline.as_bytes(), Format::Html), ["Bold"]);
}

#[test]
fn menus_and_notices_are_told_by_structure() {
    let text = "Interest is what a loan costs, told as a share of it for a year. ".repeat(12);
    let notice = "<div class=x><p>We value your choice of settings.</p><button>Fine</button><button>Not</button></div>";
    let menu = "<ul><li><a href=/a>Home</a><li><a href=/b>News</a><li><a href=/c>About us</a><li><a href=/d>Contact</a></ul>";
    let line =
        "<p><a href=a>One</a> | <a href=b>Two</a> | <a href=c>Three</a> · <a href=d>Four</a></p>";
    let page = format!(
        "<body>{notice}<div role=navigation>Skip this</div>{menu}<div><h1>Loans</h1><p>{text}</p>\
         <p>See <a href=x>this</a> and <a href=y>that</a>.</p></div>{line}<div role=dialog>Subscribe!</div></body>"
    );
    assert_eq!(
        texts(page.as_bytes(), Format::Html),
        [text.trim(), "See this and that."]
    );
    // What is all there is stays, and so does a list of links within the text.
    assert_eq!(texts(menu.as_bytes(), Format::Html).len(), 4);
    let article = format!("<article><p>Sources:</p>{menu}</article>");
    assert_eq!(texts(article.as_bytes(), Format::Html).len(), 5);
    let only_box = "<div><p>Short question?</p><button>Show</button><p>Short answer.</p></div>";
    assert_eq!(
        texts(only_box.as_bytes(), Format::Html),
        ["Short question?", "Short answer."]
    );
    let framework = "<body><form id=all><p>The whole page.</p><input type=submit></form></body>";
    assert_eq!(
        texts(framework.as_bytes(), Format::Html),
        ["The whole page."]
    );
    let headless = "<title>T</title><meta name=x><p>No head, no body.";
    assert_eq!(
        texts(headless.as_bytes(), Format::Html),
        ["No head, no body."]
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
    let utf32: Vec<u8> = "text in UTF-32"
        .chars()
        .flat_map(|c| (c as u32).to_le_bytes())
        .collect();
    let marked = [b"\xff\xfe\0\0", &utf32[..]].concat();
    for bytes in [&utf32, &marked] {
        assert!(matches!(read(bytes, Format::Text), Err(ReadError::NotText)));
    }
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

/// Files near the limit that would take gigabytes if everything in them were repeated or kept.
#[test]
fn what_a_file_repeats_takes_no_more_than_the_limits() {
    let name = "n".repeat(4 << 20);
    let values: Vec<String> = (0..400_000).map(|at| format!("\"{at}\":{at}")).collect();
    let json = format!("{{\"{name}\":{{{}}}}}", values.join(","));
    let document = read(json.as_bytes(), Format::Json).unwrap();
    let text = &document.blocks[0].text;
    assert!(
        text.len() < MOST_TEXT_BYTES && text.starts_with(&format!("{}.0: 0\n", "n".repeat(100)))
    );

    let csv = format!("{name},b\n{}", "1,2\n".repeat(100_000));
    let document = read(csv.as_bytes(), Format::Csv).unwrap();
    assert_eq!(
        document.blocks[0].text,
        format!("{}: 1; b: 2", "n".repeat(100))
    );

    let markdown = format!("# {name}\n\n{}", "a\n\n".repeat(100_000));
    let document = read(markdown.as_bytes(), Format::Markdown).unwrap();
    assert_eq!(document.blocks[99_999].headings[0].len(), 200);
    assert!(Arc::ptr_eq(
        &document.blocks[0].headings,
        &document.blocks[1].headings
    ));
    assert_eq!(document.title.map(|title| title.len()), Some(200));

    let outer: Vec<String> = (1..6)
        .map(|level| format!("{} {}\n", "#".repeat(level), &name[..300]))
        .collect();
    let headed = |headings: usize| {
        let inner = (0..headings).map(|at| format!("###### {at}\n\na\n\n"));
        outer.iter().cloned().chain(inner).collect::<String>()
    };
    let document = read(headed(1000).as_bytes(), Format::Markdown).unwrap();
    assert_eq!(document.blocks[999].headings.len(), 6);

    let wide = format!("{}\n1,2", "a,".repeat(1 << 20));
    let many = format!("a,b\n{}", "x\n".repeat(MOST_BLOCKS + 10));
    for (text, format) in [
        (headed(100_000), Format::Markdown),
        (wide, Format::Csv),
        (many, Format::Csv),
        (format!("[{}0]", "0,".repeat(5 << 20)), Format::Json),
        (format!("[{}0]", "[],".repeat(2 << 20)), Format::Json),
        ("a<p>".repeat(MOST_BLOCKS + 10), Format::Html),
        ("*a".repeat(8 << 20), Format::Markdown),
        ("a\n\n".repeat(MOST_BLOCKS + 10), Format::Text),
    ] {
        let read = read(text.as_bytes(), format);
        assert!(matches!(read, Err(ReadError::TooMuchText)), "{format:?}");
    }
    let field = format!("a,b\n1,\"{}\"\n", "x".repeat(MOST_BYTES - 100));
    let document = read(field.as_bytes(), Format::Csv).unwrap();
    assert!(document.blocks[0].text.len() > MOST_BYTES - 100);
}

/// The tokenizer compares each attribute with all before it.
#[test]
fn tags_with_thousands_of_attributes_are_refused() {
    let attributes: String = (0..2000).map(|at| format!(" a{at}")).collect();
    let slashes = attributes.replace(' ', "/");
    let values: String = (0..2000).map(|at| format!(" a{at} =\"b c\"")).collect();
    let packed: String = (0..2000).map(|at| format!("a{at}='b>'")).collect();
    // What the tokenizer takes for a tag is one, whatever stands before it.
    for before in [
        "",
        "a < b << c <",
        "<!-- <p x=\" -->",
        "<!--><!---><!-- x --!>",
        "<x y='a>b'z=c/d><x y=\">\"z><x y = >",
        "<script>a <b='</SCRIPT >",
        "<style><p x='</styles></style>",
        "<title><p x='</title/>",
        "<!doctype html '>",
        "<? x='>",
        "</ x='></>",
    ] {
        for tag in [
            format!("<p{attributes}>"),
            format!("</p{attributes}>"),
            format!("<p{slashes}>"),
            format!("<p{values}>"),
            format!("<p {packed}>"),
            format!("<p '\"{attributes}"),
        ] {
            let page = format!("{before}{tag}Text.");
            let read = read(page.as_bytes(), Format::Html);
            assert!(matches!(read, Err(ReadError::Bomb { .. })), "{before}");
        }
    }
    // Where it takes them for something else, they are no attributes.
    for page in [
        format!("<p title=\"{attributes}\" alt='>{attributes}'>Text."),
        format!("<!-- <p{attributes}> --><p>Text."),
        format!("<script>if (a <b) {attributes}</script><p>Text."),
        format!("<p>Text. <textarea><p{attributes}></textarea>"),
    ] {
        assert_eq!(texts(page.as_bytes(), Format::Html), ["Text."]);
    }
}

#[test]
fn controls_do_not_reach_the_text() {
    let text = "Plain text with \u{1b}[31mcolours\u{1b}[0m and a bell \u{7}, tabs\tstay, as all words do. ".repeat(3);
    let want =
        "Plain text with [31mcolours[0m and a bell , tabs\tstay, as all words do. ".repeat(3);
    assert_eq!(texts(text.as_bytes(), Format::Text), [want.trim()]);
}

const FORMATS: [Format; 7] = [
    Format::Text,
    Format::Markdown,
    Format::Html,
    Format::Csv,
    Format::Json,
    Format::Pdf,
    Format::Docx,
];

fn check(bytes: &[u8], format: Format) -> Result<(), TestCaseError> {
    let Ok(document) = read(bytes, format) else {
        return Ok(());
    };
    let mut offset = 0;
    for block in document.blocks {
        prop_assert_eq!(block.offset, offset);
        prop_assert!(!block.text.is_empty());
        prop_assert!(
            !block
                .text
                .contains(|c: char| c.is_control() && !c.is_whitespace())
        );
        prop_assert!(block.headings.len() <= 10);
        offset += block.text.len() + 1;
    }
    prop_assert!(offset <= MOST_TEXT_BYTES);
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in FORMATS {
            check(&bytes, format)?;
        }
        let _ = format("x.pdf", &bytes);
        let starts: [(&[u8], Format); 4] = [
            (b"%PDF-1.7\n1 0 obj\n", Format::Pdf),
            (b"PK\x03\x04", Format::Docx),
            (b"\xff\xfe", Format::Text),
            (b"\xfe\xff", Format::Html),
        ];
        for (start, format) in starts {
            check(&[start, &bytes].concat(), format)?;
        }
    }

    #[test]
    fn any_text_is_read_or_refused(parts in prop::collection::vec(
        prop_oneof![
            prop::sample::select(vec![
                "<p>", "</p>", "<div hidden>", "</div>", "<main>", "</main>", "<b>", "</b>", "<li>", "<ul>", "</ul>",
                "<td>", "<table>", "</table>", "<head>", "<body>", "<h1>", "</h1>", "<script>", "</script>", "<title>",
                "<button>", "<a href=x>", "</a>", "<svg/>", "<form>", "</form>", "<textarea>", "&amp;", "<!--", "-->",
                "# ", "- ", "> ", "```\n", "| a | b |\n|--|--|\n", "---\n", "\n\n", "\"", ",", ";", "{", "}", "[", "]", ":", "1",
            ]).prop_map(str::to_owned),
            "\\PC{0,4}",
        ],
        0..60,
    )) {
        for format in FORMATS {
            check(parts.concat().as_bytes(), format)?;
        }
    }
}
