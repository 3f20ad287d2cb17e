//! `DELETE /coach/users/{id}`.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::ErrorBody;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};

/// What is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct Forgotten {
    /// Exchanges that were remembered until now.
    forgotten: usize,
}

/// Forgets everything that was said with a user: a `user_id` of this caller's requests, or the caller.
#[utoipa::path(delete, path = "/coach/users/{id}", tag = "coach", params(("id" = String, Path, description = "The user")),
    responses(
        (status = 200, description = "Nothing is left, whether there was anything or not", body = Forgotten),
        (status = 401, description = "No or bad credentials", body = ErrorBody)))]
pub(crate) async fn forget(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Forgotten>, AssistError> {
    let name = caller.user.unwrap_or_default();
    app.coach.answers.forget(&caller.tenant, &name, &id);
    let forget = move || {
        app.coach
            .history
            .forget(&caller.tenant, &name, &id)
            .map_err(ApiError::History)
    };
    let forgotten = blocking(forget).await?;
    Ok(Json(Forgotten { forgotten }))
}
