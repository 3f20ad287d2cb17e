//! The tables in LanceDB: what their columns are, and the few things that are done with them.
//!
//! Only this file and those below it know LanceDB and Arrow. Conditions are written from ids and keys made here of
//! hexadecimal digits; nothing that a caller wrote becomes a part of one.
//!
//! - `documents`: one row per document; a document is there once its row is.
//! - `chunks_N`: the passages of all documents with their vectors, written before the document's row.
//! - `collections`: collections that were made by name.
//! - `settings`: which `chunks_N` is read, and which embedder made its vectors. Rows are only added; the last holds.

mod rows;

use std::error::Error;
use std::sync::Arc;

use futures_util::TryStreamExt;
use lancedb::arrow::arrow_array::RecordBatch;
use lancedb::arrow::arrow_schema::Schema;
use lancedb::index::Index;
use lancedb::index::scalar::{
    BTreeIndexBuilder, BitmapIndexBuilder, FtsIndexBuilder, FullTextSearchQuery,
    LabelListIndexBuilder,
};
use lancedb::index::vector::IvfHnswSqIndexBuilder;
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::table::{Duration, OptimizeAction, OptimizeOptions};
use lancedb::{Connection, DistanceType, Table};
use serde::{Deserialize, Serialize};

use super::embed::EmbedderId;
use super::{Label, Metadata, Position};

pub(super) use rows::ROWS_AT_ONCE;

const DOCUMENTS: &str = "documents";
const COLLECTIONS: &str = "collections";
const SETTINGS: &str = "settings";
/// Old versions are kept this long: a search that began on one may still read it.
const KEPT_MINUTES: i64 = 10;
/// Rows of one answer or condition.
const IDS_AT_ONCE: usize = 500;
/// Candidates that the graph looks at per passage wanted, and at least.
const GRAPH_BREADTH: usize = 6;
const LEAST_GRAPH_BREADTH: usize = 200;
/// Candidates per passage wanted whose distance is worked out from the whole vector.
const REFINED: u32 = 4;

/// Why the tables could not do what they were asked: LanceDB's error, Arrow's, or a row that is not as it should be.
pub(super) type TableError = Box<dyn Error + Send + Sync>;

/// A document as its row has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDocument {
    /// `doc_` and 32 hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// The collection it is in.
    pub collection: String,
    /// What it is called.
    pub title: String,
    /// Where it came from.
    pub url: Option<String>,
    /// The name of its file.
    pub name: String,
    /// What it is labelled with.
    pub metadata: Metadata,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub hash: String,
    /// Its bytes.
    pub size_bytes: u64,
    /// Its passages.
    pub passages: usize,
    /// When it was added, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A collection that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CollectionRow {
    pub(super) tenant: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) created_ms: i64,
}

/// A passage with its vector.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChunkRow {
    pub(super) document_id: String,
    pub(super) tenant: String,
    pub(super) collection: String,
    /// Keys of its document's metadata, see [`label_key`].
    pub(super) labels: Vec<String>,
    /// Title, headings and the passage: what is searched by words and was embedded.
    pub(super) text: String,
    /// Bytes of `text` before the passage itself.
    pub(super) lead_bytes: usize,
    pub(super) position: Position,
    /// Of length 1.
    pub(super) vector: Vec<f32>,
}

/// A passage that a search found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FoundRow {
    pub(super) document_id: String,
    pub(super) text: String,
    pub(super) lead_bytes: usize,
    pub(super) position: Position,
    /// Higher is better.
    pub(super) score: f32,
}

/// What the last row of `settings` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// The version of all tables' columns.
    pub(super) schema: u32,
    /// The table that is read.
    pub(super) current: Option<Generation>,
    /// The one that is being filled to take its place.
    pub(super) building: Option<Generation>,
}

/// One table of chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Generation {
    /// `N` in `chunks_N`.
    pub(super) number: u32,
    /// Whose vectors it holds.
    pub(super) embedder: EmbedderId,
}

/// Which chunks are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Within {
    /// Keys of collections, see [`scope_key`]; a chunk is in one of them.
    pub(super) scopes: Vec<String>,
    /// For each of these, a chunk has one of the keys.
    pub(super) labels: Vec<Vec<String>>,
    /// Documents that are not whole.
    pub(super) without: Vec<String>,
}

/// How a vector is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearness {
    /// Every vector is compared.
    Exact,
    /// By the graph, if there is one.
    Approximate,
}

/// All tables but those of chunks.
pub(super) struct Tables {
    connection: Connection,
    documents: Table,
    collections: Table,
    settings: Table,
}

/// A table of chunks.
pub(super) struct Chunks {
    pub(super) generation: Generation,
    table: Table,
    schema: Arc<Schema>,
}

impl Tables {
    /// Opens the tables at a path or an address, and makes those that are not there.
    pub(super) async fn open(uri: &str) -> Result<Tables, TableError> {
        let connection = lancedb::connect(uri).execute().await?;
        let names = connection.table_names().execute().await?;
        let open = async |name: &str, schema: Schema| {
            if names.iter().any(|known| known == name) {
                connection.open_table(name).execute().await
            } else {
                let schema = Arc::new(schema);
                connection.create_empty_table(name, schema).execute().await
            }
        };
        Ok(Tables {
            documents: open(DOCUMENTS, rows::documents_schema()).await?,
            collections: open(COLLECTIONS, rows::collections_schema()).await?,
            settings: open(SETTINGS, rows::settings_schema()).await?,
            connection,
        })
    }

    /// What holds; `None` if nothing was ever written.
    pub(super) async fn layout(&self) -> Result<Option<Layout>, TableError> {
        let batches = all(&self.settings, None, &["sequence", "value"]).await?;
        let mut last: Option<(u64, String)> = None;
        for batch in &batches {
            for row in rows::settings(batch)? {
                if last.as_ref().is_none_or(|last| last.0 < row.0) {
                    last = Some(row);
                }
            }
        }
        Ok(match last {
            Some((_, text)) => Some(serde_json::from_str(&text)?),
            None => None,
        })
    }

    /// Makes this hold, from one moment to the next.
    pub(super) async fn set_layout(&self, layout: &Layout) -> Result<(), TableError> {
        let sequence = self.settings.count_rows(None).await? as u64;
        let batch = rows::settings_batch(sequence, &serde_json::to_string(layout)?)?;
        self.settings.add(batch).execute().await?;
        Ok(())
    }

    pub(super) async fn documents(&self) -> Result<Vec<StoredDocument>, TableError> {
        let batches = all(&self.documents, None, &[]).await?;
        let rows = batches.iter().map(rows::documents);
        Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// All of them or none.
    pub(super) async fn add_documents(&self, rows: &[StoredDocument]) -> Result<(), TableError> {
        let batch = rows::documents_batch(rows)?;
        self.documents.add(batch).execute().await?;
        Ok(())
    }

    pub(super) async fn remove_documents(&self, ids: &[String]) -> Result<(), TableError> {
        for ids in ids.chunks(IDS_AT_ONCE) {
            let condition = format!("id IN ({})", quoted(ids));
            self.documents.delete(condition.as_str()).await?;
        }
        Ok(())
    }

    pub(super) async fn collections(&self) -> Result<Vec<CollectionRow>, TableError> {
        let batches = all(&self.collections, None, &[]).await?;
        let rows = batches.iter().map(rows::collections);
        Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
    }

    pub(super) async fn add_collection(&self, row: &CollectionRow) -> Result<(), TableError> {
        let batch = rows::collections_batch(row)?;
        self.collections.add(batch).execute().await?;
        Ok(())
    }

    pub(super) async fn remove_collection(
        &self,
        tenant: &str,
        name: &str,
    ) -> Result<(), TableError> {
        let key = scope_key(tenant, name);
        let condition = format!("scope = '{key}'");
        self.collections.delete(condition.as_str()).await?;
        Ok(())
    }

    /// The table of a generation, made if it is not there.
    pub(super) async fn chunks(&self, generation: &Generation) -> Result<Chunks, TableError> {
        let name = generation.table();
        let names = self.connection.table_names().execute().await?;
        let schema = Arc::new(rows::chunks_schema(generation)?);
        let table = if names.contains(&name) {
            self.connection.open_table(&name).execute().await?
        } else {
            let made = self
                .connection
                .create_empty_table(&name, Arc::clone(&schema));
            made.execute().await?
        };
        Ok(Chunks {
            generation: generation.clone(),
            table,
            schema,
        })
    }

    /// Removes tables of chunks that are neither read nor filled.
    pub(super) async fn drop_others(&self, layout: &Layout) -> Result<(), TableError> {
        let kept: Vec<String> = [&layout.current, &layout.building]
            .into_iter()
            .flatten()
            .map(Generation::table)
            .collect();
        for name in self.connection.table_names().execute().await? {
            if name.starts_with("chunks_") && !kept.contains(&name) {
                self.connection.drop_table(&name, &[]).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn check(&self) -> Result<(), TableError> {
        self.documents.count_rows(None).await?;
        Ok(())
    }

    /// Fewer, larger files, and no old versions.
    pub(super) async fn tidy(&self) -> Result<(), TableError> {
        for table in [&self.documents, &self.collections, &self.settings] {
            tidy(table).await?;
        }
        Ok(())
    }
}

impl Generation {
    fn table(&self) -> String {
        format!("chunks_{}", self.number)
    }
}

impl Chunks {
    pub(super) async fn add(&self, rows: &[ChunkRow]) -> Result<(), TableError> {
        let batch = rows::chunks_batch(rows, &self.schema)?;
        self.table.add(batch).execute().await?;
        Ok(())
    }

    pub(super) async fn rows(&self) -> Result<usize, TableError> {
        Ok(self.table.count_rows(None).await?)
    }

    pub(super) async fn rows_of(&self, document_id: &str) -> Result<usize, TableError> {
        let condition = format!("document_id = '{}'", hex_only(document_id));
        Ok(self.table.count_rows(Some(condition)).await?)
    }

    /// The chunks of some documents, in order, with their old vectors left empty.
    pub(super) async fn texts_of(&self, ids: &[String]) -> Result<Vec<ChunkRow>, TableError> {
        let mut found = Vec::new();
        for ids in ids.chunks(IDS_AT_ONCE) {
            let condition = format!("document_id IN ({})", quoted(ids));
            for batch in all(&self.table, Some(&condition), rows::TEXT_COLUMNS).await? {
                found.extend(rows::texts(&batch)?);
            }
        }
        found.sort_by(|a, b| {
            (&a.document_id, a.position.passage).cmp(&(&b.document_id, b.position.passage))
        });
        Ok(found)
    }

    /// The ids of all documents that have chunks here.
    pub(super) async fn document_ids(&self) -> Result<Vec<String>, TableError> {
        let mut ids = Vec::new();
        for batch in all(&self.table, None, &["document_id"]).await? {
            ids.extend(rows::ids(&batch)?);
            ids.sort();
            ids.dedup();
        }
        Ok(ids)
    }

    pub(super) async fn remove(&self, ids: &[String]) -> Result<(), TableError> {
        for ids in ids.chunks(IDS_AT_ONCE) {
            let condition = format!("document_id IN ({})", quoted(ids));
            self.table.delete(condition.as_str()).await?;
        }
        Ok(())
    }

    /// The chunks nearest to a vector, nearest first. Scores are cosines.
    pub(super) async fn nearest(
        &self,
        vector: &[f32],
        within: &Within,
        limit: usize,
        nearness: Nearness,
    ) -> Result<Vec<FoundRow>, TableError> {
        let query = self.table.query().nearest_to(vector)?;
        let query = query
            .column("vector")
            .distance_type(DistanceType::Cosine)
            .only_if(within.condition())
            .limit(limit)
            .select(Select::columns(&rows::found_columns("_distance")));
        let query = match nearness {
            Nearness::Exact => query.bypass_vector_index(),
            Nearness::Approximate => query
                .ef((limit * GRAPH_BREADTH).max(LEAST_GRAPH_BREADTH))
                .refine_factor(REFINED),
        };
        let batches: Vec<RecordBatch> = query.execute().await?.try_collect().await?;
        let mut found = rows::found(&batches, "_distance")?;
        for row in &mut found {
            row.score = 1.0 - row.score;
        }
        Ok(best_first(found))
    }

    /// The chunks that hold words of a text, best first. Scores are BM25's.
    pub(super) async fn with_words(
        &self,
        text: &str,
        within: &Within,
        limit: usize,
    ) -> Result<Vec<FoundRow>, TableError> {
        let words = FullTextSearchQuery::new(text.to_owned());
        let query = self.table.query().full_text_search(words);
        let query = query
            .only_if(within.condition())
            .limit(limit)
            .select(Select::columns(&rows::found_columns("_score")));
        let batches: Vec<RecordBatch> = query.execute().await?.try_collect().await?;
        Ok(best_first(rows::found(&batches, "_score")?))
    }

    /// Makes the indexes that every table has, where they are not there yet. Reads go on meanwhile.
    pub(super) async fn index(&self) -> Result<(), TableError> {
        let words = FtsIndexBuilder::default()
            .stem(true)
            .remove_stop_words(true)
            .ascii_folding(true);
        let indexes = [
            ("document_id", Index::BTree(BTreeIndexBuilder::default())),
            ("scope", Index::Bitmap(BitmapIndexBuilder::default())),
            ("labels", Index::LabelList(LabelListIndexBuilder::default())),
            ("text", Index::FTS(words)),
        ];
        let known = self.table.list_indices().await?;
        for (column, index) in indexes {
            let is_there = known
                .iter()
                .any(|index| index.columns.iter().any(|c| c == column));
            if !is_there {
                self.table.create_index(&[column], index).execute().await?;
            }
        }
        Ok(())
    }

    /// Rows that the graph covers; `None` without one.
    pub(super) async fn graph_rows(&self) -> Result<Option<usize>, TableError> {
        let indexes = self.table.list_indices().await?;
        let graph = indexes
            .iter()
            .find(|index| index.columns.iter().any(|c| c == "vector"));
        let Some(graph) = graph else {
            return Ok(None);
        };
        let facts = self.table.index_stats(&graph.name).await?;
        Ok(facts.map(|facts| facts.num_indexed_rows))
    }

    /// Makes the graph anew from all rows. Reads go on with what was there.
    pub(super) async fn build_graph(&self) -> Result<(), TableError> {
        let graph = IvfHnswSqIndexBuilder::default().distance_type(DistanceType::Cosine);
        let index = Index::IvfHnswSq(graph);
        self.table
            .create_index(&["vector"], index)
            .replace(true)
            .execute()
            .await?;
        Ok(())
    }

    /// Fewer, larger files, new rows into the indexes, and no old versions.
    pub(super) async fn tidy(&self) -> Result<(), TableError> {
        tidy(&self.table).await
    }
}

impl Within {
    fn condition(&self) -> String {
        let mut all = vec![format!("scope IN ({})", quoted(&self.scopes))];
        for keys in &self.labels {
            let any = keys
                .iter()
                .map(|key| format!("array_has(labels, '{}')", hex_only(key)));
            all.push(format!("({})", any.collect::<Vec<_>>().join(" OR ")));
        }
        if !self.without.is_empty() {
            all.push(format!("document_id NOT IN ({})", quoted(&self.without)));
        }
        all.join(" AND ")
    }
}

/// What stands for a tenant's collection in conditions.
pub(super) fn scope_key(tenant: &str, collection: &str) -> String {
    key(&[tenant, collection])
}

/// What stands for one label in conditions.
pub(super) fn label_key(name: &str, label: &Label) -> String {
    match label {
        Label::Bool(value) => key(&[name, "bool", &value.to_string()]),
        Label::Number(value) => key(&[name, "number", &value.to_string()]),
        Label::Text(value) => key(&[name, "text", value]),
    }
}

/// Digits that are the same only for the same texts.
fn key(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}

fn quoted(ids: &[String]) -> String {
    let ids = ids.iter().map(|id| format!("'{}'", hex_only(id)));
    ids.collect::<Vec<_>>().join(", ")
}

/// Ids are made of these characters and no others. One that is not would be somebody's mistake, and must not become
/// a part of a condition.
fn hex_only(id: &str) -> &str {
    assert!(
        id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
        "ids are made here, of digits and letters"
    );
    id
}

/// All rows that match.
async fn all(
    table: &Table,
    condition: Option<&str>,
    columns: &[&str],
) -> Result<Vec<RecordBatch>, TableError> {
    let mut query = table.query();
    if let Some(condition) = condition {
        query = query.only_if(condition);
    }
    if !columns.is_empty() {
        query = query.select(Select::columns(columns));
    }
    Ok(query.execute().await?.try_collect().await?)
}

async fn tidy(table: &Table) -> Result<(), TableError> {
    let compact = OptimizeAction::Compact {
        options: Default::default(),
        remap_options: None,
    };
    table.optimize(compact).await?;
    let index = OptimizeAction::Index(OptimizeOptions::default());
    table.optimize(index).await?;
    let prune = OptimizeAction::Prune {
        older_than: Duration::try_minutes(KEPT_MINUTES),
        // Only this process writes here, and never while it prunes.
        delete_unverified: Some(true),
        error_if_tagged_old_versions: None,
    };
    table.optimize(prune).await?;
    Ok(())
}

fn best_first(mut found: Vec<FoundRow>) -> Vec<FoundRow> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_nothing_that_a_caller_wrote() {
        let nasty = "x') OR 1=1; DROP TABLE documents; --";
        let within = Within {
            scopes: vec![scope_key(nasty, nasty), scope_key("t", "c")],
            labels: vec![vec![label_key(nasty, &Label::Text(nasty.to_owned()))]],
            without: vec!["doc_0a".to_owned()],
        };
        let condition = within.condition();
        for part in ["DROP", "OR 1", ";", "--"] {
            assert!(!condition.contains(part), "{condition}");
        }
        let quotes = condition.matches('\'').count();
        assert_eq!(quotes, 2 * 4, "{condition}");
        assert!(condition.ends_with("document_id NOT IN ('doc_0a')"));
    }

    #[test]
    fn keys_differ_where_texts_do() {
        let text = |text: &str| Label::Text(text.to_owned());
        let keys = [
            scope_key("a", "bc"),
            scope_key("ab", "c"),
            scope_key("", "abc"),
            label_key("a", &text("1")),
            label_key("a", &Label::Number(1.0)),
            label_key("a", &text("true")),
            label_key("a", &Label::Bool(true)),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(scope_key("a", "b"), scope_key("a", "b"));
    }

    #[test]
    #[should_panic(expected = "ids are made here")]
    fn an_id_that_was_not_made_here_goes_no_further() {
        quoted(&["x' OR '1'='1".to_owned()]);
    }
}
