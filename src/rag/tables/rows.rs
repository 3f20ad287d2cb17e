//! Rows to Arrow's columns and back.

use std::sync::Arc;

use lancedb::arrow::arrow_array::builder::{ListBuilder, StringBuilder};
use lancedb::arrow::arrow_array::cast::AsArray;
use lancedb::arrow::arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Int64Type, UInt32Type, UInt64Type,
};
use lancedb::arrow::arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
    UInt32Array, UInt64Array,
};
use lancedb::arrow::arrow_schema::{ArrowError, DataType, Field, Schema};

use super::{
    ChunkRow, CollectionRow, FoundRow, Generation, Position, StoredDocument, TableError, scope_key,
};

/// Chunks written in one go: enough that files are few, and little enough to hold.
pub(in crate::rag) const ROWS_AT_ONCE: usize = 1024;

/// Columns of a chunk without its vector.
pub(super) const TEXT_COLUMNS: &[&str] = &[
    "document_id",
    "tenant",
    "collection",
    "labels",
    "text",
    "lead_bytes",
    "passage",
    "page",
    "headings",
    "offset",
];

const FOUND_COLUMNS: [&str; 7] = [
    "document_id",
    "text",
    "lead_bytes",
    "passage",
    "page",
    "headings",
    "offset",
];

pub(super) fn documents_schema() -> Schema {
    Schema::new(vec![
        text("id"),
        text("scope"),
        text("tenant"),
        text("collection"),
        text("title"),
        Field::new("url", DataType::Utf8, true),
        text("name"),
        text("metadata"),
        text("hash"),
        Field::new("size_bytes", DataType::UInt64, false),
        Field::new("passages", DataType::UInt32, false),
        Field::new("created_ms", DataType::Int64, false),
    ])
}

pub(super) fn collections_schema() -> Schema {
    Schema::new(vec![
        text("scope"),
        text("tenant"),
        text("name"),
        text("description"),
        Field::new("created_ms", DataType::Int64, false),
    ])
}

pub(super) fn settings_schema() -> Schema {
    Schema::new(vec![
        Field::new("sequence", DataType::UInt64, false),
        text("value"),
    ])
}

/// The embedder stands in the schema too, so that a table explains itself.
pub(super) fn chunks_schema(generation: &Generation) -> Result<Schema, TableError> {
    let dimension = i32::try_from(generation.embedder.dimension)?;
    let embedder = serde_json::to_string(&generation.embedder)?;
    let fields = vec![
        text("document_id"),
        text("scope"),
        text("tenant"),
        text("collection"),
        Field::new_list("labels", Field::new_list_field(DataType::Utf8, true), false),
        text("text"),
        Field::new("lead_bytes", DataType::UInt32, false),
        Field::new("passage", DataType::UInt32, false),
        Field::new("page", DataType::UInt32, true),
        text("headings"),
        Field::new("offset", DataType::UInt64, false),
        Field::new_fixed_size_list(
            "vector",
            Field::new_list_field(DataType::Float32, true),
            dimension,
            false,
        ),
    ];
    Ok(Schema::new(fields).with_metadata([("wick.embedder".to_owned(), embedder)].into()))
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

pub(super) fn found_columns(score: &'static str) -> Vec<&'static str> {
    [FOUND_COLUMNS.as_slice(), &[score]].concat()
}

pub(super) fn settings_batch(sequence: u64, value: &str) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(vec![sequence])),
        Arc::new(StringArray::from(vec![value])),
    ];
    RecordBatch::try_new(Arc::new(settings_schema()), columns)
}

pub(super) fn collections_batch(row: &CollectionRow) -> Result<RecordBatch, ArrowError> {
    let scope = scope_key(&row.tenant, &row.name);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![scope])),
        Arc::new(StringArray::from(vec![row.tenant.as_str()])),
        Arc::new(StringArray::from(vec![row.name.as_str()])),
        Arc::new(StringArray::from(vec![row.description.as_str()])),
        Arc::new(Int64Array::from(vec![row.created_ms])),
    ];
    RecordBatch::try_new(Arc::new(collections_schema()), columns)
}

pub(super) fn documents_batch(rows: &[StoredDocument]) -> Result<RecordBatch, TableError> {
    let column = |text: fn(&StoredDocument) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let urls: StringArray = rows.iter().map(|row| row.url.as_deref()).collect();
    let metadata: Vec<String> = rows
        .iter()
        .map(|row| serde_json::to_string(&row.metadata))
        .collect::<Result<_, _>>()?;
    let passages: Vec<u32> = rows
        .iter()
        .map(|row| u32::try_from(row.passages))
        .collect::<Result<_, _>>()?;
    let sizes = rows.iter().map(|row| row.size_bytes);
    let created = rows.iter().map(|row| row.created_ms);
    let columns: Vec<ArrayRef> = vec![
        column(|row| row.id.clone()),
        column(|row| scope_key(&row.tenant, &row.collection)),
        column(|row| row.tenant.clone()),
        column(|row| row.collection.clone()),
        column(|row| row.title.clone()),
        Arc::new(urls),
        column(|row| row.name.clone()),
        Arc::new(StringArray::from(metadata)),
        column(|row| row.hash.clone()),
        Arc::new(UInt64Array::from_iter_values(sizes)),
        Arc::new(UInt32Array::from(passages)),
        Arc::new(Int64Array::from_iter_values(created)),
    ];
    Ok(RecordBatch::try_new(Arc::new(documents_schema()), columns)?)
}

pub(super) fn chunks_batch(
    rows: &[ChunkRow],
    schema: &Arc<Schema>,
) -> Result<RecordBatch, TableError> {
    let column = |text: fn(&ChunkRow) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let mut labels = ListBuilder::new(StringBuilder::new());
    for row in rows {
        labels.append_value(row.labels.iter().map(Some));
    }
    let passages: Vec<u32> = rows
        .iter()
        .map(|row| u32::try_from(row.position.passage))
        .collect::<Result<_, _>>()?;
    let leads: Vec<u32> = rows
        .iter()
        .map(|row| u32::try_from(row.lead_bytes))
        .collect::<Result<_, _>>()?;
    let pages: UInt32Array = rows.iter().map(|row| row.position.page).collect();
    let offsets = rows.iter().map(|row| row.position.offset as u64);
    let headings: Vec<String> = rows
        .iter()
        .map(|row| serde_json::to_string(&*row.position.headings))
        .collect::<Result<_, _>>()?;
    let columns: Vec<ArrayRef> = vec![
        column(|row| row.document_id.clone()),
        column(|row| scope_key(&row.tenant, &row.collection)),
        column(|row| row.tenant.clone()),
        column(|row| row.collection.clone()),
        Arc::new(labels.finish()),
        column(|row| row.text.clone()),
        Arc::new(UInt32Array::from(leads)),
        Arc::new(UInt32Array::from(passages)),
        Arc::new(pages),
        Arc::new(StringArray::from(headings)),
        Arc::new(UInt64Array::from_iter_values(offsets)),
        Arc::new(vectors(rows, schema)?),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn vectors(rows: &[ChunkRow], schema: &Schema) -> Result<FixedSizeListArray, TableError> {
    let DataType::FixedSizeList(item, dimension) =
        schema.field_with_name("vector")?.data_type().clone()
    else {
        return Err("the vectors have no fixed size".into());
    };
    let wrong = |row: &&ChunkRow| i32::try_from(row.vector.len()) != Ok(dimension);
    if let Some(row) = rows.iter().find(wrong) {
        let length = row.vector.len();
        return Err(format!("a vector has {length} numbers and not {dimension}").into());
    }
    let numbers = rows.iter().flat_map(|row| row.vector.iter().copied());
    let numbers = Float32Array::from_iter_values(numbers);
    Ok(FixedSizeListArray::try_new(
        item,
        dimension,
        Arc::new(numbers),
        None,
    )?)
}

pub(super) fn settings(batch: &RecordBatch) -> Result<Vec<(u64, String)>, TableError> {
    let sequence = numbers::<UInt64Type>(batch, "sequence")?;
    let value = texts_in(batch, "value")?;
    Ok(sequence.into_iter().zip(value).collect())
}

pub(super) fn collections(batch: &RecordBatch) -> Result<Vec<CollectionRow>, TableError> {
    let (tenants, names) = (texts_in(batch, "tenant")?, texts_in(batch, "name")?);
    let descriptions = texts_in(batch, "description")?;
    let created = numbers::<Int64Type>(batch, "created_ms")?;
    let rows = tenants
        .into_iter()
        .zip(names)
        .zip(descriptions)
        .zip(created);
    let rows = rows.map(
        |(((tenant, name), description), created_ms)| CollectionRow {
            tenant,
            name,
            description,
            created_ms,
        },
    );
    Ok(rows.collect())
}

pub(super) fn documents(batch: &RecordBatch) -> Result<Vec<StoredDocument>, TableError> {
    let ids = texts_in(batch, "id")?;
    let (tenants, collections) = (texts_in(batch, "tenant")?, texts_in(batch, "collection")?);
    let (titles, names) = (texts_in(batch, "title")?, texts_in(batch, "name")?);
    let urls = column(batch, "url")?;
    let urls = urls.as_string_opt::<i32>().ok_or("url is no text")?;
    let (metadata, hashes) = (texts_in(batch, "metadata")?, texts_in(batch, "hash")?);
    let sizes = numbers::<UInt64Type>(batch, "size_bytes")?;
    let passages = numbers::<UInt32Type>(batch, "passages")?;
    let created = numbers::<Int64Type>(batch, "created_ms")?;
    let row = |at: usize| -> Result<StoredDocument, TableError> {
        Ok(StoredDocument {
            id: ids[at].clone(),
            tenant: tenants[at].clone(),
            collection: collections[at].clone(),
            title: titles[at].clone(),
            url: urls.is_valid(at).then(|| urls.value(at).to_owned()),
            name: names[at].clone(),
            metadata: serde_json::from_str(&metadata[at])?,
            hash: hashes[at].clone(),
            size_bytes: sizes[at],
            passages: passages[at] as usize,
            created_ms: created[at],
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Chunks without their vectors.
pub(super) fn texts(batch: &RecordBatch) -> Result<Vec<ChunkRow>, TableError> {
    let found = found_in(batch)?;
    let (tenants, collections) = (texts_in(batch, "tenant")?, texts_in(batch, "collection")?);
    let lists = column(batch, "labels")?;
    let lists = lists.as_list_opt::<i32>().ok_or("labels are no list")?;
    let rows = found.into_iter().enumerate();
    let rows = rows.map(|(at, row)| -> Result<ChunkRow, TableError> {
        let labels = lists.value(at);
        let labels = labels.as_string_opt::<i32>().ok_or("a label is no text")?;
        Ok(ChunkRow {
            document_id: row.document_id,
            tenant: tenants[at].clone(),
            collection: collections[at].clone(),
            labels: labels.iter().flatten().map(str::to_owned).collect(),
            text: row.text,
            lead_bytes: row.lead_bytes,
            position: row.position,
            vector: Vec::new(),
        })
    });
    rows.collect()
}

pub(super) fn ids(batch: &RecordBatch) -> Result<Vec<String>, TableError> {
    texts_in(batch, "document_id")
}

/// Rows of a search with the column that tells how good they are.
pub(super) fn found(batches: &[RecordBatch], score: &str) -> Result<Vec<FoundRow>, TableError> {
    let mut all = Vec::new();
    for batch in batches {
        let scores = numbers::<Float32Type>(batch, score)?;
        let rows = found_in(batch)?.into_iter().zip(scores);
        all.extend(rows.map(|(row, score)| FoundRow { score, ..row }));
    }
    Ok(all)
}

fn found_in(batch: &RecordBatch) -> Result<Vec<FoundRow>, TableError> {
    let (ids, texts) = (texts_in(batch, "document_id")?, texts_in(batch, "text")?);
    let leads = numbers::<UInt32Type>(batch, "lead_bytes")?;
    let passages = numbers::<UInt32Type>(batch, "passage")?;
    let pages = column(batch, "page")?;
    let pages = pages
        .as_primitive_opt::<UInt32Type>()
        .ok_or("page is no number")?;
    let headings = texts_in(batch, "headings")?;
    let offsets = numbers::<UInt64Type>(batch, "offset")?;
    let row = |at: usize| -> Result<FoundRow, TableError> {
        Ok(FoundRow {
            document_id: ids[at].clone(),
            text: texts[at].clone(),
            lead_bytes: leads[at] as usize,
            position: Position {
                page: pages.is_valid(at).then(|| pages.value(at)),
                headings: serde_json::from_str::<Vec<String>>(&headings[at])?.into(),
                offset: usize::try_from(offsets[at])?,
                passage: passages[at] as usize,
            },
            score: 0.0,
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, TableError> {
    Ok(batch
        .column_by_name(name)
        .ok_or_else(|| format!("there is no column {name}"))?)
}

fn texts_in(batch: &RecordBatch, name: &str) -> Result<Vec<String>, TableError> {
    let column = column(batch, name)?;
    let texts = column
        .as_string_opt::<i32>()
        .ok_or_else(|| format!("{name} is no text"))?;
    Ok(texts.iter().flatten().map(str::to_owned).collect())
}

fn numbers<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<Vec<T::Native>, TableError> {
    let column = column(batch, name)?;
    let numbers = column
        .as_primitive_opt::<T>()
        .ok_or_else(|| format!("{name} is no number of the right kind"))?;
    Ok(numbers.values().to_vec())
}
