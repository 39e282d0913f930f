//! The numbers of `linux/ip_vs.h`, the same on every CPU.

pub(super) const NEW_SERVICE: u8 = 1;
pub(super) const SET_SERVICE: u8 = 2;
pub(super) const DEL_SERVICE: u8 = 3;
pub(super) const GET_SERVICE: u8 = 4;
pub(super) const NEW_DEST: u8 = 5;
pub(super) const SET_DEST: u8 = 6;
pub(super) const DEL_DEST: u8 = 7;
pub(super) const GET_DEST: u8 = 8;
pub(super) const NEW_DAEMON: u8 = 9;
pub(super) const DEL_DAEMON: u8 = 10;
pub(super) const GET_DAEMON: u8 = 11;
pub(super) const SET_CONFIG: u8 = 12;
pub(super) const GET_CONFIG: u8 = 13;

// IPVS_CMD_ATTR_*
pub(super) const SERVICE: u16 = 1;
pub(super) const DEST: u16 = 2;
pub(super) const DAEMON: u16 = 3;
pub(super) const TIMEOUT_TCP: u16 = 4;
pub(super) const TIMEOUT_TCP_FIN: u16 = 5;
pub(super) const TIMEOUT_UDP: u16 = 6;

// IPVS_SVC_ATTR_*
pub(super) const SVC_AF: u16 = 1;
pub(super) const SVC_PROTOCOL: u16 = 2;
pub(super) const SVC_ADDR: u16 = 3;
pub(super) const SVC_PORT: u16 = 4;
pub(super) const SVC_FWMARK: u16 = 5;
pub(super) const SVC_SCHED_NAME: u16 = 6;
pub(super) const SVC_FLAGS: u16 = 7;
pub(super) const SVC_TIMEOUT: u16 = 8;
pub(super) const SVC_NETMASK: u16 = 9;
pub(super) const SVC_PE_NAME: u16 = 11;

// IPVS_DEST_ATTR_*
pub(super) const DEST_ADDR: u16 = 1;
pub(super) const DEST_PORT: u16 = 2;
pub(super) const DEST_FWD_METHOD: u16 = 3;
pub(super) const DEST_WEIGHT: u16 = 4;
pub(super) const DEST_U_THRESH: u16 = 5;
pub(super) const DEST_L_THRESH: u16 = 6;
pub(super) const DEST_ACTIVE_CONNS: u16 = 7;
pub(super) const DEST_INACT_CONNS: u16 = 8;
pub(super) const DEST_ADDR_FAMILY: u16 = 11;
pub(super) const DEST_TUN_TYPE: u16 = 13;
pub(super) const DEST_TUN_PORT: u16 = 14;
pub(super) const DEST_TUN_FLAGS: u16 = 15;

// IPVS_DAEMON_ATTR_*
pub(super) const DAEMON_STATE: u16 = 1;
pub(super) const DAEMON_MCAST_IFN: u16 = 2;
pub(super) const DAEMON_SYNC_ID: u16 = 3;
pub(super) const DAEMON_SYNC_MAXLEN: u16 = 4;
pub(super) const DAEMON_MCAST_GROUP: u16 = 5;
pub(super) const DAEMON_MCAST_GROUP6: u16 = 6;
pub(super) const DAEMON_MCAST_PORT: u16 = 7;
pub(super) const DAEMON_MCAST_TTL: u16 = 8;

// IP_VS_CONN_F_TUNNEL_TYPE_*
pub(super) const TUN_TYPE_IPIP: u8 = 0;
pub(super) const TUN_TYPE_GUE: u8 = 1;
pub(super) const TUN_TYPE_GRE: u8 = 2;

/// IP_VS_CONN_F_FWD_MASK.
pub(super) const FWD_MASK: u32 = 7;
/// IP_VS_SVC_F_HASHED: the kernel's own mark.
pub(super) const SVC_F_HASHED: u32 = 2;
