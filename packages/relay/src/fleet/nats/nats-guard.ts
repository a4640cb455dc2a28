import {
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  JetStreamApiCodes,
  JetStreamApiError,
} from '@nats-io/jetstream';
import type { ServerInfo } from '@nats-io/transport-node';
import { MangroveError } from '@mangrove/protocol';

/** What is read of a server before anything is asked of it. */
export type KnownServer = Pick<ServerInfo, 'version' | 'jetstream' | 'cluster'>;

/** JetStream reads a subject from a sequence on, and purges below one, as is relied on here. */
const OLDEST = [2, 9] as const;
/**
 * Servers of a cluster before this one let two writers win one compare-and-set (nats-server #4320), and may come out of a change of leader with logs that differ (#6194, #6485). Nothing here asks
 * for a compare-and-set, but all here rests upon one order.
 */
const OLDEST_IN_CLUSTER = [2, 11] as const;
const NS_PER_MS = 1e6;
const DUPLICATE_WINDOW_MS = 120_000;

/** Throws `ENGINE_UNSUITABLE` for a server that a fleet cannot rely on. */
export function assertServer(
  server: KnownServer | undefined,
  { replicas, acceptsOldServer }: { readonly replicas: number; readonly acceptsOldServer: boolean },
): void {
  const { version = 'unknown', jetstream = false, cluster } = server ?? {};
  if (!jetstream)
    throw unsuitable(
      `NATS ${version} runs without JetStream`,
      'start it with JetStream and a store directory on a disk',
    );
  if (isOlder(version, OLDEST))
    throw unsuitable(`NATS ${version} is older than 2.9`, 'run a newer one, best 2.11 or later');
  const isCluster = cluster !== undefined || replicas > 1;
  if (isCluster && isOlder(version, OLDEST_IN_CLUSTER) && !acceptsOldServer)
    throw unsuitable(
      `a cluster of NATS ${version} may let two writers win one compare-and-set, and may have lost its one order when its leader changes`,
      'run 2.11 or later, or one server alone; --engine-accept-old-server takes the risk',
    );
}

/** Makes the stream of the fleet, or looks whether the one that is there keeps what it is given. */
export async function ensureStream(
  manager: JetStreamManager,
  { fleet, replicas }: { readonly fleet: string; readonly replicas: number },
): Promise<void> {
  const subjects = [`${fleet}.log.>`];
  let info: Awaited<ReturnType<JetStreamManager['streams']['info']>>;
  try {
    info = await manager.streams.info(fleet);
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)) throw error;
    // Two relays that make it at once make the same.
    info = await manager.streams.add({
      name: fleet,
      subjects,
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      // What finds no room is refused: nothing that was acknowledged makes place for it.
      discard: DiscardPolicy.New,
      num_replicas: replicas,
      duplicate_window: DUPLICATE_WINDOW_MS * NS_PER_MS,
      allow_direct: false,
    });
  }
  const { config } = info;
  const fault = [
    config.storage !== StorageType.File && 'it is kept in memory',
    config.retention !== RetentionPolicy.Limits && `its retention is ${config.retention}`,
    config.max_age > 0 && 'it forgets messages by their age',
    config.max_msgs_per_subject > 0 && 'it keeps so many messages of a subject only',
    config.discard !== DiscardPolicy.New &&
      (config.max_bytes > 0 || config.max_msgs > 0) &&
      'it drops old messages for new ones',
    config.sealed === true && 'it is sealed',
    config.deny_purge === true && 'nothing can be purged',
    !config.subjects?.includes(subjects[0] as string) && `it does not have the subjects ${subjects[0]}`,
    config.num_replicas < replicas && `it has ${config.num_replicas} replicas, and ${replicas} were asked for`,
  ].find((each) => each !== false);
  if (fault !== undefined)
    throw unsuitable(
      `the stream ${fleet} is there already, and ${fault}`,
      'edit the stream, or give the fleet another name with --engine-name',
    );
}

/** What is no version is old. */
function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const found = /^v?(\d+)\.(\d+)/.exec(version);
  if (found === null) return true;
  const [itsMajor, itsMinor] = [Number(found[1]), Number(found[2])];
  return itsMajor < major || (itsMajor === major && itsMinor < minor);
}

function unsuitable(fault: string, cure: string): MangroveError {
  return new MangroveError('ENGINE_UNSUITABLE', { reason: `${fault}; ${cure}` });
}
