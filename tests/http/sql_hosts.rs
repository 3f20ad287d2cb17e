//! Where databases may be that callers name: the server reaches more than they do.

use std::io::ErrorKind;
use std::net::TcpListener;

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::signer::{SECRET, Signer, now};

const DDL: &str = "CREATE TABLE users (id int, name text);";

/// A service of this machine that is nobody's business.
struct Inner {
    listener: TcpListener,
    port: u16,
}

impl Inner {
    fn start() -> Inner {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        Inner { listener, port }
    }

    /// Whether somebody has connected since this was last asked.
    fn was_reached(&self) -> bool {
        match self.listener.accept() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}

fn server(more: &[(&str, &str)]) -> Server {
    let variables = [("WICK_SECRET_KEY", SECRET), ("WICK_LIMIT_SQL", "0")];
    Server::start_with(&[&variables, more].concat())
}

fn token() -> String {
    let claims = json!({"sub": "anna", "tenant": "acme", "exp": now() + 3600});
    Signer::secret(SECRET.as_bytes()).sign(&claims)
}

async fn put(server: &Server, body: Value) -> (u16, String) {
    let request = server.with_bearer(Method::PUT, "/ai/sql/schemas/shop", &token());
    let answer = request.body(body.to_string()).send().await.unwrap();
    let answer = Answer::read(answer).await;
    match answer.status.is_success() {
        true => (200, answer.text),
        false => answer.error(),
    }
}

#[tokio::test]
async fn tenants_do_not_reach_the_machine_its_network_or_its_cloud() {
    let inner = Inner::start();
    let port = inner.port;
    let server = server(&[("WICK_JWT_SECRET", SECRET)]);
    for place in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
        format!("127.1:{port}"),
        format!("0x7f000001:{port}"),
        format!("2130706433:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("localhost:{port},127.0.0.1:{port}"),
        "169.254.169.254:80".to_owned(),
        "[fd00:ec2::254]:80".to_owned(),
        "100.100.100.200:80".to_owned(),
        "10.0.0.1".to_owned(),
        "172.20.0.2:5432".to_owned(),
        "192.168.0.1:22".to_owned(),
        "[fe80::1]:80".to_owned(),
        "%2Fvar%2Frun%2Fpostgresql".to_owned(),
        "%2Ftmp".to_owned(),
    ] {
        let address = format!("postgres://me:hunter2@{place}/shop?sslmode=disable");
        for body in [
            json!({"connection": address}),
            json!({"connection": address, "ddl": DDL, "execute": true}),
        ] {
            let (status, text) = put(&server, body).await;
            assert_eq!(status, 403, "{place}: {text}");
            assert!(text.contains("WICK_DATABASE_HOSTS"), "{text}");
            assert!(
                !text.contains("hunter2") && !text.contains(&place),
                "{text}"
            );
        }
    }
    // The parameters of an address name hosts, too.
    for more in ["host=127.0.0.1", "host=/tmp", "hostaddr=127.0.0.1"] {
        let address = format!("postgres://me:hunter2@127.0.0.1:{port}/shop?{more}");
        let (status, text) = put(&server, json!({"connection": address})).await;
        assert!(status == 403 || status == 400, "{more}: {text}");
    }
    assert!(!inner.was_reached());
    assert!(!server.log().contains("hunter2"));
}

#[tokio::test]
async fn hosts_of_the_list_are_reached_and_no_others() {
    let inner = Inner::start();
    let other = Inner::start();
    let listed = format!("public, 127.0.0.1:{}", inner.port);
    let server = server(&[
        ("WICK_JWT_SECRET", SECRET),
        ("WICK_DATABASE_HOSTS", &listed),
    ]);
    let at = |host: &str, port: u16| json!({"connection": format!("postgres://me:hunter2@{host}:{port}/shop?sslmode=disable")});
    // It is no database, but it was asked. A name is asked where the list says, and nowhere else it leads.
    for host in ["127.0.0.1", "localhost"] {
        let (status, text) = put(&server, at(host, inner.port)).await;
        assert_eq!(status, 503, "{text}");
        assert!(inner.was_reached(), "{host}");
    }
    let (status, text) = put(&server, at("127.0.0.1", other.port)).await;
    assert_eq!(status, 403, "{text}");
    assert!(!other.was_reached());
}

#[tokio::test]
async fn what_the_operator_wrote_leads_where_it_leads() {
    let inner = Inner::start();
    let address = format!(
        "postgres://me:hunter2@127.0.0.1:{}/shop?sslmode=disable",
        inner.port
    );
    let server = server(&[("WICK_JWT_SECRET", SECRET), ("WICK_SQL_SHOP", &address)]);
    let (status, text) = put(&server, json!({"connection": "env:WICK_SQL_SHOP"})).await;
    assert_eq!(status, 503, "{text}");
    assert!(inner.was_reached());
}

#[tokio::test]
async fn a_schema_from_before_the_rule_is_under_it() {
    let inner = Inner::start();
    let address = format!(
        "postgres://me:hunter2@127.0.0.1:{}/shop?sslmode=disable",
        inner.port
    );
    let first = server(&[("WICK_JWT_SECRET", SECRET), ("WICK_DATABASE_HOSTS", "*")]);
    let (status, text) = put(
        &first,
        json!({"connection": address, "ddl": DDL, "execute": true}),
    )
    .await;
    assert_eq!(status, 200, "{text}");
    let second = Server::start_in(
        first.kill(),
        &[("WICK_SECRET_KEY", SECRET), ("WICK_JWT_SECRET", SECRET)],
    );
    let body = json!({"query": "SELECT name FROM users", "schema": "shop", "action": "explain", "execute": true});
    let request = second.with_bearer(Method::POST, "/ai/sql/assist", &token());
    let answer = request.body(body.to_string()).send().await.unwrap();
    let (status, text) = Answer::read(answer).await.error();
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("WICK_DATABASE_HOSTS"), "{text}");
    assert!(!inner.was_reached());
}

#[tokio::test]
async fn without_credentials_all_but_the_metadata_of_clouds_is_reached() {
    let inner = Inner::start();
    let server = server(&[]);
    let send = async |address: String| {
        let body = json!({"connection": address}).to_string();
        let answer = server
            .send(Method::PUT, "/ai/sql/schemas/shop", Some(body))
            .await;
        answer.error()
    };
    let (status, text) = send("postgres://me@169.254.169.254:80/x".to_owned()).await;
    assert_eq!(status, 403, "{text}");
    let local = format!("postgres://me@127.0.0.1:{}/x?sslmode=disable", inner.port);
    let (status, text) = send(local).await;
    assert_eq!(status, 503, "{text}");
    assert!(inner.was_reached());
}
