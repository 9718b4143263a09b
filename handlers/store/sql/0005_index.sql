-- An e-mail or RUT passes on from whom the decision saw, and from nobody else. Who had nobody known
-- by it, and was overtaken, is refused by people_by_unique_kind: the decision is made anew.

CREATE OR REPLACE FUNCTION ledger.apply_index(alongside jsonb) RETURNS void
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
                             AS i(kind text, digest text, person uuid, instead_of uuid)
               WHERE kind IN ('email', 'rut') ORDER BY kind, digest) AS i
        WHERE p.kind = i.kind AND p.digest = decode(i.digest, 'hex')
          AND p.person = i.instead_of AND p.person <> i.person;

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
