-- The log, its receipts and its claims. Runs as acta_owner, as whom nobody logs in.
-- Nothing here can change or delete an event: the application's role reads, and calls ledger.append.

CREATE SCHEMA ledger;
CREATE SCHEMA vault;
CREATE SCHEMA projections;

CREATE TABLE ledger.events (
    position        bigint      NOT NULL PRIMARY KEY,
    stream          uuid        NOT NULL,
    version         bigint      NOT NULL,
    topic           text        NOT NULL,
    payload         bytea       NOT NULL,
    event_id        uuid        NOT NULL UNIQUE,
    recorded_at     timestamptz NOT NULL,
    actor_kind      text        NOT NULL,
    actor_id        uuid,
    command_id      uuid,
    correlation_id  uuid,
    causation_id    uuid,
    UNIQUE (stream, version)
);
COMMENT ON TABLE ledger.events IS 'The log. Payloads are kept as the very bytes that were written.';

CREATE SEQUENCE ledger.positions AS bigint;
COMMENT ON SEQUENCE ledger.positions IS
    'Positions given out. A writer holds its lock before it draws one, and until it commits.';

CREATE TABLE ledger.receipts (
    command_id      uuid        NOT NULL PRIMARY KEY,
    input_digest    bytea,
    persons         uuid[]      NOT NULL,
    first_position  bigint,
    last_position   bigint,
    decided_at      bigint      NOT NULL,
    refusal         jsonb,
    recorded_at     timestamptz NOT NULL
);
CREATE INDEX receipts_persons ON ledger.receipts USING gin (persons);
COMMENT ON TABLE ledger.receipts IS
    'The answer to each command, refusals included. Erasure empties input_digest.';

CREATE TABLE ledger.claims (
    kind      text  NOT NULL,
    digest    bytea NOT NULL,
    holder    uuid  NOT NULL,
    person    uuid  NOT NULL,
    ends_at   timestamptz,
    PRIMARY KEY (kind, digest)
);
CREATE INDEX claims_holder ON ledger.claims (holder);
CREATE INDEX claims_person ON ledger.claims (person);
COMMENT ON TABLE ledger.claims IS
    'What only one stream may hold, by keyed digest. Can be rebuilt from the log.';

CREATE TABLE ledger.counted_claims (
    counter   uuid NOT NULL,
    holder    uuid NOT NULL,
    person    uuid NOT NULL,
    ends_at   timestamptz,
    PRIMARY KEY (counter, holder)
);
CREATE INDEX counted_claims_person ON ledger.counted_claims (person);
COMMENT ON TABLE ledger.counted_claims IS
    'What only so many may hold, such as the seats of a plan. Can be rebuilt from the log.';

CREATE TABLE ledger.person_accounts (
    person   uuid   NOT NULL,
    account  uuid   NOT NULL PRIMARY KEY,
    opened   bigint NOT NULL
);
CREATE INDEX person_accounts_person ON ledger.person_accounts (person, opened);
COMMENT ON TABLE ledger.person_accounts IS
    'The accounts a person has had, by ids alone. Can be rebuilt from the log.';

CREATE TABLE ledger.snapshots (
    stream   uuid   NOT NULL,
    version  bigint NOT NULL,
    topic    text   NOT NULL,
    payload  bytea  NOT NULL,
    PRIMARY KEY (stream, version)
);
COMMENT ON TABLE ledger.snapshots IS 'For applications of the eventsourcing library that ask for it.';

CREATE TABLE projections.positions (
    name      text   NOT NULL PRIMARY KEY,
    version   int    NOT NULL DEFAULT 1,
    position  bigint NOT NULL
);
COMMENT ON TABLE projections.positions IS 'Up to which position each projection knows.';


-- ---------------------------------------------------------------- the vault

CREATE TABLE vault.key_encryption_keys (
    id          uuid        NOT NULL PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at  timestamptz
);
CREATE UNIQUE INDEX one_current_key_encryption_key
    ON vault.key_encryption_keys ((true)) WHERE retired_at IS NULL;
COMMENT ON TABLE vault.key_encryption_keys IS
    'Names of key-encryption keys; the keys themselves live outside the database.';

CREATE TABLE vault.secrets (
    name                text  NOT NULL PRIMARY KEY,
    key_encryption_key  uuid  NOT NULL REFERENCES vault.key_encryption_keys,
    wrapped             bytea NOT NULL
);
COMMENT ON TABLE vault.secrets IS 'Keys of digests, wrapped.';

CREATE TABLE vault.keys (
    id                  uuid  NOT NULL PRIMARY KEY,
    person              uuid  NOT NULL,
    purpose             text  NOT NULL,
    generation          int   NOT NULL,
    key_encryption_key  uuid  NOT NULL REFERENCES vault.key_encryption_keys,
    wrapped             bytea NOT NULL,
    destroy_after       date,
    UNIQUE (person, purpose, generation)
);
CREATE INDEX keys_to_destroy ON vault.keys (destroy_after) WHERE destroy_after IS NOT NULL;
COMMENT ON TABLE vault.keys IS 'A key per person and purpose, wrapped. Erasure deletes them.';

CREATE TABLE vault.people (
    kind    text  NOT NULL,
    digest  bytea NOT NULL,
    person  uuid  NOT NULL,
    PRIMARY KEY (kind, digest, person)
);
CREATE UNIQUE INDEX people_by_unique_kind
    ON vault.people (kind, digest) WHERE kind IN ('email', 'rut');
CREATE INDEX people_person ON vault.people (person);
COMMENT ON TABLE vault.people IS 'Finds a person by keyed digest of an e-mail, RUT or phone.';

CREATE TABLE vault.erasures (
    person                   uuid        NOT NULL PRIMARY KEY,
    erased_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    key_encryption_key       uuid        NOT NULL,
    tax_data_readable_until  date
);
COMMENT ON TABLE vault.erasures IS
    'Erasures, and the key-encryption key that opens copies made before them until it is destroyed.';


-- ---------------------------------------------------------------- appending

CREATE FUNCTION ledger.lock_streams(written uuid[], read uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key bigint;
    for_writing boolean;
BEGIN
    IF cardinality(written) = 1 AND cardinality(read) = 0 THEN
        -- As with most appends: nothing to put in order.
        PERFORM pg_advisory_xact_lock(uuid_hash_extended(written[1], 0));
        RETURN;
    END IF;
    -- In one order for everybody, so that two appends never wait for each other.
    FOR key, for_writing IN
        SELECT uuid_hash_extended(stream, 0), bool_or(w)
        FROM (SELECT unnest(written), true UNION ALL SELECT unnest(read), false) AS s(stream, w)
        GROUP BY 1 ORDER BY 1
    LOOP
        IF for_writing THEN
            PERFORM pg_advisory_xact_lock(key);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(key);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION ledger.refuse_moved(streams uuid[], versions bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(streams, versions) AS named(stream, version)
        WHERE named.version <> COALESCE(
            (SELECT max(e.version) FROM ledger.events e WHERE e.stream = named.stream), 0)
    ) THEN
        RAISE EXCEPTION 'a stream that the decision rests on has moved' USING ERRCODE = 'AC001';
    END IF;
END $$;

CREATE FUNCTION ledger.draw_positions(count int) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_position bigint;
BEGIN
    -- The writer's own lock, held to commit: readers wait for it (ledger.writers).
    PERFORM pg_advisory_xact_lock(1633907809, pg_backend_pid());
    IF count = 1 THEN
        -- Under the shared form singles run side by side, and never within another's block.
        PERFORM pg_advisory_lock_shared(1633907810, 0);
        first_position := nextval('ledger.positions');
        PERFORM pg_advisory_unlock_shared(1633907810, 0);
    ELSE
        PERFORM pg_advisory_lock(1633907810, 0);
        first_position := nextval('ledger.positions');
        PERFORM setval('ledger.positions', first_position + count - 1);
        PERFORM pg_advisory_unlock(1633907810, 0);
    END IF;
    RETURN first_position;
EXCEPTION WHEN OTHERS OR query_canceled THEN
    -- A lock of the session would outlive the transaction and stop every writer.
    PERFORM pg_advisory_unlock_all();
    RAISE;
END $$;

CREATE FUNCTION ledger.apply_alongside(alongside jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked_at timestamptz := (alongside ->> 'asked_at')::timestamptz;
    item jsonb;
    used bigint;
BEGIN
    IF alongside ?| ARRAY['keys', 'erased'] THEN
        -- Held to commit, and taken before the look: a rotation waits for it and wraps these too.
        LOCK TABLE vault.keys IN ROW EXCLUSIVE MODE;
    END IF;
    IF EXISTS (
        SELECT FROM jsonb_array_elements(alongside -> 'keys') AS k
        JOIN vault.key_encryption_keys e ON e.id = (k ->> 'key_encryption_key')::uuid
        WHERE e.retired_at IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'the key-encryption key has been rotated' USING ERRCODE = 'AC003';
    END IF;

    -- Item by item, so that each finds its rows by an index, however many others there are.
    FOR item IN SELECT jsonb_array_elements(alongside -> 'released')
    LOOP
        DELETE FROM ledger.claims c
        WHERE c.holder = (item ->> 'holder')::uuid
          AND (item ->> 'kind' IS NULL OR c.kind = item ->> 'kind');
    END LOOP;

    FOR item IN SELECT c FROM jsonb_array_elements(alongside -> 'claimed') AS c
                ORDER BY c ->> 'kind', c ->> 'digest'
    LOOP
        INSERT INTO ledger.claims AS held (kind, digest, holder, person, ends_at)
        VALUES (item ->> 'kind', decode(item ->> 'digest', 'hex'), (item ->> 'holder')::uuid,
                (item ->> 'person')::uuid, (item ->> 'ends_at')::timestamptz)
        ON CONFLICT (kind, digest) DO UPDATE
            SET holder = EXCLUDED.holder, person = EXCLUDED.person, ends_at = EXCLUDED.ends_at
            WHERE held.ends_at <= asked_at OR held.holder = EXCLUDED.holder;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'another stream holds the claim' USING ERRCODE = 'AC002';
        END IF;
    END LOOP;

    FOR item IN SELECT jsonb_array_elements(alongside -> 'uncounted')
    LOOP
        DELETE FROM ledger.counted_claims c
        WHERE c.counter = (item ->> 'counter')::uuid AND c.holder = (item ->> 'holder')::uuid;
    END LOOP;

    FOR item IN SELECT c FROM jsonb_array_elements(alongside -> 'counted') AS c
                ORDER BY c ->> 'counter', c ->> 'holder'
    LOOP
        PERFORM pg_advisory_xact_lock(uuid_hash_extended((item ->> 'counter')::uuid, 1));
        INSERT INTO ledger.counted_claims (counter, holder, person, ends_at)
        VALUES ((item ->> 'counter')::uuid, (item ->> 'holder')::uuid,
                (item ->> 'person')::uuid, (item ->> 'ends_at')::timestamptz)
        ON CONFLICT (counter, holder) DO UPDATE SET ends_at = EXCLUDED.ends_at;
        SELECT count(*) INTO used FROM ledger.counted_claims c
        WHERE c.counter = (item ->> 'counter')::uuid
          AND (c.ends_at IS NULL OR c.ends_at > asked_at);
        IF used > (item ->> 'limit')::bigint THEN
            RAISE EXCEPTION 'the counter is full' USING ERRCODE = 'AC002';
        END IF;
    END LOOP;

    INSERT INTO vault.keys (id, person, purpose, generation, key_encryption_key, wrapped)
    SELECT (k ->> 'id')::uuid, (k ->> 'person')::uuid, k ->> 'purpose', (k ->> 'generation')::int,
           (k ->> 'key_encryption_key')::uuid, decode(k ->> 'wrapped', 'hex')
    FROM jsonb_array_elements(alongside -> 'keys') AS k;

    FOR item IN SELECT jsonb_array_elements(alongside -> 'unindexed')
    LOOP
        DELETE FROM vault.people p
        WHERE p.person = (item ->> 'person')::uuid AND p.kind = item ->> 'kind';
    END LOOP;

    FOR item IN SELECT jsonb_array_elements(alongside -> 'indexed')
    LOOP
        DELETE FROM vault.people p
        WHERE p.kind IN ('email', 'rut') AND p.kind = item ->> 'kind'
          AND p.digest = decode(item ->> 'digest', 'hex')
          AND p.person <> (item ->> 'person')::uuid;
        INSERT INTO vault.people (kind, digest, person)
        VALUES (item ->> 'kind', decode(item ->> 'digest', 'hex'), (item ->> 'person')::uuid)
        ON CONFLICT (kind, digest, person) DO NOTHING;
    END LOOP;
END $$;

CREATE FUNCTION ledger.erase(erased jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone uuid := (erased ->> 'person')::uuid;
    until date := (erased ->> 'tax_data_readable_until')::date;
BEGIN
    DELETE FROM vault.keys WHERE person = gone AND (purpose <> 'tax' OR until IS NULL);
    UPDATE vault.keys SET destroy_after = until WHERE person = gone;
    DELETE FROM vault.people WHERE person = gone;
    DELETE FROM ledger.claims WHERE person = gone;
    DELETE FROM ledger.counted_claims WHERE person = gone;
    UPDATE ledger.receipts SET input_digest = NULL WHERE persons @> ARRAY[gone];
    INSERT INTO vault.erasures (person, key_encryption_key, tax_data_readable_until)
    SELECT gone, id, until FROM vault.key_encryption_keys WHERE retired_at IS NULL;
END $$;

CREATE FUNCTION ledger.append(
    streams uuid[], versions bigint[], topics text[], payloads bytea[], event_ids uuid[],
    actor_kind text, actor_id uuid, command_id uuid, correlation_id uuid, causation_id uuid,
    read_streams uuid[], read_versions bigint[], alongside jsonb, receipt jsonb
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- Appends events to one or several streams, all or nothing; returns the first of their positions.
-- What can make an append wait comes before the positions are drawn, for readers wait from there.
DECLARE
    count int := cardinality(streams);
    persons uuid[] := '{}';
    erased uuid := (alongside #>> '{erased,person}')::uuid;
    first_position bigint;
    now_recorded timestamptz;
BEGIN
    IF receipt IS NOT NULL THEN
        persons := ARRAY(SELECT jsonb_array_elements_text(receipt -> 'persons')::uuid);
    END IF;
    -- Persons too: the digest of what they were asked stays with no receipt that an erasure misses.
    PERFORM ledger.lock_streams(array_remove(streams || erased, NULL), read_streams || persons);
    IF cardinality(read_streams) > 0 THEN
        PERFORM ledger.refuse_moved(read_streams, read_versions);
    END IF;
    IF alongside IS NOT NULL THEN
        PERFORM ledger.apply_alongside(alongside);
        IF alongside ? 'erased' THEN
            PERFORM ledger.erase(alongside -> 'erased');
        END IF;
    END IF;
    IF count > 0 THEN
        first_position := ledger.draw_positions(count);
        now_recorded := clock_timestamp();
        INSERT INTO ledger.events
        SELECT first_position + e.ordinality - 1, e.stream, e.version, e.topic, e.payload,
               e.event_id, now_recorded, append.actor_kind, append.actor_id, append.command_id,
               append.correlation_id, append.causation_id
        FROM unnest(streams, versions, topics, payloads, event_ids)
             WITH ORDINALITY AS e(stream, version, topic, payload, event_id, ordinality);
    END IF;
    IF alongside ? 'opened' THEN
        INSERT INTO ledger.person_accounts (person, account, opened)
        SELECT (o ->> 'person')::uuid, (o ->> 'account')::uuid, first_position
        FROM jsonb_array_elements(alongside -> 'opened') AS o;
    END IF;
    IF receipt IS NOT NULL THEN
        INSERT INTO ledger.receipts
        VALUES (append.command_id,
                CASE WHEN NOT EXISTS (SELECT FROM vault.erasures e WHERE e.person = ANY (persons))
                     THEN decode(receipt ->> 'input_digest', 'hex') END,
                persons, first_position, first_position + count - 1,
                COALESCE(first_position + count - 1, (receipt ->> 'decided_at')::bigint),
                NULLIF(receipt -> 'refusal', 'null'), clock_timestamp());
    END IF;
    RETURN first_position;
END $$;

CREATE FUNCTION ledger.insert_snapshots(
    streams uuid[], versions bigint[], topics text[], payloads bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO ledger.snapshots SELECT * FROM unnest(streams, versions, topics, payloads);
$$;

CREATE VIEW ledger.writers AS
    SELECT objid::int AS pid FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND classid = 1633907809 AND objsubid = 2 AND granted
      AND mode = 'ExclusiveLock'
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database());
COMMENT ON VIEW ledger.writers IS
    'Sessions that have drawn positions and not yet committed; a reader waits for those it sees.';


-- ---------------------------------------------------------------- keys

CREATE FUNCTION vault.keep_secrets(key_encryption_key uuid, names text[], wrapped bytea[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- Founds the vault; whoever comes second changes nothing.
BEGIN
    LOCK TABLE vault.key_encryption_keys IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM vault.key_encryption_keys) THEN
        RETURN;
    END IF;
    INSERT INTO vault.key_encryption_keys (id) VALUES (keep_secrets.key_encryption_key);
    INSERT INTO vault.secrets
    SELECT s.name, keep_secrets.key_encryption_key, s.wrapped
    FROM unnest(names, keep_secrets.wrapped) AS s(name, wrapped);
END $$;

CREATE FUNCTION vault.rotate(
    retired uuid, successor uuid,
    key_ids uuid[], wrapped_keys bytea[], secret_names text[], wrapped_secrets bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- Wraps every living key anew under the successor, all at once; false when a key came in between.
BEGIN
    LOCK TABLE vault.keys, vault.secrets, vault.key_encryption_keys IN EXCLUSIVE MODE;
    IF (SELECT count(*) FROM vault.keys) <> cardinality(key_ids)
       OR EXISTS (SELECT FROM vault.keys WHERE id <> ALL (key_ids))
       OR NOT EXISTS (SELECT FROM vault.key_encryption_keys
                      WHERE id = retired AND retired_at IS NULL) THEN
        RETURN false;
    END IF;
    UPDATE vault.key_encryption_keys SET retired_at = clock_timestamp() WHERE id = retired;
    INSERT INTO vault.key_encryption_keys (id) VALUES (successor);
    UPDATE vault.keys k SET key_encryption_key = successor, wrapped = w.wrapped
    FROM unnest(key_ids, wrapped_keys) AS w(id, wrapped) WHERE k.id = w.id;
    UPDATE vault.secrets s SET key_encryption_key = successor, wrapped = w.wrapped
    FROM unnest(secret_names, wrapped_secrets) AS w(name, wrapped) WHERE s.name = w.name;
    RETURN true;
END $$;

CREATE FUNCTION vault.destroy_due_keys(today date) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (DELETE FROM vault.keys WHERE destroy_after < today RETURNING id)
    SELECT count(*) FROM gone;
$$;


-- ---------------------------------------------------------------- who may what

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger, vault FROM PUBLIC;

GRANT USAGE ON SCHEMA ledger, vault, projections TO acta_application;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger, vault TO acta_application;
GRANT SELECT ON SEQUENCE ledger.positions TO acta_application;
GRANT EXECUTE ON FUNCTION ledger.append, ledger.insert_snapshots, vault.keep_secrets,
    vault.rotate, vault.destroy_due_keys TO acta_application;
-- Read models are the application's own: each can be dropped and rebuilt from the log.
GRANT CREATE ON SCHEMA projections TO acta_application;
GRANT SELECT, INSERT, UPDATE, DELETE ON projections.positions TO acta_application;

GRANT USAGE ON SCHEMA projections TO acta_analyst;
GRANT SELECT ON projections.positions TO acta_analyst;
