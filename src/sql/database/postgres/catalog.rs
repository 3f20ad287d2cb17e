//! What a PostgreSQL database holds, out of its catalogue.

use std::collections::HashMap;

use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::sql::names::written;
use crate::sql::{Column, Dialect, ForeignKey, Index, Kind, Schema, Table};

use super::super::{SAMPLES, may_show};

const TABLES: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text, GREATEST(c.reltuples, -1)::float8, obj_description(c.oid, 'pg_class')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY n.nspname <> 'public', n.nspname, c.oid LIMIT 2000";

const COLUMNS: &str = "
    SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           CASE WHEN a.attidentity <> '' THEN 'GENERATED AS IDENTITY' ELSE pg_get_expr(d.adbin, d.adrelid) END,
           col_description(a.attrelid, a.attnum), t.typtype = 'e',
           (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum";

const CONSTRAINTS: &str = "
    SELECT k.conrelid, k.contype::text, k.confrelid,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, at)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, at)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.at),
           pg_get_expr(k.conbin, k.conrelid)
    FROM pg_constraint k WHERE k.conrelid = ANY($1) AND k.contype IN ('p', 'u', 'f', 'c') ORDER BY k.oid";

const INDEXES: &str = "
    SELECT i.indrelid, c.relname::text, i.indisunique AND i.indpred IS NULL,
           ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts) n ORDER BY n)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY($1)
      AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
    ORDER BY i.indexrelid";

/// All tables that the user may read.
pub(super) async fn read(client: &Client, samples: bool) -> Result<Schema, Error> {
    let mut tables: Vec<Table> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut oids: Vec<u32> = Vec::new();
    for row in client.query(TABLES, &[]).await? {
        let oid: u32 = row.get(0);
        let namespace: String = row.get(1);
        let rows: f64 = row.get(3);
        places.insert(oid, tables.len());
        oids.push(oid);
        tables.push(Table {
            namespace: Some(namespace).filter(|space| space != "public"),
            name: row.get(2),
            rows: (rows >= 0.0).then_some(rows as u64),
            comment: row.get(4),
            ..Table::default()
        });
    }
    for row in client.query(COLUMNS, &[&oids]).await? {
        let Some(&at) = places.get(&row.get::<_, u32>(0)) else {
            continue;
        };
        let type_name: String = row.get(2);
        let is_enum: bool = row.get(6);
        let labels: Option<Vec<String>> = row.get(7);
        tables[at].columns.push(Column {
            name: row.get(1),
            kind: if is_enum {
                Kind::Text
            } else {
                Kind::of(&type_name)
            },
            type_name,
            nullable: !row.get::<_, bool>(3),
            default: row.get(4),
            comment: row.get(5),
            samples: labels
                .unwrap_or_default()
                .into_iter()
                .take(SAMPLES.0)
                .collect(),
        });
    }
    constraints(client, &oids, &places, &mut tables).await?;
    for row in client.query(INDEXES, &[&oids]).await? {
        if let Some(&at) = places.get(&row.get::<_, u32>(0)) {
            tables[at].indexes.push(Index {
                name: Some(row.get(1)),
                unique: row.get(2),
                columns: row.get(3),
            });
        }
    }
    if samples {
        for table in &mut tables {
            sample(client, table).await?;
        }
    }
    Ok(Schema {
        dialect: Dialect::Postgres,
        tables,
    })
}

async fn constraints(
    client: &Client,
    oids: &[u32],
    places: &HashMap<u32, usize>,
    tables: &mut [Table],
) -> Result<(), Error> {
    for row in client.query(CONSTRAINTS, &[&oids]).await? {
        let Some(&at) = places.get(&row.get::<_, u32>(0)) else {
            continue;
        };
        let kind: String = row.get(1);
        let columns: Vec<String> = row.get(3);
        match kind.as_str() {
            "p" => tables[at].primary_key = columns,
            "u" => tables[at].uniques.push(columns),
            "f" => {
                if let Some(&target) = places.get(&row.get::<_, u32>(2)) {
                    let target = tables[target].full_name();
                    tables[at].foreign_keys.push(ForeignKey {
                        columns,
                        table: target,
                        references: row.get(4),
                    });
                }
            }
            _ => {
                if let Some(check) = row.get::<_, Option<String>>(5) {
                    tables[at].checks.push(check);
                }
            }
        }
    }
    Ok(())
}

/// Values that occur several times, where there are only a few of them and their column promises nothing
/// personal. A table that may not be read so stays without.
async fn sample(client: &Client, table: &mut Table) -> Result<(), Error> {
    let (most, longest) = SAMPLES;
    let space = table.namespace.as_deref().unwrap_or("public");
    let name = format!(
        "{}.{}",
        written(Dialect::Postgres, space),
        written(Dialect::Postgres, &table.name)
    );
    for column in &mut table.columns {
        if column.kind != Kind::Text || !column.samples.is_empty() || !may_show(&column.name) {
            continue;
        }
        let field = written(Dialect::Postgres, &column.name);
        let sql = format!(
            "SELECT v::text FROM (SELECT {field} AS v FROM {name} LIMIT 2000) s WHERE v IS NOT NULL \
             GROUP BY v HAVING count(*) > 1 ORDER BY count(*) DESC, 1 LIMIT {}",
            most + 1
        );
        client.simple_query("SAVEPOINT wick_sample").await?;
        let Ok(messages) = client.simple_query(&sql).await else {
            client.simple_query("ROLLBACK TO wick_sample").await?;
            continue;
        };
        let found: Vec<String> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        if found.len() <= most && found.iter().all(|value| value.len() <= longest) {
            column.samples = found;
        }
    }
    Ok(())
}
