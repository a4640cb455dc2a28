/** Composition: one room, its text and its checklist, wired to the page. */
import './style.css';
import './trusted-types.ts';
import { createClient, type Client, type Collection, type DocumentHandle, type Room } from '@mangrove/client';
import { readAddress, roomHref } from './address.ts';
import { mountBackup } from './backup.ts';
import { find, setText } from './dom.ts';
import { goTo, mountEditor } from './editor.ts';
import { describeError } from './format.ts';
import { mountInspector } from './inspector.ts';
import { mountKeep } from './keep.ts';
import { mountPresence } from './presence.ts';
import { mountRecords } from './records.ts';
import { mountRooms } from './rooms.ts';
import { mountSetAside } from './set-aside.ts';
import { mountStatus } from './status.ts';
import { keepPage } from './update.ts';
import { mountVersions } from './versions.ts';

declare global {
  // For the console and for whoever drives the page from outside.
  var mangrove: { client: Client; room: Room; note: DocumentHandle; records: Collection<unknown> };
}

const TICK_MS = 1_000;
/** Of this tab: who switched the network off and reloads expects it to be off. */
const OFFLINE_KEY = 'mangrove-offline';

const statusElements = {
  strip: find('strip', HTMLElement),
  status: find('status', HTMLElement),
  detail: find('status-detail', HTMLElement),
};

start().catch((reason: unknown) => {
  statusElements.strip.dataset.tone = 'trouble';
  setText(statusElements.status, 'Mangrove could not start');
  setText(statusElements.detail, describeError(reason));
  throw reason;
});

async function start(): Promise<void> {
  const { room: roomName, relay, refusedRelay } = readAddress(location.href);
  if (refusedRelay) console.warn(`Not a loopback address, so not used as relay: ${refusedRelay}`);
  // Whoever copies the address bar shares this room, also where it is the default one.
  if (!new URL(location.href).searchParams.get('room'))
    history.replaceState(null, '', roomHref(location.href, roomName));
  showRoom(roomName);

  const client = createClient({ name: 'mangrove-demo', ...(relay === undefined ? {} : { relay }) });
  const room = client.room(roomName);
  const note = room.document('note');
  const records = room.collection<unknown>('records');
  globalThis.mangrove = { client, room, note, records };

  mountBackup(
    {
      save: find('backup-save', HTMLButtonElement),
      restore: find('backup-restore', HTMLButtonElement),
      file: find('backup-file', HTMLInputElement),
      said: find('backup-said', HTMLElement),
    },
    client,
    room,
  );
  const inspector = mountInspector(find('inspector', HTMLDetailsElement), room);
  const setAside = mountSetAside(
    {
      panel: find('set-aside', HTMLDetailsElement),
      summary: find('set-aside-summary', HTMLElement),
      list: find('set-aside-list', HTMLElement),
    },
    room,
  );
  showStatus(room, [mountStatus(statusElements), inspector.update, mountKeep(client), setAside]);
  room.warnBeforeUnload();
  showNetworkSwitch(room, relay !== undefined);
  keepOnDevice(room);

  await note.ready;
  const text = note.ydoc.getText('content');
  const view = mountEditor(find('editor', HTMLElement), text, note.awareness);
  note.ydoc.on('update', (_update, _origin, _ydoc, { local }) => local && inspector.watch(note));
  mountPresence(
    {
      people: find('people', HTMLElement),
      name: find('my-name', HTMLInputElement),
      color: find('my-color', HTMLButtonElement),
    },
    note.awareness,
    text,
    (index) => goTo(view, index),
  );
  mountVersions(
    {
      panel: find('versions', HTMLDetailsElement),
      form: find('version-form', HTMLFormElement),
      input: find('version-input', HTMLInputElement),
      list: find('version-list', HTMLElement),
      more: find('version-more', HTMLButtonElement),
      said: find('version-said', HTMLElement),
      look: find('version-look', HTMLDialogElement),
    },
    note.versions,
    inspector.watch,
  );
  mountRecords(
    {
      list: find('records', HTMLElement),
      form: find('record-form', HTMLFormElement),
      input: find('record-input', HTMLInputElement),
      error: find('record-error', HTMLElement),
      empty: find('record-empty', HTMLElement),
      count: find('record-count', HTMLElement),
    },
    records,
    inspector.watch,
  );
}

/** The page itself, too. Without that, or while developing, everything else works the same. */
function keepOnDevice(room: Room): void {
  if (!import.meta.env.PROD) return;
  const elements = { notice: find('update', HTMLElement), button: find('update-now', HTMLButtonElement) };
  const input = find('record-input', HTMLInputElement);
  keepPage(elements, room, () => input.value !== '').catch(console.warn);
}

function showRoom(name: string): void {
  mountRooms(
    {
      button: find('room-button', HTMLButtonElement),
      name: find('room-name', HTMLElement),
      panel: find('room-panel', HTMLElement),
      form: find('room-form', HTMLFormElement),
      input: find('room-input', HTMLInputElement),
      recent: find('room-recent', HTMLElement),
      copy: find('copy-link', HTMLButtonElement),
      copySaid: find('copy-said', HTMLElement),
    },
    name,
  );
}

function showStatus(room: Room, views: readonly ((status: Room['status'], elapsedMs: number) => void)[]): void {
  let status = room.status;
  let takenMs = performance.now();
  const show = (): void => {
    for (const view of views) view(status, performance.now() - takenMs);
  };
  const take = (next: Room['status']): void => {
    status = next;
    takenMs = performance.now();
    show();
  };
  room.on('status', take);
  // A snapshot that has not changed still ages: the oldest waiting edit gets older while nothing happens.
  setInterval(() => (room.status === status ? show() : take(room.status)), TICK_MS);
  show();
}

function showNetworkSwitch(room: Room, hasRelay: boolean): void {
  const button = find('network', HTMLButtonElement);
  const show = (): void => button.setAttribute('aria-checked', String(hasRelay && room.status.connection !== 'paused'));
  button.disabled = !hasRelay;
  if (hasRelay && isOfflineWanted()) room.pause();
  button.addEventListener('click', () => {
    if (room.status.connection === 'paused') {
      room.resume();
      rememberOffline(false);
    } else {
      room.pause();
      rememberOffline(true);
    }
    show();
  });
  room.on('status', show);
  show();
}

function isOfflineWanted(): boolean {
  try {
    return sessionStorage.getItem(OFFLINE_KEY) !== null;
  } catch {
    return false;
  }
}

function rememberOffline(isOffline: boolean): void {
  try {
    if (isOffline) sessionStorage.setItem(OFFLINE_KEY, '');
    else sessionStorage.removeItem(OFFLINE_KEY);
  } catch {
    // Storage is denied: the switch lasts as long as the page.
  }
}
