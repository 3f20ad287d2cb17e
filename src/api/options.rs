//! `options` of a request and parameters of a model, as what the engine wants to know.

use serde_json::{Map, Value};
use tracing::debug;

use crate::engine::{LoadOptions, Sampling};

/// Everything `options` can set.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// What takes effect when the model is loaded.
    pub load: LoadOptions,
    /// `num_ctx` as given, which may be less than any model is loaded with.
    pub context_tokens: Option<i64>,
    /// Tokens to generate at most; zero or less is open-ended.
    pub predict: i64,
    /// Tokens kept when the prompt is cut or the context moves on; -1 keeps the whole prompt.
    pub keep: i64,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// An option of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {name:?} must be {wanted}")]
pub struct OptionError {
    name: String,
    wanted: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sampling: Sampling::default(),
            load: LoadOptions::default(),
            context_tokens: None,
            predict: -1,
            keep: 4,
            stop: Vec::new(),
        }
    }
}

impl Options {
    /// The model's parameters with the request's options over them. Unknown names are let pass, so
    /// that options of other versions do no harm.
    pub(crate) fn merge(
        parameters: &Map<String, Value>,
        request: Option<&Map<String, Value>>,
    ) -> Result<Options, OptionError> {
        let mut options = Options::default();
        for (name, value) in parameters.iter().chain(request.into_iter().flatten()) {
            if !value.is_null() {
                options.set(name, value)?;
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), OptionError> {
        let given = Given { name, value };
        let sampling = &mut self.sampling;
        match name {
            "num_ctx" => {
                let tokens = given.integer()?;
                self.context_tokens = Some(tokens);
                self.load.context_tokens = Some(usize::try_from(tokens).unwrap_or(0));
            }
            "num_batch" => self.load.batch_tokens = given.count()?,
            "num_thread" => self.load.threads = given.count()?,
            "num_keep" => self.keep = given.integer()?,
            "num_predict" => self.predict = given.integer()?,
            "stop" => self.stop = given.texts()?,
            "seed" => sampling.seed = given.integer()?,
            "temperature" => sampling.temperature = given.float()?,
            "top_k" => sampling.top_k = given.integer()?,
            "top_p" => sampling.top_p = given.float()?,
            "min_p" => sampling.min_p = given.float()?,
            "typical_p" => sampling.typical_p = given.float()?,
            "repeat_last_n" => sampling.repeat_last_n = given.integer()?,
            "repeat_penalty" => sampling.repeat_penalty = given.float()?,
            "presence_penalty" => sampling.presence_penalty = given.float()?,
            "frequency_penalty" => sampling.frequency_penalty = given.float()?,
            "mirostat" => sampling.mirostat = u8::try_from(given.integer()?).unwrap_or(0),
            "mirostat_tau" => sampling.mirostat_tau = given.float()?,
            "mirostat_eta" => sampling.mirostat_eta = given.float()?,
            // Known, checked, and without effect on a machine like this.
            "num_gpu" | "main_gpu" | "draft_num_predict" => drop(given.integer()?),
            "use_mmap" => drop(given.boolean()?),
            other => debug!(option = other, "ignoring an unknown option"),
        }
        Ok(())
    }
}

struct Given<'a> {
    name: &'a str,
    value: &'a Value,
}

impl Given<'_> {
    fn must_be(&self, wanted: &'static str) -> OptionError {
        OptionError {
            name: self.name.to_owned(),
            wanted,
        }
    }

    /// A fraction is cut off.
    fn integer(&self) -> Result<i64, OptionError> {
        let whole = || self.value.as_f64().map(|number| number as i64);
        self.value
            .as_i64()
            .or_else(whole)
            .ok_or_else(|| self.must_be("of type integer"))
    }

    /// A number of things; none or fewer leaves the choice to the engine.
    fn count(&self) -> Result<Option<usize>, OptionError> {
        Ok(usize::try_from(self.integer()?)
            .ok()
            .filter(|count| *count > 0))
    }

    fn float(&self) -> Result<f32, OptionError> {
        let number = self
            .value
            .as_f64()
            .ok_or_else(|| self.must_be("of type float32"))?;
        Ok(number as f32)
    }

    fn boolean(&self) -> Result<bool, OptionError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.must_be("of type boolean"))
    }

    fn texts(&self) -> Result<Vec<String>, OptionError> {
        let items = self
            .value
            .as_array()
            .ok_or_else(|| self.must_be("of type array"))?;
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        texts
            .collect::<Option<_>>()
            .ok_or_else(|| self.must_be("of an array of strings"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(parameters: Value, request: Value) -> Result<Options, String> {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        Options::merge(&map(parameters), Some(&map(request))).map_err(|error| error.to_string())
    }

    #[test]
    fn options_of_the_request_go_before_those_of_the_model() {
        let model = json!({"temperature": 0.1, "top_k": 3, "stop": ["a"], "num_keep": 24});
        let request = json!({"temperature": 1, "stop": ["b", "c"], "top_k": null});
        let options = merged(model, request).unwrap();
        assert_eq!(options.sampling.temperature, 1.0);
        assert_eq!(options.sampling.top_k, 3);
        assert_eq!(options.stop, ["b", "c"]);
        assert_eq!(options.keep, 24);
        assert_eq!(options.predict, -1);
    }

    #[test]
    fn whole_numbers_lose_their_fraction() {
        let options = merged(
            json!({}),
            json!({"num_ctx": 4096.7, "seed": 0, "num_thread": 0}),
        );
        let options = options.unwrap();
        assert_eq!(options.load.context_tokens, Some(4096));
        assert_eq!(options.sampling.seed, 0);
        assert_eq!(options.load.threads, None);
    }

    #[test]
    fn wrong_types_name_option_and_type() {
        for (request, want) in [
            (
                json!({"temperature": "hot"}),
                r#"option "temperature" must be of type float32"#,
            ),
            (
                json!({"num_ctx": "x"}),
                r#"option "num_ctx" must be of type integer"#,
            ),
            (
                json!({"use_mmap": 1}),
                r#"option "use_mmap" must be of type boolean"#,
            ),
            (
                json!({"stop": "x"}),
                r#"option "stop" must be of type array"#,
            ),
            (
                json!({"stop": [1]}),
                r#"option "stop" must be of an array of strings"#,
            ),
        ] {
            assert_eq!(merged(json!({}), request).unwrap_err(), want);
        }
    }

    #[test]
    fn unknown_options_do_no_harm() {
        assert!(merged(json!({"rope_frequency_base": 1}), json!({"numa": "x"})).is_ok());
    }
}
