//! `POST /coach/plan` and `POST /api/coach`.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::{AssistBody, ErrorBody, in_time, model};
use crate::api::error::{ApiError, AssistError};
use crate::coach::figures::{Figure, Numbers};
use crate::coach::library::Level;
use crate::coach::passages::Source;
use crate::coach::plan::{self as coach, Plan, PlanAnswer, PlanRequest, Profile, RiskTolerance};
use crate::coach::{DISCLAIMER, Desk};

use super::body::{self, Id};
use super::writer::ModelWriter;
use super::{Sink, failure, owner, respond, wrong};

const OLDEST: f64 = 130.0;

/// A situation. All of it may be missing; the more there is, the more the plan can say.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"goal": "Buy a house", "profile": {"risk_tolerance": "moderate", "currency": "EUR"},
    "numbers": {"monthly_income": 3000, "monthly_expenses": 2500, "savings": 1000,
        "debts": [{"name": "card", "balance": 2000, "apr": 20, "minimum_payment": 60}],
        "target_amount": 10000, "target_date": "2030-06"}}))]
pub(crate) struct PlanBody {
    /// Who asks, where the caller asks for many.
    #[schema(value_type = Option<String>)]
    user_id: Option<Id>,
    /// What they wrote.
    message: Option<String>,
    /// What they want to reach.
    goal: Option<String>,
    /// What the plan should be about.
    topic: Option<String>,
    /// What they are like.
    profile: Option<ProfileBody>,
    /// Their numbers. Rates are percent a year: `7`, or `"0.5 %"` as text.
    #[schema(value_type = Option<Object>)]
    numbers: Option<Numbers>,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// Whether to answer in server-sent events.
    stream: Option<bool>,
}

/// What somebody is like.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct ProfileBody {
    /// `conservative`, `moderate` or `aggressive`.
    #[serde(deserialize_with = "body::risk")]
    #[schema(value_type = Option<String>)]
    risk_tolerance: Option<RiskTolerance>,
    /// What they invest for: texts, or one.
    #[serde(deserialize_with = "body::texts")]
    investment_goals: Vec<String>,
    /// How much they know: `beginner` (also if absent), `intermediate` or `advanced`.
    #[serde(deserialize_with = "body::level")]
    #[schema(value_type = Option<String>)]
    experience_level: Option<Level>,
    /// What they want to hear about: texts, or one.
    #[serde(deserialize_with = "body::texts")]
    preferred_topics: Vec<String>,
    /// In years.
    age: Option<f64>,
    /// Where they live.
    country: Option<String>,
    /// The code of their currency.
    currency: Option<String>,
}

/// A plan. All texts are plain: nothing in them is markup.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PlanResponse {
    /// The plan as one text.
    response: String,
    /// The same in parts.
    plan: Plan,
    /// What was computed for it.
    figures: Vec<Figure>,
    /// Where more can be read; `[1]` in the summary means the first.
    sources: Vec<Source>,
    /// What can be asked next.
    follow_ups: Vec<String>,
    /// What to show under it.
    disclaimer: &'static str,
    /// Who worded the summary.
    model: String,
    /// Whether the same summary was written before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
}

/// A plan for a situation. Steps, dates and figures are worked out by rules; the model words the summary.
#[utoipa::path(post, path = "/coach/plan", tag = "coach", request_body = PlanBody, responses(
    (status = 200, description = "The plan, or its events with `stream`", body = PlanResponse),
    (status = 400, description = "A field is wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such model", body = ErrorBody),
    (status = 413, description = "More than the model can read", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model is not here, or too many ask", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn plan(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(body): AssistBody<PlanBody>,
) -> Result<Response, AssistError> {
    let is_stream = body.stream.unwrap_or(false);
    let named = body.model.clone();
    let request = body.translate(&caller)?;
    if let Some(refusal) = coach::refusal(&request) {
        let usual = app.config.assist_model.clone();
        let model = named.filter(|model| !model.is_empty()).unwrap_or(usual);
        let refused = move |sink: Sink| async move {
            sink.say(&refusal.response);
            Ok(response(model, refusal))
        };
        return Ok(respond(&app, is_stream, refused).await?);
    }
    let model = model(&app, named.as_deref()).await?;
    let today = jiff::Zoned::now().date();
    let prepare = async {
        let found = coach::look_up(&*app.passages(), &request, today).await?;
        Ok::<_, ApiError>((found, ModelWriter::open(&app, &caller, &model).await?))
    };
    let (found, writer) = in_time(app.config.assist_timeout, prepare).await?;
    let state = app.clone();
    let work = move |sink: Sink| async move {
        let coach = &state.coach;
        let passages = state.passages();
        let desk = Desk {
            passages: &*passages,
            writer: &writer,
            answers: &coach.answers,
        };
        let say = &mut |text: &str| sink.say(text);
        let answer = coach::plan(&desk, &request, &found, today, say).await;
        Ok(response(writer.name().to_owned(), answer.map_err(failure)?))
    };
    Ok(respond(&app, is_stream, work).await?)
}

fn response(model: String, answer: PlanAnswer) -> PlanResponse {
    PlanResponse {
        response: answer.response,
        plan: answer.plan,
        figures: answer.figures,
        sources: answer.sources,
        follow_ups: answer.follow_ups,
        disclaimer: DISCLAIMER,
        model,
        cached: answer.is_cached,
    }
}

impl PlanBody {
    fn translate(self, caller: &Caller) -> Result<PlanRequest, ApiError> {
        let profile = self.profile.unwrap_or_default();
        if profile
            .age
            .is_some_and(|age| !(0.0..=OLDEST).contains(&age))
        {
            return Err(wrong("profile.age", "must be from 0 to 130"));
        }
        let numbers = self.numbers.unwrap_or_default();
        coach::check(&numbers).map_err(|bad| ApiError::Field {
            field: bad.field,
            problem: bad.problem,
        })?;
        Ok(PlanRequest {
            owner: owner(caller, body::user_id(self.user_id)?),
            message: body::text("message", self.message)?,
            goal: body::text("goal", self.goal)?,
            topic: body::text("topic", self.topic)?,
            profile: Profile {
                risk_tolerance: profile.risk_tolerance,
                investment_goals: profile.investment_goals,
                level: profile.experience_level.unwrap_or_default(),
                preferred_topics: profile.preferred_topics,
                age: profile.age,
                country: profile.country,
                currency: body::currency("profile.currency", profile.currency)?,
            },
            numbers,
        })
    }
}
