#!/bin/sh
# What storescp runs for a study that has arrived whole (--exec-on-eostudy "on-study.sh #p"): predicts it, and sends the results back.
# Its input is gone afterwards, whatever came of it: the archive has it.  Nothing is printed but what cover says of images.
# usage: TASK=FOLDER AUDIT=FILE [COVER=cover] [ARCHIVE="HOST PORT"] [ARCHIVE_AET=ORTHANC] [AET=COVER] [AS=dicom-seg,dicom-sr] on-study.sh STUDY
set -eu
umask 077
: "${TASK:?which task predicts}" "${AUDIT:?where jobs are written down}" "${COVER:=cover}" "${ARCHIVE:=127.0.0.1 4242}" "${ARCHIVE_AET:=ORTHANC}" "${AET:=COVER}" "${AS:=dicom-seg,dicom-sr}"

# A folder of its own: it goes whole, whatever the end.
work=$(mktemp -d "$(dirname "$1")/job.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' INT TERM HUP
mv "$1" "$work/in"

# A job that the audit has already has its time: the same study gives the same objects, which the archive keeps once.
"$COVER" predict "$TASK" -i "$work/in" -o "$work/out" --as "$AS" --time once --audit "$AUDIT" --quiet
# shellcheck disable=SC2086 # host and port
dcmsend -q -aet "$AET" -aec "$ARCHIVE_AET" $ARCHIVE "$work"/out/*.dcm
