//! What an operator watches: numbers over time and whether the parts answer. No prompt, answer or document
//! ever gets in here; labels are names of routes, models and areas.

pub mod metrics;
pub mod services;
