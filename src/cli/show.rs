//! `show`: what a model is.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::wire::Model;
use super::{CliError, Session, table};
use crate::store::labels::parameter_size;

/// Values of a long list that are shown.
const LIST_VALUES: usize = 3;
/// Lines of a system text or licence that are shown.
const TEXT_LINES: usize = 2;

/// Shows a model.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// The model's name.
    model: String,
    /// Only the licence.
    #[arg(long)]
    license: bool,
    /// Only the Modelfile.
    #[arg(long)]
    modelfile: bool,
    /// Only the parameters.
    #[arg(long)]
    parameters: bool,
    /// Only the system text.
    #[arg(long)]
    system: bool,
    /// Only the template.
    #[arg(long)]
    template: bool,
    /// Also metadata and tensors.
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let parts = [
        args.license,
        args.modelfile,
        args.parameters,
        args.system,
        args.template,
    ];
    if parts.iter().filter(|part| **part).count() > 1 {
        let text = "only one of '--license', '--modelfile', '--parameters', '--system', or \
                    '--template' can be specified";
        return Err(CliError::Usage(text.to_owned()));
    }
    let body = json!({"model": args.model, "verbose": args.verbose});
    let model: Model = session.client.post("/api/show", &body).await?;
    // System and template go out byte for byte, as others may be made from them.
    let texts = [
        format!("{}\n", model.license),
        format!("{}\n", model.modelfile),
        format!("{}\n", model.parameters),
        model.system.clone(),
        model.template.clone(),
    ];
    match parts.iter().position(|part| *part) {
        Some(part) => write!(session.out, "{}", texts[part])?,
        None => write_sections(session.out, &model, args.verbose)?,
    }
    Ok(())
}

/// Everything about a model, in titled sections.
pub(crate) fn write_sections(out: &mut dyn Write, model: &Model, verbose: bool) -> io::Result<()> {
    table::section(out, "Model", facts(model))?;
    if !model.capabilities.is_empty() {
        let rows = model
            .capabilities
            .iter()
            .map(|capability| vec![capability.clone()]);
        table::section(out, "Capabilities", rows.collect())?;
    }
    if !model.parameters.is_empty() {
        let row = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        table::section(
            out,
            "Parameters",
            model.parameters.lines().map(row).collect(),
        )?;
    }
    if verbose && !model.model_info.is_empty() {
        table::section(out, "Metadata", metadata(model))?;
    }
    if verbose && !model.tensors.is_empty() {
        let rows = model.tensors.iter().map(|tensor| {
            let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
            vec![
                tensor.name.clone(),
                tensor.r#type.clone(),
                format!("[{}]", shape.join(" ")),
            ]
        });
        table::section(out, "Tensors", rows.collect())?;
    }
    for (title, text) in [("System", &model.system), ("License", &model.license)] {
        if !text.is_empty() {
            table::section(out, title, first_lines(text))?;
        }
    }
    Ok(())
}

fn facts(model: &Model) -> Vec<Vec<String>> {
    let info = |key: &str| model.model_info.get(key);
    let architecture = info("general.architecture").and_then(Value::as_str);
    let family = architecture.unwrap_or(&model.details.family);
    let parameters = match model.details.parameter_size.as_str() {
        "" => info("general.parameter_count")
            .and_then(Value::as_u64)
            .map(parameter_size),
        size => Some(size.to_owned()),
    };
    let number = |key: &str| {
        let value = info(&format!("{family}.{key}"))?;
        value.is_number().then(|| value.to_string())
    };
    let rows = [
        ("architecture", Some(family.to_owned())),
        ("parameters", Some(parameters.unwrap_or_default())),
        ("context length", number("context_length")),
        ("embedding length", number("embedding_length")),
        (
            "quantization",
            Some(model.details.quantization_level.clone()),
        ),
        (
            "requires",
            Some(model.requires.clone()).filter(|version| !version.is_empty()),
        ),
    ];
    let rows = rows.into_iter();
    rows.filter_map(|(name, value)| Some(vec![name.to_owned(), value?]))
        .collect()
}

fn metadata(model: &Model) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = model
        .model_info
        .iter()
        .map(|(key, value)| vec![key.clone(), metadata_value(value)])
        .collect();
    rows.sort();
    rows
}

/// Lists are cut, as a vocabulary would fill many screens.
fn metadata_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.len() > LIST_VALUES => {
            let shown: Vec<String> = values[..LIST_VALUES].iter().map(Value::to_string).collect();
            format!(
                "[{}, ...+{} more]",
                shown.join(", "),
                values.len() - LIST_VALUES
            )
        }
        value => value.to_string(),
    }
}

fn first_lines(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut rows: Vec<Vec<String>> = lines.map(|line| vec![line.to_owned()]).collect();
    if rows.len() > TEXT_LINES {
        rows.truncate(TEXT_LINES);
        rows.push(vec!["...".to_owned()]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    const MODEL: &str = r#"{
        "license":"\nFirst\n\n Second \nThird\n","modelfile":"FROM x\n","template":"{{ .Prompt }}",
        "parameters":"stop                           \"<|eot_id|>\"\nstop                           \"<|end|>\"",
        "system":"Be brief.","requires":"0.14.0",
        "details":{"family":"llama","parameter_size":"3.2B","quantization_level":"Q4_K_M"},
        "model_info":{"general.architecture":"llama","llama.context_length":131072,
            "llama.embedding_length":3072,"tokenizer.ggml.tokens":["a","b","c","d","e"]},
        "tensors":[{"name":"token_embd.weight","type":"Q6_K","shape":[3072,128256]}],
        "capabilities":["completion","tools"]}"#;

    async fn shown(args: Arguments) -> Result<String, CliError> {
        let server = TestServer::start([("POST /api/show", Answer::ok(MODEL))]).await;
        server
            .output(async |session| run(args, session).await)
            .await
    }

    #[tokio::test]
    async fn sections_tell_what_a_model_is() {
        let out = shown(Arguments {
            model: "m".into(),
            ..Arguments::default()
        })
        .await
        .unwrap();
        let want = r#"  Model
    architecture        llama     
    parameters          3.2B      
    context length      131072    
    embedding length    3072      
    quantization        Q4_K_M    
    requires            0.14.0    

  Capabilities
    completion    
    tools         

  Parameters
    stop    "<|eot_id|>"    
    stop    "<|end|>"       

  System
    Be brief.    

  License
    First     
    Second    
    ...       

"#;
        assert_eq!(out, want);
    }

    #[tokio::test]
    async fn verbose_adds_metadata_and_tensors() {
        let args = Arguments {
            verbose: true,
            ..Arguments::default()
        };
        let out = shown(args).await.unwrap();
        let tokens = "    tokenizer.ggml.tokens     [\"a\", \"b\", \"c\", ...+2 more]    \n";
        assert!(out.contains(tokens), "{out}");
        assert!(
            out.contains("    token_embd.weight    Q6_K    [3072 128256]    \n"),
            "{out}"
        );
    }

    #[tokio::test]
    async fn one_part_is_written_as_it_is() {
        let args = Arguments {
            template: true,
            ..Arguments::default()
        };
        assert_eq!(shown(args).await.unwrap(), "{{ .Prompt }}");
        let args = Arguments {
            template: true,
            system: true,
            ..Arguments::default()
        };
        let message = shown(args).await.unwrap_err().to_string();
        assert!(
            message.starts_with("only one of '--license', '--modelfile',"),
            "{message}"
        );
    }
}
