//! The structs of the old interface (`linux/ip_vs.h`; IPVS-91), as the compiler of each target lays them out.
//! None is ever made: bytes are read and written at the places of the members.

use core::mem::offset_of;

/// IP_VS_SCHEDNAME_MAXLEN.
pub(super) const SCHEDULER_LEN: usize = 16;
/// IP_VS_IFNAME_MAXLEN.
pub(super) const IFN_LEN: usize = 16;

/// `ip_vs_service_user`. Address, port and mask are in network byte order.
#[repr(C)]
pub(super) struct ServiceUser {
    pub(super) protocol: u16,
    pub(super) addr: u32,
    pub(super) port: u16,
    pub(super) fwmark: u32,
    pub(super) sched_name: [u8; SCHEDULER_LEN],
    pub(super) flags: u32,
    pub(super) timeout: u32,
    pub(super) netmask: u32,
}

/// `ip_vs_dest_user`.
#[repr(C)]
pub(super) struct DestUser {
    pub(super) addr: u32,
    pub(super) port: u16,
    pub(super) conn_flags: u32,
    pub(super) weight: u32,
    pub(super) u_threshold: u32,
    pub(super) l_threshold: u32,
}

/// `ip_vs_timeout_user`, in seconds.
#[repr(C)]
pub(super) struct TimeoutUser {
    pub(super) tcp_timeout: u32,
    pub(super) tcp_fin_timeout: u32,
    pub(super) udp_timeout: u32,
}

/// `ip_vs_daemon_user`.
#[repr(C)]
pub(super) struct DaemonUser {
    pub(super) state: u32,
    pub(super) mcast_ifn: [u8; IFN_LEN],
    pub(super) syncid: u32,
}

/// `ip_vs_getinfo`.
#[repr(C)]
pub(super) struct GetInfo {
    version: u32,
    size: u32,
    pub(super) num_services: u32,
}

/// `ip_vs_stats_user`: its numbers of 8 bytes are what makes i386 differ.
#[repr(C)]
struct StatsUser {
    packets: [u32; 3],
    bytes: [u64; 2],
    rates: [u32; 5],
}

/// `ip_vs_service_entry`.
#[repr(C)]
pub(super) struct ServiceEntry {
    pub(super) protocol: u16,
    pub(super) addr: u32,
    pub(super) port: u16,
    pub(super) fwmark: u32,
    pub(super) sched_name: [u8; SCHEDULER_LEN],
    pub(super) flags: u32,
    pub(super) timeout: u32,
    pub(super) netmask: u32,
    pub(super) num_dests: u32,
    stats: StatsUser,
}

/// `ip_vs_get_services`, one entry long.
#[repr(C)]
pub(super) struct GetServices {
    pub(super) num_services: u32,
    pub(super) entrytable: [ServiceEntry; 1],
}

/// `ip_vs_dest_entry`.
#[repr(C)]
pub(super) struct DestEntry {
    pub(super) addr: u32,
    pub(super) port: u16,
    pub(super) conn_flags: u32,
    pub(super) weight: u32,
    pub(super) u_threshold: u32,
    pub(super) l_threshold: u32,
    pub(super) activeconns: u32,
    pub(super) inactconns: u32,
    persistconns: u32,
    stats: StatsUser,
}

/// `ip_vs_get_dests`, one entry long.
#[repr(C)]
pub(super) struct GetDests {
    pub(super) protocol: u16,
    pub(super) addr: u32,
    pub(super) port: u16,
    pub(super) fwmark: u32,
    pub(super) num_dests: u32,
    pub(super) entrytable: [DestEntry; 1],
}

// What goes to the kernel is the same everywhere.
const _: () = {
    assert!(size_of::<ServiceUser>() == 44 && offset_of!(ServiceUser, sched_name) == 16);
    assert!(size_of::<DestUser>() == 24 && offset_of!(DestUser, conn_flags) == 8);
    assert!(size_of::<TimeoutUser>() == 12 && size_of::<DaemonUser>() == 24 && size_of::<GetInfo>() == 12);
};

// What comes from it is not: i386 aligns numbers of 8 bytes to 4, every other CPU of interest to 8. Held
// against the header by a C compiler for both.
#[cfg(not(target_arch = "x86"))]
const _: () = {
    assert!(size_of::<StatsUser>() == 56 && offset_of!(StatsUser, bytes) == 16);
    assert!(offset_of!(StatsUser, rates) == 32);
    assert!(size_of::<ServiceEntry>() == 104 && offset_of!(ServiceEntry, stats) == 48);
    assert!(offset_of!(ServiceEntry, num_dests) == 44 && offset_of!(GetServices, entrytable) == 8);
    assert!(size_of::<DestEntry>() == 96 && offset_of!(DestEntry, stats) == 40);
    assert!(offset_of!(GetDests, num_dests) == 16 && offset_of!(GetDests, entrytable) == 24);
};
#[cfg(target_arch = "x86")]
const _: () = {
    assert!(size_of::<StatsUser>() == 48 && offset_of!(StatsUser, bytes) == 12);
    assert!(size_of::<ServiceEntry>() == 96 && offset_of!(GetServices, entrytable) == 4);
    assert!(size_of::<DestEntry>() == 84 && offset_of!(DestEntry, stats) == 36);
    assert!(offset_of!(GetDests, entrytable) == 20);
};
