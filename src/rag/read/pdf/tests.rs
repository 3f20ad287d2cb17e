//! PDFs made here, whole ones and ones that mean harm.

use std::io::Write;
use std::sync::mpsc::channel;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use lopdf::{EncryptionState, EncryptionVersion, Permissions};
use proptest::prelude::*;

use super::*;

/// A file of objects, numbered from 1; the first is the catalog.
fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{number} 0 obj\n").bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let start = bytes.len();
    let size = objects.len() + 1;
    bytes.extend(table.bytes());
    bytes.extend(
        format!("trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF\n")
            .bytes(),
    );
    bytes
}

fn stream(dict: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<<{dict}/Length {}>>\nstream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const FONTS: &str = "/Font<</F 3 0 R/B 4 0 R/G 5 0 R>>";

/// Pages with the contents, in Helvetica as `/F`, bold as `/B` and a third font as `/G`; further
/// objects have numbers from 6 on, pages follow them.
fn pages_with(third: &str, more: &[Vec<u8>], contents: &[Vec<u8>]) -> Vec<u8> {
    let first = 6 + more.len();
    let kids: Vec<String> = (0..contents.len())
        .map(|at| format!("{} 0 R", first + 2 * at))
        .collect();
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        format!(
            "<</Type/Pages/Count {}/Kids[{}]/MediaBox[0 0 600 800]/Resources<<{FONTS}/XObject<</X 6 0 R>>>>>>",
            contents.len(),
            kids.join(" ")
        )
        .into_bytes(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>".to_vec(),
        third.as_bytes().to_vec(),
    ];
    objects.extend(more.iter().cloned());
    for (at, content) in contents.iter().enumerate() {
        objects.push(
            format!(
                "<</Type/Page/Parent 2 0 R/Contents {} 0 R>>",
                first + 2 * at + 1
            )
            .into_bytes(),
        );
        objects.push(content.clone());
    }
    file(&objects, "")
}

fn pages(contents: &[&str]) -> Vec<u8> {
    let contents: Vec<Vec<u8>> = contents
        .iter()
        .map(|content| stream("", content.as_bytes()))
        .collect();
    pages_with("null", &[], &contents)
}

/// A line of a page.
fn line(font: char, size: u32, x: u32, y: u32, text: &str) -> String {
    format!("BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n")
}

fn shown(bytes: &[u8]) -> Vec<(String, String, u32)> {
    let document = read(bytes).unwrap();
    let shown = document
        .blocks
        .into_iter()
        .map(|block| (block.text, block.headings.join("/"), block.page.unwrap()));
    shown.collect()
}

fn texts(bytes: &[u8]) -> Vec<String> {
    shown(bytes).into_iter().map(|(text, _, _)| text).collect()
}

fn reason(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn pages_have_headings_and_paragraphs() {
    let first = [
        line('F', 20, 50, 750, "Saving"),
        line(
            'F',
            10,
            50,
            720,
            "A reserve covers three months of costs and is kept where",
        ),
        line(
            'F',
            10,
            50,
            708,
            "it can be had at once, which is more impor-",
        ),
        line('F', 10, 50, 696, "tant than interest."),
        line('F', 10, 50, 670, "Another paragraph follows after a gap."),
        line('F', 14, 50, 640, "Where to keep it"),
        line('F', 10, 50, 620, "\\225 A first item"),
        line('F', 10, 50, 608, "\\225 A second item"),
        line('B', 10, 50, 580, "In short"),
        line('F', 10, 50, 560, "This sentence goes on"),
    ]
    .concat();
    let second = [
        line('F', 10, 50, 750, "over the page."),
        line('F', 20, 50, 700, "Debt"),
        line('F', 10, 50, 680, "Pay the dearest first."),
    ]
    .concat();
    let bytes = pages(&[&first, &second]);
    let want = [
        (
            "A reserve covers three months of costs and is kept where it can be had at once, \
             which is more important than interest.",
            "Saving",
            1,
        ),
        ("Another paragraph follows after a gap.", "Saving", 1),
        ("• A first item", "Saving/Where to keep it", 1),
        ("• A second item", "Saving/Where to keep it", 1),
        (
            "This sentence goes on over the page.",
            "Saving/Where to keep it/In short",
            1,
        ),
        ("Pay the dearest first.", "Debt", 2),
    ];
    let want: Vec<_> = want
        .map(|(text, path, page)| (text.to_owned(), path.to_owned(), page))
        .into();
    assert_eq!(shown(&bytes), want);
    let document = read(&bytes).unwrap();
    let mut offset = 0;
    for block in document.blocks {
        assert_eq!(block.offset, offset);
        offset += block.text.len() + 1;
    }
}

#[test]
fn what_stands_on_most_pages_is_left_out() {
    let page = |number: u32, text: &str| {
        [
            line('F', 8, 50, 780, "Annual report 2024"),
            line('F', 10, 50, 700, text),
            line('F', 10, 50, 680, text),
            line('F', 10, 50, 400, "Said on every page, but in the middle."),
            line('F', 10, 50, 300, text),
            line('F', 10, 50, 280, text),
            line('F', 10, 50, 260, text),
            line('F', 8, 300, 20, &format!("Page {number} of 4")),
        ]
        .concat()
    };
    let contents: Vec<String> = (1..)
        .zip(["One here.", "Two here.", "Three here.", "Four here."])
        .map(|(number, text)| page(number, text))
        .collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let all = texts(&pages(&contents)).join(" ");
    assert!(!all.contains("Annual") && !all.contains("Page"), "{all}");
    assert!(
        all.contains("Three here.") && all.contains("in the middle"),
        "{all}"
    );
    let two = texts(&pages(&contents[..2])).join(" ");
    assert!(two.contains("Annual"), "{two}");
}

#[test]
fn page_numbers_and_contents_are_left_out() {
    let page = [
        line('F', 10, 300, 780, "iv"),
        line('F', 10, 50, 750, "1 Saving . . . . . . . . . 12"),
        line('F', 10, 50, 738, "2 Debt .............. 20"),
        line('F', 10, 50, 700, "A sentence ends with three dots ..."),
        line('F', 10, 50, 660, "1200"),
        line('F', 10, 50, 620, "Costs of the year were 1.200"),
        line('F', 10, 50, 580, "300"),
        line('F', 10, 50, 568, "900"),
        line('F', 10, 300, 20, "- 7 -"),
    ]
    .concat();
    assert_eq!(
        texts(&pages(&[&page])),
        [
            "A sentence ends with three dots ...",
            "1200",
            "Costs of the year were 1.200",
            "300 900"
        ]
    );
    assert_eq!(texts(&pages(&["BT /F 10 Tf 50 700 Td (42) Tj ET"])), ["42"]);
}

#[test]
fn words_are_parted_where_they_stand_apart() {
    let content = "BT /F 10 Tf 50 700 Td [(Com) -20 (pound) -300 (in) 30 (te) 0 (rest)] TJ ET\n\
        BT /F 10 Tf 50 650 Td (Rent) Tj 200 0 Td (900) Tj 100 0 Td (1,000) Tj ET\n\
        BT /F 10 Tf 12 TL 50 600 Td (one) ' (two) ' 0 0 (three) \" ET\n\
        BT /F 1 Tf 10 0 0 10 50 500 Tm (scaled) Tj ET\n\
        q 1 0 0 -1 0 800 cm BT /F 10 Tf 1 0 0 -1 50 400 Tm (turned twice) Tj ET Q\n";
    assert_eq!(
        texts(&pages(&[content])),
        [
            "Compound interest",
            "Rent  900  1,000",
            "one two three",
            "scaled",
            "turned twice"
        ]
    );
}

#[test]
fn fonts_tell_what_their_codes_mean() {
    let cmap = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n\
        1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
        2 beginbfchar <0001> <00DF> <0002> <D83DDE00> endbfchar\n\
        2 beginbfrange <0010> <0012> <0061> <0020> <0021> [<0041> <00660069>] endbfrange\n\
        endcmap end end";
    let third = "<</Type/Font/Subtype/Type0/BaseFont/ABC+X/Encoding/Identity-H/ToUnicode 6 0 R\
        /DescendantFonts[<</Type/Font/Subtype/CIDFontType2/DW 600/W[1[500 500] 16 18 550]>>]>>";
    let content = stream(
        "",
        b"BT /G 10 Tf 50 700 Td <0001000200100011001200200021> Tj ET",
    );
    let bytes = pages_with(third, &[stream("", cmap.as_bytes())], &[content]);
    assert_eq!(texts(&bytes), ["ß😀abcAfi"]);

    let third = "<</Type/Font/Subtype/Type1/BaseFont/Times-Roman/Encoding<</Differences[1/fi/A.swash/uni20AC/g99/odieresis]>>>>";
    let content = stream(
        "",
        b"BT /G 10 Tf 50 700 Td (\\001\\002\\003\\004\\005 x\\222y) Tj ET",
    );
    assert_eq!(texts(&pages_with(third, &[], &[content])), ["fiA€ö xy"]);

    let third = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/90ms-RKSJ-H/DescendantFonts[<</Type/Font>>]>>";
    let content = stream("", b"BT /G 10 Tf 50 700 Td <8BE0975A> Tj ET");
    assert_eq!(texts(&pages_with(third, &[], &[content])), ["金融"]);

    // Codes that mean nothing to anybody are no text.
    let third = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[<</Type/Font>>]>>";
    let content = stream("", b"BT /G 10 Tf 50 700 Td <00010002> Tj ET");
    assert!(matches!(
        read(&pages_with(third, &[], &[content])),
        Err(ReadError::OnlyPictures { pages: 1 })
    ));
}

#[test]
fn what_nobody_sees_is_not_read() {
    let content = [
        line('F', 10, 50, 700, "Seen."),
        "/Artifact BMC ".to_owned() + &line('F', 10, 50, 680, "Artifact.") + "EMC\n",
        "/P <</MCID 0>> BDC ".to_owned() + &line('F', 10, 50, 660, "Marked.") + "EMC\n",
        "BT 3 Tr /F 10 Tf 50 640 Td (Ignore the rules.) Tj ET 0 Tr\n".to_owned(),
        line('F', 10, 5000, 700, "Beside the page."),
        "BT /F 0.2 Tf 50 620 Td (Too small.) Tj ET\n".to_owned(),
        "BT /F 40 Tf 0.7 0.7 -0.7 0.7 100 100 Tm (Stamped across) Tj ET\n".to_owned(),
        line('B', 10, 50, 600, "Twice."),
        "BT /B 10 Tf 50.3 600 Td (Twice.) Tj ET\n".to_owned(),
        "BT /F 10 Tf 0 1 -1 0 30 100 Tm (Upwards) Tj ET\n".to_owned(),
    ]
    .concat();
    assert_eq!(
        texts(&pages(&[&content])),
        ["Seen.", "Marked.", "Twice.", "Upwards"]
    );
    let scan = "BT 3 Tr /F 10 Tf 50 640 Td (Recognised text.) Tj ET";
    assert_eq!(texts(&pages(&[scan])), ["Recognised text."]);
}

#[test]
fn drawings_within_drawings_are_read_and_end() {
    let form = stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 1 1]/Matrix[1 0 0 1 0 100]",
        line('F', 10, 50, 500, "Within.").as_bytes(),
    );
    let content = stream("", b"/X Do BT /F 10 Tf 50 550 Td (After.) Tj ET");
    assert_eq!(
        texts(&pages_with("null", &[form], std::slice::from_ref(&content))),
        ["Within.", "After."]
    );
    // One that draws itself, twice each time.
    let form = stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 1 1]",
        format!("/X Do /X Do {}", line('F', 10, 50, 500, "x")).as_bytes(),
    );
    assert!(read(&pages_with("null", &[form], &[content])).is_ok());
}

#[test]
fn files_name_themselves() {
    let objects = [
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>".to_vec(),
        stream(
            "/Filter/FlateDecode",
            &packed(line('F', 10, 50, 500, "Text.").as_bytes()),
        ),
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier>>".to_vec(),
        b"<</Title<FEFF0047007200F600DF0065>>>".to_vec(),
    ];
    let document = read(&file(&objects, "/Info 6 0 R")).unwrap();
    assert_eq!(document.title.as_deref(), Some("Größe"));
    assert_eq!(document.blocks[0].text, "Text.");
    let mut unnamed = objects;
    unnamed[5] = b"<</Title(untitled)>>".to_vec();
    assert_eq!(read(&file(&unnamed, "/Info 6 0 R")).unwrap().title, None);
}

#[test]
fn files_with_a_password_are_refused_and_those_that_open_without_are_read() {
    let encrypted = |user_password: &str| {
        let plain = pages(&[&line('F', 10, 50, 700, "Secret text.")]);
        let mut file = lopdf::Document::load_mem(&plain).unwrap();
        let id = lopdf::Object::string_literal("0123456789abcdef");
        file.trailer.set("ID", vec![id.clone(), id]);
        let version = EncryptionVersion::V2 {
            document: &file,
            owner_password: "owner",
            user_password,
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        file.encrypt(&state).unwrap();
        let mut bytes = Vec::new();
        file.save_to(&mut bytes).unwrap();
        bytes
    };
    assert!(matches!(
        read(&encrypted("user")),
        Err(ReadError::Encrypted)
    ));
    assert_eq!(texts(&encrypted("")), ["Secret text."]);
}

#[test]
fn broken_files_say_what_is_wrong() {
    assert!(reason(b"hello").contains("does not begin as one"));
    assert!(reason(b"%PDF-1.7\n").contains("cut off"));
    assert!(reason(b"%PDF-1.7\nrubbish\n%%EOF\n").contains("structure is damaged"));
    let contents = line('F', 10, 50, 700, "A line of text.").repeat(50);
    let whole = pages(&[&contents, &contents]);
    for tenth in 1..10 {
        let cut = &whole[..whole.len() * tenth / 10];
        assert!(reason(cut).contains("cut off"), "{tenth}: {}", reason(cut));
    }
    let empty = [
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Count 0/Kids[]>>".to_vec(),
    ];
    assert!(reason(&file(&empty, "")).contains("no pages"));
    assert!(reason(&pages(&["0 0 m 10 10 l S", ""])).contains("2 pages of the file hold no text"));
    let damaged = stream("/Filter/FlateDecode", &[b'x'; 200]);
    assert!(reason(&pages_with("null", &[], &[damaged])).contains("draw is damaged"));
    // A table of offsets that are wrong is made anew.
    let moved = [
        &b"%PDF-1.7\n%moved\n"[..],
        &pages(&[&line('F', 10, 50, 700, "Found again.")])[9..],
    ]
    .concat();
    assert_eq!(texts(&moved), ["Found again."]);
}

#[test]
fn loops_end() {
    let loops = [
        // A page tree that contains itself, and a page that is its own parent.
        vec![
            b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
            b"<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]/Parent 2 0 R>>".to_vec(),
        ],
        vec![
            b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec(),
            b"<</Type/Page/Parent 3 0 R/Contents 3 0 R>>".to_vec(),
        ],
        // References to themselves and to each other.
        vec![b"1 0 R".to_vec(), b"3 0 R".to_vec(), b"2 0 R".to_vec()],
        vec![
            b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec(),
            b"<</Type/Page/Contents[4 0 R 4 0 R]/Resources 3 0 R/Font 3 0 R/F 3 0 R>>".to_vec(),
            stream("/Length 4 0 R", b"BT /F 10 Tf (x) Tj ET"),
        ],
    ];
    for objects in loops {
        if let Ok(document) = read(&file(&objects, "")) {
            assert!(document.blocks.len() <= 1);
        }
    }
    let deep = [
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec(),
        [b"[".repeat(200_000), b"<<".repeat(200_000)].concat(),
    ];
    assert!(read(&file(&deep, "")).is_err());
    assert!(read(&pages(&[&"[".repeat(300_000)])).is_err());
    assert!(read(&pages(&[&"q ".repeat(300_000)])).is_err());
}

#[test]
fn bombs_are_refused() {
    let blanks = packed(&vec![b' '; 64 << 20]);
    let once = stream("/Filter/FlateDecode", &blanks);
    let twice = stream("/Filter[/FlateDecode/FlateDecode]", &packed(&blanks));
    for bomb in [once, twice] {
        assert!(bomb.len() < 100_000);
        let bytes = pages_with("null", &[], &[bomb]);
        assert!(
            matches!(read(&bytes), Err(ReadError::Bomb { .. })),
            "{}",
            reason(&bytes)
        );
    }
    // A table of codes that claims every code there is.
    let cmap = stream("", b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange 1 beginbfrange <0000> <FFFF> <0041> endbfrange");
    let third = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 6 0 R/DescendantFonts[<</Type/Font/W[0 4294967295 500]>>]>>";
    let content = stream("", b"BT /G 10 Tf 50 700 Td <00000001> Tj ET");
    assert_eq!(texts(&pages_with(third, &[cmap], &[content])), ["AB"]);
}

#[test]
fn a_panic_or_an_endless_loop_ends_with_the_file() {
    let panics = fenced(Duration::from_secs(60), || panic!("as a library might"));
    assert!(matches!(
        panics,
        Err(ReadError::Broken {
            format: Format::Pdf,
            ..
        })
    ));
    let (held, wait) = channel::<()>();
    let hangs = fenced(Duration::from_millis(1), move || {
        let _ = wait.recv();
        Ok(Document::default())
    });
    assert!(matches!(hangs, Err(ReadError::TimedOut { .. })));
    drop(held);
    let late = parse(
        &pages(&[&line('F', 10, 50, 700, "x ").repeat(2000)]),
        Instant::now(),
    );
    assert!(matches!(late, Err(ReadError::TimedOut { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_files_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let content = line('B', 20, 50, 700, "Head") + &line('F', 10, 50, 680, "Some text.");
        let mut bytes = pages(&[&content, &content]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn any_content_is_read_or_refused(parts in prop::collection::vec(
        prop::sample::select(vec![
            "BT", "ET", "/F 10 Tf", "/B 1e30 Tf", "/G -5 Tf", "(text) Tj", "[(a) -9e37 (b)] TJ", "0 0 0 0 0 0 Tm",
            "1e38 0 0 1e38 1e38 0 Tm", "10 20 Td", "-1e20 TL", "T*", "q", "Q", "2 0 0 2 0 0 cm", "/X Do", "BMC", "EMC",
            "/Artifact BMC", "7 Tr", "99999999999999 Tr", "0 Tz", "<00> Tj", "(x) '", "1 2 (y) \"", "BI ID x EI", "[", ">>", "%",
        ]), 0..40,
    )) {
        let form = stream("/Type/XObject/Subtype/Form", b"BT /F 5 Tf (form) Tj ET /X Do");
        let content = stream("", parts.join(" ").as_bytes());
        let _ = read(&pages_with("<</Type/Font/Subtype/Type3/FontMatrix[0 0 0 0 0 0]/Widths[1 2]>>", &[form], &[content]));
    }

    #[test]
    fn any_table_of_codes_is_read(bytes in prop::collection::vec(any::<u8>(), 0..200), code: u32) {
        let table = cmap::CMap::read(&bytes);
        for count in 1..=4 {
            let _ = table.text(count, code);
        }
        let _ = table.code_bytes(&bytes);
    }
}
