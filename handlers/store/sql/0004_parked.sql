-- Streams that a read model could not apply (X6). Not part of any read model's own tables: it is
-- there whichever of them is being rebuilt. Emptied for a read model when its tables are made anew.

CREATE TABLE projections.parked (
    projection   text        NOT NULL,
    stream       uuid        NOT NULL,
    position     bigint      NOT NULL,
    event_id     uuid        NOT NULL,
    topic        text        NOT NULL,
    fault        text        NOT NULL,
    subjects     uuid[]      NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (projection, stream)
);
CREATE INDEX parked_subjects ON projections.parked USING gin (subjects);
COMMENT ON TABLE projections.parked IS
    'Streams that a read model stopped applying, and the event that it could not apply.';

GRANT SELECT, INSERT, UPDATE, DELETE ON projections.parked TO acta_application;
GRANT SELECT ON projections.parked TO acta_analyst;
