#!/bin/sh
# Secrets come from files: a variable NAME_FROM_FILE names one, and its content becomes the variable NAME.
set -eu
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)_FROM_FILE=.*/\1/p'); do
  eval "file=\${${name}_FROM_FILE}"
  if [ ! -r "$file" ]; then
    echo "entry.sh: the file of $name cannot be read: $file" >&2
    echo "  next step: docker/make-secrets.sh writes the files; compose.yaml mounts them" >&2
    exit 64
  fi
  export "$name=$(cat "$file")"
  unset "${name}_FROM_FILE"
done
exec "$@"
