-- The events of a topic by their headers: a table of Flink has one schema, and an aggregate's topic
-- has one for each type of event, so their values stay bytes here.
CREATE TABLE events (
  headers MAP<STRING NOT NULL, BYTES> METADATA VIRTUAL,
  recorded_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `stream` STRING,
  avro BYTES
) WITH (
  'connector' = 'kafka',
  'topic' = 'acta.subscription.events.v1',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'key.format' = 'raw',
  'key.fields' = 'stream',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY'
);

SELECT
  CAST(DECODE(headers['ce_position'], 'UTF-8') AS BIGINT) AS `position`,
  DECODE(headers['ce_type'], 'UTF-8') AS `type`,
  `stream`,
  recorded_at
FROM events;
