#!/bin/sh
# The pipeline, with real Orthanc and DCMTK, on the loopback interface, on free ports and in a folder of its own.  TAP on stdout.
# usage: test.sh COVER TASK CASES     TASK: a segmentation of volumes; CASES: the unpacked tests/data/dicom/cases.tar.xz
here=$(cd "$(dirname "$0")" && pwd)
absolute() { echo "$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"; }
cover=$(absolute "$1") TASK=$(absolute "$2") cases=$(absolute "$3")
plugin=/usr/share/orthanc/plugins/libOrthancDicomWeb.so
for need in Orthanc storescp dcmsend dcmdump curl; do
    command -v $need >/dev/null 2>&1 || { echo "1..0 # SKIP $need is not installed"; exit 0; }
done
[ -e $plugin ] || { echo "1..0 # SKIP orthanc-dicomweb is not installed"; exit 0; }

tmp=$(mktemp -d) || exit 1
started=
stop() {
    for process in $started; do kill "$process" 2>/dev/null; done
    for process in $started; do wait "$process" 2>/dev/null; done
    rm -rf "$tmp"
}
trap stop EXIT
trap 'exit 130' INT TERM
cd "$tmp" || exit 1
mkdir in

number=0
pause=3 # seconds after which a study counts as whole
check() { # check NAME COMMAND...
    name=$1 number=$((number + 1))
    shift
    if "$@" >said 2>&1; then echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' said
        tail -n 20 orthanc.log storescp.log 2>/dev/null | sed 's/^/# /'
    fi
}
within() { # within SECONDS COMMAND...: it succeeds, sooner or later
    tries=$(($1 * 5))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}

# ---- what is asked of Orthanc
ask() { curl -sf --max-time 10 "http://127.0.0.1:$http$1"; }
found() { # found QUERY: identifiers of instances, one a line
    curl -sf --max-time 10 "http://127.0.0.1:$http/tools/find" -d "{\"Level\": \"Instance\", \"Query\": {$1}}" | tr -d '[]", ' | grep . || true
}
count_is() { [ "$(found "$1" | wc -l)" = "$2" ] || { echo "found: $(found "$1" | wc -l), wanted: $2"; return 1; }; }
# The data set of a file: an archive writes a meta header of its own.
data_set() { tail -c "+$((145 + $(od -An -tu4 -j140 -N4 "$1")))" "$1"; }
same_object() { # same_object IDENTIFIER FILE
    ask "/instances/$1/file" >stored.dcm && data_set stored.dcm >stored && data_set "$2" >given && cmp stored given
}
seg_is() { same_object "$(found "$seg")" "$1"; }
at_rest() { [ -z "$(ls in)" ]; }
seg='"Modality": "SEG"' sr='"Modality": "SR"'

# ---- the parts
free_ports() {
    python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in held))'
}
read -r dicom http listen <<PORTS
$(free_ports)
PORTS
export COVER="$tmp/keeping" TASK ARCHIVE="127.0.0.1 $dicom" AUDIT="$tmp/audit.jsonl"
# cover predict TASK -i IN -o OUT ..., and a copy of the first IN and OUT
cat >keeping <<KEEPING
#!/bin/sh
"$cover" "\$@" || exit
[ -e "$tmp/kept" ] || { cp -r "\$4" "$tmp/received" && cp -r "\$6" "$tmp/keep" && mv "$tmp/keep" "$tmp/kept"; }
KEEPING
chmod +x keeping
sed -e "s/4242/$dicom/; s/8042/$http/; s/11112/$listen/; s/\"StableAge\": 2/\"StableAge\": 1/" "$here/orthanc.json" >orthanc.json
cp "$here/route.lua" .
Orthanc orthanc.json >orthanc.log 2>&1 &
started="$started $!"
storescp -aet COVER -od in -ss study --eostudy-timeout "$pause" --exec-on-eostudy "$here/on-study.sh #p" "$listen" >storescp.log 2>&1 &
started="$started $!"
send() { dcmsend -q -aec ORTHANC +sd +r 127.0.0.1 "$dicom" "$@"; }
ct() { curl -sf "http://127.0.0.1:$http/tools/find" -d '{"Level": "Series", "Query": {"Modality": "CT"}}' | tr -d '[]", \n'; }
send_again() { curl -sf --max-time 60 "http://127.0.0.1:$http/modalities/cover/store" -d "$(ct)" >/dev/null; } # the study comes twice

echo 1..13
check 'Orthanc answers' within 60 ask /system
check 'a study is taken' send "$cases/series/ct"
check 'its segmentation comes back' within 60 count_is "$seg" 1
check 'with a report' within 60 count_is "$sr" 1
check 'it is the prediction, byte for byte' seg_is kept/P0001_S01.seg.dcm
check 'QIDO finds it' sh -c 'curl -sf "$1" | grep -q 1.2.840.10008.5.1.4.1.1.66.4' - \
    "http://127.0.0.1:$http/dicom-web/instances?Modality=SEG&includefield=SOPClassUID"

twice() { within 60 at_rest && send_again && sleep $((pause + 1)) && within 60 at_rest && count_is "$seg" 1 && seg_is kept/P0001_S01.seg.dcm; }
check 'a study that comes twice leaves one segmentation' twice

# A prediction that has come to its end, and is killed before it is sent.
killed() {
    curl -sf -X DELETE "http://127.0.0.1:$http/instances/$(found "$seg")" >/dev/null || return 1
    printf '#!/bin/sh\n"%s" "$@"\n: >%s/done\nexec sleep 30\n' "$cover" "$tmp" >slow
    chmod +x slow
    cp -r received killed
    COVER="$tmp/slow" setsid "$here/on-study.sh" "$tmp/killed" &
    job=$!
    within 60 test -e done || return 1
    kill -s KILL -- "-$job"
    wait "$job"
    count_is "$seg" 0 && send_again && within 60 count_is "$seg" 1 && seg_is kept/P0001_S01.seg.dcm
}
check 'a job that is killed and sent again gives the same object' killed

refused() {
    ! COVER=$cover sh -c 'cp -r "$1" gap && "$2" "$PWD/gap"' - "$cases/series/ct_gap" "$here/on-study.sh" 2>why || return 1
    grep '1 image is missing' why && [ ! -e gap ]
}
check 'a study with a gap is refused, and why is said' refused
hostile() {
    for file in "$cases"/hostile/*_any.dcm "$cases"/hostile/nest*; do
        if [ -e "$file" ]; then curl -s --max-time 10 -o answer --data-binary "@$file" "http://127.0.0.1:$http/instances"; fi
    done
    dcmsend -q -nh -aec COVER +sd +r 127.0.0.1 "$listen" "$cases/hostile"
    mkdir bad && cp "$cases"/hostile/cut_*.dcm bad && ! "$here/on-study.sh" "$tmp/bad" && ask /system >/dev/null && send "$cases/series/ct_oblique"
}
check 'hostile files are refused, and both parts go on' hostile

stow() {
    "$cover" predict "$TASK" -i "$cases/series/ct" -o map --time 2026-11-30T12:00:00Z --seg-type labelmap --quiet || return 1
    { printf -- '--part\r\nContent-Type: application/dicom\r\n\r\n'; cat map/P0001_S01.seg.dcm; printf '\r\n--part--\r\n'; } >body
    curl -sf -H 'Content-Type: multipart/related; type="application/dicom"; boundary=part' -H 'Accept: application/dicom+json' \
        --data-binary @body "http://127.0.0.1:$http/dicom-web/studies" || return 1
    count_is '"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7"' 1 && same_object "$(found '"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7"')" map/P0001_S01.seg.dcm
}
check 'STOW takes a label map, byte for byte' stow
check 'nothing is left of what arrived' within 60 at_rest
check 'the audit is a whole chain, refusals among it' sh -c '"$1" check "$2" && grep -q "is missing\|\"gap\"" "$2"' - "$cover" "$AUDIT"
