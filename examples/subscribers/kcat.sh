#!/bin/sh
# Each event of a topic: its place, its type, its stream, and how many bytes of Avro it has.
# Debian's kcat decodes no Avro; everything else stands in the headers.
exec kcat -C -q -e -o beginning \
    -b "${ACTA_KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}" \
    -t "${1:-acta.subscription.events.v1}" \
    -X isolation.level=read_committed \
    -f '%k %S %h\n'
