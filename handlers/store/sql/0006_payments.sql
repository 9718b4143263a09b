-- What a gateway calls the card of a payer: in the vault, sealed, and gone with its person (A11).
-- And the instant that clock work has reached, which is bookkeeping as a projection's position is.

CREATE TABLE vault.payment_tokens (
    subscription  uuid  NOT NULL PRIMARY KEY,
    person        uuid  NOT NULL,
    sealed        bytea NOT NULL
);
CREATE INDEX payment_tokens_person ON vault.payment_tokens (person);
COMMENT ON TABLE vault.payment_tokens IS
    'The card that a subscription is charged to, as the gateway calls it, sealed. Not in the log.';

CREATE FUNCTION ledger.apply_tokens(alongside jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    -- One after the other, in one order for everybody; of two for one subscription the later stands.
    FOR item IN SELECT * FROM ROWS FROM (
                    jsonb_to_recordset(alongside -> 'tokens')
                    AS (subscription uuid, person uuid, sealed text)
                ) WITH ORDINALITY AS t(subscription, person, sealed, number)
                ORDER BY subscription, number
    LOOP
        IF item.sealed IS NULL THEN
            DELETE FROM vault.payment_tokens t WHERE t.subscription = item.subscription;
        ELSE
            INSERT INTO vault.payment_tokens (subscription, person, sealed)
            VALUES (item.subscription, item.person, decode(item.sealed, 'hex'))
            ON CONFLICT (subscription) DO UPDATE
                SET person = EXCLUDED.person, sealed = EXCLUDED.sealed;
        END IF;
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
    IF alongside ? 'tokens' THEN
        PERFORM ledger.apply_tokens(alongside);
    END IF;
    IF alongside ?| ARRAY['unindexed', 'indexed'] THEN
        PERFORM ledger.apply_index(alongside);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ledger.erase(erased jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone uuid := (erased ->> 'person')::uuid;
    until date := (erased ->> 'tax_data_readable_until')::date;
BEGIN
    DELETE FROM vault.keys WHERE person = gone AND (purpose <> 'tax' OR until IS NULL);
    UPDATE vault.keys SET destroy_after = until WHERE person = gone;
    DELETE FROM vault.people WHERE person = gone;
    DELETE FROM vault.payment_tokens WHERE person = gone;
    DELETE FROM ledger.claims WHERE person = gone;
    DELETE FROM ledger.counted_claims WHERE person = gone;
    UPDATE ledger.receipts SET input_digest = NULL WHERE persons @> ARRAY[gone];
    INSERT INTO vault.erasures (person, key_encryption_key, tax_data_readable_until)
    SELECT gone, id, until FROM vault.key_encryption_keys WHERE retired_at IS NULL;
END $$;

CREATE TABLE ledger.clock (
    one      boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    instant  timestamptz NOT NULL
);
COMMENT ON TABLE ledger.clock IS
    'Up to which instant clock work has done all that was due; no row before the first time.';

CREATE FUNCTION ledger.advance_clock(reached timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- Moves the clock forward, never back; returns where it stands.
BEGIN
    INSERT INTO ledger.clock AS c (instant) VALUES (reached)
    ON CONFLICT (one) DO UPDATE SET instant = EXCLUDED.instant WHERE c.instant < EXCLUDED.instant;
    RETURN (SELECT c.instant FROM ledger.clock c);
END $$;

REVOKE ALL ON FUNCTION ledger.apply_tokens, ledger.advance_clock FROM PUBLIC;
GRANT SELECT ON ledger.clock, vault.payment_tokens TO acta_application;
GRANT EXECUTE ON FUNCTION ledger.advance_clock TO acta_application;
