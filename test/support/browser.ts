import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, Collection, DocumentHandle, Room, RoomStatus } from '@mangrove/client';
import { type Browser, type BrowserContext, chromium, type LaunchOptions } from 'playwright-core';
import { findChromium } from '../../scripts/lib/ensure-chromium.mjs';

declare global {
  /** What the demo shows to whoever drives its page from outside. */
  var mangrove: {
    readonly client: Client;
    readonly room: Room;
    readonly note: DocumentHandle;
    readonly records: Collection<unknown>;
  };
}

export type { RoomStatus };

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-sync',
  '--no-first-run',
  '--mute-audio',
  // A page in the background is to behave as one in the foreground: two people are two pages, and one screen has one in front.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

function launchOptions(): LaunchOptions {
  const executablePath = findChromium();
  if (executablePath === undefined)
    throw new Error('The browser tests need Chromium: install it, or set MANGROVE_CHROMIUM to its path.');
  return { executablePath, args: ARGS, headless: true };
}

export function launchChromium(): Promise<Browser> {
  return chromium.launch(launchOptions());
}

/** A browser profile on disk, which a restart of the browser finds again. */
export class Profile {
  readonly #folder: string;
  #context: BrowserContext | undefined;

  static async create(): Promise<Profile> {
    return new Profile(await mkdtemp(join(tmpdir(), 'mangrove-profile-')));
  }

  private constructor(folder: string) {
    this.#folder = folder;
  }

  async open(): Promise<BrowserContext> {
    this.#context = await chromium.launchPersistentContext(this.#folder, launchOptions());
    return this.#context;
  }

  async close(): Promise<void> {
    await this.#context?.close();
    this.#context = undefined;
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
