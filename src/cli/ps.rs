//! `ps`: the models in memory.

use jiff::Timestamp;

use super::list::{has_prefix, short_id};
use super::wire::{Running, RunningModel};
use super::{CliError, Session, human, table};

/// Lists running models.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only names that start like this.
    prefix: Option<String>,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let running: Running = session.client.get("/api/ps").await?;
    let now = Timestamp::now();
    let header = ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let shown = running.models.iter();
    let shown = shown.filter(|model| has_prefix(&model.name, args.prefix.as_deref()));
    rows.extend(shown.map(|model| row(model, now)));
    table::write(session.out, &rows)?;
    Ok(())
}

fn row(model: &RunningModel, now: Timestamp) -> Vec<String> {
    let until = match model.expires_at < now {
        true => "Stopping...".to_owned(),
        false => human::time(model.expires_at, now),
    };
    vec![
        model.name.clone(),
        short_id(&model.digest),
        human::size(model.size),
        processor(model.size, model.size_vram),
        model.context_length.to_string(),
        until,
    ]
}

/// Where the bytes of a model are.
fn processor(size: u64, size_vram: u64) -> String {
    match size_vram {
        0 => "100% CPU".to_owned(),
        vram if vram == size => "100% GPU".to_owned(),
        vram if vram > size => "Unknown".to_owned(),
        vram => {
            let cpu = ((size - vram) as f64 / size as f64 * 100.0).round() as u64;
            format!("{cpu}%/{}% CPU/GPU", 100 - cpu)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn running_models_are_a_table() {
        let body = r#"{"models":[
            {"name":"a:1b","digest":"0123456789abcdef","size":1500000000,"size_vram":0,
             "context_length":4096,"expires_at":"2318-01-01T00:00:00.5+02:00"},
            {"name":"b:1b","digest":"0123456789abcdef","size":1500000000,"size_vram":0,
             "context_length":128,"expires_at":"2020-01-01T00:00:00Z"}]}"#;
        let server = TestServer::start([("GET /api/ps", Answer::ok(body))]).await;
        let args = Arguments { prefix: None };
        let out = server
            .output(async |session| run(args, session).await)
            .await
            .unwrap();
        let want = "\
NAME    ID              SIZE      PROCESSOR    CONTEXT    UNTIL          \n\
a:1b    0123456789ab    1.5 GB    100% CPU     4096       Forever        \n\
b:1b    0123456789ab    1.5 GB    100% CPU     128        Stopping...    \n";
        assert_eq!(out, want);
    }

    #[test]
    fn memory_may_be_divided() {
        assert_eq!(processor(100, 52), "48%/52% CPU/GPU");
        assert_eq!(processor(100, 100), "100% GPU");
    }
}
