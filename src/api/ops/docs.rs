//! The description of the interface, for machines and for people.

use axum::Json;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::health;
use crate::api::{assist, coach};

const PAGE: &str = include_str!("../../web/docs.html");
/// The page is whole in itself: it fetches the description from here and nothing from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "wick",
        description = "The assistant's routes and the operator's. Ollama's (`/api/`), OpenAI's and Anthropic's \
            (`/v1/`) are served beside them as their own documents describe them.\n\n\
            Errors are `{\"error\": \"...\"}` with a true status: 400 bad input, 401 no or bad credentials, 403 not \
            allowed, 404 unknown, 413 too large, 422 impossible, 429 over the limit, 503 not available, 504 timed out. \
            With `stream: true` answers come as server-sent events: `token` with `{\"text\"}`, then one `result` with \
            the body that would have been sent whole, or `error`."
    ),
    paths(
        health::health,
        health::ready,
        health::services,
        health::metrics,
        assist::models::models,
        assist::generate::generate,
        assist::complete::complete,
        assist::project::generate,
        assist::project::archive,
        assist::review::review,
        assist::sql::assist,
        assist::sql::schemas::list,
        assist::sql::schemas::show,
        assist::sql::schemas::put,
        assist::sql::schemas::remove,
        assist::sql::tools::document,
        assist::sql::tools::testdata,
        assist::sql::tools::migrate,
        coach::chat::chat,
        coach::plan::plan,
        coach::users::forget,
    ),
    modifiers(&Credentials),
    security(("bearer" = [])),
    tags(
        (name = "assistant", description = "Text and code"),
        (name = "sql", description = "SQL over schemas"),
        (name = "coach", description = "Money matters. `POST /api/chat` with a text `message` and neither `messages` \
            nor `model` is `/coach/chat`, `POST /api/coach` is `/coach/plan`."),
        (name = "operations", description = "Life signs and numbers"),
    )
)]
struct Description;

/// How callers show who they are.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let bearer = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token (JWT) or an API key (`wick_...`)"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// `GET /openapi.json`.
pub(super) async fn openapi() -> Json<Document> {
    let document = Description::openapi();
    #[cfg(feature = "rag")]
    let document = document.merge_from(crate::api::rag::Description::openapi());
    Json(document)
}

/// `GET /docs`: the same for people.
pub(super) async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))
}
