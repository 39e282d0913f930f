//! Every limit of the daemon, on one page, with what happens at it.

/// Longest name of an instance, a service or a router. Longer: the configuration is refused.
pub const NAME_MAX: usize = 64;
/// Longest interface name, as the kernel has it (IFNAMSIZ less the NUL). Longer: refused.
pub const IFNAME_MAX: usize = 15;
/// Longest scheduler name (`IP_VS_SCHEDNAME_MAXLEN` less the NUL). Longer: refused.
pub const SCHEDULER_MAX: usize = 15;
/// VRRP instances in one configuration (255 VRIDs × 2 families). More: refused.
pub const INSTANCES_MAX: usize = 510;
/// Addresses of one instance. More: refused.
pub const ADDRESSES_MAX: usize = 4096;
/// Addresses in one advert (the count field; PKT-26). More: installed and announced, not listed (PKT-27).
pub const ADVERT_ADDRESSES_MAX: usize = 255;
/// Services in one configuration. More: refused.
pub const SERVICES_MAX: usize = 4096;
/// Servers of one service. More: refused.
pub const SERVERS_MAX: usize = 1024;
/// Addresses and marks of one server group, after its ranges are spelled out. More: refused.
pub const GROUP_KEYS_MAX: usize = 1024;
/// Names of all services in the kernel's table, groups spelled out. More: refused.
pub const SERVICE_KEYS_MAX: usize = 16_384;
/// Server groups in one configuration. More: refused.
pub const SERVER_GROUPS_MAX: usize = 256;
/// Checks of one server. More: refused.
pub const CHECKS_MAX: usize = 8;
/// Pages of one HTTP check. More: refused.
pub const PAGES_MAX: usize = 8;
/// Bytes of a regular expression. More: refused.
pub const REGEX_MAX: usize = 512;
/// Bytes that a compiled regular expression may take, in the configuration and in the worker. More: refused.
pub const REGEX_SIZE_MAX: usize = 256 << 10;
/// Bytes of the name of a header field of an HTTP check. More: refused.
pub const HTTP_FIELD_NAME_MAX: usize = 64;
/// Bytes of the value of a header field of an HTTP check. More: refused.
pub const HTTP_FIELD_MAX: usize = 256;
/// Header fields of one HTTP check. More: refused.
pub const HTTP_HEADERS_MAX: usize = 16;
/// Bytes of the payload of a UDP probe, and of the reply that it wants. More: refused.
pub const UDP_PAYLOAD_MAX: usize = 1024;
/// Settings in `[ipvs.settings]`. More: refused.
pub const IPVS_SETTINGS_MAX: usize = 64;
/// Bytes of a PEM file (authorities, certificate, key). More: the probe could not be made.
pub const PEM_MAX: usize = 1 << 20;
/// Names that are looked up at one time. More: they wait in the queue.
pub const LOOKUPS_MAX: usize = 4;
/// Names that wait to be looked up. More: the lookup fails at once.
pub const LOOKUPS_WAITING_MAX: usize = 4096;
/// Addresses of one name. More: ignored.
pub const NAME_ADDRESSES_MAX: usize = 16;
/// Interfaces that the engine keeps in mind. More: the surplus is ignored and shown as a problem.
pub const INTERFACES_MAX: usize = 1024;
/// Addresses per interface that the engine keeps in mind to find a source address. More: ignored.
pub const INTERFACE_ADDRESSES_MAX: usize = 16;
/// Settings of interfaces that are changed at one time (four for each interface that the engine keeps in
/// mind). More: left as they are, with a warning.
pub const SETTINGS_MAX: usize = 4 * INTERFACES_MAX;
/// Interfaces or next hops that are kept of one tracked address or route. More: not counted, and looked for
/// by another dump of the kernel's tables once those that are kept have gone.
pub const TRACKED_PLACES_MAX: usize = 64;
/// A text of one event or reason, in bytes. Longer: cut at a character.
pub const TEXT_MAX: usize = 160;
/// A probe's reason for failing, in bytes. Longer: cut at a character.
pub const REASON_MAX: usize = 80;
/// Events kept for `vipd events`. More: the oldest goes.
pub const HISTORY_MAX: usize = 128;
/// Mails waiting for the mail server. More: the oldest goes, counted and shown.
pub const MAILS_MAX: usize = 32;
/// Bytes of one mail's body. Longer: cut.
pub const MAIL_BODY_MAX: usize = 1024;
/// Tries to hand one mail over before it is given up, counted and shown.
pub const MAIL_TRIES_MAX: u8 = 8;
/// Worker processes at one time. More conversations: they wait in the queue.
pub const WORKERS_MAX: usize = 4;
/// Conversations on their way, from the first packet of their connection on. More: the probe "could not run"
/// (no verdict on the server).
pub const CONVERSATIONS_MAX: usize = 4096;
/// Probes and mails that are begun in one turn of the loop, that go on, and that come to their deadline; the
/// rest waits for the next turn.
pub const PROBES_PER_TURN: usize = 16;
/// Bytes of one job for a worker. A job that does not fit could not have been configured.
pub const JOB_MAX: usize = 28 << 10;
/// Bytes of a page that are read (HC-2). More: a probe with a digest or a regex fails, "page larger than
/// 1 MiB"; for one without, the status has decided already.
pub const BODY_MAX: usize = 1 << 20;
/// Bytes that are read until hands are shaken (HC-2); a chain of certificates may have 64 KiB. More: the
/// probe fails.
pub const TLS_HANDSHAKE_MAX: usize = 128 << 10;
/// Bytes of a reply's header (HC-2). More: the probe fails.
pub const HEADER_MAX: usize = 16 << 10;
/// One line of an SMTP reply (RFC 5321 §4.5.3.1.5). Longer: the conversation fails.
pub const SMTP_LINE_MAX: usize = 512;
/// Ethernet frame that a VRRP socket reads. Longer: cut by the kernel, counted, dropped (B-67).
pub const FRAME_MAX: usize = 2048;
/// Frames read from one interface in one turn of the loop (FSM-45); the rest waits for the next turn.
pub const FRAMES_PER_TURN: usize = 64;
/// Netlink messages handled in one turn; the rest waits for the next turn.
pub const NETLINK_PER_TURN: usize = 256;
/// Gratuitous ARPs a second on one interface (ARP-42). More: they wait their turn, round robin.
pub const ANNOUNCE_PER_SECOND: u32 = 1000;
/// Address changes in one netlink batch; also the slice in which leases are renewed.
pub const ADDRESS_BATCH: usize = 64;
/// Routes and rules that an earlier run left, on their way out at one time. More: the next telling of the
/// kernel's tables finds them.
pub const STRAY_ROUTES_MAX: usize = 1024;
/// Destinations compared with the kernel's table in one turn of the loop; the rest waits for the next turn.
pub const IPVS_COMPARED_PER_TURN: usize = 4096;
/// Destinations kept in mind of one service in the kernel's table: ours, and as many that somebody else put
/// there. More: found when those are gone.
pub const IPVS_ENTRIES_MAX: usize = 2 * SERVERS_MAX;
/// Servers of changed services that one turn of a reload takes over; the rest waits for the next turn.
pub const RELOADED_PER_TURN: usize = 64;
/// IPVS commands on their way to the kernel at one time.
pub const IPVS_WINDOW: usize = 64;
/// Entries of IPVS that one question by socket options can bring (1.7 MB). More: they cannot be read.
pub const IPVS_SOCKOPT_ENTRIES_MAX: usize = 16_384;
/// Schedulers and persistence engines of which is kept in mind that the kernel lacks them. More: the
/// oldest is asked for again.
pub const IPVS_LACKING_MAX: usize = 64;
/// Services of ours that are remembered for the case that we are killed. More: the surplus is not, with a
/// warning.
pub const IPVS_REMEMBERED_MAX: usize = 65_536;
/// Control connections at one time. More: closed at once.
pub const CONTROL_CONNECTIONS_MAX: usize = 8;
/// Steps of one probe that `vipd probe` shows. More: left out.
pub const PROBE_STEPS_MAX: usize = 64;
/// Bytes of one control request line. Longer: refused, connection closed.
pub const REQUEST_MAX: usize = 512;
/// Recipients of mails. More: the configuration is refused.
pub const RECIPIENTS_MAX: usize = 16;
/// Bytes of a mail address (RFC 5321 §4.5.3.1.3). Longer: refused.
pub const MAIL_ADDRESS_MAX: usize = 254;
/// Bytes of a host name in HELO or `Host:`. Longer: refused.
pub const HOST_NAME_MAX: usize = 253;
/// Bytes of the path that a probe asks for. Longer: refused.
pub const HTTP_PATH_MAX: usize = 1024;
/// Status ranges of one check. More: refused.
pub const STATUS_RANGES_MAX: usize = 32;
/// Syntax errors of one configuration file after which it is read no further.
pub const SYNTAX_ERRORS_MAX: usize = 20;
/// Bytes read in all while syntax errors are gathered, once over the file for each. More: no further.
pub const SYNTAX_BYTES_MAX: usize = 2 << 20;
/// Size of a configuration file. Larger: refused.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Blocks within blocks in a keepalived.conf, which needs five. Deeper ones: left out, and said.
pub const IMPORT_DEPTH_MAX: usize = 16;
/// Findings of one import. More: counted in a last line.
pub const IMPORT_FINDINGS_MAX: usize = 10_000;
/// Files read for one import; one that is included twice counts twice. More: told, and not read.
pub const IMPORT_FILES_MAX: usize = 512;
/// Bytes read for one import. More: told, and the rest is not read.
pub const IMPORT_BYTES_MAX: usize = 4 << 20;
/// Files that include one another. More: told, and not read.
pub const IMPORT_INCLUDES_MAX: usize = 16;
/// Names of one directory, directories and files that one include looks at. More: told, and left out.
pub const IMPORT_NAMES_MAX: usize = 4096;
/// Directories that one include looks into, and alternatives (`{a,b}`) that it has. More: told, left out.
pub const IMPORT_DIRECTORIES_MAX: usize = 64;
/// Bytes of one line of a keepalived.conf, and characters after substitution. More: told, and left out.
pub const IMPORT_LINE_MAX: usize = 8192;
/// Lines after substitution and repetition. More: told, and the rest is not read.
pub const IMPORT_LINES_MAX: usize = 200_000;
/// Characters after substitution and repetition. More: told, and the rest is not read.
pub const IMPORT_CHARS_MAX: usize = 8 << 20;
/// Definitions (`$NAME=`). More: told, and left out.
pub const IMPORT_DEFINITIONS_MAX: usize = 4096;
/// Replacements in one line. More: told, and the line is left out.
pub const IMPORT_REPLACEMENTS_MAX: usize = 256;
/// Definitions of several lines and repetitions within one another. More: told, and left out.
pub const IMPORT_NESTING_MAX: usize = 32;
/// Turns of one `~SEQ` or `~LST`. More: told, and the line is left out.
pub const IMPORT_TURNS_MAX: usize = 65_536;
/// Diagnostics printed for one file. More: counted in a last line.
pub const DIAGNOSTICS_MAX: usize = 100;
/// Foreign routers remembered per instance for `status` (auth, version, interval, checksum mismatches).
pub const PEERS_MAX: usize = 4;
/// Programs that wait to be told of one instance or group: the specific and the generic one of a state, the
/// same of a lower-priority router, the generic one of a priority. More: the newest of a sort takes the place
/// of the older one, counted and shown.
pub const NOTIFY_WAITING_MAX: usize = 5;
/// Queues of notifications: all instances and groups, and as many that were deleted and come to their end.
/// More: one that has nothing to do is forgotten, its last outcome with it; else one of the deleted is cut
/// short.
pub const NOTIFY_QUEUES_MAX: usize = 4 * INSTANCES_MAX;
/// Queues of notifications of services and servers, only of those that have a program. More: as above; where
/// all have something to do, the program is not run, counted and shown.
pub const NOTIFY_BALANCE_QUEUES_MAX: usize = 8192;
/// Notifications of instances and groups that run at one time; likewise starts and stops of services. More:
/// they wait their turn.
pub const PROGRAMS_MAX: usize = 32;
/// Notifications of services and servers that run at one time: those of instances never wait for them. More:
/// they wait their turn.
pub const PROGRAMS_BALANCE_MAX: usize = 16;
/// Programs that run at one time. More: they wait in the queue.
pub const RUNS_MAX: usize = 64;
/// Scripts of trackers and of checks that run at one time, so that hung ones keep no notification waiting.
/// More: as above.
pub const RUNS_TRACK_MAX: usize = 48;
/// Of these, scripts of checks, so that hung ones keep no tracker waiting. More: as above.
pub const RUNS_CHECK_MAX: usize = 32;
/// Programs that wait for their turn; the second half of the places is for notifications. More: the run is
/// refused at once, as one that could not be started.
pub const RUN_QUEUE_MAX: usize = 1024;
/// Programs whose first line of output is read for the log. More: what they write is discarded unread.
pub const RUN_TAPS_MAX: usize = 16;
/// Bytes of one program's output read in one turn of the loop; the rest waits for the next turn.
pub const TAP_PER_TURN: usize = 16 << 10;
/// Bytes of a program's path and all its arguments. More: it is not started (E2BIG).
pub const ARGUMENTS_MAX: usize = 16 << 10;
/// Users, and groups, that programs run as. More: unknown, and their programs are not run.
pub const ACCOUNTS_MAX: usize = 64;
/// Bytes of `/etc/passwd` and `/etc/group` that are read. Whoever stands behind that is unknown.
pub const ACCOUNT_FILE_MAX: usize = 256 << 10;
/// Trackers in one configuration. More: refused.
pub const TRACKS_MAX: usize = 256;
/// Trackers of one instance or group. More: refused.
pub const TRACK_USES_MAX: usize = 64;
/// Sync groups in one configuration. More: refused.
pub const GROUPS_MAX: usize = 255;
/// Unicast peers of one instance. More: refused.
pub const UNICAST_PEERS_MAX: usize = 64;
/// Routes of one instance, and static ones. More: refused.
pub const ROUTES_MAX: usize = 256;
/// Rules of one instance, and static ones. More: refused.
pub const RULES_MAX: usize = 256;
/// HMAC keys of one instance. More: refused.
pub const HMAC_KEYS_MAX: usize = 8;
/// Services that run while one instance is Active. More: refused.
pub const SUPERVISED_MAX: usize = 16;
/// Words of one command, the program included. More: refused.
pub const COMMAND_WORDS_MAX: usize = 64;
/// Bytes of one command's words in all. More: refused.
pub const COMMAND_BYTES_MAX: usize = 4096;
/// Bytes of a path (PATH_MAX of `linux/limits.h` less the NUL). More: refused.
pub const PATH_MAX: usize = 4095;
/// Bytes of the name of a user or group (`LOGIN_NAME_MAX` less the NUL). More: refused.
pub const ACCOUNT_MAX: usize = 255;
/// Bytes of a DNS name, as written (RFC 1035 §3.1: 255 on the wire). More: refused.
pub const DNS_NAME_MAX: usize = 253;
/// Bytes read of an HMAC key file; its key has at most 64. More: refused.
pub const KEY_FILE_MAX: usize = 256;
/// Signing routers whose last number is remembered, per instance. More: the oldest goes, and could be
/// replayed within the window.
pub const SIGNERS_MAX: usize = 16;
/// Processes that trackers count, in all. More: the trackers of processes are down, with the reason.
pub const PROCESSES_MAX: usize = 4096;
/// Processes looked at in one turn of the loop; the rest waits for a later turn.
pub const PROCESSES_PER_TURN: usize = 16;
/// Foreign virtual routers remembered for `status`. More: the oldest goes.
pub const FOREIGN_MAX: usize = 8;
