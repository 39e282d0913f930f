//! A virtual router as the user asked for it.

use super::{IfName, Name, Notify, Route, Rule, Supervised, TrackUse, VirtualAddress};
use crate::time::Duration;
use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use crate::wire::vrrp::{Family, HmacKey, Version};

/// Virtual router id, 1..=255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(u8);

impl Vrid {
    /// `None` for 0.
    pub const fn new(id: u8) -> Option<Self> {
        if id == 0 { None } else { Some(Vrid(id)) }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Priority 1..=255; 255 is the owner of the addresses. 0 exists on the wire only (resign).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The owner of the addresses (RFC 9568 §6.1).
    pub const OWNER: Priority = Priority(255);

    /// `None` for 0.
    pub const fn new(priority: u8) -> Option<Self> {
        if priority == 0 { None } else { Some(Priority(priority)) }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Is this router the owner of the addresses?
    pub const fn is_owner(self) -> bool {
        self.0 == 255
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A VRRPv2 simple-text password, zero padded to 8 bytes (PKT-4). `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthPass(pub [u8; 8]);

impl fmt::Debug for AuthPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthPass(...)")
    }
}

/// How adverts are authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// VRRPv2 authentication type 1.
    Pass(AuthPass),
    /// The trailer of keepalived 2.4 (PKT-50).
    Hmac(Box<Hmac>),
}

/// `[vrrp.auth_hmac]`: the keyed trailer of keepalived 2.4 (PKT-50). Every router of the group needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    /// At least one, ids are unique; any of them is accepted.
    pub keys: Vec<HmacKey>,
    /// Index in `keys` of the one that signs what we send.
    pub active: usize,
    /// How far the sender's clock may be from ours, 1..=300 s; `None`: max(3 x advert interval, 5 s).
    pub window: Option<Duration>,
    /// What makes a replay visible.
    pub anti_replay: AntiReplay,
    /// What becomes of adverts without a good trailer.
    pub mode: HmacMode,
}

/// What makes a replay visible (keepalived's `anti_replay`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AntiReplay {
    /// Time stamps within the window, and growing.
    #[default]
    Time,
    /// Growing numbers alone: for routers without a clock.
    Monotonic,
}

/// What becomes of adverts without a good trailer (keepalived's `mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HmacMode {
    /// Sign; drop what is not signed well.
    #[default]
    Enforce,
    /// Sign; accept everything, count what is not signed well.
    Permissive,
    /// Do not sign; accept both signed and plain: the first step of a roll-out.
    ReceiveOnly,
}

/// Which checksum a v3/IPv4 advert is sent with (PKT-36). Both are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChecksumForm {
    /// With the IPv4 pseudo-header: keepalived, FRR.
    #[default]
    PseudoHeader,
    /// The message alone: RFC 9568, Cisco, Juniper.
    MessageOnly,
    /// Begin with the pseudo-header, then as the peer does.
    Auto,
}

/// When and how often the VIPs are announced by gratuitous ARP or unsolicited NA (ARP-40 defaults).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garp {
    /// Time from the first burst to the second; zero for no second burst. Default 5 s.
    pub delay: Duration,
    /// Frames per VIP and burst, 1..=255. Default 5.
    pub repeat: u8,
    /// Period of later announcements; zero for none. Default none.
    pub refresh: Duration,
    /// Frames per VIP and refresh, 1..=255. Default 1.
    pub refresh_repeat: u8,
    /// As `delay`, after a lower-priority router was heard while Active. Default: `delay`.
    pub lower_priority_delay: Duration,
    /// As `repeat`, after a lower-priority router was heard while Active; 0 = none. Default: `repeat`.
    pub lower_priority_repeat: u8,
    /// ARP request, reply, or both (ARP-2). Default request.
    pub form: GarpForm,
    /// R flag of unsolicited NAs; `None`: set where the interface forwards (ARP-33).
    pub router_flag: Option<bool>,
}

/// Which kind of gratuitous ARP is sent (ARP-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GarpForm {
    /// keepalived, FRR, arping -U.
    #[default]
    Request,
    /// arping -A.
    Reply,
    /// One of each.
    Both,
}

impl Default for Garp {
    fn default() -> Self {
        Garp {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_priority_delay: Duration::from_secs(5),
            lower_priority_repeat: 5,
            form: GarpForm::Request,
            router_flag: None,
        }
    }
}

/// Adverts to named peers instead of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unicast {
    /// At least one; unique; of the instance's family.
    pub peers: Vec<Peer>,
    /// TTL or hop limit of what we send; 255 by default.
    pub ttl: u8,
    /// Drop adverts of senders that are not in `peers` (RX-18); true by default.
    pub check_source: bool,
}

/// One unicast peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where its adverts come from.
    pub address: IpAddr,
    /// Lowest TTL or hop limit accepted from it; 0 by default.
    pub ttl_min: u8,
    /// Highest; 255 by default.
    pub ttl_max: u8,
}

/// `virtual_mac`: a macvlan with the virtual router's own MAC carries the addresses (VMAC-*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualMac {
    /// Name of the macvlan; `vrrp.VRID` (`vrrp6.VRID` for IPv6) by default.
    pub name: IfName,
    /// Its MAC; 00:00:5e:00:01:VRID (00:00:5e:00:02:VRID for IPv6) by default (VMAC-1).
    pub mac: [u8; 6],
}

/// `[[vrrp]]`: one virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The user's name for it.
    pub name: Name,
    /// Interface for adverts, and for addresses that name none.
    pub interface: IfName,
    /// Virtual router id.
    pub vrid: Vrid,
    /// Family of adverts and of `addresses` (not of `excluded`); that of the first address.
    pub family: Family,
    /// Protocol version; v2 by default, as keepalived's; IPv6 is always v3.
    pub version: Version,
    /// Configured priority; 100 by default.
    pub priority: Priority,
    /// Time between adverts. v2: whole seconds, 1..=255 s; v3: 10 ms ..= 40.95 s in steps of 10 ms.
    pub advert_interval: Duration,
    /// Silent advert intervals after which the Active router is gone, 1..=100; 3 by default. The same on all
    /// routers of the group.
    pub down_adverts: u8,
    /// May we take over from a live router of lower priority? Default true.
    pub preempt: bool,
    /// Wait so long before taking over from a live router of lower priority; zero by default. Never delays a
    /// takeover when nobody is Active.
    pub preempt_delay: Duration,
    /// After the start of the daemon (not a reload) the instance takes no part for so long; zero by default.
    pub start_delay: Duration,
    /// After its interface came up the instance takes no part for so long; zero by default (RTNL-42, spanning
    /// tree).
    pub settle: Duration,
    /// An interface that goes down counts as down only after so long; zero by default (RTNL-42).
    pub down_delay: Duration,
    /// Authentication; PASS only with v2.
    pub authentication: Authentication,
    /// Multicast group of the family; 224.0.0.18 or ff02::12 by default, or that of `[global]`.
    pub group: IpAddr,
    /// Adverts to named peers instead of the group.
    pub unicast: Option<Unicast>,
    /// Source of our adverts; the interface's primary or link-local address where not given.
    pub source: Option<IpAddr>,
    /// Fault while `source` is not on the box; false by default (it may come later).
    pub track_source: bool,
    /// Fault while the interface is down; true by default.
    pub track_interface: bool,
    /// Virtual MAC; off by default.
    pub virtual_mac: Option<VirtualMac>,
    /// The virtual addresses, in the order in which they are advertised. IPv6: the first is link-local
    /// (PKT-13). Without any, adverts have none, and are valid without one (PKT-14).
    pub addresses: Vec<VirtualAddress>,
    /// Virtual addresses that are not advertised; any family.
    pub excluded: Vec<VirtualAddress>,
    /// Routes that live with the Active state.
    pub routes: Vec<Route>,
    /// Policy rules that live with the Active state.
    pub rules: Vec<Rule>,
    /// What changes the priority or makes the instance unfit.
    pub tracks: Vec<TrackUse>,
    /// Checksum form of v3/IPv4 adverts sent.
    pub checksum: ChecksumForm,
    /// Answer a lower-priority advert while Active (FSM-21); true by default.
    pub lower_priority_advert: bool,
    /// Send one more advert before yielding to a higher priority; false by default.
    pub higher_priority_advert: bool,
    /// Drop adverts whose address list is not ours (RX-19); false by default.
    pub strict_addresses: bool,
    /// Announcements.
    pub garp: Garp,
    /// How long the kernel keeps a VIP when vipd no longer renews it; `None` for ever. Whole seconds, at
    /// least 2 s; 3 s by default.
    pub lease: Option<Duration>,
    /// Set `promote_secondaries` on the interfaces of the addresses while the daemon runs (RTNL-23).
    pub promote_secondaries: bool,
    /// Whom to tell.
    pub notify: Notify,
    /// Run before the addresses go live, for at most its timeout (conntrackd's commit).
    pub pre_active: Option<super::Command>,
    /// Services of this box that run exactly while the instance is Active.
    pub run_while_active: Vec<Supervised>,
}

impl Instance {
    /// A new instance with every default and no address; for tests and for `config`.
    pub fn new(name: Name, interface: IfName, vrid: Vrid, family: Family) -> Self {
        const PRIORITY: Priority = Priority(100);
        Instance {
            name,
            interface,
            vrid,
            family,
            version: match family {
                Family::V4 => Version::V2,
                Family::V6 => Version::V3,
            },
            priority: PRIORITY,
            advert_interval: Duration::from_secs(1),
            down_adverts: 3,
            preempt: true,
            preempt_delay: Duration::ZERO,
            start_delay: Duration::ZERO,
            settle: Duration::ZERO,
            down_delay: Duration::ZERO,
            authentication: Authentication::None,
            group: default_group(family),
            unicast: None,
            source: None,
            track_source: false,
            track_interface: true,
            virtual_mac: None,
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            tracks: Vec::new(),
            checksum: ChecksumForm::default(),
            lower_priority_advert: true,
            higher_priority_advert: false,
            strict_addresses: false,
            garp: Garp::default(),
            lease: Some(Duration::from_secs(3)),
            promote_secondaries: false,
            notify: Notify::default(),
            pre_active: None,
            run_while_active: Vec::new(),
        }
    }

    /// All addresses of the instance with their options: advertised ones first.
    pub fn all_addresses(&self) -> impl Iterator<Item = &VirtualAddress> + Clone {
        self.addresses.iter().chain(&self.excluded)
    }

    /// Is this one of the instance's virtual addresses?
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.all_addresses().any(|a| a.cidr.address == address)
    }
}

/// VRRP's own group of a family (RFC 9568 §5.1.1.2, §5.1.2.2).
pub const fn default_group(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
    }
}

/// The virtual router's MAC (VMAC-1, RFC 9568 §7.3).
pub const fn virtual_mac(family: Family, vrid: Vrid) -> [u8; 6] {
    let family = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    [0, 0, 0x5e, 0, family, vrid.get()]
}

/// `[[sync_group]]`: instances that are Active together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    /// The user's name for it; unique among groups.
    pub name: Name,
    /// Indexes in `Config::instances`, at least one; an instance is in at most one group.
    pub members: Vec<usize>,
    /// What makes the whole group unfit, or changes the priority of every member.
    pub tracks: Vec<TrackUse>,
    /// Weights of the members' own trackers count (keepalived's `sync_group_tracking_weight`); false by
    /// default: only their faults do.
    pub member_weights: bool,
    /// Whom to tell.
    pub notify: Notify,
}
