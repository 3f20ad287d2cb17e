//! `keys`: makes, lists and revokes API keys in this machine's data folder; a running server notices.

use std::path::Path;

use super::{CliError, table};
use crate::access::keys::{self, ApiKey, NewKey};
use crate::access::{Area, DEFAULT_TENANT};
use crate::config::Config;

/// Manages API keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key and show it, this once.
    Add {
        /// What to call it; its requests count as this user's.
        name: String,
        /// Whose data it gives access to.
        #[arg(long, default_value = DEFAULT_TENANT)]
        tenant: String,
        /// What it is good for: generate, coach, sql, code or rag; repeat for more. Everything if absent.
        #[arg(long = "scope", value_name = "AREA", value_parser = area)]
        scopes: Vec<Area>,
    },
    /// List the keys that are good.
    #[command(visible_alias = "ls")]
    List,
    /// Take a key out of use.
    Revoke {
        /// Its id or its name.
        key: String,
    },
}

pub(crate) fn run(
    args: Arguments,
    config: &Config,
    out: &mut dyn std::io::Write,
) -> Result<(), CliError> {
    let path = config.access.keys_file.as_deref().ok_or_else(|| {
        CliError::Usage("there is no home folder: set WICK_DATA to a folder for keys".to_owned())
    })?;
    match args.action {
        Action::Add {
            name,
            tenant,
            scopes,
        } => {
            let new = NewKey {
                name,
                tenant,
                areas: scopes,
            };
            let (_, secret) = keys::add(path, new)?;
            // Only the key goes to stdout, so that it can be piped into a vault.
            eprintln!("keep this key: it is not shown again");
            Ok(writeln!(out, "{}", secret.reveal())?)
        }
        Action::List => list(path, out),
        Action::Revoke { key } => match keys::revoke(path, &key)? {
            Some(key) => Ok(writeln!(out, "revoked {} ({})", key.name, key.id)?),
            None => Err(CliError::Usage(format!("there is no key '{key}'"))),
        },
    }
}

fn list(path: &Path, out: &mut dyn std::io::Write) -> Result<(), CliError> {
    let head = ["ID", "NAME", "TENANT", "SCOPES", "CREATED"].map(str::to_owned);
    let row = |key: ApiKey| {
        let scopes = match key.scopes.is_empty() {
            true => "all".to_owned(),
            false => key.scopes.join(" "),
        };
        vec![key.id, key.name, key.tenant, scopes, key.created_at]
    };
    let rows = keys::list(path)?.into_iter().map(row);
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    Ok(table::write(out, &rows)?)
}

fn area(text: &str) -> Result<Area, String> {
    let text = text.strip_prefix("wick:").unwrap_or(text);
    text.parse()
        .map_err(|()| format!("choose among {}", Area::ALL.map(Area::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Flags, load};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn keys(home: &Path, line: &str) -> Result<String, String> {
        let home = home.to_str().unwrap().to_owned();
        let env = |name: &str| (name == "WICK_DATA").then(|| home.clone());
        let config = load(Flags::default(), env).unwrap();
        let line = Line::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        run(line.arguments, &config, &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn keys_are_made_listed_and_revoked() {
        let home = tempfile::tempdir().unwrap();
        let key = keys(home.path(), "keys add ci --tenant acme --scope code").unwrap();
        assert!(key.starts_with("wick_"), "{key}");
        let listed = keys(home.path(), "keys list").unwrap();
        assert!(listed.contains("ci") && listed.contains("acme") && listed.contains("wick:code"));
        assert!(!listed.contains(key.trim()), "{listed}");
        let revoked = keys(home.path(), "keys revoke ci").unwrap();
        assert!(revoked.starts_with("revoked ci"), "{revoked}");
        assert_eq!(keys(home.path(), "keys ls").unwrap().lines().count(), 1);
        let again = keys(home.path(), "keys revoke ci").unwrap_err();
        assert_eq!(again, "there is no key 'ci'");
        let scope = keys(home.path(), "keys add x --scope fly").unwrap_err();
        assert!(scope.contains("generate, coach, sql, code, rag"), "{scope}");
    }
}
