//! Tests that speak HTTP to the real binary, and real clients that do.

#[path = "http/access.rs"]
mod access;
#[path = "http/anthropic.rs"]
mod anthropic;
#[path = "http/assist.rs"]
mod assist;
#[path = "http/browser.rs"]
mod browser;
#[cfg(feature = "s3")]
#[path = "http/bucket.rs"]
mod bucket;
#[path = "http/chat.rs"]
mod chat;
#[path = "http/chromium.rs"]
mod chromium;
#[path = "http/clients.rs"]
mod clients;
#[path = "http/coach.rs"]
mod coach;
#[path = "http/complete.rs"]
mod complete;
#[path = "http/credentials.rs"]
mod credentials;
#[path = "http/embed.rs"]
mod embed;
#[path = "http/errors.rs"]
mod errors;
#[path = "http/files.rs"]
mod files;
#[path = "http/generate.rs"]
mod generate;
#[path = "http/gguf.rs"]
mod gguf;
#[path = "http/layers.rs"]
mod layers;
#[path = "http/lifecycle.rs"]
mod lifecycle;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/measures.rs"]
mod measures;
#[path = "http/n8n.rs"]
mod n8n;
#[path = "http/openai.rs"]
mod openai;
#[path = "http/operations.rs"]
mod operations;
#[path = "http/postgres.rs"]
mod postgres;
#[path = "http/privacy.rs"]
mod privacy;
#[path = "http/project.rs"]
mod project;
#[cfg(feature = "rag")]
#[path = "http/rag.rs"]
mod rag;
#[path = "http/redis.rs"]
mod redis;
#[path = "http/registry.rs"]
mod registry;
#[path = "http/review.rs"]
mod review;
#[path = "http/server.rs"]
mod server;
#[path = "http/signer.rs"]
mod signer;
#[path = "http/sql.rs"]
mod sql;
#[path = "http/sql_hosts.rs"]
mod sql_hosts;
#[path = "http/sql_plans.rs"]
mod sql_plans;
#[path = "http/sql_postgres.rs"]
mod sql_postgres;
#[path = "http/sql_schemas.rs"]
mod sql_schemas;
#[path = "http/starter.rs"]
mod starter;
#[path = "http/store.rs"]
mod store;
#[path = "http/stories.rs"]
mod stories;
