#!/bin/sh
# Installs what this machine lacks, says so first, and starts no service.
#
#   scripts/system_packages.sh venv    what making the Python environment needs
#   scripts/system_packages.sh tests   what the tests need: mail servers and a browser
#
# SYSTEM_PACKAGES=no forbids it. Without permission it prints the one line to run.
set -eu

PYTHON=${PYTHON:-python3}
POLICY=/usr/sbin/policy-rc.d

missing_for_venv() {
	"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

missing_for_tests() {
	[ -x /usr/sbin/dovecot ] || echo dovecot-imapd
	[ -e /usr/lib/dovecot/lmtp ] || echo dovecot-lmtpd
	[ -x /usr/sbin/postfix ] || echo postfix
	[ -x /usr/bin/chromium ] || echo chromium
	[ -d /usr/share/fonts/truetype/dejavu ] || echo fonts-dejavu-core
}

# Root, or the beginning of a command that is; nothing when neither is to be had.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		echo env
	elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		echo sudo
	fi
}

keep_services_stopped() {
	[ -e "$POLICY" ] && return
	printf '#!/bin/sh\nexit 101\n' | $1 tee "$POLICY" >/dev/null
	$1 chmod 755 "$POLICY"
	# The trap is read later: the command has to stand in it now.
	trap "$1 rm -f $POLICY" EXIT INT TERM
}

install() {
	root=$1
	shift
	keep_services_stopped "$root"
	export DEBIAN_FRONTEND=noninteractive
	if [ -x /usr/bin/debconf-set-selections ]; then
		echo "postfix postfix/main_mailer_type select No configuration" |
			$root debconf-set-selections
	fi
	$root apt-get update -qq
	# shellcheck disable=SC2086
	$root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null
}

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "Postroom needs Python 3.11 or newer as $PYTHON. Set PYTHON=… if it has another name." >&2
	exit 1
fi

case ${1:-} in
venv) packages=$(missing_for_venv) why="to make the Python environment" ;;
tests) packages=$(missing_for_tests) why="for the tests on real mail servers and a real browser" ;;
*) echo "usage: $0 venv|tests" >&2 && exit 2 ;;
esac
packages=$(echo "$packages" | tr '\n' ' ' | sed 's/ *$//')
[ -n "$packages" ] || exit 0

line="apt-get install --no-install-recommends $packages"
root=$(as_root)
if [ "${SYSTEM_PACKAGES:-yes}" = no ] || [ -z "$root" ] || ! command -v apt-get >/dev/null; then
	echo "Missing $why; as root, run: $line"
	[ "$1" = tests ] || exit 1
	exit 0
fi
echo "Installing $why, no service is started: $packages"
# shellcheck disable=SC2086
install "$root" $packages
