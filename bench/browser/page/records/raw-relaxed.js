import { openRaw } from './raw.js';

export const open = (name) => openRaw(name, 'relaxed');
