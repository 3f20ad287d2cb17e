use proptest::prelude::*;

use super::*;

/// Builds GGUF bytes field by field, so that each can be made wrong.
struct Bytes(Vec<u8>);

impl Bytes {
    fn start(tensors: u64, keys: u64) -> Bytes {
        Bytes(Vec::new()).raw(b"GGUF").u32(3).u64(tensors).u64(keys)
    }

    fn raw(mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u32(self, value: u32) -> Bytes {
        self.raw(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Bytes {
        self.raw(&value.to_le_bytes())
    }

    fn text(self, text: &str) -> Bytes {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }

    fn arch(self) -> Bytes {
        self.text("general.architecture").u32(8).text("llama")
    }

    fn tensor(self, name: &str, dims: &[u64], type_id: u32, offset: u64) -> Bytes {
        let start = self.text(name).u32(dims.len() as u32);
        let dims = dims.iter().fold(start, |bytes, &dim| bytes.u64(dim));
        dims.u32(type_id).u64(offset)
    }

    /// Pads to the alignment and adds `count` bytes of data.
    fn data(mut self, count: usize) -> Bytes {
        self.0.resize(self.0.len().next_multiple_of(32), 0);
        self.0.extend((0..count).map(|index| index as u8));
        self
    }

    fn open(&self) -> Result<Gguf, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.gguf");
        std::fs::write(&path, &self.0).unwrap();
        Gguf::open(&path)
    }
}

fn valid() -> Bytes {
    Bytes::start(2, 6)
        .arch()
        .text("llama.context_length")
        .u32(4)
        .u32(2048)
        .text("llama.rope.freq_base")
        .u32(6)
        .raw(&1e4_f32.to_le_bytes())
        .text("tokenizer.ggml.tokens")
        .u32(9)
        .u32(8)
        .u64(3)
        .text("<s>")
        .text("a")
        .text("b")
        .text("tokenizer.ggml.add_bos_token")
        .u32(7)
        .raw(&[1])
        .text("tokenizer.ggml.token_type")
        .u32(9)
        .u32(5)
        .u64(3)
        .raw(&[3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
        .tensor("a.weight", &[32, 2], 8, 0)
        .tensor("b.weight", &[4], 0, 96)
        .data(96 + 16)
}

#[test]
fn reads_what_was_written() {
    let gguf = valid().open().unwrap();
    assert_eq!(gguf.architecture(), "llama");
    assert_eq!(gguf.arch_u64("context_length").unwrap(), Some(2048));
    assert_eq!(gguf.arch_f32("rope.freq_base").unwrap(), Some(1e4));
    assert_eq!(gguf.arch_u64("block_count").unwrap(), None);
    assert_eq!(
        gguf.texts("tokenizer.ggml.tokens").unwrap(),
        Some(&["<s>", "a", "b"].into_iter().collect())
    );
    assert_eq!(
        gguf.u64s("tokenizer.ggml.token_type").unwrap(),
        Some(vec![3, 1, 1])
    );
    let keys: Vec<_> = gguf.metadata().map(|(key, _)| key).collect();
    assert_eq!(keys[0], "general.architecture");
    assert_eq!(keys[5], "tokenizer.ggml.token_type");
    assert_eq!(gguf.parameter_count(), 68);

    let infos: Vec<_> = gguf.tensors().collect();
    assert_eq!(infos[0].name, "a.weight");
    assert_eq!(infos[0].shape, [2, 32]);
    assert_eq!(infos[0].quant, Some(QuantType::Q8_0));
    let first = gguf.tensor("a.weight").unwrap();
    assert_eq!(first.bytes, (0..68).collect::<Vec<u8>>());
    let second = gguf.tensor("b.weight").unwrap();
    assert_eq!(second.bytes, (96..112).collect::<Vec<u8>>());
}

#[test]
fn released_bytes_are_read_again() {
    let gguf = Bytes::start(1, 1)
        .arch()
        .tensor("t", &[1 << 14], 0, 0)
        .data(1 << 16)
        .open()
        .unwrap();
    let bytes = gguf.tensor("t").unwrap().bytes;
    let before = bytes.to_vec();
    gguf.release(bytes);
    gguf.release(&bytes[5000..9000]);
    // Not a part of the file: nothing happens.
    gguf.release(&before);
    assert_eq!(bytes, before);
}

#[test]
fn header_only_lists_tensors_without_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    std::fs::write(&path, valid().0).unwrap();
    let gguf = Gguf::header_only(&path).unwrap();
    assert_eq!(gguf.tensors().count(), 2);
    let message = gguf.tensor("a.weight").unwrap_err().to_string();
    assert!(message.contains("a.weight"), "{message}");
}

#[test]
fn accessors_name_key_and_type() {
    let gguf = valid().open().unwrap();
    let wrong = gguf.u64("general.architecture").unwrap_err().to_string();
    assert!(
        wrong.contains("'general.architecture' is 'llama'"),
        "{wrong}"
    );
    assert!(wrong.contains("bad.gguf"), "{wrong}");
    let missing = gguf
        .require_arch_u64("block_count")
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("'llama.block_count' is missing"),
        "{missing}"
    );
    let element = gguf.f32s("tokenizer.ggml.tokens").unwrap_err().to_string();
    assert!(element.contains("element 0 is '<s>'"), "{element}");
    let tensor = gguf.tensor("c.weight").unwrap_err().to_string();
    assert!(tensor.contains("tensor 'c.weight' is missing"), "{tensor}");
}

/// Each bad file, and words its error must have.
fn bad_files() -> Vec<(Bytes, &'static str)> {
    let one = || Bytes::start(1, 1).arch();
    let key = |type_id: u32| Bytes::start(0, 2).arch().text("k").u32(type_id);
    vec![
        (Bytes(Vec::new()), "the file ends after 0 bytes"),
        (Bytes(b"GGML".to_vec()).u32(3), "starts with 'GGML'"),
        (Bytes(b"GGUF".to_vec()), "the file ends after 4 bytes"),
        (Bytes(b"GGUF".to_vec()).u32(9).u64(0).u64(0), "version 9"),
        (
            Bytes(b"GGUF".to_vec()).u32(3_u32.swap_bytes()).u64(0),
            "big-endian",
        ),
        (Bytes::start(u64::MAX, 0), "18446744073709551615 tensors"),
        (
            Bytes::start(0, u64::MAX),
            "18446744073709551615 metadata keys",
        ),
        (Bytes::start(0, 0), "'general.architecture' is missing"),
        (
            Bytes::start(0, 1)
                .text("general.architecture")
                .u32(4)
                .u32(7),
            "'general.architecture' is 7",
        ),
        (
            Bytes::start(0, 2).arch().arch(),
            "'general.architecture': is there twice",
        ),
        (
            Bytes::start(0, 1).u64(u64::MAX).raw(&[0; 64]),
            "metadata key 0: name of",
        ),
        (
            key(8).u64(1 << 40).raw(&[0; 64]),
            "'k': 1099511627776 bytes of text",
        ),
        (key(77).u64(0), "'k': value type 77 is unknown"),
        (key(7).raw(&[9]), "boolean 9"),
        (key(4), "'k': the file ends"),
        (
            key(9).u32(0).u64(1 << 60).raw(&[0; 64]),
            "'k': 1152921504606846976 array elements",
        ),
        (key(9).u32(99).u64(1).raw(&[0; 64]), "value type 99"),
        (
            (0..64)
                .fold(key(9), |bytes, _| bytes.u32(9).u64(1))
                .raw(&[0; 64]),
            "nested deeper",
        ),
        (
            Bytes::start(1, 2)
                .arch()
                .text("general.alignment")
                .u32(4)
                .u32(0)
                .tensor("t", &[4], 0, 0)
                .data(16),
            "'general.alignment' is 0, expected a power of two",
        ),
        (
            Bytes::start(1, 2)
                .arch()
                .text("general.alignment")
                .u32(4)
                .u32(48)
                .tensor("t", &[4], 0, 0)
                .data(16),
            "'general.alignment' is 48",
        ),
        (
            one().tensor("t", &[1; 5], 0, 0).data(64),
            "tensor 't': 5 dimensions",
        ),
        (
            one().text("t").u32(u32::MAX).raw(&[0; 64]),
            "tensor 't': 4294967295 dimensions",
        ),
        (
            one().tensor("t", &[0, 4], 0, 0).data(64),
            "no sensible number",
        ),
        (
            one().tensor("t", &[1 << 40, 1 << 40], 0, 0).data(64),
            "no sensible number",
        ),
        (
            one().tensor("t", &[1 << 62], 0, 0).data(64),
            "do not lie inside the file",
        ),
        (one().tensor("t", &[33], 8, 0).data(64), "rows of 33 values"),
        (
            one().tensor("t", &[255, 256], 12, 0).data(64),
            "rows of 255 values",
        ),
        (
            one().tensor("t", &[4], 0, 8).data(64),
            "offset 8 is not a multiple",
        ),
        (
            one().tensor("t", &[4], 0, 64).data(64),
            "do not lie inside the file",
        ),
        (
            one().tensor("t", &[4], 0, u64::MAX - 31).data(64),
            "do not lie inside the file",
        ),
        (
            one().tensor("t", &[32], 0, 0).data(127),
            "do not lie inside the file",
        ),
        (one().tensor("t", &[4], 0, 0), "do not lie inside the file"),
        (
            Bytes::start(2, 1)
                .arch()
                .tensor("t", &[4], 0, 0)
                .tensor("t", &[4], 0, 32)
                .data(64),
            "tensor 't': is there twice",
        ),
        (
            Bytes::start(2, 1)
                .arch()
                .tensor("t", &[16], 0, 0)
                .tensor("u", &[4], 0, 32)
                .data(64),
            "tensor 'u': starts at byte",
        ),
        (
            Bytes::start(2, 1)
                .arch()
                .tensor("t", &[4], 0, 0)
                .tensor("u", &[4], 0, 0)
                .data(64),
            "inside tensor 't'",
        ),
    ]
}

#[test]
fn bad_files_are_refused_by_name() {
    for (bytes, words) in bad_files() {
        let message = bytes.open().expect_err(words).to_string();
        assert!(message.contains(words), "'{message}' lacks '{words}'");
        assert!(message.contains("bad.gguf"), "{message}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let whole = valid().0;
    for len in 0..whole.len() {
        let cut = Bytes(whole[..len].to_vec());
        assert!(cut.open().is_err(), "cut to {len} of {}", whole.len());
    }
}

#[test]
fn an_unsupported_type_only_matters_when_it_is_used() {
    let gguf = Bytes::start(2, 1)
        .arch()
        .tensor("iq", &[256], 23, 0)
        .tensor("new", &[256], 250, 160)
        .data(160)
        .open()
        .unwrap();
    let names: Vec<_> = gguf.tensors().map(|tensor| tensor.type_name).collect();
    assert_eq!(names, ["IQ4_XS", "unknown"]);
    let known = gguf.tensor("iq").unwrap_err().to_string();
    assert!(known.contains("'iq' has type IQ4_XS"), "{known}");
    let unknown = gguf.tensor("new").unwrap_err().to_string();
    assert!(unknown.contains("'new' has type number 250"), "{unknown}");
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Gguf::open(&folder.path().join("none.gguf")).unwrap_err();
    assert!(missing.to_string().contains("none.gguf"), "{missing}");
    let folder_error = Gguf::open(folder.path()).unwrap_err().to_string();
    assert!(
        folder_error.contains("not a regular file"),
        "{folder_error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever bytes change, reading gives a file or an error, and a file's tensors can be read.
    #[test]
    fn mutated_files_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = valid().0;
        for (index, value) in edits {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let len = bytes.len();
        match Bytes(bytes).open() {
            Ok(gguf) => {
                for info in gguf.tensors() {
                    if let Ok(tensor) = gguf.tensor(info.name) {
                        prop_assert!(tensor.bytes.len() <= len);
                    }
                }
            }
            Err(error) => prop_assert!(error.to_string().contains("bad.gguf")),
        }
    }
}
