//! Which hosts connections may be made to. Whoever names a database would otherwise reach all that the server
//! reaches: its own machine, its network, and where clouds hand out credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses at which clouds tell machines their secrets, beside the link-local ones.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// IPv4 networks that are not of the internet at large (RFC 6890 and multicast).
const NOT_PUBLIC: [(Ipv4Addr, u8); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Hosts that may be connected to. Reads lists such as `public, db.internal:5432, 10.2.0.0/16, /run/postgresql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach(Vec<Place>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// All there is.
    Anywhere,
    /// All but what clouds tell machines alone.
    Ordinary,
    /// Addresses of the internet.
    Public,
    /// A folder of Unix sockets.
    Sockets(PathBuf),
    /// A name, whatever it leads to; one that begins with a dot stands for all below it.
    Name(String, Option<u16>),
    /// A network.
    Net(IpNet, Option<u16>),
}

/// A list of hosts that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReachError;

impl Reach {
    /// Everywhere: for addresses that the operator has written.
    pub fn anywhere() -> Reach {
        Reach(vec![Place::Anywhere])
    }

    /// What a user of this machine reaches without this program, metadata of clouds left out.
    pub fn ordinary() -> Reach {
        Reach(vec![Place::Ordinary])
    }

    /// Public addresses, and nothing of this machine or its network.
    pub fn public() -> Reach {
        Reach(vec![Place::Public])
    }

    /// Whether sockets in the folder may be opened.
    pub(super) fn holds_sockets(&self, folder: &Path) -> bool {
        self.0.iter().any(|place| match place {
            Place::Anywhere | Place::Ordinary => true,
            Place::Sockets(listed) => listed == folder,
            Place::Public | Place::Name(..) | Place::Net(..) => false,
        })
    }

    /// Whether the host may be connected to at this address, which its name has led to.
    pub(super) fn holds(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_port = |listed: &Option<u16>| listed.is_none_or(|listed| listed == port);
        self.0.iter().any(|place| match place {
            Place::Anywhere => true,
            Place::Ordinary => !tells_secrets(address),
            Place::Public => is_public(address),
            Place::Sockets(_) => false,
            Place::Name(name, listed) => {
                is_port(listed) && (host == *name || name.starts_with('.') && host.ends_with(name))
            }
            Place::Net(net, listed) => is_port(listed) && net.contains(&address),
        })
    }
}

impl FromStr for Reach {
    type Err = ReachError;

    fn from_str(text: &str) -> Result<Reach, ReachError> {
        let places: Result<Vec<Place>, ReachError> = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Place::from_str)
            .collect();
        places.map(Reach)
    }
}

impl FromStr for Place {
    type Err = ReachError;

    fn from_str(text: &str) -> Result<Place, ReachError> {
        match text {
            "*" => return Ok(Place::Anywhere),
            "public" => return Ok(Place::Public),
            _ if text.starts_with('/') => return Ok(Place::Sockets(PathBuf::from(text))),
            _ => {}
        }
        if let Some(net) = network(text) {
            return Ok(Place::Net(net, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| ReachError)?)),
            None => (text, None),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Some(net) = network(bare.unwrap_or(host)) {
            return Ok(Place::Net(net, port));
        }
        let name = host.strip_prefix('*').unwrap_or(host).to_ascii_lowercase();
        let is_sound =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_whole = host.starts_with('*') == name.starts_with('.');
        // What ends in a number would be an address that is miswritten.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        match is_whole && !is_number && name.bytes().all(is_sound) {
            true => Ok(Place::Name(name, port)),
            false => Err(ReachError),
        }
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Whether an address is link-local or one of those where a cloud tells a machine its secrets.
fn tells_secrets(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || leads_to_v4(address),
    };
    is_link_local || METADATA.contains(&address)
}

/// Whether an address is one of the internet.
fn is_public(address: IpAddr) -> bool {
    if METADATA.contains(&address) {
        return false;
    }
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC.iter().any(|(net, bits)| {
            let shift = 32 - u32::from(*bits);
            u32::from(address) >> shift == u32::from(*net) >> shift
        }),
        // Global unicast, without what is for protocols and documentation.
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            let is_special = match first {
                0x2001 => second < 0x200 || second == 0xdb8,
                other => other == 0x3fff,
            };
            first & 0xe000 == 0x2000 && !is_special && !leads_to_v4(address)
        }
    }
}

/// Whether an IPv6 address is a way to one of IPv4: by translation (RFC 6052, RFC 8215) or a tunnel (6to4).
fn leads_to_v4(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    (first, second) == (0x64, 0xff9b) || first == 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(reach: &Reach, host: &str, address: &str) -> bool {
        reach.holds(host, address.parse().unwrap(), 5432)
    }

    const INNER: [&str; 24] = [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];

    #[test]
    fn public_addresses_are_those_of_the_internet() {
        let public = Reach::public();
        for address in INNER {
            assert!(!holds(&public, "db.example", address), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert!(holds(&public, "db.example", address), "{address}");
        }
        assert!(!public.holds_sockets(Path::new("/run/postgresql")));
    }

    #[test]
    fn nobody_is_led_to_the_metadata_of_a_cloud() {
        let ordinary = Reach::ordinary();
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "168.63.129.16",
        ] {
            assert!(!holds(&ordinary, "db", address), "{address}");
        }
        for address in ["127.0.0.1", "::1", "192.168.1.9", "8.8.8.8", "fd12::1"] {
            assert!(holds(&ordinary, "db", address), "{address}");
        }
        assert!(ordinary.holds_sockets(Path::new("/tmp")));
    }

    #[test]
    fn a_list_allows_what_it_names_and_nothing_else() {
        let list = "db.internal:5432, *.eu.example, 10.2.0.0/16, fd12::/16, 192.168.1.9:5433, /run/postgresql";
        let list: Reach = list.parse().unwrap();
        for (host, address, is_held) in [
            ("db.internal", "10.9.9.9", true),
            ("DB.Internal.", "10.9.9.9", true),
            ("a.eu.example", "127.0.0.1", true),
            ("eu.example", "8.8.8.8", false),
            ("evil-eu.example", "8.8.8.8", false),
            ("anything", "10.2.3.4", true),
            ("anything", "::ffff:10.2.3.4", true),
            ("anything", "10.3.0.1", false),
            ("anything", "fd12::7", true),
            ("192.168.1.9", "192.168.1.9", false),
            ("localhost", "127.0.0.1", false),
            ("db.example", "8.8.8.8", false),
        ] {
            assert_eq!(holds(&list, host, address), is_held, "{host} {address}");
        }
        assert!(list.holds("x", "192.168.1.9".parse().unwrap(), 5433));
        assert!(!list.holds("db.internal", "10.9.9.9".parse().unwrap(), 22));
        assert!(list.holds_sockets(Path::new("/run/postgresql")));
        assert!(!list.holds_sockets(Path::new("/run/postgresql/..")));
        let both: Reach = "public,[::1]:5432,127.0.0.1".parse().unwrap();
        assert!(holds(&both, "localhost", "::1") && holds(&both, "db.example", "8.8.8.8"));
        assert!(!both.holds("localhost", "::1".parse().unwrap(), 1));
        let all: Reach = "*".parse().unwrap();
        assert!(INNER.iter().all(|address| holds(&all, "x", address)));
    }

    #[test]
    fn lists_are_read_strictly() {
        for text in [
            "db:x",
            "a b",
            "10.0.0",
            "10.0.0.0/33",
            "*x.example",
            "http://db",
            ".x",
            "db:99999",
            "[::1",
        ] {
            assert_eq!(text.parse::<Reach>(), Err(ReachError), "{text}");
        }
    }
}
