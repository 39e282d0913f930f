# shellcheck shell=dash disable=SC3043
# Stands in for procd and its shell functions: it does what an init script declares. A folder a service in /run/procd,
# in it a folder an instance with the declaration, a line a parameter, and the process ids of the supervisor and of
# what it supervises.
#
# As procd: a declaration that is the same again changes nothing; of one that has changed a running instance gets
# its reload_signal, or is restarted where it has none; an instance that is not declared any more is stopped; what
# ends is started again after respawn's second number of seconds.

PROCD=/run/procd

procd_open_service() {
	service=$1
	mkdir -p "$PROCD/$service"
	rm -rf "$PROCD/$service.new"
	mkdir -p "$PROCD/$service.new"
}

procd_open_instance() {
	declaration="$PROCD/$service.new/$(echo "$1" | tr / _)"
	mkdir -p "$declaration"
}

procd_set_param() {
	local key="$1"
	shift
	case $key in
	command)
		printf '%s\n' "$@" >"$declaration/command"
		;;
	netdev)
		# procd compares their indices.
		for device; do
			echo "$device $(cat "/sys/class/net/$device/ifindex" 2>/dev/null)"
		done >"$declaration/netdev"
		;;
	*) echo "$*" >"$declaration/$key" ;;
	esac
}

procd_append_param() {
	local key="$1"
	shift
	printf '%s\n' "$@" >>"$declaration/$key"
}

procd_add_jail() {
	echo "$*" >"$declaration/jail"
}

procd_add_reload_trigger() {
	echo "$*" >"$PROCD/$service.triggers"
}

procd_close_instance() {
	:
}

_running() {
	[ -f "$1/supervisor" ] && kill -0 "$(cat "$1/supervisor")" 2>/dev/null
}

# `pid` is that of the program itself.
exec_command() {
	exec "$@"
}

# Runs until it is told to stop; `pid` is what it supervises.
_supervise() {
	local folder="$1" delay threshold retry

	exec </dev/null >/dev/null 2>&1
	# shellcheck disable=SC2034 # their order
	read -r threshold delay retry <"$folder/respawn"
	while [ ! -e "$folder/stop" ]; do
		# shellcheck disable=SC2046 # a word a line
		exec_command $(cat "$folder/command") &
		echo $! >"$folder/pid"
		wait $!
		echo ended >>"$folder/ends"
		[ -e "$folder/stop" ] || sleep "$delay"
	done
}

_stop() {
	local left=300

	: >"$1/stop"
	kill "$(cat "$1/pid")" 2>/dev/null
	while _running "$1" && [ "$left" -gt 0 ]; do
		sleep 0.1
		left=$((left - 1))
	done
	rm -rf "$1"
}

procd_close_service() {
	local old instance

	service_triggers
	for old in "$PROCD/$service"/*; do
		[ -d "$old" ] || continue
		[ -d "$PROCD/$service.new/${old##*/}" ] || _stop "$old"
	done
	for declaration in "$PROCD/$service.new"/*; do
		[ -d "$declaration" ] || continue
		instance="$PROCD/$service/${declaration##*/}"
		if ! _running "$instance"; then
			rm -rf "$instance"
			cp -r "$declaration" "$instance"
			_supervise "$instance" &
			echo $! >"$instance/supervisor"
		elif _has_changed "$instance" "$declaration"; then
			cp "$declaration"/* "$instance/"
			if [ -f "$instance/reload_signal" ]; then
				kill -s "$(cat "$instance/reload_signal")" "$(cat "$instance/pid")"
			else
				kill "$(cat "$instance/pid")"
			fi
		fi
	done
	rm -rf "$PROCD/$service.new"
}

_has_changed() {
	local parameter

	for parameter in "$2"/*; do
		cmp -s "$parameter" "$1/${parameter##*/}" || return 0
	done
	return 1
}

procd_running() {
	_running "$PROCD/$1/$(echo "$2" | tr / _)"
}

procd_send_signal() {
	kill -s "$3" "$(cat "$PROCD/$1/$(echo "$2" | tr / _)/pid")"
}

procd_kill() {
	local instance

	for instance in "$PROCD/$1"/*; do
		[ ! -d "$instance" ] || _stop "$instance"
	done
}
