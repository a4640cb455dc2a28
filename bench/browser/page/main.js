import * as documents from './document-phases.js';
import * as records from './record-phases.js';
import { storedBytes } from './stored.js';

/** What the driver calls; each resolves to plain data. */
globalThis.bench = { ...documents, ...records, storedBytes };

// An opening begins with the page: the driver's own way to it is no part of what it takes.
const asked = new URLSearchParams(location.search).get('document');
if (asked !== null) globalThis.opened = documents.openDocument(asked);
