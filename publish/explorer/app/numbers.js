// The release in numbers: the card's charts, whose bars filter the wall.

import { count, h, words } from './dom.js'
import { CLEARED, go, nameValue } from './address.js'
import { drawHistogram } from './sidebar.js'
import { DECIDED, hasWinner, nameDecision } from './views.js'

const MOST_BARS = 12

/** Draw a chart of bars, each of which leads to what it counts; `total` is all that they are a part of. */
function chart(title, bars, { total, note = null, numBars = bars.length }) {
  const most = Math.max(...bars.map((bar) => bar.number))
  return h('section.chart', { 'aria-label': title }, h('h2', {}, title), note ? h('p.dim', {}, note) : null,
    h('ul', {}, bars.slice(0, MOST_BARS).map(({ label, number, changes, text }) => h('li', {}, h('button.value', {
      type: 'button', 'data-key': `${title}: ${label}`, style: { '--share': `${(100 * number) / most}%` }, onclick: () => go({ picture: null, ...CLEARED, ...changes }),
    }, h('span', {}, words(label)), h('span.number', {}, text ?? `${count(number)} · ${share(number / total)}`))))),
    numBars > MOST_BARS ? h('p.dim', {}, `and ${count(numBars - MOST_BARS)} more`) : null)
}

const share = (part) => (part > 0 && part < 0.005 ? 'below 1 %' : `${Math.round(100 * part)} %`)

/** Draw all charts. */
export async function drawNumbers(reader, about) {
  const blank = { facets: {}, text: '', adherence: null, sort: '', like: null, marked: null, ranking: null }
  const { facets, adherence } = await reader.ask('select', blank)
  const charts = []
  for (const { name, title, values, group, numValues, numFound } of facets) {
    if (numValues < 2 && group === null && name !== 'generator') continue
    const bars = values.map(({ value, count: number }) => ({
      label: value ?? 'not known', number, changes: { view: 'pictures', facets: { [name]: [nameValue(value)] } },
    }))
    charts.push(chart(title, bars, { total: about.numRows, note: group, numBars: numFound }))
  }
  if (adherence) charts.splice(1, 0, h('section.chart', { 'aria-label': 'Adherence to the prompt' }, drawHistogram(adherence, CLEARED, CLEARED)))
  if (about.hasPairs) charts.push(...drawVotes(await reader.ask('pairs')))
  const rows = Object.entries(about.counts).map(([table, { read, published, rejected }]) => h('tr', {}, h('th', { scope: 'row' }, table),
    [read, published, Object.values(rejected).reduce((one, other) => one + other, 0)].map((number) => h('td', {}, count(number)))))
  const element = h('section.page.scrolls', { 'aria-label': 'Numbers', tabindex: '0' },
    h('div.page-head', {}, h('h1', { tabindex: '-1' }, 'Numbers'), h('p.dim', {}, 'A bar leads to the pictures or pairs that it counts.')),
    h('table.counts', {}, h('thead', {}, h('tr', {}, ['rows', 'read', 'published', 'rejected'].map((head) => h('th', { scope: 'col' }, head)))), h('tbody', {}, rows)),
    h('div.charts', {}, charts))
  return { element, scroller: element }
}

function drawVotes(pairs) {
  const wins = new Map()
  const decisions = new Map()
  const categories = new Map()
  for (const pair of pairs) {
    decisions.set(pair.decision, (decisions.get(pair.decision) ?? 0) + 1)
    categories.set(pair.category, (categories.get(pair.category) ?? 0) + 1)
    if (!hasWinner(pair)) continue
    const best = pair.decision === 'image_1' ? pair.model_1 : pair.model_2
    for (const model of [pair.model_1, pair.model_2]) {
      const record = wins.get(model) ?? { won: 0, all: 0 }
      record.all += 1
      record.won += Number(model === best)
      wins.set(model, record)
    }
  }
  const draw = (title, numbers, label, changes) => chart(title, [...numbers].sort((one, other) => other[1] - one[1])
    .map(([value, number]) => ({ label: label(value), number, changes: { view: 'pairs', ...changes(value) } })), { total: pairs.length })
  const records = [...wins].sort(([, one], [, other]) => other.won / other.all - one.won / one.all)
  return [
    draw('Decisions on pairs', decisions, nameDecision, (decision) => ({ decision })),
    draw('Pairs by category', categories, (category) => category ?? 'not known', (category) => ({ category: nameValue(category) })),
    chart('Decided pairs won', records.map(([model, { won, all }]) => ({
      label: model, number: won / all, text: `${count(won)} of ${count(all)} · ${share(won / all)}`, changes: { view: 'pairs', model: nameValue(model), decision: DECIDED },
    })), { total: 1 }),
  ].filter((each) => each.querySelector('li'))
}
