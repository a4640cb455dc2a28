// A process of its own for each claim: node claim.mjs '{"id":"two-phase","settings":{…}}' prints a line of JSON.
import { claims } from './claims/index.mjs';

const { id, settings } = JSON.parse(process.argv[2]);
console.log(JSON.stringify(await claims.find((claim) => claim.id === id).run(settings)));
