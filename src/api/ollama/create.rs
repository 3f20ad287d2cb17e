//! `POST /api/create`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::App;
use crate::api::body::Body;
use crate::api::error::{ApiError, Route};
use crate::store::{self, Message, ModelName, StoreError};

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
    parameters: Option<Map<String, Value>>,
    messages: Vec<StoredMessage>,
    quantize: String,
    quantization: String,
    renderer: String,
    parser: String,
    requires: String,
    info: Option<Map<String, Value>>,
    remote_host: String,
}
