# shellcheck shell=dash disable=SC3043
# Stands in for OpenWrt's /lib/functions.sh: reads files of UCI, with its names and ways of asking.

_put() {
	eval "_uci_$1=\$2"
}

config_load() {
	local word key value section='' count=0 length

	_sections=''
	while read -r word key value; do
		eval "set -- $key $value"
		case $word in
		config)
			count=$((count + 1))
			section=${2:-cfg$count}
			_sections="$_sections $section"
			_put "${section}_TYPE" "$1"
			;;
		option)
			key=$1
			shift
			_put "${section}_$key" "$*"
			;;
		list)
			eval "length=\${_uci_${section}_${1}_LENGTH:-0}"
			length=$((length + 1))
			_put "${section}_${1}_ITEM$length" "$2"
			_put "${section}_${1}_LENGTH" "$length"
			eval "value=\${_uci_${section}_$1:-}"
			_put "${section}_$1" "$value${value:+ }$2"
			;;
		esac
	done <"/etc/config/$1"
}

config_get() {
	eval "$1=\${_uci_${2}_$3:-\$4}"
}

config_get_bool() {
	local value

	config_get value "$2" "$3" "$4"
	case $value in
	1 | on | true | yes | enabled) value=1 ;;
	0 | off | false | no | disabled) value=0 ;;
	*) value=$4 ;;
	esac
	eval "$1=\$value"
}

config_foreach() {
	local _function="$1" _type="$2" _section _is
	shift 2

	for _section in $_sections; do
		eval "_is=\$_uci_${_section}_TYPE"
		case $_is in
		"${_type:-$_is}") "$_function" "$_section" "$@" ;;
		esac
	done
}

config_list_foreach() {
	local _of="$1" _list="$2" _function="$3" _at=1 _length _item
	shift 3

	eval "_length=\${_uci_${_of}_${_list}_LENGTH:-0}"
	while [ "$_at" -le "$_length" ]; do
		eval "_item=\$_uci_${_of}_${_list}_ITEM$_at"
		"$_function" "$_item" "$@"
		_at=$((_at + 1))
	done
}
