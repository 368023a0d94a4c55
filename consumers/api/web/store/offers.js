// What this server's API has: its page says so, so that nothing is offered that would fail.

const told = globalThis.document?.querySelector('meta[name="routes"]')?.content ?? '';
const routes = new Set(told.split(',').map((route) => route.trim()));

/** Sets what there is, for tests. */
export function useRoutes(list) {
  routes.clear();
  for (const route of list) routes.add(route);
}

/** Whether the API has a route, such as `get /market/summary`. */
export function offers(route) {
  return routes.has(route);
}
