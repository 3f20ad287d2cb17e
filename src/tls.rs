//! HTTPS for every client in the process, by ring: it needs no C toolchain beyond what Rust needs.

/// A client builder that speaks HTTPS.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // A second installation is refused, and the first one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}
