-- Hundreds of invitations are appended at once: each part of what goes alongside is one statement
-- for all of its items, and a counter is counted once. A limit can be lowered: "limited".
--
-- Rows are taken in one order by everybody, so that two appends seldom wait for each other in a
-- ring. Of two items for one row the later stands.

CREATE FUNCTION ledger.apply_claims(alongside jsonb, asked_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted bigint;
    taken bigint;
BEGIN
    IF alongside ? 'released' THEN
        DELETE FROM ledger.claims c
        USING (SELECT * FROM jsonb_to_recordset(alongside -> 'released') AS r(holder uuid, kind text)
               ORDER BY holder, kind) AS r
        WHERE c.holder = r.holder AND (r.kind IS NULL OR c.kind = r.kind);
    END IF;

    IF alongside ? 'claimed' THEN
        INSERT INTO ledger.claims AS held (kind, digest, holder, person, ends_at)
        SELECT DISTINCT ON (kind, digest) kind, decode(digest, 'hex'), holder, person, ends_at
        FROM ROWS FROM (
            jsonb_to_recordset(alongside -> 'claimed')
            AS (kind text, digest text, holder uuid, person uuid, ends_at timestamptz)
        ) WITH ORDINALITY AS c(kind, digest, holder, person, ends_at, number)
        ORDER BY kind, digest, number DESC
        ON CONFLICT (kind, digest) DO UPDATE
            SET holder = EXCLUDED.holder, person = EXCLUDED.person, ends_at = EXCLUDED.ends_at
            WHERE held.ends_at <= asked_at OR held.holder = EXCLUDED.holder;
        GET DIAGNOSTICS taken = ROW_COUNT;

        -- By holder: two that want the same within this append do not both get it.
        SELECT count(DISTINCT (kind, digest, holder)) INTO wanted
        FROM jsonb_to_recordset(alongside -> 'claimed') AS c(kind text, digest text, holder uuid);
        IF taken < wanted THEN
            RAISE EXCEPTION 'another stream holds the claim' USING ERRCODE = 'AC002';
        END IF;
    END IF;
END $$;

CREATE FUNCTION ledger.apply_counted(alongside jsonb, asked_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limits jsonb := COALESCE(alongside -> 'counted', '[]') || COALESCE(alongside -> 'limited', '[]');
BEGIN
    -- A statement of its own: what counts below has to see all that the last holder wrote.
    PERFORM pg_advisory_xact_lock(key)
    FROM (SELECT DISTINCT uuid_hash_extended(counter, 1) AS key
          FROM jsonb_to_recordset(limits) AS l(counter uuid) ORDER BY key) AS counters;

    IF alongside ? 'uncounted' THEN
        DELETE FROM ledger.counted_claims c
        USING (SELECT * FROM jsonb_to_recordset(alongside -> 'uncounted')
                             AS u(counter uuid, holder uuid)
               ORDER BY counter, holder) AS u
        WHERE c.counter = u.counter AND c.holder = u.holder;
    END IF;

    IF alongside ? 'counted' THEN
        INSERT INTO ledger.counted_claims (counter, holder, person, ends_at)
        SELECT DISTINCT ON (counter, holder) counter, holder, person, ends_at
        FROM ROWS FROM (
            jsonb_to_recordset(alongside -> 'counted')
            AS (counter uuid, holder uuid, person uuid, ends_at timestamptz)
        ) WITH ORDINALITY AS c(counter, holder, person, ends_at, number)
        ORDER BY counter, holder, number DESC
        ON CONFLICT (counter, holder) DO UPDATE
            SET person = EXCLUDED.person, ends_at = EXCLUDED.ends_at;
    END IF;

    IF EXISTS (
        SELECT FROM jsonb_to_recordset(limits) AS l(counter uuid, "limit" bigint)
        GROUP BY l.counter
        HAVING min(l."limit") < (
            SELECT count(*) FROM ledger.counted_claims c
            WHERE c.counter = l.counter AND (c.ends_at IS NULL OR c.ends_at > asked_at))
    ) THEN
        RAISE EXCEPTION 'the counter is full' USING ERRCODE = 'AC002';
    END IF;
END $$;

CREATE FUNCTION ledger.apply_index(alongside jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF alongside ? 'unindexed' THEN
        DELETE FROM vault.people p
        USING (SELECT * FROM jsonb_to_recordset(alongside -> 'unindexed') AS u(person uuid, kind text)
               ORDER BY person, kind) AS u
        WHERE p.person = u.person AND p.kind = u.kind;
    END IF;

    IF alongside ? 'indexed' THEN
        -- An e-mail or RUT is one person's: whoever had it before is no longer found by it.
        DELETE FROM vault.people p
        USING (SELECT * FROM jsonb_to_recordset(alongside -> 'indexed')
                             AS i(kind text, digest text, person uuid)
               WHERE kind IN ('email', 'rut') ORDER BY kind, digest) AS i
        WHERE p.kind = i.kind AND p.digest = decode(i.digest, 'hex') AND p.person <> i.person;

        INSERT INTO vault.people (kind, digest, person)
        SELECT DISTINCT ON (kind, digest, others) kind, decode(digest, 'hex'), person
        FROM ROWS FROM (
            jsonb_to_recordset(alongside -> 'indexed') AS (kind text, digest text, person uuid)
        ) WITH ORDINALITY AS i(kind, digest, person, number),
        LATERAL (SELECT CASE WHEN kind NOT IN ('email', 'rut') THEN person END AS others) AS o
        ORDER BY kind, digest, others, number DESC
        ON CONFLICT (kind, digest, person) DO NOTHING;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ledger.apply_alongside(alongside jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- Each item finds its rows by an index, however many others there are, and whatever the server
-- took the tables for when a session made its plans. Holds for what is called from here, too.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    asked_at timestamptz := (alongside ->> 'asked_at')::timestamptz;
BEGIN
    IF alongside ?| ARRAY['keys', 'erased'] THEN
        -- Held to commit, and taken before the look: a rotation waits for it and wraps these too.
        LOCK TABLE vault.keys IN ROW EXCLUSIVE MODE;
    END IF;
    IF EXISTS (
        SELECT FROM jsonb_to_recordset(alongside -> 'keys') AS k(key_encryption_key uuid)
        JOIN vault.key_encryption_keys e ON e.id = k.key_encryption_key
        WHERE e.retired_at IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'the key-encryption key has been rotated' USING ERRCODE = 'AC003';
    END IF;

    IF alongside ?| ARRAY['released', 'claimed'] THEN
        PERFORM ledger.apply_claims(alongside, asked_at);
    END IF;
    IF alongside ?| ARRAY['uncounted', 'counted', 'limited'] THEN
        PERFORM ledger.apply_counted(alongside, asked_at);
    END IF;
    IF alongside ? 'keys' THEN
        INSERT INTO vault.keys (id, person, purpose, generation, key_encryption_key, wrapped)
        SELECT id, person, purpose, generation, key_encryption_key, decode(wrapped, 'hex')
        FROM jsonb_to_recordset(alongside -> 'keys') AS k(
            id uuid, person uuid, purpose text, generation int, key_encryption_key uuid,
            wrapped text)
        ORDER BY person, purpose;
    END IF;
    IF alongside ?| ARRAY['unindexed', 'indexed'] THEN
        PERFORM ledger.apply_index(alongside);
    END IF;
END $$;

REVOKE ALL ON FUNCTION ledger.apply_claims, ledger.apply_counted, ledger.apply_index FROM PUBLIC;
