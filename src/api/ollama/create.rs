//! `POST /api/create`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::App;
use crate::api::body::Body;
use crate::api::error::{ApiError, Route};
use crate::prompt::go_template::GoTemplate;
use crate::store::{self, Message, ModelName, RequestError, StoreError};

use super::progress;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreateRequest {
    model: String,
    name: String,
    stream: Option<bool>,
    from: String,
    files: Option<BTreeMap<String, String>>,
    adapters: Option<BTreeMap<String, String>>,
    draft_files: Option<BTreeMap<String, String>>,
    template: String,
    system: String,
    license: Value,
    parameters: Map<String, Value>,
    messages: Vec<StoredMessage>,
    quantize: String,
    quantization: String,
    draft_quantize: String,
    renderer: String,
    parser: String,
    requires: String,
    info: Map<String, Value>,
    remote_host: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StoredMessage {
    role: String,
    content: String,
}

/// `POST /api/create`: a model from files, or from another model.
pub(super) async fn create(
    State(app): State<App>,
    Body(request): Body<CreateRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(true);
    let request = request.translate()?;
    request.check()?;
    progress::run(stream, move |events| async move {
        store::create(&app.store, &app.registry, request, events).await
    })
    .await
}

impl CreateRequest {
    fn translate(self) -> Result<store::CreateRequest, ApiError> {
        let text = if self.model.is_empty() {
            self.name
        } else {
            self.model
        };
        let name = ModelName::local(&text).map_err(|error| ApiError::Model {
            route: Route::Create,
            name: text,
            source: StoreError::Name(error),
        })?;
        if let Err(error) = GoTemplate::parse(&self.template) {
            return Err(StoreError::Request(RequestError::Template(error.to_string())).into());
        }
        let messages = self.messages.into_iter();
        let messages = messages.map(|m| Message {
            role: m.role.to_lowercase(),
            content: m.content,
        });
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(store::CreateRequest {
            from: given(self.from),
            files: self.files,
            adapters: self.adapters,
            draft_files: self.draft_files,
            template: given(self.template),
            system: given(self.system),
            licenses: licenses(self.license)?,
            parameters: self.parameters,
            messages: messages.collect(),
            quantize: given(self.quantize).or(given(self.quantization)),
            draft_quantize: given(self.draft_quantize),
            renderer: given(self.renderer),
            parser: given(self.parser),
            requires: given(self.requires),
            info: self.info,
            remote_host: given(self.remote_host),
            ..store::CreateRequest::new(name)
        })
    }
}

/// One text or many.
fn licenses(license: Value) -> Result<Vec<String>, ApiError> {
    let invalid = || ApiError::BadRequest("license must be a string or an array of strings".into());
    match license {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(Some(text)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect()),
        Value::Array(items) => {
            let texts = items
                .into_iter()
                .map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(invalid)
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body;

    fn translated(text: &str) -> Result<store::CreateRequest, String> {
        let request: CreateRequest =
            body::read(text.as_bytes()).map_err(|error| error.to_string())?;
        request.translate().map_err(|error| error.to_string())
    }

    #[test]
    fn old_and_new_names_of_fields_are_read() {
        let request = translated(
            r#"{"name":"m","from":"base","license":"L","quantization":"Q8_0",
                "messages":[{"role":"USER","content":"hi"}],"parameters":null}"#,
        )
        .unwrap();
        assert_eq!(request.name.to_string(), "m:latest");
        assert_eq!(request.licenses, ["L"]);
        assert_eq!(request.quantize.as_deref(), Some("Q8_0"));
        assert_eq!(request.messages[0].role, "user");
    }

    #[test]
    fn names_licences_and_templates_are_checked() {
        assert_eq!(translated("{}").unwrap_err(), "invalid model name");
        let error = translated(r#"{"model":"m","from":"b","template":"{{ .Prompt"}"#).unwrap_err();
        assert!(error.starts_with("template error: "), "{error}");
        assert!(translated(r#"{"model":"m","from":"b","license":[1]}"#).is_err());
    }
}
