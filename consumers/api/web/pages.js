// The pages. Each is a module of its own, loaded when it is opened.

/** `key` is the second letter of its shortcut; `scope` and `needs` the right and the route that it cannot do without; without `title` it is not in the navigation. */
export const PAGES = [
  { path: '/', name: 'overview', title: 'page.overview', key: 'o', load: () => import('./pages/overview.js') },
  { path: '/transactions', name: 'transactions', title: 'page.transactions', key: 't', load: () => import('./pages/transactions.js') },
  { path: '/transactions/:chain/:hash', name: 'transactions', load: () => import('./pages/transaction.js') },
  { path: '/wallets', name: 'wallets', title: 'page.wallets', key: 'w', load: () => import('./pages/wallets.js') },
  { path: '/wallet/:address', name: 'wallets', load: () => import('./pages/wallet.js') },
  { path: '/alerts', name: 'alerts', title: 'page.alerts', key: 'a', scope: 'alerts', needs: 'get /alerts', load: () => import('./pages/alerts.js') },
  { path: '/market', name: 'market', title: 'page.market', key: 'm', scope: 'market', needs: 'get /market/summary', load: () => import('./pages/market.js') },
  { path: '/signals', name: 'signals', title: 'page.signals', key: 's', scope: 'market', needs: 'get /market/articles', load: () => import('./pages/signals.js') },
  { path: '/providers', name: 'providers', title: 'page.providers', key: 'p', scope: 'ops', needs: 'get /status', load: () => import('./pages/providers.js') },
  { path: '/block/:chain/:number', name: 'overview', load: () => import('./pages/block.js') },
  { path: '/about', name: 'about', title: 'page.about', load: () => import('./pages/about.js') },
];
