use super::*;
use crate::tokenizer::tests::fixtures;

/// A model of the llama family with `layers` layers, in F16; every matrix is `rows x columns`.
struct Model {
    layers: usize,
    tied: bool,
    columns: usize,
    rows: usize,
    value: fn(usize) -> f32,
}

impl Model {
    fn new() -> Model {
        Model {
            layers: 16,
            tied: false,
            columns: 256,
            rows: 2,
            // Smooth, with both signs, so that every block has a range to fit.
            value: |index| ((index * 7919 % 1001) as f32 - 500.0) / 250.0,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = vec![
            "token_embd.weight".to_owned(),
            "output_norm.weight".to_owned(),
        ];
        if !self.tied {
            names.push("output.weight".to_owned());
        }
        let kinds = [
            "attn_norm",
            "attn_q",
            "attn_k",
            "attn_v",
            "attn_output",
            "ffn_norm",
            "ffn_gate",
            "ffn_up",
            "ffn_down",
        ];
        for layer in 0..self.layers {
            names.extend(
                kinds
                    .iter()
                    .map(|kind| format!("blk.{layer}.{kind}.weight")),
            );
        }
        names
    }

    fn write(&self, path: &Path) {
        let metadata = [
            ("general.architecture", Value::String("llama".into())),
            ("llama.block_count", Value::U32(self.layers as u32)),
            ("general.file_type", Value::U32(1)),
            (
                "tokenizer.ggml.tokens",
                Value::Texts(["a"].into_iter().collect()),
            ),
        ];
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
        let plan: Vec<_> = self
            .names()
            .iter()
            .map(|name| match name.contains("norm") {
                true => PlannedTensor::new(name, &[self.columns], QuantType::F32),
                false => PlannedTensor::new(name, &[self.rows, self.columns], QuantType::F16),
            })
            .collect();
        let file = File::create(path).unwrap();
        let mut writer = GgufWriter::new(file, &metadata, &plan).unwrap();
        for tensor in &plan {
            let values = (0..tensor.shape.iter().product()).map(self.value);
            let bytes: Vec<u8> = match tensor.type_id {
                0 => values.flat_map(f32::to_le_bytes).collect(),
                _ => values
                    .flat_map(|value| half::f16::from_f32(value).to_le_bytes())
                    .collect(),
            };
            writer.part(&bytes).unwrap();
        }
        writer.finish().unwrap();
    }

    fn quantized(&self, file_type: FileType) -> Result<(tempfile::TempDir, Gguf), Error> {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from.gguf"), temp.path().join("to.gguf"));
        self.write(&from);
        let mut last = (0, 0);
        quantize(&Gguf::open(&from)?, &to, file_type, &mut |done, total| {
            assert!(done > last.0 && done <= total);
            last = (done, total);
        })?;
        assert_eq!(last.0, last.1);
        let gguf = Gguf::open(&to)?;
        Ok((temp, gguf))
    }

    fn types(&self, file_type: FileType) -> impl Fn(&str) -> QuantType + use<> {
        let (temp, gguf) = self.quantized(file_type).unwrap();
        move |name| {
            assert!(temp.path().is_dir());
            gguf.tensor(name).unwrap().quant
        }
    }
}

#[test]
fn names_of_types() {
    assert_eq!(FileType::from_name("q4_K_M"), Some(FileType::Q4KM));
    assert_eq!(FileType::from_name("q4_k"), Some(FileType::Q4KM));
    assert_eq!(FileType::from_name("Q8_0"), Some(FileType::Q8_0));
    assert_eq!(FileType::from_name("q3_K_M"), None);
    for file_type in FileType::ALL {
        assert_eq!(FileType::from_name(file_type.name()), Some(file_type));
    }
}

#[test]
fn q4_k_m_gives_more_bits_where_llama_cpp_does() {
    let quant = Model::new().types(FileType::Q4KM);
    // 16 layers: the first two, the last two, and every third from the fifth on.
    let fine = [0, 1, 4, 7, 10, 13, 14, 15];
    for layer in 0..16 {
        let want = if fine.contains(&layer) {
            QuantType::Q6K
        } else {
            QuantType::Q4K
        };
        assert_eq!(
            quant(&format!("blk.{layer}.attn_v.weight")),
            want,
            "{layer}"
        );
        assert_eq!(
            quant(&format!("blk.{layer}.ffn_down.weight")),
            want,
            "{layer}"
        );
        for kind in ["attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up"] {
            assert_eq!(quant(&format!("blk.{layer}.{kind}.weight")), QuantType::Q4K);
        }
        assert_eq!(
            quant(&format!("blk.{layer}.attn_norm.weight")),
            QuantType::F32
        );
    }
    assert_eq!(quant("output.weight"), QuantType::Q6K);
    assert_eq!(quant("token_embd.weight"), QuantType::Q4K);
}

#[test]
fn q4_k_s_gives_the_first_layers_more_bits() {
    let quant = Model::new().types(FileType::Q4KS);
    for layer in 0..16 {
        let values = if layer < 4 {
            QuantType::Q5K
        } else {
            QuantType::Q4K
        };
        assert_eq!(quant(&format!("blk.{layer}.attn_v.weight")), values);
        let down = if layer < 2 {
            QuantType::Q5K
        } else {
            QuantType::Q4K
        };
        assert_eq!(quant(&format!("blk.{layer}.ffn_down.weight")), down);
    }
    assert_eq!(quant("output.weight"), QuantType::Q6K);
}

#[test]
fn a_tied_embedding_counts_as_output() {
    let tied = Model {
        tied: true,
        layers: 1,
        ..Model::new()
    };
    assert_eq!(
        tied.types(FileType::Q4_0)("token_embd.weight"),
        QuantType::Q6K
    );
    assert_eq!(
        tied.types(FileType::Q8_0)("token_embd.weight"),
        QuantType::Q8_0
    );
    let separate = Model {
        layers: 1,
        ..Model::new()
    };
    assert_eq!(
        separate.types(FileType::Q4_0)("token_embd.weight"),
        QuantType::Q4_0
    );
    assert_eq!(
        separate.types(FileType::Q4_0)("output.weight"),
        QuantType::Q6K
    );
}

#[test]
fn rows_that_do_not_fit_get_smaller_blocks() {
    let narrow = Model {
        columns: 96,
        layers: 1,
        ..Model::new()
    };
    let quant = narrow.types(FileType::Q4KM);
    assert_eq!(quant("blk.0.attn_q.weight"), QuantType::Q5_0);
    assert_eq!(quant("output.weight"), QuantType::Q8_0);
    let odd = Model {
        columns: 40,
        layers: 1,
        ..Model::new()
    };
    assert_eq!(
        odd.types(FileType::Q4KM)("blk.0.attn_q.weight"),
        QuantType::F16
    );
    assert_eq!(
        odd.types(FileType::Q8_0)("blk.0.attn_q.weight"),
        QuantType::F16
    );
}

#[test]
fn metadata_is_kept_and_the_type_said() {
    let (_temp, gguf) = Model::new().quantized(FileType::Q4KM).unwrap();
    assert_eq!(gguf.u32("general.file_type").unwrap(), Some(15));
    assert_eq!(gguf.u32("general.quantization_version").unwrap(), Some(2));
    assert_eq!(
        gguf.texts("tokenizer.ggml.tokens").unwrap(),
        Some(&["a"].into_iter().collect())
    );
}

#[test]
fn values_stay_near() {
    // More than one stretch for one thread, and an odd rest.
    let model = Model {
        layers: 1,
        rows: 1025 * 5,
        ..Model::new()
    };
    for (file_type, error) in [
        (FileType::Q8_0, 0.01),
        (FileType::Q4_0, 0.3),
        (FileType::Q4KM, 0.3),
    ] {
        let (_temp, gguf) = model.quantized(file_type).unwrap();
        let tensor = gguf.tensor("blk.0.attn_q.weight").unwrap();
        let dtype = match tensor.quant {
            QuantType::Q8_0 => candle_core::quantized::GgmlDType::Q8_0,
            QuantType::Q4_0 => candle_core::quantized::GgmlDType::Q4_0,
            QuantType::Q4K => candle_core::quantized::GgmlDType::Q4K,
            other => panic!("{other:?}"),
        };
        let device = candle_core::Device::Cpu;
        let bytes = std::borrow::Cow::Borrowed(tensor.bytes);
        let storage = candle_core::quantized::QStorage::from_data(bytes, &device, dtype).unwrap();
        let blocks = candle_core::quantized::QTensor::new(storage, tensor.shape).unwrap();
        let values = blocks.dequantize(&device).unwrap().flatten_all().unwrap();
        for (index, got) in values.to_vec1::<f32>().unwrap().into_iter().enumerate() {
            let want = (model.value)(index);
            assert!((got - want).abs() <= error, "{index}: {got} for {want}");
        }
    }
}

#[test]
fn what_cannot_be_quantised_is_named() {
    let wild = Model {
        layers: 1,
        value: |index| if index == 300 { f32::NAN } else { 1.0 },
        ..Model::new()
    };
    let message = wild.quantized(FileType::Q8_0).err().unwrap().to_string();
    assert!(message.contains("tensor 'token_embd.weight'"), "{message}");
    assert!(message.contains("value 300 is NaN"), "{message}");

    let (temp, gguf) = Model {
        layers: 1,
        ..Model::new()
    }
    .quantized(FileType::Q8_0)
    .unwrap();
    let again = temp.path().join("again.gguf");
    let message = quantize(&gguf, &again, FileType::Q4KM, &mut |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(message.contains("is Q8_0 already"), "{message}");
    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "only the two files made before");
}

#[test]
fn a_real_model_quantises() {
    let Some(fixtures) = fixtures() else { return };
    let gguf = Gguf::open(&fixtures.join("stories260K/stories260K.gguf")).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("q8.gguf");
    quantize(&gguf, &out, FileType::Q8_0, &mut |_, _| {}).unwrap();
    let small = Gguf::open(&out).unwrap();
    assert_eq!(small.parameter_count(), gguf.parameter_count());
    // A little more than a quarter, and the vocabulary.
    assert!(small.file_bytes() < gguf.file_bytes() * 2 / 5);
    assert_eq!(
        small.tensor("blk.0.attn_q.weight").unwrap().quant,
        QuantType::Q8_0
    );
    // Rows of 172 values do not divide into blocks.
    assert_eq!(
        small.tensor("blk.0.ffn_down.weight").unwrap().quant,
        QuantType::F16
    );
}
