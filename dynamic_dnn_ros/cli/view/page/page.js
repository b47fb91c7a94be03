// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
'use strict';

// All text is set as text, never as markup: names come from whoever is on the network.
const $ = id => document.getElementById(id);
const UNITS = {latency: 'ms', latency_quantile: '%', accuracy: '%', rate: 'Hz', energy: 'mJ'};
const SHOWN = {latency: value => value * 1e3, accuracy: value => value * 100, rate: value => value, energy: value => value * 1e3};
const SIGNS = {good: '✓ ', bad: '✗ ', open: ''};
const cards = new Map();
const board = {loads: [], charts: null, names: ''};
let seconds = 60;

const known = value => value !== null && value !== undefined;
const figure = (value, digits, unit) => known(value) ? `${value.toFixed(digits)} ${unit}` : '–';
const percent = value => known(value) ? `${(value * 100).toFixed(1)}%` : '–';
const round = value => Number(value.toPrecision(6));

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function look(element, name) {
  element.classList.remove('good', 'bad', 'open');
  if (name) element.classList.add(name);
}

function make(kind, className, text = '') {
  const element = document.createElement(kind);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

function rows(list, pairs) {
  const text = JSON.stringify(pairs);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...pairs.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
}

class Card {
  constructor(id, isOneOfMany) {
    this.id = id;
    this.root = $('application').content.firstElementChild.cloneNode(true);
    this.find = name => this.root.querySelector(name);
    this.frames = [];
    this.steps = [];
    this.events = [];
    this.points = [];
    this.learnt = {};
    this.by = 'latency';
    this.shown = 0;
    put(this.find('.name'), id);
    this.find('.log').open = !isOneOfMany;
    this.root.id = `application ${id}`;
    this.link = document.createElement('a');
    this.link.href = `#${encodeURIComponent(this.root.id)}`;
    this.link.append(make('span', 'badge'));
    this.picture = this.find('.picture');
    this.picture.alt = `newest picture of ${id}`;
    this.picture.onload = () => { this.loading = false; this.picture.hidden = false; this.find('.blank').hidden = true; };
    this.picture.onerror = () => { this.loading = false; };
    for (const by of ['latency', 'energy']) {
      this.find(`.by-${by}`).onclick = () => { this.by = by; this.drawFront(); };
    }
    for (const button of this.root.querySelectorAll('[data-action]')) {
      button.onclick = () => this.send(button.dataset.action);
    }
    this.find('form').onsubmit = event => event.preventDefault();
  }

  take(data, now, whole) {
    if (whole) this.frames = [], this.steps = [], this.events = [];
    this.data = data;
    this.now = now;
    this.steps.push(...(data.steps || []));
    for (const [time, value, overrun] of data.frames || []) this.frames.push([time, value, this.limitAt(time), overrun]);
    this.events.push(...(data.events || []));
    this.frames = this.frames.filter(([time]) => time > now - seconds);
    this.steps = this.steps.slice(-500);
    this.events = this.events.slice(-40);
    if (data.front) this.points = data.front;
    if (data.learnt) this.learnt = data.learnt;
    this.draw();
  }

  limitAt(time) {
    let limit = null;
    for (const [since, value] of this.steps) {
      if (since > time) break;
      limit = value;
    }
    return limit;
  }

  draw() {
    const data = this.data;
    const target = data.asked && Object.keys(data.asked).length > 0;
    this.root.className = `card application ${data.look}`;
    const badge = this.find('.state');
    look(badge, data.look);
    put(badge, `${SIGNS[data.look]}${target || data.look === 'bad' ? 'target ' : ''}${data.standing}`);
    look(this.link.firstChild, data.look);
    put(this.link.firstChild, `${SIGNS[data.look]}${this.brief}${known(data.latency) ? ` ${(data.latency * 1e3).toFixed(0)} ms` : ''}`);
    const parts = data.there ? [
      `serves ${data.serves || 'nothing'}${data.processor ? ` on ${data.processor}` : ''}`, data.task, data.bundle, data.engine,
    ] : [];
    put(this.find('.serves'), parts.filter(Boolean).join(' · '));
    const condition = this.find('.condition');
    condition.hidden = !data.condition;
    put(condition, data.condition || '');
    put(this.find('.sees'), data.sees ? `sees ${data.sees}` : '');
    this.drawPicture();
    this.drawFigures();
    rows(this.find('.reasons'), [
      ['Target', data.target && data.target !== 'none' ? `${data.target}${data.sender ? ` (asked by ${data.sender})` : ''}` : ''],
      ['Problem', data.message], ['Chosen', data.chosen && data.chosen !== 'none' ? data.chosen : ''],
      ['Paths', data.paths],
      ['Why', data.because], ['Next best', data.next], ['Pictures', data.counts],
    ].filter(([, text]) => text));
    this.drawEvents();
    if (!this.root.isConnected || !data.there) return;
    this.latency ??= Charts.latency(this.find('.chart.latency'), seconds);
    const switches = this.events.filter(([, kind]) => kind === 'switch').map(([time, , text]) => [time, text.split(',')[0]]);
    this.latency(this.now, this.frames, switches);
    this.find('.overrun').hidden = !this.frames.some(([, , , overrun]) => overrun);
    this.drawFront();
  }

  drawPicture() {
    const number = this.data.picture || 0;
    if (!number || number === this.shown || this.loading || document.hidden) return;
    this.shown = number;
    this.loading = true;
    this.picture.src = `/picture?application=${encodeURIComponent(this.id)}&number=${number}`;
  }

  drawFigures() {
    const data = this.data;
    const limits = Object.fromEntries((data.limits || []).map(limit => [limit.key, limit]));
    const expected = data.expected || {};
    const share = data.quantile ? `${round(data.quantile * 100)}%` : '95%';
    const tiles = [
      ['latency', `Time, ${share} of pictures`, known(data.latency) ? figure(data.latency * 1e3, 1, 'ms') : '–'],
      ['accuracy', `Accuracy${data.metric ? `, ${data.metric}` : ''}`, percent(data.accuracy)],
      ['energy', limits.energy && limits.energy.measured ? 'Energy a picture' : 'Energy a picture, expected', known(expected.energy) ? figure(expected.energy * 1e3, 0, 'mJ') : '–'],
      ['rate', 'Results a second', known(data.rate) ? data.rate.toFixed(1) : '–'],
    ].map(([key, label, value]) => {
      const limit = limits[key];
      if (!limit) return {label, value, asked: '', look: ''};
      // The time of the last two seconds is judged as it is shown, all else as the manager says.
      const own = key === 'latency' && known(data.latency);
      const missed = own ? data.latency > data.asked.latency : Boolean(limit.missed);
      const shown = own || key === 'accuracy';
      return {
        label: shown || limit.measured || label.endsWith('expected') ? label : `${label}, expected`,
        value: shown ? value : limit.is,
        asked: `${missed ? '✗' : '✓'} ${limit.asked}`, look: missed ? 'bad' : 'good',
      };
    });
    const place = this.find('.figures');
    if (!place.childElementCount) {
      for (const _ of tiles) {
        const tile = make('div', 'tile');
        tile.append(make('span', 'label'), make('span', 'value'), make('span', 'asked'));
        place.append(tile);
      }
    }
    tiles.forEach((tile, index) => {
      const element = place.children[index];
      look(element, tile.look);
      [tile.label, tile.value, tile.asked].forEach((text, part) => put(element.children[part], text));
    });
  }

  drawEvents() {
    const list = this.find('.log ol');
    const newest = this.events.slice().reverse();
    const text = JSON.stringify(newest);
    if (list.dataset.shown !== text) {
      list.dataset.shown = text;
      list.replaceChildren(...newest.map(([, kind, words]) => {
        const item = make('li', '');
        item.append(make('time', ''), make('span', kind, kind === 'switch' ? `switched to ${words}` : `target ${words}`));
        return item;
      }));
      this.find('.log').hidden = !newest.length;
    }
    newest.forEach(([time], index) => put(list.children[index].firstChild, since(this.now - time)));
  }

  drawFront() {
    const data = this.data, by = this.by;
    this.find('.by-latency').classList.toggle('on', by === 'latency');
    this.find('.by-energy').classList.toggle('on', by === 'energy');
    const scale = 1e3;
    const points = this.points.map(point => {
      const value = point[by] ?? (by === 'latency' ? this.learnt[point.sub_network] : null);
      return {name: point.sub_network, x: known(value) ? value * scale : null, y: point.accuracy};
    });
    const expected = (data.expected || {})[by];
    const now = by === 'latency' ? data.latency ?? expected : expected;
    const use = known(now) && known(data.accuracy) ? {name: data.serves, x: now * scale, y: data.accuracy} : null;
    const asked = data.asked || {};
    const limits = {x: asked[by] ? asked[by] * scale : 0, y: asked.accuracy || 0};
    const title = by === 'latency' ? 'time, ms' : 'energy a picture, mJ';
    const text = JSON.stringify([points, use, limits, title, this.find('.front').clientWidth, Charts.colour('ink')]);
    if (text === this.drawn) return;
    this.drawn = text;
    Charts.front(this.find('.front'), points, use, limits, title);
  }

  async send(action) {
    const form = this.find('form');
    const values = {};
    if (action !== 'clear') {
      for (const field of form.elements) {
        const text = field.name ? field.value.trim().replace(',', '.') : '';
        if (text) values[field.name] = /^[-+.\d]+$/.test(text) && UNITS[field.name] ? text + UNITS[field.name] : text;
      }
    }
    const buttons = form.querySelectorAll('button');
    buttons.forEach(button => { button.disabled = true; });
    let answer;
    try {
      const response = await fetch(`/target/${action}`, {
        method: 'POST', headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({application: this.id, form: values}),
      });
      answer = response.headers.get('content-type')?.startsWith('application/json')
        ? await response.json() : {look: 'bad', message: await response.text(), rows: []};
    } catch {
      answer = {look: 'bad', message: 'The robot does not answer. Is dynamic-dnn view still running?', rows: []};
    }
    buttons.forEach(button => { button.disabled = false; });
    const place = this.find('.answer');
    place.hidden = false;
    look(place, answer.look);
    put(place.firstElementChild, answer.message);
    rows(place.lastElementChild, answer.rows);
  }
}

function since(passed) {
  if (passed < 1) return 'now';
  return passed < 90 ? `${Math.round(passed)} s ago` : `${Math.round(passed / 60)} min ago`;
}

function drawBoard(data, now, whole) {
  $('board').hidden = !data;
  if (!data) return;
  put($('power'), figure(data.power, 2, 'W'));
  put($('temperature'), figure(data.temperature, 0, '°C'));
  const names = JSON.stringify(data.clocks.map(clock => clock.name));
  if (names !== board.names) {
    board.names = names;
    board.charts = null;
    $('clocks').replaceChildren(...data.clocks.map(clock => {
      const row = make('div', 'clock');
      row.append(make('span', '', clock.name), document.createElement('progress'), make('span', ''));
      return row;
    }));
  }
  data.clocks.forEach((clock, index) => {
    const [, bar, text] = $('clocks').children[index].children;
    bar.max = clock.limit || 1;
    bar.value = known(clock.now) && clock.limit ? Math.min(clock.now, clock.limit) : 0;
    const mega = value => known(value) ? Math.round(value / 1e6) : '?';
    put(text, `${mega(clock.now)} of ${mega(clock.limit)} MHz`);
  });
  if (whole) board.loads = [];
  board.loads = [...board.loads, ...data.loads].filter(([time]) => time > now - seconds);
  if (!board.charts) {
    for (const id of ['power-chart', 'clock-chart']) $(id).replaceChildren();
    board.charts = [
      Charts.lines($('power-chart'), seconds, 1), Charts.lines($('clock-chart'), seconds, data.clocks.length, 105),
    ];
    $('clock-names').replaceChildren(...data.clocks.map((clock, index) => {
      const part = make('span', `line-${index % 4 + 1}`);
      const mark = make('i', 'line');
      mark.style.borderTopColor = `var(--line-${index % 4 + 1})`;
      part.append(mark, clock.name);
      return part;
    }));
  }
  const times = board.loads.map(([time]) => time);
  board.charts[0](now, times, [board.loads.map(([, power]) => power)]);
  board.charts[1](now, times, data.clocks.map((clock, index) => board.loads.map(load => {
    const value = load[3][index];
    return known(value) && clock.limit ? 100 * value / clock.limit : null;
  })));
}

// What tells names apart: without the parts that all have in front and behind.
function briefNames(ids) {
  if (!ids.length) return [];
  const parts = ids.map(id => id.split('/').filter(Boolean));
  const shortest = Math.min(...parts.map(one => one.length));
  const same = index => parts.every(one => one.at(index) === parts[0].at(index));
  let front = 0, back = 0;
  while (front < shortest - 1 && same(front)) front += 1;
  while (back < shortest - 1 - front && same(-1 - back)) back += 1;
  return parts.map(one => one.slice(front, one.length - back).join('/'));
}

function verdict(applications) {
  const asked = applications.filter(one => one.asked && Object.keys(one.asked).length);
  const missed = asked.filter(one => one.look === 'bad').length;
  const met = asked.filter(one => one.look === 'good').length;
  const place = $('verdict');
  look(place, missed ? 'bad' : met && met === asked.length ? 'good' : asked.length ? 'open' : '');
  if (missed) put(place, `✗ ${missed} of ${asked.length} ${asked.length > 1 ? 'targets' : 'target'} missed`);
  else if (asked.length) put(place, `${met === asked.length ? '✓ ' : ''}${met} of ${asked.length} ${asked.length > 1 ? 'targets' : 'target'} met`);
  else put(place, applications.length ? 'no target is set' : '');
}

function show(data) {
  const notice = [data.notice, data.left_out ? `${data.left_out} more applications are not shown.` : ''].filter(Boolean).join(' ');
  $('notice').hidden = !notice;
  put($('notice'), notice);
  if (!data.applications) return;
  seconds = data.window || seconds;
  put($('title'), data.title ? `on ${data.title}` : '');
  document.title = `${data.title || 'robot'}: dynamic-dnn view`;
  put($('honesty'), data.honesty || '');
  put($('manager'), data.manager ? data.manager.text : '');
  drawBoard(data.board, data.now, data.whole);
  const ids = new Set(data.applications.map(one => one.id));
  for (const [id, card] of cards) {
    if (!ids.has(id)) {
      card.root.remove();
      card.link.remove();
      cards.delete(id);
    }
  }
  const place = $('applications');
  const brief = briefNames([...ids]);
  data.applications.forEach((one, index) => {
    let card = cards.get(one.id);
    if (!card) cards.set(one.id, card = new Card(one.id, data.applications.length > 4));
    for (const [parent, child] of [[place, card.root], [$('glance'), card.link]]) {
      if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] || null);
    }
    card.brief = brief[index];
    card.take(one, data.now, data.whole);
  });
  $('glance').hidden = data.applications.length < 2;
  verdict(data.applications);
}

let events = null;

function listen() {
  if (events) return;
  const source = events = new EventSource('/events');
  source.onmessage = event => {
    put($('line'), '● live');
    look($('line'), 'good');
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    put($('line'), 'connection lost, trying again');
    look($('line'), 'bad');
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    stop(source);
    setTimeout(listen, 3000);
  };
}

function stop(source) {
  if (!source) return;
  source.close();
  if (events === source) events = null;
}

// A page that nobody sees costs the robot nothing.
let hiding = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => stop(events), 10000);
  else listen();
});
listen();
