'use strict';
(() => {
  const SAMPLES = 300;
  const PERIOD_MS = 1000;
  const ANSWER_MS = 5000;
  const TONES = { up: 'good', failing: 'warn', down: 'bad', removed: 'gone' };
  const ICONS = {
    good: ['%2311682c', 'M8 1a7 7 0 1 0 .1 0z'],
    warn: ['%23b87a00', 'M8 1l7 14H1z'],
    bad: ['%23b3141d', 'M2 2h12v12H2z'],
  };
  const $ = (id) => document.getElementById(id);

  // Texts change in place and only where they differ: focus, selection and scrolling survive.
  function set(node, value) {
    const text = String(value);
    if (node.textContent === text) return;
    if (node.firstChild) node.firstChild.data = text;
    else node.textContent = text;
  }
  const put = (id, value) => set($(id), value);
  // A count has its path in the status as its class.
  function counts(part, path) {
    for (const [key, value] of Object.entries(part)) {
      if (Array.isArray(value)) continue;
      if (value !== null && typeof value === 'object') counts(value, `${path}${key}.`);
      for (const node of document.getElementsByClassName(path + key)) {
        set(node, number(value ?? 0));
      }
    }
  }
  function attribute(node, name, value) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }

  // The same forms as in text.rs.
  const number = (value) => value.toLocaleString('en');
  function span(seconds) {
    const s = Math.floor(seconds);
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
  }
  function size(bytes) {
    if (bytes < 1024) return `${bytes} B`;
    let value = bytes;
    let unit = -1;
    do { value /= 1024; unit += 1; } while (value >= 1024 && unit < 5);
    return `${(Math.floor(value * 10) / 10).toFixed(1)} ${'KMGTPE'[unit]}iB`;
  }
  const moment = (time) => time.slice(0, 19).replace('T', ' ');
  const plain = (word) => word.replaceAll('_', ' ');
  const maximum = (list) => list.reduce((most, value) => Math.max(most, value), 0);
  function line(list) {
    const most = Math.max(1, maximum(list));
    const first = SAMPLES - list.length;
    const height = (value) => (19 - 18 * value / most).toFixed(0);
    const points = list.map((value, index) => `${first + index},${height(value)}`);
    return [`M${first},25`, ...points, '299,25'].join(' ');
  }

  // Rows by key. Those that the server rendered are taken over in their order.
  const tables = {};
  function sync(name, items, keyOf, fill) {
    const body = $(`${name}-rows`);
    const before = tables[name] ?? new Map();
    const after = new Map();
    const unknown = tables[name] ? [] : [...body.rows];
    items.forEach((item, index) => {
      let key = keyOf(item);
      while (after.has(key)) key += '+';
      const row = before.get(key) ?? unknown[index]
        ?? $(`${name}-row`).content.firstElementChild.cloneNode(true);
      after.set(key, row);
      if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
      fill(item, row);
    });
    while (body.rows.length > items.length) body.rows[items.length].remove();
    tables[name] = after;
  }
  // The texts of a row, in the order of its template.
  function cells(row, ...texts) {
    row.querySelectorAll('b, bdi, span, td:not(:has(*))')
      .forEach((node, index) => set(node, texts[index]));
  }
  const otherName = (item, address) => item.name === address ? '' : item.name;

  const histories = new WeakMap();
  function history(row, latest, seconds) {
    const kept = histories.get(row);
    const grown = {};
    for (const kind of ['connections', 'bytes']) {
      const fresh = seconds === 0 ? [] : latest[kind].slice(-seconds);
      grown[kind] = [...(kept ? kept[kind] : []), ...(kept ? fresh : latest[kind])]
        .slice(-SAMPLES);
    }
    histories.set(row, grown);
    return grown;
  }

  const ofWhichFailed = ({ begun, failed }) => `${number(begun)}, ${number(failed)} failed`;
  function endpoint(item, row, seconds) {
    const { dials, checks, last_error: error } = item;
    const { connections, bytes } = history(row, item.history, seconds);
    cells(row,
      item.address,
      otherName(item, item.address),
      item.source + (item.preferred ? ', preferred' : ''),
      item.state,
      `for ${span(item.state_for_seconds)}`,
      error ? `${error.reason}, ${span(error.seconds_ago)} ago` : '',
      number(item.connections),
      `peak ${number(maximum(connections))}`,
      size(bytes.at(-1) ?? 0),
      `peak ${size(maximum(bytes))}`,
      ofWhichFailed(dials),
      checks.begun ? `checks ${ofWhichFailed(checks)}` : '',
      `${size(item.bytes.from_clients)} in`,
      `${size(item.bytes.from_endpoint)} out`,
      item.priority,
      `weight ${item.weight}`);
    attribute(row.querySelector('b'), 'class', `mark ${TONES[item.state]}`);
    const lines = row.querySelectorAll('path');
    attribute(lines[0], 'd', line(connections));
    attribute(lines[1], 'd', line(bytes));
  }

  const changeText = ({ from, to }) =>
    from === null ? `added, ${to}` : to === null ? 'forgotten' : `${from} to ${to}`;
  function change(item, row) {
    cells(row, moment(item.time), item.endpoint, otherName(item, item.endpoint),
      changeText(item), item.reason);
  }

  function name(item, row) {
    const { age_seconds: age, next_lookup_in_seconds: next } = item;
    cells(row, item.name, item.error ?? '', age === null ? 'never' : `${span(age)} ago`,
      next === null ? 'under way' : `in ${span(next)}`);
  }

  function listener(item, row) {
    cells(row, item.address, number(item.connections), number(item.accepted));
  }

  // Of what a screen reader says, nothing is said twice, and nothing that did not change.
  let said;
  function announce(status, state) {
    const latest = status.changes[0];
    const key = `${state} ${latest?.time} ${latest?.endpoint}`;
    if (said !== undefined && said !== key) {
      const of = latest ? ` ${latest.name}: ${changeText(latest)} ${latest.reason}.` : '';
      put('news', `${state}.${of}`);
    }
    said = key;
  }

  function setIcon(tone) {
    const [fill, path] = ICONS[tone];
    attribute($('icon'), 'href', "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
      + `viewBox='0 0 16 16'%3E%3Cpath fill='${fill}' d='${path}'/%3E%3C/svg%3E`);
  }

  function show(status, seconds) {
    const known = status.endpoints.filter((item) => item.state !== 'removed');
    const up = known.filter((item) => item.state === 'up').length;
    const isDraining = status.state === 'draining';
    const state = isDraining ? 'Draining' : status.ready ? 'Running, ready'
      : `Running, not ready: ${status.not_ready.map(plain).join(', ')}`;
    const tone = isDraining ? 'warn' : !status.ready ? 'bad' : up < known.length ? 'warn' : 'good';
    put('state', state);
    attribute($('state'), 'class', `mark ${tone}`);
    document.title = `${isDraining ? 'draining, ' : ''}${up}/${known.length} up - etcd-gateway`;
    setIcon(tone);
    counts(status, '');
    put('time', moment(status.time));
    put('up', number(up));
    put('known', number(known.length));
    put('uptime', span(status.uptime_seconds));
    for (const limit of ['connections', 'descriptors', 'pipes']) {
      const { used, max } = status.limits[limit];
      attribute($(limit), 'value', (max ? used / max : 0).toFixed(3));
    }
    put('resident', size(status.process.resident_bytes));
    put('started', moment(status.started));
    put('features', status.features.join(', ') || 'none');
    put('cpu', span(status.process.cpu_seconds));
    sync('endpoint', status.endpoints, (item) => `${item.address} ${item.name}`,
      (item, row) => endpoint(item, row, seconds));
    sync('change', status.changes,
      (item) => `${item.time} ${item.endpoint} ${item.from} ${item.to}`, change);
    put('more', '');
    sync('name', status.names, (item) => item.name, name);
    sync('listener', status.listeners, (item) => item.address, listener);
    filter();
    announce(status, state);
  }

  function filter() {
    const wanted = $('text').value.trim().toLowerCase();
    for (const row of $('endpoint-rows').rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  }

  let timer;
  let isPaused = false;
  let isAsking = false;
  let started = null;
  let uptime = null;
  let answeredAt = null;
  const isIdle = () => isPaused || document.hidden;

  // By the gateway's clock, since a late answer has more than one new sample.
  async function ask() {
    const silence = answeredAt === null ? Infinity : performance.now() - answeredAt;
    const isFirst = silence > 10 * PERIOD_MS;
    const wanted = isFirst ? SAMPLES : Math.ceil(silence / PERIOD_MS) + 1;
    const answer = await fetch(`status?history=${wanted}`,
      { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = await answer.json();
    const isOther = status.started !== started;
    if (isFirst || isOther) {
      for (const row of $('endpoint-rows').rows) histories.delete(row);
    }
    const second = Math.floor(status.uptime_seconds);
    show(status, uptime === null ? 0 : Math.min(second - uptime, wanted));
    uptime = second;
    started = status.started;
    answeredAt = isOther && !isFirst ? null : performance.now();
  }

  let staleSince = null;
  function setStale(problem) {
    if (problem === null) {
      if (staleSince !== null) put('news', 'The gateway answers again.');
      staleSince = null;
      $('stale').hidden = true;
      return;
    }
    if (staleSince === null) {
      staleSince = Date.now();
      put('news', 'The gateway does not answer.');
    }
    put('stale', `No answer from the gateway for ${span((Date.now() - staleSince) / 1000)}`
      + `. What is shown is as of ${$('time').textContent} UTC.`);
    $('stale').hidden = false;
    put('state', 'No answer');
    attribute($('state'), 'class', 'mark gone');
    document.title = 'no answer - etcd-gateway';
    setIcon('bad');
  }

  async function poll() {
    if (isAsking) return;
    clearTimeout(timer);
    isAsking = true;
    const begun = performance.now();
    try {
      await ask();
      setStale(null);
    } catch (error) {
      setStale(error);
    }
    isAsking = false;
    const rest = PERIOD_MS - (performance.now() - begun);
    if (!isIdle()) timer = setTimeout(poll, Math.max(rest, PERIOD_MS / 5));
  }
  function resume() {
    clearTimeout(timer);
    if (!isIdle()) poll();
  }

  $('pause').hidden = false;
  $('filter').hidden = false;
  $('pause').addEventListener('click', () => {
    isPaused = !isPaused;
    put('pause', isPaused ? 'Resume' : 'Pause');
    resume();
  });
  $('filter').addEventListener('input', filter);
  $('filter').addEventListener('submit', (event) => event.preventDefault());
  document.addEventListener('visibilitychange', resume);
  poll();
})();
