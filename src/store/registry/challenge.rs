//! The answer to "401 Unauthorized": where to get a token, and for what.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::Url;

use crate::store::digest::Digest;
use crate::store::error::RegistryError;

/// `Bearer realm="...",service="...",scope="..."`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    service: String,
    scope: String,
}

impl Challenge {
    /// Parses the header `WWW-Authenticate`; nothing for another scheme than Bearer.
    pub(super) fn parse(header: &str) -> Option<Challenge> {
        let (scheme, mut rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Challenge::default();
        while let Some((key, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            match key.trim().to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = value.to_owned(),
                "service" => challenge.service = value.to_owned(),
                "scope" => challenge.scope = value.to_owned(),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(challenge)
    }

    /// The URL that issues the token. It must be the host that was asked, or a registry could have
    /// signatures made for another server; nor may it fall back from TLS to plain text.
    pub(super) fn token_url(&self, asked: &Url) -> Result<Url, RegistryError> {
        let mut url =
            Url::parse(&self.realm).map_err(|_| RegistryError::BadUrl(self.realm.clone()))?;
        let place = |url: &Url| {
            let port = url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            format!("{}{port}", url.host_str().unwrap_or_default())
        };
        let downgraded = asked.scheme() == "https" && url.scheme() != "https";
        if place(&url) != place(asked) || downgraded {
            return Err(RegistryError::RealmHost {
                realm: place(&url),
                host: place(asked),
            });
        }
        let nonce: [u8; 16] = rand::random();
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mut query = url.query_pairs_mut();
        query.append_pair("service", &self.service);
        for scope in self.scope.split(' ').filter(|scope| !scope.is_empty()) {
            query.append_pair("scope", scope);
        }
        query.append_pair("ts", &seconds.to_string());
        query.append_pair("nonce", &URL_SAFE.encode(nonce));
        drop(query);
        Ok(url)
    }
}

/// The text that is signed for a GET without a body.
pub(super) fn text_to_sign(url: &Url) -> String {
    format!("GET,{url},{}", STANDARD.encode(Digest::of(b"").hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed_in_any_order_and_spacing() {
        let want = Challenge {
            realm: "https://h/token".into(),
            service: "s".into(),
            scope: "repository:a/b:pull,push other:c:pull".into(),
        };
        for header in [
            r#"Bearer realm="https://h/token",service="s",scope="repository:a/b:pull,push other:c:pull""#,
            r#"bearer scope="repository:a/b:pull,push other:c:pull", realm="https://h/token", service=s"#,
        ] {
            assert_eq!(Challenge::parse(header).unwrap(), want);
        }
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
        assert_eq!(Challenge::parse("Bearer realm=\"open"), None);
        assert_eq!(Challenge::parse(""), None);
    }

    #[test]
    fn token_urls_stay_with_the_host_that_was_asked() {
        let asked = Url::parse("https://h:1/v2/a/b/manifests/c").unwrap();
        let url = |realm: &str| {
            let challenge = Challenge {
                realm: realm.into(),
                service: "s".into(),
                scope: "a b".into(),
            };
            challenge.token_url(&asked)
        };
        let good = url("https://h:1/token").unwrap();
        assert!(
            good.as_str()
                .starts_with("https://h:1/token?service=s&scope=a&scope=b&ts="),
            "{good}"
        );
        for realm in [
            "https://h/token",
            "https://evil/token",
            "http://h:1/token",
            "https://h:1@evil/",
        ] {
            assert!(
                matches!(url(realm), Err(RegistryError::RealmHost { .. })),
                "{realm}"
            );
        }
        assert!(matches!(url("nonsense"), Err(RegistryError::BadUrl(_))));
        assert_eq!(
            text_to_sign(&Url::parse("https://h/t?x=1").unwrap()),
            "GET,https://h/t?x=1,ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
        );
    }
}
