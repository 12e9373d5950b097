#!/bin/sh
# The command says the same in a user's locale as in the C locale.  Usage: command.sh COVER, with that locale in LC_ALL.
echo 1..1
here=$("$1" plan --preset demo --set lr=0.0015 2>&1) && there=$(LC_ALL=C "$1" plan --preset demo --set lr=0.0015 2>&1)
if [ -n "$there" ] && [ "$here" = "$there" ]; then echo 'ok 1 - cover plan says the same in every locale'
else printf 'not ok 1 - cover plan says the same in every locale\n# %s\n# %s\n' "$here" "$there"; fi
