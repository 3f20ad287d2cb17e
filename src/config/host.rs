//! `OLLAMA_HOST`: where the server listens and where clients find it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use tracing::warn;

use super::ConfigError;

const DEFAULT_PORT: u16 = 11434;

/// Scheme, host, port and path of a server. Displays as the base URL without a slash at its end,
/// in which addresses that mean "any interface" are replaced by the loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    scheme: String,
    name: String,
    port: u16,
    path: String,
}

impl Host {
    /// Reads `[scheme://][host][:port][/path]`; an empty text is `127.0.0.1:11434`. A port that
    /// cannot be read is logged, and the default of the scheme taken.
    pub fn parse(text: &str) -> Host {
        let (host, bad_port) = Host::split(text);
        if let Some(port) = bad_port {
            warn!(
                port,
                default = host.port,
                "invalid port {port:?}, using {}",
                host.port
            );
        }
        host
    }

    /// Like [`Host::parse`], but a port that cannot be read is an error: for `--listen`.
    pub(super) fn parse_strictly(text: &str) -> Result<Host, ConfigError> {
        match Host::split(text) {
            (host, None) => Ok(host),
            (_, Some(_)) => Err(ConfigError::Invalid {
                name: "--listen",
                value: text.to_owned(),
                expected: "HOST:PORT",
            }),
        }
    }

    /// The host, and the port text that could not be read.
    fn split(text: &str) -> (Host, Option<String>) {
        let (scheme, rest) = text.trim().split_once("://").unwrap_or(("", text.trim()));
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => DEFAULT_PORT,
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, port) = split_port(authority);
        let (port, bad_port) = match port.map(|port| (port, port.parse::<u16>())) {
            None => (default_port, None),
            Some((_, Ok(port))) => (port, None),
            Some((text, Err(_))) => (default_port, Some(text.to_owned())),
        };
        let host = Host {
            scheme: if scheme.is_empty() { "http" } else { scheme }.to_owned(),
            name: if authority.is_empty() {
                "127.0.0.1"
            } else {
                name
            }
            .to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
        };
        (host, bad_port)
    }

    /// The address to bind; an empty host means all interfaces.
    pub fn address(&self) -> Result<SocketAddr, ConfigError> {
        if let Some(ip) = self.ip() {
            return Ok(SocketAddr::new(ip, self.port));
        }
        let mut found = (self.name.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|_| ConfigError::UnknownHost(self.name.clone()))?
            .collect::<Vec<_>>();
        found.sort_by_key(|address| address.is_ipv6());
        found
            .first()
            .copied()
            .ok_or_else(|| ConfigError::UnknownHost(self.name.clone()))
    }

    /// Like [`Host::address`] without asking anybody: a name becomes the loopback.
    pub(super) fn address_if_numeric(&self) -> SocketAddr {
        SocketAddr::new(self.ip().unwrap_or(Ipv4Addr::LOCALHOST.into()), self.port)
    }

    /// Whether the server is on this machine, so that no proxy may stand between.
    pub fn is_local(&self) -> bool {
        let ip = self.ip();
        ip.is_some_and(|ip| ip.is_loopback() || ip.is_unspecified()) || self.name == "localhost"
    }

    fn ip(&self) -> Option<IpAddr> {
        if self.name.is_empty() {
            return Some(Ipv4Addr::UNSPECIFIED.into());
        }
        self.name.parse().ok()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.ip() {
            Some(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            Some(IpAddr::V6(ip)) if ip.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
            Some(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.name.clone(),
        };
        write!(f, "{}://{name}:{}", self.scheme, self.port)?;
        match self.path.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.path),
        }
    }
}

/// Host and port of `host:port`, `[v6]:port`, or either without a port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some(rest) = authority.strip_prefix('[')
        && let Some((name, after)) = rest.split_once(']')
    {
        return (name, after.strip_prefix(':'));
    }
    // More than one colon is an IPv6 address without brackets.
    match authority.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_ollama_reads_them() {
        for (text, url, address) in [
            ("", "http://127.0.0.1:11434", "127.0.0.1:11434"),
            ("1.2.3.4", "http://1.2.3.4:11434", "1.2.3.4:11434"),
            ("1.2.3.4:5", "http://1.2.3.4:5", "1.2.3.4:5"),
            (":1234", "http://127.0.0.1:1234", "0.0.0.0:1234"),
            ("0.0.0.0", "http://127.0.0.1:11434", "0.0.0.0:11434"),
            ("http://1.2.3.4", "http://1.2.3.4:80", "1.2.3.4:80"),
            ("https://1.2.3.4", "https://1.2.3.4:443", "1.2.3.4:443"),
            (
                "https://1.2.3.4:9/a/b/",
                "https://1.2.3.4:9/a/b",
                "1.2.3.4:9",
            ),
            ("1.2.3.4:66000", "http://1.2.3.4:11434", "1.2.3.4:11434"),
            ("1.2.3.4:-1", "http://1.2.3.4:11434", "1.2.3.4:11434"),
            ("[::1]", "http://[::1]:11434", "[::1]:11434"),
            ("::1", "http://[::1]:11434", "[::1]:11434"),
            ("[::]:80", "http://[::1]:80", "[::]:80"),
        ] {
            let host = Host::parse(text);
            assert_eq!(host.to_string(), url, "{text}");
            assert_eq!(host.address(), Ok(address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_name_is_kept_for_clients() {
        let host = Host::parse("example.test");
        assert_eq!(host.to_string(), "http://example.test:11434");
        assert!(!host.is_local());
        assert!(Host::parse("localhost:1").is_local());
    }
}
