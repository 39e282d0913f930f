//! The numbers of `linux/ip_vs.h`, the same on every CPU.

pub(super) const NEW_SERVICE: u8 = 1;
pub(super) const SET_SERVICE: u8 = 2;
pub(super) const DEL_SERVICE: u8 = 3;
pub(super) const GET_SERVICE: u8 = 4;
pub(super) const NEW_DEST: u8 = 5;
pub(super) const SET_DEST: u8 = 6;
pub(super) const DEL_DEST: u8 = 7;
pub(super) const GET_DEST: u8 = 8;

// IPVS_CMD_ATTR_*
pub(super) const SERVICE: u16 = 1;
pub(super) const DEST: u16 = 2;

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

/// IP_VS_CONN_F_FWD_MASK.
pub(super) const FWD_MASK: u32 = 7;
/// IP_VS_SVC_F_HASHED: the kernel's own mark.
pub(super) const SVC_F_HASHED: u32 = 2;
