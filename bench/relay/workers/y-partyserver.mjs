// y-partyserver as it comes, without a store of its own.
import { routePartykitRequest } from 'partyserver';
import { YServer } from 'y-partyserver';

export class Room extends YServer {}

export default {
  fetch: async (request, env) => (await routePartykitRequest(request, env)) ?? new Response('', { status: 404 }),
};
