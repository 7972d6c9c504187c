use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address that is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressKind {
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 (shared) and fc00::/7.
    Private,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// Cloud metadata services, which hold credentials; in any range.
    Metadata,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// Unspecified, broadcast, benchmarking, documentation, tunnels and all other ranges that are
    /// not for servers.
    Reserved,
}

impl AddressKind {
    /// Returns the kind of an address, or `None` if it is public.
    ///
    /// An IPv4-mapped address has the kind of the IPv4 address. An address behind NAT64
    /// (64:ff9b::/96) is public or reserved. 6to4, Teredo and IPv4-compatible addresses are always
    /// reserved, because nothing current needs them, and so is the rest of 2001::/23.
    pub const fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    const fn of_v4(address: Ipv4Addr) -> Option<Self> {
        Some(match address.octets() {
            [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => {
                Self::Metadata
            }
            [127, ..] => Self::Loopback,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            [169, 254, ..] => Self::LinkLocal,
            [224..=239, ..] => Self::Multicast,
            [0 | 240..=255, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Reserved,
            _ => return None,
        })
    }

    const fn of_v6(address: Ipv6Addr) -> Option<Self> {
        let [.., a, b, c, d] = address.octets();
        let inner = Self::of_v4(Ipv4Addr::new(a, b, c, d));
        Some(match address.segments() {
            [0, 0, 0, 0, 0, 0xffff, ..] => return inner,
            [0x64, 0xff9b, 0, 0, 0, 0, ..] if inner.is_none() => return None,
            [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
                Self::Metadata
            }
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xfc00..=0xfdff, ..] => Self::Private,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
                Self::Reserved
            }
            [0x2000..=0x3fff, ..] => return None,
            _ => Self::Reserved,
        })
    }

    /// Returns whether `local:` allows this kind.
    pub(super) const fn is_local(self) -> bool {
        match self {
            Self::Loopback | Self::Private => true,
            Self::LinkLocal | Self::Metadata | Self::Multicast | Self::Reserved => false,
        }
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        })
    }
}
