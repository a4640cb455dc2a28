/** Who else is here, and who I am to them. */
import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';
import { el, setText } from './dom.ts';
import { cursorIndex, readPeers, type Peer } from './peers.ts';
import {
  cleanName,
  freeColor,
  loadProfile,
  nextColor,
  onProfileElsewhere,
  saveProfile,
  type Profile,
} from './profile.ts';

const AVATARS_MAX = 6;

export interface PresenceElements {
  readonly people: HTMLElement;
  readonly name: HTMLInputElement;
  readonly color: HTMLButtonElement;
}

export function mountPresence(
  elements: PresenceElements,
  awareness: Awareness,
  text: Y.Text,
  goTo: (index: number) => void,
): void {
  const { giveWay } = mountMe(elements, awareness);

  let drawn = '';
  const draw = (): void => {
    const peers = readPeers(awareness, text);
    giveWay(peers);
    // Cursors move with every key of everybody; the avatars change when somebody comes, goes or is renamed.
    const next = JSON.stringify(peers.map(({ clientId, name, color }) => [clientId, name, color]));
    if (next === drawn) return;
    drawn = next;
    const more = peers.length - AVATARS_MAX;
    const items = peers.slice(0, AVATARS_MAX).map((peer) => avatar(peer, () => goToPeer(peer.clientId)));
    if (more > 0) items.push(el('li', { class: 'avatar more', title: `${more} more` }, `+${more}`));
    elements.people.replaceChildren(...items);
  };
  const goToPeer = (clientId: number): void => {
    const cursor = readPeers(awareness, text).find((peer) => peer.clientId === clientId)?.cursor;
    const index = cursor && cursorIndex(cursor, text);
    if (index !== undefined) goTo(index);
  };
  awareness.on('change', draw);
  draw();
}

function mountMe({ name, color }: PresenceElements, awareness: Awareness) {
  let profile = loadProfile();
  let isColorChosen = false;
  const announce = (next: Profile): void => {
    profile = next;
    if (name !== document.activeElement) name.value = next.name;
    color.style.backgroundColor = next.color;
    setText(color, initial(next.name));
    awareness.setLocalStateField('user', { ...next, colorLight: `${next.color}33` });
  };
  const change = (next: Profile): void => {
    announce(next);
    saveProfile(next);
  };
  name.addEventListener('input', () => {
    const typed = cleanName(name.value);
    if (typed) change({ ...profile, name: typed });
  });
  name.addEventListener('blur', () => (name.value = profile.name));
  name.addEventListener('keydown', (event) => event.key === 'Enter' && !event.isComposing && name.blur());
  color.addEventListener('click', () => {
    isColorChosen = true;
    change({ ...profile, color: nextColor(profile.color) });
  });
  onProfileElsewhere(announce);
  announce(profile);

  /** Of two who came by the same colour one takes another; who chose it here keeps it. Another tab of one's own has the same name, too. */
  const giveWay = (peers: readonly Peer[]): void => {
    const others = peers.filter((peer) => peer.name !== profile.name);
    const isMine = others.some((peer) => peer.color === profile.color && peer.clientId < awareness.clientID);
    if (isColorChosen || !isMine) return;
    const free = freeColor(profile.color, new Set(others.map((peer) => peer.color)));
    if (free !== undefined) change({ ...profile, color: free });
  };
  return { giveWay };
}

function avatar({ name, color }: Peer, onClick: () => void): HTMLLIElement {
  const label = `Go to the cursor of ${name}`;
  const button = el('button', { type: 'button', class: 'avatar', title: name, 'aria-label': label }, initial(name));
  button.style.backgroundColor = color;
  button.addEventListener('click', onClick);
  return el('li', {}, button);
}

function initial(name: string): string {
  return ([...name][0] ?? '?').toLocaleUpperCase();
}
