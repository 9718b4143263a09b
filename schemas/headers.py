"""The headers of a record: CloudEvents in binary mode, and its place in the log and its stream."""

from dataclasses import dataclass
from typing import Any

__all__ = ["HEADERS", "Header"]


@dataclass(frozen=True, slots=True)
class Header:
    """A header; its value is text in UTF-8.

    Attributes:
        schema: what the text is, in JSON Schema.
        of_entries: whether the flat records of money have it too.
    """

    name: str
    meaning: str
    schema: dict[str, Any]
    of_entries: bool = True


HEADERS = (
    Header("ce_specversion", "Version of CloudEvents.", {"const": "1.0"}),
    Header("ce_id", "Id of the event; its entry has the same.", {"format": "uuid"}),
    Header("ce_type", "Full name of the Avro record, without a version.", {}),
    Header("ce_source", "The namespace of the topics, after a slash.", {"format": "uri-reference"}),
    Header("ce_subject", "Id of the stream; the key of the record.", {"format": "uuid"}),
    Header("ce_time", "Business time: when it happened.", {"format": "date-time"}),
    Header(
        "ce_position",
        "Place in the whole log, which grows and has gaps; what acta takes as --at-least.",
        {"pattern": "^[1-9][0-9]*$"},
    ),
    Header(
        "ce_streamversion",
        "Place in the stream, from 1 without gaps: whoever has seen it can drop what comes again,"
        " and knows when something is missing.",
        {"pattern": "^[1-9][0-9]*$"},
        of_entries=False,
    ),
    Header("content-type", "How the value is written.", {"const": "application/avro"}),
    Header(
        "traceparent",
        "W3C trace context, from the ids of correlation and command.",
        {"pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    ),
)
