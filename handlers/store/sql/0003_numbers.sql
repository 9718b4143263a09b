-- Numbers without gaps, such as those of tickets (T1, S11): each is written in the transaction of
-- the event that bears it, so that no refusal, rollback or kill takes one.

CREATE TABLE ledger.numbers (
    counter  text   NOT NULL,
    number   bigint NOT NULL CHECK (number > 0),
    holder   uuid   NOT NULL,
    PRIMARY KEY (counter, number)
);
CREATE INDEX numbers_holder ON ledger.numbers (holder, counter);
COMMENT ON TABLE ledger.numbers IS
    'The stream that bears each number of a counter, by ids alone. Can be rebuilt from the log.';

CREATE FUNCTION ledger.next_number(counter text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Held to commit: whoever comes next sees whether this number was taken.
    PERFORM pg_advisory_xact_lock(1633907814, hashtext(next_number.counter));
    -- A statement of its own, so that it sees what the last holder of the lock wrote.
    RETURN COALESCE(
        (SELECT max(n.number) FROM ledger.numbers n WHERE n.counter = next_number.counter), 0) + 1;
END $$;

CREATE FUNCTION ledger.apply_numbers(alongside jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT * FROM jsonb_to_recordset(alongside -> 'numbered')
                              AS n(counter text, number bigint, holder uuid)
                ORDER BY counter, number
    LOOP
        IF item.number <> ledger.next_number(item.counter) THEN
            RAISE EXCEPTION 'the number is not the next one' USING ERRCODE = 'AC002';
        END IF;
        INSERT INTO ledger.numbers VALUES (item.counter, item.number, item.holder);
    END LOOP;
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

    IF alongside ? 'numbered' THEN
        PERFORM ledger.apply_numbers(alongside);
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

REVOKE ALL ON FUNCTION ledger.next_number, ledger.apply_numbers FROM PUBLIC;
GRANT SELECT ON ledger.numbers TO acta_application;
GRANT EXECUTE ON FUNCTION ledger.next_number TO acta_application;
