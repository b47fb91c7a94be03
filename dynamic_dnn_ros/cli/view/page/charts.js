// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
'use strict';

// Charts of the page. Times are seconds before now, 0 at the right.
const Charts = (() => {
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const ago = seconds => seconds === 0 ? 'now' : `${seconds} s`;

  function axes() {
    const common = {
      stroke: () => colour('soft'), font: '11px system-ui, sans-serif',
      grid: {stroke: () => colour('rule'), width: 1}, ticks: {show: false},
    };
    return [
      {...common, space: 60, size: 24, values: (_, ticks) => ticks.map(ago)},
      {...common, space: 30, size: 40},
    ];
  }

  // A chart that fills its place, and keeps filling it.
  function timeChart(place, seconds, series, range, hooks = {}) {
    const options = {
      width: Math.max(100, place.clientWidth), height: place.clientHeight,
      scales: {x: {time: false, range: () => [-seconds, 0]}, y: {range}},
      axes: axes(), series: [{}, ...series], hooks,
      legend: {show: false}, cursor: {show: false}, padding: [6, 16, 0, 0],
    };
    const chart = new uPlot(options, [[], ...series.map(() => [])], place);
    new ResizeObserver(() => {
      if (place.clientWidth) chart.setSize({width: place.clientWidth, height: place.clientHeight});
    }).observe(place);
    return chart;
  }

  const fromZero = (_, __, highest) => [0, highest > 0 ? highest * 1.15 : 1];

  function dots(name, size) {
    return {
      paths: () => null, spanGaps: false,
      points: {show: true, size, width: 0, fill: () => colour(name), stroke: () => colour(name)},
    };
  }

  // Frames of one application: not judged, in time, too late, and the limit.
  function latency(place, seconds) {
    let switches = [];
    const drawSwitches = chart => {
      const {ctx, bbox} = chart;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour('use');
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      let free = -Infinity;
      for (const [time, name] of switches) {
        const x = chart.valToPos(time, 'x', true);
        if (x < bbox.left) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        const width = ctx.measureText(name).width;
        if (x > free && x + width < bbox.left + bbox.width) {
          ctx.fillText(name, x + 3 * devicePixelRatio, bbox.top + 11 * devicePixelRatio);
          free = x + width + 6 * devicePixelRatio;
        }
      }
      ctx.restore();
    };
    const limit = {stroke: () => colour('ink'), width: 2, paths: uPlot.paths.stepped({align: 1}), points: {show: false}};
    const chart = timeChart(place, seconds, [dots('dot', 4), dots('good', 4), dots('bad', 6), limit], fromZero, {draw: [drawSwitches]});
    return (now, frames, marks) => {
      switches = marks.map(([time, name]) => [time - now, name]);
      // Where this computer was slower than the simulated board, nothing is said of the board.
      const judged = ([, , , overrun]) => !overrun;
      const inTime = ([, value, limit]) => limit === null || value <= limit;
      chart.setData([
        frames.map(([time]) => time - now),
        frames.map(frame => judged(frame) ? null : frame[1]),
        frames.map(frame => judged(frame) && inTime(frame) ? frame[1] : null),
        frames.map(frame => judged(frame) && !inTime(frame) ? frame[1] : null),
        frames.map(([, , limit]) => limit),
      ]);
    };
  }

  function lines(place, seconds, count, highest) {
    const series = [...Array(count).keys()].map(index => ({
      stroke: () => colour(`line-${index % 4 + 1}`), width: 2, points: {show: false},
    }));
    const chart = timeChart(place, seconds, series, highest ? () => [0, highest] : fromZero);
    return (now, times, columns) => chart.setData([times.map(time => time - now), ...columns]);
  }

  const SVG = 'http://www.w3.org/2000/svg';
  function draw(parent, kind, attributes, text) {
    const element = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function nice(low, high, count) {
    if (!(high > low)) return [[], 0]; // and an endless loop otherwise
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(one => one >= raw);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(tick);
    return [ticks, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))];
  }

  // Sub-networks as points {name, x, y}, the one in use where it is now, and limits of both axes.
  function front(place, points, use, limits, title) {
    place.replaceChildren();
    const known = points.filter(point => point.x !== null && point.y !== null);
    if (!known.length) {
      place.textContent = 'Not known yet: there is no profile for this board, and too little was served.';
      return;
    }
    const width = Math.max(200, place.clientWidth), height = place.clientHeight;
    const box = {left: 42, right: width - 10, top: 8, bottom: height - 32};
    const xs = [...known.map(point => point.x), ...(use ? [use.x] : []), ...(limits.x ? [limits.x] : [])];
    const ys = [...known.map(point => point.y), ...(limits.y ? [limits.y] : [])];
    const highest = Math.max(...xs) * 1.12;
    const [least, most] = [Math.min(...ys), Math.max(...ys)];
    const room = Math.max(0.01, (most - least) * 0.15);
    const [low, high] = [Math.max(0, least - room), Math.min(1, most + room)];
    const x = value => box.left + (box.right - box.left) * value / highest;
    const y = value => box.bottom - (box.bottom - box.top) * (value - low) / (high - low);
    const svg = draw(place, 'svg', {viewBox: `0 0 ${width} ${height}`, role: 'img'});
    const words = {'font-size': 11, fill: colour('soft')};
    if (limits.x || limits.y) {
      const right = limits.x ? x(limits.x) : box.right, bottom = limits.y ? y(limits.y) : box.bottom;
      draw(svg, 'rect', {x: box.left, y: box.top, width: Math.max(0, right - box.left), height: Math.max(0, bottom - box.top), fill: colour('good-ground')});
    }
    const [across, places] = nice(0, highest, 5), [up, parts] = nice(low * 100, high * 100, 4);
    for (const tick of across) {
      draw(svg, 'line', {x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom, stroke: colour('rule')});
      draw(svg, 'text', {x: x(tick), y: box.bottom + 13, 'text-anchor': 'middle', ...words}, tick.toFixed(places));
    }
    for (const tick of up) {
      draw(svg, 'line', {x1: box.left, x2: box.right, y1: y(tick / 100), y2: y(tick / 100), stroke: colour('rule')});
      draw(svg, 'text', {x: box.left - 5, y: y(tick / 100) + 4, 'text-anchor': 'end', ...words}, `${tick.toFixed(parts)}%`);
    }
    draw(svg, 'text', {x: (box.left + box.right) / 2, y: height - 4, 'text-anchor': 'middle', ...words}, title);
    if (limits.x) draw(svg, 'line', {x1: x(limits.x), x2: x(limits.x), y1: box.top, y2: box.bottom, stroke: colour('ink'), 'stroke-width': 2});
    if (limits.y) draw(svg, 'line', {x1: box.left, x2: box.right, y1: y(limits.y), y2: y(limits.y), stroke: colour('ink'), 'stroke-width': 2});
    const taken = [];
    const label = (point, name, style) => {
      const spot = [x(point.x) + 7, y(point.y) + 4];
      if (taken.some(([a, b]) => Math.abs(a - spot[0]) < 30 && Math.abs(b - spot[1]) < 11)) return;
      taken.push(spot);
      draw(svg, 'text', {x: spot[0], y: spot[1], ...style}, name);
    };
    if (use) {
      const own = known.find(point => point.name === use.name);
      if (own) draw(svg, 'line', {x1: x(own.x), x2: x(use.x), y1: y(own.y), y2: y(use.y), stroke: colour('use'), 'stroke-dasharray': '3 3'});
      label(use, use.name, {'font-size': 12, 'font-weight': 700, fill: colour('use')});
    }
    for (const point of known) {
      const dot = draw(svg, 'circle', {cx: x(point.x), cy: y(point.y), r: 4, fill: colour('dot')});
      draw(dot, 'title', {}, `${point.name}: ${(point.y * 100).toFixed(1)}%, ${point.x.toPrecision(3)}`);
      if (!use || point.name !== use.name) label(point, point.name, words);
    }
    if (use) draw(svg, 'circle', {cx: x(use.x), cy: y(use.y), r: 7, fill: colour('use'), stroke: colour('card'), 'stroke-width': 2});
  }

  return {latency, lines, front, colour};
})();
