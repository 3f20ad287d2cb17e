//! What a client is told of a statement that cannot be had.

use crate::api::error::ApiError;
use crate::sql::SqlError;
use crate::sql::answer::AnswerError;
use crate::sql::database::DatabaseError;
use crate::sql::guard::Refusal;
use crate::sql::registry::RegistryError;

use super::wrong;

pub(super) fn unreadable(error: SqlError) -> ApiError {
    wrong("query", &format!("cannot be read: {error}"))
}

pub(super) fn answer_error(error: AnswerError<ApiError>) -> ApiError {
    match error {
        AnswerError::Writer(error) => error,
        AnswerError::Refused(refusal) => refused(&refusal),
        AnswerError::Database(error) => database_error(error),
        error @ (AnswerError::Unanswerable(_) | AnswerError::Unsound { .. }) => {
            ApiError::Impossible(error.to_string())
        }
    }
}

fn refused(refusal: &Refusal) -> ApiError {
    ApiError::Forbidden(format!("the statement is not run: {refusal}"))
}

pub(super) fn database_error(error: DatabaseError) -> ApiError {
    match error {
        DatabaseError::Statement(text) => ApiError::Impossible(format!(
            "the database does not accept the statement: {text}"
        )),
        DatabaseError::NotAllowed => ApiError::Forbidden(error.to_string()),
        DatabaseError::TimedOut(_) => ApiError::Late(error.to_string()),
        DatabaseError::Connect(_) | DatabaseError::Failed(_) => {
            ApiError::Unavailable(error.to_string())
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> ApiError {
        let text = error.to_string();
        match error {
            RegistryError::Unknown { .. } => ApiError::NotFound(text),
            RegistryError::Name(_) | RegistryError::TooMany => ApiError::BadRequest(text),
            RegistryError::NoFolder | RegistryError::NoKey => ApiError::Impossible(text),
            RegistryError::Variable(_) => ApiError::BadRequest(text),
            RegistryError::Address(_) => wrong("connection", &text),
            RegistryError::Database(error) => database_error(error),
            RegistryError::Sealed(_) => ApiError::Unavailable(text),
            RegistryError::Io(_) | RegistryError::Damaged(_) => ApiError::Task,
        }
    }
}
