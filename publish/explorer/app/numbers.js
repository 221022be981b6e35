// The release in numbers: the card's charts, whose bars filter the wall.

import { count, h, readable, words } from './dom.js'
import { go } from './address.js'
import { drawHistogram } from './sidebar.js'

const MOST_BARS = 12

/** Draw a chart of bars, each of which leads to what it counts. */
function chart(title, bars, note = null) {
  const most = Math.max(1, ...bars.map((bar) => bar.number))
  const total = bars.reduce((sum, bar) => sum + bar.number, 0)
  return h('section.chart', { 'aria-label': title }, h('h2', {}, title), note ? h('p.dim', {}, note) : null,
    h('ul', {}, bars.slice(0, MOST_BARS).map(({ label, number, changes, text }) => h('li', {}, h('button.value', {
      type: 'button', style: { '--share': `${(100 * number) / most}%` }, onclick: () => go(changes), disabled: !changes,
    }, h('span', {}, words(label)), h('span.number', {}, text ?? `${count(number)} · ${Math.round((100 * number) / (total || 1))} %`))))),
    bars.length > MOST_BARS ? h('p.dim', {}, `and ${count(bars.length - MOST_BARS)} more`) : null)
}

/** Draw all charts. */
export async function drawNumbers(reader, about) {
  const blank = { facets: {}, text: '', adherence: null, sort: '', like: null, marked: null, ranking: null }
  const { facets, adherence } = await reader.ask('select', blank)
  const charts = []
  for (const { name, title, values, group, numValues } of facets) {
    if (numValues < 2 && group === null && name !== 'generator') continue
    const bars = values.map(({ value, count: number }) => ({
      label: value ?? 'not known', number, changes: { ...cleared, view: 'pictures', facets: { [name]: [String(value)] } },
    }))
    charts.push(chart(group ? `${title[0].toUpperCase()}${title.slice(1)}` : title, bars, group))
  }
  if (adherence) charts.splice(1, 0, h('section.chart', {}, drawHistogram(adherence, { adherence: '' })))
  if (about.hasPairs) charts.push(...drawVotes(await reader.ask('pairs')))
  const rows = Object.entries(about.counts).map(([table, { read, published, rejected }]) => h('tr', {}, h('th', { scope: 'row' }, table),
    [read, published, Object.values(rejected).reduce((one, other) => one + other, 0)].map((number) => h('td', {}, count(number)))))
  return h('section.page.scrolls', { 'aria-label': 'Numbers', tabindex: '0' },
    h('div.page-head', {}, h('h1', { tabindex: '-1' }, 'Numbers'), h('p.dim', {}, 'A bar leads to the pictures or pairs that it counts.')),
    h('table.counts', {}, h('thead', {}, h('tr', {}, ['rows', 'read', 'published', 'rejected'].map((head) => h('th', { scope: 'col' }, head)))), h('tbody', {}, rows)),
    h('div.charts', {}, charts))
}

const cleared = { picture: null, q: '', like: '', meaning: '', adherence: '', marked: '', sort: '' }

function drawVotes(pairs) {
  const wins = new Map()
  const decisions = new Map()
  const categories = new Map()
  for (const pair of pairs) {
    decisions.set(pair.decision, (decisions.get(pair.decision) ?? 0) + 1)
    if (pair.category) categories.set(pair.category, (categories.get(pair.category) ?? 0) + 1)
    const best = pair.decision === 'image_1' ? pair.model_1 : pair.decision === 'image_2' ? pair.model_2 : null
    for (const model of [pair.model_1, pair.model_2]) {
      if (!model || !pair.decision.startsWith('image_')) continue
      const record = wins.get(model) ?? { won: 0, all: 0 }
      record.all += 1
      record.won += Number(model === best)
      wins.set(model, record)
    }
  }
  const sorted = (map) => [...map].sort((one, other) => other[1] - one[1])
  return [
    chart('Decisions on pairs', sorted(decisions).map(([decision, number]) => ({ label: readable(decision), number, changes: { ...cleared, view: 'pairs', decision, category: '' } }))),
    chart('Pairs by category', sorted(categories).map(([category, number]) => ({ label: category, number, changes: { ...cleared, view: 'pairs', category, decision: '' } }))),
    chart('Decided pairs won', [...wins].map(([model, { won, all }]) => ({
      label: model, number: won / all, text: `${count(won)} of ${count(all)} · ${Math.round((100 * won) / all)} %`, changes: { ...cleared, view: 'pictures', facets: { generator: [model] } },
    })).sort((one, other) => other.number - one.number)),
  ].filter((each) => each.querySelector('li'))
}
