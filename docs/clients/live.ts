// Prints large transfers as they happen, over the API's websocket; goes on where it was when it is cut off.
// Needs nothing but Node 22.18 or newer, which runs TypeScript as it is; a browser runs the same code, compiled.
//
// Usage: API_KEY=ci_… node live.ts [WS_URL [HOW_MANY]]

/** What is common to events; the rest is in schemas/README.md. Amounts are exact decimals as text: never make a number of them. */
interface Event {
  kind: string;
  id: string;
  chain?: string;
  block_number?: number;
  /** Its block left the chain. */
  removed?: boolean;
  /** Rises with each retraction and return: the highest says how it is. */
  incarnation?: number;
  amount?: string;
  symbol?: string;
  usd?: string;
}

type Message =
  | { type: 'events' | 'snapshot'; events: Event[]; resume: string }
  | { type: 'gap'; stream: string; from?: number; to?: number; reason: string; get?: string; resume: string }
  | { type: 'heartbeat'; resume: string }
  | { type: 'bye'; reason: string; retry_after_ms: number }
  | { type: 'error'; problem: { title: string; detail?: string } }
  | { type: 'hello' | 'authenticated' | 'subscribed' | 'unsubscribed' | 'subscriptions' | 'pong' };

const [url = 'ws://127.0.0.1:8420/ws', howMany = '0'] = process.argv.slice(2);
const key = process.env.API_KEY;
const seen = new Set<string>();
let resume: string | undefined;
let wait = 1_000;

function show(event: Event): void {
  const identity = `${event.id} ${event.incarnation ?? 0}`;
  if (seen.has(identity)) return; // nothing is missing after a resume; something may come twice
  seen.add(identity);
  console.log(event.removed ? 'undone' : 'done', event.chain, event.block_number, event.amount, event.symbol, `$${event.usd}`);
}

function take(message: Message): void {
  switch (message.type) {
    case 'snapshot':
    case 'events':
      message.events.forEach(show);
      resume = message.resume;
      break;
    case 'gap':
      console.error('missed', message.stream, message.from, message.to, message.reason, message.get ?? '');
      resume = message.resume;
      break;
    case 'heartbeat':
      resume = message.resume;
      break;
    case 'bye':
      wait = message.retry_after_ms;
      break;
    case 'error':
      console.error(message.problem.detail ?? message.problem.title);
      process.exit(1);
  }
  if (Number(howMany) > 0 && seen.size >= Number(howMany)) process.exit(0);
}

function connect(): void {
  const socket = new WebSocket(url, 'crypto-intel.v1.json');
  const send = (message: object): void => socket.send(JSON.stringify(message));
  socket.onopen = () => {
    if (key) send({ action: 'auth', token: key }); // not in the address: addresses end in logs
    const wish = { action: 'subscribe', id: 'large', service: 'onchain', min_usd: '100000' };
    send(resume ? { ...wish, resume } : { ...wish, snapshot: 10 });
  };
  socket.onmessage = ({ data }) => {
    wait = 1_000;
    take(JSON.parse(String(data)) as Message);
  };
  socket.onclose = () => setTimeout(connect, wait);
}

connect();
