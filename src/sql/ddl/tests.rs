use super::*;
use crate::sql::ForeignKey;

fn read(ddl: &str, dialect: Dialect) -> Schema {
    Schema::from_ddl(ddl, dialect).unwrap_or_else(|error| panic!("{error}: {ddl}"))
}

fn error(ddl: &str) -> String {
    Schema::from_ddl(ddl, Dialect::Postgres)
        .unwrap_err()
        .to_string()
}

#[test]
fn postgres() {
    let schema = read(
        r#"
        SET search_path = sales;
        CREATE TYPE sales.state AS ENUM ('open', 'paid', 'sent');
        CREATE TABLE sales.Customers (
            id bigserial PRIMARY KEY,
            "fullName" text NOT NULL,
            email varchar(200) UNIQUE CHECK (email LIKE '%@%'),
            born date,
            balance numeric(12, 2) DEFAULT 0
        );
        CREATE UNLOGGED TABLE sales.orders (
            id int GENERATED ALWAYS AS IDENTITY,
            customer_id bigint NOT NULL REFERENCES sales.customers,
            state sales.state NOT NULL DEFAULT 'open',
            at timestamp with time zone DEFAULT now(),
            tags text[]
        );
        ALTER TABLE ONLY sales.orders OWNER TO somebody;
        ALTER TABLE ONLY sales.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
        ALTER TABLE sales.orders ADD CONSTRAINT positive CHECK (id > 0);
        CREATE INDEX orders_at ON sales.orders USING btree (at DESC, lower(state));
        COMMENT ON TABLE sales.orders IS 'What was bought; one row each';
        COMMENT ON COLUMN sales.orders.at IS 'When it was placed';
        CREATE FUNCTION f() RETURNS int AS $$ SELECT 1; $$ LANGUAGE sql;
        COPY sales.orders (id) FROM stdin;
1	it's not SQL
\.
        "#,
        Dialect::Postgres,
    );
    let customers = schema.table("customers").unwrap();
    assert_eq!(customers.full_name(), "sales.customers");
    assert_eq!(customers.primary_key, ["id"]);
    assert_eq!(customers.uniques, [["email"]]);
    assert_eq!(customers.checks, ["email LIKE '%@%'"]);
    assert_eq!(customers.columns[1].name, "fullName");
    assert!(!customers.columns[0].nullable && customers.columns[3].nullable);
    assert!(customers.columns[0].default.is_some());
    let orders = schema.table("sales.orders").unwrap();
    assert_eq!(orders.primary_key, ["id"]);
    assert_eq!(
        orders.foreign_keys,
        [ForeignKey {
            columns: vec!["customer_id".to_owned()],
            table: "customers".to_owned(),
            references: vec!["id".to_owned()],
        }]
    );
    assert_eq!(orders.columns[2].kind, Kind::Text);
    assert_eq!(orders.columns[2].samples, ["open", "paid", "sent"]);
    assert_eq!(orders.columns[3].kind, Kind::Timestamp);
    assert_eq!(orders.columns[4].kind, Kind::Other);
    assert_eq!(
        orders.columns[3].comment.as_deref(),
        Some("When it was placed")
    );
    assert!(
        orders
            .comment
            .as_ref()
            .unwrap()
            .starts_with("What was bought;")
    );
    assert_eq!(orders.indexes[0].columns, ["at", "lower(state)"]);
    assert_eq!(orders.checks, ["id > 0"]);
}

#[test]
fn mysql() {
    let schema = read(
        "/*!40101 SET NAMES utf8 */;
        DROP TABLE IF EXISTS `order`;
        CREATE TABLE `order` (
          `id` int unsigned NOT NULL AUTO_INCREMENT COMMENT 'number',
          `userId` int NOT NULL,
          `state` enum('new','done') DEFAULT 'new',
          `made` datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
          PRIMARY KEY (`id`),
          UNIQUE KEY `one` (`userId`,`made`),
          KEY `by_user` (`userId`),
          CONSTRAINT `fk` FOREIGN KEY (`userId`) REFERENCES `user` (`id`) ON DELETE CASCADE
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='what was bought';
        CREATE TABLE user (id INT PRIMARY KEY);",
        Dialect::MySql,
    );
    let order = schema.table("ORDER").unwrap();
    assert_eq!(order.primary_key, ["id"]);
    assert_eq!(order.columns[0].kind, Kind::Integer);
    assert_eq!(order.columns[0].default.as_deref(), Some("AUTO_INCREMENT"));
    assert_eq!(order.columns[0].comment.as_deref(), Some("number"));
    assert_eq!(order.columns[2].samples, ["new", "done"]);
    assert_eq!(order.uniques, [["userId", "made"]]);
    assert_eq!(order.indexes[0].name.as_deref(), Some("by_user"));
    assert_eq!(order.foreign_keys[0].table, "user");
    assert_eq!(order.comment.as_deref(), Some("what was bought"));
}

#[test]
fn sqlite_and_duckdb() {
    let schema = read(
        "CREATE TABLE IF NOT EXISTS \"Track\" (Id INTEGER PRIMARY KEY AUTOINCREMENT, Name, [Unit Price] REAL,
            AlbumId INTEGER REFERENCES Album(AlbumId), FOREIGN KEY (Id) REFERENCES Other) STRICT;
         CREATE TABLE Album (AlbumId INTEGER NOT NULL PRIMARY KEY, Title TEXT) WITHOUT ROWID;
         CREATE UNIQUE INDEX one ON Track (Name) WHERE Name IS NOT NULL;",
        Dialect::Sqlite,
    );
    let track = schema.table("track").unwrap();
    assert_eq!(track.columns.len(), 4);
    assert_eq!(track.columns[1].type_name, "");
    assert_eq!(track.columns[2].name, "Unit Price");
    assert_eq!(track.foreign_keys[0].references, ["AlbumId"]);
    assert_eq!(track.foreign_keys[1].table, "Other");
    assert!(!track.indexes[0].unique);
    let schema = read(
        "CREATE TABLE t (id UBIGINT PRIMARY KEY, tags VARCHAR[], info STRUCT(a INTEGER), big HUGEINT);",
        Dialect::DuckDb,
    );
    assert_eq!(schema.tables[0].columns[0].kind, Kind::Integer);
    assert_eq!(schema.tables[0].columns[1].kind, Kind::Other);
}

#[test]
fn sql_server() {
    let schema = read(
        "SET ANSI_NULLS ON
GO
CREATE TABLE [dbo].[Customer](
    [CustomerID] [int] IDENTITY(1,1) NOT NULL,
    [Name] [nvarchar](50) NOT NULL,
    [Active] [bit] NULL,
 CONSTRAINT [PK_Customer] PRIMARY KEY CLUSTERED ([CustomerID] ASC)
   WITH (PAD_INDEX = OFF, IGNORE_DUP_KEY = OFF) ON [PRIMARY]
) ON [PRIMARY]
GO
CREATE TABLE [dbo].[Sale]([SaleID] int NOT NULL, [CustomerID] int NOT NULL, [At] datetime2(7) DEFAULT (getdate()))
GO
ALTER TABLE [dbo].[Sale] WITH CHECK ADD CONSTRAINT [FK] FOREIGN KEY([CustomerID]) REFERENCES [dbo].[Customer] ([CustomerID])
GO
CREATE NONCLUSTERED INDEX [IX] ON [dbo].[Sale]([CustomerID] ASC)
",
        Dialect::MsSql,
    );
    let customer = schema.table("Customer").unwrap();
    assert_eq!(customer.primary_key, ["CustomerID"]);
    assert_eq!(customer.columns[1].kind, Kind::Text);
    assert_eq!(customer.columns[2].kind, Kind::Boolean);
    assert!(customer.columns[0].default.is_some());
    let sale = schema.table("dbo.sale").unwrap();
    assert_eq!(sale.foreign_keys[0].table, "Customer");
    assert_eq!(sale.columns[2].kind, Kind::Timestamp);
    assert_eq!(sale.indexes[0].columns, ["CustomerID"]);
}

#[test]
fn bigquery() {
    let schema = read(
        "CREATE TABLE `project.shop.orders` (
            id INT64 NOT NULL OPTIONS(description='number of the order'),
            at TIMESTAMP, items ARRAY<STRUCT<sku STRING, n INT64>>, price NUMERIC(10, 2),
            PRIMARY KEY (id) NOT ENFORCED
         ) PARTITION BY DATE(at) CLUSTER BY id OPTIONS(description='what was bought');",
        Dialect::BigQuery,
    );
    let orders = &schema.tables[0];
    assert_eq!(orders.full_name(), "shop.orders");
    assert_eq!(orders.primary_key, ["id"]);
    assert_eq!(
        orders.columns[0].comment.as_deref(),
        Some("number of the order")
    );
    assert_eq!(orders.columns[2].kind, Kind::Other);
    assert_eq!(orders.comment.as_deref(), Some("what was bought"));
}

#[test]
fn errors_tell_line_and_number() {
    assert!(
        error("CREATE TABLE a (id int);\n\nCREATE TABLE b (id int,, c int);")
            .starts_with("line 3, ")
    );
    assert_eq!(
        error("CREATE TABLE a (id int);\nCREATE TABLE a (id int);"),
        "line 2: table 'a' is created twice"
    );
    assert_eq!(error("SELECT 1"), "the DDL holds no CREATE TABLE statement");
    assert!(error("CREATE TABLE a (b text DEFAULT 'x").starts_with("line 1, "));
    let many: String = (0..10_000)
        .map(|n| format!("CREATE TABLE t{n} (id int);\n"))
        .collect();
    assert_eq!(
        error(&many),
        "the schema has 10000 tables, at most 2000 are taken"
    );
    let long = "-".repeat(LIMIT_BYTES + 1);
    assert_eq!(
        error(&long),
        "the text has 2097153 bytes, at most 2097152 are read"
    );
    let columns: Vec<String> = (0..2000).map(|n| format!("c{n} int")).collect();
    assert_eq!(
        error(&format!("CREATE TABLE wide ({})", columns.join(", "))),
        "table 'wide' has 2000 columns, at most 1600 are taken"
    );
    let deep = format!(
        "CREATE TABLE a (id int CHECK (1{} > 0))",
        "+1".repeat(100_000)
    );
    assert!(
        error(&deep).contains("nested more than"),
        "{}",
        error(&deep)
    );
}

#[test]
fn names_made_to_break_out_stay_names() {
    let schema = read(
        "CREATE TABLE \"x\"\"; DROP TABLE y; --\" (\"a\nb\" int);",
        Dialect::Postgres,
    );
    assert_eq!(schema.tables[0].name, "x\"; DROP TABLE y; --");
    assert_eq!(schema.tables[0].columns[0].name, "a\nb");
}
