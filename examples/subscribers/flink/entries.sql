-- Money received by account, from the flat topic.
CREATE TABLE entries (
  account STRING NOT NULL,
  received_minor BIGINT NOT NULL,
  currency STRING NOT NULL,
  kind STRING NOT NULL,
  occurred_at TIMESTAMP(3) NOT NULL,
  `position` BIGINT NOT NULL,
  `version` BIGINT NOT NULL
) WITH (
  'connector' = 'kafka',
  'topic' = 'acta.entries.v1',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://localhost:18081'
);

SELECT account, currency, SUM(received_minor) AS received_minor
FROM entries
GROUP BY account, currency;
