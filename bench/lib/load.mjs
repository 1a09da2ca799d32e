// The load generator: a process that keeps a number of connections busy and notes how long each answer took. HTTP/1.1 on plain sockets, with
// requests that are ready beforehand, because on a small machine it competes with what it measures.
import { connect } from 'node:net';
import { quantile } from './numbers.mjs';
import { signedEvents } from './events.mjs';

/** One keep-alive connection with one request under way at a time. */
class Connection {
  constructor(url) {
    this.url = new URL(url);
    this.chunks = [];
    this.length = 0;
    this.expected = -1;
  }

  open() {
    return new Promise((resolve, reject) => {
      this.socket = connect({ host: this.url.hostname, port: Number(this.url.port), noDelay: true });
      this.socket.once('connect', resolve);
      this.socket.once('error', reject);
      this.socket.on('error', (error) => this.fail?.(error));
      this.socket.on('close', () => this.fail?.(new Error(`${this.url.host} closed the connection.`)));
      this.socket.on('data', (chunk) => this.receive(chunk));
    });
  }

  /** @param done is called with status and body */
  send(request, done, fail) {
    this.done = done;
    this.fail = fail;
    this.socket.write(request);
  }

  receive(chunk) {
    this.chunks.push(chunk);
    this.length += chunk.length;
    if (this.expected >= 0 && this.length < this.expected) return;
    const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    this.chunks = [all];
    if (this.expected < 0) {
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = all.latin1Slice(0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head);
      if (length) {
        this.body = end + 4;
        this.expected = this.body + Number(length[1]);
        if (all.length < this.expected) return;
      } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
        if (all.indexOf('\r\n0\r\n\r\n', end) < 0) return;
        this.body = end + 4;
      } else throw new Error(`An answer without a length:\n${head}`);
    }
    const status = Number(all.latin1Slice(9, 12));
    const body = all.subarray(this.body);
    const { done } = this;
    this.chunks = [];
    this.length = 0;
    this.expected = -1;
    this.done = this.fail = undefined;
    done(status, body);
  }

  close() {
    this.fail = undefined;
    this.socket.destroy();
  }
}

/**
 * Sends requests over the connections until the time is over, or all have been sent once.
 * @param seconds absent: each request once
 */
async function drive({ urls, connections, requests, seconds }) {
  const open = Array.from({ length: connections }, (_, i) => new Connection(urls[i % urls.length]));
  await Promise.all(open.map((connection) => connection.open()));
  const times = [];
  let next = 0;
  let bytes = 0;
  const cpu = process.cpuUsage();
  const started = performance.now();
  const deadline = seconds ? started + seconds * 1000 : Infinity;
  try {
    await Promise.all(
      open.map(
        (connection) =>
          new Promise((resolve, reject) => {
            const step = () => {
              const now = performance.now();
              if (now >= deadline || (!seconds && next >= requests.length)) return resolve();
              const request = requests[next++ % requests.length];
              connection.send(
                request,
                (status, body) => {
                  times.push(performance.now() - now);
                  bytes += body.length;
                  if (status !== 200 || isError(body))
                    return reject(new Error(`${status}: ${body.toString().slice(0, 500)}`));
                  step();
                },
                reject,
              );
            };
            step();
          }),
      ),
    );
  } finally {
    for (const connection of open) connection.close();
  }
  const elapsed = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  return {
    requests: times.length,
    seconds: elapsed / 1000,
    startedAt: Date.now() - elapsed,
    rate: times.length / (elapsed / 1000),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    max: times.at(-1),
    bytes: bytes / times.length,
    loadCpu: (user + system) / times.length,
  };
}

const errorMark = Buffer.from('"errors"');
const isError = (body) => body.subarray(0, 64).includes(errorMark);

function post(url, path, headers, body) {
  const lines = Object.entries({ host: new URL(url).host, ...headers, 'content-length': Buffer.byteLength(body) });
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  );
}

function requestsOf(job) {
  const [url] = job.urls;
  if (job.kind === 'graphql') {
    return job.requests.map(({ headers, body }) =>
      post(url, '/graphql', { 'content-type': 'application/json', ...headers }, body),
    );
  }
  return signedEvents(job).map(({ body, signature }) =>
    post(url, job.path, { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature }, body),
  );
}

process.on('message', (job) => {
  drive({ ...job, requests: requestsOf(job) }).then(
    (answer) => process.send(answer),
    (error) => process.send({ error: error.message }),
  );
});
process.on('disconnect', () => process.exit());
