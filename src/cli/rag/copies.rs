//! `rag backup` and `rag restore`: copies of this machine's documents.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{CliError, human};
use crate::config::Config;
use crate::rag::library::{Backup, backup as copy_out, restore as copy_in};

const BAR: &str = "{msg} ▕{wide_bar}▏ {decimal_bytes}/{decimal_total_bytes}";

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct BackupArguments {
    /// A new or empty folder.
    folder: PathBuf,
}

/// Where from.
#[derive(Debug, clap::Args)]
pub(super) struct RestoreArguments {
    /// A folder that `wick rag backup` made.
    folder: PathBuf,
    /// Replace the documents that are there.
    #[arg(long)]
    replace: bool,
}

pub(super) fn backup(args: BackupArguments, config: &Config) -> Result<(), CliError> {
    let root = root(config)?;
    let copied = with_bar("copying", |tell| copy_out(&root, &args.folder, tell))?;
    tell(copied);
    Ok(())
}

pub(super) fn restore(args: RestoreArguments, config: &Config) -> Result<(), CliError> {
    let root = root(config)?;
    let copied = with_bar("restoring", |tell| {
        copy_in(&args.folder, &root, args.replace, tell)
    })?;
    tell(copied);
    Ok(())
}

fn root(config: &Config) -> Result<PathBuf, CliError> {
    if config.rag_uri.is_some() {
        let text = "the documents are not in a folder (WICK_RAG_URI): copy them where they are";
        return Err(CliError::Usage(text.to_owned()));
    }
    let folder = config.data_dir.as_ref().map(|dir| dir.join("rag"));
    folder.ok_or_else(|| CliError::Usage("there is no home folder: set WICK_DATA".to_owned()))
}

fn with_bar<T>(message: &'static str, work: impl FnOnce(&dyn Fn(u64, u64)) -> T) -> T {
    let style = ProgressStyle::with_template(BAR).expect("the template is fixed");
    let bar = ProgressBar::new(0).with_style(style.progress_chars("█ "));
    bar.set_message(message);
    let done = work(&|bytes, total| {
        bar.set_length(total);
        bar.set_position(bytes);
    });
    bar.finish_and_clear();
    done
}

fn tell(copied: Backup) {
    let Backup { files, bytes } = copied;
    eprintln!("copied {files} files, {}", human::size(bytes));
}
