import { MangroveError } from '@mangrove/protocol';
import type pg from 'pg';

/** Statements over the tables of one fleet. */
export interface Names {
  readonly channel: string;
  readonly create: string;
  readonly append: string;
  readonly read: string;
  readonly last: string;
  readonly cut: string;
  readonly drop: string;
}

const OLDEST = 120_000;

/** `fleet` has lowercase letters, digits and underscores alone, so that it is a name as it stands. */
export function namesOf(fleet: string): Names {
  const [log, heads] = [`${fleet}_log`, `${fleet}_heads`];
  const channel = `${fleet}_news`;
  return {
    channel,
    create: `
      CREATE TABLE IF NOT EXISTS ${heads} (log text PRIMARY KEY, position bigint NOT NULL);
      CREATE TABLE IF NOT EXISTS ${log} (
        log text NOT NULL, position bigint NOT NULL, id text NOT NULL, bytes bytea NOT NULL,
        PRIMARY KEY (log, position), UNIQUE (log, id)
      );
      ALTER TABLE ${log} ALTER COLUMN bytes SET STORAGE EXTERNAL`,
    // The row of the head is locked until the commit, so that a log's entries become visible in the order of their positions.
    append: `
      WITH known AS (SELECT position FROM ${log} WHERE log = $1 AND id = $2),
      head AS (
        INSERT INTO ${heads} AS h (log, position) SELECT $1, 1 WHERE NOT EXISTS (SELECT 1 FROM known)
        ON CONFLICT (log) DO UPDATE SET position = h.position + 1 RETURNING position
      ),
      entry AS (INSERT INTO ${log} (log, position, id, bytes) SELECT $1, position, $2, $3 FROM head RETURNING position),
      told AS (SELECT pg_notify('${channel}', 'log ' || $1) FROM entry)
      SELECT position FROM known UNION ALL SELECT entry.position FROM entry, told`,
    read: `SELECT position, bytes FROM ${log} WHERE log = $1 AND position > $2 ORDER BY position LIMIT $3`,
    last: `SELECT position, bytes FROM ${log} WHERE log = $1 ORDER BY position DESC LIMIT 1`,
    cut: `DELETE FROM ${log} WHERE log = $1 AND position < $2`,
    drop: `WITH head AS (DELETE FROM ${heads} WHERE log = $1) DELETE FROM ${log} WHERE log = $1`,
  };
}

/** Makes the tables where they are not there. Relays that start together wait for each other. */
export async function prepare(pool: pg.Pool, { create, channel }: Names): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [channel]);
    await client.query(create);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

/** Throws `ENGINE_UNSUITABLE` for a database that may lose what it has acknowledged. */
export async function assertDatabase(pool: Pick<pg.Pool, 'query'>): Promise<void> {
  const { rows } = await pool.query<{ version: string; fsync: string; standby: boolean }>(
    `SELECT current_setting('server_version_num') AS version, current_setting('fsync') AS fsync, pg_is_in_recovery() AS standby`,
  );
  const { version = '0', fsync = 'off', standby = true } = rows[0] ?? {};
  const fault = [
    Number(version) < OLDEST && 'the server is older than PostgreSQL 12; run a newer one',
    fsync === 'off' && 'fsync is off, so that a power cut takes what was acknowledged; switch it on',
    standby && 'the server is a standby; give the address of the primary',
  ].find((each) => each !== false);
  if (fault !== undefined) throw new MangroveError('ENGINE_UNSUITABLE', { reason: fault });
}
