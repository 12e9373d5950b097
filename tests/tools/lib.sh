# Shared by the command's tests: one case at a time, TAP on stdout.  Sourced with $cover, $json and a scratch folder $tmp.
#   it "sentence"        begins a case
#   run STATUS CMD...    runs a command; its exit status must be STATUS ("!0": anything but 0 and signals)
#   out/err PATTERN      the last run's stdout/stderr has a line that matches (extended regular expression)
#   no_out/no_err PATTERN
#   holds CMD...         the command succeeds
#   finish               ends the script
absolute() { echo "$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"; }
cover=$(absolute "$1") json=$(absolute "$2")
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
cases=0 sentence=

# Before a command: a hang-up does what it does by default, even below nohup, which a shell cannot undo.
heard= && env --default-signal=HUP true 2>/dev/null && heard='env --default-signal=HUP'

close_case() {
    [ -n "$sentence" ] || return 0
    if [ "$broken" = 0 ]; then
        echo "ok $cases - $sentence"
    else
        echo "not ok $cases - $sentence"
        sed 's/^/# /' "$tmp/why"
    fi
}
it() {
    close_case
    sentence=$1 broken=0 cases=$((cases + 1))
    : >"$tmp/why"
}
wrong() {
    broken=1
    {
        printf '%s\n' "$*"
        printf 'last run: %s\n' "$last"
        head -c 2000 "$tmp/err" 2>/dev/null
    } >>"$tmp/why"
}
run() {
    expected=$1
    shift
    last=$*
    status=0
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    case $expected in
    !0) [ "$status" -ne 0 ] && [ "$status" -lt 126 ] || wrong "exit status $status, expected a failure" ;;
    *) [ "$status" = "$expected" ] || wrong "exit status $status, expected $expected" ;;
    esac
}
out() { grep -Eq -e "$1" "$tmp/out" || wrong "stdout has no: $1"; }
err() { grep -Eq -e "$1" "$tmp/err" || wrong "stderr has no: $1"; }
no_out() { if grep -Eq -e "$1" "$tmp/out"; then wrong "stdout has: $1"; fi; }
no_err() { if grep -Eq -e "$1" "$tmp/err"; then wrong "stderr has: $1"; fi; }
holds() { "$@" >/dev/null 2>&1 || wrong "does not hold: $*"; }
# value PATH: of the JSON object that the last run printed
value() { "$json" "$1" <"$tmp/out" || wrong "stdout is no JSON object with $1"; }
skip() {
    close_case
    sentence=
    cases=$((cases + 1))
    echo "ok $cases - $1 # SKIP $2"
}
finish() {
    close_case
    echo "1..$cases"
}
